"""A place is shut for a time, and opened again."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import structlog

from shared import claims, clock, errors, notices
from shared.assertion import Caller
from shared.db import Database, Tx
from shared.notices import Notice
from shared.places import rules, sql
from shared.places.actions.following import follow, rule, written_policy
from shared.places.actions.permission import STAFF, held_place
from shared.texts import say

log = structlog.get_logger(__name__)

CHUNK: Final = 200
"""Claims released in one transaction of a closure."""


@dataclass(frozen=True, slots=True)
class Closing:
    """What a closure does, or would do: so many slots closed, so many claims released."""

    slots: int
    released: int
    id: uuid.UUID | None = None


async def foresee_closure(
    tx: Tx, who: Caller, service: str, place_id: uuid.UUID, starts_at: datetime, ends_at: datetime
) -> Closing:
    """What a closure would do. Changes nothing."""
    place = await sql.place(tx, service, place_id)
    if place is None:
        raise errors.NotThere
    if not who.keeps(place_id):
        who.require(STAFF, place.community, place_id)
    affected = await sql.slots_during(tx, place_id, starts_at, ends_at)
    return Closing(len(affected), sum(one.claims for one in affected))


async def close_place(
    db: Database, who: Caller, service: str, place_id: uuid.UUID, starts_at: datetime, ends_at: datetime, reason: str
) -> Closing:
    """Shut a place for a time.

    First, in one transaction, the closure is written and its slots are closed, so that nobody comes in any more; then
    those who have a place are released and told, slot by slot, in small transactions that keep nobody waiting. What a
    crash leaves is done by `finish_closures`. Sent twice, it is one closure.
    """
    closure_id, slots = await db.run(_begin_closure, who, service, place_id, starts_at, ends_at, reason)
    for slot_id in slots:
        await _empty(db, slot_id)
    # Counted on the closure itself: the worker may have released some of them meanwhile.
    made = await db.read(sql.closure, place_id, closure_id)
    if made is None:  # somebody has taken it back already
        raise errors.NotThere
    return Closing(made.slots, made.released, closure_id)


async def _begin_closure(
    tx: Tx, who: Caller, service: str, place_id: uuid.UUID, starts_at: datetime, ends_at: datetime, reason: str
) -> tuple[uuid.UUID, list[uuid.UUID]]:
    await held_place(tx, who, STAFF, service, place_id, keepers=True)
    stands = await sql.same_closure(tx, place_id, starts_at, ends_at, reason)
    if stands is not None:
        tx.discard()
        return stands, []
    closure_id = await sql.insert_closure(tx, place_id, starts_at, ends_at, reason, who.account_id)
    affected = [one.id for one in await sql.slots_during(tx, place_id, starts_at, ends_at)]
    await claims.lock_slots(tx, affected)
    closed = await sql.close_slots(tx, affected)
    await sql.count_closure(tx, closure_id, slots=len(closed))
    return closure_id, closed


async def _empty(db: Database, slot_id: uuid.UUID) -> int:
    """Release everybody from a closed slot, a chunk a transaction; how many claims this call released.

    The closure stands already: what cannot be done at this moment is left to the next `finish_closures`.
    """
    released = 0
    try:
        while chunk := await db.run(_release_chunk, slot_id):
            released += chunk
    except errors.Unavailable as error:
        log.warning("slot is not empty yet", slot=str(slot_id), reason=type(error).__name__)
    return released


async def _release_chunk(tx: Tx, slot_id: uuid.UUID) -> int:
    await claims.lock_slots(tx, [slot_id, *await sql.beside(tx, slot_id)])
    slot = await sql.shut(tx, slot_id)
    ids = await sql.releasable(tx, slot_id, CHUNK) if slot is not None else []
    if slot is None or not ids:
        tx.discard()
        return 0
    freed = await claims.free(tx, ids, state="released", reason="closed")
    holders: dict[uuid.UUID, list[int]] = {}
    for one in freed:
        if one.slot_id == slot_id:  # a dish goes with its window, and is not told by itself
            holders.setdefault(one.group_id, []).append(one.holder_no)
    released = sum(map(len, holders.values()))
    data = {
        "reason": "closed",
        "slot_id": str(slot.id),
        "starts_at": clock.local(slot.starts_at).isoformat(),
        "closure": {"id": str(slot.closure_id) if slot.closure_id else None, "reason": slot.reason},
    }
    await notices.announce(
        tx,
        [
            Notice(f"{slot.service}.claim.released", slot.community, group_id, tuple(nos), data)
            for group_id, nos in holders.items()
        ],
    )
    if slot.closure_id is not None:
        await sql.count_closure(tx, slot.closure_id, released=released)
    return released


async def finish_closures(db: Database, service: str | None = None) -> int:
    """Release whoever still has a place in a slot that a closure or the calendar has closed; how many claims.

    Does what a crash between the steps of `close_place` left undone, and what a day that was closed needs. Idempotent, and safe twice at once: every chunk
    locks its slot and looks again.
    """
    released = 0
    for slot_id in await db.read(sql.unfinished, service):
        released += await _empty(db, slot_id)
    return released


async def take_back_closure(tx: Tx, who: Caller, service: str, place_id: uuid.UUID, closure_id: uuid.UUID) -> None:
    """Take back a closure that is not over: what it closed and has not begun opens again, unless something else shuts it.

    Who was released is not put back; who had not been released yet keeps the place.
    """
    await held_place(tx, who, STAFF, service, place_id, keepers=True)
    closure = await sql.closure(tx, place_id, closure_id)
    if closure is None:
        raise errors.NotThere
    now = clock.now()
    if closure.ends_at <= now:
        raise errors.Conflict(say("That closure is over.", "该关闭时段已结束。"))
    closed = await sql.closed_slots(tx, place_id, closure.starts_at, closure.ends_at)
    # All that may change here at once, and in order, before the closure itself: the schedule is followed below.
    future = await sql.slots_after(tx, place_id, now)
    await claims.lock_slots(tx, [*(one.id for one in closed), *(one.id for one in future)])
    await sql.delete_closure(tx, closure_id)
    others = await sql.closure_windows(tx, place_id, now)
    # What the schedule made follows it, the calendar included; the rest has nothing else to follow.
    back = [one for one in closed if not one.is_scheduled and not rules.is_shut(one.starts_at, one.ends_at, others)]
    await sql.open_slots(tx, [one.id for one in back])
    policy, policy_id = await written_policy(tx, place_id)
    await follow(tx, place_id, clock.today())
    opened = [one.id for one in closed if not one.is_about]
    await rule(tx, opened, policy, policy_id)
