"""Each door that stays shut asks for its elder's newest welfare check."""

from __future__ import annotations

from alembic import op

revision = "0030"
down_revision = "0029"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("welfare_checks_person_id_closed_at_idx", "welfare_checks", ["person_id", "closed_at"])


def downgrade() -> None:
    op.drop_index("welfare_checks_person_id_closed_at_idx", "welfare_checks")
