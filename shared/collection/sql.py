"""What every collection asks the database; table and columns are names that the collection has checked."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from shared.assertion import Role
from shared.collection import Collection
from shared.db import Tx


@dataclass(frozen=True, slots=True)
class Asked:
    """The filters of one question. `holders` None asks as staff of `roles`.

    What the account made for a committee is its own while it works there: `offices` are the regions it may act for.
    """

    account_no: int
    offices: Sequence[str]
    holders: Sequence[int] | None
    roles: Sequence[Role]
    place_id: uuid.UUID | None
    slot_id: uuid.UUID | None
    person_id: uuid.UUID | None
    day: date | None
    after: tuple[datetime, uuid.UUID] | None
    limit: int


def _columns(of: Collection) -> str:
    return ", ".join(
        f"r.{one}" for one in ("id", "group_id", "place_id", "community", "account_no", "starts_at", *of.columns)
    )


def _table(of: Collection, asked: Asked) -> str:
    """All rows, or those that begin at a place or still have something there; each by an index."""
    if asked.place_id is None:
        return f"(SELECT * FROM {of.table} WHERE $5::uuid IS NULL)"
    return f"""(
        SELECT * FROM {of.table} WHERE place_id = $5 UNION ALL
        SELECT o.* FROM {of.table} o WHERE o.place_id <> $5 AND o.group_id IN (
            SELECT c.group_id FROM slots s JOIN claims c ON c.slot_id = s.id AND c.is_active WHERE s.place_id = $5))"""


async def row(tx: Tx, of: Collection, resource_id: uuid.UUID) -> Any | None:
    """One resource's row."""
    return await tx.row(f"SELECT {_columns(of)} FROM {of.table} r WHERE r.id = $1", resource_id)


async def rows(tx: Tx, of: Collection, asked: Asked) -> list[Any]:
    """Rows, latest start first."""
    return await tx.fetch(
        f"""
        SELECT {_columns(of)} FROM {_table(of, asked)} r
        WHERE ($1::bigint[] IS NULL OR EXISTS (
                  SELECT 1 FROM claims c WHERE c.group_id = r.group_id AND c.holder_no = ANY($1))
               OR (r.account_no = $2 AND EXISTS (
                  SELECT 1 FROM claims c JOIN holders h ON h.no = c.holder_no
                  WHERE c.group_id = r.group_id AND h.kind = 'organisation'
                    AND EXISTS (SELECT 1 FROM unnest($12::text[]) AS o(prefix) WHERE starts_with(h.community, o.prefix)))))
          AND ($1 IS NOT NULL OR EXISTS (
                  SELECT 1 FROM claims c JOIN unnest($3::text[], $4::uuid[]) AS a(prefix, place_id)
                    ON starts_with(c.community, a.prefix) AND (a.place_id IS NULL OR a.place_id = c.place_id)
                  WHERE c.group_id = r.group_id))
          AND ($6::uuid IS NULL OR EXISTS (
                  SELECT 1 FROM claims c WHERE c.group_id = r.group_id AND c.slot_id = $6))
          AND ($7::uuid IS NULL OR EXISTS (
                  SELECT 1 FROM claims c JOIN holders h ON h.no = c.holder_no WHERE c.group_id = r.group_id AND h.id = $7))
          AND ($8::date IS NULL OR (r.starts_at AT TIME ZONE 'Asia/Shanghai')::date = $8)
          AND ($9::timestamptz IS NULL OR (r.starts_at, r.id) < ($9, $10))
        ORDER BY r.starts_at DESC, r.id DESC LIMIT $11
        """,
        asked.holders,
        asked.account_no,
        [role.prefix for role in asked.roles],
        [role.place_id for role in asked.roles],
        asked.place_id,
        asked.slot_id,
        asked.person_id,
        asked.day,
        asked.after[0] if asked.after else None,
        asked.after[1] if asked.after else None,
        asked.limit,
        asked.offices,
    )
