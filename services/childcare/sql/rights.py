"""What children's rooms know of somebody, in the database."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Any

from shared.db import Tx


async def tables(tx: Tx, holder_no: int, asked_by: int, most: int) -> dict[str, list[Any]]:
    """A child's visits, hand-overs and who read what; what is sealed is still sealed."""
    return {
        "visits": await tx.fetch(
            "SELECT v.id, p.name AS place, v.starts_at, v.stays, v.note, v.made_at FROM visits v "
            "JOIN places p ON p.id = v.place_id WHERE v.group_id IN (SELECT group_id FROM claims WHERE holder_no = $1) "
            "ORDER BY v.starts_at DESC LIMIT $2",
            holder_no,
            most,
        ),
        "handovers": await tx.fetch(
            "SELECT direction, at, reasons FROM handovers WHERE child_no = $1 ORDER BY at DESC LIMIT $2",
            holder_no,
            most,
        ),
        "collectors": await tx.fetch(
            "SELECT id, kind, about, starts_at, ends_at, removed_at, made_at FROM collectors WHERE child_no = $1 "
            "AND maker_no = $2 ORDER BY made_at",
            holder_no,
            asked_by,
        ),
        "reads": await tx.fetch(
            "SELECT what, read_at FROM record_reads WHERE child_no = $1 ORDER BY read_at DESC LIMIT $2", holder_no, most
        ),
        "incidents": await tx.fetch(
            "SELECT kind, severity, at FROM incidents WHERE $1 = ANY(children) ORDER BY at DESC LIMIT $2",
            holder_no,
            most,
        ),
    }


async def forget(tx: Tx, holder_no: int, account_nos: Sequence[int]) -> int:
    """Forget a child's record and what was noted with its visits; how many rows."""
    return await tx.execute("DELETE FROM child_records WHERE child_no = $1", holder_no) + await tx.execute(
        "UPDATE visits SET note = NULL WHERE note IS NOT NULL AND (account_no = ANY($2::bigint[]) "
        "OR group_id IN (SELECT group_id FROM claims WHERE holder_no = $1))",
        holder_no,
        list(account_nos),
    )


async def collectors(tx: Tx, holder_no: int) -> list[uuid.UUID]:
    """All lines about who collects a child, and those about somebody who does, or never may."""
    rows = await tx.fetch(
        "SELECT c.id FROM collectors c LEFT JOIN holders h ON h.id = c.person_id WHERE c.child_no = $1 OR h.no = $1",
        holder_no,
    )
    return [row["id"] for row in rows]


async def forget_collectors(tx: Tx, rows: Sequence[tuple[uuid.UUID, bytes]]) -> None:
    """Take lines back and replace what they say: (line, sealed)."""
    await tx.execute(
        "UPDATE collectors c SET about = t.about, removed_at = coalesce(c.removed_at, now()) "
        "FROM unnest($1::uuid[], $2::bytea[]) AS t(id, about) WHERE c.id = t.id",
        [one for one, _ in rows],
        [about for _, about in rows],
    )
