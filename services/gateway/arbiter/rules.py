"""Facts in, decisions out: who gets a place, who waits, who is refused and why.

`verdict` answers for one person and one slot, and is what availability shows. `decide` folds the same verdict over asks in
arrival order, counting what the asks before have taken; so the screen never promises what booking refuses.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import NamedTuple, Protocol

OFFLINE = frozenset({"desk", "phone", "paper"})
"""Channels of those who do not book by themselves; part of the places may be kept for them."""


class Limits(NamedTuple):
    """How much one person or household may have at one place; None is no limit. Weeks begin on Monday."""

    per_day: int | None = None
    per_week: int | None = None
    at_once: int | None = None
    household_per_day: int | None = None


class Slot(NamedTuple):
    """What the arbiter knows of a slot. `day` is its date in the town; `held_until` the first hold that can lapse.

    `purposes` are what everybody who claims it must have consented to.
    """

    id: uuid.UUID
    service: str
    place_id: uuid.UUID
    community: str
    starts_at: datetime
    ends_at: datetime
    day: date
    opens_at: datetime | None
    closes_at: datetime
    capacity: int
    taken: int = 0
    taken_offline: int = 0
    waiting: int = 0
    offline_share: int = 0
    offline_until: datetime | None = None
    min_age: int | None = None
    max_age: int | None = None
    regions: Sequence[str] | None = None
    level: int = 0
    needs_guardian: bool = False
    allocation: str = "first_come"
    is_exclusive: bool = True
    is_waitable: bool = True
    state: str = "open"
    is_counted: bool = True
    limits: Limits = Limits()
    held_until: datetime | None = None
    purposes: Sequence[str] = ()


class Place(NamedTuple):
    """An active claim of a holder, as far as other claims depend on it."""

    slot_id: uuid.UUID
    place_id: uuid.UUID
    starts_at: datetime
    ends_at: datetime
    day: date
    is_exclusive: bool
    is_counted: bool = True


class Holder(NamedTuple):
    """A person or organisation. `places` are their active claims; `suspended` the services paused for them.

    `consents` are looked up only where a slot has purposes.
    """

    no: int
    id: uuid.UUID
    name: str
    kind: str
    community: str
    born: date | None
    level: int
    household_no: int | None
    places: Sequence[Place] = ()
    suspended: Mapping[str, datetime] = {}
    waits: frozenset[uuid.UUID] = frozenset()
    consents: frozenset[str] = frozenset()


class Take(Protocol):
    """So many units of one slot for each person."""

    @property
    def slot_id(self) -> uuid.UUID:
        """The slot."""

    @property
    def units(self) -> int:
        """Places for each person."""


@dataclass(frozen=True, slots=True)
class Previous:
    """What an earlier ask with the same key came to: held, confirmed, waiting; lapsed, lost or left are decided again."""

    group_id: uuid.UUID
    fingerprint: bytes
    state: str


class Ask(NamedTuple):
    """One account asks for places: everything for everybody, or nothing.

    `may` are the holders this account may act for, `guards` those it is a guardian of: looked up, never sent. An ask that
    is `serving` comes off the waiting lists of the slots in `ranked`, in the order of its rank.
    """

    group_id: uuid.UUID
    account_no: int
    key: str
    fingerprint: bytes
    service: str
    takes: tuple[Take, ...]
    holders: tuple[int, ...]
    channel: str = "app"
    waits: bool = False
    serving: bool = False
    ranked: frozenset[uuid.UUID] = frozenset()
    may: frozenset[int] = frozenset()
    guards: frozenset[int] = frozenset()
    previous: Previous | None = None


@dataclass(frozen=True, slots=True)
class Granted:
    """All places are held."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """The ask stands on the waiting lists of these slots, the full ones among its own."""

    slots: tuple[uuid.UUID, ...]


@dataclass(frozen=True, slots=True)
class Replayed:
    """The same key was answered before; `group_id` is what came of it."""

    group_id: uuid.UUID
    state: str


class Refused(NamedTuple):
    """Nothing was taken. `code` is a refusal's; `person`, `slot` and `subject` (of those asked for) are indexes into the ask."""

    code: str
    person: int | None = None
    slot: int | None = None
    until: datetime | None = None
    purposes: tuple[str, ...] = ()
    subject: int | None = None


