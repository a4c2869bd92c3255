"""Notices for the people they are about, and for those who work where they happened.

Many readers share a query, as a waiting reader looks again and again.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple

from services.gateway import sql
from shared import errors, notices
from shared.assertion import Caller, Role
from shared.db import Tx

WORKERS: Final[Mapping[str, str | None]] = {
    "staff": None,
    "manager": None,
    "operator": None,
    "auditor": None,
    "kitchen": "elder-meals",
    "courier": "elder-meals",
    "carer": "childcare",
    "volunteer": "events",
}
"""Who hears what happens at a place where they work: of one service, or of all (None)."""


class Desk(NamedTuple):
    """A place, and the services of which somebody there hears; None is all."""

    place_id: uuid.UUID
    services: frozenset[str] | None


class Asking(NamedTuple):
    """Somebody reads on behind a position: of their people, or at the desk of a place."""

    caller: Caller
    after: int
    limit: int
    desk: Desk | None = None


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
    is_ahead: bool = False
    """Whether the position was never given: who went on behind it would hear of nothing."""


async def read(tx: Tx, several: Sequence[Asking]) -> list[Found]:
    """An answer for each reader. A proxy for some services is told of these only."""
    head = await sql.head(tx)
    found = [
        _found(one, await sql.told(tx, one.caller.holders, one.after, one.limit))
        if one.desk is None
        else await _at_desk(tx, one, one.desk)
        for one in several
    ]
    return [
        page._replace(is_ahead=one.after > head and not page.notices) for one, page in zip(several, found, strict=True)
    ]


async def desk(tx: Tx, caller: Caller, place_id: uuid.UUID) -> Desk:
    """What the caller may hear at a place. Everybody knows places, so who does not work there hears that they may not."""
    caller.known()
    place = await sql.place(tx, place_id)
    if place is None:
        raise errors.NotThere
    known = [WORKERS[one.role] for one in caller.roles if one.role in WORKERS and _is_at(one, place)]
    if not known:
        raise errors.NotAllowed
    return Desk(place_id, None if None in known else frozenset(one for one in known if one is not None))


def _is_at(role: Role, place: Any) -> bool:
    return place["community"].startswith(role.prefix) and role.place_id in (None, place["id"])


async def _at_desk(tx: Tx, asking: Asking, at: Desk) -> Found:
    rows = await sql.told_at(tx, at.place_id, asking.after, asking.limit)
    heard = [row for row in rows if at.services is None or _service_of(row) in at.services]
    data = await notices.parts(tx, [(row["data"], (at.place_id,)) for row in heard])
    return _page(asking, rows, [_told(row, (), part) for row, part in zip(heard, data, strict=True)])


def _service_of(row: Any) -> str:
    service: str = row["data"].get("service") or row["type"].partition(".")[0]
    return service


def _found(asking: Asking, rows: Sequence[Any]) -> Found:
    caller = asking.caller
    people = {one.holder_no: (one.person_id, one.services) for one in caller.acts_for}
    if caller.holder_no is not None and caller.person_id is not None:
        people[caller.holder_no] = (caller.person_id, None)
    found = []
    for row in rows:
        mine = [people[no] for no in row["holders"] if no in people]
        persons = [person for person, services in mine if services is None or _service_of(row) in services]
        if persons:
            found.append(_told(row, persons, row["data"]))
    return _page(asking, rows, found)


def _told(row: Any, persons: Sequence[uuid.UUID], data: dict[str, Any]) -> Told:
    return Told(
        row["position"],
        row["id"],
        row["type"],
        row["community"],
        row["subject"],
        row["occurred_at"],
        persons,
        data,
    )


def _page(asking: Asking, rows: Sequence[Any], found: list[Told]) -> Found:
    return Found(found, rows[-1]["position"] if rows else asking.after, len(rows) == asking.limit)
