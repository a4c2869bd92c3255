"""Places through their routes, in the role of the service, on a real database."""

from __future__ import annotations

import asyncio
import csv
import io
import uuid
from collections.abc import Callable
from datetime import datetime, timedelta
from datetime import time as wall_time
from typing import Any

import httpx

from shared import clock, texts
from shared.assertion import Caller, Role
from shared.db import Tx
from shared.places import actions
from shared.places.actions import closures
from tests.shared.places.conftest import BASE, COMMUNITY, ELSEWHERE, TOWN, Story, Town, claim, hall, line

Tell = Callable[[Story], None]


def at(days: int, hour: int, minute: int = 0) -> datetime:
    return clock.at(clock.today() + timedelta(days=days), wall_time(hour, minute))


def iso(moment: datetime) -> str:
    return clock.local(moment).isoformat()


async def one(tx: Tx, sql: str, *args: Any) -> Any:
    return await tx.value(sql, *args)


async def do(tx: Tx, sql: str, *args: Any) -> int:
    return await tx.execute(sql, *args)


def code(answer: httpx.Response) -> tuple[int, str]:
    assert answer.headers["content-type"] == "application/problem+json", answer.text
    return answer.status_code, answer.json()["code"]


async def opened(town: Town, *lines: dict[str, Any], version: int = 0, place_id: str | None = None) -> str:
    place_id = place_id or await town.place()
    answer = await town.put(f"/{place_id}/schedule", {"lines": list(lines)}, version)
    assert answer.status_code == 200, answer.text
    return place_id


def test_a_place_is_made_read_changed_and_found(tell: Tell) -> None:
    async def story(town: Town) -> None:
        made = await town.call("POST", "", json=hall())
        assert (made.status_code, made.headers["etag"]) == (201, '"1"')
        body = made.json()
        assert made.headers["location"] == f"{BASE}/{body['id']}"
        assert [court["name"] for court in body["resources"]] == ["1号场", "2号场", "教室"]
        read = await town.call("GET", f"/{body['id']}", town.anybody)
        assert (read.status_code, read.json()) == (200, body)
        courts = [*(dict(court.items()) for court in body["resources"][:2]), {"name": "3号场"}]
        changed = await town.put(f"/{body['id']}", hall(name="体育馆", resources=courts), 1)
        assert (changed.status_code, changed.headers["etag"]) == (200, '"2"')
        assert [court["name"] for court in changed.json()["resources"]] == ["1号场", "2号场", "3号场"]
        assert changed.json()["resources"][0]["id"] == body["resources"][0]["id"]
        assert code(await town.put(f"/{body['id']}", hall(), 1)) == (412, "changed")
        assert code(await town.call("PUT", f"/{body['id']}", json=hall())) == (428, "condition_missing")
        assert code(await town.call("GET", f"/{uuid.uuid4()}")) == (404, "not_there")

    tell(story)


def test_who_may_make_places(tell: Tell) -> None:
    async def story(town: Town) -> None:
        assert code(await town.call("POST", "", town.anybody, json=hall())) == (401, "not_known")
        for who in (town.resident, town.staff, town.foreign):
            assert code(await town.call("POST", "", who, json=hall())) == (403, "not_allowed")
        place_id = await town.place()
        bound = Caller(account_id=uuid.uuid4(), account_no=9, roles=(Role("operator", TOWN, uuid.UUID(place_id)),))
        assert code(await town.call("POST", "", bound, json=hall(name="x"))) == (403, "not_allowed")
        assert (await town.put(f"/{place_id}", hall(), 1, bound)).status_code == 200
        assert code(await town.put(f"/{place_id}", hall(community=ELSEWHERE), 2)) == (403, "not_allowed")
        assert code(await town.call("POST", "", json=hall())) == (409, "exists")
        refused = await town.call("POST", "", json=hall(name="y", community=TOWN + "999"))
        assert (code(refused), refused.json()["errors"][0]["pointer"]) == ((422, "unprocessable"), "/community")
        assert code(await town.call("POST", "", json=hall(name="y", kind="kitchen"))) == (422, "unprocessable")
        twice = [{"name": "a"}, {"name": "a"}]
        assert code(await town.call("POST", "", json=hall(name="y", resources=twice))) == (422, "unprocessable")
        unsigned = await town.http.get(BASE)
        assert code(unsigned) == (403, "assertion_missing")

    tell(story)


