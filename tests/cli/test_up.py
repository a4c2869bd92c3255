"""`linli up`: serves at once, stops cleanly in the middle of a request, and starts again after every kill -9."""

from __future__ import annotations

import http.client
import json
import signal
import socket
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import psycopg
import pytest

from shared import embedded
from tests.cli import commands
from tests.cli.commands import Serving
from tests.conftest import reachable, started_before
from tests.town import Resident, Town

RESERVATIONS = "/v1/booking/reservations"


@pytest.fixture
def folder() -> Iterator[Path]:
    with reachable() as path:
        yield path
        for data_dir in path.iterdir():
            if data_dir.is_dir() and commands.has_postgres(data_dir):
                embedded.stop(embedded.start(data_dir))


def town_of(data_dir: Path) -> tuple[Town, uuid.UUID, list[Resident]]:
    """People and a slot in the database of a running server."""
    town = Town(commands.database_of(data_dir))
    return town, town.slot(capacity=1000), town.residents(200)


def get(address: str, path: str) -> httpx.Response:
    return httpx.get(address + path, headers={"Accept-Language": "en"}, **commands.PLAIN)


class Slow:
    """A booking whose body is half sent. The server has asked for the rest of it, so it is at work on the request."""

    def __init__(self, address: str, headers: dict[str, str], slot: uuid.UUID) -> None:
        url = httpx.URL(address)
        self._body = json.dumps({"slot_id": str(slot)}).encode()
        self._line = socket.create_connection((url.host, url.port or 80), timeout=20)
        told = headers | {
            "Host": "test",
            "Idempotency-Key": uuid.uuid4().hex,
            "Content-Type": "application/json",
            "Content-Length": str(len(self._body)),
            "Expect": "100-continue",
        }
        head = "".join(f"{name}: {value}\r\n" for name, value in told.items())
        self._line.sendall(f"POST {RESERVATIONS} HTTP/1.1\r\n{head}\r\n".encode())
        asked = b""
        while not asked.endswith(b"\r\n\r\n"):
            part = self._line.recv(1)
            assert part, asked
            asked += part
        assert asked.startswith(b"HTTP/1.1 100 "), asked
        self._line.sendall(self._body[:5])

    def finish(self) -> tuple[int, dict[str, object]]:
        """Send the rest; the answer."""
        with self._line:
            self._line.sendall(self._body[5:])
            answer = http.client.HTTPResponse(self._line, method="POST")
            answer.begin()
            with answer:
                return answer.status, json.loads(answer.read())


def is_refused(address: str) -> bool:
    url = httpx.URL(address)
    try:
        socket.create_connection((url.host, url.port or 80), timeout=20).close()
    except ConnectionRefusedError:
        return True
    return False


def stops_in_the_middle_of_a_request(
    server: Serving, address: str, data_dir: Path, slow: Slow, sign: signal.Signals
) -> dict[str, object]:
    """Tell the server to stop while it has a request: nobody new comes in, that one is answered, and nothing is left."""
    server.process.send_signal(sign)
    commands.eventually(lambda: is_refused(address), within=10)
    assert server.code is None
    status, told = slow.finish()
    assert status == 201, told
    assert server.ended() == 0
    assert not commands.has_postgres(data_dir)
    assert not (data_dir / "postgres" / "postmaster.pid").exists()
    assert "Traceback" not in server.err
    return told


