"""The baseline: the ledger, identity, places, booking, notices; the roles that may touch them; the job queue's tables."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from procrastinate.schema import SchemaManager
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

ROLES = ("linli_gateway", "linli_identity", "linli_booking")

GRANTS = """
GRANT SELECT ON alembic_version, regions, days, places, resources, policies, schedules, closures, slots, claims, accounts
    TO linli_gateway, linli_identity, linli_booking;
GRANT SELECT ON holders, households, asks, waits, suspensions, relations, roles, persons, notices, notice_head, deployment,
    sessions, reservations TO linli_gateway;
GRANT INSERT ON claims, asks, waits, notices, days TO linli_gateway;
GRANT UPDATE ON claims, slots, asks, notices, notice_head, days, holders, households TO linli_gateway;
GRANT DELETE ON waits, asks TO linli_gateway;
GRANT USAGE ON SEQUENCE waits_no_seq TO linli_gateway;

GRANT SELECT, INSERT, UPDATE ON persons, accounts, logins, login_codes, sessions, relations, roles, holders, households
    TO linli_identity;
GRANT DELETE ON login_codes, sessions TO linli_identity;
GRANT INSERT ON notices TO linli_identity;

GRANT SELECT (no, id, kind, name, community) ON holders TO linli_booking;
GRANT SELECT, INSERT, UPDATE ON reservations TO linli_booking;
GRANT INSERT, UPDATE ON places, resources, schedules, closures TO linli_booking;
GRANT INSERT ON policies, slots, notices TO linli_booking;
GRANT UPDATE (state, is_active, held_until, resource_id, reason, left_at) ON claims TO linli_booking;
GRANT UPDATE (taken, taken_offline, next_lapse, state, capacity, resource_no, is_exclusive_resource, opens_at, closes_at,
    cancel_by, offline_share, offline_until, min_age, max_age, regions, level, needs_guardian, is_waitable, policy_id)
    ON slots TO linli_booking;
