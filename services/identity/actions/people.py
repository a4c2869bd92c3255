"""Becoming a resident, and saying who one is."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final

from services.identity import rules, sealing, second, sql
from services.identity.rules import Document, Phone
from shared import clock, db, errors, masking
from shared.crypto import Keyring
from shared.db import Tx
from shared.texts import say

BY_PHONE: Final = 1
BY_DOCUMENT: Final = 2
CONFIRMED: Final = 3
NEW_RESIDENT: Final = "新居民"
UNKNOWN_HOME: Final = sql.places.UNKNOWN_HOME


async def must_have_second(tx: Tx, account_no: int) -> bool:
    """Whether one of an account's roles is too powerful for a telephone or a password alone."""
    return any(one.role in second.MUST for one in await sql.people.roles(tx, account_no))


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


def is_known_adult(one: sql.people.Member | sql.families.Someone) -> bool:
    """Whether somebody is grown up, and known by a document."""
    return one.level >= BY_DOCUMENT and rules.is_adult(one.born, clock.today())


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


def referee() -> contextlib.AbstractContextManager[None]:
    """The database says who came first with a document, and with a login."""
    return db.referee(
        {
            sql.people.PERSON_PER_DOCUMENT: errors.DocumentTaken,
            sql.logins.ACCOUNT_PER_LOGIN: lambda: errors.InFlight(retry_after=1),
        }
    )


def new_person(  # noqa: PLR0913 - what may be known of somebody
    keys: Keyring,
    *,
    name: str,
    community: str,
    level: int,
    sex: str | None = None,
    born: date | None = None,
    document: Document | None = None,
    phone: Phone | None = None,
    household_no: int | None = None,
) -> sql.people.NewPerson:
    """Somebody who is to be written down."""
    person_id = clock.uuid7()
    kept = sealing.kept(keys, document, person_id)
    return sql.people.NewPerson(
        id=person_id,
        name=name,
        sex=sex,
        born=born,
        community=community,
        level=level,
        household_no=household_no,
        document_kind=kept.kind,
        document_sealed=kept.sealed,
        document_index=kept.found_by,
        document_last4=kept.last4,
        phone_sealed=sealing.phone(keys, phone, person_id) if phone else None,
        phone_index=sealing.contact_index(keys, phone) if phone else None,
    )


async def write_name(tx: Tx, keys: Keyring, person_id: uuid.UUID, *, name: str, document: Document, level: int) -> None:
    """Write who a person is by a document. Locked by the caller."""
    kept = sealing.kept(keys, document, person_id)
    with referee():
        await sql.people.set_real_name(
            tx, person_id, name=name, sex=document.sex, born=document.born, level=level, document=kept
        )


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
    await write_name(tx, keys, person_id, name=name, document=document, level=BY_DOCUMENT)
    return await me(tx, keys, account_no)
