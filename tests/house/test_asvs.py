"""docs/asvs.md answers every requirement of its chapters, and names only tests that exist."""

from __future__ import annotations

import re

from tests.house.house import DOCS, ROOT, rows

LAST = {
    "6.1": 3,
    "6.2": 12,
    "6.3": 4,
    "6.4": 4,
    "6.5": 5,
    "6.6": 3,
    "6.8": 4,
    "7.1": 3,
    "7.2": 4,
    "7.3": 2,
    "7.4": 5,
    "7.5": 2,
    "7.6": 2,
    "8.1": 2,
    "8.2": 3,
    "8.3": 1,
    "8.4": 1,
    "9.1": 3,
    "9.2": 4,
    "10.1": 2,
    "10.2": 2,
    "10.3": 4,
    "10.4": 11,
    "10.5": 5,
    "10.6": 2,
    "10.7": 3,
    "11.1": 2,
    "11.2": 3,
    "11.3": 3,
    "11.4": 4,
    "11.5": 1,
    "11.6": 1,
    "16.1": 1,
    "16.2": 5,
    "16.3": 4,
    "16.4": 3,
    "16.5": 3,
}
"""How many requirements of levels 1 and 2 each section of ASVS 5.0.0 has; they come first in all of these."""


def test_every_requirement_of_levels_one_and_two_is_answered() -> None:
    asked = [f"{section}.{n}" for section, last in LAST.items() for n in range(1, last + 1)]
    answered = rows(DOCS / "asvs.md", "asvs")
    assert [row["asks"] for row in answered] == asked
    assert all(row["shown by"] for row in answered)


def test_the_tests_it_names_exist() -> None:
    named = set(re.findall(r"`(test_\w+)`", (DOCS / "asvs.md").read_text()))
    code = "\n".join(path.read_text() for path in (ROOT / "tests").rglob("test_*.py"))
    assert named
    assert {name for name in named if f"def {name}(" not in code} == set()
