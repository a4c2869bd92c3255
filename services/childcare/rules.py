"""Who may come in, how many a room can watch over, with whom a child goes home, and who is late. Facts in, decision out."""

from __future__ import annotations

import unicodedata
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from datetime import datetime, timedelta
from fractions import Fraction
from math import ceil
from typing import Final, Literal, NamedTuple

Kind = Literal["allowed", "once", "never"]

AROUND: Final = timedelta(hours=1)
"""So long before and after a visit its carers may read what they need to know about the child."""
LATE: Final = timedelta(minutes=5)
"""What is told longer than this after it happened came late."""


@dataclass(frozen=True, slots=True)
class Terms:
    """How a room watches over children. `accompanied_per_carer` None: who is with a guardian needs no carer's attention."""

    children_per_carer: int = 8
    accompanied_per_carer: int | None = 16
    most_children: int = 20
    stays: str = "either"
    sign_in_minutes: int = 15
    late_after_minutes: Sequence[int] = (10, 30, 60)


def terms_of(body: Mapping[str, object]) -> Terms:
    """The terms that were written down; what is not said is the default."""
    known = {field.name for field in fields(Terms)}
    return Terms(**{name: value for name, value in body.items() if name in known})  # type: ignore[arg-type]


@dataclass(frozen=True, slots=True)
class Room:
    """Who is in a room: all children, those of them whose guardian stays, and carers."""

    children: int = 0
    accompanied: int = 0
    carers: int = 0


def carers_needed(room: Room, terms: Terms) -> int:
    """The fewest carers for these children; one as soon as there is any child."""
    alone = Fraction(room.children - room.accompanied, terms.children_per_carer)
    beside = Fraction(room.accompanied, terms.accompanied_per_carer) if terms.accompanied_per_carer else Fraction(0)
    return max(ceil(alone + beside), 1 if room.children else 0)


def entered(room: Room, *, accompanied: bool) -> Room:
    """The room with one child more."""
    return replace(room, children=room.children + 1, accompanied=room.accompanied + accompanied)


def left(room: Room, *, accompanied: bool) -> Room:
    """The room with one child less."""
    return replace(room, children=room.children - 1, accompanied=room.accompanied - accompanied)


def with_carers(room: Room, more: int) -> Room:
    """The room with one carer more, or less."""
    return replace(room, carers=room.carers + more)


def no_entry(room: Room, terms: Terms, *, accompanied: bool) -> str | None:
    """Why one more child cannot come in now; None when they can."""
    after = entered(room, accompanied=accompanied)
    if after.children > terms.most_children:
        return "room_full"
    return "too_few_carers" if carers_needed(after, terms) > room.carers else None


def strains(room: Room, terms: Terms, *, accompanied: bool) -> list[str]:
    """What stands against a child who has come in already: more than the room can watch over, or nobody who does."""
    after = entered(room, accompanied=accompanied)
    found = ["room_full"] if after.children > terms.most_children else []
    if not room.carers:
        return [*found, "no_carer_recorded"]
    return [*found, "too_few_carers"] if carers_needed(after, terms) > room.carers else found


def no_leave_for_carer(room: Room) -> str | None:
    """Why a carer cannot go off duty; None when they can. Whoever falls ill may go, but nobody leaves children alone."""
    return "last_carer" if room.children and room.carers <= 1 else None


def children_left(room: Room, terms: Terms) -> int:
    """How many more children without a guardian could come in now."""
    count = 0
    while no_entry(room, terms, accompanied=False) is None:
        room, count = entered(room, accompanied=False), count + 1
    return count


def no_time(at: datetime, starts_at: datetime, ends_at: datetime, minutes_before: int) -> str | None:
    """Why a child cannot be signed in at this moment: from some minutes before the session to its end."""
    if at < opens_at(starts_at, minutes_before):
        return "too_early"
    return None if at <= ends_at else "outside_session"


def opens_at(starts_at: datetime, minutes_before: int) -> datetime:
    """When signing in begins."""
    return starts_at - timedelta(minutes=minutes_before)


def is_told_late(at: datetime, now: datetime) -> bool:
    """Whether a device tells of it long after it happened."""
    return now - at > LATE


def may_read(now: datetime, visits: Iterable[tuple[datetime, datetime]]) -> bool:
    """Whether carers may read a child's record now: around one of these visits, each from start to end."""
    return any(starts_at - AROUND <= now <= ends_at + AROUND for starts_at, ends_at in visits)


