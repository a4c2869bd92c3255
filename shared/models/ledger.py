"""The ledger: slots and claims, who may hold them, and what was asked.

Rows are locked in one order by everybody: slots, holders, households, claims by id, a service's own rows; each sorted.
"""

from __future__ import annotations

import uuid
from datetime import date
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, Index, UniqueConstraint, func, literal_column, text
from sqlalchemy.dialects.postgresql import ExcludeConstraint
from sqlalchemy.orm import Mapped, mapped_column

from shared.models.base import Base, Big, Bytes, Id, Made, Moment, No, Small


def _one_point(column: str) -> Any:
    """A range that overlaps only itself: equality for an exclusion constraint, without an extension."""
    return func.int8range(literal_column(column), literal_column(column), literal_column("'[]'"))


_DURING = func.tstzrange(literal_column("starts_at"), literal_column("ends_at"))


class Household(Base):
    """People who live together and share a household's limits."""

    __tablename__ = "households"

    no: Mapped[No]
    community: Mapped[str]


class Holder(Base):
    """Who can hold a place: a person, or an organisation such as a committee that books a hall.

    Who is closed, or has died, held some and takes no more.

    The row is narrow and locked often. `born`, `level` and `community` are what audiences ask about.
    """

    __tablename__ = "holders"

    no: Mapped[No]
    id: Mapped[uuid.UUID] = mapped_column(unique=True)
    kind: Mapped[str]
    name: Mapped[str]
    community: Mapped[str]
    born: Mapped[date | None]
    level: Mapped[Small] = mapped_column(server_default=text("0"))
    household_no: Mapped[Big | None] = mapped_column(ForeignKey("households.no"))

    __table_args__ = (
        CheckConstraint("kind IN ('person', 'organisation', 'closed', 'dead')", name="holder_kind_known"),
        Index("one_organisation_per_region", "community", unique=True, postgresql_where=text("kind = 'organisation'")),
        Index(None, "household_no", postgresql_where=text("household_no IS NOT NULL")),
    )


class Policy(Base):
    """One version of a place's rules; never changed, only followed by the next."""

    __tablename__ = "policies"

    id: Mapped[Id]
    place_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("places.id", ondelete="CASCADE"))
    version: Mapped[int]
    body: Mapped[dict[str, Any]]
    made_by: Mapped[uuid.UUID | None]
    made_at: Mapped[Made]

    __table_args__ = (UniqueConstraint("place_id", "version", name="one_policy_per_version"),)


