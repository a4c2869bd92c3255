"""Children and their guardians: added, invited, entered by staff, barred, and ended."""

from __future__ import annotations

import secrets
import uuid
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from services.identity import notices, rules, sealing, sql
from services.identity.actions import people
from services.identity.actions.consents import standing
from services.identity.rules import Document
from services.identity.sql.families import NewOffer, NewRelation, Relation, Someone
from shared import audit, clock, crypto, db, errors
from shared.assertion import Caller
from shared.crypto import Keyring
from shared.db import Tx
from shared.notices import announce
from shared.texts import say

MOST_CHILDREN: Final = 10
MOST_GUARDIANS: Final = 4
INVITED_FOR: Final = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class Evidence:
    """What shows that somebody is a child's guardian: a document, its last four characters, or what staff have seen."""

    kind: str
    last4: str | None = None
    note: str | None = None


def seal(keys: Keyring, relation_id: uuid.UUID, said: dict[str, Any]) -> bytes:
    """What is known of a relation and nobody else's business, sealed for its row."""
    return crypto.seal_json(keys, said, table="relations", column="sealed", row=str(relation_id))


def unseal(keys: Keyring, one: Relation) -> dict[str, Any]:
    """What was sealed of a relation."""
    if one.sealed is None:
        return {}
    return crypto.unseal_json(keys, one.sealed, table="relations", column="sealed", row=str(one.id))


def _proof(keys: Keyring, relation_id: uuid.UUID, evidence: Evidence | None) -> bytes | None:
    if evidence is None or (evidence.last4 is None and evidence.note is None):
        return None
    return seal(keys, relation_id, {"last4": evidence.last4, "note": evidence.note})


async def children(tx: Tx, account_no: int, *, after: uuid.UUID | None = None, limit: int = 1000) -> list[Relation]:
    """Those whose guardian an account's person is."""
    own = await people.member(tx, account_no)
    if own.person_id is None:
        return []
    return await sql.families.listed(tx, "guardian", actor_id=own.person_id, after=after, limit=limit)


async def child(tx: Tx, account_no: int, person_id: uuid.UUID) -> Relation:
    """One child of an account's person."""
    own = await people.member(tx, account_no)
    found = await sql.families.between(tx, own.person_id, person_id, "guardian") if own.person_id else None
    if found is None or found.is_barred:
        raise errors.NotThere
    return found


async def read(
    tx: Tx, who: Caller, person_id: uuid.UUID, *, after: uuid.UUID | None, limit: int
) -> tuple[list[Relation], bool]:
    """The guardians and children of somebody, for those who act for them and staff.

    Staff see who is barred and why, too, and that they looked is written down.
    """
    stands = await standing(tx, who, person_id)
    found = await sql.families.listed(
        tx, "guardian", actor_id=person_id, person_id=person_id, with_barred=stands.is_staff, after=after, limit=limit
    )
    if any(one.is_barred for one in found):
        await audit.record(
            tx, who.account_no, "guardians.read", community=stands.subject.community, person_id=person_id
        )
    else:
        tx.discard()
    return found, stands.is_staff


async def add_child(
    tx: Tx, keys: Keyring, account_no: int, *, name: str, document: Document, evidence: Evidence | None
) -> Relation:
    """Become the guardian of a child nobody has registered yet; the same again is answered with the same child."""
    guardian, guardian_id = await people.locked_person(tx, account_no)
    if guardian.community is None or not people.is_known_adult(guardian):
        raise errors.VerificationRequired
    if document.born is None or rules.is_adult(document.born, clock.today()):
        raise errors.Unprocessable.at(
            "/document/number",
            "not_a_child",
            say("This document is not that of a child under 18.", "该证件不属于未满 18 周岁的未成年人。"),
        )
    index = sealing.document_index(keys, document)
    known = await sql.families.by_document(tx, index)
    mine = await sql.families.between(tx, guardian_id, known.id, "guardian") if known is not None else None
    if mine is not None and not mine.is_barred and mine.name == name:
        return mine
    await _room_for_children(tx, guardian_id)
    household_no = guardian.household_no
    if household_no is None:
        (household_no,) = await sql.people.insert_households(tx, [guardian.community])
        await sql.people.set_household(tx, guardian_id, household_no)
    new = people.new_person(
        keys,
        name=name,
        community=guardian.community,
        level=people.BY_DOCUMENT,
        sex=document.sex,
        born=document.born,
        document=document,
        household_no=household_no,
    )
    with people.referee():
        await sql.people.insert_people(tx, [new])
    return await _made(tx, keys, guardian_id, new.id, evidence=evidence)


async def _room_for_children(tx: Tx, guardian_id: uuid.UUID) -> None:
    if len(await sql.families.listed(tx, "guardian", actor_id=guardian_id, limit=MOST_CHILDREN)) == MOST_CHILDREN:
        raise errors.LimitReached(
            say("No more children can be added here; ask the staff.", "无法继续添加子女，请联系工作人员。")
        )