def test_places_are_found_on_foot(tell: Tell) -> None:
    async def story(town: Town) -> None:
        north = 1 / 111_195  # degrees a metre
        for metres in (10, 300, 320, 900, 930):
            await town.place(name=f"{metres:03}", lat=30.62 + metres * north, lon=120.72)
        await town.place(name="nowhere", lat=None, lon=None)
        five = await town.call("GET", "?near=30.62,120.72&minutes=5", town.anybody)
        assert [(p["name"], p["walk_minutes"]) for p in five.json()["items"]] == [("010", 1), ("300", 5)]
        seen: list[int] = []
        cursor = ""
        while True:
            page = (await town.call("GET", f"?near=30.62,120.72&minutes=15&limit=2{cursor}")).json()
            seen += [p["metres"] for p in page["items"]]
            if page["next"] is None:
                break
            cursor = "&cursor=" + page["next"]
        assert seen == [10, 300, 320, 900]
        assert code(await town.call("GET", "?near=99,120&minutes=15")) == (422, "unprocessable")
        assert code(await town.call("GET", "?near=30,120&minutes=7")) == (422, "unprocessable")
        assert code(await town.call("GET", "?near=here")) == (422, "unprocessable")
        names, cursor = [], ""
        while True:
            page = (await town.call("GET", f"?community={TOWN}&kind=fitness&limit=4{cursor}")).json()
            names += [p["name"] for p in page["items"]]
            if page["next"] is None:
                break
            cursor = "&cursor=" + page["next"]
        assert sorted(names) == ["010", "300", "320", "900", "930", "nowhere"]
        assert (await town.call("GET", f"?community={ELSEWHERE}")).json()["items"] == []

    tell(story)


def test_a_schedule_makes_slots_for_eight_days_at_once(tell: Tell) -> None:
    async def story(town: Town) -> None:
        place_id = await town.place()
        empty = await town.call("GET", f"/{place_id}/schedule", town.anybody)
        assert (empty.json(), empty.headers["etag"]) == ({"version": 0, "lines": []}, '"0"')
        lines = [line(starts="00:00", ends="24:00", slot_minutes=720), line(resource="教室", title="瑜伽", capacity=7)]
        answer = await town.put(f"/{place_id}/schedule", {"lines": lines}, 0)
        assert (answer.status_code, answer.headers["etag"]) == (200, '"1"'), answer.text
        slots = await town.slots(place_id)
        assert {clock.local(slot["starts_at"]).date() for slot in slots} >= {
            clock.today() + timedelta(days=n) for n in range(1, 8)
        }
        assert all(slot["starts_at"] > clock.now() for slot in slots)
        assert max(clock.local(slot["starts_at"]).date() for slot in slots) == clock.today() + timedelta(days=7)
        tomorrow = [s for s in slots if clock.local(s["starts_at"]).date() == clock.today() + timedelta(days=1)]
        assert [(s["resource"], s["capacity"], s["is_exclusive_resource"]) for s in tomorrow] == [
            ("1号场", 1, True),
            ("教室", 7, False),
            ("教室", 7, False),
            ("1号场", 1, True),
        ]
        assert tomorrow[-1]["ends_at"] == at(2, 0)
        assert (await town.call("GET", f"/{place_id}/schedule")).json() == answer.json()
        again = await town.put(f"/{place_id}/schedule", answer.json() | {}, 1)
        assert code(again) == (422, "unprocessable")  # `version` is not the caller's to say
        assert (await town.put(f"/{place_id}/schedule", {"lines": answer.json()["lines"]}, 1)).status_code == 200
        assert [s["id"] for s in await town.slots(place_id)] == [s["id"] for s in slots]
        assert code(await town.put(f"/{place_id}/schedule", {"lines": []}, 1)) == (412, "changed")
        assert code(await town.put(f"/{place_id}/schedule", {"lines": []}, 2, town.staff)) == (403, "not_allowed")
        wrong = await town.put(f"/{place_id}/schedule", {"lines": [line(), line(starts="10:30")]}, 2)
        assert wrong.json()["errors"] == [{"in": "body", "pointer": "/lines/1/slot_minutes", "code": "too_long"}]
        wrong = await town.put(f"/{place_id}/schedule", {"lines": [line(), line(starts="10:00")]}, 2)
        assert wrong.json()["errors"] == [{"in": "body", "pointer": "/lines/1/starts", "code": "overlap"}]
        wrong = await town.put(f"/{place_id}/schedule", {"lines": [line(resource="9号场")]}, 2)
        assert wrong.json()["errors"] == [{"in": "body", "pointer": "/lines/0/resource", "code": "unknown"}]

    tell(story)


