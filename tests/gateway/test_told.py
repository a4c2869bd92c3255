"""What residents were told: theirs and their people's, each once and in order, and nobody else's."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from services.gateway import tasks
from shared.crypto import Keyring
from shared.settings import Settings
from tests.gateway.test_front import Front, examined, is_problem, opened
from tests.town import Resident


@pytest.fixture
def front(database_url: str, keys: Keyring, settings: Settings) -> Iterator[Front]:
    with opened(database_url, keys, settings) as front:
        yield front


def told(front: Front, who: Resident, query: str = "") -> list[dict[str, Any]]:
    front.runner.run(tasks.stamp_notices(front.parts))
    answer = front.get(f"/v1/notices{query}", who)
    assert answer.status_code == 200, answer.text
    items: list[dict[str, Any]] = answer.json()["items"]
    return items


def test_everybody_is_told_of_their_own_people_and_of_nobody_else(front: Front) -> None:
    parent, child, stranger = front.town.residents(3)
    front.town.relate(parent, child)
    both = [str(parent.person_id), str(child.person_id)]
    made = front.book(parent, front.town.slot(8), persons=both).json()
    (notice,) = told(front, parent)
    assert (notice["type"], notice["position"]) == ("booking.reservation.made", 1)
    assert sorted(notice["persons"]) == sorted(both)
    assert notice["data"]["group_id"] == made["group_id"]
    assert notice["subject"] == made["id"], "what it is about: `data` of some types names it nowhere"
    assert notice["data"]["starts_at"] == made["slot"]["starts_at"], "as the town's clocks show it, as everywhere else"
    assert [one["persons"] for one in told(front, child)] == [[str(child.person_id)]], "the child hears of itself only"
    assert told(front, stranger) == []
    assert "holder" not in front.get("/v1/notices", parent).text


def test_nobody_reads_on_behind_what_was_never_told(front: Front) -> None:
    (who,) = front.town.residents()
    front.book(who, front.town.slot(8))
    assert len(told(front, who)) == 1
    assert front.get("/v1/notices?after=1", who).json() == {"items": [], "next": 1}
    for after in (2, 10**15):
        answer = front.get(f"/v1/notices?after={after}", who)
        assert is_problem(answer, 422, "unprocessable")
        assert answer.json()["errors"] == [{"in": "query", "pointer": "/after", "code": "ahead"}]


def test_reading_on_behind_next_gives_each_notice_once(front: Front) -> None:
    (who,) = front.town.residents()
    for hour in range(5):
        front.book(who, front.town.slot(8 + hour))
    told(front, who)
    after, seen = 0, []
    while items := (page := front.get(f"/v1/notices?after={after}&limit=2", who).json())["items"]:
        seen += [one["position"] for one in items]
        after = page["next"]
    assert seen == [1, 2, 3, 4, 5]
    assert (page["next"], after) == (5, 5), "an empty page leaves the reader where it is"


def test_a_proxy_for_another_service_is_not_told_and_still_gets_on(front: Front) -> None:
    proxy, elder = front.town.residents(2)
    front.town.relate(proxy, elder, "proxy", ["elder-meals"])
    slot = front.town.slot(8, capacity=1)
    front.book(front.town.residents()[0], slot)
    front.book(elder, front.town.slot(10))
    front.book(elder, slot, if_full="wait")
    front.town.do("UPDATE slots SET closes_at = now() WHERE id = %s", slot)
    assert front.serve_waiting() == 1
    assert [one["type"] for one in told(front, elder)] == ["booking.reservation.made", "ledger.ask.lost"]
    assert told(front, proxy) == []
    assert front.get("/v1/notices?limit=1", proxy).json() == {"items": [], "next": 3}
    front.town.relate(front.town.residents()[0], elder, "proxy", ["booking"])
    front.town.do("UPDATE relations SET services = '{booking}' WHERE actor_id = %s", proxy.person_id)
    front.parts.credentials._facts.clear()
    assert len(told(front, proxy)) == 2
    assert examined(front) == []


def test_who_waits_hears_at_once_and_who_waits_in_vain_hears_nothing(front: Front) -> None:
    (who,), slot = front.town.residents(), front.town.slot(8)

    async def waiting() -> tuple[httpx.Response, bool]:
        reader = asyncio.create_task(
            front.client.get("/v1/notices?wait=30", headers=who.headers(front.keys), timeout=60)
        )
        await asyncio.sleep(0)
        body = {"slot_id": str(slot)}
        headers = who.headers(front.keys, "told-at-once")
        made = await front.client.post("/v1/booking/reservations", json=body, headers=headers)
        assert made.status_code == 201
        was_waiting = not reader.done()
        await tasks.stamp_notices(front.parts)
        return await reader, was_waiting

    answer, was_waiting = front.runner.run(waiting())
    assert was_waiting
    assert [one["position"] for one in answer.json()["items"]] == [1]
    assert front.get("/v1/notices?after=1&wait=1", who).json() == {"items": [], "next": 1}


def test_whoever_waits_is_answered_when_the_server_stops(front: Front) -> None:
    (who,) = front.town.residents()
    front.town.appoint(who, "manager")

    async def waiting() -> list[httpx.Response]:
        paths = ("/v1/notices?wait=30", "/v1/partners/notices?wait=30")
        asking = [front.client.get(path, headers=who.headers(front.keys), timeout=60) for path in paths]
        readers = [asyncio.create_task(one) for one in asking]
        done, _ = await asyncio.wait(readers, timeout=1)
        assert not done, "there is nothing new"
        front.gateway.stopping.set()
        done, late = await asyncio.wait(readers, timeout=20)
        assert not late
        return [one.result() for one in readers]

    answers = front.runner.run(waiting())
    assert [one.status_code for one in answers] == [200, 200]
    assert [one.json() for one in answers] == [{"items": [], "next": 0}, {"items": [], "next": 0, "done": True}]


def at_place(front: Front, who: Resident, place: uuid.UUID, query: str = "") -> list[str]:
    """The kinds of notices that somebody hears of a place."""
    items = told(front, who, f"?place={place}{query}")
    assert all(one["persons"] == [] for one in items), "nothing personal"
    return [one["type"] for one in items]


def test_who_works_at_a_place_hears_what_happens_there_and_nothing_else(front: Front) -> None:
    (who,) = front.town.residents()
    here, there, policy = front.town.place_id, uuid.uuid4(), uuid.uuid4()
    front.town.place(there, policy)
    both = (front.town.slot(8), front.town.slot(10, place_id=there, policy_id=policy))
    made = front.book(who, *both).json()
    front.book(who, front.town.slot(14))
    staff, operator, everywhere, outsider, carer, volunteer = front.town.residents(6)
    front.town.appoint(staff, "staff", place_id=here)
    front.town.appoint(operator, "operator", place_id=there)
    front.town.appoint(everywhere, "manager")
    front.town.appoint(outsider, "manager", "330424101")
    front.town.appoint(carer, "carer")
    front.town.appoint(volunteer, "gate")
    assert at_place(front, staff, here) == ["booking.reservation.made"] * 2
    assert at_place(front, everywhere, there) == ["booking.reservation.made"]
    (one,) = told(front, operator, f"?place={there}")
    assert (one["subject"], one["data"]["slots"]) == (made["id"], [str(both[1])]), "only the part of this place"
    assert one["data"]["starts_at"] == made["slots"][1]["starts_at"]
    assert told(front, staff, f"?place={here}")[0]["data"]["slots"] == [str(both[0])]
    assert len(told(front, who)[0]["data"]["slots"]) == 2
    assert at_place(front, carer, here) == [], "of their own service, and there is none"
    for nobody, place in ((staff, there), (operator, here), (outsider, here), (who, here), (volunteer, here)):
        assert is_problem(front.get(f"/v1/notices?place={place}", nobody), 403, "not_allowed")
    assert is_problem(front.get(f"/v1/notices?place={uuid.uuid4()}", everywhere), 404, "not_there")
    assert is_problem(front.get(f"/v1/notices?place={here}"), 401, "not_known")
    assert is_problem(front.get("/v1/notices?place=x", everywhere), 422)
    page = front.get(f"/v1/notices?place={here}&limit=1", staff).json()
    assert [one["position"] for one in page["items"]] == [1]
    rest = front.get(f"/v1/notices?place={here}&after={page['next']}&wait=1", staff).json()
    assert ([one["position"] for one in rest["items"]], rest["next"]) == ([2], 2)
    assert front.get(f"/v1/notices?place={here}&after=2&wait=1", staff).json() == {"items": [], "next": 2}


def test_a_role_that_ended_hears_nothing_more_of_its_place(front: Front) -> None:
    (who,) = front.town.residents()
    front.town.appoint(who, "staff", place_id=front.town.place_id)
    assert at_place(front, who, front.town.place_id) == []
    front.town.do("UPDATE roles SET ends_at = now() WHERE account_no = %s", who.account_no)
    front.parts.credentials._facts.clear()
    assert is_problem(front.get(f"/v1/notices?place={front.town.place_id}", who), 403, "not_allowed")


@pytest.mark.parametrize(
    "query", ["after=-1", "after=x", f"after={1 << 53}", f"after={1 << 63}", "wait=31", "wait=-1", "limit=0"]
)
def test_what_cannot_be_read_is_refused(front: Front, query: str) -> None:
    (who,) = front.town.residents()
    assert is_problem(front.get(f"/v1/notices?{query}", who), 422)
    assert is_problem(front.get("/v1/notices"), 401, "not_known")
