"""Notices for the people they are about. Many readers share a query, as a waiting reader looks again and again."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

from services.gateway import sql
from shared.assertion import Caller
from shared.db import Tx


class Asking(NamedTuple):
    """Somebody reads on behind a position."""

    caller: Caller
    after: int
    limit: int


class Told(NamedTuple):
    """One notice, and whom of the caller's people it is about."""

    position: int
    id: uuid.UUID
    type: str
    community: str
    subject: uuid.UUID
    occurred_at: datetime
    persons: Sequence[uuid.UUID]
    data: dict[str, Any]


class Found(NamedTuple):
    """What there was, where to go on, and whether there may be more at once."""

    notices: list[Told]
    next: int
    is_more: bool


async def read(tx: Tx, several: Sequence[Asking]) -> list[Found]:
    """An answer for each reader. A proxy for some services is told of these only."""
    return [_found(one, await sql.told(tx, one.caller.holders, one.after, one.limit)) for one in several]


def _found(asking: Asking, rows: Sequence[Any]) -> Found:
    caller = asking.caller
    people = {one.holder_no: (one.person_id, one.services) for one in caller.acts_for}
    if caller.holder_no is not None and caller.person_id is not None:
        people[caller.holder_no] = (caller.person_id, None)
    notices = []
    for row in rows:
        about = row["data"].get("service") or row["type"].partition(".")[0]
        mine = [people[no] for no in row["holders"] if no in people]
        persons = [person for person, services in mine if services is None or about in services]
        if persons:
            notices.append(
                Told(
                    row["position"],
                    row["id"],
                    row["type"],
                    row["community"],
                    row["subject"],
                    row["occurred_at"],
                    persons,
                    row["data"],
                )
            )
    return Found(notices, rows[-1]["position"] if rows else asking.after, len(rows) == asking.limit)
