"""What booking asks the database about reservations."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import date, datetime
from typing import Any

from shared.db import Tx


async def insert_reservations(tx: Tx, rows: Sequence[tuple[Any, ...]]) -> None:
    """Rows of (id, group_id, place_id, community, account_no, note, starts_at)."""
    await tx.execute(
        "INSERT INTO reservations (id, group_id, place_id, community, account_no, note, starts_at) "
        "SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::text[], $5::bigint[], $6::text[], $7::timestamptz[])",
        *(list(column) for column in zip(*rows, strict=True)),
    )


async def reservation(tx: Tx, reservation_id: uuid.UUID) -> Any | None:
    """One reservation: id, group_id, place_id, community, account_no, note."""
    return await tx.row(
        "SELECT id, group_id, place_id, community, account_no, note FROM reservations WHERE id = $1", reservation_id
    )


async def reservations(  # noqa: PLR0913 - the filters of one question
    tx: Tx,
    *,
    account_no: int | None,
    holders: Sequence[int] | None,
    place_id: uuid.UUID | None,
    slot_id: uuid.UUID | None,
    person_id: uuid.UUID | None,
    day: date | None,
    prefixes: Sequence[str],
    after: tuple[datetime, uuid.UUID] | None,
    limit: int,
) -> list[Any]:
    """Reservations, latest start first: id, group_id, note, starts_at. `holders` None asks as staff of `prefixes`."""
    return await tx.fetch(
        """
        SELECT r.id, r.group_id, r.note, r.starts_at FROM reservations r
        WHERE ($1::bigint[] IS NULL OR r.account_no = $2 OR EXISTS (
                  SELECT 1 FROM claims c WHERE c.group_id = r.group_id AND c.holder_no = ANY($1)))
          AND ($1 IS NOT NULL OR r.community LIKE ANY (SELECT p || '%' FROM unnest($3::text[]) p))
          AND ($4::uuid IS NULL OR r.place_id = $4)
          AND ($5::uuid IS NULL OR EXISTS (
                  SELECT 1 FROM claims c WHERE c.group_id = r.group_id AND c.slot_id = $5))
          AND ($6::uuid IS NULL OR EXISTS (
                  SELECT 1 FROM claims c JOIN holders h ON h.no = c.holder_no WHERE c.group_id = r.group_id AND h.id = $6))
          AND ($7::date IS NULL OR (r.starts_at AT TIME ZONE 'Asia/Shanghai')::date = $7)
          AND ($8::timestamptz IS NULL OR (r.starts_at, r.id) < ($8, $9))
        ORDER BY r.starts_at DESC, r.id DESC LIMIT $10
        """,
        holders,
        account_no,
        prefixes,
        place_id,
        slot_id,
        person_id,
        day,
        after[0] if after else None,
        after[1] if after else None,
        limit,
    )
