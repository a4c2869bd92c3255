"""`script/bench`: every figure a ratio, measured in the same run on the same machine.

a  FastAPI hello-world under the same server and load
b  pgbench with the plain two-statement booking transaction: over 1,000 slots, and on one hot slot
c  refusals on a full slot ÷ a
d  confirmed bookings through gateway and service, over 1,000 slots and distinct residents ÷ b(spread)
e  the same on one hot slot ÷ b(hot)
f  availability of one facility's week ÷ a
g  d with 1,000,000 old claims in the tables ÷ d in a town without them, in turn
h  memory of the whole town, in MB
i  meals ordered, j visits to children's rooms booked, k registrations for events made: each ÷ d, measured just before
l  deliveries a second to a local sink, m notices a second polled by one reader
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from statistics import median
from typing import Any
from urllib.parse import unquote

import psycopg
from psycopg.types.json import Jsonb
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks import partners, services
from benchmarks.load import CONNECTIONS, Load, Request, generator, load
from shared import clock, crypto, embedded, tokens
from shared.crypto import Keyring

RESIDENTS = 8_000
"""Residents who book in (d), several times each and never two places at a time."""
TIMES, COURTS = 50, 20
PGBENCH_CLIENTS = 16

AIMS = {"c": 0.8, "d": 0.25, "e": 1.0, "f": 0.2, "g": 0.9, "h": 400.0, "i": 0.8, "j": 0.8, "k": 0.8}

CLAIMS = "/v1/booking/reservations"

WHATS = {
    "a": "FastAPI hello-world /s",
    "b spread": f"pgbench, 1,000 slots, {PGBENCH_CLIENTS} clients, tx/s",
    "b hot": f"pgbench, one slot, {PGBENCH_CLIENTS} clients, tx/s",
    "c": "refusals on a full slot /s ÷ a",
    "d": "bookings over 1,000 slots /s ÷ b spread",
    "e": "bookings on one hot slot /s ÷ b hot",
    "f": "availability of a facility's week /s ÷ a",
    "g": "d with old claims /s ÷ d without, in turn",
    "h": "memory of the whole town, MB (PSS)",
    "i": "meals ordered /s ÷ d just before",
    "j": "visits booked /s ÷ d just before",
    "k": "registrations made /s ÷ d just before",
    "l": "deliveries to a local sink /s",
    "m": "notices polled by one reader /s",
}

PGBENCH = """
\\set slot random(1, {slots})
\\set person random(1, 1000000)
BEGIN;
UPDATE plain_slots SET taken = taken + 1 WHERE id = :slot AND taken < capacity;
INSERT INTO plain_bookings (slot_id, person) VALUES (:slot, :person);
COMMIT;
"""


@dataclass
class Town:
    """A served town, made for measuring."""

    base: str
    url: str
    keys: Keyring
    pids: list[int]
    people: list[tuple[uuid.UUID, int, uuid.UUID, int]]
    slots: list[uuid.UUID]
    week: uuid.UUID
    issued: dict[int, str] = field(default_factory=dict)

    def token(self, n: int) -> str:
        """The token of one resident, always the same."""
        if n not in self.issued:
            self.issued[n] = self._issue(n)
        return self.issued[n]

    def _issue(self, n: int) -> str:
        person_id, holder_no, account_id, account_no = self.people[n]
        return tokens.issue(
            self.keys,
            account_id=account_id,
            account_no=account_no,
            person_id=person_id,
            holder_no=holder_no,
            name="居民",
            session_id=None,
            seconds=7200,
            issuer=self.base,
        )


@contextlib.contextmanager
def listening() -> Iterator[socket.socket]:
    """A socket on a free port."""
    with socket.socket() as made:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind(("127.0.0.1", 0))
        made.set_inheritable(True)
        yield made


@contextlib.contextmanager
def hello() -> Iterator[str]:
    """FastAPI's hello-world, served as the town is."""
    with listening() as made:
        port = made.getsockname()[1]
        process = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("hello.py")), str(made.fileno())],
            pass_fds=(made.fileno(),),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            _until_answers(port)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()
            process.wait(10)


