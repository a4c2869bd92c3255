"""What organisers may do with an event, and what they may not."""

from __future__ import annotations

import uuid
from datetime import timedelta
from typing import Any

import pytest

from shared import clock
from tests.events.hall import EVENTS, PUT, REGISTRATIONS, SERIES, Day, is_refused, moment, session, wish
from tests.town import Resident

CANARY = "canary-9d2e"
HOSTILE = [
    "'; DROP TABLE events; --",
    "<script>alert(1)</script>",
    "=HYPERLINK(1)",
    "\u202eتست",
    "🎉" * 20,
    "a\u0301" * 30,
]


def stranger(day: Day) -> Resident:
    """Staff of another county."""
    (one,) = day.town.residents()
    day.town.appoint(one, "staff", "330424101")
    return one


# ---------------------------------------------------------------- drafts


def test_only_staff_of_the_community_draft(day: Day) -> None:
    (resident,) = day.town.residents()
    assert is_refused(day.ask("POST", EVENTS, None, json=wish(session(9))), 401)
    assert is_refused(day.ask("POST", EVENTS, resident, json=wish(session(9))), 403)
    assert is_refused(day.ask("POST", EVENTS, stranger(day), json=wish(session(9))), 403)


def test_a_draft_is_there_for_staff_of_its_community_only(day: Day) -> None:
    event = day.draft(session(9))
    (resident,) = day.town.residents()
    for who in (None, resident, stranger(day)):
        assert is_refused(day.get(f"{EVENTS}/{event['id']}", who), 404)
        assert event["id"] not in [one["id"] for one in day.get(EVENTS, who, params={"limit": 500}).json()["items"]]
    assert event["id"] in [one["id"] for one in day.get(EVENTS, day.staff, params={"limit": 500}).json()["items"]]
    for verb, told in (("publish", None), ("cancel", {"reason": "?"})):
        assert is_refused(day.ask("POST", f"{EVENTS}/{event['id']}/{verb}", stranger(day), json=told), 404)
    assert is_refused(day.get(f"{SERIES}/{event['id']}", day.staff), 404), "an event is no series"
    assert is_refused(day.get(f"{EVENTS}/{uuid.uuid4()}", day.staff), 404)


def test_a_draft_becomes_whatever_its_editor_who_has_read_it_says(day: Day) -> None:
    event = day.draft(session(9))
    kept = event["sessions"][0]
    answer = day.put(
        event,
        title="新的名字",
        seats=7,
        audience={"min_age": 60, "level": 1},
        sessions=[{name: kept[name] for name in ("id", "starts_at", "ends_at")}, session(11, title="下半场")],
    )
    assert answer.status_code == 200, answer.text
    told = answer.json()
    assert (told["title"], told["seats"], told["audience"]["min_age"]) == ("新的名字", 7, 60)
    assert [one["title"] for one in told["sessions"]] == [None, "下半场"]
    assert told["sessions"][0]["id"] == kept["id"]
    assert told["ends_at"] == told["sessions"][1]["ends_at"]
    assert is_refused(day.put(event), 412), "read before that"
    body = {name: event[name] for name in PUT} | {"sessions": [session(9)]}
    assert is_refused(day.ask("PUT", f"{EVENTS}/{event['id']}", day.staff, json=body), 428)


