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
from services.gateway.arbiter.line import Asked, Outcome
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


async def due(tx: Tx) -> list[Due]:
    """Asks for which all their lists' slots have room, or that nobody can grant any more; in order.

    Whoever cannot be served now is not looked at, so that many of them never hide those behind them.
    """
    rows = await tx.fetch(
        """
        SELECT w.group_id, w.account_no, w.key, s.community, w.holders, w.slot_id, w.channel, w.body, s.service,
               a.id AS account_id, h.no AS holder_no, h.id AS person_id, h.name, k.fingerprint
        FROM slots s JOIN waits w ON w.slot_id = s.id JOIN accounts a ON a.no = w.account_no
        LEFT JOIN holders h ON h.id = a.person_id LEFT JOIN asks k ON k.account_no = w.account_no AND k.key = w.key
        WHERE s.waiting > 0
          AND (s.state <> 'open' OR s.closes_at <= now() OR NOT EXISTS (
                  SELECT 1 FROM waits x JOIN slots f ON f.id = x.slot_id WHERE x.group_id = w.group_id
                  AND f.taken + x.units > f.capacity AND (f.next_lapse IS NULL OR f.next_lapse > now())))
        ORDER BY w.no LIMIT $1
        """,
        _AT_ONCE,
    )
    found: dict[uuid.UUID, Due] = {}
    for row in rows:
        found.setdefault(
            row["group_id"],
            Due(row["group_id"], row["account_no"], row["key"], row["community"], row["holders"], row),
        )
    return list(found.values())


async def serve(db: Database, line: Line[Asked, Outcome], prepare: Prepare, settle: Settle) -> int:
    """One round over everybody whose turn may have come; how many left the lists."""
    turns = await db.read(due)
    prepared = [(turn, await prepare(turn.row)) for turn in turns]
    for turn, asked in prepared:
        if asked is None:
            await db.run(leave, turn, "lost", "unreadable")
    asks = [(turn, asked) for turn, asked in prepared if asked is not None]
    # All stand in line before the first is answered, so they are decided in the order of their rank.
    outcomes = await asyncio.gather(*(line.submit(asked) for _, asked in asks), return_exceptions=True)
    left = len(prepared) - len(asks)
    for (turn, asked), outcome in zip(asks, outcomes, strict=True):
        if isinstance(outcome, BaseException):
            continue  # the line was full or the database away: the next round
        decision = outcome.decision
        if isinstance(decision, Granted):
            refused = await settle(asked, outcome)
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


async def leave(tx: Tx, turn: Due, state: str, reason: str | None) -> None:
    """Take an ask off its lists, remember what became of it, and tell its people when it came to nothing."""
    slots = await tx.fetch("SELECT slot_id FROM waits WHERE group_id = $1", turn.group_id)
    await claims.lock_slots(tx, [row[0] for row in slots])
    if not await sql.leave_lists(tx, [turn.group_id]):
        return
    await tx.execute(
        "UPDATE asks SET state = $4, reason = $5 WHERE account_no = $1 AND key = $2 AND group_id = $3",
        turn.account_no,
        turn.key,
        turn.group_id,
        state,
        reason,
    )
    if state == "lost":
        lost = Notice(
            "ledger.ask.lost",
            turn.community,
            turn.group_id,
            tuple(turn.holders),
            {"slots": [row[0] for row in slots], "reason": reason},
        )
        await notices.announce(tx, [lost])
