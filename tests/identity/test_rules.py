"""Document numbers and telephones."""

from __future__ import annotations

import time
import timeit
from collections.abc import Callable
from datetime import date

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from services.identity import rules
from services.identity.rules import DocumentKind
from shared import errors

TODAY = date(2026, 11, 21)
NUMBERED = [DocumentKind.RESIDENT_ID, DocumentKind.HK_MO_TW_RESIDENCE, DocumentKind.FOREIGNER_2023]


def read(kind: DocumentKind, number: str) -> rules.Document:
    return rules.read_document(kind, number, today=TODAY)


def least(act: Callable[[], object]) -> float:
    """Seconds of the quickest of five times: whatever else this process does, it rarely does each time."""
    return min(timeit.repeat(act, timer=time.process_time, number=1, repeat=5))


def resident(prefix: str, born: str, sequence: str = "001") -> str:
    return prefix + born + sequence + rules.check_digit(prefix + born + sequence)


@st.composite
def numbers(draw: st.DrawFn) -> tuple[DocumentKind, str]:
    kind = draw(st.sampled_from(NUMBERED))
    prefix = {
        DocumentKind.RESIDENT_ID: r"([1-6][0-9]|71)[0-9]{4}",
        DocumentKind.HK_MO_TW_RESIDENCE: r"8[123]0000",
        DocumentKind.FOREIGNER_2023: r"9[0-9]{5}",
    }[kind]
    born = draw(st.dates(date(1850, 1, 1), TODAY))
    return kind, resident(
        draw(st.from_regex(prefix, fullmatch=True)), f"{born:%Y%m%d}", f"{draw(st.integers(0, 999)):03d}"
    )


@pytest.mark.parametrize(
    ("kind", "number", "born", "sex"),
    [
        (DocumentKind.RESIDENT_ID, "11010519491231002X", date(1949, 12, 31), "female"),  # the standard's own example
        (DocumentKind.HK_MO_TW_RESIDENCE, "810000199408230021", date(1994, 8, 23), "female"),
        (DocumentKind.HK_MO_TW_RESIDENCE, "830000199201300022", date(1992, 1, 30), "female"),
        (DocumentKind.FOREIGNER_2023, "932682198501010017", date(1985, 1, 1), "male"),
        (DocumentKind.FOREIGNER_2023, "911124198108030024", date(1981, 8, 3), "female"),
    ],
)
def test_published_samples_are_read(kind: DocumentKind, number: str, born: date, sex: str) -> None:
    assert read(kind, number) == rules.Document(kind, number, born, sex, number[-4:])


@pytest.mark.parametrize("county", ["330402", "330411", "330424", "330824", "330113", "330114"])
@pytest.mark.parametrize("year", ["1938", "1950", "1960", "1975", "1985", "2026"])
def test_nobody_is_older_than_their_county(county: str, year: str) -> None:
    assert read(DocumentKind.RESIDENT_ID, resident(county, f"{year}0229" if year == "1960" else f"{year}0228")).born


@pytest.mark.parametrize(
    "typed",
    [
        "11010519491231002x",
        " 110105 19491231 002X\t",
        "１１０１０５１９４９１２３１００２Ｘ",
        "１１０１０５１９４９１２３１００２ｘ",
        "110105\u300019491231\u00a0002X",
        "\u202d11010519491231002X\u202c",
        "\ufeff11010519491231002X\r\n",
    ],
)
def test_a_number_is_read_as_people_type_and_paste_it(typed: str) -> None:
    assert read(DocumentKind.RESIDENT_ID, typed).number == "11010519491231002X"


HOSTILE = [
    "",
    " ",
    "11010519491231002",
    "11010519491231002XX",
    "1101051949123100X2",
    "11010519491231002Y",
    "11010519491231002X\x00",
    "\x0011010519491231002X",
    "11010519491231002X😀",
    "١١٠١٠٥١٩٤٩١٢٣١٠٠٢X",
    "११०१०५१९४९१२३१००२X",
    "𝟏𝟏𝟎𝟏𝟎𝟓𝟏𝟗𝟒𝟗𝟏𝟐𝟑𝟏𝟎𝟎𝟐X",
    "¹¹⁰¹⁰⁵¹⁹⁴⁹¹²³¹⁰⁰²X",
    "①①⓪①⓪⑤①⑨④⑨①②③①⓪⓪②X",
    "一一零一零五一九四九一二三一零零二X",
    "11010519491231002Х",  # Cyrillic
    "-1010519491231002X",
    "+11010519491231002X",
    "1_1010519491231002X",
    "\ud800" * 18,
    "' OR 1=1 --",
    "1" * 65,
    "1" * 10_000_000,
    " " * 10_000_000,
]