def suits(mode: str, *, stays: bool) -> bool:
    """Whether a visit suits a room's way: guardians stay, children are dropped off, or either."""
    return mode == "either" or (mode == "stay") == stays


class Entry(NamedTuple):
    """One line of a child's list of collectors, as one of the guardians wrote it."""

    id: uuid.UUID
    kind: Kind
    person_id: uuid.UUID | None = None
    name: str | None = None
    phone_last4: str | None = None
    id_last4: str | None = None
    starts_at: datetime | None = None
    ends_at: datetime | None = None
    is_used: bool = False
    person_name: str | None = None
    """What the town calls `person_id`: whoever is forbidden by person is forbidden under their name, too."""


class Adult(NamedTuple):
    """Who stands at the door. `entry` is the line they were found by: a name on the list, or a one-time code."""

    person_id: uuid.UUID | None = None
    name: str | None = None
    is_guardian: bool = False
    entry: Entry | None = None
    is_of_age: bool = True


def holds(entry: Entry, at: datetime) -> bool:
    """Whether a line is in force at this moment."""
    return (entry.starts_at is None or entry.starts_at <= at) and (entry.ends_at is None or at < entry.ends_at)


def no_hand_over(adult: Adult, entries: Sequence[Entry], at: datetime) -> str | None:
    """Why the child may not go with this adult; None when they may. Whoever is on any guardian's never list may not.

    `entries` are the lines that guardians have written; an adult may be known by a line that is none of them any more.
    """
    if any(entry.kind == "never" and holds(entry, at) and _means(entry, adult) for entry in entries):
        return "collector_barred"
    if adult.is_guardian:
        return None
    if not adult.is_of_age:
        return "collector_unknown"
    if adult.entry is not None:
        if adult.entry.id not in {entry.id for entry in entries}:
            return "collector_unknown"
        if adult.entry.kind == "once" and adult.entry.is_used:
            return "collector_used"
        return None if adult.entry.kind != "never" and holds(adult.entry, at) else "collector_unknown"
    allowed = {entry.person_id for entry in entries if entry.kind == "allowed" and holds(entry, at)}
    return None if adult.person_id is not None and adult.person_id in allowed else "collector_unknown"


def _means(entry: Entry, adult: Adult) -> bool:
    """Whether a line is about this adult: the same person, or the same name unless known digits tell them apart.

    A name alone bars its namesakes, too: the carers can ask the guardians, and a mistake this way can be put right. A line
    of the list that gives somebody else's name to a known person is about that name, too.
    """
    told = adult.entry
    if told is not None and told.id == entry.id:
        return True
    theirs = _names(adult.name, *((told.name, told.person_name) if told is not None else ()))
    if entry.person_id is not None and adult.person_id is not None:
        if entry.person_id == adult.person_id:
            return True
        theirs -= _names(adult.name)  # two known people may have one name
    if not _names(entry.name, entry.person_name) & theirs:
        return False
    if told is None:
        return True
    pairs = ((entry.id_last4, told.id_last4), (entry.phone_last4, told.phone_last4))  # phones change, numbers do not
    return next((one.upper() == other.upper() for one, other in pairs if one and other), True)


_UNSEEN: Final = "\u115f\u1160"
"""Letters that nobody sees."""


def _names(*told: str | None) -> set[str]:
    return {plain(one) for one in told if one} - {""}


def plain(name: str) -> str:
    """A name as people are found by it: its letters and digits, without case, width, accents, and what nobody sees."""
    apart = unicodedata.normalize("NFKD", unicodedata.normalize("NFKC", name).casefold())
    return "".join(one for one in apart if unicodedata.category(one)[0] in "LN" and one not in _UNSEEN)


def steps_due(ends_at: datetime, minutes: Sequence[int], done: int, now: datetime) -> list[int]:
    """The steps, counted from one, that are due for a child still inside and were not yet taken."""
    late = now - ends_at
    return [n for n, after in enumerate(minutes, 1) if n > done and late >= timedelta(minutes=after)]


def progress(inside: int, gone: int) -> str | None:
    """How a visit goes: nobody came yet, somebody is inside, or all who came have left."""
    return "inside" if inside else "left" if gone else None
