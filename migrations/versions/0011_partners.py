"""Partners: keys, endpoints, deliveries and their attempts, consumers, the open feed; a role for the service."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

GRANTS = """
GRANT SELECT ON alembic_version, regions, places, slots, accounts, roles, notices, notice_head TO linli_partners;
GRANT SELECT (no, id, kind) ON holders TO linli_partners;
GRANT INSERT (name, kind) ON accounts TO linli_partners;
GRANT INSERT ON notices TO linli_partners;
GRANT SELECT, INSERT, UPDATE ON partner_keys, endpoints, deliveries, attempts, consumers, open_slots, partner_head
    TO linli_partners;
GRANT DELETE ON endpoints, deliveries, consumers, open_slots TO linli_partners;
GRANT SELECT, UPDATE (last_used_at) ON partner_keys TO linli_gateway;
"""


def _made(name: str = "made_at") -> sa.Column[object]:
    return sa.Column(name, sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False)


def _id() -> sa.Column[object]:
    return sa.Column("id", sa.Uuid(), server_default=sa.text("uuidv7()"), nullable=False)


def upgrade() -> None:
    moment = sa.DateTime(timezone=True)
    op.create_table(
        "partner_keys",
        _id(),
        sa.Column("account_no", sa.BigInteger(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("key_hash", sa.LargeBinary(), nullable=False),
        sa.Column("types", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("community", sa.Text(), nullable=False),
        sa.Column("place_id", sa.Uuid(), nullable=True),
        sa.Column("operations", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("made_by", sa.Uuid(), nullable=True),
        _made(),
        sa.Column("last_used_at", moment, nullable=True),
        sa.Column("revoked_at", moment, nullable=True),
        sa.ForeignKeyConstraint(["account_no"], ["accounts.no"], name=op.f("partner_keys_account_no_fkey")),
        sa.ForeignKeyConstraint(["community"], ["regions.code"], name=op.f("partner_keys_community_fkey")),
        sa.ForeignKeyConstraint(["place_id"], ["places.id"], name=op.f("partner_keys_place_id_fkey")),
        sa.PrimaryKeyConstraint("id", name=op.f("partner_keys_pkey")),
        sa.UniqueConstraint("key_hash", name="one_key_of_each_secret"),
    )
    op.create_index(op.f("partner_keys_account_no_idx"), "partner_keys", ["account_no"])
    op.create_table(
        "endpoints",
        _id(),
        sa.Column("account_no", sa.BigInteger(), nullable=False),
        sa.Column("key_id", sa.Uuid(), nullable=True),
        sa.Column("community", sa.Text(), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("types", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("ordering", sa.Text(), server_default=sa.text("'best_effort'"), nullable=False),
        sa.Column("description", sa.Text(), nullable=True),
        sa.Column("state", sa.Text(), server_default=sa.text("'unproven'"), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("secret_sealed", sa.LargeBinary(), nullable=False),
        sa.Column("previous_sealed", sa.LargeBinary(), nullable=True),
        sa.Column("previous_until", moment, nullable=True),
        sa.Column("seed_sealed", sa.LargeBinary(), nullable=False),
        sa.Column("public_key", sa.Text(), nullable=False),
        sa.Column("since", sa.BigInteger(), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("failing_since", moment, nullable=True),
        sa.Column("throttled_until", moment, nullable=True),
        sa.Column("version", sa.Integer(), server_default=sa.text("1"), nullable=False),
        _made(),
        sa.CheckConstraint("ordering IN ('best_effort', 'strict')", name="endpoint_ordering_known"),
        sa.CheckConstraint("state IN ('unproven', 'enabled', 'disabled')", name="endpoint_state_known"),
        sa.CheckConstraint("(state = 'disabled') = (reason IS NOT NULL)", name="what_is_disabled_has_its_reason"),
        sa.CheckConstraint("since <= position", name="an_endpoint_hears_from_its_beginning_on"),
        sa.ForeignKeyConstraint(["account_no"], ["accounts.no"], name=op.f("endpoints_account_no_fkey")),
        sa.ForeignKeyConstraint(["key_id"], ["partner_keys.id"], name=op.f("endpoints_key_id_fkey")),
        sa.ForeignKeyConstraint(["community"], ["regions.code"], name=op.f("endpoints_community_fkey")),
        sa.PrimaryKeyConstraint("id", name=op.f("endpoints_pkey")),
    )
    op.create_index(op.f("endpoints_account_no_idx"), "endpoints", ["account_no"])
    op.create_index(op.f("endpoints_key_id_idx"), "endpoints", ["key_id"])
    op.create_table(
        "deliveries",
        _id(),
        sa.Column("endpoint_id", sa.Uuid(), nullable=False),
        sa.Column("community", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), server_default=sa.text("'notice'"), nullable=False),
        sa.Column("notice_id", sa.Uuid(), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=True),
        sa.Column("state", sa.Text(), server_default=sa.text("'due'"), nullable=False),
        sa.Column("attempts", sa.Integer(), server_default=sa.text("0"), nullable=False),
        _made("due_at"),
        sa.Column("leased_until", moment, nullable=True),
        _made(),
        sa.Column("done_at", moment, nullable=True),
        sa.CheckConstraint("kind IN ('notice', 'test', 'challenge')", name="delivery_kind_known"),
        sa.CheckConstraint("state IN ('due', 'delivered', 'failed')", name="delivery_state_known"),
        sa.CheckConstraint("(kind = 'notice') = (position IS NOT NULL)", name="a_notice_has_its_position"),
        sa.CheckConstraint("(state = 'due') = (done_at IS NULL)", name="what_is_done_is_not_due"),
        sa.ForeignKeyConstraint(
            ["endpoint_id"], ["endpoints.id"], name=op.f("deliveries_endpoint_id_fkey"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("deliveries_pkey")),
        sa.UniqueConstraint("endpoint_id", "notice_id", name="one_delivery_per_notice"),
        postgresql_with={"fillfactor": 70},
    )
    due = sa.text("state = 'due'")
    op.create_index("deliveries_due_idx", "deliveries", ["endpoint_id", "due_at", "position"], postgresql_where=due)
    op.create_index("deliveries_in_order_idx", "deliveries", ["endpoint_id", "position"], postgresql_where=due)
    op.create_index(
        "deliveries_leased_idx", "deliveries", ["endpoint_id"], postgresql_where=sa.text("leased_until IS NOT NULL")
    )
    op.create_table(
        "attempts",
        sa.Column("no", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("delivery_id", sa.Uuid(), nullable=False),
        _made(),
        sa.Column("status", sa.Integer(), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("latency_ms", sa.Integer(), nullable=False),
        sa.Column("answer", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(
            ["delivery_id"], ["deliveries.id"], name=op.f("attempts_delivery_id_fkey"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("no", name=op.f("attempts_pkey")),
    )
    op.create_index(op.f("attempts_delivery_id_idx"), "attempts", ["delivery_id"])
    op.create_table(
        "consumers",
        _id(),
        sa.Column("account_no", sa.BigInteger(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("types", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("community", sa.Text(), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("lease", sa.Uuid(), nullable=True),
        sa.Column("leased_until", moment, nullable=True),
        sa.Column("leased_to", sa.BigInteger(), nullable=True),
        _made(),
        sa.CheckConstraint("(leased_until IS NULL) = (leased_to IS NULL)", name="a_lease_says_how_far_and_until_when"),
        sa.ForeignKeyConstraint(["account_no"], ["accounts.no"], name=op.f("consumers_account_no_fkey")),
        sa.PrimaryKeyConstraint("id", name=op.f("consumers_pkey")),
        sa.UniqueConstraint("account_no", "name", name="one_consumer_per_name"),
    )
    op.create_table(
        "open_slots",
        sa.Column("slot_id", sa.Uuid(), nullable=False),
        sa.Column("community", sa.Text(), nullable=False),
        sa.Column("change_no", sa.BigInteger(), nullable=False),
        sa.Column("fingerprint", sa.BigInteger(), nullable=False),
        sa.Column("body", postgresql.JSONB(), nullable=True),
        sa.Column("ends_at", moment, nullable=False),
        _made("changed_at"),
        sa.PrimaryKeyConstraint("slot_id", name=op.f("open_slots_pkey")),
        sa.UniqueConstraint("change_no", name="one_slot_per_change"),
    )
    op.create_table(
        "partner_head",
        sa.Column("is_the_one", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.Column("change_no", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("forgotten", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.CheckConstraint("is_the_one", name="one_partner_head"),
        sa.PrimaryKeyConstraint("is_the_one", name=op.f("partner_head_pkey")),
    )
    op.execute("INSERT INTO partner_head DEFAULT VALUES")
    # Roles belong to the cluster, not to the database: it may be there already.
    op.execute(
        "DO $$ BEGIN CREATE ROLE linli_partners NOLOGIN; "
        "EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$"
    )
    op.execute("GRANT linli_partners TO CURRENT_USER")
    for statement in GRANTS.strip().split(";"):
        if statement.strip():
            op.execute(statement)


def downgrade() -> None:
    op.execute("DROP OWNED BY linli_partners")
    for table in (
        "partner_head",
        "open_slots",
        "consumers",
        "attempts",
        "deliveries",
        "endpoints",
        "partner_keys",
    ):
        op.drop_table(table)
