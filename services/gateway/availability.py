"""What can be claimed: slots with `bookable` and `reason` for the very person who looks, by the arbiter's own verdict.

Readers who wait at the same time are answered together (`shared.line.Readers`), out of a few queries over all their
windows and all their people: a rush of readers costs the database a handful of queries.
"""

from __future__ import annotations

import uuid
from bisect import bisect_left, bisect_right
from collections import OrderedDict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from types import MappingProxyType
from typing import Any

from services.gateway.arbiter import rules, sql
from services.gateway.arbiter.rules import Holder, Slot
from shared import clock, errors, wire
from shared.claiming import named
from shared.db import Tx

_NONE: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class Window:
    """Which slots: at most `limit` after the cursor, soonest first."""

    starts_from: datetime
    starts_until: datetime
    service: str | None = None
    place_id: uuid.UUID | None = None
    community: str | None = None
    slot_id: uuid.UUID | None = None
    subject_id: uuid.UUID | None = None
    after: tuple[datetime, uuid.UUID] | None = None
    limit: int = 100


@dataclass(frozen=True, slots=True)
class Looking:
    """One reader: a window, and the people (holders' numbers) the answer is for."""

    window: Window
    nos: tuple[int, ...] = ()


class Page:
    """Slots of one window as read by one query, soonest first, ready to be shown to many readers.

    What is the same for every reader is worked out once: the fixed beginning of each item, its counts, and why nobody
    could book it. What depends on a person is asked for each.
    """

    def __init__(self, rows: Sequence[Any], slots: Sequence[Slot], now: datetime, *, more: bool) -> None:
        self.rows = rows
        self.now = now
        self.slots = slots
        self.more = more
        self.limits_households = any(slot.limits.household_per_day is not None for slot in slots)
        self._starts = [slot.starts_at for slot in slots]
        self._longest = max((slot.ends_at - slot.starts_at for slot in slots), default=timedelta())
        self._at: dict[uuid.UUID, set[int]] = {}
        for n, slot in enumerate(slots):
            self._at.setdefault(slot.place_id, set()).add(n)
            self._at.setdefault(slot.id, set()).add(n)
        self.closed = [rules.of_slot(slot, now) for slot in slots]
        self.room: dict[int, list[rules.No | None]] = {}
        self.audiences = [
            (slot.min_age, slot.max_age, slot.day if (slot.min_age, slot.max_age) != (None, None) else None,
             tuple(slot.regions) if slot.regions is not None else None, slot.level, slot.needs_guardian, slot.service)
            for slot in slots
        ]  # fmt: skip

    @property
    def last(self) -> tuple[datetime, uuid.UUID] | None:
        """Where the next page begins."""
        return (self.rows[-1]["starts_at"], self.rows[-1]["id"]) if self.more else None

    @cached_property
    def beginnings(self) -> list[bytes]:
        """Each item up to its verdict."""
        return [
            b'%s,"capacity":%d,"free":%d,"waiting":%d,"state":"%s","bookable":'
            % (_fixed(row), slot.capacity, rules.free(slot, self.now), slot.waiting, slot.state.encode())
            for row, slot in zip(self.rows, self.slots, strict=True)
        ]

    def touched_by(self, holder: Holder) -> Collection[int]:
        """The slots, as indexes, against which anything that this person or household has could stand."""
        if self.limits_households and holder.household_no is not None:
            return range(len(self.slots))
        found: set[int] = set()
        for place in holder.places:
            found |= self._at.get(place.place_id, _NONE)  # its limits
            found.update(
                range(
                    bisect_right(self._starts, place.starts_at - self._longest),
                    bisect_left(self._starts, place.ends_at),
                )
            )
        for slot_id in holder.waits:
            found |= self._at.get(slot_id, _NONE)
        return found

    def room_for(self, people: int) -> list[rules.No | None]:
        """Whether each slot has places for so many, whoever they are."""
        if people not in self.room:
            self.room[people] = [rules.of_room(slot, self.now, people) for slot in self.slots]
        return self.room[people]


@dataclass(frozen=True, slots=True)
class Seen:
    """What one reader gets."""

    page: Page
    holders: tuple[Holder, ...]
    now: datetime
    households: Mapping[tuple[int, uuid.UUID, Any], int]


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
        places = (await sql.standing(tx, sql.Wanted(set(nos), None, since, sql.EVER, (now, now), {}), now)).places
        crowded = [slot.id for page in pages.values() for slot in page.slots if slot.waiting]
        waits = await sql.waits_of(tx, nos, crowded) if crowded else {}
        consents = await sql.consents(tx, (row for page in pages.values() for row in page.rows), people)
        holders = {
            row["no"]: sql.holder(
                row,
                places.get(row["no"], ()),
                frozenset(waits.get(row["no"], ())),
                consents.get(row["id"], frozenset()),
            )
            for row in people
        }
        limited = {slot.place_id for page in pages.values() for slot in page.slots if slot.limits.household_per_day}
        homes = [row["household_no"] for row in people if row["household_no"] is not None]
        if limited and homes:
            households, _ = await sql.household_counts(tx, homes, list(limited), since, now)
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
    elif window.subject_id is not None:
        add("s.subject_id = ?", window.subject_id)
    else:  # a dish is taken with its window: nobody can name its slot
        where.append("s.subject_kind IS DISTINCT FROM 'dish'")
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
    return Page(rows, slots, now, more=more)