def test_the_calendar_decides_and_closed_days_stay_empty(tell: Tell) -> None:
    async def story(town: Town) -> None:
        kinds = ["work", "rest", "closed"]
        for n, kind in enumerate(kinds, start=1):
            day = clock.today() + timedelta(days=n)
            await town.owner.run(do, "INSERT INTO days (date, kind) VALUES ($1, $2)", day, kind)
        place_id = await opened(
            town, line(days=["work"], title="工作日"), line(days=["rest"], title="休息日", ends="10:00")
        )
        found = {
            (clock.local(s["starts_at"]).date() - clock.today()).days: s["title"] for s in await town.slots(place_id)
        }
        assert (found[1], found[2], found.get(3)) == ("工作日", "休息日", None)

    tell(story)


def test_a_changed_schedule_cancels_what_nobody_touched_and_brings_it_back(tell: Tell) -> None:
    async def story(town: Town) -> None:
        place_id = await opened(town, line())
        extra = await town.call(
            "POST",
            f"/{place_id}/slots",
            town.staff,
            json={"resource": "1号场", "starts_at": iso(at(2, 15)), "ends_at": iso(at(2, 16)), "title": "比赛"},
        )
        assert extra.status_code == 201, extra.text
        before = await town.slots(place_id)
        taken = next(s for s in before if s["starts_at"] == at(1, 9))
        await town.claim(taken["id"])
        await opened(town, line(starts="18:00", ends="20:00"), version=1, place_id=place_id)
        after = {s["id"]: s for s in await town.slots(place_id, None)}
        assert after[taken["id"]]["state"] == "open"
        assert after[uuid.UUID(extra.json()["id"])]["state"] == "open"
        gone = {s["id"] for s in before} - {taken["id"], uuid.UUID(extra.json()["id"])}
        assert {after[one]["state"] for one in gone} == {"cancelled"}
        await opened(town, line(capacity=3), version=2, place_id=place_id)
        back = {s["id"]: s for s in await town.slots(place_id)}
        assert gone <= back.keys()
        assert {back[one]["capacity"] for one in gone} == {3}
        assert back[taken["id"]]["capacity"] == 1
        # Another length from the same start: times never change, so new slots come and the old ones make way.
        await opened(town, line(slot_minutes=120), version=3, place_id=place_id)
        await opened(town, line(slot_minutes=120), version=4, place_id=place_id)
        long = [s for s in await town.slots(place_id) if s["ends_at"] - s["starts_at"] == timedelta(hours=2)]
        assert len({s["starts_at"] for s in long}) == len(long) >= 6
        assert all(s["starts_at"] != at(1, 9) for s in long)
        await opened(town, line(), version=5, place_id=place_id)
        short = [s for s in await town.slots(place_id) if s["title"] == "羽毛球"]
        assert {s["ends_at"] - s["starts_at"] for s in short} == {timedelta(hours=1)}
        assert len(short) == len(before) - 1

    tell(story)


