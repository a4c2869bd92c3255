"""Who gets a seat, who does not, and what they are asked."""

from __future__ import annotations

import uuid
from datetime import date
from typing import Any

import pytest

from shared import assertion
from shared.assertion import Caller
from tests.events.hall import EVENTS, REGISTRATIONS, SERIES, Day, is_refused, session
from tests.town import Resident

CANARY = "canary-51ac"


def ask(day: Day, who: Resident | None, **body: Any) -> Any:
    return day.ask("POST", REGISTRATIONS, who, key=uuid.uuid4().hex, json=body)


def taken(day: Day, slot: str) -> int:
    return int(day.town.one("SELECT taken FROM slots WHERE id = %s", slot))


# ---------------------------------------------------------------- answers


QUESTIONS = [
    {"id": "meal", "text": "要不要吃饭", "kind": "bool", "required": True},
    {"id": "size", "text": "尺码", "kind": "choice", "options": ["S", "M"], "required": False},
    {"id": "age", "text": "工龄", "kind": "number", "required": False},
    {"id": "note", "text": "备注", "kind": "text", "required": False},
]


@pytest.fixture(scope="module")
def asking(day: Day) -> dict[str, Any]:
    """An event with questions, and a seat for everybody."""
    return day.festival(9, days=11, seats=500, questions=QUESTIONS)


@pytest.mark.parametrize(
    ("answers", "pointer", "code"),
    [
        ([], "/answers", "required"),
        ([{"question": "size", "value": "S"}], "/answers", "required"),
        ([{"question": "meal", "value": "yes"}], "/answers/0/value", "bool"),
        ([{"question": "meal", "value": 1}], "/answers/0/value", "bool"),
        ([{"question": "meal", "value": True}, {"question": "size", "value": "XL"}], "/answers/1/value", "choice"),
        ([{"question": "meal", "value": True}, {"question": "age", "value": "9"}], "/answers/1/value", "number"),
        ([{"question": "meal", "value": True}, {"question": "age", "value": 10**10}], "/answers/1/value", "range"),
        ([{"question": "meal", "value": True}, {"question": "note", "value": 9}], "/answers/1/value", "text"),
        ([{"question": "meal", "value": True}, {"question": CANARY, "value": 9}], "/answers/1/question", "unknown"),
        ([{"question": "meal", "value": True}, {"question": "meal", "value": True}], "/answers/1/question", "twice"),
    ],
)
def test_an_answer_that_answers_nothing_costs_nobody_a_seat(
    day: Day, asking: dict[str, Any], answers: list[dict[str, Any]], pointer: str, code: str
) -> None:
    (who,) = day.town.residents()
    slot = asking["sessions"][0]["id"]
    before = taken(day, slot)
    answer = ask(day, who, slot_id=slot, answers=answers)
    assert is_refused(answer, 422, pointer=pointer)
    assert [one["code"] for one in answer.json()["errors"]] == [code]
    assert CANARY not in answer.text
    assert taken(day, slot) == before
    assert day.town.one("SELECT count(*) FROM registrations WHERE account_no = %s", who.account_no) == 0
    again = ask(day, who, slot_id=slot, answers=[{"question": "meal", "value": True}])
    assert again.status_code == 201, "the seat was free again at once"


@pytest.mark.parametrize(
    "answers",
    [
        [{"question": "meal", "value": True, "more": 1}],
        [{"question": "NOT AN ID", "value": True}],
        [{"question": f"q{n}", "value": True} for n in range(21)],
        "yes",
    ],
)
def test_what_is_no_answer_at_all_never_gets_as_far(day: Day, asking: dict[str, Any], answers: Any) -> None:
    (who,) = day.town.residents()
    assert is_refused(ask(day, who, slot_id=asking["sessions"][0]["id"], answers=answers), 422)


@pytest.mark.parametrize(
    ("value", "code"),
    [
        (None, "answer_type"),
        ([True], "answer_type"),
        ({"a": 1}, "answer_type"),
        (10**30, "range"),
        (-1e16, "range"),
        ("x" * 501, "string_too_long"),
        ("a\u0000", "control_characters"),
    ],
)
def test_the_fault_of_an_answer_is_told_once_and_where_it_is(
    day: Day, asking: dict[str, Any], value: Any, code: str
) -> None:
    (who,) = day.town.residents()
    answers = [{"question": "meal", "value": True}, {"question": "note", "value": value}]
    told = ask(day, who, slot_id=asking["sessions"][0]["id"], answers=answers)
    assert is_refused(told, 422)
    assert told.json()["errors"] == [{"in": "body", "pointer": "/answers/1/value", "code": code}]


