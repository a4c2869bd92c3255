"""Drafting, publishing, changing and cancelling events.

Whoever edits an event locks its row first; its slots, the claims of its venue and own rows follow in the house's order.
Publishing finds the venue's claims confirmed and keeps them from being given back at that very moment; which of two events
has a venue is decided by the schema.
"""

from __future__ import annotations

import dataclasses
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

import structlog

from services.events import notices, rules, sql
from services.events.actions import faults
from services.events.rules import Description, Fault, Session
from services.events.sql.slots import Rule
from shared import claims, clock, errors
from shared.assertion import Caller
from shared.claims import Freed
from shared.db import Database, Tx
from shared.notices import announce
from shared.places import sql as places
from shared.texts import say

log = structlog.get_logger(__name__)

STAFF: Final = frozenset({"staff", "manager", "operator"})
"""Who organises events of a community."""

Matches = Callable[[object], None]
"""Refuses unless the caller read this version."""


async def _checked(tx: Tx, who: Caller, told: Description, place_id: uuid.UUID | None = None) -> int:
    """Refuse what no event could be; the number of the account that organises."""
    who.require(STAFF, told.community, place_id)
    faults.refuse(
        [
            *rules.overlapping(told.sessions),
            *rules.late_deadlines(told),
            *rules.question_faults(told.questions),
        ]
    )
    if told.regions and (unknown := await places.unknown_regions(tx, told.regions)):
        faults.refuse([Fault(f"/audience/regions/{told.regions.index(unknown[0])}", "unknown")])
    return who.known()


def _new(sessions: Sequence[Session]) -> list[Session]:
    return [one if one.id is not None else one._replace(id=clock.uuid7()) for one in sessions]


async def draft(tx: Tx, who: Caller, kind: str, told: Description) -> uuid.UUID:
    """A new event, seen by staff only."""
    account_no = await _checked(tx, who, told)
    faults.refuse(Fault(f"/sessions/{n}/id", "unknown") for n, one in enumerate(told.sessions) if one.id is not None)
    faults.refuse(rules.past(told.sessions, clock.now()))
    event_id = await sql.events.insert(tx, kind, account_no, told, rules.span(told.sessions))
    await sql.events.insert_sessions(tx, event_id, _new(told.sessions))
    return event_id


async def visible(tx: Tx, who: Caller, kind: str, event_id: uuid.UUID) -> tuple[Any, list[Session], bool]:
    """An event, its sessions, and whether the caller organises it; never published, it is there for nobody else."""
    event = await sql.events.event(tx, kind, event_id)
    is_staff = event is not None and who.may(STAFF, event["community"], event["place_id"])
    if event is None or not (event["was_published"] or is_staff):
        raise errors.NotThere
    return event, (await sql.events.sessions(tx, [event_id]))[event_id], is_staff


async def _locked(tx: Tx, who: Caller, kind: str, event_id: uuid.UUID) -> Any:
    """The event, locked, for somebody who organises it."""
    event = await sql.events.locked(tx, kind, event_id)
    if event is None:
        raise errors.NotThere
    if not who.may(STAFF, event["community"], event["place_id"]):
        if not event["was_published"] and who.account_no is not None:
            raise errors.NotThere
        who.require(STAFF, event["community"], event["place_id"])
    return event


async def replace(
    db: Database, who: Caller, kind: str, event_id: uuid.UUID, told: Description, matches: Matches
) -> None:
    """Say anew what an event is.

    A draft may become anything. Of what is published, the text, the seats, the deadlines and the questions (while nobody
    is registered) may change; sessions may be cancelled or added, and its venue exchanged for another claim at the same
    place. Those who had a place in a cancelled session are released and told.
    """
    if await db.run(_replace, who, kind, event_id, told, matches):
        await empty(db, event_id)


async def _replace(tx: Tx, who: Caller, kind: str, event_id: uuid.UUID, told: Description, matches: Matches) -> bool:
    event = await _locked(tx, who, kind, event_id)
    matches(event["version"])
    if event["state"] in ("cancelled", "held"):
        raise errors.Conflict(say("This event is over.", "该活动已结束。"))
    account_no = await _checked(tx, who, told, event["place_id"])
    before = (await sql.events.sessions(tx, [event_id]))[event_id]
    if event["state"] == "draft":
        known = {one.id for one in before}
        strange = [n for n, one in enumerate(told.sessions) if one.id is not None and one.id not in known]
        faults.refuse(Fault(f"/sessions/{n}/id", "unknown") for n in strange)
        faults.refuse(rules.past(told.sessions, clock.now()))
        await sql.events.update(tx, event_id, told, rules.span(told.sessions), state="draft")
        await sql.events.delete_sessions(tx, event_id)
        await sql.events.insert_sessions(tx, event_id, _new(told.sessions))
        return False
    return await _change(tx, event, before, told, account_no)


