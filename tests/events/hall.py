"""A hall, a gateway and a day of events for tests."""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import httpx

from services import SERVICES, doctor, load
from services.gateway import tasks
from services.gateway.app import Gateway
from shared import clock
from shared.crypto import Keyring
from shared.db import Database
from shared.settings import Settings
from shared.web import Context
from tests.gateway import doors
from tests.town import COMMUNITY, Resident, Town

EVENTS = "/v1/events/events"
SERIES = "/v1/events/series"
REGISTRATIONS = "/v1/events/registrations"


class Day:
    """A running gateway, the town behind it, and what organisers do all the time."""

    def __init__(self, runner: asyncio.Runner, gateway: Gateway, town: Town, keys: Keyring) -> None:
        self.runner = runner
        self.gateway = gateway
        self.town = town
        self.keys = keys
        self.client = httpx.AsyncClient(transport=httpx.ASGITransport(gateway), base_url="http://linli")
        (self.staff,) = town.residents()
        town.appoint(self.staff, "staff")

    def ask(
        self,
        method: str,
        path: str,
        who: Resident | None = None,
        *,
        key: str | None = None,
        headers: dict[str, str] | None = None,
        **more: Any,
    ) -> httpx.Response:
        told = who.headers(self.keys, key) if who else {}
        return self.runner.run(self.client.request(method, path, headers=told | (headers or {}), **more))

    def get(self, path: str, who: Resident | None = None, **more: Any) -> httpx.Response:
        return self.ask("GET", path, who, **more)

    def venue(self, *hours: int, days: int = 3, who: Resident | None = None, **columns: Any) -> str:
        """The group of a booking of these hours, made by whoever organises."""
        slots = [self.town.slot(hour, days=days, capacity=1, **columns) for hour in hours]
        ask = doors.wants(who or self.staff, *slots)
        answer = self.ask("POST", "/v1/booking/reservations", ask.who, key=ask.key, json=ask.body)
        assert answer.status_code == 201, answer.text
        return str(answer.json()["group_id"])

    def draft(self, *sessions: dict[str, Any], path: str = EVENTS, **more: Any) -> dict[str, Any]:
        answer = self.ask("POST", path, self.staff, json=wish(*sessions, **more))
        assert answer.status_code == 201, answer.text
        return dict(answer.json())

    def publish(self, event: dict[str, Any], who: Resident | None = None, path: str = EVENTS) -> httpx.Response:
        return self.ask("POST", f"{path}/{event['id']}/publish", who or self.staff)

    def festival(self, hour: int = 10, *, days: int = 3, path: str = EVENTS, **more: Any) -> dict[str, Any]:
        """A published event of an hour."""
        group = self.venue(hour, days=days)
        event = self.draft(session(hour, days=days), venue_group_id=group, path=path, **more)
        answer = self.publish(event, path=path)
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    def course(self, hour: int, several: range | list[int], **more: Any) -> dict[str, Any]:
        """A published series of an hour on several days."""
        slots = [self.town.slot(hour, days=n, capacity=1) for n in several]
        ask = doors.wants(self.staff, *slots)
        group = self.ask("POST", "/v1/booking/reservations", ask.who, key=ask.key, json=ask.body).json()["group_id"]
        event = self.draft(*(session(hour, days=n) for n in several), venue_group_id=group, path=SERIES, **more)
        answer = self.publish(event, path=SERIES)
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    def register(self, who: Resident, event: dict[str, Any], key: str | None = None, **more: Any) -> httpx.Response:
        target = {"series_id": event["id"]} if event["kind"] == "series" else {"slot_id": event["sessions"][0]["id"]}
        return self.ask("POST", REGISTRATIONS, who, key=key or uuid.uuid4().hex, json=target | more)

    def put(
        self, event: dict[str, Any], *, path: str = EVENTS, etag: str | None = None, **changes: Any
    ) -> httpx.Response:
        """Say an event anew as somebody would who has read it."""
        body = {name: event[name] for name in PUT} | {
            "sessions": [
                {name: one[name] for name in ("id", "starts_at", "ends_at", "title")} for one in event["sessions"]
            ]
        }
        tag = etag or f'"{event["version"]}"'
        return self.ask("PUT", f"{path}/{event['id']}", self.staff, json=body | changes, headers={"If-Match": tag})

    def serve_waiting(self) -> int:
        assert self.gateway.parts is not None
        return self.runner.run(tasks.serve_waiting(self.gateway.parts))

    def stamp(self) -> None:
        assert self.gateway.parts is not None
        self.runner.run(tasks.stamp_notices(self.gateway.parts))

    def task(self, name: str) -> object:
        """Run one of the service's tasks, as the worker would."""
        parts = self.gateway.parts
        assert parts is not None
        (one,) = [one for one in load("services.events.tasks:TASKS") if one.name == f"events.{name}"]
        context = Context(parts.db.of("linli_events"), parts.keys, parts.settings)
        return self.runner.run(one.run(context))

    def begin(self, event: dict[str, Any], *, minutes_ago: int = 30, n: int = 0) -> None:
        """Move a session of an hour into the present, or the past. Only tests can."""
        begin = clock.now() - timedelta(minutes=minutes_ago)
        end = begin + timedelta(hours=1)
        slot = event["sessions"][n]["id"]
        with self.town.connect() as c:
            c.execute(
                "UPDATE slots SET starts_at = %s, ends_at = %s, closes_at = %s WHERE id = %s", (begin, end, begin, slot)
            )
            c.execute("UPDATE claims SET starts_at = %s, ends_at = %s WHERE slot_id = %s", (begin, end, slot))
            c.execute("UPDATE event_sessions SET starts_at = %s, ends_at = %s WHERE id = %s", (begin, end, slot))
            c.execute(
                "UPDATE events e SET starts_at = s.a, ends_at = s.b FROM (SELECT event_id, min(starts_at) AS a, "
                "max(ends_at) AS b FROM event_sessions WHERE event_id = %s GROUP BY 1) s WHERE e.id = s.event_id",
                (event["id"],),
            )

    def notices(self, kind: str, subject: str | None = None) -> list[Any]:
        return self.town.all(
            "SELECT holders, data FROM notices WHERE type = %s AND (%s::text IS NULL OR subject::text = %s) ORDER BY no",
            kind,
            subject,
            subject,
        )

    def wrong(self) -> list[tuple[str, list[str]]]:
        return [one for one in self.runner.run(doctor.examine(self.town.url)) if one[1]]