def test_answers_are_sealed_where_they_rest(day: Day, asking: dict[str, Any]) -> None:
    (who, other) = day.town.residents(2)
    told = [{"question": "meal", "value": False}, {"question": "note", "value": "花生过敏 <i>"}]
    made = ask(day, who, slot_id=asking["sessions"][0]["id"], answers=told).json()
    sealed = day.town.one("SELECT answers FROM registrations WHERE id = %s", made["id"])
    assert "花生".encode() not in sealed
    assert b"note" not in sealed
    assert day.get(made["href"], who).json()["answers"] == told
    assert day.get(made["href"], day.staff).json()["answers"] == told
    assert is_refused(day.get(made["href"], other), 404)
    assert "花生" not in str(day.town.all("SELECT data FROM notices WHERE subject = %s", made["id"]))


# ---------------------------------------------------------------- states and deadlines


def test_nobody_registers_for_a_draft(day: Day) -> None:
    (who,) = day.town.residents()
    event = day.draft(session(9, days=12))
    assert is_refused(ask(day, who, slot_id=event["sessions"][0]["id"]), 404)
    assert is_refused(ask(day, who, series_id=event["id"]), 409, "not_offered")


def test_registration_opens_and_closes_when_it_was_said(day: Day) -> None:
    (who,) = day.town.residents()
    group = day.venue(10, days=12)
    event = day.draft(
        session(10, days=12),
        venue_group_id=group,
        opens_at=session(9, days=1)["starts_at"],
        closes_at=session(9, days=2)["starts_at"],
    )
    event = day.publish(event).json()
    early = day.register(who, event)
    assert is_refused(early, 409, "not_open_yet")
    assert early.json()["opens_at"] == event["opens_at"]
    day.town.do("UPDATE slots SET opens_at = now() - interval '1 day' WHERE subject_id = %s", event["id"])
    day.town.do("UPDATE slots SET closes_at = now() WHERE subject_id = %s", event["id"])
    assert is_refused(day.register(who, event), 409, "closed")


def test_what_is_over_is_closed(day: Day) -> None:
    (who,) = day.town.residents()
    event = day.festival(11, days=12)
    day.begin(event, minutes_ago=90)
    assert is_refused(day.register(who, event), 409, "closed")


def test_the_audience_is_the_events_own_and_the_halls_limits_do_not_count(day: Day) -> None:
    place, policy = uuid.uuid4(), uuid.uuid4()
    day.town.place(place, policy, per_day=1)
    slots = [day.town.slot(hour, days=13, capacity=1, place_id=place, policy_id=policy) for hour in (9,)]
    group = ask_hall(day, slots)
    event = day.draft(
        session(9, days=13),
        venue_group_id=group,
        audience={"min_age": 60, "regions": ["330411105"], "level": 2},
    )
    event = day.publish(event).json()
    (young,) = day.town.residents(born=date(2000, 1, 1))
    (old,) = day.town.residents(born=date(1950, 1, 1))
    (guest,) = day.town.residents(born=date(1950, 1, 1), community="330424101003")
    (unknown,) = day.town.residents(born=date(1950, 1, 1), level=1)
    assert is_refused(day.register(young, event), 409, "too_young")
    assert is_refused(day.register(guest, event), 409, "outside_area")
    assert is_refused(day.register(unknown, event), 409, "verification_required")
    assert day.register(old, event).status_code == 201
    later = day.town.slot(15, days=13, place_id=place, policy_id=policy)
    body = {"slot_id": str(later)}
    booked = day.ask("POST", "/v1/booking/reservations", old, key=uuid.uuid4().hex, json=body)
    assert booked.status_code == 201, "a festival in the hall is not one of somebody's bookings of the hall"


def ask_hall(day: Day, slots: list[uuid.UUID]) -> str:
    body = {"slot_ids": [str(one) for one in slots]}
    made = day.ask("POST", "/v1/booking/reservations", day.staff, key=uuid.uuid4().hex, json=body)
    assert made.status_code == 201, made.text
    return str(made.json()["group_id"])


