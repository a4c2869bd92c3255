"""The pool of connections."""

from __future__ import annotations

import asyncio

from shared.db import Tx
from tests.conftest import connected, run
from tests.town import Town


async def backend(tx: Tx) -> int:
    number: int = await tx.value("SELECT pg_backend_pid()")
    return number


def test_connections_that_ended_while_they_lay_idle_are_replaced_and_nobody_hears_of_it(database_url: str) -> None:
    """The database was started anew, or somebody between here and there has closed what was quiet."""
    town = Town(database_url)

    async def whole() -> None:
        async with connected(database_url, pool_size=5) as db:
            met = asyncio.Barrier(5)
            ended = asyncio.Semaphore(0)

            async def together(tx: Tx) -> int:
                tx.connection.add_termination_listener(lambda _: ended.release())
                await met.wait()
                return await backend(tx)

            old = set(await asyncio.gather(*(db.run(together) for _ in range(5))))
            assert len(old) == 5
            town.do("SELECT pg_terminate_backend(no) FROM unnest(%s::int[]) no", list(old))
            for _ in old:
                await ended.acquire()
            met = asyncio.Barrier(5)
            new = set(await asyncio.gather(*(db.run(together) for _ in range(5))))
            assert len(new) == 5
            assert not new & old

    run(whole())


def test_calls_one_after_another_use_the_same_connection(database_url: str) -> None:
    """So its plans are made once, and the connections that a rush opened stay small."""

    async def whole() -> None:
        async with connected(database_url, pool_size=5) as db:
            await asyncio.gather(*(db.run(backend) for _ in range(5)))
            assert len({await db.run(backend) for _ in range(10)}) == 1

    run(whole())
