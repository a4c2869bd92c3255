"""The ledger grows for other services: places that count for no limit, and one committee a region that holds places."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for table in ("slots", "claims"):
        op.add_column(table, sa.Column("is_counted", sa.Boolean(), server_default=sa.text("true"), nullable=False))
    op.create_index(
        "one_organisation_per_region",
        "holders",
        ["community"],
        unique=True,
        postgresql_where=sa.text("kind = 'organisation'"),
    )
    op.execute("GRANT INSERT ON holders TO linli_gateway")


def downgrade() -> None:
    op.execute("REVOKE INSERT ON holders FROM linli_gateway")
    op.drop_index("one_organisation_per_region", table_name="holders")
    for table in ("claims", "slots"):
        op.drop_column(table, "is_counted")
