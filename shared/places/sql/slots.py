"""The slots of a place. Whoever changes them holds the place and has locked them in the order of their ids."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

from shared.db import Tx, referee
from shared.places.rules import Existing, Instants, Policy, Wanted, policy_of
from shared.places.sql import constraints


async def slots_after(tx: Tx, place_id: uuid.UUID, since: datetime) -> list[Existing]:
    """Slots of a place (none that are about something else, such as an event) that start later than that."""
    rows = await tx.fetch(
        "SELECT id, resource_no, is_exclusive_resource, starts_at, ends_at, title, capacity, state, "
        "taken = 0 AND waiting = 0, is_scheduled FROM slots WHERE place_id = $1 AND starts_at > $2 AND subject_id IS NULL "
        "ORDER BY starts_at, id",
        place_id,
        since,
    )
    return [Existing(*row) for row in rows]


_UNTOUCHED = "s.taken = 0 AND s.waiting = 0"


async def cancel_slots(tx: Tx, ids: Sequence[uuid.UUID]) -> int:
    """Cancel those of these locked slots that are still untouched."""
    return await tx.execute(
        f"UPDATE slots s SET state = 'cancelled' WHERE s.id = ANY($1::uuid[]) AND s.state = 'open' AND {_UNTOUCHED}",
        ids,
    )


async def displace_slots(tx: Tx, ids: Sequence[uuid.UUID]) -> None:
    """Take slots that are not open off their resource, so that another may start there at the same time under the same title."""
    await tx.execute(
        f"UPDATE slots s SET resource_no = NULL, is_exclusive_resource = false WHERE s.id = ANY($1::uuid[]) "
        f"AND s.state <> 'open' AND {_UNTOUCHED}",
        ids,
    )


async def resize_slots(tx: Tx, sizes: Sequence[tuple[uuid.UUID, int]]) -> None:
    """Give locked slots that are still untouched another capacity."""
    await tx.execute(
        "UPDATE slots s SET capacity = t.capacity FROM unnest($1::uuid[], $2::int[]) AS t(id, capacity) "
        f"WHERE s.id = t.id AND {_UNTOUCHED}",
        [one for one, _ in sizes],
        [capacity for _, capacity in sizes],
    )


_RULED = (
    "opens_at = t.opens_at, closes_at = t.closes_at, cancel_by = t.cancel_by, offline_until = t.offline_until, "
    "policy_id = $6, offline_share = $7, min_age = $8, max_age = $9, regions = $10, level = $11, needs_guardian = $12, "
    "is_waitable = $13, is_exclusive = CASE WHEN s.taken = 0 THEN $14 ELSE s.is_exclusive END"
)


def _ruled(policy_id: uuid.UUID, rules: Policy, instants: Sequence[Instants]) -> tuple[Any, ...]:
    """The arguments $2 to $14 of an UPDATE with _RULED."""
    audience = rules.audience
    return (
        [one.opens_at for one in instants],
        [one.closes_at for one in instants],
        [one.cancel_by for one in instants],
        [one.offline_until for one in instants],
        policy_id,
        rules.offline_share,
        audience.min_age,
        audience.max_age,
        list(audience.regions) if audience.regions is not None else None,
        audience.level,
        audience.needs_guardian,
        rules.is_waitable,
        rules.is_exclusive,
    )


async def rule_slots(
    tx: Tx, ids: Sequence[uuid.UUID], instants: Sequence[Instants], policy_id: uuid.UUID, rules: Policy
) -> int:
    """Put locked open slots under a policy. Where somebody has a place, `is_exclusive` stays: their claims carry a copy."""
    return await tx.execute(
        f"UPDATE slots s SET {_RULED} FROM unnest($1::uuid[], $2::timestamptz[], $3::timestamptz[], $4::timestamptz[], "
        "$5::timestamptz[]) AS t(id, opens_at, closes_at, cancel_by, offline_until) WHERE s.id = t.id AND s.state = 'open'",
        ids,
        *_ruled(policy_id, rules, instants),
    )


class Ruled(NamedTuple):
    """An open slot, and the policy it stands under; `policy` only of an extra session, which may have its own deadline."""

    id: uuid.UUID
    starts_at: datetime
    opens_at: datetime | None
    closes_at: datetime
    policy: Policy | None


async def ruled(tx: Tx, ids: Sequence[uuid.UUID]) -> list[Ruled]:
    """Those of these locked slots that are open."""
    rows = await tx.fetch(
        "SELECT s.id, s.starts_at, s.opens_at, s.closes_at, CASE WHEN NOT s.is_scheduled THEN p.body END "
        "FROM slots s JOIN policies p ON p.id = s.policy_id WHERE s.id = ANY($1::uuid[]) AND s.state = 'open'",
        ids,
    )
    return [Ruled(row[0], row[1], row[2], row[3], policy_of(row[4]) if row[4] is not None else None) for row in rows]


_IS_MET = """EXISTS (
    SELECT FROM slots o WHERE int8range(o.resource_no, o.resource_no, '[]') && int8range(s.resource_no, s.resource_no, '[]')
    AND o.is_exclusive_resource AND o.state = 'open' AND tstzrange(o.starts_at, o.ends_at) && tstzrange(s.starts_at, s.ends_at)
)"""


async def open_slots(tx: Tx, ids: Sequence[uuid.UUID]) -> int:
    """Open locked closed slots again as they are, with those who still have a place in them; how many."""
    return await tx.execute(
        "UPDATE slots s SET state = 'open' WHERE s.id = ANY($1::uuid[]) AND s.state = 'closed' "
        f"AND NOT (s.is_exclusive_resource AND {_IS_MET})",
        ids,
    )


async def reopen_slots(
    tx: Tx,
    ids: Sequence[uuid.UUID],
    wanted: Sequence[Wanted],
    instants: Sequence[Instants],
    policy_id: uuid.UUID,
    rules: Policy,
) -> int:
    """Open locked slots again that nobody has touched, where nothing else has taken their resource meanwhile; how many."""
    return await tx.execute(
        f"UPDATE slots s SET state = 'open', capacity = t.capacity, is_exclusive_resource = t.is_exclusive, {_RULED} "
        "FROM unnest($1::uuid[], $2::timestamptz[], $3::timestamptz[], $4::timestamptz[], $5::timestamptz[], $15::int[], "
        "$16::bool[]) AS t(id, opens_at, closes_at, cancel_by, offline_until, capacity, is_exclusive) "
        f"WHERE s.id = t.id AND s.state <> 'open' AND {_UNTOUCHED} AND NOT (t.is_exclusive AND {_IS_MET})",
        ids,
        *_ruled(policy_id, rules, instants),
        [one.capacity for one in wanted],
        [one.is_exclusive for one in wanted],
    )


async def insert_slots(
    tx: Tx,
    place_id: uuid.UUID,
    wanted: Sequence[Wanted],
    instants: Sequence[Instants],
    policy_id: uuid.UUID,
    rules: Policy,
    *,
    is_scheduled: bool = True,
) -> list[uuid.UUID]:
    """New slots under a policy; the ids of those that were made.

    A line that meets what is already there is left out and does not keep the others from being made: DO NOTHING without
    a target covers the exclusion constraint too. An extra session (not `is_scheduled`) is refused (Exists, SlotsOverlap).
    """
    with referee(constraints.REFEREES):
        rows = await tx.fetch(
            """
            INSERT INTO slots (service, place_id, community, resource_no, is_exclusive_resource, title, starts_at, ends_at,
                               capacity, opens_at, closes_at, cancel_by, offline_until, policy_id, offline_share, min_age,
                               max_age, regions, level, needs_guardian, is_waitable, is_exclusive, is_scheduled)
            SELECT p.service, p.id, p.community, w.resource_no, w.is_exclusive, w.title, w.starts_at, w.ends_at, w.capacity,
                   w.opens_at, w.closes_at, w.cancel_by, w.offline_until, $6, $7, $8, $9, $10, $11, $12, $13, $14, $21
            FROM places p, unnest($15::bigint[], $16::bool[], $17::text[], $18::timestamptz[], $19::timestamptz[],
                                  $20::int[], $2::timestamptz[], $3::timestamptz[], $4::timestamptz[], $5::timestamptz[])
                AS w(resource_no, is_exclusive, title, starts_at, ends_at, capacity, opens_at, closes_at, cancel_by,
                     offline_until)
            WHERE p.id = $1
            ORDER BY w.starts_at, w.resource_no
            """
            + ("ON CONFLICT DO NOTHING " if is_scheduled else "")
            + "RETURNING id",
            place_id,
            *_ruled(policy_id, rules, instants),
            [one.resource_no for one in wanted],
            [one.is_exclusive for one in wanted],
            [one.title for one in wanted],
            [one.starts_at for one in wanted],
            [one.ends_at for one in wanted],
            [one.capacity for one in wanted],
            is_scheduled,
        )
    return [row[0] for row in rows]