def _until_answers(port: int) -> None:
    for _ in range(600):
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1) as connection:
            connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            if connection.recv(16):
                return
        time.sleep(0.05)
    raise RuntimeError("the server does not answer")


@contextlib.contextmanager
def served_town(residents: int, workers: int) -> Iterator[Town]:
    """`linli up` on a new embedded database in a folder of its own, with residents and slots to book."""
    folder = Path(tempfile.mkdtemp(prefix="linli-bench-"))
    folder.chmod(0o755)
    environment = {
        **os.environ,
        "LINLI_ADDRESS_RATE": "1000000",
        "LINLI_ADDRESS_BURST": "1000000",
        "LINLI_ACCOUNT_RATE": "1000000",
        "LINLI_ACCOUNT_BURST": "1000000",
        "LINLI_PARTNER_NETWORKS": '["127.0.0.0/8"]',
    }
    environment.pop("DATABASE_URL", None)
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "services.cli", "up", "--no-demo", "--port", "0"),
            *("--data-dir", str(folder), "--workers", str(workers)),
        ],
        cwd=Path(__file__).parents[1],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        base = ""
        for line in process.stdout or ():
            if line.startswith("ready "):
                base = line.split()[1]
                break
        if not base:
            raise RuntimeError("the town did not start")
        database = embedded.running(folder)
        if database is None:
            raise RuntimeError("the database is gone")
        keys = crypto.load_or_create(folder / "keys.json", may_create=False)
        people, slots, week = _fill(database.url(), residents)
        yield Town(base, database.url(), keys, [process.pid], people, slots, week)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)
        shutil.rmtree(folder, ignore_errors=True)


def _fill(url: str, residents: int) -> tuple[list[Any], list[uuid.UUID], uuid.UUID]:
    place, week, policy, week_policy = uuid.uuid4(), uuid.uuid4(), uuid.uuid4(), uuid.uuid4()
    with psycopg.connect(url) as c:
        c.execute(
            "INSERT INTO regions (code, name, level, parent_code) VALUES ('33', '浙江省', 'province', NULL) "
            "ON CONFLICT DO NOTHING"
        )
        for one, its_policy in ((place, policy), (week, week_policy)):
            c.execute(
                "INSERT INTO places (id, service, kind, name, community) VALUES (%s, 'booking', 'court', %s, '33')",
                (one, one.hex),
            )
            c.execute(
                "INSERT INTO policies (id, place_id, version, body) VALUES (%s, %s, 1, %s)",
                (its_policy, one, Jsonb({"limits": {"per_day": 50, "per_week": 500}})),
            )
        people = c.execute(
            """
            WITH h AS (
                INSERT INTO holders (id, kind, name, community, born, level)
                SELECT gen_random_uuid(), 'person', '居民', '33', '1980-01-01', 2 FROM generate_series(1, %s) RETURNING id, no
            ), p AS (
                INSERT INTO persons (id, name, born, community, level) SELECT id, '居民', '1980-01-01', '33', 2 FROM h
            ), a AS (
                INSERT INTO accounts (person_id, name) SELECT id, '居民' FROM h RETURNING id, no, person_id
            )
            SELECT h.id, h.no, a.id, a.no FROM h JOIN a ON a.person_id = h.id ORDER BY h.no
            """,
            (residents,),
        ).fetchall()
        slots = [
            _slot(c, place, policy, clock.now() + timedelta(hours=24 + t)) for t in range(TIMES) for _ in range(COURTS)
        ]
        monday = clock.at(clock.today() + timedelta(days=1), datetime.min.time())
        for day in range(7):
            for hour in range(14):
                _slot(c, week, week_policy, monday + timedelta(days=day, hours=7 + hour), capacity=30)
    return people, slots, week


