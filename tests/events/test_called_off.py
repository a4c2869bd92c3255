"""What becomes of an event that does not take place, and of everybody in it."""

from __future__ import annotations

import uuid

import pytest

from tests.events.hall import EVENTS, SERIES, Day, is_refused, moment, session
from tests.events.test_events import CANARY, stranger


def test_calling_off_releases_and_tells_everybody(day: Day) -> None:
    parent, child, waiting = day.town.residents(3)
    day.town.relate(parent, child)
    event = day.festival(16, days=6, seats=2)
    made = day.register(parent, event, persons=[str(parent.person_id), str(child.person_id)])
    assert made.status_code == 201, made.text
    assert day.register(waiting, event, if_full="wait").status_code == 202
    where = f"{EVENTS}/{event['id']}/cancel"
    (resident,) = day.town.residents()
    assert is_refused(day.ask("POST", where, resident, json={"reason": "台风"}), 403)
    assert is_refused(day.ask("POST", where, day.staff, json={}), 422, pointer="/reason")
    done = day.ask("POST", where, day.staff, json={"reason": "台风"})
    assert done.status_code == 200, done.text
    assert (done.json()["state"], done.json()["reason"]) == ("cancelled", "台风")
    assert day.ask("POST", where, day.staff, json={"reason": "again"}).json() == done.json()
    assert day.serve_waiting() == 1
    assert day.town.all("SELECT state, taken, waiting FROM slots WHERE subject_id = %s", event["id"]) == [
        ("cancelled", 0, 0)
    ]
    ((holders, data),) = day.notices("events.registration.cancelled", made.json()["id"])
    assert sorted(holders) == sorted([parent.holder_no, child.holder_no])
    assert data["reason"] == "event_cancelled"
    assert "台风" not in str(data)
    lost = day.town.all(
        "SELECT data FROM notices WHERE type = 'ledger.ask.lost' AND %s = ANY(holders)", waiting.holder_no
    )
    assert [row[0]["reason"] for row in lost] == ["cancelled"]
    ((organiser, data),) = day.notices("events.event.cancelled", event["id"])
    assert organiser == [day.staff.holder_no]
    assert data["venue_group_id"] == event["venue_group_id"]
    venue = day.get(f"/v1/claims/{event['venue_group_id']}", day.staff).json()
    assert venue["state"] == "confirmed", "it is given back by whoever booked it"
    assert is_refused(day.register(waiting, event), 409, "cancelled")
    assert is_refused(day.put(done.json()), 409, "conflict")
    assert is_refused(day.publish(done.json()), 409, "conflict")


def test_a_draft_is_called_off_quietly(day: Day) -> None:
    event = day.draft(session(9, days=6))
    done = day.ask("POST", f"{EVENTS}/{event['id']}/cancel", day.staff, json={"reason": "x"})
    assert done.json()["state"] == "cancelled"
    assert is_refused(day.publish(event), 409, "conflict")
    assert day.notices("events.event.cancelled", event["id"]) == []


@pytest.mark.parametrize("path", [EVENTS, SERIES])
def test_what_was_never_published_is_for_ever_there_for_its_staff_only(day: Day, path: str) -> None:
    event = day.draft(session(10, days=6), session(10, days=7), path=path)
    where = f"{path}/{event['id']}"
    assert day.ask("POST", f"{where}/cancel", day.staff, json={"reason": CANARY}).status_code == 200
    (resident,) = day.town.residents()
    for who in (None, resident, stranger(day)):
        assert is_refused(day.get(where, who), 404)
        assert is_refused(day.get(f"{where}/feedback", who), 404)
        for asked in ({"limit": 500}, {"limit": 500, "state": "cancelled"}):
            told = day.get(path, who, params=asked)
            assert event["id"] not in told.text
            assert CANARY not in told.text
    for verb, told in (("feedback", {"stars": 5}), ("publish", None), ("cancel", {"reason": "?"})):
        assert is_refused(day.ask("POST", f"{where}/{verb}", stranger(day), json=told), 404)
    assert is_refused(day.get(f"{where}/attendance", stranger(day)), 404)
    assert day.register(resident, event).json()["code"] == ("not_offered" if path == SERIES else "not_there")
    assert day.get(where, day.staff).json()["reason"] == CANARY
    assert event["id"] in day.get(path, day.staff, params={"limit": 500, "state": "cancelled"}).text


def test_what_a_crash_left_of_a_cancellation_is_finished_by_the_worker(day: Day) -> None:
    people = day.town.residents(3)
    event = day.festival(17, days=6)
    for who in people:
        assert day.register(who, event).status_code == 201
    with day.town.connect() as c:  # the first step was committed, then the power went
        c.execute("UPDATE slots SET state = 'cancelled' WHERE subject_id = %s", (event["id"],))
        c.execute("UPDATE events SET state = 'cancelled' WHERE id = %s", (event["id"],))
        c.execute(
            "INSERT INTO notices (type, community, subject, holders, data) "
            "SELECT 'events.event.cancelled', community, id, '{}', jsonb_build_object('kind', kind, 'starts_at', starts_at, "
            "'venue_group_id', venue_group_id) FROM events WHERE id = %s",
            (event["id"],),
        )
    assert day.task("finish_cancellations") == 3
    assert day.task("finish_cancellations") == 0
    assert day.town.one("SELECT taken FROM slots WHERE subject_id = %s", event["id"]) == 0


def test_a_hall_that_is_shut_releases_the_seats_too(day: Day) -> None:
    (who, manager) = day.town.residents(2)
    day.town.appoint(manager, "manager")
    place, policy = uuid.uuid4(), uuid.uuid4()
    day.town.place(place, policy)
    group = day.venue(10, days=7, place_id=place, policy_id=policy)
    event = day.publish(day.draft(session(10, days=7), venue_group_id=group)).json()
    assert day.register(who, event).status_code == 201
    shut = {"starts_at": moment(0, days=7).isoformat(), "ends_at": moment(23, days=7).isoformat(), "reason": "水管"}
    closed = day.ask("POST", f"/v1/booking/facilities/{place}/closures", manager, json=shut)
    assert closed.status_code == 201, closed.text
    assert closed.json()["released"] == 2, "the hall's claim and the seat"
    assert day.task("finish_closures") == 0
    assert day.task("watch_venues") == 1


def test_the_doctor_finds_nothing_wrong_of_what_was_called_off(day: Day) -> None:
    day.serve_waiting()
    assert day.wrong() == []
