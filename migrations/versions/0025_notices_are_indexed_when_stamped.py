"""Whose and where a notice is, is indexed when it is stamped: nobody reads it before, and each entry was written twice."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0025"
down_revision = "0024"
branch_labels = None
depends_on = None


def upgrade() -> None:
    _anew(sa.text("position IS NOT NULL"))


def downgrade() -> None:
    _anew(None)


def _anew(where: sa.TextClause | None) -> None:
    for column in ("holders", "places"):
        op.drop_index(f"notices_{column}_idx", "notices")
        op.create_index(f"notices_{column}_idx", "notices", [column], postgresql_using="gin", postgresql_where=where)