def _counting_lapsed(slot: Slot, lapsed: Mapping[uuid.UUID, tuple[int, int]]) -> Slot:
    """Free counts lapsed holds: nobody has freed them yet, but the next ask will."""
    if slot.id not in lapsed:
        return slot
    units, offline = lapsed[slot.id]
    return slot._replace(taken=slot.taken - units, taken_offline=slot.taken_offline - offline)


def reasons(
    seen: Seen, guards: frozenset[int], limited: Mapping[int, Collection[str]] = MappingProxyType({})
) -> list[rules.No | None]:
    """For each slot why these people together cannot have it, None when they can: the parts of `rules.verdict`.

    Slots with the same audience are asked about a person once, and those nobody can claim not at all. For the people
    in `limited` the reader may act only in the services named there.
    """
    page = seen.page
    room = page.room_for(len(seen.holders))
    asked: list[tuple[Holder, Collection[int], dict[Any, rules.No | None]]] = [
        (holder, page.touched_by(holder), {}) for holder in seen.holders
    ]
    found: list[rules.No | None] = []
    for n, (slot, closed, audience, full) in enumerate(zip(page.slots, page.closed, page.audiences, room, strict=True)):
        no = closed
        family: dict[int, int] = {}
        for holder, touched, answers in asked:
            if no is not None:
                break
            try:
                no = answers[audience]
            except KeyError:
                is_stranger = slot.service not in limited.get(holder.no, (slot.service,))
                no = answers[audience] = (
                    rules.No("not_yours") if is_stranger else rules.of_person(slot, holder, guarded=holder.no in guards)
                )
            if no is None and n in touched:
                no = _of_their_places(slot, holder, seen, family)
        found.append(no or full)
    return found


def _of_their_places(slot: Slot, holder: Holder, seen: Seen, family: dict[int, int]) -> rules.No | None:
    """What stands against it in what this person (and household) has already, or waits for."""
    if holder.places:
        no = rules.of_places(slot, holder, seen.now)
        if no is not None:
            return no
    if slot.limits.household_per_day is not None and holder.household_no is not None:
        home = holder.household_no
        count = seen.households.get((home, slot.place_id, slot.day), 0) + family.get(home, 0)
        if count >= slot.limits.household_per_day:
            return rules.No("limit_reached")
        family[home] = family.get(home, 0) + 1
    return rules.No("already_waiting") if slot.id in holder.waits else None


def render(
    seen: Seen,
    guards: frozenset[int],
    limited: Mapping[int, Collection[str]] = MappingProxyType({}),
    *,
    personal: bool,
) -> list[bytes]:
    """The items as JSON: what is the same for all readers was written once, the verdict is added."""
    if not personal:
        return [beginning + b'null,"reason":null}' for beginning in seen.page.beginnings]
    return [
        beginning + (b'true,"reason":null}' if no is None else b'false,"reason":"%s"}' % no.code.encode())
        for beginning, no in zip(seen.page.beginnings, reasons(seen, guards, limited), strict=True)
    ]


_written: OrderedDict[uuid.UUID, tuple[tuple[Any, ...], bytes]] = OrderedDict()
_MOST_WRITTEN = 20_000


def _fixed(row: Any) -> bytes:
    """What of a slot hardly ever changes, as the beginning of a JSON object; written once and remembered."""
    told = (
        row["id"], row["service"], row["place_id"], row["place_name"], row["title"], row["subject_kind"],
        row["subject_id"], row["community"], row["starts_at"], row["ends_at"], row["opens_at"], row["closes_at"],
        row["cancel_by"], row["allocation"], row["min_age"], row["max_age"], row["level"],
        row["resource_id"], row["resource_name"],
    )  # fmt: skip
    known = _written.get(told[0])
    if known is not None and known[0] == told:
        return known[1]
    written = _write(row)
    _written[told[0]] = (told, written)
    if len(_written) > _MOST_WRITTEN:
        _written.popitem(last=False)
    return written


def _write(row: Any) -> bytes:
    def moment(value: datetime | None) -> str | None:
        return clock.local(value).isoformat() if value is not None else None

    subject = {"kind": row["subject_kind"], "id": row["subject_id"]} if row["subject_kind"] else None
    return wire.dumps(
        {
            "id": row["id"],
            "service": row["service"],
            "facility": {"id": row["place_id"], "name": row["place_name"]},
            "resource": named(row["resource_id"], row["resource_name"]),
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


def window_of(  # noqa: PLR0913 - the filters of one question
    *,
    starts_from: datetime | None,
    starts_until: datetime | None,
    service: str | None,
    place_id: uuid.UUID | None,
    community: str | None,
    subject_id: uuid.UUID | None,
    after: tuple[datetime, uuid.UUID] | None,
    limit: int,
) -> Window:
    """A window with its defaults: the next seven days, never more than 31."""
    begin = starts_from if starts_from is not None else datetime.now(UTC).replace(second=0, microsecond=0)
    end = starts_until if starts_until is not None else begin + timedelta(days=7)
    if not timedelta(0) < end - begin <= timedelta(days=31):
        raise errors.Unprocessable.at("/to", "window", where="query")
    return Window(begin, end, service, place_id, community, None, subject_id, after, limit)
