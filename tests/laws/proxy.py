"""A proxy in front of PostgreSQL that reads along, and does to a COMMIT what networks do.

It speaks enough of the protocol to see messages go by: `Q COMMIT` from the client, `CommandComplete COMMIT` from the
server. `faults` is a queue, one entry a COMMIT; when it is empty, nothing happens to it.
"""

from __future__ import annotations

import asyncio
import contextlib
import enum
import struct
import tempfile
from collections import deque
from collections.abc import AsyncIterator
from pathlib import Path

from sqlalchemy.engine import URL, make_url

_STARTUP_ANSWERED_BY_ONE_BYTE = {80877103, 80877104}
"""SSLRequest and GSSENCRequest: the client asks again after one byte."""
_COMMIT = b"COMMIT\x00"


class Fault(enum.Enum):
    """What becomes of a COMMIT."""

    LOST_BEFORE = "cut before PostgreSQL has it"
    LOST_ANSWER = "done by PostgreSQL, cut before the client hears of it"
    LOST_SENDING = "cut behind its back while PostgreSQL works on it"
    HALF_CLOSED = "never delivered; the client's side is closed, the server's side stays open"
    STALLED = "never delivered, and nobody is told"


class Proxy:
    """Listens where `url` says, and passes everything on to the server."""

    def __init__(self, target: URL) -> None:
        self._target = target
        self.url = ""
        self.faults: deque[Fault] = deque()
        self.commits = 0
        self.done: list[Fault] = []
        self.delay = 0.0
        """Seconds that each of the server's messages waits."""
        self.drip = 0
        """Bytes a write towards the client; 0 is all at once."""
        self._pairs: set[asyncio.Task[None]] = set()
        self._zombies: list[asyncio.StreamWriter] = []
        self._writers: list[asyncio.StreamWriter] = []

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        folder = self._target.query.get("host")
        if folder is not None:
            return await asyncio.open_unix_connection(f"{folder}/.s.PGSQL.{self._target.port or 5432}")
        return await asyncio.open_connection(self._target.host or "127.0.0.1", self._target.port or 5432)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One client."""
        task = asyncio.current_task()
        if task is not None:
            self._pairs.add(task)
            task.add_done_callback(self._pairs.discard)
        pair: _Pair | None = None
        try:
            pair = _Pair(self, reader, writer, *await self._connect())
            self._writers += [writer, pair.server_writer]
            await pair.run()
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            writer.transport.abort()
            if pair is not None and pair.keeps_server:
                self._zombies.append(pair.server_writer)
            elif pair is not None:
                pair.server_writer.transport.abort()

    def bury(self) -> None:
        """Close the servers' sides that were left open: their transactions end."""
        while self._zombies:
            self._zombies.pop().transport.abort()

    async def close(self) -> None:
        """Cut everything."""
        self.bury()
        for one in list(self._pairs):
            one.cancel()
        await asyncio.gather(*self._pairs, return_exceptions=True)
        for one in self._writers:
            one.transport.abort()


class _Pair:
    def __init__(
        self,
        proxy: Proxy,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        server_reader: asyncio.StreamReader,
        server_writer: asyncio.StreamWriter,
    ) -> None:
        self.proxy, self.reader, self.writer = proxy, reader, writer
        self.server_reader, self.server_writer = server_reader, server_writer
        self.keeps_server = False
        self._fault: Fault | None = None

    async def run(self) -> None:
        """Both directions until one ends."""
        await self._start()
        ways = [asyncio.create_task(self._up()), asyncio.create_task(self._down())]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for one in ways:
                one.cancel()
            await asyncio.gather(*ways, return_exceptions=True)

    async def _start(self) -> None:
        while True:
            head = await self.reader.readexactly(8)
            length, code = struct.unpack("!II", head)
            self.server_writer.write(head + await self.reader.readexactly(length - 8))
            if code not in _STARTUP_ANSWERED_BY_ONE_BYTE:
                return
            self.writer.write(await self.server_reader.readexactly(1))

    async def _up(self) -> None:
        async for kind, message in _messages(self.reader):
            if kind == b"Q" and message[5:] == _COMMIT:
                self.proxy.commits += 1
                fault = self.proxy.faults.popleft() if self.proxy.faults else None
                if fault is not None:
                    self.proxy.done.append(fault)
                    if not await self._hurt(fault, message):
                        return
                    continue
            self.server_writer.write(message)
            await self.server_writer.drain()

    async def _hurt(self, fault: Fault, message: bytes) -> bool:
        """What this fault does to the COMMIT; whether the connection goes on."""
        if fault is Fault.STALLED:
            await asyncio.Event().wait()
        if fault is Fault.HALF_CLOSED:
            self.keeps_server = True
            return False
        if fault is Fault.LOST_BEFORE:
            return False
        self._fault = fault
        self.server_writer.write(message)
        await self.server_writer.drain()
        return fault is Fault.LOST_ANSWER

    async def _down(self) -> None:
        async for kind, message in _messages(self.server_reader):
            if self._fault is Fault.LOST_ANSWER:
                if kind == b"C" and message[5:] == _COMMIT:
                    return
                continue
            if self.proxy.delay:
                await asyncio.sleep(self.proxy.delay)
            step = self.proxy.drip or len(message)
            for start in range(0, len(message), step):
                self.writer.write(message[start : start + step])
                await self.writer.drain()
                if self.proxy.drip:
                    await asyncio.sleep(0)


async def _messages(reader: asyncio.StreamReader) -> AsyncIterator[tuple[bytes, bytes]]:
    while head := await reader.read(1):
        size = await reader.readexactly(4)
        yield head, head + size + await reader.readexactly(int.from_bytes(size, "big") - 4)


@contextlib.asynccontextmanager
async def in_front_of(url: str) -> AsyncIterator[Proxy]:
    """A running proxy; connect to its `url` instead."""
    target = make_url(url)
    proxy = Proxy(target)
    with tempfile.TemporaryDirectory(prefix="linli-proxy-") as folder:
        if "host" in target.query:
            server = await asyncio.start_unix_server(proxy.serve, Path(folder) / ".s.PGSQL.5432")
            mine = target.set(query={**target.query, "host": folder}, port=None)
        else:
            server = await asyncio.start_server(proxy.serve, "127.0.0.1", 0)
            mine = target.set(host="127.0.0.1", port=server.sockets[0].getsockname()[1])
        proxy.url = mine.render_as_string(hide_password=False)
        try:
            yield proxy
        finally:
            server.close()
            await proxy.close()
            await server.wait_closed()
