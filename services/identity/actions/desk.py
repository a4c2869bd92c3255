"""What staff do about people: look for them, write them down, change and confirm them."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date

from services.identity import notices, rules, sealing, sql
from services.identity.actions import people
from services.identity.actions.consents import DESK
from services.identity.rules import Document, DocumentKind, Phone
from services.identity.sql.desk import Known, Person
from shared import audit, clock, errors, masking
from shared.assertion import Caller
from shared.crypto import Keyring
from shared.db import Tx
from shared.notices import announce
from shared.texts import say

Matches = Callable[[object], None]
"""Refuses unless the caller read this version."""


@dataclass(frozen=True, slots=True)
class Seen:
    """A person as somebody else sees them: their name, number and phone masked; the name in full for one's family."""

    id: uuid.UUID
    name: str = field(repr=False)
    community: str
    level: int
    document_kind: str | None
    number_masked: str | None
    phone_masked: str | None
    version: int


def seen(keys: Keyring, one: Person, *, is_staff: bool = True) -> Seen:
    """What is shown of a person."""
    number = sealing.open_document(keys, one.document_sealed, one.id) if one.document_sealed else None
    phone = sealing.open_phone(keys, one.phone_sealed, one.id) if one.phone_sealed else None
    return Seen(
        one.id,
        masking.name(one.name) if is_staff else one.name,
        one.community,
        one.level,
        one.document_kind,
        masking.number(number) if number else None,
        masking.phone(phone) if phone else None,
        one.version,
    )


async def is_near(tx: Tx, who: Caller, one: Person) -> bool:
    """Whether a person belongs to a region whose desk the caller sits at; one without a home belongs to every desk."""
    if who.may(DESK, one.community):
        return True
    if any(role.role in DESK and role.place_id is None for role in who.roles):
        if one.community == people.UNKNOWN_HOME:
            return True
        return any(who.may(DESK, code) for code in await sql.desk.ties(tx, one.id))
    return False


async def require_region(tx: Tx, code: str, pointer: str) -> None:
    """Refuse a region that is not there, or no longer."""
    successors = await sql.places.successors(tx, code)
    if successors is None:
        raise errors.Unprocessable.at(pointer, "unknown")
    if successors:
        raise errors.RegionEnded(successors=successors)


async def search(tx: Tx, keys: Keyring, who: Caller, typed: str) -> list[Seen]:
    """Who has this number or phone, or whose name begins so, within the caller's regions. It is written down."""
    prefixes = who.reach(DESK)
    wanted = rules.sought(typed)
    if wanted is None:
        raise errors.Unprocessable.at("/q", "too_short")
    if wanted.kind == "name":
        found = await sql.desk.by_name(tx, prefixes, wanted.text)
    else:
        found = await sql.desk.by_number(
            tx,
            prefixes,
            sealing.number_index(keys, wanted.text),
            sealing.contact_index(keys, wanted.phone) if wanted.phone else None,
            sealing.phone_index(keys, wanted.phone) if wanted.phone else None,
        )
    await audit.record(
        tx,
        who.account_no,
        "people.search",
        community=min(prefixes, key=len),
        data={"kind": wanted.kind, "found": len(found)},
    )
    return [seen(keys, one) for one in found]


async def read(tx: Tx, keys: Keyring, who: Caller, person_id: uuid.UUID) -> Seen:
    """A person, for staff of their regions, their guardians and proxies, and themselves."""
    who.known()
    one = await sql.desk.person(tx, person_id)
    if one is None:
        raise errors.NotThere
    if who.person_id == person_id or any(other.person_id == person_id for other in who.acts_for):
        return seen(keys, one, is_staff=False)
    if not await is_near(tx, who, one):
        raise errors.NotThere
    return seen(keys, one)


async def locked(tx: Tx, who: Caller, person_id: uuid.UUID) -> Person:
    """A person, locked, whom the caller may change: at the desk of where they live, and never one's own family."""
    who.known()
    await sql.people.lock_person(tx, person_id)
    one = await sql.desk.person(tx, person_id)
    own = who.person_id
    if one is None or not (own == person_id or await is_near(tx, who, one)):
        raise errors.NotThere
    if own is not None and (own == person_id or await sql.desk.are_family(tx, own, person_id)):
        raise errors.OwnMatter
    if one.community != people.UNKNOWN_HOME:
        who.require(DESK, one.community)
    return one


async def taken(tx: Tx, keys: Keyring, who: Caller, document: Document) -> errors.DocumentTaken:
    """The refusal of a number that another has, saying who that is only to somebody who may see them."""
    owner = await sql.desk.by_document(tx, sealing.document_index(keys, document))
    if owner is None or not await is_near(tx, who, owner):
        return errors.DocumentTaken()
    return errors.DocumentTaken(person={"id": str(owner.id), "name": masking.name(owner.name)})


@dataclass(frozen=True, slots=True)
class Told:
    """A person as the desk was told of them; None is: not said."""

    name: str | None = field(repr=False)
    document: Document | None
    phone: Phone | None
    born: date | None = field(repr=False)
    sex: str | None


