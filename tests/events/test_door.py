"""The door of an event: codes, passes, lists; and what those who came say of it."""

from __future__ import annotations

import csv
import io
import uuid
from datetime import datetime, timedelta
from typing import Any

import pytest

from shared import clock
from tests.events.hall import EVENTS, SERIES, Day, is_refused
from tests.town import Resident

DOOR = "/v1/events/attendance"


def tick(day: Day, who: Resident | None, **more: Any) -> Any:
    return day.ask("POST", DOOR, who, json={"id": str(uuid.uuid4()), "at": clock.now().isoformat()} | more)


@pytest.fixture(scope="module")
def volunteer(day: Day) -> Resident:
    (one,) = day.town.residents()
    day.town.appoint(one, "volunteer")
    return one


def pass_of(day: Day, who: Resident, registration: dict[str, Any], **more: Any) -> dict[str, Any]:
    answer = day.get(f"{registration['href']}/pass", who, params=more)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def test_a_volunteer_ticks_off_whoever_shows_a_pass_or_says_a_code(day: Day, volunteer: Resident) -> None:
    one, two = day.town.residents(2)
    event = day.festival(9, days=21)
    first, second = day.register(one, event).json(), day.register(two, event).json()
    day.begin(event)
    shown = tick(day, volunteer, **{"pass": pass_of(day, one, first)["token"]})
    assert shown.status_code == 200, shown.text
    assert shown.json() | {"id": None} == {
        "id": None,
        "accepted": True,
        "reasons": [],
        "registration_id": first["id"],
        "event_id": event["id"],
        "slot_id": event["sessions"][0]["id"],
        "person": str(one.person_id),
        "state": "attended",
    }
    code = pass_of(day, two, second)["code"]
    typed = f" {code[:4]} {code[4:]}"
    assert tick(day, volunteer, code=typed, event_id=event["id"]).json()["person"] == str(two.person_id)
    again = tick(day, volunteer, code=code).json()
    assert (again["accepted"], again["state"]) == (True, "attended"), "whoever came, came"
    assert is_refused(tick(day, volunteer, code=code, came=False), 409, "already_recorded")
    absent = tick(day, volunteer, code=code, came=False, decided=True).json()
    assert (absent["accepted"], absent["reasons"]) == (False, ["already_came"])
    assert day.get(first["href"], one).json()["state"] == "attended"
    gone = day.ask("DELETE", first["href"], one)
    assert is_refused(gone, 409, "already_recorded"), "a seat that was sat on is not given back"


def test_at_the_door_of_others_nobody_is_known(day: Day, volunteer: Resident) -> None:
    (one, far) = day.town.residents(2)
    day.town.appoint(far, "volunteer", "330424101")
    event = day.festival(10, days=21)
    made = day.register(one, event).json()
    day.begin(event)
    token = pass_of(day, one, made)
    for told in ({"registration_id": made["id"]}, {"code": token["code"]}, {"pass": token["token"]}):
        assert is_refused(tick(day, far, **told), 404)
        assert is_refused(tick(day, one, **told), 403)
        assert is_refused(tick(day, None, **told), 401)
        assert is_refused(tick(day, volunteer, **told, event_id=str(uuid.uuid4())), 404)
        assert is_refused(tick(day, volunteer, **told, person=str(far.person_id)), 404)
    assert is_refused(tick(day, volunteer, code="00000000", event_id=event["id"]), 404)
    assert is_refused(tick(day, volunteer, registration_id=str(uuid.uuid4())), 404)
    for forged in ("x", "a.b.c", "é.é.é", token["token"][:-6] + "AAAAAA", "." * 100):
        assert is_refused(tick(day, volunteer, **{"pass": forged}), 403, "pass_invalid")
    where = f"{EVENTS}/{event['id']}/attendance"
    assert is_refused(day.get(where, one), 403)
    assert is_refused(day.get(where, far), 403)
    assert is_refused(day.get(where), 401)


@pytest.mark.parametrize(
    "told",
    [
        {},
        {"code": "1", "registration_id": str(uuid.uuid4())},
        {"registration_id": "x"},
        {"registration_id": str(uuid.uuid4()), "at": "2020-01-01T00:00:00Z"},
        {"registration_id": str(uuid.uuid4()), "at": (clock.now() + timedelta(days=1)).isoformat()},
        {"registration_id": str(uuid.uuid4()), "came": "perhaps"},
        {"code": "x" * 81},
        {"pass": "x" * 2001},
        {"pass_": "x"},
        {"registration_id": str(uuid.uuid4()), "id": "1"},
    ],
)
def test_a_report_that_is_none_is_refused(day: Day, volunteer: Resident, told: dict[str, Any]) -> None:
    assert is_refused(tick(day, volunteer, **told), 422)


