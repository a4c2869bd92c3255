"""From COMMIT on, failure is unknown: nobody who is booked is ever told that they are not."""

from __future__ import annotations

import asyncio
import os
import random
import uuid
from collections.abc import Sequence

import asyncpg
import pytest

from services.gateway.arbiter.asked import Asked, Outcome
from services.gateway.arbiter.line import Arbiter
from services.gateway.arbiter.rules import Refused
from shared import errors
from shared.db import CommitUnknown, Tx
from tests.conftest import connected, run
from tests.laws.asking import arbiter, ask, bookings, heard, is_granted, is_refused, making, wrong
from tests.laws.proxy import Fault, in_front_of
from tests.town import Resident, Town


def holders_in(town: Town, slot: uuid.UUID) -> set[int]:
    return {row[0] for row in town.all("SELECT holder_no FROM claims WHERE slot_id = %s AND is_active", slot)}


def granted_to(people: Sequence[Resident], told: Sequence[object]) -> set[int]:
    return {who.holder_no for who, one in zip(people, told, strict=True) if is_granted(one)}


def refused_to(people: Sequence[Resident], told: Sequence[object]) -> set[int]:
    return {who.holder_no for who, one in zip(people, told, strict=True) if is_refused(one)}


@pytest.mark.parametrize("fault", [Fault.LOST_ANSWER, Fault.LOST_SENDING])
def test_a_lost_answer_to_commit_is_asked_from_the_ledger(database_url: str, fault: Fault) -> None:
    town = Town(database_url)
    slot = town.slot(capacity=30)
    people = town.residents(40)

    async def rush() -> None:
        async with in_front_of(database_url) as proxy, connected(proxy.url) as db, arbiter(db) as line:
            proxy.faults.append(fault)
            told = await heard(line.submit(ask(who, slot)) for who in people)
            assert proxy.done == [fault]
        booked = holders_in(town, slot)
        if fault is Fault.LOST_ANSWER:  # PostgreSQL has done it: everybody hears what was decided
            assert len(booked) == 30
            assert granted_to(people, told) == booked
            assert len(refused_to(people, told)) == 10
        else:  # it may have been done or not; whichever it was is what is heard
            assert granted_to(people, told) == booked
            assert not refused_to(people, told) & booked
        assert await wrong(database_url) == {}

    run(rush())


def test_a_commit_that_never_arrived_books_nobody_and_the_places_are_free_again(database_url: str) -> None:
    town = Town(database_url)
    slot = town.slot(capacity=30)
    people = town.residents(40)
    keys = [uuid.uuid4().hex for _ in people]

    async def rush() -> None:
        async with in_front_of(database_url) as proxy, connected(proxy.url) as db, arbiter(db) as line:
            proxy.faults.append(Fault.LOST_BEFORE)
            told = await heard(line.submit(ask(who, slot, key=key)) for who, key in zip(people, keys, strict=True))
            assert {type(one) for one in told} == {errors.Unavailable}
            assert {one.retry_after for one in told} == {1}
            assert town.one("SELECT taken FROM slots WHERE id = %s", slot) == 0
            assert holders_in(town, slot) == set()

            again = await heard(line.submit(ask(who, slot, key=key)) for who, key in zip(people, keys, strict=True))
            assert len(granted_to(people, again)) == 30
            assert granted_to(people, again) == holders_in(town, slot)

    run(rush())


def test_while_a_transaction_hangs_between_the_two_its_people_hear_that_it_is_unknown(database_url: str) -> None:
    town = Town(database_url)
    slot, other = town.slot(capacity=30), town.slot(14, capacity=30)
    people = town.residents(12)

    async def rush() -> None:
        async with in_front_of(database_url) as proxy, connected(proxy.url) as db, arbiter(db) as line:
            proxy.faults.append(Fault.HALF_CLOSED)
            told = await heard(line.submit(ask(who, slot)) for who in people)
            assert {type(one) for one in told} == {CommitUnknown}
            assert {(one.status, one.code) for one in told} == {(503, "unknown")}
            # The dead connection's locks hurt its own slot only; when it is gone, nothing was done.
            newcomers = town.residents(5)
            elsewhere = await heard(line.submit(ask(who, other)) for who in newcomers)
            assert all(is_granted(one) for one in elsewhere)
            proxy.bury()
            again = await heard(line.submit(ask(who, slot)) for who in people)
            assert granted_to(people, again) == holders_in(town, slot) == {who.holder_no for who in people}

    run(rush())


