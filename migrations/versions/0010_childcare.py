"""Children's rooms: visits, who is inside, hand-overs, collectors, children's records, incidents; a role of their own."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

ROLE = "linli_childcare"

GRANTS = """
GRANT SELECT ON alembic_version, regions, days, places, resources, policies, schedules, closures, slots, claims, accounts
    TO linli_childcare;
GRANT SELECT (no, id, kind, name, community) ON holders TO linli_childcare;
GRANT SELECT (actor_id, person_id, kind, services, starts_at, ends_at) ON relations TO linli_childcare;
GRANT SELECT (account_no, role, prefix, place_id, starts_at, ends_at) ON roles TO linli_childcare;
GRANT INSERT, UPDATE ON places, resources, schedules, closures TO linli_childcare;
GRANT INSERT ON policies, slots, notices TO linli_childcare;
GRANT UPDATE (state, is_active, held_until, resource_id, reason, left_at) ON claims TO linli_childcare;
GRANT UPDATE (taken, taken_offline, next_lapse, state, capacity, resource_no, is_exclusive_resource, opens_at, closes_at,
    cancel_by, offline_share, offline_until, min_age, max_age, regions, level, needs_guardian, is_waitable, policy_id)
    ON slots TO linli_childcare;
GRANT UPDATE (is_exclusive) ON slots TO linli_childcare;
GRANT DELETE ON resources, places, closures TO linli_childcare;
GRANT SELECT (person_id, purpose, step, version, given, at) ON consents TO linli_childcare;
GRANT SELECT, INSERT ON terms TO linli_childcare;
GRANT SELECT, INSERT, UPDATE (answer) ON uploads TO linli_childcare;

GRANT SELECT, INSERT ON visits, handovers, turned_away, record_reads, incidents, head_counts, late_collections
    TO linli_childcare;
