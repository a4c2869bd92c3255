"""A day in a children's room, as guardians and carers live it."""

from __future__ import annotations

import uuid
from datetime import datetime, timedelta

from services.gateway.tasks import stamp_notices
from shared import clock, passes
from tests.childcare.nursery import COMMUNITY, REGION, VISITS, Nursery
from tests.gateway.test_front import Front, claim_part, examined, is_problem


def test_a_rainy_afternoon_from_the_booking_to_the_empty_room(room: Nursery, front: Front) -> None:
    parent, (child, sister) = room.family(2)
    slot = room.slot()
    visit = room.booked(parent, slot, child, sister, note="妹妹怕黑")
    assert (visit["service"], visit["state"], visit["progress"], visit["note"]) == (
        "childcare",
        "confirmed",
        None,
        "妹妹怕黑",
    )
    assert front.get(visit["href"], parent).json() == visit
    assert claim_part(front.get(f"/v1/claims/{visit['group_id']}", parent).json()) == claim_part(visit)
    assert [one["id"] for one in front.get(VISITS, parent).json()["items"]] == [visit["id"]]
    listed = front.get(VISITS, room.carer, params={"facility": str(room.place_id)}).json()["items"]
    assert [one["id"] for one in listed] == [visit["id"]]

    assert is_problem(room.bring(parent, visit, child), 409, "too_few_carers")
    room.on_duty()
    came = room.bring(parent, visit, child)
    assert came.status_code == 200, came.text
    assert came.json()["progress"] == "inside"
    assert came.json()["adult"]["id"] == str(parent.person_id)
    assert came.json()["reasons"] == []
    assert room.bring(parent, visit, sister).status_code == 200

    now = room.now(room.carer)
    assert (now["children"], now["adults"], now["carers"], now["ratio"], now["places"]) == (2, 1, 1, 8, 20)
    assert now["free"] == 6
    assert [one["name"] for one in now["inside"]] == [child.name, sister.name]
    for stranger in (None, parent):
        assert room.now(stranger)["inside"] is None
        assert room.now(stranger)["on_duty"] is None
        assert room.now(stranger)["children"] == 2
    assert front.get(visit["href"], parent).json()["progress"] == "inside"
    assert {one["state"] for one in front.get(visit["href"], parent).json()["persons"]} == {"attended"}

    assert is_problem(room.post(f"{room.path}/carers", room.carer, inside=False), 409, "last_carer")
    for one in (child, sister):
        gone = room.collect(visit, one, collector=str(parent.person_id))
        assert (gone.status_code, gone.json()["progress"]) == (200, "left")
    steps = front.get(visit["href"], parent).json()
    assert steps["progress"] == "left"
    assert [(one["person"]["name"], one["direction"]) for one in steps["steps"]] == [
        (child.name, "in"),
        (sister.name, "in"),
        (child.name, "out"),
        (sister.name, "out"),
    ]
    closed = room.post(f"{room.path}/count", room.carer, count=0)
    assert (closed.status_code, closed.json()["closed"], closed.json()["incident"]) == (200, True, None)
    room.on_duty(inside=False)
    assert room.now()["carers"] == 0
    assert examined(front) == []


def test_what_a_device_sends_twice_is_done_once(room: Nursery, front: Front) -> None:
    parent, (child,) = room.family()
    visit = room.booked(parent, room.slot(), child)
    told = {"id": str(uuid.uuid4()), "at": clock.now().isoformat(), "inside": True}
    first = front.ask("POST", f"{room.path}/carers", room.carer, json=told)
    assert first.json() == front.ask("POST", f"{room.path}/carers", room.carer, json=told).json()
    told = {"id": str(uuid.uuid4()), "at": clock.now().isoformat(), "code": room.code(parent, visit, child)}
    first = front.ask("POST", f"{visit['href']}/sign-in", room.carer, json=told)
    assert first.status_code == 200, first.text
    assert first.json() == front.ask("POST", f"{visit['href']}/sign-in", room.carer, json=told).json()
    told |= {"code": "00000000"}
    assert is_problem(front.ask("POST", f"{visit['href']}/sign-in", room.carer, json=told), 422, "key_reused")
    assert room.now()["children"] == 1
    told = {"id": str(uuid.uuid4()), "at": clock.now().isoformat(), "collector": str(room.carer.person_id)}
    for _ in range(2):
        answer = front.ask("POST", f"{visit['href']}/sign-out", room.carer, json=told)
        assert is_problem(answer, 403, "collector_unknown")
    assert front.town.one("SELECT count(*) FROM turned_away WHERE place_id = %s", room.place_id) == 1
    told = {"id": str(uuid.uuid4()), "at": clock.now().isoformat(), "count": 3}
    first = front.ask("POST", f"{room.path}/count", room.carer, json=told)
    assert first.json() == front.ask("POST", f"{room.path}/count", room.carer, json=told).json()
    assert examined(front) == []


