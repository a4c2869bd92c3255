"""The console behind the front door: its page, its files, its document, and that the document tells the truth."""

from __future__ import annotations

import asyncio
import re
import uuid
from collections.abc import Awaitable, Callable

import httpx
import pytest

from services.gateway.app import Gateway
from services.gateway.console import document
from services.gateway.console.document import OPEN
from shared.crypto import Keyring
from shared.settings import Settings
from tests.conftest import connected

Ask = Callable[..., Awaitable[httpx.Response]]


def behind_the_door(url: str, keys: Keyring, settings: Settings, play: Callable[[Ask], Awaitable[None]]) -> None:
    """Play a scene against a running gateway."""

    async def acted() -> None:
        async with connected(url) as db, Gateway(db, keys, settings).running() as gateway:
            transport = httpx.ASGITransport(gateway)
            async with httpx.AsyncClient(transport=transport, base_url="http://linli") as http:
                await play(http.request)

    asyncio.run(acted())


def test_the_page_loads_only_its_own_files(database_url: str, keys: Keyring, settings: Settings) -> None:
    async def play(ask: Ask) -> None:
        page = await ask("GET", "/docs")
        assert page.status_code == 200
        assert page.headers["content-type"] == "text/html; charset=utf-8"
        policy = page.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        loaded = re.findall(r'(?:src|href)="([^"]+)"', page.text)
        assert loaded
        assert [one for one in loaded if not one.startswith(("/docs/assets/", "/openapi.json", "data:,"))] == []
        assert not re.search(r"<script(?![^>]*src=)", page.text)
        assert not re.search(r"<style|\sstyle=|\son\w+=", page.text)
        for path in loaded:
            if path.startswith("/docs/assets/"):
                found = await ask("GET", path)
                assert found.status_code == 200, path
                assert "immutable" in found.headers["cache-control"]
                assert found.headers["x-content-type-options"] == "nosniff"

    behind_the_door(database_url, keys, settings, play)


def test_the_address_that_the_server_prints_leads_to_the_console(
    database_url: str, keys: Keyring, settings: Settings
) -> None:
    async def play(ask: Ask) -> None:
        found = await ask("GET", "/")
        assert (found.status_code, found.headers["location"]) == (307, "/docs")

    behind_the_door(database_url, keys, settings, play)


def test_what_is_known_is_not_sent_again(database_url: str, keys: Keyring, settings: Settings) -> None:
    async def play(ask: Ask) -> None:
        for path in ("/docs", "/docs/assets/console.js", "/openapi.json", "/openapi.json?lang=en"):
            plain = await ask("GET", path, headers={"Accept-Encoding": "identity"})
            packed = await ask("GET", path, headers={"Accept-Encoding": "gzip"})
            assert packed.headers["content-encoding"] == "gzip"
            assert plain.text == packed.text
            assert plain.headers["etag"] != packed.headers["etag"]
            known = {"Accept-Encoding": "identity", "If-None-Match": f'"other", {plain.headers["etag"]}'}
            again = await ask("GET", path, headers=known)
            assert (again.status_code, again.content) == (304, b"")
            head = await ask("HEAD", path)
            assert (head.status_code, head.content) == (200, b"")

    behind_the_door(database_url, keys, settings, play)


def test_a_file_that_is_not_ours_to_show_is_not_there(database_url: str, keys: Keyring, settings: Settings) -> None:
    async def play(ask: Ask) -> None:
        for name in ("redoc.standalone.js", "../__init__.py", "..%2f__init__.py", "%2e%2e/routes.py", ""):
            answer = await ask("GET", f"/docs/assets/{name}")
            assert answer.status_code == 404, name
            assert answer.headers["content-type"] == "application/problem+json"
        stale = await ask("GET", "/docs/assets/console.js?v=older")
        assert stale.headers["cache-control"] == "no-cache"

    behind_the_door(database_url, keys, settings, play)