PUT = (
    "title",
    "title_en",
    "text",
    "community",
    "audience",
    "seats",
    "venue_group_id",
    "questions",
    "opens_at",
    "closes_at",
    "cancel_by",
    "is_waitable",
)


def moment(hour: int, *, days: int = 3, minute: int = 0) -> datetime:
    return clock.at(clock.today() + timedelta(days=days), datetime.min.time()) + timedelta(hours=hour, minutes=minute)


def session(hour: int, *, days: int = 3, hours: int = 1, **more: Any) -> dict[str, Any]:
    begin = moment(hour, days=days)
    return {"starts_at": begin.isoformat(), "ends_at": (begin + timedelta(hours=hours)).isoformat()} | more


def wish(*sessions: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "title": "茶园灯会",
        "title_en": "Lantern festival",
        "text": "猜灯谜，吃汤圆。",
        "community": COMMUNITY,
        "seats": 20,
        "sessions": list(sessions),
    } | more


@contextlib.contextmanager
def opened(url: str, keys: Keyring, settings: Settings) -> Iterator[Day]:
    """A gateway in this process, with an event loop for its tests."""
    with asyncio.Runner() as runner:
        db = Database.connect(url, pool_size=settings.pool_size)
        gateway = Gateway(db, keys, settings)
        life = gateway.running()
        runner.run(life.__aenter__())
        day = Day(runner, gateway, Town(url), keys)
        try:
            yield day
        finally:
            runner.run(day.client.aclose())
            runner.run(life.__aexit__(None, None, None))
            runner.run(db.close())


def apart(stack: contextlib.ExitStack, url: str, keys: Keyring, settings: Settings) -> dict[str, str]:
    """Every service on a port of its own; their addresses."""
    return {one.name: stack.enter_context(doors.service_alone(one.name, url, keys, settings)) for one in SERVICES}


def is_refused(answer: httpx.Response, status: int, code: str | None = None, pointer: str | None = None) -> bool:
    """Whether it is a proper problem document with this status, code and pointer."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    told = answer.json()
    if code is not None:
        assert told["code"] == code, answer.text
    if pointer is not None:
        assert pointer in [one["pointer"] for one in told["errors"]], answer.text
    return True
