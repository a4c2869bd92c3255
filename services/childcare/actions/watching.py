"""Who watches over the children of a room: carers on duty, as long as their role lasts."""

from __future__ import annotations

import contextlib
import uuid

from services.childcare import notices, rules, sql
from services.childcare.actions import ON_DUTY
from services.childcare.rules import Room
from shared import clock, errors
from shared.db import Database, Tx
from shared.notices import announce


async def watched(tx: Tx, place_id: uuid.UUID, community: str, places: int) -> Room:
    """Who is in a room of so many places, locked.

    A carer whose role has ended goes off duty here, also if that leaves children alone.
    """
    room = await sql.doors.locked_room(tx, place_id, community, places)
    gone = await sql.rooms.end_lost_duties(tx, place_id, ON_DUTY)
    if not gone:
        return room
    room = rules.with_carers(room, -len(gone))
    are_alone = room.children > 0 and not room.carers
    await sql.doors.write_room(tx, place_id, room, is_unwatched=are_alone or None)
    if are_alone:
        reasons, now = ["last_carer"], clock.local(clock.now())
        await announce(tx, [notices.room_strained(community, gone[0], place_id, reasons, now)])
    return room


async def end_lost_duties(db: Database) -> int:
    """Take those off duty whose role has ended, wherever they are; in how many rooms."""
    ended = 0
    for row in await db.read(sql.rooms.with_lost_duties, ON_DUTY):
        with contextlib.suppress(errors.Unavailable):  # somebody is at the door: the next round
            await db.run(watched, row["place_id"], row["community"], row["places"])
            ended += 1
    return ended
