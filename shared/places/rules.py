"""What a schedule and a policy mean: wall-clock times and facts in, slots and steps out.

Times of day are minutes after midnight, so that a day may end at 24:00. Nothing here knows a zone, a clock or a database.
"""

from __future__ import annotations

import uuid
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import date, datetime, time, timedelta
from itertools import combinations
from typing import Any, Final, NamedTuple

MOST_LINES: Final = 200
GRID_MINUTES: Final = 5
DAY_MINUTES: Final = 24 * 60
MOST_SLOTS_A_DAY: Final = 1000
"""What all lines together may make on one weekday: twenty courts by the half hour, and some."""
WALK_METRES_A_MINUTE: Final = 80
DETOUR: Final = 1.3
"""A walk through streets is this much longer than the straight line."""


@dataclass(frozen=True, slots=True)
class Resource:
    """What slots are made on. `no` is None until it is stored."""

    id: uuid.UUID
    name: str
    capacity: int
    is_exclusive: bool = True
    name_en: str | None = None
    no: int | None = None


@dataclass(frozen=True, slots=True)
class Line:
    """On these weekdays (Monday is 0), from `starts` to `ends`, one slot after the other on one resource."""

    weekdays: frozenset[int]
    starts: int
    ends: int
    slot_minutes: int
    resource: uuid.UUID
    title: str
    days: frozenset[str] | None = None
    capacity: int | None = None
    title_en: str | None = None


class Planned(NamedTuple):
    """A slot that a schedule makes on a day; `capacity` None is the resource's own."""

    day: date
    starts: int
    ends: int
    resource: uuid.UUID
    title: str
    capacity: int | None


def lines_on(schedule: Iterable[Line], day: date, kind: str | None) -> list[Planned]:
    """The slots a schedule makes on a day of this kind (work, rest, closed).

    None asks what it could make on that date, whatever kind of day it turned out to be. A remainder that is shorter
    than a slot is left out.
    """
    if kind == "closed":
        return []
    return [
        Planned(day, starts, starts + line.slot_minutes, line.resource, line.title, line.capacity)
        for line in schedule
        if day.weekday() in line.weekdays and (kind is None or line.days is None or kind in line.days)
        for starts in range(line.starts, line.ends - line.slot_minutes + 1, line.slot_minutes)
    ]


class Fault(NamedTuple):
    """What is wrong with one line."""

    line: int
    field: str
    code: str


def faults(schedule: Sequence[Line], resources: Mapping[uuid.UUID, Resource]) -> list[Fault]:
    """Everything that keeps these lines from being a schedule; none for a sound one.

    Two lines of an exclusive resource never meet, except on days that cannot be the same (one for working days, one for
    days of rest). Lines of a shared resource may overlap, but not make the same session twice.
    """
    found = [Fault(MOST_LINES, "", "too_many")] if len(schedule) > MOST_LINES else []
    for n, line in enumerate(schedule[:MOST_LINES]):
        found += [Fault(n, field, code) for field, code in _of_line(line)]
        if line.resource not in resources:
            found.append(Fault(n, "resource", "unknown"))
    if found:
        return found
    for (_, one), (n, other) in combinations(enumerate(schedule), 2):
        if one.resource == other.resource and _same_days(one, other) and _same_hours(one, other):
            if resources[one.resource].is_exclusive:
                found.append(Fault(n, "starts", "overlap"))
            elif one.title == other.title and set(_starts(one)) & set(_starts(other)):
                found.append(Fault(n, "starts", "twice"))
    for weekday in range(7):
        if sum(len(_starts(line)) for line in schedule if weekday in line.weekdays) > MOST_SLOTS_A_DAY:
            found.append(Fault(0, "slot_minutes", "too_many"))
            break
    return list(dict.fromkeys(found))


