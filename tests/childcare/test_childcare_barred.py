"""A guardian who was barred from a child: nothing of the child is theirs any more, anywhere, within two seconds."""

from __future__ import annotations

import asyncio
import time
import uuid
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from services.gateway import tasks
from shared import clock, masking
from tests.childcare.nursery import REGION, VISITS, Nursery
from tests.gateway import doors
from tests.gateway.test_front import Front, examined, is_problem, opened
from tests.town import Resident

WHY = {"reason": "法院判决", "document": "(2026)浙0411民初1234号"}
SEEN = {"level": "confirmed", "evidence": {"kind": "court", "last4": "1234"}}


def family(child: Resident, guardian: Resident | None = None) -> str:
    where = f"/v1/identity/people/{child.person_id}/family"
    return f"{where}/{guardian.person_id}" if guardian is not None else where


def clerk(front: Front) -> Resident:
    (found,) = front.town.residents()
    front.town.appoint(found, "staff", REGION)
    return found


def add(front: Front, who: Resident, child: Resident, **line: Any) -> Any:
    answer = front.ask("POST", f"/v1/childcare/children/{child.person_id}/collectors", who, json=line)
    assert answer.status_code == 201, answer.text
    return answer.json()


def eventually_loses(front: Front, who: Resident, seconds: float = 3.0) -> None:
    """Until the gateway's two-second memory of who acts for whom is over."""
    end = time.monotonic() + seconds
    while front.get("/v1/claims", who).json()["items"]:
        assert time.monotonic() < end, "still there after two seconds"
        time.sleep(0.1)


