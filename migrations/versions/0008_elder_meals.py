"""Meals for elders: dishes, menus, orders, rounds, doors, and what is done when nobody answers one."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

ROLE = "linli_elder_meals"

GRANTS = """
GRANT SELECT ON alembic_version, regions, days, places, resources, policies, schedules, closures, terms, slots, claims,
    accounts, consents TO linli_elder_meals;
GRANT INSERT ON terms TO linli_elder_meals;
GRANT SELECT, INSERT, UPDATE (answer) ON uploads TO linli_elder_meals;
GRANT SELECT (no, id, kind, name, community) ON holders TO linli_elder_meals;
GRANT SELECT (account_no, role, prefix, place_id, starts_at, ends_at) ON roles TO linli_elder_meals;
GRANT INSERT, UPDATE ON places, resources, schedules, closures TO linli_elder_meals;
GRANT INSERT ON policies, slots, notices TO linli_elder_meals;
GRANT UPDATE (state, is_active, held_until, resource_id, reason, left_at) ON claims TO linli_elder_meals;
GRANT UPDATE (taken, taken_offline, next_lapse, state, capacity, resource_no, is_exclusive_resource, opens_at, closes_at,
    cancel_by, offline_share, offline_until, min_age, max_age, regions, level, needs_guardian, is_waitable, is_exclusive,
    policy_id)
    ON slots TO linli_elder_meals;
GRANT DELETE ON places, resources, closures TO linli_elder_meals;
GRANT SELECT, INSERT, UPDATE ON dishes, menus, menu_dishes, meal_orders, elder_profiles, standing_orders, standing_runs,
    absences, rounds, stops, welfare_checks TO linli_elder_meals;