def _of_line(line: Line) -> Iterator[tuple[str, str]]:
    if not line.weekdays or not line.weekdays <= set(range(7)):
        yield "weekdays", "weekday"
    if line.starts % GRID_MINUTES or not 0 <= line.starts < DAY_MINUTES:
        yield "starts", "grid"
    if line.ends % GRID_MINUTES:
        yield "ends", "grid"
    elif not line.starts < line.ends <= DAY_MINUTES:
        yield "ends", "order"
    if line.slot_minutes % GRID_MINUTES:
        yield "slot_minutes", "grid"
    elif not 0 < line.slot_minutes <= max(GRID_MINUTES, line.ends - line.starts):
        yield "slot_minutes", "too_long"


def _starts(line: Line) -> range:
    return range(line.starts, line.ends - line.slot_minutes + 1, line.slot_minutes)


def _same_hours(one: Line, other: Line) -> bool:
    return one.starts < other.ends and other.starts < one.ends


def _same_days(one: Line, other: Line) -> bool:
    kinds = one.days is None or other.days is None or bool(one.days & other.days)
    return kinds and bool(one.weekdays & other.weekdays)


@dataclass(frozen=True, slots=True)
class Ahead:
    """So many days before a slot's own, at this time of the town's clock."""

    days_ahead: int
    at: time


AHEAD: Final = ("release", "close_at", "cancel_at")
"""What a policy may say by the clock."""


@dataclass(frozen=True, slots=True)
class Audience:
    """Whom slots are for. None is everybody; `regions` are prefixes; `level` is of real-name verification."""

    min_age: int | None = None
    max_age: int | None = None
    regions: tuple[str, ...] | None = None
    level: int = 0
    needs_guardian: bool = False


@dataclass(frozen=True, slots=True)
class Policy:
    """A place's rules of booking. Limits are the arbiter's: it reads them from the stored body by these names."""

    release: Ahead | None = None
    close_minutes: int = 0
    cancel_minutes: int | None = None
    close_at: Ahead | None = None
    cancel_at: Ahead | None = None
    limits: Mapping[str, int | None] = field(
        default_factory=lambda: dict.fromkeys(("per_day", "per_week", "at_once", "household_per_day"))
    )
    audience: Audience = Audience()
    offline_share: int = 0
    offline_minutes: int = 0
    is_waitable: bool = True
    is_exclusive: bool = True
    horizon_days: int = 8

    @property
    def days(self) -> int:
        """For how many days slots exist, today included: never fewer than are needed to have them before they open."""
        return max(self.horizon_days, self.release.days_ahead + 2 if self.release else 0)

    def marks(self, day: date) -> Marks:
        """The times that are said by the clock, for slots of `day`; without one a slot is open as soon as it exists."""
        said = (self.release, self.close_at, self.cancel_at)
        return Marks(*((day - timedelta(days=one.days_ahead), one.at) if one else None for one in said))


class Marks(NamedTuple):
    """Day and time at which slots of a day open, close and may last be cancelled in time."""

    opens: tuple[date, time] | None
    closes: tuple[date, time] | None
    cancel: tuple[date, time] | None


def policy_body(policy: Policy) -> dict[str, Any]:
    """A policy as it is stored."""
    ahead = [(name, getattr(policy, name)) for name in AHEAD]
    return {
        **{name: {"days_ahead": one.days_ahead, "at": f"{one.at:%H:%M}"} if one else None for name, one in ahead},
        "close_minutes": policy.close_minutes,
        "cancel_minutes": policy.cancel_minutes,
        "limits": dict(policy.limits),
        "audience": asdict(policy.audience),
        "offline_share": policy.offline_share,
        "offline_minutes": policy.offline_minutes,
        "is_waitable": policy.is_waitable,
        "is_exclusive": policy.is_exclusive,
        "horizon_days": policy.horizon_days,
    }