class Slot(Base):
    """Something a resident can get too little of: an hour on a court, a lunch window, a seat.

    `taken` counts the units of active claims; `taken_offline` those made at the desk, by phone or on paper, which may use
    the `offline_share` that the app may not touch before `offline_until`. `waiting` counts asks on the waiting list.
    `next_lapse` is not later than the first moment at which a hold on it can lapse. `is_counted`: whether it counts for, and
    is bound by, its place's limits; the portions of a dish do not, nor does a concert in somebody's hall. A slot that is
    neither counted nor exclusive is a stock: the same person may have of it again. A slot's times never change.
    `is_scheduled`: a line of the place's schedule made it, so it goes with the calendar; an extra session does not.
    """

    __tablename__ = "slots"

    id: Mapped[Id]
    service: Mapped[str]
    place_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("places.id", ondelete="CASCADE"))
    resource_no: Mapped[Big | None] = mapped_column(ForeignKey("resources.no"))
    is_exclusive_resource: Mapped[bool] = mapped_column(server_default=text("false"))
    community: Mapped[str]
    title: Mapped[str]
    subject_kind: Mapped[str | None]
    subject_id: Mapped[uuid.UUID | None]
    starts_at: Mapped[Moment]
    ends_at: Mapped[Moment]
    opens_at: Mapped[Moment | None]
    closes_at: Mapped[Moment]
    cancel_by: Mapped[Moment | None]
    capacity: Mapped[int]
    taken: Mapped[int] = mapped_column(server_default=text("0"))
    taken_offline: Mapped[int] = mapped_column(server_default=text("0"))
    waiting: Mapped[int] = mapped_column(server_default=text("0"))
    offline_share: Mapped[int] = mapped_column(server_default=text("0"))
    offline_until: Mapped[Moment | None]
    min_age: Mapped[Small | None]
    max_age: Mapped[Small | None]
    regions: Mapped[list[str] | None]
    level: Mapped[Small] = mapped_column(server_default=text("0"))
    needs_guardian: Mapped[bool] = mapped_column(server_default=text("false"))
    allocation: Mapped[str] = mapped_column(server_default=text("'first_come'"))
    is_exclusive: Mapped[bool] = mapped_column(server_default=text("true"))
    is_waitable: Mapped[bool] = mapped_column(server_default=text("true"))
    is_counted: Mapped[bool] = mapped_column(server_default=text("true"))
    is_scheduled: Mapped[bool] = mapped_column(server_default=text("false"))
    policy_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("policies.id"))
    state: Mapped[str] = mapped_column(server_default=text("'open'"))
    next_lapse: Mapped[Moment | None]
    made_at: Mapped[Made]

    __table_args__ = (
        CheckConstraint("taken BETWEEN 0 AND capacity", name="taken_within_capacity"),
        CheckConstraint("taken_offline BETWEEN 0 AND taken", name="offline_within_taken"),
        CheckConstraint("waiting >= 0", name="waiting_not_negative"),
        CheckConstraint("ends_at >= starts_at + interval '1 second'", name="slot_starts_before_it_ends"),
        CheckConstraint("state IN ('open', 'closed', 'cancelled')", name="slot_state_known"),
        CheckConstraint("allocation IN ('first_come', 'ballot')", name="allocation_known"),
        ExcludeConstraint(
            (_one_point("resource_no"), "&&"),
            (_DURING, "&&"),
            name="one_slot_per_resource_at_a_time",
            using="gist",
            where=text("is_exclusive_resource AND state = 'open'"),
        ),
        UniqueConstraint("place_id", "resource_no", "starts_at", "title", name="one_slot_per_schedule_line"),
        Index("slots_place_id_starts_at_idx", "place_id", "starts_at"),
        Index("slots_service_starts_at_idx", "service", "starts_at"),
        Index("slots_starts_at_idx", "starts_at"),
        Index("slots_subject_id_idx", "subject_id", postgresql_where=text("subject_id IS NOT NULL")),
        Index("slots_next_lapse_idx", "next_lapse", postgresql_where=text("next_lapse IS NOT NULL")),
        Index("slots_somebody_waits_idx", "starts_at", postgresql_where=text("waiting > 0")),
        {"postgresql_with": {"fillfactor": 50}},
    )


class Claim(Base):
    """One holder's place in one slot.

    `is_active` says whether it takes a place now (held, confirmed, attended); the indexes are on it and not on `state`,
    so that confirming a claim touches no index (a heap-only update). Two triggers referee what no index says cheaply:
    `nobody_in_two_places` looks once for all rows of a statement, and `who_has_left_stays_away`.
    """

    __tablename__ = "claims"

    id: Mapped[Id]
    group_id: Mapped[uuid.UUID]
    slot_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("slots.id"))
    holder_no: Mapped[Big] = mapped_column(ForeignKey("holders.no"))
    account_no: Mapped[Big]
    community: Mapped[str]
    service: Mapped[str]
    place_id: Mapped[uuid.UUID]
    starts_at: Mapped[Moment]
    ends_at: Mapped[Moment]
    units: Mapped[int] = mapped_column(server_default=text("1"))
    channel: Mapped[str]
    state: Mapped[str]
    is_active: Mapped[bool]
    is_exclusive: Mapped[bool]
    is_counted: Mapped[bool] = mapped_column(server_default=text("true"))
    held_until: Mapped[Moment | None]
    resource_id: Mapped[uuid.UUID | None]
    reason: Mapped[str | None]
    made_at: Mapped[Made]
    left_at: Mapped[Moment | None]

    __table_args__ = (
        CheckConstraint("units > 0", name="claim_takes_something"),
        CheckConstraint(
            "state IN ('held', 'confirmed', 'released', 'lapsed', 'attended', 'no_show')", name="claim_state_known"
        ),
        CheckConstraint(
            "is_active = (state IN ('held', 'confirmed', 'attended'))", name="active_claims_are_those_that_take"
        ),
        CheckConstraint("(state = 'held') = (held_until IS NOT NULL)", name="only_holds_lapse"),
        CheckConstraint("channel IN ('app', 'desk', 'phone', 'paper', 'partner')", name="claim_channel_known"),
        Index(
            "one_place_per_person",
            "slot_id",
            "holder_no",
            text("(NULLIF(is_counted OR is_exclusive, false))"),  # null, as of a stock, is never twice
            unique=True,
            postgresql_where=text("is_active"),
        ),
        Index("claims_group_id_idx", "group_id"),
        # Begins with the end, so that years of what is over are passed by: who asks from a moment on says so of the end, too.
        Index("claims_holder_no_ends_at_starts_at_idx", "holder_no", "ends_at", "starts_at"),
        {"postgresql_with": {"fillfactor": 70}},
    )


