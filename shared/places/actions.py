"""What is done to places. One use, one transaction; only closing a place takes several, and may be finished by anybody.

Whoever edits a place, its schedule, its policy or its slots holds the place's row first; slots, claims and closures follow
in the one order of the house.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from typing import Final

import asyncpg
import structlog

from shared import claims, clock, days, errors, notices
from shared.assertion import Caller
from shared.db import Database, Tx
from shared.notices import Notice
from shared.places import rules, sql
from shared.places.rules import Line, Planned, Policy, Resource, Terms, Wanted
from shared.texts import say

log = structlog.get_logger(__name__)

OWNERS: Final = frozenset({"manager", "operator"})
"""Who says what a place is, when it is open and by which rules."""
STAFF: Final = frozenset({"staff", "manager", "operator"})
"""Who runs it from day to day: extra sessions, closures, and the sheet of who comes."""
READERS: Final = STAFF | {"kitchen", "carer", "volunteer"}
"""Who may see a day's sheet of a place their role reaches."""
CHUNK: Final = 200
"""Claims released in one transaction of a closure."""

Matches = Callable[[object], None]
"""Refuses unless the caller read this version."""


@dataclass(frozen=True, slots=True)
class Description:
    """What a place is said to be. Resources without `no` are matched by id, then by name, else they are new."""

    kind: str
    name: str
    name_en: str | None
    community: str
    address: str | None
    lat: float | None
    lon: float | None
    resources: tuple[tuple[uuid.UUID | None, Resource], ...]

    @property
    def values(self) -> tuple[object, ...]:
        """The columns of the place itself."""
        return self.kind, self.name, self.name_en, self.community, self.address, self.lat, self.lon


def wrong(pointer: str, code: str) -> errors.Unprocessable:
    """One thing in the body is wrong."""
    return errors.Unprocessable(errors=[{"in": "body", "pointer": pointer, "code": code}])


async def create_place(tx: Tx, who: Caller, service: str, told: Description) -> uuid.UUID:
    """A new place with its resources, under the house's default policy until it is given its own."""
    who.require(OWNERS, told.community)
    place_id = await sql.insert_place(tx, service, told.values)
    resources = _resources(told, ())
    await sql.write_resources(tx, place_id, resources, ())
    await sql.insert_policy(tx, place_id, 1, Policy(), who.account_id)
    return place_id


async def replace_place(
    tx: Tx, who: Caller, service: str, place_id: uuid.UUID, told: Description, matches: Matches
) -> None:
    """Say anew what a place is.

    A resource that has slots can neither be removed nor change between exclusive and shared, and a place that has slots
    stays in its community: what was promised to people hangs on both. A new capacity applies to slots made later and to
    those of the schedule that nobody has touched.
    """
    place = await _place(tx, who, OWNERS, service, place_id)
    matches(place.version)
    if told.community != place.community:
        who.require(OWNERS, told.community, place_id)
        if await sql.has_slots(tx, place_id):
            raise errors.Conflict(
                say("A place that has slots stays in its community.", "已有场次的场所不能更换所属社区。")
            )
    resources = _resources(told, place.resources)
    kept = {one.no for one in resources}
    gone = [one.no for one in place.resources if one.no is not None and one.no not in kept]
    used = await sql.resources_with_slots(tx, place_id)
    if used & set(gone):
        raise errors.Conflict(say("A resource that has slots cannot be removed.", "已有场次的场地不能删除。"))
    before = {one.no: one for one in place.resources}
    if any(one.no in used and one.is_exclusive != before[one.no].is_exclusive for one in resources):
        raise errors.Conflict(
            say(
                "A resource that has slots cannot change between exclusive and shared.",
                "已有场次的场地不能在独占与共享之间更改。",
            )
        )
    schedule = await sql.schedule(tx, place_id)
    if faults := rules.faults(schedule.lines, {one.id: one for one in resources}):
        raise errors.Conflict(
            say("The schedule does not fit these resources; change it first.", "排班与这些场地不符，请先修改排班。"),
            errors=[
                {"in": "schedule", "pointer": f"/lines/{one.line}/{one.field}", "code": one.code} for one in faults
            ],
        )
    await sql.update_place(tx, place_id, told.values)
    await sql.write_resources(tx, place_id, resources, gone)
    await _follow(tx, place_id, clock.today(), former=(schedule.lines, place.resources))


