"""Rushes for the last portion and at doors, through two gateways on one database. Every race has its control."""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from collections import Counter
from collections.abc import Coroutine, Iterator, Sequence
from datetime import timedelta
from functools import partial
from typing import Any

import httpx
import pytest

from services.elder_meals import tasks
from services.gateway import tasks as gateway_tasks
from services.gateway.app import Gateway
from shared import clock, embedded
from shared.crypto import Keyring
from shared.db import Database
from shared.web import Context
from tests.conftest import copy_of
from tests.elder_meals.kitchens import DOOR, ORDERS, Kitchen
from tests.gateway import doors
from tests.gateway.test_front import Front, examined, opened
from tests.gateway.test_races import both_look_then_write, naive_claim
from tests.town import Resident, Town


class Two:
    """A kitchen behind two gateways that know nothing of each other."""

    def __init__(self, front: Front, second: Gateway) -> None:
        self.front = front
        self.kitchen = Kitchen(front, days=5)
        self.town = front.town
        self.gateways = [front.gateway, second]
        transport = httpx.ASGITransport(second)
        self.clients = [front.client, httpx.AsyncClient(transport=transport, base_url="http://linli")]

    def at_once(self, asks: Sequence[Coroutine[Any, Any, Any]]) -> list[Any]:
        async def all_of_them() -> list[Any]:
            return list(await asyncio.gather(*asks))

        return self.front.runner.run(all_of_them())

    def post(self, n: int, who: Resident, path: str, body: Any) -> Coroutine[Any, Any, httpx.Response]:
        headers = who.headers(self.front.keys, uuid.uuid4().hex)
        return self.clients[n % 2].post(path, json=body, headers=headers)

    def delete(self, n: int, who: Resident, path: str) -> Coroutine[Any, Any, httpx.Response]:
        return self.clients[n % 2].delete(path, headers=who.headers(self.front.keys))

    def workers(self) -> list[Context]:
        found = []
        for gateway in self.gateways:
            parts = gateway.parts
            assert parts is not None
            role, ask = parts.db.of("linli_elder_meals"), partial(gateway_tasks.ask, parts)
            found.append(Context(role, parts.keys, parts.settings, ask=ask))
        return found

    def wish(self, elder: Resident, dish: str, n: int, portions: int = 1) -> dict[str, Any]:
        lines = [{"dish_id": self.kitchen.dishes[dish], "portions": portions}]
        return {
            "slot_id": self.kitchen.window(n),
            "persons": [str(elder.person_id)],
            "lines": lines,
            "deliver_to": DOOR,
        }


@pytest.fixture(scope="module")
def two(server: embedded.Embedded, template: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Two]:
    keys, folder = Keyring.fresh(), tmp_path_factory.mktemp("races")
    settings = doors.demo(folder, account_burst=100_000, address_burst=100_000)
    with copy_of(server, template) as url, opened(url, keys, settings) as front, contextlib.ExitStack() as stack:
        db = Database.connect(url, pool_size=6)
        second = Gateway(db, keys, settings)
        life = second.running()
        front.runner.run(life.__aenter__())
        stack.callback(lambda: front.runner.run(db.close()))
        stack.callback(lambda: front.runner.run(life.__aexit__(None, None, None)))
        made = Two(front, second)
        stack.callback(lambda: front.runner.run(made.clients[1].aclose()))
        yield made


def stock(two: Two, dish: str, n: int) -> uuid.UUID:
    found: uuid.UUID = two.town.one(
        "SELECT slot_id FROM menu_dishes WHERE place_id = %s AND dish_id = %s AND day = %s",
        two.kitchen.id,
        two.kitchen.dishes[dish],
        clock.today() + timedelta(days=n),
    )
    return found


def test_sixty_elders_ask_for_ten_portions_and_ten_are_cooked(two: Two) -> None:
    two.kitchen.menu(2, 清蒸鱼=10)
    elders = two.kitchen.elder(count=60)
    asks = [two.post(n, one, ORDERS, two.wish(one, "清蒸鱼", 2)) for n, one in enumerate(elders)]
    answers = two.at_once(asks)
    assert Counter(one.status_code for one in answers) == {201: 10, 409: 50}
    assert {one.json()["code"] for one in answers if one.status_code == 409} <= {"full", "held"}
    assert two.town.one("SELECT taken FROM slots WHERE id = %s", stock(two, "清蒸鱼", 2)) == 10
    assert two.town.one("SELECT taken FROM slots WHERE id = %s", two.kitchen.window(2)) == 10
    assert examined(two.front) == []


