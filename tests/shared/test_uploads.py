"""What a device sends arrives once, however often it is sent."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from shared import clock, errors, uploads
from shared.assertion import Caller
from shared.db import Database, Tx
from shared.uploads import UploadIn
from tests.conftest import connected, run
from tests.town import Town

ROLE = "linli_booking"
ONE, OTHER = Caller(account_no=7), Caller(account_no=8)


class Entry(UploadIn):
    """A report of a gate."""

    steps: int = 0


def entry(**told: Any) -> Entry:
    return Entry(**({"id": uuid.uuid4(), "at": clock.now()} | told))


async def report(
    tx: Tx,
    who: Caller,
    told: Entry,
    about: tuple[uuid.UUID, ...] = (),
    kind: str = "booking.entry",
    doing: Callable[[], Awaitable[Any]] | None = None,
) -> tuple[bool, dict[str, Any]]:
    """What an action does: whether anything was done, and the answer."""
    earlier = await uploads.begin(tx, who, kind, told, *about)
    if earlier is not None:
        return False, earlier
    if doing is not None:
        await doing()
    answer = {"admitted": True, "steps": told.steps}
    await uploads.finish(tx, told.id, answer)
    return True, answer


def with_db(url: str, story: Callable[[Database], Awaitable[Any]]) -> Any:
    async def told() -> Any:
        async with connected(url, role=ROLE) as db:
            return await story(db)

    return run(told())


def test_the_same_report_is_answered_the_same_and_done_once(database_url: str) -> None:
    async def story(db: Database) -> None:
        told = entry(steps=5)
        assert await db.run(report, ONE, told) == (True, {"admitted": True, "steps": 5})
        for _ in range(2):
            assert await db.run(report, ONE, told.model_copy()) == (False, {"admitted": True, "steps": 5})

    with_db(database_url, story)


def test_an_id_with_other_words_another_kind_or_another_subject_is_refused(database_url: str) -> None:
    async def story(db: Database) -> None:
        told, visit = entry(steps=5), uuid.uuid4()
        await db.run(report, ONE, told, (visit,))
        for wrong in (
            db.run(report, ONE, told.model_copy(update={"steps": 6}), (visit,)),
            db.run(report, ONE, told.model_copy(update={"at": told.at - timedelta(seconds=1)}), (visit,)),
            db.run(report, ONE, told, (uuid.uuid4(),)),
            db.run(report, ONE, told),
            db.run(report, ONE, told, (visit,), "booking.exit"),
        ):
            with pytest.raises(errors.KeyReused):
                await wrong
        assert (await db.run(report, ONE, told, (visit,)))[0] is False

    with_db(database_url, story)


def test_two_accounts_may_use_one_id(database_url: str) -> None:
    async def story(db: Database) -> None:
        told = entry(steps=1)
        others = entry(id=told.id, steps=2)
        assert (await db.run(report, ONE, told))[1]["steps"] == 1
        assert (await db.run(report, OTHER, others)) == (True, {"admitted": True, "steps": 2})
        assert (await db.run(report, ONE, told))[1]["steps"] == 1

    with_db(database_url, story)


def test_the_same_report_twice_at_once_is_done_once(database_url: str) -> None:
    async def story(db: Database) -> None:
        told, is_in, may_go = entry(), asyncio.Event(), asyncio.Event()

        async def slow() -> None:
            is_in.set()
            await may_go.wait()

        first = asyncio.create_task(db.run(report, ONE, told, (), "booking.entry", slow))
        await is_in.wait()
        second = asyncio.create_task(db.run(report, ONE, told))
        await asyncio.sleep(0.2)
        assert not second.done(), "it waits for the first"
        may_go.set()
        assert (await first)[0] is True
        assert (await second) == (False, {"admitted": True, "steps": 0})

    with_db(database_url, story)


def test_a_report_whose_work_failed_may_be_sent_again(database_url: str) -> None:
    async def story(db: Database) -> None:
        told = entry()

        async def fails() -> None:
            raise errors.Closed

        with pytest.raises(errors.Closed):
            await db.run(report, ONE, told, (), "booking.entry", fails)
        assert (await db.run(report, ONE, told))[0] is True

    with_db(database_url, story)


def test_a_report_that_was_begun_and_not_answered_is_in_flight(database_url: str) -> None:
    async def story(db: Database) -> None:
        told = entry()
        assert await db.run(uploads.begin, ONE, "booking.entry", told) is None
        with pytest.raises(errors.InFlight):
            await db.run(report, ONE, told)
        with pytest.raises(LookupError):
            await db.run(uploads.finish, told.id, {})

    with_db(database_url, story)


def test_nobody_reports_without_an_account(database_url: str) -> None:
    async def story(db: Database) -> None:
        with pytest.raises(errors.NotKnown):
            await db.run(report, Caller(), entry())

    with_db(database_url, story)
    assert Town(database_url).one("SELECT count(*) FROM uploads") == 0


@pytest.mark.parametrize(
    "at",
    [
        timedelta(minutes=20),
        -timedelta(days=31, minutes=1),
        datetime(2026, 11, 22, 8, 0),  # noqa: DTZ001 - it is the one without a zone
        "0001-01-01T00:00:00+14:00",
        "9999-12-31T23:59:59-14:00",
        "yesterday",
    ],
)
def test_a_report_is_of_lately(at: datetime | timedelta | str) -> None:
    at = clock.now() + at if isinstance(at, timedelta) else at
    with pytest.raises(ValidationError) as refused:
        entry(at=at)
    assert [one["loc"] for one in refused.value.errors()] == [("at",)]


def test_a_report_may_be_late_and_a_clock_a_little_fast() -> None:
    for at in (clock.now() + timedelta(minutes=4), clock.now() - timedelta(days=30)):
        assert entry(at=at).at == at


def test_answers_are_forgotten_when_their_reports_are_too_old_to_come_again(database_url: str) -> None:
    town = Town(database_url)

    async def story(db: Database) -> None:
        old, new = entry(), entry()
        for told in (old, new):
            await db.run(report, ONE, told)
        town.do("UPDATE uploads SET received_at = now() - interval '41 days' WHERE id = %s", old.id)
        assert town.one("SELECT forget_old('uploads', 10)") == 1
        assert town.all("SELECT id FROM uploads") == [(new.id,)]

    with_db(database_url, story)
    least = town.one("SELECT least FROM retention WHERE table_name = 'uploads'")
    assert timedelta(days=least) > uploads.BEHIND + uploads.AHEAD
