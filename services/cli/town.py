"""The demo town: official regions, three communities with their places, synthetic residents, and people with a part."""

from __future__ import annotations

import asyncio
import random
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any, Final

from rich.progress import Progress, SpinnerColumn, TimeElapsedColumn

from services.cli import Stop
from services.demo import people as synthetic
from services.gateway import sql as gateway_sql
from services.identity.actions import enrolment as identity
from shared import clock, crypto, days, regions, tokens
from shared.crypto import Keyring
from shared.db import Database, Tx
from shared.places import actions as places

DEMO_RESIDENTS: Final = 17_000
DEMO_SEED: Final = 330411105
TOKEN_SECONDS: Final = 12 * 3600
_CHUNK: Final = 4_000
_COMMUNITIES: Final = (("330411004010", 70), ("330411105003", 12), ("330411105204", 6), ("330424101003", 12))
"""Where residents live, by weight: 茶园社区, 解放社区, 镇中村, 沈荡社区."""


@dataclass(frozen=True, slots=True)
class Persona:
    """Somebody with a part in the demo: who they are and what they may do where."""

    key: str
    name: str
    what: str
    community: str
    age: int = 40
    sex: str = "female"
    phone: str | None = None
    role: str | None = None
    prefix: str | None = None
    kind: str = "person"


PERSONAS: Final = (
    Persona(
        "resident", "王建国", "books the fitness centre; son of the elder", "330411105003", 42, "male", "15400000001"
    ),
    Persona("neighbour", "李秀英", "lives next door", "330411105003", 38, "female", "15400000002"),
    Persona("elder", "王福根", "82 years old, lives alone", "330424101003", 82, "male", "15400000003"),
    Persona("child-parent", "陈美华", "mother of a six-year-old", "330424101003", 35, "female", "15400000004"),
    Persona(
        "villager",
        "沈阿毛",
        "lives in the village, shares the town's facilities",
        "330411105204",
        51,
        "male",
        "15400000005",
    ),
    Persona("outsider", "赵远", "lives in another county", "330402", 29, "male", "15400000006"),
    Persona(
        "manager", "周敏", "town staff of 王店镇", "330411105003", 45, "female", "15400000007", "manager", "330411105"
    ),
    Persona("auditor", "钱正", "reads, never writes", "330411", 50, "male", "15400000008", "auditor", "330411"),
    Persona("kitchen", "许厨", "kitchen of 沈荡", "330424101003", 48, "male", "15400000009", "kitchen", "330424101"),
    Persona("courier", "孙快", "brings the meals", "330424101003", 33, "male", "15400000010", "courier", "330424101"),
    Persona(
        "carer", "何暖", "children's room of 沈荡", "330424101003", 30, "female", "15400000011", "carer", "330424101"
    ),
    Persona(
        "gate",
        "健身中心闸机",
        "the gate of the fitness centre",
        "330411105003",
        role="gate",
        prefix="330411105",
        kind="device",
    ),
    Persona("partner", "合作伙伴", "a partner's system", "330411105003", kind="partner"),
)
CHILD: Final = Persona("child", "陈小宝", "six years old", "330424101003", 6, "male")

_WEEK: Final = [0, 1, 2, 3, 4, 5, 6]


def _line(resource: str, starts: str, ends: str, minutes: int, title: str) -> dict[str, Any]:
    return {
        "weekdays": _WEEK,
        "starts": starts,
        "ends": ends,
        "slot_minutes": minutes,
        "resource": resource,
        "title": title,
    }


def _policy(audience: Sequence[str] | None = None, **changes: Any) -> dict[str, Any]:
    return {
        "release": None,
        "close_minutes": 0,
        "cancel_minutes": 60,
        "limits": {"per_day": 2, "per_week": 8, "at_once": 8, "household_per_day": None},
        "audience": {
            "min_age": None,
            "max_age": None,
            "regions": list(audience) if audience else None,
            "level": 1,
            "needs_guardian": False,
        },
        "offline_share": 0,
        "offline_minutes": 0,
        "is_waitable": True,
        "horizon_days": 8,
    } | changes


