"""Making out: what was stamped becomes deliveries, together with how far each endpoint is."""

from __future__ import annotations

import uuid
from typing import Any, Final

from services.partners import rules
from services.partners.actions import reach
from services.partners.sql import endpoints as endpoints_sql
from services.partners.sql import pushing as sql
from services.partners.sql.pushing import Share
from shared.db import Tx

STEP: Final = 1000
"""Positions made out at once for one endpoint."""


async def fan_out(tx: Tx) -> int:
    """Make out deliveries for what was stamped, together with how far each endpoint is; how many endpoints got on.

    One transaction: whatever crashes when, nothing is left out and nothing is made out twice.
    """
    head = await endpoints_sql.head(tx)
    rows = await sql.behind(tx, head, 200, reach.PUSHED)
    if not rows:
        tx.discard()
        return 0
    await sql.make_out(tx, [_share(row, min(row["position"] + STEP, head)) for row in rows])
    return len(rows)


async def settle(tx: Tx, endpoint_id: uuid.UUID) -> None:
    """Make out for one endpoint whatever was stamped, while its filters and its key are still what they were."""
    head = await endpoints_sql.head(tx)
    while rows := await sql.behind(tx, head, 1, reach.PUSHED, only=endpoint_id):
        await sql.make_out(tx, [_share(row, min(row["position"] + STEP, head)) for row in rows])


def _share(row: Any, until: int) -> Share:
    return Share(
        row["id"],
        row["community"],
        row["position"],
        until,
        rules.pattern(row["types"]) if row["may"] else "^$",
        rules.pattern(row["key_types"] if row["key_types"] is not None else ["*"]),
        row["place_id"],
    )