def test_nobody_is_at_two_festivals_at_once(day: Day) -> None:
    (who,) = day.town.residents()
    event = day.festival(9, days=14)
    court = day.town.slot(9, days=14)
    assert day.register(who, event).status_code == 201
    body = {"slot_id": str(court)}
    assert is_refused(
        day.ask("POST", "/v1/booking/reservations", who, key=uuid.uuid4().hex, json=body), 409, "overlaps"
    )
    assert is_refused(day.register(who, event), 409, "already_yours")


# ---------------------------------------------------------------- bodies


@pytest.mark.parametrize(
    "more",
    [
        {"guests": -1},
        {"slot_id": str(uuid.uuid4()), "series_id": str(uuid.uuid4())},
        {"series_id": "x"},
        {"persons": []},
        {"event_id": str(uuid.uuid4())},
        {"if_full": "hope"},
        {"holder": "330411105003"},
    ],
)
def test_a_body_that_says_two_things_or_none_is_refused(day: Day, more: dict[str, Any]) -> None:
    (who,) = day.town.residents()
    told = {"slot_id": str(uuid.uuid4())} | more
    assert is_refused(ask(day, who, **told), 422)
    assert is_refused(ask(day, who), 422)


def test_nobody_comes_without_a_name(day: Day) -> None:
    (who,) = day.town.residents()
    event = day.festival(15, days=14)
    assert is_refused(day.register(who, event, guests=1), 422, pointer="/guests")
    assert taken(day, event["sessions"][0]["id"]) == 0


def test_a_key_is_needed_and_the_same_key_is_the_same_registration(day: Day) -> None:
    (who,) = day.town.residents()
    event = day.festival(10, days=14)
    body = {"slot_id": event["sessions"][0]["id"]}
    assert is_refused(day.ask("POST", REGISTRATIONS, who, json=body), 400, "idempotency_key_missing")
    assert is_refused(day.ask("POST", REGISTRATIONS, None, json=body, headers={"Idempotency-Key": "k" * 12}), 401)
    first = day.ask("POST", REGISTRATIONS, who, key="festival-1", json=body)
    again = day.ask("POST", REGISTRATIONS, who, key="festival-1", json=body)
    assert (first.status_code, again.status_code) == (201, 201)
    assert again.headers["idempotency-replayed"] == "true"
    assert again.json() == first.json()
    other = {"slot_id": event["sessions"][0]["id"], "if_full": "wait"}
    assert is_refused(day.ask("POST", REGISTRATIONS, who, key="festival-1", json=other), 422, "key_reused")


def test_past_the_gateway_there_is_no_seat(day: Day) -> None:
    (who,) = day.town.residents()
    event = day.festival(11, days=14)
    assert day.gateway.parts is not None
    caller = Caller(
        account_id=who.account_id, account_no=who.account_no, person_id=who.person_id, holder_no=who.holder_no
    )
    token = assertion.sign(caller, audience="events", key=day.keys.assertion)
    headers = {assertion.HEADER: token, "Idempotency-Key": uuid.uuid4().hex}
    body = {"slot_id": event["sessions"][0]["id"]}
    answer = day.ask("POST", REGISTRATIONS, None, headers=headers, json=body)
    assert is_refused(answer, 401), "an assertion from outside is dropped at the door"


# ---------------------------------------------------------------- families, and other people


def test_a_family_is_registered_together_or_not_at_all(day: Day) -> None:
    parent, one, two = day.town.residents(3)
    for child in (one, two):
        day.town.relate(parent, child)
    event = day.festival(12, days=14, seats=2)
    family = [str(someone.person_id) for someone in (parent, one, two)]
    assert is_refused(day.register(parent, event, persons=family), 409, "full")
    assert taken(day, event["sessions"][0]["id"]) == 0
    made = day.register(parent, event, persons=family[:2])
    assert made.status_code == 201, made.text
    assert [person["id"] for person in made.json()["persons"]] == family[:2]
    # The child alone gives its seat back; the parent keeps theirs.
    gone = day.ask("DELETE", f"{made.json()['href']}?person={one.person_id}", parent)
    assert {person["id"]: person["state"] for person in gone.json()["persons"]} == {
        family[0]: "confirmed",
        family[1]: "released",
    }
    assert taken(day, event["sessions"][0]["id"]) == 1


