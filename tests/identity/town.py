"""Identity over HTTP against a real database, as the gateway would call it; everything it answers is remembered."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field, replace
from typing import Any

import httpx

from services.identity import routes
from services.identity.rules import Phone
from shared import assertion, tokens
from shared.assertion import Caller
from shared.crypto import Keyring
from shared.db import Database
from shared.settings import Settings
from shared.web import App, Context

ANYONE = Caller(address="192.0.2.1")
ADULT, ADULT_TOO, CHILD = "11010519491231002X", "440524188001010014", "330411201506150013"
REGIONS = [
    ("33", "浙江省", "province", None),
    ("330411105003", "解放社区", "community", "33"),
    ("330411105204", "镇中村委会", "village", "33"),
]


@dataclass(slots=True)
class Sent:
    """A sender that only remembers."""

    codes: list[str] = field(default_factory=list)
    is_on: bool = True

    async def send(self, phone: Phone, code: str) -> None:  # noqa: ARG002 - as the real one is called
        self.codes.append(code)


@dataclass(slots=True)
class Login:
    """A resident who has logged in."""

    caller: Caller
    access: str
    refresh: str
    answer: dict[str, Any]


@dataclass(slots=True)
class Town:
    """The running service; `root` sees the whole database, the service only what its role may."""

    http: httpx.AsyncClient
    app: App
    keys: Keyring
    root: Database
    sent: Sent
    answers: list[str] = field(default_factory=list)

    async def call(
        self, method: str, path: str, body: object = None, caller: Caller = ANYONE, **headers: str
    ) -> httpx.Response:
        told = {assertion.HEADER: assertion.sign(caller, audience="identity", key=self.keys.assertion)} | headers
        answer = await self.http.request(method, f"/v1/identity{path}", json=body, headers=told)
        self.answers.append(answer.text)
        if not path.startswith("/reveals") and not path.endswith("/reveal") and not path.startswith("/requests/"):
            shown = [number for number in (ADULT, ADULT_TOO, CHILD) if number in answer.text]
            assert shown == [], f"{method} {path} tells a document number"
        return answer

    async def code(self, phone: str) -> str:
        answer = await self.call("POST", "/codes", {"phone": phone})
        assert answer.status_code == 202, answer.text
        return answer.json().get("demo_code") or self.sent.codes[-1]

    async def login(self, phone: str, device: str | None = None) -> Login:
        body = {"provider": "phone", "phone": phone, "code": await self.code(phone), "device": device}
        answer = await self.call("POST", "/sessions", body)
        assert answer.status_code == 201, answer.text
        return self.of(answer.json())

    def of(self, answer: dict[str, Any]) -> Login:
        issuer = self.app.state["context"].settings.issuer
        claims = tokens.verify(self.keys, answer["access_token"], issuers=[issuer])
        caller = ANYONE._replace(
            account_id=claims.account_id,
            account_no=claims.account_no,
            person_id=claims.person_id,
            holder_no=claims.holder_no,
            name=claims.name,
            session_id=claims.session_id,
            has_second=claims.has_second or self.app.state["context"].settings.demo,
        )
        return Login(caller, answer["access_token"], answer["refresh_token"], answer)

    async def real_name(self, who: Login, number: str, name: str = "张三", kind: str = "resident_id") -> httpx.Response:
        return await self.call(
            "POST", "/me/real-name", {"name": name, "document": {"kind": kind, "number": number}}, who.caller
        )

    async def child(self, who: Login, number: str, name: str = "张小") -> httpx.Response:
        body = {"name": name, "document": {"kind": "resident_id", "number": number}, "relation": "child"}
        return await self.call("POST", "/me/family", body, who.caller)

    async def refresh(self, token: str) -> httpx.Response:
        return await self.call("POST", "/sessions/refresh", {"refresh_token": token})

    async def value(self, sql: str, *args: object) -> Any:
        async with self.root.transaction() as tx:
            return await tx.value(sql, *args)

    async def execute(self, sql: str, *args: object) -> int:
        async with self.root.transaction() as tx:
            return await tx.execute(sql, *args)


@contextlib.asynccontextmanager
async def opened(url: str, *, demo: bool = True, sends: bool = True, **settings: Any) -> AsyncIterator[Town]:
    root = Database.connect(url, pool_size=20)
    keys = Keyring.fresh()
    async with root.transaction() as tx:
        await tx.many("INSERT INTO regions (code, name, level, parent_code) VALUES ($1, $2, $3, $4)", REGIONS)
    app = routes.app(Context(root.of("linli_identity"), keys, Settings(demo=demo, **settings)))
    sent = Sent()
    if sends and not demo:
        app.state["desk"] = replace(app.state["desk"], sender=sent)
    transport = httpx.ASGITransport(app)
    try:
        async with httpx.AsyncClient(transport=transport, base_url="http://identity") as http:
            yield Town(http, app, keys, root, sent)
    finally:
        await root.close()


def play(
    url: str, scenario: Callable[[Town], Awaitable[None]], *, demo: bool = True, sends: bool = True, **settings: Any
) -> None:
    """Run a scenario in a town of its own."""

    async def run() -> None:
        async with opened(url, demo=demo, sends=sends, **settings) as town:
            await scenario(town)

    asyncio.run(run())
