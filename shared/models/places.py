"""Where things happen: regions, places, what is in them, when they are open, and the calendar of days."""

from __future__ import annotations

import uuid
from datetime import date
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, Index, PrimaryKeyConstraint, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from shared.models.base import Base, Id, Made, Moment, No


class Region(Base):
    """One node of the official tree: province, city, county, street, community or village, estate.

    A region that ended stays, for what happened under its code, and points to its successors.
    """

    __tablename__ = "regions"

    code: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str]
    level: Mapped[str]
    parent_code: Mapped[str | None] = mapped_column(ForeignKey("regions.code"), index=True)
    ended_on: Mapped[date | None]


class RegionChange(Base):
    """One region followed another: by a merger several have one successor, by a split one has several.

    What cannot be told apart follows to the successor that is the principal one.
    """

    __tablename__ = "region_changes"

    old_code: Mapped[str] = mapped_column(ForeignKey("regions.code"), primary_key=True)
    new_code: Mapped[str] = mapped_column(ForeignKey("regions.code"), primary_key=True, index=True)
    kind: Mapped[str]
    is_principal: Mapped[bool]
    on_day: Mapped[date]
    made_at: Mapped[Made]

    __table_args__ = (
        CheckConstraint("kind IN ('merge', 'split')", name="region_change_kind_known"),
        CheckConstraint("old_code <> new_code", name="no_region_follows_itself"),
        Index("one_principal_successor", "old_code", unique=True, postgresql_where=text("is_principal")),
    )


class Day(Base):
    """What a date is: a working day, a day of rest, or closed. Staff may change it; libraries only seed it."""

    __tablename__ = "days"

    date: Mapped[date] = mapped_column(primary_key=True)
    kind: Mapped[str]
    name: Mapped[str | None]
    is_provisional: Mapped[bool] = mapped_column(server_default=text("false"))

    __table_args__ = (CheckConstraint("kind IN ('work', 'rest', 'closed')", name="day_kind_known"),)


class Place(Base):
    """A facility, a kitchen or a children's room: something of one community with an address and rules."""

    __tablename__ = "places"

    id: Mapped[Id]
    service: Mapped[str]
    kind: Mapped[str]
    name: Mapped[str]
    name_en: Mapped[str | None]
    community: Mapped[str] = mapped_column(ForeignKey("regions.code"))
    address: Mapped[str | None]
    lat: Mapped[float | None]
    lon: Mapped[float | None]
    state: Mapped[str] = mapped_column(server_default=text("'open'"))
    version: Mapped[int] = mapped_column(server_default=text("1"))
    made_at: Mapped[Made]

    __table_args__ = (
        CheckConstraint("state IN ('open', 'closed')", name="place_state_known"),
        UniqueConstraint("service", "community", "name", name="one_place_per_name"),
    )


class Resource(Base):
    """What slots are made on: a court, a hall, a studio. An exclusive one carries one slot at a time."""

    __tablename__ = "resources"

    no: Mapped[No]
    id: Mapped[uuid.UUID] = mapped_column(unique=True, server_default=text("uuidv7()"))
    place_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("places.id", ondelete="CASCADE"))
    name: Mapped[str]
    name_en: Mapped[str | None]
    is_exclusive: Mapped[bool] = mapped_column(server_default=text("true"))
    capacity: Mapped[int]

    __table_args__ = (UniqueConstraint("place_id", "name", name="one_resource_per_name"),)


class Schedule(Base):
    """A place's opening hours as lines of weekday, hours, slot length and resource; the worker rolls slots out of it."""

    __tablename__ = "schedules"

    place_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("places.id", ondelete="CASCADE"), primary_key=True)
    version: Mapped[int]
    body: Mapped[dict[str, Any]]
    changed_at: Mapped[Made]


class Terms(Base):
    """One version of what a service alone wants to know of its place; never changed, only followed by the next."""

    __tablename__ = "terms"

    place_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("places.id", ondelete="CASCADE"))
    version: Mapped[int]
    body: Mapped[dict[str, Any]]
    made_by: Mapped[uuid.UUID | None]
    made_at: Mapped[Made]

    __table_args__ = (PrimaryKeyConstraint("place_id", "version", name="one_terms_per_version"),)


class Closure(Base):
    """A time at which a place is shut: its slots are closed, and the people in them are told."""

    __tablename__ = "closures"

    id: Mapped[Id]
    place_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("places.id", ondelete="CASCADE"))
    starts_at: Mapped[Moment]
    ends_at: Mapped[Moment]
    reason: Mapped[str]
    slots: Mapped[int] = mapped_column(server_default=text("0"))
    released: Mapped[int] = mapped_column(server_default=text("0"))
    made_by: Mapped[uuid.UUID | None]
    made_at: Mapped[Made]

    __table_args__ = (
        CheckConstraint("starts_at < ends_at", name="closure_starts_before_it_ends"),
        Index("closures_place_id_ends_at_idx", "place_id", "ends_at"),
    )
