"""The kitchens' own rows: dishes and menus, orders with what they cost and why, rounds, doors, and who did not answer one."""

from __future__ import annotations

import uuid
from datetime import date
from typing import Any

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Identity, Index, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from shared.models.base import Base, Big, Bytes, Id, Made, Moment, Small


class Dish(Base):
    """Something a kitchen cooks: what is in it, how it can be eaten, and its price for one portion."""

    __tablename__ = "dishes"

    id: Mapped[Id]
    place_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("places.id"))
    community: Mapped[str]
    name: Mapped[str]
    name_en: Mapped[str | None]
    allergens: Mapped[list[str]]
    texture: Mapped[str]
    diets: Mapped[list[str]]
    price_fen: Mapped[int]
    state: Mapped[str] = mapped_column(server_default=text("'offered'"))
    version: Mapped[int] = mapped_column(server_default=text("1"))
    made_at: Mapped[Made]

    __table_args__ = (
        CheckConstraint("price_fen BETWEEN 0 AND 100000", name="dish_price_bounded"),
        CheckConstraint("texture IN ('normal', 'soft', 'minced', 'liquid')", name="dish_texture_known"),
        CheckConstraint("state IN ('offered', 'retired')", name="dish_state_known"),
        Index("one_offered_dish_per_name", "place_id", "name", unique=True, postgresql_where=text("state = 'offered'")),
    )


class Menu(Base):
    """What a kitchen cooks on a day."""

    __tablename__ = "menus"

    place_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("places.id"), primary_key=True)
    day: Mapped[date] = mapped_column(primary_key=True)
    community: Mapped[str]
    is_published: Mapped[bool] = mapped_column(server_default=text("false"))
    version: Mapped[int] = mapped_column(server_default=text("1"))
    changed_at: Mapped[Made]


class MenuDish(Base):
    """One dish of a day's menu; once published, the slot that is its stock."""

    __tablename__ = "menu_dishes"

    place_id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    day: Mapped[date] = mapped_column(primary_key=True)
    dish_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("dishes.id"), primary_key=True)
    community: Mapped[str]
    n: Mapped[Small]
    portions: Mapped[int]
    is_offered: Mapped[bool] = mapped_column(server_default=text("true"))
    slot_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("slots.id"))

    __table_args__ = (
        CheckConstraint("portions BETWEEN 1 AND 100000", name="menu_portions_bounded"),
        UniqueConstraint("slot_id", name="one_stock_per_dish_and_day"),
    )


class MealOrder(Base):
    """One elder's meal out of one window: a group of claims, its price, its share of public money and where it goes.

    Where it is brought, what the elder may not eat and what was said are sealed; `region` alone is plain.
    """

    __tablename__ = "meal_orders"

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    no: Mapped[int] = mapped_column(BigInteger, Identity(always=True))
    group_id: Mapped[uuid.UUID]
    place_id: Mapped[uuid.UUID]
    community: Mapped[str]
    account_no: Mapped[Big]
    slot_id: Mapped[uuid.UUID]
    holder_no: Mapped[Big]
    person_id: Mapped[uuid.UUID]
    day: Mapped[date]
    starts_at: Mapped[Moment]
    portions: Mapped[int]
    terms_version: Mapped[int]
    band: Mapped[Small | None]
    price_fen: Mapped[int]
    subsidy_fen: Mapped[int]
    fee_fen: Mapped[int]
    pay_fen: Mapped[int]
    region: Mapped[str | None]
    sealed: Mapped[Bytes | None]
    outcome: Mapped[str | None]
    outcome_at: Mapped[Moment | None]
    made_at: Mapped[Made]

    __table_args__ = (
        UniqueConstraint("group_id", name="one_order_per_group"),
        UniqueConstraint("no", name="one_number_per_order"),
        CheckConstraint("subsidy_fen BETWEEN 0 AND price_fen", name="order_subsidy_within_price"),
        CheckConstraint("pay_fen = price_fen - subsidy_fen + fee_fen AND fee_fen >= 0", name="order_money_adds_up"),
        CheckConstraint("portions > 0", name="order_has_portions"),
        CheckConstraint(
            "outcome IN ('delivered', 'to_neighbour', 'refused', 'unanswered')", name="order_outcome_known"
        ),
        Index("meal_orders_place_id_day_idx", "place_id", "day"),
        Index("meal_orders_slot_id_idx", "slot_id"),
        Index("meal_orders_person_id_day_idx", "person_id", "day"),
    )


