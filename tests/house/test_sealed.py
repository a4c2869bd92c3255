"""The list of sealed columns is whole: a key that is retired while a column was forgotten would take its values along."""

from __future__ import annotations

from sqlalchemy import LargeBinary

from shared.models import Base
from shared.sealed import COLUMNS, OPEN


def test_every_column_of_bytes_is_sealed_and_listed_or_open_and_said_to_be() -> None:
    listed = {f"{one.table}.{one.column}" for one in COLUMNS}
    found = {
        f"{table.name}.{column.name}"
        for table in Base.metadata.tables.values()
        for column in table.columns
        if isinstance(column.type, LargeBinary)
    }
    assert sorted(found ^ (listed | OPEN)) == [], "name it in shared/sealed.py"
    assert sorted(listed & OPEN) == []


def test_open_columns_are_digests_and_say_so() -> None:
    ends = ("hash", "_index", "fingerprint", "digest", "login_delays.key")
    assert [one for one in sorted(OPEN) if not one.endswith(ends)] == []
