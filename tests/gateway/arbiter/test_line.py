"""The arbiter's line on a real database, while somebody else holds what it needs."""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

import asyncpg
import pytest

from services.gateway.arbiter import sql, waiting
from services.gateway.arbiter.asked import Asked, Outcome
from services.gateway.arbiter.line import Arbiter
from services.gateway.arbiter.rules import Granted, Refused, Waiting
from shared import claims, embedded, errors
from shared.assertion import Caller
from shared.claims import Take
from shared.db import Database
from shared.line import Line
from tests.conftest import copy_of
from tests.town import Resident, Town


@pytest.fixture(scope="module")
def town(server: embedded.Embedded, template: str) -> Iterator[Town]:
    with copy_of(server, template) as url:
        yield Town(url)


def asked(who: Resident, *slots: uuid.UUID, key: str = "", units: int = 1, **facts: Any) -> Asked:
    return Asked(
        "booking",
        Caller(who.account_id, who.account_no, who.person_id, who.holder_no, who.name),
        key or uuid.uuid4().hex,
        b"x" * 16,
        tuple(Take(one, units) for one in slots),
        **facts,
    )


class Desk:
    """A line, how long it lets a blocked ask stand, and a connection of somebody who locks things."""

    def __init__(self, town: Town, db: Database, somebody: Any, blocked_seconds: float) -> None:
        self.town = town
        self.db = db
        self.somebody = somebody
        self.line: Line[Asked, Outcome] = Line("arbiter", db, Arbiter(), seconds=60, blocked_seconds=blocked_seconds)

    async def decision(self, ask: Asked) -> Any:
        return (await self.line.submit(ask)).decision

    async def somebody_else_is_served(self) -> None:
        """Everybody who stood in line before has been answered once or sent back."""
        assert await self.decision(asked(*self.town.residents(), self.town.slot(20))) == Granted()


def at_the_desk(town: Town, what: Callable[[Desk], Awaitable[None]], *, blocked_seconds: float = 60) -> None:
    """Run `what` with a desk; afterwards nothing is locked any more."""

    @contextlib.asynccontextmanager
    async def desk() -> AsyncIterator[Desk]:
        db = Database.connect(town.url, pool_size=3)
        somebody = await asyncpg.connect(town.url)
        made = Desk(town, db.of("linli_gateway"), somebody, blocked_seconds)
        try:
            yield made
        finally:
            await somebody.close()
            await made.line.close()
            await db.close()

    async def whole() -> None:
        async with desk() as made:
            await what(made)

    asyncio.run(whole())


def test_a_slot_that_somebody_has_locked_delays_nobody_else(town: Town) -> None:
    locked, free = town.slot(8), town.slot(10)
    people = town.residents(6)

    async def what(desk: Desk) -> None:
        await desk.somebody.execute("BEGIN")
        await desk.somebody.execute("SELECT 1 FROM slots WHERE id = $1 FOR UPDATE", locked)
        stuck = asyncio.ensure_future(desk.line.submit(asked(people[0], locked)))
        others = [asked(one, free) for one in people[1:]]
        assert await asyncio.gather(*map(desk.decision, others)) == [Granted()] * 5
        assert not stuck.done(), "the others did not wait for it"
        with pytest.raises(errors.LineFull):
            await stuck
        await desk.somebody.execute("ROLLBACK")
        assert await desk.decision(asked(people[0], locked)) == Granted()

    at_the_desk(town, what, blocked_seconds=3)
    assert town.one("SELECT taken FROM slots WHERE id = %s", locked) == 1, "who was sent away took nothing"


def test_a_place_asked_for_while_its_slot_is_locked_is_given_as_soon_as_it_is_free(town: Town) -> None:
    slot = town.slot(8)
    (who,) = town.residents()

    async def what(desk: Desk) -> None:
        await desk.somebody.execute("BEGIN")
        await desk.somebody.execute("SELECT 1 FROM slots WHERE id = $1 FOR UPDATE", slot)
        stuck = asyncio.ensure_future(desk.decision(asked(who, slot)))
        await desk.somebody_else_is_served()  # so it has met the lock and stands in line again
        await desk.somebody.execute("ROLLBACK")
        assert await stuck == Granted()

    at_the_desk(town, what)


