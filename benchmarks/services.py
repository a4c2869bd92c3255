"""The other services' claims in the benchmark's town: kitchens, children's rooms and events, as busy as the courts of (d)."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import psycopg
from psycopg.types.json import Jsonb

from shared import clock

TIMES, PLACES = 50, 20
"""As many slots as (d) has: the n-th time at each of so many places."""
FIRST_HOUR = 24 + TIMES + 1
"""After the last of (d), whose residents are the same and cannot be in two places."""


@dataclass(frozen=True)
class Claimed:
    """What is claimed where: the path, and the body with which the n-th resident claims the slot at a time and a place."""

    path: str
    body: Callable[[int, int, int], str]


def _said(**body: Any) -> str:
    return json.dumps(body, separators=(",", ":"), default=str)


def _place(c: psycopg.Connection[Any], service: str, kind: str) -> tuple[uuid.UUID, uuid.UUID]:
    place, policy = uuid.uuid4(), uuid.uuid4()
    c.execute(
        "INSERT INTO places (id, service, kind, name, community) VALUES (%s, %s, %s, %s, '33')",
        (place, service, kind, place.hex),
    )
    c.execute(
        "INSERT INTO policies (id, place_id, version, body) VALUES (%s, %s, 1, %s)",
        (policy, place, Jsonb({"limits": {}})),
    )
    return place, policy


def _slot(
    c: psycopg.Connection[Any], service: str, where: tuple[uuid.UUID, uuid.UUID], t: int, **more: Any
) -> uuid.UUID:
    starts = clock.now() + timedelta(hours=FIRST_HOUR + t)
    row = {
        "id": clock.uuid7(),
        "service": service,
        "place_id": where[0],
        "policy_id": where[1],
        "community": "33",
        "title": "bench",
        "starts_at": starts,
        "ends_at": starts + timedelta(minutes=50),
        "closes_at": starts,
        "capacity": 1_000_000,
    } | more
    c.execute(f"INSERT INTO slots ({', '.join(row)}) VALUES ({', '.join(['%s'] * len(row))})", list(row.values()))
    return uuid.UUID(str(row["id"]))


def orders(url: str, people: list[Any]) -> Claimed:  # noqa: ARG001 - as the others
    """A dish of a kitchen in one of its windows: two claims an order."""
    windows: dict[tuple[int, int], uuid.UUID] = {}
    dishes: list[uuid.UUID] = []
    with psycopg.connect(url) as c:
        for p in range(PLACES):
            kitchen = _place(c, "elder-meals", "kitchen")
            dish = uuid.uuid4()
            c.execute(
                "INSERT INTO dishes (id, place_id, community, name, allergens, texture, diets, price_fen) "
                "VALUES (%s, %s, '33', '青菜豆腐', '{}', 'soft', '{}', 1200)",
                (dish, kitchen[0]),
            )
            dishes.append(dish)
            days = set()
            for t in range(TIMES):
                windows[t, p] = _slot(c, "elder-meals", kitchen, t, is_exclusive=False)
                day = clock.local(clock.now() + timedelta(hours=FIRST_HOUR + t)).date()
                if day not in days:
                    days.add(day)
                    stock = {"subject_kind": "dish", "subject_id": dish, "is_exclusive": False, "is_counted": False}
                    _slot(c, "elder-meals", kitchen, t, title="青菜豆腐", **stock)
    return Claimed(
        "/v1/elder-meals/orders",
        lambda _n, t, p: _said(slot_id=windows[t, p], lines=[{"dish_id": dishes[p], "portions": 1}], collect=True),
    )


def visits(url: str, people: list[Any]) -> Claimed:
    """A child of each resident in a children's room."""
    sessions: dict[tuple[int, int], uuid.UUID] = {}
    with psycopg.connect(url) as c:
        for p in range(PLACES):
            room = _place(c, "childcare", "children_room")
            for t in range(TIMES):
                sessions[t, p] = _slot(c, "childcare", room, t, min_age=3, max_age=12, needs_guardian=True)
        born = clock.today() - timedelta(days=2400)
        children = [row[0] for row in c.execute("SELECT gen_random_uuid() FROM generate_series(1, %s)", (len(people),))]
        c.execute(
            "INSERT INTO holders (id, kind, name, community, born, level) SELECT n, 'person', '孩子', '33', %s, 2 "
            "FROM unnest(%s::uuid[]) n",
            (born, children),
        )
        c.execute(
            "INSERT INTO persons (id, name, born, community, level) SELECT n, '孩子', %s, '33', 2 FROM unnest(%s::uuid[]) n",
            (born, children),
        )
        c.execute(
            "INSERT INTO relations (actor_id, person_id, kind) "
            "SELECT a, p, 'guardian' FROM unnest(%s::uuid[], %s::uuid[]) AS r(a, p)",
            ([one[0] for one in people], children),
        )
        c.execute(
            "INSERT INTO consents (person_id, step, purpose, version, given, channel, given_by, by_account_no, by_person_id, "
            "community) SELECT p, 1, 'childcare', 1, true, 'app', 'guardian', n, a, '33' FROM unnest(%s::uuid[], %s::uuid[], %s::bigint[]) AS r(a, p, n)",
            ([one[0] for one in people], children, [one[3] for one in people]),
        )
    return Claimed(
        "/v1/childcare/visits", lambda n, t, p: _said(slot_id=sessions[t, p], persons=[children[n]], stays=False)
    )


def registrations(url: str, people: list[Any]) -> Claimed:  # noqa: ARG001 - as the others
    """A seat in one of an event's sessions."""
    sessions: dict[tuple[int, int], uuid.UUID] = {}
    with psycopg.connect(url) as c:
        for p in range(PLACES):
            hall, event = _place(c, "booking", "hall"), uuid.uuid4()
            now = clock.now()
            c.execute(
                "INSERT INTO events (id, kind, community, account_no, state, title, text, seats, questions, venue_group_id, "
                "place_id, starts_at, ends_at) VALUES (%s, 'event', '33', 1, 'published', '讲座', '', 1000000, '[]', %s, %s, %s, "
                "%s)",
                (
                    event,
                    uuid.uuid4(),
                    hall[0],
                    now + timedelta(hours=FIRST_HOUR),
                    now + timedelta(hours=FIRST_HOUR + TIMES),
                ),
            )
            for t in range(TIMES):
                about = {"subject_kind": "event", "subject_id": event, "is_counted": False}
                sessions[t, p] = _slot(c, "events", hall, t, **about)
    return Claimed("/v1/events/registrations", lambda _n, t, p: _said(slot_id=sessions[t, p]))


ALL = {"i": orders, "j": visits, "k": registrations}
"""By the letter of the benchmark's line."""
