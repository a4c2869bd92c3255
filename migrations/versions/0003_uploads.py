"""What devices and doorsteps send is remembered with its answer, so that it may be sent again."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "uploads",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("account_no", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("fingerprint", sa.LargeBinary(), nullable=False),
        sa.Column("answer", postgresql.JSONB(), nullable=True),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("id", "account_no", name="one_upload_per_id_of_an_account"),
    )
    op.create_index("uploads_received_at_idx", "uploads", ["received_at"], unique=False, postgresql_using="brin")
    op.execute("GRANT SELECT, INSERT, UPDATE (answer) ON uploads TO linli_booking")
    op.execute("GRANT SELECT, DELETE ON uploads TO linli_gateway")


def downgrade() -> None:
    op.drop_index("uploads_received_at_idx", table_name="uploads", postgresql_using="brin")
    op.drop_table("uploads")
