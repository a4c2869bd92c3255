"""Attacks on the front door: requests hidden in others, ways that lead back, and readers who outstay their power."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from services.gateway.app import Gateway
from shared.crypto import Keyring
from shared.settings import Settings
from tests.gateway import doors
from tests.gateway.test_front import Front, is_problem, opened
from tests.identity.test_outliving import log_in
from tests.partners.town import a_manager, a_system


@pytest.fixture
def front(database_url: str, keys: Keyring, settings: Settings) -> Iterator[Front]:
    with opened(database_url, keys, settings) as made:
        yield made


# ---------------------------------------------------------------- one request in another

HIDDEN = b"GET /healthz HTTP/1.1\r\nHost: town\r\n\r\n"


LENGTHS = (
    b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    b"Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n",
    b"Content-Length: 5\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
    b"Content-Length: 5\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    b"Content-Length: 5\r\nContent-Length: 6\r\n\r\n0\r\n\r\n",
    b"Content-Length: +5\r\n\r\n0\r\n\r\n",
    b"Content-Length: 5\r\nAuthorization: Bearer a\r\n b\r\n\r\n0\r\n\r\n",
    b"Content-Length: 5\r\nAuthorization : Bearer a\r\n\r\n0\r\n\r\n",
)


def test_one_request_hides_no_other(database_url: str, tmp_path: Path) -> None:
    """Whoever stands before the gateway may read the lengths in another way: what is doubtful is refused and closed."""

    def gateway(db: object) -> Gateway:
        return Gateway(db, Keyring.fresh(), doors.demo(tmp_path))  # type: ignore[arg-type]

    with doors.door(database_url, gateway) as address:
        port = httpx.URL(address).port
        assert port is not None
        for head in LENGTHS:
            with socket.create_connection(("127.0.0.1", port), timeout=10) as plain:
                plain.sendall(b"POST /v1/identity/codes HTTP/1.1\r\nHost: town\r\n" + head + HIDDEN)
                heard = b""
                while some := plain.recv(65536):
                    heard += some
            assert heard.count(b"HTTP/1.1 ") == 1, head
            assert heard.startswith(b"HTTP/1.1 400 "), head


# ---------------------------------------------------------------- ways that lead back


@pytest.mark.parametrize("is_apart", [False, True])
def test_a_way_back_in_a_path_leads_nowhere(
    database_url: str, keys: Keyring, settings: Settings, *, is_apart: bool
) -> None:
    """What reads a path further on would shorten it: to an operation that was not looked at here."""
    with contextlib.ExitStack() as stack:
        if is_apart:
            address = stack.enter_context(doors.service_alone("booking", database_url, keys, settings))
            settings = settings.model_copy(update={"upstreams": {"booking": address}})
        front = stack.enter_context(opened(database_url, keys, settings))
        place = f"/v1/booking/facilities/{front.town.place_id}"
        manager = a_manager(front)
        assert front.get(place, manager).status_code == 200
        system = a_system(front, manager, operations=["booking.facilities.read_closure"])
        headers = {"Authorization": f"Bearer {system.told['key']}"}
        for way in ("%2e%2e", "%2E%2e", "%2e%2e%2f", "%2e%2f%2e%2e", "%252e%252e"):
            answer = front.ask("GET", f"{place}/closures/{way}", headers=headers)
            assert answer.status_code in (403, 404, 422), (way, answer.text)
        for way in (
            "/v1/%2e/booking/facilities",
            "/v1/identity/%2e%2e/booking/facilities",
            "/v1/booking/%2e%2e/identity/me",
        ):
            assert is_problem(front.get(way, manager), 404, "not_there"), way
        slot, body = front.town.slot(), {"slot_id": "…"}
        for way in ("/v1/booking/%2e/reservations", "/v1/booking/x/%2e%2e/reservations", "/v1/booking//reservations"):
            body["slot_id"] = str(slot)
            answer = front.ask("POST", way, manager, key="a-way-around", json=body)
            assert answer.status_code in (404, 405), (way, answer.text)
        assert front.taken(slot) == 0


# ---------------------------------------------------------------- a service that hangs up


def test_a_service_that_hangs_up_at_once_is_down_and_the_gateway_not_broken(
    database_url: str, keys: Keyring, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """uvloop's transport of a connection that is gone has no socket, which anyio does not expect."""

    async def hung_up(_transport: object, _request: httpx.Request) -> httpx.Response:
        gone: Any = None
        return gone.getpeername()

    monkeypatch.setattr(httpx.AsyncHTTPTransport, "handle_async_request", hung_up)
    settings = settings.model_copy(update={"upstreams": {"booking": "http://127.0.0.1:9"}})
    with opened(database_url, keys, settings) as front:
        (who,) = front.town.residents()
        answer = front.ask(
            "POST", "/v1/booking/reservations", who, key="hangs-up", json={"slot_id": str(front.town.slot())}
        )
        assert is_problem(answer, 503, "service_down")