def test_a_barred_guardian_has_nothing_left_anywhere(room: Nursery, front: Front) -> None:  # noqa: PLR0915 - everywhere
    room.on_duty()
    mother, child, visit = room.arrived()
    father, uncle = front.town.residents(2)
    front.town.relate(father, child)
    staff = clerk(front)
    theirs, busy = front.town.slot(7), front.town.slot(9, capacity=1)
    front.book(front.town.residents()[0], busy)
    made = front.book(father, theirs, key="a-fathers-key", persons=[str(child.person_id)]).json()
    waiting = front.book(father, busy, key="a-fathers-wish", persons=[str(child.person_id)], if_full="wait").json()
    assert waiting["state"] == "waiting"
    refused = front.book(father, busy, persons=[str(child.person_id)])
    assert refused.status_code == 409
    front.runner.run(front.parts.refusals.flush())
    invited = front.ask("POST", f"/v1/identity/me/family/{child.person_id}/invitations", father).json()["code"]
    allowed = add(front, father, child, kind="allowed", person_id=str(uncle.person_id))
    once = add(front, father, child, kind="once", name="刘大姐", until=(clock.now() + timedelta(days=1)).isoformat())
    add(front, father, child, kind="never", person_id=str(mother.person_id))
    front.runner.run(tasks.stamp_notices(front.parts))
    assert front.get("/v1/notices", father).json()["items"]
    assert is_problem(room.collect(visit, child, collector=str(mother.person_id)), 403, "collector_barred")

    barred = front.ask("POST", f"{family(child, father)}/bar", staff, json=WHY)
    assert (barred.status_code, barred.json()["barred"]) == (200, True)
    assert front.ask("POST", f"{family(child, father)}/bar", staff, json=WHY).json() == barred.json()
    assert front.get("/v1/identity/me", father).json()["acts_for"] == []
    eventually_loses(front, father)
    front.runner.run(tasks.stamp_notices(front.parts))

    for path in (
        made["href"],
        f"{made['href']}/pass?person={child.person_id}",
        f"/v1/claims/{made['group_id']}",
        f"/v1/claims/{waiting['group_id']}",
        "/v1/claims/by-key/a-fathers-key",
        "/v1/claims/by-key/a-fathers-wish",
        visit["href"],
        f"/v1/refusals?person={child.person_id}",
        f"/v1/childcare/children/{child.person_id}",
        f"/v1/childcare/children/{child.person_id}/collectors",
        f"/v1/childcare/children/{child.person_id}/handovers",
        f"/v1/identity/people/{child.person_id}/consents",
        family(child),
        f"/v1/identity/people/{child.person_id}/proxies",
        f"/v1/identity/me/family/{child.person_id}",
    ):
        assert is_problem(front.get(path, father), 404, "not_there"), path
    for path in (made["href"], f"/v1/claims/{made['group_id']}", f"/v1/claims/{waiting['group_id']}", visit["href"]):
        assert is_problem(front.ask("DELETE", path, father), 404, "not_there"), path
    for key, slot, more in (("a-fathers-key", theirs, {}), ("a-fathers-wish", busy, {"if_full": "wait"})):
        again = front.book(father, slot, key=key, persons=[str(child.person_id)], **more)
        assert is_problem(again, 404, "not_there"), key
    assert is_problem(front.book(father, front.town.slot(20), persons=[str(child.person_id)]), 403, "not_yours")
    assert is_problem(room.book(father, room.slot(300), child), 403, "not_yours")
    assert is_problem(front.get("/v1/slots", father, params={"for": str(child.person_id)}), 403, "not_yours")
    told = front.get("/v1/notices?limit=100", father).json()["items"]
    assert {one["type"] for one in told} == {"identity.guardian.barred"}
    assert str(child.person_id) not in str(told)
    assert str(child.person_id) not in front.get("/v1/refusals", father).text

    assert is_problem(room.collect(visit, child, collector=str(father.person_id)), 403, "collector_unknown")
    assert is_problem(room.collect(visit, child, code=once["code"]), 403, "collector_unknown")
    assert is_problem(room.collect(visit, child, collector=allowed["id"]), 403, "collector_unknown")
    assert is_problem(room.collect(visit, child, collector=str(uncle.person_id)), 403, "collector_unknown")

    seen = front.get("/v1/claims", mother).json()["items"]
    assert {made["group_id"], waiting["group_id"], visit["group_id"]} <= {one["group_id"] for one in seen}
    assert front.get(made["href"], mother).status_code == 200
    assert front.ask("DELETE", made["href"], mother).json()["state"] == "released"
    assert "identity.guardian.barred" in {one["type"] for one in front.get("/v1/notices", mother).json()["items"]}
    assert room.collect(visit, child, collector=str(mother.person_id)).status_code == 200, "what he forbade is void"

    other = front.town.residents()[0]
    tried = front.ask("POST", "/v1/identity/me/family/accept", other, json={"code": invited})
    assert is_problem(tried, 410, "gone"), "whom a barred guardian invited comes too late"
    code = front.ask("POST", f"/v1/identity/me/family/{child.person_id}/invitations", mother).json()["code"]
    tried = front.ask("POST", "/v1/identity/me/family/accept", father, json={"code": code})
    assert is_problem(tried, 403, "guardian_barred")
    entered = front.ask("POST", family(child), staff, json=SEEN | {"guardian": str(father.person_id)})
    assert is_problem(entered, 403, "guardian_barred")
    assert examined(front) == []

    assert front.ask("POST", f"{family(child, father)}/lift", staff, json={"reason": "判决变更"}).status_code == 204
    assert front.get("/v1/identity/me", father).json()["acts_for"] == [], "he is not barred, and no guardian either"
    entered = front.ask("POST", family(child), staff, json=SEEN | {"guardian": str(father.person_id)})
    assert (entered.status_code, entered.json()["level"], entered.json()["last4"]) == (201, "confirmed", "1234")
    assert examined(front) == []


