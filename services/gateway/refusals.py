"""Why somebody was refused: noted in memory, written together once a second, readable for thirty days.

In a rush nearly everybody is refused, so noting one costs two steps in a dictionary and no wait. What is not yet written
when a process is killed is lost: it explains, and nothing depends on it.
"""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Any, Final

import structlog

from services.gateway import sql
from services.gateway.arbiter import sql as ledger
from shared import clock, errors
from shared.assertion import Caller
from shared.db import Database, Tx

log = structlog.get_logger(__name__)

MOST: Final = 50_000
"""So many wait to be written; then the oldest go."""
AT_ONCE: Final = 10_000
STAFF: Final = frozenset({"staff", "manager", "operator"})
_EVERY_SECONDS: Final = 1.0

_Key = tuple[int, uuid.UUID | None, str, tuple[uuid.UUID, ...] | None]
"""Account, slot, reason, and the persons it was for; None: the caller."""


@dataclass(slots=True)
class Noted:
    """One reason, as often as it was heard since the last writing; `person` is an index into the persons."""

    own_no: int
    service: str
    person: int | None
    request_id: str
    at: datetime
    count: int = 1


class Refusals:
    """What is to be written of refused claims; bounded."""

    def __init__(self, db: Database, most: int = MOST) -> None:
        self._db = db
        self._most = most
        self._noted: dict[_Key, Noted] = {}
        self._task: asyncio.Task[None] | None = None
        self._writing = asyncio.Lock()
        """One writes at a time, so that rows are numbered as they were noted."""

    @property
    def waiting(self) -> int:
        """How many rows are to be written."""
        return len(self._noted)

    def note(
        self,
        caller: Caller,
        service: str,
        slot_id: uuid.UUID | None,
        code: str,
        request_id: str,
        persons: tuple[uuid.UUID, ...] | None = None,
        person: int | None = None,
    ) -> None:
        """Remember that this caller was refused; the same again within a second only counts."""
        key = (caller.account_no or 0, slot_id, code, persons)
        noted = self._noted.get(key)
        if noted is not None:
            noted.count += 1
            noted.request_id = request_id
            return
        self._noted[key] = Noted(caller.holder_no or 0, service, person, request_id, clock.now())
        if len(self._noted) > self._most:
            del self._noted[next(iter(self._noted))]

    async def flush(self) -> int:
        """Write what was noted; how many rows. What the database did not take is kept for the next time."""
        written = 0
        async with self._writing:
            while self._noted:
                some = dict(islice(self._noted.items(), AT_ONCE))
                for key in some:
                    del self._noted[key]
                try:
                    await self._db.run(write, some)
                except errors.Unknown:
                    raise  # it may have been written: rather lost than told twice
                except errors.Refusal:
                    self._put_back(some)
                    raise
                written += len(some)
        return written

    def _put_back(self, some: dict[_Key, Noted]) -> None:
        for key, newer in self._noted.items():
            older = some.get(key)
            if older is not None:
                newer.count += older.count
            some[key] = newer
        self._noted = dict(islice(some.items(), max(0, len(some) - self._most), None))

    def start(self) -> None:
        """Begin to write, once a second."""
        self._task = asyncio.create_task(self._keep_writing())

    async def close(self) -> None:
        """Stop, and write the rest."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
        with contextlib.suppress(errors.Refusal):
            await self.flush()

    async def _keep_writing(self) -> None:
        while True:
            await asyncio.sleep(_EVERY_SECONDS)
            try:
                await self.flush()
            except errors.Refusal as refusal:
                log.warning("refusals_not_written", code=refusal.code, waiting=len(self._noted))
            except Exception as error:
                log.exception("refusals_lost", exc_info=error)


async def write(tx: Tx, noted: Mapping[_Key, Noted]) -> None:
    """Write these refusals in one statement."""
    named = {person for _, _, _, persons in noted for person in persons or ()}
    numbers = await ledger.holder_nos(tx, list(named)) if named else {}
    rows = []
    for (account_no, slot_id, code, persons), one in noted.items():
        several = [numbers.get(person) for person in persons] if persons is not None else [one.own_no]
        about = several[one.person] if one.person is not None and one.person < len(several) else None
        if code == errors.NotYours.code:  # it is the caller's alone: a stranger who was named hears nothing of it
            several, about = [one.own_no], None
        holders = [no for no in several if no is not None]
        rows.append(
            sql.NewRefusal(
                one.at, account_no, one.own_no, holders, about, one.service, slot_id, code, one.request_id, one.count
            )
        )
    await sql.insert_refusals(tx, rows)


@dataclass(frozen=True, slots=True)
class Asking:
    """Who wants to know, and of what."""

    caller: Caller
    person: uuid.UUID | None
    slot_id: uuid.UUID | None
    request_id: str | None
    after: int | None
    limit: int


@dataclass(frozen=True, slots=True)
class Told:
    """One refusal as its reader may see it."""

    no: int
    at: datetime
    service: str
    slot_id: uuid.UUID | None
    community: str
    code: str
    persons: Sequence[uuid.UUID]
    person: uuid.UUID | None
    request_id: str
    count: int


async def read(tx: Tx, asking: Asking) -> list[Told]:
    """The newest first: one's own and those of whom one acts for; of whom or what staff name, all of their region."""
    caller = asking.caller
    is_named = asking.person is not None or asking.slot_id is not None or asking.request_id is not None
    scope = [(role.prefix, role.place_id) for role in caller.roles if role.role in STAFF] if is_named else []
    people = {one.person_id: one.holder_no for one in caller.acts_for}
    if caller.person_id is not None and caller.holder_no is not None:
        people[caller.person_id] = caller.holder_no
    no = None
    if asking.person is not None:
        no = people.get(asking.person)
        if no is None and scope:
            no = (await ledger.holder_nos(tx, [asking.person])).get(asking.person)
        if no is None:
            raise errors.NotThere
    limited = [(one.holder_no, service) for one in caller.acts_for for service in one.services or ()]
    free = [one.holder_no for one in caller.acts_for if one.services is None]
    rows = await sql.refusals(
        tx,
        sql.Sought(
            holders=free + ([caller.holder_no] if caller.holder_no is not None else []),
            limited=limited,
            scope=scope,
            holder_no=no,
            slot_id=asking.slot_id,
            request_id=asking.request_id,
            after=asking.after,
            limit=asking.limit,
        ),
    )
    ids = await sql.holder_ids(tx, list({one for row in rows for one in row["holder_nos"]}))
    return [_told(row, ids, set(caller.holders_in(row["service"]))) for row in rows]


def _told(row: Any, ids: Mapping[int, uuid.UUID], mine: set[int]) -> Told:
    shown = [no for no in row["holder_nos"] if no in ids and (row["is_in_scope"] or no in mine)]
    about = ids[row["holder_no"]] if row["holder_no"] in shown else None
    return Told(
        row["no"],
        row["at"],
        row["service"],
        row["slot_id"],
        row["community"],
        row["code"],
        [ids[no] for no in shown],
        about,
        row["request_id"],
        row["count"],
    )
