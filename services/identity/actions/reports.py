"""What a year came to, for auditors and for whoever they must answer to."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime

from services.identity import sql
from services.identity.actions.audit import reach
from services.identity.sql.reports import Line
from shared import audit, clock
from shared.assertion import Caller
from shared.db import Tx


async def minors(tx: Tx, who: Caller, year: int, region: str | None) -> tuple[Sequence[str], list[Line]]:
    """What was done with what is known of children in a year, in these of the caller's regions; that it was read is kept."""
    prefixes = reach(who, region)
    first, until = (clock.at(date(one, 1, 1), datetime.min.time()) for one in (year, year + 1))
    found = await sql.reports.minors(tx, prefixes, first, until)
    await audit.record(tx, who.account_no, "reports.minors", community=min(prefixes, key=len), data={"year": year})
    return sorted(prefixes), found