def test_somebody_who_never_was_a_guardian_can_be_barred_before_they_try(room: Nursery, front: Front) -> None:
    mother, (child,) = room.family()
    (stranger,) = front.town.residents()
    staff = clerk(front)
    assert front.ask("POST", f"{family(child, stranger)}/bar", staff, json=WHY).status_code == 200
    code = front.ask("POST", f"/v1/identity/me/family/{child.person_id}/invitations", mother).json()["code"]
    tried = front.ask("POST", "/v1/identity/me/family/accept", stranger, json={"code": code})
    assert is_problem(tried, 403, "guardian_barred")
    listed = front.get(family(child), staff).json()["items"]
    assert [(one["person"]["id"], one["barred"]) for one in listed] == [
        (str(mother.person_id), False),
        (str(stranger.person_id), True),
    ]
    assert {one["person"]["name"] for one in listed} == {masking.name(mother.name)}
    assert [(one["reason"], one["document"]) for one in listed] == [(None, None), (WHY["reason"], WHY["document"])]
    read = "SELECT count(*) FROM audit WHERE action = 'guardians.read' AND account_no = %s AND person_id = %s"
    assert front.town.one(read, staff.account_no, child.person_id) == 1
    assert [one["person"]["name"] for one in front.get(family(child), mother).json()["items"]] == [mother.name]
    with pytest.raises(Exception, match="one_relation_each"):
        front.town.do(
            "INSERT INTO relations (actor_id, person_id, kind) VALUES (%s, %s, 'guardian')",
            stranger.person_id,
            child.person_id,
        )
    assert examined(front) == []


def test_only_staff_of_the_childs_region_who_are_no_party_bar_and_enter(room: Nursery, front: Front) -> None:
    mother, (child,) = room.family()
    father, elsewhere, other = front.town.residents(3)
    front.town.relate(father, child)
    front.town.appoint(elsewhere, "staff", prefix="330411105")
    front.town.appoint(father, "staff", REGION)
    enter = SEEN | {"guardian": str(other.person_id)}
    for who, status, code in (
        (mother, 403, "not_allowed"),
        (father, 403, "not_allowed"),
        (elsewhere, 404, "not_there"),
        (other, 404, "not_there"),
    ):
        assert is_problem(front.ask("POST", f"{family(child, mother)}/bar", who, json=WHY), status, code)
        assert is_problem(front.ask("POST", f"{family(child, mother)}/lift", who, json={"reason": "?"}), status, code)
        assert is_problem(front.ask("PUT", family(child, mother), who, json=SEEN), status, code)
        assert is_problem(front.ask("POST", family(child), who, json=enter), status, code)
    assert is_problem(front.ask("POST", f"{family(child, mother)}/bar", None, json=WHY), 401, "not_known")
    staff = clerk(front)
    for body in ({}, {"reason": "", "document": "x"}, WHY | {"x": 1}, {"reason": "x" * 501, "document": "y"}, []):
        assert is_problem(front.ask("POST", f"{family(child, mother)}/bar", staff, json=body), 422, "unprocessable")
    nobody = f"{family(child)}/{uuid.uuid4()}/bar"
    assert is_problem(front.ask("POST", nobody, staff, json=WHY), 404, "not_there")
    grown = f"/v1/identity/people/{mother.person_id}/family/{father.person_id}/bar"
    assert is_problem(front.ask("POST", grown, staff, json=WHY), 422, "unprocessable")
    assert (
        front.town.one("SELECT count(*) FROM relations WHERE barred_at IS NOT NULL AND person_id = %s", child.person_id)
        == 0
    )


def test_a_reason_for_barring_is_kept_from_everybody(room: Nursery, front: Front) -> None:
    _, (child,) = room.family()
    (father,) = front.town.residents()
    front.town.relate(father, child)
    front.ask("POST", f"{family(child, father)}/bar", clerk(front), json=WHY)
    for table in ("relations", "audit", "notices"):
        everything = str(front.town.all(f"SELECT t::text FROM {table} t"))
        assert not [told for told in WHY.values() if told in everything]
    deeds = front.town.all("SELECT action FROM audit WHERE person_id = %s ORDER BY no", child.person_id)
    assert [one[0] for one in deeds] == ["guardians.bar"]


