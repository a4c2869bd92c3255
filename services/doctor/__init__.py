"""`linli doctor`: every invariant, recomputed from the rows. A check is a query that returns what is wrong."""

from __future__ import annotations

from typing import Final

import psycopg

from services.doctor import children, events, ledger, meals, partners, people
from shared import reach, sealed

_SEALS: Final = {
    "nothing is sealed with a key that was never made": f"""
        SELECT place FROM ({sealed.VERSIONS}) s WHERE version > (SELECT max(field_version) FROM deployment) GROUP BY place
        """  # noqa: S608 - this house's own constants
}
CHECKS: Final = {
    name: query
    for checks in (*(one.CHECKS for one in (ledger, meals, children, events, partners, people)), _SEALS)
    for name, query in checks.items()
}
"""What must be true, and the ids of what is not."""


async def examine(url: str) -> list[tuple[str, list[str]]]:
    """Every check with the ids of what it found wrong, all in one snapshot."""
    async with await psycopg.AsyncConnection.connect(url) as connection:
        await connection.set_isolation_level(psycopg.IsolationLevel.REPEATABLE_READ)
        await connection.set_read_only(True)
        await connection.execute(reach.OF_A_SESSION)
        answers = await connection.execute(";\n".join(CHECKS.values()).encode())  # one round trip
        found = []
        for name in CHECKS:
            found.append((name, [str(row[0]) for row in await answers.fetchall()]))
            answers.nextset()
        return found
