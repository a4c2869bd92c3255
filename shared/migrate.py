"""Bringing a database to this version's schema, or back to an older one."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Final

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, Engine, create_engine
from sqlalchemy.engine import make_url
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import NullPool

import migrations
from shared import reach, revisions

SEEN_THROUGH: Final = (
    "arraycontains(anyarray, anyarray)",
    "arrayoverlap(anyarray, anyarray)",
    "starts_with(text, text)",
    "textlike(text, text)",
)
"""What rows are found by besides being equal or before and after: PostgreSQL asks it of an index only where it is said to tell
nothing of a row that a wall hides. They tell nothing to whoever cannot say what they like; who can, can say `*`."""


def config(connection: Connection | None = None) -> Config:
    """Alembic's configuration, without a file: the migrations travel inside the package."""
    made = Config()
    made.set_main_option("script_location", str(Path(migrations.__file__).parent))
    made.attributes["connection"] = connection
    return made


def upgrade(url: str, revision: str = "head") -> None:
    """Migrate forward. Safe to start twice at once: an advisory lock lets one go first."""
    with _engine(url).connect() as connection:
        connection.exec_driver_sql("SELECT pg_advisory_lock(33041110)")
        connection.exec_driver_sql(reach.OF_A_SESSION)
        connection.commit()
        try:
            command.upgrade(config(connection), revision)
            _see_through(connection)
            connection.commit()
        finally:
            connection.rollback()
            connection.exec_driver_sql("SELECT pg_advisory_unlock(33041110)")


def _see_through(connection: Connection) -> None:
    """Let indexes be used behind the walls, where a superuser migrates; a restored database has it to be done again."""
    for name in SEEN_THROUGH:
        wanted = "SELECT NOT proleakproof AND (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) FROM pg_proc"
        if connection.exec_driver_sql(f"{wanted} WHERE oid = 'pg_catalog.{name}'::regprocedure").scalar():
            connection.exec_driver_sql(f"ALTER FUNCTION pg_catalog.{name} LEAKPROOF")


def downgrade(url: str, revision: str) -> None:
    """Migrate back to `revision`."""
    with _engine(url).connect() as connection:
        connection.exec_driver_sql(reach.OF_A_SESSION)
        connection.commit()
        command.downgrade(config(connection), revision)
        connection.commit()


def _engine(url: str) -> Engine:
    return create_engine(make_url(url).set(drivername="postgresql+psycopg"), poolclass=NullPool)


if __name__ == "__main__":
    try:
        upgrade(os.environ["DATABASE_URL"])
    except SQLAlchemyError as error:
        sys.stderr.write(str(getattr(error, "orig", error)).strip().partition("\n")[0])
        sys.exit(revisions.REFUSED)
