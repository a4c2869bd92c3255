"""The rows of events: what takes place, who registered and what they said, and secret addresses of calendars."""

from __future__ import annotations

import uuid
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, Index, UniqueConstraint
from sqlalchemy import text as expression
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from shared.models.base import Base, Big, Bytes, Id, Made, Moment, Small


class Event(Base):
    """A single event or a series (a course). A draft has wishes; what is published has a venue, and slots by its sessions.

    `starts_at` and `ends_at` are those of the first and the last session that is not cancelled.
    """

    __tablename__ = "events"

    id: Mapped[Id]
    kind: Mapped[str]
    community: Mapped[str] = mapped_column(ForeignKey("regions.code"))
    account_no: Mapped[Big]
    state: Mapped[str] = mapped_column(server_default=expression("'draft'"))
    version: Mapped[int] = mapped_column(server_default=expression("1"))
    title: Mapped[str]
    title_en: Mapped[str | None]
    text: Mapped[str]
    seats: Mapped[int]
    min_age: Mapped[Small | None]
    max_age: Mapped[Small | None]
    regions: Mapped[list[str] | None]
    level: Mapped[Small] = mapped_column(server_default=expression("0"))
    needs_guardian: Mapped[bool] = mapped_column(server_default=expression("false"))
    questions: Mapped[list[dict[str, Any]]] = mapped_column(JSONB)
    opens_at: Mapped[Moment | None]
    closes_at: Mapped[Moment | None]
    cancel_by: Mapped[Moment | None]
    is_waitable: Mapped[bool] = mapped_column(server_default=expression("true"))
    venue_group_id: Mapped[uuid.UUID | None]
    place_id: Mapped[uuid.UUID | None]
    """The venue's place; no reference of its own: its slots have one."""
    venue_lost_at: Mapped[Moment | None]
    reason: Mapped[str | None]
    starts_at: Mapped[Moment]
    ends_at: Mapped[Moment]
    made_at: Mapped[Made]

    __table_args__ = (
        CheckConstraint("kind IN ('event', 'series')", name="event_kind_known"),
        CheckConstraint("state IN ('draft', 'published', 'changed', 'cancelled', 'held')", name="event_state_known"),
        CheckConstraint("seats > 0", name="event_has_seats"),
        CheckConstraint("starts_at < ends_at", name="event_starts_before_it_ends"),
        CheckConstraint(
            "state IN ('draft', 'cancelled') OR (venue_group_id IS NOT NULL AND place_id IS NOT NULL)",
            name="published_event_has_a_venue",
        ),
        Index(
            "one_event_per_venue_group",
            "venue_group_id",
            unique=True,
            postgresql_where=expression("state NOT IN ('draft', 'cancelled')"),
        ),
        Index("events_community_starts_at_idx", "community", "starts_at"),
        Index("events_state_ends_at_idx", "state", "ends_at"),
    )


class EventSession(Base):
    """A time at which an event takes place. Its slot has the same id; its times never change."""

    __tablename__ = "event_sessions"

    id: Mapped[Id]
    event_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("events.id"))
    starts_at: Mapped[Moment]
    ends_at: Mapped[Moment]
    title: Mapped[str | None]
    is_cancelled: Mapped[bool] = mapped_column(server_default=expression("false"))

    __table_args__ = (
        CheckConstraint("starts_at < ends_at", name="session_starts_before_it_ends"),
        Index(
            "one_session_per_moment",
            "event_id",
            "starts_at",
            unique=True,
            postgresql_where=expression("NOT is_cancelled"),
        ),
        Index("event_sessions_event_id_idx", "event_id"),
    )


class Registration(Base):
    """One group of claims in an event. Its state is the ledger's; here is for what, who made it, and sealed answers."""

    __tablename__ = "registrations"

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    group_id: Mapped[uuid.UUID]
    event_id: Mapped[uuid.UUID]
    """No reference: it would lock the event's one row at every registration."""
    place_id: Mapped[uuid.UUID]
    community: Mapped[str]
    account_no: Mapped[Big]
    answers: Mapped[Bytes | None]
    starts_at: Mapped[Moment]
    made_at: Mapped[Made]

    __table_args__ = (
        UniqueConstraint("group_id", name="one_registration_per_group"),
        Index("registrations_event_id_idx", "event_id"),
        Index("registrations_place_id_starts_at_idx", "place_id", "starts_at"),
    )


class Feedback(Base):
    """What somebody who came said of an event; their words are sealed."""

    __tablename__ = "feedback"

    id: Mapped[Id]
    event_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("events.id"))
    holder_no: Mapped[Big]
    stars: Mapped[Small]
    text: Mapped[Bytes | None]
    made_at: Mapped[Made]

    __table_args__ = (
        UniqueConstraint("event_id", "holder_no", name="one_feedback_per_person"),
        CheckConstraint("stars BETWEEN 1 AND 5", name="feedback_has_one_to_five_stars"),
    )


class Calendar(Base):
    """The secret address of somebody's calendar, as a hash. `used_at` is a day, not a moment, of its last reader."""

    __tablename__ = "calendars"

    id: Mapped[Id]
    community: Mapped[str]
    account_no: Mapped[Big]
    secret_hash: Mapped[Bytes]
    made_at: Mapped[Made]
    used_at: Mapped[Made]

    __table_args__ = (
        UniqueConstraint("account_no", name="one_calendar_per_account"),
        UniqueConstraint("secret_hash", name="one_calendar_per_secret"),
    )
