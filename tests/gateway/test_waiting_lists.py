"""Waiting lists: who leaves has left, and nobody waits for what could never be had."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Iterator, Sequence
from typing import Any

import httpx
import pytest

from services.gateway.arbiter import waiting
from shared.crypto import Keyring
from shared.db import Tx
from shared.settings import Settings
from tests.elder_meals.kitchens import ORDERS, Kitchen
from tests.gateway import doors
from tests.gateway.test_front import RESERVATIONS, Front, examined, is_problem, opened


@pytest.fixture
def front(database_url: str, keys: Keyring, settings: Settings) -> Iterator[Front]:
    with opened(database_url, keys, settings) as front:
        yield front


def test_who_leaves_when_the_turn_has_come_is_not_put_back_and_gets_no_place(
    front: Front, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The round has read whose turn it is, and then they leave: a freed place goes to whoever still waits."""
    town = front.town
    slot = town.slot(capacity=1)
    has, leaves, stays = town.residents(3)
    made = front.book(has, slot).json()
    asks = [doors.wants(one, slot, if_full="wait") for one in (leaves, stays)]
    waits = [front.ask("POST", RESERVATIONS, one.who, key=one.key, json=one.body).json() for one in asks]
    assert [one["state"] for one in waits] == ["waiting", "waiting"]
    assert front.ask("DELETE", made["href"], has).status_code == 200
    read = waiting.due

    async def then_one_leaves(tx: Tx, after: int) -> tuple[Sequence[Any], int | None]:
        found = await read(tx, after)
        headers = leaves.headers(front.keys, None, front.parts.settings.issuer)
        left = await front.client.delete(waits[0]["href"], headers=headers)
        assert left.json()["state"] == "released"
        return found

    monkeypatch.setattr(waiting, "due", then_one_leaves)
    front.serve_waiting()
    monkeypatch.undo()
    front.serve_waiting()
    assert front.get(waits[0]["href"], leaves).json()["state"] == "released"
    assert town.one("SELECT count(*) FROM claims WHERE holder_no = %s", leaves.holder_no) == 0
    assert town.all("SELECT holder_no FROM claims WHERE slot_id = %s AND is_active", slot) == [(stays.holder_no,)]
    assert town.one("SELECT waiting FROM slots WHERE id = %s", slot) == 0
    assert examined(front) == []


def test_nobody_waits_for_what_the_service_would_refuse(front: Front) -> None:
    other = Kitchen(front, days=1)
    first, allergic, far, last = other.elder(count=4)
    other.knows(allergic, allergens=["fish"])
    window = other.window()
    front.town.do("UPDATE slots SET capacity = 1 WHERE id = %s", window)
    made = other.order(first).json()
    key = uuid.uuid4().hex
    for _ in range(2):
        assert is_problem(other.order(allergic, key=key, if_full="wait"), 409, "diet_conflict"), "also asked again"
    elsewhere = {"region": "330411105003", "address": "远处"}
    refused = other.order(far, if_full="wait", deliver_to=elsewhere)
    assert is_problem(refused, 409, "outside_delivery_area")
    assert front.town.one("SELECT count(*) FROM waits") == 0
    assert front.town.one("SELECT waiting FROM slots WHERE id = %s", window) == 0
    waits = other.order(last, if_full="wait")
    assert (waits.status_code, waits.json()["position"]) == (202, 1)
    front.ask("DELETE", made["href"], first)
    front.serve_waiting()
    assert front.get(waits.json()["href"], last).json()["state"] == "confirmed"
    assert examined(front) == []


def test_who_sends_it_twice_at_once_hears_the_refusal_or_to_come_again(front: Front) -> None:
    other = Kitchen(front, days=1)
    first, allergic = other.elder(count=2)
    other.knows(allergic, allergens=["fish"])
    front.town.do("UPDATE slots SET capacity = 1 WHERE id = %s", other.window())
    other.order(first)
    lines = [{"dish_id": other.dishes["清蒸鱼"], "portions": 1}]
    body = {"slot_id": other.window(), "lines": lines, "collect": True, "if_full": "wait"}
    headers = allergic.headers(front.keys, uuid.uuid4().hex, front.parts.settings.issuer)

    async def at_once() -> list[httpx.Response]:
        return await asyncio.gather(*(front.client.post(ORDERS, json=body, headers=headers) for _ in range(4)))

    for _ in range(3):
        codes = [one.json()["code"] for one in front.runner.run(at_once())]
        assert set(codes) <= {"diet_conflict", "in_flight"}, codes
        assert "diet_conflict" in codes
    assert front.town.one("SELECT count(*) FROM waits") == 0


def test_who_can_never_fit_any_more_leaves_the_list(front: Front) -> None:
    """A family of three waits, and there are only two places now: nobody stands before an empty place."""
    town = front.town
    slot = town.slot(capacity=3)
    has, parent, later = town.residents(3)
    family = [parent, *town.residents(2)]
    for one in family[1:]:
        town.relate(parent, one)
    made = front.book(has, slot).json()
    people = [str(one.person_id) for one in family]
    waits = front.book(parent, slot, persons=people, if_full="wait").json()
    assert waits["state"] == "waiting"
    town.do("UPDATE slots SET capacity = 2 WHERE id = %s", slot)
    front.ask("DELETE", made["href"], has)
    assert front.serve_waiting() == 1
    lost = front.get(waits["href"], parent).json()
    assert (lost["state"], lost["reason"]) == ("lost", "not_waitable")
    assert front.book(later, slot).status_code == 201
    assert examined(front) == []