@pytest.mark.parametrize(
    ("changes", "pointer"),
    [
        ({"seats": 0}, "/seats"),
        ({"seats": -1}, "/seats"),
        ({"seats": 10**18}, "/seats"),
        ({"seats": "many"}, "/seats"),
        ({"title": ""}, "/title"),
        ({"title": CANARY * 10}, "/title"),
        ({"title": "a\u0007b"}, "/title"),
        ({"text": "x" * 2001}, "/text"),
        ({"community": "33041110500"}, "/community"),
        ({"community": "nowhere"}, "/community"),
        ({"audience": {"min_age": 9, "max_age": 3}}, "/audience"),
        ({"audience": {"min_age": -1}}, "/audience/min_age"),
        ({"audience": {"level": 4}}, "/audience/level"),
        ({"audience": {"regions": ["999999999999"]}}, "/audience/regions/0"),
        ({"sessions": []}, "/sessions"),
        ({"sessions": [session(9)] * 61}, "/sessions"),
        ({"sessions": [session(9), session(9)]}, "/sessions/1/starts_at"),
        ({"sessions": [session(9) | {"ends_at": session(9)["starts_at"]}]}, "/sessions/0"),
        ({"sessions": [session(9, hours=25)]}, "/sessions/0"),
        ({"sessions": [session(9, days=-1)]}, "/sessions/0/starts_at"),
        ({"sessions": [{"starts_at": "2026-02-30T10:00:00+08:00", "ends_at": "2026-03-01T10:00:00+08:00"}]}, "/sessions/0/starts_at"),
        ({"sessions": [{"starts_at": "9999-12-31T23:00:00-23:00", "ends_at": "9999-12-31T23:30:00-23:00"}]}, "/sessions/0/starts_at"),
        ({"sessions": [{"starts_at": "0001-01-01T00:00:00+23:00", "ends_at": "0001-01-01T01:00:00+23:00"}]}, "/sessions/0/starts_at"),
        ({"sessions": [{"starts_at": "2030-01-01T10:00:00", "ends_at": "2030-01-01T11:00:00"}]}, "/sessions/0/starts_at"),
        ({"sessions": [session(9) | {"id": str(uuid.uuid4())}]}, "/sessions/0/id"),
        ({"opens_at": "2199-01-01T00:00:00Z", "closes_at": "2100-01-01T00:00:00Z"}, "/"),
        ({"opens_at": "2199-01-01T00:00:00Z"}, "/"),
        ({"closes_at": "1999-01-01T00:00:00Z"}, "/closes_at"),
        ({"cancel_by": "tomorrow"}, "/cancel_by"),
        ({"closes_at": "2199-01-01T00:00:00Z"}, "/closes_at"),
        ({"cancel_by": "2199-01-01T00:00:00Z"}, "/cancel_by"),
        ({"questions": [{"id": "A b", "text": "?", "kind": "text"}]}, "/questions/0/id"),
        ({"questions": [{"id": "a", "text": "?", "kind": "essay"}]}, "/questions/0/kind"),
        ({"questions": [{"id": "a", "text": "?", "kind": "choice", "options": ["one"]}]}, "/questions/0/options"),
        ({"questions": [{"id": "a", "text": "?", "kind": "bool"}] * 2}, "/questions/1/id"),
        ({"questions": [{"id": f"q{n}", "text": "?", "kind": "bool"} for n in range(21)]}, "/questions"),
        ({"venue_group_id": "the hall"}, "/venue_group_id"),
        ({"organiser": CANARY}, "/organiser"),
    ],
)  # fmt: skip
def test_what_no_event_could_be_is_refused_and_named(day: Day, changes: dict[str, Any], pointer: str) -> None:
    before = day.town.one("SELECT count(*) FROM events")
    answer = day.ask("POST", EVENTS, day.staff, json=wish(session(9)) | changes)
    assert is_refused(answer, 422, pointer=pointer)
    assert CANARY not in answer.text
    assert day.town.one("SELECT count(*) FROM events") == before


def test_a_region_that_nobody_knows_is_no_community(day: Day) -> None:
    body = wish(session(9), community="330411105999")
    assert is_refused(day.ask("POST", EVENTS, day.staff, json=body), 422, pointer="/community")


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_words_are_kept_and_shown_as_they_are(day: Day, text: str) -> None:
    event = day.draft(
        session(9, title=text[:80]),
        title=text[:80],
        text=text,
        questions=[{"id": "q", "text": text, "kind": "choice", "options": [text[:40], "b"]}],
    )
    shown = day.get(f"{EVENTS}/{event['id']}", day.staff).json()
    assert (shown["title"], shown["text"]) == (text[:80], text)
    assert shown["questions"][0]["options"] == [text[:40], "b"]


def test_nothing_but_json_is_read(day: Day) -> None:
    for body, kind in ((b"{", "application/json"), (b"[]", "application/json"), (b"\xff", "application/json")):
        answer = day.ask("POST", EVENTS, day.staff, content=body, headers={"Content-Type": kind})
        assert answer.status_code in (400, 422), answer.text
    assert is_refused(day.ask("POST", EVENTS, day.staff, content=b"a=b", headers={"Content-Type": "text/plain"}), 415)


# ---------------------------------------------------------------- the venue


def test_without_a_venue_for_all_of_it_nothing_is_published(day: Day) -> None:
    hour = 12
    event = day.draft(session(hour, hours=2))
    assert is_refused(day.publish(event), 409, "venue_missing", "/venue_group_id")
    short = day.venue(hour)
    event = day.put(event, venue_group_id=short).json()
    assert is_refused(day.publish(event), 409, "venue_missing")
    gap = day.venue(hour - 2, hour + 1)
    event = day.put(event, venue_group_id=gap).json()
    assert is_refused(day.publish(event), 409, "venue_missing")
    assert is_refused(day.publish(day.put(event, venue_group_id=str(uuid.uuid4())).json()), 409, "venue_missing")
    assert day.town.one("SELECT count(*) FROM slots WHERE subject_id = %s", event["id"]) == 0
    assert day.get(f"{EVENTS}/{event['id']}", day.staff).json()["state"] == "draft"