def test_other_peoples_registrations_are_not_there(day: Day) -> None:
    mine, theirs, elsewhere = day.town.residents(3)
    day.town.appoint(elsewhere, "staff", "330424101")
    event = day.festival(13, days=14)
    made = day.register(mine, event).json()
    for who in (theirs, elsewhere):
        for method, path in (("GET", made["href"]), ("DELETE", made["href"]), ("GET", f"{made['href']}/pass")):
            assert is_refused(day.ask(method, path, who), 404)
    assert is_refused(day.register(mine, event, persons=[str(theirs.person_id)]), 403, "not_yours")
    assert is_refused(day.register(mine, event, persons=[str(uuid.uuid4())]), 403)
    assert is_refused(day.get(made["href"]), 401)
    assert day.get(REGISTRATIONS, theirs).json()["items"] == []


def test_staff_see_the_registrations_of_a_session_and_register_at_the_desk(day: Day) -> None:
    one, two = day.town.residents(2)
    event = day.festival(14, days=14)
    mine = day.register(one, event).json()
    desk = day.register(day.staff, event, persons=[str(two.person_id)], channel="desk")
    assert desk.status_code == 201, desk.text
    listed = day.get(REGISTRATIONS, day.staff, params={"slot": event["sessions"][0]["id"]}).json()["items"]
    assert {item["id"] for item in listed} == {mine["id"], desk.json()["id"]}
    assert day.get(desk.json()["href"], two).json()["state"] == "confirmed"
    found = day.get("/v1/claims", one, params={"service": "events"}).json()["items"]
    assert [(item["id"], item["href"]) for item in found] == [(mine["id"], mine["href"])]


# ---------------------------------------------------------------- series


def test_a_course_is_taken_whole_and_given_back_whole(day: Day) -> None:
    who, late = day.town.residents(2)
    course = day.course(18, range(15, 19), seats=1)
    made = day.register(who, course)
    assert made.status_code == 201, made.text
    told = made.json()
    assert [slot["id"] for slot in told["slots"]] == [one["id"] for one in course["sessions"]]
    assert told["event_id"] == course["id"]
    assert is_refused(day.register(late, course), 409, "full")
    assert is_refused(ask(day, late, slot_id=course["sessions"][1]["id"]), 409, "full")
    waiting = day.register(late, course, if_full="wait")
    assert waiting.status_code == 202, waiting.text
    assert day.ask("DELETE", told["href"], who).json()["state"] == "released"
    assert day.serve_waiting() == 1
    (theirs,) = day.get(REGISTRATIONS, late).json()["items"]
    assert len(theirs["slots"]) == 4
    assert theirs["state"] == "confirmed"


def test_who_waits_for_a_course_waits_on_while_it_runs(day: Day) -> None:
    one, two = day.town.residents(2)
    course = day.course(12, range(15, 19), seats=1)
    made = day.register(one, course).json()
    waiting = day.register(two, course, if_full="wait").json()
    day.begin(course, minutes_ago=30)
    assert day.serve_waiting() == 0
    assert day.get(waiting["href"], two).json()["state"] == "waiting"
    day.ask("DELETE", made["href"], one)
    assert day.serve_waiting() == 1
    (theirs,) = day.get(REGISTRATIONS, two).json()["items"]
    assert (theirs["state"], len(theirs["slots"])) == ("confirmed", 3)
    assert day.town.one("SELECT sum(waiting) FROM slots WHERE subject_id = %s", course["id"]) == 0


def test_no_evening_of_a_course_is_taken_alone(day: Day) -> None:
    who, other = day.town.residents(2)
    course = day.course(19, range(15, 18))
    alone = ask(day, who, slot_id=course["sessions"][0]["id"])
    assert is_refused(alone, 422, pointer="/slot_id")
    assert taken(day, course["sessions"][0]["id"]) == 0
    whole = {"slot_ids": [one["id"] for one in course["sessions"]]}
    assert is_refused(ask(day, other, **whole), 422), "a course is named, not spelt"
    assert day.register(who, course).status_code == 201


