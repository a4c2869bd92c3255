"""What booking does: one function a use, one transaction each (many confirmations share one)."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from services.booking import notices, sql
from shared import claims, clock, errors
from shared import notices as told
from shared.assertion import Caller
from shared.claims import Grant, Group
from shared.db import Tx
from shared.line import SKIPPED, Answer

STAFF = frozenset({"staff", "manager", "operator"})


@dataclass(frozen=True, slots=True)
class Making:
    """A granted group that is to become a reservation."""

    grant: Grant
    account_no: int
    note: str | None
    reservation_id: uuid.UUID


async def make_reservations(tx: Tx, several: Sequence[Making], *, skip_locked: bool) -> list[Answer[uuid.UUID]]:
    """Confirm granted groups, write their reservations and announce them; each whole or not at all."""
    confirmed = await claims.confirm(tx, [(one.grant, one.reservation_id) for one in several], skip_locked=skip_locked)
    made = [one for one, is_confirmed in zip(several, confirmed, strict=True) if is_confirmed]
    if made:
        await sql.insert_reservations(
            tx,
            [
                (
                    one.reservation_id,
                    one.grant.group_id,
                    one.grant.slots[0].place_id,
                    one.grant.slots[0].community,
                    one.account_no,
                    one.note,
                    one.grant.slots[0].starts_at,
                )
                for one in made
            ],
        )
        await told.announce(tx, [notices.reservation_made(one.grant, one.reservation_id) for one in made])
    else:
        tx.discard()
    return [
        one.reservation_id if is_confirmed else SKIPPED if is_confirmed is None else errors.HoldLapsed()
        for one, is_confirmed in zip(several, confirmed, strict=True)
    ]


async def cancel_reservation(
    tx: Tx, caller: Caller, reservation_id: uuid.UUID, *, person_id: uuid.UUID | None, reason: str
) -> tuple[Group, str | None]:
    """Give back the places of a reservation, all or one person's; doing it again changes nothing."""
    reservation, group = await readable(tx, caller, reservation_id)
    mine = shown(group, caller).claims  # whoever was booked together with strangers gives back only their own place
    holders = [row["holder_no"] for row in mine if person_id is None or row["person_id"] == person_id]
    if not holders:
        raise errors.NotThere
    freed = await claims.release(tx, group.group_id, holder_nos=holders, reason=reason)
    if freed:
        await told.announce(tx, [notices.reservation_cancelled(group, freed)])
        group = await claims.group(tx, group.group_id) or group
    else:
        tx.discard()
    return shown(group, caller), reservation["note"]


async def readable(tx: Tx, caller: Caller, reservation_id: uuid.UUID) -> tuple[Any, Group]:
    """A reservation and its group, or NotThere when the caller has nothing to do with it."""
    if caller.account_no is None:
        raise errors.NotKnown
    reservation = await sql.reservation(tx, reservation_id)
    group = await claims.group(tx, reservation["group_id"]) if reservation is not None else None
    if reservation is None or group is None:
        raise errors.NotThere
    if (
        reservation["account_no"] != caller.account_no
        and not set(caller.holders_in("booking")) & {row["holder_no"] for row in group.claims}
        and not caller.may(STAFF, reservation["community"], reservation["place_id"])
    ):
        raise errors.NotThere
    return reservation, group


def shown(group: Group, caller: Caller) -> Group:
    """The group without people who are nothing to the caller."""
    first = group.claims[0]
    if group.account_no == caller.account_no or caller.may(STAFF, first["community"], first["place_id"]):
        return group
    own = set(caller.holders_in("booking"))
    return group._replace(claims=tuple(row for row in group.claims if row["holder_no"] in own))


def new_id() -> uuid.UUID:
    """A new reservation's id."""
    return clock.uuid7()