def _resources(told: Description, existing: Sequence[Resource]) -> list[Resource]:
    by_id = {one.id: one for one in existing}
    by_name = {one.name: one for one in existing}
    named = {one for one, _ in told.resources}
    found = []
    for n, (wanted_id, one) in enumerate(told.resources):
        known = by_id.get(wanted_id) if wanted_id is not None else by_name.get(one.name)
        if wanted_id is not None and known is None:
            raise wrong(f"/resources/{n}/id", "unknown")
        if wanted_id is None and known is not None and known.id in named:
            known = None  # the one of this name is being renamed in the same breath
        found.append(replace(one, id=known.id, no=known.no) if known is not None else one)
    return found


async def _place(tx: Tx, who: Caller, roles: frozenset[str], service: str, place_id: uuid.UUID) -> sql.Place:
    """The place, locked, for somebody whose role reaches it."""
    place = await sql.locked_place(tx, place_id, service)
    if place is None:
        raise errors.NotThere
    who.require(roles, place.community, place_id)
    return place


async def replace_schedule(
    tx: Tx,
    who: Caller,
    service: str,
    place_id: uuid.UUID,
    lines: Sequence[tuple[str, Line]],
    matches: Matches,
) -> None:
    """Write a place's lines anew (each with the name or id of its resource), and follow them at once.

    Future slots that the lines before these made and that no line makes any more are cancelled when nobody has a place in
    them or waits for one; the others stay, and so do extra sessions.
    """
    place = await _place(tx, who, OWNERS, service, place_id)
    before = await sql.schedule(tx, place_id)
    matches(before.version)
    known = {one.name: one.id for one in place.resources} | {str(one.id): one.id for one in place.resources}
    schedule = []
    for n, (resource, line) in enumerate(lines):
        if resource not in known:
            raise wrong(f"/lines/{n}/resource", "unknown")
        schedule.append(replace(line, resource=known[resource]))
    if faults := rules.faults(schedule, {one.id: one for one in place.resources}):
        raise errors.Unprocessable(
            errors=[
                {"in": "body", "pointer": f"/lines/{one.line}/{one.field}".rstrip("/"), "code": one.code}
                for one in faults[:50]
            ]
        )
    await sql.write_schedule(tx, place_id, before.version + 1, rules.schedule_body(schedule))
    await _follow(tx, place_id, clock.today(), former=(before.lines, place.resources))


async def replace_policy(
    tx: Tx, who: Caller, service: str, place_id: uuid.UUID, policy: Policy, matches: Matches
) -> None:
    """Give a place the next version of its policy.

    It applies to every open slot that has not begun, claimed or not: to when it opens, closes and may be cancelled, to
    whom it is for, and to the limits that are counted for it, since changes of rules are announced. It never moves a
    slot's own times, takes nobody's place away, and never shuts a slot again that is already open for booking.
    """
    await _place(tx, who, OWNERS, service, place_id)
    before = await _policy(tx, place_id)
    matches(before.version)
    regions = policy.audience.regions
    if regions and (unknown := await sql.unknown_regions(tx, regions)):
        raise wrong(f"/audience/regions/{regions.index(unknown[0])}", "unknown")
    policy_id = await sql.insert_policy(tx, place_id, before.version + 1, policy, who.account_id)
    now = clock.now()
    future = [one.id for one in await sql.slots_after(tx, place_id, now) if one.state == "open"]
    await claims.lock_slots(tx, future)
    ruled = await sql.openings(tx, future)
    terms = [
        rules.terms(policy, starts_at, rules.opens_anew(now, opens_at, _opens_at(policy, starts_at)))
        for _, starts_at, opens_at in ruled
    ]
    await sql.rule_slots(tx, [one[0] for one in ruled], terms, policy_id, policy)
    await _follow(tx, place_id, clock.today())


async def _policy(tx: Tx, place_id: uuid.UUID) -> sql.Ruling:
    found = await sql.policy(tx, place_id)
    if found is None:  # pragma: no cover - without a version there is always the default
        raise LookupError(place_id)
    return found


def _opens_at(policy: Policy, starts_at: datetime) -> datetime | None:
    opening = policy.opening(clock.local(starts_at).date())
    return clock.at(*opening) if opening is not None else None