def _slot(c: Any, place: uuid.UUID, policy: uuid.UUID, starts: datetime, capacity: int = 1_000_000) -> uuid.UUID:
    slot_id = clock.uuid7()
    c.execute(
        "INSERT INTO slots (id, service, place_id, policy_id, community, title, starts_at, ends_at, closes_at, capacity) "
        "VALUES (%s, 'booking', %s, %s, '33', 'bench', %s, %s, %s, %s)",
        (slot_id, place, policy, starts, starts + timedelta(minutes=50), starts, capacity),
    )
    return slot_id


def _body(slot: uuid.UUID) -> str:
    return json.dumps({"slot_id": str(slot)}, separators=(",", ":"))


def spread(town: Town, first: int, count: int) -> list[Request]:
    """Bookings of (d): the n-th resident's k-th booking is at time (k + n) mod TIMES, so nobody is in two places."""
    made = [town.token(n) for n in range(RESIDENTS)]
    requests = []
    for n in range(first, first + count):
        k, r = divmod(n, RESIDENTS)
        slot = town.slots[((k + r) % TIMES) * COURTS + r % COURTS]
        requests.append(Request(made[r], f"bench-{n}", _body(slot)))
    return requests


def open_app(town: Town, requests: list[Request]) -> None:
    """Every token of these is seen once by a serving process, however long that takes."""
    seconds = 2.0
    while load(town.base, "GET", "/healthz", requests, seconds).requests < len(requests) + 2 * CONNECTIONS:
        seconds *= 2


def hot(town: Town, first: int, count: int, slot: uuid.UUID) -> list[Request]:
    """Bookings of (e): everybody once, on one slot."""
    return [Request(town.token(n), f"hot-{n}", _body(slot)) for n in range(first, first + count)]


def pgbench(url: str, slots: int, seconds: int) -> float:
    """Transactions a second of the plain way."""
    with psycopg.connect(url, autocommit=True) as c:
        c.execute("DROP TABLE IF EXISTS plain_bookings")
        c.execute("DROP TABLE IF EXISTS plain_slots")
        c.execute("CREATE TABLE plain_slots (id int PRIMARY KEY, capacity int NOT NULL, taken int NOT NULL DEFAULT 0)")
        c.execute(
            "CREATE TABLE plain_bookings (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, "
            "slot_id int NOT NULL REFERENCES plain_slots, person bigint NOT NULL, UNIQUE (slot_id, person, id))"
        )
        c.execute(f"INSERT INTO plain_slots SELECT n, 100000000 FROM generate_series(1, {slots}) n")
    with tempfile.NamedTemporaryFile("w", suffix=".sql") as script:
        script.write(PGBENCH.format(slots=slots))
        script.flush()
        host = re.search(r"host=([^&]+)", url)
        told = subprocess.run(
            [
                *(
                    str(embedded.programs() / "pgbench"),
                    "-n",
                    "-c",
                    str(PGBENCH_CLIENTS),
                    "-j",
                    "2",
                    "-T",
                    str(seconds),
                ),
                *("-f", script.name, "-h", unquote(host.group(1) if host else ""), "-U", "linli", "linli"),
            ],
            capture_output=True,
            text=True,
            check=True,
        ).stdout
    match = re.search(r"tps = ([\d.]+)", told)
    return float(match.group(1)) if match else 0.0


