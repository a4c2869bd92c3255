"""After a death everything that went on by itself ends, and those close to the dead may speak for them, if they may."""

from __future__ import annotations

import asyncio
import uuid
from datetime import timedelta
from typing import Any

import pytest

from services.identity import tasks
from shared import clock
from tests.elder_meals.kitchens import Kitchen
from tests.gateway.test_front import Front, examined, is_problem
from tests.identity.test_consents import PHONE, adult, code_of, healthy
from tests.identity.test_forgetting import CANARY, copy_for, work
from tests.identity.test_reveals import FOURTH, WHY, cast, officer
from tests.identity.test_rights import front
from tests.identity.town import ADULT, ADULT_TOO, Town, play
from tests.town import Resident

__all__ = ["front"]

ME, RELATIVES = "/v1/identity/me", "/v1/identity/relatives"
PAPER = {"died_on": clock.today().isoformat(), "evidence": "death_certificate"}


def of(who: Resident, what: str) -> str:
    return f"/v1/identity/people/{who.person_id}/{what}"


class Office:
    """Two of the staff, and what they do after a death."""

    def __init__(self, front: Front, prefix: str = "330411105") -> None:
        self.front = front
        self.clerk, self.boss = front.town.residents(2)
        front.town.appoint(self.clerk, "staff", prefix)
        front.town.appoint(self.boss, "manager", prefix)

    def says(self, method: str, path: str, by: Resident, status: int = 200, **body: Any) -> Any:
        answer = self.front.ask(method, path, by, json=body)
        assert answer.status_code == status, answer.text
        return answer.json() if answer.content else None

    def died(self, who: Resident) -> None:
        self.says("PUT", of(who, "death"), self.clerk, **PAPER)
        assert work(self.front, tasks.settle) == 1

    def asks(self, dead: Resident, relative: Resident, status: int = 202, **more: Any) -> Any:
        body = {
            "relative": str(relative.person_id),
            "relation": "child",
            "evidence": "household_register",
            "reason": WHY,
        } | more
        return self.says("POST", of(dead, "relatives"), self.clerk, status, **body)

    def leave(self, dead: Resident, relative: Resident, **more: Any) -> str:
        made = self.asks(dead, relative, **more)
        assert made["state"] == "asked"
        path = f"{RELATIVES}/{made['id']}"
        assert self.says("POST", f"{path}/approve", self.boss)["state"] == "allowed"
        return path


@pytest.fixture
def office(front: Front) -> Office:
    return Office(front)


def deeds(front: Front, who: Resident) -> list[str]:
    return [
        row[0] for row in front.town.all("SELECT action FROM audit WHERE person_id = %s ORDER BY no", who.person_id)
    ]


def test_who_has_died_holds_no_place_and_takes_none(front: Front, office: Office) -> None:
    dead, waiting, ward, friend = front.town.residents(4)
    front.town.relate(dead, ward, "proxy")
    front.town.relate(friend, dead, "proxy")
    front.town.appoint(dead, "operator")
    slot = front.town.slot(capacity=1)
    assert front.book(dead, slot).status_code == 201
    assert front.book(waiting, slot, if_full="wait").status_code == 202
    office.died(dead)
    front.serve_waiting()
    holders = "SELECT h.id FROM claims c JOIN holders h ON h.no = c.holder_no WHERE c.slot_id = %s AND c.is_active"
    assert front.town.all(holders, slot) == [(waiting.person_id,)], "who waited has the place"
    later = front.town.slot(hour=15)
    assert front.book(dead, later).status_code in (401, 403)
    desk = front.book(office.clerk, later, persons=[str(dead.person_id)], channel="desk")
    assert desk.status_code in (403, 404, 422), desk.text
    assert front.book(friend, later, persons=[str(dead.person_id)]).status_code in (403, 404, 422)
    assert front.taken(later) == 0
    ended = "SELECT count(*) FROM relations WHERE ends_at IS NULL OR ends_at > now()"
    assert front.town.one(ended) == 0
    reasons = front.town.all("SELECT data->>'reason' FROM notices WHERE type = 'identity.proxy.revoked'")
    assert reasons == [("died",), ("died",)]
    assert front.town.one("SELECT count(*) FROM roles WHERE role = 'operator' AND ends_at IS NULL") == 0
    for _ in range(2):
        office.says("PUT", of(dead, "death"), office.clerk, **PAPER)
    assert work(front, tasks.settle) == 0
    assert deeds(front, dead) == ["people.death_recorded"]
    earlier = PAPER | {"died_on": (clock.today() - timedelta(days=2)).isoformat()}
    assert office.says("PUT", of(dead, "death"), office.boss, **earlier)["died_on"] == earlier["died_on"]
    assert deeds(front, dead)[-1] == "people.death_corrected"
    assert examined(front) == []