def test_what_a_guardian_forbade_stays_when_they_go_and_what_they_allowed_does_not(room: Nursery, front: Front) -> None:
    room.on_duty()
    mother, child, visit = room.arrived()
    father, uncle, aunt = front.town.residents(3)
    front.town.relate(father, child)
    add(front, father, child, kind="never", person_id=str(uncle.person_id))
    add(front, father, child, kind="allowed", person_id=str(aunt.person_id))
    add(front, mother, child, kind="allowed", person_id=str(uncle.person_id))
    assert front.ask("DELETE", f"/v1/identity/me/family/{child.person_id}", father).status_code == 204
    assert is_problem(room.collect(visit, child, collector=str(aunt.person_id)), 403, "collector_unknown")
    assert is_problem(room.collect(visit, child, collector=str(uncle.person_id)), 403, "collector_barred")
    assert is_problem(room.collect(visit, child, collector=str(father.person_id)), 403, "collector_unknown")
    assert room.collect(visit, child, collector=str(mother.person_id)).status_code == 200
    assert examined(front) == []


def test_who_waits_for_something_new_about_a_child_hears_nothing_once_they_are_barred(
    room: Nursery, front: Front
) -> None:
    mother, (child,) = room.family()
    (father,) = front.town.residents()
    front.town.relate(father, child)
    staff = clerk(front)
    front.runner.run(tasks.stamp_notices(front.parts))
    last = front.get("/v1/notices?limit=100", father).json()["next"]

    async def scenario() -> Any:
        path = f"/v1/notices?wait=6&after={last}"
        waiting = asyncio.create_task(front.client.get(path, headers=father.headers(front.keys)))
        await asyncio.sleep(0.3)
        front.town.do("UPDATE relations SET ends_at = now(), closed_at = now() WHERE actor_id = %s", father.person_id)
        await asyncio.sleep(2.2)
        body = {"slot_id": str(room.slot(400)), "persons": [str(child.person_id)], "stays": False}
        made = await front.client.post(VISITS, json=body, headers=mother.headers(front.keys, "a-mothers-key"))
        assert made.status_code == 201, made.text
        await tasks.stamp_notices(front.parts)
        return (await waiting).json()

    assert front.runner.run(scenario())["items"] == []
    assert staff is not None


def test_a_service_may_want_to_know_guardians_better(front: Front, tmp_path: Path) -> None:
    wanted = doors.demo(tmp_path, guardian_levels={"childcare": "confirmed"})
    with opened(front.town.url, front.keys, wanted) as strict:
        room = Nursery(strict)
        mother, (child,) = room.family()
        assert is_problem(room.book(mother, room.slot(), child), 403, "not_yours")
        assert is_problem(strict.get(f"/v1/childcare/children/{child.person_id}", mother), 404, "not_there")
        assert strict.book(mother, strict.town.slot(6), persons=[str(child.person_id)]).status_code == 201
        checked = strict.ask("PUT", family(child, mother), clerk(strict), json=SEEN)
        assert (checked.status_code, checked.json()["level"]) == (200, "confirmed")
        assert room.book(mother, room.slot(), child).status_code == 201
        time.sleep(2.1)
        assert strict.get(f"/v1/childcare/children/{child.person_id}", mother).status_code == 200


def test_from_the_eighteenth_birthday_on_nobody_books_as_a_guardian(front: Front) -> None:
    mother, child = front.town.residents(2)
    front.town.relate(mother, child)
    today = clock.today()
    turning = today.replace(year=today.year - 18) if (today.month, today.day) != (2, 29) else today - timedelta(6575)
    for born, status in ((turning + timedelta(days=1), 201), (turning, 403)):
        for table in ("holders", "persons"):
            front.town.do(f"UPDATE {table} SET born = %s WHERE id = %s", born, child.person_id)
        answer = front.book(mother, front.town.slot(8 + status % 7), persons=[str(child.person_id)])
        assert answer.status_code == status, answer.text
    assert examined(front) == []


