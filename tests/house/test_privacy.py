"""Whatever has a person in it is told to that person, or the page says why not."""

from __future__ import annotations

import re

from services import GATEWAY_EXPORTS, SERVICES
from shared.models import Base
from tests.house.house import DOCS, ROOT, bare, rows

PEOPLE = {
    "person_id",
    "holder_no",
    "child_no",
    "account_no",
    "holders",
    "holder_nos",
    "actor_id",
    "by_person_id",
    "children",
}
"""What columns are called that say whose a row is."""


def told() -> set[str]:
    """The tables that the services' copies are made of: named in the SQL beside what `exports` names."""
    found: set[str] = set()
    for name in [GATEWAY_EXPORTS, *(one.exports for one in SERVICES if one.exports)]:
        service = name.partition(":")[0].split(".")[1]
        folder = ROOT / "services" / service
        one = folder / "sql" / "rights.py"
        if one.exists():
            text = one.read_text(encoding="utf-8")
        else:
            text = (folder / "sql.py").read_text(encoding="utf-8")
            text = "".join(re.findall(r"async def known_of\(.*?(?=\nasync def |\Z)", text, re.DOTALL))
        found |= set(re.findall(r"\b(?:FROM|JOIN) (\w+)", text))
    return found


def test_every_table_with_a_person_in_it_is_told_to_them_or_says_why_not() -> None:
    of_people = {name for name, table in Base.metadata.tables.items() if PEOPLE & set(table.columns.keys())}
    stated = {bare(row["table"]) for row in rows(DOCS / "privacy.md", "untold")}
    records = {"elder_profiles", "child_records"}  # read by the services' own queries for them
    assert of_people - told() - records == stated


def test_whoever_tells_also_forgets() -> None:
    for one in SERVICES:
        assert one.name == "identity" or (one.exports is None) == (one.forgets is None), one.name