def test_an_elder_who_has_died_is_no_longer_cooked_or_looked_for(front: Front) -> None:
    kitchen = Kitchen(front, days=1)
    office = Office(front, "330424101")
    (elder,), (friend,) = kitchen.elder(), front.town.residents()
    front.town.relate(elder, friend, "proxy")
    body = {"kitchen_id": str(kitchen.id), "weekdays": list(range(7)), "window": "午餐", "portions": 1}
    kitchen.says("POST", "/v1/elder-meals/standing-orders", elder, 201, json=body)
    kitchen.knows(elder)
    order = kitchen.order(elder, n=2).json()
    assert kitchen.outcome(order["id"], kitchen.courier, "unanswered").status_code in (200, 201)
    office.died(elder)
    assert front.town.all("SELECT state, outcome FROM welfare_checks") == [("closed", "deceased")]
    assert front.town.one("SELECT state FROM standing_orders WHERE person_id = %s", elder.person_id) == "ended"
    kitchen.work("order_standing", "escalate")
    told = "SELECT count(*) FROM notices WHERE type = 'elder-meals.welfare.closed' AND data->>'outcome' = 'deceased'"
    assert front.town.one(told) == 1
    assert examined(front) == []


def test_a_relative_with_leave_reads_corrects_and_closes_and_every_look_is_written_down(
    front: Front, office: Office
) -> None:
    dead, child, other = front.town.residents(3)
    slot = front.town.slot()
    assert front.book(dead, slot, note=CANARY).status_code == 201
    office.died(dead)
    for what in ("export", "closure"):
        assert is_problem(front.ask("POST", of(dead, what), child), 404, "not_there")
    path = office.leave(dead, child)
    assert is_problem(front.ask("POST", of(dead, "export"), other), 404, "not_there")
    (mine,) = front.get(RELATIVES, child).json()["items"]
    assert (mine["state"], mine["person"]["id"]) == ("allowed", str(dead.person_id))
    until = clock.now() + timedelta(days=91)
    assert mine["expires_at"] < until.isoformat()
    told = copy_for(front, child, f"people/{dead.person_id}")
    assert told["identity"]["person"][0]["name"] == dead.name
    assert told["identity"]["death"][0]["evidence"] == "death_certificate"
    wrong = {"field": "name", "value": "张三丰"}
    asked = office.says("POST", of(dead, "corrections"), child, 202, **wrong)
    request = f"/v1/identity/requests/{asked['id']}/approve"
    office.says("POST", request, office.boss)
    assert front.town.one("SELECT name FROM persons WHERE id = %s", dead.person_id) == "张三丰"
    assert front.get(of(dead, "ledger"), child).status_code == 200
    seen = [
        row[0]
        for row in front.town.all(
            "SELECT action FROM audit WHERE person_id = %s AND account_no = %s ORDER BY no",
            dead.person_id,
            child.account_no,
        )
    ]
    assert seen == ["requests.export", "people.export", "requests.correction", "people.ledger"]
    answered = "SELECT %s = ANY(holders) FROM notices WHERE type = 'identity.request.answered' ORDER BY no LIMIT 1"
    assert front.town.one(answered, child.holder_no), "the relative is told that the copy is there"
    office.says("POST", of(dead, "closure"), child, 202)
    front.town.do("UPDATE requests SET acts_at = now() WHERE state = 'asked'")
    assert work(front, tasks.close) == 1
    assert front.town.one("SELECT kind FROM holders WHERE id = %s", dead.person_id) == "closed"
    assert front.town.one("SELECT count(*) FROM deaths") == 0
    assert is_problem(front.ask("POST", of(dead, "export"), child), 404, "not_there")
    assert front.get(path, child).status_code == 200
    assert examined(front) == []


def test_leave_ends_by_its_day_by_a_word_and_with_the_record(front: Front, office: Office) -> None:
    dead, child = front.town.residents(2)
    office.died(dead)
    path = office.leave(dead, child)
    requests = of(dead, "requests")
    assert front.get(requests, child).status_code == 200
    front.town.do("UPDATE relatives SET expires_at = now() - interval '1 minute'")
    assert is_problem(front.get(requests, child), 404, "not_there")
    assert front.get(path, child).json()["state"] == "over"
    again = office.leave(dead, child)
    assert front.get(requests, child).status_code == 200
    office.says("POST", f"{again}/deny", office.boss, reason="关系证明有误")
    assert is_problem(front.get(requests, child), 404, "not_there")
    assert examined(front) == []


