"""Slots follow the schedule, the policy and the calendar; extra sessions stand beside them."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime, time, timedelta

from shared import claims, clock, days, errors
from shared.assertion import Caller
from shared.db import Tx
from shared.places import rules, sql
from shared.places.actions.permission import STAFF, held_place
from shared.places.rules import Instants, Line, Planned, Policy, Resource, Wanted
from shared.texts import say


async def policy_of(tx: Tx, place_id: uuid.UUID) -> sql.Ruling:
    """The policy in force, or the house's default."""
    found = await sql.policy(tx, place_id)
    if found is None:  # pragma: no cover - without a version there is always the default
        raise LookupError(place_id)
    return found


def _instants(policy: Policy, starts_at: datetime) -> Instants:
    """What a policy says of a slot that starts then, by the clock of the slot's own day in town."""
    marks = policy.marks(clock.local(starts_at).date())
    return rules.instants(policy, starts_at, *(clock.at(*one) if one is not None else None for one in marks))


def _instants_of(policy: Policy, wanted: Iterable[Wanted]) -> list[Instants]:
    return [_instants(policy, one.starts_at) for one in wanted]


async def rule(tx: Tx, ids: Sequence[uuid.UUID], policy: Policy, policy_id: uuid.UUID) -> None:
    """Lock these slots and put those that are open under a policy; one that is open for booking already stays so.

    So does the deadline of an extra session that has its own.
    """
    now = clock.now()
    await claims.lock_slots(tx, ids)
    ruled = await sql.ruled(tx, ids)
    instants = []
    for one in ruled:
        said = _instants(policy, one.starts_at)
        opens_at = rules.opens_anew(now, one.opens_at, said.opens_at)
        has_its_own = one.policy is not None and _instants(one.policy, one.starts_at).closes_at != one.closes_at
        instants.append(said._replace(opens_at=opens_at, closes_at=one.closes_at if has_its_own else said.closes_at))
    await sql.rule_slots(tx, [one.id for one in ruled], instants, policy_id, policy)


async def written_policy(tx: Tx, place_id: uuid.UUID) -> tuple[Policy, uuid.UUID]:
    """The policy in force, written down if it was only the default: slots name the version they stand under."""
    found = await policy_of(tx, place_id)
    return found.policy, found.id or await sql.insert_policy(tx, place_id, 1, found.policy, None)


async def follow(
    tx: Tx,
    place_id: uuid.UUID,
    today: date,
    *,
    former: tuple[Sequence[Line], Sequence[Resource]] | None = None,
) -> int:
    """Bring the slots of a locked place in line with its schedule and the calendar; how many were made or came back.

    What the schedule made on a day that is closed by now is closed (`finish_closures` empties it); it opens again when
    nothing closes it any more.
    """
    place = await sql.locked_place(tx, place_id)
    schedule = await sql.schedule(tx, place_id)
    if place is None or not schedule.version:
        return 0
    policy, policy_id = await written_policy(tx, place_id)
    now = max(clock.now(), clock.at(today, time()) - timedelta(microseconds=1))
    existing = await sql.slots_after(tx, place_id, now)
    horizon = [today + timedelta(days=n) for n in range(policy.days)]
    had_on = {one.id: clock.local(one.starts_at).date() for one in existing}
    span = sorted({*horizon, *had_on.values()})
    dates = span if former else horizon
    stored = await sql.day_kinds(tx, span[0], span[-1])
    kinds = {day: stored.get(day) or days.provisional(day).kind for day in span}
    closures = await sql.closure_windows(tx, place_id, now)
    resources = {one.id: one for one in place.resources}
    planned = [one for day in dates for one in rules.lines_on(schedule.lines, day, kinds[day])]
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
    shut = {one.id for one in existing if kinds[had_on[one.id]] == "closed"}
    shut |= {one.id for one in existing if rules.is_shut(one.starts_at, one.ends_at, closures)}
    close, keep = rules.turns(existing, shut)
    close = [one for one in close if one not in steps.cancel]
    touched = [*steps.cancel, *steps.displace, *(one for one, _ in steps.resize), *(one for one, _ in steps.reopen)]
    if touched or close or keep:
        await claims.lock_slots(tx, [*touched, *close, *keep])
        await sql.close_slots(tx, close)
        await sql.open_slots(tx, keep)
        await sql.cancel_slots(tx, steps.cancel)
        await sql.displace_slots(tx, steps.displace)
        await sql.resize_slots(tx, steps.resize)
        await rule(tx, keep, policy, policy_id)
    back = [one for _, one in steps.reopen]
    came = 0
    if back:
        ids = [one for one, _ in steps.reopen]
        came += await sql.reopen_slots(tx, ids, back, _instants_of(policy, back), policy_id, policy)
    if steps.make:
        came += len(
            await sql.insert_slots(tx, place_id, steps.make, _instants_of(policy, steps.make), policy_id, policy)
        )
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
    closes_at: datetime | None = None,
) -> uuid.UUID:
    """One session beside the schedule, under the place's policy. No change of the schedule touches it.

    It closes when it is told to; else as the policy says, if that is still to come.
    """
    place = await held_place(tx, who, STAFF, service, place_id)
    on = next((one for one in place.resources if resource in (one.name, str(one.id))), None)
    if on is None or on.no is None:
        raise errors.Unprocessable.at("/resource", "unknown")
    if rules.is_shut(starts_at, ends_at, await sql.closure_windows(tx, place_id, starts_at)):
        raise errors.Closed(say("The place is closed at that time.", "该时段场所关闭。"))
    want = Wanted(on.no, starts_at, ends_at, title, on.capacity if capacity is None else capacity, on.is_exclusive)
    existing = await sql.slots_after(tx, place_id, starts_at - timedelta(seconds=1))
    way = [one.id for one in existing if one.state == "cancelled" and one.key == want.key]
    await claims.lock_slots(tx, way)
    await sql.displace_slots(tx, way)
    policy, policy_id = await written_policy(tx, place_id)
    said, latest = _instants(policy, starts_at), starts_at - timedelta(minutes=policy.close_minutes)
    closing = closes_at or next((one for one in (said.closes_at, latest) if one > clock.now()), starts_at)
    instants = [said._replace(closes_at=closing)]
    made = await sql.insert_slots(tx, place_id, [want], instants, policy_id, policy, is_scheduled=False)
    return made[0]