async def _made(
    tx: Tx,
    keys: Keyring,
    guardian_id: uuid.UUID,
    child_id: uuid.UUID,
    *,
    evidence: Evidence | None = None,
    level: int = 0,
    relation_id: uuid.UUID | None = None,
) -> Relation:
    """A new guardian of a child, announced. Both are locked by the caller."""
    new_id = relation_id or clock.uuid7()
    await close_over(tx, pair=(guardian_id, child_id))
    sealed = _proof(keys, new_id, evidence)
    kind = evidence.kind if evidence is not None else None
    new = NewRelation(new_id, guardian_id, child_id, "guardian", level=level, evidence=kind, sealed=sealed)
    with db.referee({sql.families.ONE_RELATION_EACH: lambda: errors.InFlight(retry_after=1)}):
        await sql.families.insert(tx, new)
    made = await sql.families.relation(tx, new_id)
    if made is None:  # pragma: no cover - it was written a line ago
        raise errors.Broken
    await announce(tx, [notices.guardian_added(made.id, made.community, (made.person_no, made.actor_no))])
    return made


async def close_over(tx: Tx, *, pair: tuple[uuid.UUID, uuid.UUID] | None = None) -> int:
    """Say of relations that time has ended that it did; how many."""
    over = await sql.families.close_over(tx, pair=pair)
    await announce(tx, [_ended(one, "grown" if one.kind == "guardian" else "expired") for one in over])
    return len(over)


def _ended(one: Relation, reason: str) -> Any:
    holders = (one.person_no, one.actor_no)
    tell = notices.guardian_ended if one.kind == "guardian" else notices.proxy_revoked
    return tell(one.id, one.community, holders, reason)


async def end(tx: Tx, one: Relation, reason: str) -> None:
    """A relation ends now, and both are told."""
    await sql.families.end(tx, one.id)
    await announce(tx, [_ended(one, reason)])


async def remove_child(tx: Tx, account_no: int, child_id: uuid.UUID) -> None:
    """End one's guardianship of a child. The child, and what others are to it, stay."""
    own = await people.member(tx, account_no)
    if own.person_id is None:
        raise errors.NotThere
    await sql.families.lock(tx, [own.person_id, child_id])
    await end(tx, await child(tx, account_no, child_id), "left")


@dataclass(frozen=True, slots=True)
class Invitation:
    """A code that makes whoever brings it a child's guardian, once and for a day."""

    id: uuid.UUID
    code: str
    expires_at: Any


def _index(keys: Keyring, code: str) -> bytes:
    return crypto.blind_index(keys, code, column="offers.code")


async def invite(tx: Tx, keys: Keyring, account_no: int, child_id: uuid.UUID) -> Invitation:
    """Invite a second guardian; an earlier invitation of the child is good no more."""
    own = await people.member(tx, account_no)
    await child(tx, account_no, child_id)
    await sql.families.lock(tx, [child_id])
    mine = await child(tx, account_no, child_id)
    await _room_for_guardians(tx, child_id)
    await sql.families.end_invitations(tx, child_id)
    made = Invitation(clock.uuid7(), rules.spell_invitation(secrets.randbits(60)), clock.now() + INVITED_FOR)
    index = _index(keys, made.code)
    await sql.families.insert_offer(
        tx,
        NewOffer(
            made.id,
            "guardian",
            child_id,
            None,
            account_no,
            made.expires_at,
            code_hash=index,
            code_ends_at=made.expires_at,
        ),
    )
    await audit.record(tx, own.account_no, "guardians.invite", community=mine.community, person_id=child_id)
    return made


async def _room_for_guardians(tx: Tx, child_id: uuid.UUID) -> None:
    if await sql.families.guardians(tx, child_id) >= MOST_GUARDIANS:
        raise errors.LimitReached(say("This child has guardians enough.", "该儿童的监护人数量已达上限。"))


async def accept(tx: Tx, keys: Keyring, account_no: int, told: str) -> Relation:
    """Become a child's second guardian by an invitation; the same again is answered with the same child."""
    code = rules.read_invitation(told)
    own = await people.member(tx, account_no)
    if own.person_id is None:
        raise errors.NotAllowed
    offer = await sql.families.offer_by_code(tx, _index(keys, code)) if code is not None else None
    if offer is None or offer["person_id"] == own.person_id:
        raise errors.NotThere
    child_id: uuid.UUID = offer["person_id"]
    await sql.families.lock(tx, [own.person_id, child_id])
    mine = await sql.families.between(tx, own.person_id, child_id, "guardian")
    if mine is not None and mine.is_barred:
        raise errors.GuardianBarred
    if mine is not None:
        if mine.id == offer["id"]:
            tx.discard()
            return mine
        raise errors.Exists(say("You are a guardian of this child already.", "您已是该儿童的监护人。"))
    if not people.is_known_adult(own):
        raise errors.VerificationRequired
    offer = await sql.families.offer(tx, offer["id"], locked=True)
    if offer is None or not offer["is_open"] or not await sql.families.is_still_meant(tx, offer["id"]):
        raise errors.Gone(say("This invitation is not good any more.", "此邀请已失效。"))
    await _room_for_children(tx, own.person_id)
    await _room_for_guardians(tx, child_id)
    await sql.families.answer(tx, offer["id"])
    made = await _made(tx, keys, own.person_id, child_id, relation_id=offer["id"])
    await audit.record(tx, account_no, "guardians.accept", community=made.community, person_id=child_id)
    return made


