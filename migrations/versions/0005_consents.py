"""People say what may be done with what they tell: consents, given and withdrawn, in a ledger that is only added to."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "consents",
        sa.Column("id", sa.Uuid(), server_default=sa.text("uuidv7()"), nullable=False),
        sa.Column("person_id", sa.Uuid(), nullable=False),
        sa.Column("purpose", sa.Text(), nullable=False),
        sa.Column("step", sa.Integer(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("given", sa.Boolean(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("given_by", sa.Text(), nullable=False),
        sa.Column("by_account_no", sa.BigInteger(), nullable=False),
        sa.Column("by_person_id", sa.Uuid(), nullable=False),
        sa.Column("community", sa.Text(), nullable=False),
        sa.CheckConstraint("step > 0", name="consent_steps_count_from_one"),
        sa.CheckConstraint("channel IN ('app', 'desk', 'phone', 'paper')", name="consent_channel_known"),
        sa.CheckConstraint("given_by IN ('self', 'guardian', 'proxy')", name="consent_giver_known"),
        sa.CheckConstraint(
            "(given_by = 'self') = (by_person_id = person_id)", name="nobody_consents_under_anothers_name"
        ),
        sa.ForeignKeyConstraint(["person_id"], ["persons.id"], name="consents_person_id_fkey"),
        sa.ForeignKeyConstraint(["by_account_no"], ["accounts.no"], name="consents_by_account_no_fkey"),
        sa.ForeignKeyConstraint(["by_person_id"], ["persons.id"], name="consents_by_person_id_fkey"),
        sa.PrimaryKeyConstraint("id", name="consents_pkey"),
        sa.UniqueConstraint("person_id", "purpose", "step", name="one_word_after_another"),
    )
    op.execute("GRANT SELECT, INSERT ON consents TO linli_identity")
    op.execute("GRANT SELECT ON consents TO linli_gateway")


def downgrade() -> None:
    op.drop_table("consents")