def test_control_without_its_referee_the_last_portion_is_given_twice(server: embedded.Embedded, template: str) -> None:
    with copy_of(server, template) as url:
        town = Town(url)
        last = town.slot(9, capacity=1, subject_kind="dish", subject_id=uuid.uuid4(), is_exclusive=False)
        claims = [naive_claim(last, who) for who in town.residents(2)]
        assert sorted(map(str, both_look_then_write(url, claims))) == ["None", "taken_within_capacity"]
        town.do("ALTER TABLE slots DROP CONSTRAINT taken_within_capacity")
        again = town.slot(11, capacity=1, subject_kind="dish", subject_id=uuid.uuid4(), is_exclusive=False)
        claims = [naive_claim(again, who) for who in town.residents(2)]
        assert both_look_then_write(url, claims) == [None, None]
        assert town.one("SELECT taken FROM slots WHERE id = %s", again) == 2, "one portion, two elders"


def test_fewer_portions_and_a_rush_at_once_never_promise_more_than_is_cooked(two: Two) -> None:
    elders = two.kitchen.elder(count=20)
    asks = [two.post(n, one, ORDERS, two.wish(one, "小米粥", 3)) for n, one in enumerate(elders)]
    path = f"{two.kitchen.path}/menus/{two.kitchen.day(3)}"
    dishes = [{"dish_id": one, "portions": 5} for one in two.kitchen.dishes.values()]
    headers = two.kitchen.cook.headers(two.front.keys) | {"If-Match": "*"}
    edit = two.clients[0].put(path, json={"dishes": dishes, "published": True}, headers=headers)
    *answers, edited = two.at_once([*asks, edit])
    made = sum(one.status_code == 201 for one in answers)
    assert edited.status_code in (200, 409, 503), edited.text
    assert made <= 5 if edited.status_code == 200 else made > 5
    capacity, taken = two.town.all("SELECT capacity, taken FROM slots WHERE id = %s", stock(two, "小米粥", 3))[0]
    assert taken == made <= capacity
    assert examined(two.front) == []


def ordered(two: Two, elder: Resident, n: int) -> str:
    answer = two.kitchen.order(elder, ("小米粥", 1), n=n, deliver_to=DOOR)
    assert answer.status_code == 201, answer.text
    two.kitchen.on_a_round(answer.json()["id"])
    two.kitchen.comes(answer.json()["id"])
    return str(answer.json()["id"])


def report(outcome: str, **more: Any) -> dict[str, Any]:
    return {"id": str(uuid.uuid4()), "at": clock.now().isoformat(), "outcome": outcome} | more


def test_a_report_that_is_sent_eight_times_at_once_counts_once(two: Two) -> None:
    (elder,) = two.kitchen.elder()
    order, told = ordered(two, elder, 4), report("unanswered")
    answers = two.at_once([two.post(n, two.kitchen.courier, f"{ORDERS}/{order}/outcome", told) for n in range(8)])
    good = [one.json() for one in answers if one.status_code == 200]
    assert good
    assert all(one == good[0] for one in good)
    assert {one.status_code for one in answers} <= {200, 409}
    assert two.town.one("SELECT count(*) FROM meal_outcomes WHERE order_id = %s", order) == 1
    assert two.town.one("SELECT count(*) FROM welfare_checks WHERE person_id = %s", elder.person_id) == 1
    assert examined(two.front) == []


def test_two_shut_doors_of_one_elder_open_one_check(two: Two) -> None:
    (elder,) = two.kitchen.elder()
    orders = [ordered(two, elder, n) for n in (5, 6)]
    answers = two.at_once(
        [
            two.post(n, who, f"{ORDERS}/{order}/outcome", report("unanswered"))
            for n, (order, who) in enumerate(zip(orders, (two.kitchen.courier, two.kitchen.other_courier), strict=True))
        ]
    )
    assert [one.status_code for one in answers] == [200, 200]
    assert len({one.json()["welfare_check_id"] for one in answers}) == 1
    assert sorted(one.json()["reasons"] for one in answers) == [[], ["check_was_open"]]
    assert examined(two.front) == []


