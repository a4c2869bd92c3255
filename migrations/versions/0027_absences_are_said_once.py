"""An absence that was sent twice was two, and taking one back left the alarm off; what stands twice now is one."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0027"
down_revision = "0026"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(
        "UPDATE absences a SET state = 'withdrawn' WHERE a.state = 'active' AND EXISTS (SELECT FROM absences b "
        "WHERE (b.person_id, b.first, b.last, b.state) = (a.person_id, a.first, a.last, 'active') AND b.id > a.id)"
    )
    op.create_index(
        "one_active_absence_per_days",
        "absences",
        ["person_id", "first", "last"],
        unique=True,
        postgresql_where=sa.text("state = 'active'"),
    )


def downgrade() -> None:
    op.drop_index("one_active_absence_per_days", "absences")
