"""Events, courses, registrations, what people said of them, and calendars; the role that may touch them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

ROLE = "linli_events"

GRANTS = f"""
GRANT SELECT ON alembic_version, regions, days, places, resources, policies, schedules, closures, slots, claims, accounts
    TO {ROLE};
GRANT SELECT (no, id, kind, name, community) ON holders TO {ROLE};
GRANT SELECT (account_no, role, prefix, place_id, starts_at, ends_at) ON roles TO {ROLE};
GRANT SELECT (actor_id, person_id, kind, services, starts_at, ends_at) ON relations TO {ROLE};
GRANT SELECT, INSERT, UPDATE ON events, event_sessions, registrations, calendars TO {ROLE};
GRANT SELECT, INSERT ON feedback TO {ROLE};
GRANT DELETE ON event_sessions, calendars TO {ROLE};
GRANT INSERT ON slots, notices TO {ROLE};
GRANT UPDATE (state, is_active, held_until, resource_id, reason, left_at) ON claims TO {ROLE};
GRANT UPDATE (taken, taken_offline, next_lapse, state, capacity, title, opens_at, closes_at, cancel_by, is_waitable)
    ON slots TO {ROLE};
GRANT UPDATE (released) ON closures TO {ROLE};
GRANT SELECT, INSERT, UPDATE (answer) ON uploads TO {ROLE};
GRANT SELECT ON events, registrations TO linli_gateway;
"""


def upgrade() -> None:
    op.create_table(
        "events",
        sa.Column("id", sa.Uuid(), server_default=sa.text("uuidv7()"), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("community", sa.Text(), nullable=False),
        sa.Column("account_no", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.Text(), server_default=sa.text("'draft'"), nullable=False),
        sa.Column("version", sa.Integer(), server_default=sa.text("1"), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("title_en", sa.Text(), nullable=True),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("seats", sa.Integer(), nullable=False),
        sa.Column("min_age", sa.SmallInteger(), nullable=True),
        sa.Column("max_age", sa.SmallInteger(), nullable=True),
        sa.Column("regions", postgresql.ARRAY(sa.Text()), nullable=True),
        sa.Column("level", sa.SmallInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("needs_guardian", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("questions", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("opens_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("closes_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("cancel_by", sa.DateTime(timezone=True), nullable=True),
        sa.Column("is_waitable", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.Column("venue_group_id", sa.Uuid(), nullable=True),
        sa.Column("place_id", sa.Uuid(), nullable=True),
        sa.Column("venue_lost_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("starts_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ends_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("made_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("kind IN ('event', 'series')", name="event_kind_known"),
        sa.CheckConstraint("state IN ('draft', 'published', 'changed', 'cancelled', 'held')", name="event_state_known"),
        sa.CheckConstraint("seats > 0", name="event_has_seats"),
        sa.CheckConstraint("starts_at < ends_at", name="event_starts_before_it_ends"),
        sa.CheckConstraint(
            "state IN ('draft', 'cancelled') OR (venue_group_id IS NOT NULL AND place_id IS NOT NULL)",
            name="published_event_has_a_venue",
        ),
        sa.ForeignKeyConstraint(["community"], ["regions.code"], name=op.f("events_community_fkey")),
        sa.PrimaryKeyConstraint("id", name=op.f("events_pkey")),
    )
    op.create_index(
        "one_event_per_venue_group",
        "events",
        ["venue_group_id"],
        unique=True,
        postgresql_where=sa.text("state NOT IN ('draft', 'cancelled')"),
    )
    op.create_index("events_community_starts_at_idx", "events", ["community", "starts_at"], unique=False)
    op.create_index("events_state_ends_at_idx", "events", ["state", "ends_at"], unique=False)
    op.create_table(
        "event_sessions",
        sa.Column("id", sa.Uuid(), server_default=sa.text("uuidv7()"), nullable=False),
        sa.Column("event_id", sa.Uuid(), nullable=False),
        sa.Column("starts_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ends_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("title", sa.Text(), nullable=True),
        sa.Column("is_cancelled", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.CheckConstraint("starts_at < ends_at", name="session_starts_before_it_ends"),
        sa.ForeignKeyConstraint(["event_id"], ["events.id"], name=op.f("event_sessions_event_id_fkey")),
        sa.PrimaryKeyConstraint("id", name=op.f("event_sessions_pkey")),
    )
    op.create_index(
        "one_session_per_moment",
        "event_sessions",
        ["event_id", "starts_at"],
        unique=True,
        postgresql_where=sa.text("NOT is_cancelled"),
    )
    op.create_index("event_sessions_event_id_idx", "event_sessions", ["event_id"], unique=False)
    op.create_table(
        "registrations",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("group_id", sa.Uuid(), nullable=False),
        sa.Column("event_id", sa.Uuid(), nullable=False),
        sa.Column("place_id", sa.Uuid(), nullable=False),
        sa.Column("community", sa.Text(), nullable=False),
        sa.Column("account_no", sa.BigInteger(), nullable=False),
        sa.Column("answers", sa.LargeBinary(), nullable=True),
        sa.Column("starts_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("made_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("registrations_pkey")),
        sa.UniqueConstraint("group_id", name="one_registration_per_group"),
    )
    op.create_index("registrations_event_id_idx", "registrations", ["event_id"], unique=False)
    op.create_index("registrations_place_id_starts_at_idx", "registrations", ["place_id", "starts_at"], unique=False)
    op.create_table(
        "feedback",
        sa.Column("id", sa.Uuid(), server_default=sa.text("uuidv7()"), nullable=False),
        sa.Column("event_id", sa.Uuid(), nullable=False),
        sa.Column("holder_no", sa.BigInteger(), nullable=False),
        sa.Column("stars", sa.SmallInteger(), nullable=False),
        sa.Column("text", sa.LargeBinary(), nullable=True),
        sa.Column("made_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("stars BETWEEN 1 AND 5", name="feedback_has_one_to_five_stars"),
        sa.ForeignKeyConstraint(["event_id"], ["events.id"], name=op.f("feedback_event_id_fkey")),
        sa.PrimaryKeyConstraint("id", name=op.f("feedback_pkey")),
        sa.UniqueConstraint("event_id", "holder_no", name="one_feedback_per_person"),
    )
    op.create_table(
        "calendars",
        sa.Column("id", sa.Uuid(), server_default=sa.text("uuidv7()"), nullable=False),
        sa.Column("community", sa.Text(), nullable=False),
        sa.Column("account_no", sa.BigInteger(), nullable=False),
        sa.Column("secret_hash", sa.LargeBinary(), nullable=False),
        sa.Column("made_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("used_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("calendars_pkey")),
        sa.UniqueConstraint("account_no", name="one_calendar_per_account"),
        sa.UniqueConstraint("secret_hash", name="one_calendar_per_secret"),
    )
    # Roles belong to the cluster, not to the database: they may be there already.
    op.execute(
        f"DO $$ BEGIN CREATE ROLE {ROLE} NOLOGIN; EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$"
    )
    op.execute(f"GRANT {ROLE} TO CURRENT_USER")
    for statement in GRANTS.strip().split(";"):
        if statement.strip():
            op.execute(statement)


def downgrade() -> None:
    for table in ("calendars", "feedback", "registrations", "event_sessions", "events"):
        op.drop_table(table)
    op.execute(f"REVOKE ALL ON ALL TABLES IN SCHEMA public FROM {ROLE}")