Decision = Granted | Waiting | Replayed | Refused


class No(NamedTuple):
    """Why not."""

    code: str
    until: datetime | None = None
    purposes: tuple[str, ...] = ()


@dataclass(slots=True)
class Fold:
    """What the asks already decided in this list have changed."""

    taken: dict[uuid.UUID, int] = field(default_factory=dict)
    taken_offline: dict[uuid.UUID, int] = field(default_factory=dict)
    waiting: dict[uuid.UUID, int] = field(default_factory=dict)
    places: dict[int, list[Place]] = field(default_factory=dict)
    waits: set[tuple[int, uuid.UUID]] = field(default_factory=set)
    households: dict[tuple[int, uuid.UUID, date], int] = field(default_factory=dict)
    keys: dict[tuple[int, str], tuple[bytes, uuid.UUID, str]] = field(default_factory=dict)


def age_on(born: date, day: date) -> int:
    """Completed years on that day."""
    return day.year - born.year - ((day.month, day.day) < (born.month, born.day))


def band(born: date | None, day: date, years: int) -> int | None:
    """The lower end of the band of so many years of age in which somebody is on that day; None when nobody knows."""
    return age_on(born, day) // years * years if born is not None else None


def inside(community: str, regions: Sequence[str]) -> bool:
    """Whether a community lies in one of these regions; codes of one level have one length, so a prefix is a parent."""
    return community.startswith(tuple(regions))


def free(slot: Slot, now: datetime, channel: str = "app", fold: Fold | None = None) -> int:
    """Places this channel may still take; those kept for the desk count only for the desk until they are given up."""
    taken, offline = slot.taken, slot.taken_offline
    if fold is not None:
        taken += fold.taken.get(slot.id, 0)
        offline += fold.taken_offline.get(slot.id, 0)
    left = slot.capacity - taken
    if slot.offline_share and channel not in OFFLINE and slot.offline_until is not None and now < slot.offline_until:
        left -= max(0, slot.offline_share - offline)
    return max(0, left)


def of_slot(slot: Slot, now: datetime) -> No | None:
    """Why nobody can claim it now, whoever they are; whether it is full is another question."""
    if slot.state == "cancelled":
        return No("cancelled")
    if slot.state != "open" or slot.closes_at <= now:
        return No("closed")
    if slot.opens_at is not None and now < slot.opens_at:
        return No("not_open_yet", slot.opens_at)
    return None


def of_person(slot: Slot, holder: Holder, *, guarded: bool) -> No | None:
    """Why this slot is not for this person, whatever else they have."""
    if holder.suspended and slot.service in holder.suspended:
        return No("suspended", holder.suspended[slot.service])
    if holder.kind == "person":
        if slot.min_age is not None or slot.max_age is not None:
            if holder.born is None:
                return No("verification_required")
            age = age_on(holder.born, slot.day)
            if slot.min_age is not None and age < slot.min_age:
                return No("too_young")
            if slot.max_age is not None and age > slot.max_age:
                return No("too_old")
        if slot.needs_guardian and not guarded:
            return No("guardian_required")
    if slot.regions is not None and not inside(holder.community, slot.regions):
        return No("outside_area")
    if holder.level < slot.level:
        return No("verification_required")
    if slot.purposes and holder.kind == "person":
        missing = tuple(one for one in slot.purposes if one not in holder.consents)
        if missing:
            return No("consent_required", purposes=missing)
    return None


