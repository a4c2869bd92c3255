"""Becoming a resident, saying who one is, and one's children."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final

import asyncpg

from services.identity import rules, sealing, sql
from services.identity.rules import Document
from shared import clock, db, errors
from shared.crypto import Keyring
from shared.db import Tx
from shared.texts import say

BY_PHONE: Final = 1
BY_DOCUMENT: Final = 2
CONFIRMED: Final = 3
ADULT: Final = 18
MOST_CHILDREN: Final = 10
NEW_RESIDENT: Final = "新居民"
UNKNOWN_HOME: Final = "33"
"""The province: of a new resident no more is known."""


def _age(born: date, today: date) -> int:
    return today.year - born.year - ((today.month, today.day) < (born.month, born.day))


def is_adult(born: date | None, today: date) -> bool:
    """Whether somebody is known to be grown up."""
    return born is not None and _age(born, today) >= ADULT


async def member(tx: Tx, account_no: int) -> sql.people.Member:
    """The member behind the account that asks; an account that is closed is not known."""
    found = await sql.people.member(tx, account_no)
    if found is None:
        raise errors.NotKnown
    return found


async def _locked_person(tx: Tx, account_no: int) -> tuple[sql.people.Member, uuid.UUID]:
    person_id = (await member(tx, account_no)).person_id
    if person_id is None:
        raise errors.NotAllowed
    await sql.people.lock_person(tx, person_id)
    return await member(tx, account_no), person_id


@dataclass(frozen=True, slots=True)
class Me:
    """All that an account is told about itself."""

    member: sql.people.Member
    phone_masked: str | None
    roles: Sequence[sql.people.Role]
    acts_for: Sequence[sql.people.Relation]


async def me(tx: Tx, keys: Keyring, account_no: int) -> Me:
    """Who an account is, and for whom it may act."""
    own = await member(tx, account_no)
    phone = None
    relations: Sequence[sql.people.Relation] = ()
    if own.person_id is not None:
        relations = await sql.people.relations(tx, own.person_id)
        if own.phone_sealed is not None:
            phone = rules.mask_phone(sealing.open_phone(keys, own.phone_sealed, own.person_id))
    return Me(own, phone, await sql.people.roles(tx, account_no), relations)


async def family(tx: Tx, account_no: int, *, after: uuid.UUID | None, limit: int) -> list[sql.people.Relation]:
    """Those whose guardian an account's person is."""
    own = await member(tx, account_no)
    if own.person_id is None:
        return []
    return await sql.people.relations(tx, own.person_id, kind="guardian", after=after, limit=limit)


@contextlib.contextmanager
def referee() -> Iterator[None]:
    """The database says who came first with a document."""
    try:
        yield
    except asyncpg.UniqueViolationError as error:
        if db.constraint_of(error) == sql.people.PERSON_PER_DOCUMENT:
            raise errors.DocumentTaken from None
        raise


async def set_real_name(tx: Tx, keys: Keyring, account_no: int, *, name: str, document: Document) -> Me:
    """Say who one is, once; the same again changes nothing, and anything else is for the staff."""
    own, person_id = await _locked_person(tx, account_no)
    index = sealing.document_index(keys, document)
    if own.level >= BY_DOCUMENT or own.document_index is not None:
        if own.document_index != index or own.name != name:
            raise errors.Exists(
                say(
                    "Your real name is on record already; ask the staff to change it.",
                    "已完成实名，如需更改请联系工作人员。",
                )
            )
        return await me(tx, keys, account_no)
    with referee():
        await sql.people.set_real_name(
            tx,
            person_id,
            name=name,
            sex=document.sex,
            born=document.born,
            kind=document.kind,
            sealed=sealing.document(keys, document, person_id),
            index=index,
            last4=document.last4,
            level=BY_DOCUMENT,
        )
    return await me(tx, keys, account_no)


async def add_child(tx: Tx, keys: Keyring, account_no: int, *, name: str, document: Document) -> sql.people.Relation:
    """Become the guardian of a child nobody has registered yet; the same again is answered with the same child."""
    guardian, guardian_id = await _locked_person(tx, account_no)
    if guardian.level < BY_DOCUMENT or guardian.community is None or not is_adult(guardian.born, clock.today()):
        raise errors.VerificationRequired
    if document.born is None or is_adult(document.born, clock.today()):
        raise errors.Unprocessable(
            say("This document is not that of a child under 18.", "该证件不属于未满 18 周岁的未成年人。"),
            errors=[{"in": "body", "pointer": "/document/number", "code": "not_a_child"}],
        )
    index = sealing.document_index(keys, document)
    known = await sql.people.ward_by_document(tx, guardian_id, index)
    if known is not None and known.name == name:
        return known
    if len(await sql.people.relations(tx, guardian_id, kind="guardian", limit=MOST_CHILDREN)) == MOST_CHILDREN:
        raise errors.LimitReached(
            say("No more children can be added here; ask the staff.", "无法继续添加子女，请联系工作人员。")
        )
    household_no = guardian.household_no
    if household_no is None:
        (household_no,) = await sql.people.insert_households(tx, [guardian.community])
        await sql.people.set_household(tx, guardian_id, household_no)
    child_id = clock.uuid7()
    child = sql.people.NewPerson(
        id=child_id,
        name=name,
        sex=document.sex,
        born=document.born,
        community=guardian.community,
        level=BY_DOCUMENT,
        household_no=household_no,
        document_kind=document.kind,
        document_sealed=sealing.document(keys, document, child_id),
        document_index=index,
        document_last4=document.last4,
        phone_sealed=None,
    )
    with referee():
        await sql.people.insert_people(tx, [child])
    await sql.people.insert_guardians(tx, [(guardian_id, child_id)])
    (made,) = [one for one in await sql.people.relations(tx, guardian_id, kind="guardian") if one.person_id == child_id]
    return made


async def remove_child(tx: Tx, account_no: int, child_id: uuid.UUID) -> None:
    """End one's guardianship of a child. The child, and what others are to it, stay."""
    own = await member(tx, account_no)
    if own.person_id is None or not await sql.people.end_guardian(tx, own.person_id, child_id):
        raise errors.NotThere
