"""A town in small, played at random against the real ledger: after every step it agrees with a model of forty lines.

The arbiter's line, the ledger's claims, booking's own actions and the waiting lists are the real ones on a real database.
A hold lapses by moving its time into the past, never by waiting for it.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from services.booking import actions as booking
from services.booking.routes import RESERVATIONS
from services.doctor import ledger
from services.gateway import actions as gateway
from services.gateway import credentials, tasks
from services.gateway.arbiter import waiting
from services.gateway.arbiter.asked import Asked, Outcome
from services.gateway.arbiter.line import Arbiter
from services.gateway.arbiter.rules import Granted, Refused, Replayed, Waiting
from shared import claims, errors
from shared.assertion import Caller, Role
from shared.claims import Take
from shared.collection import actions as collections
from shared.crypto import Keyring
from shared.db import Database, Tx
from shared.grants import Grant
from shared.line import Line
from shared.models import Base
from tests.conftest import copy_of
from tests.town import COMMUNITY, Resident, Town

KEYS = Keyring.fresh()
CHECKS = " UNION ALL ".join(
    f"SELECT $${name}$$ AS broken, found.id::text FROM ({query}) AS found(id)"
    for name, query in ledger.CHECKS.items()
    if name != "no hold outlives its time by more than a minute"
)
"""The doctor's checks of the ledger, all that this town has, in one question; but here holds are made old by hand."""
TAKEN = """
    SELECT s.id, s.taken, s.waiting, s.taken - coalesce(sum(c.units) FILTER (WHERE c.held_until <= now()), 0) AS alive
    FROM slots s LEFT JOIN claims c ON c.slot_id = s.id AND c.is_active GROUP BY s.id
"""


@dataclass(eq=False, repr=False)
class Group:
    """One ask that came to something, as the model knows it."""

    asked: Asked
    group_id: uuid.UUID
    grant: Grant | None = None
    state: str = "held"
    """held, confirmed or gone; what waits is in the slots' lists."""
    has: set[tuple[int, int]] = field(default_factory=set)
    """Places it takes now: (slot, person), both as indexes."""
    wants: tuple[tuple[int, ...], tuple[int, ...]] = ((), ())
    is_unanswered: bool = False

    def _repr_pretty_(self, printer: Any, _cycle: object) -> None:
        printer.text(f"<{self.asked.key} {self.state} has {sorted(self.has)} wants {self.wants}>")


class World:
    """What all examples share: a database, a pool, a line, an event loop."""

    def __init__(self, runner: asyncio.Runner, url: str) -> None:
        self.runner = runner
        self.url = url
        self.town = Town(url)
        self.db = Database.connect(url, pool_size=3)
        self.gateway = self.db.of("linli_gateway")
        self.booking = self.db.of("linli_booking")
        self.line: Line[Asked, Outcome] = Line("arbiter", self.gateway, Arbiter())
        self.reservations: Line[booking.Making, uuid.UUID] = Line(
            "reservations", self.booking, booking.make_reservations
        )
        self.people = self.town.residents(10)
        self.town.relate(self.people[0], self.people[1])
        self.town.relate(self.people[0], self.people[2])
        (self.staff,) = self.town.residents()

    def run(self, coroutine: Any) -> Any:
        return self.runner.run(coroutine)

    async def confirm(self, grant: Grant, account_no: int | None) -> bool:
        """As booking's route does; whether it could."""
        try:
            await self.reservations.submit(booking.Making(grant, account_no or 0, None))
        except errors.HoldLapsed:
            return False
        return True

    async def close(self) -> None:
        await self.line.close()
        await self.reservations.close()
        await self.db.close()


ASKS = st.tuples(
    st.sampled_from([(0,), (2,), (0,), (2,), (3,), (1,), (0, 2), (2, 3)]),
    st.sampled_from([(3,), (4,), (5,), (6,), (7,), (8,), (9,), (0,), (1,), (0, 1), (0, 2)]),
    st.sampled_from([True, True, True, False]),
    st.sampled_from([True, True, False]),
)
"""For which slots, for whom, whether they would rather wait, and whether the service confirms at once."""


