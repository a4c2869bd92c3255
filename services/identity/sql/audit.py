"""The audit in the database: read newest first by people, from its beginning by whoever checks the chain."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

from shared.db import Tx


class Wanted(NamedTuple):
    """Which entries are asked for; what is None does not matter. `former` codes count besides the prefixes."""

    prefixes: Sequence[str] | None = None
    former: Sequence[str] = ()
    person_id: uuid.UUID | None = None
    account_id: uuid.UUID | None = None
    action: str | None = None
    since: datetime | None = None
    until: datetime | None = None


async def entries(tx: Tx, wanted: Wanted, before: int | None, limit: int) -> list[Any]:
    """Entries with who did it, and in what office at that time, the newest first.

    What concerned no person and a region around these is everybody's in it.
    """
    return await tx.fetch(
        """
        SELECT e.no, e.position, e.hash, e.at, e.action, e.community, e.person_id, e.reason, e.data, e.account_no,
               a.id AS account_id, a.person_id AS by_person_id, coalesce(p.name, a.name) AS name, r.role, r.prefix
        FROM audit e LEFT JOIN accounts a ON a.no = e.account_no LEFT JOIN holders p ON p.id = a.person_id
        LEFT JOIN LATERAL (
            SELECT role, prefix FROM roles r WHERE r.account_no = e.account_no AND starts_with(e.community, r.prefix)
            AND r.starts_at <= e.at AND (r.ends_at IS NULL OR r.ends_at > e.at)
            ORDER BY length(r.prefix) DESC, r.role LIMIT 1
        ) r ON true
        WHERE ($1::text[] IS NULL OR EXISTS (
            SELECT FROM unnest($1) AS t(prefix) WHERE starts_with(e.community, t.prefix)
            OR (e.person_id IS NULL AND starts_with(t.prefix, e.community))) OR e.community = ANY($2::text[]))
          AND ($3::uuid IS NULL OR e.person_id = $3) AND ($4::uuid IS NULL OR a.id = $4)
          AND ($5::text IS NULL OR e.action = $5 OR starts_with(e.action, $5 || '.'))
          AND ($6::timestamptz IS NULL OR e.at >= $6) AND ($7::timestamptz IS NULL OR e.at < $7)
          AND ($8::bigint IS NULL OR e.no < $8)
        ORDER BY e.no DESC LIMIT $9
        """,
        list(wanted.prefixes) if wanted.prefixes is not None else None,
        list(wanted.former),
        *wanted[2:],
        before,
        limit,
    )


async def names(tx: Tx, account_nos: Sequence[int]) -> dict[int, str]:
    """What accounts are called."""
    rows = await tx.fetch(
        "SELECT a.no, coalesce(p.name, a.name) AS name FROM accounts a LEFT JOIN holders p ON p.id = a.person_id "
        "WHERE a.no = ANY($1::bigint[])",
        list(account_nos),
    )
    return {row["no"]: row["name"] for row in rows}


async def links(tx: Tx, after: int, limit: int) -> list[Any]:
    """Entries of the chain behind a position, whole and in its order."""
    return await tx.fetch("SELECT * FROM audit WHERE position > $1 ORDER BY position LIMIT $2", after, limit)


async def head(tx: Tx) -> Any:
    """The end of the chain: position, hash."""
    return await tx.row("SELECT position, hash FROM audit_head")


async def oldest(tx: Tx) -> int | None:
    """The position of the oldest entry that is kept."""
    found: int | None = await tx.value("SELECT min(position) FROM audit")
    return found


async def hash_at(tx: Tx, position: int) -> bytes | None:
    """The hash at a position, from its entry or from a signed head that outlived it."""
    found: bytes | None = await tx.value(
        "SELECT hash FROM audit WHERE position = $1 UNION ALL SELECT hash FROM audit_heads WHERE position = $1 LIMIT 1",
        position,
    )
    return found


async def signed_heads(tx: Tx, after: int, until: int) -> list[Any]:
    """The heads signed behind one position and up to another: position, hash, signed, at."""
    return await tx.fetch(
        "SELECT position, hash, signed, at FROM audit_heads WHERE position > $1 AND position <= $2 ORDER BY position",
        after,
        until,
    )


async def insert_head(tx: Tx, head_id: uuid.UUID, position: int, hash_: bytes, signed: str) -> int:
    """Keep a signed head; 0 when this position has one."""
    return await tx.execute(
        "INSERT INTO audit_heads (id, position, hash, signed) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING",
        head_id,
        position,
        hash_,
        signed,
    )


async def roots(tx: Tx) -> list[str]:
    """The regions that are in no other."""
    return [row["code"] for row in await tx.fetch("SELECT code FROM regions WHERE parent_code IS NULL ORDER BY code")]