GRANT SELECT, INSERT ON meal_lines, meal_outcomes, welfare_steps TO linli_elder_meals;
GRANT DELETE ON rounds, stops TO linli_elder_meals;
"""

TABLES = (
    "welfare_steps",
    "welfare_checks",
    "meal_outcomes",
    "stops",
    "rounds",
    "absences",
    "standing_runs",
    "standing_orders",
    "elder_profiles",
    "meal_lines",
    "meal_orders",
    "menu_dishes",
    "menus",
    "dishes",
)


def upgrade() -> None:
    op.create_table(
        "absences",
        sa.Column("id", sa.Uuid(), server_default=sa.text("uuidv7()"), nullable=False),
        sa.Column("person_id", sa.Uuid(), nullable=False),
        sa.Column("community", sa.Text(), nullable=False),
        sa.Column("account_no", sa.BigInteger(), nullable=False),
        sa.Column("first", sa.Date(), nullable=False),
        sa.Column("last", sa.Date(), nullable=False),
        sa.Column("state", sa.Text(), server_default=sa.text("'active'"), nullable=False),
        sa.Column("made_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("state IN ('active', 'withdrawn')", name="absence_state_known"),
        sa.CheckConstraint("first <= last", name="absence_starts_before_it_ends"),
        sa.PrimaryKeyConstraint("id", name=op.f("absences_pkey")),
    )
    op.create_index("absences_person_id_idx", "absences", ["person_id"], unique=False)
    op.create_table(
        "elder_profiles",
        sa.Column("person_id", sa.Uuid(), nullable=False),
        sa.Column("community", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), server_default=sa.text("1"), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.Column("changed_by", sa.BigInteger(), nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("person_id", name=op.f("elder_profiles_pkey")),
    )
    op.create_table(
        "meal_orders",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("no", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("group_id", sa.Uuid(), nullable=False),
        sa.Column("place_id", sa.Uuid(), nullable=False),
        sa.Column("community", sa.Text(), nullable=False),
        sa.Column("account_no", sa.BigInteger(), nullable=False),
        sa.Column("slot_id", sa.Uuid(), nullable=False),
        sa.Column("holder_no", sa.BigInteger(), nullable=False),
        sa.Column("person_id", sa.Uuid(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("starts_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("portions", sa.Integer(), nullable=False),
        sa.Column("terms_version", sa.Integer(), nullable=False),
        sa.Column("band", sa.SmallInteger(), nullable=True),
        sa.Column("price_fen", sa.Integer(), nullable=False),
        sa.Column("subsidy_fen", sa.Integer(), nullable=False),
        sa.Column("fee_fen", sa.Integer(), nullable=False),
        sa.Column("pay_fen", sa.Integer(), nullable=False),
        sa.Column("region", sa.Text(), nullable=True),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.Column("outcome", sa.Text(), nullable=True),
        sa.Column("outcome_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("made_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint(
            "outcome IN ('delivered', 'to_neighbour', 'refused', 'unanswered')", name="order_outcome_known"
        ),
        sa.CheckConstraint("pay_fen = price_fen - subsidy_fen + fee_fen AND fee_fen >= 0", name="order_money_adds_up"),
        sa.CheckConstraint("portions > 0", name="order_has_portions"),
        sa.CheckConstraint("subsidy_fen BETWEEN 0 AND price_fen", name="order_subsidy_within_price"),
        sa.PrimaryKeyConstraint("id", name=op.f("meal_orders_pkey")),
        sa.UniqueConstraint("group_id", name="one_order_per_group"),
        sa.UniqueConstraint("no", name="one_number_per_order"),
    )
    op.create_index("meal_orders_person_id_day_idx", "meal_orders", ["person_id", "day"], unique=False)
    op.create_index("meal_orders_place_id_day_idx", "meal_orders", ["place_id", "day"], unique=False)
    op.create_index("meal_orders_slot_id_idx", "meal_orders", ["slot_id"], unique=False)
    op.create_table(
        "meal_outcomes",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("order_id", sa.Uuid(), nullable=False),
        sa.Column("community", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("account_no", sa.BigInteger(), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=True),
        sa.Column("made_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("kind IN ('delivered', 'to_neighbour', 'refused', 'unanswered')", name="outcome_kind_known"),
        sa.ForeignKeyConstraint(["order_id"], ["meal_orders.id"], name=op.f("meal_outcomes_order_id_fkey")),
        sa.PrimaryKeyConstraint("id", name=op.f("meal_outcomes_pkey")),
        sa.UniqueConstraint("order_id", "kind", name="one_outcome_of_a_kind_per_order"),
    )
    op.create_index(
        "one_end_per_order",
        "meal_outcomes",
        ["order_id"],
        unique=True,
        postgresql_where=sa.text("kind <> 'unanswered'"),
    )
    op.create_table(
        "dishes",
        sa.Column("id", sa.Uuid(), server_default=sa.text("uuidv7()"), nullable=False),
        sa.Column("place_id", sa.Uuid(), nullable=False),
        sa.Column("community", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("name_en", sa.Text(), nullable=True),
        sa.Column("allergens", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("texture", sa.Text(), nullable=False),
        sa.Column("diets", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("price_fen", sa.Integer(), nullable=False),
        sa.Column("state", sa.Text(), server_default=sa.text("'offered'"), nullable=False),
        sa.Column("version", sa.Integer(), server_default=sa.text("1"), nullable=False),
        sa.Column("made_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("state IN ('offered', 'retired')", name="dish_state_known"),
        sa.CheckConstraint("texture IN ('normal', 'soft', 'minced', 'liquid')", name="dish_texture_known"),
        sa.CheckConstraint("price_fen BETWEEN 0 AND 100000", name="dish_price_bounded"),
        sa.ForeignKeyConstraint(["place_id"], ["places.id"], name=op.f("dishes_place_id_fkey")),
        sa.PrimaryKeyConstraint("id", name=op.f("dishes_pkey")),
    )
    op.create_index(
        "one_offered_dish_per_name",
        "dishes",
        ["place_id", "name"],
        unique=True,
        postgresql_where=sa.text("state = 'offered'"),
    )
    op.create_table(
        "menus",
        sa.Column("place_id", sa.Uuid(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("community", sa.Text(), nullable=False),
        sa.Column("is_published", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("version", sa.Integer(), server_default=sa.text("1"), nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(["place_id"], ["places.id"], name=op.f("menus_place_id_fkey")),
        sa.PrimaryKeyConstraint("place_id", "day", name=op.f("menus_pkey")),
    )
    op.create_table(
        "standing_orders",
        sa.Column("id", sa.Uuid(), server_default=sa.text("uuidv7()"), nullable=False),
        sa.Column("place_id", sa.Uuid(), nullable=False),
        sa.Column("community", sa.Text(), nullable=False),
        sa.Column("account_no", sa.BigInteger(), nullable=False),
        sa.Column("person_id", sa.Uuid(), nullable=False),
        sa.Column("holder_no", sa.BigInteger(), nullable=False),
        sa.Column("weekdays", postgresql.ARRAY(sa.BigInteger()), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("lines", postgresql.JSONB(), nullable=False),
        sa.Column("starts_on", sa.Date(), nullable=False),
        sa.Column("until", sa.Date(), nullable=True),
        sa.Column("state", sa.Text(), server_default=sa.text("'active'"), nullable=False),
        sa.Column("version", sa.Integer(), server_default=sa.text("1"), nullable=False),
        sa.Column("made_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("state IN ('active', 'ended')", name="standing_order_state_known"),
        sa.CheckConstraint("until >= starts_on", name="standing_order_starts_before_it_ends"),
        sa.ForeignKeyConstraint(["place_id"], ["places.id"], name=op.f("standing_orders_place_id_fkey")),
        sa.PrimaryKeyConstraint("id", name=op.f("standing_orders_pkey")),
    )
    op.create_index(
        "one_active_standing_order_per_window",
        "standing_orders",
        ["person_id", "place_id", "title"],
        unique=True,
        postgresql_where=sa.text("state = 'active'"),
    )
    op.create_index("standing_orders_person_id_idx", "standing_orders", ["person_id"], unique=False)
    op.create_table(
        "welfare_checks",
        sa.Column("id", sa.Uuid(), server_default=sa.text("uuidv7()"), nullable=False),
        sa.Column("person_id", sa.Uuid(), nullable=False),
        sa.Column("holder_no", sa.BigInteger(), nullable=False),
        sa.Column("place_id", sa.Uuid(), nullable=False),
        sa.Column("community", sa.Text(), nullable=False),
        sa.Column("order_id", sa.Uuid(), nullable=False),
        sa.Column("state", sa.Text(), server_default=sa.text("'open'"), nullable=False),
        sa.Column("opened_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ladder", postgresql.JSONB(), nullable=False),
        sa.Column("rung", sa.SmallInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("outcome", sa.Text(), nullable=True),
        sa.Column("made_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint(
            "(state = 'closed') = (closed_at IS NOT NULL AND outcome IS NOT NULL)", name="closed_checks_say_why"
        ),
        sa.CheckConstraint("state = 'open' OR due_at IS NULL", name="only_open_checks_are_due"),
        sa.CheckConstraint("state IN ('open', 'closed')", name="welfare_check_state_known"),
        sa.ForeignKeyConstraint(["order_id"], ["meal_orders.id"], name=op.f("welfare_checks_order_id_fkey")),
        sa.ForeignKeyConstraint(["place_id"], ["places.id"], name=op.f("welfare_checks_place_id_fkey")),
        sa.PrimaryKeyConstraint("id", name=op.f("welfare_checks_pkey")),
    )
    op.create_index(
        "one_open_welfare_check_per_elder",
        "welfare_checks",
        ["person_id"],
        unique=True,
        postgresql_where=sa.text("state = 'open'"),
    )
    op.create_index(
        "welfare_checks_due_at_idx",
        "welfare_checks",
        ["due_at"],
        unique=False,
        postgresql_where=sa.text("due_at IS NOT NULL"),
    )
    op.create_index("welfare_checks_made_at_idx", "welfare_checks", ["made_at"], unique=False)
    op.create_table(
        "meal_lines",
        sa.Column("order_id", sa.Uuid(), nullable=False),
        sa.Column("n", sa.SmallInteger(), nullable=False),
        sa.Column("community", sa.Text(), nullable=False),
        sa.Column("dish_id", sa.Uuid(), nullable=False),
        sa.Column("portions", sa.Integer(), nullable=False),
        sa.Column("price_fen", sa.Integer(), nullable=False),
        sa.Column("subsidy_fen", sa.Integer(), nullable=False),
        sa.Column("pay_fen", sa.Integer(), nullable=False),
        sa.Column("why", postgresql.JSONB(), nullable=False),
        sa.CheckConstraint("pay_fen = price_fen - subsidy_fen", name="line_money_adds_up"),
        sa.CheckConstraint("portions BETWEEN 1 AND 10", name="line_portions_bounded"),
        sa.CheckConstraint("subsidy_fen BETWEEN 0 AND price_fen", name="line_subsidy_within_price"),
        sa.ForeignKeyConstraint(["dish_id"], ["dishes.id"], name=op.f("meal_lines_dish_id_fkey")),
        sa.ForeignKeyConstraint(["order_id"], ["meal_orders.id"], name=op.f("meal_lines_order_id_fkey")),
        sa.PrimaryKeyConstraint("order_id", "n", name=op.f("meal_lines_pkey")),
        sa.UniqueConstraint("order_id", "dish_id", name="one_line_per_dish"),
    )
    op.create_table(
        "standing_runs",
        sa.Column("standing_id", sa.Uuid(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("community", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("code", sa.Text(), nullable=True),
        sa.Column("order_id", sa.Uuid(), nullable=True),
        sa.Column("body", postgresql.JSONB(), nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("(state = 'ordered') = (order_id IS NOT NULL)", name="ordered_runs_have_their_order"),
        sa.CheckConstraint("(state = 'refused') = (code IS NOT NULL)", name="refused_runs_say_why"),
        sa.CheckConstraint("state IN ('asking', 'ordered', 'refused')", name="standing_run_state_known"),
        sa.ForeignKeyConstraint(["standing_id"], ["standing_orders.id"], name=op.f("standing_runs_standing_id_fkey")),
        sa.PrimaryKeyConstraint("standing_id", "day", name=op.f("standing_runs_pkey")),
    )
    op.create_index(
        "standing_runs_asking_idx",
        "standing_runs",
        ["changed_at"],
        unique=False,
        postgresql_where=sa.text("state = 'asking'"),
    )
    op.create_table(
        "welfare_steps",
        sa.Column("id", sa.Uuid(), server_default=sa.text("uuidv7()"), nullable=False),
        sa.Column("check_id", sa.Uuid(), nullable=False),
        sa.Column("community", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("rung", sa.SmallInteger(), nullable=True),
        sa.Column("outcome", sa.Text(), nullable=True),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("account_no", sa.BigInteger(), nullable=True),
        sa.Column("sealed", sa.LargeBinary(), nullable=True),
        sa.Column("made_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("(kind = 'closed') = (outcome IS NOT NULL)", name="closing_steps_say_why"),
        sa.ForeignKeyConstraint(["check_id"], ["welfare_checks.id"], name=op.f("welfare_steps_check_id_fkey")),
        sa.PrimaryKeyConstraint("id", name=op.f("welfare_steps_pkey")),
    )
    op.create_index(
        "one_escalation_per_rung",
        "welfare_steps",
        ["check_id", "rung"],
        unique=True,
        postgresql_where=sa.text("kind = 'escalated'"),
    )
    op.create_index("welfare_steps_check_id_idx", "welfare_steps", ["check_id"], unique=False)
    op.create_table(
        "menu_dishes",
        sa.Column("place_id", sa.Uuid(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("dish_id", sa.Uuid(), nullable=False),
        sa.Column("community", sa.Text(), nullable=False),
        sa.Column("n", sa.SmallInteger(), nullable=False),
        sa.Column("portions", sa.Integer(), nullable=False),
        sa.Column("is_offered", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.Column("slot_id", sa.Uuid(), nullable=True),
        sa.CheckConstraint("portions BETWEEN 1 AND 100000", name="menu_portions_bounded"),
        sa.ForeignKeyConstraint(["dish_id"], ["dishes.id"], name=op.f("menu_dishes_dish_id_fkey")),
        sa.ForeignKeyConstraint(["slot_id"], ["slots.id"], name=op.f("menu_dishes_slot_id_fkey")),
        sa.PrimaryKeyConstraint("place_id", "day", "dish_id", name=op.f("menu_dishes_pkey")),
        sa.UniqueConstraint("slot_id", name="one_stock_per_dish_and_day"),
    )
    op.create_table(
        "rounds",
        sa.Column("id", sa.Uuid(), server_default=sa.text("uuidv7()"), nullable=False),
        sa.Column("place_id", sa.Uuid(), nullable=False),
        sa.Column("community", sa.Text(), nullable=False),
        sa.Column("slot_id", sa.Uuid(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("n", sa.SmallInteger(), nullable=False),
        sa.Column("courier_no", sa.BigInteger(), nullable=True),
        sa.Column("made_by", sa.BigInteger(), nullable=False),
        sa.Column("made_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(["place_id"], ["places.id"], name=op.f("rounds_place_id_fkey")),
        sa.ForeignKeyConstraint(["slot_id"], ["slots.id"], name=op.f("rounds_slot_id_fkey")),
        sa.PrimaryKeyConstraint("id", name=op.f("rounds_pkey")),
    )
    op.create_index("rounds_day_idx", "rounds", ["day"], unique=False)
    op.create_index("rounds_slot_id_idx", "rounds", ["slot_id"], unique=False)
    op.create_table(
        "stops",
        sa.Column("order_id", sa.Uuid(), nullable=False),
        sa.Column("round_id", sa.Uuid(), nullable=False),
        sa.Column("n", sa.SmallInteger(), nullable=False),
        sa.Column("community", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["order_id"], ["meal_orders.id"], name=op.f("stops_order_id_fkey")),
        sa.ForeignKeyConstraint(["round_id"], ["rounds.id"], name=op.f("stops_round_id_fkey")),
        sa.PrimaryKeyConstraint("order_id", name=op.f("stops_pkey")),
        sa.UniqueConstraint("round_id", "n", name="one_stop_at_a_time"),
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
    for table in TABLES:
        op.drop_table(table)
    op.execute(f"REVOKE ALL ON ALL TABLES IN SCHEMA public FROM {ROLE}")
