"""What a device tells of a children's room afterwards is written down, also when no carer was."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "room_states", sa.Column("is_unwatched", sa.Boolean(), server_default=sa.text("false"), nullable=False)
    )
    op.drop_constraint("no_children_without_a_carer", "room_states", type_="check")
    op.create_check_constraint(
        "no_children_without_a_carer", "room_states", "children = 0 OR carers > 0 OR is_unwatched"
    )
    op.create_check_constraint(
        "unwatched_only_without_a_carer", "room_states", "NOT is_unwatched OR (children > 0 AND carers = 0)"
    )


def downgrade() -> None:
    op.drop_constraint("unwatched_only_without_a_carer", "room_states", type_="check")
    op.drop_constraint("no_children_without_a_carer", "room_states", type_="check")
    # Rooms that stand without a carer are kept as they are: what happened is not made undone.
    op.execute(
        "ALTER TABLE room_states ADD CONSTRAINT no_children_without_a_carer CHECK (children = 0 OR carers > 0) NOT VALID"
    )
    op.drop_column("room_states", "is_unwatched")