class Ledger(RuleBasedStateMachine):
    """Four slots: A and B overlap, C touches A, D is elsewhere in the day. Person 0 is guardian of 1 and 2."""

    world: ClassVar[World]
    HOURS = (10, 10.5, 11, 15)
    ROOM = (1, 2, 1, 2)

    def __init__(self) -> None:
        super().__init__()
        self.run = self.world.run
        self.run(self._empty())
        self.people = self.world.people
        self.slots = [
            self.world.town.slot(hour, capacity=room) for hour, room in zip(self.HOURS, self.ROOM, strict=True)
        ]
        self.capacity = list(self.ROOM)
        self.is_open = [True] * 4
        self.groups: list[Group] = []
        self.lists: list[list[Group]] = [[], [], [], []]
        self.keys = itertools.count()

    async def _empty(self) -> None:
        kept = {"regions", "places", "policies", "holders", "households", "persons", "accounts", "relations", "roles"}
        names = [table.name for table in Base.metadata.sorted_tables if table.name not in kept | {"notice_head"}]
        async with self.world.db.transaction() as tx:
            # DELETE, not TRUNCATE: these tables are nearly empty, and TRUNCATE would write new files for each of them
            for name in reversed(names):
                await tx.execute(f"DELETE FROM {name}")

    # ------------------------------------------------------------ the model

    def _overlap(self, s: int, t: int) -> bool:
        return s != t and abs(self.HOURS[s] - self.HOURS[t]) < 1

    def _places(self, p: int) -> list[int]:
        return [s for group in self.groups for s, q in group.has if q == p]

    def _taken(self, s: int) -> int:
        return sum(t == s for group in self.groups for t, _ in group.has)

    def expected(self, slots: Sequence[int], persons: Sequence[int], *, waits: bool, group: Group | None = None) -> str:
        """What the arbiter must answer: granted, waiting, or the reason why not. `group` comes off its lists."""
        has = {p: self._places(p) for p in persons}
        full = False
        for s in slots:
            for p in persons:
                if not self.is_open[s]:
                    return "closed"
                if s in has[p]:
                    return "already_yours"
                if any(self._overlap(s, t) for t in has[p]):
                    return "overlaps"
                if group not in self.lists[s] and any(p in one.wants[1] for one in self.lists[s]):
                    return "already_waiting"
                has[p].append(s)
            is_newcomer = group is None or group not in self.lists[s]
            if self._taken(s) + len(persons) > self.capacity[s] or (is_newcomer and self.lists[s]):
                if not waits:
                    return "full"
                if len(persons) > self.capacity[s]:
                    return "not_waitable"
                full = True
        return "waiting" if full else "granted"

    def settled(
        self, group: Group, outcome: Outcome, expected: str, slots: Sequence[int], persons: Sequence[int]
    ) -> None:
        """Compare what the arbiter said with what it had to say, and note it."""
        decision = outcome.decision
        if isinstance(decision, Refused):
            said = "full" if decision.code == "held" else decision.code
        else:
            said = {Granted: "granted", Waiting: "waiting", Replayed: "replayed"}[type(decision)]
        assert said == expected
        if isinstance(decision, Granted):
            group.grant, group.state = outcome.grant, "held"
            group.has = set(itertools.product(slots, persons))
        elif isinstance(decision, Waiting):
            for slot_id in decision.slots:
                line = self.lists[self.slots.index(slot_id)]
                if group not in line:
                    line.append(group)

    # ------------------------------------------------------------ what residents do

    def _ask(self, slots: Sequence[int], persons: Sequence[int], *, waits: bool) -> Group | None:
        who = self.people[persons[0]]
        asked = Asked(
            service="booking",
            caller=caller(who),
            key=f"key-{next(self.keys):08}",
            fingerprint=b"x" * 16,
            takes=tuple(Take(self.slots[s]) for s in slots),
            persons=tuple(self.people[p].person_id for p in persons),
            waits=waits,
            sealed_body=b"sealed",
        )
        expected = self.expected(slots, persons, waits=waits)
        outcome = self.run(self.world.line.submit(asked))
        group = Group(asked, outcome.group_id, wants=(tuple(slots), tuple(persons)))
        self.settled(group, outcome, expected, slots, persons)
        if isinstance(outcome.decision, Refused):
            return None
        self.groups.append(group)
        return group

    @rule(several=st.lists(ASKS, min_size=2, max_size=5))
    def residents_ask(self, several: list[tuple[tuple[int, ...], tuple[int, ...], bool, bool]]) -> None:
        for slots, persons, waits, is_confirmed in several:
            group = self._ask(slots, persons, waits=waits)
            if group is not None and group.has and is_confirmed:
                self._confirm(group)

    def _held(self) -> list[Group]:
        return [one for one in self.groups if one.state == "held" and one.has and not one.is_unanswered]

    def _of(self, state: str) -> list[Group]:
        return [one for one in self.groups if one.state == state and one.has]

    @precondition(lambda self: self._held())
    @rule(data=st.data())
    def the_service_confirms(self, data: st.DataObject) -> None:
        self._confirm(data.draw(st.sampled_from(self._held())))

    def _confirm(self, group: Group) -> None:
        assert group.grant is not None
        whole = len(group.has) == len(group.grant.claims)
        is_confirmed = self.run(self.world.confirm(group.grant, group.asked.caller.account_no))
        assert is_confirmed == whole, "a group is confirmed whole or not at all"
        if whole:
            group.state = "confirmed"

    @precondition(lambda self: self._held())
    @rule(data=st.data())
    def the_service_refuses(self, data: st.DataObject) -> None:
        group = data.draw(st.sampled_from(self._held()))
        self.run(self.world.gateway.run(claims.release, group.group_id, reason="refused", only_held=True))
        group.has, group.state = set(), "gone"

    @precondition(lambda self: self._of("held"))
    @rule(data=st.data(), swept=st.booleans())
    def a_hold_lapses(self, data: st.DataObject, *, swept: bool) -> None:
        """Its time is over; either the sweeper frees it, or the next who asks."""
        group = data.draw(st.sampled_from(self._of("held")))
        self.world.town.do(
            "WITH old AS (UPDATE claims SET held_until = now() - interval '1 second' WHERE group_id = %s AND state = 'held' "
            "RETURNING slot_id) UPDATE slots SET next_lapse = now() - interval '1 second' FROM old WHERE id = old.slot_id",
            group.group_id,
        )
        group.has, group.state = set(), "gone"
        if swept:
            self.run(self.world.gateway.run(tasks._lapse_some))
        assert group.grant is not None
        assert not self.run(self.world.confirm(group.grant, group.asked.caller.account_no)), (
            "its service comes too late"
        )

    @precondition(lambda self: self._of("confirmed"))
    @rule(data=st.data())
    def somebody_cancels(self, data: st.DataObject) -> None:
        group = data.draw(st.sampled_from(self._of("confirmed")))
        self._cancel(group, data.draw(st.sampled_from([None, *sorted({p for _, p in group.has})])))

    def _cancel(self, group: Group, person: int | None) -> None:
        found = self.run(self.world.gateway.read(claims.group, group.group_id))
        assert found.resource_id is not None, "the ledger knows which reservation a confirmed group is"
        (facts,) = self.run(self.world.gateway.read(credentials.facts, [group.asked.caller]))
        self.run(
            self.world.booking.run(
                collections.cancel,
                KEYS,
                group.asked.caller._replace(roles=facts.roles, acts_for=facts.acts_for),
                RESERVATIONS,
                found.resource_id,
                person_id=None if person is None else self.people[person].person_id,
                reason="cancelled",
            )
        )
        group.has = {one for one in group.has if person is not None and one[1] != person}

    def _waiting(self) -> list[Group]:
        return list(dict.fromkeys(itertools.chain(*self.lists)))

    @precondition(lambda self: self._waiting())
    @rule(data=st.data())
    def somebody_leaves_a_list(self, data: st.DataObject) -> None:
        group = data.draw(st.sampled_from(self._waiting()))
        self.run(self.world.gateway.run(gateway.leave, group.group_id))
        self._off_the_lists(group)
        group.has, group.state = set(), "gone"

    @precondition(lambda self: self.groups)
    @rule(data=st.data())
    def the_same_request_comes_again(self, data: st.DataObject) -> None:
        group = data.draw(st.sampled_from(self.groups))
        alive = group.has or group in self._waiting() or group.state == "confirmed"
        if not alive:
            return  # it would be decided anew, as `book` does all the time
        decision = self.run(self.world.line.submit(group.asked)).decision
        if group.state == "confirmed":
            assert decision == Replayed(group.group_id, "confirmed")
        elif group.has:
            assert decision == Refused("in_flight")
        else:
            assert decision == Replayed(group.group_id, "waiting")

    # ------------------------------------------------------------ what staff and workers do

    @precondition(
        lambda self: all(self.is_open) and len(self.groups) > 12
    )  # otherwise most of an example is spent closed
    @rule(s=st.sampled_from([0, 1, 2, 3]))
    def staff_close_a_slot(self, s: int) -> None:
        self.run(self.world.booking.run(close, self.slots[s]))
        self.is_open[s] = False
        for group in self.groups:
            group.has = {one for one in group.has if one[0] != s}
            if not group.has and group.state == "held":
                group.state = "gone"

    @precondition(lambda self: sum(self.capacity) < sum(self.ROOM) + 2)
    @rule(s=st.sampled_from([0, 1, 2, 3]))
    def staff_add_a_place(self, s: int) -> None:
        self.capacity[s] += 1
        staff = caller(self.world.staff, Role("manager", COMMUNITY[:9]))
        self.run(self.world.gateway.run(gateway.set_capacity, staff, self.slots[s], self.capacity[s], lambda _: None))

    def _off_the_lists(self, group: Group) -> None:
        for line in self.lists:
            if group in line:
                line.remove(group)

    @precondition(lambda self: self._waiting())
    @rule(
        data=st.data(),
        service=st.sampled_from(["confirms", "confirms", "confirms", "refuses", "is silent"]),
        has_room=st.sampled_from([True, True, True, False]),
    )
    def the_worker_serves_those_who_wait(self, data: st.DataObject, service: str, *, has_room: bool) -> None:
        """Mostly because somebody has just cancelled."""
        wanted = {s for s in range(4) if self.lists[s]}
        leaving = [one for one in self._of("confirmed") if any(s in wanted for s, _ in one.has)]
        if has_room and leaving:
            self._cancel(data.draw(st.sampled_from(leaving)), None)
        if data.draw(st.integers(0, 3)) == 0:  # a newcomer is quicker than the worker
            self._ask([data.draw(st.sampled_from(sorted(wanted)))], [data.draw(st.integers(3, 9))], waits=False)
        self._serve(service)
        if service == "confirms":
            for _ in range(12):  # whoever joined one more list in a round is served in the next
                before = [list(line) for line in self.lists], len(self._of("confirmed"))
                self._serve(service)
                if before == ([list(line) for line in self.lists], len(self._of("confirmed"))):
                    break
            for group in self._waiting():
                if group.state != "held" or not group.has:
                    slots, persons = group.wants
                    assert self.expected(slots, persons, waits=True, group=group) != "granted", (
                        "no place stays empty while somebody waits who could take it"
                    )
            assert not any(self.lists[s] for s in range(4) if not self.is_open[s]), "nobody waits for what is closed"

    def _serve(self, service: str) -> None:
        """One round, and the model's round: whose slots have room (or are closed), in the order of their ranks."""
        told: list[Group] = []

        async def prepare(row: Any) -> Asked:
            group = next(one for one in self.groups if one.group_id == row["group_id"])
            told.append(group)
            return as_served(group)

        async def settle(asked: Asked, outcome: Outcome) -> str | None:
            assert asked.serving == outcome.group_id
            next(one for one in told if one.group_id == outcome.group_id).grant = outcome.grant
            if service == "is silent":
                return "unanswered"
            if service == "refuses":
                await self.world.gateway.run(claims.release, outcome.group_id, reason="refused", only_held=True)
                return "refused"
            assert outcome.grant is not None
            assert await self.world.confirm(outcome.grant, asked.caller.account_no)
            found = await self.world.gateway.read(claims.group, outcome.group_id)
            assert found is not None
            assert found.resource_id is not None, "also after an earlier try that came to nothing"
            return None

        lists = [[group for group in line if sum(group in one for one in self.lists) == 1] for line in self.lists]
        self.run(waiting.serve(self.world.gateway, self.world.line, prepare, settle))
        for line in lists:  # of those who wait on one list only; who waits on several has a rank on each
            assert [group for group in told if group in line] == [group for group in line if group in told]
        self._note_round(told, service)

    def _note_round(self, told: list[Group], service: str) -> None:
        """The arbiter decided everybody in the order in which the worker brought them; the service came after that."""
        leaving = [group for group in told if self._decided_in_turn(group, service)]
        for group in leaving:
            self._off_the_lists(group)
            if group.has and group.state == "held":
                group.state = "confirmed" if service == "confirms" else "gone"
                group.has = group.has if service == "confirms" else set()

    def _decided_in_turn(self, group: Group, service: str) -> bool:
        """What the arbiter makes of a group whose turn has come; whether it leaves its lists."""
        slots, persons = group.wants
        if group.state == "confirmed":
            return True
        if group.state == "held" and group.has:
            return False  # its service is still being asked
        expected = self.expected(slots, persons, waits=True, group=group)
        if expected == "granted":
            group.has = set(itertools.product(slots, persons))
            group.state, group.is_unanswered = "held", service == "is silent"
            return service != "is silent"
        if expected == "waiting":
            for s in slots:
                is_short = self._taken(s) + len(persons) > self.capacity[s]
                if group not in self.lists[s] and (is_short or self.lists[s]):
                    self.lists[s].append(group)
            return False
        return True

    # ------------------------------------------------------------ what is always true

    @invariant()
    def the_ledger_agrees_with_the_model_and_the_doctor_finds_nothing(self) -> None:
        async def look(tx: Tx) -> tuple[list[Any], list[Any], list[Any]]:
            return (
                await tx.fetch(CHECKS),
                await tx.fetch(TAKEN),
                await tx.fetch("SELECT slot_id, array_agg(group_id ORDER BY no) FROM waits GROUP BY slot_id"),
            )

        broken, slots, lists = self.run(self.world.db.read(look))
        assert [tuple(row) for row in broken] == []
        rows = {row["id"]: row for row in slots}
        assert [rows[one]["alive"] for one in self.slots] == [self._taken(s) for s in range(4)]
        assert all(rows[one]["taken"] <= self.capacity[s] for s, one in enumerate(self.slots))
        waits = dict(map(tuple, lists))
        assert [waits.get(one, []) for one in self.slots] == [[group.group_id for group in line] for line in self.lists]

    @invariant()
    def nobody_is_in_two_places(self) -> None:
        for p in range(10):
            for s, t in itertools.combinations(sorted(self._places(p)), 2):
                assert s != t
                assert not self._overlap(s, t)