class Ask(Base):
    """What an account asked under an Idempotency-Key, and the newest group that came of it.

    A refused ask leaves no row. The body is kept, sealed, only while the ask waits; for which slots and whom is written
    down when it leaves its lists without a place.
    """

    __tablename__ = "asks"

    account_no: Mapped[Big] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(primary_key=True)
    group_id: Mapped[uuid.UUID]
    fingerprint: Mapped[Bytes]
    service: Mapped[str]
    state: Mapped[str]
    reason: Mapped[str | None]
    slot_ids: Mapped[list[uuid.UUID] | None]
    holders: Mapped[list[int] | None]
    made_at: Mapped[Made]

    __table_args__ = (
        CheckConstraint("state IN ('granted', 'waiting', 'lost', 'left')", name="ask_state_known"),
        CheckConstraint(
            "(state IN ('lost', 'left')) = (slot_ids IS NOT NULL AND holders IS NOT NULL)",
            name="ended_ask_tells_of_what",
        ),
        Index("asks_ended_group_id_idx", "group_id", postgresql_where=text("state IN ('lost', 'left')")),
        Index(
            "asks_ended_holders_idx",
            "holders",
            postgresql_using="gin",
            postgresql_where=text("state IN ('lost', 'left')"),
        ),
        Index("asks_made_at_idx", "made_at", postgresql_using="brin"),
        {"postgresql_with": {"fillfactor": 80}},
    )


class Wait(Base):
    """One ask on one slot's waiting list, in the order of `no`: the number is drawn while its slots are locked."""

    __tablename__ = "waits"

    slot_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("slots.id"), primary_key=True)
    group_id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    no: Mapped[Big]
    account_no: Mapped[Big]
    key: Mapped[str]
    holders: Mapped[list[int]]
    units: Mapped[int]
    channel: Mapped[str]
    body: Mapped[Bytes]
    made_at: Mapped[Made]

    __table_args__ = (
        UniqueConstraint("slot_id", "no", name="one_rank_each"),
        Index("waits_group_id_idx", "group_id"),
        Index("waits_holders_idx", "holders", postgresql_using="gin"),
    )


class Suspension(Base):
    """A person's bookings in one service are paused for a time; always ends, always with a reason."""

    __tablename__ = "suspensions"

    id: Mapped[Id]
    holder_no: Mapped[Big] = mapped_column(ForeignKey("holders.no"))
    service: Mapped[str]
    reason: Mapped[str]
    starts_at: Mapped[Moment]
    ends_at: Mapped[Moment]
    lifted_at: Mapped[Moment | None]
    made_by: Mapped[uuid.UUID | None]

    __table_args__ = (Index("suspensions_holder_no_ends_at_idx", "holder_no", "ends_at"),)
