"""Who is to come, and who came."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from shared import clock
from shared.db import Tx


class Seat(NamedTuple):
    """Somebody's claim in a session, as the door sees it."""

    claim_id: uuid.UUID
    registration_id: uuid.UUID | None
    slot_id: uuid.UUID
    event_id: uuid.UUID
    community: str
    place_id: uuid.UUID
    person_id: uuid.UUID
    state: str
    starts_at: datetime
    ends_at: datetime


_SEAT = """
    SELECT c.id, c.resource_id, c.slot_id, s.subject_id, c.community, c.place_id, h.id, c.state, c.starts_at, c.ends_at
    FROM claims c JOIN slots s ON s.id = c.slot_id JOIN holders h ON h.no = c.holder_no
"""


async def seats(tx: Tx, registration_id: uuid.UUID) -> list[Seat]:
    """Every claim of a registration."""
    rows = await tx.fetch(
        _SEAT + " JOIN registrations r ON r.group_id = c.group_id WHERE r.id = $1 AND c.resource_id = r.id "
        "ORDER BY c.starts_at, c.id",
        registration_id,
    )
    return [Seat(*row) for row in rows]


async def seat(tx: Tx, claim_id: uuid.UUID) -> Seat | None:
    """One claim in an event."""
    row = await tx.row(_SEAT + " WHERE c.id = $1 AND c.service = 'events' AND c.resource_id IS NOT NULL", claim_id)
    return None if row is None else Seat(*row)


async def at_the_door(
    tx: Tx, at: datetime, prefixes: Sequence[str], event_id: uuid.UUID | None, *, is_ahead: bool
) -> list[Seat]:
    """Claims in sessions of the same day, in communities that these prefixes reach: whose code may be shown.

    `is_ahead`: instead those of the month behind it, whose code is shown too early.
    """
    rows = await tx.fetch(
        _SEAT
        + f"""
        WHERE c.service = 'events' AND c.resource_id IS NOT NULL AND c.state IN ('confirmed', 'attended', 'no_show')
          AND s.service = 'events' AND s.starts_at > $1::timestamptz - interval '26 hours'
          AND s.starts_at < $1::timestamptz + CASE WHEN $4 THEN interval '31 days' ELSE interval '26 hours' END
          AND CASE WHEN $4 THEN s.starts_at > $1
              ELSE (s.starts_at AT TIME ZONE '{clock.ZONE}')::date = ($1 AT TIME ZONE '{clock.ZONE}')::date
                OR (s.starts_at <= $1 AND s.ends_at >= $1) END
          AND ($3::uuid IS NULL OR s.subject_id = $3)
          AND EXISTS (SELECT 1 FROM unnest($2::text[]) AS p WHERE starts_with(s.community, p))
        """,
        at,
        prefixes,
        event_id,
        is_ahead,
    )
    return [Seat(*row) for row in rows]


class Coming(NamedTuple):
    """Somebody on the list of a session."""

    slot_id: uuid.UUID
    claim_id: uuid.UUID
    registration_id: uuid.UUID | None
    person_id: uuid.UUID
    name: str
    state: str
    channel: str


class Sitting(NamedTuple):
    """A session of the list."""

    id: uuid.UUID
    title: str
    starts_at: datetime
    ends_at: datetime
    state: str
    capacity: int
    taken: int
    waiting: int


async def listed(tx: Tx, event_id: uuid.UUID) -> tuple[list[Sitting], list[Coming]]:
    """The sessions of an event, and everybody who is to come, came, or did not."""
    sittings = await tx.fetch(
        "SELECT id, title, starts_at, ends_at, state, capacity, taken, waiting FROM slots "
        "WHERE subject_id = $1 AND service = 'events' ORDER BY starts_at, id",
        event_id,
    )
    people = await tx.fetch(
        "SELECT c.slot_id, c.id, c.resource_id, h.id, h.name, c.state, c.channel FROM claims c "
        "JOIN holders h ON h.no = c.holder_no WHERE c.slot_id = ANY($1::uuid[]) "
        "AND c.state IN ('confirmed', 'attended', 'no_show') ORDER BY c.made_at, c.id",
        [row["id"] for row in sittings],
    )
    return [Sitting(*row) for row in sittings], [Coming(*row) for row in people]
