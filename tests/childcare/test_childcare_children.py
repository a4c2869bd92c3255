"""What guardians say about their children stays theirs: who reads it, who may collect, and what other guardians see."""

from __future__ import annotations

import uuid
from datetime import timedelta
from typing import Any

import pytest

from services.childcare import tasks
from services.childcare.actions import overdue
from shared import clock
from shared.purposes import PURPOSES
from tests.childcare.nursery import Nursery
from tests.gateway.test_front import CANARY, Front, examined, is_problem
from tests.town import Resident

ABOUT = {
    "allergies": ["花生", "鸡蛋"],
    "notes": "怕打雷",
    "contacts": [{"name": "外婆", "phone": "139 0000 0000", "relation": "外婆"}],
}


def about(child: Resident) -> str:
    return f"/v1/childcare/children/{child.person_id}"


def add(front: Front, who: Resident, child: Resident, **told: Any) -> dict[str, Any]:
    answer = front.ask("POST", f"{about(child)}/collectors", who, json=told)
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()
    return found


def tomorrow() -> str:
    return (clock.now() + timedelta(days=1)).isoformat()


# ---------------------------------------------------------------- the child's record


def test_carers_read_about_a_child_only_around_its_visit_and_guardians_see_that_they_did(
    room: Nursery, front: Front
) -> None:
    parent, (child,) = room.family()
    empty = front.get(about(child), parent)
    assert (empty.status_code, empty.json()["version"], empty.headers["etag"]) == (200, 0, '"0"')
    written = front.ask("PUT", about(child), parent, json=ABOUT)
    assert (written.status_code, written.json()["version"]) == (200, 1)
    assert {name: written.json()[name] for name in ABOUT} == ABOUT
    assert [one["id"] for one in written.json()["guardians"]] == [str(parent.person_id)]
    assert is_problem(front.get(about(child), room.carer), 404, "not_there")
    slot = room.slot(120)
    room.booked(parent, slot, child)
    assert is_problem(front.get(about(child), room.carer), 404, "not_there")
    room.moved(slot, 61)
    assert front.get(about(child), room.carer).json()["allergies"] == ["花生", "鸡蛋"]
    room.moved(slot, 59 + 120 + 59)
    assert front.get(about(child), room.carer).status_code == 200
    room.moved(slot, 2)
    assert is_problem(front.get(about(child), room.carer), 404, "not_there")
    reads = front.get(f"{about(child)}/reads", parent).json()["items"]
    assert [(one["by"], one["what"]) for one in reads] == [(room.carer.name, "record")] * 2
    assert is_problem(front.get(f"{about(child)}/reads", room.carer), 404, "not_there")
    (first, *_) = ledger = front.get(f"/v1/identity/people/{child.person_id}/ledger", parent).json()["items"]
    assert [(one["action"], one["what"], one["service"]) for one in ledger] == [
        ("child.read", ["record"], "childcare")
    ] * 2
    assert first["by"]["role"] == "carer"


def test_what_is_about_a_childs_health_is_kept_only_with_consent_to_that(room: Nursery, front: Front) -> None:
    parent, (child,) = room.family(consent=False)
    room.consent(parent, child, "childcare")
    for part in ({"allergies": ["花生"]}, {"notes": "怕打雷"}, ABOUT):
        refused = front.ask("PUT", about(child), parent, json=part)
        assert is_problem(refused, 409, "consent_required"), part
        assert refused.json()["purposes"] == ["health"]
    assert front.get(about(child), parent).json()["version"] == 0
    plain = {"allergies": [], "notes": None, "contacts": ABOUT["contacts"]}
    assert front.ask("PUT", about(child), parent, json=plain).json()["contacts"] == ABOUT["contacts"]
    room.consent(parent, child, "health")
    assert front.ask("PUT", about(child), parent, json=ABOUT).json()["allergies"] == ["花生", "鸡蛋"]


def test_a_child_who_was_not_collected_is_known_to_the_carers_as_long_as_it_is_inside(
    room: Nursery, front: Front
) -> None:
    room.on_duty()
    slot = room.slot()
    _, child, _ = room.arrived(slot)
    room.moved(slot, 5 * 60)
    assert front.get(about(child), room.carer).status_code == 200


def test_a_record_is_nobody_elses(room: Nursery, front: Front) -> None:
    parent, (child,) = room.family()
    room.booked(parent, room.slot(), child)
    elsewhere = Nursery(front)
    (stranger, proxy) = front.town.residents(2)
    front.town.relate(proxy, child, "proxy")
    (manager,) = room.carers(role="manager")
    for who in (stranger, proxy, elsewhere.carer, manager):
        assert is_problem(front.get(about(child), who), 404, "not_there")
        assert is_problem(front.ask("PUT", about(child), who, json=ABOUT), 404, "not_there")
        assert is_problem(front.get(f"{about(child)}/collectors", who), 404, "not_there")
    assert is_problem(front.ask("PUT", about(child), room.carer, json=ABOUT), 404, "not_there")
    assert is_problem(front.get(about(child)), 401, "not_known")
    assert is_problem(front.ask("PUT", about(child), json=ABOUT), 401, "not_known")