def policy_of(body: Mapping[str, Any]) -> Policy:
    """A stored policy; what an older or sparser body does not say is the default."""
    audience = dict(body.get("audience") or {})
    if audience.get("regions") is not None:
        audience["regions"] = tuple(audience["regions"])
    said = {name: body[name] for name in AHEAD if body.get(name)}
    ahead: dict[str, Any] = {
        name: Ahead(one["days_ahead"], time.fromisoformat(one["at"])) for name, one in said.items()
    }
    plain = {"close_minutes", "cancel_minutes", "offline_share", "offline_minutes", "is_waitable", "is_exclusive"}
    return Policy(
        **ahead,
        limits=Policy().limits | dict(body.get("limits") or {}),  # type: ignore[operator]
        audience=Audience(**audience),
        **{name: body[name] for name in (*plain, "horizon_days") if name in body},
    )


def schedule_body(schedule: Iterable[Line]) -> dict[str, Any]:
    """A schedule as it is stored."""
    return {
        "lines": [
            {
                "weekdays": sorted(line.weekdays),
                "days": sorted(line.days) if line.days is not None else None,
                "starts": clock_text(line.starts),
                "ends": clock_text(line.ends),
                "slot_minutes": line.slot_minutes,
                "resource": str(line.resource),
                "capacity": line.capacity,
                "title": line.title,
                "title_en": line.title_en,
            }
            for line in schedule
        ]
    }


def schedule_of(body: Mapping[str, Any]) -> list[Line]:
    """A stored schedule."""
    return [
        Line(
            weekdays=frozenset(line["weekdays"]),
            days=frozenset(line["days"]) if line.get("days") is not None else None,
            starts=minutes_of(line["starts"]),
            ends=minutes_of(line["ends"]),
            slot_minutes=line["slot_minutes"],
            resource=uuid.UUID(line["resource"]),
            capacity=line.get("capacity"),
            title=line["title"],
            title_en=line.get("title_en"),
        )
        for line in body["lines"]
    ]


def minutes_of(text: str) -> int:
    """Minutes after midnight of "HH:MM"; "24:00" is the end of the day."""
    hours, minutes = text.split(":")
    return int(hours) * 60 + int(minutes)


def clock_text(minutes: int) -> str:
    """Minutes after midnight as "HH:MM"."""
    return f"{minutes // 60:02}:{minutes % 60:02}"


class Instants(NamedTuple):
    """The instants a policy sets for one slot."""

    opens_at: datetime | None
    closes_at: datetime
    cancel_by: datetime | None
    offline_until: datetime | None


def instants(
    policy: Policy,
    starts_at: datetime,
    opens_at: datetime | None,
    closes_at: datetime | None = None,
    cancel_by: datetime | None = None,
) -> Instants:
    """What the policy says of a slot that starts then; the other instants are its marks, never later than the start."""

    def before(minutes: int) -> datetime:
        return starts_at - timedelta(minutes=minutes)

    if cancel_by is None and policy.cancel_minutes is not None:
        cancel_by = before(policy.cancel_minutes)
    return Instants(
        opens_at,
        min(closes_at or before(policy.close_minutes), starts_at),
        min(cancel_by, starts_at) if cancel_by is not None else None,
        before(policy.offline_minutes) if policy.offline_share else None,
    )


def opens_anew(now: datetime, before: datetime | None, wanted: datetime | None) -> datetime | None:
    """When a slot opens under a new policy: what is open already is never shut again by it."""
    is_open = before is None or before <= now
    return before if is_open and wanted is not None and wanted > now else wanted


Key = tuple[int | None, datetime, str]
"""What a slot is known by within its place: resource, start, title."""


class Wanted(NamedTuple):
    """A slot that there should be."""

    resource_no: int
    starts_at: datetime
    ends_at: datetime
    title: str
    capacity: int
    is_exclusive: bool

    @property
    def key(self) -> Key:
        """Resource, start and title."""
        return self.resource_no, self.starts_at, self.title


class Existing(NamedTuple):
    """A slot that there is; `is_scheduled`: a schedule's line made it. Untouched: nobody has a place or waits for one."""

    id: uuid.UUID
    resource_no: int | None
    is_exclusive: bool
    starts_at: datetime
    ends_at: datetime
    title: str
    capacity: int
    state: str
    is_untouched: bool
    is_scheduled: bool = False

    @property
    def key(self) -> Key:
        """Resource, start and title."""
        return self.resource_no, self.starts_at, self.title