def test_a_child_keeps_the_rank_that_a_barred_guardian_got_for_it_while_it_has_another(front: Front) -> None:
    mother, father, child, orphan, busy = front.town.residents(5)
    for who, whose in ((mother, child), (father, child), (father, orphan)):
        front.town.relate(who, whose)
    staff = clerk(front)
    front.town.appoint(staff, "staff")
    slots = [front.town.slot(15, capacity=1), front.town.slot(17, capacity=1)]
    held = [front.book(busy, slot).json() for slot in slots]
    asked = [
        front.book(father, slot, persons=[str(one.person_id)], if_full="wait").json()
        for slot, one in zip(slots, (child, orphan), strict=True)
    ]
    for one in (child, orphan):
        assert front.ask("POST", f"{family(one, father)}/bar", staff, json=WHY).status_code == 200
    for one in held:
        front.ask("DELETE", one["href"], busy)
    front.serve_waiting()
    served = front.get(f"/v1/claims/{asked[0]['group_id']}", mother).json()
    assert (served["state"], served["persons"][0]["id"]) == ("confirmed", str(child.person_id))
    assert front.taken(slots[1]) == 0, "nobody is left who may speak for the other child"
    eventually_loses(front, father)
    assert is_problem(front.get(f"/v1/claims/{asked[0]['group_id']}", father), 404, "not_there")
    assert examined(front) == []


def test_what_an_earlier_guardian_forbade_is_lifted_by_a_manager_with_a_reason(room: Nursery, front: Front) -> None:
    room.on_duty()
    mother, child, visit = room.arrived()
    father, uncle, stranger = front.town.residents(3)
    front.town.relate(father, child)
    add(front, mother, child, kind="allowed", person_id=str(uncle.person_id))
    line = add(front, father, child, kind="never", person_id=str(uncle.person_id))
    hers = add(front, mother, child, kind="never", name="某人")
    where = f"/v1/childcare/children/{child.person_id}/collectors"
    path, why = f"{where}/{line['id']}/lift", {"reason": "原监护人已去世，法院裁定"}
    staff, (manager, elsewhere) = clerk(front), front.town.residents(2)
    front.town.appoint(manager, "manager", REGION)
    front.town.appoint(elsewhere, "manager")
    assert is_problem(front.ask("POST", path, manager, json=why), 403, "not_allowed"), "he lifts it himself"
    front.town.do("UPDATE relations SET ends_at = now(), closed_at = now() WHERE actor_id = %s", father.person_id)
    assert is_problem(room.collect(visit, child, collector=str(uncle.person_id)), 403, "collector_barred")
    (seen,) = front.get(where, manager).json()["items"]
    assert seen["id"] == line["id"]
    for who in (staff, elsewhere, stranger, uncle):
        assert is_problem(front.ask("POST", path, who, json=why), 404, "not_there")
    assert is_problem(front.ask("POST", path, mother, json=why), 403, "not_allowed")
    assert is_problem(front.ask("POST", f"{where}/{hers['id']}/lift", manager, json=why), 403, "not_allowed")
    assert is_problem(front.ask("POST", f"{where}/{uuid.uuid4()}/lift", manager, json=why), 404, "not_there")
    for bad in ({}, {"reason": ""}, {"reason": "x"}, why | {"x": 1}):
        assert front.ask("POST", path, manager, json=bad).status_code == 422
    for _ in range(2):
        lifted = front.ask("POST", path, manager, json=why)
        assert (lifted.status_code, lifted.json()["state"]) == (200, "removed"), lifted.text
    deeds = "SELECT action, reason FROM audit WHERE person_id = %s AND account_no = %s ORDER BY no"
    assert front.town.all(deeds, child.person_id, manager.account_no) == [
        ("child.read", None),
        ("collectors.lift", why["reason"]),
    ]
    assert room.collect(visit, child, collector=str(uncle.person_id)).status_code in (200, 201)
    assert examined(front) == []


def test_a_manager_lifts_nothing_that_forbids_themselves(room: Nursery, front: Front) -> None:
    parent, (child,) = room.family()
    (manager,) = front.town.residents()
    front.town.appoint(manager, "manager", REGION)
    line = add(front, parent, child, kind="never", person_id=str(manager.person_id))
    front.town.do("UPDATE relations SET ends_at = now(), closed_at = now() WHERE actor_id = %s", parent.person_id)
    path = f"/v1/childcare/children/{child.person_id}/collectors/{line['id']}/lift"
    assert is_problem(front.ask("POST", path, manager, json={"reason": "我自己"}), 403, "not_by_yourself")
