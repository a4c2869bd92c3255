"""Bringing a database to this version's schema, and telling whether it is there."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, create_engine
from sqlalchemy.engine import make_url
from sqlalchemy.pool import NullPool

import migrations


def config(connection: Connection | None = None) -> Config:
    """Alembic's configuration, without a file: the migrations travel inside the package."""
    made = Config()
    made.set_main_option("script_location", str(Path(migrations.__file__).parent))
    made.attributes["connection"] = connection
    return made


def head() -> str:
    """The revision that this version of the code needs."""
    return ScriptDirectory.from_config(config()).get_current_head() or ""


def current(url: str) -> str | None:
    """The revision the database is at; None for a new one."""
    with _engine(url).connect() as connection:
        return MigrationContext.configure(connection).get_current_revision()


def is_known(revision: str) -> bool:
    """Whether this version of the code has that revision in its history."""
    return any(script.revision == revision for script in ScriptDirectory.from_config(config()).walk_revisions())


def upgrade(url: str, revision: str = "head") -> None:
    """Migrate forward. Safe to start twice at once: an advisory lock lets one go first."""
    with _engine(url).connect() as connection:
        connection.exec_driver_sql("SELECT pg_advisory_lock(33041110)")
        connection.commit()
        try:
            command.upgrade(config(connection), revision)
            connection.commit()
        finally:
            connection.rollback()
            connection.exec_driver_sql("SELECT pg_advisory_unlock(33041110)")


def downgrade(url: str, revision: str) -> None:
    """Migrate back to `revision`."""
    with _engine(url).connect() as connection:
        command.downgrade(config(connection), revision)
        connection.commit()


def _engine(url: str) -> Engine:
    return create_engine(make_url(url).set(drivername="postgresql+psycopg"), poolclass=NullPool)