@pytest.mark.parametrize("typed", HOSTILE, ids=range(len(HOSTILE)))
@pytest.mark.parametrize("kind", NUMBERED)
def test_hostile_input_is_malformed(kind: DocumentKind, typed: str) -> None:
    def refused() -> None:
        with pytest.raises(rules.DocumentMalformed):
            read(kind, typed)

    assert least(refused) < 1000 * least(lambda: rules.check_digit("11010519491231002"))


@given(st.sampled_from([kind for kind in DocumentKind if kind is not DocumentKind.NONE]), st.text(max_size=20))
def test_what_is_accepted_is_plain_ascii(kind: DocumentKind, typed: str) -> None:
    try:
        document = read(kind, typed)
    except rules.DocumentRefused:
        return
    assert document.number.isascii()
    assert document.number.isprintable()


@pytest.mark.parametrize(
    ("kind", "number"),
    [
        (DocumentKind.RESIDENT_ID, "810000199408230021"),
        (DocumentKind.RESIDENT_ID, "932682198501010017"),
        (DocumentKind.HK_MO_TW_RESIDENCE, "11010519491231002X"),
        (DocumentKind.HK_MO_TW_RESIDENCE, resident("840000", "19940823")),
        (DocumentKind.HK_MO_TW_RESIDENCE, resident("810001", "19940823")),
        (DocumentKind.FOREIGNER_2023, "11010519491231002X"),
    ],
)
def test_a_number_of_another_kind_is_malformed(kind: DocumentKind, number: str) -> None:
    with pytest.raises(rules.DocumentMalformed):
        read(kind, number)


def test_fifteen_digits_are_told_apart() -> None:
    with pytest.raises(rules.DocumentOldFormat, match="Fifteen-digit"):
        read(DocumentKind.RESIDENT_ID, "110105491231002")
    with pytest.raises(rules.DocumentMalformed):
        read(DocumentKind.HK_MO_TW_RESIDENCE, "110105491231002")


@pytest.mark.parametrize("born", ["19490229", "19000229", "19491301", "19490431", "00000101", "18491231", "20261122"])
def test_an_impossible_birthday_is_refused(born: str) -> None:
    with pytest.raises(rules.DocumentDate):
        read(DocumentKind.RESIDENT_ID, resident("330411", born))


@pytest.mark.parametrize("born", ["18500101", "20000229", "20240229", "20261121"])
def test_a_possible_birthday_is_taken(born: str) -> None:
    assert read(DocumentKind.RESIDENT_ID, resident("330411", born)).born


@given(numbers())
def test_every_true_number_is_accepted(numbered: tuple[DocumentKind, str]) -> None:
    kind, number = numbered
    document = read(kind, number)
    assert document.number == number
    assert document.born is not None
    assert f"{document.born:%Y%m%d}" == number[6:14]
    assert document.sex == ("male" if number[16] in "13579" else "female")


@given(numbers(), st.integers(0, 17), st.sampled_from("0123456789X"))
def test_one_mistyped_character_is_always_noticed(numbered: tuple[DocumentKind, str], at: int, other: str) -> None:
    kind, number = numbered
    assume(number[at] != other)
    with pytest.raises((rules.DocumentCheckDigit, rules.DocumentDate, rules.DocumentMalformed)):
        read(kind, number[:at] + other + number[at + 1 :])


@given(numbers(), st.integers(0, 16))
def test_swapped_neighbours_are_always_noticed(numbered: tuple[DocumentKind, str], at: int) -> None:
    kind, number = numbered
    assume(number[at] != number[at + 1])
    with pytest.raises((rules.DocumentCheckDigit, rules.DocumentDate, rules.DocumentMalformed)):
        read(kind, number[:at] + number[at + 1] + number[at] + number[at + 2 :])


@given(st.text("0123456789", min_size=17, max_size=17))
def test_the_check_digit_makes_the_weighted_sum_one(first17: str) -> None:
    # ISO 7064: the eighteen characters, weighted by powers of two from the right, leave 1 modulo 11.
    characters = first17 + rules.check_digit(first17)
    values = [10 if character == "X" else int(character) for character in characters]
    assert sum(value << (17 - at) for at, value in enumerate(values)) % 11 == 1


