"""Who comes on a day, and how full it is now."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import date, datetime
from typing import Final, NamedTuple

from shared.db import Tx

ZONE: Final = "Asia/Shanghai"


@dataclass(frozen=True, slots=True)
class Attendee:
    """Somebody who has a place in a slot."""

    name: str
    state: str
    channel: str
    units: int


@dataclass(frozen=True, slots=True)
class Session:
    """A slot of a day's sheet and who has it."""

    id: uuid.UUID
    title: str
    resource: str | None
    starts_at: datetime
    ends_at: datetime
    state: str
    capacity: int
    taken: int
    waiting: int
    people: tuple[Attendee, ...]


async def sheet(tx: Tx, place_id: uuid.UUID, day: date) -> list[Session]:
    """The slots that start on a day, with everybody who has a place; cancelled ones without people are left out.

    A dish is no place: who takes it has one in a window.
    """
    slots = await tx.fetch(
        "SELECT s.id, s.title, r.name, s.starts_at, s.ends_at, s.state, s.capacity, s.taken, s.waiting "
        "FROM slots s LEFT JOIN resources r ON r.no = s.resource_no WHERE s.place_id = $1 "
        f"AND s.starts_at >= $2::date::timestamp AT TIME ZONE '{ZONE}' "
        f"AND s.starts_at < ($2::date + 1)::timestamp AT TIME ZONE '{ZONE}' "
        "AND (s.state <> 'cancelled' OR s.taken > 0) AND s.subject_kind IS DISTINCT FROM 'dish' "
        "ORDER BY s.starts_at, r.no, s.id",
        place_id,
        day,
    )
    people = await tx.fetch(
        "SELECT c.slot_id, h.name, c.state, c.channel, c.units FROM claims c JOIN holders h ON h.no = c.holder_no "
        "WHERE c.slot_id = ANY($1::uuid[]) AND (c.is_active AND (c.held_until IS NULL OR c.held_until > now()) "
        "OR c.state = 'no_show') ORDER BY c.made_at, c.id",
        [row["id"] for row in slots],
    )
    by_slot: dict[uuid.UUID, list[Attendee]] = {}
    for slot_id, *who in people:
        by_slot.setdefault(slot_id, []).append(Attendee(*who))
    return [Session(*(*row, tuple(by_slot.get(row["id"], ())))) for row in slots]


class Occupancy(NamedTuple):
    """How many people have a place at this moment, and how many there are."""

    people: int
    capacity: int


async def occupancy(tx: Tx, place_id: uuid.UUID) -> Occupancy:
    """Units of confirmed places in the slots that are on now, and the capacity of those that are open."""
    row = await tx.row(
        """
        SELECT coalesce(sum((SELECT sum(c.units) FROM claims c WHERE c.slot_id = s.id
                             AND c.is_active AND c.state <> 'held')), 0)::int,
               coalesce(sum(s.capacity) FILTER (WHERE s.state = 'open'), 0)::int
        FROM slots s
        WHERE s.place_id = $1 AND s.starts_at <= now() AND s.starts_at > now() - interval '1 day' AND s.ends_at > now()
          AND s.subject_kind IS DISTINCT FROM 'dish'
        """,
        place_id,
    )
    return Occupancy(*row) if row is not None else Occupancy(0, 0)
