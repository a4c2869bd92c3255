"""Somebody may have several portions out of one stock: rice with lunch, and rice with supper."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None


def _one_place_per_person(*more: sa.TextClause) -> None:
    op.drop_index("one_place_per_person", table_name="claims")
    op.create_index(
        "one_place_per_person",
        "claims",
        ["slot_id", "holder_no", *more],
        unique=True,
        postgresql_where=sa.text("is_active"),
    )


def upgrade() -> None:
    _one_place_per_person(sa.text("(NULLIF(is_counted OR is_exclusive, false))"))


def downgrade() -> None:  # refuses, and changes nothing, while somebody has
    _one_place_per_person()