def old_claims(url: str, count: int) -> None:
    """So many attended claims of the past year."""
    with psycopg.connect(url) as c:
        c.execute(
            """
            WITH made AS (
                INSERT INTO slots (id, service, place_id, policy_id, community, title, starts_at, ends_at, closes_at,
                                   capacity, taken)
                SELECT gen_random_uuid(), 'booking', s.place_id, s.policy_id, s.community, 'old',
                       now() - make_interval(hours => 24 + n), now() - make_interval(hours => 24 + n) + interval '50 minutes',
                       now() - make_interval(hours => 24 + n), 1000, 1000
                FROM generate_series(1, %s / 1000) n, (SELECT * FROM slots WHERE title = 'bench' LIMIT 1) s
                RETURNING id, place_id, starts_at, ends_at
            ), people AS (SELECT no, row_number() OVER (ORDER BY no) AS n FROM holders)
            INSERT INTO claims (id, group_id, slot_id, holder_no, account_no, community, service, place_id, starts_at,
                                ends_at, units, channel, state, is_active, is_exclusive, resource_id)
            SELECT gen_random_uuid(), gen_random_uuid(), made.id, people.no, 1, '33', 'booking', made.place_id,
                   made.starts_at, made.ends_at, 1, 'app', 'attended', true, true, gen_random_uuid()
            FROM made JOIN people ON people.n <= 1000
            """,
            (count,),
        )
    with psycopg.connect(url, autocommit=True) as c:
        c.execute("VACUUM ANALYZE claims")
        c.execute("VACUUM ANALYZE slots")
        c.execute("CHECKPOINT")  # what a year has written is not to be written out during the next seconds


def memory_mb(pids: list[int], url: str) -> float:
    """Proportional memory (PSS) of the serving processes and of the database, in MB; nan where it cannot be read."""
    with psycopg.connect(url) as c:
        row = c.execute("SELECT pg_backend_pid()").fetchone()
        backend = row[0] if row else 0
        parent = int(Path(f"/proc/{backend}/stat").read_text().rsplit(")", 1)[1].split()[1])
        total = 0
        for pid in {*_tree(parent), *(p for one in pids for p in _tree(one))}:
            with contextlib.suppress(OSError):
                match = re.search(r"^Pss:\s+(\d+)", Path(f"/proc/{pid}/smaps_rollup").read_text(), re.MULTILINE)
                total += int(match.group(1)) if match else 0
    return total / 1024


def _tree(pid: int) -> set[int]:
    found = {pid}
    with contextlib.suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            for child in (task / "children").read_text().split():
                found |= _tree(int(child))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(prog="script/bench", description=__doc__)
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.add_argument("--seconds", type=int, default=2, help="length of each load")
    parser.add_argument("--rounds", type=int, default=9, help="how often each pair is measured; medians count")
    parser.add_argument("--workers", type=int, default=1, help="serving processes")
    parser.add_argument("--only", default="acdefghijklm", help="letters of the lines to measure")
    parser.add_argument("--old-claims", type=int, default=1_000_000, help="claims of the past for (g)")
    told = parser.parse_args()
    figures = measure(told)
    if told.json:
        print(json.dumps(figures, indent=2))
        return
    table = Table(
        "line", "what", "measured", "ratio", "aim", title=f"load by {figures['load_generator']}, {CONNECTIONS} clients"
    )
    for line in figures["lines"]:
        aim = line.get("aim")
        table.add_row(
            line["line"], line["what"], line["measured"], line.get("ratio", ""), "" if aim is None else str(aim)
        )
    Console().print(table)


