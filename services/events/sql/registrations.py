"""Registrations: rows beside groups of claims."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Any

from shared.db import Tx


async def insert(tx: Tx, rows: Sequence[tuple[Any, ...]]) -> None:
    """Rows of (id, group_id, event_id, place_id, community, account_no, answers, starts_at)."""
    await tx.execute(
        "INSERT INTO registrations (id, group_id, event_id, place_id, community, account_no, answers, starts_at) "
        "SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::uuid[], $5::text[], $6::bigint[], $7::bytea[], "
        "$8::timestamptz[])",
        *(list(column) for column in zip(*rows, strict=True)),
    )


async def asked(tx: Tx, event_ids: Sequence[uuid.UUID]) -> dict[uuid.UUID, Any]:
    """Kind, state and questions of these events."""
    rows = await tx.fetch("SELECT id, kind, state, questions FROM events WHERE id = ANY($1::uuid[])", event_ids)
    return {row["id"]: row for row in rows}


async def inside(tx: Tx, event_id: uuid.UUID, holders: Sequence[int], group_id: uuid.UUID) -> set[int]:
    """Who of these has places in an event by another group."""
    rows = await tx.fetch(
        "SELECT DISTINCT c.holder_no FROM claims c JOIN slots s ON s.id = c.slot_id WHERE c.holder_no = ANY($1::bigint[]) "
        "AND s.subject_id = $2 AND c.group_id <> $3 AND c.state IN ('confirmed', 'attended')",
        holders,
        event_id,
        group_id,
    )
    return {row[0] for row in rows}


async def answers(tx: Tx, ids: Sequence[uuid.UUID]) -> dict[uuid.UUID, bytes]:
    """The sealed answers of these registrations, where there are any."""
    rows = await tx.fetch(
        "SELECT id, answers FROM registrations WHERE id = ANY($1::uuid[]) AND answers IS NOT NULL", ids
    )
    return {row[0]: row[1] for row in rows}