# ---------------------------------------------------------------- a day for everybody


def test_the_manager_of_one_place_or_community_closes_no_day_for_everybody(front: Front) -> None:
    """Whoever closes a day takes back what was given out on it, in every place of the town."""
    at_a_place, of_a_community, clerk, manager = front.town.residents(4)
    front.town.appoint(at_a_place, "manager", place_id=front.town.place_id)
    front.town.appoint(of_a_community, "manager", "330411105003")
    front.town.appoint(clerk, "staff")
    front.town.appoint(manager, "manager")
    told = {"kind": "closed", "name": "停电"}
    for who in (at_a_place, of_a_community, clerk):
        assert is_problem(front.ask("PUT", "/v1/days/2026-12-24", who, json=told), 403, "not_allowed")
    assert front.town.one("SELECT count(*) FROM days WHERE date = '2026-12-24'") == 0
    assert front.ask("PUT", "/v1/days/2026-12-24", manager, json=told).json()["kind"] == "closed"
    written = front.town.all("SELECT account_no, action, community, data FROM audit")
    assert written == [(manager.account_no, "days.set", "330411105", {"day": "2026-12-24", "kind": "closed"})]


# ---------------------------------------------------------------- who waits


def overtaken(front: Front, path: str, headers: dict[str, str], take: Callable[[], object]) -> httpx.Response:
    """What a reader hears who waits while something is taken away from them."""

    async def waiting() -> httpx.Response:
        reader = asyncio.create_task(front.client.get(path, headers=headers, timeout=60))
        await asyncio.sleep(0.5)
        assert not reader.done(), (await reader).text
        await asyncio.to_thread(take)
        return await reader

    return front.runner.run(waiting())


@pytest.mark.parametrize("way", ["/v1/notices?wait=4&place={}", "/v1/partners/notices?wait=4"])
def test_who_waits_and_loses_their_role_hears_that_they_may_not(front: Front, way: str) -> None:
    (clerk,) = front.town.residents()
    front.town.appoint(clerk, "staff")
    path = way.format(front.town.place_id)
    answer = overtaken(
        front, path, clerk.headers(front.keys), lambda: front.town.do("UPDATE roles SET ends_at = now()")
    )
    assert is_problem(answer, 403, "not_allowed")


def test_who_waits_with_a_key_that_is_revoked_meanwhile_is_known_no_more(front: Front) -> None:
    manager = a_manager(front)
    system = a_system(front, manager)
    headers = {"Authorization": f"Bearer {system.told['key']}"}
    revoke = "UPDATE partner_keys SET revoked_at = now() WHERE id = %s"
    answer = overtaken(
        front, "/v1/partners/notices?wait=4", headers, lambda: front.town.do(revoke, uuid.UUID(system.id))
    )
    assert is_problem(answer, 401, "not_known")


@pytest.mark.parametrize("path", ["/v1/notices?wait=4", "/v1/partners/notices?wait=4"])
def test_who_waits_and_is_logged_out_meanwhile_is_known_no_more(front: Front, path: str) -> None:
    login = log_in(front, "15400000001")
    front.town.do("INSERT INTO roles (account_no, role, prefix) SELECT no, 'staff', '330411105' FROM accounts")
    headers = {"Authorization": f"Bearer {login['access_token']}"}
    answer = overtaken(front, path, headers, lambda: front.town.do("UPDATE sessions SET revoked_at = now()"))
    assert is_problem(answer, 401, "not_known")


def test_who_waits_and_keeps_what_they_have_is_not_disturbed(front: Front) -> None:
    (clerk,) = front.town.residents()
    front.town.appoint(clerk, "staff")
    for path in (f"/v1/notices?wait=3&place={front.town.place_id}", "/v1/partners/notices?wait=3"):
        assert overtaken(front, path, clerk.headers(front.keys), lambda: None).json()["items"] == []
