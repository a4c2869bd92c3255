"""A kitchen for tests, made through the front door as its people would: windows, dishes, a menu, terms, elders."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import date, datetime, timedelta
from typing import Any

import httpx

from services.elder_meals import tasks
from services.gateway import tasks as gateway_tasks
from shared import clock
from shared.web import Context
from tests.gateway.test_front import Front
from tests.town import Resident

KITCHENS = "/v1/elder-meals/kitchens"
ORDERS = "/v1/elder-meals/orders"
HOME = "330424101003"
TERMS = {
    "area": ["330424101"],
    "subsidy": {
        "tiers": [
            {"from_age": 60, "percent": 15},
            {"from_age": 70, "percent": 20},
            {"from_age": 80, "percent": 30},
            {"from_age": 90, "percent": 50},
        ],
        "residents_of": ["330424101"],
        "funding": {"government": 60, "enterprise": 30, "charity": 10},
    },
    "delivery_fee_fen": 200,
    "ladder": [{"after_minutes": 0, "step": "called"}, {"after_minutes": 15, "step": "neighbour"}],
}
DISHES = {
    "红烧肉": {"allergens": ["soy", "gluten"], "price_fen": 1500},
    "清蒸鱼": {"allergens": ["fish"], "price_fen": 1200, "diets": ["low_salt", "low_oil"], "texture": "soft"},
    "小米粥": {"price_fen": 300, "diets": ["low_salt", "low_oil", "vegetarian", "halal"], "texture": "liquid"},
}
DOOR = {"region": HOME, "address": "健康路9号", "note": "门铃坏了", "phone": "15400000003"}


class Kitchen:
    """A kitchen with a lunch window every day, three dishes, and a menu for the days after tomorrow."""

    def __init__(self, front: Front, *, days: int = 4, portions: int = 20) -> None:
        self.front = front
        self.town = front.town
        self.manager, self.cook, self.courier, self.other_courier = self.town.residents(4, community=HOME)
        self.town.appoint(self.manager, "manager", prefix="330424101")
        self.town.appoint(self.cook, "kitchen", prefix="330424101")
        self.town.appoint(self.courier, "courier", prefix="330424101")
        self.town.appoint(self.other_courier, "courier", prefix="330424101")
        body = {
            "name": f"厨房 {uuid.uuid4().hex[:6]}",
            "kind": "kitchen",
            "community": HOME,
            "resources": [{"name": "午餐", "is_exclusive": False, "capacity": 30}],
        }
        self.id = self.says("POST", KITCHENS, self.manager, 201, json=body)["id"]
        policy = {
            "audience": {"min_age": 60},
            "is_exclusive": False,
            "close_at": {"days_ahead": 1, "at": "16:00"},
            "cancel_at": {"days_ahead": 1, "at": "16:00"},
        }
        self.put("policy", policy)
        line = {
            "weekdays": list(range(7)),
            "starts": "10:30",
            "ends": "12:30",
            "slot_minutes": 120,
            "resource": "午餐",
            "title": "午餐",
        }
        self.put("schedule", {"lines": [line]})
        self.put("terms", TERMS)
        made = {
            name: self.says("POST", f"{self.path}/dishes", self.cook, 201, json={"name": name, **dish})
            for name, dish in DISHES.items()
        }
        self.dishes = {name: dish["id"] for name, dish in made.items()}
        self.menus = {self.day(n): self.menu(n, portions=portions) for n in range(2, 2 + days)}

    @property
    def path(self) -> str:
        return f"{KITCHENS}/{self.id}"

    def says(self, method: str, path: str, who: Resident | None, status: int | None = 200, **more: Any) -> Any:
        answer = self.front.ask(method, path, who, **more)
        assert status is None or answer.status_code == status, answer.text
        return answer.json()

    def put(self, what: str, body: dict[str, Any], who: Resident | None = None, status: int = 200) -> Any:
        """Say something of the kitchen anew, with the version that is there."""
        read = self.front.get(f"{self.path}/{what}", self.manager)
        headers = {"If-Match": read.headers["etag"]}
        return self.says("PUT", f"{self.path}/{what}", who or self.manager, status, json=body, headers=headers)

    def day(self, n: int) -> str:
        return (clock.today() + timedelta(days=n)).isoformat()

    def menu(self, n: int, *, portions: int = 20, published: bool = True, status: int = 200, **named: int) -> Any:
        dishes = [{"dish_id": one, "portions": named.get(name, portions)} for name, one in self.dishes.items()]
        dishes = [one for one in dishes if one["portions"]]
        return self.put(f"menus/{self.day(n)}", {"dishes": dishes, "published": published}, self.cook, status)

    def window(self, n: int = 2) -> str:
        found = self.town.one(
            "SELECT id FROM slots WHERE place_id = %s AND subject_id IS NULL"
            " AND (starts_at AT TIME ZONE 'Asia/Shanghai')::date = %s",
            self.id,
            clock.today() + timedelta(days=n),
        )
        return str(found)

    def elder(self, age: int = 82, *, community: str = HOME, count: int = 1) -> list[Resident]:
        today = clock.today()
        return self.town.residents(count, born=date(today.year - age, 1, 1), community=community)

    def consents(self, elder: Resident, purpose: str = "health") -> None:
        body = {"given": True, "version": 1}
        self.says("PUT", f"/v1/identity/me/consents/{purpose}", elder, json=body)

    def knows(self, elder: Resident, **told: Any) -> Any:
        """The elder says what must be known of them."""
        if told.get("diet") or told.get("allergens") or told.get("texture"):
            self.consents(elder)
        return self.says("PUT", f"/v1/elder-meals/elders/{elder.person_id}", elder, json={"deliver_to": DOOR, **told})

    def order(
        self,
        who: Resident,
        *lines: tuple[str, int],
        n: int = 2,
        elder: Resident | None = None,
        key: str | None = None,
        **body: Any,
    ) -> httpx.Response:
        wanted = lines or (("清蒸鱼", 1),)
        told = {
            "slot_id": self.window(n),
            "lines": [{"dish_id": self.dishes[name], "portions": portions} for name, portions in wanted],
        } | body
        if elder is not None:
            told["persons"] = [str(elder.person_id)]
        if not told.keys() & {"deliver_to", "collect"} and not self.has_door(elder or who):
            told["collect"] = True
        return self.front.ask("POST", ORDERS, who, key=key or uuid.uuid4().hex, json=told)

    def has_door(self, elder: Resident) -> bool:
        """Whether anything is known of an elder, so where they live; who has no door fetches the meal."""
        return bool(self.town.one("SELECT count(*) FROM elder_profiles WHERE person_id = %s", elder.person_id))

    def outcome(self, order: str, who: Resident, outcome: str, **more: Any) -> httpx.Response:
        body = {"id": str(uuid.uuid4()), "at": clock.now().isoformat(), "outcome": outcome} | more
        self.comes(order, body["at"])
        if who in (self.courier, self.other_courier):
            self.on_a_round(order)
        return self.front.ask("POST", f"{ORDERS}/{order}/outcome", who, json=body)

    def comes(self, order: str, at: str = "now") -> None:
        """The hour of a meal has come, and it was ordered before: earlier nobody may say what became of it."""
        self.town.do(
            "UPDATE meal_orders SET starts_at = now() - interval '6 hours', made_at = least(made_at, %s) WHERE id = %s",
            *(at, order),
        )

    @contextmanager
    def is_over(self, order: str) -> Iterator[None]:
        """The window of an order has ended; afterwards it is when it was."""
        where = "WHERE id = (SELECT slot_id FROM meal_orders WHERE id = %s)"
        (times,) = self.town.all(f"SELECT starts_at, ends_at FROM slots {where}", order)
        over = (clock.now() - timedelta(hours=2, seconds=1), clock.now() - timedelta(seconds=1))
        self.town.do(f"UPDATE slots SET starts_at = %s, ends_at = %s {where}", *over, order)
        yield
        self.town.do(f"UPDATE slots SET starts_at = %s, ends_at = %s {where}", *times, order)

    def on_a_round(self, order: str) -> None:
        """A meal that goes to a door is on somebody's round, or on one that any courier may take."""
        told = self.town.all(
            "SELECT o.slot_id FROM meal_orders o LEFT JOIN stops s ON s.order_id = o.id WHERE o.id = %s"
            " AND s.order_id IS NULL AND o.region IS NOT NULL AND o.outcome IS NULL",
            order,
        )
        for (slot_id,) in told:
            self.says("POST", "/v1/elder-meals/rounds/plan", self.cook, json={"slot_id": str(slot_id)})

    @property
    def context(self) -> Context:
        """What the worker gives to the kitchens' tasks."""
        parts = self.front.parts
        from functools import partial  # noqa: PLC0415 - only here

        ask = partial(gateway_tasks.ask, parts)
        return Context(parts.db.of("linli_elder_meals"), parts.keys, parts.settings, ask=ask)

    def work(self, *names: str) -> list[Any]:
        """Run tasks of the kitchens once."""
        todo = [one for one in tasks.TASKS if one.name.removeprefix("elder-meals.") in names]
        return [self.front.runner.run(one.run(self.context)) for one in todo]

    def deeds(self, action: str, person: Resident) -> list[tuple[int, str]]:
        """Who did this about somebody, and with which order."""
        return self.town.all(
            "SELECT account_no, data->>'order_id' FROM audit WHERE action = %s AND person_id = %s ORDER BY no",
            action,
            person.person_id,
        )

    def notices(self, subject: str) -> Sequence[str]:
        return [row[0] for row in self.town.all("SELECT type FROM notices WHERE subject = %s ORDER BY no", subject)]


def at(day: date, hour: int) -> datetime:
    return clock.at(day, datetime.min.time()) + timedelta(hours=hour)
