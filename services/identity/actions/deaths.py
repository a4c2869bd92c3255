"""After a death: what went on by itself ends, and those close to whoever has died may speak for them for a time.

The staff records the death and who somebody is to the dead; somebody else of the staff gives leave. What a person said in
life goes before all of it.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, Final

from services.identity import notices, rules, sql
from services.identity.actions import families, standing
from services.identity.actions.people import BY_DOCUMENT
from services.identity.actions.reveals import APPROVERS
from services.identity.sql.deaths import NewDeath, NewRelative
from shared import audit, clock, errors
from shared.assertion import Caller
from shared.db import Tx
from shared.notices import announce
from shared.rights import Whom
from shared.texts import say

LEAVE: Final = timedelta(days=90)
"""For so long a relative may ask for a copy, a correction or an end."""


async def _known(tx: Tx, who: Caller, person_id: uuid.UUID, roles: frozenset[str] = standing.DESK) -> Whom:
    """Somebody who is not closed, for staff of their region who are somebody else."""
    subject = await sql.consents.subject(tx, person_id)
    whom = await sql.rights.whom(tx, person_id, who.known())
    if subject is None or whom is None or not who.may(standing.DESK, subject.community):
        raise errors.NotThere
    if not who.may(roles, subject.community) or who.person_id in (None, person_id):
        raise errors.NotAllowed
    return whom


async def record(tx: Tx, who: Caller, person_id: uuid.UUID, died_on: date, evidence: str) -> Any:
    """Somebody has died: logins, offices and whom they act for end at once. Said again it corrects the day and the paper."""
    await _known(tx, who, person_id)
    partners = await sql.families.listed(tx, None, actor_id=person_id, person_id=person_id)
    await sql.families.lock(tx, [person_id, *(id_ for one in partners for id_ in (one.actor_id, one.person_id))])
    subject = await sql.consents.subject(tx, person_id)
    if subject is None:  # pragma: no cover - it was there a line ago
        raise errors.NotThere
    if not (subject.born or rules.EARLIEST) <= died_on <= clock.today():
        raise errors.Unprocessable.at("/died_on", "out_of_range")
    new = NewDeath(clock.uuid7(), person_id, subject.community, died_on, evidence, who.account_no or 0)
    is_new = await sql.deaths.insert(tx, new)
    if is_new:
        await sql.deaths.end(tx, person_id)
        for one in await sql.families.listed(tx, None, actor_id=person_id, person_id=person_id):
            await families.end(tx, one, "died")
        await announce(tx, [notices.rights.death_recorded(new.id, subject.community, subject.holder_no)])
    else:
        before = await sql.deaths.death(tx, person_id)
        if before is not None and (before["died_on"], before["evidence"]) == (died_on, evidence):
            tx.discard()
            return before
        await sql.deaths.correct(tx, new)
    await audit.record(
        tx,
        who.account_no,
        "people.death_recorded" if is_new else "people.death_corrected",
        community=subject.community,
        person_id=person_id,
        data={"evidence": evidence},
    )
    return await sql.deaths.death(tx, person_id)


async def read(tx: Tx, who: Caller, person_id: uuid.UUID) -> Any:
    """The death that is recorded of somebody, for the staff."""
    await _known(tx, who, person_id)
    found = await sql.deaths.death(tx, person_id)
    if found is None:
        raise errors.NotThere
    return found


async def take_back(tx: Tx, who: Caller, person_id: uuid.UUID, reason: str) -> None:
    """It was a mistake: they may log in and book again. What was given back for them is not taken from others."""
    await _known(tx, who, person_id, APPROVERS)
    await sql.families.lock(tx, [person_id])
    found = await sql.deaths.death(tx, person_id)
    if found is None:
        raise errors.NotThere
    await sql.deaths.take_back(tx, found)
    await audit.record(
        tx, who.account_no, "people.death_withdrawn", community=found["community"], person_id=person_id, reason=reason
    )
    subject = await sql.consents.subject(tx, person_id)
    holder_no = subject.holder_no if subject is not None else 0
    await announce(tx, [notices.rights.death_withdrawn(found["id"], found["community"], holder_no)])


async def due(tx: Tx) -> list[tuple[Any, Whom | None]]:
    """Deaths after which claims, lists and standing orders must still end, and whose they are."""
    rows = await sql.deaths.unsettled(tx, 20)
    return [(row, await sql.rights.whom(tx, row["person_id"], row["account_no"])) for row in rows]


async def settled(tx: Tx, death_id: uuid.UUID) -> bool:
    """All of it has ended."""
    return bool(await sql.deaths.set_settled(tx, death_id))


@dataclass(frozen=True, slots=True)
class Wish:
    """Whom somebody lets speak for them after their death; without a word of theirs, near relatives, as the law has it."""

    who: str = "relatives"
    named: Sequence[uuid.UUID] = ()
    changed_at: Any = None

    def allows(self, relative_id: uuid.UUID) -> bool:
        """Whether this person may."""
        return self.who == "relatives" or relative_id in self.named


async def _wish(tx: Tx, person_id: uuid.UUID) -> Wish:
    row = await sql.deaths.wish(tx, person_id)
    return Wish(row["who"], row["named"], row["changed_at"]) if row is not None else Wish()


async def _own_word(tx: Tx, who: Caller, person_id: uuid.UUID | None) -> standing.Standing:
    """Oneself, or the desk that writes down what somebody says: nobody else wishes this for anybody."""
    found = await standing.of(tx, who, person_id)
    if found.subject.person_id != who.person_id and not found.is_desk:
        raise errors.NotAllowed
    return found


async def read_wish(tx: Tx, who: Caller, person_id: uuid.UUID | None) -> Wish:
    """What somebody wants for after their death."""
    found = await _own_word(tx, who, person_id)
    return await _wish(tx, found.subject.person_id)


async def put_wish(tx: Tx, who: Caller, person_id: uuid.UUID | None, wanted: Wish) -> Wish:
    """Say it anew, while one lives; the same again changes nothing."""
    found = await _own_word(tx, who, person_id)
    subject = found.subject
    await sql.consents.lock(tx, subject.holder_no)
    if subject.person_id not in await sql.deaths.living(tx, [subject.person_id]):
        raise errors.NotThere
    known = await sql.deaths.living(tx, wanted.named)
    wrong = [n for n, one in enumerate(wanted.named) if one not in known or one == subject.person_id]
    if wrong:
        raise errors.Unprocessable(
            errors=[{"in": "body", "pointer": f"/persons/{n}", "code": "unknown"} for n in wrong]
        )
    before = await _wish(tx, subject.person_id)
    if (before.who, list(before.named)) == (wanted.who, list(wanted.named)) and before.changed_at is not None:
        tx.discard()
        return before
    await sql.deaths.put_wish(tx, subject.person_id, subject.community, wanted.who, wanted.named, who.account_no or 0)
    await audit.record(
        tx,
        who.account_no,
        "people.wish",
        community=subject.community,
        person_id=subject.person_id,
        data={"fields": [wanted.who]},
    )
    return await _wish(tx, subject.person_id)


async def ask(
    tx: Tx, who: Caller, person_id: uuid.UUID, *, relative_id: uuid.UUID, relation: str, evidence: str, reason: str
) -> Any:
    """Ask leave for a relative whose papers the staff has seen; the same again is answered with what is asked already."""
    await _known(tx, who, person_id)
    death = await sql.deaths.death(tx, person_id)
    if death is None:
        raise errors.Conflict(say("No death is recorded of this person.", "该人员没有死亡登记。"))
    relative = await sql.families.someone(tx, relative_id)
    if relative is None or relative_id not in await sql.deaths.living(tx, [relative_id]):
        raise errors.Unprocessable.at("/relative", "unknown")
    wish = await _wish(tx, person_id)
    if not wish.allows(relative_id):
        raise errors.WishedOtherwise
    if relation == "named" and wish.who != "named":
        raise errors.Unprocessable.at("/relation", "not_named")
    if relative.level < BY_DOCUMENT or not rules.is_adult(relative.born, clock.today()):
        raise errors.VerificationRequired
    new = NewRelative(
        clock.uuid7(),
        person_id,
        relative_id,
        death["community"],
        relation,
        evidence,
        reason,
        who.account_no or 0,
        who.person_id or person_id,
    )
    with standing.decided_by_another():
        if not await sql.deaths.ask(tx, new):
            tx.discard()
            return await sql.deaths.asked_for(tx, person_id, relative_id)
    managers = await sql.reveals.in_office(tx, sorted(APPROVERS), death["community"], but=who.account_no)
    await announce(tx, [notices.rights.relative_asked(new.id, death["community"], managers)])
    await _recorded(tx, who, "people.relative_asked", new._asdict(), reason)
    return await sql.deaths.relative(tx, new.id)


async def _recorded(tx: Tx, who: Caller, deed: str, row: Any, reason: str | None = None) -> None:
    await audit.record(
        tx,
        who.account_no,
        deed,
        community=row["community"],
        person_id=row["person_id"],
        reason=reason,
        data={
            "id": row["id"],
            "relative_id": row["relative_id"],
            "relation": row["relation"],
            "evidence": row["evidence"],
        },
    )


async def relative(tx: Tx, who: Caller, leave_id: uuid.UUID, *, locked: bool = False) -> Any:
    """One leave: for whoever asked, for the relative, and where one decides."""
    who.known()
    row = await sql.deaths.relative(tx, leave_id, locked=locked)
    if row is None or not (
        row["account_no"] == who.account_no
        or row["relative_id"] == who.person_id
        or who.may(APPROVERS, row["community"])
    ):
        raise errors.NotThere
    return row


async def relatives(tx: Tx, who: Caller, state: str | None, before: uuid.UUID | None, limit: int) -> list[Any]:
    """What one asked for, what one has leave for, and what is asked in the regions where one decides."""
    prefixes = [one.prefix for one in who.roles if one.role in APPROVERS and one.place_id is None]
    return await sql.deaths.relatives(tx, who.known(), who.person_id, prefixes, state, before, limit)


async def decide(tx: Tx, who: Caller, leave_id: uuid.UUID, *, is_allowed: bool, reason: str | None = None) -> Any:
    """Give leave or deny it, also later; the schema refuses whoever asked, and the relative. Again changes nothing."""
    row = await relative(tx, who, leave_id, locked=True)
    if who.person_id is None or not who.may(APPROVERS, row["community"]):
        raise errors.NotAllowed
    wanted = "allowed" if is_allowed else "denied"
    if row["state"] == wanted and row["decided_by"] == who.account_no:
        tx.discard()
        return row
    if is_allowed and await sql.deaths.death(tx, row["person_id"]) is None:
        raise errors.Conflict(say("No death is recorded of this person.", "该人员没有死亡登记。"))
    with standing.decided_by_another():
        decided = await sql.deaths.decide(
            tx, leave_id, who.account_no or 0, who.person_id, LEAVE if is_allowed else None
        )
    if not decided:
        raise errors.AlreadyRecorded
    await _recorded(tx, who, f"people.relative_{wanted}", row, reason)
    await announce(tx, [notices.rights.relative_answered(leave_id, row["community"], row["relative_no"], wanted)])
    return await sql.deaths.relative(tx, leave_id)
