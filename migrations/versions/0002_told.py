"""People read what they were told: notices are found by whom they are for."""

from __future__ import annotations

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("notices_holders_idx", "notices", ["holders"], unique=False, postgresql_using="gin")


def downgrade() -> None:
    op.drop_index("notices_holders_idx", table_name="notices")