async def _of_office(tx: Tx, who: Caller, child_id: uuid.UUID, guardian_id: uuid.UUID) -> tuple[Someone, Someone]:
    """A child and somebody else, locked, for staff of the child's region who are neither of the two."""
    stands = await standing(tx, who, child_id)
    if not stands.is_staff or who.person_id in (child_id, guardian_id) or stands.given_by is not None:
        raise errors.NotAllowed
    await sql.families.lock(tx, [child_id, guardian_id])
    found, other = await sql.families.someone(tx, child_id), await sql.families.someone(tx, guardian_id)
    if found is None or other is None:
        raise errors.NotThere
    if found.born is None or rules.is_adult(found.born, clock.today()):
        raise errors.Unprocessable.at(
            "/person_id",
            "not_a_child",
            say("This person is not known to be a child.", "此人并非已登记的未成年人。"),
            where="path",
        )
    return found, other


async def enter(
    tx: Tx, keys: Keyring, who: Caller, child_id: uuid.UUID, guardian_id: uuid.UUID, evidence: Evidence, level: int
) -> Relation:
    """Staff enter a guardian whose evidence they have seen."""
    found, guardian = await _of_office(tx, who, child_id, guardian_id)
    if not people.is_known_adult(guardian):
        raise errors.VerificationRequired
    now = await sql.families.between(tx, guardian_id, child_id, "guardian")
    if now is not None:
        raise errors.GuardianBarred if now.is_barred else errors.Exists
    await _room_for_guardians(tx, child_id)
    made = await _made(tx, keys, guardian_id, child_id, evidence=evidence, level=level)
    await _recorded(tx, who, "guardians.add", found, made, level=rules.LEVELS[level], evidence=evidence.kind)
    return made


async def check(
    tx: Tx, keys: Keyring, who: Caller, child_id: uuid.UUID, guardian_id: uuid.UUID, evidence: Evidence, level: int
) -> Relation:
    """Staff say how well a guardianship is known, and by what."""
    found, _ = await _of_office(tx, who, child_id, guardian_id)
    now = await sql.families.between(tx, guardian_id, child_id, "guardian")
    if now is None or now.is_barred:
        raise errors.NotThere
    sealed = seal(keys, now.id, {"last4": evidence.last4, "note": evidence.note})
    await sql.families.set_evidence(tx, now.id, level, evidence.kind, sealed)
    await _recorded(tx, who, "guardians.check", found, now, level=rules.LEVELS[level], evidence=evidence.kind)
    return await sql.families.relation(tx, now.id) or now


async def bar(
    tx: Tx, keys: Keyring, who: Caller, child_id: uuid.UUID, guardian_id: uuid.UUID, *, reason: str, document: str
) -> Relation:
    """Somebody is no guardian of a child any more, and cannot become one again; the same again changes nothing."""
    found, other = await _of_office(tx, who, child_id, guardian_id)
    await close_over(tx, pair=(guardian_id, child_id))
    now = await sql.families.between(tx, guardian_id, child_id, "guardian")
    if now is not None and now.is_barred:
        tx.discard()
        return now
    said = {"reason": reason, "document": document}
    if now is not None:
        await sql.families.end(tx, now.id, barred=True, sealed=seal(keys, now.id, unseal(keys, now) | said))
    else:
        new_id = clock.uuid7()
        sealed = seal(keys, new_id, said)
        new = NewRelation(new_id, guardian_id, child_id, "guardian", sealed=sealed, is_barred=True)
        await sql.families.insert(tx, new)
    barred = await sql.families.between(tx, guardian_id, child_id, "guardian")
    if barred is None:  # pragma: no cover - it was written a line ago
        raise errors.Broken
    await announce(tx, [notices.guardian_barred(barred.id, found.community, (found.no, other.no))])
    await _recorded(tx, who, "guardians.bar", found, barred)
    return barred


async def lift(tx: Tx, keys: Keyring, who: Caller, child_id: uuid.UUID, guardian_id: uuid.UUID, *, reason: str) -> None:
    """Nobody is barred any more; to be a guardian again, they are invited or entered anew."""
    found, _ = await _of_office(tx, who, child_id, guardian_id)
    now = await sql.families.between(tx, guardian_id, child_id, "guardian")
    if now is None or not now.is_barred:
        raise errors.NotThere
    await sql.families.lift(tx, now.id, seal(keys, now.id, unseal(keys, now) | {"lifted": reason}))
    await _recorded(tx, who, "guardians.lift", found, now)


async def _recorded(tx: Tx, who: Caller, deed: str, found: Someone, one: Relation, **data: Any) -> None:
    await audit.record(
        tx,
        who.account_no,
        deed,
        community=found.community,
        person_id=found.id,
        data={"relation_id": str(one.id)} | data,
    )
