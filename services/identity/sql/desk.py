"""People as the staff meet them: found by a number or the beginning of a name, written down, changed, confirmed."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date

from services.identity.sealing import KeptDocument
from services.identity.sql.places import UNKNOWN_HOME
from shared.db import Tx

MOST = 20
"""So many people are shown for one question."""


@dataclass(frozen=True, slots=True)
class Person:
    """A person as the staff's uses need them; what is personal is not in its repr."""

    id: uuid.UUID
    holder_no: int
    household_no: int | None
    name: str = field(repr=False)
    sex: str | None
    born: date | None = field(repr=False)
    community: str
    level: int
    version: int
    document_kind: str | None
    document_index: bytes | None = field(repr=False)
    document_sealed: bytes | None = field(repr=False)
    phone_sealed: bytes | None = field(repr=False)


_PERSON = """
    SELECT p.id, h.no, h.household_no, p.name, p.sex, p.born, p.community, p.level, p.version, p.document_kind,
           p.document_index, p.document_sealed, p.phone_sealed
    FROM persons p JOIN holders h ON h.id = p.id
"""
_NEAR = """
    (EXISTS (SELECT FROM unnest($1::text[]) AS r WHERE starts_with(p.community, r))
     OR EXISTS (SELECT FROM person_places t, unnest($1::text[]) AS r
                WHERE t.person_id = p.id AND t.ended_on IS NULL AND starts_with(t.community, r)))
"""


async def person(tx: Tx, person_id: uuid.UUID) -> Person | None:
    """One person."""
    row = await tx.row(_PERSON + "WHERE p.id = $1", person_id)
    return Person(*row) if row else None


async def by_document(tx: Tx, index: bytes) -> Person | None:
    """Whose document this is."""
    row = await tx.row(_PERSON + "WHERE p.document_index = $1", index)
    return Person(*row) if row else None


async def by_number(
    tx: Tx, prefixes: Sequence[str], document: bytes, phone: bytes | None, login: bytes | None
) -> list[Person]:
    """Who has this document or phone, of those who belong to these regions, or whose home nobody knows."""
    rows = await tx.fetch(
        f"""{_PERSON}
        JOIN (SELECT id FROM persons WHERE document_index = $2
              UNION SELECT id FROM persons WHERE phone_index = $3
              UNION SELECT a.person_id FROM logins l JOIN accounts a ON a.no = l.account_no
                    WHERE l.provider = 'phone' AND l.subject_index = $4 AND a.closed_at IS NULL) AS found ON found.id = p.id
        WHERE p.community = $5 OR {_NEAR} ORDER BY p.id LIMIT {MOST}
        """,
        prefixes,
        document,
        phone,
        login,
        UNKNOWN_HOME,
    )
    return [Person(*row) for row in rows]


async def by_name(tx: Tx, prefixes: Sequence[str], name: str) -> list[Person]:
    """Whose name begins so, of those who belong to these regions."""
    rows = await tx.fetch(
        f"{_PERSON} WHERE starts_with(p.name, $2) AND {_NEAR} ORDER BY p.name, p.id LIMIT {MOST}", prefixes, name
    )
    return [Person(*row) for row in rows]


async def ties(tx: Tx, person_id: uuid.UUID) -> list[str]:
    """The regions a person belongs to now."""
    rows = await tx.fetch(
        "SELECT DISTINCT community FROM person_places WHERE person_id = $1 AND ended_on IS NULL", person_id
    )
    return [row[0] for row in rows]


async def are_family(tx: Tx, one: uuid.UUID, other: uuid.UUID) -> bool:
    """Whether one acts for the other now, or they live in one household."""
    return bool(
        await tx.value(
            """
            SELECT EXISTS (SELECT FROM relations WHERE (actor_id, person_id) IN (($1, $2), ($2, $1))
                           AND (ends_at IS NULL OR ends_at > now()))
                OR EXISTS (SELECT FROM holders a JOIN holders b ON b.household_no = a.household_no
                           WHERE a.id = $1 AND b.id = $2)
            """,
            one,
            other,
        )
    )


@dataclass(frozen=True, slots=True)
class Known:
    """All that is written when staff change a person."""

    name: str = field(repr=False)
    sex: str | None
    born: date | None = field(repr=False)
    level: int
    document: KeptDocument = field(repr=False)
    phone_sealed: bytes | None = field(repr=False)
    phone_index: bytes | None = field(repr=False)


async def replace(tx: Tx, person_id: uuid.UUID, known: Known, *, is_new_document: bool, is_new_phone: bool) -> None:
    """Write a person anew, also where the ledger and the account name them. Locked by the caller."""
    await tx.execute(
        "UPDATE holders SET name = $2, born = $3, level = $4 WHERE id = $1",
        person_id,
        known.name,
        known.born,
        known.level,
    )
    await tx.execute(
        """
        UPDATE persons SET name = $2, sex = $3, born = $4, level = $5, version = version + 1,
            document_kind = CASE WHEN $6 THEN $7 ELSE document_kind END,
            document_sealed = CASE WHEN $6 THEN $8 ELSE document_sealed END,
            document_index = CASE WHEN $6 THEN $9 ELSE document_index END,
            document_last4 = CASE WHEN $6 THEN $10 ELSE document_last4 END,
            phone_sealed = CASE WHEN $11 THEN $12 ELSE phone_sealed END,
            phone_index = CASE WHEN $11 THEN $13 ELSE phone_index END
        WHERE id = $1
        """,
        person_id,
        known.name,
        known.sex,
        known.born,
        known.level,
        is_new_document,
        *known.document,
        is_new_phone,
        known.phone_sealed,
        known.phone_index,
    )
    await tx.execute("UPDATE accounts SET name = $2 WHERE person_id = $1", person_id, known.name)


async def confirm(tx: Tx, person_id: uuid.UUID, level: int) -> None:
    """Raise a person's level. Locked by the caller."""
    await tx.execute("UPDATE holders SET level = $2 WHERE id = $1", person_id, level)
    await tx.execute("UPDATE persons SET level = $2, version = version + 1 WHERE id = $1", person_id, level)


async def unindexed(tx: Tx, limit: int) -> list[tuple[uuid.UUID, bytes]]:
    """Phones that were kept before they could be looked for, locked."""
    rows = await tx.fetch(
        "SELECT id, phone_sealed FROM persons WHERE phone_sealed IS NOT NULL AND phone_index IS NULL "
        "ORDER BY id LIMIT $1 FOR NO KEY UPDATE SKIP LOCKED",
        limit,
    )
    return [(row[0], row[1]) for row in rows]


async def set_phone_indexes(tx: Tx, indexes: Sequence[tuple[uuid.UUID, bytes]]) -> None:
    """Let these phones be found."""
    await tx.execute(
        "UPDATE persons p SET phone_index = n.index FROM unnest($1::uuid[], $2::bytea[]) AS n(id, index) WHERE p.id = n.id",
        [one for one, _ in indexes],
        [index for _, index in indexes],
    )
