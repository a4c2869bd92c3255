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
