"""Roles, homes and regions as the front door sees them: what ends, ends within two seconds."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from services.identity import actions
from shared import clock, errors, notices
from shared.crypto import Keyring
from tests.conftest import copy_of
from tests.gateway import doors
from tests.gateway.test_front import Front, examined, opened
from tests.town import COMMUNITY, Resident

VILLAGE = "330411105204"
SECONDS = 2.0
"""Facts about accounts are at most so old at the door."""


@pytest.fixture(scope="module")
def front(server: Any, template: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Front]:
    folder: Path = tmp_path_factory.mktemp("people")
    with copy_of(server, template) as url, opened(url, Keyring.fresh(), doors.demo(folder)) as made:
        yield made


def may(front: Front, who: Resident) -> bool:
    answer = front.ask("POST", "/v1/identity/people/search", who, json={"q": "居民"})
    assert answer.status_code in (200, 403), answer.text
    return answer.status_code == 200


def seconds_past(front: Front, who: Resident) -> float:
    """By how much the database's clock is past the role's end when the door first says no."""
    deadline = time.monotonic() + 10
    while may(front, who):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return float(
        front.town.one(
            "SELECT extract(epoch FROM clock_timestamp() - max(ends_at))::float8 FROM roles WHERE account_no = %s",
            who.account_no,
        )
    )


def test_a_role_that_expires_ends_within_two_seconds(front: Front) -> None:
    (who,) = front.town.residents()
    assert not may(front, who)
    time.sleep(SECONDS)
    front.town.appoint(who, "staff")
    front.town.do(
        "UPDATE roles SET ends_at = clock_timestamp() + interval '1500 milliseconds' WHERE account_no = %s",
        who.account_no,
    )
    assert may(front, who)
    # Half a second for a busy machine between the door's no and the clock that is read after it.
    assert 0 <= seconds_past(front, who) <= SECONDS + 0.5


def test_a_role_is_granted_and_taken_back_at_the_door(front: Front) -> None:
    admin, clerk = front.town.residents(2)
    front.town.appoint(admin, "administrator", "3304")
    wish = {"person": str(clerk.person_id), "role": "staff", "region": COMMUNITY, "reason": "新入职"}
    made = front.ask("POST", "/v1/identity/roles", admin, json=wish)
    assert made.status_code == 201, made.text
    assert may(front, clerk)
    gone = front.ask("DELETE", f"/v1/identity/roles/{made.json()['id']}?reason=moved_on", admin)
    assert gone.status_code == 204
    assert 0 <= seconds_past(front, clerk) <= SECONDS + 0.5
    front.runner.run(front.parts.db.of(None).run(notices.stamp))
    told = front.get("/v1/notices", clerk).json()["items"]
    assert [(one["type"], one["data"]) for one in told] == [
        ("identity.role.granted", {"role": "staff"}),
        ("identity.role.withdrawn", {"role": "staff"}),
    ]


def test_where_one_lives_decides_what_one_may_book(front: Front) -> None:
    (who,) = front.town.residents(community="33")
    slot = front.town.slot(9, regions=[VILLAGE])
    assert front.book(who, slot).json()["code"] == "outside_area"
    visit = {"kind": "visitor", "community": VILLAGE}
    assert front.ask("POST", "/v1/identity/me/places", who, json=visit).status_code == 201
    assert front.book(who, slot).json()["code"] == "outside_area", (
        "sessions are for residents; a visitor lives elsewhere"
    )
    home = {"kind": "resident", "community": VILLAGE, "home": True}
    assert front.ask("POST", "/v1/identity/me/places", who, json=home).status_code == 201
    assert front.book(who, slot).status_code == 201


def test_an_ended_region_points_on_and_takes_nobody_in(front: Front) -> None:
    (manager,) = front.town.residents()
    front.town.appoint(manager, "manager", "3304")
    db = front.parts.db.of(None)
    front.runner.run(db.run(actions.regions.merge, ["330424101"], "330424109", "新镇", clock.today()))
    ended = front.get("/v1/regions/330424101").json()
    assert (ended["ended_on"], ended["successors"]) == (clock.today().isoformat(), ["330424109"])
    listed = [one["code"] for one in front.get("/v1/regions?parent=330424").json()["items"]]
    assert listed == ["330424109"]
    assert front.get("/v1/regions/330424109").json()["successors"] == []
    place = {"kind": "fitness_centre", "name": "新馆", "community": "330424101003", "resources": []}
    refused = front.ask("POST", "/v1/booking/facilities", manager, json=place)
    assert refused.json()["code"] == "region_ended", refused.text
    tie = {"kind": "visitor", "community": "330424101003"}
    refused = front.ask("POST", "/v1/identity/me/places", manager, json=tie)
    assert (refused.json()["code"], refused.json()["successors"]) == ("region_ended", ["330424109003"])
    assert examined(front) == []


def test_a_role_granted_while_its_region_ends_is_not_left_in_it(front: Front) -> None:
    """The grant waits for the merge, which holds the region's row, and then finds that it has ended."""
    admin, clerk = front.town.residents(2)
    front.town.appoint(admin, "administrator", "3304")
    front.town.do("INSERT INTO regions VALUES ('330411107', '某镇', 'street', '330411')")
    wish = {"person": str(clerk.person_id), "role": "staff", "region": "330411107", "reason": "新入职"}
    assert front.get("/v1/notices", admin).status_code == 200

    async def at_once() -> int:
        import asyncio  # noqa: PLC0415 - only here

        async with front.parts.db.of(None).transaction() as tx:
            await actions.regions.merge(tx, ["330411107"], "330411108", "新镇", clock.today())
            asked = asyncio.create_task(
                front.client.post("/v1/identity/roles", headers=admin.headers(front.keys), json=wish)
            )
            await asyncio.sleep(0.5)
            assert not asked.done()
        return (await asked).status_code

    assert front.runner.run(at_once()) == errors.RegionEnded.status
    assert examined(front) == []
