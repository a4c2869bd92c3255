"""What is done with claimed things: one function a use, one transaction each."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from shared import claims, clock, errors, notices, passes
from shared.assertion import Caller
from shared.claiming import ClaimOut
from shared.claims import Group
from shared.collection import Collection, sql
from shared.collection.sql import Asked
from shared.crypto import Keyring
from shared.db import Tx
from shared.texts import say

ACTIVE: Final = frozenset({"held", "confirmed", "attended"})
GIVEN_BACK: Final = say("This place was given back.", "此名额已释放。")


class Shown(NamedTuple):
    """What a pass is made of."""

    claim_id: uuid.UUID
    facility_id: uuid.UUID
    starts_at: Any
    ends_at: Any


async def page(tx: Tx, keys: Keyring, who: Caller, of: Collection, asked: Asked) -> list[tuple[Any, ClaimOut]]:
    """Rows with their answers: one query for the page, one for its claims, one for what is the service's own."""
    found = await sql.rows(tx, of, asked)
    groups = await claims.several(tx, [row["group_id"] for row in found])
    details = await of.details(tx, keys, [row["id"] for row in found]) if of.details and found else {}
    told = [(row, of.out(row, shown(groups[row["group_id"]], who, of), details.get(row["id"]))) for row in found]
    return [(row, await of.shown(tx, who, row, out, alone=False)) for row, out in told] if of.shown else told


async def read(tx: Tx, keys: Keyring, who: Caller, of: Collection, resource_id: uuid.UUID) -> ClaimOut:
    """One resource as the caller may see it."""
    row, group = await readable(tx, who, of, resource_id)
    return await _out(tx, keys, who, of, row, group)


async def cancel(
    tx: Tx,
    keys: Keyring,
    who: Caller,
    of: Collection,
    resource_id: uuid.UUID,
    *,
    person_id: uuid.UUID | None,
    reason: str,
) -> ClaimOut:
    """Give back places, all or one person's; doing it again changes nothing.

    Who has been there gives nothing back, and what is over only staff do: it is theirs to say who did not come.
    """
    row, group = await readable(tx, who, of, resource_id)
    mine = _acting(group, who, of)  # whoever was booked together with strangers gives back only their own place
    given = group._replace(claims=tuple(one for one in mine if person_id is None or one["person_id"] == person_id))
    if not given.claims:
        raise errors.NotThere
    still = [one for one in given.claims if not _is_over(one) or who.may(of.staff, row["community"], row["place_id"])]
    if not still:
        raise errors.TooLate
    meant = [one["id"] for one in still]
    is_asked = of.releasing is not None and await _released_with(tx, who, of, row, group, meant)
    freed = await claims.release(tx, group.group_id, only=meant, reason=reason)
    if freed:
        await notices.announce(tx, [of.cancelled(given, freed)])
    elif not is_asked:
        now = await claims.group(tx, group.group_id) or group  # somebody may have been ticked off at this moment
        if all(one["state"] == "attended" for one in now.claims if one["id"] in meant):
            raise errors.AlreadyRecorded
        tx.discard()
    if any(one["state"] in ACTIVE for one in mine):  # freed here, or by somebody else meanwhile
        group = await claims.group(tx, group.group_id) or group
    return await _out(tx, keys, who, of, row, group)


def _is_over(claim: Any) -> bool:
    return claim["state"] in ACTIVE - {"attended"} and claim["ends_at"] <= clock.now()


async def _released_with(
    tx: Tx, who: Caller, of: Collection, row: Any, group: Group, meant: Sequence[uuid.UUID]
) -> bool:
    """Ask the service, with the slots locked and the group read anew; not when there is nothing left to give back."""
    await claims.lock_slots(tx, (one["slot_id"] for one in group.claims if one["id"] in meant))
    group = await claims.group(tx, group.group_id) or group
    still = [one["holder_no"] for one in group.claims if one["id"] in meant and one["state"] in ACTIVE]
    if not still or of.releasing is None:
        return False
    await of.releasing(tx, who, row, group, list(dict.fromkeys(still)))
    return True


async def shown_at_the_door(
    tx: Tx, who: Caller, of: Collection, resource_id: uuid.UUID, person_id: uuid.UUID | None, slot_id: uuid.UUID | None
) -> Shown:
    """The claim that somebody's pass is of: that of the slot, else the first that is not over yet."""
    _, group = await readable(tx, who, of, resource_id)
    mine = [one for one in _acting(group, who, of) if slot_id is None or one["slot_id"] == slot_id]
    people = {one["person_id"] for one in mine}
    if person_id is None:
        person_id = who.person_id if who.person_id in people else next(iter(people), None)
        if len(people) > 1 and person_id != who.person_id:
            raise errors.Unprocessable.at("/person", "missing", where="query")
    theirs = [one for one in mine if one["person_id"] == person_id]
    if not theirs:
        raise errors.NotThere
    alive = [one for one in theirs if one["state"] in ("confirmed", "attended")]
    if not alive:
        raise errors.Conflict(GIVEN_BACK)
    alive.sort(key=lambda one: (one["starts_at"], one["id"]))
    ahead = [one for one in alive if one["ends_at"] + passes.MARGIN > clock.now()]
    claim = (ahead or alive[-1:])[0]
    return Shown(claim["id"], claim["place_id"], claim["starts_at"], claim["ends_at"])


async def readable(tx: Tx, who: Caller, of: Collection, resource_id: uuid.UUID) -> tuple[Any, Group]:
    """A resource's row and its group, or NotThere when the caller has nothing to do with it."""
    who.known()
    row = await sql.row(tx, of, resource_id)
    group = await claims.group(tx, row["group_id"]) if row is not None else None
    if row is None or group is None:
        raise errors.NotThere
    if not shown(group, who, of).claims:
        raise errors.NotThere
    return row, group


def shown(group: Group, who: Caller, of: Collection) -> Group:
    """The group without people, and without places, that are nothing to the caller."""
    return claims.seen_by(group, who, of.readers | of.staff)


def _acting(group: Group, who: Caller, of: Collection) -> Sequence[Any]:
    """The claims that the caller may give back or show at the door; whoever only reads for their work has none."""
    found = claims.seen_by(group, who, of.staff).claims
    if not found:
        raise errors.NotAllowed
    return found


async def _out(tx: Tx, keys: Keyring, who: Caller, of: Collection, row: Any, group: Group) -> ClaimOut:
    details = await of.details(tx, keys, [row["id"]]) if of.details is not None else {}
    out = of.out(row, shown(group, who, of), details.get(row["id"]))
    return await of.shown(tx, who, row, out, alone=True) if of.shown is not None else out
