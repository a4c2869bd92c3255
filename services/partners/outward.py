"""The only door out of the house. A name is resolved once, every address it has is judged, and one of these is called.

Redirects are not followed, proxies are not asked, and no answer is read further than its beginning. Without TLS only the
networks that the operator named are called. HTTP/1.1 is spoken by h11 over plain streams: general clients keep their
connections in lists that they walk for every call, which took longer than the calls.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from ipaddress import ip_address
from types import TracebackType
from typing import Final, NamedTuple, Self
from urllib.parse import urlsplit

import h11
import httpx

from services.partners import rules
from services.partners.rules import Address, Network

SECONDS: Final = 15.0
"""For one call, from the first look at the name to the last byte that is read."""
_READ: Final = 8192
"""Bytes of an answer that are read."""
_IDLE_SECONDS: Final = 4.0
_HEAD: Final = 32 * 1024
_RESOLVERS: Final = ThreadPoolExecutor(64, "partners-resolver")
"""A name server that says nothing holds up whoever asked it, and nobody else."""


class Refused(Exception):
    """This address is not called."""


class Nowhere(Exception):
    """The name has no address."""


class Came(NamedTuple):
    """What came of a call: a status and the beginning of the answer, or why there is none."""

    status: int | None
    error: str | None
    latency_ms: int
    answer: bytes = b""
    retry_after: str | None = None


class Origin(NamedTuple):
    """Whom a connection leads to."""

    is_plain: bool
    host: str
    port: int


async def addresses(host: str, port: int) -> list[Address]:
    """Every address of a name, asked for once; IPv4 first."""
    try:
        return [ip_address(host)]
    except ValueError:
        pass
    loop = asyncio.get_running_loop()
    try:
        told = await loop.run_in_executor(_RESOLVERS, lambda: socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
    except (OSError, UnicodeError) as error:
        raise Nowhere from error
    found = list(dict.fromkeys(ip_address(one[4][0]) for one in told))
    if not found:
        raise Nowhere
    return sorted(found, key=lambda one: one.version)


@cache
def _trust() -> ssl.SSLContext:
    return httpx.create_ssl_context()


class _Line:
    """One connection to one checked address."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._http = h11.Connection(h11.CLIENT, max_incomplete_event_size=_HEAD)
        self.idle_since = 0.0

    @property
    def is_good(self) -> bool:
        """Whether it may be used again."""
        return not self._reader.at_eof() and time.monotonic() - self.idle_since < _IDLE_SECONDS

    async def ask(self, host: str, target: str, headers: Sequence[tuple[str, str]], body: bytes) -> h11.Response:
        """Send a request; the head of its answer."""
        told = [("host", host), *headers, ("content-length", str(len(body)))]
        parts = (h11.Request(method="POST", target=target, headers=told), h11.Data(data=body), h11.EndOfMessage())
        self._writer.write(b"".join(self._http.send(part) or b"" for part in parts))
        await self._writer.drain()
        while not isinstance(event := await self._next(), h11.Response):
            if not isinstance(event, h11.InformationalResponse):
                raise h11.RemoteProtocolError("no answer")
        return event

    async def rest(self) -> tuple[bytes, bool]:
        """The beginning of the answer's body, and whether that was all of it."""
        answer = b""
        while len(answer) < _READ:
            event = await self._next()
            if isinstance(event, h11.Data):
                answer += event.data
            else:
                return answer, isinstance(event, h11.EndOfMessage)
        return answer, False

    async def _next(self) -> object:
        while (event := self._http.next_event()) is h11.NEED_DATA:
            self._http.receive_data(await self._reader.read(65536))
        return event

    def again(self) -> bool:
        """Make ready for the next request, where both sides can."""
        if self._http.our_state is not h11.DONE or self._http.their_state is not h11.DONE:
            return False
        self._http.start_next_cycle()
        self.idle_since = time.monotonic()
        return True

    def close(self) -> None:
        """Hang up at once."""
        self._writer.transport.abort()


class Door:
    """Calls to the outside, many at once; `async with`."""

    def __init__(self, allowed: Sequence[Network], *, seconds: float = SECONDS) -> None:
        self._allowed = allowed
        self._seconds = seconds
        self._idle: dict[Origin, list[_Line]] = {}

    async def __aenter__(self) -> Self:
        """Open for the block."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Every connection is closed."""
        for lines in self._idle.values():
            for one in lines:
                one.close()
        self._idle.clear()
        await asyncio.sleep(0)

    async def post(self, url: str, headers: Sequence[tuple[str, str]], body: bytes) -> Came:
        """One call and what came of it; it raises nothing but its own cancellation."""
        began = time.perf_counter()
        status, answer, retry, why = None, b"", None, None
        line: _Line | None = None
        try:
            async with asyncio.timeout(self._seconds):
                parts = urlsplit(url)
                is_plain = parts.scheme == "http"
                origin = Origin(is_plain, parts.hostname or "", parts.port or (80 if is_plain else 443))
                target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
                line = used = self._used(origin)
                response = None
                if used is not None:
                    try:
                        response = await used.ask(parts.netloc, target, headers, body)
                    except (OSError, h11.RemoteProtocolError):
                        used.close()  # it was closed while nobody spoke; a fresh one is asked
                if line is None or response is None:
                    line = await self._connected(origin)
                    response = await line.ask(parts.netloc, target, headers, body)
                status = response.status_code
                retry = next(
                    (value.decode("latin-1") for name, value in response.headers if name == b"retry-after"), None
                )
                answer, is_whole = await line.rest()
                if is_whole and line.again():
                    self._idle.setdefault(origin, []).append(line)
                    line = None
        except Exception as problem:  # noqa: BLE001 - whatever a stranger's server does, it is only a failed call
            why = _word(problem)
        finally:
            if line is not None:
                line.close()
        # An answer that began well and then never ended was an answer.
        latency = int((time.perf_counter() - began) * 1000)
        return Came(status, None if status is not None else why, latency, answer[:_READ], retry)

    def _used(self, origin: Origin) -> _Line | None:
        """A connection that was used before and is still good."""
        lines = self._idle.get(origin, [])
        while lines:
            line = lines.pop()
            if line.is_good:
                return line
            line.close()
        return None

    async def _connected(self, origin: Origin) -> _Line:
        """A new connection to an address that was judged, with the name's own certificate."""
        found = await addresses(origin.host, origin.port)
        for one in found:
            if not rules.reachable(one, self._allowed, is_plain=origin.is_plain):
                raise Refused
        reader, writer = await asyncio.open_connection(
            str(found[0]),
            origin.port,
            ssl=None if origin.is_plain else _trust(),
            server_hostname=None if origin.is_plain else origin.host,
        )
        return _Line(reader, writer)


def _word(problem: Exception) -> str:
    """Why there was no answer, in one word that tells nothing of the house's own network."""
    for kind, word in (
        (Refused, "address_refused"),
        (Nowhere, "no_such_host"),
        (ssl.SSLError, "tls"),
        (TimeoutError, "timeout"),
        (OSError, "connection"),
    ):
        if isinstance(problem, kind):
            return word
    return "protocol"
