"""Children told of before their carer are in the books; a notice knows its places, and incidents are found by child."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY

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
    op.add_column(
        "notices", sa.Column("places", ARRAY(sa.Uuid()), server_default=sa.text("'{}'::uuid[]"), nullable=False)
    )
    op.drop_constraint("collected_by_somebody", "handovers", type_="check")
    op.create_check_constraint(
        "collected_by_somebody",
        "handovers",
        "direction = 'in' OR adult_id IS NOT NULL OR collector_id IS NOT NULL OR 'collector_unknown' = ANY (reasons)",
    )
    op.create_index("incidents_children_idx", "incidents", ["children"], postgresql_using="gin")
    op.create_index("notices_places_idx", "notices", ["places"], postgresql_using="gin")


def downgrade() -> None:
    op.drop_index("incidents_children_idx", "incidents")
    op.drop_index("notices_places_idx", "notices")
    op.drop_column("notices", "places")
    op.drop_constraint("unwatched_only_without_a_carer", "room_states", type_="check")
    op.drop_constraint("no_children_without_a_carer", "room_states", type_="check")
    op.drop_constraint("collected_by_somebody", "handovers", type_="check")
    # What happened is not made undone: rows of before are kept as they are.
    op.execute(
        "ALTER TABLE handovers ADD CONSTRAINT collected_by_somebody CHECK (direction = 'in' OR adult_id IS NOT NULL OR "
        "collector_id IS NOT NULL) NOT VALID"
    )
    op.execute(
        "ALTER TABLE room_states ADD CONSTRAINT no_children_without_a_carer CHECK (children = 0 OR carers > 0) NOT VALID"
    )
    op.drop_column("room_states", "is_unwatched")
