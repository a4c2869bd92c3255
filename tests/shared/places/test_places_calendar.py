"""Days that are closed later, closures that are taken back, and places that nobody used: through the routes."""

from __future__ import annotations

import asyncio
import uuid
from datetime import timedelta
from typing import Any

from shared import clock
from shared.db import Tx
from shared.places import actions
from shared.places.actions import closures
from tests.shared.places.conftest import Town, claim, hall, line
from tests.shared.places.test_places_actions import Tell, at, code, do, iso, one, opened, window

DAY = "INSERT INTO days (date, kind, name) VALUES ($1, $2, $3) ON CONFLICT (date) DO UPDATE SET kind = $2, name = $3"
NOTICES = "SELECT type, subject, data FROM notices ORDER BY subject"


async def say(town: Town, days: int, kind: str, name: str | None = None) -> None:
    await town.owner.run(do, DAY, clock.today() + timedelta(days=days), kind, name)


async def states(town: Town, place_id: str, days: int) -> dict[str, set[str]]:
    """By title, the states of a day's slots."""
    found: dict[str, set[str]] = {}
    for s in await town.slots(place_id, None):
        if clock.local(s["starts_at"]).date() == clock.today() + timedelta(days=days):
            found.setdefault(s["title"], set()).add(s["state"])
    return found


def extra(days: int, **more: Any) -> dict[str, Any]:
    told = {"resource": "2号场", "starts_at": iso(at(days, 15)), "ends_at": iso(at(days, 16)), "title": "比赛"}
    return told | more


async def a_hall(town: Town) -> tuple[str, dict[str, Any]]:
    """A hall with yoga and one extra match on the third day; the yoga slot of nine o'clock."""
    place_id = await opened(town, line(resource="教室", title="瑜伽"))
    assert (await town.call("POST", f"/{place_id}/slots", json=extra(3))).status_code == 201
    return place_id, next(s for s in await town.slots(place_id) if s["starts_at"] == at(3, 9))


def test_a_day_that_is_closed_later_releases_whom_the_schedule_gave_a_place_and_leaves_extra_sessions(
    tell: Tell,
) -> None:
    async def story(town: Town) -> None:
        place_id, slot = await a_hall(town)
        group = await town.claim(slot["id"], people=3)
        match = next(s for s in await town.slots(place_id) if s["title"] == "比赛")
        await town.claim(match["id"])
        await say(town, 3, "closed", "台风")
        await asyncio.gather(*(actions.roll_out_all(town.db, "booking") for _ in range(2)))
        assert await states(town, place_id, 3) == {"瑜伽": {"closed"}, "比赛": {"open"}}
        assert await states(town, place_id, 4) == {"瑜伽": {"open"}}
        (told,) = await town.owner.read(Tx.fetch, NOTICES)
        assert (told["type"], told["subject"], told["data"]["reason"]) == ("booking.claim.released", group, "closed")
        assert told["data"]["closure"] == {"id": None, "reason": "台风"}
        left = await town.owner.read(one, "SELECT count(*) FROM claims WHERE is_active")
        assert left == 1
        assert await actions.roll_out_all(town.db, "booking") == 0
        assert await town.owner.read(one, "SELECT count(*) FROM notices") == 1
        # An extra session may still be put on such a day.
        more = extra(3, title="义诊", starts_at=iso(at(3, 17)), ends_at=iso(at(3, 18)))
        assert (await town.call("POST", f"/{place_id}/slots", json=more)).status_code == 201
        await say(town, 3, "work")
        assert await actions.roll_out_all(town.db, "booking") == 2
        assert await states(town, place_id, 3) == {"瑜伽": {"open"}, "比赛": {"open"}, "义诊": {"open"}}
        back = next(s for s in await town.slots(place_id) if s["starts_at"] == at(3, 9))
        assert (back["id"], back["taken"]) == (slot["id"], 0)
        assert await town.owner.read(one, "SELECT count(*) FROM notices") == 1

    tell(story)