def test_who_comes_to_a_room_is_told_to_its_carers_and_not_to_whoever_works_elsewhere(
    room: Nursery, front: Front
) -> None:
    parent, (child,) = room.family()
    room.booked(parent, room.slot(), child)
    today = clock.local(clock.now() + timedelta(minutes=5)).date().isoformat()
    sheet = front.get(f"{room.path}/sheet", room.carer, params={"date": today})
    assert (sheet.status_code, child.name in sheet.text) == (200, True)
    for role in ("kitchen", "courier", "volunteer", "auditor"):
        (other,) = room.carers(role=role)
        assert is_problem(front.get(f"{room.path}/sheet", other), 403, "not_allowed"), role


def test_what_was_written_is_sealed_in_every_table(room: Nursery, front: Front) -> None:
    parent, (child,) = room.family()
    room.on_duty()
    front.ask("PUT", about(child), parent, json=ABOUT | {"notes": CANARY})
    add(front, parent, child, kind="never", name=CANARY, note=CANARY)
    room.booked(parent, room.slot(), child, note=CANARY)
    told = {"room": str(room.place_id), "severity": "minor", "text": CANARY, "witnessed_by": [CANARY]}
    assert room.post("/v1/childcare/incidents", room.carer, **told).status_code == 201
    room.post(f"{room.path}/count", room.carer, count=1, names=[CANARY])
    tables = ("child_records", "collectors", "visits", "incidents", "head_counts", "notices", "uploads", "record_reads")
    for table in tables:
        rows = front.town.one(f"SELECT string_agg(t::text, '') FROM {table} t")
        assert CANARY not in (rows or ""), table
        assert CANARY.encode().hex() not in (rows or ""), table


def test_what_must_be_known_may_be_long(room: Nursery, front: Front) -> None:
    parent, (child,) = room.family()
    long = "汉" * 2000
    assert front.ask("PUT", about(child), parent, json={"notes": long}).json()["notes"] == long
    told = {"room": str(room.place_id), "severity": "minor", "text": long}
    assert room.post("/v1/childcare/incidents", room.carer, **told).json()["text"] == long


def test_two_guardians_write_over_what_they_read(room: Nursery, front: Front) -> None:
    parent, (child,) = room.family()
    (father,) = front.town.residents()
    front.town.relate(father, child)
    assert front.ask("PUT", about(child), parent, json=ABOUT, headers={"If-Match": '"0"'}).status_code == 200
    stale = front.ask("PUT", about(child), father, json={"notes": "x"}, headers={"If-Match": '"0"'})
    assert is_problem(stale, 412, "changed")
    assert is_problem(front.ask("PUT", about(child), father, json=ABOUT, headers={"If-Match": "W/x"}), 412, "changed")
    assert front.ask("PUT", about(child), father, json={}, headers={"If-Match": '"1"'}).json()["allergies"] == []
    assert front.ask("PUT", about(child), father, json=ABOUT).json()["version"] == 3


@pytest.mark.parametrize(
    "body",
    [
        {"allergies": ["x" * 81]},
        {"allergies": "花生"},
        {"notes": "x" * 2001},
        {"notes": "\x00"},
        {"contacts": [{"name": "a", "phone": CANARY}]},
        {"more": CANARY},
        [],
    ],
)
def test_a_record_takes_only_what_it_knows(room: Nursery, front: Front, body: Any) -> None:
    parent, (child,) = room.family()
    assert is_problem(front.ask("PUT", about(child), parent, json=body), 422, "unprocessable")
    assert front.get(about(child), parent).json()["version"] == 0


# ---------------------------------------------------------------- collectors