@pytest.mark.parametrize("first17", ["", "1", "1" * 18, "1" * 16 + "X", "١" * 17, "1" * 17 + "\n"])
def test_a_check_digit_needs_seventeen_digits(first17: str) -> None:
    with pytest.raises(ValueError, match="seventeen"):
        rules.check_digit(first17)


@pytest.mark.parametrize(
    ("kind", "typed", "number"),
    [
        (DocumentKind.FOREIGNER_2017, "USA330485031201", "USA330485031201"),
        (DocumentKind.FOREIGNER_2017, "usa 3304 850312 01", "USA330485031201"),
        (DocumentKind.FOREIGNER_2017, "US1330485031201", None),
        (DocumentKind.FOREIGNER_2017, "ıſa330485031201", None),
        (DocumentKind.PASSPORT, "e12345678", "E12345678"),
        (DocumentKind.PASSPORT, "ABCDEFGH", None),
        (DocumentKind.PASSPORT, "E123", None),
        (DocumentKind.PASSPORT, "E" + "1" * 20, None),
        (DocumentKind.PASSPORT, "E1234567\x00", None),
        (DocumentKind.PASSPORT, "ı12345678", None),
        (DocumentKind.TRAVEL_PERMIT, "h12345678", "H12345678"),
        (DocumentKind.TRAVEL_PERMIT, "M1234567801", "M1234567801"),
        (DocumentKind.TRAVEL_PERMIT, "12345678", "12345678"),
        (DocumentKind.TRAVEL_PERMIT, "1234567890（B）", "1234567890(B)"),
        (DocumentKind.TRAVEL_PERMIT, "X12345678", None),
        (DocumentKind.NONE, " ", ""),
        (DocumentKind.NONE, "1", None),
    ],
)
def test_kinds_without_a_check_digit(kind: DocumentKind, typed: str, number: str | None) -> None:
    if number is None:
        with pytest.raises(rules.DocumentMalformed):
            read(kind, typed)
    else:
        document = read(kind, typed)
        assert (document.number, document.born, document.sex) == (number, None, None)
        assert document.last4 == number[-4:]


def test_refusals_speak_in_the_words_of_the_house() -> None:
    known = {refusal.code: refusal.title("en") for refusal in errors.Unprocessable.__subclasses__()}
    documents = rules.DocumentRefused.__subclasses__()
    assert len(documents) == 4
    assert {refused.code: str(refused()) for refused in documents}.items() <= known.items()
    assert known[rules.PhoneMalformed.code] == str(rules.PhoneMalformed())


def test_a_number_is_never_shown_by_accident() -> None:
    document = read(DocumentKind.RESIDENT_ID, "11010519491231002X")
    assert "1949" not in repr(document)
    assert "138" not in repr(rules.normalise_phone("13812345678"))


@pytest.mark.parametrize(
    ("typed", "kind", "digits"),
    [
        ("13812345678", "mobile", "8613812345678"),
        ("+86 138-1234-5678", "mobile", "8613812345678"),
        ("0086 13812345678", "mobile", "8613812345678"),
        ("8613812345678", "mobile", "8613812345678"),
        ("１３８１２３４５６７８", "mobile", "8613812345678"),
        ("\u202d138 1234 5678\u202c", "mobile", "8613812345678"),
        ("0573-82831234", "landline", "8657382831234"),
        ("（0573）8283 1234", "landline", "8657382831234"),
        ("+86 573 8283 1234", "landline", "8657382831234"),
        ("+86 (0)573 8283 1234", "landline", "8657382831234"),
        ("8657382831234", "landline", "8657382831234"),
        ("010-62341234", "landline", "861062341234"),
        ("0570-3031234", "landline", "865703031234"),
    ],
)
def test_a_telephone_is_read_as_people_type_it(typed: str, kind: str, digits: str) -> None:
    phone = rules.normalise_phone(typed)
    assert (phone.kind, phone.digits) == (kind, digits)
    assert rules.normalise_phone(digits) == phone


@pytest.mark.parametrize(
    "typed",
    [
        "", "110", "82831234", "12812345678", "1381234567", "138123456789", "23812345678", "0573-02831234",
        "0573-12831234", "0573-828312345", "0173-82831234", "+1 212 555 0100", "١٣٨١٢٣٤٥٦٧٨", "13812345678\x00",
        "1381234567😀", "1381234567８９", "+138123456789", "++8613812345678", "1" * 10_000_000, "13812345678;ext=1",
    ],
    ids=range(20),
)  # fmt: skip
def test_what_is_no_telephone_is_refused(typed: str) -> None:
    with pytest.raises(rules.PhoneMalformed):
        rules.normalise_phone(typed)
