"""The town as several processes on one database: a container a service, or one socket shared by many gateways."""

from __future__ import annotations

import contextlib
import functools
import json
import os
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from shared import revisions
from shared.crypto import Keyring
from tests.cli import commands
from tests.cli.commands import Serving
from tests.town import Resident, Town

RESERVATIONS = "/v1/booking/reservations"
HOLD_SECONDS = 5


@pytest.fixture
def data_dir(database_url: str, tmp_path: Path) -> Path:
    """Where `migrate` has put the keys that all processes share."""
    path = tmp_path / "data"
    assert (
        commands.said("migrate", "--data-dir", path, url=database_url) == f"{revisions.head()} -> {revisions.head()}\n"
    )
    return path


class Door:
    """The way in, for residents."""

    def __init__(self, address: str, keys: Keyring) -> None:
        self.address = address
        self._keys = keys

    @functools.cached_property
    def _issuer(self) -> str:
        found = httpx.get(f"{self.address}/.well-known/openid-configuration", **commands.PLAIN)
        return str(found.json()["issuer"])

    def ask(self, method: str, path: str, who: Resident | None = None, **more: Any) -> httpx.Response:
        key = uuid.uuid4().hex if method == "POST" else None
        headers = who.headers(self._keys, key, self._issuer) if who else {"Accept-Language": "en"}
        return httpx.request(method, self.address + path, headers=headers, **commands.PLAIN, **more)

    def book(self, who: Resident, slot: uuid.UUID) -> httpx.Response:
        return self.ask("POST", RESERVATIONS, who, json={"slot_id": str(slot)})


def is_problem(answer: httpx.Response, status: int) -> bool:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    return True


def test_a_process_a_service_goes_on_without_booking_and_heals_when_it_is_back(  # noqa: PLR0915 - one story
    database_url: str, data_dir: Path, tmp_path: Path
) -> None:
    town = Town(database_url)
    slot, people = town.slot(capacity=100), town.residents(30)

    def process(*words: object, **more: str) -> Serving:
        more |= {"LINLI_HOLD_SECONDS": str(HOLD_SECONDS), "LINLI_POOL_SIZE": "4"}
        return Serving(*words, "--data-dir", data_dir, folder=tmp_path, url=database_url, **more)

    def taken() -> tuple[int, int]:
        return town.all(
            "SELECT s.taken, (SELECT coalesce(sum(units), 0) FROM claims WHERE slot_id = s.id AND is_active)::int "
            "FROM slots s WHERE id = %s",
            slot,
        )[0]

    with contextlib.ExitStack() as stack:
        identity = stack.enter_context(process("serve", "identity", "--port", 0))
        booking = stack.enter_context(process("serve", "booking", "--port", 0))
        worker = stack.enter_context(process("worker"))
        upstreams = {"identity": identity.ready(), "booking": booking.ready()}
        assert identity.out.startswith("ready identity http://127.0.0.1:")
        gateway = stack.enter_context(process("serve", "gateway", "--port", 0, LINLI_UPSTREAMS=json.dumps(upstreams)))
        door = Door(gateway.ready(), commands.keys_of(data_dir))
        worker.ready()

        booked = door.book(people[0], slot)
        assert booked.status_code == 201, booked.text
        assert door.ask("GET", booked.json()["href"], people[0]).json()["state"] == "confirmed"
        commands.eventually(lambda: town.all("SELECT 1 FROM notices WHERE position = 1"))
        assert taken() == (1, 1)

        # Killed while thirty ask for places: each is told 201, or that there is nobody; nobody is told anything else.
        with ThreadPoolExecutor(8) as several:
            asking = [several.submit(door.book, one, slot) for one in people[1:]]
            commands.eventually(lambda: any(one.done() for one in asking))
            booking.kill()
            answers = [one.result() for one in asking]
        assert {one.status_code for one in answers} <= {201, 503}, gateway.err
        made = 1 + sum(one.status_code == 201 for one in answers)

        later = town.residents(2)
        is_problem(door.book(later[0], slot), 503)
        down = door.ask("GET", RESERVATIONS, people[0])
        assert is_problem(down, 503)
        assert int(down.headers["retry-after"]) > 0
        assert door.ask("GET", "/v1/slots").json()["items"][0]["id"] == str(slot)
        assert door.ask("GET", "/v1/identity/me", people[0]).status_code == 200
        assert [one["state"] for one in door.ask("GET", "/v1/claims", people[0]).json()["items"]] == ["confirmed"]
        assert door.ask("GET", "/readyz").status_code == 200

        # A confirmation that was committed and whose answer was lost is a place too, and its asker finds it.
        is_held = "SELECT 1 FROM claims WHERE state = 'held'"
        commands.eventually(lambda: not town.all(is_held), within=HOLD_SECONDS + commands.PATIENCE)
        counted, active = taken()
        assert counted == active >= made
        assert active == town.one("SELECT count(*) FROM reservations")

        port = httpx.URL(upstreams["booking"]).port
        again = stack.enter_context(process("serve", "booking", "--port", port))
        assert again.ready() == upstreams["booking"]
        deadline = time.monotonic() + commands.PATIENCE
        while (healed := door.book(later[1], slot)).status_code == 503 and time.monotonic() < deadline:
            time.sleep(0.05)
        assert healed.status_code == 201, healed.text
        assert taken() == (active + 1, active + 1)
        assert door.ask("DELETE", booked.json()["href"], people[0]).json()["state"] == "released"
        assert taken() == (active, active)
        with ThreadPoolExecutor(4) as several:
            assert list(several.map(Serving.stop, (gateway, identity, again, worker))) == [0] * 4
    assert commands.said("doctor", "--data-dir", data_dir, url=database_url)