def _born(told: Told, before: date | None = None) -> date | None:
    by_number = told.document.born if told.document else None
    if by_number is not None and told.born is not None and told.born != by_number:
        raise errors.Unprocessable.at("/born", "not_as_in_document")
    if told.born is not None and not date(1850, 1, 1) <= told.born <= clock.today():
        raise errors.Unprocessable.at("/born", "document_date")
    return by_number or told.born or before


def _level(document: Document) -> int:
    return people.BY_PHONE if document.kind is DocumentKind.NONE else people.BY_DOCUMENT


async def enrol(tx: Tx, keys: Keyring, who: Caller, told: Told, community: str) -> Seen:
    """Write down somebody who came to the desk. Their mobile logs them in, unless it is somebody's already."""
    who.require(DESK, community)
    await require_region(tx, community, "/community")
    if told.name is None or told.document is None:  # pragma: no cover - the schema asks for both
        raise errors.Unprocessable
    born = _born(told)
    person = people.new_person(
        keys,
        name=told.name,
        community=community,
        level=_level(told.document),
        sex=told.document.sex or told.sex,
        born=born,
        document=told.document,
        phone=told.phone,
    )
    person_id = person.id
    with people.referee():
        await sql.people.insert_people(tx, [person])
        if told.phone and told.phone.kind == "mobile" and rules.is_adult(born, clock.today()):
            login = sealing.phone_index(keys, told.phone)
            if not await sql.people.taken_logins(tx, "phone", [login]):
                account = sql.people.NewAccount(clock.uuid7(), person_id, told.name, "phone", login)
                await sql.people.insert_accounts(tx, [account])
    await require_region(tx, community, "/community")  # again: writing waited for a region that was just ending
    await audit.record(tx, who.account_no, "people.enrol", community=community, person_id=person_id)
    return await _again(tx, keys, person_id)


async def replace(
    tx: Tx, keys: Keyring, who: Caller, person_id: uuid.UUID, told: Told, matches: Matches, *, reason: str | None
) -> Seen:
    """Change what is told anew; the rest stays. Who was confirmed is changed only with a reason, and is confirmed no more."""
    one = await locked(tx, who, person_id)
    matches(one.version)
    document, phone = told.document, told.phone
    kept = sealing.kept(keys, document, person_id)
    is_new_document = document is not None and (kept.kind, kept.found_by) != (one.document_kind, one.document_index)
    born = _born(told, one.born)
    name, sex = told.name or one.name, (document.sex if document else None) or told.sex or one.sex
    is_other = is_new_document or (name, born, sex) != (one.name, one.born, one.sex)
    if one.level >= people.CONFIRMED and is_other and reason is None:
        raise errors.Confirmed
    level = one.level
    if is_new_document and document is not None:
        level = _level(document)
    elif is_other:
        level = min(level, people.BY_DOCUMENT)
    known = Known(
        name=name,
        sex=sex,
        born=born,
        level=level,
        document=kept,
        phone_sealed=sealing.phone(keys, phone, person_id) if phone else None,
        phone_index=sealing.contact_index(keys, phone) if phone else None,
    )
    with people.referee():
        await sql.desk.replace(tx, person_id, known, is_new_document=is_new_document, is_new_phone=phone is not None)
    said = {"name": told.name, "document": document, "phone": phone, "born": told.born, "sex": told.sex}
    await audit.record(
        tx,
        who.account_no,
        "people.change",
        community=one.community,
        person_id=person_id,
        reason=reason,
        data={"fields": sorted(key for key, value in said.items() if value is not None), "level": level},
    )
    return await _again(tx, keys, person_id)


async def confirm(
    tx: Tx, keys: Keyring, who: Caller, person_id: uuid.UUID, *, how: str, document: DocumentKind
) -> Seen:
    """Confirm that a person is who they say: the staff have seen them and their document."""
    one = await locked(tx, who, person_id)
    if one.document_kind is None:
        raise errors.VerificationRequired(
            say("Write down a document first, or that there is none.", "请先登记证件，或登记为无证件。")
        )
    if one.document_kind != document:
        raise errors.Unprocessable.at("/document", "another_document")
    if one.level >= people.CONFIRMED:
        tx.discard()
        return seen(keys, one)
    confirmation = clock.uuid7()
    await sql.desk.confirm(tx, person_id, people.CONFIRMED)
    await audit.record(
        tx,
        who.account_no,
        "people.confirm",
        community=one.community,
        person_id=person_id,
        data={"id": str(confirmation), "how": how, "document": document.value},
    )
    await announce(tx, [notices.person_confirmed(confirmation, one.community, one.holder_no, people.CONFIRMED)])
    return await _again(tx, keys, person_id)


async def _again(tx: Tx, keys: Keyring, person_id: uuid.UUID) -> Seen:
    one = await sql.desk.person(tx, person_id)
    if one is None:  # pragma: no cover - it was just written
        raise errors.NotThere
    return seen(keys, one)


async def index_phones(tx: Tx, keys: Keyring, *, most: int = 1000) -> int:
    """Make phones that were kept before there was an index findable; how many."""
    found = await sql.desk.unindexed(tx, most)
    phones = [(one, rules.normalise_phone("+" + sealing.open_phone(keys, sealed, one))) for one, sealed in found]
    await sql.desk.set_phone_indexes(tx, [(one, sealing.contact_index(keys, phone)) for one, phone in phones])
    return len(found)
