"""What booking asks the database about reservations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from shared.db import Tx


async def insert_reservations(tx: Tx, rows: Sequence[tuple[Any, ...]]) -> None:
    """Rows of (id, group_id, place_id, community, account_no, note, starts_at)."""
    await tx.execute(
        "INSERT INTO reservations (id, group_id, place_id, community, account_no, note, starts_at) "
        "SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::text[], $5::bigint[], $6::text[], $7::timestamptz[])",
        *(list(column) for column in zip(*rows, strict=True)),
    )


async def known_of(tx: Tx, holder_no: int, most: int) -> list[Any]:
    """A holder's reservations, the newest first."""
    return await tx.fetch(
        "SELECT r.id, r.group_id, p.name AS place, r.starts_at, r.note, r.made_at FROM reservations r "
        "JOIN places p ON p.id = r.place_id WHERE r.group_id IN (SELECT group_id FROM claims WHERE holder_no = $1) "
        "ORDER BY r.starts_at DESC LIMIT $2",
        holder_no,
        most,
    )


async def forget_notes(tx: Tx, holder_no: int, account_nos: Sequence[int]) -> int:
    """Forget what somebody wrote with their reservations."""
    return await tx.execute(
        "UPDATE reservations SET note = NULL WHERE note IS NOT NULL AND account_no = ANY($2::bigint[]) "
        "AND group_id IN (SELECT group_id FROM claims WHERE holder_no = $1)",
        holder_no,
        list(account_nos),
    )
