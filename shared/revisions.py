"""Which schema this code needs, and which a database has; read without what migrates one."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import psycopg

import migrations

REFUSED: Final = 3
"""What a process that migrates ends with when the database refused."""
_KNOWN: Final = sorted(path.name[:4] for path in Path(migrations.__file__).parent.glob("versions/[0-9]*.py"))
"""Each revision is named after its number, which begins the name of its file."""


def head() -> str:
    """The revision that this version of the code needs."""
    return _KNOWN[-1]


def is_known(revision: str) -> bool:
    """Whether this version of the code has that revision in its history."""
    return revision in _KNOWN


def current(url: str) -> str | None:
    """The revision the database is at; None for a new one."""
    with psycopg.connect(url) as connection:
        if connection.execute("SELECT to_regclass('alembic_version')").fetchone() == (None,):
            return None
        row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
    return str(row[0]) if row else None