def test_an_unknown_person_is_refused_also_while_rows_are_skipped(town: Town) -> None:
    """Nobody can lock a person who does not exist, so nobody needs to wait for them."""
    slot, other = town.slot(8), town.slot(10)
    who, another = town.residents(2)

    async def what(desk: Desk) -> None:
        await desk.somebody.execute("BEGIN")
        await desk.somebody.execute("SELECT 1 FROM slots WHERE id = $1 FOR UPDATE", other)
        stuck = asyncio.ensure_future(desk.line.submit(asked(another, other)))
        await desk.somebody_else_is_served()
        stranger = asked(who, slot, persons=(uuid.uuid4(),))
        assert await desk.decision(stranger) == Refused("not_yours", person=0)
        await desk.somebody.execute("ROLLBACK")
        await stuck

    at_the_desk(town, what)


@pytest.mark.parametrize("why", ["full", "held", "somebody waits"])
def test_who_cannot_get_a_place_is_told_so_without_being_locked(town: Town, why: str) -> None:
    """In a rush nearly everybody: nothing is written of them, so nobody's lock keeps the answer back. Where there is room, it does."""
    slot, free = town.slot(8, capacity=2), town.slot(10)
    first, second, waiter, late = town.residents(4)

    async def what(desk: Desk) -> None:
        held = await desk.line.submit(asked(first, slot, units=2 if why == "held" else 1))
        if why == "full":
            assert await desk.decision(asked(second, slot)) == Granted()
            await desk.somebody.execute(
                "UPDATE claims SET state = 'confirmed', held_until = NULL WHERE slot_id = $1", slot
            )
            await desk.somebody.execute("UPDATE slots SET next_lapse = NULL WHERE id = $1", slot)
        elif why == "somebody waits":
            pair = asked(waiter, slot, units=2, waits=True)
            assert (await desk.line.submit(pair)).decision == Waiting((slot,))
        await desk.somebody.execute("BEGIN")
        await desk.somebody.execute("SELECT 1 FROM holders WHERE no = $1 FOR UPDATE", late.holder_no)
        refused = await desk.decision(asked(late, slot))
        assert refused.code == ("held" if why == "held" else "full")
        assert refused.until == (held.grant.held_until if held.grant and why == "held" else None)
        stuck = asyncio.ensure_future(desk.decision(asked(late, free)))
        await desk.somebody_else_is_served()
        assert not stuck.done(), "control: who may get a place is locked first"
        await desk.somebody.execute("ROLLBACK")
        assert await stuck == Granted()

    at_the_desk(town, what)


def test_a_hold_that_is_over_gives_its_place_to_the_next_who_asks(town: Town) -> None:
    slot = town.slot(8, capacity=1)
    first, second = town.residents(2)

    async def what(desk: Desk) -> None:
        assert await desk.decision(asked(first, slot)) == Granted()
        assert (await desk.decision(asked(second, slot))).code == "held", (
            "control: until it is over nobody else gets it"
        )
        over = "held_until = now() - interval '1 second'"
        await desk.somebody.execute(f"UPDATE claims SET {over} WHERE slot_id = $1", slot)
        await desk.somebody.execute("UPDATE slots SET next_lapse = now() - interval '1 second' WHERE id = $1", slot)
        assert await desk.decision(asked(second, slot)) == Granted()

    at_the_desk(town, what)


