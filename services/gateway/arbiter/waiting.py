"""Those who wait are served in order as places come free.

An ask on a waiting list has no request of its own any more: its body was kept, sealed, and is sent through the same way
as when it came in. Whoever cannot be given everything is passed over and keeps the rank; whoever may not have it any
more is told why and leaves the list. A crash anywhere leaves the rank: holds lapse, and the next round begins anew.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, NamedTuple

from services.gateway.arbiter import sql
from services.gateway.arbiter.asked import Asked, Outcome
from services.gateway.arbiter.rules import Granted, Refused, Replayed
from shared import claims, notices
from shared.db import Database, Tx
from shared.line import Line
from shared.notices import Notice

_AT_ONCE = 200


class Due(NamedTuple):
    """One ask whose turn may have come."""

    group_id: uuid.UUID
    account_no: int
    key: str
    community: str
    holders: Sequence[int]
    row: Any


Prepare = Callable[[Any], Awaitable[Asked | None]]
"""Makes the ask that a waiting row stands for; None when its body cannot be read any more."""
Settle = Callable[[Asked, Outcome], Awaitable[str | None]]
"""Has the service confirm a grant: None when it did, `unanswered` to try again later, else why it refused."""


async def due(tx: Tx, after: int) -> tuple[list[Due], int | None]:
    """The next asks whose turn may have come, in order, and the rank to go on from; None when these were the last."""
    rows = await sql.turns(tx, after, _AT_ONCE)
    found: dict[uuid.UUID, Due] = {}
    for row in rows:
        found.setdefault(
            row["group_id"],
            Due(row["group_id"], row["account_no"], row["key"], row["community"], row["holders"], row),
        )
    return list(found.values()), rows[-1]["no"] if len(rows) == _AT_ONCE else None


async def serve(db: Database, line: Line[Asked, Outcome], prepare: Prepare, settle: Settle) -> int:
    """One round over everybody whose turn may have come, to the end of the lists; how many left them."""
    left = 0
    after: int | None = 0
    while after is not None:
        turns, after = await db.read(due, after)
        left += await _serve(db, line, turns, prepare, settle)
    return left


async def _serve(
    db: Database, line: Line[Asked, Outcome], turns: Sequence[Due], prepare: Prepare, settle: Settle
) -> int:
    prepared = [(turn, await prepare(turn.row)) for turn in turns]
    for turn, asked in prepared:
        if asked is None:
            await db.run(leave, turn, "lost", "unreadable")
    asks = [(turn, asked) for turn, asked in prepared if asked is not None]
    # All stand in line before the first is answered, so they are decided in the order of their rank.
    outcomes = await asyncio.gather(*(line.submit(asked) for _, asked in asks), return_exceptions=True)
    # Confirmed together, as the service's own line groups them: a hold must not lapse behind its neighbours.
    settled = await asyncio.gather(
        *(_settled(settle, asked, outcome) for (_, asked), outcome in zip(asks, outcomes, strict=True))
    )
    left = len(prepared) - len(asks)
    for (turn, _), outcome, refused in zip(asks, outcomes, settled, strict=True):
        if isinstance(outcome, BaseException):
            continue  # the line was full or the database away: the next round
        decision = outcome.decision
        if isinstance(decision, Granted):
            if refused == "unanswered":
                continue
            await db.run(leave, turn, "granted" if refused is None else "lost", refused)
        elif isinstance(decision, Replayed) and decision.state == "confirmed":
            await db.run(leave, turn, "granted", None)
        elif isinstance(decision, Refused) and decision.code not in ("in_flight", "full", "held"):
            await db.run(leave, turn, "lost", decision.code)
        else:
            continue
        left += 1
    return left


async def _settled(settle: Settle, asked: Asked, outcome: Outcome | BaseException) -> str | None:
    if isinstance(outcome, Outcome) and isinstance(outcome.decision, Granted):
        return await settle(asked, outcome)
    return None


async def leave(tx: Tx, turn: Due, state: str, reason: str | None) -> None:
    """Take an ask off its lists, remember what became of it, and tell its people when it came to nothing."""
    slots = await sql.waiting_slots(tx, turn.group_id)
    await claims.lock_slots(tx, slots)
    if not await sql.leave_lists(tx, [turn.group_id]):
        return
    if state == "granted":
        await sql.set_ask_granted(tx, turn.group_id, turn.account_no, turn.key)
    else:
        await sql.set_ask_ended(
            tx, sql.Ended(turn.group_id, turn.account_no, turn.key, "lost", reason or "lost", slots, turn.holders)
        )
        lost = Notice(
            "ledger.ask.lost",
            turn.community,
            turn.group_id,
            tuple(turn.holders),
            {"service": turn.row["service"], "slots": slots, "reason": reason},
        )
        await notices.announce(tx, [lost])
