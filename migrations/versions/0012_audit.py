"""What is done with people's data is written down where nobody can take it back."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

WRITERS = ("linli_gateway", "linli_identity", "linli_booking", "linli_elder_meals", "linli_childcare", "linli_events")


def upgrade() -> None:
    op.create_table(
        "audit",
        sa.Column("no", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("account_no", sa.BigInteger(), nullable=True),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("person_id", sa.Uuid(), nullable=True),
        sa.Column("community", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("data", JSONB(), nullable=False),
        sa.PrimaryKeyConstraint("no", name="audit_pkey"),
    )
    op.create_index("audit_person_id_idx", "audit", ["person_id", "no"])
    op.create_index("audit_at_idx", "audit", ["at"], postgresql_using="brin")
    op.execute(f"GRANT INSERT ON audit TO {', '.join(WRITERS)}")
    op.execute("GRANT SELECT ON audit TO linli_identity")


def downgrade() -> None:
    op.drop_table("audit")
