"""A town small enough to know everybody: one community, one hall with two courts, a manager, and neighbours."""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from pydantic import Field

from shared import assertion, claims
from shared.assertion import Caller, Role
from shared.claiming import Short
from shared.crypto import Keyring
from shared.db import Database, Tx
from shared.grants import Grant, GrantedClaim
from shared.places import routes
from shared.settings import Settings
from shared.web import Context, In, service_app

TOWN = "330411105"
COMMUNITY = "330411105003"
ELSEWHERE = "330424101003"
BASE = "/v1/booking/facilities"


class HallTermsIn(In):
    """What only this service wants to know of its halls."""

    deposit_fen: int = Field(default=0, ge=0, le=100_000)
    rooms: list[Short] = Field(default_factory=list, max_length=10)


class Town:
    """One database, the service's app on it in the service's own role, and the means to make claims."""

    def __init__(self, owner: Database, settings: Settings, keys: Keyring) -> None:
        self.owner = owner
        self.db = owner.of("linli_booking")
        self.keys = keys
        router = routes.router("booking", "facilities", ("fitness", "hall"), terms=HallTermsIn)
        self.app = service_app("booking", "Booking", [router])(Context(self.db, keys, settings))
        self.http = httpx.AsyncClient(transport=httpx.ASGITransport(self.app), base_url="http://town")
        self.manager = self._caller(1, Role("manager", TOWN))
        self.staff = self._caller(2, Role("staff", COMMUNITY))
        self.foreign = self._caller(3, Role("manager", ELSEWHERE))
        self.resident = self._caller(4)
        self.anybody = Caller()

    def _caller(self, no: int, *roles: Role) -> Caller:
        return Caller(account_id=uuid.UUID(int=no), account_no=no, roles=roles)

    async def call(self, method: str, path: str, who: Caller | None = None, **more: Any) -> httpx.Response:
        """One request through the front door."""
        signed = assertion.sign(who or self.manager, audience="booking", key=self.keys.assertion)
        headers = {assertion.HEADER: signed, **more.pop("headers", {})}
        return await self.http.request(method, BASE + path, headers=headers, **more)

    async def place(self, **more: Any) -> str:
        """A hall with two courts (one place each) and a studio that many share."""
        answer = await self.call("POST", "", json=hall(**more))
        assert answer.status_code == 201, answer.text
        return str(answer.json()["id"])

    async def put(self, path: str, body: Any, version: int | str, who: Caller | None = None) -> httpx.Response:
        """A replacement of what was read at this version."""
        return await self.call("PUT", path, who, json=body, headers={"If-Match": f'"{version}"'})

    async def slots(self, place_id: str, state: str | None = "open") -> list[Any]:
        """The slots of a place as they are stored."""
        return await self.owner.read(_slots, uuid.UUID(place_id), state)

    async def claim(
        self, slot_id: uuid.UUID, name: str = "邻居", *, channel: str = "app", confirmed: bool = True, people: int = 1
    ) -> uuid.UUID:
        """A group that has places in a slot."""
        return await self.owner.run(claim, slot_id, name, channel, confirmed=confirmed, people=people)


def hall(**more: Any) -> dict[str, Any]:
    return {
        "name": "健身馆",
        "name_en": "Fitness hall",
        "kind": "fitness",
        "community": COMMUNITY,
        "address": "人民路 1 号",
        "lat": 30.62,
        "lon": 120.72,
        "resources": [
            {"name": "1号场", "name_en": "Court 1", "is_exclusive": True, "capacity": 1},
            {"name": "2号场", "is_exclusive": True, "capacity": 4},
            {"name": "教室", "is_exclusive": False, "capacity": 300},
        ],
    } | more


def line(**more: Any) -> dict[str, Any]:
    return {
        "weekdays": [0, 1, 2, 3, 4, 5, 6],
        "starts": "09:00",
        "ends": "11:00",
        "slot_minutes": 60,
        "resource": "1号场",
        "title": "羽毛球",
    } | more


async def _slots(tx: Tx, place_id: uuid.UUID, state: str | None) -> list[Any]:
    return await tx.fetch(
        "SELECT s.*, r.name AS resource FROM slots s LEFT JOIN resources r ON r.no = s.resource_no "
        "WHERE s.place_id = $1 AND ($2::text IS NULL OR s.state = $2) ORDER BY s.starts_at, r.no, s.id",
        place_id,
        state,
    )


async def claim(tx: Tx, slot_id: uuid.UUID, name: str, channel: str, *, confirmed: bool, people: int) -> uuid.UUID:
    await claims.lock_slots(tx, [slot_id])
    group_id, until = claims.new_id(), datetime.now(UTC) + timedelta(seconds=30)
    account = await tx.value("INSERT INTO accounts (name) VALUES ($1) RETURNING no", name)
    ids = [claims.new_id() for _ in range(people)]
    nos = [
        await tx.value(
            "INSERT INTO holders (id, kind, name, community) VALUES (uuidv7(), 'person', $1, $2) RETURNING no",
            name,
            COMMUNITY,
        )
        for _ in range(people)
    ]
    slot = await tx.row("SELECT * FROM slots WHERE id = $1", slot_id)
    assert slot is not None
    held = [
        claims.Holding(
            one, group_id, slot_id, no, account, 1, channel, slot["is_exclusive"],
        )
        for one, no in zip(ids, nos, strict=True)
    ]  # fmt: skip
    await claims.hold(tx, held, until)
    if confirmed:
        granted = tuple(GrantedClaim(one, slot_id, no, group_id, name, 1) for one, no in zip(ids, nos, strict=True))
        assert await claims.confirm(tx, [(Grant(group_id, until, granted, ()), claims.new_id())]) == [True]
    return group_id


REGIONS = [
    ("33", "浙江省", "province", None),
    ("3304", "嘉兴市", "city", "33"),
    ("330411", "秀洲区", "county", "3304"),
    (TOWN, "王店镇", "street", "330411"),
    (COMMUNITY, "解放社区", "community", TOWN),
    ("330424", "海盐县", "county", "3304"),
    ("330424101", "沈荡镇", "street", "330424"),
    (ELSEWHERE, "沈荡社区", "community", "330424101"),
]


async def _settle(tx: Tx) -> None:
    await tx.many("INSERT INTO regions (code, name, level, parent_code) VALUES ($1, $2, $3, $4)", REGIONS)


Story = Callable[[Town], Awaitable[None]]


@pytest.fixture
def tell(database_url: str, settings: Settings, keys: Keyring) -> Callable[[Story], None]:
    """Run a story in a town of its own."""

    @contextlib.asynccontextmanager
    async def town() -> AsyncIterator[Town]:
        owner = Database.connect(database_url, pool_size=12)
        try:
            await owner.run(_settle)
            made = Town(owner, settings, keys)
            async with made.http:
                yield made
        finally:
            await owner.close()

    async def telling(story: Story) -> None:
        async with town() as made:
            await story(made)

    return lambda story: asyncio.run(telling(story))
