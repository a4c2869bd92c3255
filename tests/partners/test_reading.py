"""Polling and consumers: nothing skipped, nothing twice, nothing that one may not know."""

from __future__ import annotations

import asyncio
import time
import uuid

import httpx
import pytest

from services.gateway import tasks
from services.partners.actions import reading
from shared import notices
from shared.notices import Notice
from tests.gateway.test_front import Front, examined, is_problem
from tests.partners.town import a_manager, a_system, announce
from tests.town import COMMUNITY


def test_reading_on_behind_next_gives_each_notice_once_and_in_order(front: Front) -> None:
    system = a_system(front)
    subjects = announce(front, 7)
    after, seen = None, []
    for _ in range(10):
        page = system.poll("?limit=3" + (f"&after={after}" if after is not None else ""))
        after = page["next"]
        seen += [one["subject"] for one in page["items"]]
        if page["done"]:
            break
    assert seen == [str(one) for one in subjects]
    assert system.poll(f"?after={after}") == {"items": [], "next": 7, "done": True}
    item = system.poll("?limit=1")["items"][0]
    assert set(item) == {"position", "id", "type", "occurred_at", "community", "subject", "data"}
    assert item["data"] == {"number": 0}
    assert item["occurred_at"].endswith("+08:00")


def test_latest_is_where_the_log_ends_now(front: Front) -> None:
    system = a_system(front)
    assert system.poll("?after=latest") == {"items": [], "next": 0, "done": True}
    announce(front, 3)
    assert system.poll("?after=latest") == {"items": [], "next": 3, "done": True}


def test_filters_of_the_reader_and_of_the_key(front: Front) -> None:
    announce(front, 2)
    announce(front, 1, "test.other.came")
    announce(front, 1, community="330411105204")
    announce(front, 1, community="330424101003")
    manager = a_manager(front)
    everything = a_system(front, manager)
    assert [one["position"] for one in everything.poll()["items"]] == [1, 2, 3, 4]
    assert [one["position"] for one in everything.poll("?types=test.other.*")["items"]] == [3]
    assert [one["position"] for one in everything.poll("?types=test.other.*&types=test.fact.*")["items"]] == [
        1,
        2,
        3,
        4,
    ]
    assert len(everything.poll("?types=test.other.*,test.fact.*")["items"]) == 4
    assert [one["position"] for one in everything.poll("?community=330411105204")["items"]] == [4]
    assert everything.poll("?community=330424101")["items"] == [], "not of this key's region"
    assert everything.poll("?community=33")["items"] == everything.poll()["items"]
    one_type = a_system(front, manager, types=["test.other.*"])
    assert one_type.poll() == everything.poll("?types=test.other.*") | {"next": 5}
    assert one_type.poll("?types=test.fact.*")["items"] == []


@pytest.mark.parametrize(
    "after", ["-1", "x", "", "1" + "0" * 30, "0_0", "%2B0", "0.0", "%200", "latest2", "9999999999999999"]
)
def test_what_is_no_position_is_said_to_be_wrong_once(shared_front: Front, after: str) -> None:
    refused = a_system(shared_front).get(f"partners/notices?after={after}")
    assert is_problem(refused, 422)
    assert [(one["in"], one["pointer"]) for one in refused.json()["errors"]] == [("query", "/after")]


def test_a_reader_of_a_region_that_there_is_not_is_not_made(front: Front) -> None:
    system = a_system(front)
    refused = system.ask("PUT", "partners/consumers/one", json={"community": "330411105999"})
    assert is_problem(refused, 422)
    told = [(one["pointer"], one["code"]) for one in refused.json()["errors"]]
    assert told == [("/community", "unknown_region")]
    assert system.ask("PUT", "partners/consumers/one", json={"community": "330411105204"}).status_code == 201


def test_a_key_of_one_place_hears_of_that_place_only(front: Front) -> None:
    manager, (who,) = a_manager(front), front.town.residents()
    other, policy = uuid.uuid4(), uuid.uuid4()
    front.town.place(other, policy)
    assert front.book(who, front.town.slot(8)).status_code == 201
    assert front.book(who, front.town.slot(10, place_id=other, policy_id=policy)).status_code == 201
    announce(front)
    system = a_system(front, manager, facility_id=str(other))
    assert [one["position"] for one in system.poll()["items"]] == [2]
    assert len(a_system(front, manager).poll()["items"]) == 3