def test_what_is_changed_while_the_line_waits_for_it_is_read_again(town: Town) -> None:
    """PostgreSQL evaluates both queries again for the changed row, the second wall and its inner queries too."""
    slot = town.slot(8)
    (who,) = town.residents()
    waits = "SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted)"  # of the whole server, which is this process's own

    async def read(desk: Desk) -> tuple[Any, Any]:
        async with desk.db.transaction(lock_timeout_ms=60_000) as tx:
            (one,) = await sql.locked_slots(tx, [slot], skip_locked=False)
            (person,) = await sql.locked_holders(tx, [who.holder_no], skip_locked=False)
            return one, person

    async def what(desk: Desk) -> None:
        for table, key, column in (("slots", slot, "capacity"), ("holders", who.holder_no, "level")):
            await desk.somebody.execute("BEGIN")
            where = f"WHERE {'id' if table == 'slots' else 'no'} = $1"
            await desk.somebody.execute(f"UPDATE {table} SET {column} = 1 {where}", key)
            reading = asyncio.ensure_future(read(desk))
            while not await desk.somebody.fetchval(waits):
                assert not reading.done(), "it waits for the row"
            await desk.somebody.execute("COMMIT")
            one, person = await reading
            assert (one["capacity"], person["level"]) == (1, 1 if table == "holders" else 2)

    at_the_desk(town, what)


@pytest.mark.parametrize("where", ["the same slot", "an overlapping slot"])
def test_a_hold_that_runs_out_while_it_is_being_confirmed_refuses_nobody_with_a_fault(town: Town, where: str) -> None:
    """Its service has it locked at the moment its time is over: who asks next waits for the outcome, and hears it."""
    slot = town.slot(8)
    wanted = slot if where == "the same slot" else town.slot(8.5)
    (who,) = town.residents()

    async def what(desk: Desk) -> None:
        grant = (await desk.line.submit(asked(who, slot))).grant
        assert grant is not None
        old = "UPDATE claims SET held_until = now() - interval '1 second' WHERE id = $1"
        await desk.somebody.execute(old, grant.claims[0].id)
        await desk.somebody.execute("UPDATE slots SET next_lapse = now() - interval '1 second' WHERE id = $1", slot)
        await desk.somebody.execute("BEGIN")  # the confirmation that had begun in time and is not through yet
        await desk.somebody.execute("SELECT 1 FROM claims WHERE id = $1 FOR NO KEY UPDATE", grant.claims[0].id)
        second = asyncio.ensure_future(desk.decision(asked(who, wanted)))
        await desk.somebody_else_is_served()
        await desk.somebody.execute(
            "UPDATE claims SET state = 'confirmed', held_until = NULL, resource_id = group_id WHERE id = $1",
            grant.claims[0].id,
        )
        await desk.somebody.execute("COMMIT")
        assert (await second).code == ("already_yours" if where == "the same slot" else "overlaps")

    at_the_desk(town, what)


def test_somebody_far_down_the_list_gets_the_place_that_nobody_before_them_can_take(town: Town) -> None:
    """More pairs than one round looks at wait for two places each; the one place goes to whoever wants one."""
    slot = town.slot(8, capacity=2)
    people = town.residents(waiting._AT_ONCE + 2)
    first, last = people[0], people[-1]

    async def what(desk: Desk) -> None:
        given = await desk.line.submit(asked(first, slot))
        assert await desk.decision(asked(people[1], slot)) == Granted()
        pairs = [asked(one, slot, key=f"pair-{one.account_no}", units=2, waits=True) for one in people[2:-1]]
        pairs += [asked(one, slot, key=f"pair-{one.account_no}", units=2, waits=True) for one in town.residents(10)]
        await asyncio.gather(*(desk.line.submit(one) for one in pairs))
        single = asked(last, slot, key="single-key", waits=True)
        group = (await desk.line.submit(single)).group_id
        by_key = {one.key: one for one in (*pairs, single)}
        await desk.db.run(claims.release, given.group_id, reason="cancelled")

        async def prepare(row: Any) -> Asked:
            return by_key[row["key"]]._replace(serving=row["group_id"])

        served: list[uuid.UUID] = []

        async def settle(_ask: Asked, outcome: Outcome) -> None:
            served.append(outcome.group_id)

        for _ in range(3):
            await waiting.serve(desk.db, desk.line, prepare, settle)
        assert served == [group]

    at_the_desk(town, what)


