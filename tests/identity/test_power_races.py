"""Power that ends, and regions that end, while claims are being made for those they were about."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import httpx
import pytest

from services.gateway import tasks as gateway_tasks
from services.identity import actions
from shared import clock
from shared.crypto import Keyring
from shared.settings import Settings
from tests.gateway import doors
from tests.gateway.doors import RESERVATIONS
from tests.gateway.test_front import Front, examined, opened
from tests.town import Resident

RUSH = 24


@pytest.fixture
def front(database_url: str, keys: Keyring, settings: Settings) -> Iterator[Front]:
    with opened(database_url, keys, settings) as made:
        yield made


async def asked(front: Front, who: Resident, slot: object, key: str, **body: object) -> httpx.Response:
    told = doors.wants(who, slot, key=key, **body)  # type: ignore[arg-type]
    headers = who.headers(front.keys, told.key)
    return await front.client.post(RESERVATIONS, json=told.body, headers=headers, timeout=60)


def test_a_guardian_who_is_barred_claims_nothing_for_the_child_from_then_on(front: Front) -> None:
    parent, child, clerk = front.town.residents(3)
    front.town.relate(parent, child)
    front.town.appoint(clerk, "staff")
    slots = [front.town.slot(hour=8 + n % 12, days=1 + n // 12) for n in range(RUSH)]
    person = [str(child.person_id)]
    path = f"/v1/identity/people/{child.person_id}/family/{parent.person_id}/bar"
    words = {"reason": "法院裁定撤销监护", "document": "(2026)浙0411民特1号"}

    async def rush() -> tuple[httpx.Response, list[httpx.Response]]:
        claims = [
            asyncio.create_task(asked(front, parent, one, f"for-the-child-{n}", persons=person))
            for n, one in enumerate(slots)
        ]
        await asyncio.sleep(0.02)
        barred = await front.client.post(path, json=words, headers=clerk.headers(front.keys))
        late = await asked(front, parent, slots[0], "one-more-of-them", persons=person)
        return late, [barred, *await asyncio.gather(*claims)]

    late, (barred, *claims) = front.runner.run(rush())
    assert barred.status_code == 200, barred.text
    assert late.status_code in (403, 404), late.text
    assert {one.status_code for one in claims} <= {201, 403, 404}, [one.text for one in claims]
    made = sum(one.status_code == 201 for one in claims)
    assert front.town.one("SELECT count(*) FROM claims WHERE holder_no = %s AND is_active", child.holder_no) == made
    assert examined(front) == []


def test_claims_that_are_made_while_their_region_merges_go_along(front: Front) -> None:
    people = front.town.residents(RUSH)
    slot = front.town.slot(capacity=RUSH)
    db = front.parts.db.of(None)

    async def rush() -> list[httpx.Response]:
        claims = [asyncio.create_task(asked(front, who, slot, f"while-it-merges-{n}")) for n, who in enumerate(people)]
        await asyncio.sleep(0.01)
        await db.run(actions.regions.merge, ["330411105"], "330411109", "新镇", clock.today())
        return await asyncio.gather(*claims)

    answers = front.runner.run(rush())
    assert {one.status_code for one in answers} <= {201, 409, 503}, [one.text for one in answers]
    made = sum(one.status_code == 201 for one in answers)
    assert front.taken(slot) == made
    assert front.town.one("SELECT community FROM slots WHERE id = %s", slot) == "330411109003"
    front.runner.run(gateway_tasks.stamp_notices(front.parts))
    late = front.book(front.town.residents(community="330411109003")[0], slot)
    assert late.status_code == (201 if made < RUSH else 409), late.text
    assert examined(front) == []
