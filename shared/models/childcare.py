"""Children's rooms: visits, who is inside, who brought and collected whom, and what guardians have said about it.

Where a room's row is locked (`room_states`), it is locked after claims and before everything else here. What is written
down about hand-overs, reads and incidents is only ever added to.
"""

from __future__ import annotations

import uuid

from sqlalchemy import CheckConstraint, ForeignKey, Index, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from shared.models.base import Base, Big, Bytes, Id, Made, Moment, Small


class Visit(Base):
    """One group of claims in a children's room. `note` is what the guardian said about it, sealed."""

    __tablename__ = "visits"

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    group_id: Mapped[uuid.UUID]
    place_id: Mapped[uuid.UUID]
    community: Mapped[str]
    account_no: Mapped[Big]
    stays: Mapped[bool]
    note: Mapped[Bytes | None]
    starts_at: Mapped[Moment]
    made_at: Mapped[Made]

    __table_args__ = (
        UniqueConstraint("group_id", name="one_visit_per_group"),
        Index("visits_place_id_starts_at_idx", "place_id", "starts_at"),
    )


class RoomState(Base):
    """How many are in a room now. Whoever lets somebody in or out holds this row.

    A device may tell of children who had come in before it told of a carer: only then `is_unwatched` allows it, as long
    as it is so.
    """

    __tablename__ = "room_states"

    place_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("places.id"), primary_key=True)
    community: Mapped[str]
    children: Mapped[int] = mapped_column(server_default=text("0"))
    accompanied: Mapped[int] = mapped_column(server_default=text("0"))
    carers: Mapped[int] = mapped_column(server_default=text("0"))
    places: Mapped[int]
    is_unwatched: Mapped[bool] = mapped_column(server_default=text("false"))
    version: Mapped[int] = mapped_column(server_default=text("0"))

    __table_args__ = (
        CheckConstraint("children BETWEEN 0 AND places", name="children_within_places"),
        CheckConstraint("accompanied BETWEEN 0 AND children", name="accompanied_within_children"),
        CheckConstraint("carers >= 0", name="carers_not_negative"),
        CheckConstraint("children = 0 OR carers > 0 OR is_unwatched", name="no_children_without_a_carer"),
        CheckConstraint("NOT is_unwatched OR (children > 0 AND carers = 0)", name="unwatched_only_without_a_carer"),
    )


class Inside(Base):
    """A child who is in a room now; the row goes when the child does."""

    __tablename__ = "insides"

    claim_id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    child_no: Mapped[Big] = mapped_column(ForeignKey("holders.no"))
    visit_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("visits.id"))
    place_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("places.id"), index=True)
    community: Mapped[str]
    stays: Mapped[bool]
    since: Mapped[Moment]
    ends_at: Mapped[Moment]

    __table_args__ = (UniqueConstraint("child_no", name="no_child_in_two_rooms"),)


class Collector(Base):
    """Whom a guardian allows, allows once, or forbids to collect a child. `about` (names, digits, note) is sealed.

    The code of a one-time collector is kept as a blind index only.
    """

    __tablename__ = "collectors"

    id: Mapped[Id]
    child_no: Mapped[Big] = mapped_column(ForeignKey("holders.no"))
    maker_no: Mapped[Big]
    community: Mapped[str]
    kind: Mapped[str]
    person_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("holders.id"))
    about: Mapped[Bytes]
    code_index: Mapped[Bytes | None]
    starts_at: Mapped[Moment | None]
    ends_at: Mapped[Moment | None]
    used_at: Mapped[Moment | None]
    removed_at: Mapped[Moment | None]
    made_at: Mapped[Made]

    __table_args__ = (
        CheckConstraint("kind IN ('allowed', 'once', 'never')", name="collector_kind_known"),
        CheckConstraint("(kind = 'once') = (code_index IS NOT NULL)", name="only_once_has_a_code"),
        CheckConstraint("kind <> 'once' OR ends_at IS NOT NULL", name="a_code_ends"),
        CheckConstraint("used_at IS NULL OR kind = 'once'", name="only_a_code_is_used_up"),
        CheckConstraint("starts_at < ends_at", name="collector_begins_before_the_end"),
        UniqueConstraint("child_no", "code_index", name="one_collector_per_code"),
        Index("collectors_child_no_maker_no_idx", "child_no", "maker_no"),
    )


class Handover(Base):
    """A child was brought, or collected: who, by and to whom, by which carer, when. Never changed."""

    __tablename__ = "handovers"

    id: Mapped[Id]
    visit_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("visits.id"), index=True)
    claim_id: Mapped[uuid.UUID]
    child_no: Mapped[Big] = mapped_column(ForeignKey("holders.no"))
    place_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("places.id"))
    community: Mapped[str]
    direction: Mapped[str]
    adult_id: Mapped[uuid.UUID | None]
    collector_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("collectors.id"))
    once_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("collectors.id"))
    by_no: Mapped[Big]
    reasons: Mapped[list[str]]
    at: Mapped[Moment]
    made_at: Mapped[Made]

    __table_args__ = (
        CheckConstraint("direction IN ('in', 'out')", name="handover_direction_known"),
        CheckConstraint(
            "direction = 'in' OR adult_id IS NOT NULL OR collector_id IS NOT NULL OR 'collector_unknown' = ANY (reasons)",
            name="collected_by_somebody",
        ),
        UniqueConstraint("once_id", name="one_handover_per_code"),
        Index("handovers_place_id_at_idx", "place_id", "at"),
        Index("handovers_child_no_at_idx", "child_no", "at"),
    )


