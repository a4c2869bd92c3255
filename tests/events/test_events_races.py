"""Rushes around an event. Every race has a control: the same race without the law it stands on."""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from shared import embedded
from shared.crypto import Keyring
from tests.conftest import copy_of
from tests.events import hall
from tests.events.hall import EVENTS, REGISTRATIONS, Day, session
from tests.gateway import doors
from tests.town import Resident


@pytest.fixture
def alone(server: embedded.Embedded, template: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Day]:
    """A town of its own: a control takes a law away."""
    with contextlib.ExitStack() as stack:
        url = stack.enter_context(copy_of(server, template))
        yield stack.enter_context(hall.opened(url, Keyring.fresh(), doors.demo(tmp_path_factory.mktemp("alone"))))


def together(day: Day, *calls: tuple[str, str, Resident, dict[str, Any] | None]) -> list[Any]:
    """Everybody at once; the answers in the order of the calls."""

    async def all_of_them() -> list[Any]:
        return await asyncio.gather(
            *(
                day.client.request(method, path, json=body, headers=who.headers(day.keys, uuid.uuid4().hex))
                for method, path, who, body in calls
            )
        )

    return list(day.runner.run(all_of_them()))


def two_festivals_in_one_hall(day: Day, hour: int) -> list[int]:
    group = day.venue(hour)
    drafts = [day.draft(session(hour), venue_group_id=group) for _ in range(2)]
    answers = together(day, *(("POST", f"{EVENTS}/{one['id']}/publish", day.staff, None) for one in drafts))
    refused = [one.json()["code"] for one in answers if one.status_code != 200]
    assert set(refused) <= {"venue_taken"}
    return sorted(one.status_code for one in answers)


def test_one_hall_is_the_venue_of_one_of_two_events_published_at_once(alone: Day) -> None:
    assert [two_festivals_in_one_hall(alone, hour) for hour in range(8, 14)] == [[200, 409]] * 6
    assert alone.wrong() == []


def test_control_without_the_law_both_have_the_hall_and_the_doctor_sees_it(alone: Day) -> None:
    alone.town.do("DROP INDEX one_event_per_venue_group")
    assert two_festivals_in_one_hall(alone, 8) == [200, 200]
    assert [name for name, _ in alone.wrong()] == ["no venue serves two events"]


def test_an_event_is_published_once_however_often_at_once(alone: Day) -> None:
    event = alone.draft(session(9), venue_group_id=alone.venue(9))
    calls = [("POST", f"{EVENTS}/{event['id']}/publish", alone.staff, None)] * 5
    assert sorted(one.status_code for one in together(alone, *calls)) == [200, 409, 409, 409, 409]
    assert alone.town.one("SELECT count(*) FROM slots WHERE subject_id = %s", event["id"]) == 1
    assert len(alone.notices("events.event.published", event["id"])) == 1


@pytest.mark.parametrize("n", range(4))
def test_a_venue_that_is_given_back_while_it_is_published_is_missing_or_lost(alone: Day, n: int) -> None:
    group = alone.venue(9 + n)
    event = alone.draft(session(9 + n), venue_group_id=group)
    published, given_back = together(
        alone,
        ("POST", f"{EVENTS}/{event['id']}/publish", alone.staff, None),
        ("DELETE", f"/v1/claims/{group}", alone.staff, None),
    )
    assert given_back.status_code == 200, given_back.text
    assert published.status_code in (200, 409), published.text
    assert alone.task("watch_venues") == (1 if published.status_code == 200 else 0)
    assert alone.wrong() == []


def test_families_on_the_last_seats_are_all_in_or_all_out(alone: Day) -> None:
    event = alone.festival(9, seats=10)
    people = alone.town.residents(45)
    homes = [people[n : n + 3] for n in range(0, 45, 3)]
    for parent, *children in homes:
        for child in children:
            alone.town.relate(parent, child)
    body = {"slot_id": event["sessions"][0]["id"]}
    answers = together(
        alone,
        *(("POST", REGISTRATIONS, home[0], body | {"persons": [str(one.person_id) for one in home]}) for home in homes),
    )
    assert Counter(one.status_code for one in answers) == {201: 3, 409: 12}
    inside = {row[0] for row in alone.town.all("SELECT holder_no FROM claims WHERE is_active AND service = 'events'")}
    assert sorted(sum(one.holder_no in inside for one in home) for home in homes) == [0] * 12 + [3] * 3
    assert alone.wrong() == []


@pytest.mark.parametrize("n", range(3))
def test_called_off_in_the_middle_of_a_rush_nobody_keeps_a_seat_and_everybody_is_told(alone: Day, n: int) -> None:
    event = alone.festival(9 + n, seats=300)
    people = alone.town.residents(120)
    body = {"slot_id": event["sessions"][0]["id"]}
    rush = [("POST", REGISTRATIONS, one, body) for one in people]
    off = ("POST", f"{EVENTS}/{event['id']}/cancel", alone.staff, {"reason": "雷雨"})
    at = (30, 60, 90)[n]
    answers = together(alone, *rush[:at], off, *rush[at:])
    cancelled = answers.pop(at)
    assert cancelled.status_code == 200, cancelled.text
    refused = Counter(one.json()["code"] for one in answers if one.status_code != 201)
    assert set(refused) <= {"cancelled", "hold_lapsed"}, refused
    alone.task("finish_cancellations")
    assert alone.town.all("SELECT state, taken FROM slots WHERE subject_id = %s", event["id"]) == [("cancelled", 0)]
    assert alone.town.one("SELECT count(*) FROM claims WHERE service = 'events' AND is_active") == 0
    for answer in answers:
        if answer.status_code == 201:
            ((_, data),) = alone.notices("events.registration.cancelled", answer.json()["id"])
            assert data["reason"] == "event_cancelled"
    assert alone.wrong() == []


