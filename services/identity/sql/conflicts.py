"""Numbers that two people say are theirs, in the database."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

from services.identity.sql.places import UNKNOWN_HOME
from shared.db import Tx


@dataclass(frozen=True, slots=True)
class Case:
    """One conflict: who tried, and whose the number is."""

    id: uuid.UUID
    community: str
    document_kind: str
    tries: int
    opened_at: datetime
    closed_at: datetime | None
    outcome: str | None
    person_id: uuid.UUID
    person_name: str = field(repr=False)
    person_phone: bytes | None = field(repr=False)
    owner_id: uuid.UUID
    owner_name: str = field(repr=False)


_CASE = """
    SELECT c.id, c.community, c.document_kind, c.tries, c.opened_at, c.closed_at, c.outcome, p.id, p.name,
           p.phone_sealed, o.id, o.name
    FROM identity_conflicts c JOIN persons p ON p.id = c.person_id JOIN holders o ON o.id = c.owner_id
"""


class Opened(NamedTuple):
    """A case that stands; new, or one of before that was tried again."""

    id: uuid.UUID
    is_new: bool


async def open_(
    tx: Tx, case_id: uuid.UUID, person_id: uuid.UUID, owner_id: uuid.UUID, community: str, kind: str
) -> Opened:
    """Open a case; while one of the same two is open, its tries are counted."""
    row = await tx.row(
        """
        INSERT INTO identity_conflicts (id, person_id, owner_id, community, document_kind) VALUES ($1, $2, $3, $4, $5)
        ON CONFLICT (person_id, owner_id) WHERE closed_at IS NULL
            DO UPDATE SET tries = least(identity_conflicts.tries + 1, 1000000)
        RETURNING id, id = $1
        """,
        case_id,
        person_id,
        owner_id,
        community,
        kind,
    )
    return Opened(*row) if row else Opened(case_id, is_new=True)


async def cases(
    tx: Tx, prefixes: Sequence[str], *, is_open: bool | None, after: uuid.UUID | None, limit: int
) -> list[Case]:
    """Cases in these regions, or in none that is known, in the order in which they were opened."""
    rows = await tx.fetch(
        _CASE
        + "WHERE (c.community = $5 OR EXISTS (SELECT FROM unnest($1::text[]) AS r WHERE starts_with(c.community, r))) "
        "AND ($2::bool IS NULL OR (c.closed_at IS NULL) = $2) AND ($3::uuid IS NULL OR c.id > $3) ORDER BY c.id LIMIT $4",
        prefixes,
        is_open,
        after,
        limit,
        UNKNOWN_HOME,
    )
    return [Case(*row) for row in rows]


async def case(tx: Tx, case_id: uuid.UUID) -> Case | None:
    """One case."""
    row = await tx.row(_CASE + "WHERE c.id = $1", case_id)
    return Case(*row) if row else None


async def close(tx: Tx, case_id: uuid.UUID, account_no: int, outcome: str) -> int:
    """Close a case that is open."""
    return await tx.execute(
        "UPDATE identity_conflicts SET closed_at = now(), closed_by = $2, outcome = $3 WHERE id = $1 AND closed_at IS NULL",
        case_id,
        account_no,
        outcome,
    )
