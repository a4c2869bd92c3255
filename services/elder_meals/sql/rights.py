"""What kitchens know of somebody, in the database."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Any

from shared.db import Tx


async def orders(tx: Tx, person_id: uuid.UUID, most: int) -> list[Any]:
    """Somebody's orders with all that was said, still sealed, the newest first."""
    return await tx.fetch(
        "SELECT id, day, starts_at, portions, price_fen, subsidy_fen, fee_fen, pay_fen, outcome, outcome_at, made_at, "
        "sealed FROM meal_orders WHERE person_id = $1 ORDER BY day DESC, id LIMIT $2",
        person_id,
        most,
    )


async def tables(tx: Tx, person_id: uuid.UUID, most: int) -> dict[str, list[Any]]:
    """The rest: what is ordered by itself, when they were away, and when nobody opened."""
    return {
        "standing_orders": await tx.fetch(
            "SELECT weekdays, title, lines, starts_on, until, state, made_at FROM standing_orders WHERE person_id = $1",
            person_id,
        ),
        "absences": await tx.fetch(
            "SELECT first, last, state, made_at FROM absences WHERE person_id = $1 ORDER BY first DESC LIMIT $2",
            person_id,
            most,
        ),
        "welfare_checks": await tx.fetch(
            "SELECT opened_at, closed_at, state, outcome FROM welfare_checks WHERE person_id = $1 ORDER BY opened_at DESC "
            "LIMIT $2",
            person_id,
            most,
        ),
    }


async def end(tx: Tx, person_id: uuid.UUID) -> int:
    """End what orders by itself for somebody; how many. What they said for others passes to these by itself."""
    return await tx.execute(
        "UPDATE standing_orders SET state = 'ended', version = version + 1 WHERE state = 'active' AND person_id = $1",
        person_id,
    )


async def check_of_dead(tx: Tx, person_id: uuid.UUID) -> Any | None:
    """The open welfare check of somebody who has died, locked."""
    return await tx.row(
        "SELECT w.id, w.community, w.order_id, w.place_id, w.holder_no FROM welfare_checks w "
        "JOIN holders h ON h.no = w.holder_no WHERE w.person_id = $1 AND w.state = 'open' AND h.kind = 'dead' "
        "FOR NO KEY UPDATE OF w",
        person_id,
    )


async def forget(tx: Tx, person_id: uuid.UUID) -> int:
    """Forget the profile; how many rows."""
    return await tx.execute("DELETE FROM elder_profiles WHERE person_id = $1", person_id)


async def write_said(tx: Tx, rows: Sequence[tuple[uuid.UUID, bytes]]) -> None:
    """Replace what orders say: (order, sealed)."""
    await tx.execute(
        "UPDATE meal_orders o SET sealed = t.sealed, region = NULL FROM unnest($1::uuid[], $2::bytea[]) AS t(id, sealed) "
        "WHERE o.id = t.id",
        [one for one, _ in rows],
        [sealed for _, sealed in rows],
    )