def test_whom_a_guardian_allows_may_collect_and_nobody_else(room: Nursery, front: Front) -> None:
    room.on_duty()
    parent, child, visit = room.arrived()
    grandmother, uncle = front.town.residents(2)
    add(front, parent, child, kind="allowed", person_id=str(grandmother.person_id))
    assert is_problem(room.collect(visit, child, collector=str(uncle.person_id)), 403, "collector_unknown")
    assert is_problem(room.collect(visit, child, collector=str(uuid.uuid4())), 403, "collector_unknown")
    assert is_problem(room.collect(visit, child, code="12345678"), 403, "collector_unknown")
    assert room.now()["children"] == 1
    gone = room.collect(visit, child, collector=str(grandmother.person_id))
    assert gone.json()["adult"] == {"id": str(grandmother.person_id), "name": grandmother.name}
    trips = front.get(f"{about(child)}/handovers", parent).json()["items"]
    assert [one["what"] for one in trips] == ["out", "refused", "refused", "refused", "in"]
    assert [one["adult"] for one in trips[:1]] == [grandmother.name]
    types = {row[0] for row in front.town.all("SELECT type FROM notices WHERE %s = ANY(holders)", child.holder_no)}
    assert types >= {"childcare.child.arrived", "childcare.child.collected", "childcare.collector.refused"}
    assert examined(front) == []


def test_a_child_is_collected_by_nobody_under_age(room: Nursery, front: Front) -> None:
    room.on_duty()
    parent, child, visit = room.arrived()
    today = clock.today()
    (brother,) = front.town.residents(born=today.replace(year=today.year - 18, day=1) + timedelta(days=40))
    (cousin,) = front.town.residents(born=today.replace(year=today.year - 18, day=1))
    for young in (child, brother):
        for more in ({"kind": "allowed"}, {"kind": "once", "until": tomorrow()}):
            answer = front.ask(
                "POST", f"{about(child)}/collectors", parent, json={"person_id": str(young.person_id), **more}
            )
            assert is_problem(answer, 422, "unprocessable")
            assert answer.json()["errors"] == [{"in": "body", "pointer": "/person_id", "code": "too_young"}]
    add(front, parent, child, kind="never", person_id=str(brother.person_id))
    line = add(front, parent, child, kind="allowed", person_id=str(cousin.person_id))
    front.town.do(
        "UPDATE collectors SET person_id = %s WHERE id = %s", child.person_id, line["id"]
    )  # as it once could be
    assert is_problem(room.collect(visit, child, collector=str(child.person_id)), 403, "collector_unknown")
    assert is_problem(room.collect(visit, child, collector=line["id"]), 403, "collector_unknown")
    front.town.do("UPDATE collectors SET person_id = %s WHERE id = %s", cousin.person_id, line["id"])
    assert room.collect(visit, child, collector=str(cousin.person_id)).status_code == 200


def test_a_code_that_is_over_already_is_not_made(room: Nursery, front: Front) -> None:
    parent, (child,) = room.family()
    body = {"kind": "once", "name": "张阿姨", "until": (clock.now() - timedelta(minutes=1)).isoformat()}
    answer = front.ask("POST", f"{about(child)}/collectors", parent, json=body)
    assert is_problem(answer, 422, "unprocessable")
    assert answer.json()["errors"] == [{"in": "body", "pointer": "/until", "code": "past"}]


def test_never_beats_everything_also_a_guardian(room: Nursery, front: Front) -> None:
    room.on_duty()
    parent, child, visit = room.arrived()
    (father,) = front.town.residents()
    front.town.relate(father, child)
    add(front, parent, child, kind="allowed", person_id=str(father.person_id))
    barred = add(front, parent, child, kind="never", person_id=str(father.person_id))
    assert is_problem(room.collect(visit, child, collector=str(father.person_id)), 403, "collector_barred")
    once = add(front, father, child, kind="once", person_id=str(father.person_id), until=tomorrow())
    assert is_problem(room.collect(visit, child, code=once["code"]), 403, "collector_barred")
    assert is_problem(room.collect(visit, child, collector=barred["id"]), 403, "collector_barred")
    front.ask("DELETE", f"{about(child)}/collectors/{barred['id']}", parent)
    assert room.collect(visit, child, collector=str(father.person_id)).status_code == 200
    assert examined(front) == []


def test_whom_one_guardian_forbids_by_person_another_cannot_allow_by_name(room: Nursery, front: Front) -> None:
    room.on_duty()
    mother, child, visit = room.arrived()
    (father, uncle) = front.town.residents(2)
    front.town.relate(father, child)
    add(front, mother, child, kind="never", person_id=str(uncle.person_id))
    code = add(front, father, child, kind="once", name=uncle.name, until=tomorrow())["code"]
    line = add(front, father, child, kind="allowed", name=f"\u200b{uncle.name}")["id"]
    assert is_problem(room.collect(visit, child, code=code), 403, "collector_barred")
    assert is_problem(room.collect(visit, child, collector=line), 403, "collector_barred")
    assert room.now()["children"] == 1