def counters(address: str) -> Iterator[float]:
    """How many answers the process that happens to serve has counted, on a new connection each time."""
    while True:
        text = httpx.get(f"{address}/metrics", **commands.PLAIN).text
        yield sum(float(line.split()[-1]) for line in text.splitlines() if line.startswith("linli_requests_total"))


@pytest.mark.skipif(not os.environ.get("LINLI_LONG"), reason="takes ten seconds; LINLI_LONG=1 runs it")
def test_several_workers_end_with_a_parent_that_was_killed(database_url: str, data_dir: Path, tmp_path: Path) -> None:
    words = ("up", "--port", 0, "--workers", 2, "--no-demo", "--data-dir", data_dir)
    with Serving(*words, folder=tmp_path, url=database_url, LINLI_POOL_SIZE="4") as server:
        door = Door(server.ready(), commands.keys_of(data_dir))
        assert door.ask("GET", "/healthz").status_code == 200
        left = server.children()
        server.kill()
        commands.eventually(lambda: not any(map(commands.is_alive, left)))


def test_several_workers_share_a_port_and_one_that_dies_is_replaced(
    database_url: str, data_dir: Path, tmp_path: Path
) -> None:
    town = Town(database_url)
    slot, people = town.slot(), town.residents(2)
    with Serving(
        *("up", "--port", 0, "--workers", 2, "--no-demo", "--data-dir", data_dir),
        folder=tmp_path,
        url=database_url,
        LINLI_POOL_SIZE="4",
    ) as server:
        door = Door(server.ready(), commands.keys_of(data_dir))
        assert door.ask("GET", "/healthz").status_code == 200  # at once: ready is ready
        first, second = server.children()
        booked = door.book(people[0], slot)
        assert booked.status_code == 201, booked.text
        commands.eventually(lambda: town.all("SELECT 1 FROM notices WHERE position = 1"))

        # One process alone would count one more each time; two of them count by themselves.
        count = counters(door.address)
        seen = [next(count)]
        commands.eventually(lambda: seen.append(next(count)) or seen[-1] != seen[-2] + 1)

        first.kill()
        commands.eventually(lambda: first not in server.children() and len(server.children()) == 2)
        assert second in server.children()
        for _ in range(20):
            assert door.ask("GET", f"/v1/slots/{slot}").status_code == 200
        assert door.book(people[1], slot).status_code == 201
        left = server.children()
        assert server.stop() == 0
        assert not any(map(commands.is_alive, left))
        assert "Traceback" not in server.err
    assert commands.said("doctor", "--data-dir", data_dir, url=database_url)