@dataclass(frozen=True, slots=True)
class Steps:
    """What makes the slots there are into those there should be, in this order."""

    cancel: tuple[uuid.UUID, ...]
    displace: tuple[uuid.UUID, ...]
    resize: tuple[tuple[uuid.UUID, int], ...]
    reopen: tuple[tuple[uuid.UUID, Wanted], ...]
    make: tuple[Wanted, ...]


def steps(
    wanted: Sequence[Wanted],
    existing: Sequence[Existing],
    *,
    former: Mapping[tuple[Key, datetime], int] | None = None,
    makes_until: datetime,
) -> Steps:
    """How to follow a schedule. `former` are the slots (and capacities) that the schedule before this one made.

    Only what the former schedule made, and what is untouched, is cancelled or resized; extra sessions stay, and so does
    everything in which somebody has a place. A slot that was cancelled by an earlier change comes back to life when its
    line does, and so does one that was closed and is wanted again; if the line now gives it another end, it makes way
    instead (a slot's times never change). Nothing is made from `makes_until` on.
    """
    by_key = {one.key: one for one in wanted}
    cancel: list[uuid.UUID] = []
    displace: list[uuid.UUID] = []
    resize: list[tuple[uuid.UUID, int]] = []
    back: list[tuple[Existing, Wanted]] = []
    taken: set[Key] = set()
    kept: dict[int | None, list[Existing]] = {}
    for one in existing:
        want = by_key.get(one.key)
        is_same = want is not None and want.ends_at == one.ends_at
        before = (former or {}).get((one.key, one.ends_at))
        if one.state == "open" and not is_same and before is not None and one.is_untouched:
            cancel.append(one.id)
            if want is not None:
                displace.append(one.id)
        elif want and one.is_untouched and (one.state == "cancelled" or (one.state == "closed" and one.is_scheduled)):
            if is_same:
                back.append((one, want))
                taken.add(one.key)
            else:
                displace.append(one.id)
        else:
            taken.add(one.key)
            if one.state == "open":
                kept.setdefault(one.resource_no, []).append(one)
                if want is not None and is_same and one.is_untouched and one.capacity == before != want.capacity:
                    resize.append((one.id, want.capacity))
    reopen = tuple(
        (one.id, want)
        for one, want in back
        if want.starts_at < makes_until and not (want.is_exclusive and _meets(want, kept.get(want.resource_no, ())))
    )
    make = tuple(one for one in by_key.values() if one.starts_at < makes_until and one.key not in taken)
    return Steps(tuple(cancel), tuple(displace), tuple(resize), reopen, make)


def turns(existing: Iterable[Existing], shut: Collection[uuid.UUID]) -> tuple[list[uuid.UUID], list[uuid.UUID]]:
    """Of what a schedule made: which to close since it is shut, and which stays open for those who still have a place."""
    made = [one for one in existing if one.is_scheduled]
    close = [one.id for one in made if one.state == "open" and one.id in shut]
    return close, [one.id for one in made if one.state == "closed" and not one.is_untouched and one.id not in shut]


def _meets(want: Wanted, kept: Collection[Existing]) -> bool:
    return any(one.is_exclusive and one.starts_at < want.ends_at and want.starts_at < one.ends_at for one in kept)


def is_shut(starts_at: datetime, ends_at: datetime, closures: Iterable[tuple[datetime, datetime]]) -> bool:
    """Whether a closure covers any part of it."""
    return any(starts_at < until and since < ends_at for since, until in closures)


def reach_metres(minutes: int) -> float:
    """How far off, in a straight line, a place may be that is walked to in this many minutes."""
    return minutes * WALK_METRES_A_MINUTE / DETOUR


def walk_minutes(metres: float) -> int:
    """Whole minutes of walking to a place that far off in a straight line."""
    return -int(-metres * DETOUR // WALK_METRES_A_MINUTE)