GRANT DELETE ON resources TO linli_booking;
"""


def upgrade() -> None:
    op.create_table(
        "asks",
        sa.Column("account_no", sa.BigInteger(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("group_id", sa.Uuid(), nullable=False),
        sa.Column("fingerprint", sa.LargeBinary(), nullable=False),
        sa.Column("service", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("slot_ids", postgresql.ARRAY(sa.Uuid()), nullable=True),
        sa.Column("holders", postgresql.ARRAY(sa.BigInteger()), nullable=True),
        sa.Column("made_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("state IN ('granted', 'waiting', 'lost', 'left')", name="ask_state_known"),
        sa.CheckConstraint(
            "(state IN ('lost', 'left')) = (slot_ids IS NOT NULL AND holders IS NOT NULL)",
            name="ended_ask_tells_of_what",
        ),
        sa.PrimaryKeyConstraint("account_no", "key", name=op.f("asks_pkey")),
        postgresql_with={"fillfactor": 80},
    )
    op.create_index("asks_made_at_idx", "asks", ["made_at"], unique=False, postgresql_using="brin")
    ended = sa.text("state IN ('lost', 'left')")
    op.create_index("asks_ended_group_id_idx", "asks", ["group_id"], unique=False, postgresql_where=ended)
    op.create_index(
        "asks_ended_holders_idx", "asks", ["holders"], unique=False, postgresql_using="gin", postgresql_where=ended
    )
    op.create_table(
        "days",
        sa.Column("date", sa.Date(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=True),
        sa.Column("is_provisional", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.CheckConstraint("kind IN ('work', 'rest', 'closed')", name="day_kind_known"),
        sa.PrimaryKeyConstraint("date", name=op.f("days_pkey")),
    )
    op.create_table(
        "deployment",
        sa.Column("is_the_one", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.Column("fingerprint", sa.Text(), nullable=False),
        sa.Column("is_demo", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("made_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("is_the_one", name="one_deployment"),
        sa.PrimaryKeyConstraint("is_the_one", name=op.f("deployment_pkey")),
    )
    op.create_table(
        "households",
        sa.Column("no", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("community", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("no", name=op.f("households_pkey")),
    )
    op.create_table(
        "login_codes",
        sa.Column("phone_index", sa.LargeBinary(), nullable=False),
        sa.Column("code_hash", sa.LargeBinary(), nullable=False),
        sa.Column("tries", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("sent", sa.Integer(), server_default=sa.text("1"), nullable=False),
        sa.Column("first_sent_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("sent_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("phone_index", name=op.f("login_codes_pkey")),
    )
    op.create_table(
        "notice_head",
        sa.Column("is_the_one", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.Column("position", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.CheckConstraint("is_the_one", name="one_notice_head"),
        sa.PrimaryKeyConstraint("is_the_one", name=op.f("notice_head_pkey")),
    )
    op.create_table(
        "notices",
        sa.Column("no", sa.BigInteger(), sa.Identity(always=True, cache=1), nullable=False),
        sa.Column("id", sa.Uuid(), server_default=sa.text("uuidv7()"), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=True),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("community", sa.Text(), nullable=False),
        sa.Column("subject", sa.Uuid(), nullable=False),
        sa.Column("holders", postgresql.ARRAY(sa.BigInteger()), nullable=False),
        sa.Column("data", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("occurred_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("no", name=op.f("notices_pkey")),
        postgresql_with={"fillfactor": 90},
    )
    op.create_index(
        "notices_unstamped_idx", "notices", ["no"], unique=False, postgresql_where=sa.text("position IS NULL")
    )
    op.create_index(
        "one_notice_per_position",
        "notices",
        ["position"],
        unique=True,
        postgresql_where=sa.text("position IS NOT NULL"),
    )
    op.create_table(
        "regions",
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("level", sa.Text(), nullable=False),
        sa.Column("parent_code", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["parent_code"], ["regions.code"], name=op.f("regions_parent_code_fkey")),
        sa.PrimaryKeyConstraint("code", name=op.f("regions_pkey")),
    )
    op.create_index(op.f("regions_parent_code_idx"), "regions", ["parent_code"], unique=False)
    op.create_table(
        "holders",
        sa.Column("no", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("community", sa.Text(), nullable=False),
        sa.Column("born", sa.Date(), nullable=True),
        sa.Column("level", sa.SmallInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("household_no", sa.BigInteger(), nullable=True),
        sa.CheckConstraint("kind IN ('person', 'organisation')", name="holder_is_person_or_organisation"),
        sa.ForeignKeyConstraint(["household_no"], ["households.no"], name=op.f("holders_household_no_fkey")),
        sa.PrimaryKeyConstraint("no", name=op.f("holders_pkey")),
        sa.UniqueConstraint("id", name=op.f("holders_id_key")),
    )
    op.create_index(
        op.f("holders_household_no_idx"),
        "holders",
        ["household_no"],
        unique=False,
        postgresql_where=sa.text("household_no IS NOT NULL"),
    )
    op.create_table(
        "places",
        sa.Column("id", sa.Uuid(), server_default=sa.text("uuidv7()"), nullable=False),
        sa.Column("service", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("name_en", sa.Text(), nullable=True),
        sa.Column("community", sa.Text(), nullable=False),
        sa.Column("address", sa.Text(), nullable=True),
        sa.Column("lat", sa.Double(), nullable=True),
        sa.Column("lon", sa.Double(), nullable=True),
        sa.Column("state", sa.Text(), server_default=sa.text("'open'"), nullable=False),
        sa.Column("version", sa.Integer(), server_default=sa.text("1"), nullable=False),
        sa.Column("made_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("state IN ('open', 'closed')", name="place_state_known"),
        sa.ForeignKeyConstraint(["community"], ["regions.code"], name=op.f("places_community_fkey")),
        sa.PrimaryKeyConstraint("id", name=op.f("places_pkey")),
        sa.UniqueConstraint("service", "community", "name", name="one_place_per_name"),
    )
    op.create_table(
        "closures",
        sa.Column("id", sa.Uuid(), server_default=sa.text("uuidv7()"), nullable=False),
        sa.Column("place_id", sa.Uuid(), nullable=False),
        sa.Column("starts_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ends_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("slots", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("released", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("made_by", sa.Uuid(), nullable=True),
        sa.Column("made_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("starts_at < ends_at", name="closure_starts_before_it_ends"),
        sa.ForeignKeyConstraint(["place_id"], ["places.id"], name=op.f("closures_place_id_fkey")),
        sa.PrimaryKeyConstraint("id", name=op.f("closures_pkey")),
    )
    op.create_index("closures_place_id_ends_at_idx", "closures", ["place_id", "ends_at"], unique=False)
    op.create_table(
        "persons",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("sex", sa.Text(), nullable=True),
        sa.Column("born", sa.Date(), nullable=True),
        sa.Column("community", sa.Text(), nullable=False),
        sa.Column("document_kind", sa.Text(), nullable=True),
        sa.Column("document_sealed", sa.LargeBinary(), nullable=True),
        sa.Column("document_index", sa.LargeBinary(), nullable=True),
        sa.Column("document_last4", sa.Text(), nullable=True),
        sa.Column("phone_sealed", sa.LargeBinary(), nullable=True),
        sa.Column("level", sa.SmallInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("made_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint(
            "(document_sealed IS NULL) = (document_index IS NULL)", name="a_kept_number_is_sealed_and_indexed"
        ),
        sa.ForeignKeyConstraint(["community"], ["regions.code"], name=op.f("persons_community_fkey")),
        sa.ForeignKeyConstraint(["id"], ["holders.id"], name=op.f("persons_id_fkey")),
        sa.PrimaryKeyConstraint("id", name=op.f("persons_pkey")),
        sa.UniqueConstraint("document_index", name="one_person_per_document"),
    )
    op.create_table(
        "policies",
        sa.Column("id", sa.Uuid(), server_default=sa.text("uuidv7()"), nullable=False),
        sa.Column("place_id", sa.Uuid(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("body", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("made_by", sa.Uuid(), nullable=True),
        sa.Column("made_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(["place_id"], ["places.id"], name=op.f("policies_place_id_fkey")),
        sa.PrimaryKeyConstraint("id", name=op.f("policies_pkey")),
        sa.UniqueConstraint("place_id", "version", name="one_policy_per_version"),
    )
    op.create_table(
        "reservations",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("group_id", sa.Uuid(), nullable=False),
        sa.Column("place_id", sa.Uuid(), nullable=False),
        sa.Column("community", sa.Text(), nullable=False),
        sa.Column("account_no", sa.BigInteger(), nullable=False),
        sa.Column("note", sa.Text(), nullable=True),
        sa.Column("starts_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("made_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("reservations_pkey")),
        sa.UniqueConstraint("group_id", name="one_reservation_per_group"),
    )
    op.create_index("reservations_place_id_starts_at_idx", "reservations", ["place_id", "starts_at"], unique=False)
    op.create_table(
        "resources",
        sa.Column("no", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("id", sa.Uuid(), server_default=sa.text("uuidv7()"), nullable=False),
        sa.Column("place_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("name_en", sa.Text(), nullable=True),
        sa.Column("is_exclusive", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.Column("capacity", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["place_id"], ["places.id"], name=op.f("resources_place_id_fkey")),
        sa.PrimaryKeyConstraint("no", name=op.f("resources_pkey")),
        sa.UniqueConstraint("id", name=op.f("resources_id_key")),
        sa.UniqueConstraint("place_id", "name", name="one_resource_per_name"),
    )
    op.create_table(
        "schedules",
        sa.Column("place_id", sa.Uuid(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("body", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(["place_id"], ["places.id"], name=op.f("schedules_place_id_fkey")),
        sa.PrimaryKeyConstraint("place_id", name=op.f("schedules_pkey")),
    )
    op.create_table(
        "suspensions",
        sa.Column("id", sa.Uuid(), server_default=sa.text("uuidv7()"), nullable=False),
        sa.Column("holder_no", sa.BigInteger(), nullable=False),
        sa.Column("service", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("starts_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ends_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("lifted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("made_by", sa.Uuid(), nullable=True),
        sa.ForeignKeyConstraint(["holder_no"], ["holders.no"], name=op.f("suspensions_holder_no_fkey")),
        sa.PrimaryKeyConstraint("id", name=op.f("suspensions_pkey")),
    )
    op.create_index("suspensions_holder_no_ends_at_idx", "suspensions", ["holder_no", "ends_at"], unique=False)
    op.create_table(
        "accounts",
        sa.Column("no", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("id", sa.Uuid(), server_default=sa.text("uuidv7()"), nullable=False),
        sa.Column("person_id", sa.Uuid(), nullable=True),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), server_default=sa.text("'person'"), nullable=False),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("made_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("kind IN ('person', 'device', 'partner')", name="account_kind_known"),
        sa.ForeignKeyConstraint(["person_id"], ["persons.id"], name=op.f("accounts_person_id_fkey")),
        sa.PrimaryKeyConstraint("no", name=op.f("accounts_pkey")),
        sa.UniqueConstraint("id", name=op.f("accounts_id_key")),
    )
    op.create_index(op.f("accounts_person_id_idx"), "accounts", ["person_id"], unique=False)
    op.create_table(
        "relations",
        sa.Column("id", sa.Uuid(), server_default=sa.text("uuidv7()"), nullable=False),
        sa.Column("actor_id", sa.Uuid(), nullable=False),
        sa.Column("person_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("services", postgresql.ARRAY(sa.Text()), nullable=True),
        sa.Column("starts_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("ends_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("kind IN ('guardian', 'proxy')", name="relation_kind_known"),
        sa.CheckConstraint("actor_id <> person_id", name="nobody_is_their_own_relation"),
        sa.ForeignKeyConstraint(["actor_id"], ["persons.id"], name=op.f("relations_actor_id_fkey")),
        sa.ForeignKeyConstraint(["person_id"], ["persons.id"], name=op.f("relations_person_id_fkey")),
        sa.PrimaryKeyConstraint("id", name=op.f("relations_pkey")),
    )
    op.create_index(
        "one_relation_each",
        "relations",
        ["actor_id", "person_id", "kind"],
        unique=True,
        postgresql_where=sa.text("ends_at IS NULL"),
    )
    op.create_index(op.f("relations_person_id_idx"), "relations", ["person_id"], unique=False)
    op.create_table(
        "slots",
        sa.Column("id", sa.Uuid(), server_default=sa.text("uuidv7()"), nullable=False),
        sa.Column("service", sa.Text(), nullable=False),
        sa.Column("place_id", sa.Uuid(), nullable=False),
        sa.Column("resource_no", sa.BigInteger(), nullable=True),
        sa.Column("is_exclusive_resource", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("community", sa.Text(), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("subject_kind", sa.Text(), nullable=True),
        sa.Column("subject_id", sa.Uuid(), nullable=True),
        sa.Column("starts_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ends_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("opens_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("closes_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("cancel_by", sa.DateTime(timezone=True), nullable=True),
        sa.Column("capacity", sa.Integer(), nullable=False),
        sa.Column("taken", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("taken_offline", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("waiting", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("offline_share", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("offline_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("min_age", sa.SmallInteger(), nullable=True),
        sa.Column("max_age", sa.SmallInteger(), nullable=True),
        sa.Column("regions", postgresql.ARRAY(sa.Text()), nullable=True),
        sa.Column("level", sa.SmallInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("needs_guardian", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("allocation", sa.Text(), server_default=sa.text("'first_come'"), nullable=False),
        sa.Column("is_exclusive", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.Column("is_waitable", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.Column("policy_id", sa.Uuid(), nullable=False),
        sa.Column("state", sa.Text(), server_default=sa.text("'open'"), nullable=False),
        sa.Column("next_lapse", sa.DateTime(timezone=True), nullable=True),
        sa.Column("made_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        postgresql.ExcludeConstraint(
            (sa.text("int8range(resource_no, resource_no, '[]')"), "&&"),
            (sa.text("tstzrange(starts_at, ends_at)"), "&&"),
            where=sa.text("is_exclusive_resource AND state = 'open'"),
            using="gist",
            name="one_slot_per_resource_at_a_time",
        ),
        sa.CheckConstraint("allocation IN ('first_come', 'ballot')", name="allocation_known"),
        sa.CheckConstraint("ends_at >= starts_at + interval '1 second'", name="slot_starts_before_it_ends"),
        sa.CheckConstraint("state IN ('open', 'closed', 'cancelled')", name="slot_state_known"),
        sa.CheckConstraint("taken BETWEEN 0 AND capacity", name="taken_within_capacity"),
        sa.CheckConstraint("taken_offline BETWEEN 0 AND taken", name="offline_within_taken"),
        sa.CheckConstraint("waiting >= 0", name="waiting_not_negative"),
        sa.ForeignKeyConstraint(["place_id"], ["places.id"], name=op.f("slots_place_id_fkey")),
        sa.ForeignKeyConstraint(["policy_id"], ["policies.id"], name=op.f("slots_policy_id_fkey")),
        sa.ForeignKeyConstraint(["resource_no"], ["resources.no"], name=op.f("slots_resource_no_fkey")),
        sa.PrimaryKeyConstraint("id", name=op.f("slots_pkey")),
        sa.UniqueConstraint("place_id", "resource_no", "starts_at", "title", name="one_slot_per_schedule_line"),
        postgresql_with={"fillfactor": 50},
    )
    op.create_index(
        "slots_next_lapse_idx",
        "slots",
        ["next_lapse"],
        unique=False,
        postgresql_where=sa.text("next_lapse IS NOT NULL"),
    )
    op.create_index("slots_place_id_starts_at_idx", "slots", ["place_id", "starts_at"], unique=False)
    op.create_index("slots_service_starts_at_idx", "slots", ["service", "starts_at"], unique=False)
    op.create_index(
        "slots_somebody_waits_idx", "slots", ["starts_at"], unique=False, postgresql_where=sa.text("waiting > 0")
    )
    op.create_index("slots_starts_at_idx", "slots", ["starts_at"], unique=False)
    op.create_index(
        "slots_subject_id_idx",
        "slots",
        ["subject_id"],
        unique=False,
        postgresql_where=sa.text("subject_id IS NOT NULL"),
    )
    op.create_table(
        "claims",
        sa.Column("id", sa.Uuid(), server_default=sa.text("uuidv7()"), nullable=False),
        sa.Column("group_id", sa.Uuid(), nullable=False),
        sa.Column("slot_id", sa.Uuid(), nullable=False),
        sa.Column("holder_no", sa.BigInteger(), nullable=False),
        sa.Column("account_no", sa.BigInteger(), nullable=False),
        sa.Column("community", sa.Text(), nullable=False),
        sa.Column("service", sa.Text(), nullable=False),
        sa.Column("place_id", sa.Uuid(), nullable=False),
        sa.Column("starts_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ends_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("units", sa.Integer(), server_default=sa.text("1"), nullable=False),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("is_active", sa.Boolean(), nullable=False),
        sa.Column("is_exclusive", sa.Boolean(), nullable=False),
        sa.Column("held_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("resource_id", sa.Uuid(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("made_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("left_at", sa.DateTime(timezone=True), nullable=True),
        postgresql.ExcludeConstraint(
            (
                sa.text(
                    "int8range(holder_no * 4294967296 + extract(epoch FROM starts_at - timestamptz '1970-01-01 00:00:00+00')::bigint, holder_no * 4294967296 + extract(epoch FROM ends_at - timestamptz '1970-01-01 00:00:00+00')::bigint)"
                ),
                "&&",
            ),
            where=sa.text("is_active AND is_exclusive"),
            using="spgist",
            name="nobody_in_two_places",
        ),
        sa.CheckConstraint("(state = 'held') = (held_until IS NOT NULL)", name="only_holds_lapse"),
        sa.CheckConstraint("channel IN ('app', 'desk', 'phone', 'paper', 'partner')", name="claim_channel_known"),
        sa.CheckConstraint(
            "is_active = (state IN ('held', 'confirmed', 'attended'))", name="active_claims_are_those_that_take"
        ),
        sa.CheckConstraint(
            "state IN ('held', 'confirmed', 'released', 'lapsed', 'attended', 'no_show')", name="claim_state_known"
        ),
        sa.CheckConstraint("units > 0", name="claim_takes_something"),
        sa.ForeignKeyConstraint(["holder_no"], ["holders.no"], name=op.f("claims_holder_no_fkey")),
        sa.ForeignKeyConstraint(["slot_id"], ["slots.id"], name=op.f("claims_slot_id_fkey")),
        sa.PrimaryKeyConstraint("id", name=op.f("claims_pkey")),
        postgresql_with={"fillfactor": 70},
    )
    op.create_index("claims_group_id_idx", "claims", ["group_id"], unique=False)
    op.create_index("claims_holder_no_starts_at_idx", "claims", ["holder_no", "starts_at"], unique=False)
    op.create_index(
        "one_place_per_person", "claims", ["slot_id", "holder_no"], unique=True, postgresql_where=sa.text("is_active")
    )
    op.create_table(
        "logins",
        sa.Column("id", sa.Uuid(), server_default=sa.text("uuidv7()"), nullable=False),
        sa.Column("account_no", sa.BigInteger(), nullable=False),
        sa.Column("provider", sa.Text(), nullable=False),
        sa.Column("subject_index", sa.LargeBinary(), nullable=False),
        sa.Column("made_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(["account_no"], ["accounts.no"], name=op.f("logins_account_no_fkey")),
        sa.PrimaryKeyConstraint("id", name=op.f("logins_pkey")),
        sa.UniqueConstraint("provider", "subject_index", name="one_account_per_login"),
    )
    op.create_index(op.f("logins_account_no_idx"), "logins", ["account_no"], unique=False)
    op.create_table(
        "roles",
        sa.Column("id", sa.Uuid(), server_default=sa.text("uuidv7()"), nullable=False),
        sa.Column("account_no", sa.BigInteger(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("prefix", sa.Text(), nullable=False),
        sa.Column("place_id", sa.Uuid(), nullable=True),
        sa.Column("starts_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("ends_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("granted_by", sa.Uuid(), nullable=True),
        sa.CheckConstraint(
            "role IN ('staff', 'manager', 'auditor', 'administrator', 'operator', 'kitchen', 'courier', 'carer', 'volunteer', 'gate')",
            name="role_known",
        ),
        sa.ForeignKeyConstraint(["account_no"], ["accounts.no"], name=op.f("roles_account_no_fkey")),
        sa.ForeignKeyConstraint(["place_id"], ["places.id"], name=op.f("roles_place_id_fkey")),
        sa.ForeignKeyConstraint(["prefix"], ["regions.code"], name=op.f("roles_prefix_fkey")),
        sa.PrimaryKeyConstraint("id", name=op.f("roles_pkey")),
    )
    op.create_index("roles_account_no_idx", "roles", ["account_no"], unique=False)
    op.create_table(
        "sessions",
        sa.Column("id", sa.Uuid(), server_default=sa.text("uuidv7()"), nullable=False),
        sa.Column("account_no", sa.BigInteger(), nullable=False),
        sa.Column("provider", sa.Text(), nullable=False),
        sa.Column("device", sa.Text(), nullable=True),
        sa.Column("refresh_hash", sa.LargeBinary(), nullable=False),
        sa.Column("previous_hash", sa.LargeBinary(), nullable=True),
        sa.Column("successor_sealed", sa.LargeBinary(), nullable=True),
        sa.Column("rotated_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("made_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["account_no"], ["accounts.no"], name=op.f("sessions_account_no_fkey")),
        sa.PrimaryKeyConstraint("id", name=op.f("sessions_pkey")),
    )
    op.create_index(op.f("sessions_account_no_idx"), "sessions", ["account_no"], unique=False)
    op.create_table(
        "waits",
        sa.Column("slot_id", sa.Uuid(), nullable=False),
        sa.Column("group_id", sa.Uuid(), nullable=False),
        sa.Column("no", sa.BigInteger(), nullable=False),
        sa.Column("account_no", sa.BigInteger(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("holders", postgresql.ARRAY(sa.BigInteger()), nullable=False),
        sa.Column("units", sa.Integer(), nullable=False),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("made_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(["slot_id"], ["slots.id"], name=op.f("waits_slot_id_fkey")),
        sa.PrimaryKeyConstraint("slot_id", "group_id", name=op.f("waits_pkey")),
        sa.UniqueConstraint("slot_id", "no", name="one_rank_each"),
    )
    op.create_index("waits_group_id_idx", "waits", ["group_id"], unique=False)
    op.create_index("waits_holders_idx", "waits", ["holders"], unique=False, postgresql_using="gin")
    op.execute("CREATE SEQUENCE waits_no_seq")
    op.execute("INSERT INTO notice_head DEFAULT VALUES")
    # Roles belong to the cluster, not to the database: they may be there already.
    for role in ROLES:
        op.execute(
            f"DO $$ BEGIN CREATE ROLE {role} NOLOGIN; "
            "EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$"
        )
        op.execute(f"GRANT {role} TO CURRENT_USER")
    for statement in GRANTS.strip().split(";"):
        if statement.strip():
            op.execute(statement)
    # The queue's own schema, as the pinned version of its package brings it.
    op.get_bind().exec_driver_sql(SchemaManager.get_schema().replace("%", "%%"))


def downgrade() -> None:
    op.execute("DROP SEQUENCE waits_no_seq")
    for table in (
        "waits",
        "sessions",
        "roles",
        "logins",
        "claims",
        "slots",
        "relations",
        "accounts",
        "suspensions",
        "schedules",
        "resources",
        "reservations",
        "policies",
        "persons",
        "closures",
        "places",
        "holders",
        "regions",
        "notices",
        "notice_head",
        "login_codes",
        "households",
        "deployment",
        "days",
        "asks",
    ):
        op.drop_table(table)
    op.execute(
        """
        DO $$ DECLARE one record; BEGIN
            FOR one IN SELECT tablename AS name FROM pg_tables
                       WHERE schemaname = current_schema() AND tablename LIKE 'procrastinate\\_%'
            LOOP EXECUTE format('DROP TABLE %I CASCADE', one.name); END LOOP;
            FOR one IN SELECT p.oid::regprocedure AS name FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
                       WHERE n.nspname = current_schema() AND p.proname LIKE 'procrastinate\\_%'
            LOOP EXECUTE format('DROP FUNCTION %s CASCADE', one.name); END LOOP;
            FOR one IN SELECT t.typname AS name FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace
                       WHERE n.nspname = current_schema() AND t.typname LIKE 'procrastinate\\_%' AND t.typtype IN ('e', 'c')
            LOOP EXECUTE format('DROP TYPE IF EXISTS %I CASCADE', one.name); END LOOP;
        END $$
        """
    )
