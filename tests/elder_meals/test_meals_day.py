"""A day of meals through the front door: ordered, cooked, brought, and a door that stays shut."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Iterator

import pytest

from services import SERVICES
from shared import embedded
from shared.crypto import Keyring
from tests.conftest import copy_of
from tests.elder_meals.kitchens import ORDERS, Kitchen
from tests.gateway import doors
from tests.gateway.test_front import SHAPE, Front, claim_part, examined, is_problem, opened


@pytest.fixture(scope="module", params=["in one process", "services apart"])
def front(
    request: pytest.FixtureRequest,
    server: embedded.Embedded,
    template: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Front]:
    keys, folder = Keyring.fresh(), tmp_path_factory.mktemp("meals")
    with contextlib.ExitStack() as stack:
        url = stack.enter_context(copy_of(server, template))
        upstreams = {}
        if request.param == "services apart":
            for one in SERVICES:
                alone = doors.service_alone(one.name, url, keys, doors.demo(folder))
                upstreams[one.name] = stack.enter_context(alone)
        yield stack.enter_context(opened(url, keys, doors.demo(folder, upstreams=upstreams)))


def test_a_day_from_the_order_to_the_closed_door(front: Front) -> None:  # noqa: PLR0915 - a day is long
    kitchen = Kitchen(front)
    (elder,), (son,) = kitchen.elder(82), kitchen.town.residents()
    kitchen.town.relate(son, elder, "proxy")
    kitchen.knows(
        elder, diet=["low_salt"], allergens=["peanut"], contacts=[{"name": "儿子", "person_id": str(son.person_id)}]
    )
    made = kitchen.order(son, ("清蒸鱼", 2), ("小米粥", 1), elder=elder, key="lunch-for-father", note="少放姜")
    assert made.status_code == 201, made.text
    body = made.json()
    assert body.keys() >= SHAPE
    assert body["slot"]["id"] == kitchen.window()
    assert [(one["name"], one["portions"], one["price_fen"], one["subsidy_fen"]) for one in body["lines"]] == [
        ("清蒸鱼", 2, 2400, 360),
        ("小米粥", 1, 300, 0),
    ]
    assert [one["why"]["code"] for one in body["lines"]] == ["tier", "one_portion_per_meal"]
    assert (body["price_fen"], body["subsidy_fen"], body["fee_fen"], body["pay_fen"]) == (2700, 360, 200, 2540)
    assert body["deliver_to"]["address"] == "健康路9号"
    assert body["made_by"] == str(son.person_id)
    for path in (body["href"], "/v1/claims/by-key/lunch-for-father", f"/v1/claims/{body['group_id']}"):
        read = front.get(path, son).json()
        assert claim_part(read) == claim_part(body)
    assert front.get(body["href"], son).json().keys() == body.keys()
    assert front.get(body["href"], son).json() == body
    again = kitchen.order(son, ("清蒸鱼", 2), ("小米粥", 1), elder=elder, key="lunch-for-father", note="少放姜")
    assert (again.status_code, again.json()) == (201, body)
    assert again.headers["idempotency-replayed"] == "true"
    menu = kitchen.says("GET", f"{kitchen.path}/menus/{kitchen.day(2)}", None)
    assert {one["name"]: one["free"] for one in menu["dishes"]} == {"红烧肉": 20, "清蒸鱼": 18, "小米粥": 19}

    sheet = kitchen.says("GET", f"{kitchen.path}/production?date={kitchen.day(2)}", kitchen.cook)
    (window,) = sheet["windows"]
    assert (window["orders"], window["portions"]) == (1, 3)
    assert [(one["name"], one["portions"]) for one in window["dishes"]] == [("清蒸鱼", 2), ("小米粥", 1)]
    (ticket,) = window["tickets"]
    assert (ticket["no"], ticket["allergens"], ticket["diet"], ticket["note"]) == (
        body["no"],
        ["peanut"],
        ["low_salt"],
        "少放姜",
    )
    assert elder.name not in str(sheet)

    planned = kitchen.says(
        "POST",
        "/v1/elder-meals/rounds/plan",
        kitchen.cook,
        json={"slot_id": kitchen.window(), "couriers": [str(kitchen.courier.person_id)]},
    )
    (way,) = planned["items"]
    (mine,) = kitchen.says("GET", f"/v1/elder-meals/rounds?date={kitchen.day(2)}", kitchen.courier)["items"]
    assert (mine["id"], mine["mine"], mine["stops_open"]) == (way["id"], True, 1)
    assert kitchen.says("GET", f"/v1/elder-meals/rounds?date={kitchen.day(2)}", kitchen.other_courier)["items"] == []
    (stop,) = kitchen.says("GET", f"/v1/elder-meals/rounds/{way['id']}", kitchen.courier)["stops"]
    assert (stop["address"], stop["phone"], stop["dishes"], stop["name"]) == ("健康路9号", "154****0003", 3, elder.name)
    assert front.get(body["href"], son).json()["progress"] == "planned"

    report = {"id": str(uuid.uuid4()), "position": {"lat": 30.58, "lon": 120.82}, "note": "灯亮着"}
    shut = kitchen.outcome(body["id"], kitchen.courier, "unanswered", **report)
    assert shut.status_code == 200, shut.text
    check_id = shut.json()["welfare_check_id"]
    assert check_id is not None
    kitchen.work("escalate")
    check = kitchen.says("GET", f"/v1/elder-meals/welfare-checks/{check_id}", son)
    assert (check["state"], check["next"]["step"]) == ("open", "neighbour")
    assert [(one["kind"], one["step"]) for one in check["steps"]] == [("escalated", "called")]
    path = f"/v1/elder-meals/welfare-checks/{check_id}/steps"
    for kind, who in (("knocked", kitchen.courier), ("contact_reached", son)):
        told = {"id": str(uuid.uuid4()), "at": stop_time(), "kind": kind, "note": "在医院陪老伴"}
        assert kitchen.says("POST", path, who, json=told)["state"] == "open"
    closing = {"id": str(uuid.uuid4()), "at": stop_time(), "kind": "closed", "outcome": "safe_out"}
    assert is_problem(front.ask("POST", path, son, json=closing), 403, "not_allowed")
    done = kitchen.says("POST", path, kitchen.courier, json=closing)
    assert (done["state"], done["outcome"], done["next"]) == ("closed", "safe_out", None)
    assert [one["note"] for one in done["steps"]] == [None, "在医院陪老伴", "在医院陪老伴", None]
    assert kitchen.says("POST", path, kitchen.courier, json=closing) == done
    assert kitchen.notices(check_id) == [
        "elder-meals.welfare.opened",
        "elder-meals.welfare.escalated",
        "elder-meals.welfare.closed",
    ]
    assert kitchen.outcome(body["id"], kitchen.courier, "delivered").json()["outcome"] == "delivered"
    read = front.get(body["href"], son).json()
    assert (read["state"], read["progress"], read["outcome"]) == ("attended", "delivered", "delivered")
    assert kitchen.town.one("SELECT count(*) FROM meal_orders WHERE group_id = %s", body["group_id"]) == 1
    assert examined(front) == []


def stop_time() -> str:
    from shared import clock  # noqa: PLC0415 - a moment of the test

    return clock.now().isoformat()


def test_strangers_find_nothing_of_it(front: Front) -> None:
    kitchen = Kitchen(front, days=1)
    (elder,), (stranger,) = kitchen.elder(75), kitchen.town.residents()
    kitchen.knows(elder)
    body = kitchen.order(elder).json()
    assert is_problem(front.get(body["href"], stranger), 404, "not_there")
    assert is_problem(front.get(f"/v1/elder-meals/elders/{elder.person_id}", stranger), 404, "not_there")
    assert is_problem(front.get(f"/v1/elder-meals/elders/{elder.person_id}", kitchen.courier), 404, "not_there")
    assert is_problem(front.get(f"{kitchen.path}/production", stranger), 403, "not_allowed")
    assert is_problem(kitchen.outcome(body["id"], stranger, "delivered"), 404, "not_there")
    assert is_problem(kitchen.outcome(body["id"], elder, "delivered"), 403, "not_allowed")
    assert front.get(ORDERS, stranger).json()["items"] == []
    assert is_problem(kitchen.order(stranger, elder=elder), 403, "not_yours")