def test_a_first_start_answers_and_a_second_one_keeps_the_data(folder: Path) -> None:
    data_dir = folder / "data"
    with Serving("up", "--port", 0, "--no-demo", "--data-dir", data_dir, folder=folder) as first:
        address = first.ready()
        assert first.out.splitlines() == [f"ready {address}"]
        assert address.startswith("http://127.0.0.1:")
        assert get(address, "/healthz").json() == {"status": "alive"}
        ready = get(address, "/readyz")
        assert (ready.status_code, ready.json()["database"], ready.json()["migrations"]) == (200, "ok", "ok")
        assert 'linli_requests_total{service="gateway",status="200"} ' in get(address, "/metrics").text
        provinces = get(address, "/v1/regions").json()["items"]
        assert [one["code"] for one in provinces] == ["33"]
        assert get(address, "/v1/slots").json() == {"items": [], "next": None}
        assert commands.said("doctor", "--data-dir", data_dir).count("ok ") > 10
        other = commands.linli("up", "--port", 0, "--no-demo", "--data-dir", data_dir)
        assert (other.returncode, other.stdout) == (1, "")
        assert other.stderr.splitlines()[-1].startswith("linli: Another process already serves ")
        _, slot, people = town_of(data_dir)
        keys = commands.keys_of(data_dir)
        slow = Slow(address, people[0].headers(keys, issuer=address), slot)
        booked = [stops_in_the_middle_of_a_request(first, address, data_dir, slow, signal.SIGTERM)]

    with Serving("up", "--port", 0, "--no-demo", "--data-dir", data_dir, folder=folder) as second:
        address = second.ready()
        assert commands.keys_of(data_dir).fingerprint() == keys.fingerprint()
        kept = get(address, f"/v1/slots/{slot}").json()
        assert kept["capacity"] - kept["free"] == 1
        slow = Slow(address, people[1].headers(keys, issuer=address), slot)
        booked.append(stops_in_the_middle_of_a_request(second, address, data_dir, slow, signal.SIGINT))
    assert "Preparing the database" in first.err
    assert "Preparing the database" not in second.err  # none is made, nothing is migrated
    assert len({one["group_id"] for one in booked}) == 2
    assert commands.said("doctor", "--data-dir", data_dir)
    assert not commands.has_postgres(data_dir)


@contextmanager
def booking_without_end(address: str, data_dir: Path, slot: uuid.UUID, people: list[Resident]) -> Iterator[list[str]]:
    """One after the other books until nobody answers any more; the groups that were told 201."""
    told: list[str] = []
    keys = commands.keys_of(data_dir)

    def book() -> None:
        with httpx.Client(base_url=address, **commands.PLAIN) as client:
            for one in people:
                try:
                    answer = client.post(
                        RESERVATIONS, json={"slot_id": str(slot)}, headers=one.headers(keys, uuid.uuid4().hex, address)
                    )
                except httpx.TransportError:
                    return
                if answer.status_code == 201:
                    told.append(answer.json()["group_id"])

    threads = [threading.Thread(target=book)]
    for one in threads:
        one.start()
    try:
        commands.eventually(lambda: len(told) >= 5 or not any(one.is_alive() for one in threads))
        assert told
        yield told
    finally:
        for one in threads:
            one.join(commands.PATIENCE)


def confirmed(town: Town) -> set[str]:
    return {str(row[0]) for row in town.all("SELECT group_id FROM claims WHERE state = 'confirmed'")}


def test_a_kill_loses_nothing_that_was_answered_and_the_next_start_recovers(folder: Path, cluster: Path) -> None:
    data_dir = started_before(folder / "data", cluster)
    up = ("up", "--port", 0, "--no-demo", "--data-dir", data_dir)
    with Serving(*up, folder=folder) as first:
        address = first.ready()
        town, slot, people = town_of(data_dir)
        with booking_without_end(address, data_dir, slot, people[:100]) as told:
            first.kill()
        assert commands.has_postgres(data_dir)  # it goes on by itself, and is found by the next
        assert commands.said("doctor", "--data-dir", data_dir)

    with Serving(*up, folder=folder) as second:
        address = second.ready()
        assert set(told) <= confirmed(town)
        with booking_without_end(address, data_dir, slot, people[100:]) as told_later:
            everybody = [second.process, *commands.postgres(data_dir)]
            commands.kill(everybody)
        assert not commands.has_postgres(data_dir)

    with Serving(*up, folder=folder) as third:
        address = third.ready()
        assert {*told, *told_later} <= confirmed(town)
        assert get(address, "/readyz").status_code == 200
        assert commands.said("doctor", "--data-dir", data_dir)
        assert third.stop() == 0
    assert not commands.has_postgres(data_dir)


@pytest.mark.parametrize("sign", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "SIGINT"])
def test_a_start_that_is_called_off_leaves_nothing_running(folder: Path, cluster: Path, sign: signal.Signals) -> None:
    data_dir = started_before(folder / "data", cluster)
    with Serving("up", "--port", 0, "--no-demo", "--data-dir", data_dir, folder=folder) as server:
        commands.eventually(lambda: "Preparing the database\n" in server.err or server.code is not None)
        assert server.stop(sign) == 128 + sign
    assert server.out == ""
    assert "Traceback" not in server.err
    assert not commands.has_postgres(data_dir)
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(embedded.Embedded(data_dir, data_dir / "run", Path(), started_here=False).url())