def test_of_several_people_the_door_says_whom_it_means(day: Day, volunteer: Resident) -> None:
    parent, child = day.town.residents(2)
    day.town.relate(parent, child)
    event = day.festival(11, days=21)
    made = day.register(parent, event, persons=[str(parent.person_id), str(child.person_id)]).json()
    day.begin(event)
    assert is_refused(tick(day, volunteer, registration_id=made["id"]), 422, pointer="/person")
    assert tick(day, volunteer, registration_id=made["id"], person=str(child.person_id)).json()["accepted"] is True
    assert day.town.all(
        "SELECT h.id, c.state FROM claims c JOIN holders h ON h.no = c.holder_no WHERE c.resource_id = %s ORDER BY h.no",
        made["id"],
    ) == [(parent.person_id, "confirmed"), (child.person_id, "attended")]


def test_who_alone_is_left_of_several_needs_no_name(day: Day, volunteer: Resident) -> None:
    parent, child = day.town.residents(2)
    day.town.relate(parent, child)
    event = day.festival(11, days=29)
    made = day.register(parent, event, persons=[str(parent.person_id), str(child.person_id)]).json()
    assert day.ask("DELETE", f"{made['href']}?person={child.person_id}", parent).status_code == 200
    day.begin(event)
    told = tick(day, volunteer, registration_id=made["id"]).json()
    assert (told["accepted"], told["person"]) == (True, str(parent.person_id))


def test_too_early_given_back_and_late_reports(day: Day, volunteer: Resident) -> None:
    one, two = day.town.residents(2)
    event = day.festival(12, days=21)
    first, second = day.register(one, event).json(), day.register(two, event).json()
    shown = pass_of(day, one, first)
    (far,) = day.town.residents()
    day.town.appoint(far, "volunteer", "330424101")
    opens_at = datetime.fromisoformat(event["sessions"][0]["starts_at"]) - timedelta(hours=2)
    for way in ({"registration_id": first["id"]}, {"code": shown["code"]}, {"pass": shown["token"]}):
        early = tick(day, volunteer, **way)
        assert is_refused(early, 409, "too_early"), way
        assert early.json()["opens_at"] == opens_at.isoformat(), way
        assert is_refused(tick(day, far, **way), 404), "to whoever stands elsewhere there is nobody, early or not"
    decided = tick(day, volunteer, registration_id=first["id"], decided=True).json()
    assert (decided["accepted"], decided["reasons"]) == (False, ["too_early"])
    assert day.ask("DELETE", second["href"], two).status_code == 200
    day.begin(event, minutes_ago=60 * 24 * 3)
    late = (clock.now() - timedelta(days=3)).isoformat()
    assert tick(day, volunteer, registration_id=first["id"], at=late).json()["accepted"] is True
    assert is_refused(tick(day, volunteer, registration_id=second["id"], at=late), 409, "conflict")
    gone = tick(day, volunteer, registration_id=second["id"], at=late, decided=True).json()
    assert (gone["accepted"], gone["reasons"], gone["state"]) == (False, ["not_registered"], "released")


def test_who_stayed_away_frees_no_seat_before_the_end(day: Day, volunteer: Resident) -> None:
    (one,) = day.town.residents()
    event = day.festival(13, days=21)
    made = day.register(one, event).json()
    day.begin(event)
    assert is_refused(tick(day, volunteer, registration_id=made["id"], came=False), 409, "too_early")
    early = tick(day, volunteer, registration_id=made["id"], came=False, decided=True).json()
    assert (early["accepted"], early["reasons"]) == (False, ["not_over"])
    day.begin(event, minutes_ago=61)
    report = {"id": str(uuid.uuid4()), "at": clock.now().isoformat(), "registration_id": made["id"], "came": False}
    answers = [day.ask("POST", DOOR, volunteer, json=report).json() for _ in range(3)]
    assert answers[0]["state"] == "no_show"
    assert answers == [answers[0]] * 3
    assert is_refused(day.ask("POST", DOOR, volunteer, json=report | {"came": True}), 422, "key_reused")
    assert is_refused(tick(day, volunteer, registration_id=made["id"]), 409, "already_recorded")
    came = tick(day, volunteer, registration_id=made["id"], decided=True).json()
    assert (came["accepted"], came["reasons"]) == (False, ["already_absent"])


def test_of_a_course_the_nearest_evening_is_meant(day: Day, volunteer: Resident) -> None:
    (one,) = day.town.residents()
    course = day.course(18, range(21, 24))
    made = day.register(one, course).json()
    day.begin(course, n=1)
    ticked = tick(day, volunteer, registration_id=made["id"]).json()
    assert (ticked["slot_id"], ticked["state"]) == (course["sessions"][1]["id"], "attended")
    other = tick(day, volunteer, registration_id=made["id"], slot_id=course["sessions"][0]["id"])
    assert is_refused(other, 409, "too_early")
    assert day.get(made["href"], one).json()["state"] in ("confirmed", "attended")


