"""Where a service is: in this process, or behind HTTP. Both are ASGI apps and wear the same guard.

A mounted app's lifespan is not run by its host and the host's handlers do not catch its errors; so `local` runs the
lifespan itself, and the guard turns whatever goes wrong into a refusal for that service's own paths only.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Final, NamedTuple
from urllib.parse import quote

import httpx
import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from shared import errors
from shared.web import loggable

log = structlog.get_logger(__name__)

MOST_BYTES: Final = 16 * 1024 * 1024
"""No answer of a service is larger."""
_FAILURES_TO_OPEN: Final = 5
_OPEN_SECONDS: Final = 2.0
_IN_A_QUERY: Final = "!$%&'()*+,;=:/?@[]"
_HOP_BY_HOP: Final = frozenset(
    {b"connection", b"keep-alive", b"proxy-authenticate", b"proxy-authorization", b"te", b"trailer", b"transfer-encoding",
     b"upgrade", b"host", b"content-length"}
)  # fmt: skip


class Answer(NamedTuple):
    """A whole answer."""

    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes

    def header(self, name: bytes) -> bytes | None:
        """The first header of this (lower-case) name."""
        return next((value for key, value in self.headers if key.lower() == name), None)


@contextlib.asynccontextmanager
async def local(app: ASGIApp) -> AsyncIterator[ASGIApp]:
    """A service in this process, with its lifespan run."""
    lifespan = getattr(getattr(app, "router", None), "lifespan_context", None)
    if lifespan is None:
        yield app
        return
    async with lifespan(app):
        yield app


@contextlib.asynccontextmanager
async def remote(url: str, *, seconds: float) -> AsyncIterator[ASGIApp]:
    """A service behind HTTP, as an ASGI app. Nothing is retried: a POST may have arrived."""
    limits = httpx.Limits(max_connections=200, max_keepalive_connections=100, keepalive_expiry=4)
    nobodys = CookieJar(
        DefaultCookiePolicy(allowed_domains=[])
    )  # a cookie is of one browser, and the client is everybody's
    async with httpx.AsyncClient(
        base_url=url, timeout=seconds, limits=limits, trust_env=False, cookies=nobodys
    ) as client:

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            body = b""
            more = True
            while more:
                message = await receive()
                body += message.get("body", b"")
                more = message.get("more_body", False)
            query = quote(scope["query_string"], safe=_IN_A_QUERY)  # a socket may send any bytes; HTTP may not
            request = client.build_request(
                scope["method"],
                httpx.URL(scope["raw_path"].decode("ascii") + ("?" + query if query else "")),
                headers=[(key, value) for key, value in scope["headers"] if key not in _HOP_BY_HOP],
                content=body,
                timeout=seconds + scope.get("linli.more_seconds", 0.0),
            )
            try:
                answer = await client.send(request)
            except AttributeError as lost:
                # Where a connection ends while it is being made, anyio looks for a socket that is gone.
                raise httpx.NetworkError("hung up at once") from lost
            headers = [
                (k.lower(), v) for k, v in answer.headers.raw if k.lower() not in _HOP_BY_HOP - {b"content-length"}
            ]
            await send({"type": "http.response.start", "status": answer.status_code, "headers": headers})
            await send({"type": "http.response.body", "body": answer.content})

        yield app


class NoAnswer(Exception):
    """A service gave no answer; `may_have_arrived` says whether it may have acted all the same."""

    def __init__(self, refusal: errors.Refusal, *, may_have_arrived: bool) -> None:
        super().__init__(refusal.code)
        self.refusal = refusal
        self.may_have_arrived = may_have_arrived


class Guard:
    """One service, called with patience and no more: a time-out, a circuit, a bound on size."""

    def __init__(self, name: str, app: ASGIApp, *, seconds: float, is_local: bool = False) -> None:
        self.name = name
        self.is_local = is_local
        self._app = app
        self._seconds = seconds
        self._failures = 0
        self._open_until = 0.0

    @property
    def is_open(self) -> bool:
        """Whether calls are refused for now, after several failures in a row."""
        return time.monotonic() < self._open_until

    async def call(self, scope: Scope, body: bytes, *, more: float = 0.0) -> Answer:
        """The service's whole answer to one request, `more` seconds later than usual at most; raises NoAnswer."""
        if self.is_open:
            raise NoAnswer(self._down(), may_have_arrived=False)
        try:
            scope["linli.more_seconds"] = more
            async with asyncio.timeout(self._seconds + more):
                answer = await answer_of(self._app, scope, body)
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
            self._failed()
            raise NoAnswer(self._down(), may_have_arrived=False) from error
        except (TimeoutError, httpx.TimeoutException) as error:
            self._failed()
            raise NoAnswer(errors.ServiceSlow(retry_after=2, service=self.name), may_have_arrived=True) from error
        except httpx.HTTPError as error:
            self._failed()
            raise NoAnswer(self._down(), may_have_arrived=True) from error
        self._failures = 0
        return answer

    def _down(self) -> errors.Refusal:
        return errors.ServiceDown(retry_after=2, service=self.name)

    def _failed(self) -> None:
        self._failures += 1
        if self._failures >= _FAILURES_TO_OPEN:
            self._failures = 0
            self._open_until = time.monotonic() + _OPEN_SECONDS
            log.warning("upstream_rests", service=self.name, seconds=_OPEN_SECONDS)


async def answer_of(app: ASGIApp, scope: Scope, body: bytes) -> Answer:
    """One request through an ASGI app, and its whole answer; raises NoAnswer when it gives none."""
    status = 0
    headers: list[tuple[bytes, bytes]] = []
    parts: list[bytes] = []
    size = 0
    given = False

    async def receive() -> Message:
        nonlocal given
        if given:
            await asyncio.Event().wait()  # the caller is still there; the app ends by itself
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Message) -> None:
        nonlocal status, headers, size
        if message["type"] == "http.response.start":
            status = message["status"]
            headers = list(message.get("headers", ()))
        elif message["type"] == "http.response.body":
            part = message.get("body", b"")
            size += len(part)
            if size > MOST_BYTES:
                raise NoAnswer(errors.Broken(), may_have_arrived=True)
            parts.append(part)

    try:
        await app(scope, receive, send)
    except (httpx.HTTPError, NoAnswer):
        raise
    except Exception:  # a mounted app re-raises after it has answered 500; the answer is what counts
        if not status:
            log.exception("upstream_broken", path=loggable(scope["path"]))
    if not status:
        raise NoAnswer(errors.Broken(), may_have_arrived=True)
    return Answer(status, headers, b"".join(parts))
