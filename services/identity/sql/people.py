"""People, their accounts and roles in the database."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import NamedTuple

from services.identity.sealing import KeptDocument
from services.identity.sql import places
from shared.db import Tx

PERSON_PER_DOCUMENT = "one_person_per_document"


@dataclass(frozen=True, slots=True)
class Member:
    """An account and, where it has one, its person; what is personal is not in its repr."""

    account_no: int
    account_id: uuid.UUID
    kind: str
    person_id: uuid.UUID | None
    name: str = field(repr=False)
    community: str | None
    level: int
    born: date | None = field(repr=False)
    document_kind: str | None
    document_index: bytes | None = field(repr=False)
    document_last4: str | None = field(repr=False)
    phone_sealed: bytes | None = field(repr=False)
    holder_no: int | None
    household_no: int | None


async def member(tx: Tx, account_no: int) -> Member | None:
    """The member behind an open account."""
    row = await tx.row(
        """
        SELECT a.no, a.id, a.kind, p.id, coalesce(p.name, a.name), p.community, coalesce(p.level, 0), p.born,
               p.document_kind, p.document_index, p.document_last4, p.phone_sealed, h.no, h.household_no
        FROM accounts a LEFT JOIN persons p ON p.id = a.person_id LEFT JOIN holders h ON h.id = p.id
        WHERE a.no = $1 AND a.closed_at IS NULL
        """,
        account_no,
    )
    return Member(*row) if row else None


async def lock_person(tx: Tx, person_id: uuid.UUID) -> None:
    """Lock a person's holder and then the person."""
    await tx.execute("SELECT FROM holders WHERE id = $1 FOR NO KEY UPDATE", person_id)
    await tx.execute("SELECT FROM persons WHERE id = $1 FOR UPDATE", person_id)


class Documented(NamedTuple):
    """Whoever has a document: how well they are known, and their open account, if they have one."""

    person_id: uuid.UUID
    level: int
    account_no: int | None


async def by_document(tx: Tx, document_index: bytes) -> Documented | None:
    """The person with this document."""
    row = await tx.row(
        "SELECT p.id, p.level, (SELECT min(a.no) FROM accounts a WHERE a.person_id = p.id AND a.closed_at IS NULL) "
        "FROM persons p WHERE p.document_index = $1",
        document_index,
    )
    return Documented(*row) if row else None


async def set_phone(tx: Tx, person_id: uuid.UUID, sealed: bytes, index: bytes, level: int) -> None:
    """Write a person's first phone, and that they are known by it. Locked by the caller."""
    await tx.execute("UPDATE holders SET level = greatest(level, $2) WHERE id = $1", person_id, level)
    await tx.execute(
        "UPDATE persons SET phone_sealed = $2, phone_index = $3, level = greatest(level, $4), version = version + 1 "
        "WHERE id = $1 AND phone_sealed IS NULL",
        person_id,
        sealed,
        index,
        level,
    )


class NewPerson(NamedTuple):
    """A person to be, with their holder. `household_no` is for the holder only."""

    id: uuid.UUID
    name: str
    sex: str | None
    born: date | None
    community: str
    level: int
    household_no: int | None
    document_kind: str | None
    document_sealed: bytes | None
    document_index: bytes | None
    document_last4: str | None
    phone_sealed: bytes | None
    phone_index: bytes | None = None


async def insert_people(tx: Tx, people: Sequence[NewPerson]) -> dict[uuid.UUID, int]:
    """Write people, their holders and their homes where they are known, thousands at once; the holders' numbers by person."""
    if not people:
        return {}
    (ids, names, sexes, born, communities, levels, households, kinds, sealed, indexes, last4, phones, contacts) = (
        list(column) for column in zip(*people, strict=True)
    )
    rows = await tx.fetch(
        """
        INSERT INTO holders (id, kind, name, community, born, level, household_no)
        SELECT id, 'person', name, community, born, level, household_no
        FROM unnest($1::uuid[], $2::text[], $3::text[], $4::date[], $5::smallint[], $6::bigint[])
            WITH ORDINALITY AS t(id, name, community, born, level, household_no, ordinal)
        ORDER BY ordinal RETURNING id, no
        """,
        ids,
        names,
        communities,
        born,
        levels,
        households,
    )
    await tx.execute(
        """
        INSERT INTO persons (id, name, sex, born, community, level, document_kind, document_sealed, document_index,
                             document_last4, phone_sealed, phone_index)
        SELECT * FROM unnest($1::uuid[], $2::text[], $3::text[], $4::date[], $5::text[], $6::smallint[], $7::text[],
                             $8::bytea[], $9::bytea[], $10::text[], $11::bytea[], $12::bytea[])
        """,
        ids,
        names,
        sexes,
        born,
        communities,
        levels,
        kinds,
        sealed,
        indexes,
        last4,
        phones,
        contacts,
    )
    await places.insert_homes(tx, ids)
    return {row["id"]: row["no"] for row in rows}


