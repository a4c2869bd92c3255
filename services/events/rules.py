"""Facts in, decision out: whether a venue covers the sessions, what may still change, whether answers answer, who came."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any, Final, NamedTuple

OPEN: Final = ("published", "changed")
"""States of an event in which people register."""
EARLY: Final = timedelta(hours=2)
"""How long before a session somebody may already be ticked off as having come."""
MOST_NUMBER: Final = 1_000_000_000
"""No answer in numbers is larger, or smaller than its negative."""


class Fault(NamedTuple):
    """One thing in a body that is wrong: where, and in what way."""

    pointer: str
    code: str


class Session(NamedTuple):
    """A time at which an event takes place. `id` None is one that is to be added."""

    id: Any
    starts_at: datetime
    ends_at: datetime
    title: str | None = None
    is_cancelled: bool = False


@dataclass(frozen=True, slots=True)
class Description:
    """What an event is said to be."""

    title: str
    title_en: str | None
    text: str
    community: str
    min_age: int | None
    max_age: int | None
    regions: tuple[str, ...] | None
    level: int
    needs_guardian: bool
    seats: int
    questions: tuple[Mapping[str, Any], ...]
    opens_at: datetime | None
    closes_at: datetime | None
    cancel_by: datetime | None
    is_waitable: bool
    venue_group_id: Any
    sessions: tuple[Session, ...]


class Claimed(NamedTuple):
    """A confirmed slot of a venue: where, and from when to when."""

    place_id: Any
    starts_at: datetime
    ends_at: datetime


def covers(claimed: Sequence[Claimed], sessions: Sequence[Session]) -> bool:
    """Whether a venue is had for the whole of every session: at one place, contiguous slots joined."""
    if not claimed or len({one.place_id for one in claimed}) != 1:
        return False
    joined: list[tuple[datetime, datetime]] = []
    for one in sorted(claimed, key=lambda one: (one.starts_at, one.ends_at)):
        if joined and one.starts_at <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(joined[-1][1], one.ends_at))
        else:
            joined.append((one.starts_at, one.ends_at))
    return all(
        any(begin <= one.starts_at and one.ends_at <= end for begin, end in joined)
        for one in sessions
        if not one.is_cancelled
    )


def overlapping(sessions: Sequence[Session]) -> list[Fault]:
    """Sessions that begin before another one of the same event is over."""
    order = sorted(range(len(sessions)), key=lambda n: (sessions[n].starts_at, sessions[n].ends_at))
    return [
        Fault(f"/sessions/{after}/starts_at", "overlaps")
        for before, after in pairwise(order)
        if sessions[after].starts_at < sessions[before].ends_at
    ]


def question_faults(questions: Sequence[Mapping[str, Any]]) -> list[Fault]:
    """What is wrong with a list of questions taken together: one asked twice, a choice without anything to choose."""
    faults = []
    seen: set[str] = set()
    for n, one in enumerate(questions):
        if one["id"] in seen:
            faults.append(Fault(f"/questions/{n}/id", "twice"))
        seen.add(one["id"])
        options = one.get("options") or []
        if one["kind"] == "choice" and (len(options) < 2 or len(set(options)) != len(options)):
            faults.append(Fault(f"/questions/{n}/options", "choices"))
        if one["kind"] != "choice" and options:
            faults.append(Fault(f"/questions/{n}/options", "not_a_choice"))
    return faults


def answer_faults(questions: Sequence[Mapping[str, Any]], answers: Sequence[tuple[str, Any]]) -> list[Fault]:
    """What keeps these answers from answering these questions, by their place in the body."""
    asked = {one["id"]: one for one in questions}
    faults: list[Fault] = []
    given: set[str] = set()
    for n, (question, value) in enumerate(answers):
        if question not in asked:
            faults.append(Fault(f"/answers/{n}/question", "unknown"))
            continue
        if question in given:
            faults.append(Fault(f"/answers/{n}/question", "twice"))
        given.add(question)
        code = _value_fault(asked[question], value)
        if code:
            faults.append(Fault(f"/answers/{n}/value", code))
    if any(one["required"] and one["id"] not in given for one in questions):
        faults.append(Fault("/answers", "required"))
    return faults


def _value_fault(question: Mapping[str, Any], value: Any) -> str | None:
    match question["kind"]:
        case "bool":
            return None if isinstance(value, bool) else "bool"
        case "number":
            if isinstance(value, bool) or not isinstance(value, int | float):
                return "number"
            return None if abs(value) <= MOST_NUMBER else "range"  # neither does it hold for what is no number
        case "choice":
            return None if isinstance(value, str) and value in question["options"] else "choice"
        case _:
            if not isinstance(value, str):
                return "text"
            return "required" if question["required"] and not value.strip() else None


def replaced(
    before: Sequence[Session], wanted: Sequence[Session], now: datetime
) -> tuple[list[Fault], list[Any], list[Session]]:
    """What a new list of sessions does to a published event: faults, ids that are cancelled, sessions that are added.

    A session that stays is named by its id and keeps its times. One that is still to come and no longer named is
    cancelled. One that is cancelled does not come back, named or not.
    """
    known = {one.id: one for one in before}
    faults: list[Fault] = []
    kept: set[Any] = set()
    added: list[Session] = []
    for n, one in enumerate(wanted):
        if one.id is None:
            added.append(one)
            if one.starts_at <= now:
                faults.append(Fault(f"/sessions/{n}/starts_at", "past"))
            continue
        was = known.get(one.id)
        if was is None or one.id in kept:
            faults.append(Fault(f"/sessions/{n}/id", "unknown"))
            continue
        kept.add(one.id)
        if one.starts_at != was.starts_at:
            faults.append(Fault(f"/sessions/{n}/starts_at", "fixed"))
        if one.ends_at != was.ends_at:
            faults.append(Fault(f"/sessions/{n}/ends_at", "fixed"))
    gone = [one.id for one in before if not one.is_cancelled and one.ends_at > now and one.id not in kept]
    return faults, gone, added


def recognised(before: Sequence[Session], wanted: Sequence[Session]) -> tuple[Session, ...]:
    """The wanted sessions, those without an id known by their times.

    Whoever says the same times again means the same session: nobody loses a seat because an id was left out.
    """
    named = {one.id for one in wanted}
    free = {(one.starts_at, one.ends_at): one.id for one in before if not one.is_cancelled and one.id not in named}
    return tuple(
        one._replace(id=free.pop((one.starts_at, one.ends_at), None)) if one.id is None else one for one in wanted
    )


def past(sessions: Sequence[Session], now: datetime) -> list[Fault]:
    """Sessions that have begun already."""
    return [
        Fault(f"/sessions/{n}/starts_at", "past")
        for n, one in enumerate(sessions)
        if not one.is_cancelled and one.starts_at <= now
    ]


def late_deadlines(told: Description) -> list[Fault]:
    """Deadlines that no session waits for: after the last one has begun nobody registers, and nobody cancels in time."""
    last = max(one.starts_at for one in told.sessions)
    deadlines = (("/closes_at", told.closes_at), ("/cancel_by", told.cancel_by))
    return [Fault(pointer, "after_sessions") for pointer, moment in deadlines if moment is not None and moment > last]


def past_deadlines(closes_at: datetime | None, cancel_by: datetime | None, now: datetime) -> list[Fault]:
    """Deadlines that are over already."""
    deadlines = (("/closes_at", closes_at), ("/cancel_by", cancel_by))
    return [Fault(pointer, "past") for pointer, moment in deadlines if moment is not None and moment <= now]


def slot_title(title: str, session: str | None) -> str:
    """What a session is called where slots are listed."""
    return f"{title} · {session}" if session else title


def closing(closes_at: datetime | None, starts_at: datetime) -> datetime:
    """When registration for a session closes: as said, and never after it begins."""
    return starts_at if closes_at is None else min(closes_at, starts_at)


def span(sessions: Sequence[Session]) -> tuple[datetime, datetime]:
    """Begin of the first and end of the last session that takes place (of all, when none does)."""
    on = [one for one in sessions if not one.is_cancelled] or list(sessions)
    return min(one.starts_at for one in on), max(one.ends_at for one in on)


class Arrival(NamedTuple):
    """Whom the door means, in one of three ways, narrowed down; and whether they came."""

    registration_id: Any
    code: str | None
    token: str | None
    event_id: Any
    slot_id: Any
    person_id: Any
    came: bool
    at: datetime


def opens_at(starts_at: datetime) -> datetime:
    """When the door of a session opens."""
    return starts_at - EARLY


def marking(*, came: bool, state: str, starts_at: datetime, ends_at: datetime, at: datetime) -> list[str]:
    """Why somebody cannot be ticked off as said; nothing when they can, or already are."""
    if state == ("attended" if came else "no_show"):
        return []
    if state == "attended":
        return ["already_came"]
    if state == "no_show":
        return ["already_absent"]
    if state != "confirmed":
        return ["not_registered"]
    if came and at < opens_at(starts_at):
        return ["too_early"]
    if not came and at < ends_at:
        return ["not_over"]
    return []


class Had(NamedTuple):
    """A place that somebody has or had in a session: when it was made, and when it was given back."""

    made_at: datetime
    left_at: datetime | None
    state: str


def entry(places: Sequence[Had]) -> tuple[bool, int, datetime]:
    """One session in somebody's calendar, out of every place they ever had in it, in the order in which they were made.

    Whether it is cancelled, its SEQUENCE (RFC 5545: higher with every change), and when that was.
    """
    last = places[-1]
    is_cancelled = last.left_at is not None and last.state != "no_show"
    return is_cancelled, 2 * (len(places) - 1) + is_cancelled, last.left_at or last.made_at


def is_stale(used_at: datetime, now: datetime, days: int) -> bool:
    """Whether a calendar's address was so long unused that it no longer opens anything."""
    return now - used_at > timedelta(days=days)