def test_nobody_gives_leave_to_themselves(front: Front, office: Office) -> None:
    dead, child = front.town.residents(2)
    front.town.appoint(child, "manager")
    front.town.appoint(office.clerk, "manager")
    office.died(dead)
    made = office.asks(dead, child)
    assert office.asks(dead, child)["id"] == made["id"], "the same again"
    approve = f"{RELATIVES}/{made['id']}/approve"
    for who in (office.clerk, child):
        assert is_problem(front.ask("POST", approve, who), 403, "not_by_yourself")
    own = {
        "relative": str(office.clerk.person_id),
        "relation": "child",
        "evidence": "household_register",
        "reason": WHY,
    }
    assert is_problem(front.ask("POST", of(dead, "relatives"), office.clerk, json=own), 403, "not_by_yourself")
    (stranger,) = front.town.residents()
    for answer in (front.get(f"{RELATIVES}/{made['id']}", stranger), front.ask("POST", approve, stranger)):
        assert is_problem(answer, 404, "not_there")
    front.town.appoint(stranger, "manager", "330424")
    assert is_problem(front.ask("POST", approve, stranger), 404, "not_there")
    assert front.get(RELATIVES, stranger).json()["items"] == []
    assert office.says("POST", approve, office.boss)["state"] == "allowed"
    assert office.says("POST", approve, office.boss)["state"] == "allowed", "again"


@pytest.mark.parametrize("wish", ["nobody", "named"])
def test_what_somebody_said_in_life_goes_first(front: Front, office: Office, wish: str) -> None:
    dead, child, friend = front.town.residents(3)
    assert front.get(f"{ME}/after-death", dead).json() == {"who": "relatives", "persons": [], "changed_at": None}
    body = {"who": wish, "persons": [str(friend.person_id)] if wish == "named" else []}
    for _ in range(2):
        assert office.says("PUT", f"{ME}/after-death", dead, **body)["who"] == wish
    assert deeds(front, dead) == ["people.wish"]
    office.died(dead)
    refused = office.asks(dead, child, 403)
    assert refused["code"] == "wished_otherwise"
    if wish == "named":
        office.leave(dead, friend, relation="named", evidence="committee_letter")
        assert front.get(of(dead, "requests"), friend).status_code == 200
    else:
        assert office.asks(dead, friend, 403)["code"] == "wished_otherwise"
    assert front.ask("PUT", of(dead, "after-death"), office.clerk, json={"who": "relatives"}).status_code == 404
    assert examined(front) == []


def test_a_wish_is_ones_own_word(front: Front, office: Office) -> None:
    elder, friend, other = front.town.residents(3)
    front.town.relate(friend, elder, "proxy")
    path = of(elder, "after-death")
    assert is_problem(front.ask("PUT", path, friend, json={"who": "nobody"}), 403, "not_allowed")
    assert is_problem(front.ask("PUT", path, other, json={"who": "nobody"}), 404, "not_there")
    assert office.says("PUT", path, office.clerk, who="nobody")["who"] == "nobody", "the desk writes down what is said"
    for bad in (
        {"who": "named"},
        {"who": "nobody", "persons": [str(friend.person_id)]},
        {"who": "named", "persons": [str(uuid.uuid4())]},
        {"who": "named", "persons": [str(elder.person_id)]},
        {"who": "named", "persons": [str(friend.person_id)] * 2},
        {"who": "everybody"},
        {"who": "nobody", "x": 1},
    ):
        assert front.ask("PUT", f"{ME}/after-death", elder, json=bad).status_code == 422, bad
    assert front.get(f"{ME}/after-death", elder).json()["who"] == "nobody"


def test_a_death_is_recorded_by_the_staff_of_the_region_about_others(front: Front, office: Office) -> None:
    dead, other = front.town.residents(2)
    path = of(dead, "death")
    for who in (dead, other):
        assert is_problem(front.ask("PUT", path, who, json=PAPER), 404, "not_there")
    assert front.ask("PUT", path, json=PAPER).status_code == 401
    front.town.appoint(other, "staff", "330424")
    assert is_problem(front.ask("PUT", path, other, json=PAPER), 404, "not_there")
    own = of(office.clerk, "death")
    assert is_problem(front.ask("PUT", own, office.clerk, json=PAPER), 403, "not_allowed")
    assert is_problem(front.get(path, office.clerk), 404, "not_there")
    for bad in (
        PAPER | {"died_on": "2999-01-01"},
        PAPER | {"died_on": "1900-01-01"},
        PAPER | {"died_on": (clock.today() + timedelta(days=1)).isoformat()},
        PAPER | {"evidence": "hearsay"},
        PAPER | {"x": 1},
    ):
        assert front.ask("PUT", path, office.clerk, json=bad).status_code == 422, bad
    assert front.town.one("SELECT count(*) FROM deaths") == 0
    assert office.asks(dead, other, 409)["code"] == "conflict", "of the living nobody asks leave"


