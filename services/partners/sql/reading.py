"""Questions of who reads on behind a position, and of readers known by name."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from services.partners.rules import Filter
from shared import regions
from shared.db import Tx

REACHED = """CASE WHEN {place} IS NULL THEN starts_with(n.community, {prefix})
    ELSE {place} = ANY(n.places) AND EXISTS (
        SELECT 1 FROM places p WHERE p.id = {place} AND starts_with(p.community, {prefix})) END"""
"""Whether a notice is within reach: below a region, or about something at a place there, wherever it begins."""
_FROM = "starts_with(n.community, {prefix}) OR (n.community, {prefix}) IN (SELECT old_code, prefix FROM former)"
"""Whether a notice was announced below this prefix, or under a code that ended and that a region below it follows."""
COVERED = f"""CASE WHEN {{place}} IS NULL THEN {_FROM} ELSE {REACHED} END"""
"""Whether a notice is within reach, also where it was announced under a code that ended."""


async def bounds(tx: Tx) -> Any:
    """`head`, the last position given, and `floor`, the last one that is no longer read (30 days)."""
    return await tx.row(
        """
        SELECT h.position AS head, coalesce((
            SELECT n.position - 1 FROM notices n
            WHERE n.position > p.forgotten AND n.occurred_at >= now() - interval '30 days'
            ORDER BY n.position LIMIT 1), h.position) AS floor
        FROM notice_head h, partner_head p
        """
    )


async def forget(tx: Tx) -> int:
    """Remember up to where nobody reads any more, so that finding it stays short."""
    found = await bounds(tx)
    return await tx.execute("UPDATE partner_head SET forgotten = $1 WHERE forgotten < $1", found["floor"])


async def look(
    tx: Tx, *, after: int, until: int, pattern: str, community: str, reach: Sequence[Filter], limit: int
) -> list[Any]:
    """Stamped notices in (after, until] that were asked for and are within reach, in their order.

    `data` is JSON text. `reached`: the places within reach that it is about; none is all of it. What was announced under a
    code that ended is read where its followers are.
    """
    ways = "unnest($5::text[], $6::text[], $7::uuid[]) AS f(prefix, pattern, place_id) WHERE n.type ~ f.pattern"
    # Notices come in their order before anything is compared, so that no more are than the page needs; and what is reached
    # is found once, not for the condition and again for the answer. That is what each OFFSET 0 is for.
    return await tx.fetch(
        f"""
        {regions.FORMER.format(prefixes="$5::text[] || $4::text")}
        SELECT n.position, n.id, n.type, n.occurred_at, n.community, n.subject, n.data::text, within.reached
        FROM (SELECT * FROM notices WHERE position > $1 AND position <= $2 ORDER BY position OFFSET 0) AS n
        CROSS JOIN LATERAL (
            SELECT CASE
                WHEN EXISTS (SELECT FROM {ways} AND f.place_id IS NULL AND ({_FROM.format(prefix="f.prefix")})) THEN '{{}}'
                ELSE (SELECT array_agg(f.place_id) FROM {ways} AND f.place_id IS NOT NULL
                      AND {REACHED.format(place="f.place_id", prefix="f.prefix")})
            END AS reached OFFSET 0) AS within
        WHERE n.type ~ $3 AND ({_FROM.format(prefix="$4")}) AND within.reached IS NOT NULL
        ORDER BY n.position LIMIT $8
        """,
        after,
        until,
        pattern,
        community,
        [one.prefix for one in reach],
        [one.pattern for one in reach],
        [one.place_id for one in reach],
        limit,
    )


_CONSUMER = "id, name, types, community, position, lease, leased_until, leased_to, now() AS now"


async def consumer(tx: Tx, account_no: int, name: str, *, locked: bool = False) -> Any | None:
    """One reader of an account, locked where it is to be changed."""
    return await tx.row(
        f"SELECT {_CONSUMER} FROM consumers WHERE account_no = $1 AND name = $2{' FOR UPDATE' if locked else ''}",
        account_no,
        name,
    )


async def consumers(tx: Tx, account_no: int, after: str, limit: int) -> list[Any]:
    """The readers of an account by name."""
    return await tx.fetch(
        f"SELECT {_CONSUMER} FROM consumers WHERE account_no = $1 AND name > $2 ORDER BY name LIMIT $3",
        account_no,
        after,
        limit,
    )


async def is_region(tx: Tx, community: str) -> bool:
    """Whether there is such a region."""
    return bool(await tx.value("SELECT EXISTS (SELECT FROM regions WHERE code = $1)", community))


async def put_consumer(tx: Tx, account_no: int, name: str, types: Sequence[str], community: str, position: int) -> Any:
    """Make a reader that begins behind a position; of one that is there, only the filters change."""
    return await tx.row(
        "INSERT INTO consumers (account_no, name, types, community, position) VALUES ($1, $2, $3, $4, $5) "
        "ON CONFLICT ON CONSTRAINT one_consumer_per_name DO UPDATE SET types = excluded.types, community = excluded.community "
        f"RETURNING {_CONSUMER}, xmax = 0 AS is_new",
        account_no,
        name,
        list(types),
        community,
        position,
    )


async def delete_consumer(tx: Tx, account_no: int, name: str) -> int:
    """Forget a reader."""
    return await tx.execute("DELETE FROM consumers WHERE account_no = $1 AND name = $2", account_no, name)


async def lend(tx: Tx, consumer_id: uuid.UUID, lease: uuid.UUID, seconds: int, leased_to: int) -> datetime:
    """Lend notices up to a position; until when."""
    until: datetime = await tx.value(
        "UPDATE consumers SET lease = $2, leased_until = now() + make_interval(secs => $3), leased_to = $4 "
        "WHERE id = $1 RETURNING leased_until",
        consumer_id,
        lease,
        seconds,
        leased_to,
    )
    return until


async def advance(tx: Tx, consumer_id: uuid.UUID, position: int, *, ends: bool) -> Any:
    """Everything up to a position is dealt with; the lease ends when nothing of it is left."""
    return await tx.row(
        "UPDATE consumers SET position = $2, leased_until = CASE WHEN $3 THEN NULL ELSE leased_until END, "
        f"leased_to = CASE WHEN $3 THEN NULL ELSE leased_to END WHERE id = $1 RETURNING {_CONSUMER}",
        consumer_id,
        position,
        ends,
    )