def test_a_slow_clock_at_the_door_brings_back_no_leave_that_is_over(room: Nursery, front: Front) -> None:
    room.on_duty()
    mother, child, visit = room.arrived()
    then = clock.now() - timedelta(hours=2)
    line = add(front, mother, child, kind="once", name="刘大姐", until=tomorrow())
    code = line["code"]
    front.town.do("UPDATE collectors SET ends_at = now() - interval '1 hour' WHERE id = %s", line["id"])
    assert is_problem(room.collect(visit, child, code=code, at=then), 403, "collector_unknown")
    (uncle,) = front.town.residents()
    add(front, mother, child, kind="allowed", person_id=str(uncle.person_id))
    since = (clock.now() - timedelta(minutes=1)).isoformat()
    barred = {"kind": "never", "person_id": str(uncle.person_id), "from": since}
    assert front.ask("POST", f"{about(child)}/collectors", mother, json=barred).status_code == 201
    assert is_problem(room.collect(visit, child, collector=str(uncle.person_id), at=then), 403, "collector_barred")
    gone = room.collect(visit, child, code=code, at=then, decided=True)
    assert (gone.status_code, gone.json()["progress"]) == (200, "left"), "what is done is done"


def test_one_guardian_neither_sees_nor_removes_what_the_other_wrote(room: Nursery, front: Front) -> None:
    parent, (child,) = room.family()
    (father,) = front.town.residents()
    front.town.relate(father, child)
    room.booked(parent, room.slot(), child)
    barred = add(front, parent, child, kind="never", person_id=str(father.person_id), note=CANARY)
    where = f"{about(child)}/collectors/{barred['id']}"
    assert barred["state"] == "active"
    assert front.get(where, parent).json() == barred
    assert front.get(f"{about(child)}/collectors", father).json() == {"items": [], "next": None}
    assert is_problem(front.get(where, father), 404, "not_there")
    assert is_problem(front.ask("DELETE", where, father), 404, "not_there")
    assert [one["id"] for one in front.get(f"{about(child)}/collectors", parent).json()["items"]] == [barred["id"]]
    seen = front.get(f"{about(child)}/collectors", room.carer).json()["items"]
    assert [(one["kind"], one["person"]["name"], one["note"]) for one in seen] == [("never", father.name, CANARY)]
    assert [one["what"] for one in front.get(f"{about(child)}/reads", father).json()["items"]] == ["collectors"]
    assert is_problem(front.get(where, room.carer), 404, "not_there")
    for _ in range(2):
        assert front.ask("DELETE", where, parent).json()["state"] == "removed"
    assert front.get(f"{about(child)}/collectors", parent).json()["items"] == []
    trips = [str(one) for one in front.get(f"{about(child)}/handovers", father).json()["items"]]
    assert CANARY not in "".join(trips)


def test_a_code_is_shown_once_and_works_once_in_its_time(room: Nursery, front: Front) -> None:
    room.on_duty()
    slot = room.slot()
    parent, child, visit = room.arrived(slot)
    later = (clock.now() + timedelta(hours=20)).isoformat()
    aunt = {"kind": "once", "name": "刘大姐", "phone_last4": "1234", "id_last4": "567X"}
    early = add(front, parent, child, **aunt, **{"from": later, "until": tomorrow()})
    once = add(front, parent, child, **aunt, until=tomorrow())
    assert len(once["code"]) == 8
    assert once["until"].endswith("+08:00")
    assert (once["from"], once["id_last4"]) == (None, "567X")
    for path, who in ((f"/{once['id']}", parent), ("", parent), ("", room.carer)):
        assert once["code"] not in front.get(f"{about(child)}/collectors{path}", who).text
    assert once["code"] not in str(front.town.all("SELECT * FROM collectors"))
    other, cousin, theirs = room.arrived(slot)
    assert is_problem(room.collect(theirs, cousin, code=once["code"]), 403, "collector_unknown"), "of another child"
    assert is_problem(room.collect(visit, child, code=early["code"]), 403, "collector_unknown")
    assert is_problem(room.collect(visit, child, collector=once["id"]), 403, "collector_unknown"), "the code is asked"
    told = f"{once['code'][:4]} {once['code'][4:]}"
    gone = room.collect(visit, child, code=told)
    assert (gone.status_code, gone.json()["adult"]["name"]) == (200, "刘大姐")
    assert front.get(f"{about(child)}/collectors/{once['id']}", parent).json()["state"] == "used"
    assert room.bring(parent, visit, child).status_code == 200
    assert is_problem(room.collect(visit, child, code=once["code"]), 403, "collector_used")
    assert room.collect(theirs, cousin, collector=str(other.person_id)).status_code == 200
    assert examined(front) == []


def test_somebody_allowed_by_name_is_chosen_from_the_list(room: Nursery, front: Front) -> None:
    room.on_duty()
    parent, child, visit = room.arrived()
    neighbour = add(front, parent, child, kind="allowed", name="张阿姨", phone_last4="4321")
    assert room.collect(visit, child, collector=neighbour["id"]).json()["adult"]["name"] == "张阿姨"


