"""Incidents: written down once, read by those who work in the room, and by guardians as far as it is their child's."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

from services.childcare import notices, sql
from services.childcare.actions import CARERS, Facts, room
from services.childcare.actions.children import is_guardian
from services.childcare.actions.written import open_incident, seal_incident
from services.childcare.sql.rooms import Happened
from shared import clock, errors, uploads
from shared.assertion import Caller
from shared.claiming import NamedOut
from shared.crypto import Keyring
from shared.db import Tx
from shared.notices import announce

if TYPE_CHECKING:
    from services.childcare.schemas import IncidentIn


async def write_down(tx: Tx, happened: Happened) -> None:
    """Write an incident down, and say that there is one."""
    await sql.rooms.insert_incident(tx, happened)
    await announce(
        tx,
        [
            notices.incident_opened(
                happened.community,
                happened.id,
                happened.place_id,
                happened.kind,
                happened.severity,
                is_for_authority=happened.is_for_authority,
                children=happened.children,
            )
        ],
    )


async def report(tx: Tx, keys: Keyring, who: Caller, told: IncidentIn) -> Facts:
    """Write down what happened; nobody can change it afterwards."""
    earlier = await uploads.begin(tx, who, "childcare.incident", told)
    place = await room(tx, who, told.room)
    if earlier is not None:
        return await incident(tx, keys, who, uuid.UUID(earlier["id"]))
    children = await sql.rooms.children_of(tx, told.room, told.persons)
    wrong = [n for n, one in enumerate(told.persons) if one not in children]
    if wrong:
        raise errors.Unprocessable(
            errors=[{"in": "body", "pointer": f"/persons/{n}", "code": "unknown"} for n in wrong]
        )
    before = await sql.rooms.incident(tx, told.follows) if told.follows is not None else None
    if told.follows is not None and (before is None or before["place_id"] != told.room):
        raise errors.Unprocessable.at("/follows", "unknown")
    incident_id = clock.uuid7()
    body = {"text": told.text, "witnessed_by": told.witnessed_by}
    await write_down(
        tx,
        Happened(
            incident_id,
            told.room,
            place.community,
            "reported",
            told.severity,
            seal_incident(keys, incident_id, body),
            list(children.values()),
            told.guardian_notified_at,
            told.report_to_authority,
            told.follows,
            who.known(),
            told.at,
        ),
    )
    await uploads.finish(tx, told.id, {"id": incident_id})
    return await incident(tx, keys, who, incident_id)


async def incident(tx: Tx, keys: Keyring, who: Caller, incident_id: uuid.UUID) -> Facts:
    """One incident: for the carers and managers of its room, and for the guardians of its children."""
    who.known()
    row = await sql.rooms.incident(tx, incident_id)
    if row is None:
        raise errors.NotThere
    if who.may(CARERS, row["community"], row["place_id"]):
        return _shown(keys, row)
    if not _theirs(who, row) or not await sql.rooms.incidents_of_child(tx, row["children"], None, None, 1, incident_id):
        raise errors.NotThere
    return _shown_to_guardian(keys, who, row)


async def incidents(
    tx: Tx,
    keys: Keyring,
    who: Caller,
    place_id: uuid.UUID | None,
    child_id: uuid.UUID | None,
    after: tuple[Any, uuid.UUID] | None,
    limit: int,
) -> list[Facts]:
    """The incidents of a room, of all rooms where the caller works, or of a child, latest first."""
    who.known()
    child = await sql.children.child(tx, child_id) if child_id is not None else None
    if child is not None and is_guardian(who, child["id"]):
        rows = await sql.rooms.incidents_of_child(tx, [child["no"]], place_id, after, limit)
        return [_shown_to_guardian(keys, who, row) for row in rows]
    reach = [(one.prefix, one.place_id) for one in who.roles if one.role in CARERS]
    if child_id is not None and (child is None or not reach):
        raise errors.NotThere
    if place_id is not None:
        await room(tx, who, place_id)
    if not reach:
        raise errors.NotAllowed
    no = child["no"] if child is not None else None
    return [_shown(keys, row) for row in await sql.rooms.incidents(tx, reach, place_id, no, after, limit)]


def _theirs(who: Caller, row: Any) -> list[Any]:
    """The children of an incident of whom the caller is a guardian."""
    return [one for one in row["persons"] if is_guardian(who, uuid.UUID(one["id"]))]


def _shown_to_guardian(keys: Keyring, who: Caller, row: Any) -> Facts:
    """What a guardian may read: words only where they are about nobody else, and no other names at all.

    Why a child should not have gone with somebody is not said either: one guardian does not read another's list.
    """
    theirs = _theirs(who, row)
    told = _shown(keys, row) | {"persons": theirs, "witnessed_by": []}
    is_alone = len(theirs) == len(row["persons"]) and row["kind"] == "reported"
    return told if is_alone else told | {"text": None}


def _shown(keys: Keyring, row: Any) -> Facts:
    body = open_incident(keys, row["id"], row["body"])
    return Facts(
        id=row["id"],
        room=NamedOut(id=row["place_id"], name=row["place_name"]),
        kind=row["kind"],
        severity=row["severity"],
        text=body["text"],
        persons=row["persons"],
        witnessed_by=body["witnessed_by"],
        guardian_notified_at=row["guardian_notified_at"],
        report_to_authority=row["is_for_authority"],
        follows=row["follows"],
        by=row["by_name"],
        at=row["at"],
        made_at=row["made_at"],
    )
