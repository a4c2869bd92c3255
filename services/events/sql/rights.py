"""What events know of somebody, in the database."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from shared.db import Tx


async def tables(tx: Tx, holder_no: int, account_nos: Sequence[int], most: int) -> dict[str, list[Any]]:
    """Somebody's registrations, what they said, and whether they have a calendar; what is sealed is still sealed."""
    return {
        "registrations": await tx.fetch(
            "SELECT r.id, e.title AS event, r.starts_at, r.answers, r.made_at FROM registrations r "
            "JOIN events e ON e.id = r.event_id WHERE r.group_id IN (SELECT group_id FROM claims WHERE holder_no = $1) "
            "ORDER BY r.starts_at DESC LIMIT $2",
            holder_no,
            most,
        ),
        "feedback": await tx.fetch(
            "SELECT f.id, e.title AS event, f.stars, f.text, f.made_at FROM feedback f JOIN events e ON e.id = f.event_id "
            "WHERE f.holder_no = $1 ORDER BY f.made_at DESC LIMIT $2",
            holder_no,
            most,
        ),
        "calendars": await tx.fetch(
            "SELECT made_at, used_at FROM calendars WHERE account_no = ANY($1::bigint[])", list(account_nos)
        ),
    }


async def forget(tx: Tx, holder_no: int, account_nos: Sequence[int]) -> int:
    """Forget what somebody answered and said, and their calendar; how many rows."""
    return (
        await tx.execute(
            "UPDATE registrations SET answers = NULL WHERE answers IS NOT NULL AND account_no = ANY($2::bigint[]) "
            "AND group_id IN (SELECT group_id FROM claims WHERE holder_no = $1)",
            holder_no,
            list(account_nos),
        )
        + await tx.execute("UPDATE feedback SET text = NULL WHERE text IS NOT NULL AND holder_no = $1", holder_no)
        + await tx.execute("DELETE FROM calendars WHERE account_no = ANY($1::bigint[])", list(account_nos))
    )
