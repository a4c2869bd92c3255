"""Logins may be added and taken away, proofs count once, and a session says whether a stolen token ended it."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "used_proofs",
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("digest", name="used_proofs_pkey"),
    )
    op.add_column("sessions", sa.Column("was_reused", sa.Boolean(), server_default=sa.text("false"), nullable=False))
    op.create_check_constraint("a_reused_session_is_over", "sessions", "NOT was_reused OR revoked_at IS NOT NULL")
    op.create_index(
        "sessions_revoked_at_idx", "sessions", ["revoked_at"], postgresql_where=sa.text("revoked_at IS NOT NULL")
    )
    op.add_column(
        "deployment", sa.Column("field_version", sa.SmallInteger(), server_default=sa.text("1"), nullable=False)
    )
    op.execute("GRANT SELECT, INSERT ON used_proofs TO linli_identity")
    op.execute("GRANT DELETE ON logins TO linli_identity")


def downgrade() -> None:
    op.execute("REVOKE DELETE ON logins FROM linli_identity")
    op.drop_column("deployment", "field_version")
    op.drop_index("sessions_revoked_at_idx", table_name="sessions")
    op.drop_constraint("a_reused_session_is_over", "sessions")
    op.drop_column("sessions", "was_reused")
    op.drop_table("used_proofs")
