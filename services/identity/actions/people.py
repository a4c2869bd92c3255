"""Becoming a resident, and saying who one is."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final

import asyncpg

from services.identity import sealing, sql
from services.identity.rules import Document
from shared import db, errors, masking
from shared.assertion import TWO_FACTORS
from shared.crypto import Keyring
from shared.db import Tx
from shared.texts import say

BY_PHONE: Final = 1
BY_DOCUMENT: Final = 2
CONFIRMED: Final = 3
ADULT: Final = 18
NEW_RESIDENT: Final = "新居民"
UNKNOWN_HOME: Final = sql.places.UNKNOWN_HOME


def _age(born: date, today: date) -> int:
    return today.year - born.year - ((today.month, today.day) < (born.month, born.day))


async def must_have_second(tx: Tx, account_no: int, among: frozenset[str] = TWO_FACTORS) -> bool:
    """Whether one of an account's roles is too powerful for a telephone or a password alone."""
    return any(one.role in among for one in await sql.people.roles(tx, account_no))


def is_adult(born: date | None, today: date) -> bool:
    """Whether somebody is known to be grown up."""
    return born is not None and _age(born, today) >= ADULT


async def member(tx: Tx, account_no: int) -> sql.people.Member:
    """The member behind the account that asks; an account that is closed is not known."""
    found = await sql.people.member(tx, account_no)
    if found is None:
        raise errors.NotKnown
    return found


async def locked_person(tx: Tx, account_no: int) -> tuple[sql.people.Member, uuid.UUID]:
    """The member who asks, and their person, locked; devices have none."""
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
    acts_for: Sequence[sql.families.Relation]


async def me(tx: Tx, keys: Keyring, account_no: int) -> Me:
    """Who an account is, and for whom it may act."""
    own = await member(tx, account_no)
    phone = None
    relations: Sequence[sql.families.Relation] = ()
    if own.person_id is not None:
        relations = await sql.families.listed(tx, None, actor_id=own.person_id)
        if own.phone_sealed is not None:
            phone = masking.phone(sealing.open_phone(keys, own.phone_sealed, own.person_id))
    return Me(own, phone, await sql.people.roles(tx, account_no), relations)


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
    own, person_id = await locked_person(tx, account_no)
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