PLACES: Final[tuple[dict[str, Any], ...]] = (
    {
        "name": "王店镇全民健身中心",
        "name_en": "Wangdian Fitness Centre",
        "kind": "fitness_centre",
        "community": "330411105003",
        "address": "王店镇解放社区",
        "lat": 30.6261,
        "lon": 120.7196,
        "resources": [("健身大厅", "Gym", 30), *((f"羽毛球{n}号场", f"Badminton {n}", 4) for n in (1, 2, 3, 4))],
        "lines": [
            _line("健身大厅", "06:00", "22:00", 60, "健身"),
            *(_line(f"羽毛球{n}号场", "08:00", "22:00", 60, "羽毛球") for n in (1, 2, 3, 4)),
        ],
        "policy": _policy(["330411105"], offline_share=4, offline_minutes=120),
    },
    {
        "name": "王店镇游泳馆",
        "name_en": "Wangdian Swimming Hall",
        "kind": "fitness_centre",
        "community": "330411105003",
        "address": "王店镇解放社区",
        "lat": 30.6258,
        "lon": 120.7201,
        "resources": [("泳池", "Pool", 100)],
        "lines": [_line("泳池", "09:00", "21:00", 120, "游泳")],
        "policy": _policy(["330411105"], release={"days_ahead": 2, "at": "08:00"}),
    },
    {
        "name": "沈荡邻里中心",
        "name_en": "Shendang Neighbourhood Centre",
        "kind": "neighbourhood_centre",
        "community": "330424101003",
        "address": "沈荡镇沈荡社区",
        "lat": 30.5797,
        "lon": 120.8253,
        "resources": [("活动室", "Activity Room", 20)],
        "lines": [_line("活动室", "09:00", "17:00", 120, "活动")],
        "policy": _policy(["330424101"]),
    },
    {
        "name": "茶园社区共享办公",
        "name_en": "Chayuan Shared Office",
        "kind": "shared_office",
        "community": "330411004010",
        "address": "塘汇街道茶园社区",
        "lat": 30.7986,
        "lon": 120.7387,
        "resources": [("共享工位", "Desks", 24), ("会议室", "Meeting Room", 10)],
        "lines": [
            _line("共享工位", "08:30", "20:30", 240, "共享办公"),
            _line("会议室", "08:30", "20:30", 60, "会议"),
        ],
        "policy": _policy(["330411004"]),
    },
)


def build(url: str, keys: Keyring, *, residents: int, seed: int, show: bool) -> None:
    """Regions, days, places with slots, personas and residents; what is there already stays as it is."""
    asyncio.run(_build(url, keys, residents, seed, show=show))


async def _build(url: str, keys: Keyring, residents: int, seed: int, *, show: bool) -> None:
    db = Database.connect(url, pool_size=4, command_seconds=600)
    try:
        with Progress(SpinnerColumn(), *Progress.get_default_columns(), TimeElapsedColumn(), disable=not show) as bar:
            task = bar.add_task("Building the town", total=residents + 3_000)
            await db.run(write_regions, list(regions.read()))
            year = clock.today().year
            await db.run(gateway_sql.seed_days, [day for n in (year, year + 1) for day in days.known(n)])
            bar.advance(task, 1_000)
            if not await db.read(_has_personas, keys):
                await db.run(_found, keys)
            await places.roll_out_all(db, "booking")
            bar.advance(task, 2_000)
            present = await db.read(_residents)
            made = synthetic.residents(residents, seed=seed, communities=_COMMUNITIES, today=clock.today())
            chunk: list[synthetic.Resident] = []
            for n, one in enumerate(made):
                if n < present:  # the same seed gives the same people in the same order
                    continue
                if len(chunk) >= _CHUNK and one.household != chunk[-1].household:
                    await db.run(identity.enrol, keys, chunk)
                    bar.advance(task, len(chunk))
                    chunk = []
                chunk.append(one)
            if chunk:
                await db.run(identity.enrol, keys, chunk)
            bar.update(task, completed=residents + 3_000)
        async with db.engine.connect() as pooled:
            raw = (await pooled.get_raw_connection()).driver_connection
            if raw is not None:
                await raw.execute("ANALYZE")
    finally:
        await db.close()