@pytest.mark.parametrize(
    "told",
    [
        {"kind": "allowed"},
        {"kind": "sometimes", "name": "a"},
        {"kind": "once", "name": "a"},
        {"kind": "allowed", "name": "a", "from": "2026-12-02T00:00:00+08:00", "until": "2026-12-01T00:00:00+08:00"},
        {"kind": "allowed", "name": "a", "until": "9999-12-01T00:00:00+08:00"},
        {"kind": "allowed", "name": "a", "until": "2026-12-01T00:00:00"},
        {"kind": "allowed", "name": "a", "phone_last4": "12"},
        {"kind": "allowed", "name": "a", "id_last4": "12345"},
        {"kind": "allowed", "person_id": "00000000-0000-0000-0000-000000000000"},
        {"kind": "allowed", "name": CANARY, "code": "12345678"},
        {"kind": "never", "name": "\u200b\u2060"},
    ],
)
def test_a_line_says_who_and_until_when(room: Nursery, front: Front, told: dict[str, Any]) -> None:
    parent, (child,) = room.family()
    assert is_problem(front.ask("POST", f"{about(child)}/collectors", parent, json=told), 422, "unprocessable")
    assert front.get(f"{about(child)}/collectors", parent).json()["items"] == []


# ---------------------------------------------------------------- carers, the close, incidents


def test_only_a_carer_of_the_room_goes_on_duty_and_in_one_room_at_a_time(room: Nursery, front: Front) -> None:
    parent, _ = room.family()
    other, second = Nursery(front), room.carers()[0]
    (manager,) = room.carers(role="manager")
    carers = f"{room.path}/carers"
    assert is_problem(room.post(carers, parent, inside=True), 403, "not_allowed")
    assert is_problem(room.post(carers, other.carer, inside=True), 403, "not_allowed")
    assert is_problem(room.post(carers, manager, inside=True), 409, "not_a_carer")
    assert is_problem(room.post(carers, room.carer, inside=True, person=str(parent.person_id)), 409, "not_a_carer")
    assert is_problem(room.post(carers, room.carer, inside=True, person=str(uuid.uuid4())), 422)
    assert is_problem(room.post(carers, room.carer, inside=False), 409, "not_inside")
    assert room.post(carers, manager, inside=True, person=str(second.person_id)).json()["carers"] == 1
    assert room.post(carers, room.carer, inside=True).json()["carers"] == 2
    assert is_problem(room.post(carers, room.carer, inside=True), 409, "already_inside")
    front.town.appoint(second, "carer", "330424101", other.place_id)
    told = {"person": str(second.person_id), "inside": True}
    assert is_problem(other.post(f"{other.path}/carers", other.carer, **told), 409, "already_inside")
    front.town.do("UPDATE roles SET ends_at = now() WHERE account_no = %s", second.account_no)
    room.on_duty(inside=False)
    assert is_problem(room.post(carers, manager, inside=False, person=str(second.person_id)), 409, "not_inside")
    assert is_problem(room.post(carers, manager, inside=True, person=str(second.person_id)), 409, "not_a_carer")
    assert is_problem(room.post(f"/v1/childcare/rooms/{uuid.uuid4()}/carers", room.carer, inside=True), 404)
    assert examined(front) == []


def test_a_carer_without_a_role_watches_over_nobody(front: Front) -> None:
    room = Nursery(front, children_per_carer=1)
    second = room.carers()[0]
    room.on_duty(room.carer, second)
    slot = room.slot()
    room.arrived(slot)
    ends = "UPDATE roles SET ends_at = now() WHERE account_no = %s"
    front.town.do(ends, second.account_no)
    assert (room.now()["carers"], room.now()["free"]) == (1, 0)
    assert [one["id"] for one in room.now(room.carer)["on_duty"]] == [str(room.carer.person_id)]
    parent, (child,) = room.family()
    assert is_problem(room.bring(parent, room.booked(parent, slot, child), child), 409, "too_few_carers")
    assert front.runner.run(tasks.end_lost_duties(context(front))) == 1
    assert front.runner.run(tasks.end_lost_duties(context(front))) == 0
    front.town.do(ends, room.carer.account_no)
    assert front.runner.run(tasks.end_lost_duties(context(front))) == 1
    strained = "SELECT data->'reasons' FROM notices WHERE type = 'childcare.room.strained' AND data->>'room_id' = %s"
    assert front.town.all(strained, str(room.place_id)) == [(["last_carer"],)], (
        "somebody looks after the child that is left"
    )
    assert examined(front) == []