GRANT SELECT, INSERT, UPDATE ON room_states, child_records TO linli_childcare;
GRANT SELECT, INSERT, DELETE ON insides TO linli_childcare;
GRANT SELECT, INSERT ON collectors, duties TO linli_childcare;
GRANT UPDATE (used_at, removed_at) ON collectors TO linli_childcare;
GRANT UPDATE (ended_at) ON duties TO linli_childcare;
GRANT SELECT ON visits TO linli_gateway;
"""


def upgrade() -> None:
    op.create_table(
        "visits",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("group_id", sa.Uuid(), nullable=False),
        sa.Column("place_id", sa.Uuid(), nullable=False),
        sa.Column("community", sa.Text(), nullable=False),
        sa.Column("account_no", sa.BigInteger(), nullable=False),
        sa.Column("stays", sa.Boolean(), nullable=False),
        sa.Column("note", sa.LargeBinary(), nullable=True),
        sa.Column("starts_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("made_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("visits_pkey")),
        sa.UniqueConstraint("group_id", name="one_visit_per_group"),
    )
    op.create_index("visits_place_id_starts_at_idx", "visits", ["place_id", "starts_at"], unique=False)
    op.create_table(
        "child_records",
        sa.Column("child_no", sa.BigInteger(), nullable=False),
        sa.Column("community", sa.Text(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("version", sa.Integer(), server_default=sa.text("1"), nullable=False),
        sa.Column("changed_by", sa.BigInteger(), nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(["child_no"], ["holders.no"], name=op.f("child_records_child_no_fkey")),
        sa.PrimaryKeyConstraint("child_no", name=op.f("child_records_pkey")),
    )
    op.create_table(
        "collectors",
        sa.Column("id", sa.Uuid(), server_default=sa.text("uuidv7()"), nullable=False),
        sa.Column("child_no", sa.BigInteger(), nullable=False),
        sa.Column("maker_no", sa.BigInteger(), nullable=False),
        sa.Column("community", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("person_id", sa.Uuid(), nullable=True),
        sa.Column("about", sa.LargeBinary(), nullable=False),
        sa.Column("code_index", sa.LargeBinary(), nullable=True),
        sa.Column("starts_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ends_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("used_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("removed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("made_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("(kind = 'once') = (code_index IS NOT NULL)", name="only_once_has_a_code"),
        sa.CheckConstraint("kind <> 'once' OR ends_at IS NOT NULL", name="a_code_ends"),
        sa.CheckConstraint("kind IN ('allowed', 'once', 'never')", name="collector_kind_known"),
        sa.CheckConstraint("used_at IS NULL OR kind = 'once'", name="only_a_code_is_used_up"),
        sa.CheckConstraint("starts_at < ends_at", name="collector_begins_before_the_end"),
        sa.ForeignKeyConstraint(["child_no"], ["holders.no"], name=op.f("collectors_child_no_fkey")),
        sa.ForeignKeyConstraint(["person_id"], ["holders.id"], name=op.f("collectors_person_id_fkey")),
        sa.PrimaryKeyConstraint("id", name=op.f("collectors_pkey")),
        sa.UniqueConstraint("child_no", "code_index", name="one_collector_per_code"),
    )
    op.create_index("collectors_child_no_maker_no_idx", "collectors", ["child_no", "maker_no"], unique=False)
    op.create_table(
        "duties",
        sa.Column("id", sa.Uuid(), server_default=sa.text("uuidv7()"), nullable=False),
        sa.Column("place_id", sa.Uuid(), nullable=False),
        sa.Column("community", sa.Text(), nullable=False),
        sa.Column("person_id", sa.Uuid(), nullable=False),
        sa.Column("began_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("by_no", sa.BigInteger(), nullable=False),
        sa.Column("made_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(["person_id"], ["holders.id"], name=op.f("duties_person_id_fkey")),
        sa.ForeignKeyConstraint(["place_id"], ["places.id"], name=op.f("duties_place_id_fkey")),
        sa.PrimaryKeyConstraint("id", name=op.f("duties_pkey")),
    )
    op.create_index("duties_place_id_began_at_idx", "duties", ["place_id", "began_at"], unique=False)
    op.create_index(
        "one_room_per_carer", "duties", ["person_id"], unique=True, postgresql_where=sa.text("ended_at IS NULL")
    )
    op.create_table(
        "incidents",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("place_id", sa.Uuid(), nullable=False),
        sa.Column("community", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("severity", sa.Text(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("children", postgresql.ARRAY(sa.BigInteger()), nullable=False),
        sa.Column("guardian_notified_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("is_for_authority", sa.Boolean(), nullable=False),
        sa.Column("follows", sa.Uuid(), nullable=True),
        sa.Column("by_no", sa.BigInteger(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("made_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("kind IN ('reported', 'count', 'collection')", name="incident_kind_known"),
        sa.CheckConstraint("severity IN ('minor', 'moderate', 'serious')", name="incident_severity_known"),
        sa.ForeignKeyConstraint(["follows"], ["incidents.id"], name=op.f("incidents_follows_fkey")),
        sa.ForeignKeyConstraint(["place_id"], ["places.id"], name=op.f("incidents_place_id_fkey")),
        sa.PrimaryKeyConstraint("id", name=op.f("incidents_pkey")),
    )
    op.create_index("incidents_place_id_at_idx", "incidents", ["place_id", "at"], unique=False)
    op.create_table(
        "insides",
        sa.Column("claim_id", sa.Uuid(), nullable=False),
        sa.Column("child_no", sa.BigInteger(), nullable=False),
        sa.Column("visit_id", sa.Uuid(), nullable=False),
        sa.Column("place_id", sa.Uuid(), nullable=False),
        sa.Column("community", sa.Text(), nullable=False),
        sa.Column("stays", sa.Boolean(), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ends_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["child_no"], ["holders.no"], name=op.f("insides_child_no_fkey")),
        sa.ForeignKeyConstraint(["place_id"], ["places.id"], name=op.f("insides_place_id_fkey")),
        sa.ForeignKeyConstraint(["visit_id"], ["visits.id"], name=op.f("insides_visit_id_fkey")),
        sa.PrimaryKeyConstraint("claim_id", name=op.f("insides_pkey")),
        sa.UniqueConstraint("child_no", name="no_child_in_two_rooms"),
    )
    op.create_index(op.f("insides_place_id_idx"), "insides", ["place_id"], unique=False)
    op.create_table(
        "late_collections",
        sa.Column("claim_id", sa.Uuid(), nullable=False),
        sa.Column("step", sa.SmallInteger(), nullable=False),
        sa.Column("visit_id", sa.Uuid(), nullable=False),
        sa.Column("place_id", sa.Uuid(), nullable=False),
        sa.Column("community", sa.Text(), nullable=False),
        sa.Column("child_no", sa.BigInteger(), nullable=False),
        sa.Column("made_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(["child_no"], ["holders.no"], name=op.f("late_collections_child_no_fkey")),
        sa.ForeignKeyConstraint(["place_id"], ["places.id"], name=op.f("late_collections_place_id_fkey")),
        sa.ForeignKeyConstraint(["visit_id"], ["visits.id"], name=op.f("late_collections_visit_id_fkey")),
        sa.PrimaryKeyConstraint("claim_id", "step", name=op.f("late_collections_pkey")),
    )
    op.create_table(
        "record_reads",
        sa.Column("id", sa.Uuid(), server_default=sa.text("uuidv7()"), nullable=False),
        sa.Column("child_no", sa.BigInteger(), nullable=False),
        sa.Column("community", sa.Text(), nullable=False),
        sa.Column("place_id", sa.Uuid(), nullable=False),
        sa.Column("visit_id", sa.Uuid(), nullable=False),
        sa.Column("account_no", sa.BigInteger(), nullable=False),
        sa.Column("what", sa.Text(), nullable=False),
        sa.Column("read_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("what IN ('record', 'collectors')", name="read_is_of_something_known"),
        sa.ForeignKeyConstraint(["child_no"], ["holders.no"], name=op.f("record_reads_child_no_fkey")),
        sa.ForeignKeyConstraint(["place_id"], ["places.id"], name=op.f("record_reads_place_id_fkey")),
        sa.ForeignKeyConstraint(["visit_id"], ["visits.id"], name=op.f("record_reads_visit_id_fkey")),
        sa.PrimaryKeyConstraint("id", name=op.f("record_reads_pkey")),
    )
    op.create_index("record_reads_child_no_read_at_idx", "record_reads", ["child_no", "read_at"], unique=False)
    op.create_table(
        "room_states",
        sa.Column("place_id", sa.Uuid(), nullable=False),
        sa.Column("community", sa.Text(), nullable=False),
        sa.Column("children", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("accompanied", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("carers", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("places", sa.Integer(), nullable=False),
        sa.Column("version", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.CheckConstraint("accompanied BETWEEN 0 AND children", name="accompanied_within_children"),
        sa.CheckConstraint("carers >= 0", name="carers_not_negative"),
        sa.CheckConstraint("children = 0 OR carers > 0", name="no_children_without_a_carer"),
        sa.CheckConstraint("children BETWEEN 0 AND places", name="children_within_places"),
        sa.ForeignKeyConstraint(["place_id"], ["places.id"], name=op.f("room_states_place_id_fkey")),
        sa.PrimaryKeyConstraint("place_id", name=op.f("room_states_pkey")),
    )
    op.create_table(
        "handovers",
        sa.Column("id", sa.Uuid(), server_default=sa.text("uuidv7()"), nullable=False),
        sa.Column("visit_id", sa.Uuid(), nullable=False),
        sa.Column("claim_id", sa.Uuid(), nullable=False),
        sa.Column("child_no", sa.BigInteger(), nullable=False),
        sa.Column("place_id", sa.Uuid(), nullable=False),
        sa.Column("community", sa.Text(), nullable=False),
        sa.Column("direction", sa.Text(), nullable=False),
        sa.Column("adult_id", sa.Uuid(), nullable=True),
        sa.Column("collector_id", sa.Uuid(), nullable=True),
        sa.Column("once_id", sa.Uuid(), nullable=True),
        sa.Column("by_no", sa.BigInteger(), nullable=False),
        sa.Column("reasons", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("made_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint(
            "direction = 'in' OR adult_id IS NOT NULL OR collector_id IS NOT NULL", name="collected_by_somebody"
        ),
        sa.CheckConstraint("direction IN ('in', 'out')", name="handover_direction_known"),
        sa.ForeignKeyConstraint(["child_no"], ["holders.no"], name=op.f("handovers_child_no_fkey")),
        sa.ForeignKeyConstraint(["collector_id"], ["collectors.id"], name=op.f("handovers_collector_id_fkey")),
        sa.ForeignKeyConstraint(["once_id"], ["collectors.id"], name=op.f("handovers_once_id_fkey")),
        sa.ForeignKeyConstraint(["place_id"], ["places.id"], name=op.f("handovers_place_id_fkey")),
        sa.ForeignKeyConstraint(["visit_id"], ["visits.id"], name=op.f("handovers_visit_id_fkey")),
        sa.PrimaryKeyConstraint("id", name=op.f("handovers_pkey")),
        sa.UniqueConstraint("once_id", name="one_handover_per_code"),
    )
    op.create_index("handovers_child_no_at_idx", "handovers", ["child_no", "at"], unique=False)
    op.create_index("handovers_place_id_at_idx", "handovers", ["place_id", "at"], unique=False)
    op.create_index(op.f("handovers_visit_id_idx"), "handovers", ["visit_id"], unique=False)
    op.create_table(
        "head_counts",
        sa.Column("id", sa.Uuid(), server_default=sa.text("uuidv7()"), nullable=False),
        sa.Column("place_id", sa.Uuid(), nullable=False),
        sa.Column("community", sa.Text(), nullable=False),
        sa.Column("counted", sa.SmallInteger(), nullable=False),
        sa.Column("inside", sa.SmallInteger(), nullable=False),
        sa.Column("incident_id", sa.Uuid(), nullable=True),
        sa.Column("by_no", sa.BigInteger(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("made_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint(
            "(counted = 0 AND inside = 0) = (incident_id IS NULL)", name="a_room_that_is_not_empty_is_an_incident"
        ),
        sa.CheckConstraint("counted >= 0 AND inside >= 0", name="nobody_counts_below_zero"),
        sa.ForeignKeyConstraint(["incident_id"], ["incidents.id"], name=op.f("head_counts_incident_id_fkey")),
        sa.ForeignKeyConstraint(["place_id"], ["places.id"], name=op.f("head_counts_place_id_fkey")),
        sa.PrimaryKeyConstraint("id", name=op.f("head_counts_pkey")),
    )
    op.create_index("head_counts_place_id_at_idx", "head_counts", ["place_id", "at"], unique=False)
    op.create_table(
        "turned_away",
        sa.Column("id", sa.Uuid(), server_default=sa.text("uuidv7()"), nullable=False),
        sa.Column("visit_id", sa.Uuid(), nullable=False),
        sa.Column("child_no", sa.BigInteger(), nullable=False),
        sa.Column("place_id", sa.Uuid(), nullable=False),
        sa.Column("community", sa.Text(), nullable=False),
        sa.Column("adult_id", sa.Uuid(), nullable=True),
        sa.Column("collector_id", sa.Uuid(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("by_no", sa.BigInteger(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("made_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(["child_no"], ["holders.no"], name=op.f("turned_away_child_no_fkey")),
        sa.ForeignKeyConstraint(["collector_id"], ["collectors.id"], name=op.f("turned_away_collector_id_fkey")),
        sa.ForeignKeyConstraint(["place_id"], ["places.id"], name=op.f("turned_away_place_id_fkey")),
        sa.ForeignKeyConstraint(["visit_id"], ["visits.id"], name=op.f("turned_away_visit_id_fkey")),
        sa.PrimaryKeyConstraint("id", name=op.f("turned_away_pkey")),
    )
    op.create_index(op.f("turned_away_child_no_idx"), "turned_away", ["child_no"], unique=False)
    op.create_index(op.f("turned_away_visit_id_idx"), "turned_away", ["visit_id"], unique=False)
    op.execute(
        f"DO $$ BEGIN CREATE ROLE {ROLE} NOLOGIN; EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$"
    )
    op.execute(f"GRANT {ROLE} TO CURRENT_USER")
    for statement in GRANTS.strip().split(";"):
        if statement.strip():
            op.execute(statement)


def downgrade() -> None:
    for table in (
        "turned_away",
        "head_counts",
        "handovers",
        "room_states",
        "record_reads",
        "late_collections",
        "insides",
        "incidents",
        "duties",
        "collectors",
        "child_records",
        "visits",
    ):
        op.drop_table(table)
    op.execute(f"REVOKE ALL ON ALL TABLES IN SCHEMA public FROM {ROLE}")