def test_a_venue_that_was_given_back_is_none(day: Day) -> None:
    group = day.venue(13, days=4)
    assert day.ask("DELETE", f"/v1/claims/{group}", day.staff).status_code == 200
    assert is_refused(day.publish(day.draft(session(13, days=4), venue_group_id=group)), 409, "venue_missing")


def test_two_places_are_no_venue(day: Day) -> None:
    place, policy = uuid.uuid4(), uuid.uuid4()
    day.town.place(place, policy)
    here, there = day.town.slot(8, days=4), day.town.slot(9, days=4, place_id=place, policy_id=policy)
    body = {"slot_ids": [str(here), str(there)]}
    group = day.ask("POST", "/v1/booking/reservations", day.staff, key=uuid.uuid4().hex, json=body).json()["group_id"]
    event = day.draft(session(8, days=4, hours=2), venue_group_id=group)
    assert is_refused(day.publish(event), 409, "venue_missing")


def test_nobody_makes_a_festival_of_somebody_elses_booking(day: Day) -> None:
    (resident,) = day.town.residents()
    theirs = day.venue(15, who=resident)
    assert is_refused(day.publish(day.draft(session(15), venue_group_id=theirs)), 409, "venue_missing")
    # Nor of one that staff made for a resident at the desk.
    slot = day.town.slot(16, days=3, capacity=1)
    body = {"slot_id": str(slot), "persons": [str(resident.person_id)], "channel": "desk"}
    made = day.ask("POST", "/v1/booking/reservations", day.staff, key=uuid.uuid4().hex, json=body)
    assert made.status_code == 201, made.text
    event = day.draft(session(16), venue_group_id=made.json()["group_id"])
    assert is_refused(day.publish(event), 409, "venue_missing")


def test_a_committees_hall_booked_by_a_colleague_is_a_venue(day: Day) -> None:
    (colleague,) = day.town.residents()
    day.town.appoint(colleague, "manager")
    slot = day.town.slot(17, days=3, capacity=1)
    body = {"slot_id": str(slot), "holder": "330411105003"}
    made = day.ask("POST", "/v1/booking/reservations", colleague, key=uuid.uuid4().hex, json=body)
    assert made.status_code == 201, made.text
    event = day.draft(session(17), venue_group_id=made.json()["group_id"])
    assert day.publish(event).status_code == 200


def test_a_venue_serves_one_event_until_that_is_called_off(day: Day) -> None:
    group = day.venue(18, 19)
    first = day.draft(session(18), venue_group_id=group)
    second = day.draft(session(19), venue_group_id=group)
    assert day.publish(first).status_code == 200
    assert is_refused(day.publish(second), 409, "venue_taken")
    assert day.ask("POST", f"{EVENTS}/{first['id']}/cancel", day.staff, json={"reason": "下雨"}).status_code == 200
    assert day.publish(second).status_code == 200


def test_an_organiser_is_told_once_of_a_venue_that_is_lost(day: Day) -> None:
    group = day.venue(20, 21)
    event = day.draft(session(20), venue_group_id=group)
    assert day.publish(event).status_code == 200
    assert day.task("watch_venues") == 0
    assert day.ask("DELETE", f"/v1/claims/{group}", day.staff).status_code == 200
    assert day.task("watch_venues") == 1
    assert day.task("watch_venues") == 0
    ((holders, data),) = day.notices("events.event.venue_lost", event["id"])
    assert holders == [day.staff.holder_no]
    assert data["venue_group_id"] == group
    assert day.get(f"{EVENTS}/{event['id']}", day.staff).json()["venue_lost_at"] is not None
    assert day.get(f"{EVENTS}/{event['id']}").json()["venue_lost_at"] is None
    # Another claim at the same place, and all is well again.
    place = day.town.one("SELECT place_id FROM events WHERE id = %s", event["id"])
    day.town.do("UPDATE slots SET state = 'open' WHERE place_id = %s AND subject_id IS NULL", place)
    again = day.venue(20)
    healed = day.put(day.get(f"{EVENTS}/{event['id']}", day.staff).json(), venue_group_id=again)
    assert healed.status_code == 200, healed.text
    assert healed.json()["venue_lost_at"] is None
    assert day.task("watch_venues") == 0


