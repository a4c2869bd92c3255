"""Whom somebody acts for is asked for at every door; it was found by reading all relations of the town."""

from __future__ import annotations

from alembic import op

revision = "0026"
down_revision = "0025"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("relations_actor_id_idx", "relations", ["actor_id"])


def downgrade() -> None:
    op.drop_index("relations_actor_id_idx", "relations")