def test_the_list_is_for_programs_sheets_and_paper(day: Day, volunteer: Resident) -> None:
    one, two = day.town.residents(2)
    name = '=HYPERLINK("x")<b>'
    for table in ("holders", "persons"):
        day.town.do(f"UPDATE {table} SET name = %s WHERE id = %s", name, one.person_id)
    event = day.festival(14, days=21, title="<script>茶话会")
    made = day.register(one, event).json()
    day.register(two, event)
    where = f"{EVENTS}/{event['id']}/attendance"
    (listed,) = day.get(where, volunteer).json()["sessions"]
    assert (listed["taken"], listed["capacity"]) == (2, 20)
    first = listed["people"][0]
    assert (first["person"]["name"], first["registration_id"]) == (name, made["id"])
    sheet = day.get(where, volunteer, params={"format": "csv"})
    assert sheet.headers["content-type"] == "text/csv; charset=utf-8"
    rows = list(csv.reader(io.StringIO(sheet.content.decode("utf-8-sig"))))
    assert "'" + name in [row[4] for row in rows]
    page = day.get(where, volunteer, params={"format": "html"})
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert page.headers["cache-control"] == "no-store"
    assert "<script>" not in page.text
    assert "<b>" not in page.text
    assert is_refused(day.get(where, volunteer, params={"format": "xls"}), 422)


# ---------------------------------------------------------------- feedback


def test_only_those_who_came_say_how_it_was_and_each_once(day: Day, volunteer: Resident) -> None:
    parent, child, other = day.town.residents(3)
    day.town.relate(parent, child)
    event = day.festival(15, days=21)
    where = f"{EVENTS}/{event['id']}/feedback"
    made = day.register(parent, event, persons=[str(parent.person_id), str(child.person_id)]).json()
    day.begin(event)
    assert is_refused(day.ask("POST", where, parent, json={"stars": 5}), 409, "not_attended")
    tick(day, volunteer, registration_id=made["id"], person=str(child.person_id))
    assert is_refused(day.ask("POST", where, parent, json={"stars": 5}), 409, "not_attended")
    told = {"stars": 5, "text": "孩子很开心 \u202e'; --", "person": str(child.person_id)}
    assert day.ask("POST", where, parent, json=told).status_code == 201
    assert is_refused(day.ask("POST", where, parent, json=told), 409, "exists")
    assert is_refused(day.ask("POST", where, other, json=told), 403, "not_yours")
    assert is_refused(day.ask("POST", where, other, json={"stars": 1}), 409, "not_attended")
    assert is_refused(day.ask("POST", where, None, json={"stars": 1}), 401)
    sealed = day.town.one("SELECT text FROM feedback WHERE event_id = %s", event["id"])
    assert "开心".encode() not in sealed
    (said,) = day.get(where, day.staff).json()["items"]
    assert (said["stars"], said["text"]) == (5, told["text"])
    assert day.get(where, other).json() == {"count": 1, "average": 5.0, "items": [], "next": None}
    assert is_refused(day.get(f"{SERIES}/{event['id']}/feedback"), 404)


def test_who_was_ticked_off_early_says_how_it_was_once_it_has_begun(day: Day, volunteer: Resident) -> None:
    (who,) = day.town.residents()
    event = day.festival(16, days=21)
    made = day.register(who, event).json()
    where = f"{EVENTS}/{event['id']}/feedback"
    day.begin(event, minutes_ago=-60)
    begins = day.get(f"{EVENTS}/{event['id']}").json()["sessions"][0]["starts_at"]
    assert tick(day, volunteer, registration_id=made["id"]).json()["state"] == "attended"
    early = day.ask("POST", where, who, json={"stars": 5})
    assert is_refused(early, 409, "too_early")
    assert datetime.fromisoformat(early.json()["opens_at"]) == datetime.fromisoformat(begins)
    day.begin(event, minutes_ago=1)
    assert day.ask("POST", where, who, json={"stars": 5}).status_code == 201


@pytest.mark.parametrize(
    "told", [{}, {"stars": 0}, {"stars": 6}, {"stars": 2.5}, {"stars": 10**12}, {"stars": 3, "text": "x" * 2001}]
)
def test_stars_are_one_to_five(day: Day, told: dict[str, Any]) -> None:
    (who,) = day.town.residents()
    event = day.town.one("SELECT id FROM events WHERE state <> 'draft' AND kind = 'event' LIMIT 1")
    assert is_refused(day.ask("POST", f"{EVENTS}/{event}/feedback", who, json=told), 422)


def test_the_doctor_finds_nothing_wrong_at_the_door(day: Day) -> None:
    assert [name for name, _ in day.wrong()] == []