def test_who_may_not_come_to_a_room(room: Nursery, front: Front) -> None:
    parent, (child,) = room.family()
    slot = room.slot()
    young, old = room.children(parent, age=2)[0], room.children(parent, age=14)[0]
    unasked = room.children(parent, consent=False)[0]
    (stranger,) = front.town.residents()
    assert is_problem(room.book(parent, slot, young), 409, "too_young")
    assert is_problem(room.book(parent, slot, old), 409, "too_old")
    assert is_problem(room.book(stranger, slot, child), 403, "not_yours")
    refused = room.book(parent, slot, unasked)
    assert is_problem(refused, 409, "consent_required")
    assert refused.json()["purposes"] == ["childcare"]
    starts, ends = front.town.all("SELECT starts_at, ends_at FROM slots WHERE id = %s", slot)[0]
    court = front.town.slot(starts_at=starts, ends_at=ends, closes_at=starts)
    served = front.book(parent, court, persons=[str(unasked.person_id)])
    assert served.status_code == 201, "who asks for no consent serves the same child at the same hour"
    assert is_problem(room.book(parent, slot, unasked), 409, "consent_required")
    (grandfather,) = front.town.residents()
    front.town.relate(grandfather, child, "proxy")
    assert is_problem(room.book(grandfather, slot, child), 409, "guardian_required")
    small = room.slot(180, capacity=1)
    assert is_problem(room.book(parent, small, child, room.children(parent)[0]), 409, "full")
    assert is_problem(room.book(parent, slot, child, guests=1), 422)


def test_a_visit_is_to_one_room_whose_carers_know_of_it(room: Nursery, front: Front) -> None:
    parent, (child,) = room.family()
    elsewhere = Nursery(front)
    slots = [str(room.slot()), str(elsewhere.slot(200))]
    told = {"slot_id": None, "slot_ids": slots, "persons": [str(child.person_id)]}
    answer = front.ask("POST", VISITS, parent, key=uuid.uuid4().hex, json=told)
    assert is_problem(answer, 422, "unprocessable")
    assert [one["code"] for one in answer.json()["errors"]] == ["several_rooms"]
    again = [slots[0], str(room.slot(200))]
    answer = front.ask("POST", VISITS, parent, key=uuid.uuid4().hex, json=told | {"slot_ids": again})
    assert answer.status_code == 201, answer.text
    assert examined(front) == []


def test_no_committee_takes_the_place_of_a_child(room: Nursery, front: Front) -> None:
    (manager,) = front.town.residents(community=COMMUNITY)
    front.town.appoint(manager, "manager", REGION)
    told = {"slot_id": str(room.slot()), "holder": COMMUNITY}
    assert is_problem(front.ask("POST", VISITS, manager, key=uuid.uuid4().hex, json=told), 422, "unprocessable")


def test_a_room_where_guardians_stay_says_so(front: Front) -> None:
    together, alone = Nursery(front, stays="stay"), Nursery(front, stays="drop_off")
    parent, (child,) = together.family()
    assert is_problem(together.book(parent, together.slot(), child), 409, "guardian_stays")
    assert together.booked(parent, together.slot(), child, stays=True)["stays"] is True
    parent, (child,) = alone.family()
    assert is_problem(alone.book(parent, alone.slot(), child, stays=True), 409, "drop_off_only")
    held = "SELECT count(*) FROM claims WHERE place_id = %s AND is_active"
    assert front.town.one(held, alone.place_id) == 0, "what the room refuses is free again at once"
    assert examined(front) == []


