"""How people belong to regions, in the database. The primary home is copied to where the ledger looks for it."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import date, datetime
from typing import NamedTuple

from shared.db import Tx

ONE_TIE_OF_A_KIND = "one_tie_of_a_kind_to_a_region"
UNKNOWN_HOME = "33"
"""The province: of a new resident no more is known."""


class Tie(NamedTuple):
    """One way in which a person belongs to a region."""

    id: uuid.UUID
    kind: str
    community: str
    is_home: bool
    starts_on: date
    ended_on: date | None
    made_at: datetime


async def insert_homes(tx: Tx, person_ids: Sequence[uuid.UUID]) -> int:
    """Write down as primary home where these people live by the ledger, of those who have none; how many."""
    return await tx.execute(
        """
        INSERT INTO person_places (person_id, kind, community, is_home, starts_on)
        SELECT p.id, 'resident', p.community, true, (p.made_at AT TIME ZONE 'Asia/Shanghai')::date
        FROM persons p WHERE p.id = ANY($1::uuid[]) AND p.community <> $2 ORDER BY p.id
        ON CONFLICT DO NOTHING
        """,
        person_ids,
        UNKNOWN_HOME,
    )


async def homeless(tx: Tx, limit: int) -> list[uuid.UUID]:
    """People whose home was never written down though it is known; holders locked, then people, as everywhere."""
    rows = await tx.fetch(
        "SELECT h.id FROM holders h JOIN persons p ON p.id = h.id WHERE p.community <> $1 AND NOT EXISTS "
        "(SELECT FROM person_places t WHERE t.person_id = p.id AND t.is_home) "
        "ORDER BY h.no LIMIT $2 FOR NO KEY UPDATE OF h SKIP LOCKED",
        UNKNOWN_HOME,
        limit,
    )
    return [row[0] for row in rows]


_TIE = "SELECT id, kind, community, is_home, starts_on, ended_on, made_at FROM person_places"


async def ties(tx: Tx, person_id: uuid.UUID, after: uuid.UUID | None, limit: int) -> list[Tie]:
    """All of a person's, also those that ended."""
    rows = await tx.fetch(
        f"{_TIE} WHERE person_id = $1 AND ($2::uuid IS NULL OR id > $2) ORDER BY id LIMIT $3",
        person_id,
        after,
        limit,
    )
    return [Tie(*row) for row in rows]


async def tie(tx: Tx, person_id: uuid.UUID, tie_id: uuid.UUID) -> Tie | None:
    """One of a person's."""
    row = await tx.row(
        f"{_TIE} WHERE person_id = $1 AND id = $2",
        person_id,
        tie_id,
    )
    return Tie(*row) if row else None


async def home(tx: Tx, person_id: uuid.UUID) -> Tie | None:
    """A person's primary home."""
    row = await tx.row(
        f"{_TIE} WHERE person_id = $1 AND is_home AND ended_on IS NULL",
        person_id,
    )
    return Tie(*row) if row else None


async def count(tx: Tx, person_id: uuid.UUID) -> int:
    """To how many regions a person is tied now."""
    found: int = await tx.value(
        "SELECT count(*) FROM person_places WHERE person_id = $1 AND ended_on IS NULL", person_id
    )
    return found


async def insert(
    tx: Tx, tie_id: uuid.UUID, person_id: uuid.UUID, kind: str, community: str, *, is_home: bool, starts_on: date
) -> None:
    """Tie a person to a region."""
    await tx.execute(
        "INSERT INTO person_places (id, person_id, kind, community, is_home, starts_on) VALUES ($1, $2, $3, $4, $5, $6)",
        tie_id,
        person_id,
        kind,
        community,
        is_home,
        starts_on,
    )


async def end(tx: Tx, tie_id: uuid.UUID, on: date) -> int:
    """End a tie that has not ended; one that was to begin later ends as it begins."""
    return await tx.execute(
        "UPDATE person_places SET ended_on = greatest(starts_on, $2) WHERE id = $1 AND ended_on IS NULL", tie_id, on
    )


async def live_in(tx: Tx, person_id: uuid.UUID, community: str) -> None:
    """Let the ledger say that a person lives there. Their holder is locked by the caller."""
    await tx.execute("UPDATE holders SET community = $2 WHERE id = $1", person_id, community)
    await tx.execute("UPDATE persons SET community = $2, version = version + 1 WHERE id = $1", person_id, community)


async def successors(tx: Tx, code: str) -> list[str] | None:
    """Of a region that ended, those that follow it today; empty for one that stands, None for one that never was."""
    rows = await tx.fetch(
        """
        WITH RECURSIVE follow AS (
            SELECT code, ended_on FROM regions WHERE code = $1
            UNION
            SELECT r.code, r.ended_on FROM follow f JOIN region_changes c ON c.old_code = f.code
            JOIN regions r ON r.code = c.new_code
        )
        SELECT code, ended_on FROM follow ORDER BY code
        """,
        code,
    )
    if not rows:
        return None
    return [row["code"] for row in rows if row["ended_on"] is None and row["code"] != code]