def caller(who: Resident, *roles: Role) -> Caller:
    return Caller(who.account_id, who.account_no, who.person_id, who.holder_no, who.name, roles=roles)


def as_served(group: Group) -> Asked:
    asked = group.asked
    return Asked(
        asked.service,
        asked.caller,
        asked.key,
        asked.fingerprint,
        asked.takes,
        asked.persons,
        waits=True,
        serving=group.group_id,
        sealed_body=asked.sealed_body,
    )


async def close(tx: Tx, slot_id: uuid.UUID) -> None:
    """As a closure does: nobody can claim it from now on, then everybody's place is given back."""
    await claims.lock_slots(tx, [slot_id])
    await tx.execute("UPDATE slots SET state = 'closed' WHERE id = $1", slot_id)
    rows = await tx.fetch("SELECT id FROM claims WHERE slot_id = $1 AND is_active", slot_id)
    await claims.free(tx, [row[0] for row in rows], state="released", reason="closed")


@pytest.fixture(scope="module")
def world(server: Any, template: str) -> Iterator[World]:
    """One database, one pool and one event loop for all examples."""
    with copy_of(server, template) as url, asyncio.Runner() as runner:
        made = World(runner, url)
        try:
            yield made
        finally:
            runner.run(made.close())


def machine(world: World) -> Callable[[], Ledger]:
    return type("LedgerOfThisRun", (Ledger,), {"world": world})


def test_whatever_residents_staff_and_workers_do_the_ledger_stays_true(world: World) -> None:
    run_state_machine_as_test(
        machine(world),
        settings=settings(
            max_examples=60 if os.environ.get("LINLI_LONG") else 8,
            stateful_step_count=35,
            deadline=None,
            derandomize=True,
            database=None,
            phases=[Phase.generate],  # examples read well as they are; shrinking them on a database takes minutes
            suppress_health_check=list(HealthCheck),
        ),
    )