# ---------------------------------------------------------------- publishing and changing


def test_what_is_published_is_published_once(day: Day) -> None:
    event = day.festival(9, days=5)
    assert is_refused(day.publish(event), 409, "conflict")
    assert is_refused(day.publish({"id": str(uuid.uuid4())}), 404)
    (resident,) = day.town.residents()
    assert is_refused(day.publish(event, resident), 403)
    assert len(day.notices("events.event.published", event["id"])) == 1


def test_what_has_begun_is_not_published(day: Day) -> None:
    event = day.draft(session(10, days=5), venue_group_id=day.venue(10, days=5))
    day.town.do(
        "UPDATE event_sessions SET starts_at = now() - interval '1 minute', ends_at = now() + interval '1 hour' "
        "WHERE event_id = %s",
        event["id"],
    )
    assert is_refused(day.publish(event), 409, "conflict")


@pytest.mark.parametrize("deadline", ["closes_at", "cancel_by"])
def test_a_deadline_is_not_published_once_it_is_over(day: Day, deadline: str) -> None:
    hour = 10 if deadline == "closes_at" else 11
    late = {deadline: (clock.now() - timedelta(minutes=1)).isoformat()}
    event = day.draft(session(hour, days=8), venue_group_id=day.venue(hour, days=8), **late)
    refused = day.publish(event)
    assert is_refused(refused, 409, "conflict")
    assert refused.json()["errors"] == [{"in": "body", "pointer": f"/{deadline}", "code": "past"}]
    assert day.publish(day.put(event, **{deadline: event["sessions"][0]["starts_at"]}).json()).status_code == 200


def test_what_was_promised_stays(day: Day) -> None:
    event = day.festival(11, days=5)
    moved = [event["sessions"][0] | session(12, days=5)]
    moved = [{name: one[name] for name in ("id", "starts_at", "ends_at")} for one in moved]
    assert is_refused(day.put(event, sessions=moved), 409, "conflict", "/sessions/0/starts_at")
    assert is_refused(day.put(event, community="330411105204"), 409, "conflict", "/community")
    assert is_refused(day.put(event, audience={"max_age": 12}), 409, "conflict", "/audience/max_age")
    later = (clock.now() + timedelta(days=1)).isoformat()
    assert is_refused(day.put(event, opens_at=later), 409, "conflict", "/opens_at")
    elsewhere, policy = uuid.uuid4(), uuid.uuid4()
    day.town.place(elsewhere, policy)
    other = day.venue(11, days=5, place_id=elsewhere, policy_id=policy, is_exclusive=False)
    assert is_refused(day.put(event, venue_group_id=other), 409, "conflict", "/venue_group_id")
    assert day.get(f"{EVENTS}/{event['id']}").json()["state"] == "published"


def test_saying_the_same_again_changes_nothing(day: Day) -> None:
    event = day.festival(12, days=5)
    seen = day.get(f"{EVENTS}/{event['id']}", day.staff).json()
    same = day.put(seen)
    assert same.status_code == 200, same.text
    assert same.json() == seen
    assert day.notices("events.event.changed", event["id"]) == []


def test_text_seats_and_deadlines_follow_to_the_slot_and_everybody_is_told(day: Day) -> None:
    one, two = day.town.residents(2)
    event = day.festival(13, days=5, seats=5)
    for who in (one, two):
        assert day.register(who, event).status_code == 201
    closes = clock.local(moment(8, days=5)).isoformat()
    changed = day.put(event, title="灯会（改）", seats=2, closes_at=closes, cancel_by=closes, is_waitable=False)
    assert changed.status_code == 200, changed.text
    assert changed.json()["state"] == "changed"
    slot = day.get(f"/v1/slots/{event['sessions'][0]['id']}").json()
    assert (slot["title"], slot["capacity"], slot["free"]) == ("灯会（改）", 2, 0)
    assert slot["closes_at"] == slot["cancel_by"] == closes
    ((holders, _),) = day.notices("events.event.changed", event["id"])
    assert sorted(holders) == sorted([one.holder_no, two.holder_no])
    fewer = day.put(changed.json() | {"venue_group_id": event["venue_group_id"]}, seats=1)
    assert is_refused(fewer, 409, "capacity_taken", "/seats")
    assert fewer.json()["taken"] == 2