def of_places(slot: Slot, holder: Holder, now: datetime, more: Sequence[Place] = ()) -> No | None:
    """What stands against it in what this person already has: this very slot, the same time, the place's limits.

    `more` are places they were given since they were looked at.
    """
    places = [*holder.places, *more] if more else holder.places
    starts_at, ends_at = slot.starts_at, slot.ends_at
    overlaps = False
    here: list[Place] = []
    for place in places:
        if place.slot_id == slot.id and (slot.is_counted or slot.is_exclusive):  # else it is a stock
            return No("already_yours")
        if place.starts_at < ends_at and starts_at < place.ends_at and place.is_exclusive:
            overlaps = True
        if place.place_id == slot.place_id and place.is_counted:
            here.append(place)
    if overlaps and slot.is_exclusive and holder.kind == "person":
        return No("overlaps")
    return No("limit_reached") if here and slot.is_counted and _is_at_limit(slot, here, now) else None


def _is_at_limit(slot: Slot, here: Sequence[Place], now: datetime) -> bool:
    """Whether what a person has at this place is all they may have on the slot's day, in its week, or at once."""
    limits = slot.limits
    monday = slot.day - timedelta(days=slot.day.weekday())
    sunday = monday + timedelta(days=6)
    return (
        (limits.per_day is not None and sum(one.day == slot.day for one in here) >= limits.per_day)
        or (limits.per_week is not None and sum(monday <= one.day <= sunday for one in here) >= limits.per_week)
        or (limits.at_once is not None and sum(one.ends_at > now for one in here) >= limits.at_once)
    )


def eligible(
    slot: Slot,
    holder: Holder,
    now: datetime,
    *,
    guarded: bool = False,
    household: int = 0,
    more: Sequence[Place] = (),
) -> No | None:
    """Why this person could not have a place here even if there were one; None when they could.

    `household` is how many places the household has at this place on this day.
    """
    no = of_slot(slot, now) or of_person(slot, holder, guarded=guarded) or of_places(slot, holder, now, more)
    if no is None and slot.is_counted:
        most = slot.limits.household_per_day
        if most is not None and household >= most:
            return No("limit_reached")
    return no


def verdict(
    slot: Slot,
    holder: Holder,
    now: datetime,
    *,
    channel: str = "app",
    guarded: bool = False,
    household: int = 0,
) -> No | None:
    """Why this person cannot have one place in this slot now; None when they can."""
    return eligible(slot, holder, now, guarded=guarded, household=household) or of_room(slot, now, 1, channel=channel)


def of_room(
    slot: Slot, now: datetime, units: int, *, channel: str = "app", serving: bool = False, fold: Fold | None = None
) -> No | None:
    """Whether `units` places are left: for newcomers only when nobody waits, for those who wait in their order."""
    waiting = slot.waiting + (fold.waiting.get(slot.id, 0) if fold is not None else 0)
    if (waiting and not serving) or free(slot, now, channel, fold) < units:
        is_held = slot.held_until is not None or (fold is not None and fold.taken.get(slot.id, 0) > 0)
        return No("held", slot.held_until) if is_held and not waiting else No("full")
    return None


def decide(
    asks: Sequence[Ask],
    slots: Mapping[uuid.UUID, Slot],
    holders: Mapping[int, Holder],
    households: Mapping[tuple[int, uuid.UUID, date], int],
    now: datetime,
) -> list[Decision]:
    """One decision an ask, in arrival order; each sees what those before it have taken.

    `households` counts active claims by (household, place, day), where a policy limits them.
    """
    fold = Fold(households=dict(households))
    decisions: list[Decision] = []
    for ask in asks:
        decision = _repeated(ask, fold) or _decided(ask, slots, holders, now, fold)
        if not isinstance(decision, Replayed | Refused):
            state = "held" if isinstance(decision, Granted) else "waiting"
            fold.keys[ask.account_no, ask.key] = (ask.fingerprint, ask.group_id, state)
        decisions.append(decision)
    return decisions