def test_what_a_crash_leaves_of_a_closed_day_is_finished_once(tell: Tell) -> None:
    async def story(town: Town) -> None:
        place_id, slot = await a_hall(town)
        for n in range(3):
            await town.claim(slot["id"], f"n{n}")
        await say(town, 3, "closed")
        # The worker dies here: the slots are closed, and nobody is told yet.
        assert await town.db.run(actions.roll_out, uuid.UUID(place_id), clock.today()) == 0
        assert await states(town, place_id, 3) == {"瑜伽": {"closed"}, "比赛": {"open"}}
        assert await town.owner.read(one, "SELECT count(*) FROM notices") == 0
        assert sum(await asyncio.gather(*(actions.finish_closures(town.db) for _ in range(4)))) == 3
        assert await actions.finish_closures(town.db) == 0
        told = await town.owner.read(Tx.fetch, NOTICES)
        assert [row["data"]["closure"] for row in told] == [{"id": None, "reason": None}] * 3

    tell(story)


def test_a_day_that_opens_again_before_anybody_was_told_takes_nobodys_place(tell: Tell) -> None:
    async def story(town: Town) -> None:
        place_id, slot = await a_hall(town)
        await town.claim(slot["id"])
        await say(town, 3, "closed")
        await town.db.run(actions.roll_out, uuid.UUID(place_id), clock.today())
        await say(town, 3, "rest")
        assert await actions.finish_closures(town.db) == 0
        # Even when its line has gone meanwhile.
        assert (await town.put(f"/{place_id}/schedule", {"lines": []}, 1)).status_code == 200
        assert await actions.roll_out_all(town.db) == 0
        (kept,) = [s for s in await town.slots(place_id) if s["title"] == "瑜伽"]
        assert (kept["id"], kept["state"], kept["taken"]) == (slot["id"], "open", 1)
        assert await town.owner.read(one, "SELECT count(*) FROM notices") == 0

    tell(story)


def test_a_closure_is_taken_back_and_what_it_closed_opens_again(tell: Tell) -> None:
    async def story(town: Town) -> None:
        place_id, slot = await a_hall(town)
        await town.claim(slot["id"])
        answer = await town.call("POST", f"/{place_id}/closures", json=window(3, 8, 20))
        made = answer.json()
        assert answer.headers["location"].endswith(f"/{place_id}/closures/{made['id']}")
        other = (await town.call("POST", f"/{place_id}/closures", json=window(3, 10, 11))).json()
        assert (made["slots"], made["released"]) == (3, 1)
        assert (await town.put(f"/{place_id}/policy", {"close_minutes": 5}, 1)).status_code == 200
        path = f"/{place_id}/closures/{made['id']}"
        listed = (await town.call("GET", f"/{place_id}/closures")).json()["items"]
        assert (await town.call("GET", path, town.anybody)).json() in listed, "what is listed can be read"
        assert code(await town.call("GET", f"/{place_id}/closures/{uuid.uuid4()}")) == (404, "not_there")
        assert code(await town.call("DELETE", path, town.anybody)) == (401, "not_known")
        assert code(await town.call("DELETE", path, town.resident)) == (403, "not_allowed")
        assert code(await town.call("DELETE", path, town.foreign)) == (403, "not_allowed")
        assert code(await town.call("DELETE", f"/{place_id}/closures/{uuid.uuid4()}")) == (404, "not_there")
        elsewhere = await town.place(name="另一处")
        assert code(await town.call("DELETE", f"/{elsewhere}/closures/{made['id']}")) == (404, "not_there")
        assert code(await town.call("GET", f"/{elsewhere}/closures/{made['id']}")) == (404, "not_there")
        assert (await town.call("DELETE", path, town.staff)).status_code == 204
        assert code(await town.call("GET", path)) == (404, "not_there")
        assert code(await town.call("DELETE", path, town.staff)) == (404, "not_there")
        (left,) = (await town.call("GET", f"/{place_id}/closures")).json()["items"]
        assert left["id"] == other["id"]
        slots = {s["starts_at"]: s for s in await town.slots(place_id, None)}
        assert [(slots[at(3, hour)]["state"]) for hour in (9, 10, 15)] == ["open", "closed", "open"]
        assert slots[at(3, 9)]["taken"] == 0, "who was released is not put back"
        assert slots[at(3, 15)]["closes_at"] == at(3, 14, 55), "under the policy of now"
        assert slots[at(3, 9)]["closes_at"] == at(3, 8, 55)
        assert (await town.call("DELETE", f"/{place_id}/closures/{other['id']}")).status_code == 204
        assert await states(town, place_id, 3) == {"瑜伽": {"open"}, "比赛": {"open"}}

    tell(story)