def test_a_key_of_one_place_hears_of_its_part_of_what_begins_elsewhere(front: Front) -> None:
    manager, (who,) = a_manager(front), front.town.residents()
    other, policy, room = uuid.uuid4(), uuid.uuid4(), uuid.uuid4()
    front.town.place(other, policy)
    front.town.place(room, uuid.uuid4())
    slots = [front.town.slot(8), front.town.slot(10, place_id=other, policy_id=policy)]
    made = front.book(who, *slots).json()
    first = Notice("test.room.closed", COMMUNITY, uuid.uuid4(), (), {"room_id": str(room)})
    front.runner.run(front.parts.db.run(notices.announce, [first]))
    front.runner.run(tasks.stamp_notices(front.parts))
    found = [
        a_system(front, manager, facility_id=str(place)).poll()["items"] for place in (front.town.place_id, other, room)
    ]
    whole = a_system(front, manager).poll()["items"]
    heard = [[one["data"].get("slots") for one in items] for items in found]
    assert heard == [[[str(slots[0])]], [[str(slots[1])]], [None]]
    assert found[1][0]["data"]["starts_at"] == made["slots"][1]["starts_at"]
    assert whole[0]["data"]["slots"] == [str(one) for one in slots]
    assert found[2][0]["type"] == "test.room.closed", "a room is a place, too"


def test_staff_read_their_region_without_a_key_and_residents_read_nothing(front: Front) -> None:
    announce(front, 2)
    assert len(front.get("/v1/partners/notices", a_manager(front)).json()["items"]) == 2
    assert front.get("/v1/partners/notices", a_manager(front, "330424101")).json() == {
        "items": [],
        "next": 2,
        "done": True,
    }
    (resident,) = front.town.residents()
    assert is_problem(front.get("/v1/partners/notices", resident), 403, "not_allowed")
    assert is_problem(front.get("/v1/partners/notices"), 401, "not_known")


def test_a_partner_who_logs_in_reaches_as_far_as_their_keys(front: Front) -> None:
    (who,) = front.town.residents()
    front.town.do("UPDATE accounts SET kind = 'partner' WHERE no = %s", who.account_no)
    assert is_problem(front.get("/v1/partners/notices", who), 403)
    a_system(front, account_id=str(who.account_id), types=["test.other.*"])
    announce(front, 1)
    announce(front, 1, "test.other.came")
    assert [one["position"] for one in front.get("/v1/partners/notices", who).json()["items"]] == [2]


def test_what_is_older_than_thirty_days_is_gone(front: Front) -> None:
    system = a_system(front)
    announce(front, 5)
    front.town.do("UPDATE notices SET occurred_at = now() - interval '31 days' WHERE position <= 3")
    gone = system.get("partners/notices?after=0")
    assert is_problem(gone, 410, "gone")
    assert gone.json()["oldest"] == 3
    assert is_problem(system.get("partners/notices?after=2"), 410)
    assert [one["position"] for one in system.poll("?after=3")["items"]] == [4, 5]
    assert [one["position"] for one in system.poll()["items"]] == [4, 5], "without a position: the oldest kept"
    front.town.do("UPDATE notices SET occurred_at = now() - interval '31 days'")
    assert system.poll() == {"items": [], "next": 5, "done": True}


def test_who_waits_hears_at_once_and_longer_than_a_service_may_usually_take(front: Front) -> None:
    system = a_system(front)

    async def waiting() -> httpx.Response:
        headers = {"Authorization": f"Bearer {system.told['key']}"}
        reader = asyncio.create_task(front.client.get("/v1/partners/notices?after=latest", headers=headers, timeout=60))
        after = (await reader).json()["next"]
        reader = asyncio.create_task(
            front.client.get(f"/v1/partners/notices?after={after}&wait=30", headers=headers, timeout=60)
        )
        await asyncio.sleep(front.parts.settings.upstream_seconds + 0.5)
        assert not reader.done()
        from shared import notices  # noqa: PLC0415
        from tests.town import COMMUNITY  # noqa: PLC0415

        await front.parts.db.run(notices.announce, [notices.Notice("test.fact.came", COMMUNITY, uuid.uuid4(), (), {})])
        await tasks.stamp_notices(front.parts)
        return await reader

    answer = front.runner.run(waiting())
    assert [one["position"] for one in answer.json()["items"]] == [1]
    began = time.monotonic()
    assert system.poll("?after=1&wait=1")["items"] == []
    assert 0.9 < time.monotonic() - began < 5


def test_a_reader_of_something_rare_gets_on_a_window_at_a_time(front: Front, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "WINDOW", 4)
    system = a_system(front)
    announce(front, 10)
    announce(front, 1, "test.other.came")
    after, looks, seen = 0, 0, []
    while True:
        page = system.poll(f"?after={after}&types=test.other.*")
        looks, after = looks + 1, page["next"]
        seen += page["items"]
        if page["done"]:
            break
    assert [one["position"] for one in seen] == [11]
    assert (after, looks) == (11, 1), "who would find nothing is led on"
    system.ask("PUT", "partners/consumers/rare", json={"types": ["test.other.*"]})
    lent = system.ask("POST", "partners/consumers/rare/lease", json={}).json()
    assert [one["position"] for one in lent["items"]] == [11]


@pytest.mark.parametrize(
    "query",
    ["after=-1", "after=x", f"after={1 << 53}", f"after={1 << 63}", "after=", "after=1e3", "after=99", "wait=31", "wait=-1", "limit=0", "limit=1001",
     "types=a%27b", "types=booking.reservation.eaten", "types=%00", "community=x", "community=%25", "types=*.a"],
)  # fmt: skip
def test_what_cannot_be_read_is_refused(shared_front: Front, query: str) -> None:
    assert is_problem(a_system(shared_front).get(f"partners/notices?{query}"), 422)


