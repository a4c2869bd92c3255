"""The facts that decide a list of asks: locked where they may change, and read in as few questions as they need."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, time
from typing import Any

from services.gateway.arbiter import rules, sql
from services.gateway.arbiter.asked import Asked
from shared import claims, clock
from shared.claims import Take
from shared.db import Tx
from shared.grants import GrantedSlot


@dataclass(slots=True)
class Looked:
    """The facts of one list of asks."""

    now: datetime
    rows: dict[uuid.UUID, Any]
    slots: dict[uuid.UUID, rules.Slot]
    holders: dict[int, rules.Holder]
    households: dict[tuple[int, uuid.UUID, Any], int]
    previous: dict[tuple[int, str], rules.Previous]
    blocked_slots: set[uuid.UUID]
    blocked_holders: set[int]
    blocked_homes: set[tuple[int, uuid.UUID, Any]]
    """Holders of whose households it is not known yet what they have at a place on a day."""
    lapsed: int
    _granted: dict[uuid.UUID, GrantedSlot] = field(default_factory=dict)

    def blocks(self, taken: tuple[Take, ...], holders: tuple[int, ...], own: int | None) -> bool:
        """Whether an ask needs a row that somebody else has locked."""
        if not (self.blocked_slots or self.blocked_holders or self.blocked_homes):
            return False
        rows = [self.rows.get(take.slot_id) for take in taken]
        return (
            any(take.slot_id in self.blocked_slots for take in taken)
            or any(no in self.blocked_holders for no in (*holders, own))
            or any((no, row["place_id"], row["day"]) in self.blocked_homes for row in rows if row for no in holders)
        )

    def granted(self, slot_id: uuid.UUID) -> GrantedSlot:
        """A slot as grants name it, made once for all of them."""
        return self._granted.get(slot_id) or self._granted.setdefault(slot_id, sql.granted_slot(self.rows[slot_id]))


async def look(
    tx: Tx,
    asked: Sequence[Asked],
    takes: Sequence[tuple[Take, ...]],
    holders: Sequence[tuple[int, ...]],
    *,
    skip_locked: bool,
) -> Looked:
    """Lock what a list of asks may change, free what is over, and read what decides; `takes` and `holders` are one an ask."""
    slot_ids = list({take.slot_id for several in takes for take in several})
    rows = {row["id"]: row for row in await sql.locked_slots(tx, slot_ids, skip_locked=skip_locked)}
    missing = [one for one in slot_ids if one not in rows] if skip_locked else []
    blocked = await sql.existing(tx, missing) if missing else set()  # they exist: somebody else has them locked
    known = await sql.limits(tx, (row["policy_id"] for row in rows.values()))
    hoping, others = _apart(asked, takes, holders, _without_room(rows.values()))
    locked = await sql.locked_holders(tx, list(hoping), skip_locked=skip_locked) if hoping else []
    people = {row["no"]: row for row in (*locked, *(await sql.holders(tx, list(others)) if others else ()))}
    away = {no for no in hoping - people.keys() if no > 0 and skip_locked}  # unknown persons are below zero
    homes, not_had = await _households(tx, rows, known, people, hoping, skip_locked=skip_locked)
    away |= {no for no in hoping & people.keys() if people[no]["household_no"] in not_had}

    # The database's clock, read after the slots were locked: what waited is judged when it is its turn.
    now = max((row["now"] for row in people.values()), default=None) or datetime.now(UTC)
    lapsed = 0
    due = [one for one, row in rows.items() if row["is_due"]]
    if due:
        lapsed += len(await claims.lapse(tx, due))
        rows |= {row["id"]: row for row in await sql.slots(tx, due)}

    full = [one for one, row in rows.items() if row["next_lapse"] is not None and row["taken"] >= row["capacity"]]
    keys = [(one.caller.account_no or 0, one.key) for one in asked]
    wanted = sql.wanted(takes, holders, rows, known, now)
    standing = await sql.standing(tx, wanted, now, keys, full)
    over = standing.over
    unknown: set[tuple[int, uuid.UUID, Any]] = set()
    counts: dict[tuple[int, uuid.UUID, Any], int] = {}
    if homes:
        since = clock.at(min(row["day"] for row in rows.values()), time.min)
        places = list({row["place_id"] for row in rows.values() if known[row["policy_id"]].household_per_day})
        counts, of_homes = await sql.household_counts(tx, list(homes), places, since, now)
        over = over + of_homes
    if over:
        freed, kept = await sql.lapse_elsewhere(tx, over)
        lapsed += freed
        away |= {one.holder_no for one in kept if one.home is None}
        unknown = {one.home for one in kept if one.home is not None}
    crowded = [row["id"] for row in rows.values() if row["waiting"]]
    waits = await sql.waits_of(tx, list(people), crowded) if crowded else {}
    consents = await sql.consents(tx, rows.values(), people.values())
    return Looked(
        now=now,
        rows=rows,
        slots={one: sql.slot(row, known, standing.held_until.get(one)) for one, row in rows.items()},
        holders={
            no: sql.holder(
                row, standing.places.get(no, ()), frozenset(waits.get(no, ())), consents.get(row["id"], frozenset())
            )
            for no, row in people.items()
        },
        households=counts,
        previous=standing.previous,
        blocked_slots=blocked,
        blocked_holders=away,
        blocked_homes={
            (no, place_id, day)
            for home, place_id, day in unknown
            for no in hoping & people.keys()
            if people[no]["household_no"] == home
        },
        lapsed=lapsed,
    )


def _without_room(rows: Iterable[Any]) -> set[uuid.UUID]:
    """Slots (rows of SLOT, locked) that have no place for a newcomer, whatever else this transaction finds."""
    return {row["id"] for row in rows if row["waiting"] or (row["taken"] >= row["capacity"] and not row["is_due"])}


def _apart(
    asked: Sequence[Asked],
    takes: Sequence[tuple[Take, ...]],
    several: Sequence[tuple[int, ...]],
    without_room: set[uuid.UUID],
) -> tuple[set[int], set[int]]:
    """Numbers of those who may get a place, to be locked; and of those who cannot: in a rush, nearly everybody.

    To be told why, one need not be locked.
    """
    hoping: set[int] = set()
    everybody: set[int] = set()
    for one, taken, holders in zip(asked, takes, several, strict=True):
        own = one.caller.holder_no
        nos = holders if own is None else (*holders, own)
        everybody.update(nos)
        if one.waits or one.serving or not any(take.slot_id in without_room for take in taken):
            hoping.update(nos)
    return hoping, everybody - hoping


async def _households(
    tx: Tx, rows: dict[uuid.UUID, Any], known: Any, people: dict[int, Any], hoping: set[int], *, skip_locked: bool
) -> tuple[set[int], set[int]]:
    """Households whose limits matter here; and of those who hope, which were not had."""
    if not any(known[row["policy_id"]].household_per_day is not None for row in rows.values()):
        return set(), set()
    homes = {no: row["household_no"] for no, row in people.items() if row["household_no"] is not None}
    wanted = {home for no, home in homes.items() if no in hoping}
    had = await sql.locked_households(tx, list(wanted), skip_locked=skip_locked) if wanted else set()
    return set(homes.values()), wanted - had
