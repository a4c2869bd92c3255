"""How long things are kept, in the database: the table says it, the schema's own function does it."""

from __future__ import annotations

import uuid
from typing import Any

from shared.db import Tx

WITHIN_THE_LAW = "things_are_kept_as_long_as_the_law_says"
HALF_A_YEAR = "the_audit_is_kept_half_a_year"


async def tables(tx: Tx) -> list[Any]:
    """Every table of which something is forgotten; those that others point to come last."""
    return await tx.fetch("SELECT * FROM retention ORDER BY table_name = 'requests', table_name = 'audit', table_name")


async def table(tx: Tx, name: str, *, locked: bool = False) -> Any | None:
    """How long one table is kept: table_name, days, least, most, shreds, basis, version."""
    return await tx.row(
        "SELECT * FROM retention WHERE table_name = $1" + (" FOR NO KEY UPDATE" if locked else ""), name
    )


async def set_days(tx: Tx, name: str, days: int) -> None:
    """Keep it for so long; the schema says what the law wants."""
    await tx.execute("UPDATE retention SET days = $2, version = version + 1 WHERE table_name = $1", name, days)


async def forget_old(tx: Tx, table: str, most: int) -> int:
    """Forget some of a table's rows whose time is over; how many."""
    gone: int = await tx.value("SELECT forget_old($1, $2)", table, most)
    return gone


async def was_purged_lately(tx: Tx) -> bool:
    """Whether the last purge is less than a day old."""
    found: bool = await tx.value(
        "SELECT EXISTS (SELECT FROM audit WHERE action = 'retention.purged' AND at > now() - interval '20 hours')"
    )
    return found


async def hold(tx: Tx, person_id: uuid.UUID) -> Any | None:
    """The legal hold on a person: reason, made_at."""
    return await tx.row(
        "SELECT person_id, reason, made_at FROM legal_holds WHERE person_id = $1 AND ended_at IS NULL", person_id
    )


async def insert_hold(tx: Tx, person_id: uuid.UUID, community: str, reason: str, account_no: int) -> int:
    """Hold a person's data; 0 when it is held already."""
    return await tx.execute(
        "INSERT INTO legal_holds (person_id, community, reason, account_no) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING",
        person_id,
        community,
        reason,
        account_no,
    )


async def end_hold(tx: Tx, person_id: uuid.UUID, account_no: int) -> int:
    """Let it go; 0 when it is not held."""
    return await tx.execute(
        "UPDATE legal_holds SET ended_at = now(), ended_by = $2 WHERE person_id = $1 AND ended_at IS NULL",
        person_id,
        account_no,
    )
