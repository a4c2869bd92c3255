"""Rolling out: slots for every day of the horizon, without anyone asking."""

from __future__ import annotations

import uuid
from datetime import date

import asyncpg
import structlog

from shared import clock, errors
from shared.db import Database, Tx
from shared.places import sql
from shared.places.actions.closures import finish_closures
from shared.places.actions.following import follow

log = structlog.get_logger(__name__)


async def roll_out(tx: Tx, place_id: uuid.UUID, today: date) -> int:
    """Make the slots of a place's schedule over its policy's horizon that are not there yet; how many came.

    Nothing is made in the past, inside a closure, or on a day that is closed; what was made before the day was closed is
    closed. What an earlier change of the schedule cancelled comes back when its line has come back. Idempotent, and safe
    twice at once.
    """
    place = await sql.locked_place(tx, place_id)
    if place is None or place.state != "open":
        return 0
    return await follow(tx, place_id, today)


async def roll_out_all(db: Database, service: str | None = None) -> int:
    """Roll out every place of a service (or of all); how many slots came. A place that is being edited waits its turn.

    Whoever has a place on a day that has been closed is then released and told.
    """
    came = 0
    for place_id in await db.read(sql.place_ids, service):
        try:
            came += await db.run(roll_out, place_id, clock.today())
        except errors.Unavailable as error:
            if not isinstance(error.__cause__, asyncpg.LockNotAvailableError):
                raise  # the database is away: for all of them
            log.info("place is being edited", place=str(place_id))
    await finish_closures(db, service)
    return came