def test_rolling_out_is_idempotent_and_safe_many_times_at_once(tell: Tell) -> None:
    async def story(town: Town) -> None:
        place_id = await opened(town, line())
        week = clock.today() + timedelta(days=7)
        made = await asyncio.gather(*(town.db.run(actions.roll_out, uuid.UUID(place_id), week) for _ in range(6)))
        assert sorted(made) == [0, 0, 0, 0, 0, 14]
        assert await actions.roll_out_all(town.db, "booking") == 0
        assert await actions.roll_out_all(town.db, "childcare") == 0
        slots = await town.slots(place_id)
        assert len({(s["resource_no"], s["starts_at"]) for s in slots}) == len(slots)

    tell(story)


def test_a_line_that_meets_another_slot_does_not_keep_the_others_from_being_made(tell: Tell) -> None:
    async def story(town: Town) -> None:
        place_id = await town.place()
        extra = {"resource": "1号场", "starts_at": iso(at(1, 9, 30)), "ends_at": iso(at(1, 10, 30)), "title": "比赛"}
        assert (await town.call("POST", f"/{place_id}/slots", json=extra)).status_code == 201
        overlap = extra | {"starts_at": iso(at(1, 10)), "ends_at": iso(at(1, 11)), "title": "友谊赛"}
        assert code(await town.call("POST", f"/{place_id}/slots", json=overlap)) == (409, "slots_overlap")
        await opened(town, line(ends="12:00"), place_id=place_id)
        tomorrow = [
            s for s in await town.slots(place_id) if clock.local(s["starts_at"]).date() == clock.local(at(1, 0)).date()
        ]
        assert [clock.local(s["starts_at"]).hour for s in tomorrow] == [9, 11]
        shared = extra | {"resource": "教室"}
        assert (await town.call("POST", f"/{place_id}/slots", json=shared)).status_code == 201
        assert code(await town.call("POST", f"/{place_id}/slots", json=shared)) == (409, "exists")
        assert code(await town.call("POST", f"/{place_id}/slots", town.resident, json=shared)) == (403, "not_allowed")
        past = shared | {"starts_at": iso(at(-1, 9)), "ends_at": iso(at(-1, 10))}
        assert code(await town.call("POST", f"/{place_id}/slots", json=past)) == (422, "unprocessable")
        naive = shared | {"starts_at": "2027-01-01T09:00:00"}
        assert code(await town.call("POST", f"/{place_id}/slots", json=naive)) == (422, "unprocessable")

    tell(story)


def test_resources_with_slots_stay(tell: Tell) -> None:
    async def story(town: Town) -> None:
        place_id = await opened(town, line())
        rest = hall()["resources"][1:]
        assert code(await town.put(f"/{place_id}", hall(resources=rest), 1)) == (409, "conflict")
        shared = [hall()["resources"][0] | {"is_exclusive": False}, *rest]
        assert code(await town.put(f"/{place_id}", hall(resources=shared), 1)) == (409, "conflict")
        assert (await town.put(f"/{place_id}", hall(resources=hall()["resources"][:2]), 1)).status_code == 200
        moved = Caller(account_id=uuid.uuid4(), account_no=9, roles=(Role("manager", "33"),))
        assert code(await town.put(f"/{place_id}", hall(community=ELSEWHERE), 2, moved)) == (409, "conflict")
        bigger = [hall()["resources"][0] | {"capacity": 4}, *rest]
        assert (await town.put(f"/{place_id}", hall(resources=bigger), 2)).status_code == 200
        assert {s["capacity"] for s in await town.slots(place_id)} == {4}

    tell(story)