@pytest.mark.skipif(not os.environ.get("LINLI_LONG"), reason="takes nine seconds; LINLI_LONG=1 runs it")
def test_a_commit_that_is_never_answered_is_not_waited_for_longer_than_a_caller_waits(database_url: str) -> None:
    town = Town(database_url)
    slot = town.slot(capacity=30)
    people = town.residents(12)

    async def rush() -> None:
        async with in_front_of(database_url) as proxy, connected(proxy.url) as db, arbiter(db) as line:
            proxy.faults.append(Fault.STALLED)
            async with asyncio.timeout(14):
                told = await heard(line.submit(ask(who, slot)) for who in people)
            assert {(one.status, one.code) for one in told} == {(503, "unknown")}

    run(rush())


def test_a_confirmed_reservation_is_never_called_lapsed_because_an_answer_was_lost(database_url: str) -> None:
    town = Town(database_url)
    slot = town.slot(capacity=30)
    people = town.residents(20)

    async def rush() -> None:
        async with (
            in_front_of(database_url) as proxy,
            connected(proxy.url) as db,
            arbiter(db) as line,
            bookings(db) as service,
        ):
            grants = [await line.submit(ask(who, slot)) for who in people]
            proxy.faults.append(Fault.LOST_ANSWER)
            makings = [making(who, outcome) for who, outcome in zip(people, grants, strict=True)]
            told = await heard(service.submit(one) for one in makings)
            assert proxy.done == [Fault.LOST_ANSWER]
            assert told == [one.id for one in makings]
        assert await wrong(database_url) == {}

    run(rush())


def test_under_any_mixture_of_faults_what_people_heard_is_what_the_ledger_says(database_url: str) -> None:
    town = Town(database_url)
    slots = [town.slot(hour, capacity=8) for hour in range(8, 20)]
    people = town.residents(12)
    rng = random.Random(20260330)
    mixture = [Fault.LOST_ANSWER, Fault.LOST_BEFORE, Fault.LOST_SENDING]

    async def rush() -> None:
        async with in_front_of(database_url) as proxy, connected(proxy.url) as db, arbiter(db, batch=5) as line:
            for slot in slots:
                proxy.faults.extend(rng.choice(mixture) for _ in range(rng.randrange(1, 4)))
                told = await heard(line.submit(ask(who, slot)) for who in people)
                proxy.faults.clear()
                booked = holders_in(town, slot)
                assert granted_to(people, told) == booked
                unsure = {
                    who.holder_no for who, one in zip(people, told, strict=True) if isinstance(one, CommitUnknown)
                }
                assert not unsure
                assert len(booked) <= 8
            assert set(proxy.done) == set(mixture)
        assert await wrong(database_url) == {}

    run(rush())


@pytest.mark.parametrize(("delay", "drip"), [(0.002, 0), (0.0, 7)], ids=["slow", "dripping"])
def test_a_slow_database_changes_no_answer(database_url: str, delay: float, drip: int) -> None:
    town = Town(database_url)
    slot = town.slot(capacity=30)
    people = town.residents(40)

    async def rush() -> None:
        async with in_front_of(database_url) as proxy, connected(proxy.url) as db, arbiter(db) as line:
            proxy.delay, proxy.drip = delay, drip
            told = await heard(line.submit(ask(who, slot)) for who in people)
            assert granted_to(people, told) == holders_in(town, slot)
            assert len(granted_to(people, told)) == 30
            assert len(refused_to(people, told)) == 10

    run(rush())


class OneByOne:
    """The runner that everybody writes first: when the batch fails, try each ask alone. It is wrong."""

    def __init__(self, url: str) -> None:
        self._url = url

    async def _transact(self, asked: Sequence[Asked]) -> Sequence[object]:
        connection = await asyncpg.connect(self._url)
        try:
            for name in ("json", "jsonb"):
                await connection.set_type_codec(name, schema="pg_catalog", encoder=str, decoder=lambda _: {})
            await connection.execute("BEGIN")
            answers = await Arbiter()(Tx(connection), asked, skip_locked=False)
            await connection.execute("COMMIT")
            return answers
        finally:
            connection.terminate()

    async def submit_all(self, asked: Sequence[Asked]) -> list[object]:
        try:
            return list(await self._transact(asked))
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
            return [(await self._transact([one._replace(key=uuid.uuid4().hex)]))[0] for one in asked]


def test_control_a_runner_that_tries_again_tells_booked_people_that_they_were_refused(database_url: str) -> None:
    town = Town(database_url)
    slot = town.slot(capacity=30)
    people = town.residents(40)

    async def rush() -> None:
        async with in_front_of(database_url) as proxy:
            proxy.faults.append(Fault.LOST_ANSWER)
            told = await OneByOne(proxy.url).submit_all([ask(who, slot) for who in people])
        wronged = refused_to(people, told) & holders_in(town, slot)
        assert len(wronged) == 30
        codes = {one.decision.code for one in told if isinstance(one, Outcome) and isinstance(one.decision, Refused)}
        assert "already_yours" in codes

    run(rush())
