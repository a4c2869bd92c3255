"""How much of a name, a number and a phone somebody sees whose business the rest is not. Written once, used everywhere."""

from __future__ import annotations

import re

_COMPOUND_SURNAME = re.compile(
    "欧阳|歐陽|上官|司马|司馬|诸葛|諸葛|司徒|东方|独孤|南宫|夏侯|皇甫|尉迟|公孙|令狐|慕容|宇文|长孙|端木|轩辕|百里|呼延|申屠|闻人"
    "|钟离|澹台|太史|淳于|单于|公冶|宗政|濮阳|西门|拓跋|完颜|纳兰"
)
_MAINLAND = re.compile(r"86(?:(1[3-9][0-9])[0-9]{4}|(10|2[0-9]|[3-9][0-9]{2})[0-9]{3,4})([0-9]{4})")


def name(told: str) -> str:
    """张三 as 张*, 欧阳娜 as 欧阳*: the surname only, and nothing that tells how long the given name is."""
    told = told.strip()
    shown = 2 if len(told) > 2 and _COMPOUND_SURNAME.match(told) else 1
    return "*" if len(told) <= shown else f"{told[:shown]}*"


def number(told: str) -> str:
    """A document number with its first 3 and last 4 shown; the last 4 below 15 characters, none below 8."""
    if len(told) >= 15:
        return f"{told[:3]}{'*' * (len(told) - 7)}{told[-4:]}"
    shown = 4 if len(told) >= 8 else 0
    return "*" * (len(told) - shown) + told[len(told) - shown :]


def phone(digits: str) -> str:
    """E.164 digits as 138****5678 for a mobile, 0573****5678 for a landline, stars for anything else."""
    found = _MAINLAND.fullmatch(digits)
    if found is None:
        return "*" * len(digits)
    mobile, area, last = found.groups()
    return f"{mobile or f'0{area}'}****{last}"
