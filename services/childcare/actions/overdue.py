"""What is due by itself: steps for children who were not collected, and visits that nobody came to."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final

from services.childcare import notices, rules, sql
from shared import claims, clock
from shared.db import Tx
from shared.notices import announce
from shared.places import sql as places

MOST: Final = 200
"""Rows dealt with in one transaction."""
PATIENCE: Final = timedelta(hours=12)
"""So long after a session a device may still tell that a child came, before the visit counts as missed."""


async def call(tx: Tx) -> int:
    """Announce each step that is due, once, whoever else does the same; how many."""
    rows = await sql.rooms.not_collected(tx, MOST)
    if not rows:
        tx.discard()
        return 0
    terms: Mapping[Any, tuple[int, dict[str, Any]]] = await places.terms(tx, list({row["place_id"] for row in rows}))
    now = clock.now()
    due = [
        (row, step)
        for row in rows
        for step in rules.steps_due(
            row["ends_at"],
            rules.terms_of(terms.get(row["place_id"], (0, {}))[1]).late_after_minutes,
            row["done"],
            now,
        )
    ]
    taken = await sql.rooms.insert_late(tx, due) if due else set()
    await announce(tx, [notices.collection_missed(row, step) for row, step in due if (row["claim_id"], step) in taken])
    return len(taken)


async def miss(tx: Tx) -> int:
    """Free the places of those who did not come; how many. Nobody is suspended for it."""
    rows = await sql.rooms.not_come(tx, clock.now() - PATIENCE, MOST)
    if not rows:
        tx.discard()
        return 0
    await claims.lock_slots(tx, (row["slot_id"] for row in rows))
    states = await claims.lock(tx, [row["id"] for row in rows])
    still = [claim_id for claim_id, state in states.items() if state == "confirmed"]
    return len(await claims.free(tx, still, state="no_show", reason="no_show")) if still else 0