@pytest.mark.parametrize(
    ("query", "accepted", "lang"),
    [("", "", "zh"), ("", "en-GB,zh;q=0.5", "en"), ("?lang=zh", "en", "zh"), ("?lang=en", "zh", "en")],
)
def test_the_document_speaks_the_readers_language(
    database_url: str, keys: Keyring, settings: Settings, query: str, accepted: str, lang: str
) -> None:
    async def play(ask: Ask) -> None:
        answer = await ask("GET", f"/openapi.json{query}", headers={"Accept-Language": accepted})
        assert answer.headers["content-language"] == lang
        assert "Accept-Language" in answer.headers["vary"]
        assert answer.json() == document(lang)

    behind_the_door(database_url, keys, settings, play)


def test_an_unknown_language_is_refused(database_url: str, keys: Keyring, settings: Settings) -> None:
    async def play(ask: Ask) -> None:
        answer = await ask("GET", "/openapi.json?lang=xx")
        assert (answer.status_code, answer.json()["code"]) == (422, "unprocessable")
        assert "xx" not in answer.text

    behind_the_door(database_url, keys, settings, play)


def test_the_document_says_rightly_what_needs_no_token(database_url: str, keys: Keyring, settings: Settings) -> None:
    async def play(ask: Ask) -> None:
        wrong = []
        for path, item in document("en")["paths"].items():
            for verb, operation in item.items():
                name = operation["operationId"]
                url = re.sub(r"\{(\w+)\}", lambda one: _named(one[1]), path)
                answer = await ask(verb.upper(), url, json=None if verb in {"get", "delete"} else {})
                is_closed = answer.status_code == 401
                if name in OPEN:
                    is_right = not is_closed
                else:
                    is_right = is_closed if verb == "get" and "{" not in path else answer.status_code >= 400
                if not is_right or str(answer.status_code) not in operation["responses"]:
                    wrong.append(f"{name}: {answer.status_code}")
        assert wrong == []

    behind_the_door(database_url, keys, settings, play)


def _named(parameter: str) -> str:
    return {"code": "330411", "day": "2026-05-01", "key": "some-key-1"}.get(parameter, str(uuid.uuid4()))


def test_the_page_a_log_in_comes_back_to_runs_only_its_own_script(
    database_url: str, keys: Keyring, settings: Settings
) -> None:
    async def play(ask: Ask) -> None:
        page = await ask("GET", "/docs/oauth2-redirect?code=x&state=<script>")
        assert page.status_code == 200
        assert "unsafe" not in page.headers["content-security-policy"]
        assert page.headers["cache-control"] == "no-store"
        assert "state" not in page.text
        assert re.findall(r'(?:src|href)="([^"]+)"', page.text) == ["data:,", "/docs/assets/logged-in.js"]
        assert (await ask("GET", "/docs/assets/logged-in.js")).status_code == 200

    behind_the_door(database_url, keys, settings, play)


def test_clients_are_told_where_staff_log_in(database_url: str, keys: Keyring, settings: Settings) -> None:
    async def play(ask: Ask) -> None:
        told = (await ask("GET", "/.well-known/openid-configuration")).json()
        assert told == (await ask("GET", "/.well-known/oauth-authorization-server")).json()
        assert told["issuer"] == settings.public_url
        assert told["code_challenge_methods_supported"] == ["S256"]
        assert told["grant_types_supported"] == ["authorization_code", "refresh_token"]
        flow = document("en")["components"]["securitySchemes"]["staff"]["flows"]["authorizationCode"]
        for name, url in (("authorization_endpoint", "authorizationUrl"), ("token_endpoint", "tokenUrl")):
            assert told[name] == settings.public_url + flow[url]
        for name in ("authorization_endpoint", "jwks_uri"):
            path = told[name].removeprefix(settings.public_url)
            assert (await ask("GET", path)).status_code in (200, 400), path

    behind_the_door(database_url, keys, settings, play)