# Consumers


def test_a_consumer_of_what_its_key_does_not_reach_is_not_made(front: Front) -> None:
    system = a_system(front, types=["test.other.*"])
    for types in (["test.fact.*"], ["test.fact.came"], ["test.other.*", "test.fact.*"]):
        told = system.ask("PUT", "partners/consumers/mine", json={"types": types})
        assert is_problem(told, 403, "not_in_scope")
    assert is_problem(system.get("partners/consumers/mine"), 404, "not_there")
    for types in (["*"], ["test.*"], ["test.other.came"]):
        assert system.ask("PUT", "partners/consumers/mine", json={"types": types}).status_code in (200, 201)


def test_what_is_not_committed_comes_back_when_the_lease_ends(front: Front) -> None:
    system = a_system(front)
    subjects = [str(one) for one in announce(front, 5)]
    made = system.ask("PUT", "partners/consumers/kitchen-1", json={})
    assert (made.status_code, made.json()["position"]) == (201, 0)
    assert system.ask("PUT", "partners/consumers/kitchen-1", json={}).status_code == 200
    lease = "partners/consumers/kitchen-1/lease"
    first = system.ask("POST", lease, json={"limit": 3, "seconds": 60}).json()
    assert [one["subject"] for one in first["items"]] == subjects[:3]
    refused = system.ask("POST", lease, json={})
    assert is_problem(refused, 409, "leased")
    assert 0 < int(refused.headers["retry-after"]) <= 60
    front.town.do("UPDATE consumers SET leased_until = now() - interval '1 s'")
    assert is_problem(commit(system, first, 3), 409, "lease_lost")
    again = system.ask("POST", lease, json={"limit": 3}).json()
    assert [one["subject"] for one in again["items"]] == subjects[:3]
    assert is_problem(commit(system, first, 3), 409, "lease_lost")
    half = commit(system, again, 2)
    assert (half.status_code, half.json()["position"]) == (200, 2)
    assert half.json()["leased_until"] is not None, "the third is still lent"
    whole = commit(system, again, 3)
    assert (whole.json()["position"], whole.json()["leased_until"]) == (3, None)
    assert commit(system, again, 3).json() == whole.json(), "saying so again changes nothing"
    rest = system.ask("POST", lease, json={}).json()
    assert [one["subject"] for one in rest["items"]] == subjects[3:]
    assert is_problem(commit(system, rest, 6), 422)
    assert commit(system, rest, 5).status_code == 200
    assert system.ask("POST", lease, json={}).json() == {"lease": None, "items": [], "expires_at": None}
    assert examined(front) == []


def commit(system: object, lent: dict[str, object], position: int) -> httpx.Response:
    body = {"lease": lent["lease"], "position": position}
    return system.ask("POST", "partners/consumers/kitchen-1/commit", json=body)  # type: ignore[attr-defined]


def test_a_new_reader_may_begin_at_the_end(front: Front) -> None:
    system = a_system(front)
    announce(front, 3)
    assert system.ask("PUT", "partners/consumers/new", json={"start": "latest"}).json()["position"] == 3
    listed = system.get("partners/consumers").json()["items"]
    assert [one["name"] for one in listed] == ["new"]
    assert system.get("partners/consumers/new").status_code == 200
    assert system.ask("DELETE", "partners/consumers/new").status_code == 204
    assert is_problem(system.ask("DELETE", "partners/consumers/new"), 404)
    assert is_problem(system.get("partners/consumers/new"), 404)


def test_a_reader_belongs_to_its_account(front: Front) -> None:
    manager = a_manager(front)
    mine, theirs = a_system(front, manager), a_system(front, manager)
    mine.ask("PUT", "partners/consumers/one", json={})
    assert is_problem(theirs.get("partners/consumers/one"), 404)
    assert is_problem(theirs.ask("POST", "partners/consumers/one/lease", json={}), 404)
    body = {"lease": str(uuid.uuid4()), "position": 1}
    assert is_problem(theirs.ask("POST", "partners/consumers/one/commit", json=body), 404)
    assert is_problem(mine.ask("PUT", "partners/consumers/two", json={"community": "330424101"}), 403, "not_in_scope")


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("lease", {"limit": 0}),
        ("lease", {"seconds": 1}),
        ("lease", {"seconds": 99999}),
        ("commit", {}),
        ("commit", {"lease": "x", "position": 1}),
        ("commit", {"lease": str(uuid.uuid4()), "position": -1}),
        ("commit", {"lease": str(uuid.uuid4()), "position": 1 << 70}),
    ],
)
def test_a_wrong_lease_or_commit_is_refused(shared_front: Front, path: str, body: dict[str, object]) -> None:
    system = a_system(shared_front)
    system.ask("PUT", "partners/consumers/one", json={})
    assert is_problem(system.ask("POST", f"partners/consumers/one/{path}", json=body), 422)