def test_what_consent_was_taken_back_for_is_not_shown_and_not_overlooked(room: Nursery, front: Front) -> None:
    room.on_duty()
    parent, child, _ = room.arrived()
    assert front.ask("PUT", about(child), parent, json=ABOUT).status_code == 200
    shown = front.get(about(child), room.carer).json()
    assert (shown["notes"], shown["withheld"]) == (ABOUT["notes"], [])
    body = {"given": False, "version": PURPOSES["health"].version}
    where = f"/v1/identity/people/{child.person_id}/consents/health"
    assert front.ask("PUT", where, parent, json=body).status_code == 200
    shown = front.get(about(child), room.carer).json()
    assert (shown["allergies"], shown["notes"], shown["withheld"]) == ([], None, ["health"])
    assert [one["name"] for one in shown["contacts"]] == [one["name"] for one in ABOUT["contacts"]]
    assert front.get(about(child), parent).json()["notes"] == ABOUT["notes"], "a guardian reads what they wrote"


def test_a_ban_that_is_over_is_not_written(room: Nursery, front: Front) -> None:
    parent, (child,) = room.family()
    past = (clock.now() - timedelta(minutes=1)).isoformat()
    for kind in ("allowed", "once", "never"):
        told = {"kind": kind, "name": "李刚", "until": past}
        refused = front.ask("POST", f"{about(child)}/collectors", parent, json=told)
        assert is_problem(refused, 422)
        assert [(one["pointer"], one["code"]) for one in refused.json()["errors"]] == [("/until", "past")], kind


def test_staff_who_booked_have_brought_nobody(room: Nursery) -> None:
    room.on_duty()
    parent, (child,) = room.family()
    (staff,) = room.carers(role="staff")
    visit = room.booked(staff, room.slot(), child, channel="desk")
    came = room.bring(parent, visit, child)
    assert (came.status_code, came.json()["adult"]) == (200, None), came.text


def test_nobody_goes_off_duty_before_they_came(room: Nursery) -> None:
    room.on_duty()
    then = clock.now() - timedelta(days=2)
    gone = room.post(f"{room.path}/carers", room.carer, at=then, inside=False)
    assert (gone.status_code, gone.json()["reasons"]) == (200, ["late", "before_duty"])


def test_a_carer_may_fall_ill_and_then_nobody_else_comes_in(front: Front) -> None:
    room = Nursery(front, children_per_carer=1)
    second = room.carers()[0]
    room.on_duty(room.carer, second)
    slot = room.slot()
    room.arrived(slot)
    room.arrived(slot)
    gone = room.post(f"{room.path}/carers", second, inside=False)
    assert (gone.status_code, gone.json()["reasons"]) == (200, ["too_few_carers"])
    assert is_problem(room.post(f"{room.path}/carers", room.carer, inside=False), 409, "last_carer")
    assert room.now()["free"] == 0


def test_a_room_that_is_not_empty_is_not_closed(room: Nursery, front: Front) -> None:
    room.on_duty()
    _, child, _ = room.arrived()
    count = f"{room.path}/count"
    found = room.post(count, room.carer, count=0).json()
    assert (found["closed"], found["inside"]) == (False, [{"id": str(child.person_id), "name": child.name}])
    incident = front.get(f"/v1/childcare/incidents/{found['incident']}", room.carer).json()
    assert (incident["kind"], incident["severity"], incident["text"]) == ("count", "serious", "0 / 1")
    assert room.post(count, room.carer, count=1, names=[child.name]).json()["closed"] is False
    named = front.ask("POST", count, room.carer, json={"names": ["小明"]}).json()
    assert (named["closed"], named["count"]) == (False, 1)
    stays = front.get(f"/v1/childcare/incidents/{named['incident']}", room.carer).json()
    assert stays["text"] == "1 / 1: 小明", "who was seen is not lost"
    assert is_problem(room.post(count, room.carer, count=-1), 422)
    assert is_problem(room.post(count, room.carer, count=1, names=[child.name, "小明"]), 422), (
        "more names than children"
    )
    assert is_problem(room.post(count, room.carer), 422)
    assert is_problem(room.post(count, room.family()[0], count=0), 403)
    assert examined(front) == []