async def _change(tx: Tx, event: Any, before: list[Session], told: Description, account_no: int) -> bool:
    """Change what is published; whether somebody is to be released."""
    now = clock.now()
    told = dataclasses.replace(told, sessions=rules.recognised(before, told.sessions))
    found, gone, added = rules.replaced(before, told.sessions, now)
    faults.refuse([*found, *_fixed(event, told, now)])
    added = _new(added)
    named = {one.id: one.title for one in told.sessions}
    kept = [
        one._replace(is_cancelled=one.is_cancelled or one.id in gone, title=named.get(one.id, one.title))
        for one in before
    ]
    whole = [*kept, *added]
    slots = await sql.slots.slots(tx, event["id"])
    await claims.lock_slots(tx, (one.id for one in slots))
    slots = await sql.slots.slots(tx, event["id"])  # looked at again: they are locked now
    faults.refuse(_bound(event, told, slots))
    open_taken = [one.taken for one in slots if one.state == "open" and one.ends_at > now]
    if open_taken and told.seats < max(open_taken):
        raise errors.CapacityTaken.at("/seats", "capacity_taken", taken=max(open_taken))
    if added or told.venue_group_id != event["venue_group_id"]:
        await _venue(tx, event, told.venue_group_id, whole, account_no, now)
    if _is_same(event, before, told, gone=gone, added=added):
        tx.discard()
        return False
    await sql.events.update(tx, event["id"], told, rules.span(whole), state="changed")
    changed = {**dict(event), **{name: getattr(told, name) for name in _PLAIN}}
    await sql.events.cancel_sessions(tx, gone)
    await sql.slots.cancel(tx, gone)
    await sql.events.name_sessions(tx, kept)
    to_come = [one for one in kept if not one.is_cancelled and one.starts_at > now]
    if to_come:
        await sql.slots.rule(tx, changed, _rules(changed, to_come))
    if added:
        await sql.events.insert_sessions(tx, event["id"], added)
        await sql.slots.insert(tx, changed, event["place_id"], _rules(changed, added))
    await announce(tx, [notices.event_changed(changed, await sql.slots.registered(tx, event["id"]))])
    return bool(gone)


_PLAIN: Final = (
    "title",
    "title_en",
    "text",
    "seats",
    "opens_at",
    "closes_at",
    "cancel_by",
    "is_waitable",
    "venue_group_id",
)
"""What may change of an event that is published, besides its sessions and questions."""


def _is_same(
    event: Any, before: Sequence[Session], told: Description, *, gone: Sequence[Any], added: Sequence[Session]
) -> bool:
    titles = {one.id: one.title for one in before}
    return (
        not gone
        and not added
        and all(event[name] == getattr(told, name) for name in _PLAIN)
        and list(event["questions"]) == list(told.questions)
        and all(titles.get(one.id) == one.title for one in told.sessions)
    )


def _fixed(event: Any, told: Description, now: datetime) -> list[Fault]:
    """What the body says otherwise of what was promised."""
    found = [Fault("/community", "fixed")] if told.community != event["community"] else []
    plain = ("min_age", "max_age", "level", "needs_guardian")
    found += [Fault(f"/audience/{name}", "fixed") for name in plain if event[name] != getattr(told, name)]
    if (tuple(event["regions"]) if event["regions"] is not None else None) != told.regions:
        found.append(Fault("/audience/regions", "fixed"))
    was_open = event["opens_at"] is None or event["opens_at"] <= now
    if was_open and told.opens_at != event["opens_at"] and told.opens_at is not None and told.opens_at > now:
        found.append(Fault("/opens_at", "fixed"))
    return found


def _bound(event: Any, told: Description, slots: Sequence[sql.slots.Slot]) -> list[Fault]:
    """Questions stay as they are while somebody has answered them, or waits with answers."""
    is_asked = any(one.taken or one.waiting for one in slots if one.state == "open")
    return [Fault("/questions", "fixed")] if is_asked and list(event["questions"]) != list(told.questions) else []


async def _venue(
    tx: Tx, event: Any, group_id: uuid.UUID | None, sessions: Sequence[Session], account_no: int, now: datetime
) -> uuid.UUID:
    """The place of a venue that covers every session to come; refuses when there is none."""
    to_come = [one for one in sessions if not one.is_cancelled and one.ends_at > now]
    had = await sql.events.venue(tx, group_id, account_no, event["community"]) if group_id is not None else []
    if not rules.covers(had, to_come):
        raise errors.VenueMissing.at("/venue_group_id", "venue_missing")
    place_id: uuid.UUID = had[0].place_id
    if event["place_id"] is not None and event["place_id"] != place_id:
        faults.refuse([Fault("/venue_group_id", "fixed")])
    return place_id


def _rules(event: Mapping[str, Any], sessions: Iterable[Session]) -> list[Rule]:
    return [
        Rule(
            one.id,
            one.starts_at,
            one.ends_at,
            rules.slot_title(event["title"], one.title),
            event["opens_at"],
            rules.closing(event["closes_at"], one.starts_at),
            event["cancel_by"],
        )
        for one in sessions
    ]