def test_control_released_before_it_is_shut_a_hall_fills_up_again(alone: Day) -> None:
    """Why the slots are cancelled first, in a transaction of their own, and only then emptied."""
    event = alone.festival(9)
    one, two = alone.town.residents(2)
    assert alone.register(one, event).status_code == 201
    alone.town.do("UPDATE claims SET state = 'released', is_active = false, left_at = now() WHERE service = 'events'")
    alone.town.do("UPDATE slots SET taken = 0 WHERE subject_id = %s", event["id"])
    assert alone.register(two, event).status_code == 201, "between emptying and shutting"


def test_seats_are_never_fewer_than_those_taken_while_people_register(alone: Day) -> None:
    event = alone.festival(9, seats=40)
    people = alone.town.residents(40)
    seen = alone.get(f"{EVENTS}/{event['id']}", alone.staff).json()
    body = {name: seen[name] for name in hall.PUT} | {
        "seats": 10,
        "sessions": [{name: seen["sessions"][0][name] for name in ("id", "starts_at", "ends_at")}],
    }

    async def fewer() -> Any:
        headers = alone.staff.headers(alone.keys) | {"If-Match": f'"{seen["version"]}"'}
        return await alone.client.request("PUT", f"{EVENTS}/{event['id']}", json=body, headers=headers)

    async def rush() -> list[Any]:
        slot = {"slot_id": event["sessions"][0]["id"]}
        asks = [
            alone.client.request("POST", REGISTRATIONS, json=slot, headers=one.headers(alone.keys, uuid.uuid4().hex))
            for one in people
        ]
        return list(await asyncio.gather(*asks[:15], fewer(), *asks[15:]))

    answers = alone.runner.run(rush())
    changed = answers.pop(15)
    taken = alone.town.one("SELECT taken FROM slots WHERE subject_id = %s", event["id"])
    assert sum(one.status_code == 201 for one in answers) == taken
    assert (changed.status_code, taken <= 10) in ((200, True), (409, False))
    assert alone.wrong() == []


def test_everything_at_once_deadlocks_nobody_and_leaves_nothing_wrong(alone: Day) -> None:
    """Registering, giving back, fewer seats, a session called off, the hall given back, the event called off, the worker."""
    slots = [alone.town.slot(hour, days=3, capacity=1) for hour in (9, 10, 11)]
    body = {"slot_ids": [str(one) for one in slots]}
    booked = together(alone, ("POST", "/v1/booking/reservations", alone.staff, body))[0].json()
    event = alone.draft(*(session(hour) for hour in (9, 10, 11)), venue_group_id=booked["group_id"], seats=60)
    event = alone.publish(event).json()
    ids = [one["id"] for one in event["sessions"]]
    first = alone.town.residents(40)
    asks: list[Any] = [("POST", REGISTRATIONS, who, {"slot_id": ids[n % 3]}) for n, who in enumerate(first)]
    made = [one.json() for one in together(alone, *asks)]
    second = alone.town.residents(60)

    async def change(**changes: Any) -> Any:
        path = f"{EVENTS}/{event['id']}"
        read = await alone.client.get(path, headers=alone.staff.headers(alone.keys))
        told = read.json()
        wanted = {name: told[name] for name in hall.PUT} | {
            "sessions": [{name: one[name] for name in ("id", "starts_at", "ends_at")} for one in told["sessions"]]
        }
        headers = alone.staff.headers(alone.keys) | {"If-Match": read.headers["etag"]}
        return await alone.client.put(path, json=wanted | changes, headers=headers)

    def call(method: str, path: str, who: Resident, told: dict[str, Any] | None = None) -> Any:
        return alone.client.request(method, path, json=told, headers=who.headers(alone.keys, uuid.uuid4().hex))

    async def all_at_once() -> list[Any]:
        calls = [call("POST", REGISTRATIONS, who, {"slot_id": ids[n % 3]}) for n, who in enumerate(second)]
        calls += [call("DELETE", one["href"], who) for one, who in zip(made[:20], first[:20], strict=True)]
        calls.insert(10, change(seats=50))
        calls.insert(
            25, change(sessions=[{n: event["sessions"][k][n] for n in ("id", "starts_at", "ends_at")} for k in (0, 2)])
        )
        calls.insert(40, call("DELETE", f"/v1/claims/{booked['group_id']}", alone.staff))
        calls.insert(55, call("POST", f"{EVENTS}/{event['id']}/cancel", alone.staff, {"reason": "雷雨"}))
        return list(await asyncio.gather(*calls))

    answers = alone.runner.run(all_at_once())
    assert {one.status_code for one in answers} <= {200, 201, 409, 412}, [
        one.text for one in answers if one.status_code > 412
    ]
    for name in ("finish_cancellations", "finish_closures", "watch_venues", "mark_held"):
        alone.task(name)
    assert alone.town.one("SELECT count(*) FROM claims WHERE service = 'events' AND is_active") == 0
    assert alone.town.one("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()") == 0
    assert alone.wrong() == []
