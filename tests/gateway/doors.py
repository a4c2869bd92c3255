"""Real doors for tests: an ASGI app on a port of its own with an event loop of its own, and a plain client for crowds."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import orjson
import structlog
import uvicorn
from starlette.types import ASGIApp

from services import service
from services.gateway.app import Gateway
from shared.crypto import Keyring
from shared.db import Database
from shared.settings import Settings
from shared.web import Context
from tests import overheard
from tests.town import Resident

RESERVATIONS = "/v1/booking/reservations"

# A fault of ours is logged as a plain traceback: the coloured one with everybody's variables takes seconds, and a service
# that shares this process's interpreter would look slow meanwhile.
structlog.configure(
    processors=[structlog.dev.ConsoleRenderer(colors=False, exception_formatter=structlog.dev.plain_traceback)]
)


@contextlib.contextmanager
def door(
    url: str, make: Callable[[Database], ASGIApp], *, pool_size: int = 6, listener: socket.socket | None = None
) -> Iterator[str]:
    """`make`'s app behind uvicorn in a thread; its address, when it has started."""
    listener = listener or socket.create_server(("127.0.0.1", 0), backlog=256)
    address = f"http://127.0.0.1:{listener.getsockname()[1]}"
    servers: list[uvicorn.Server] = []

    async def serve() -> None:
        db = Database.connect(url, pool_size=pool_size)
        config = uvicorn.Config(
            make(db), lifespan="on", ws="none", log_config=None, access_log=False, timeout_graceful_shutdown=1
        )
        servers.append(uvicorn.Server(config))
        try:
            await servers[0].serve(sockets=[listener])
        finally:
            await db.close()

    thread = threading.Thread(target=lambda: asyncio.run(serve()), name=address)
    thread.start()
    try:
        # One door after the other: what FastAPI and Pydantic make of routes at the start is not made for two threads at once.
        while not any(server.started for server in servers):
            assert thread.is_alive(), "the door did not open"
            thread.join(0.01)
        yield address
    finally:
        for server in servers:
            server.should_exit = True
        thread.join(10)
        listener.close()
        assert not thread.is_alive(), "the door did not close"


def gateway(url: str, keys: Keyring, settings: Settings) -> contextlib.AbstractContextManager[str]:
    """A whole gateway on a port."""
    return door(url, lambda db: Gateway(db, keys, settings))


def service_alone(name: str, url: str, keys: Keyring, settings: Settings) -> contextlib.AbstractContextManager[str]:
    """One service on a port, as it runs in a container of its own."""
    one = service(name)
    return door(url, lambda db: one.make(Context(db.of(one.role), keys, settings)))


def demo(folder: Path, **told: Any) -> Settings:
    """Settings of a small demo deployment."""
    return Settings(data_dir=folder, demo=True, pool_size=6, **told)


class Said(NamedTuple):
    """An answer."""

    status: int
    headers: Mapping[str, str]
    body: Any

    @property
    def code(self) -> str | None:
        return self.body.get("code")


class Ask(NamedTuple):
    """One claim that somebody wants to make."""

    who: Resident
    body: dict[str, Any]
    key: str
    door: int = 0


def wants(who: Resident, *slots: uuid.UUID, key: str | None = None, door: int = 0, **body: Any) -> Ask:
    """`who` asks for these slots."""
    named = {"slot_id": str(slots[0])} if len(slots) == 1 else {"slot_ids": [str(one) for one in slots]}
    return Ask(who, named | body, key or uuid.uuid4().hex, door)


def crowd(addresses: Sequence[str], keys: Keyring, asks: Sequence[Ask], *, connections: int = 64) -> list[Said]:
    """Everybody asks at once over that many connections; the answers in the order of the asks."""
    signed = {ask.who.account_no: ask.who.token(keys) for ask in asks}

    async def talk() -> list[Said]:
        answers: list[Said | None] = [None] * len(asks)
        todo = iter(enumerate(asks))

        async def one_connection() -> None:
            lines: dict[int, tuple[asyncio.StreamReader, asyncio.StreamWriter]] = {}
            try:
                for n, ask in todo:
                    if ask.door not in lines:
                        host, port = addresses[ask.door].removeprefix("http://").split(":")
                        lines[ask.door] = await asyncio.open_connection(host, int(port))
                    answers[n] = await _exchange(*lines[ask.door], ask, signed[ask.who.account_no])
            finally:
                for _, writer in lines.values():
                    writer.close()
                    await writer.wait_closed()

        async with asyncio.TaskGroup() as several:
            for _ in range(min(connections, len(asks))):
                several.create_task(one_connection())
        return [answer for answer in answers if answer is not None]

    answers = asyncio.run(talk())
    assert len(answers) == len(asks)
    return answers


async def _exchange(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, ask: Ask, token: str) -> Said:
    body = orjson.dumps(ask.body)
    writer.write(
        f"POST {RESERVATIONS} HTTP/1.1\r\nHost: test\r\nAuthorization: Bearer {token}\r\nIdempotency-Key: {ask.key}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n".encode()
        + body
    )
    first, *rest = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in rest) if name}
    told = await reader.readexactly(int(headers["content-length"]))
    overheard.heard("POST", RESERVATIONS, {"authorization": f"Bearer {token}"}, body, told)
    return Said(int(first.split(" ")[1]), headers, orjson.loads(told))
