"""A login that was ended is over within two seconds, everywhere; and nobody talks past the front door's one look at who asks."""

from __future__ import annotations

import asyncio
import contextlib
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from services.gateway import credentials
from services.gateway import sql as gateway_sql
from shared import assertion
from shared.assertion import Caller, Role
from shared.crypto import Keyring
from shared.db import Tx
from tests.gateway import doors
from tests.gateway.test_front import Front, is_problem, opened
from tests.identity.elsewhere import BAD_MOODS, WeChatServer

PHONE = "15400000001"


@pytest.fixture
def door(database_url: str, tmp_path: Path) -> Iterator[Front]:
    with opened(database_url, Keyring.fresh(), doors.demo(tmp_path)) as front:
        yield front


def log_in(door: Front, phone: str = PHONE) -> dict[str, Any]:
    code = door.ask("POST", "/v1/identity/codes", json={"phone": phone}).json()["demo_code"]
    body = {"provider": "phone", "phone": phone, "code": code}
    answer = door.ask("POST", "/v1/identity/sessions", json=body)
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()
    return found


def bearer(login: dict[str, Any]) -> dict[str, str]:
    return {"Authorization": f"Bearer {login['access_token']}"}


def me(door: Front, login: dict[str, Any]) -> int:
    return door.ask("GET", "/v1/identity/me", headers=bearer(login)).status_code


@pytest.mark.parametrize("how", ["this device", "another device", "everywhere", "a copied token"])
def test_an_access_token_ends_with_its_session_within_two_seconds(door: Front, how: str) -> None:
    mine, other = log_in(door), log_in(door)
    stranger = log_in(door, "15400000002")
    assert [me(door, one) for one in (mine, other, stranger)] == [200, 200, 200]
    session = str(door.parts.credentials.caller(f"Bearer {mine['access_token']}").session_id)
    match how:
        case "this device":
            assert door.ask("DELETE", "/v1/identity/sessions/current", headers=bearer(mine)).status_code == 204
        case "another device":
            assert door.ask("DELETE", f"/v1/identity/sessions/{session}", headers=bearer(other)).status_code == 204
        case "everywhere":
            assert door.ask("DELETE", "/v1/identity/sessions", headers=bearer(mine)).status_code == 204
        case _:
            told = {"refresh_token": mine["refresh_token"]}
            assert door.ask("POST", "/v1/identity/sessions/refresh", json=told).status_code == 200
            door.town.do("UPDATE sessions SET rotated_at = now() - interval '31 seconds' WHERE id = %s", session)
            assert door.ask("POST", "/v1/identity/sessions/refresh", json=told).status_code == 401
    time.sleep(credentials.FACTS_SECONDS)
    for path in ("/v1/identity/me", "/v1/claims", "/v1/slots"):
        assert is_problem(door.ask("GET", path, headers=bearer(mine)), 401, "not_known"), path
    slot = door.town.slot()
    asked = {"slot_id": str(slot)}
    refused = door.ask(
        "POST", doors.RESERVATIONS, json=asked, headers=bearer(mine) | {"Idempotency-Key": uuid.uuid4().hex}
    )
    assert is_problem(refused, 401, "not_known")
    assert me(door, other) == (401 if how == "everywhere" else 200)
    assert me(door, stranger) == 200


def test_the_sessions_that_ended_are_asked_for_once_and_not_for_every_request(
    door: Front, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = 0
    ended = gateway_sql.ended_sessions

    async def counted(tx: Tx, seconds: int) -> frozenset[uuid.UUID]:
        nonlocal asked
        asked += 1
        return await ended(tx, seconds)

    monkeypatch.setattr(gateway_sql, "ended_sessions", counted)
    mine = log_in(door)
    door.parts.credentials._ended_until = 0.0

    async def crowd() -> list[httpx.Response]:
        return await asyncio.gather(*(door.client.get("/v1/slots", headers=bearer(mine)) for _ in range(60)))

    assert {one.status_code for one in door.runner.run(crowd())} == {200}
    assert asked == 1


def test_what_a_caller_says_of_themselves_is_dropped(door: Front) -> None:
    mine = log_in(door)
    boss = Caller(account_id=uuid.uuid4(), account_no=1, name="boss", roles=(Role("administrator", "33"),))
    for key in (door.keys.assertion, b"guessed"):
        signed = assertion.sign(boss, audience="identity", key=key)
        for name in ("X-Linli-Assertion", "x-linli-assertion", "X_Linli_Assertion"):
            answer = door.ask("GET", "/v1/identity/me", headers=bearer(mine) | {name: signed})
            assert answer.json()["account"]["id"] == mine["account"]["id"]
            assert answer.json()["roles"] == []
            assert is_problem(door.ask("GET", "/v1/identity/me", headers={name: signed}), 401, "not_known")


def test_a_header_that_says_who_asks_may_not_come_twice(door: Front) -> None:
    mine, other = log_in(door), log_in(door, "15400000002")

    async def ask(*headers: tuple[str, str]) -> httpx.Response:
        return await door.client.get("/v1/identity/me", headers=list(headers))

    first, second = ((name, value) for login in (mine, other) for name, value in bearer(login).items())
    for pair in ((first, second), (second, first), (first, first)):
        assert is_problem(door.runner.run(ask(*pair)), 400, "unreadable")
    smuggled = ("X-Linli-Assertion", "a")
    assert door.runner.run(ask(first, smuggled, smuggled)).status_code == 200
    assert door.runner.run(ask(first, ("Accept", "a/b"), ("Accept", "c/d"))).status_code == 200


def test_what_is_no_bearer_token_of_ours_is_not_known(door: Front) -> None:
    mine = log_in(door)
    token = mine["access_token"]
    head, body, signature = token.split(".")
    for told in (
        "",
        "Bearer",
        f"Basic {token}",
        f"Bearer {token} {token}",
        f"Bearer {token},Bearer {token}",
        f"Bearer {head}.{body}.",
        f"Bearer eyJhbGciOiJub25lIiwidHlwIjoiYXQrand0In0.{body}.",
        f"Bearer {head}.{body}.{signature[:-4]}AAAA",
        f"Bearer {mine['refresh_token']}",
        "Bearer lk_" + "x" * 40,
    ):
        answer = door.ask("GET", "/v1/identity/me", headers={"Authorization": told})
        assert is_problem(answer, 401, "not_known"), told


@pytest.mark.parametrize("mood", ["sleeps", "error page", "half JSON"])
def test_a_provider_that_is_ill_opens_no_circuit_and_phones_log_in(
    database_url: str, tmp_path: Path, mood: str
) -> None:
    with WeChatServer() as wechat, contextlib.ExitStack() as stack:
        wechat.mood = BAD_MOODS[mood]
        settings = doors.demo(
            tmp_path,
            wechat_appid=wechat.APPID,
            wechat_secret=wechat.SECRET,
            wechat_url=wechat.url,
            provider_seconds=0.3,
        )
        door = stack.enter_context(opened(database_url, Keyring.fresh(), settings))
        for n in range(8):
            refused = door.ask("POST", "/v1/identity/sessions", json={"provider": "wechat", "code": f"c-{n}"})
            assert refused.json()["code"] in ("provider_down", "provider_slow")
            assert refused.json()["other_ways"] == ["phone"]
        log_in(door)
        assert door.ask("GET", "/v1/identity/providers").status_code == 200