class Run:
    """The figures of one run, line by line; ratios are taken pair by pair, so that a noisy machine spoils none.

    Many short pairs tell more than few long ones: what disturbs a machine rarely lasts as long as half of them.
    """

    def __init__(self, told: argparse.Namespace, town: Town, greeting: str = "") -> None:
        self.told = told
        self.town = town
        self.greeting = greeting
        self.raw: dict[str, list[float]] = {}
        self.ratios: dict[str, list[float]] = {}
        self.latencies: list[tuple[float, float]] = []
        self.booked = 0
        self.claimed: dict[str, int] = {}
        self.hot_slots = 0

    def add(self, name: str, value: float, base: float | None = None) -> None:
        """One more measurement, and its ratio to what was measured just before."""
        self.raw.setdefault(name, []).append(value)
        if base:
            self.ratios.setdefault(name, []).append(value / base)

    def warm_up(self) -> None:
        """Everybody has opened the app before: their tokens are known to the gateway."""
        if self.greeting:
            load(self.greeting, "GET", "/", [Request()], 2)
        open_app(self.town, [Request(self.town.token(n)) for n in range(RESIDENTS)])
        self.book(2)

    def book(self, seconds: int) -> Load:
        """Bookings of (d), always further ones."""
        count = max(1, 4_000 * seconds // RESIDENTS) * RESIDENTS
        got = load(self.town.base, "POST", CLAIMS, spread(self.town, self.booked, count), seconds)
        self.booked += count
        return got

    def hello(self) -> float:
        """(a)"""
        a = load(self.greeting, "GET", "/", [Request()], self.told.seconds).good_per_second
        self.add("a", a)
        return a

    def refusals(self, n: int, a: float) -> None:
        """(c)"""
        full = _full_slot(self.town)
        requests = [Request(self.town.token(i), f"full-{n}-{i}", _body(full)) for i in range(RESIDENTS)]
        got = load(self.town.base, "POST", CLAIMS, requests, self.told.seconds)
        self.add("c", got.per_second - got.good_per_second, a)

    def spread_bookings(self) -> None:
        """(b) and (d)"""
        b = pgbench(self.town.url, 1_000, self.told.seconds)
        self.add("b spread", b)
        got = self.book(self.told.seconds)
        self.add("d", got.good_per_second, b)
        self.latencies.append((got.p50_ms, got.p99_ms))

    def hot_bookings(self) -> None:
        """(b) and (e)"""
        b = pgbench(self.town.url, 1, self.told.seconds)
        self.add("b hot", b)
        self.add("e", _hot(self.town, self.hot_slots, self.told.seconds).good_per_second, b)
        self.hot_slots += 1

    def other_claims(self, letter: str, claimed: services.Claimed) -> None:
        """(i), (j) and (k): as (d), somewhere else."""
        base = self.book(self.told.seconds).good_per_second
        first = self.claimed.get(letter, 0)
        count = max(1, 4_000 * self.told.seconds // RESIDENTS) * RESIDENTS
        requests = []
        for n in range(first, first + count):
            k, r = divmod(n, RESIDENTS)
            body = claimed.body(r, (k + r) % TIMES, r % COURTS)
            requests.append(Request(self.town.token(r), f"{letter}-{n}", body))
        self.claimed[letter] = first + count
        got = load(self.town.base, "POST", claimed.path, requests, self.told.seconds)
        self.add(letter, got.good_per_second, base)

    def partners(self, step: Callable[[str], None]) -> None:
        """(l) and (m)"""
        for letter, measured in partners.ALL.items():
            if letter in self.told.only:
                step(f"{letter}: {WHATS[letter]}")
                for _ in range(self.told.rounds):
                    self.add(letter, measured(self.town.base, self.town.url, self.town.keys, self.told.seconds))

    def lines(self) -> list[dict[str, Any]]:
        """The table."""
        made = []
        for name, what in WHATS.items():
            if name not in self.raw:
                continue
            line = {"line": name, "what": what, "measured": f"{median(self.raw[name]):,.0f}", "values": self.raw[name]}
            if name in self.ratios:
                line |= {"ratio": f"{median(self.ratios[name]):.2f}", "ratios": self.ratios[name]}
            made.append(line | ({"aim": AIMS[name]} if name in AIMS else {}))
        if self.latencies:
            p50, p99 = median(p for p, _ in self.latencies), median(p for _, p in self.latencies)
            made.append(
                {
                    "line": "d p99",
                    "what": WHATS["d"] + ": p50 / p99 ms",
                    "measured": f"{p50:.0f} / {p99:.0f}",
                    "aim": 60,
                }
            )
        return made


def measure(told: argparse.Namespace) -> dict[str, Any]:
    """Every line asked for."""
    hot_people = 3_000 * told.seconds * told.rounds
    with Progress(console=Console(stderr=True), transient=True) as bar:
        steps = bar.add_task("Starting the town", total=told.rounds * 5 + 3 + len(services.ALL) + len(partners.ALL))

        def step(what: str) -> None:
            bar.update(steps, advance=1, description=what)

        with served_town(max(RESIDENTS, hot_people) + 1000, told.workers) as town, hello() as greeting:
            run = Run(told, town, greeting)
            step("Warming up")
            run.warm_up()
            for n in range(told.rounds):
                step("a: hello-world")
                a = run.hello()
                if "c" in told.only:
                    step("c: refusals on a full slot")
                    run.refusals(n, a)
                if "f" in told.only:
                    step("f: availability of a week")
                    run.add("f", _availability(town, told.seconds).good_per_second, a)
                if "d" in told.only:
                    step("d: pgbench, then bookings over 1,000 slots")
                    run.spread_bookings()
                if "e" in told.only:
                    step("e: pgbench, then bookings on one hot slot")
                    run.hot_bookings()
            for letter, made in services.ALL.items():
                if letter in told.only:
                    step(f"{letter}: {WHATS[letter]}")
                    claimed = made(town.url, town.people[:RESIDENTS])
                    for _ in range(told.rounds):
                        run.other_claims(letter, claimed)
            run.partners(step)
            if "h" in told.only:
                run.add("h", memory_mb(town.pids, town.url))
        if "g" in told.only:
            step("g: a million old claims")
            with_old_claims(run)
    return {
        "load_generator": generator(),
        "clients": CONNECTIONS,
        "seconds": told.seconds,
        "rounds": told.rounds,
        "lines": run.lines(),
    }


def with_old_claims(run: Run) -> None:
    """(g): bookings in two new towns in turn, one with a million claims of the past year."""
    told = run.told
    with served_town(RESIDENTS + 1000, told.workers) as young, served_town(RESIDENTS + 1000, told.workers) as old:
        both = Run(told, young), Run(told, old)
        for one in both:
            one.warm_up()
        old_claims(old.url, told.old_claims)
        for n in range(told.rounds):
            rates = {}
            for one in both if n % 2 else reversed(both):
                rates[one] = one.book(told.seconds).good_per_second
            run.add("g", rates[both[1]], rates[both[0]])


def _full_slot(town: Town) -> uuid.UUID:
    """A slot whose one place is taken by somebody else."""
    with psycopg.connect(town.url) as c:
        row = c.execute("SELECT place_id, policy_id FROM slots WHERE id = %s", (town.slots[0],)).fetchone()
        slot = _slot(c, row[0], row[1], clock.now() + timedelta(days=20), capacity=1) if row else uuid.uuid4()
    got = load(town.base, "POST", CLAIMS, [Request(town.token(RESIDENTS + 1), "fill", _body(slot))], 1)
    assert got.requests
    return slot


def _availability(town: Town, seconds: int) -> Load:
    first = clock.today() + timedelta(days=1)
    path = f"/v1/slots?facility={town.week}&from={first}&to={first + timedelta(days=7)}&limit=500"
    return load(town.base, "GET", path, [Request(town.token(n)) for n in range(RESIDENTS)], seconds)


def _hot(town: Town, n: int, seconds: int) -> Load:
    """Everybody opens the app, so that their tokens are known, then books the same hour."""
    with psycopg.connect(town.url) as c:
        row = c.execute("SELECT place_id, policy_id FROM slots WHERE id = %s", (town.slots[0],)).fetchone()
        slot = _slot(c, row[0], row[1], clock.now() + timedelta(days=21, hours=n)) if row else uuid.uuid4()
    count = 3_000 * seconds
    requests = hot(town, n * count, count, slot)
    open_app(town, requests)
    return load(town.base, "POST", CLAIMS, requests, seconds)


if __name__ == "__main__":
    main()
