"""What can be claimed: slots with `bookable` and `reason` for the very person who looks, by the arbiter's own verdict.

Readers that arrive while a query is under way share the next one: all who wait are answered out of a few queries over
all their windows and all their people (a line without locks or writes). So what each reads is never older than their
request, and a rush of readers costs the database a handful of queries.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from services.gateway.arbiter import rules, sql
from services.gateway.arbiter.rules import Fold, Holder, Slot
from shared import clock, errors, wire
from shared.db import Database, Tx


@dataclass(frozen=True, slots=True)
class Window:
    """Which slots: at most `limit` after the cursor, soonest first."""

    starts_from: datetime
    starts_until: datetime
    service: str | None = None
    place_id: uuid.UUID | None = None
    community: str | None = None
    slot_id: uuid.UUID | None = None
    after: tuple[datetime, uuid.UUID] | None = None
    limit: int = 100


@dataclass(frozen=True, slots=True)
class Looking:
    """One reader: a window, and the people (holders' numbers) the answer is for."""

    window: Window
    nos: tuple[int, ...] = ()
    guards: frozenset[int] = frozenset()


class Page:
    """Slots of one window as read by one query, ready to be shown to several readers."""

    __slots__ = ("fixed", "more", "rows", "slots")

    def __init__(self, rows: Sequence[Any], slots: Sequence[Slot], *, more: bool) -> None:
        self.rows = rows
        self.slots = slots
        self.more = more
        self.fixed = [_fixed(row) for row in rows]

    @property
    def last(self) -> tuple[datetime, uuid.UUID] | None:
        """Where the next page begins."""
        return (self.rows[-1]["starts_at"], self.rows[-1]["id"]) if self.more else None


@dataclass(frozen=True, slots=True)
class Seen:
    """What one reader gets."""

    page: Page
    holders: tuple[Holder, ...]
    now: datetime
    households: Mapping[tuple[int, uuid.UUID, Any], int]


class Availability:
    """Groups readers: one runner reads for all who wait."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._waiting: list[tuple[Looking, asyncio.Future[Seen]]] = []
        self._runner: asyncio.Task[None] | None = None

    async def look(self, looking: Looking) -> Seen:
        """The slots of a window and the people they are for, read after this call began."""
        answer: asyncio.Future[Seen] = asyncio.get_running_loop().create_future()
        self._waiting.append((looking, answer))
        if self._runner is None or self._runner.done():
            self._runner = asyncio.create_task(self._run(), name="availability")
        return await answer

    async def _run(self) -> None:
        while self._waiting:
            several, self._waiting = self._waiting[:256], self._waiting[256:]
            try:
                seen = await self._db.read(read, [looking for looking, _ in several])
            except Exception as error:  # noqa: BLE001 - every reader hears what went wrong
                for _, answer in several:
                    if not answer.done():
                        answer.set_exception(error)
                continue
            for (_, answer), one in zip(several, seen, strict=True):
                if not answer.done():
                    answer.set_result(one)


async def read(tx: Tx, several: Sequence[Looking]) -> list[Seen]:
    """Answer several readers: a query a distinct window, and three for all their people together."""
    now = datetime.now(UTC)
    pages: dict[Window, Page] = {}
    for looking in several:
        if looking.window not in pages:
            pages[looking.window] = await _page(tx, looking.window, now)
    nos = list({no for looking in several for no in looking.nos})
    holders: dict[int, Holder] = {}
    households: dict[tuple[int, uuid.UUID, Any], int] = {}
    if nos:
        days = [slot.day for page in pages.values() for slot in page.slots]
        monday = min((day - timedelta(days=day.weekday()) for day in days), default=clock.today())
        since = min(clock.at(monday, datetime.min.time()), now - timedelta(days=1))
        people = await sql.holders(tx, nos)
        places, _ = await sql.places(tx, nos, since, now)
        crowded = [slot.id for page in pages.values() for slot in page.slots if slot.waiting]
        waits = await sql.waits_of(tx, nos, crowded) if crowded else {}
        holders = {
            row["no"]: sql.holder(row, places.get(row["no"], ()), frozenset(waits.get(row["no"], ()))) for row in people
        }
        limited = {slot.place_id for page in pages.values() for slot in page.slots if slot.limits.household_per_day}
        homes = [row["household_no"] for row in people if row["household_no"] is not None]
        if limited and homes:
            households = await sql.household_counts(tx, homes, list(limited), since)
    return [
        Seen(pages[looking.window], tuple(holders[no] for no in looking.nos if no in holders), now, households)
        for looking in several
    ]


async def _page(tx: Tx, window: Window, now: datetime) -> Page:
    where = ["s.starts_at >= $1", "s.starts_at < $2"]
    args: list[Any] = [window.starts_from, window.starts_until]

    def add(condition: str, value: Any) -> None:
        args.append(value)
        where.append(condition.replace("?", f"${len(args)}"))

    if window.slot_id is not None:
        where, args = [], []
        add("s.id = ?", window.slot_id)
    if window.service is not None:
        add("s.service = ?", window.service)
    if window.place_id is not None:
        add("s.place_id = ?", window.place_id)
    if window.community is not None:
        add("s.community LIKE ? || '%'", window.community)
    if window.after is not None:
        args += window.after
        where.append(f"(s.starts_at, s.id) > (${len(args) - 1}, ${len(args)})")
    args.append(window.limit + 1)
    rows = await tx.fetch(
        f"{sql.SLOT} WHERE {' AND '.join(where)} ORDER BY s.starts_at, s.id LIMIT ${len(args)}", *args
    )
    more = len(rows) > window.limit
    rows = rows[: window.limit]
    known = await sql.limits(tx, (row["policy_id"] for row in rows))
    full = [row["id"] for row in rows if row["next_lapse"] is not None and row["taken"] >= row["capacity"]]
    over = [row["id"] for row in rows if row["next_lapse"] is not None and row["next_lapse"] <= now]
    held = await sql.held_until(tx, full) if full else {}
    lapsed = await sql.lapsed_units(tx, over) if over else {}
    slots = [_counting_lapsed(sql.slot(row, known, held.get(row["id"])), lapsed) for row in rows]
    return Page(rows, slots, more=more)


def _counting_lapsed(slot: Slot, lapsed: Mapping[uuid.UUID, tuple[int, int]]) -> Slot:
    """Free counts lapsed holds: nobody has freed them yet, but the next ask will."""
    if slot.id not in lapsed:
        return slot
    units, offline = lapsed[slot.id]
    return slot._replace(taken=slot.taken - units, taken_offline=slot.taken_offline - offline)


def reason(slot: Slot, seen: Seen, guards: frozenset[int]) -> rules.No | None:
    """Why all of these people together cannot have this slot; None when they can. One ask of everybody."""
    fold = Fold()
    family: dict[int, int] = {}
    for holder in seen.holders:
        home = holder.household_no
        count = 0
        if slot.limits.household_per_day is not None and home is not None:
            count = seen.households.get((home, slot.place_id, slot.day), 0) + family.get(home, 0)
            family[home] = family.get(home, 0) + 1
        no = rules.eligible(slot, holder, seen.now, guarded=holder.no in guards, household=count, fold=fold)
        if no is not None:
            return no
        if slot.id in holder.waits:
            return rules.No("already_waiting")
    return rules.of_room(slot, seen.now, len(seen.holders))


def render(seen: Seen, guards: frozenset[int], *, personal: bool) -> list[bytes]:
    """The items as JSON: what never changes was written once for all readers, the rest is filled in."""
    items = []
    for slot, fixed in zip(seen.page.slots, seen.page.fixed, strict=True):
        free = rules.free(slot, seen.now)
        if personal:
            no = reason(slot, seen, guards)
            verdict = b'true,"reason":null' if no is None else b'false,"reason":"%s"' % no.code.encode()
        else:
            verdict = b'null,"reason":null'
        items.append(
            b'%s,"capacity":%d,"free":%d,"waiting":%d,"state":"%s","bookable":%s}'
            % (fixed, slot.capacity, free, slot.waiting, slot.state.encode(), verdict)
        )
    return items


def _fixed(row: Any) -> bytes:
    """What of a slot is the same for every reader, as the beginning of a JSON object."""

    def moment(value: datetime | None) -> str | None:
        return clock.local(value).isoformat() if value is not None else None

    subject = {"kind": row["subject_kind"], "id": row["subject_id"]} if row["subject_kind"] else None
    return wire.dumps(
        {
            "id": row["id"],
            "service": row["service"],
            "facility": {"id": row["place_id"], "name": row["place_name"]},
            "title": row["title"],
            "subject": subject,
            "community": row["community"],
            "starts_at": moment(row["starts_at"]),
            "ends_at": moment(row["ends_at"]),
            "opens_at": moment(row["opens_at"]),
            "closes_at": moment(row["closes_at"]),
            "cancel_by": moment(row["cancel_by"]),
            "allocation": row["allocation"],
            "audience": {"min_age": row["min_age"], "max_age": row["max_age"], "level": row["level"]},
        }
    )[:-1]


def window_of(
    *,
    starts_from: datetime | None,
    starts_until: datetime | None,
    service: str | None,
    place_id: uuid.UUID | None,
    community: str | None,
    after: tuple[datetime, uuid.UUID] | None,
    limit: int,
) -> Window:
    """A window with its defaults: the next seven days, never more than 31."""
    begin = starts_from if starts_from is not None else datetime.now(UTC).replace(second=0, microsecond=0)
    end = starts_until if starts_until is not None else begin + timedelta(days=7)
    if not timedelta(0) < end - begin <= timedelta(days=31):
        raise errors.Unprocessable(errors=[{"in": "query", "pointer": "/to", "code": "window"}])
    return Window(begin, end, service, place_id, community, None, after, limit)