class TurnedAway(Base):
    """Somebody wanted to collect a child and was refused. Never changed."""

    __tablename__ = "turned_away"

    id: Mapped[Id]
    visit_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("visits.id"), index=True)
    child_no: Mapped[Big] = mapped_column(ForeignKey("holders.no"), index=True)
    place_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("places.id"))
    community: Mapped[str]
    adult_id: Mapped[uuid.UUID | None]
    collector_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("collectors.id"))
    reason: Mapped[str]
    by_no: Mapped[Big]
    at: Mapped[Moment]
    made_at: Mapped[Made]


class Duty(Base):
    """A carer is, or was, in a room."""

    __tablename__ = "duties"

    id: Mapped[Id]
    place_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("places.id"))
    community: Mapped[str]
    person_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("holders.id"))
    began_at: Mapped[Moment]
    ended_at: Mapped[Moment | None]
    by_no: Mapped[Big]
    made_at: Mapped[Made]

    __table_args__ = (
        Index("one_room_per_carer", "person_id", unique=True, postgresql_where=text("ended_at IS NULL")),
        Index("duties_place_id_began_at_idx", "place_id", "began_at"),
    )


class ChildRecord(Base):
    """What carers need to know of a child (allergies, notes, contacts), sealed."""

    __tablename__ = "child_records"

    child_no: Mapped[Big] = mapped_column(ForeignKey("holders.no"), primary_key=True)
    community: Mapped[str]
    body: Mapped[Bytes]
    version: Mapped[int] = mapped_column(server_default=text("1"))
    changed_by: Mapped[Big]
    changed_at: Mapped[Made]


class RecordRead(Base):
    """Somebody of a room read what guardians wrote about a child. Never changed; guardians see it."""

    __tablename__ = "record_reads"

    id: Mapped[Id]
    child_no: Mapped[Big] = mapped_column(ForeignKey("holders.no"))
    community: Mapped[str]
    place_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("places.id"))
    visit_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("visits.id"))
    account_no: Mapped[Big]
    what: Mapped[str]
    read_at: Mapped[Made]

    __table_args__ = (
        CheckConstraint("what IN ('record', 'collectors')", name="read_is_of_something_known"),
        Index("record_reads_child_no_read_at_idx", "child_no", "read_at"),
    )


class Incident(Base):
    """Something that happened in a room. Never changed: what becomes of it is a further incident that `follows` it.

    Its words go when nobody whom they were about is known any more.
    """

    __tablename__ = "incidents"

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    place_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("places.id"))
    community: Mapped[str]
    kind: Mapped[str]
    severity: Mapped[str]
    body: Mapped[Bytes | None]
    children: Mapped[list[int]]
    guardian_notified_at: Mapped[Moment | None]
    is_for_authority: Mapped[bool]
    follows: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("incidents.id"))
    by_no: Mapped[Big]
    at: Mapped[Moment]
    made_at: Mapped[Made]

    __table_args__ = (
        CheckConstraint("kind IN ('reported', 'count', 'collection')", name="incident_kind_known"),
        CheckConstraint("severity IN ('minor', 'moderate', 'serious')", name="incident_severity_known"),
        Index("incidents_place_id_at_idx", "place_id", "at"),
        Index("incidents_children_idx", "children", postgresql_using="gin"),
    )


class HeadCount(Base):
    """Carers counted who is in a room at its close; what differs from zero has its incident. Never changed."""

    __tablename__ = "head_counts"

    id: Mapped[Id]
    place_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("places.id"))
    community: Mapped[str]
    counted: Mapped[Small]
    inside: Mapped[Small]
    incident_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("incidents.id"))
    by_no: Mapped[Big]
    at: Mapped[Moment]
    made_at: Mapped[Made]

    __table_args__ = (
        CheckConstraint("counted >= 0 AND inside >= 0", name="nobody_counts_below_zero"),
        CheckConstraint(
            "(counted = 0 AND inside = 0) = (incident_id IS NULL)", name="a_room_that_is_not_empty_is_an_incident"
        ),
        Index("head_counts_place_id_at_idx", "place_id", "at"),
    )


class LateCollection(Base):
    """A child was not collected in time, and this step was taken, once."""

    __tablename__ = "late_collections"

    claim_id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    step: Mapped[Small] = mapped_column(primary_key=True)
    visit_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("visits.id"))
    place_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("places.id"))
    community: Mapped[str]
    child_no: Mapped[Big] = mapped_column(ForeignKey("holders.no"))
    made_at: Mapped[Made]
