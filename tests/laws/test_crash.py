"""kill -9 in the middle of a rush: whoever heard 201 has the place, and nothing else was lost or given twice."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path

import httpx
import psycopg
import pytest

from shared import crypto, embedded
from tests.cli import commands
from tests.cli.commands import Serving
from tests.conftest import reachable, run
from tests.laws.asking import show, until, wrong
from tests.town import Resident, Town

LONG = bool(os.environ.get("LINLI_LONG"))
CAPACITY = 12
SLOTS = 3
CROWD = 60


@pytest.fixture
def data_dir() -> Iterator[Path]:
    with reachable() as folder:
        yield folder


class Served:
    """`linli up` in a process of its own."""

    def __init__(self, data_dir: Path, database_url: str | None) -> None:
        self._data_dir = data_dir
        self._database_url = database_url
        self._process: Serving | None = None
        self.url = ""

    @property
    def is_up(self) -> bool:
        return self._process is not None

    def start(self) -> None:
        words = ("up", "--port", 0, "--no-demo", "--data-dir", self._data_dir)
        self._process = Serving(*words, folder=self._data_dir, url=self._database_url)
        self.url = self._process.ready()

    def kill(self) -> None:
        """Kill it with -9, and the embedded PostgreSQL with it."""
        assert self._process is not None
        beside = commands.postgres(self._data_dir) if self._database_url is None else []
        commands.kill([self._process.process, *beside])
        self._process = None

    def stop(self) -> None:
        if self._process is not None:
            self._process.stop()
            self._process = None


class Rush:
    """People who all want a place in one of a few slots, and what they heard."""

    def __init__(self, town: Town, keys: crypto.Keyring, rng: random.Random, hour: int) -> None:
        self._town = town
        self._keys = keys
        self.slots = [town.slot(hour, capacity=CAPACITY) for _ in range(SLOTS)]
        self.wishes = [(who, rng.choice(self.slots), uuid.uuid4().hex) for who in town.residents(CROWD)]
        self.heard_201: dict[str, dict[str, object]] = {}
        self.answers: dict[str, int] = {}

    async def go(self, url: str, *, crash: Callable[[], Awaitable[None]] | None = None) -> None:
        """Everybody asks at once; returns when all have an answer or none."""
        limits = httpx.Limits(max_connections=30)
        async with httpx.AsyncClient(base_url=url, timeout=30, limits=limits, trust_env=False, verify=False) as client:
            everybody = asyncio.gather(*(self._ask(client, *wish) for wish in self.wishes))
            if crash is not None:
                await crash()
            await everybody

    async def _ask(self, client: httpx.AsyncClient, who: Resident, slot: uuid.UUID, key: str) -> None:
        try:
            answer = await client.post(
                "/v1/booking/reservations",
                json={"slot_id": str(slot)},
                headers=who.headers(self._keys, key, str(client.base_url).rstrip("/")),
            )
        except httpx.HTTPError:
            return
        self.answers[key] = answer.status_code
        if answer.status_code == 201:
            self.heard_201[key] = answer.json()


def made_of(town: Town, rush: Rush) -> dict[str, tuple[uuid.UUID, str]]:
    """What the ledger knows of each key: the reservation's id and the claim's state."""
    rows = town.all(
        "SELECT a.key, c.resource_id, c.state FROM asks a JOIN claims c ON c.group_id = a.group_id WHERE a.key = ANY(%s)",
        [key for _, _, key in rush.wishes],
    )
    return {key: (resource_id, state) for key, resource_id, state in rows}


def assert_nobody_is_wronged(town: Town, rush: Rush) -> None:
    known = made_of(town, rush)
    for key, told in rush.heard_201.items():
        assert (str(known[key][0]), known[key][1]) == (told["id"], "confirmed")
    assert town.all("SELECT id FROM slots WHERE taken > capacity") == []


async def a_moment(rush: Rush, url: str, n: int, rng: random.Random) -> None:
    """Somewhere in a rush: somebody has a hold, is confirmed, has heard so; or any time at all."""
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as watcher:

        async def is_seen(state: str) -> bool:
            found = await watcher.execute(
                "SELECT FROM claims WHERE slot_id = ANY(%s) AND state = %s", [rush.slots, state]
            )
            return found.rowcount > 0

        wanted = rng.randrange(1, 25)
        moments: list[Callable[[], bool | Awaitable[bool]]] = [
            lambda: is_seen("held"),
            lambda: len(rush.heard_201) >= wanted,
            lambda: is_seen("confirmed"),
        ]
        if n % 4 < len(moments):
            await until(moments[n % 4], seconds=30)
        else:
            await asyncio.sleep(rng.uniform(0.05, 0.6))


async def crashes(town: Town, served: Served, keys: crypto.Keyring, *, rounds: int, seed: int) -> str:
    rng = random.Random(seed)
    heard = lost = held = 0
    for n in range(rounds):
        rush = Rush(town, keys, rng, hour=8 + n % 12)

        async def crash(rush: Rush = rush, n: int = n) -> None:
            await a_moment(rush, town.url, n, rng)
            served.kill()

        await rush.go(served.url, crash=crash)
        heard += len(rush.heard_201)
        await database_is_back(served, town)
        assert_nobody_is_wronged(town, rush)
        unheard = {key for key, (resource_id, _) in made_of(town, rush).items() if resource_id} - rush.heard_201.keys()
        lost += len(unheard)
        # Time goes by: what was held when the process died is over. A process that starts sweeps it, and so does the
        # arbiter of one that runs.
        with town.connect() as c:
            held += c.execute("UPDATE claims SET held_until = now() - interval '1 s' WHERE state = 'held'").rowcount
            c.execute("UPDATE slots SET next_lapse = now() - interval '1 s' WHERE next_lapse IS NOT NULL")
        if not served.is_up:
            served.start()
            assert town.one("SELECT count(*) FROM claims WHERE state = 'held'") == 0

        # Everybody asks again with the same key: who was booked hears so, the others get what is left.
        await rush.go(served.url)
        assert unheard <= rush.heard_201.keys()
        assert set(rush.answers.values()) <= {201, 409}
        assert town.one("SELECT count(*) FROM claims WHERE state = 'held'") == 0
        assert_nobody_is_wronged(town, rush)
        wanted = {slot: sum(one[1] == slot for one in rush.wishes) for slot in rush.slots}
        for slot in rush.slots:
            assert town.one("SELECT taken FROM slots WHERE id = %s", slot) == min(CAPACITY, wanted[slot])
        assert await wrong(town.url) == {}
    return f"{rounds}; {heard} had heard 201, {lost} were booked and had not heard it, {held} holds were left behind"


async def database_is_back(served: Served, town: Town) -> None:
    """With its database killed as well, only a restart brings it back."""
    if served._database_url is None:
        served.start()
        return

    async def alone() -> bool:
        return not town.one(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() "
            "AND backend_type = 'client backend'"
        )

    await until(alone)  # the dead process's sessions have ended, and what they were doing is rolled back


@contextlib.asynccontextmanager
async def serving(data_dir: Path, database_url: str | None) -> AsyncIterator[Served]:
    served = Served(data_dir, database_url)
    served.start()
    try:
        yield served
    finally:
        served.stop()


def test_a_killed_process_loses_nobodys_place(database_url: str, data_dir: Path) -> None:
    town = Town(database_url)

    async def killed() -> None:
        async with serving(data_dir, database_url) as served:
            keys = crypto.load_or_create(data_dir / "keys.json", may_create=False)
            show("crashes", await crashes(town, served, keys, rounds=24 if LONG else 2, seed=4))

    run(killed())


def test_a_killed_machine_loses_nobodys_place(data_dir: Path) -> None:
    """The process, and the embedded PostgreSQL with it."""

    async def killed() -> None:
        async with serving(data_dir, None) as served:
            beside = embedded.running(data_dir)
            assert beside is not None
            keys = crypto.load_or_create(data_dir / "keys.json", may_create=False)
            town = Town(beside.url())
            show("crashes", await crashes(town, served, keys, rounds=6 if LONG else 1, seed=5))

    run(killed())
