"""Staff at the front door with a browser that keeps its cookies: they open the page, fill in forms, and are sent back."""

from __future__ import annotations

import asyncio
import base64
import functools
import hashlib
import html
import inspect
import re
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import argon2
import httpx

from services.gateway.app import Gateway
from services.identity.actions import staff
from shared.crypto import Keyring
from shared.settings import Settings
from tests.conftest import connected
from tests.town import Resident, Town

PASSWORD = "correct horse battery 马"
REDIRECT = "http://127.0.0.1:8000/docs/oauth2-redirect"
QUICK = argon2.PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
"""What a hash costs is written in it: those of the tests cost nothing."""


@dataclass(slots=True)
class Asking:
    """What a client sends along, and the verifier it keeps to itself."""

    params: dict[str, str]
    verifier: str

    def but(self, **params: str | None) -> dict[str, str]:
        """The same with some parameters changed, or left out."""
        return {name: value for name, value in {**self.params, **params}.items() if value is not None}


def asking(client: str = "linli-console", redirect: str = REDIRECT) -> Asking:
    verifier = secrets.token_urlsafe(48)
    challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
    return Asking(
        {
            "response_type": "code",
            "client_id": client,
            "redirect_uri": redirect,
            "state": secrets.token_urlsafe(12),
            "code_challenge": challenge,
            "code_challenge_method": "S256",
        },
        verifier,
    )


def hidden(page: httpx.Response) -> dict[str, str]:
    """The hidden fields of the page's form."""
    found = re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)">', page.text)
    return {name: html.unescape(value) for name, value in found}


def said(page: httpx.Response) -> str:
    """What the page complains of."""
    found = re.search(r'<p role="alert">(.*?)</p>', page.text)
    return html.unescape(found[1]) if found else ""


def query(location: str) -> dict[str, str]:
    return dict(parse_qsl(urlsplit(location).query))


def colleague(
    town: Town,
    keys: Keyring,
    name: str,
    role: str | None = "manager",
    prefix: str = "330411105",
    password: str = PASSWORD,
) -> Resident:
    """Somebody with a role who logs in by this name."""
    (someone,) = town.residents(1)
    if role:
        town.appoint(someone, role, prefix)
    town.do(
        "INSERT INTO logins (account_no, provider, subject_index) VALUES (%s, 'password', %s)",
        someone.account_no,
        staff._subject(keys, name),
    )
    town.do("INSERT INTO passwords (account_no, hash) VALUES (%s, %s)", someone.account_no, QUICK.hash(password))
    return someone


@dataclass(slots=True)
class Desk:
    """A running town and one browser in front of it."""

    http: httpx.AsyncClient
    gateway: Gateway
    keys: Keyring
    town: Town

    def staff(
        self, name: str, role: str | None = "manager", prefix: str = "330411105", password: str = PASSWORD
    ) -> Resident:
        """A colleague who logs in by this name."""
        return colleague(self.town, self.keys, name, role, prefix, password)

    async def open(self, ask: Asking, language: str = "en") -> httpx.Response:
        return await self.http.get("/oauth/authorize", params=ask.params, headers={"Accept-Language": language})

    async def submit(self, page: httpx.Response, **fields: str) -> httpx.Response:
        path = re.search(r'action="([^"]+)"', page.text)
        assert path, page.text
        return await self.http.post(path[1], data={**hidden(page), **fields}, headers={"Accept-Language": "en"})

    async def log_in(self, ask: Asking, name: str, password: str = PASSWORD) -> httpx.Response:
        """The answer to name and password."""
        return await self.submit(await self.open(ask), username=name, password=password)

    async def exchange(self, **fields: str) -> httpx.Response:
        return await self.http.post("/oauth/token", data={"client_id": "linli-console", **fields})

    async def redeem(self, ask: Asking, sent_back: httpx.Response, **changed: str) -> httpx.Response:
        """Exchange the code that somebody was sent back with."""
        assert sent_back.status_code == 303, said(sent_back)
        told = query(sent_back.headers["location"])
        assert told["state"] == ask.params["state"]
        fields = {"redirect_uri": ask.params["redirect_uri"], "code_verifier": ask.verifier, "code": told["code"]}
        return await self.exchange(grant_type="authorization_code", **{**fields, **changed})

    async def session(self, name: str) -> dict[str, Any]:
        """Logged in all the way."""
        ask = asking()
        answer = await self.redeem(ask, await self.log_in(ask, name))
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    async def api(self, method: str, path: str, token: str, body: object = None) -> httpx.Response:
        headers = {"Authorization": f"Bearer {token}", "Accept-Language": "en"}
        return await self.http.request(method, f"/v1/identity{path}", json=body, headers=headers)

    def wait(self) -> None:
        """Let every delay pass."""
        self.town.do("UPDATE login_delays SET until = now() - interval '1 second'")


def act(url: str, keys: Keyring, settings: Settings, scene: Callable[[Desk], Awaitable[None]]) -> None:
    """Act a scene against a running gateway."""

    async def acted() -> None:
        async with connected(url) as db, Gateway(db, keys, settings).running() as gateway:
            transport = httpx.ASGITransport(gateway)
            async with httpx.AsyncClient(transport=transport, base_url=settings.public_url) as http:
                await scene(Desk(http, gateway, keys, Town(url)))

    asyncio.run(acted())


def at_the_desk(**changed: Any) -> Callable[[Callable[..., Awaitable[None]]], Callable[..., None]]:
    """A test that is a scene at a desk, with these settings changed. What else it asks for by name are fixtures."""

    def staged(scene: Callable[..., Awaitable[None]]) -> Callable[..., None]:
        asked = [name for name in inspect.signature(scene).parameters if name != "desk"]

        @functools.wraps(scene)
        def test(database_url: str, keys: Keyring, settings: Settings, **fixtures: Any) -> None:
            given = {"database_url": database_url, "keys": keys, "settings": settings} | fixtures
            told = {name: given[name] for name in asked}
            act(database_url, keys, settings.model_copy(update=changed), lambda desk: scene(desk, **told))

        needed = dict.fromkeys(["database_url", "keys", "settings", *asked])
        test.__signature__ = inspect.Signature(  # type: ignore[attr-defined] # what pytest reads
            [inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY) for name in needed]
        )
        return test

    return staged