class MealLine(Base):
    """One dish of an order: portions, price, public money and why."""

    __tablename__ = "meal_lines"

    order_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("meal_orders.id"), primary_key=True)
    n: Mapped[Small] = mapped_column(primary_key=True)
    community: Mapped[str]
    dish_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("dishes.id"))
    portions: Mapped[int]
    price_fen: Mapped[int]
    subsidy_fen: Mapped[int]
    pay_fen: Mapped[int]
    why: Mapped[dict[str, Any]]

    __table_args__ = (
        UniqueConstraint("order_id", "dish_id", name="one_line_per_dish"),
        CheckConstraint("portions BETWEEN 1 AND 10", name="line_portions_bounded"),
        CheckConstraint("subsidy_fen BETWEEN 0 AND price_fen", name="line_subsidy_within_price"),
        CheckConstraint("pay_fen = price_fen - subsidy_fen", name="line_money_adds_up"),
    )


class ElderProfile(Base):
    """What a kitchen and a courier must know of an elder: diet, allergies, address, contacts; one sealed text."""

    __tablename__ = "elder_profiles"

    person_id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    community: Mapped[str]
    version: Mapped[int] = mapped_column(server_default=text("1"))
    sealed: Mapped[Bytes]
    changed_by: Mapped[Big]
    changed_at: Mapped[Made]


class StandingOrder(Base):
    """The same meal on the same weekdays, ordered by the worker in the name of whoever asked for it."""

    __tablename__ = "standing_orders"

    id: Mapped[Id]
    place_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("places.id"))
    community: Mapped[str]
    account_no: Mapped[Big]
    person_id: Mapped[uuid.UUID]
    holder_no: Mapped[Big]
    weekdays: Mapped[list[int]]
    title: Mapped[str]
    lines: Mapped[dict[str, Any]]
    starts_on: Mapped[date]
    until: Mapped[date | None]
    state: Mapped[str] = mapped_column(server_default=text("'active'"))
    version: Mapped[int] = mapped_column(server_default=text("1"))
    made_at: Mapped[Made]

    __table_args__ = (
        CheckConstraint("state IN ('active', 'ended')", name="standing_order_state_known"),
        CheckConstraint("until >= starts_on", name="standing_order_starts_before_it_ends"),
        Index("standing_orders_person_id_idx", "person_id"),
        Index(
            "one_active_standing_order_per_window",
            "person_id",
            "place_id",
            "title",
            unique=True,
            postgresql_where=text("state = 'active'"),
        ),
    )


class StandingRun(Base):
    """What became of a standing order on a day: one row, however many workers there are."""

    __tablename__ = "standing_runs"

    standing_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("standing_orders.id"), primary_key=True)
    day: Mapped[date] = mapped_column(primary_key=True)
    community: Mapped[str]
    state: Mapped[str]
    code: Mapped[str | None]
    order_id: Mapped[uuid.UUID | None]
    body: Mapped[dict[str, Any]]
    changed_at: Mapped[Made]

    __table_args__ = (
        CheckConstraint("state IN ('asking', 'ordered', 'refused')", name="standing_run_state_known"),
        CheckConstraint("(state = 'ordered') = (order_id IS NOT NULL)", name="ordered_runs_have_their_order"),
        CheckConstraint("(state = 'refused') = (code IS NOT NULL)", name="refused_runs_say_why"),
        Index("standing_runs_asking_idx", "changed_at", postgresql_where=text("state = 'asking'")),
    )


class Absence(Base):
    """An elder said they will be away: nothing is ordered for them, and the closed door to a meal ordered before alarms nobody."""

    __tablename__ = "absences"

    id: Mapped[Id]
    person_id: Mapped[uuid.UUID]
    community: Mapped[str]
    account_no: Mapped[Big]
    first: Mapped[date]
    last: Mapped[date]
    state: Mapped[str] = mapped_column(server_default=text("'active'"))
    made_at: Mapped[Made]

    __table_args__ = (
        CheckConstraint("first <= last", name="absence_starts_before_it_ends"),
        CheckConstraint("state IN ('active', 'withdrawn')", name="absence_state_known"),
        Index("absences_person_id_idx", "person_id"),
        Index(
            "one_active_absence_per_days",
            "person_id",
            "first",
            "last",
            unique=True,
            postgresql_where=text("state = 'active'"),
        ),
    )


