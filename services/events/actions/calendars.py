"""Secret addresses of calendars: made, made anew, withdrawn and read."""

from __future__ import annotations

import hashlib
import secrets
from typing import Final

from services.events import calendars, rules, sql
from shared import clock, errors
from shared.assertion import Caller
from shared.db import Tx

SECRET_BYTES: Final = 24
"""192 random bits: an address that nobody guesses."""
DAYS_UNUSED: Final = 180
"""An address that was not read for so long opens nothing any more."""


def _hash(secret: str) -> bytes:
    return hashlib.sha256(secret.encode()).digest()


async def renew(tx: Tx, who: Caller) -> str:
    """A new secret for the caller's calendar; the one before opens nothing from now on."""
    account_no = who.known()
    if who.person_id is None:
        raise errors.NotAllowed
    secret = secrets.token_urlsafe(SECRET_BYTES)
    await sql.calendars.write(tx, account_no, _hash(secret))
    return secret


async def withdraw(tx: Tx, who: Caller) -> None:
    """Nobody reads the caller's calendar by its address any more."""
    await sql.calendars.delete(tx, who.known())


async def read(tx: Tx, secret: str) -> bytes:
    """The calendar behind a secret. A wrong, withdrawn and long unused one are told apart by nobody."""
    found = await sql.calendars.calendar(tx, _hash(secret))
    if found is None or rules.is_stale(found["used_at"], clock.now(), DAYS_UNUSED):
        raise errors.NotThere
    await sql.calendars.use(tx, found["id"])
    return calendars.as_ics(await sql.calendars.places(tx, found["person_id"]), found["person_id"])
