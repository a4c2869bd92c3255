"""The only door out of the house. A name is resolved once, every address it has is judged, and one of these is called.

Redirects are not followed, proxies are not asked, and no answer is read further than its beginning. Without TLS only the
networks that the operator named are called.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from ipaddress import ip_address
from types import TracebackType
from typing import Any, Final, NamedTuple, Self

import httpcore
import httpx

from services.partners import rules
from services.partners.rules import Address, Network

SECONDS: Final = 15.0
"""For one call, from the first look at the name to the last byte that is read."""
_READ: Final = 8192
"""Bytes of an answer that are read."""
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


class _Guarded(httpcore.AsyncNetworkBackend):
    """Connects to checked addresses only."""

    def __init__(self, allowed: Sequence[Network], *, is_plain: bool) -> None:
        self._allowed = allowed
        self._is_plain = is_plain
        self._inner = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - the interface's own
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        found = await addresses(host, port)
        for one in found:
            if not rules.reachable(one, self._allowed) or (self._is_plain and not self._is_named(one)):
                raise Refused
        return await self._inner.connect_tcp(str(found[0]), port, timeout, local_address, socket_options)

    def _is_named(self, address: Address) -> bool:
        inner = rules.unwrapped(address)
        return any(inner.version == one.version and inner in one for one in self._allowed)

    async def connect_unix_socket(self, *_: Any, **__: Any) -> httpcore.AsyncNetworkStream:
        raise Refused

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


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


class Door:
    """Calls to the outside, many at once; `async with`."""

    def __init__(self, allowed: Sequence[Network], *, connections: int = 512, seconds: float = SECONDS) -> None:
        self._seconds = seconds
        self._pools = {
            is_plain: httpcore.AsyncConnectionPool(
                ssl_context=None if is_plain else _trust(),
                max_connections=connections,
                max_keepalive_connections=connections,
                keepalive_expiry=5,
                network_backend=_Guarded(allowed, is_plain=is_plain),
            )
            for is_plain in (False, True)
        }

    async def __aenter__(self) -> Self:
        """Open for the block."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Every connection is closed."""
        for pool in self._pools.values():
            await pool.aclose()

    async def post(self, url: str, headers: Sequence[tuple[str, str]], body: bytes) -> Came:
        """One call and what came of it; it raises nothing but its own cancellation."""
        began = time.perf_counter()
        error: str | None = None
        status, answer, retry = None, b"", None
        try:
            async with asyncio.timeout(self._seconds):
                pool = self._pools[url.startswith("http:")]
                async with pool.stream("POST", url, headers=list(headers), content=body) as response:
                    status = response.status
                    told = {name.lower(): value for name, value in response.headers}
                    retry = told[b"retry-after"].decode("latin-1") if b"retry-after" in told else None
                    async for part in response.aiter_stream():
                        answer += part
                        if len(answer) >= _READ:
                            break
        except Exception as problem:  # noqa: BLE001 - whatever a stranger's server does, it is only a failed call
            error = _word(problem)
        # An answer that began well and then never ended was an answer.
        latency = int((time.perf_counter() - began) * 1000)
        return Came(status, None if status is not None else error, latency, answer[:_READ], retry)


def _word(problem: Exception) -> str:
    """Why there was no answer, in one word that tells nothing of the house's own network."""
    chain: list[BaseException] = []
    one: BaseException | None = problem
    while one is not None and one not in chain:
        chain.append(one)
        one = one.__cause__ or one.__context__
    for kind, word in (
        (Refused, "address_refused"),
        (Nowhere, "no_such_host"),
        (ssl.SSLError, "tls"),
        ((TimeoutError, httpcore.TimeoutException), "timeout"),
        ((httpcore.NetworkError, OSError), "connection"),
    ):
        if any(isinstance(at, kind) for at in chain):
            return word
    return "protocol"
