"""What the gateway itself writes: leaving a waiting list, a slot's capacity, a day's kind. One use, one transaction."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from datetime import date

from services.gateway import sql
from services.gateway.arbiter import sql as ledger
from shared import audit, claims, errors
from shared.assertion import Caller
from shared.crypto import Keyring
from shared.db import Tx
from shared.rights import MOST, Tables, Whom

CALENDAR_STAFF = frozenset({"manager"})
TOWN = 9
"""Digits of a town's code. A day counts in every place, so whoever manages less than a town does not say what it is."""


async def leave(tx: Tx, group_id: uuid.UUID, state: str = "left", reason: str = "left") -> None:
    """Take a group off the waiting lists; places held for it at this moment are freed."""
    slots = await ledger.waiting_slots(tx, group_id)
    await claims.lock_slots(tx, slots)
    wait = await sql.wait(tx, group_id)
    await ledger.leave_lists(tx, [group_id])
    if wait is not None:  # else it was taken off while this waited for the slots: the answer tells why
        await ledger.set_ask_ended(
            tx, ledger.Ended(group_id, wait["account_no"], wait["key"], state, reason, slots, wait["holders"])
        )
    await claims.release(tx, group_id, reason=reason, only_held=True)
    group = await claims.group(tx, group_id)
    if group is not None and any(row["state"] == "confirmed" for row in group.claims):
        raise errors.InFlight(retry_after=1)  # it was served at this very moment: ask again, and it is cancelled


async def set_capacity(
    tx: Tx, caller: Caller, slot_id: uuid.UUID, capacity: int, matches: Callable[[int], None]
) -> None:
    """Give a slot more or fewer places; never fewer than are taken."""
    slot = await sql.slot_for_edit(tx, slot_id)
    if slot is None:
        raise errors.NotThere
    caller.require(claims.DESK, slot["community"], slot["place_id"])
    matches(slot["capacity"])
    if capacity < slot["taken"]:
        raise errors.CapacityTaken(taken=slot["taken"])
    await sql.set_capacity(tx, slot_id, capacity)


async def set_day(tx: Tx, caller: Caller, day: date, kind: str, name: str | None) -> None:
    """Say what a date is for the whole town."""
    caller.known()
    reach = [
        one.prefix
        for one in caller.roles
        if one.role in CALENDAR_STAFF and one.place_id is None and len(one.prefix) <= TOWN
    ]
    if not reach:
        raise errors.NotAllowed
    await sql.set_day(tx, day, kind, name)
    data = {"day": day.isoformat(), "kind": kind}
    await audit.record(tx, caller.account_no, "days.set", community=min(reach, key=len), data=data)


async def known_of(tx: Tx, _keys: Keyring, whom: Whom) -> Tables:
    """What the ledger knows of somebody."""
    found = await sql.known_of(tx, whom.holder_no, whom.account_nos, MOST)
    return {name: [dict(row) for row in rows] for name, rows in found.items()}
