"""Asks made by hand, the two lines they pass (arbiter and booking), and the questions every law is checked with."""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from typing import Any

import psycopg

from services import doctor
from services.booking import actions as booking
from services.gateway.arbiter.asked import Asked, Outcome
from services.gateway.arbiter.line import Arbiter
from services.gateway.arbiter.rules import Granted, Refused
from shared import claims
from shared.assertion import Caller
from shared.claims import Take
from shared.db import Database
from shared.line import Line
from tests.town import Resident, hang_up

ArbiterLine = Line[Asked, Outcome]
BookingLine = Line[booking.Making, uuid.UUID]


def caller(who: Resident) -> Caller:
    """What the front door knows of a resident."""
    return Caller(who.account_id, who.account_no, who.person_id, who.holder_no, who.name, has_second=True)


def ask(
    who: Resident,
    *slots: uuid.UUID,
    key: str | None = None,
    family: Sequence[Resident] | None = None,
    **more: Any,
) -> Asked:
    """One ask for a place in each of these slots, for oneself or for a family."""
    return Asked(
        "booking",
        caller(who),
        key or uuid.uuid4().hex,
        b"fingerprint-0016",
        tuple(Take(slot) for slot in slots),
        persons=tuple(one.person_id for one in family) if family is not None else None,
        **more,
    )


@contextlib.asynccontextmanager
async def arbiter(db: Database, *, hold_seconds: float = 30, **limits: Any) -> AsyncIterator[ArbiterLine]:
    """A gateway's line on this pool."""
    line: ArbiterLine = Line("arbiter", db.of("linli_gateway"), Arbiter(hold_seconds), **limits)  # type: ignore[arg-type]
    try:
        yield line
    finally:
        await line.close()


@contextlib.asynccontextmanager
async def bookings(db: Database, **limits: Any) -> AsyncIterator[BookingLine]:
    """The booking service's recording line on this pool."""
    line: BookingLine = Line("reservations", db.of("linli_booking"), booking.make_reservations, **limits)
    try:
        yield line
    finally:
        await line.close()


def making(who: Resident, outcome: Outcome) -> booking.Making:
    """What the service records for a grant."""
    assert outcome.grant is not None
    return booking.Making(outcome.grant, who.account_no, None)


async def heard(waiting: Iterable[Awaitable[Any]]) -> list[Any]:
    """What each of these hears: an answer, or the exception raised for it."""
    return await asyncio.gather(*waiting, return_exceptions=True)


def is_granted(told: object) -> bool:
    return isinstance(told, Outcome) and isinstance(told.decision, Granted)


def is_refused(told: object, *codes: str) -> bool:
    return (
        isinstance(told, Outcome) and isinstance(told.decision, Refused) and (not codes or told.decision.code in codes)
    )


async def release(db: Database, group_id: uuid.UUID, **how: Any) -> list[claims.Freed]:
    """Free a group's places as the gateway does."""
    return await db.of("linli_gateway").run(claims.release, group_id, reason="released", **how)


async def until(is_so: Callable[[], bool | Awaitable[bool]], *, seconds: float = 10) -> None:
    """Ask for a fact until it is there; fails when it does not come."""
    async with asyncio.timeout(seconds):
        while not (found if isinstance(found := is_so(), bool) else await found):  # noqa: ASYNC110 - nobody tells us
            await asyncio.sleep(0.002)


async def somebody_waits_for_a_lock(connection: psycopg.AsyncConnection[Any]) -> bool:
    row = await (
        await connection.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
        )
    ).fetchone()
    return bool(row and row[0])


async def wrong(url: str) -> dict[str, list[str]]:
    """What the doctor finds wrong."""
    return {check: ids for check, ids in await doctor.examine(url) if ids}


async def deadlocks(url: str) -> int:
    """Deadlocks that PostgreSQL has found in this database, once everybody has gone and their counts are in."""
    hang_up(url)
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:

        async def are_alone() -> bool:
            row = await (
                await connection.execute(
                    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() "
                    "AND pid <> pg_backend_pid() AND backend_type = 'client backend'"
                )
            ).fetchone()
            return bool(row and row[0] == 0)

        await until(are_alone)
        row = await (
            await connection.execute("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()")
        ).fetchone()
    return int(row[0]) if row else 0


def show(what: str, found: object) -> None:
    """Numbers of a run, for `pytest -rP`."""
    print(f"{what}: {found}")  # noqa: T201 - that is where they are read
