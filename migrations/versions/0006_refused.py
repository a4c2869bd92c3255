"""Residents and staff read why somebody was refused: a log, kept for thirty days."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "refused",
        sa.Column("no", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("account_no", sa.BigInteger(), nullable=False),
        sa.Column("holder_nos", ARRAY(sa.BigInteger()), nullable=False),
        sa.Column("holder_no", sa.BigInteger(), nullable=True),
        sa.Column("service", sa.Text(), nullable=False),
        sa.Column("slot_id", sa.Uuid(), nullable=True),
        sa.Column("place_id", sa.Uuid(), nullable=True),
        sa.Column("community", sa.Text(), nullable=False),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("request_id", sa.Text(), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.CheckConstraint("count > 0", name="a_refusal_happened_at_least_once"),
        sa.PrimaryKeyConstraint("no", name="refused_pkey"),
    )
    op.create_index("refused_slot_id_idx", "refused", ["slot_id"])
    op.create_index("refused_request_id_idx", "refused", ["request_id"])
    op.create_index("refused_holder_nos_idx", "refused", ["holder_nos"], postgresql_using="gin")
    op.create_index("refused_at_idx", "refused", ["at"], postgresql_using="brin")
    op.execute("GRANT SELECT, INSERT, DELETE ON refused TO linli_gateway")


def downgrade() -> None:
    op.drop_table("refused")
