"""The arbiter's line: a list of asks in, a list of outcomes out, in one transaction.

Line first, then look, then decide, then write. See `shared.line` for the laws it stands on.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta
from types import MappingProxyType
from typing import Any, NamedTuple, cast

from services import SERVICES
from services.gateway.arbiter import permission, rules, sql
from services.gateway.arbiter.rules import Ask, Decision, Granted, Refused, Waiting
from shared import claims, clock
from shared.assertion import Caller
from shared.claims import Subject, Take
from shared.db import Tx
from shared.grants import Grant, GrantedClaim, GrantedSlot
from shared.line import SKIPPED, Answer

_NOBODY: frozenset[int] = frozenset()

BANDED = frozenset(one.name for one in SERVICES if "age_band" in one.facts)
"""Services that may know in which five years of age somebody is."""
BAND_YEARS = 5


class Asked(NamedTuple):
    """One request for places, as the front door understood it.

    `persons` None means the caller, or the committee of the region that is the `holder`.
    """

    service: str
    caller: Caller
    key: str
    fingerprint: bytes
    takes: tuple[Take | Subject, ...]
    persons: tuple[uuid.UUID, ...] | None = None
    channel: str = "app"
    waits: bool = False
    serving: uuid.UUID | None = None
    """The group that comes off the waiting list; None for a newcomer."""
    sealed_body: bytes = b""
    holder: str | None = None


class Outcome(NamedTuple):
    """The decision on one ask, and what goes with it: the grant, or the slot it was refused for."""

    group_id: uuid.UUID
    decision: Decision
    grant: Grant | None = None
    slot_id: uuid.UUID | None = None


@dataclass(slots=True)
class _Looked:
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


def _without_room(rows: Iterable[Any]) -> set[uuid.UUID]:
    """Slots (rows of SLOT, locked) that have no place for a newcomer, whatever else this transaction finds."""
    return {row["id"] for row in rows if row["waiting"] or (row["taken"] >= row["capacity"] and not row["is_due"])}


class Arbiter:
    """The action behind the line: how long a granted place waits for its service, and how well which want to know guardians."""

    def __init__(self, hold_seconds: int = 30, guardians: Mapping[str, int] = MappingProxyType({})) -> None:
        self._hold = timedelta(seconds=hold_seconds)
        self._guardians = guardians

    async def __call__(self, tx: Tx, asked: Sequence[Asked], *, skip_locked: bool) -> list[Answer[Outcome]]:
        """Lock, look, decide, write."""
        persons = await self._numbers(tx, asked)
        committees = await self._committees(tx, asked)
        holders = [self._holders(one, persons, committees) for one in asked]
        takes = await self._takes(tx, asked)
        looked = await self._look(tx, asked, takes, holders, skip_locked=skip_locked)
        asks = await self._asks(tx, asked, takes, holders, looked)
        open_ = [(i, ask) for i, ask in enumerate(asks) if ask is not None]
        decisions = rules.decide([ask for _, ask in open_], looked.slots, looked.holders, looked.households, looked.now)
        answers: list[Answer[Outcome]] = [SKIPPED] * len(asked)
        held_until = looked.now + self._hold
        grants: list[tuple[Ask, Grant]] = []
        waits: list[tuple[Asked, Ask, Waiting]] = []
        for (i, ask), decision in zip(open_, decisions, strict=True):
            grant = None
            if isinstance(decision, Granted):
                grant = self._grant(ask, looked, held_until)
                grants.append((ask, grant))
            elif isinstance(decision, Waiting) and not ask.ranked.issuperset(decision.slots):
                waits.append((asked[i], ask, decision))  # whoever stands there already keeps the rank
            if isinstance(decision, Refused):
                answers[i] = self._refused(asked[i], ask, decision, looked)
            else:
                answers[i] = Outcome(ask.group_id, decision, grant)
        if grants or waits:
            await self._write(tx, looked, grants, waits, held_until)
        elif not looked.lapsed:
            tx.discard()  # refusals leave nothing behind, so nobody needs to wait for the disk
        return answers

    @staticmethod
    def _refused(one: Asked, ask: Ask, decision: Refused, looked: _Looked) -> Outcome:
        slot_id = ask.takes[decision.slot].slot_id if decision.slot is not None else None
        row = looked.rows.get(slot_id) if slot_id is not None else None
        about = slot_id if row is None else row["subject_id"]
        for n, subject in enumerate(take for take in one.takes if isinstance(take, Subject)):
            if subject.subject_id == about and (row is None or subject.beside is not None):
                if decision.code in ("not_there", "cancelled"):
                    return Outcome(ask.group_id, Refused("not_offered", subject=n))
                decision = decision._replace(subject=n if decision.code in ("full", "held") else None)
        return Outcome(ask.group_id, decision, None, slot_id)

    @staticmethod
    async def _takes(tx: Tx, asked: Sequence[Asked]) -> list[tuple[Take, ...]]:
        """What each ask takes, its subjects replaced by their slots; one without any stands for itself, which is no slot."""
        subjects = [(one.service, take) for one in asked for take in one.takes if isinstance(take, Subject)]
        if not subjects:
            return cast("list[tuple[Take, ...]]", [one.takes for one in asked])
        found = await sql.slots_of(tx, subjects)
        takes: list[tuple[Take, ...]] = []
        n = 0
        for one in asked:
            own: list[Take] = []
            for take in one.takes:
                if isinstance(take, Take):
                    own.append(take)
                else:
                    own += [Take(slot_id, take.units) for slot_id in found.get(n, [take.subject_id])]
                    n += 1
            takes.append(tuple(own))
        return takes

    @staticmethod
    async def _committees(tx: Tx, asked: Sequence[Asked]) -> Mapping[str, int]:
        codes = {one.holder for one in asked if one.holder is not None}
        return await sql.organisation_nos(tx, list(codes)) if codes else {}

    async def _numbers(self, tx: Tx, asked: Sequence[Asked]) -> dict[uuid.UUID, int]:
        """Numbers of the persons that are named; callers' own are in their tokens."""
        known = {one.caller.person_id: one.caller.holder_no for one in asked}
        named = {person for one in asked for person in one.persons or () if person not in known}
        numbers = {person: no for person, no in known.items() if person is not None and no is not None}
        if named:
            numbers |= await sql.holder_nos(tx, list(named))
        return numbers

    async def _look(
        self,
        tx: Tx,
        asked: Sequence[Asked],
        takes: Sequence[tuple[Take, ...]],
        holders: Sequence[tuple[int, ...]],
        *,
        skip_locked: bool,
    ) -> _Looked:
        slot_ids = list({take.slot_id for several in takes for take in several})
        rows = {row["id"]: row for row in await sql.locked_slots(tx, slot_ids, skip_locked=skip_locked)}
        missing = [one for one in slot_ids if one not in rows] if skip_locked else []
        blocked = await sql.existing(tx, missing) if missing else set()  # they exist: somebody else has them locked
        known = await sql.limits(tx, (row["policy_id"] for row in rows.values()))
        hoping, others = self._apart(asked, takes, holders, _without_room(rows.values()))
        locked = await sql.locked_holders(tx, list(hoping), skip_locked=skip_locked) if hoping else []
        people = {row["no"]: row for row in (*locked, *(await sql.holders(tx, list(others)) if others else ()))}
        away = {no for no in hoping - people.keys() if no > 0 and skip_locked}  # unknown persons are below zero
        homes, not_had = await self._households(tx, rows, known, people, hoping, skip_locked=skip_locked)
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
        return _Looked(
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

    @staticmethod
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

    @staticmethod
    def _holders(one: Asked, persons: dict[uuid.UUID, int], committees: Mapping[str, int]) -> tuple[int, ...]:
        if one.holder is not None:
            return (committees.get(one.holder, -1),)
        if one.persons is None:
            return () if one.caller.holder_no is None else (one.caller.holder_no,)
        return tuple(persons.get(person, -1 - i) for i, person in enumerate(one.persons))

    @staticmethod
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

    async def _asks(
        self,
        tx: Tx,
        asked: Sequence[Asked],
        takes: Sequence[tuple[Take, ...]],
        several: Sequence[tuple[int, ...]],
        looked: _Looked,
    ) -> list[Ask | None]:
        """The asks as the rules see them; None where a row it needs is locked by somebody else."""
        acting = [one for one in asked if one.persons is not None and one.caller.holder_no is not None]
        relations = await sql.relations(tx, [one.caller.holder_no or 0 for one in acting]) if acting else []
        desk = [one for one in asked if one.channel != "app" or one.holder is not None]
        roles = await sql.roles(tx, [one.caller.account_no or 0 for one in desk]) if desk else []
        serving = [one.serving for one in asked if one.serving is not None]
        ranked = await sql.ranked(tx, serving) if serving else {}
        guarded = await sql.guarded(tx, [no for nos in several for no in nos]) if serving else _NOBODY
        asks: list[Ask | None] = []
        for one, taken, holders in zip(asked, takes, several, strict=True):
            if looked.blocks(taken, holders, one.caller.holder_no):
                asks.append(None)
                continue
            if one.holder is not None:
                may = frozenset(holders) if permission.of_office(one.caller, one.holder, roles) else _NOBODY
                guards = _NOBODY
            elif one.persons is None and one.channel == "app":
                may, guards = frozenset(holders), _NOBODY
            else:
                may, guards = self._allowed(one, taken, holders, relations, roles, looked)
            if one.serving is not None:  # a child keeps the rank that a guardian it has no more got for it
                may, guards = may | guarded.intersection(holders), guards | guarded.intersection(holders)
            asks.append(
                Ask(
                    group_id=one.serving or claims.new_id(),
                    account_no=one.caller.account_no or 0,
                    key=one.key,
                    fingerprint=one.fingerprint,
                    service=one.service,
                    takes=taken,
                    holders=holders,
                    channel=one.channel,
                    waits=one.waits,
                    serving=one.serving is not None,
                    ranked=ranked.get(one.serving, frozenset()) if one.serving else frozenset(),
                    may=may,
                    guards=guards,
                    previous=looked.previous.get((one.caller.account_no or 0, one.key)),
                )
            )
        return asks

    def _allowed(
        self,
        one: Asked,
        takes: tuple[Take, ...],
        holders: tuple[int, ...],
        relations: Sequence[sql.Relation],
        roles: Sequence[Any],
        looked: _Looked,
    ) -> tuple[frozenset[int], frozenset[int]]:
        """Whom the account may act for in this ask, and whom it is a guardian of; the desk stands in for guardians."""
        if one.channel != "app":  # nobody else gets at the places kept for the desk, not even for oneself
            slots = (looked.slots[take.slot_id] for take in takes if take.slot_id in looked.slots)
            everybody = frozenset(holders) if permission.at_desk(one.caller, slots, roles) else _NOBODY
            return everybody, everybody
        own = one.caller.holder_no
        level = self._guardians.get(one.service, 0)
        mine = [r for r in relations if r.actor_no == own and r.reaches(one.service, level)]
        may = {r.holder_no for r in mine} | ({own} if own is not None else set())
        guards = {r.holder_no for r in mine if r.kind == "guardian"}
        return frozenset(may), frozenset(guards)

    @staticmethod
    def _grant(ask: Ask, looked: _Looked, held_until: datetime) -> Grant:
        return Grant(
            ask.group_id,
            held_until,
            tuple(
                GrantedClaim(
                    claims.new_id(),
                    take.slot_id,
                    no,
                    looked.holders[no].id,
                    looked.holders[no].name,
                    take.units,
                    rules.band(looked.holders[no].born, looked.slots[take.slot_id].day, BAND_YEARS)
                    if ask.service in BANDED
                    else None,
                )
                for take in ask.takes
                for no in ask.holders
            ),
            tuple(looked.granted(take.slot_id) for take in ask.takes),
        )

    @staticmethod
    def _holding(ask: Ask, grant: Grant, claim: GrantedClaim, looked: _Looked) -> claims.Holding:
        slot = looked.slots[claim.slot_id]
        return claims.Holding(
            claim.id,
            grant.group_id,
            slot.id,
            claim.holder_no,
            ask.account_no,
            claim.units,
            ask.channel,
            slot.is_exclusive and looked.holders[claim.holder_no].kind == "person",
        )

    async def _write(
        self,
        tx: Tx,
        looked: _Looked,
        grants: Sequence[tuple[Ask, Grant]],
        waits: Sequence[tuple[Asked, Ask, Waiting]],
        held_until: datetime,
    ) -> None:
        if grants:
            await claims.hold(
                tx,
                [self._holding(ask, grant, claim, looked) for ask, grant in grants for claim in grant.claims],
                held_until,
            )
        remembered = [(ask, "granted") for ask, _ in grants if not ask.serving]
        remembered += [(ask, "waiting") for _, ask, _ in waits if not ask.serving]
        if remembered:
            await sql.write_asks(
                tx,
                account_nos=[ask.account_no for ask, _ in remembered],
                keys=[ask.key for ask, _ in remembered],
                group_ids=[ask.group_id for ask, _ in remembered],
                fingerprints=[ask.fingerprint for ask, _ in remembered],
                services=[ask.service for ask, _ in remembered],
                states=[state for _, state in remembered],
            )
        if waits:
            units = {
                (ask.group_id, take.slot_id): take.units * len(ask.holders) for _, ask, _ in waits for take in ask.takes
            }
            await sql.write_waits(
                tx,
                [
                    (
                        slot_id,
                        ask.group_id,
                        ask.account_no,
                        ask.key,
                        list(ask.holders),
                        units[ask.group_id, slot_id],
                        ask.channel,
                        one.sealed_body,
                    )
                    for one, ask, decision in waits
                    for slot_id in decision.slots
                ],
            )