async def write_regions(tx: Tx, found: Sequence[regions.Region]) -> int:
    """Insert regions, parents first; known codes get the new names."""
    return await tx.execute(
        "INSERT INTO regions (code, name, level, parent_code) SELECT * FROM unnest($1::text[], $2::text[], $3::text[], "
        "$4::text[]) ON CONFLICT (code) DO UPDATE SET name = excluded.name, level = excluded.level",
        [one.code for one in found],
        [one.name for one in found],
        [one.level for one in found],
        [one.parent_code or None for one in found],
    )


async def import_regions(url: str, file: Path) -> int:
    """Read a whole file of regions."""
    try:
        found = list(regions.read(file))
    except OSError as error:
        raise Stop(f"The file {file} cannot be read ({error.strerror}).") from None
    except regions.RegionFileWrong as wrong:
        raise Stop(f"The file {file} cannot be used: {wrong}.") from None
    db = Database.connect(url, pool_size=1, command_seconds=600)
    try:
        return await db.run(write_regions, found)
    finally:
        await db.close()


async def _residents(tx: Tx) -> int:
    count: int = await tx.value(
        "SELECT count(*) FROM persons p WHERE NOT EXISTS (SELECT 1 FROM accounts a JOIN logins l ON l.account_no = a.no "
        "WHERE a.person_id = p.id AND l.provider = 'demo')"
    )
    return max(0, count - 1)  # the child has no account


def _index(keys: Keyring, persona: str) -> bytes:
    return crypto.blind_index(keys, persona, column="logins.demo")


async def _has_personas(tx: Tx, keys: Keyring) -> bool:
    return bool(
        await tx.value(
            "SELECT EXISTS (SELECT 1 FROM logins WHERE provider = 'demo' AND subject_index = $1)",
            _index(keys, "resident"),
        )
    )


async def _found(tx: Tx, keys: Keyring) -> None:
    """Personas and places, all or none: who is killed in between finds an empty town again."""
    await _personas(tx, keys)
    await _places(tx)