class Round(Base):
    """A way from door to door for one courier, or for whoever takes it."""

    __tablename__ = "rounds"

    id: Mapped[Id]
    place_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("places.id"))
    community: Mapped[str]
    slot_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("slots.id"))
    day: Mapped[date]
    n: Mapped[Small]
    courier_no: Mapped[Big | None]
    made_by: Mapped[Big]
    made_at: Mapped[Made]

    __table_args__ = (
        Index("rounds_slot_id_idx", "slot_id"),
        Index("rounds_day_idx", "day"),
    )


class Stop(Base):
    """One door of a round."""

    __tablename__ = "stops"

    order_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("meal_orders.id"), primary_key=True)
    round_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("rounds.id"))
    n: Mapped[Small]
    community: Mapped[str]

    __table_args__ = (UniqueConstraint("round_id", "n", name="one_stop_at_a_time"),)


class Outcome(Base):
    """What happened at a door. Only ever added to."""

    __tablename__ = "meal_outcomes"

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    order_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("meal_orders.id"))
    community: Mapped[str]
    kind: Mapped[str]
    at: Mapped[Moment]
    account_no: Mapped[Big]
    sealed: Mapped[Bytes | None]
    made_at: Mapped[Made]

    __table_args__ = (
        CheckConstraint("kind IN ('delivered', 'to_neighbour', 'refused', 'unanswered')", name="outcome_kind_known"),
        UniqueConstraint("order_id", "kind", "at", name="one_outcome_of_a_kind_per_moment"),
        Index("one_end_per_order", "order_id", unique=True, postgresql_where=text("kind <> 'unanswered'")),
    )


class WelfareCheck(Base):
    """Somebody did not open: what is done about it, step by step, until it is closed with a reason."""

    __tablename__ = "welfare_checks"

    id: Mapped[Id]
    person_id: Mapped[uuid.UUID]
    holder_no: Mapped[Big]
    place_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("places.id"))
    community: Mapped[str]
    order_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("meal_orders.id"))
    state: Mapped[str] = mapped_column(server_default=text("'open'"))
    opened_at: Mapped[Moment]
    ladder: Mapped[dict[str, Any]]
    rung: Mapped[Small] = mapped_column(server_default=text("0"))
    due_at: Mapped[Moment | None]
    closed_at: Mapped[Moment | None]
    outcome: Mapped[str | None]
    made_at: Mapped[Made]

    __table_args__ = (
        CheckConstraint("state IN ('open', 'closed')", name="welfare_check_state_known"),
        CheckConstraint(
            "(state = 'closed') = (closed_at IS NOT NULL AND outcome IS NOT NULL)", name="closed_checks_say_why"
        ),
        CheckConstraint("state = 'open' OR due_at IS NULL", name="only_open_checks_are_due"),
        Index("one_open_welfare_check_per_elder", "person_id", unique=True, postgresql_where=text("state = 'open'")),
        Index("welfare_checks_due_at_idx", "due_at", postgresql_where=text("due_at IS NOT NULL")),
        Index("welfare_checks_made_at_idx", "made_at"),
        Index("welfare_checks_person_id_closed_at_idx", "person_id", "closed_at"),
    )


class WelfareStep(Base):
    """What was done about a door that stayed shut. Only ever added to."""

    __tablename__ = "welfare_steps"

    id: Mapped[Id]
    check_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("welfare_checks.id"))
    community: Mapped[str]
    kind: Mapped[str]
    rung: Mapped[Small | None]
    outcome: Mapped[str | None]
    at: Mapped[Moment]
    account_no: Mapped[Big | None]
    sealed: Mapped[Bytes | None]
    made_at: Mapped[Made]

    __table_args__ = (
        CheckConstraint("(kind = 'closed') = (outcome IS NOT NULL)", name="closing_steps_say_why"),
        Index("welfare_steps_check_id_idx", "check_id"),
        Index(
            "one_escalation_per_rung",
            "check_id",
            "rung",
            unique=True,
            postgresql_where=text("kind = 'escalated'"),
        ),
    )