def _terms(policy: Policy, wanted: Iterable[Wanted]) -> list[Terms]:
    return [rules.terms(policy, one.starts_at, _opens_at(policy, one.starts_at)) for one in wanted]


async def create_slot(  # noqa: PLR0913 - the fields of a session
    tx: Tx,
    who: Caller,
    service: str,
    place_id: uuid.UUID,
    *,
    resource: str,
    starts_at: datetime,
    ends_at: datetime,
    title: str,
    capacity: int | None,
) -> uuid.UUID:
    """One session beside the schedule, under the place's policy. No change of the schedule touches it."""
    place = await _place(tx, who, STAFF, service, place_id)
    on = next((one for one in place.resources if resource in (one.name, str(one.id))), None)
    if on is None or on.no is None:
        raise wrong("/resource", "unknown")
    if rules.is_shut(starts_at, ends_at, await sql.closure_windows(tx, place_id, starts_at)):
        raise errors.Closed(say("The place is closed at that time.", "该时段场所关闭。"))
    want = Wanted(on.no, starts_at, ends_at, title, on.capacity if capacity is None else capacity, on.is_exclusive)
    existing = await sql.slots_after(tx, place_id, starts_at - timedelta(seconds=1))
    way = [one.id for one in existing if one.state == "cancelled" and one.key == want.key]
    await claims.lock_slots(tx, way)
    await sql.displace_slots(tx, way)
    policy, policy_id = await _written_policy(tx, place_id)
    made = await sql.insert_slots(tx, place_id, [want], _terms(policy, [want]), policy_id, policy, or_nothing=False)
    return made[0]


async def _written_policy(tx: Tx, place_id: uuid.UUID) -> tuple[Policy, uuid.UUID]:
    """The policy in force, written down if it was only the default: slots name the version they stand under."""
    found = await _policy(tx, place_id)
    return found.policy, found.id or await sql.insert_policy(tx, place_id, 1, found.policy, None)


async def roll_out(tx: Tx, place_id: uuid.UUID, today: date) -> int:
    """Make the slots of a place's schedule over its policy's horizon that are not there yet; how many came.

    Nothing is made in the past, inside a closure, or on a day that is closed. What an earlier change of the schedule
    cancelled comes back when its line has come back. Idempotent, and safe twice at once.
    """
    place = await sql.locked_place(tx, place_id)
    if place is None or place.state != "open":
        return 0
    return await _follow(tx, place_id, today)


async def _follow(
    tx: Tx,
    place_id: uuid.UUID,
    today: date,
    *,
    former: tuple[Sequence[Line], Sequence[Resource]] | None = None,
) -> int:
    """Bring the slots of a locked place in line with its schedule; how many were made or came back."""
    place = await sql.locked_place(tx, place_id)
    schedule = await sql.schedule(tx, place_id)
    if place is None or not schedule.version:
        return 0
    policy, policy_id = await _written_policy(tx, place_id)
    now = max(clock.now(), clock.at(today, time()) - timedelta(microseconds=1))
    existing = await sql.slots_after(tx, place_id, now)
    horizon = [today + timedelta(days=n) for n in range(policy.days)]
    dates = sorted({*horizon, *(clock.local(one.starts_at).date() for one in existing if former)})
    stored = await sql.day_kinds(tx, dates[0], dates[-1])
    closures = await sql.closure_windows(tx, place_id, now)
    resources = {one.id: one for one in place.resources}
    planned = [
        one
        for day in dates
        for one in rules.lines_on(schedule.lines, day, stored.get(day) or days.provisional(day).kind)
    ]
    wanted = [
        one
        for one in _wanted(planned, resources)
        if one.starts_at > now and not rules.is_shut(one.starts_at, one.ends_at, closures)
    ]
    made_before: Mapping[tuple[rules.Key, datetime], int] | None = None
    if former is not None:
        lines, had = former
        could = [one for day in dates for one in rules.lines_on(lines, day, None)]
        made_before = {(one.key, one.ends_at): one.capacity for one in _wanted(could, {one.id: one for one in had})}
    steps = rules.steps(
        wanted, existing, former=made_before, makes_until=clock.at(horizon[-1] + timedelta(days=1), time())
    )
    touched = [*steps.cancel, *steps.displace, *(one for one, _ in steps.resize), *(one for one, _ in steps.reopen)]
    if touched:
        await claims.lock_slots(tx, touched)
        await sql.cancel_slots(tx, steps.cancel)
        await sql.displace_slots(tx, steps.displace)
        await sql.resize_slots(tx, steps.resize)
    back = [one for _, one in steps.reopen]
    came = 0
    if back:
        ids = [one for one, _ in steps.reopen]
        came += await sql.reopen_slots(tx, ids, back, _terms(policy, back), policy_id, policy)
    if steps.make:
        came += len(await sql.insert_slots(tx, place_id, steps.make, _terms(policy, steps.make), policy_id, policy))
    return came


