"""Power, granted and taken back: below one's own region only, never to oneself, and written down with its reason."""

from __future__ import annotations

import contextlib
import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from services.identity import notices, rules, sql
from services.identity.actions import desk
from services.identity.sql.roles import Granted
from shared import audit, clock, db, errors
from shared.assertion import Caller
from shared.db import Tx
from shared.notices import announce

READERS: Final = frozenset({"administrator", "security", "auditor"})
"""Who sees who may do what."""
LONGEST: Final = timedelta(days=3660)


@dataclass(frozen=True, slots=True)
class Wish:
    """A role to be granted: to an account, or to a person's account."""

    account_id: uuid.UUID | None
    person_id: uuid.UUID | None
    role: str
    prefix: str
    place_id: uuid.UUID | None
    until: datetime | None
    reason: str


async def granted(  # noqa: PLR0913 - what a list is narrowed by
    tx: Tx,
    who: Caller,
    *,
    region: str | None,
    role: str | None,
    person_id: uuid.UUID | None,
    is_over: bool,
    after: uuid.UUID | None,
    limit: int,
) -> list[Granted]:
    """Who may do what in the caller's regions."""
    return await sql.roles.granted(
        tx,
        who.reach(READERS),
        region=region,
        role=role,
        person_id=person_id,
        is_over=is_over,
        after=after,
        limit=limit,
    )


async def read(tx: Tx, who: Caller, role_id: uuid.UUID) -> Granted:
    """One role in the caller's regions."""
    prefixes = who.reach(READERS)
    found = await sql.roles.one(tx, role_id)
    if found is None or not found.prefix.startswith(tuple(prefixes)):
        raise errors.NotThere
    return found


def referee() -> contextlib.AbstractContextManager[None]:
    """The schema says which roles go together."""
    apart = (
        "nobody_is_administrator_and_security",
        "nobody_is_administrator_and_auditor",
        "nobody_is_security_and_auditor",
    )
    return db.referee({"one_role_each": errors.Exists, **dict.fromkeys(apart, errors.PowersApart)})


async def _require(tx: Tx, who: Caller, role: str, prefix: str) -> None:
    """Refuse unless the caller may decide about this role there, by what is in force now and not two seconds ago."""
    own = await sql.roles.locked_reach(tx, who.known(), rules.granters(role))
    if who.key is not None or not any(prefix.startswith(reach) for _, reach in own):
        raise errors.NotAllowed


async def grant(tx: Tx, who: Caller, wish: Wish) -> Granted:
    """Give somebody a role below one's own region."""
    await _require(tx, who, wish.role, wish.prefix)
    account = await sql.roles.account(tx, wish.account_id, wish.person_id)
    if account is None:
        pointer = "/account" if wish.account_id else "/person"
        raise errors.Unprocessable.at(pointer, "unknown")
    if account.no == who.account_no or (account.person_id is not None and account.person_id == who.person_id):
        raise errors.OwnMatter
    if wish.until is not None and not clock.now() < wish.until <= clock.now() + LONGEST:
        raise errors.Unprocessable.at("/until", "range")
    if (wish.role in rules.POWERS or wish.role in rules.OFFICES) and account.kind != "person":
        raise errors.Unprocessable.at("/account", "not_a_person")
    await desk.require_region(tx, wish.prefix, "/region")
    if wish.place_id is not None:
        if wish.role in rules.GRANTERS:
            raise errors.Unprocessable.at("/place_id", "not_for_this_role")
        community = await sql.roles.community_of(tx, wish.place_id)
        if community is None or not community.startswith(wish.prefix):
            raise errors.Unprocessable.at("/place_id", "unknown")
    role_id = clock.uuid7()
    with referee():
        await sql.roles.insert(
            tx, role_id, account.no, wish.role, wish.prefix, wish.place_id, wish.until, who.account_id
        )
    await desk.require_region(tx, wish.prefix, "/region")  # again: writing waited for a region that was just ending
    return await _written(tx, who, role_id, wish.reason, is_granted=True)


async def withdraw(tx: Tx, who: Caller, role_id: uuid.UUID, reason: str) -> None:
    """Take a role back; what is over already is left as it is."""
    found = await read(tx, who, role_id)
    await _require(tx, who, found.role, found.prefix)
    if found.account_no == who.account_no:
        raise errors.OwnMatter
    if not await sql.roles.end(tx, role_id):
        tx.discard()
        return
    await _written(tx, who, role_id, reason, is_granted=False)


async def _written(tx: Tx, who: Caller, role_id: uuid.UUID, reason: str, *, is_granted: bool) -> Granted:
    found = await _told(tx, role_id, is_granted=is_granted)
    await audit.record(
        tx,
        who.account_no,
        "roles.grant" if is_granted else "roles.withdraw",
        community=found.prefix,
        person_id=found.person_id,
        reason=reason,
        data={"id": str(role_id), "role": found.role, "account": str(found.account_id)},
    )
    return found


async def _told(tx: Tx, role_id: uuid.UUID, *, is_granted: bool) -> Granted:
    found = await sql.roles.one(tx, role_id)
    if found is None:  # pragma: no cover - it was just written
        raise errors.NotThere
    holders = (found.holder_no,) if found.holder_no is not None else ()
    tell = notices.role_granted if is_granted else notices.role_withdrawn
    await announce(tx, [tell(found.id, found.prefix, holders, found.role)])
    return found


async def found(tx: Tx, person_id: uuid.UUID, role: str, prefix: str) -> uuid.UUID:
    """The first administrator and the first security officer of a deployment, by whoever runs it: nobody could grant them."""
    account = await sql.roles.account(tx, None, person_id)
    if account is None:
        raise errors.NotThere
    await desk.require_region(tx, prefix, "/region")
    role_id = clock.uuid7()
    with referee():
        await sql.roles.insert(tx, role_id, account.no, role, prefix, None, None, None)
    await audit.record(
        tx, None, "roles.grant", community=prefix, person_id=person_id, reason="founding", data={"role": role}
    )
    await _told(tx, role_id, is_granted=True)
    return role_id