def test_incidents_are_written_down_and_never_changed(room: Nursery, front: Front) -> None:
    parent, (child,) = room.family()
    room.booked(parent, room.slot(), child)
    where = "/v1/childcare/incidents"
    told = {
        "id": str(uuid.uuid4()),
        "at": clock.now().isoformat(),
        "room": str(room.place_id),
        "severity": "moderate",
        "text": "摔倒，膝盖擦伤",
        "persons": [str(child.person_id)],
        "witnessed_by": ["何暖"],
        "guardian_notified_at": clock.now().isoformat(),
        "report_to_authority": True,
    }
    made = front.ask("POST", where, room.carer, json=told)
    assert (made.status_code, made.json()["persons"][0]["name"]) == (201, child.name)
    assert front.ask("POST", where, room.carer, json=told).json() == made.json()
    assert front.get(made.headers["location"], room.carer).json() == made.json()
    more = told | {"id": str(uuid.uuid4()), "follows": made.json()["id"], "text": "已包扎"}
    assert front.ask("POST", where, room.carer, json=more).json()["follows"] == made.json()["id"]
    page = front.get(where, room.carer, params={"room": str(room.place_id), "limit": 1}).json()
    rest = front.get(where, room.carer, params={"room": str(room.place_id), "cursor": page["next"]}).json()
    assert [one["text"] for one in (*page["items"], *rest["items"])] == ["已包扎", "摔倒，膝盖擦伤"]
    other = Nursery(front)
    assert is_problem(front.get(made.headers["location"], other.carer), 404, "not_there")
    assert is_problem(front.get(where, other.carer, params={"room": str(room.place_id)}), 403, "not_allowed")
    wrong = told | {"id": str(uuid.uuid4()), "room": str(other.place_id), "follows": made.json()["id"]}
    assert is_problem(front.ask("POST", where, other.carer, json=wrong), 422)
    assert is_problem(front.ask("POST", where, room.carer, json=told | {"persons": [str(uuid.uuid4())]}), 422)
    for stranger in (parent, room.family()[1][0]):
        more = told | {"id": str(uuid.uuid4()), "persons": [str(child.person_id), str(stranger.person_id)]}
        unknown = front.ask("POST", where, room.carer, json=more)
        assert is_problem(unknown, 422), "they never had a visit here"
        assert [one["pointer"] for one in unknown.json()["errors"]] == ["/persons/1"]
    for method in ("PUT", "DELETE", "PATCH"):
        assert front.ask(method, made.headers["location"], room.carer, json=told).status_code == 405
    notices = front.town.all(
        "SELECT data FROM notices WHERE type = 'childcare.incident.opened' ORDER BY no DESC LIMIT 1"
    )
    assert notices[0][0].keys() == {"room_id", "kind", "severity", "report_to_authority"}
    assert examined(front) == []


def test_guardians_read_what_happened_to_their_child_and_nothing_of_others(room: Nursery, front: Front) -> None:
    where = "/v1/childcare/incidents"
    parent, (child, sister) = room.family(2)
    other, (stranger,) = room.family()
    room.booked(parent, room.slot(), child, sister)
    room.booked(other, room.slot(200), stranger)
    (father, barred) = front.town.residents(2)
    front.town.relate(father, child)
    front.town.relate(barred, child, "proxy")

    def report(text: str, *persons: Resident, **more: Any) -> str:
        told = {"room": str(room.place_id), "severity": "minor", "text": text, "witnessed_by": [CANARY]} | more
        answer = room.post(where, room.carer, persons=[str(one.person_id) for one in persons], **told)
        assert answer.status_code == 201, answer.text
        return str(answer.json()["id"])

    fall = report("擦伤", child)
    both = report("姐弟争吵", child, sister)
    fight = report(CANARY, child, stranger)
    seen = report(CANARY, child, report_to_authority=True)
    then = report(CANARY, child, follows=seen)
    last = report(CANARY, child, follows=then)

    def listed(who: Resident, whose: Resident, **more: Any) -> list[tuple[str, Any, list[str]]]:
        answer = front.get(where, who, params={"child": str(whose.person_id), **more})
        assert answer.status_code == 200, answer.text
        assert CANARY not in answer.text, "neither a witness nor words about somebody else's child"
        return [(one["id"], one["text"], [p["id"] for p in one["persons"]]) for one in answer.json()["items"]]

    mine, hers = str(child.person_id), str(sister.person_id)
    assert listed(parent, child) == [(fight, None, [mine]), (both, "姐弟争吵", [mine, hers]), (fall, "擦伤", [mine])]
    assert listed(parent, child, room=str(room.place_id)) == listed(parent, child)
    assert listed(parent, child, room=str(uuid.uuid4())) == []
    assert listed(parent, sister) == [(both, "姐弟争吵", [mine, hers])]
    assert listed(father, child)[1] == (both, None, [mine]), "the sister is not his"
    assert listed(other, stranger) == [(fight, None, [str(stranger.person_id)])]
    assert front.get(f"{where}/{fall}", parent).json()["text"] == "擦伤"
    assert front.get(f"{where}/{fight}", other).json()["persons"] == [
        {"id": str(stranger.person_id), "name": stranger.name}
    ]
    for hidden in (seen, then, last):
        assert is_problem(front.get(f"{where}/{hidden}", parent), 404, "not_there")
        assert front.get(f"{where}/{hidden}", room.carer).json()["text"] == CANARY
    assert is_problem(front.get(f"{where}/{fall}", other), 404, "not_there")
    for nobody in (other, barred):
        assert is_problem(front.get(where, nobody, params={"child": mine}), 404, "not_there")
    assert is_problem(front.get(where, parent, params={"child": str(uuid.uuid4())}), 404, "not_there")
    assert is_problem(front.get(where, parent), 403, "not_allowed")
    assert is_problem(front.get(where, params={"child": mine}), 401, "not_known")
    assert len(front.get(where, room.carer, params={"child": mine}).json()["items"]) == 6
    assert front.get(where, Nursery(front).carer, params={"child": mine}).json()["items"] == []
    page = front.get(where, parent, params={"child": mine, "limit": 1}).json()
    assert len(front.get(where, parent, params={"child": mine, "cursor": page["next"]}).json()["items"]) == 2
    front.town.do("UPDATE relations SET ends_at = now() WHERE actor_id = %s", parent.person_id)
    front.parts.credentials._facts.clear()
    assert is_problem(front.get(where, parent, params={"child": mine}), 404, "not_there")
    assert is_problem(front.get(f"{where}/{fall}", parent), 404, "not_there")


