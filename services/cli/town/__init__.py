"""The demo town: official regions, three communities with their places, synthetic residents, and people with a part."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any, Final

import asyncpg
from rich.progress import Progress, SpinnerColumn, TimeElapsedColumn

from services.cli import Stop
from services.cli.town import booking, childcare, events, meals, partners, personas
from services.demo import people as synthetic
from services.gateway import sql as gateway_sql
from services.identity.actions import enrolment as identity
from services.identity.actions import regions as changing
from services.identity.actions import roles
from shared import clock, days, errors, regions
from shared.crypto import Keyring
from shared.db import Database, Tx
from shared.places import actions as places

DEMO_RESIDENTS: Final = 17_000
DEMO_SEED: Final = 330411105
_CHUNK: Final = 4_000
_COMMUNITIES: Final = (("330411004010", 70), ("330411105003", 12), ("330411105204", 6), ("330424101003", 12))
"""Where residents live, by weight: 茶园社区, 解放社区, 镇中村, 沈荡社区."""
PARTS: Final = (booking, meals, childcare, events, partners)
"""What each service has in the demo town, in the order in which it is made."""


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
            if not await db.read(personas.are_there, keys):
                await db.run(_found, keys)
            await places.roll_out_all(db)
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


async def change_regions(url: str, change: Callable[..., Awaitable[changing.Changed]], *told: Any) -> changing.Changed:
    """Merge or split regions, with all the time it takes."""
    db = Database.connect(url, pool_size=1, command_seconds=3600)
    try:
        async with db.transaction(lock_timeout_ms=60_000) as tx:
            return await change(tx, *told)
    except changing.Impossible as error:
        raise Stop(f"Nothing was changed: {error}.") from None
    except asyncpg.UniqueViolationError as error:
        raise Stop(f"Nothing was changed: two things would be the same ({error.constraint_name}).") from None
    finally:
        await db.close()


async def appoint(url: str, person: str, role: str, region: str) -> None:
    """Name the first of those who grant roles."""
    if role not in {"administrator", "security"}:
        raise Stop("Only the first administrator and the first security officer are named like this.")
    db = Database.connect(url, pool_size=1)
    try:
        await db.run(roles.found, uuid.UUID(person), role, region)
    except (ValueError, errors.NotThere):
        raise Stop("There is no open account of this person.") from None
    except (errors.Unprocessable, errors.RegionEnded):
        raise Stop(f"{region} is not a region that stands.") from None
    except errors.Refusal as refusal:
        raise Stop(type(refusal).title("en")) from None
    finally:
        await db.close()


async def _residents(tx: Tx) -> int:
    count: int = await tx.value(
        "SELECT count(*) FROM persons p WHERE NOT EXISTS (SELECT 1 FROM accounts a JOIN logins l ON l.account_no = a.no "
        "WHERE a.person_id = p.id AND l.provider = 'demo')"
    )
    return max(0, count - 1)  # the child has no account


async def _found(tx: Tx, keys: Keyring) -> None:
    """Personas and what each service has, all or none: who is killed in between finds an empty town again."""
    people = await personas.build(tx, keys)
    for part in PARTS:
        await part.build(tx, keys, people)
