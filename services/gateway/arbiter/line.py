"""The arbiter's line: a list of asks in, a list of outcomes out, in one transaction.

Line first, then look, then decide, then write. See `shared.line` for the laws it stands on.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any, cast

from services import SERVICES
from services.gateway.arbiter import permission, rules, sql
from services.gateway.arbiter.asked import Asked, Outcome
from services.gateway.arbiter.looked import Looked, look
from services.gateway.arbiter.rules import Ask, Granted, Refused, Waiting
from shared import claims
from shared.claims import Subject, Take
from shared.db import Tx
from shared.grants import Grant, GrantedClaim
from shared.line import SKIPPED, Answer

_NOBODY: frozenset[int] = frozenset()

BANDED = frozenset(one.name for one in SERVICES if "age_band" in one.facts)
"""Services that may know in which five years of age somebody is."""
BAND_YEARS = 5


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
        looked = await look(tx, asked, takes, holders, skip_locked=skip_locked)
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
                grant = None if ask.serving else self._grant(ask, looked, looked.now)
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
    def _refused(one: Asked, ask: Ask, decision: Refused, looked: Looked) -> Outcome:
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
        """What each ask takes, its subjects replaced by their slots, each once; one without any stands for itself, which is no slot."""
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
                    there = {known.slot_id for known in own}
                    others = found.get(n, [take.subject_id])
                    own += [Take(slot_id, take.units) for slot_id in others if slot_id not in there]
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

    @staticmethod
    def _holders(one: Asked, persons: dict[uuid.UUID, int], committees: Mapping[str, int]) -> tuple[int, ...]:
        if one.holder is not None:
            return (committees.get(one.holder, -1),)
        if one.persons is None:
            return () if one.caller.holder_no is None else (one.caller.holder_no,)
        return tuple(persons.get(person, -1 - i) for i, person in enumerate(one.persons))

    async def _asks(
        self,
        tx: Tx,
        asked: Sequence[Asked],
        takes: Sequence[tuple[Take, ...]],
        several: Sequence[tuple[int, ...]],
        looked: Looked,
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
        looked: Looked,
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
    def _grant(ask: Ask, looked: Looked, held_until: datetime) -> Grant:
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
    def _holding(ask: Ask, grant: Grant, claim: GrantedClaim, looked: Looked) -> claims.Holding:
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
        looked: Looked,
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
