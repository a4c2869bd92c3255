"""A small town for tests: regions, people, a fitness centre with courts, straight into the tables."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

import psycopg
from psycopg.types.json import Jsonb

from shared import clock, tokens
from shared.crypto import Keyring

COMMUNITY = "330411105003"
REGIONS = [
    ("33", "浙江省", "province", None),
    ("3304", "嘉兴市", "city", "33"),
    ("330411", "秀洲区", "county", "3304"),
    ("330411105", "王店镇", "street", "330411"),
    ("330411105003", "解放社区", "community", "330411105"),
    ("330411105204", "镇中村委会", "village", "330411105"),
    ("330424", "海盐县", "county", "3304"),
    ("330424101", "沈荡镇", "street", "330424"),
    ("330424101003", "沈荡社区居民委员会", "community", "330424101"),
]


@dataclass(frozen=True, slots=True)
class Resident:
    """Somebody of the town, with an account of their own."""

    person_id: uuid.UUID
    holder_no: int
    account_id: uuid.UUID
    account_no: int
    name: str

    def token(self, keys: Keyring, seconds: int = 900, issuer: str = tokens.ISSUER) -> str:
        """A fresh access token; outside of a demo it is believed where `issuer` is the address of the front door."""
        return tokens.issue(
            keys,
            account_id=self.account_id,
            account_no=self.account_no,
            person_id=self.person_id,
            holder_no=self.holder_no,
            name=self.name,
            session_id=None,
            seconds=seconds,
            issuer=issuer,
            has_second=True,
        )

    def headers(self, keys: Keyring, key: str | None = None, issuer: str = tokens.ISSUER) -> dict[str, str]:
        """Request headers of this resident."""
        made = {"Authorization": f"Bearer {self.token(keys, issuer=issuer)}", "Accept-Language": "en"}
        return made | {"Idempotency-Key": key} if key else made


_kept: Final[dict[str, psycopg.Connection[Any] | None]] = {}
"""One connection to each database that lives as long as a test: making one takes longer than most of what is asked."""


@contextlib.contextmanager
def sharing(url: str) -> Iterator[None]:
    """Towns on this database share a connection meanwhile."""
    _kept[url] = None
    try:
        yield
    finally:
        hang_up(url)
        del _kept[url]


def hang_up(url: str) -> None:
    """End the shared connection; the next who needs it makes another."""
    connection, _kept[url] = _kept[url], None
    if connection is not None:
        connection.close()


def kept(url: str) -> psycopg.Connection[Any]:
    """The shared connection; a new one if there is none yet, or its server was killed."""
    connection = _kept[url]
    if connection is None or connection.closed:
        connection = _kept[url] = psycopg.connect(url, autocommit=True, options="-c lock_timeout=5000")
        connection.prepare_threshold = None  # tests change their tables
    return connection


class Town:
    """Makes what a test needs; everything is committed."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.place_id = uuid.uuid4()
        self.policy_id = uuid.uuid4()
        with self._connected() as c:
            c.cursor().executemany(
                "INSERT INTO regions (code, name, level, parent_code) VALUES (%s, %s, %s, %s) ON CONFLICT DO NOTHING",
                REGIONS,
            )
        self.place(self.place_id, self.policy_id)

    def connect(self) -> psycopg.Connection[Any]:
        """A connection of one's own that commits by itself."""
        return psycopg.connect(self.url, autocommit=True)

    @contextlib.contextmanager
    def _connected(self) -> Iterator[psycopg.Connection[Any]]:
        if self.url not in _kept:
            with self.connect() as connection:
                yield connection
            return
        yield kept(self.url)

    def place(self, place_id: uuid.UUID, policy_id: uuid.UUID, **limits: int) -> None:
        """A place with a policy."""
        with self._connected() as c:
            c.execute(
                "INSERT INTO places (id, service, kind, name, community) VALUES (%s, 'booking', 'fitness_centre', %s, %s)",
                (place_id, f"健身中心 {place_id.hex[:6]}", COMMUNITY),
            )
            c.execute(
                "INSERT INTO policies (id, place_id, version, body) VALUES (%s, %s, 1, %s)",
                (policy_id, place_id, Jsonb({"limits": limits})),
            )

    def slot(self, hour: int = 10, *, days: int = 2, hours: int = 1, **columns: Any) -> uuid.UUID:
        """A slot `days` ahead at that hour of the town's clock; any column may be set."""
        slot_id = clock.uuid7()
        starts = clock.at(clock.today() + timedelta(days=days), datetime.min.time()) + timedelta(hours=hour)
        row = {
            "id": slot_id,
            "service": "booking",
            "place_id": self.place_id,
            "policy_id": self.policy_id,
            "community": COMMUNITY,
            "title": "健身",
            "starts_at": starts,
            "ends_at": starts + timedelta(hours=hours),
            "closes_at": starts,
            "capacity": 30,
        } | columns
        names = ", ".join(row)
        with self._connected() as c:
            c.execute(
                f"INSERT INTO slots ({names}) VALUES ({', '.join(['%s'] * len(row))})".encode(), list(row.values())
            )
        return slot_id

    def residents(
        self,
        count: int = 1,
        *,
        born: date | None = date(1980, 5, 17),
        level: int = 2,
        community: str = COMMUNITY,
        household: bool = False,
    ) -> list[Resident]:
        """People with accounts; one household for all of them, or none."""
        with self._connected() as c:
            home = None
            if household:
                row = c.execute("INSERT INTO households (community) VALUES (%s) RETURNING no", (community,)).fetchone()
                home = row[0] if row else None
            made = c.execute(
                """
                WITH h AS (
                    INSERT INTO holders (id, kind, name, community, born, level, household_no)
                    SELECT gen_random_uuid(), 'person', '居民' || (SELECT count(*) FROM persons) + n, %(community)s, %(born)s, %(level)s, %(home)s
                    FROM generate_series(1, %(count)s) n RETURNING id, no, name
                ), p AS (
                    INSERT INTO persons (id, name, born, community, level)
                    SELECT id, name, %(born)s, %(community)s, %(level)s FROM h RETURNING id
                ), a AS (
                    INSERT INTO accounts (person_id, name) SELECT id, name FROM h RETURNING id, no, person_id
                )
                SELECT h.id, h.no, a.id, a.no, h.name FROM h JOIN a ON a.person_id = h.id JOIN p ON p.id = h.id
                ORDER BY h.no
                """,
                {"community": community, "born": born, "level": level, "home": home, "count": count},
            ).fetchall()
        return [Resident(*row) for row in made]

    def relate(
        self, actor: Resident, person: Resident, kind: str = "guardian", services: list[str] | None = None
    ) -> None:
        """`actor` may act for `person`; whoever gets a guardian is a child, and no adult from now on."""
        with self._connected() as c:
            if kind == "guardian":
                for table in ("holders", "persons"):
                    c.execute(
                        f"UPDATE {table} SET born = %s WHERE id = %s AND born <= current_date - interval '17 years'".encode(),
                        (clock.today() - timedelta(days=10 * 366), person.person_id),
                    )
            c.execute(
                "INSERT INTO relations (actor_id, person_id, kind, services) VALUES (%s, %s, %s, %s)",
                (actor.person_id, person.person_id, kind, services),
            )

    def appoint(
        self, someone: Resident, role: str, prefix: str = "330411105", place_id: uuid.UUID | None = None
    ) -> None:
        """Give somebody a role."""
        with self._connected() as c:
            c.execute(
                "INSERT INTO roles (account_no, role, prefix, place_id) VALUES (%s, %s, %s, %s)",
                (someone.account_no, role, prefix, place_id),
            )

    def one(self, sql: str, *args: Any) -> Any:
        """The first column of the first row."""
        with self._connected() as c:
            row = c.execute(sql.encode(), args).fetchone()
        return row[0] if row else None

    def all(self, sql: str, *args: Any) -> list[Any]:
        """All rows."""
        with self._connected() as c:
            return c.execute(sql.encode(), args).fetchall()

    def do(self, sql: str, *args: Any) -> None:
        """Run a statement."""
        with self._connected() as c:
            c.execute(sql.encode(), args or None)


def soon(seconds: float) -> datetime:
    """A moment from now."""
    return datetime.now(UTC) + timedelta(seconds=seconds)
