"""Where people live, work and stay. The ledger goes by the primary home."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

from services.identity import notices, sql
from services.identity.actions import desk, people
from services.identity.actions.consents import DESK
from services.identity.sql.places import Tie
from shared import audit, clock, db, errors
from shared.assertion import Caller
from shared.db import Tx
from shared.notices import announce
from shared.texts import say

BETWEEN_MOVES: Final = timedelta(days=30)
"""So long after one move residents ask the staff for the next: where one lives decides what one may book."""

MOST_TIES: Final = 20


@dataclass(frozen=True, slots=True)
class _Standing:
    """Whose places they are, and as whom the caller comes."""

    person: sql.desk.Person
    is_staff: bool
    is_own: bool


async def _standing(tx: Tx, who: Caller, person_id: uuid.UUID | None) -> _Standing:
    """None is the caller. Whoever has nothing to do with a person hears that there is nobody."""
    who.known()
    wanted = person_id or who.person_id
    if wanted is None:
        raise errors.NotAllowed
    person = await sql.desk.person(tx, wanted)
    if person is None:
        raise errors.NotThere
    relations = {one.relation for one in who.acts_for if one.person_id == wanted}
    is_own = who.person_id == wanted or "guardian" in relations
    is_staff = await desk.is_near(tx, who, person)
    if not (is_own or is_staff or relations):
        raise errors.NotThere
    return _Standing(person, is_staff, is_own)


async def ties(tx: Tx, who: Caller, person_id: uuid.UUID | None, *, after: uuid.UUID | None, limit: int) -> list[Tie]:
    """How a person belongs to regions, today and before."""
    standing = await _standing(tx, who, person_id)
    return await sql.places.ties(tx, standing.person.id, after, limit)


async def tie(tx: Tx, who: Caller, person_id: uuid.UUID | None, tie_id: uuid.UUID) -> Tie:
    """One of these."""
    standing = await _standing(tx, who, person_id)
    found = await sql.places.tie(tx, standing.person.id, tie_id)
    if found is None:
        raise errors.NotThere
    return found


async def _locked(tx: Tx, who: Caller, person_id: uuid.UUID | None) -> _Standing:
    before = await _standing(tx, who, person_id)
    if not (before.is_own or before.is_staff):
        raise errors.NotAllowed
    await sql.people.lock_person(tx, before.person.id)
    return await _standing(tx, who, person_id)


async def add(
    tx: Tx,
    who: Caller,
    person_id: uuid.UUID | None,
    *,
    kind: str,
    community: str,
    is_home: bool,
    starts_on: date | None,
) -> Tie:
    """Tie a person to a region; a new primary home ends the one before."""
    standing = await _locked(tx, who, person_id)
    person, today = standing.person, clock.today()
    await desk.require_region(tx, community, "/community")
    if await sql.places.count(tx, person.id) >= MOST_TIES:
        raise errors.LimitReached(say("End one of them first.", "登记数量已达上限，请先结束其中一项。"))
    if is_home:
        await _move_out(tx, who, standing, community, today)
    tie_id = clock.uuid7()
    begin = today if is_home else starts_on or today
    with db.referee({sql.places.ONE_TIE_OF_A_KIND: errors.Exists}):
        await sql.places.insert(tx, tie_id, person.id, kind, community, is_home=is_home, starts_on=begin)
    await desk.require_region(tx, community, "/community")  # again: writing waited for a region that was just ending
    if is_home:
        await sql.places.live_in(tx, person.id, community)
        await announce(tx, [notices.home_moved(tie_id, community, person.holder_no)])
    await _written(tx, who, standing, "people.move" if is_home else "people.tie", community, kind)
    return await _read(tx, person.id, tie_id)


async def _move_out(tx: Tx, who: Caller, standing: _Standing, community: str, today: date) -> None:
    """End the home of before: residents themselves not soon after they came, staff only those they have at their desk."""
    person = standing.person
    if not standing.is_own and person.community != people.UNKNOWN_HOME and not who.may(DESK, person.community):
        raise errors.NotAllowed
    if person.community == community:
        raise errors.Exists
    home = await sql.places.home(tx, person.id)
    if home is None:
        return
    is_soon = clock.now() - home.made_at < BETWEEN_MOVES
    if standing.is_own and is_soon and not who.may(DESK, person.community):
        raise errors.LimitReached(
            say(
                "A home can be moved once in thirty days; ask the staff.",
                "三十天内只能变更一次常住地，如需更改请联系工作人员。",
            )
        )
    await sql.places.end(tx, home.id, today)


async def remove(tx: Tx, who: Caller, person_id: uuid.UUID | None, tie_id: uuid.UUID) -> None:
    """End a tie; it stays in the list with its days. A primary home is not ended but moved."""
    standing = await _locked(tx, who, person_id)
    found = await sql.places.tie(tx, standing.person.id, tie_id)
    if found is None:
        raise errors.NotThere
    if found.is_home and found.ended_on is None:
        raise errors.Conflict(say("Name the new home instead.", "请直接登记新的常住地。"))
    if not await sql.places.end(tx, tie_id, clock.today()):
        tx.discard()
        return
    await _written(tx, who, standing, "people.untie", found.community, found.kind)


async def _written(tx: Tx, who: Caller, standing: _Standing, deed: str, community: str, kind: str) -> None:
    await audit.record(tx, who.account_no, deed, community=community, person_id=standing.person.id, data={"kind": kind})


async def _read(tx: Tx, person_id: uuid.UUID, tie_id: uuid.UUID) -> Tie:
    """A tie just made: a staff member may have moved the person out of their own reach by it."""
    found = await sql.places.tie(tx, person_id, tie_id)
    if found is None:  # pragma: no cover - it was just written
        raise errors.NotThere
    return found


async def find_homes(tx: Tx, *, most: int = 1000) -> int:
    """Write down the homes of those who came before homes were written down; how many."""
    return await sql.places.insert_homes(tx, await sql.places.homeless(tx, most))