POLICY: dict[str, Any] = {
    "release": {"days_ahead": 2, "at": "08:00"},
    "close_minutes": 10,
    "cancel_minutes": 60,
    "limits": {"per_day": 1, "household_per_day": 2},
    "audience": {"min_age": 16, "max_age": None, "regions": ["3304"], "level": 1},
    "offline_share": 1,
    "offline_minutes": 120,
    "is_waitable": False,
}


def test_a_policy_is_versioned_and_rules_every_open_slot_to_come(tell: Tell) -> None:
    async def story(town: Town) -> None:
        place_id = await town.place()
        path = f"/{place_id}/policy"
        first = await town.call("GET", path, town.anybody)
        assert (first.json()["version"], first.json()["horizon_days"], first.headers["etag"]) == (1, 8, '"1"')
        assert (await town.put(path, POLICY, 1)).status_code == 200
        await opened(town, line(), place_id=place_id)
        slots = await town.slots(place_id)
        for s in slots:
            day = clock.local(s["starts_at"]).date()
            assert s["opens_at"] == clock.at(day - timedelta(days=2), wall_time(8))
            assert s["closes_at"] == s["starts_at"] - timedelta(minutes=10)
            assert s["cancel_by"] == s["starts_at"] - timedelta(hours=1)
            assert s["offline_until"] == s["starts_at"] - timedelta(hours=2)
            assert (s["min_age"], s["regions"], s["level"], s["is_waitable"]) == (16, ["3304"], 1, False)
        taken = slots[-1]["id"]
        await town.claim(taken)
        later = POLICY | {"release": {"days_ahead": 0, "at": "23:55"}, "audience": {"max_age": 60}, "offline_share": 0}
        second = await town.put(path, later, 2)
        assert (second.status_code, second.json()["version"]) == (200, 3)
        policy_id = await town.owner.read(
            one, "SELECT id FROM policies WHERE place_id = $1 AND version = 3", uuid.UUID(place_id)
        )
        now = clock.now()
        for before, s in zip(slots, await town.slots(place_id), strict=True):
            was_open = before["opens_at"] <= now
            day = clock.local(s["starts_at"]).date()
            assert s["opens_at"] == (before["opens_at"] if was_open else clock.at(day, wall_time(23, 55)))
            assert (s["policy_id"], s["min_age"], s["max_age"], s["offline_until"]) == (policy_id, None, 60, None)
            assert (s["starts_at"], s["ends_at"]) == (before["starts_at"], before["ends_at"])
        assert (await town.call("GET", path + "?version=2")).json()["cancel_minutes"] == 60
        assert code(await town.call("GET", path + "?version=9")) == (404, "not_there")
        body = await town.owner.read(one, "SELECT body->'limits' FROM policies WHERE id = $1", policy_id)
        assert body == {"per_day": 1, "per_week": None, "at_once": None, "household_per_day": 2}
        assert code(await town.put(path, POLICY, 1)) == (412, "changed")
        assert code(await town.put(path, POLICY | {"limits": {"per_day": 0}}, 3)) == (422, "unprocessable")
        wrong = await town.put(path, {"audience": {"regions": ["3304", "99"]}}, 3)
        assert wrong.json()["errors"] == [{"in": "body", "pointer": "/audience/regions/1", "code": "unknown"}]
        assert (await town.put(path, {"horizon_days": 10}, 3)).status_code == 200
        assert len(await town.slots(place_id)) == len(slots) + 4
        assert {s["opens_at"] for s in await town.slots(place_id)} == {None}

    tell(story)


def window(days: int, begin: int, end: int, **more: Any) -> dict[str, Any]:
    return {"starts_at": iso(at(days, begin)), "ends_at": iso(at(days, end)), "reason": "水管爆裂"} | more


