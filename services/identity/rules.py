"""What a document number and a phone number are, and who is what at which age.

Refusals carry the `code` under which the caller hears of them:

    ValueError
    ├── DocumentRefused
    │   ├── DocumentMalformed       document_malformed
    │   ├── DocumentOldFormat       document_old_format
    │   ├── DocumentDate            document_date
    │   └── DocumentCheckDigit      document_check_digit
    └── PhoneMalformed              phone_malformed
"""

from __future__ import annotations

import base64
import re
import unicodedata
from calendar import isleap
from dataclasses import dataclass, field
from datetime import date, timedelta
from enum import StrEnum
from typing import ClassVar


class DocumentKind(StrEnum):
    """The documents a resident may show."""

    RESIDENT_ID = "resident_id"
    """居民身份证, GB 11643-1999; babies have the number too, in the household register."""
    HK_MO_TW_RESIDENCE = "hk_mo_tw_residence"
    """港澳台居民居住证 (2018): the same structure under 810000, 820000 or 830000."""
    FOREIGNER_2017 = "foreigner_2017"
    """外国人永久居留身份证 of 2017: three letters and twelve digits; valid until it expires."""
    FOREIGNER_2023 = "foreigner_2023"
    """外国人永久居留身份证 since 2023-12-01: 9, province (2), country (3), birth (8), sequence (3), check digit."""
    PASSPORT = "passport"
    TRAVEL_PERMIT = "travel_permit"
    """港澳居民来往内地通行证 (回乡证) or 台湾居民来往大陆通行证 (台胞证)."""
    NONE = "none"
    """No document: the staff vouch for the person."""


class DocumentRefused(ValueError):
    """The document number cannot be accepted."""

    code: ClassVar[str]

    def __init__(self) -> None:
        """Says its own sentence, and never the number."""
        super().__init__(self.__doc__)


class DocumentMalformed(DocumentRefused):
    """The document number does not have the form of its kind."""

    code = "document_malformed"


class DocumentOldFormat(DocumentRefused):
    """Fifteen-digit numbers are no longer valid; use the eighteen-digit number."""

    code = "document_old_format"


class DocumentDate(DocumentRefused):
    """The date of birth in the document number is not a possible one."""

    code = "document_date"


class DocumentCheckDigit(DocumentRefused):
    """The document number has a mistyped digit."""

    code = "document_check_digit"


class PhoneMalformed(ValueError):
    """The phone number is not a valid one."""

    code: ClassVar[str] = "phone_malformed"

    def __init__(self) -> None:
        """Says its own sentence, and never the number."""
        super().__init__(self.__doc__)


@dataclass(frozen=True, slots=True)
class Document:
    """A number that was accepted, in its one normal form.

    `born` and `sex` ("male" or "female") are known only where the number itself says them; otherwise ask.
    """

    kind: DocumentKind
    number: str = field(repr=False)
    born: date | None = field(repr=False)
    sex: str | None
    last4: str


@dataclass(frozen=True, slots=True)
class Phone:
    """A telephone: `kind` is "mobile" or "landline", `digits` is E.164 without the plus, e.g. 8613812345678."""

    kind: str
    digits: str = field(repr=False)


EARLIEST = date(1850, 1, 1)
_LONGEST_TYPED = 64

# The prefix decides the class and no more. A county is not looked up: codes come and go, and a list of today's counties
# refuses those who were born under yesterday's.
_NUMBERED = {
    DocumentKind.RESIDENT_ID: re.compile(r"(?:[1-6][0-9]|71)[0-9]{15}[0-9X]"),
    DocumentKind.HK_MO_TW_RESIDENCE: re.compile(r"8[123]0000[0-9]{11}[0-9X]"),
    DocumentKind.FOREIGNER_2023: re.compile(r"9[0-9]{16}[0-9X]"),
}
_FREE = {
    DocumentKind.FOREIGNER_2017: re.compile(r"[A-Z]{3}[0-9]{12}"),
    DocumentKind.PASSPORT: re.compile(r"(?=.*[0-9])[A-Z0-9][A-Z0-9-]{3,18}[A-Z0-9]"),
    # 回乡证: H or M and 8 digits, on older cards 2 more for the renewal. 台胞证: 8 digits, older ones 10 and a letter.
    DocumentKind.TRAVEL_PERMIT: re.compile(r"[HM][0-9]{8}(?:[0-9]{2})?|[0-9]{8}|[0-9]{10}(?:[A-Z]|\([A-Z]\))?"),
    DocumentKind.NONE: re.compile(r""),
}
_OLD_FORMAT = re.compile(r"[0-9]{15}")

