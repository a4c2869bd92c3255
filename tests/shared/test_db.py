"""The pool of connections."""

from __future__ import annotations

import asyncio
import gc
import socket
from types import SimpleNamespace
from typing import Any

import asyncpg
import pytest

from shared import db as shared_db
from shared.db import NotCommitted, Tx
from tests.conftest import connected, run
from tests.laws.proxy import in_front_of
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


def test_what_cannot_be_taken_back_over_a_silent_line_is_given_up_without_a_word(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shared_db, "ROLL_BACK_SECONDS", 0.2)
    never_asked: list[dict[str, Any]] = []

    async def whole() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: never_asked.append(context))
        async with in_front_of(database_url) as proxy, connected(proxy.url, pool_size=1) as db:

            async def changes_its_mind(tx: Tx) -> None:
                await backend(tx)
                proxy.delay = 600
                raise LookupError

            with pytest.raises(LookupError):
                await db.run(changes_its_mind)
            proxy.delay = 0
            gc.collect()
            await asyncio.sleep(0)
            assert await db.run(backend)

    run(whole())
    assert never_asked == []


def test_a_connection_that_is_in_no_state_to_begin_is_given_up(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """PostgreSQL has said that it ends this connection, and the end itself is still on its way."""

    async def once(*_: Any, **__: Any) -> Any:
        monkeypatch.undo()
        raise asyncpg.InternalClientError("cannot switch to state 15; another operation (2) is in progress")

    async def whole() -> None:
        async with connected(database_url, pool_size=1) as db:
            monkeypatch.setattr(asyncpg.Connection, "execute", once)
            with pytest.raises(NotCommitted):
                await db.run(backend)
            assert await db.run(backend)

    run(whole())


def test_a_connection_over_a_network_is_kept_alive() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as line:
        transport = SimpleNamespace(get_extra_info=lambda _: line)
        shared_db._keep_alive(SimpleNamespace(_transport=transport))
        assert line.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
        assert line.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == 60