def test_a_closure_releases_everybody_tells_them_and_keeps_new_slots_away(tell: Tell) -> None:
    async def story(town: Town) -> None:
        place_id = await opened(town, line(), line(resource="教室", title="瑜伽"))
        yoga = next(s for s in await town.slots(place_id) if s["starts_at"] == at(1, 9) and s["title"] == "瑜伽")
        court = next(s for s in await town.slots(place_id) if s["starts_at"] == at(1, 9) and s["title"] == "羽毛球")
        for n in range(60):
            await town.claim(yoga["id"], f"n{n}", people=4)
        group = await town.claim(court["id"], confirmed=False)
        other = next(s for s in await town.slots(place_id) if s["starts_at"] == at(1, 10))
        await town.claim(other["id"])
        path = f"/{place_id}/closures"
        dry = await town.call("POST", path, town.staff, json=window(1, 8, 10, dry_run=True))
        assert (dry.status_code, dry.json()) == (200, {"id": None, "slots": 2, "released": 241})
        assert (await town.call("GET", path)).json()["items"] == []
        real = await town.call("POST", path, town.staff, json=window(1, 8, 10))
        assert (real.status_code, real.json()["slots"], real.json()["released"]) == (201, 2, 241), real.text
        twice = await asyncio.gather(*(town.call("POST", path, town.staff, json=window(1, 8, 10)) for _ in range(3)))
        assert [one.json() for one in twice] == [real.json()] * 3, "sent again it is the same closure"
        (shown,) = (await town.call("GET", path, town.anybody)).json()["items"]
        assert (shown["id"], shown["released"], shown["reason"]) == (real.json()["id"], 241, "水管爆裂")
        slots = {s["id"]: s for s in await town.slots(place_id, None)}
        assert (slots[yoga["id"]]["state"], slots[yoga["id"]]["taken"]) == ("closed", 0)
        assert (slots[other["id"]]["state"], slots[other["id"]]["taken"]) == ("open", 1)
        told = await town.owner.read(
            Tx.fetch, "SELECT type, subject, holders, data FROM notices WHERE subject = $1", group
        )
        assert [(row["type"], len(row["holders"]), row["data"]["reason"]) for row in told] == [
            ("booking.claim.released", 1, "closed")
        ]
        assert told[0]["data"]["closure"] == {"id": real.json()["id"], "reason": "水管爆裂"}
        holders = await town.owner.read(one, "SELECT sum(cardinality(holders))::int FROM notices")
        assert holders == 241
        reasons = await town.owner.read(Tx.fetch, "SELECT DISTINCT state, reason FROM claims WHERE NOT is_active")
        assert [tuple(row) for row in reasons] == [("released", "closed")]
        # A line that falls into the closure makes nothing, and an extra session is refused.
        await opened(town, line(starts="08:00", ends="11:00", slot_minutes=30), version=1, place_id=place_id)
        inside = [s for s in await town.slots(place_id) if at(1, 8) <= s["starts_at"] < at(1, 10)]
        assert inside == []
        extra = {"resource": "2号场", "starts_at": iso(at(1, 9)), "ends_at": iso(at(1, 11)), "title": "x"}
        assert code(await town.call("POST", f"/{place_id}/slots", json=extra)) == (409, "closed")
        assert code(await town.call("POST", path, town.resident, json=window(2, 8, 10))) == (403, "not_allowed")
        assert code(await town.call("POST", path, json=window(2, 10, 8))) == (422, "unprocessable")
        assert code(await town.call("POST", path, json=window(2, 8, 10, reason=""))) == (422, "unprocessable")

    tell(story)


