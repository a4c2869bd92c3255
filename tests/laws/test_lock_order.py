"""Everyone locks in one order: slots, holders, households, claims by id, own rows. So nobody waits in a circle."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import time
import uuid
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any

import asyncpg
import psycopg

from services.gateway import actions as gateway
from services.gateway import tasks
from services.gateway.arbiter.asked import Outcome
from services.gateway.arbiter.rules import Granted
from shared import claims, errors
from shared.assertion import Caller, Role
from shared.db import Database, Tx
from shared.places import actions as places
from tests.conftest import connected, run
from tests.laws.asking import (
    ArbiterLine,
    BookingLine,
    arbiter,
    ask,
    bookings,
    deadlocks,
    heard,
    making,
    release,
    show,
    somebody_waits_for_a_lock,
    until,
    wrong,
)
from tests.town import COMMUNITY, Resident, Town

SECONDS = 30.0 if os.environ.get("LINLI_LONG") else 4.0
HOLD_SECONDS = 0.3
Cancel = Callable[[Tx, uuid.UUID], Awaitable[object]]


async def cancel(tx: Tx, group_id: uuid.UUID) -> object:
    """As services cancel."""
    return await claims.release(tx, group_id, reason="cancelled")


async def cancel_claims_first(tx: Tx, group_id: uuid.UUID) -> None:
    """As one would write it: the claim, then the slot it was in. It is wrong."""
    rows = await tx.fetch(
        "UPDATE claims SET state = 'released', is_active = false, held_until = NULL, left_at = now() "
        "WHERE group_id = $1 AND is_active RETURNING slot_id, units",
        group_id,
    )
    for row in rows:
        await tx.execute("UPDATE slots SET taken = taken - $2 WHERE id = $1", row["slot_id"], row["units"])


class Load:
    """Few slots, two gateways, and everybody who ever locks anything, all at once."""

    def __init__(self, town: Town, *, seed: int, cancel: Cancel) -> None:
        self._town = town
        self._rng = random.Random(seed)
        self._cancel = cancel
        self._slots = [town.slot(hour, capacity=6) for hour in (9, 11, 13)]
        self._people = town.residents(18)
        self._families = [town.residents(3, household=True) for _ in range(4)]
        for parent, *others in self._families:
            for one in others:
                town.relate(parent, one)
        (manager,) = town.residents(1)
        self._manager = Caller(manager.account_id, manager.account_no, roles=(Role("manager", COMMUNITY),))
        self._groups: list[uuid.UUID] = []
        self._waits: list[uuid.UUID] = []
        self._end = 0.0
        self.counts: Counter[str] = Counter()

    async def run(self, url: str, seconds: float) -> Counter[str]:
        """Everybody at once for so long; how often each of them did what."""
        self._end = time.monotonic() + seconds
        async with (
            connected(url, pool_size=14) as one,
            connected(url, pool_size=14) as two,
            arbiter(one, hold_seconds=HOLD_SECONDS, batch=8) as first,
            arbiter(two, hold_seconds=HOLD_SECONDS, batch=8) as second,
            bookings(one) as here,
            bookings(two) as there,
        ):
            work = [self._ask(first, here, one) for _ in range(6)]
            work += [self._ask(second, there, two) for _ in range(6)]
            work += [self._again("cancelled", self._cancel_some, db) for db in (one, two) for _ in range(3)]
            work += [self._again("swept", self._sweep, db) for db in (one, two)]
            work += [self._again("resized", self._resize, db) for db in (one, two)]
            work += [self._again("left", self._leave, db) for db in (one, two)]
            work += [self._again("closed", self._close, one, pause=0.5)]
            work += [self._again("finished", self._finish, two)]
            await asyncio.gather(*work)
        return self.counts

    async def _again(
        self, what: str, act: Callable[[Database], Awaitable[object]], db: Database, *, pause: float = 0
    ) -> None:
        while time.monotonic() < self._end:
            try:
                if await act(db):
                    self.counts[what] += 1
            except (asyncpg.CheckViolationError, asyncpg.DeadlockDetectedError, errors.Refusal) as error:
                # whoever was chosen to break a circle, the database has counted it
                self.counts[f"{what}: {type(error).__name__}"] += 1
            await asyncio.sleep(pause)

    async def _ask(self, line: ArbiterLine, service: BookingLine, db: Database) -> None:
        while time.monotonic() < self._end:
            if self._rng.random() < 0.4:
                family = self._rng.choice(self._families)
                who, persons = family[0], self._rng.sample(family, self._rng.randrange(1, 4))
            else:
                who, persons = self._rng.choice(self._people), None
            wanted = self._rng.sample(self._slots, self._rng.choice((1, 1, 2, 3)))
            key = uuid.uuid4().hex
            waits = self._rng.random() < 0.1
            try:
                outcome = await line.submit(
                    ask(who, *wanted, key=key, family=persons, waits=waits, sealed_body=b"body" if waits else b"")
                )
            except (errors.Unavailable, asyncpg.CheckViolationError) as error:
                self.counts[f"asked: {type(error).__name__}"] += 1
                continue
            self.counts[type(outcome.decision).__name__] += 1
            if outcome.grant is None:
                if type(outcome.decision).__name__ == "Waiting":
                    self._waits.append(outcome.group_id)
                continue
            await self._granted(outcome, who, service, db)

    async def _granted(self, outcome: Outcome, who: Resident, service: BookingLine, db: Database) -> None:
        chance = self._rng.random()
        if chance < 0.25:  # forgotten: it lapses, perhaps while it is confirmed
            if chance < 0.1:
                await asyncio.sleep(HOLD_SECONDS)  # the service is slow, so that its confirm meets the sweeper
                (told,) = await heard([service.submit(making(who, outcome))])
                self.counts[f"late confirm: {type(told).__name__}"] += 1
            return
        if chance < 0.35:
            with contextlib.suppress(errors.Unavailable):
                await release(db, outcome.group_id, only_held=True)
            return
        self._groups.append(outcome.group_id)
        (told,) = await heard([service.submit(making(who, outcome))])
        self.counts[f"confirm: {type(told).__name__}"] += 1

    async def _cancel_some(self, db: Database) -> bool:
        if not self._groups:
            return False
        group_id = self._rng.choice(self._groups[-12:])
        if self._rng.random() < 0.5:  # else somebody may cancel it again
            with contextlib.suppress(ValueError):
                self._groups.remove(group_id)
        await db.of("linli_booking").run(self._cancel, group_id)
        return True

    async def _sweep(self, db: Database) -> bool:
        _, freed = await db.of("linli_gateway").run(tasks._lapse_some)
        return freed > 0

    async def _resize(self, db: Database) -> bool:
        capacity = self._rng.randrange(4, 9)
        slot = self._rng.choice(self._slots)
        await db.of("linli_gateway").run(gateway.set_capacity, self._manager, slot, capacity, lambda _: None)
        return True

    async def _leave(self, db: Database) -> bool:
        if not self._waits:
            return False
        group_id = self._waits.pop(self._rng.randrange(len(self._waits)))
        await db.of("linli_gateway").run(gateway.leave, group_id)
        return True

    async def _close(self, db: Database) -> bool:
        """Close the place for the morning or the whole day, and open its slots again."""
        place = self._town.place_id
        starts_at, ends_at = self._town.all(
            "SELECT min(starts_at), CASE WHEN random() < 0.5 THEN max(ends_at) ELSE min(ends_at) END FROM slots"
        )[0]
        booking = db.of("linli_booking")
        await places.close_place(booking, self._manager, "booking", place, starts_at, ends_at, "水管维修")
        async with booking.transaction() as tx:
            await claims.lock_slots(tx, self._slots)
            await tx.execute("UPDATE slots SET state = 'open' WHERE id = ANY($1::uuid[])", self._slots)
        return True

    async def _finish(self, db: Database) -> bool:
        return await places.finish_closures(db.of("linli_booking"), "booking") > 0


def a_town(url: str) -> Town:
    """A circle of waiting sessions is found at once, not after a second in which a lock timeout may hide it."""
    town = Town(url)
    town.do(
        "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET deadlock_timeout = ''20ms''', current_database()); END $$"
    )
    return town


def test_everybody_at_once_and_nobody_waits_in_a_circle(database_url: str) -> None:
    town = a_town(database_url)

    async def rush() -> None:
        before = await deadlocks(database_url)
        counts = await Load(town, seed=7, cancel=cancel).run(database_url, SECONDS)
        show("a second", {key: round(count / SECONDS, 1) for key, count in sorted(counts.items())})
        assert await deadlocks(database_url) == before
        for what in ("Granted", "Refused", "confirm: UUID", "cancelled", "resized", "closed"):
            assert counts[what] > 0, (what, counts)

        async def all_lapsed() -> bool:
            async with connected(database_url, role="linli_gateway") as db:
                await db.run(tasks._lapse_some)
            holds = town.one("SELECT count(*) FROM claims WHERE state = 'held'")
            return holds + town.one("SELECT count(*) FROM slots WHERE next_lapse < now()") == 0

        await until(all_lapsed)
        assert await wrong(database_url) == {}
        assert town.one("SELECT count(*) FROM slots WHERE taken > capacity") == 0

    run(rush())


def test_control_a_cancel_that_locks_the_claim_before_its_slot_does(database_url: str) -> None:
    town = a_town(database_url)

    async def rush() -> None:
        load = Load(town, seed=7, cancel=cancel_claims_first)
        before = circles = await deadlocks(database_url)
        for _ in range(5):  # the first round finds dozens; the others are for a machine that stood still
            await load.run(database_url, 2)
            circles = await deadlocks(database_url) - before
            if circles:
                break
        show("deadlocks", circles)
        assert circles > 0

    run(rush())


def test_who_leaves_a_list_while_being_served_locks_all_slots_in_the_one_order(database_url: str) -> None:
    """An ask for two slots waits for the later one only; while it is served, it holds both."""
    town = a_town(database_url)
    free, full = town.slot(9, capacity=1), town.slot(11, capacity=1)
    who, rival = town.residents(2)
    wish = ask(who, free, full, key="one-key-only", waits=True, sealed_body=b"body")

    async def left() -> None:
        before = await deadlocks(database_url)
        async with connected(database_url) as db, arbiter(db) as line:
            theirs = await line.submit(ask(rival, full))
            waiting = await line.submit(wish)
            await release(db, theirs.group_id)
            served = await line.submit(wish._replace(serving=waiting.group_id))
            assert isinstance(served.decision, Granted)
            async with await psycopg.AsyncConnection.connect(database_url) as other:
                await other.execute("SELECT FROM slots WHERE id = %s FOR NO KEY UPDATE", [free])
                leaving = asyncio.ensure_future(db.of("linli_gateway").run(gateway.leave, waiting.group_id))
                async with await psycopg.AsyncConnection.connect(database_url, autocommit=True) as watcher:
                    await until(lambda: somebody_waits_for_a_lock(watcher))
                await other.execute("SELECT FROM slots WHERE id = %s FOR NO KEY UPDATE", [full])
                await other.rollback()
                await leaving
        assert await deadlocks(database_url) == before
        assert town.one("SELECT sum(taken + waiting) FROM slots") == 0
        assert await wrong(database_url) == {}

    run(left())


def test_a_hold_is_either_confirmed_or_lapsed_never_both_and_never_neither(database_url: str) -> None:
    """Confirms at the very moment the sweeper comes, many times: one of them wins each claim."""
    town = Town(database_url)
    slot = town.slot(capacity=200)
    people = town.residents(120)

    async def raced() -> None:
        async with connected(database_url, pool_size=10) as db, bookings(db, batch=4) as service:
            async with arbiter(db) as line:
                grants = await heard(line.submit(ask(who, slot)) for who in people)
            assert all(isinstance(one.decision, Granted) for one in grants)
            # Each hold ends a little later than the one before, from now on; confirms and sweepers come all that time.
            town.do(
                "UPDATE claims c SET held_until = clock_timestamp() + (n * interval '2 ms') "
                "FROM (SELECT id, row_number() OVER (ORDER BY id) n FROM claims) x WHERE x.id = c.id"
            )
            town.do("UPDATE slots SET next_lapse = now() WHERE id = %s", slot)
            over = asyncio.Event()

            async def sweep() -> None:
                while not over.is_set():
                    await db.of("linli_gateway").run(tasks._lapse_some)
                    town_next = await db.read(_next_lapse, slot)
                    if town_next is None:
                        return

            sweepers = [asyncio.create_task(sweep()) for _ in range(2)]
            told: list[Any] = []
            for n in reversed(range(0, len(people), 4)):
                told += await heard(
                    service.submit(making(who, one))
                    for who, one in zip(people[n : n + 4], grants[n : n + 4], strict=True)
                )
            await asyncio.gather(*sweepers)
            over.set()
        confirmed = sum(isinstance(one, uuid.UUID) for one in told)
        assert all(isinstance(one, uuid.UUID | errors.HoldLapsed) for one in told)
        states = dict(town.all("SELECT state, count(*) FROM claims GROUP BY state"))
        assert states == {k: v for k, v in {"confirmed": confirmed, "lapsed": len(people) - confirmed}.items() if v}
        assert town.one("SELECT taken FROM slots WHERE id = %s", slot) == confirmed
        assert await wrong(database_url) == {}

    run(raced())


async def _next_lapse(tx: Tx, slot: uuid.UUID) -> object:
    return await tx.value("SELECT next_lapse FROM slots WHERE id = $1", slot)
