"""A festival from draft to feedback, the same whether the services live in one process or apart."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any

import vobject

from shared import clock
from tests.events.hall import EVENTS, REGISTRATIONS, Day, is_refused, session

QUESTIONS = [
    {"id": "meal", "text": "要汤圆吗", "text_en": "Dumplings?", "kind": "bool", "required": True},
    {"id": "size", "text": "衣服尺码", "kind": "choice", "options": ["S", "M", "L"]},
]


def calendar(day: Day, url: str) -> dict[str, Any]:
    """What a calendar program sees at this address: entries by their name."""
    answer = day.get("/" + url.split("/", 3)[3])
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "text/calendar; charset=utf-8"
    read = vobject.readOne(answer.text)
    assert [one.tzid.value for one in read.vtimezone_list] == ["Asia/Shanghai"]
    return {one.uid.value: one for one in getattr(read, "vevent_list", [])}


def test_a_whole_festival(either: Day) -> None:  # noqa: PLR0915 - it is a long day
    day = either
    parent, child, neighbour = day.town.residents(3)
    day.town.relate(parent, child)

    # A draft is seen by staff only; the hall is booked, and it is published.
    group = day.venue(14, 15)
    event = day.draft(session(14, hours=2), seats=2, venue_group_id=group, questions=QUESTIONS)
    assert event["state"] == "draft"
    where = f"{EVENTS}/{event['id']}"
    assert is_refused(day.get(where, parent), 404)
    assert is_refused(day.get(where), 404)
    published = day.publish(event)
    assert published.status_code == 200, published.text
    assert published.json()["state"] == "published"
    shown = day.get(where).json()
    assert shown["venue"]["id"] == str(day.town.place_id)
    assert shown["venue_group_id"] is None, "whose booking it is, is nobody's business"
    assert event["id"] in [one["id"] for one in day.get(EVENTS, params={"community": "330411105"}).json()["items"]]
    assert event["id"] not in [one["id"] for one in day.get(EVENTS, params={"community": "330424"}).json()["items"]]

    # Its session is a slot as any other.
    slot_id = shown["sessions"][0]["slot_id"]
    slot = day.get(f"/v1/slots/{slot_id}", parent).json()
    assert slot["service"] == "events"
    assert slot["subject"] == {"kind": "event", "id": event["id"]}
    assert slot["capacity"] == slot["free"] == 2
    assert slot["bookable"] is True

    # The family takes both seats; the neighbour waits.
    answers = [{"question": "meal", "value": True}, {"question": "size", "value": "M"}]
    family = [str(parent.person_id), str(child.person_id)]
    made = day.register(parent, event, persons=family, answers=answers)
    assert made.status_code == 201, made.text
    told = made.json()
    assert told["event_id"] == event["id"]
    assert told["answers"] == answers
    assert [one["state"] for one in told["persons"]] == ["confirmed", "confirmed"]
    assert day.get(made.headers["location"], parent).json() == told
    assert is_refused(day.get(told["href"], neighbour), 404)
    assert day.get(told["href"], day.staff).json()["answers"] == answers
    waiting = day.register(neighbour, event, if_full="wait", answers=answers[:1])
    assert waiting.status_code == 202, waiting.text
    assert waiting.json()["position"] == 1

    # The calendar shows both; the address is a secret.
    url = day.ask("POST", "/v1/events/calendar", parent).json()["url"]
    before = calendar(day, url)
    assert len(before) == 2
    assert {one.status.value for one in before.values()} == {"CONFIRMED"}
    assert {one.summary.value for one in before.values()} == {"茶园灯会", f"茶园灯会（{child.name}）"}
    assert {one.dtstart.value for one in before.values()} == {datetime.fromisoformat(shown["sessions"][0]["starts_at"])}

    # The child stays at home: the neighbour moves up, and the calendar says so under the same name.
    gone = day.ask("DELETE", f"{told['href']}?person={child.person_id}", parent)
    assert gone.status_code == 200, gone.text
    assert day.serve_waiting() == 1
    (theirs,) = day.get(REGISTRATIONS, neighbour).json()["items"]
    assert theirs["state"] == "confirmed"
    after = calendar(day, url)
    assert after.keys() == before.keys()
    assert sorted((one.status.value, int(one.sequence.value)) for one in after.values()) == [
        ("CANCELLED", 1),
        ("CONFIRMED", 0),
    ]

    # The door: who has not come cannot say how it was.
    feedback = f"{where}/feedback"
    assert is_refused(day.ask("POST", feedback, parent, json={"stars": 5}), 409, "not_attended")
    day.begin(shown)
    code = day.get(f"{theirs['href']}/pass", neighbour).json()["code"]
    upload = {"id": str(uuid.uuid4()), "at": clock.now().isoformat()}
    came = day.ask("POST", "/v1/events/attendance", day.staff, json=upload | {"code": code})
    assert came.status_code == 200, came.text
    assert came.json()["accepted"] is True
    assert came.json()["state"] == "attended"
    assert day.ask("POST", "/v1/events/attendance", day.staff, json=upload | {"code": code}).json() == came.json()
    listed = day.get(f"{where}/attendance", day.staff).json()["sessions"][0]["people"]
    assert {(one["person"]["name"], one["state"]) for one in listed} == {
        (parent.name, "confirmed"),
        (neighbour.name, "attended"),
    }
    said = day.ask("POST", feedback, neighbour, json={"stars": 4, "text": "汤圆很甜 <b>"})
    assert said.status_code == 201, said.text
    assert is_refused(day.ask("POST", feedback, neighbour, json={"stars": 1}), 409, "exists")
    public = day.get(feedback).json()
    assert (public["average"], public["count"], public["items"]) == (4.0, 1, [])
    assert [one["text"] for one in day.get(feedback, day.staff).json()["items"]] == ["汤圆很甜 <b>"]

    # Who stayed away is marked after the end, and the worker says that it took place.
    absent = {"id": str(uuid.uuid4()), "at": clock.now().isoformat(), "registration_id": told["id"], "came": False}
    absent |= {"person": str(parent.person_id)}
    early = day.ask("POST", "/v1/events/attendance", day.staff, json=absent)
    assert is_refused(early, 409, "too_early")
    assert early.json()["opens_at"] == day.get(where).json()["sessions"][0]["ends_at"]
    day.begin(shown, minutes_ago=90)
    absent |= {"id": str(uuid.uuid4())}
    late = day.ask("POST", "/v1/events/attendance", day.staff, json=absent).json()
    assert (late["accepted"], late["state"]) == (True, "no_show")
    assert day.task("mark_held") == 1
    assert day.get(where).json()["state"] == "held"
    assert is_refused(day.ask("POST", f"{where}/cancel", day.staff, json={"reason": "?"}), 409)
    day.stamp()
    kinds = [one["type"] for one in day.get("/v1/notices", parent).json()["items"]]
    assert kinds == ["events.registration.made", "events.registration.cancelled"]
    assert day.wrong() == []