def test_what_a_crash_leaves_of_a_closure_is_finished_once(tell: Tell) -> None:
    async def story(town: Town) -> None:
        place_id = await opened(town, line(resource="教室", title="瑜伽"))
        slots = [s["id"] for s in await town.slots(place_id) if s["starts_at"] in (at(1, 9), at(1, 10))]
        for slot_id in slots:
            for n in range(3):
                await town.claim(slot_id, f"n{n}")
        who = (town.staff, "booking", uuid.UUID(place_id), at(1, 8), at(1, 12), "停电")
        closure_id, closed = await town.db.run(closures._begin_closure, *who)
        assert sorted(closed) == sorted(slots)
        assert await actions.finish_closures(town.db, "childcare") == 0
        done = await asyncio.gather(*(actions.finish_closures(town.db) for _ in range(4)))
        assert sum(done) == 6
        assert await actions.finish_closures(town.db) == 0
        assert await town.owner.read(one, "SELECT count(*) FROM notices") == 6
        assert await town.owner.read(one, "SELECT released FROM closures WHERE id = $1", closure_id) == 6

    tell(story)


def test_who_has_already_come_keeps_the_place_when_the_rest_of_the_hour_is_closed(tell: Tell) -> None:
    async def story(town: Town) -> None:
        place_id = await opened(town, line(resource="教室", title="瑜伽"))
        slot_id = (await town.slots(place_id))[0]["id"]
        came = await town.claim(slot_id)
        await town.claim(slot_id)
        await town.owner.run(do, "UPDATE claims SET state = 'attended' WHERE group_id = $1", came)
        answer = await town.call("POST", f"/{place_id}/closures", json=window(0, 0, 23) | {"ends_at": iso(at(9, 0))})
        assert answer.json()["released"] == 1
        assert await actions.finish_closures(town.db) == 0

    tell(story)


def test_a_busy_slot_keeps_nobody_waiting_and_the_closure_is_finished_later(tell: Tell) -> None:
    async def story(town: Town) -> None:
        place_id = await opened(town, line(resource="教室", title="瑜伽"))
        slot_id = next(s["id"] for s in await town.slots(place_id) if s["starts_at"] == at(1, 9))
        group = await town.claim(slot_id)
        async with town.owner.transaction() as tx:
            await tx.fetch("SELECT FROM claims WHERE group_id = $1 FOR NO KEY UPDATE", group)
            answer = await town.call("POST", f"/{place_id}/closures", json=window(1, 8, 10))
            assert (answer.status_code, answer.json()["released"]) == (201, 0)
        assert await actions.finish_closures(town.db) == 1
        async with town.owner.transaction() as tx:
            await tx.fetch("SELECT FROM places FOR NO KEY UPDATE")
            blocked = await town.call("POST", f"/{place_id}/closures", json=window(2, 8, 10))
            assert code(blocked) == (503, "unavailable")

    tell(story)


NAMES = ["=HYPERLINK(1)", " +1", "＝1", "<script>alert(1)</script>", '"张三"']


def test_the_sheet_of_a_day_is_safe_to_open_and_to_print(tell: Tell) -> None:
    async def story(town: Town) -> None:
        place_id = await opened(town, line(title="<b>球</b>", resource="教室"))
        first = next(s for s in await town.slots(place_id) if s["starts_at"] == at(1, 9))
        for name in NAMES:
            await town.claim(first["id"], name, channel="phone")
        path = f"/{place_id}/sheet?date={clock.today() + timedelta(days=1)}"
        told = (await town.call("GET", path, town.staff)).json()
        assert [[who["name"] for who in s["people"]] for s in told["slots"]] == [NAMES, []]
        who = {"name": NAMES[0], "state": "confirmed", "channel": "phone", "units": 1}
        assert told["slots"][0]["people"][0] == who
        table = await town.call("GET", path + "&format=csv", town.staff)
        assert table.content.startswith(b"\xef\xbb\xbf")
        heads, *rows = csv.reader(io.StringIO(table.content.decode("utf-8-sig")))
        assert heads[4] == "姓名"
        assert rows[0] == ["09:00", "10:00", "教室", "<b>球</b>", "'" + NAMES[0], "1", "已预约", "电话"]
        assert [row[4] for row in rows[:5]] == ["'" + name for name in NAMES[:3]] + NAMES[3:]
        page = await town.call("GET", path + "&format=html", town.staff, headers={"Accept-Language": "en"})
        assert page.headers["content-type"] == "text/html; charset=utf-8"
        assert "<script" not in page.text
        assert "<b>" not in page.text
        assert page.headers["cache-control"] == "no-store"
        assert code(await town.call("GET", path, town.resident)) == (403, "not_allowed")
        assert code(await town.call("GET", path, town.foreign)) == (403, "not_allowed")
        assert code(await town.call("GET", path, town.anybody)) == (401, "not_known")

    tell(story)


