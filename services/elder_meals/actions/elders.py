"""What is known of elders, by whom it may be said, and when they are away."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from typing import Any

from services.elder_meals.actions import KITCHEN, SERVICE, STAFF, acts_for
from services.elder_meals.actions.asking import ask_again
from services.elder_meals.actions.sealing import HEALTH, is_about_health, seal, unseal
from services.elder_meals.sql import elders as sql
from services.elder_meals.sql import orders
from shared import audit, clock, consents, errors
from shared.assertion import Caller
from shared.crypto import Keyring
from shared.db import Tx
from shared.places import sql as places

Matches = Callable[[object], None]


async def elder(tx: Tx, who: Caller, person_id: uuid.UUID) -> Any:
    """Somebody whom the caller is, may act for here, or is the staff of; NotThere else."""
    who.known()
    row = await sql.person(tx, person_id)
    if row is None or not (acts_for(who, row["no"]) or who.may(STAFF, row["community"])):
        raise errors.NotThere
    return row


async def read_profile(tx: Tx, keys: Keyring, who: Caller, person_id: uuid.UUID) -> tuple[int, dict[str, Any]]:
    """Version and content of an elder's profile; version 0 when nobody has said anything. Staff leave a trace."""
    row = await elder(tx, who, person_id)
    if is_staff_only(who, row):
        await audit.record(
            tx,
            who.account_no,
            "elder.read",
            community=row["community"],
            person_id=person_id,
            data={"service": SERVICE, "fields": ["profile"]},
        )
    else:
        tx.discard()
    row = await sql.profile(tx, person_id)
    return (0, {}) if row is None else (row["version"], unseal(keys, "profile", person_id, row["sealed"]))


async def replace_profile(
    tx: Tx,
    keys: Keyring,
    who: Caller,
    person_id: uuid.UUID,
    told: dict[str, Any],
    matches: Matches,
) -> None:
    """Say anew what a kitchen and a courier must know. Staff say which version they read; an elder's own word counts.

    What standing orders did not get is asked for again.
    """
    row = await elder(tx, who, person_id)
    if is_about_health(told) and not await consents.given(tx, [person_id], HEALTH):
        raise errors.ConsentRequired(purposes=[HEALTH])
    await _knows_contacts(tx, person_id, told["contacts"])
    if told["deliver_to"] is not None and await places.unknown_regions(tx, [told["deliver_to"]["region"]]):
        raise errors.Unprocessable.at("/deliver_to/region", "unknown")
    sealed = seal(keys, "profile", person_id, told)
    before = await sql.profile(tx, person_id, locked=True)
    matches(before["version"] if before is not None else 0)
    account_no = who.known()
    if before is not None:
        await sql.write_profile(tx, person_id, row["community"], sealed, account_no)
    elif not await sql.begin_profile(tx, person_id, row["community"], sealed, account_no):
        raise errors.Changed
    await ask_again(tx, keys, person_id)


async def _knows_contacts(tx: Tx, person_id: uuid.UUID, contacts: Sequence[Mapping[str, Any]]) -> None:
    """Refuse contacts who are nobody here, the elder, or named before."""
    named = [uuid.UUID(one["person_id"]) for one in contacts if one["person_id"] is not None]
    known = await sql.people(tx, named) if named else {}
    before: set[tuple[str | None, ...]] = set()
    for n, one in enumerate(contacts):
        who = one["person_id"]
        if who is not None and uuid.UUID(who) not in known:
            raise errors.Unprocessable.at(f"/contacts/{n}/person_id", "unknown")
        if who is not None and uuid.UUID(who) == person_id:
            raise errors.Unprocessable.at(f"/contacts/{n}/person_id", "oneself")
        key = (who,) if who is not None else (one["name"], one["phone"])
        if key in before:
            raise errors.Unprocessable.at(f"/contacts/{n}/person_id" if who is not None else f"/contacts/{n}", "twice")
        before.add(key)


def is_staff_only(who: Caller, person: Any) -> bool:
    """Whether the caller speaks for an elder by office alone."""
    return not acts_for(who, person["no"])


async def create_absence(
    tx: Tx, who: Caller, person_id: uuid.UUID | None, first: date, last: date
) -> tuple[uuid.UUID, list[uuid.UUID]]:
    """An elder is away: nothing more is ordered by itself, and a closed door alarms nobody. What is ordered stays.

    An ask of a standing order that is under way is waited for, so that its order is told here and is older than this; for
    two seconds, then the caller is told to try again.
    """
    row = await elder(tx, who, whom(who, person_id))
    if last < clock.today():
        raise errors.Unprocessable.at("/to", "past")
    await sql.hold_standings(tx, row["id"])
    absence_id = await sql.insert_absence(tx, row["id"], row["community"], who.known(), first, last)
    return absence_id, await orders.of_person(tx, row["id"], first, last)


def whom(who: Caller, person_id: uuid.UUID | None) -> uuid.UUID:
    """The person that is named, or the caller's own."""
    who.known()
    found = person_id or who.person_id
    if found is None:
        raise errors.NotAllowed
    return found


async def read_absence(tx: Tx, who: Caller, absence_id: uuid.UUID) -> tuple[Any, list[uuid.UUID]]:
    """One absence, with what is ordered for its days; for those who would cook it, too."""
    row = await _absence(tx, who, absence_id)
    if not who.may(KITCHEN, row["community"]):
        await elder(tx, who, row["person_id"])
    return row, await orders.of_person(tx, row["person_id"], row["first"], row["last"])


async def _absence(tx: Tx, who: Caller, absence_id: uuid.UUID) -> Any:
    who.known()
    row = await sql.absence(tx, absence_id)
    if row is None:
        raise errors.NotThere
    return row


async def withdraw_absence(tx: Tx, who: Caller, absence_id: uuid.UUID) -> tuple[Any, list[uuid.UUID]]:
    """The elder is there after all; again changes nothing."""
    row = await _absence(tx, who, absence_id)
    await elder(tx, who, row["person_id"])
    if row["state"] == "active":
        await sql.withdraw_absence(tx, absence_id)
        await sql.ask_again(tx, row["person_id"], max(row["first"], clock.today()), row["last"])
    else:
        tx.discard()
    return await read_absence(tx, who, absence_id)


async def absences(tx: Tx, who: Caller, person_id: uuid.UUID | None, after: uuid.UUID | None, limit: int) -> list[Any]:
    """Absences of those the caller may act for; staff ask by person, or for their region."""
    who.known()
    prefixes = who.regions(STAFF)
    mine = {one.person_id for one in who.acts_for if one.holder_no in who.holders_in("elder-meals")}
    if who.person_id is not None:
        mine.add(who.person_id)
    as_staff = bool(prefixes) and person_id not in mine
    return await sql.absences(
        tx,
        person_ids=None if as_staff else list(mine),
        prefixes=prefixes,
        person_id=person_id,
        after=after,
        limit=limit,
    )
