"""The slots of events: one a session, of the same id, at the venue's place and under its newest policy."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from shared.db import Tx

GROUPS = 100
"""Groups released in one transaction when an event is cancelled."""


class Rule(NamedTuple):
    """One session as a slot: its id and times, its title, when it opens and closes, until when one cancels in time."""

    id: uuid.UUID
    starts_at: datetime
    ends_at: datetime
    title: str
    opens_at: datetime | None
    closes_at: datetime
    cancel_by: datetime | None


async def insert(tx: Tx, event: Mapping[str, Any], place_id: uuid.UUID, rules: Sequence[Rule]) -> int:
    """New slots for an event's sessions; how many."""
    return await tx.execute(
        """
        INSERT INTO slots (id, service, place_id, community, title, subject_kind, subject_id, starts_at, ends_at, opens_at,
                           closes_at, cancel_by, capacity, min_age, max_age, regions, level, needs_guardian, is_waitable,
                           is_exclusive, is_counted, policy_id)
        SELECT r.id, 'events', $1, $2, r.title, $3, $4, r.starts_at, r.ends_at, r.opens_at, r.closes_at, r.cancel_by, $5, $6,
               $7, $8, $9, $10, $11, true, false, p.id
        FROM unnest($12::uuid[], $13::timestamptz[], $14::timestamptz[], $15::text[], $16::timestamptz[],
                    $17::timestamptz[], $18::timestamptz[])
                 AS r(id, starts_at, ends_at, title, opens_at, closes_at, cancel_by),
             (SELECT id FROM policies WHERE place_id = $1 ORDER BY version DESC LIMIT 1) p
        """,
        place_id,
        event["community"],
        event["kind"],
        event["id"],
        *(event[name] for name in ("seats", "min_age", "max_age", "regions", "level", "needs_guardian", "is_waitable")),
        *(list(column) for column in zip(*rules, strict=True)),
    )


class Slot(NamedTuple):
    """What is had of a session's slot."""

    id: uuid.UUID
    state: str
    ends_at: datetime
    taken: int
    waiting: int


async def slots(tx: Tx, event_id: uuid.UUID) -> list[Slot]:
    """An event's slots, in the order of their ids; unlocked, or locked already."""
    rows = await tx.fetch(
        "SELECT id, state, ends_at, taken, waiting FROM slots WHERE subject_id = $1 AND service = 'events' ORDER BY id",
        event_id,
    )
    return [Slot(*row) for row in rows]


async def rule(tx: Tx, event: Mapping[str, Any], rules: Sequence[Rule]) -> None:
    """Give locked slots their event's present seats, title and deadlines."""
    await tx.execute(
        "UPDATE slots s SET capacity = $1, is_waitable = $2, title = r.title, opens_at = r.opens_at, "
        "closes_at = r.closes_at, cancel_by = r.cancel_by "
        "FROM unnest($3::uuid[], $4::text[], $5::timestamptz[], $6::timestamptz[], $7::timestamptz[]) "
        "AS r(id, title, opens_at, closes_at, cancel_by) WHERE s.id = r.id AND s.state = 'open'",
        event["seats"],
        event["is_waitable"],
        [one.id for one in rules],
        [one.title for one in rules],
        [one.opens_at for one in rules],
        [one.closes_at for one in rules],
        [one.cancel_by for one in rules],
    )


async def cancel(tx: Tx, ids: Sequence[uuid.UUID]) -> None:
    """These locked slots are claimed no more; those that are over stay as they were."""
    await tx.execute(
        "UPDATE slots SET state = 'cancelled' WHERE id = ANY($1::uuid[]) AND state <> 'cancelled' AND ends_at > now()",
        ids,
    )


_RELEASABLE = "c.is_active AND c.state IN ('held', 'confirmed')"


async def unfinished(tx: Tx) -> list[uuid.UUID]:
    """Events with a cancelled session in which somebody still has a place."""
    rows = await tx.fetch(
        "SELECT DISTINCT s.subject_id FROM slots s WHERE s.service = 'events' AND s.starts_at > now() - interval '2 days' "
        "AND s.state = 'cancelled' AND s.taken > 0 AND s.subject_id IS NOT NULL "
        f"AND EXISTS (SELECT 1 FROM claims c WHERE c.slot_id = s.id AND {_RELEASABLE})"
    )
    return [row[0] for row in rows]


async def taken_though_cancelled(tx: Tx, event_id: uuid.UUID) -> list[uuid.UUID]:
    """Cancelled slots of an event in which somebody may still have a place."""
    rows = await tx.fetch(
        "SELECT id FROM slots WHERE subject_id = $1 AND service = 'events' AND state = 'cancelled' AND taken > 0",
        event_id,
    )
    return [row[0] for row in rows]


class Releasable(NamedTuple):
    """A claim that is to be released, and what is told about it."""

    id: uuid.UUID
    group_id: uuid.UUID
    slot_id: uuid.UUID
    community: str
    starts_at: datetime


async def releasable(tx: Tx, slot_ids: Sequence[uuid.UUID]) -> list[Releasable]:
    """Claims of some whole groups in these locked slots."""
    rows = await tx.fetch(
        f"""
        SELECT c.id, c.group_id, c.slot_id, c.community, c.starts_at FROM claims c
        WHERE c.slot_id = ANY($1::uuid[]) AND {_RELEASABLE} AND c.group_id IN (
            SELECT DISTINCT c.group_id FROM claims c WHERE c.slot_id = ANY($1::uuid[]) AND {_RELEASABLE}
            ORDER BY c.group_id LIMIT $2)
        ORDER BY c.starts_at, c.id
        """,
        slot_ids,
        GROUPS,
    )
    return [Releasable(*row) for row in rows]


async def registered(tx: Tx, event_id: uuid.UUID) -> list[int]:
    """Numbers of everybody who has a place in an event."""
    rows = await tx.fetch(
        "SELECT DISTINCT c.holder_no FROM slots s JOIN claims c ON c.slot_id = s.id "
        "WHERE s.subject_id = $1 AND s.service = 'events' AND c.state IN ('confirmed', 'attended') ORDER BY 1",
        event_id,
    )
    return [row[0] for row in rows]


async def state(tx: Tx, event_id: uuid.UUID) -> str | None:
    """State of the event with this id, whatever its kind."""
    found: str | None = await tx.value("SELECT state FROM events WHERE id = $1", event_id)
    return found
