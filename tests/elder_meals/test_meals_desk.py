"""A kitchen at its own desk: it orders for who calls, shuts itself, adds a meal for today; and what can be named in an order."""

from __future__ import annotations

import uuid
from datetime import datetime, timedelta
from typing import Any

import pytest

from services.elder_meals.schemas.orders import OrderIn
from services.gateway import claiming as gateway
from shared import clock
from tests.elder_meals.kitchens import DOOR, HOME, Kitchen
from tests.gateway.test_front import Front, is_problem
from tests.town import Resident


@pytest.fixture(scope="module")
def keeper(kitchen: Kitchen) -> Resident:
    """Who cooks in this kitchen and in no other."""
    (one,) = kitchen.town.residents(community=HOME)
    kitchen.town.appoint(one, "kitchen", prefix=HOME, place_id=uuid.UUID(kitchen.id))
    return one


def minutes(n: float) -> str:
    return (clock.now() + timedelta(minutes=n)).isoformat()


def shut(n: int) -> dict[str, str]:
    begins = clock.at(clock.today() + timedelta(days=n), datetime.min.time())
    return {"starts_at": begins.isoformat(), "ends_at": (begins + timedelta(days=1)).isoformat(), "reason": "停气"}


@pytest.mark.parametrize("channel", ["desk", "phone"])
def test_a_kitchen_orders_at_its_own_desk_and_at_no_other(
    kitchen: Kitchen, front: Front, keeper: Resident, channel: str
) -> None:
    (elder,) = kitchen.elder()
    other = Kitchen(front, days=1)
    made = kitchen.order(keeper, ("小米粥", 1), n=3, elder=elder, channel=channel, deliver_to=DOOR)
    assert made.status_code == 201, made.text
    assert kitchen.says("GET", made.json()["href"], elder)["state"] == "confirmed"
    assert is_problem(other.order(keeper, elder=elder, channel=channel), 403, "not_yours")
    assert is_problem(kitchen.order(kitchen.cook, n=4, elder=elder, channel=channel), 403, "not_yours")
    assert is_problem(kitchen.order(keeper, n=4, elder=elder), 403, "not_yours"), "only as asked at the desk"
    court = {"slot_id": str(front.town.slot(community=HOME)), "persons": [str(elder.person_id)], "channel": channel}
    answer = front.ask("POST", "/v1/booking/reservations", keeper, key=uuid.uuid4().hex, json=court)
    assert is_problem(answer, 403, "not_yours")


def test_a_kitchen_shuts_and_opens_itself_and_no_other(front: Front) -> None:
    own, other = Kitchen(front, days=1), Kitchen(front, days=1)
    (keeper,), (elder,) = own.town.residents(), own.elder()
    own.town.appoint(keeper, "kitchen", prefix=HOME, place_id=uuid.UUID(own.id))
    order = own.order(elder).json()
    dry = shut(2) | {"dry_run": True}
    assert own.says("POST", f"{own.path}/closures", keeper, 200, json=dry)["released"] == 1
    made = own.says("POST", f"{own.path}/closures", keeper, 201, json=shut(2))
    assert (made["slots"], made["released"]) == (1, 1)
    assert front.get(order["href"], elder).json()["state"] == "released"
    path = f"{own.path}/closures/{made['id']}"
    for stranger in (other.cook, own.courier, elder):
        assert is_problem(front.ask("DELETE", path, stranger), 403, "not_allowed")
        for told in (dry, shut(2)):
            refused = front.ask("POST", f"{own.path}/closures", stranger, json=told)
            assert is_problem(refused, 403, "not_allowed")
    assert is_problem(front.ask("POST", f"{other.path}/closures", keeper, json=shut(2)), 403, "not_allowed")
    extra = {"resource": "午餐", "starts_at": minutes(60), "ends_at": minutes(90), "title": "加餐"}
    assert is_problem(front.ask("POST", f"{own.path}/slots", keeper, json=extra), 403, "not_allowed")
    assert front.ask("DELETE", path, keeper).status_code == 204
    assert own.order(elder).status_code == 201