def test_two_workers_say_each_step_once(two: Two) -> None:
    (elder,) = two.kitchen.elder()
    order = ordered(two, elder, 4)
    old = (clock.now() - timedelta(hours=1)).isoformat()
    check = two.kitchen.outcome(order, two.kitchen.courier, "unanswered", at=old).json()["welfare_check_id"]
    for _ in range(3):
        two.at_once([tasks.escalate(context) for context in two.workers() * 2])
    steps = two.town.all(
        "SELECT rung FROM welfare_steps WHERE check_id = %s AND kind = 'escalated' ORDER BY rung", check
    )
    assert [row[0] for row in steps] == [0, 1]
    assert two.kitchen.notices(check).count("elder-meals.welfare.escalated") == 2
    assert examined(two.front) == []


def test_a_meal_is_given_back_or_eaten_never_both(two: Two) -> None:
    elders = two.kitchen.elder(count=6)
    orders = [ordered(two, one, 5) for one in elders]
    asks = []
    for n, (elder, order) in enumerate(zip(elders, orders, strict=True)):
        asks.append(two.post(n, two.kitchen.courier, f"{ORDERS}/{order}/outcome", report("delivered")))
        asks.append(two.delete(n + 1, elder, f"{ORDERS}/{order}"))
    two.at_once(asks)
    for order in orders:
        outcome, states = two.town.all(
            "SELECT o.outcome, array_agg(DISTINCT c.state) FROM meal_orders o JOIN claims c ON c.group_id = o.group_id"
            " WHERE o.id = %s GROUP BY o.id",
            order,
        )[0]
        assert (outcome, states) in (("delivered", ["attended"]), (None, ["released"]))
    assert examined(two.front) == []


def test_two_plans_at_once_send_one_courier_to_each_door(two: Two) -> None:
    for elder in two.kitchen.elder(count=5):
        ordered(two, elder, 6)
    body = {"slot_id": two.kitchen.window(6), "couriers": [str(two.kitchen.courier.person_id)]}
    answers = two.at_once([two.post(n, two.kitchen.cook, "/v1/elder-meals/rounds/plan", body) for n in range(4)])
    assert {one.status_code for one in answers} <= {200, 503}
    doubled = "SELECT count(*) FROM (SELECT order_id FROM stops GROUP BY order_id HAVING count(*) > 1) d"
    assert two.town.one(doubled) == 0
    planned = "SELECT count(*) FROM stops s JOIN rounds r ON r.id = s.round_id WHERE r.slot_id = %s"
    assert two.town.one(planned, two.kitchen.window(6)) >= 5


def test_two_workers_order_each_standing_meal_once(two: Two) -> None:
    elders = two.kitchen.elder(count=4)
    for elder in elders:
        body = {
            "kitchen_id": str(two.kitchen.id),
            "weekdays": list(range(7)),
            "window": "午餐",
            "lines": [{"dish_id": two.kitchen.dishes["红烧肉"]}],
            "collect": True,
            "starts_on": two.kitchen.day(4),
            "until": two.kitchen.day(6),
        }
        two.kitchen.says("POST", "/v1/elder-meals/standing-orders", elder, 201, json=body)
    for _ in range(2):
        two.at_once([tasks.order_standing(context) for context in two.workers() * 2])
    found = two.town.all(
        "SELECT person_id, day, count(*) FROM meal_orders WHERE person_id = ANY(%s) GROUP BY 1, 2",
        [one.person_id for one in elders],
    )
    assert len(found) == 12
    assert {row[2] for row in found} == {1}
    assert two.town.one("SELECT count(*) FROM standing_runs WHERE state <> 'ordered'") == 0
    assert examined(two.front) == []


def test_control_without_its_referee_an_elder_has_two_checks_open(two: Two) -> None:
    """Last, as it leaves the town without a law."""
    two.town.do("DROP INDEX one_open_welfare_check_per_elder")
    (elder,) = two.kitchen.elder()
    for n in (4, 5):
        two.kitchen.outcome(ordered(two, elder, n), two.kitchen.courier, "unanswered")
    open_ = "SELECT count(*) FROM welfare_checks WHERE person_id = %s AND state = 'open'"
    assert two.town.one(open_, elder.person_id) == 2
    assert "no elder has two welfare checks open" in dict(examined(two.front))