def test_a_closure_on_a_closed_day_opens_only_what_stands_beside_the_schedule(tell: Tell) -> None:
    async def story(town: Town) -> None:
        place_id, _ = await a_hall(town)
        made = (await town.call("POST", f"/{place_id}/closures", json=window(3, 8, 20))).json()
        await say(town, 3, "closed")
        assert (await town.call("DELETE", f"/{place_id}/closures/{made['id']}")).status_code == 204
        assert await states(town, place_id, 3) == {"瑜伽": {"closed"}, "比赛": {"open"}}

    tell(story)


def test_who_was_not_released_yet_keeps_the_place_when_the_closure_is_taken_back(tell: Tell) -> None:
    async def story(town: Town) -> None:
        place_id, slot = await a_hall(town)
        match = next(s for s in await town.slots(place_id) if s["title"] == "比赛")
        for one_slot in (slot, match):
            await town.claim(one_slot["id"])
        who = (town.staff, "booking", uuid.UUID(place_id))
        closure_id, closed = await town.db.run(closures._begin_closure, *who, at(3, 8), at(3, 20), "停电")
        assert len(closed) == 3
        # The worker and the staff at once: whoever comes first decides, and nobody is left in a closed slot.
        await asyncio.gather(town.db.run(actions.take_back_closure, *who, closure_id), actions.finish_closures(town.db))
        await actions.finish_closures(town.db)
        assert await states(town, place_id, 3) == {"瑜伽": {"open"}, "比赛": {"open"}}
        active = await town.owner.read(one, "SELECT count(*) FROM claims WHERE is_active")
        assert active + await town.owner.read(one, "SELECT count(*) FROM notices") == 2

    tell(story)


def test_a_closure_that_is_over_stays(tell: Tell) -> None:
    async def story(town: Town) -> None:
        place_id = await town.place()
        made = (await town.call("POST", f"/{place_id}/closures", json=window(1, 8, 9))).json()
        past = "UPDATE closures SET starts_at = now() - interval '2 h', ends_at = now() - interval '1 h'"
        await town.owner.run(do, past)
        assert code(await town.call("DELETE", f"/{place_id}/closures/{made['id']}")) == (409, "conflict")

    tell(story)


def test_a_place_is_removed_only_when_nobody_ever_had_a_place_there(tell: Tell) -> None:
    async def story(town: Town) -> None:
        place_id, _ = await a_hall(town)
        await town.put(f"/{place_id}/terms", {}, 0)
        await town.call("POST", f"/{place_id}/closures", json=window(4, 8, 20))
        used = await opened(town, line(), place_id=await town.place(name="另一处"))
        group = await town.claim((await town.slots(used))[0]["id"])
        gone = "UPDATE claims SET state = 'released', is_active = false WHERE group_id = $1"
        await town.owner.run(do, gone, group)
        await town.owner.run(do, "UPDATE slots SET taken = 0")
        assert code(await town.call("DELETE", f"/{used}")) == (409, "conflict")
        assert len(await town.slots(used)) > 0
        assert code(await town.call("DELETE", f"/{place_id}", town.anybody)) == (401, "not_known")
        for who in (town.staff, town.foreign, town.resident):
            assert code(await town.call("DELETE", f"/{place_id}", who)) == (403, "not_allowed")
        assert code(await town.call("DELETE", f"/{uuid.uuid4()}")) == (404, "not_there")
        assert (await town.call("DELETE", f"/{place_id}")).status_code == 204
        assert code(await town.call("DELETE", f"/{place_id}")) == (404, "not_there")
        for table in ("slots", "resources", "schedules", "policies", "closures", "terms"):
            found = await town.owner.read(one, f"SELECT count(*) FROM {table} WHERE place_id = $1", uuid.UUID(place_id))
            assert found == 0, table
        assert (await town.call("POST", "", json=hall())).status_code == 201

    tell(story)


def test_a_place_is_not_removed_under_somebody_who_is_booking(tell: Tell) -> None:
    async def story(town: Town) -> None:
        place_id, slot = await a_hall(town)
        async with town.owner.transaction() as tx:
            await claim(tx, slot["id"], "快手", "app", confirmed=False, people=1)
            removing = asyncio.create_task(town.call("DELETE", f"/{place_id}"))
            while not await town.owner.read(one, "SELECT count(*) FROM pg_locks WHERE NOT granted"):
                assert not removing.done()
        assert code(await removing) == (409, "conflict")
        assert await town.owner.read(one, "SELECT count(*) FROM claims WHERE is_active") == 1

    tell(story)