def test_no_impossible_moment_comes_into_an_incident_that_nobody_can_change(room: Nursery, front: Front) -> None:
    """It would keep every other incident of the room from being read."""
    told = {"room": str(room.place_id), "severity": "minor", "text": "磕碰"}
    ahead = (clock.now() + timedelta(hours=1)).isoformat()
    for moment in ("9999-12-31T23:59:59Z", "0001-01-01T00:00:00+14:00", "1900-01-01T00:00:00+08:00", ahead):
        answer = room.post("/v1/childcare/incidents", room.carer, guardian_notified_at=moment, **told)
        assert is_problem(answer, 422, "unprocessable"), moment
    now = clock.now().isoformat()
    assert room.post("/v1/childcare/incidents", room.carer, guardian_notified_at=now, **told).status_code == 201
    listed = front.get("/v1/childcare/incidents", room.carer, params={"room": str(room.place_id)})
    assert (listed.status_code, len(listed.json()["items"])) == (200, 1)


# ---------------------------------------------------------------- what is due


def context(front: Front) -> Any:
    db = front.parts.db.of("linli_childcare")
    return type("Context", (), {"db": db})()


def test_each_step_for_a_child_who_was_not_collected_comes_once(front: Front) -> None:
    room = Nursery(front, late_after_minutes=[10, 30])
    room.on_duty()
    slot = room.slot()
    parent, child, visit = room.arrived(slot)
    call = lambda: front.runner.run(tasks.call_for_the_late(context(front)))  # noqa: E731
    said = "SELECT count(*) FROM notices WHERE type = 'childcare.collection.missed' AND %s = ANY(holders)"
    call()
    room.moved(slot, 125 + 9)
    call()
    assert front.town.one(said, child.holder_no) == 0
    room.moved(slot, 2)
    call()
    call()
    assert front.town.one(said, child.holder_no) == 1
    room.moved(slot, 60)
    call()
    call()
    assert front.town.one(said, child.holder_no) == 2
    told = front.get("/v1/notices", parent).json()
    assert told["items"] is not None
    assert room.collect(visit, child, collector=str(parent.person_id)).status_code == 200
    assert call() == 0
    assert examined(front) == []


def test_a_child_who_goes_on_to_the_next_session_is_not_late(room: Nursery, front: Front) -> None:
    room.on_duty()
    slot = room.slot(5, 60)
    parent, child, _ = room.arrived(slot)
    following = room.slot(65, 60)
    room.booked(parent, following, child)
    room.moved(slot, 65 + 20)
    room.moved(following, 65 + 20)
    front.runner.run(tasks.call_for_the_late(context(front)))
    assert front.town.one("SELECT count(*) FROM late_collections WHERE child_no = %s", child.holder_no) == 0


def test_who_did_not_come_is_a_no_show_after_half_a_day(room: Nursery, front: Front) -> None:
    parent, (child,) = room.family()
    slot = room.slot()
    visit = room.booked(parent, slot, child)
    room.moved(slot, 125 + 11 * 60)
    front.runner.run(tasks.miss(context(front)))
    assert front.get(visit["href"], parent).json()["state"] == "confirmed"
    room.moved(slot, 61)
    front.runner.run(tasks.miss(context(front)))
    assert front.get(visit["href"], parent).json()["state"] == "no_show"
    assert front.runner.run(tasks.miss(context(front))) == 0
    assert timedelta(hours=12) == overdue.PATIENCE
    assert examined(front) == []