def _wanted(planned: Iterable[Planned], resources: Mapping[uuid.UUID, Resource]) -> list[Wanted]:
    """Planned slots as instants on stored resources."""
    found = []
    for one in planned:
        on = resources.get(one.resource)
        if on is not None and on.no is not None:
            capacity = on.capacity if one.capacity is None else one.capacity
            starts_at, ends_at = _instant(one.day, one.starts), _instant(one.day, one.ends)
            found.append(Wanted(on.no, starts_at, ends_at, one.title, capacity, on.is_exclusive))
    return found


def _instant(day: date, minutes: int) -> datetime:
    more, minutes = divmod(minutes, rules.DAY_MINUTES)
    return clock.at(day + timedelta(days=more), time(minutes // 60, minutes % 60))


async def roll_out_all(db: Database, service: str | None = None) -> int:
    """Roll out every place of a service (or of all); how many slots came. A place that is being edited waits its turn."""
    came = 0
    for place_id in await db.read(sql.place_ids, service):
        try:
            came += await db.run(roll_out, place_id, clock.today())
        except errors.Unavailable as error:
            if not isinstance(error.__cause__, asyncpg.LockNotAvailableError):
                raise  # the database is away: for all of them
            log.info("place is being edited", place=str(place_id))
    return came


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
    who.require(STAFF, place.community, place_id)
    affected = await sql.slots_during(tx, place_id, starts_at, ends_at)
    return Closing(len(affected), sum(one.claims for one in affected))


async def close_place(
    db: Database, who: Caller, service: str, place_id: uuid.UUID, starts_at: datetime, ends_at: datetime, reason: str
) -> Closing:
    """Shut a place for a time.

    First, in one transaction, the closure is written and its slots are closed, so that nobody comes in any more; then
    those who have a place are released and told, slot by slot, in small transactions that keep nobody waiting. What a
    crash leaves is done by `finish_closures`.
    """
    closure_id, slots = await db.run(_begin_closure, who, service, place_id, starts_at, ends_at, reason)
    for slot_id in slots:
        await _empty(db, slot_id)
    # Counted on the closure itself: the worker may have released some of them meanwhile.
    return Closing(len(slots), await db.read(sql.released, closure_id), closure_id)


async def _begin_closure(
    tx: Tx, who: Caller, service: str, place_id: uuid.UUID, starts_at: datetime, ends_at: datetime, reason: str
) -> tuple[uuid.UUID, list[uuid.UUID]]:
    await _place(tx, who, STAFF, service, place_id)
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
    slot = await sql.shut(tx, slot_id)
    ids = await sql.releasable(tx, slot_id, CHUNK) if slot is not None else []
    if slot is None or not ids:
        tx.discard()
        return 0
    freed = await claims.free(tx, ids, state="released", reason="closed")
    holders: dict[uuid.UUID, list[int]] = {}
    for one in freed:
        holders.setdefault(one.group_id, []).append(one.holder_no)
    data = {
        "reason": "closed",
        "slot_id": str(slot.id),
        "starts_at": clock.local(slot.starts_at).isoformat(),
        "closure": {"id": str(slot.closure_id), "reason": slot.reason},
    }
    await notices.announce(
        tx,
        [
            Notice(f"{slot.service}.claim.released", slot.community, group_id, tuple(nos), data)
            for group_id, nos in holders.items()
        ],
    )
    await sql.count_closure(tx, slot.closure_id, released=len(freed))
    return len(freed)


async def finish_closures(db: Database, service: str | None = None) -> int:
    """Release whoever still has a place in a slot that a closure has closed; how many claims.

    Does what a crash between the steps of `close_place` left undone. Idempotent, and safe twice at once: every chunk
    locks its slot and looks again.
    """
    released = 0
    for slot_id in await db.read(sql.unfinished, service):
        released += await _empty(db, slot_id)
    return released