def test_guardians_who_stay_count_as_adults_and_their_children_for_less(front: Front) -> None:
    room = Nursery(front, children_per_carer=1, accompanied_per_carer=2)
    room.on_duty()
    slot = room.slot()
    room.arrived(slot, stays=True)
    assert (room.now()["adults"], room.now()["free"]) == (2, 0)
    parent, (child,) = room.family()
    assert is_problem(room.bring(parent, room.booked(parent, slot, child), child), 409, "too_few_carers")
    parent, (child,) = room.family()
    assert room.bring(parent, room.booked(parent, slot, child, stays=True), child).status_code == 200
    assert (room.now()["children"], room.now()["adults"]) == (2, 3)


def test_children_come_only_around_their_session(room: Nursery, front: Front) -> None:
    room.on_duty()
    parent, (child,) = room.family()
    slot = room.slot(30)
    visit = room.booked(parent, slot, child)
    opens_at = datetime.fromisoformat(visit["slot"]["starts_at"]) - timedelta(minutes=15)
    token = front.get(f"{visit['href']}/pass", parent).json()["token"]
    for way in ({"code": room.code(parent, visit, child)}, {"pass": token}):
        early = room.post(f"{visit['href']}/sign-in", room.carer, **way)
        assert is_problem(early, 409, "too_early"), way
        assert early.json()["opens_at"] == opens_at.isoformat()
        assert is_problem(room.post(f"{visit['href']}/sign-in", Nursery(front).carer, **way), 404, "not_there")
    room.moved(slot, 30 + 121)
    assert is_problem(room.bring(parent, visit, child), 409, "outside_session")
    then = clock.now() - timedelta(minutes=30)
    assert is_problem(room.bring(parent, visit, child, at=then), 409, "outside_session"), (
        "it is now, whatever a clock says"
    )
    late = room.bring(parent, visit, child, at=then, decided=True)
    assert (late.status_code, late.json()["reasons"]) == (200, ["late"])


def test_bad_days_at_the_door(room: Nursery, front: Front) -> None:
    room.on_duty()
    slot = room.slot()
    parent, child, visit = room.arrived(slot)
    other, (stranger,) = room.family()
    theirs = room.booked(other, slot, stranger)
    assert is_problem(room.bring(parent, visit, child), 409, "already_inside")
    assert is_problem(room.collect(theirs, stranger, collector=str(other.person_id)), 409, "not_inside")
    wrong = room.post(f"{theirs['href']}/sign-in", room.carer, code=room.code(parent, visit, child))
    assert is_problem(wrong, 403, "pass_invalid")
    swapped = room.post(
        f"{visit['href']}/sign-in", room.carer, person=str(stranger.person_id), code=room.code(other, theirs, stranger)
    )
    assert is_problem(swapped, 422, "unprocessable")
    assert is_problem(room.post(f"{theirs['href']}/sign-in", room.carer), 422)
    assert is_problem(room.post(f"{theirs['href']}/sign-in", room.carer, code="1234"), 403, "pass_invalid")
    assert is_problem(room.post(f"{theirs['href']}/sign-in", room.carer, code="1" * 41), 422)
    token = front.get(f"{theirs['href']}/pass", other).json()["token"]
    assert is_problem(room.post(f"{theirs['href']}/sign-in", room.carer, **{"pass": token + "x"}), 403, "pass_invalid")
    assert is_problem(room.bring(other, theirs, stranger, by=other), 403, "not_allowed")
    assert is_problem(room.bring(other, theirs, stranger, by=parent), 404, "not_there")
    elsewhere = Nursery(front)
    assert is_problem(room.bring(other, theirs, stranger, by=elsewhere.carer), 404, "not_there")
    assert room.post(f"{theirs['href']}/sign-in", room.carer, **{"pass": token}).status_code == 200
    assert room.collect(visit, child, collector=str(parent.person_id)).status_code == 200
    assert is_problem(room.collect(visit, child, collector=str(parent.person_id)), 409, "not_inside")
    assert is_problem(room.collect(theirs, stranger), 422)
    assert room.bring(parent, visit, child).status_code == 200, "a child may come back"
    ahead = room.post(f"{visit['href']}/sign-out", room.carer, at=clock.now() + timedelta(hours=1), code="12345678")
    assert is_problem(ahead, 422)
    assert examined(front) == []