def test_a_meal_that_is_added_for_today_can_still_be_ordered(front: Front) -> None:
    own = Kitchen(front, days=1)
    own.menu(0)

    def extra(status: int = 201, **told: Any) -> Any:
        """The deadline of a session that begins in an hour, as minutes before it begins."""
        begins = clock.now() + timedelta(hours=1)
        body = {"resource": "午餐", "title": f"加餐 {uuid.uuid4().hex[:6]}", **told}
        body |= {"starts_at": begins.isoformat(), "ends_at": (begins + timedelta(hours=1)).isoformat()}
        made = own.says("POST", f"{own.path}/slots", own.manager, status, json=body)
        return made["id"] if status == 201 else made["code"]

    def closing(slot: str) -> float:
        read = own.says("GET", f"/v1/slots/{slot}", None)
        left = datetime.fromisoformat(read["starts_at"]) - datetime.fromisoformat(read["closes_at"])
        return round(left.total_seconds() / 60)

    plain, told, minute = extra(), extra(closes_at=minutes(40)), extra(close_minutes=30)
    assert [closing(one) for one in (plain, told, minute)] == [0, 20, 30], "the day before is over: until it begins"
    for wrong in (
        {"closes_at": minutes(-1)},
        {"closes_at": minutes(61)},
        {"close_minutes": 61},
        {"close_minutes": -1},
        {"closes_at": minutes(40), "close_minutes": 20},
        {"closes_at": "tomorrow"},
        {"close_minutes": 10**9},
    ):
        assert extra(422, **wrong) == "unprocessable"
    policy = own.says("GET", f"{own.path}/policy", own.manager)
    again = {key: value for key, value in policy.items() if key not in ("version", "made_at")}
    own.put("policy", again)
    assert [closing(one) for one in (plain, told, minute)] == [0, 20, 30], (
        "a new policy leaves them their own deadlines"
    )
    own.put("policy", again | {"close_at": None, "close_minutes": 45})
    assert closing(extra()) == 45
    assert [closing(one) for one in (plain, told, minute)] == [0, 20, 30]
    own.put("policy", again | {"close_at": None, "close_minutes": 90})
    assert closing(extra()) == 0
    (elder,) = own.elder()
    if (
        clock.local(clock.now() + timedelta(hours=2)).date() == clock.today()
    ):  # an hour before midnight it is tomorrow's
        own.work("stock_up")
        assert own.order(elder, slot_id=plain).status_code == 201


def test_slots_are_what_an_order_can_name(kitchen: Kitchen, front: Front) -> None:
    (elder,) = kitchen.elder()
    path = f"/v1/slots?service=elder-meals&facility={kitchen.id}&to={kitchen.day(6)}&limit=500"
    found = front.get(path, elder).json()["items"]
    assert {one["title"] for one in found} == {"午餐"}
    assert all(one["subject"] is None for one in found)
    fish = kitchen.dishes["清蒸鱼"]
    about = front.get(f"{path}&subject={fish}", elder).json()["items"]
    assert [one["subject"] for one in about] == [{"kind": "dish", "id": fish}] * len(kitchen.menus)
    assert front.get(f"{path}&subject={uuid.uuid4()}", elder).json()["items"] == []
    assert is_problem(front.get(f"{path}&subject=fish", elder), 422)


def test_what_is_not_offered_is_named(kitchen: Kitchen, front: Front) -> None:
    (elder,) = kitchen.elder()
    theirs = Kitchen(front, days=1).dishes["清蒸鱼"]
    lines = [{"dish_id": kitchen.dishes["小米粥"]}, {"dish_id": theirs}]
    refused = kitchen.order(elder, n=4, lines=lines)
    assert is_problem(refused, 409, "not_offered")
    assert refused.json()["errors"] == [{"pointer": "/lines/1/dish_id", "code": "not_offered"}]
    first = kitchen.order(elder, n=4, lines=lines[::-1]).json()
    assert [one["pointer"] for one in first["errors"]] == ["/lines/0/dish_id"]
    series = {"series_id": str(uuid.uuid4())}
    nothing = front.ask("POST", "/v1/events/registrations", elder, key=uuid.uuid4().hex, json=series)
    assert is_problem(nothing, 409, "not_offered")
    assert [one["pointer"] for one in nothing.json()["errors"]] == ["/series_id"]


def test_a_body_is_read_once_or_remembered_and_nothing_said_is_nothing_sealed(
    kitchen: Kitchen, front: Front, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads = []
    validate = OrderIn.model_validate_json

    def read(body: bytes) -> OrderIn:
        reads.append(body)
        return validate(body)

    monkeypatch.setattr(OrderIn, "model_validate_json", read)
    plain, told, same = kitchen.elder(count=3)
    orders = [kitchen.order(plain, n=5, collect=True).json(), kitchen.order(told, n=5, collect=True, note="软").json()]
    assert [b"note" in body for body in reads] == [False, True]
    assert kitchen.order(same, n=5, collect=True).json()["id"] != orders[0]["id"]
    assert len(reads) == 2, "what says nothing of a person is read once for all who say it"
    assert not [body for _, body in gateway._readings if b"note" in body or b"persons" in body], "or not kept"
    sealed = [bytes(front.town.one("SELECT sealed FROM meal_orders WHERE id = %s", one["id"])) for one in orders]
    assert [bool(one) for one in sealed] == [False, True]
    assert [front.get(one["href"], who).json() for one, who in zip(orders, (plain, told), strict=True)] == orders
    sheet = kitchen.says("GET", f"{kitchen.path}/production?date={kitchen.day(5)}", kitchen.cook)
    tickets = {one["order_id"]: one for one in sheet["windows"][0]["tickets"]}
    assert [(tickets[one["id"]]["texture"], tickets[one["id"]]["note"]) for one in orders] == [
        ("normal", None),
        ("normal", "软"),
    ]
