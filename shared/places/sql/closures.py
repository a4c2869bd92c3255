"""Closures: what they shut, and who still has a place in it."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from shared.db import Tx
from shared.places.sql.days import ZONE


async def closure_windows(tx: Tx, place_id: uuid.UUID, since: datetime) -> list[tuple[datetime, datetime]]:
    """Begin and end of the closures that are not over."""
    rows = await tx.fetch(
        "SELECT starts_at, ends_at FROM closures WHERE place_id = $1 AND ends_at > $2", place_id, since
    )
    return [(row[0], row[1]) for row in rows]


class Closure(NamedTuple):
    """A time at which a place is shut, and what became of its slots."""

    id: uuid.UUID
    starts_at: datetime
    ends_at: datetime
    reason: str
    slots: int
    released: int
    made_at: datetime


async def closures(tx: Tx, place_id: uuid.UUID, after: tuple[datetime, uuid.UUID] | None, limit: int) -> list[Closure]:
    """Closures of a place, the latest first."""
    rows = await tx.fetch(
        "SELECT id, starts_at, ends_at, reason, slots, released, made_at FROM closures WHERE place_id = $1 "
        "AND ($2::timestamptz IS NULL OR (starts_at, id) < ($2, $3::uuid)) ORDER BY starts_at DESC, id DESC LIMIT $4",
        place_id,
        after[0] if after else None,
        after[1] if after else None,
        limit,
    )
    return [Closure(*row) for row in rows]


async def insert_closure(
    tx: Tx, place_id: uuid.UUID, starts_at: datetime, ends_at: datetime, reason: str, made_by: uuid.UUID | None
) -> uuid.UUID:
    """A new closure of a locked place. Its time is that of the lock, so that closures stand in the order they took effect."""
    made: uuid.UUID = await tx.value(
        "INSERT INTO closures (place_id, starts_at, ends_at, reason, made_by, made_at) "
        "VALUES ($1, $2, $3, $4, $5, clock_timestamp()) RETURNING id",
        place_id,
        starts_at,
        ends_at,
        reason,
        made_by,
    )
    return made


async def closure(tx: Tx, place_id: uuid.UUID, closure_id: uuid.UUID) -> Closure | None:
    """One closure of a place."""
    row = await tx.row(
        "SELECT id, starts_at, ends_at, reason, slots, released, made_at FROM closures WHERE place_id = $1 AND id = $2",
        place_id,
        closure_id,
    )
    return None if row is None else Closure(*row)


async def delete_closure(tx: Tx, closure_id: uuid.UUID) -> None:
    """A closure that was not meant."""
    await tx.execute("DELETE FROM closures WHERE id = $1", closure_id)


class Closed(NamedTuple):
    """A slot that is closed and has not begun. `is_about` says that it is about something else, such as an event."""

    id: uuid.UUID
    starts_at: datetime
    ends_at: datetime
    is_scheduled: bool
    is_untouched: bool
    is_about: bool


async def closed_slots(tx: Tx, place_id: uuid.UUID, starts_at: datetime, ends_at: datetime) -> list[Closed]:
    """Closed slots of a place that have not begun and meet this time."""
    rows = await tx.fetch(
        "SELECT id, starts_at, ends_at, is_scheduled, taken = 0 AND waiting = 0, subject_id IS NOT NULL FROM slots "
        "WHERE place_id = $1 AND state = 'closed' AND starts_at > now() AND starts_at < $3 AND ends_at > $2",
        place_id,
        starts_at,
        ends_at,
    )
    return [Closed(*row) for row in rows]


async def count_closure(tx: Tx, closure_id: uuid.UUID, *, slots: int = 0, released: int = 0) -> None:
    """Add to what a closure has closed and released."""
    await tx.execute(
        "UPDATE closures SET slots = slots + $2, released = released + $3 WHERE id = $1", closure_id, slots, released
    )


async def same_closure(
    tx: Tx, place_id: uuid.UUID, starts_at: datetime, ends_at: datetime, reason: str
) -> uuid.UUID | None:
    """The closure of this place for the same time and reason; None when there is none."""
    found: uuid.UUID | None = await tx.value(
        "SELECT id FROM closures WHERE place_id = $1 AND starts_at = $2 AND ends_at = $3 AND reason = $4 LIMIT 1",
        place_id,
        starts_at,
        ends_at,
        reason,
    )
    return found


class Affected(NamedTuple):
    """An open slot that a closure would close, and how many claims in it would be released."""

    id: uuid.UUID
    claims: int


_RELEASABLE = "is_active AND state IN ('held', 'confirmed')"
"""Who has already come keeps the place; a hold that is being confirmed is waited for."""


async def slots_during(tx: Tx, place_id: uuid.UUID, starts_at: datetime, ends_at: datetime) -> list[Affected]:
    """Open slots of a place, not over yet, that meet this time. A dish has no time of its own: it goes with its windows."""
    rows = await tx.fetch(
        f"SELECT s.id, (SELECT count(*) FROM claims c WHERE c.slot_id = s.id AND {_RELEASABLE}) "
        "FROM slots s WHERE s.place_id = $1 AND s.state = 'open' AND s.ends_at > now() "
        "AND s.starts_at < $3 AND s.ends_at > $2 AND s.subject_kind IS DISTINCT FROM 'dish'",
        place_id,
        starts_at,
        ends_at,
    )
    return [Affected(*row) for row in rows]


async def close_slots(tx: Tx, ids: Sequence[uuid.UUID]) -> list[uuid.UUID]:
    """Close those of these locked slots that are open."""
    rows = await tx.fetch(
        "UPDATE slots SET state = 'closed' WHERE id = ANY($1::uuid[]) AND state = 'open' RETURNING id", ids
    )
    return sorted(row[0] for row in rows)


class Shut(NamedTuple):
    """A closed slot in which somebody may still have a place, and what closed it: a closure, or (no id) the calendar.

    Of several closures it is the first that stands: those that came later found the slot closed.
    """

    id: uuid.UUID
    service: str
    community: str
    starts_at: datetime
    closure_id: uuid.UUID | None
    reason: str | None


_SHUT = f"""
    SELECT s.id, s.service, s.community, s.starts_at, x.id, coalesce(x.reason, d.name)
    FROM slots s LEFT JOIN LATERAL (
        SELECT id, reason FROM closures x
        WHERE x.place_id = s.place_id AND x.starts_at < s.ends_at AND x.ends_at > s.starts_at
        ORDER BY made_at, id LIMIT 1
    ) x ON true
    LEFT JOIN days d ON s.is_scheduled AND d.kind = 'closed' AND d.date = (s.starts_at AT TIME ZONE '{ZONE}')::date
    WHERE (x.id IS NOT NULL OR d.date IS NOT NULL)
