"""Reading notices by position: with a cursor of one's own, or under a name with a lease and a commit."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final, Literal, NamedTuple

from services.partners import rules
from services.partners.actions import reach
from services.partners.sql import reading as sql
from shared import clock, errors, notices, wire
from shared.assertion import Caller
from shared.db import Database, Tx

WINDOW: Final = 5000
"""Positions looked through at most in one look: a reader of something rare gets on, too."""
LOOKS_EVERY: Final = 0.5
"""Seconds between two looks of somebody who waits; the relay stamps once a second."""


class Wanted(NamedTuple):
    """What somebody wants to read."""

    after: int | Literal["latest"] | None
    types: tuple[str, ...]
    community: str
    limit: int


class Found(NamedTuple):
    """What there was, as it is told; the position to go on behind, and whether that is all for now."""

    items: Sequence[dict[str, Any]]
    next: int
    done: bool


async def poll(db: Database, caller: Caller, wanted: Wanted, wait: float, stopping: asyncio.Event) -> Found:
    """What there is behind a position; waits for it where asked to, but no longer than the server runs."""
    until = time.monotonic() + wait
    while True:
        async with db.transaction(read_only=True, same_plans=True) as tx:
            found = await look(tx, caller, wanted)
        if found.items or (found.done and (stopping.is_set() or time.monotonic() >= until)):
            return found
        wanted = wanted._replace(after=found.next)
        if found.done:
            await clock.pause(min(LOOKS_EVERY, until - time.monotonic()), stopping)


async def look(tx: Tx, caller: Caller, wanted: Wanted) -> Found:
    """One look. Refuses a position whose followers are no longer kept, or that was never given."""
    ways = await reach.of(tx, caller)
    bounds = await sql.bounds(tx)
    head, after = bounds["head"], wanted.after
    if after == "latest":
        return Found([], head, done=True)
    after = bounds["floor"] if after is None else after
    if after < bounds["floor"]:
        raise errors.Gone(oldest=bounds["floor"])
    if after > head:
        raise errors.Unprocessable.at("/after", "ahead", where="query")
    return await _between(tx, after, head, wanted, ways)


async def _between(tx: Tx, after: int, head: int, wanted: Wanted, ways: Sequence[reach.Reach]) -> Found:
    until = min(after + WINDOW, head)
    if after >= head:
        return Found([], after, done=True)
    rows = await sql.look(
        tx,
        after=after,
        until=until,
        pattern=rules.pattern(wanted.types),
        community=wanted.community,
        reach=[one.filter for one in ways],
        limit=wanted.limit,
    )
    behind = rows[-1]["position"] if len(rows) == wanted.limit else until
    items, bound = [], []
    for position, id_, type_, occurred_at, community, subject, data, places in rows:
        one = {
            "position": position,
            "id": id_,
            "type": type_,
            "occurred_at": clock.local(occurred_at),
            "community": community,
            "subject": subject,
            "data": wire.Written(data),
        }
        items.append(one)
        if places:
            bound.append((one, wire.loads(data), places))
    told = await notices.parts(tx, [(data, places) for _, data, places in bound])
    for (one, _, _), data in zip(bound, told, strict=True):
        one["data"] = data
    return Found(items, behind, behind >= head)


async def put_consumer(
    tx: Tx, caller: Caller, name: str, types: tuple[str, ...], community: str | None, start: str
) -> tuple[Any, bool]:
    """Make a reader, or change its filters; whether it is new."""
    ways = await reach.of(tx, caller)
    told, community = community, community if community is not None else ways[0].filter.prefix
    if not any(community.startswith(one.filter.prefix) for one in ways):
        raise errors.NotInScope
    if told is not None and not await sql.is_region(tx, told):
        raise errors.Unprocessable.at("/community", "unknown_region")
    reach.some_of(ways, types)
    bounds = await sql.bounds(tx)
    position = bounds["head"] if start == "latest" else bounds["floor"]
    row = await sql.put_consumer(tx, caller.known(), name, types, community, position)
    return row, row["is_new"]


async def consumer(tx: Tx, caller: Caller, name: str) -> Any:
    """One of the caller's readers."""
    row = await sql.consumer(tx, caller.known(), name)
    if row is None:
        raise errors.NotThere
    return row


async def consumers(tx: Tx, caller: Caller, after: str, limit: int) -> Sequence[Any]:
    """The caller's readers by name."""
    return await sql.consumers(tx, caller.known(), after, limit)


async def delete_consumer(tx: Tx, caller: Caller, name: str) -> None:
    """Forget a reader."""
    if not await sql.delete_consumer(tx, caller.known(), name):
        raise errors.NotThere


class Lent(NamedTuple):
    """Notices that are somebody's for a while; no lease where there were none."""

    lease: uuid.UUID | None
    items: Sequence[Any]
    expires_at: datetime | None


async def lend(tx: Tx, caller: Caller, name: str, *, limit: int, seconds: int) -> Lent:
    """Lend a reader what comes next. One worker at a time; what is not committed in time is lent again."""
    ways = await reach.of(tx, caller)
    row = await sql.consumer(tx, caller.known(), name, locked=True)
    if row is None:
        raise errors.NotThere
    if row["leased_until"] is not None and row["leased_until"] > row["now"]:
        left = (row["leased_until"] - row["now"]).total_seconds()
        raise errors.Leased(retry_after=left, until=row["leased_until"])
    bounds = await sql.bounds(tx)
    if row["position"] < bounds["floor"]:
        raise errors.Gone(oldest=bounds["floor"])
    wanted = Wanted(row["position"], tuple(row["types"]), row["community"], limit)
    while True:
        found = await _between(tx, wanted.after or 0, bounds["head"], wanted, ways)  # type: ignore[arg-type]
        if found.items or found.done:
            break
        wanted = wanted._replace(after=found.next)
    if not found.items:
        await sql.advance(tx, row["id"], found.next, ends=True)  # nothing in between was theirs
        return Lent(None, (), None)
    lease = clock.uuid7()
    last = found.items[-1]["position"]
    return Lent(lease, found.items, await sql.lend(tx, row["id"], lease, seconds, last))


async def commit(tx: Tx, caller: Caller, name: str, lease: uuid.UUID, position: int) -> Any:
    """Everything up to a position of this lease is dealt with; saying so again changes nothing."""
    row = await sql.consumer(tx, caller.known(), name, locked=True)
    if row is None:
        raise errors.NotThere
    if row["lease"] != lease:
        raise errors.LeaseLost
    if position <= row["position"]:
        return row
    if row["leased_until"] is None or row["leased_until"] <= row["now"]:
        raise errors.LeaseLost
    if position > row["leased_to"]:
        raise errors.Unprocessable.at("/position", "not_lent")
    return await sql.advance(tx, row["id"], position, ends=position == row["leased_to"])
