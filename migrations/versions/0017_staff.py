"""Staff log in with a password and, where they must, a second factor."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None

TABLES = (
    "passwords",
    "invitations",
    "login_delays",
    "authorization_codes",
    "second_factors",
    "used_steps",
    "recovery_codes",
)


def _moment(name: str, *, is_made: bool = False, nullable: bool = False) -> sa.Column[object]:
    default = sa.text("now()") if is_made else None
    return sa.Column(name, sa.DateTime(timezone=True), server_default=default, nullable=nullable)


def _account(table: str, *, is_key: bool = True) -> list[sa.schema.SchemaItem]:
    """The account's number, and that there is such an account."""
    made: list[sa.schema.SchemaItem] = [
        sa.Column("account_no", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.ForeignKeyConstraint(["account_no"], ["accounts.no"], name=f"{table}_account_no_fkey"),
    ]
    return [*made, sa.PrimaryKeyConstraint("account_no", name=f"{table}_pkey")] if is_key else made


def upgrade() -> None:
    op.create_table(
        "passwords",
        *_account("passwords"),
        sa.Column("hash", sa.Text(), nullable=False),
        _moment("set_at", is_made=True),
    )
    op.create_table(
        "invitations",
        *_account("invitations"),
        sa.Column("code_hash", sa.LargeBinary(), nullable=False),
        sa.Column("made_by", sa.BigInteger(), nullable=True),
        _moment("made_at", is_made=True),
        _moment("expires_at"),
        sa.UniqueConstraint("code_hash", name="one_invitation_per_code"),
    )
    op.create_table(
        "login_delays",
        sa.Column("key", sa.LargeBinary(), nullable=False),
        sa.Column("failures", sa.Integer(), server_default=sa.text("0"), nullable=False),
        _moment("tried_at", is_made=True),
        _moment("until", is_made=True),
        sa.CheckConstraint("failures >= 0", name="failures_are_counted_up"),
        sa.PrimaryKeyConstraint("key", name="login_delays_pkey"),
    )
    op.create_table(
        "authorization_codes",
        sa.Column("code_hash", sa.LargeBinary(), nullable=False),
        *_account("authorization_codes", is_key=False),
        sa.Column("client", sa.Text(), nullable=False),
        sa.Column("redirect_uri", sa.Text(), nullable=False),
        sa.Column("challenge", sa.Text(), nullable=False),
        _moment("made_at", is_made=True),
        _moment("expires_at"),
        _moment("used_at", nullable=True),
        sa.Column("session_id", sa.Uuid(), nullable=True),
        sa.CheckConstraint("session_id IS NULL OR used_at IS NOT NULL", name="a_session_comes_of_a_used_code"),
        sa.PrimaryKeyConstraint("code_hash", name="authorization_codes_pkey"),
    )
    op.create_table(
        "second_factors",
        *_account("second_factors"),
        sa.Column("secret_sealed", sa.LargeBinary(), nullable=False),
        _moment("enrolled_at", is_made=True),
    )
    op.create_table(
        "used_steps",
        *_account("used_steps", is_key=False),
        sa.Column("step", sa.BigInteger(), nullable=False),
        _moment("used_at", is_made=True),
        sa.PrimaryKeyConstraint("account_no", "step", name="a_step_opens_once"),
    )
    op.create_table(
        "recovery_codes",
        *_account("recovery_codes", is_key=False),
        sa.Column("code_hash", sa.LargeBinary(), nullable=False),
        _moment("used_at", nullable=True),
        sa.PrimaryKeyConstraint("account_no", "code_hash", name="recovery_codes_differ"),
    )
    op.add_column("sessions", sa.Column("idle_seconds", sa.Integer(), nullable=True))
    op.create_index(
        "one_staff_name_each",
        "logins",
        ["account_no"],
        unique=True,
        postgresql_where=sa.text("provider = 'password'"),
    )
    op.execute(f"GRANT SELECT, INSERT, UPDATE, DELETE ON {', '.join(TABLES)} TO linli_identity")


def downgrade() -> None:
    op.drop_index("one_staff_name_each", table_name="logins")
    op.drop_column("sessions", "idle_seconds")
    for table in reversed(TABLES):
        op.drop_table(table)