async def publish(tx: Tx, who: Caller, kind: str, event_id: uuid.UUID) -> None:
    """Make a draft known: its venue is had, its sessions become slots."""
    event = await _locked(tx, who, kind, event_id)
    if event["state"] != "draft":
        raise errors.Conflict(say("Only a draft can be published.", "只有草稿可以发布。"))
    sessions = (await sql.events.sessions(tx, [event_id]))[event_id]
    now = clock.now()
    if over := [*rules.past(sessions, now), *rules.past_deadlines(event["closes_at"], event["cancel_by"], now)]:
        raise errors.Conflict(
            say("A session or a deadline is over already.", "有场次或期限已经过期。"), errors=faults.named(over)
        )
    place_id = await _venue(tx, event, event["venue_group_id"], sessions, who.known(), now)
    await sql.events.publish(tx, event_id, place_id)
    if await sql.slots.insert(tx, event, place_id, _rules(event, sessions)) != len(sessions):
        raise LookupError(place_id)  # a place has a policy from its first day
    await announce(tx, [notices.event_published(event)])


async def cancel(db: Database, who: Caller, kind: str, event_id: uuid.UUID, reason: str) -> None:
    """Call an event off.

    First, in one transaction, its sessions are claimed no more; then those who have a place are released and told, in
    small transactions that keep nobody waiting. What a crash leaves is done by `finish`. Whoever waits hears it from the
    waiting list. Its venue stays booked: the organiser is told that it may be given back. Of a draft that is called off
    nobody hears.
    """
    if await db.run(_begin_cancelling, who, kind, event_id, reason):
        await empty(db, event_id)


async def _begin_cancelling(tx: Tx, who: Caller, kind: str, event_id: uuid.UUID, reason: str) -> bool:
    event = await _locked(tx, who, kind, event_id)
    if event["state"] == "cancelled":
        tx.discard()
        return True
    if event["state"] == "held":
        raise errors.Conflict(say("This event is over.", "该活动已结束。"))
    ids = [one.id for one in await sql.slots.slots(tx, event_id)]
    await claims.lock_slots(tx, ids)
    await sql.slots.cancel(tx, ids)
    await sql.events.cancel(tx, event_id, reason)
    if event["was_published"]:
        organiser = await sql.events.organiser(tx, event["account_no"])
        await announce(tx, [notices.event_cancelled(event, organiser)])
    return bool(ids)


async def empty(db: Database, event_id: uuid.UUID) -> int:
    """Release everybody from the cancelled sessions of an event, some groups a transaction; how many claims.

    The cancellation stands already: what cannot be done at this moment is left to the next `finish`.
    """
    released = 0
    try:
        while some := await db.run(_release_some, event_id):
            released += some
    except errors.Unavailable as error:
        log.warning("event is not empty yet", event_id=str(event_id), reason=type(error).__name__)
    return released


async def _release_some(tx: Tx, event_id: uuid.UUID) -> int:
    slot_ids = await sql.slots.taken_though_cancelled(tx, event_id)
    await claims.lock_slots(tx, slot_ids)
    claimed = await sql.slots.releasable(tx, slot_ids) if slot_ids else []
    state = await sql.slots.state(tx, event_id)
    if not claimed or state is None:
        tx.discard()
        return 0
    reason = "event_cancelled" if state == "cancelled" else "session_cancelled"
    freed = await claims.free(tx, [one.id for one in claimed], state="released", reason=reason)
    by_id = {one.id: one for one in claimed}
    groups: dict[uuid.UUID, list[Freed]] = {}
    for one in sorted(freed, key=lambda one: by_id[one.id].starts_at):
        if one.resource_id is not None:  # who was only being granted a seat hears it as the answer
            groups.setdefault(one.group_id, []).append(one)
    await announce(
        tx,
        [
            notices.seats_freed(by_id[several[0].id].community, by_id[several[0].id].starts_at, several, reason)
            for several in groups.values()
        ],
    )
    return len(freed)


async def finish(db: Database) -> int:
    """Release whoever still has a place in a session that was cancelled; how many claims.

    Does what a crash left undone. Idempotent, and safe twice at once: each step locks the slots and looks again.
    """
    released = 0
    for event_id in await db.read(sql.slots.unfinished):
        released += await empty(db, event_id)
    return released


async def watch_venues(db: Database) -> int:
    """Tell organisers, once, of venues that were lost; how many."""
    lost = 0
    for event_id in await db.read(sql.events.with_weak_venues):
        lost += await db.run(_watch, event_id)
    return lost


async def _watch(tx: Tx, event_id: uuid.UUID) -> int:
    event = await sql.events.watched(tx, event_id)
    sessions = (await sql.events.sessions(tx, [event_id]))[event_id]
    to_come = [one for one in sessions if not one.is_cancelled and one.ends_at > clock.now()]
    if event is None or rules.covers(await sql.events.still_had(tx, event["venue_group_id"]), to_come):
        tx.discard()  # what was given back was more than it needs
        return 0
    await sql.events.lose_venue(tx, event_id)
    organiser = await sql.events.organiser(tx, event["account_no"])
    await announce(tx, [notices.venue_lost(event, organiser)])
    return 1
