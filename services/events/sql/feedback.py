"""What people said of an event, and whether they came."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any

from shared.db import Tx


async def attended(tx: Tx, event_id: uuid.UUID, holder_no: int) -> datetime | None:
    """When the first session of it begins to which somebody came; None when they came to none."""
    begins: datetime | None = await tx.value(
        "SELECT min(s.starts_at) FROM claims c JOIN slots s ON s.id = c.slot_id "
        "WHERE s.subject_id = $1 AND c.holder_no = $2 AND c.state = 'attended'",
        event_id,
        holder_no,
    )
    return begins


async def insert_feedback(
    tx: Tx, feedback_id: uuid.UUID, event_id: uuid.UUID, holder_no: int, stars: int, text: bytes | None
) -> datetime:
    """What somebody said; the moment it was."""
    made: datetime = await tx.value(
        "INSERT INTO feedback (id, event_id, holder_no, stars, text) VALUES ($1, $2, $3, $4, $5) RETURNING made_at",
        feedback_id,
        event_id,
        holder_no,
        stars,
        text,
    )
    return made


async def average(tx: Tx, event_id: uuid.UUID) -> tuple[int, float | None]:
    """How many said something, and their stars on average."""
    row = await tx.row("SELECT count(*), round(avg(stars), 2)::float8 FROM feedback WHERE event_id = $1", event_id)
    return (row[0], row[1]) if row is not None else (0, None)


async def feedback(tx: Tx, event_id: uuid.UUID, after: tuple[datetime, uuid.UUID] | None, limit: int) -> list[Any]:
    """What was said, the latest first: id, stars, text (sealed), made_at. Not by whom."""
    return await tx.fetch(
        "SELECT id, stars, text, made_at FROM feedback WHERE event_id = $1 "
        "AND ($2::timestamptz IS NULL OR (made_at, id) < ($2, $3::uuid)) ORDER BY made_at DESC, id DESC LIMIT $4",
        event_id,
        after[0] if after else None,
        after[1] if after else None,
        limit,
    )