"""


async def shut(tx: Tx, slot_id: uuid.UUID) -> Shut | None:
    """A closed slot, locked, with what closes it; None when it is not closed, or nothing closes it any more."""
    row = await tx.row(_SHUT + " AND s.id = $1 AND s.state = 'closed' FOR NO KEY UPDATE OF s", slot_id)
    return None if row is None else Shut(*row)


async def unfinished(tx: Tx, service: str | None) -> list[uuid.UUID]:
    """Closed slots, not over yet, in which somebody still has a place."""
    rows = await tx.fetch(
        f"SELECT s.id FROM ({_SHUT}) AS s(id, service, community, starts_at, closure_id, reason) "
        "JOIN slots o ON o.id = s.id WHERE o.starts_at > now() - interval '1 day' AND o.ends_at > now() "
        "AND o.state = 'closed' AND o.taken > 0 AND ($1::text IS NULL OR o.service = $1) "
        f"AND EXISTS (SELECT FROM claims c WHERE c.slot_id = o.id AND {_RELEASABLE}) ORDER BY s.id",
        service,
    )
    return [row[0] for row in rows]


async def beside(tx: Tx, slot_id: uuid.UUID) -> list[uuid.UUID]:
    """The dishes that are taken together with places in this slot."""
    rows = await tx.fetch(
        "SELECT DISTINCT d.slot_id FROM claims c JOIN claims d ON d.group_id = c.group_id AND d.is_active "
        "JOIN slots s ON s.id = d.slot_id AND s.subject_kind = 'dish' WHERE c.slot_id = $1 AND c.is_active",
        slot_id,
    )
    return [row[0] for row in rows]


async def releasable(tx: Tx, slot_id: uuid.UUID, most: int) -> list[uuid.UUID]:
    """Claims to be released from a locked slot, with those on the dishes out of it; locked."""
    rows = await tx.fetch(
        f"""
        WITH chosen AS (SELECT id, group_id FROM claims WHERE slot_id = $1 AND {_RELEASABLE} ORDER BY id LIMIT $2)
        SELECT c.id FROM claims c JOIN slots s ON s.id = c.slot_id
        WHERE c.is_active AND c.state IN ('held', 'confirmed') AND (c.id IN (SELECT id FROM chosen)
              OR (s.subject_kind = 'dish' AND c.group_id IN (SELECT group_id FROM chosen)))
        ORDER BY c.id FOR NO KEY UPDATE OF c
        """,
        slot_id,
        most,
    )
    return [row[0] for row in rows]