async def _personas(tx: Tx, keys: Keyring) -> None:
    rng = random.Random("personas")  # noqa: S311 - drawn from a seed, to be the same each time
    ids: dict[str, uuid.UUID] = {}
    for n, persona in enumerate((*PERSONAS, CHILD)):
        if persona.kind != "person":
            row = await tx.row(
                "INSERT INTO accounts (name, kind) VALUES ($1, $2) RETURNING no", persona.name, persona.kind
            )
            account_no = row["no"] if row else 0
        else:
            born = clock.today() - timedelta(days=persona.age * 365 + persona.age // 4 + 30)
            number = synthetic.make_document("resident_id", rng, born, persona.sex, "330411")
            one = synthetic.Resident(
                persona.name, persona.sex, born, "resident_id", number, persona.phone, n, "head", persona.community
            )
            (enrolled,) = await identity.enrol(tx, keys, [one])
            ids[persona.key] = enrolled.person_id
            account_no = enrolled.account_no or 0
            await tx.execute("UPDATE persons SET level = 3 WHERE id = $1", enrolled.person_id)
            await tx.execute("UPDATE holders SET level = 3 WHERE id = $1", enrolled.person_id)
        if persona is CHILD:
            continue
        await tx.execute(
            "INSERT INTO logins (account_no, provider, subject_index) VALUES ($1, 'demo', $2)",
            account_no,
            _index(keys, persona.key),
        )
        if persona.role:
            await tx.execute(
                "INSERT INTO roles (account_no, role, prefix) VALUES ($1, $2, $3)",
                account_no,
                persona.role,
                persona.prefix,
            )
    await tx.execute(
        "UPDATE holders SET household_no = (SELECT household_no FROM holders WHERE id = $1) WHERE id = $2",
        ids["child-parent"],
        ids["child"],
    )
    for actor, person, kind in (("child-parent", "child", "guardian"), ("resident", "elder", "proxy")):
        await tx.execute(
            "INSERT INTO relations (actor_id, person_id, kind) VALUES ($1, $2, $3)", ids[actor], ids[person], kind
        )


async def _places(tx: Tx) -> None:
    for place in PLACES:
        place_id = clock.uuid7()
        await tx.execute(
            "INSERT INTO places (id, service, kind, name, name_en, community, address, lat, lon) "
            "VALUES ($1, 'booking', $2, $3, $4, $5, $6, $7, $8)",
            place_id,
            *(place[key] for key in ("kind", "name", "name_en", "community", "address", "lat", "lon")),
        )
        ids: dict[str, uuid.UUID] = {}
        for name, name_en, capacity in place["resources"]:
            ids[name] = await tx.value(
                "INSERT INTO resources (place_id, name, name_en, is_exclusive, capacity) VALUES ($1, $2, $3, true, $4) "
                "RETURNING id",
                place_id,
                name,
                name_en,
                capacity,
            )
        lines = [{**line, "resource": str(ids[line["resource"]])} for line in place["lines"]]
        await tx.execute("INSERT INTO policies (place_id, version, body) VALUES ($1, 1, $2)", place_id, place["policy"])
        await tx.execute(
            "INSERT INTO schedules (place_id, version, body) VALUES ($1, 1, $2)", place_id, {"lines": lines}
        )


async def people(db: Database, keys: Keyring) -> list[tuple[str, str, str | None, str]]:
    """Persona, name, phone and what they are."""
    if not await db.read(_has_personas, keys):
        raise Stop("The demo town has not been built; run `linli seed` first.")
    return [(one.key, one.name, one.phone, one.what) for one in PERSONAS]


async def token(db: Database, keys: Keyring, persona: str) -> str:
    """An access token of a persona, for half a day."""
    if persona not in {one.key for one in PERSONAS}:
        raise Stop(f"There is no persona {persona}; see `linli demo people`.")
    row = await db.read(_account, keys, persona)
    if row is None:
        raise Stop("The demo town has not been built; run `linli seed` first.")
    return _issue(keys, row)


async def _account(tx: Tx, keys: Keyring, persona: str) -> Any | None:
    return await tx.row(
        "SELECT a.id, a.no, a.person_id, a.name, h.no AS holder_no FROM logins l JOIN accounts a ON a.no = l.account_no "
        "LEFT JOIN holders h ON h.id = a.person_id WHERE l.provider = 'demo' AND l.subject_index = $1",
        _index(keys, persona),
    )


async def tokens_of(tx: Tx, count: int, grown_up: date) -> list[Any]:
    """Accounts of different grown-up residents."""
    return await tx.fetch(
        "SELECT a.id, a.no, a.person_id, a.name, h.no AS holder_no FROM accounts a JOIN holders h ON h.id = a.person_id "
        "JOIN persons p ON p.id = a.person_id WHERE p.born <= $1 AND a.closed_at IS NULL ORDER BY a.no DESC LIMIT $2",
        grown_up,
        count,
    )


async def tokens_for(db: Database, keys: Keyring, count: int) -> list[tuple[uuid.UUID, str]]:
    """Tokens of that many different grown-up residents."""
    today = clock.today()
    rows = await db.read(tokens_of, count, today.replace(year=today.year - 18, day=min(today.day, 28)))
    if len(rows) < count:
        raise Stop(f"There are only {len(rows)} grown-up residents with an account; make more with `linli seed`.")
    return [(row["person_id"], _issue(keys, row)) for row in rows]


def _issue(keys: Keyring, row: Any) -> str:
    return tokens.issue(
        keys,
        account_id=row["id"],
        account_no=row["no"],
        person_id=row["person_id"],
        holder_no=row["holder_no"],
        name=row["name"],
        session_id=None,
        seconds=TOKEN_SECONDS,
    )
