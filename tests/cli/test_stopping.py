"""Told to stop, the server waits neither for those who only wait for news nor for a database that is away."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys

import httpx
import psycopg
from starlette.types import Receive, Scope, Send

from services import worker
from services.cli import serving
from services.gateway.app import Gateway
from shared.crypto import Keyring
from shared.db import Database
from shared.settings import Settings


def test_a_signal_ends_what_only_waits_for_news() -> None:
    stopping, begun = asyncio.Event(), asyncio.Event()

    async def news(scope: Scope, _receive: Receive, send: Send) -> None:
        assert scope["type"] == "http"
        begun.set()
        await stopping.wait()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"what there is"})

    async def served() -> httpx.Response:
        with socket.create_server(("127.0.0.1", 0)) as listening:
            address = f"http://127.0.0.1:{listening.getsockname()[1]}"
            server = asyncio.create_task(serving._http(news, listening, lambda: None, stopping))
            async with httpx.AsyncClient(trust_env=False, timeout=60) as client:
                reader = asyncio.create_task(client.get(address))
                await begun.wait()
                os.kill(os.getpid(), signal.SIGTERM)
                await server
                return await reader

    answer = asyncio.run(served())
    assert (answer.status_code, answer.text) == (200, "what there is")


def test_the_worker_stops_while_the_database_lets_nobody_in(
    database_url: str, keys: Keyring, settings: Settings
) -> None:
    name = psycopg.conninfo.conninfo_to_dict(database_url)["dbname"]

    async def worked() -> None:
        db = Database.connect(database_url)
        try:
            async with Gateway(db, keys, settings).running() as gateway, worker.running(gateway, database_url):
                await working(database_url)
                send_everybody_out(database_url, str(name))
        finally:
            await db.close()

    async def working(url: str) -> None:
        async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
            while not await (await connection.execute("SELECT 1 FROM procrastinate_workers")).fetchone():  # noqa: ASYNC110
                await asyncio.sleep(0.05)

    try:
        asyncio.run(asyncio.wait_for(worked(), 60))  # 60 s are the 5 s it allows and a very slow machine
    finally:
        let_in(database_url, str(name), everybody=True)


def send_everybody_out(url: str, name: str) -> None:
    """The database refuses whoever comes, and ends who is there."""
    let_in(url, name, everybody=False)
    with psycopg.connect(url.replace(f"/{name}", "/postgres"), autocommit=True) as connection:
        connection.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", (name,))


def let_in(url: str, name: str, *, everybody: bool) -> None:
    """Whether the database takes connections."""
    with psycopg.connect(url.replace(f"/{name}", "/postgres"), autocommit=True) as connection:
        connection.execute(
            psycopg.sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS {}").format(
                psycopg.sql.Identifier(name), psycopg.sql.Literal(everybody)
            )
        )


LOST = """
import os, signal, weakref
from services.cli import called_off

class Module: pass

called_off.listen()
module = Module()
gone = weakref.ref(module, lambda _: os.kill(os.getpid(), signal.SIGTERM))
del module
print("goes on", flush=True)
called_off.go_on()
print("never here")
"""


def test_a_signal_whose_exception_was_lost_ends_the_start_at_its_next_step() -> None:
    done = subprocess.run([sys.executable, "-c", LOST], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (128 + signal.SIGTERM, "goes on\n"), done.stderr
    assert done.stderr == ""


INTERRUPTED = """
import logging
from services.cli import serving
from shared.settings import Settings

serving._log(Settings())
for raised in (SystemExit(143), KeyboardInterrupt(), OSError("it is gone")):
    try:
        raise raised
    except BaseException:  # as a pool does that is closing a connection, before it raises it again
        logging.getLogger("sqlalchemy.pool.impl.NullPool").exception("Exception closing connection")
"""


def test_a_library_that_was_interrupted_need_not_say_so() -> None:
    done = subprocess.run([sys.executable, "-c", INTERRUPTED], capture_output=True, text=True, timeout=60, check=True)
    assert done.stderr.count("Traceback") == 1
    assert done.stderr.endswith("OSError: it is gone\n")