def _repeated(ask: Ask, fold: Fold) -> Decision | None:
    """What an earlier ask with the same key means for this one; None when it is to be decided (again)."""
    if ask.serving and not ask.ranked:
        return Replayed(ask.group_id, "left")  # off every list since its turn was read, or about to be
    seen = fold.keys.get((ask.account_no, ask.key))
    if seen is None and ask.previous is not None:
        seen = (ask.previous.fingerprint, ask.previous.group_id, ask.previous.state)
    if seen is None:
        return None
    fingerprint, group_id, state = seen
    if fingerprint != ask.fingerprint:
        return Refused("key_reused")
    if state == "held":
        return Refused("in_flight")
    if state == "waiting" and ask.serving:
        return None
    if state in ("confirmed", "waiting"):
        return Replayed(group_id, state)
    return None


@dataclass(slots=True)
class _Own:
    """What one ask would take, kept apart until all of it is granted."""

    places: dict[int, list[Place]]
    units: dict[uuid.UUID, int] = field(default_factory=dict)
    households: dict[tuple[int, uuid.UUID, date], int] = field(default_factory=dict)


def _decided(
    ask: Ask, slots: Mapping[uuid.UUID, Slot], holders: Mapping[int, Holder], now: datetime, fold: Fold
) -> Decision:
    own = _Own({no: list(fold.places.get(no, ())) for no in ask.holders})
    full: list[uuid.UUID] = []
    for s, take in enumerate(ask.takes):
        slot = slots.get(take.slot_id)
        if slot is None or slot.service != ask.service:
            return Refused("not_there", slot=s)
        refused = _for_everybody(ask, s, slot, holders, now, fold, own)
        if refused is not None:
            return refused
        units = own.units[slot.id] = own.units.get(slot.id, 0) + take.units * len(ask.holders)
        room = of_room(slot, now, units, channel=ask.channel, serving=slot.id in ask.ranked, fold=fold)
        if room is None:
            continue
        if not ask.waits:
            return Refused(room.code, slot=s, until=room.until)
        if not slot.is_waitable or units > slot.capacity:
            return Refused("not_waitable", slot=s)
        full.append(slot.id)
    if full:
        for slot_id in set(full) - ask.ranked:
            fold.waiting[slot_id] = fold.waiting.get(slot_id, 0) + 1
            fold.waits.update((no, slot_id) for no in ask.holders)
        return Waiting(tuple(full))
    _take(ask, own, fold)
    return Granted()


def _for_everybody(
    ask: Ask, s: int, slot: Slot, holders: Mapping[int, Holder], now: datetime, fold: Fold, own: _Own
) -> Refused | None:
    """Why somebody of the ask cannot have this slot; None when everybody could, and then it counts for the next slot."""
    for p, no in enumerate(ask.holders):
        holder = holders.get(no)
        if holder is None or no not in ask.may or holder.kind in ("closed", "dead"):  # a token is good for minutes
            return Refused("not_yours", person=p)
        home = (holder.household_no, slot.place_id, slot.day) if holder.household_no is not None else None
        household = (fold.households.get(home, 0) + own.households.get(home, 0)) if home else 0
        no_ = eligible(slot, holder, now, guarded=no in ask.guards, household=household, more=own.places[no])
        if no_ is not None:
            return Refused(no_.code, p, s, no_.until, no_.purposes)
        if slot.id not in ask.ranked and (slot.id in holder.waits or (no, slot.id) in fold.waits):
            return Refused("already_waiting", p, s)
        own.places[no].append(
            Place(slot.id, slot.place_id, slot.starts_at, slot.ends_at, slot.day, slot.is_exclusive, slot.is_counted)
        )
        if home and slot.is_counted:
            own.households[home] = own.households.get(home, 0) + 1
    return None


def _take(ask: Ask, own: _Own, fold: Fold) -> None:
    """Count a granted ask for those that come after it."""
    for slot_id, units in own.units.items():
        fold.taken[slot_id] = fold.taken.get(slot_id, 0) + units
        if ask.channel in OFFLINE:
            fold.taken_offline[slot_id] = fold.taken_offline.get(slot_id, 0) + units
    fold.places.update(own.places)
    for home, count in own.households.items():
        fold.households[home] = fold.households.get(home, 0) + count
