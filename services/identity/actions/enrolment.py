"""Writing a whole register of residents at once."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import date
from typing import NamedTuple, Protocol

from services.identity import rules, sealing, sql
from services.identity.actions import people
from services.identity.rules import DocumentKind
from shared import clock
from shared.crypto import Keyring
from shared.db import Tx


class Resident(Protocol):
    """Somebody to enrol, as a register lists them; members of a household share its number."""

    @property
    def name(self) -> str:
        """As on the document."""

    @property
    def sex(self) -> str:
        """Either "male" or "female"."""

    @property
    def born(self) -> date:
        """Of the document, where it says so."""

    @property
    def document_kind(self) -> str:
        """A DocumentKind."""

    @property
    def document_number(self) -> str:
        """As typed."""

    @property
    def phone(self) -> str | None:
        """As typed; None for none."""

    @property
    def household(self) -> int:
        """A number that the members of a household share."""

    @property
    def relation(self) -> str:
        """To the head: "head", "spouse", or anything else."""

    @property
    def community(self) -> str:
        """A 12-digit code."""


class Enrolled(NamedTuple):
    """What a resident became; no account for children and for those whose phone is somebody else's login."""

    person_id: uuid.UUID
    holder_no: int
    account_no: int | None
    account_id: uuid.UUID | None


async def enrol(tx: Tx, keys: Keyring, residents: Sequence[Resident]) -> list[Enrolled]:
    """Write residents with households, accounts, logins and guardians, in their order; thousands in six statements.

    A phone is the login of the first adult who brings it. Head and spouse are the guardians of the household's minors.
    Household numbers count within one call. Raises rules.DocumentRefused or rules.PhoneMalformed for a resident who
    cannot be one, errors.DocumentTaken for one who is there already.
    """
    today = clock.today()
    homes: dict[int, str] = {}
    for one in residents:
        homes.setdefault(one.household, one.community)
    households = dict(zip(homes, await sql.people.insert_households(tx, list(homes.values())), strict=True))

    persons: list[sql.people.NewPerson] = []
    accounts: dict[bytes, sql.people.NewAccount] = {}
    guardians: dict[int, list[uuid.UUID]] = {}
    minors: list[tuple[int, uuid.UUID]] = []
    for one in residents:
        document = rules.read_document(DocumentKind(one.document_kind), one.document_number, today=today)
        phone = rules.normalise_phone(one.phone) if one.phone is not None else None
        person = people.new_person(
            keys,
            name=one.name,
            community=one.community,
            level=people.BY_DOCUMENT,
            sex=one.sex,
            born=one.born,
            document=document,
            phone=phone,
            household_no=households[one.household],
        )
        persons.append(person)
        if not rules.is_adult(one.born, today):
            minors.append((one.household, person.id))
            continue
        if one.relation in ("head", "spouse"):
            guardians.setdefault(one.household, []).append(person.id)
        if phone is not None:
            login = sealing.phone_index(keys, phone)
            accounts.setdefault(login, sql.people.NewAccount(clock.uuid7(), person.id, one.name, "phone", login))

    with people.referee():
        holders = await sql.people.insert_people(tx, persons)
    for login in await sql.people.taken_logins(tx, "phone", list(accounts)):
        del accounts[login]
    numbers = await sql.people.insert_accounts(tx, list(accounts.values()))
    await sql.people.insert_guardians(
        tx, [(guardian, minor) for household, minor in minors for guardian in guardians.get(household, ())]
    )
    account_of = {account.person_id: account.id for account in accounts.values()}
    return [
        Enrolled(one.id, holders[one.id], numbers.get(account_id) if account_id else None, account_id)
        for one, account_id in ((one, account_of.get(one.id)) for one in persons)
    ]
