"""Calendars: an address that only its owner knows, and what other programs read there."""

from __future__ import annotations

import hashlib
import re
from datetime import timedelta
from typing import Any

import pytest
import vobject

from services.events import calendars
from services.events.sql.calendars import Place
from shared import clock
from shared.web import loggable
from tests.events.hall import Day, is_refused, moment
from tests.town import Resident

CALENDAR = "/v1/events/calendar"


def address(day: Day, who: Resident) -> str:
    answer = day.ask("POST", CALENDAR, who)
    assert answer.status_code == 201, answer.text
    assert answer.headers["cache-control"] == "no-store"
    url = str(answer.json()["url"])
    found = re.fullmatch(r"http://127\.0\.0\.1:8000(/v1/events/calendar/([A-Za-z0-9_-]{32})\.ics)", url)
    assert found, url
    return found[1]


def entries(text: str) -> list[Any]:
    return list(getattr(vobject.readOne(text), "vevent_list", []))


def test_the_address_is_a_secret_and_nothing_but_its_hash_is_kept(day: Day) -> None:
    (who,) = day.town.residents()
    path = address(day, who)
    secret = path.rpartition("/")[2].removesuffix(".ics")
    kept = day.town.one("SELECT secret_hash FROM calendars WHERE account_no = %s", who.account_no)
    assert kept == hashlib.sha256(secret.encode()).digest()
    assert entries(day.get(path).text) == []
    for wrong in (secret[:-1] + ("a" if secret[-1] != "a" else "b"), "x" * 32):
        assert is_refused(day.get(f"{CALENDAR}/{wrong}.ics"), 404)
    for odd in ("short", "x" * 200, "..%2f..", "%00"):
        assert day.get(f"{CALENDAR}/{odd}.ics").status_code in (404, 422)


def test_asking_again_makes_a_new_one_and_the_old_one_opens_nothing(day: Day) -> None:
    (who,) = day.town.residents()
    first = address(day, who)
    second = address(day, who)
    assert first != second
    assert is_refused(day.get(first), 404)
    assert day.get(second).status_code == 200
    assert day.ask("DELETE", CALENDAR, who).status_code == 204
    assert is_refused(day.get(second), 404)
    assert is_refused(day.ask("POST", CALENDAR), 401)
    assert is_refused(day.ask("DELETE", CALENDAR), 401)


def test_what_nobody_reads_for_long_or_whose_account_is_closed_opens_nothing(day: Day) -> None:
    one, two = day.town.residents(2)
    first, second = address(day, one), address(day, two)
    day.town.do("UPDATE calendars SET used_at = now() - interval '3 days' WHERE account_no = %s", one.account_no)
    assert day.get(first).status_code == 200
    used = day.town.one("SELECT used_at FROM calendars WHERE account_no = %s", one.account_no)
    assert clock.now() - used < timedelta(minutes=1), "it was read just now"
    day.town.do("UPDATE calendars SET used_at = now() - interval '181 days' WHERE account_no = %s", one.account_no)
    assert is_refused(day.get(first), 404)
    day.town.do("UPDATE accounts SET closed_at = now() WHERE no = %s", two.account_no)
    assert is_refused(day.get(second), 404)


def test_a_machine_has_no_calendar(day: Day) -> None:
    (gate,) = day.town.residents()
    day.town.do("UPDATE accounts SET person_id = NULL WHERE no = %s", gate.account_no)
    object.__setattr__(gate, "person_id", None)
    assert is_refused(day.ask("POST", CALENDAR, gate), 403)


def test_it_shows_those_one_acts_for_in_this_service_and_nobody_else(day: Day) -> None:
    son, father, mother, stranger = day.town.residents(4)
    day.town.relate(son, father, "proxy", ["events"])
    day.town.relate(son, mother, "proxy", ["elder-meals"])
    event = day.festival(9, days=25)
    for who in (father, mother, stranger):
        assert day.register(who, event).status_code == 201
    path = address(day, son)
    (shown,) = entries(day.get(path).text)
    assert shown.summary.value == f"茶园灯会（{father.name}）"
    day.town.do("UPDATE relations SET ends_at = now() WHERE actor_id = %s", son.person_id)
    assert entries(day.get(path).text) == []


def test_cancelled_and_taken_again_is_one_entry_that_rises(day: Day) -> None:
    (who,) = day.town.residents()
    event = day.festival(10, days=25)
    path = address(day, who)
    seen = []
    for _ in range(2):
        made = day.register(who, event)
        assert made.status_code == 201, made.text
        seen.append(entries(day.get(path).text))
        day.ask("DELETE", made.json()["href"], who)
        seen.append(entries(day.get(path).text))
    assert [len(one) for one in seen] == [1, 1, 1, 1]
    assert len({one[0].uid.value for one in seen}) == 1
    assert [(one[0].status.value, int(one[0].sequence.value)) for one in seen] == [
        ("CONFIRMED", 0),
        ("CANCELLED", 1),
        ("CONFIRMED", 2),
        ("CANCELLED", 3),
    ]
    assert {one[0].dtstart.value for one in seen} == {moment(10, days=25)}
    assert {one[0].dtend.value - one[0].dtstart.value for one in seen} == {timedelta(hours=1)}


def test_a_whole_course_that_is_called_off_stays_in_the_calendar_as_called_off(day: Day) -> None:
    (who,) = day.town.residents()
    course = day.course(18, range(25, 28))
    day.register(who, course)
    path = address(day, who)
    assert [one.status.value for one in entries(day.get(path).text)] == ["CONFIRMED"] * 3
    day.ask("POST", f"/v1/events/series/{course['id']}/cancel", day.staff, json={"reason": "x"})
    assert [one.status.value for one in entries(day.get(path).text)] == ["CANCELLED"] * 3


@pytest.mark.parametrize("text", ["a,b;c\\d\ne", "BEGIN:VEVENT", "灯会" * 60, "\u202e🎉", "x\r\nATTENDEE:evil"])
def test_no_title_breaks_out_of_its_line(text: str) -> None:
    now = clock.now()
    person, slot = clock.uuid7(), clock.uuid7()
    written = calendars.as_ics(
        [Place(slot, person, text, text, text, text, now, now + timedelta(hours=1), now, None, "confirmed")], person
    ).decode()
    assert all(len(line.encode()) <= 75 for line in written.split("\r\n"))
    (shown,) = entries(written)
    assert shown.summary.value.replace("\r\n", "\n") == text.replace("\r\n", "\n")
    assert not hasattr(shown, "attendee")
    assert "TZID=Asia/Shanghai" in written
    assert str(person) not in written


def test_the_secret_is_written_into_no_log() -> None:
    assert loggable("/v1/events/calendar/abc.ics") == "/v1/events/calendar/…"
    assert loggable("/v1/events/events") == "/v1/events/events"