def test_one_evening_full_is_a_full_course(day: Day) -> None:
    one, two = day.town.residents(2)
    course = day.course(20, range(15, 18), seats=2)
    day.town.do("UPDATE slots SET capacity = 1 WHERE id = %s", course["sessions"][2]["id"])
    assert day.register(one, course).status_code == 201
    assert is_refused(day.register(two, course), 409, "full")
    assert [taken(day, slot["id"]) for slot in course["sessions"]] == [1, 1, 1]


def test_who_comes_later_takes_what_is_still_to_come(day: Day) -> None:
    (late,) = day.town.residents()
    course = day.course(21, range(15, 18))
    day.begin(course, minutes_ago=300)
    made = day.register(late, course)
    assert made.status_code == 201, made.text
    assert len(made.json()["slots"]) == 2


def test_an_evening_that_is_added_is_for_those_inside_first(day: Day) -> None:
    inside, outside = day.town.residents(2)
    slots = [day.town.slot(22, days=n, capacity=1) for n in (15, 16, 17)]
    group = ask_hall(day, slots)
    course = day.draft(session(22, days=15), session(22, days=16), venue_group_id=group, path=SERIES)
    course = day.publish(course, path=SERIES).json()
    assert day.register(inside, course).status_code == 201
    kept = [{name: one[name] for name in ("id", "starts_at", "ends_at", "title")} for one in course["sessions"]]
    course = day.put(course, path=SERIES, sessions=[*kept, session(22, days=17)]).json()
    new = course["sessions"][2]["id"]
    assert is_refused(ask(day, outside, slot_id=new), 422, pointer="/slot_id")
    assert ask(day, inside, slot_id=new).status_code == 201
    assert len(ask(day, outside, series_id=course["id"]).json()["slots"]) == 3


def test_an_event_is_no_series_and_two_events_are_no_registration(day: Day) -> None:
    (who,) = day.town.residents()
    one, two = day.festival(9, days=19), day.festival(11, days=19)
    assert is_refused(ask(day, who, series_id=one["id"]), 422, pointer="/series_id")
    both = [one["sessions"][0]["id"], two["sessions"][0]["id"]]
    assert is_refused(ask(day, who, slot_ids=both), 422, pointer="/slot_ids")
    assert is_refused(ask(day, who, series_id=str(uuid.uuid4())), 409, "not_offered")
    assert [taken(day, slot) for slot in both] == [0, 0]


def test_one_evening_that_is_called_off_leaves_the_others(day: Day) -> None:
    (who,) = day.town.residents()
    course = day.course(16, range(15, 18))
    made = day.register(who, course).json()
    kept = [{name: one[name] for name in ("id", "starts_at", "ends_at", "title")} for one in course["sessions"]]
    changed = day.put(course, path=SERIES, sessions=[kept[0], kept[2]])
    assert changed.status_code == 200, changed.text
    told = day.get(made["href"], who).json()
    assert told["state"] == "confirmed"
    assert [slot["state"] for slot in told["slots"]] == ["open", "cancelled", "open"]
    ((_, data),) = day.notices("events.registration.cancelled", made["id"])
    assert (data["reason"], data["slots"]) == ("session_cancelled", [kept[1]["id"]])
    (late,) = day.town.residents()
    assert len(day.register(late, course).json()["slots"]) == 2


def test_calling_a_course_off_tells_each_family_once(day: Day) -> None:
    parent, child = day.town.residents(2)
    day.town.relate(parent, child)
    course = day.course(17, range(15, 19))
    made = day.register(parent, course, persons=[str(parent.person_id), str(child.person_id)]).json()
    done = day.ask("POST", f"{SERIES}/{course['id']}/cancel", day.staff, json={"reason": "老师病了"})
    assert done.status_code == 200, done.text
    ((holders, data),) = day.notices("events.registration.cancelled", made["id"])
    assert sorted(holders) == sorted([parent.holder_no, child.holder_no])
    assert len(data["slots"]) == 4
    assert day.get(f"{EVENTS}/{course['id']}").status_code == 404


def test_the_doctor_finds_nothing_wrong_with_registrations(day: Day) -> None:
    day.serve_waiting()
    wrong = [name for name, _ in day.wrong() if "claims agree" not in name]
    assert wrong == []