def test_policies_are_read_once_and_limits_apply_to_real_claims(town: Town) -> None:
    place, policy = uuid.uuid4(), uuid.uuid4()
    town.place(place, policy, per_day=1)
    one, two = (town.slot(hour, place_id=place, policy_id=policy) for hour in (8, 10))
    (who,) = town.residents()

    async def what(desk: Desk) -> None:
        assert await desk.decision(asked(who, one)) == Granted()
        assert await desk.decision(asked(who, two)) == Refused("limit_reached", 0, 0)
        assert policy in sql.facts._policies

    at_the_desk(town, what)


@pytest.mark.parametrize("whose", ["one's own", "of somebody at home"])
@pytest.mark.parametrize("confirmed", [False, True])
def test_a_hold_that_is_over_counts_for_no_household_unless_it_is_being_confirmed(
    town: Town, whose: str, *, confirmed: bool
) -> None:
    place, policy = uuid.uuid4(), uuid.uuid4()
    town.place(place, policy, household_per_day=1)
    one, two = (town.slot(hour, place_id=place, policy_id=policy) for hour in (8, 10))
    who, mate = town.residents(2, household=True)

    async def what(desk: Desk) -> None:
        grant = (await desk.line.submit(asked(who if whose == "one's own" else mate, one))).grant
        assert grant is not None
        assert await desk.decision(asked(who, two)) == Refused("limit_reached", 0, 0), "control: until it is over"
        claim = grant.claims[0].id
        await desk.somebody.execute("UPDATE claims SET held_until = now() - interval '1 second' WHERE id = $1", claim)
        if not confirmed:
            assert await desk.decision(asked(who, two)) == Granted()
            return
        await desk.somebody.execute("BEGIN")  # the confirmation that had begun in time and is not through yet
        await desk.somebody.execute("SELECT 1 FROM claims WHERE id = $1 FOR NO KEY UPDATE", claim)
        second = asyncio.ensure_future(desk.decision(asked(who, two)))
        for _ in range(2):
            await desk.somebody_else_is_served()
        assert not second.done(), "who asks waits for what becomes of it"
        await desk.somebody.execute(
            "UPDATE claims SET state = 'confirmed', held_until = NULL, resource_id = group_id WHERE id = $1", claim
        )
        await desk.somebody.execute("COMMIT")
        assert await second == Refused("limit_reached", 0, 0)

    at_the_desk(town, what)


def test_a_hold_in_doubt_keeps_nobody_at_home_from_what_it_does_not_count_for(town: Town) -> None:
    place, policy, free, none = (uuid.uuid4() for _ in range(4))
    town.place(place, policy, household_per_day=1)
    town.place(free, none)
    one, full, busy = (town.slot(hour, place_id=place, policy_id=policy, capacity=1) for hour in (8, 10, 12))
    next_day = town.slot(34, place_id=place, policy_id=policy)
    elsewhere = town.slot(14, place_id=free, policy_id=none)
    who, mate = town.residents(2, household=True)
    first, stranger = town.residents(2)

    async def what(desk: Desk) -> None:
        grant = (await desk.line.submit(asked(mate, one))).grant
        assert grant is not None
        assert await desk.decision(asked(first, full)) == Granted()
        claim = grant.claims[0].id
        await desk.somebody.execute("UPDATE claims SET held_until = now() - interval '1 second' WHERE id = $1", claim)
        await desk.somebody.execute("BEGIN")
        await desk.somebody.execute("SELECT 1 FROM claims WHERE id = $1 FOR NO KEY UPDATE", claim)
        told = await asyncio.gather(
            *map(desk.decision, [asked(stranger, busy), asked(who, full), asked(who, next_day), asked(who, elsewhere)])
        )
        assert [one if isinstance(one, Granted) else one.code for one in told] == [
            Granted(),
            "held",
            Granted(),
            Granted(),
        ]

    at_the_desk(town, what)