# Full-width forms become half-width; blanks go, and so do the invisible marks that a number brings along when it is
# pasted from a phone's contacts. NFKC would do far more: it makes digits of superscripts and of circled numbers.
_HALF_WIDTH: dict[int, int | None] = {full: full - 0xFEE0 for full in range(0xFF01, 0xFF5F)}
_IGNORED: dict[int, int | None] = dict.fromkeys(
    map(ord, " \t\r\n\u00a0\u3000\u200b\u200e\u200f\u202a\u202c\u202d\ufeff")
)
_TYPED = _HALF_WIDTH | _IGNORED

_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)


def check_digit(first17: str) -> str:
    """The eighteenth character for seventeen ASCII digits: ISO 7064 MOD 11-2, as GB 11643-1999 writes it."""
    if not re.fullmatch(r"[0-9]{17}", first17):
        raise ValueError("a check digit needs seventeen digits")
    return "10X98765432"[sum(weight * int(digit) for weight, digit in zip(_WEIGHTS, first17, strict=True)) % 11]


def read_document(kind: DocumentKind, number: str, *, today: date) -> Document:
    """The document behind a number as somebody typed it.

    Raises DocumentMalformed, DocumentOldFormat, DocumentCheckDigit or DocumentDate; where several apply, the first of
    these.
    """
    if len(number) > _LONGEST_TYPED:
        raise DocumentMalformed
    number = _plain(number)
    if not number.isascii():  # before upper(), which makes I of a dotless ı
        raise DocumentMalformed
    number = number.upper()
    if kind in _FREE:
        if not _FREE[kind].fullmatch(number):
            raise DocumentMalformed
        return Document(kind, number, born=None, sex=None, last4=number[-4:])
    if not _NUMBERED[kind].fullmatch(number):
        if kind is DocumentKind.RESIDENT_ID and _OLD_FORMAT.fullmatch(number):
            raise DocumentOldFormat
        raise DocumentMalformed
    if check_digit(number[:17]) != number[17]:
        raise DocumentCheckDigit
    try:
        born = date(int(number[6:10]), int(number[10:12]), int(number[12:14]))
    except ValueError:
        raise DocumentDate from None
    if not EARLIEST <= born <= today:
        raise DocumentDate
    return Document(kind, number, born, sex="male" if int(number[16]) % 2 else "female", last4=number[-4:])


_MOBILE = re.compile(r"(?:(?:\+|00)?86)?(1[3-9][0-9]{9})")
# Area codes: 010, 02x, and four digits elsewhere. No local number starts with 0 or 1.
_LANDLINE = re.compile(r"(?:(?:\+|00)?860?|0)(10|2[0-9]|[3-9][0-9]{2})([2-9][0-9]{6,7})")
_PUNCTUATION: dict[int, int | None] = dict.fromkeys(map(ord, "-()."))


def normalise_phone(number: str) -> Phone:
    """The mainland telephone behind a number as somebody typed it; a landline needs its area code (0573…).

    Raises PhoneMalformed.
    """
    if len(number) > _LONGEST_TYPED:
        raise PhoneMalformed
    plain = _plain(number).translate(_PUNCTUATION)
    if mobile := _MOBILE.fullmatch(plain):
        return Phone("mobile", f"86{mobile[1]}")
    if landline := _LANDLINE.fullmatch(plain):
        return Phone("landline", f"86{landline[1]}{landline[2]}")
    raise PhoneMalformed


NAME = re.compile(r"[^\x00-\x1f]{1,80}")
"""What may stand in a name."""


def national_phone(digits: str) -> str:
    """A kept phone as people here dial it: 13800138000, 057382345678."""
    national = digits.removeprefix("86")
    return national if len(national) == 11 and national.startswith("1") else f"0{national}"


def _plain(typed: str) -> str:
    return typed.translate(_TYPED)


