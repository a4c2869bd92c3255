"""Rooms: who is inside, carers on duty, the head-count at the close."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

from services.childcare import notices, rules, sql
from services.childcare.actions import CARERS, ON_DUTY, Facts, room, terms_of
from services.childcare.actions.incidents import write_down
from services.childcare.actions.watching import watched
from services.childcare.actions.written import seal_incident
from services.childcare.rules import Room
from services.childcare.sql.rooms import Happened
from shared import clock, errors, uploads
from shared.assertion import Caller
from shared.claiming import NamedOut
from shared.crypto import Keyring
from shared.db import Tx
from shared.notices import announce
from shared.places import sql as places

if TYPE_CHECKING:
    from services.childcare.schemas import CarerIn, CountIn


async def now(tx: Tx, who: Caller, place_id: uuid.UUID) -> Facts:
    """How many are in a room and how many more could come; who they are only for its carers."""
    place = await places.place(tx, "childcare", place_id)
    if place is None:
        raise errors.NotThere
    terms = await terms_of(tx, place_id)
    row = await sql.rooms.state(tx, place_id)
    on_duty = await sql.rooms.on_duty(tx, place_id, ON_DUTY)
    inside = Room(row["children"], row["accompanied"], len(on_duty)) if row is not None else Room()
    told = Facts(
        facility=NamedOut(id=place.id, name=place.name),
        at=clock.now(),
        children=inside.children,
        adults=inside.carers + (row["guardians"] if row is not None else 0),
        carers=inside.carers,
        ratio=terms.children_per_carer,
        places=terms.most_children,
        free=rules.children_left(inside, terms),
    )
    if who.may(CARERS, place.community, place_id):
        told["inside"] = [dict(one) for one in await sql.rooms.everybody_inside(tx, place_id)]
        told["on_duty"] = [NamedOut(id=one["id"], name=one["name"]) for one in on_duty]
    return told


async def carers(tx: Tx, who: Caller, place_id: uuid.UUID, told: CarerIn) -> Facts:
    """A carer comes or goes. Nobody goes who would leave children alone."""
    person_id = who.person_id if told.person == "self" else told.person
    earlier = await uploads.begin(tx, who, "childcare.carer", told, place_id)
    place = await room(tx, who, place_id)
    person = (await sql.doors.named(tx, [person_id])).get(person_id) if person_id is not None else None
    if person is None or person_id is None:
        raise errors.Unprocessable.at("/person", "unknown")
    shown = NamedOut(id=person["id"], name=person["name"])
    if earlier is not None:
        return earlier | {"person": shown}
    if told.inside and not await sql.rooms.has_role(tx, person_id, ON_DUTY, place.community, place_id):
        raise errors.NotCarer
    terms = await terms_of(tx, place_id)
    inside = await watched(tx, place_id, place.community, terms.most_children)
    reasons: list[str] = []
    code = None
    if told.inside:
        await sql.rooms.begin_duty(tx, place_id, place.community, person_id, who.known(), told.at)
        inside = rules.with_carers(inside, 1)
    else:
        duty = await sql.rooms.duty(tx, place_id, person_id)
        if duty is None:
            raise errors.NotInside
        code = rules.no_leave_for_carer(inside)
        if code is not None and told.decided is None:
            raise errors.by_code(code)
        await sql.rooms.end_duty(tx, duty["id"], told.at)
        if told.at < duty["began_at"]:
            reasons.append("before_duty")
        inside = rules.with_carers(inside, -1)
        if code is not None:  # has gone already: the children are there all the same
            reasons.append(code)
            at = clock.local(told.at)
            await announce(tx, [notices.room_strained(place.community, duty["id"], place_id, [code], at)])
    await sql.doors.write_room(tx, place_id, inside, is_unwatched=True if code is not None else None)
    if rules.is_told_late(told.at, clock.now()):
        reasons.insert(0, "late")
    if rules.carers_needed(inside, terms) > inside.carers:
        reasons.append("too_few_carers")
    answer = {
        "inside": told.inside,
        "at": clock.local(told.at),
        "children": inside.children,
        "carers": inside.carers,
        "reasons": reasons,
    }
    await uploads.finish(tx, told.id, answer)
    return answer | {"person": shown}


async def count(tx: Tx, keys: Keyring, who: Caller, place_id: uuid.UUID, told: CountIn) -> Facts:
    """Carers looked: an empty room is closed; anything else says who is inside as far as is known, and is an incident."""
    earlier = await uploads.begin(tx, who, "childcare.count", told, place_id)
    place = await room(tx, who, place_id)
    if earlier is not None:
        return await _counted(tx, uuid.UUID(earlier["id"]), earlier["reasons"])
    terms = await terms_of(tx, place_id)
    known = await watched(tx, place_id, place.community, terms.most_children)
    count_id, incident_id = clock.uuid7(), None
    if told.seen or known.children:
        inside = await sql.rooms.everybody_inside(tx, place_id)
        incident_id = clock.uuid7()
        text = f"{told.seen} / {known.children}" + (f": {'、'.join(told.names)}" if told.names else "")
        body = {"text": text, "witnessed_by": [who.name]}
        await write_down(
            tx,
            Happened(
                incident_id,
                place_id,
                place.community,
                "count",
                "serious",
                seal_incident(keys, incident_id, body),
                [one["child_no"] for one in inside],
                None,
                False,  # noqa: FBT003 - a column
                None,
                who.known(),
                told.at,
            ),
        )
    row = (
        count_id,
        place_id,
        place.community,
        told.seen,
        known.children,
        incident_id,
        who.account_no,
        told.at,
    )
    await sql.rooms.insert_count(tx, row)
    if incident_id is None:
        at = clock.local(told.at)
        await announce(tx, [notices.room_closed(place.community, count_id, place_id, at)])
    reasons = ["late"] if rules.is_told_late(told.at, clock.now()) else []
    await uploads.finish(tx, told.id, {"id": count_id, "reasons": reasons})
    return await _counted(tx, count_id, reasons)


async def _counted(tx: Tx, count_id: uuid.UUID, reasons: list[str]) -> Facts:
    row = await sql.rooms.count_of(tx, count_id)
    incident = await sql.rooms.incident(tx, row["incident_id"]) if row is not None and row["incident_id"] else None
    if row is None:
        raise errors.NotThere
    return Facts(
        id=row["id"],
        closed=row["incident_id"] is None,
        count=row["counted"],
        inside=incident["persons"] if incident is not None else [],
        incident=row["incident_id"],
        at=row["at"],
        reasons=reasons,
    )