def test_a_slot_that_is_claimed_while_the_schedule_changes_is_not_cancelled(tell: Tell) -> None:
    async def story(town: Town) -> None:
        place_id = await opened(town, line())
        slot_id = next(s["id"] for s in await town.slots(place_id) if s["starts_at"] == at(1, 9))
        async with town.owner.transaction() as tx:
            await claim(tx, slot_id, "快手", "app", confirmed=False, people=1)
            change = asyncio.create_task(town.put(f"/{place_id}/schedule", {"lines": []}, 1))
            while not await town.owner.read(one, "SELECT count(*) FROM pg_locks WHERE NOT granted"):
                assert not change.done()
        assert (await change).status_code == 200
        (left,) = await town.slots(place_id)
        assert (left["id"], left["taken"]) == (slot_id, 1)

    tell(story)


def test_every_route_is_described_in_both_languages(tell: Tell) -> None:
    async def story(town: Town) -> None:
        document = town.app.fastapi.openapi()
        operations = [one for path in document["paths"].values() for one in path.values()]
        assert len({one["operationId"] for one in operations}) == len(operations) == 18
        for told in operations:
            assert told["operationId"].startswith("booking.facilities.")
            said = [
                told["summary"],
                told.get("description"),
                *(p.get("description") for p in told.get("parameters", ())),
            ]
            assert all(texts.is_bilingual(text) for text in said if text), said

    tell(story)


def test_occupancy_counts_who_has_a_place_now(tell: Tell) -> None:
    async def story(town: Town) -> None:
        place_id = await opened(town, line(resource="教室", title="瑜伽"))
        slot_id = (await town.slots(place_id))[0]["id"]
        await town.claim(slot_id, people=3)
        await town.claim(slot_id, confirmed=False)
        path = f"/{place_id}/occupancy"
        empty = (await town.call("GET", path, town.anybody)).json()
        assert (empty["people"], empty["capacity"]) == (0, 0)
        await town.owner.run(
            do,
            "UPDATE slots SET starts_at = now() - interval '10 min', ends_at = now() + interval '1 h' WHERE id = $1",
            slot_id,
        )
        now = (await town.call("GET", path, town.anybody)).json()
        assert (now["people"], now["capacity"], now["facility"]["id"]) == (3, 300, place_id)

    tell(story)


def test_a_seeded_place_without_a_policy_is_under_the_default(tell: Tell) -> None:
    async def story(town: Town) -> None:
        place_id = await town.owner.run(
            one,
            "INSERT INTO places (service, kind, name, community) VALUES ('booking', 'hall', '文化礼堂', $1) RETURNING id",
            COMMUNITY,
        )
        assert (await town.call("GET", f"/{place_id}/policy")).json()["version"] == 0
        assert await town.db.run(actions.roll_out, place_id, clock.today()) == 0
        resources = [{"name": "大厅", "capacity": 80}]
        assert (
            await town.put(f"/{place_id}", hall(kind="hall", name="文化礼堂", resources=resources), 1)
        ).status_code == 200
        await opened(town, line(resource="大厅"), place_id=str(place_id))
        assert (await town.call("GET", f"/{place_id}/policy")).json()["version"] == 1

    tell(story)
