"""What partners are promised, under pressure: nothing lost, whoever is killed when. LINLI_LONG=1 takes its time."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import subprocess
import sys
import time
import uuid
from pathlib import Path
from typing import Any

import pytest

from services.gateway import tasks
from shared import crypto, notices
from shared.db import Database, Tx
from shared.notices import Notice
from shared.settings import Settings
from tests.conftest import connected
from tests.gateway.test_front import Front, examined, opened
from tests.partners.sink import Sink, says
from tests.partners.town import a_system, an_endpoint, announce, due_now, push
from tests.town import COMMUNITY

ROOT = Path(__file__).resolve().parents[2]
LONG = bool(os.environ.get("LINLI_LONG"))
SECONDS = 30 if LONG else 3
ROUNDS = 20 if LONG else 2
ENOUGH = 400
"""Facts at least, however slow the machine is."""
WRITERS = 16


class GoneWrong(Exception):
    """What was announced never happened."""


async def _facts(tx: Tx, subjects: list[uuid.UUID], pause: float, *, goes_wrong: bool) -> None:
    await notices.announce(tx, [Notice("test.fact.came", COMMUNITY, one, (), {}) for one in subjects])
    await asyncio.sleep(pause)
    if goes_wrong:
        raise GoneWrong


async def _write(db: Database, until: float, committed: set[uuid.UUID], seed: int) -> None:
    rng = random.Random(seed)
    while time.monotonic() < until or len(committed) < ENOUGH:
        subjects = [uuid.uuid4() for _ in range(rng.randrange(1, 4))]
        try:
            await db.run(_facts, subjects, rng.choice((0, 0, 0.005, 0.05)), goes_wrong=rng.random() < 0.1)
        except GoneWrong:
            continue
        committed.update(subjects)


async def _by_number(tx: Tx, cursor: int) -> list[Any]:
    return await tx.fetch("SELECT no, subject FROM notices WHERE no > $1 ORDER BY no", cursor)


class Readers:
    """Everybody who reads while the writers write, each in their own way."""

    def __init__(self, front: Front) -> None:
        self.front = front
        self.headers = {"Authorization": f"Bearer {a_system(front).told['key']}"}
        self.over = asyncio.Event()
        self.polled: list[tuple[int, str]] = []
        self.leased: list[tuple[int, str]] = []
        self.naive: set[uuid.UUID] = set()

    async def ask(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        answer = await self.front.client.request(
            method, f"/v1/partners/{path}", headers=self.headers, json=body, timeout=60
        )
        assert answer.status_code in (200, 201), answer.text
        found: dict[str, Any] = answer.json()
        return found

    async def relay(self) -> None:
        while not self.over.is_set():
            await tasks.stamp_notices(self.front.parts)
            await asyncio.sleep(0.02)

    async def poller(self) -> None:
        after = 0
        while True:
            ended = self.over.is_set()
            page = await self.ask("GET", f"notices?after={after}&limit=50&wait=1")
            self.polled.extend((one["position"], one["subject"]) for one in page["items"])
            after = page["next"]
            if ended and page["done"] and not page["items"]:
                return
            await asyncio.sleep(0.03)

    async def consumer(self) -> None:
        rng = random.Random(5)
        await self.ask("PUT", "consumers/all", {})
        while True:
            ended = self.over.is_set()
            lent = await self.ask("POST", "consumers/all/lease", {"limit": 40})
            items = lent["items"]
            if ended and not items:
                return
            while items:
                some = rng.randrange(1, len(items) + 1)
                dealt_with = {"lease": lent["lease"], "position": items[some - 1]["position"]}
                await self.ask("POST", "consumers/all/commit", dealt_with)
                self.leased.extend((one["position"], one["subject"]) for one in items[:some])
                items = items[some:]
            await asyncio.sleep(0.05)

    async def careless(self, db: Database) -> None:
        """The control: on behind the highest number that was seen."""
        cursor = 0
        while not self.over.is_set():
            for row in await db.read(_by_number, cursor):
                cursor = row["no"]
                self.naive.add(uuid.UUID(str(row["subject"])))
            await asyncio.sleep(0.002)

    async def while_writers_write(self) -> set[uuid.UUID]:
        committed: set[uuid.UUID] = set()
        async with connected(self.front.town.url, role="linli_gateway", pool_size=WRITERS + 2) as db:
            ways = (self.relay(), self.poller(), self.consumer(), self.careless(db))
            readers = [asyncio.create_task(one) for one in ways]
            until = time.monotonic() + SECONDS
            await asyncio.gather(*(_write(db, until, committed, seed) for seed in range(WRITERS)))
            await asyncio.sleep(0.2)
            while await tasks.stamp_notices(self.front.parts):
                pass
            self.over.set()
            await asyncio.gather(*readers)
        return committed


def test_polling_loses_nothing_while_sixteen_writers_commit_out_of_order_and_the_naive_cursor_does(
    front: Front,
) -> None:
    front.gateway._accounts.rate = front.gateway._accounts.burst = 100_000  # readers in a hurry
    readers = Readers(front)
    committed = front.runner.run(readers.while_writers_write())
    assert len(committed) >= ENOUGH
    for read in (readers.polled, readers.leased):
        assert [position for position, _ in read] == list(range(1, len(committed) + 1)), "in order, each once, no gap"
        assert {subject for _, subject in read} == {str(one) for one in committed}
    assert committed - readers.naive, "the control must lose something, or this shows nothing"
    assert examined(front) == []


def test_whoever_is_killed_every_endpoint_hears_of_everything_and_of_nothing_else(
    database_url: str, tmp_path: Path, sink: Sink
) -> None:
    settings = Settings(data_dir=tmp_path, demo=True, partner_networks=("127.0.0.0/8",))
    keys = crypto.load_or_create(settings.keys_file, may_create=True)
    rng, paths = random.Random(7), ("/one", "/two", "/three")

    def slowly(handler: Any, heard: Any) -> None:
        time.sleep(0.02)
        says(200)(handler, heard)

    with opened(database_url, keys, settings) as front:
        system = a_system(front)
        for path in paths:
            ordering = "strict" if path == "/three" else "best_effort"
            an_endpoint(front, system, sink.url(path), types=["test.fact.*"], ordering=ordering)
        sink.behaviours |= dict.fromkeys(paths, slowly)
        committed: set[str] = set()
        for _ in range(ROUNDS):
            sender = subprocess.Popen(
                [sys.executable, "-m", "tests.partners.sender", database_url, str(tmp_path)],
                cwd=ROOT,
                stdout=subprocess.PIPE,
                text=True,
            )
            assert sender.stdout is not None
            assert sender.stdout.readline() == "sending\n"
            for _ in range(4):
                committed |= {str(one) for one in announce(front, 15)}
                announce(front, 2, "test.other.came")
                with pytest.raises(GoneWrong):
                    front.runner.run(front.parts.db.run(_facts, [uuid.uuid4()], 0, goes_wrong=True))
                time.sleep(rng.random() * 0.2)
            os.kill(sender.pid, signal.SIGKILL)
            sender.wait(10)
            sender.stdout.close()
            front.town.do("DELETE FROM procrastinate_jobs")
            due_now(front)  # a minute goes by
        push(front, seconds=5, most_seconds=60)
        heard = {path: {one.told["subject"] for one in sink.notices(path)} for path in paths}
        assert heard == dict.fromkeys(paths, committed)
        assert front.town.one("SELECT count(*) FROM deliveries WHERE state <> 'delivered'") == 0
        strict = [one.told["position"] for one in sink.notices("/three")]
        first_times = list(dict.fromkeys(strict))
        assert first_times == sorted(first_times), "strict order, also over deaths"
        assert examined(front) == []


def test_losing_all_jobs_and_the_process_that_sends_loses_no_notice(front: Front, sink: Sink) -> None:
    """In one process: a drain that is cancelled amid its calls is done again by the next."""
    from services.partners import tasks as partners  # noqa: PLC0415
    from tests.partners.town import context  # noqa: PLC0415

    system = a_system(front)
    an_endpoint(front, system, sink.url("/one"))
    committed = {str(one) for one in announce(front, 60)}

    async def cut_short(seconds: float) -> None:
        await partners.fan_out(context(front))
        sending = asyncio.create_task(partners.drain(context(front)))
        await asyncio.sleep(seconds)
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)

    for n in range(ROUNDS):
        front.runner.run(cut_short(0.02 * (n + 1)))
        due_now(front)
    push(front)
    assert {one.told["subject"] for one in sink.notices()} == committed
    assert examined(front) == []