class NewAccount(NamedTuple):
    """A person's account to be, with its one login."""

    id: uuid.UUID
    person_id: uuid.UUID
    name: str
    provider: str
    subject: bytes


async def insert_accounts(tx: Tx, accounts: Sequence[NewAccount]) -> dict[uuid.UUID, int]:
    """Write accounts and their logins; the accounts' numbers by id."""
    if not accounts:
        return {}
    ids, persons, names, providers, subjects = (list(column) for column in zip(*accounts, strict=True))
    rows = await tx.fetch(
        """
        INSERT INTO accounts (id, person_id, name)
        SELECT id, person_id, name
        FROM unnest($1::uuid[], $2::uuid[], $3::text[]) WITH ORDINALITY AS t(id, person_id, name, ordinal)
        ORDER BY ordinal RETURNING id, no
        """,
        ids,
        persons,
        names,
    )
    numbers = {row["id"]: row["no"] for row in rows}
    await tx.execute(
        "INSERT INTO logins (account_no, provider, subject_index) SELECT * FROM unnest($1::bigint[], $2::text[], $3::bytea[])",
        [numbers[one] for one in ids],
        providers,
        subjects,
    )
    return numbers


async def insert_households(tx: Tx, communities: Sequence[str]) -> list[int]:
    """New households, one in each of these communities, in their order."""
    rows = await tx.fetch(
        """
        INSERT INTO households (community)
        SELECT community FROM unnest($1::text[]) WITH ORDINALITY AS t(community, ordinal)
        ORDER BY ordinal RETURNING no, community
        """,
        list(communities),
    )
    # Two households of one community are alike until somebody lives there; so only the community must agree.
    free: dict[str, list[int]] = {}
    for row in reversed(rows):
        free.setdefault(row["community"], []).append(row["no"])
    return [free[community].pop() for community in communities]


async def taken_logins(tx: Tx, provider: str, subjects: Sequence[bytes]) -> set[bytes]:
    """Which of these logins some account has already."""
    rows = await tx.fetch(
        "SELECT subject_index FROM logins WHERE provider = $1 AND subject_index = ANY($2::bytea[])", provider, subjects
    )
    return {row[0] for row in rows}


async def set_real_name(
    tx: Tx,
    person_id: uuid.UUID,
    *,
    name: str,
    sex: str | None,
    born: date | None,
    level: int,
    document: KeptDocument,
) -> None:
    """Write who a person is, also where the ledger and the account name them. Locked by the caller."""
    await tx.execute(
        "UPDATE holders SET name = $2, born = coalesce($3, born), level = $4 WHERE id = $1",
        person_id,
        name,
        born,
        level,
    )
    await tx.execute(
        "UPDATE persons SET name = $2, sex = coalesce($3, sex), born = coalesce($4, born), level = $5, document_kind = $6, "
        "document_sealed = $7, document_index = $8, document_last4 = $9, version = version + 1 WHERE id = $1",
        person_id,
        name,
        sex,
        born,
        level,
        *document,
    )
    await tx.execute("UPDATE accounts SET name = $2 WHERE person_id = $1", person_id, name)


async def set_household(tx: Tx, person_id: uuid.UUID, household_no: int) -> None:
    """Let a person live in a household. Their holder is locked by the caller."""
    await tx.execute("UPDATE holders SET household_no = $2 WHERE id = $1", person_id, household_no)


class Role(NamedTuple):
    """A role in force, for everything whose region code starts with `prefix`."""

    role: str
    prefix: str
    place_id: uuid.UUID | None


async def roles(tx: Tx, account_no: int) -> list[Role]:
    """An account's roles in force."""
    rows = await tx.fetch(
        "SELECT role, prefix, place_id FROM roles WHERE account_no = $1 AND starts_at <= now() "
        "AND (ends_at IS NULL OR ends_at > now()) ORDER BY role, prefix, id",
        account_no,
    )
    return [Role(*row) for row in rows]


async def insert_guardians(tx: Tx, pairs: Sequence[tuple[uuid.UUID, uuid.UUID]]) -> None:
    """Make guardians out of a household register: (guardian, child)."""
    await tx.execute(
        "INSERT INTO relations (actor_id, person_id, kind, level, evidence) SELECT g, c, 'guardian', 1, 'household_register' "
        "FROM unnest($1::uuid[], $2::uuid[]) AS t(g, c)",
        [guardian for guardian, _ in pairs],
        [child for _, child in pairs],
    )