def test_questions_stay_once_somebody_has_answered_them(day: Day) -> None:
    (who,) = day.town.residents()
    event = day.festival(14, days=5)
    asked = [{"id": "meal", "text": "吃吗", "kind": "bool", "required": True}]
    event = day.put(event, questions=asked).json()
    made = day.register(who, event, answers=[{"question": "meal", "value": False}])
    assert made.status_code == 201, made.text
    assert is_refused(day.put(event, questions=[]), 409, "conflict", "/questions")
    assert day.ask("DELETE", made.json()["href"], who).status_code == 200
    assert day.put(event, questions=[]).status_code == 200


def test_a_session_that_is_left_out_is_cancelled_and_one_without_an_id_is_added(day: Day) -> None:
    one, two = day.town.residents(2)
    group = day.venue(15, 16, 17, days=5)
    event = day.draft(session(15, days=5), session(16, days=5), venue_group_id=group)
    event = day.publish(event).json()
    first, second = (one["id"] for one in event["sessions"])
    for who, slot in ((one, first), (two, second)):
        body = {"slot_id": slot}
        assert day.ask("POST", REGISTRATIONS, who, key=uuid.uuid4().hex, json=body).status_code == 201
    stays = {name: event["sessions"][1][name] for name in ("id", "starts_at", "ends_at", "title")}
    beyond = day.put(event, sessions=[stays, session(18, days=5)])
    assert is_refused(beyond, 409, "venue_missing"), "the hall is not ours at that time"
    changed = day.put(event, sessions=[stays, session(17, days=5, title="加场")])
    assert changed.status_code == 200, changed.text
    assert [one["state"] for one in changed.json()["sessions"]] == ["cancelled", "planned", "planned"]
    assert day.town.all("SELECT state, taken FROM slots WHERE subject_id = %s ORDER BY starts_at", event["id"]) == [
        ("cancelled", 0),
        ("open", 1),
        ("open", 0),
    ]
    ((holders, data),) = day.notices("events.registration.cancelled", registration(day, one, event))
    assert holders == [one.holder_no]
    assert data["reason"] == "session_cancelled"
    (theirs,) = day.get(REGISTRATIONS, one).json()["items"]
    assert (theirs["state"], theirs["reason"]) == ("released", "session_cancelled")
    # A client that sends back all that it has read, cancelled sessions too, changes nothing by that.
    whole = day.get(f"{EVENTS}/{event['id']}", day.staff).json()
    assert day.put(whole).json()["version"] == whole["version"]


def test_who_leaves_out_the_ids_of_the_sessions_takes_no_seat_away(day: Day) -> None:
    (who,) = day.town.residents()
    group = day.venue(15, days=7)
    event = day.publish(day.draft(session(15, days=7), venue_group_id=group)).json()
    body = {"slot_id": event["sessions"][0]["id"]}
    assert day.ask("POST", REGISTRATIONS, who, key=uuid.uuid4().hex, json=body).status_code == 201
    changed = day.put(event, text="改", sessions=[session(15, days=7)])
    assert changed.status_code == 200, changed.text
    assert changed.json()["sessions"] == event["sessions"]
    assert [one["state"] for one in day.get(REGISTRATIONS, who).json()["items"]] == ["confirmed"]


def registration(day: Day, who: Resident, event: dict[str, Any]) -> str:
    return str(
        day.town.one(
            "SELECT id FROM registrations WHERE account_no = %s AND event_id = %s", who.account_no, event["id"]
        )
    )


# ---------------------------------------------------------------- lists


def test_lists_come_in_pages_soonest_first(day: Day) -> None:
    made = [day.festival(hour, days=9, community="330411105204")["id"] for hour in (12, 10, 11)]
    asked = {"community": "330411105204", "limit": 2}
    first = day.get(EVENTS, params=asked).json()
    second = day.get(EVENTS, params=asked | {"cursor": first["next"]}).json()
    assert [one["id"] for one in first["items"] + second["items"]] == [made[1], made[2], made[0]]
    assert second["next"] is None
    assert is_refused(day.get(EVENTS, params={"cursor": "x"}), 422)
    assert is_refused(day.get(EVENTS, params={"community": "'"}), 422)
    assert is_refused(day.get(EVENTS, params={"from": "0001-01-01"}), 422, pointer="/from")
    assert is_refused(day.get(EVENTS, params={"state": CANARY}), 422)
    until = {"to": (clock.today() + timedelta(days=9)).isoformat()}
    assert day.get(EVENTS, params=asked | until).json()["items"] == []
    assert day.get(EVENTS, params=asked | {"state": "cancelled"}).json()["items"] == []


def test_the_doctor_finds_nothing_wrong_after_all_that(day: Day) -> None:
    day.serve_waiting()
    assert day.wrong() == []
