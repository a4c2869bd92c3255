"""What a place is: made, changed, removed."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, replace

from shared import claims, clock, errors
from shared.assertion import Caller
from shared.db import Tx
from shared.places import rules, sql
from shared.places.actions.following import follow
from shared.places.actions.permission import OWNERS, Matches, held_place
from shared.places.rules import Policy, Resource
from shared.texts import say


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
    place = await held_place(tx, who, OWNERS, service, place_id)
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
    await follow(tx, place_id, clock.today(), former=(schedule.lines, place.resources))


async def delete_place(tx: Tx, who: Caller, service: str, place_id: uuid.UUID) -> None:
    """Remove a place that was made by mistake, with everything said about it: nobody ever had a place there."""
    await held_place(tx, who, OWNERS, service, place_id)
    await claims.lock_slots(tx, await sql.slot_ids(tx, place_id))
    await sql.delete_place(tx, place_id)


def _resources(told: Description, existing: Sequence[Resource]) -> list[Resource]:
    by_id = {one.id: one for one in existing}
    by_name = {one.name: one for one in existing}
    named = {one for one, _ in told.resources}
    found = []
    for n, (wanted_id, one) in enumerate(told.resources):
        known = by_id.get(wanted_id) if wanted_id is not None else by_name.get(one.name)
        if wanted_id is not None and known is None:
            raise errors.Unprocessable.at(f"/resources/{n}/id", "unknown")
        if wanted_id is None and known is not None and known.id in named:
            known = None  # the one of this name is being renamed in the same breath
        found.append(replace(one, id=known.id, no=known.no) if known is not None else one)
    return found
