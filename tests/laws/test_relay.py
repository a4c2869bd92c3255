"""Notices are read by position: gap-free, each exactly once, in order, however their writers commit."""

from __future__ import annotations

import asyncio
import random
import uuid
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from shared import notices
from shared.db import Database, Tx
from shared.notices import Notice
from tests.conftest import connected, run
from tests.town import COMMUNITY, Town

WRITERS = 8
ROUNDS = 40


class GoneWrong(Exception):
    """A writer changes its mind; what it announced never happened."""


class Interleaved:
    """Writers who hold their transactions open until somebody who began later has committed."""

    def __init__(self, db: Database, seed: int) -> None:
        self._db = db
        self._rng = random.Random(seed)
        self._commits = 0
        self._committed = asyncio.Condition()
        self._writing = 0
        self.facts: list[tuple[uuid.UUID, int]] = []

    async def write(self) -> None:
        """One writer with two subjects of its own, whose facts are numbered."""
        subjects = {uuid.uuid4(): 0, uuid.uuid4(): 0}
        self._writing += 1
        for _ in range(ROUNDS):
            subject = self._rng.choice(list(subjects))
            numbers = range(subjects[subject], subjects[subject] + self._rng.randrange(1, 4))
            goes_wrong = self._rng.random() < 0.1
            try:
                await self._db.run(self._announce, subject, numbers, goes_wrong=goes_wrong)
            except GoneWrong:
                continue
            subjects[subject] = numbers.stop
            self.facts += [(subject, number) for number in numbers]
            async with self._committed:
                self._commits += 1
                self._committed.notify_all()
        self._writing -= 1
        async with self._committed:
            self._committed.notify_all()

    async def _announce(self, tx: Tx, subject: uuid.UUID, numbers: range, *, goes_wrong: bool) -> None:
        await notices.announce(
            tx, [Notice("test.fact.came", COMMUNITY, subject, (), {"number": number}) for number in numbers]
        )
        if goes_wrong:
            raise GoneWrong
        if self._rng.random() < 0.4:
            seen = self._commits
            async with self._committed:
                try:
                    async with asyncio.timeout(0.05):  # two who wait for each other go on
                        await self._committed.wait_for(lambda: self._commits > seen or self._writing < 2)
                except TimeoutError:
                    pass


async def by_position(tx: Tx, cursor: int) -> list[Any]:
    return await tx.fetch(
        "SELECT position, subject, (data->>'number')::int FROM notices WHERE position > $1 ORDER BY position LIMIT 25",
        cursor,
    )


async def by_number(tx: Tx, cursor: int) -> list[Any]:
    return await tx.fetch(
        "SELECT no, subject, (data->>'number')::int FROM notices WHERE no > $1 ORDER BY no LIMIT 25", cursor
    )


@pytest.mark.parametrize("seed", [1, 2])
def test_a_reader_by_position_sees_every_committed_notice_exactly_once_and_in_order(
    database_url: str, seed: int
) -> None:
    Town(database_url)

    async def told() -> None:
        async with connected(database_url, role="linli_gateway", pool_size=16) as db:
            town = Interleaved(db, seed)
            over = asyncio.Event()
            read: list[tuple[int, uuid.UUID, int]] = []

            async def relay() -> None:
                while not over.is_set():
                    await db.run(notices.stamp, most=7)

            async def reader() -> None:
                cursor = 0
                while True:
                    ended = over.is_set()
                    rows = [tuple(row) for row in await db.read(by_position, cursor)]
                    read.extend(rows)
                    cursor = rows[-1][0] if rows else cursor
                    if ended and not rows:
                        return

            relays = [asyncio.create_task(relay()) for _ in range(2)]
            reading = asyncio.create_task(reader())
            await asyncio.gather(*(town.write() for _ in range(WRITERS)))
            while await db.run(notices.stamp) or await db.read(_unstamped):
                pass
            over.set()
            await asyncio.gather(*relays, reading)

            assert len(town.facts) > 400
            assert [position for position, _, _ in read] == list(range(1, len(town.facts) + 1))
            assert sorted(row[1:] for row in read) == sorted(town.facts)
            following: dict[uuid.UUID, int] = {}
            for _, subject, number in read:
                assert number == following.get(subject, 0)
                following[subject] = number + 1

    run(told())


async def _unstamped(tx: Tx) -> int:
    count: int = await tx.value("SELECT count(*) FROM notices WHERE position IS NULL")
    return count


Reader = Callable[[Tx, int], Awaitable[list[Any]]]


async def _read_across_an_open_transaction(url: str, question: Reader) -> tuple[list[str], list[str]]:
    """An early writer holds its transaction open; a later one commits; somebody reads; the early one commits."""
    early, late = uuid.uuid4(), uuid.uuid4()
    names = {early: "early", late: "late"}

    async def fact(tx: Tx, subject: uuid.UUID) -> None:
        await notices.announce(tx, [Notice("test.fact.came", COMMUNITY, subject, (), {"number": 0})])

    async with connected(url, role="linli_gateway") as db:
        read: list[Any] = []

        async def poll() -> None:
            await db.run(notices.stamp)
            read.extend(await db.read(question, read[-1][0] if read else 0))

        async with db.transaction() as tx:
            await fact(tx, early)
            await db.run(fact, late)
            await poll()
            seen = [names[row[1]] for row in read]
        await poll()
    return seen, [names[row[1]] for row in read]


def test_an_open_transaction_holds_nobody_up_and_is_read_when_it_is_committed(database_url: str) -> None:
    assert run(_read_across_an_open_transaction(database_url, by_position)) == (["late"], ["late", "early"])


def test_control_a_reader_by_number_loses_what_was_committed_late(database_url: str) -> None:
    assert run(_read_across_an_open_transaction(database_url, by_number)) == (["late"], ["late"])


def test_two_relays_never_stamp_at_once_and_the_second_does_not_wait(database_url: str) -> None:
    async def stamped() -> None:
        async with connected(database_url, role="linli_gateway") as db:
            await db.run(
                notices.announce,
                [Notice("test.fact.came", COMMUNITY, uuid.uuid4(), (), {"number": n}) for n in range(10)],
            )
            async with db.transaction() as tx:
                assert await notices.stamp(tx) == 10
                async with asyncio.timeout(2):
                    assert await db.run(notices.stamp) == 0
            assert [row[0] for row in await db.read(by_position, 0)] == list(range(1, 11))

    run(stamped())
