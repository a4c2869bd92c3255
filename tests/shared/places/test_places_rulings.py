"""Deadlines by the clock, whose time a place takes, and terms: through the routes, on a real database."""

from __future__ import annotations

import asyncio
import uuid
from datetime import time as wall_time
from datetime import timedelta
from typing import Any

import pytest

from shared import clock
from shared.places import sql
from tests.shared.places.conftest import Town, line
from tests.shared.places.test_places_actions import Tell, at, code, do, iso, one, opened

EVE = {"days_ahead": 1, "at": "16:00"}


def test_deadlines_are_said_by_the_clock_of_the_slots_own_day(tell: Tell) -> None:
    async def story(town: Town) -> None:
        place_id = await town.place()
        path = f"/{place_id}/policy"
        same_day = {"days_ahead": 0, "at": "09:30"}
        assert (await town.put(path, {"close_at": same_day, "cancel_at": EVE}, 1)).status_code == 200
        await opened(town, line(), place_id=place_id)
        for s in await town.slots(place_id):
            day = clock.local(s["starts_at"]).date()
            assert s["closes_at"] == min(clock.at(day, wall_time(9, 30)), s["starts_at"])
            assert s["cancel_by"] == clock.at(day - timedelta(days=1), wall_time(16))
        extra = {"resource": "2号场", "starts_at": iso(at(2, 15)), "ends_at": iso(at(2, 16)), "title": "比赛"}
        assert (await town.call("POST", f"/{place_id}/slots", json=extra)).status_code == 201
        (made,) = [s for s in await town.slots(place_id) if s["title"] == "比赛"]
        assert (made["closes_at"], made["cancel_by"]) == (at(2, 9, 30), at(1, 16))
        read = (await town.call("GET", path)).json()
        assert (read["close_at"], read["cancel_at"], read["close_minutes"]) == (same_day, EVE, 0)
        late = {"cancel_at": {"days_ahead": 0, "at": "23:59"}}
        assert (await town.put(path, {"close_minutes": 15} | late, 2)).status_code == 200
        for s in await town.slots(place_id):
            assert (s["closes_at"], s["cancel_by"]) == (s["starts_at"] - timedelta(minutes=15), s["starts_at"])

    tell(story)


@pytest.mark.parametrize(
    "wrong",
    [
        {"close_at": EVE, "close_minutes": 5},
        {"cancel_at": EVE, "cancel_minutes": 0},
        {"close_at": {"days_ahead": 61, "at": "16:00"}},
        {"close_at": {"days_ahead": 1, "at": "24:00"}},
        {"close_at": EVE, "release": {"days_ahead": 1, "at": "16:00"}},
        {"is_exclusive": None},
    ],
)
def test_a_deadline_that_makes_no_sense_is_refused_and_changes_nothing(tell: Tell, wrong: dict[str, Any]) -> None:
    async def story(town: Town) -> None:
        place_id = await town.place()
        assert code(await town.put(f"/{place_id}/policy", wrong, 1)) == (422, "unprocessable")
        assert (await town.call("GET", f"/{place_id}/policy")).json()["version"] == 1
        good = {"close_at": EVE, "release": {"days_ahead": 1, "at": "15:59"}}
        assert (await town.put(f"/{place_id}/policy", good, 1)).status_code == 200

    tell(story)


