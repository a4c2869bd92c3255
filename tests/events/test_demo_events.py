"""The culture hall of the demo town: what its organiser has announced is announced properly."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from services import doctor
from services.cli.town import events
from shared import embedded
from shared.crypto import Keyring
from shared.db import Database
from tests.conftest import copy_of
from tests.town import Town


@pytest.fixture
def town(server: embedded.Embedded, template: str) -> Iterator[Town]:
    with copy_of(server, template) as url:
        made = Town(url)
        with made.connect() as c:
            c.cursor().executemany(
                "INSERT INTO regions (code, name, level, parent_code) VALUES (%s, %s, %s, %s)",
                [
                    ("330411004", "塘汇街道", "street", "330411"),
                    (events.COMMUNITY, "茶园社区居委会", "community", "330411004"),
                ],
            )
        yield made


async def build(url: str, people: dict[str, object]) -> None:
    db = Database.connect(url, pool_size=1)
    try:
        await db.run(events.build, Keyring.fresh(), people)  # type: ignore[arg-type]
    finally:
        await db.close()


def test_a_festival_and_a_course_are_announced_in_a_hall_that_is_booked(town: Town) -> None:
    (organiser,) = town.residents()
    asyncio.run(build(town.url, {"organiser": organiser.person_id}))
    assert town.all("SELECT kind, state, title, seats FROM events ORDER BY kind") == [
        ("event", "published", "茶园灯会", 6),
        ("series", "published", "太极拳入门", 12),
    ]
    assert town.one("SELECT count(*) FROM slots WHERE service = 'events' AND state = 'open'") == 4
    assert town.one("SELECT count(*) FROM claims WHERE service = 'booking' AND state = 'confirmed'") == 5
    assert [one for one in asyncio.run(doctor.examine(town.url)) if one[1]] == []