ADULT = 18


def is_adult(born: date | None, today: date) -> bool:
    """Whether somebody is known to be grown up."""
    return born is not None and not is_under(born, ADULT, today)


def is_under(born: date | None, years: int, today: date) -> bool:
    """Whether somebody is known to be younger; of whom nobody knows the age it cannot be said."""
    if born is None:
        return False
    return today.year - born.year - ((today.month, today.day) < (born.month, born.day)) < years


def birthday(born: date, years: int) -> date:
    """The first day of that age; of somebody born on 29 February it is 1 March where there is none."""
    year = born.year + years
    if (born.month, born.day) == (2, 29) and not isleap(year):
        return date(year, 3, 1)
    return born.replace(year=year)


def consent_state(version: int, current: int, *, given: bool | None, is_over: bool = False) -> str:
    """What the newest word about a purpose comes to: given, outdated (to older words), lapsed, withdrawn, never asked."""
    if given is None:
        return "never"
    if not given:
        return "withdrawn"
    if is_over:
        return "lapsed"
    return "given" if version >= current else "outdated"


@dataclass(frozen=True, slots=True)
class Sought:
    """What somebody at the desk typed to find a person: a number (of a document, and perhaps of a phone), or a name."""

    kind: str
    text: str = field(repr=False)
    phone: Phone | None = field(default=None, repr=False)


SHORTEST_NAME = 2
"""One character is a surname: it would list a quarter of the town."""
_NUMBER = re.compile(r"(?=.*[0-9])[A-Z0-9()+-]{5,}")


def sought(typed: str) -> Sought | None:
    """What is looked for; None when it is too short to mean anybody."""
    plain = _plain(typed)
    number = plain.upper() if plain.isascii() else plain
    try:
        return Sought("phone", number, normalise_phone(typed))
    except PhoneMalformed:
        pass
    if _NUMBER.fullmatch(number):
        return Sought("document", number)
    name = typed.strip()
    return Sought("name", name) if len(name) >= SHORTEST_NAME else None


POWERS = frozenset({"administrator", "security", "auditor"})
"""Who runs the system, who says who may do what, and who looks over their shoulders: three different people."""
GRANTERS = frozenset({"administrator", "security"})
"""Who grants at all: below a region, and never in one place only."""
OFFICES = frozenset({"staff", "manager", "operator"})
"""What only a person can be; a gate or a kitchen's screen may be a device."""


def granters(role: str) -> tuple[str, ...]:
    """Who may grant a role and take it back: security for security and audit, administrators for all others."""
    return ("security",) if role in {"security", "auditor"} else ("administrator",)


LEVELS = ("declared", "checked", "confirmed")
"""How well a guardianship is known, from what somebody says to what staff have seen."""

_CODE_LETTERS = "23456789ABCDEFGHJKLMNPQRSTUVWXYZ"


def spell_invitation(number: int) -> str:
    """A number below 2**60 as a code that can be read aloud: twelve letters and digits, without those that look alike."""
    letters = [_CODE_LETTERS[number >> shift & 31] for shift in range(55, -5, -5)]
    return "-".join("".join(letters[n : n + 4]) for n in (0, 4, 8))


def read_invitation(told: str) -> str | None:
    """An invitation's code as it was made, however it was typed; None for what cannot be one."""
    plain = _plain(told).upper().replace("-", "")
    if len(plain) != 12 or any(letter not in _CODE_LETTERS for letter in plain):
        return None
    return "-".join(plain[n : n + 4] for n in (0, 4, 8))


def spelled(secret: bytes) -> str:
    """Something secret as letters and digits to write down, in groups that can be read out."""
    letters = base64.b32encode(secret).decode().lower()
    return "-".join(letters[at : at + 4] for at in range(0, len(letters), 4))


def read_back(typed: str) -> bytes:
    """A code as it was spelled, however it was typed; what cannot be one comes out as something else."""
    plain = unicodedata.normalize("NFKC", typed).lower()
    return "".join(one for one in plain if one.isalnum()).encode(errors="replace")


def working_day_after(day: date, count: int) -> date:
    """So many working days later, by weekdays alone: never later than with the holidays."""
    while count:
        day += timedelta(days=1)
        count -= day.weekday() < 5
    return day