def test_a_visit_is_cancelled_until_the_child_is_signed_in(room: Nursery, front: Front) -> None:
    room.on_duty()
    parent, (child, sister) = room.family(2)
    visit = room.booked(parent, room.slot(), child, sister)
    assert room.bring(parent, visit, child).status_code == 200
    assert is_problem(front.ask("DELETE", visit["href"], parent), 409, "signed_in")
    one = front.ask("DELETE", visit["href"], parent, params={"person": str(sister.person_id)})
    assert one.status_code == 200
    assert {person["state"] for person in one.json()["persons"]} == {"attended", "released"}
    assert is_problem(room.bring(parent, visit, sister, code="00000000"), 403, "pass_invalid")
    claim = front.town.one(
        "SELECT id FROM claims WHERE group_id = %s AND state = 'released'", uuid.UUID(visit["group_id"])
    )
    code = passes.code_of(front.keys, claim)
    told = {"person": str(sister.person_id), "code": code}
    assert is_problem(room.post(f"{visit['href']}/sign-in", room.carer, **told), 409, "cancelled")
    done = room.post(f"{visit['href']}/sign-in", room.carer, **told, decided=True)
    assert (done.status_code, done.json()["reasons"]) == (200, ["released"])
    assert room.now()["children"] == 2, "she is inside, whatever the books say"
    assert examined(front) == []


def test_what_was_decided_offline_is_written_down_with_what_stands_against_it(front: Front) -> None:
    room = Nursery(front, children_per_carer=1, most_children=1)
    room.on_duty()
    slot = room.slot()
    room.arrived(slot)
    parent, (child,) = room.family()
    visit = room.booked(parent, slot, child)
    assert is_problem(room.bring(parent, visit, child), 409, "room_full")
    done = room.bring(parent, visit, child, decided=True)
    assert (done.status_code, done.json()["reasons"]) == (200, ["room_full", "too_few_carers"])
    assert strains(front, room) == [["room_full", "too_few_carers"]]
    assert room.now()["children"] == 2
    assert is_problem(room.bring(parent, visit, child, decided=False), 422)
    gone = room.collect(visit, child, collector=str(room.carer.person_id), decided=True)
    assert (gone.status_code, gone.json()["reasons"]) == (200, ["collector_unknown"])
    kinds = front.town.all("SELECT kind, severity FROM incidents WHERE place_id = %s", room.place_id)
    assert kinds == [("collection", "serious")]
    assert examined(front) == []


def strains(front: Front, room: Nursery) -> list[list[str]]:
    """What those who work in a room were told it could not watch over, in order."""
    found = front.town.all(
        "SELECT data->'reasons' FROM notices WHERE type = 'childcare.room.strained' AND data->>'room_id' = %s ORDER BY no",
        str(room.place_id),
    )
    return [row[0] for row in found]


def test_a_child_told_of_before_its_carer_is_in_the_books_and_somebody_hears_of_it(room: Nursery, front: Front) -> None:
    parent, (child, sister) = room.family(2)
    visit = room.booked(parent, room.slot(), child, sister)
    at = clock.now() - timedelta(minutes=2)
    assert is_problem(room.bring(parent, visit, child, at=at), 409, "too_few_carers")
    done = room.bring(parent, visit, child, at=at, decided=True)
    assert (done.status_code, done.json().get("reasons")) == (200, ["no_carer_recorded"]), done.text
    assert (room.now()["children"], room.now()["carers"], room.now()["free"]) == (1, 0, 0)
    assert strains(front, room) == [["no_carer_recorded"]]
    assert is_problem(room.bring(parent, visit, sister), 409, "too_few_carers")
    room.on_duty()
    assert room.bring(parent, visit, sister).json()["reasons"] == []
    assert is_problem(room.post(f"{room.path}/carers", room.carer, inside=False), 409, "last_carer")
    for one in (child, sister):
        assert room.collect(visit, one, collector=str(parent.person_id)).status_code == 200
    assert strains(front, room) == [["no_carer_recorded"]]
    assert examined(front) == []


def test_children_told_of_before_their_carer_go_home_also_when_none_ever_comes(room: Nursery, front: Front) -> None:
    slot = room.slot()
    for _ in range(2):
        parent, (child,) = room.family()
        visit = room.booked(parent, slot, child)
        assert room.bring(parent, visit, child, decided=True).json()["reasons"] == ["no_carer_recorded"]
    assert room.collect(visit, child, collector=str(parent.person_id)).status_code == 200
    assert room.now()["children"] == 1
    assert examined(front) == []


