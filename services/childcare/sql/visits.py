"""Visits and how they went."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Any

from shared.db import Tx


async def insert_visits(tx: Tx, rows: Sequence[tuple[Any, ...]]) -> None:
    """Rows of (id, group_id, place_id, community, account_no, stays, note sealed, starts_at)."""
    await tx.execute(
        "INSERT INTO visits (id, group_id, place_id, community, account_no, stays, note, starts_at) "
        "SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::text[], $5::bigint[], $6::bool[], $7::bytea[], "
        "$8::timestamptz[])",
        *(list(column) for column in zip(*rows, strict=True)),
    )


async def steps(tx: Tx, visit_ids: Sequence[uuid.UUID]) -> list[Any]:
    """What is shown with each visit: id, note (sealed), steps (a list of child, name, direction, at, in order)."""
    return await tx.fetch(
        """
        SELECT v.id, v.note, coalesce((
            SELECT jsonb_agg(jsonb_build_object('id', h.id, 'name', h.name, 'direction', o.direction, 'at', o.at)
                             ORDER BY o.made_at, o.id)
            FROM handovers o JOIN holders h ON h.no = o.child_no WHERE o.visit_id = v.id), '[]') AS steps
        FROM visits v WHERE v.id = ANY($1::uuid[])
        """,
        list(visit_ids),
    )
