"""Runs migrations on a connection that the caller gives (see shared.migrate), never on a URL of its own."""

from __future__ import annotations

from alembic import context
from sqlalchemy import text

from shared.models import Base


def _is_ours(name: str | None, kind: str) -> bool:
    return not (kind == "table" and name is not None and name.startswith("procrastinate_"))


def run() -> None:
    """Migrate, giving up on a lock after five seconds rather than stopping the town behind it."""
    connection = context.config.attributes["connection"]
    connection.execute(text("SET lock_timeout = '5s'"))
    context.configure(
        connection=connection,
        target_metadata=Base.metadata,
        include_name=lambda name, kind, _parents: _is_ours(name, kind),
        transaction_per_migration=True,
    )
    with context.begin_transaction():
        context.run_migrations()


run()
