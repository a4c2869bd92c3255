"""`linli doctor`: every invariant, recomputed from the rows. A check is a query that returns what is wrong."""

from __future__ import annotations

from typing import Final

from services.doctor import children, events, ledger, meals, partners, people
from shared.db import Database, Tx
from shared.sealed import count

CHECKS: Final = {
    name: query for one in (ledger, meals, children, events, partners, people) for name, query in one.CHECKS.items()
}
"""What must be true, and the ids of what is not."""


async def examine(url: str) -> list[tuple[str, list[str]]]:
    """Every check with the ids of what it found wrong, all in one snapshot."""
    db = Database.connect(url, pool_size=1, command_seconds=600)
    try:
        return await db.read(_examine)
    finally:
        await db.close()


async def _examine(tx: Tx) -> list[tuple[str, list[str]]]:
    await tx.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
    found = [(name, [str(row[0]) for row in await tx.fetch(query)]) for name, query in CHECKS.items()]
    newest = await tx.value("SELECT max(field_version) FROM deployment")
    beyond = {one.place for one in await count(tx) if newest is not None and one.version > newest}
    return [*found, ("nothing is sealed with a key that was never made", sorted(beyond))]