def test_a_last_carer_who_has_gone_already_is_gone(room: Nursery, front: Front) -> None:
    room.on_duty()
    parent, child, visit = room.arrived()
    gone = room.post(f"{room.path}/carers", room.carer, inside=False, decided=True)
    assert (gone.status_code, gone.json()["reasons"]) == (200, ["last_carer", "too_few_carers"])
    assert strains(front, room) == [["last_carer"]]
    assert (room.now()["children"], room.now()["carers"]) == (1, 0)
    assert room.collect(visit, child, collector=str(parent.person_id)).status_code == 200
    assert examined(front) == []


def test_a_child_who_is_inside_already_is_in_the_books_also_with_a_code_that_was_misread(
    room: Nursery, front: Front
) -> None:
    room.on_duty()
    parent, (child,) = room.family()
    visit = room.booked(parent, room.slot(), child)
    assert is_problem(room.bring(parent, visit, child, code="00000000"), 403, "pass_invalid")
    done = room.bring(parent, visit, child, code="00000000", decided=True)
    assert (done.status_code, done.json()["reasons"]) == (200, ["pass_invalid"])
    assert room.now()["children"] == 1
    assert examined(front) == []


def test_carers_hear_what_happens_in_their_room_and_no_name(room: Nursery, front: Front) -> None:
    room.on_duty()
    parent, child, visit = room.arrived()
    assert is_problem(room.collect(visit, child, collector=str(room.carer.person_id)), 403, "collector_unknown")
    assert room.collect(visit, child, collector=str(parent.person_id)).status_code == 200
    room.post(f"{room.path}/count", room.carer, count=0)
    front.runner.run(stamp_notices(front.parts))
    desk = f"/v1/notices?place={room.place_id}"
    (manager,) = room.carers(role="manager")
    for who in (room.carer, manager):
        heard = front.get(desk, who).json()["items"]
        assert [one["type"].removeprefix("childcare.") for one in heard] == [
            "visit.made",
            "child.arrived",
            "collector.refused",
            "child.collected",
            "room.closed",
        ]
        assert {tuple(one["persons"]) for one in heard} == {()}
        assert child.name not in str(heard)
        assert str(child.person_id) not in str(heard)
    (cook,) = room.carers(role="kitchen")
    assert front.get(desk, cook).json()["items"] == [], "of meals, and there are none"
    for nobody in (parent, Nursery(front).carer):
        assert is_problem(front.get(desk, nobody), 403, "not_allowed")


def test_whoever_brings_a_child_is_somebody_of_the_town(room: Nursery) -> None:
    room.on_duty()
    parent, (child,) = room.family()
    visit = room.booked(parent, room.slot(), child)
    nobody = str(uuid.uuid4())
    refused = room.bring(parent, visit, child, brought_by=nobody)
    assert is_problem(refused, 422)
    assert [(one["pointer"], one["code"]) for one in refused.json()["errors"]] == [("/brought_by", "unknown")]
    assert room.now()["children"] == 0
    late = room.bring(parent, visit, child, brought_by=nobody, decided=True)
    assert (late.status_code, late.json()["adult"], late.json()["reasons"]) == (200, None, ["adult_unknown"])
    assert room.now()["children"] == 1, "it is inside, whoever brought it"


def test_who_was_there_today_need_not_come_tomorrow(room: Nursery, front: Front) -> None:
    room.on_duty()
    parent, (child, sister) = room.family(2)
    days = [room.slot(), room.slot(24 * 60)]
    told = {"slot_ids": [str(one) for one in days], "slot_id": None}
    visit = room.booked(parent, days[0], child, sister, **told)
    assert room.bring(parent, visit, child).status_code == 200
    gone = front.ask("DELETE", visit["href"], parent)
    assert gone.status_code == 200, gone.text
    states = "SELECT slot_id = %s, holder_no = %s, state FROM claims WHERE group_id = %s AND state <> 'released'"
    assert front.town.all(states, days[0], child.holder_no, visit["group_id"]) == [(True, True, "attended")]
    assert (
        is_problem(front.ask("DELETE", visit["href"] + f"?person={child.person_id}", parent), 409, "signed_in") is True
    )


def test_the_ledger_and_the_room_say_the_same_of_a_visit(room: Nursery, front: Front) -> None:
    room.on_duty()
    parent, child, visit = room.arrived()
    for progress in ("inside", "left"):
        for path in (visit["href"], f"/v1/claims/{visit['group_id']}"):
            assert front.get(path, parent).json()["progress"] == progress, path
        room.collect(visit, child, collector=str(parent.person_id))
