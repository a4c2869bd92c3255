"""When a place is open and by which rules, said anew."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from shared import clock, errors
from shared.assertion import Caller
from shared.db import Tx
from shared.places import rules, sql
from shared.places.actions.following import follow, policy_of, rule
from shared.places.actions.permission import OWNERS, Matches, held_place
from shared.places.rules import Line, Policy


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
    place = await held_place(tx, who, OWNERS, service, place_id)
    before = await sql.schedule(tx, place_id)
    matches(before.version)
    known = {one.name: one.id for one in place.resources} | {str(one.id): one.id for one in place.resources}
    schedule = []
    for n, (resource, line) in enumerate(lines):
        if resource not in known:
            raise errors.Unprocessable.at(f"/lines/{n}/resource", "unknown")
        schedule.append(replace(line, resource=known[resource]))
    if faults := rules.faults(schedule, {one.id: one for one in place.resources}):
        raise errors.Unprocessable(
            errors=[
                {"in": "body", "pointer": f"/lines/{one.line}/{one.field}".rstrip("/"), "code": one.code}
                for one in faults[:50]
            ]
        )
    await sql.write_schedule(tx, place_id, before.version + 1, rules.schedule_body(schedule))
    await follow(tx, place_id, clock.today(), former=(before.lines, place.resources))


async def replace_policy(
    tx: Tx, who: Caller, service: str, place_id: uuid.UUID, policy: Policy, matches: Matches
) -> None:
    """Give a place the next version of its policy.

    It applies to every open slot that has not begun, claimed or not: to when it opens, closes and may be cancelled, to
    whom it is for, and to the limits that are counted for it, since changes of rules are announced. It never moves a
    slot's own times, takes nobody's place away, and never shuts a slot again that is already open for booking. Whether a
    slot takes its holder's time stays as it is where somebody has a place: their claims carry a copy of it.
    """
    await held_place(tx, who, OWNERS, service, place_id)
    before = await policy_of(tx, place_id)
    matches(before.version)
    regions = policy.audience.regions
    if regions and (unknown := await sql.unknown_regions(tx, regions)):
        raise errors.Unprocessable.at(f"/audience/regions/{regions.index(unknown[0])}", "unknown")
    policy_id = await sql.insert_policy(tx, place_id, before.version + 1, policy, who.account_id)
    future = await sql.slots_after(tx, place_id, clock.now())
    await rule(tx, [one.id for one in future if one.state == "open"], policy, policy_id)
    await follow(tx, place_id, clock.today())


async def replace_terms(
    tx: Tx,
    who: Caller,
    service: str,
    place_id: uuid.UUID,
    body: dict[str, Any],
    regions: Mapping[str, str],
    matches: Matches,
) -> None:
    """Give a place the next version of its terms: what its service alone wants to know of it. No version ever changes.

    `regions` are those that the body names, by JSON pointer.
    """
    await held_place(tx, who, OWNERS, service, place_id)
    unknown = set(await sql.unknown_regions(tx, list(regions.values()))) if regions else ()
    if wrong := [pointer for pointer, code in regions.items() if code in unknown]:
        raise errors.Unprocessable(errors=[{"in": "body", "pointer": one, "code": "unknown"} for one in wrong])
    before = await sql.terms_of(tx, place_id)
    version = before.version if before is not None else 0
    matches(version)
    await sql.insert_terms(tx, place_id, version + 1, body, who.account_id)
