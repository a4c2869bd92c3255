"""Places have terms, slots remember that a schedule made them, and a place that nobody used can be removed."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

OF_A_PLACE = ("resources", "schedules", "policies", "closures", "slots")
"""What goes with its place. Claims point to slots without a cascade: they are what keeps a used place."""

GRANTS = (
    "GRANT SELECT, INSERT ON terms TO linli_booking",
    "GRANT UPDATE (is_exclusive) ON slots TO linli_booking",
    "GRANT DELETE ON places, closures TO linli_booking",
)


def _point_to_places(ondelete: str | None) -> None:
    for table in OF_A_PLACE:
        name = f"{table}_place_id_fkey"
        op.drop_constraint(name, table, type_="foreignkey")
        op.create_foreign_key(name, table, "places", ["place_id"], ["id"], ondelete=ondelete)


def upgrade() -> None:
    op.create_table(
        "terms",
        sa.Column("place_id", sa.Uuid(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("body", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("made_by", sa.Uuid(), nullable=True),
        sa.Column("made_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(["place_id"], ["places.id"], name=op.f("terms_place_id_fkey"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("place_id", "version", name="one_terms_per_version"),
    )
    # Slots of before count as extra sessions: no calendar closes them, and in some days they are over.
    op.add_column("slots", sa.Column("is_scheduled", sa.Boolean(), server_default=sa.text("false"), nullable=False))
    _point_to_places("CASCADE")
    for statement in GRANTS:
        op.execute(statement)


def downgrade() -> None:
    op.execute("REVOKE UPDATE (is_exclusive) ON slots FROM linli_booking")
    op.execute("REVOKE DELETE ON places, closures FROM linli_booking")
    _point_to_places(None)
    op.drop_column("slots", "is_scheduled")
    op.drop_table("terms")