def test_a_record_that_was_a_mistake_is_taken_back(front: Front, office: Office) -> None:
    alive, child = front.town.residents(2)
    office.died(alive)
    office.leave(alive, child)
    office.says("POST", of(alive, "closure"), child, 202)
    path = of(alive, "death/withdraw")
    assert is_problem(front.ask("POST", path, office.clerk, json={"reason": "登记错误"}), 403, "not_allowed")
    office.says("POST", path, office.boss, 204, reason="登记错误")
    assert is_problem(front.ask("POST", path, office.boss, json={"reason": "登记错误"}), 404, "not_there")
    front.town.do("UPDATE requests SET acts_at = now()")
    assert work(front, tasks.close) == 0, "a relative's closure is not carried out on the living"
    assert is_problem(front.get(of(alive, "requests"), child), 404, "not_there")
    assert front.book(alive, front.town.slot()).status_code == 201
    assert deeds(front, alive)[-1] == "people.death_withdrawn"
    assert front.town.one("SELECT count(*) FROM notices WHERE type = 'identity.death.withdrawn'") == 1
    assert examined(front) == []


def test_only_a_grown_up_who_is_known_gets_leave(front: Front, office: Office) -> None:
    dead, unknown = front.town.residents(2)
    (young,) = front.town.residents(born=clock.today() - timedelta(days=4000))
    front.town.do("UPDATE persons SET level = 1 WHERE id = %s", unknown.person_id)
    front.town.do("UPDATE holders SET level = 1 WHERE id = %s", unknown.person_id)
    office.died(dead)
    for who in (unknown, young):
        assert office.asks(dead, who, 409)["code"] == "verification_required"
    for bad in ({"reason": ""}, {"reason": None}, {"relation": "friend"}, {"evidence": "hearsay"}, {"x": 1}):
        office.asks(dead, office.boss, 422, **bad)
    nobody = Resident(uuid.uuid4(), 0, uuid.uuid4(), 0, "")
    assert office.asks(dead, nobody, 422)["errors"][0]["pointer"] == "/relative"
    assert office.asks(dead, office.boss, 422, relation="named")["errors"][0]["code"] == "not_named"


def test_nobody_logs_in_as_the_dead_nor_becomes_anything_to_them(database_url: str) -> None:
    async def scenario(town: Town) -> None:
        parent, _, clerk, _ = await cast(town)
        friend = await adult(town, FOURTH, ADULT_TOO)
        dead = parent.caller.person_id
        done = await town.call("PUT", f"/people/{dead}/death", PAPER, officer(clerk))
        assert done.status_code == 200, done.text
        assert code_of(await town.refresh(parent.refresh)) == (401, "not_known")
        body = {"provider": "phone", "phone": PHONE, "code": await town.code(PHONE)}
        assert code_of(await town.call("POST", "/sessions", body)) == (403, "not_allowed")
        document = {"kind": "resident_id", "number": ADULT}
        wish = {"person": {"name": "张三", "document": document}, "services": ["events"]}
        for path, told, caller in (
            ("/me/proxies", wish, friend.caller),
            (
                f"/people/{dead}/proxies",
                {"proxy": str(friend.caller.person_id), "services": ["events"]},
                officer(clerk),
            ),
        ):
            answer = await town.call("POST", path, told, caller)
            assert code_of(answer) == (404, "not_there"), answer.text
        assert await town.value("SELECT count(*) FROM relations WHERE closed_at IS NULL") == 0
        await healthy(town)

    play(database_url, scenario)


def test_of_two_who_record_a_death_at_once_one_does(database_url: str) -> None:
    async def scenario(town: Town) -> None:
        parent, child, clerk, boss = await cast(town)
        path = f"/people/{parent.caller.person_id}/death"
        both = [town.call("PUT", path, PAPER, who) for who in (officer(clerk), officer(boss, "manager"))]
        assert [one.status_code for one in await asyncio.gather(*both)] == [200, 200]
        assert await town.value("SELECT count(*) FROM notices WHERE type = 'identity.death.recorded'") == 1
        ended = "SELECT holders FROM notices WHERE type = 'identity.guardian.ended'"
        child_no = await town.value("SELECT no FROM holders WHERE id = $1::uuid", child)
        assert child_no in await town.value(ended)
        await healthy(town)

    play(database_url, scenario)