def test_a_place_that_takes_nobodys_time_makes_slots_that_do_not_either(tell: Tell) -> None:
    async def story(town: Town) -> None:
        place_id = await opened(town, line(), line(resource="教室", title="取餐"))
        assert {s["is_exclusive"] for s in await town.slots(place_id)} == {True}
        held = next(s for s in await town.slots(place_id) if s["starts_at"] == at(1, 9))
        group = await town.claim(held["id"])
        assert (await town.put(f"/{place_id}/policy", {"is_exclusive": False, "horizon_days": 9}, 1)).status_code == 200
        extra = {"resource": "2号场", "starts_at": iso(at(2, 15)), "ends_at": iso(at(2, 16)), "title": "比赛"}
        assert (await town.call("POST", f"/{place_id}/slots", json=extra)).status_code == 201
        slots = {s["id"]: s["is_exclusive"] for s in await town.slots(place_id)}
        assert slots.pop(held["id"]) is True, "its claims carry a copy"
        assert set(slots.values()) == {False}
        # What is cancelled and comes back is under the policy of its return.
        assert (await town.put(f"/{place_id}/schedule", {"lines": []}, 1)).status_code == 200
        assert (await town.put(f"/{place_id}/policy", {"is_exclusive": True}, 2)).status_code == 200
        await opened(town, line(), version=2, place_id=place_id)
        assert {s["is_exclusive"] for s in await town.slots(place_id)} == {True}
        copies = await town.owner.read(one, "SELECT bool_and(is_exclusive) FROM claims WHERE group_id = $1", group)
        assert copies is True

    tell(story)


def test_terms_are_versioned_and_what_nobody_said_is_the_default(tell: Tell) -> None:
    async def story(town: Town) -> None:
        place_id = await town.place()
        path = f"/{place_id}/terms"
        first = await town.call("GET", path, town.anybody)
        assert (first.status_code, first.headers["etag"]) == (200, '"0"')
        assert first.json() == {"version": 0, "made_at": None, "deposit_fen": 0, "rooms": []}
        made = await town.put(path, {"deposit_fen": 500, "rooms": ["<b>甲</b>"]}, 0)
        assert (made.status_code, made.headers["etag"]) == (200, '"1"'), made.text
        assert (made.json()["version"], made.json()["rooms"]) == (1, ["<b>甲</b>"])
        again = await town.put(path, {}, 1)
        assert (again.json()["version"], again.json()["deposit_fen"]) == (2, 0)
        assert (await town.call("GET", path + "?version=1")).json()["deposit_fen"] == 500
        assert code(await town.call("GET", path + "?version=3")) == (404, "not_there")
        assert code(await town.put(path, {}, 1)) == (412, "changed")
        assert code(await town.call("PUT", path, json={})) == (428, "condition_missing")
        for wrong in ({"deposit_fen": -1}, {"deposit_fen": "x"}, {"version": 3}, {"rooms": ["a\u0000"]}, []):
            assert code(await town.put(path, wrong, 2)) == (422, "unprocessable"), wrong
        for who in (town.staff, town.resident, town.foreign):
            assert code(await town.put(path, {}, 2, who)) == (403, "not_allowed")
        assert code(await town.put(path, {}, 2, town.anybody)) == (401, "not_known")
        assert code(await town.put(f"/{uuid.uuid4()}/terms", {}, 0)) == (404, "not_there")
        other = uuid.UUID(await town.place(name="另一处"))
        known = await town.db.read(sql.terms, [uuid.UUID(place_id), other, uuid.uuid4()])
        assert known == {uuid.UUID(place_id): (2, {"deposit_fen": 0, "rooms": []})}
        # A body of older days: what it does not say is the default, what has gone is left out.
        await town.owner.run(
            do, "INSERT INTO terms (place_id, version, body) VALUES ($1, 1, $2)", other, {"gone": 1, "deposit_fen": 7}
        )
        old = (await town.call("GET", f"/{other}/terms")).json()
        assert (old["version"], old["deposit_fen"], old["rooms"], "gone" in old) == (1, 7, [], False)

    tell(story)


def test_of_two_who_set_the_terms_at_once_one_reads_again(tell: Tell) -> None:
    async def story(town: Town) -> None:
        place_id = await town.place()
        both = await asyncio.gather(*(town.put(f"/{place_id}/terms", {"deposit_fen": n}, 0) for n in range(4)))
        assert sorted(answer.status_code for answer in both) == [200, 412, 412, 412]
        assert await town.owner.read(one, "SELECT count(*) FROM terms") == 1

    tell(story)
