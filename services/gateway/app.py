"""The front door: every request passes here, and every answer leaves here.

request ─► id ─► address within its rate? ─► body within its bound? ─► who? ─► account within its rate?
        ─► a claim          claiming (arbiter, then the service)
        ─► /v1/<service>/…  the service, with a signed assertion; so the pages that a service has outside /v1
        ─► anything else    the gateway's own routes
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import os
import re
import time
import zlib
from collections.abc import AsyncIterator, Hashable, Iterable
from typing import Any, Final

import structlog
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

from services import SERVICES
from services.gateway import availability, console, routes, told, upstreams
from services.gateway.arbiter.asked import Asked, Outcome
from services.gateway.arbiter.line import Arbiter
from services.gateway.claiming import Call, Claiming
from services.gateway.credentials import FACTS_SECONDS, INTERNAL, Credentials
from services.gateway.parts import Metrics, Parts
from services.gateway.rates import Rates
from services.gateway.refusals import Refusals
from services.gateway.upstreams import Answer, Guard, NoAnswer
from shared import claims, errors, problems
from shared.assertion import Caller
from shared.crypto import Keyring
from shared.db import Database
from shared.line import Line, Readers
from shared.settings import Settings
from shared.web import Context, loggable

log = structlog.get_logger(__name__)

_REQUEST_ID: Final = re.compile(rb"[A-Za-z0-9._-]{1,64}")
_CODE: Final = re.compile(rb'"code": ?"([a-z_]{1,64})"')
_STEPS: Final = re.compile(r"/\.{1,2}(?:/|$)")
"""`/./` and `/../`: the way to a service elsewhere would take them, after it was decided here where they do not lead."""
_ONCE: Final = frozenset({b"authorization", b"idempotency-key", b"content-length", b"content-type", b"host"})
_ALWAYS: Final = [(b"x-content-type-options", b"nosniff")]


def _conditional(answer: Answer, if_none_match: bytes | None) -> Answer:
    """A read with an ETag; 304 without a body when the reader has it already."""
    status, headers, body = answer
    if status != 200:
        return answer
    tag = answer.header(b"etag")
    if tag is None:
        tag = b'W/"%x-%x-%x"' % (zlib.crc32(body), zlib.adler32(body), len(body))
        headers = [*headers, (b"etag", tag)]
    if answer.header(b"cache-control") is None:
        headers = [*headers, (b"cache-control", b"private, no-cache")]
    if if_none_match is not None and answer.header(b"cache-control") != b"no-store":
        known = {one.strip().removeprefix(b"W/") for one in if_none_match.split(b",")}
        if tag.removeprefix(b"W/") in known:
            return Answer(304, [(key, value) for key, value in headers if key != b"content-type"], b"")
    return Answer(status, headers, body)


def _code(answer: Answer) -> str | None:
    """What a refusal is called; a page that refuses has no code."""
    found = _CODE.search(answer.body)
    return found[1].decode() if found else None


def _not_twice(headers: Iterable[tuple[bytes, bytes]]) -> None:
    """Refuse a header that says who asks, or for what, more than once: whoever looked before us may have read the other."""
    seen: set[bytes] = set()
    for name, _ in headers:
        if name in _ONCE and name in seen:
            raise errors.Unreadable
        seen.add(name)


def with_cors(gateway: ASGIApp, settings: Settings) -> ASGIApp:
    """The gateway for browsers of other origins too, where the settings name them."""
    if not settings.cors_origins:
        return gateway
    return CORSMiddleware(
        gateway,
        allow_origins=list(settings.cors_origins),
        allow_methods=["GET", "POST", "PUT", "DELETE"],
        allow_headers=["Authorization", "Content-Type", "Idempotency-Key", "If-Match", "If-None-Match", "X-Request-Id"],
        expose_headers=["ETag", "Location", "Retry-After", "Idempotency-Replayed", "RateLimit", "X-Request-Id"],
    )


class Gateway:
    """The ASGI app. `make` gives its parts their lives; until then it answers 503."""

    def __init__(self, db: Database, keys: Keyring, settings: Settings) -> None:
        self._db = db
        self._keys = keys
        self._settings = settings
        self._own: ASGIApp | None = None
        self._addresses = Rates(settings.address_rate, settings.address_burst)
        self._accounts = Rates(settings.account_rate, settings.account_burst)
        self._policy = b'"account";' + self._accounts.policy.encode()
        self._services = {one.name: one.name for one in SERVICES}
        self._services |= {word: one.name for one in SERVICES for word in one.paths}
        self._words = {word for one in SERVICES for word in one.paths}
        self._pages = {word: one.name for one in SERVICES for word in one.pages}
        self._trusted = settings.trusted_proxies
        self._giving_back: set[asyncio.Task[Any]] = set()
        self.parts: Parts | None = None
        self.stopping = asyncio.Event()
        """To be set when the server is told to stop: those who wait for news are answered then."""

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[Gateway]:
        """Start the services that live here, connect to the others, open the line; close all of it in the end."""
        settings, gateway_db = self._settings, self._db.of("linli_gateway")
        async with contextlib.AsyncExitStack() as stack:
            guards = {}
            for one in SERVICES:
                url = settings.upstreams.get(one.name)
                context = Context(self._db.of(one.role), self._keys, settings, stopping=self.stopping)
                app = await stack.enter_async_context(
                    upstreams.remote(url, seconds=settings.upstream_seconds)
                    if url
                    else upstreams.local(one.make(context))
                )
                guards[one.name] = Guard(one.name, app, seconds=settings.upstream_seconds, is_local=not url)
            refusals = Refusals(gateway_db)
            stack.push_async_callback(refusals.close)
            refusals.start()
            line: Line[Asked, Outcome] = Line(
                "arbiter",
                gateway_db,
                Arbiter(settings.hold_seconds, settings.guardians),
                batch=settings.line_batch,
                waiting=settings.line_waiting,
                seconds=settings.line_seconds,
                gone=lambda _, outcome: self._give_back(gateway_db, outcome),
            )
            stack.push_async_callback(line.close)
            self.parts = Parts(
                db=gateway_db,
                keys=self._keys,
                settings=settings,
                guards=guards,
                line=line,
                claiming=Claiming(gateway_db, self._keys, line, guards, refusals, settings.guardians),
                availability=Readers("availability", gateway_db, availability.read),
                told=Readers("told", gateway_db, told.read),
                credentials=Credentials(
                    self._keys, gateway_db, settings.guardians, issuer=settings.issuer, demo=settings.demo
                ),
                metrics=Metrics(),
                refusals=refusals,
                stopping=self.stopping,
            )
            self._own = routes.app(self.parts)
            console.operation_ids()  # now, not while somebody waits for the answer to a partner's first request
            try:
                yield self
            finally:
                self._own = None

    def _give_back(self, db: Database, outcome: Outcome) -> None:
        """Free the places of a grant whose caller has gone, instead of waiting for them to lapse."""
        if outcome.grant is not None:
            task = asyncio.create_task(db.run(claims.release, outcome.group_id, reason="caller_gone", only_held=True))
            self._giving_back.add(task)
            task.add_done_callback(self._giving_back.discard)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] == "lifespan":
            await self._lifespan(receive, send)
            return
        if scope["type"] != "http":
            return
        began = time.perf_counter()
        path: str = scope["path"]
        service = self._service_of(path)
        headers = dict(scope["headers"])
        given = headers.get(b"x-request-id")
        request_id = given.decode() if given and _REQUEST_ID.fullmatch(given) else os.urandom(16).hex()
        try:
            answer = await self._answer(scope, receive, headers, service, request_id)
        except NoAnswer as none:
            answer = self._problem(none.refusal, headers, request_id)
        except errors.Refusal as refusal:
            answer = self._problem(refusal, headers, request_id)
        except Exception as error:
            log.exception("broken", path=loggable(path), request_id=request_id, exc_info=error)
            answer = self._problem(errors.Broken(), headers, request_id)
        if answer.status in (401, 403):  # whoever refused: the gateway or a service
            log.info(
                "refused",
                code=_code(answer),
                path=loggable(path),
                account=scope.get("linli.account"),
                request_id=request_id,
            )
        if scope["method"] in ("GET", "HEAD"):
            answer = _conditional(answer, headers.get(b"if-none-match"))
        status, told, body = answer
        out = [(key, value) for key, value in told if key != b"content-length"]
        if status not in (204, 304):
            out.append((b"content-length", str(len(body)).encode()))
        out += [(b"x-request-id", request_id.encode()), *_ALWAYS]
        if "linli.account" in scope:
            left = self._accounts.left(scope["linli.account"])
            if left < self._accounts.burst // 2:
                out += [(b"ratelimit-policy", self._policy), (b"ratelimit", b'"account";r=%d' % left)]
        await send({"type": "http.response.start", "status": status, "headers": out})
        await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})
        if self.parts is not None:
            self.parts.metrics.count(service or "gateway", status, time.perf_counter() - began)

    async def _answer(
        self, scope: Scope, receive: Receive, headers: dict[bytes, bytes], service: str | None, request_id: str
    ) -> Answer:
        parts = self.parts
        if parts is None or self._own is None:
            raise errors.Unavailable(retry_after=1)
        address = self._address(scope, headers)
        self._within(self._addresses, address)
        if len(headers) != len(scope["headers"]):
            _not_twice(scope["headers"])
        path, method = scope["path"], "GET" if scope["method"] == "HEAD" else scope["method"]
        if not path.isascii() or "\x00" in path or _STEPS.search(path):
            raise errors.NotThere
        body = b"" if method in ("GET", "OPTIONS") else await self._body(receive, headers)
        caller = Caller()
        if b"authorization" in headers:
            caller = await parts.credentials.who(headers[b"authorization"].decode("latin-1"))
            scope["linli.account"] = caller.account_no
            self._within(self._accounts, caller.account_no)
            if caller.key is not None and not caller.key.allows(console.operation_at(method, path)):
                raise errors.NotInScope
        call = Call(
            method,
            path,
            headers,
            body,
            caller,
            request_id,
            scope["query_string"],
        )
        if parts.claiming.is_claim(method, path):
            return await parts.claiming.claim(call)
        if service is not None:
            return await self._forwarded(parts, service, call, address)
        told = {name: value for name, value in headers.items() if name not in INTERNAL}
        told[b"x-request-id"] = request_id.encode()
        return await upstreams.answer_of(self._own, {**call.scope(list(told.items())), "linli.call": call}, body)

    async def _forwarded(self, parts: Parts, service: str, call: Call, address: str) -> Answer:
        """A service's answer. Who has waited for it is looked at again: what let them in may have been taken away."""
        asking = await parts.credentials.with_facts(call.caller)
        while True:
            began = time.monotonic()
            told = call._replace(caller=asking._replace(address=address))
            answer = await parts.claiming.forward(service, told)
            authorization = call.header(b"authorization")
            if call.method != "GET" or authorization is None or time.monotonic() - began < FACTS_SECONDS:
                return answer
            now = await parts.credentials.with_facts(await parts.credentials.who(authorization))
            if now == asking:
                return answer
            asking = now

    async def _body(self, receive: Receive, headers: dict[bytes, bytes]) -> bytes:
        most = self._settings.body_bytes
        length = headers.get(b"content-length", b"0")
        if not length.isdigit() or int(length) > most:
            raise errors.TooLarge
        parts, size = [], 0
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise errors.Unreadable
            part = message.get("body", b"")
            size += len(part)
            if size > most:
                raise errors.TooLarge
            parts.append(part)
            if not message.get("more_body", False):
                return b"".join(parts)

    def _service_of(self, path: str) -> str | None:
        parts = path.split("/", 3)
        if len(parts) < 3:
            return None
        if parts[1] != "v1":
            return self._pages.get(parts[1])
        if len(parts) == 3 and parts[2] not in self._words:
            return None
        return self._services.get(parts[2])

    def _address(self, scope: Scope, headers: dict[bytes, bytes]) -> str:
        """The caller's address; a proxy is believed only where the settings trust it."""
        client = scope.get("client")
        address: str = client[0] if client else ""
        forwarded = headers.get(b"x-forwarded-for")
        if not forwarded or not self._trusted:
            return address
        for hop in reversed(forwarded.decode("latin-1").split(",")):
            try:
                if not any(ipaddress.ip_address(address) in network for network in self._trusted):
                    return address
                address = str(ipaddress.ip_address(hop.strip()))
            except ValueError:
                return address
        return address

    @staticmethod
    def _within(rates: Rates, who: Hashable) -> None:
        wait = rates.take(who)
        if wait:
            raise errors.TooMany(retry_after=wait)

    @staticmethod
    def _problem(refusal: errors.Refusal, headers: dict[bytes, bytes], request_id: str) -> Answer:
        language = headers.get(b"accept-language")
        return Answer(
            *problems.render(
                refusal, accept_language=language.decode("latin-1") if language else None, request_id=request_id
            )
        )

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        await receive()
        try:
            async with self.running():
                await send({"type": "lifespan.startup.complete"})
                await receive()
        except Exception as error:
            log.exception("start_failed", exc_info=error)
            await send({"type": "lifespan.startup.failed", "message": str(error)})
            return
        await send({"type": "lifespan.shutdown.complete"})
