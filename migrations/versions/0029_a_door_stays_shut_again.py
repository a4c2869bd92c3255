"""A courier goes back to a door that stayed shut, and it stays shut again: one meal may have been unanswered more than once."""

from __future__ import annotations

from alembic import op

revision = "0029"
down_revision = "0028"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_unique_constraint("one_outcome_of_a_kind_per_moment", "meal_outcomes", ["order_id", "kind", "at"])
    op.drop_constraint("one_outcome_of_a_kind_per_order", "meal_outcomes")


def downgrade() -> None:
    op.execute(
        "DELETE FROM meal_outcomes a USING meal_outcomes b "
        "WHERE b.order_id = a.order_id AND b.kind = a.kind AND (b.at, b.id) > (a.at, a.id)"
    )
    op.create_unique_constraint("one_outcome_of_a_kind_per_order", "meal_outcomes", ["order_id", "kind"])
    op.drop_constraint("one_outcome_of_a_kind_per_moment", "meal_outcomes")
