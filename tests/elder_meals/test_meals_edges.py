"""What is refused in kitchens, and what nobody can do to them: other people's things, deadlines, hostile words, impossible days."""

from __future__ import annotations

import csv
import io
import json
import uuid
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from services.gateway.tasks import stamp_notices
from shared import clock
from tests.elder_meals.kitchens import DOOR, ORDERS, Kitchen, at
from tests.gateway.test_front import Front, examined, is_problem
from tests.town import Resident

ROOT = Path(__file__).resolve().parents[2]
HOSTILE = "=cmd|'/c calc'!A1 <script>alert(1)</script> '; DROP TABLE dishes;-- ﷽ \u202e"


def codes(answer: Any) -> list[tuple[str, str]]:
    return [(one["pointer"], one["code"]) for one in answer.json()["errors"]]


# ---------------------------------------------------------------- dishes and menus


def test_a_dish_is_changed_by_who_read_it_and_retired_when_no_menu_names_it(kitchen: Kitchen, front: Front) -> None:
    body = {"name": f"狮子头 {uuid.uuid4().hex[:4]}", "price_fen": 1800}
    dish = kitchen.says("POST", f"{kitchen.path}/dishes", kitchen.cook, 201, json=body)
    assert is_problem(front.ask("POST", f"{kitchen.path}/dishes", kitchen.cook, json=body), 409, "exists")
    path = f"{kitchen.path}/dishes/{dish['id']}"
    assert is_problem(front.ask("PUT", path, kitchen.cook, json=body), 428, "condition_missing")
    stale = {"If-Match": '"7"'}
    assert is_problem(front.ask("PUT", path, kitchen.cook, json=body, headers=stale), 412, "changed")
    fresh = {"If-Match": '"1"'}
    kitchen.says("PUT", path, kitchen.cook, json=body | {"price_fen": 1900}, headers=fresh)
    assert kitchen.says("DELETE", path, kitchen.cook)["state"] == "retired"
    assert kitchen.says("DELETE", path, kitchen.cook)["state"] == "retired"
    assert kitchen.says("POST", f"{kitchen.path}/dishes", kitchen.cook, 201, json=body)["id"] != dish["id"]
    named = f"{kitchen.path}/dishes/{kitchen.dishes['清蒸鱼']}"
    assert is_problem(front.ask("DELETE", named, kitchen.cook), 409, "conflict")


@pytest.mark.parametrize(
    "bad",
    [
        {"price_fen": -1},
        {"price_fen": 10**9},
        {"name": ""},
        {"name": "\u0000"},
        {"allergens": ["poison"]},
        {"texture": "solid"},
        {"diets": ["everything"]},
        {"unknown": 1},
    ],
    ids=str,
)
def test_a_bad_dish_is_refused(kitchen: Kitchen, front: Front, bad: dict[str, Any]) -> None:
    body = {"name": "菜", "price_fen": 100} | bad
    assert is_problem(front.ask("POST", f"{kitchen.path}/dishes", kitchen.cook, json=body), 422)


def test_only_who_runs_a_kitchen_says_what_it_cooks(kitchen: Kitchen, front: Front) -> None:
    (stranger,) = kitchen.town.residents()
    body = {"name": "偷加的菜", "price_fen": 1}
    for who in (stranger, kitchen.courier):
        assert is_problem(front.ask("POST", f"{kitchen.path}/dishes", who, json=body), 403, "not_allowed")
        told = {"json": {"dishes": [], "published": True}, "headers": {"If-Match": "*"}}
        assert is_problem(front.ask("PUT", f"{kitchen.path}/menus/{kitchen.day(3)}", who, **told), 403, "not_allowed")
    assert is_problem(front.ask("POST", f"{kitchen.path}/dishes", json=body), 401, "not_known")
    nowhere = f"/v1/elder-meals/kitchens/{uuid.uuid4()}"
    assert is_problem(front.ask("POST", f"{nowhere}/dishes", kitchen.cook, json=body), 404, "not_there")
    assert is_problem(front.get(f"{nowhere}/menus/{kitchen.day(3)}"), 404, "not_there")


def test_a_menu_cannot_take_away_what_somebody_has_ordered(kitchen: Kitchen, front: Front) -> None:
    (elder,) = kitchen.elder()
    made = kitchen.order(elder, ("清蒸鱼", 3), n=5)
    assert made.status_code == 201, made.text
    n = list(kitchen.dishes).index("清蒸鱼")
    tries: list[tuple[dict[str, Any], str]] = [
        ({"清蒸鱼": 2}, f"/dishes/{n}/portions"),
        ({"清蒸鱼": 0}, "/dishes"),
        ({"published": False}, "/published"),
    ]
    for changes, where in tries:
        refused = kitchen.menu(5, status=409, **changes)
        assert (refused["code"], refused["taken"]) == ("capacity_taken", 3)
        assert [one["pointer"] for one in refused["errors"]] == [where], "the cook learns which dish it is"
    found = {one["name"]: one for one in kitchen.menu(5, 清蒸鱼=3)["dishes"]}
    assert (found["清蒸鱼"]["portions"], found["清蒸鱼"]["free"]) == (3, 0)
    (other,) = kitchen.elder()
    sold_out = kitchen.order(other, ("小米粥", 1), ("清蒸鱼", 1), n=5)
    assert is_problem(sold_out, 409, "full")
    assert [one["pointer"] for one in sold_out.json()["errors"]] == ["/lines/1/dish_id"], "and which dish it is"
    assert "alternatives" not in sold_out.json()
    front.ask("DELETE", made.json()["href"], elder)
    assert len(kitchen.menu(5, 清蒸鱼=0)["dishes"]) == 2
    assert is_problem(kitchen.order(other, ("清蒸鱼", 1), n=5), 409, "not_offered")
    assert kitchen.menu(5, published=False)["published"] is False
    assert is_problem(kitchen.order(other, ("小米粥", 1), n=5), 409, "not_offered")
    assert is_problem(front.get(f"{kitchen.path}/menus/{kitchen.day(5)}", other), 404, "not_there")
    assert {one["name"]: one["free"] for one in kitchen.menu(5)["dishes"]}["清蒸鱼"] == 20
    assert kitchen.order(other, ("清蒸鱼", 1), n=5).status_code == 201


@pytest.mark.parametrize(
    ("day", "dishes", "status"),
    [
        ("2026-02-30", [], 422),
        ("yesterday", [], 422),
        ("1999-12-31", [], 422),
        ("2020-01-01", [], 409),
        ("2199-01-01", [], 409),
        (None, [{"dish_id": "01990000-0000-7000-8000-000000000000", "portions": 1}], 422),
        (None, [{"dish_id": "x", "portions": 1}], 422),
        (None, "zero", 422),
        (None, "huge", 422),
        (None, "twice", 422),
    ],
)
def test_an_impossible_menu_is_refused(
    kitchen: Kitchen, front: Front, day: str | None, dishes: Any, status: int
) -> None:
    one = kitchen.dishes["小米粥"]
    some = {"zero": [(one, 0)], "huge": [(one, 10**6)], "twice": [(one, 1), (one, 2)]}
    if isinstance(dishes, str):
        dishes = [{"dish_id": dish, "portions": n} for dish, n in some[dishes]]
    path = f"{kitchen.path}/menus/{day or kitchen.day(6)}"
    told = {"json": {"dishes": dishes, "published": True}, "headers": {"If-Match": "*"}}
    assert is_problem(front.ask("PUT", path, kitchen.cook, **told), status)


def test_a_week_is_said_again_for_days_that_have_no_menu(kitchen: Kitchen) -> None:
    source, target = kitchen.day(2), kitchen.day(20)
    body = {"source": source, "target": target, "days": 3, "published": True}
    made = kitchen.says("POST", f"{kitchen.path}/menus/copy", kitchen.cook, json=body)["items"]
    assert [one["date"] for one in made] == [kitchen.day(20), kitchen.day(21), kitchen.day(22)]
    assert [one["slot_id"] for one in made[0]["dishes"]] == [None] * 3, "no windows yet, so no stock"
    assert kitchen.says("POST", f"{kitchen.path}/menus/copy", kitchen.cook, json=body)["items"] == []
    listed = kitchen.says("GET", f"{kitchen.path}/menus?from={target}&to={kitchen.day(22)}", None)["items"]
    assert len(listed) == 3


def test_stock_comes_with_the_windows(kitchen: Kitchen) -> None:
    kitchen.menu(9)
    policy = kitchen.says("GET", f"{kitchen.path}/policy", kitchen.manager)
    told = {key: value for key, value in policy.items() if key not in ("version", "made_at")}
    assert [one["slot_id"] for one in kitchen.menu(10)["dishes"]] == [None] * 3
    kitchen.put("policy", told | {"horizon_days": 12})
    kitchen.work("roll_out", "stock_up")
    read = kitchen.says("GET", f"{kitchen.path}/menus/{kitchen.day(10)}", None)
    assert all(one["slot_id"] for one in read["dishes"])
    (elder,) = kitchen.elder()
    assert kitchen.order(elder, n=10).status_code == 201


# ---------------------------------------------------------------- orders


def test_what_an_elder_must_not_eat_is_named_and_nothing_is_taken(kitchen: Kitchen) -> None:
    (elder,) = kitchen.elder()
    kitchen.knows(elder, diet=["low_salt"], allergens=["fish"], texture="soft")
    refused = kitchen.order(elder, ("红烧肉", 1), ("清蒸鱼", 1), ("小米粥", 1))
    assert is_problem(refused, 409, "diet_conflict")
    assert codes(refused) == [
        ("/lines/0", "diet_low_salt"),
        ("/lines/0", "texture_soft"),
        ("/lines/1", "allergen_fish"),
    ]
    assert kitchen.town.one("SELECT count(*) FROM claims WHERE holder_no = %s AND is_active", elder.holder_no) == 0
    allergic = kitchen.order(elder, ("清蒸鱼", 1), diet=[])
    assert codes(allergic) == [("/lines/0", "allergen_fish")], "another diet for today; allergies stay"
    assert kitchen.order(elder, ("小米粥", 1)).status_code == 201


def test_a_door_outside_the_area_is_refused_and_a_meal_can_be_fetched(kitchen: Kitchen) -> None:
    (elder,) = kitchen.elder()
    far = kitchen.order(elder, deliver_to=DOOR | {"region": "330411105003"})
    assert is_problem(far, 409, "outside_delivery_area")
    nowhere = DOOR | {"region": "330424101999"}
    path = f"/v1/elder-meals/elders/{elder.person_id}"
    for answer in (
        kitchen.order(elder, deliver_to=nowhere),
        kitchen.front.ask("PUT", path, elder, json={"deliver_to": nowhere}),
    ):
        assert is_problem(answer, 422), "there is no such region"
        assert [(one["pointer"], one["code"]) for one in answer.json()["errors"]] == [("/deliver_to/region", "unknown")]
    both = kitchen.order(elder, deliver_to=DOOR, collect=True)
    assert is_problem(both, 422)
    kitchen.knows(elder)
    fetched = kitchen.order(elder, collect=True).json()
    assert (fetched["deliver_to"], fetched["fee_fen"]) == (None, 0)


def test_a_meal_that_goes_nowhere_is_not_ordered(kitchen: Kitchen) -> None:
    (elder,) = kitchen.elder()
    kitchen.knows(elder, deliver_to=None)
    for who, how in ((elder, {}), (kitchen.manager, {"elder": elder, "channel": "desk"})):
        refused = kitchen.order(who, n=5, deliver_to=None, **how)
        assert is_problem(refused, 422)
        assert codes(refused) == [("/deliver_to", "missing")]
    assert kitchen.town.one("SELECT count(*) FROM claims WHERE holder_no = %s AND is_active", elder.holder_no) == 0
    assert kitchen.order(elder, n=5, collect=True).status_code == 201


@pytest.mark.parametrize(
    ("age", "home", "subsidy", "code"),
    [
        (60, "330424101003", 180, "tier"),
        (69, "330424101003", 180, "tier"),
        (70, "330424101003", 240, "tier"),
        (95, "330424101003", 600, "tier"),
        (82, "330411105003", 0, "not_resident"),
    ],
)
def test_what_is_paid_for_elders_goes_by_age_and_home(
    kitchen: Kitchen, age: int, home: str, subsidy: int, code: str
) -> None:
    (elder,) = kitchen.elder(age, community=home)
    (line,) = kitchen.order(elder, ("清蒸鱼", 1), n=3).json()["lines"]
    assert (line["subsidy_fen"], line["why"]["code"]) == (subsidy, code)


def test_who_is_too_young_eats_elsewhere(kitchen: Kitchen) -> None:
    (young,) = kitchen.town.residents()
    assert is_problem(kitchen.order(young), 409, "too_young")


@pytest.mark.parametrize(
    "bad",
    [
        {"lines": []},
        {"lines": [{"dish_id": "01990000-0000-7000-8000-000000000000", "portions": 0}]},
        {"lines": [{"dish_id": "01990000-0000-7000-8000-000000000000", "portions": 11}]},
        {"lines": [{"dish_id": "01990000-0000-7000-8000-000000000000", "portions": 10**12}]},
        {"lines": [{"dish_id": "00000000-0000-0000-0000-000000000001"}] * 2},
        {"guests": 1},
        {"diet": ["raw"]},
        {"deliver_to": {"region": "330424101003", "address": ""}},
        {"deliver_to": {"region": "nowhere", "address": "x"}},
        {"deliver_to": DOOR | {"lat": 91, "lon": 0}},
        {"deliver_to": DOOR | {"lat": 30}},
        {"deliver_to": DOOR | {"phone": "not a phone"}},
        {"note": "x" * 501},
        {"persons": ["01990000-0000-7000-8000-000000000000", "01990000-0000-7000-8000-000000000001"]},
        {"holder": "330424101003"},
    ],
    ids=str,
)
def test_an_order_that_makes_no_sense_is_refused(kitchen: Kitchen, bad: dict[str, Any]) -> None:
    (elder,) = kitchen.elder()
    assert is_problem(kitchen.order(elder, **bad), 422)


def test_a_dish_of_another_kitchen_or_of_another_day_is_not_offered(kitchen: Kitchen, front: Front) -> None:
    (elder,) = kitchen.elder()
    other = Kitchen(front, days=1)
    theirs = [{"dish_id": other.dishes["清蒸鱼"], "portions": 1}]
    assert is_problem(kitchen.order(elder, lines=theirs), 409, "not_offered")
    assert is_problem(kitchen.order(elder, lines=[{"dish_id": str(uuid.uuid4())}]), 409, "not_offered")
    assert is_problem(kitchen.order(elder, n=7), 409, "not_offered")
    stock = kitchen.town.one(
        "SELECT slot_id FROM menu_dishes WHERE dish_id = %s AND day = %s",
        kitchen.dishes["清蒸鱼"],
        clock.today() + timedelta(days=2),
    )
    for dish in ("小米粥", "清蒸鱼"):
        named = kitchen.order(elder, (dish, 1), slot_id=str(stock))
        assert is_problem(named, 422)
        assert [(one["pointer"], one["code"]) for one in named.json()["errors"]] == [("/slot_id", "not_a_window")]
    assert kitchen.town.one("SELECT count(*) FROM claims WHERE holder_no = %s AND is_active", elder.holder_no) == 0


def test_one_meal_a_window_and_after_the_deadline_none(kitchen: Kitchen) -> None:
    (elder, late) = kitchen.elder(count=2)
    assert kitchen.order(elder, n=4).status_code == 201
    assert is_problem(kitchen.order(elder, n=4), 409, "already_yours")
    tomorrow = kitchen.window(1)
    kitchen.menu(1)
    kitchen.town.do("UPDATE slots SET closes_at = now() - interval '1 second' WHERE id = %s", tomorrow)
    assert is_problem(kitchen.order(late, n=1), 409, "closed")


def test_a_meal_is_given_back_until_its_deadline_and_then_only_by_the_kitchen(kitchen: Kitchen, front: Front) -> None:
    (elder, other) = kitchen.elder(count=2)
    first, second = kitchen.order(elder, n=3).json(), kitchen.order(other, n=3).json()
    assert front.ask("DELETE", first["href"], elder).json()["state"] == "released"
    assert front.ask("DELETE", first["href"], elder).json()["state"] == "released"
    kitchen.town.do("UPDATE slots SET cancel_by = now() - interval '1 second' WHERE id = %s", kitchen.window(3))
    late = front.ask("DELETE", second["href"], other)
    assert is_problem(late, 409, "too_late")
    assert "cancel_by" in late.json()
    around = front.ask("DELETE", f"/v1/claims/{second['group_id']}", other)
    assert is_problem(around, 409, "too_late"), "also by the other way"
    assert front.get(second["href"], other).json()["state"] == "confirmed"
    assert front.ask("DELETE", second["href"], kitchen.cook).json()["state"] == "released"
    assert kitchen.notices(first["id"]) == ["elder-meals.order.made", "elder-meals.order.cancelled"]
    kitchen.town.do("UPDATE slots SET cancel_by = NULL WHERE id = %s", kitchen.window(3))


@pytest.mark.parametrize(("language", "word"), [("en", "also late"), ("zh", "逾期亦可")])
def test_the_document_says_until_when_a_meal_is_given_back(language: str, word: str) -> None:
    paths = json.loads((ROOT / f"docs/openapi.{language}.json").read_text("utf-8"))["paths"]
    meals, others = (
        paths[path]["delete"]["description"]
        for path in ("/v1/elder-meals/orders/{order_id}", "/v1/booking/reservations/{reservation_id}")
    )
    assert "`cancel_by`" in meals
    assert word not in meals
    assert word in others


def test_hostile_words_are_kept_as_they_are_and_harm_no_sheet(kitchen: Kitchen, front: Front) -> None:
    (elder,) = kitchen.elder()
    kitchen.knows(elder, note=HOSTILE, contacts=[{"name": HOSTILE[:80]}])
    body = kitchen.order(elder, n=4, note=HOSTILE, deliver_to=DOOR | {"address": HOSTILE}).json()
    assert (body["note"], body["deliver_to"]["address"]) == (HOSTILE, HOSTILE)
    read = kitchen.says("GET", f"/v1/elder-meals/elders/{elder.person_id}", elder)
    assert (read["note"], read["contacts"][0]["name"]) == (HOSTILE, HOSTILE[:80])
    path = f"{kitchen.path}/production?date={kitchen.day(4)}"
    page = front.get(f"{path}&format=html", kitchen.cook)
    assert "<script>" not in page.text
    assert "default-src 'none'" in page.headers["content-security-policy"]
    sheet = front.get(f"{path}&format=csv", kitchen.cook).content.decode("utf-8-sig")
    cells = [cell for row in csv.reader(io.StringIO(sheet)) for cell in row]
    assert [cell for cell in cells if cell.startswith(("=", "+", "-", "@"))] == []
    assert any(HOSTILE in cell for cell in cells)
    stored = kitchen.town.one("SELECT sealed FROM meal_orders WHERE id = %s", body["id"])
    assert b"script" not in bytes(stored)
    told = kitchen.town.all("SELECT data::text FROM notices WHERE subject = %s", body["id"])
    assert all("script" not in row[0] and "健康" not in row[0] for row in told)


def test_a_closed_kitchen_gives_back_windows_and_dishes(front: Front) -> None:
    other = Kitchen(front, days=1)
    (elder,) = other.elder()
    body = other.order(elder).json()
    day = clock.today() + timedelta(days=2)
    starts = clock.at(day, clock.datetime.min.time())
    shut = {"starts_at": starts.isoformat(), "ends_at": (starts + timedelta(hours=24)).isoformat(), "reason": "消毒"}
    assert other.says("POST", f"{other.path}/closures", other.manager, 201, json=shut)["slots"] >= 1
    read = front.get(body["href"], elder).json()
    assert (read["state"], read["reason"]) == ("released", "closed")
    assert other.town.one("SELECT count(*) FROM claims WHERE group_id = %s AND is_active", body["group_id"]) == 0
    assert other.notices(body["group_id"]) == ["elder-meals.claim.released"], "one meal, one word"


def test_a_closed_supper_leaves_lunch_and_its_dishes_alone(front: Front) -> None:
    other = Kitchen(front, days=1, portions=10)
    (elder, late) = other.elder(count=2)
    begins = at(clock.today() + timedelta(days=2), 17)
    supper = {"starts_at": begins.isoformat(), "ends_at": (begins + timedelta(hours=1)).isoformat()}
    told = {"resource": "午餐", "title": "晚餐"} | supper
    window = other.says("POST", f"{other.path}/slots", other.manager, 201, json=told)["id"]
    other.menu(2, portions=9)  # the day's stock ends with its last window
    lunch = other.order(elder, ("清蒸鱼", 1)).json()
    eaten = other.order(late, ("清蒸鱼", 2), ("小米粥", 1), slot_id=window).json()
    shut = other.says("POST", f"{other.path}/closures", other.manager, 201, json=supper | {"reason": "停气"})
    assert (shut["slots"], shut["released"]) == (1, 1)
    assert [front.get(one["href"], other.manager).json()["state"] for one in (lunch, eaten)] == [
        "confirmed",
        "released",
    ]
    assert other.notices(eaten["group_id"]) == ["elder-meals.claim.released"]
    assert other.notices(lunch["group_id"]) == []
    menu = other.says("GET", f"{other.path}/menus/{other.day(2)}", None)
    assert {one["name"]: one["free"] for one in menu["dishes"]} == {"红烧肉": 9, "清蒸鱼": 8, "小米粥": 9}
    assert other.order(late, ("清蒸鱼", 1)).status_code == 201


# ---------------------------------------------------------------- elders


def test_what_is_about_health_needs_the_elders_consent(kitchen: Kitchen, front: Front) -> None:
    (elder, other) = kitchen.elder(count=2)
    path = f"/v1/elder-meals/elders/{elder.person_id}"
    assert kitchen.says("GET", path, elder)["version"] == 0
    refused = front.ask("PUT", path, elder, json={"allergens": ["nut"]})
    assert is_problem(refused, 409, "consent_required")
    assert refused.json()["purposes"] == ["health"]
    assert kitchen.says("PUT", path, elder, json={"deliver_to": DOOR})["version"] == 1
    kitchen.consents(elder)
    assert kitchen.says("PUT", path, elder, json={"allergens": ["nut"]})["deliver_to"] is None, "left out is forgotten"
    stale = {"If-Match": '"1"'}
    assert is_problem(front.ask("PUT", path, elder, json={}, headers=stale), 412, "changed")
    assert is_problem(front.ask("PUT", path, other, json={}), 404, "not_there")
    assert is_problem(front.get(path), 401, "not_known")
    assert kitchen.says("GET", path, kitchen.manager)["allergens"] == ["nut"], "staff of the region see it"
    (seen,) = kitchen.says("GET", "/v1/identity/me/ledger", elder)["items"]
    assert (seen["action"], seen["what"], seen["by"]["role"]) == ("elder.read", ["profile"], "manager")
    (far,) = kitchen.town.residents()
    kitchen.town.appoint(far, "manager", prefix="330411105")
    assert is_problem(front.get(path, far), 404, "not_there")
    unknown = {"contacts": [{"name": "谁", "person_id": str(uuid.uuid4())}]}
    assert is_problem(front.ask("PUT", path, elder, json=unknown), 422)
    sealed = kitchen.town.one("SELECT sealed FROM elder_profiles WHERE person_id = %s", elder.person_id)
    assert b"nut" not in bytes(sealed)


def test_what_is_said_twice_of_an_elder_is_known_once(kitchen: Kitchen, front: Front) -> None:
    (elder,), (son,) = kitchen.elder(), kitchen.town.residents()
    path = f"/v1/elder-meals/elders/{elder.person_id}"
    told = kitchen.knows(elder, allergens=["nut", "egg", "egg"], diet=["low_salt", "halal", "low_salt"])
    assert (told["allergens"], told["diet"]) == (["egg", "nut"], ["halal", "low_salt"])
    contacts = [
        {"name": "邻居"},
        {"name": "邻居", "phone": "15400000004"},
        {"name": "儿子", "person_id": str(son.person_id)},
    ]
    bad = [
        (contacts[0] | {"relation": "对门"}, ("/contacts/3", "twice")),
        (contacts[1], ("/contacts/3", "twice")),
        (contacts[2], ("/contacts/3/person_id", "twice")),
        ({"name": "我", "person_id": str(elder.person_id)}, ("/contacts/3/person_id", "oneself")),
    ]
    for more, where in bad:
        refused = front.ask("PUT", path, elder, json={"contacts": [*contacts, more]})
        assert is_problem(refused, 422)
        assert codes(refused) == [where]
    assert len(kitchen.says("PUT", path, elder, json={"contacts": contacts})["contacts"]) == 3


def test_a_proxy_for_other_services_learns_nothing(kitchen: Kitchen, front: Front) -> None:
    (elder,), (friend,) = kitchen.elder(), kitchen.town.residents()
    kitchen.town.relate(friend, elder, "proxy", services=["booking"])
    assert is_problem(front.get(f"/v1/elder-meals/elders/{elder.person_id}", friend), 404, "not_there")
    assert is_problem(kitchen.order(friend, elder=elder), 403, "not_yours")


@pytest.mark.parametrize(
    "bad",
    [
        {"from": "2026-13-01", "to": "2026-12-02"},
        {"from": "2030-12-02", "to": "2030-12-01"},
        {"from": "1900-01-01", "to": "2030-12-01"},
        {"from": "2020-01-01", "to": "2020-01-02"},
        {"from": "2030-01-01", "to": "2032-01-02"},
        {"from": "2030-01-01"},
    ],
    ids=str,
)
def test_an_impossible_absence_is_refused(kitchen: Kitchen, front: Front, bad: dict[str, str]) -> None:
    (elder,) = kitchen.elder()
    assert is_problem(front.ask("POST", "/v1/elder-meals/absences", elder, json=bad), 422)


def test_an_absence_names_what_is_ordered_and_can_be_taken_back(kitchen: Kitchen, front: Front) -> None:
    (elder, other) = kitchen.elder(count=2)
    order = kitchen.order(elder, n=4).json()
    body = {"from": kitchen.day(3), "to": kitchen.day(5)}
    made = kitchen.says("POST", "/v1/elder-meals/absences", elder, 201, json=body)
    assert (made["from"], made["to"], made["orders"]) == (kitchen.day(3), kitchen.day(5), [order["id"]])
    path = f"/v1/elder-meals/absences/{made['id']}"
    assert is_problem(front.get(path, other), 404, "not_there")
    assert [one["id"] for one in kitchen.says("GET", "/v1/elder-meals/absences", elder)["items"]] == [made["id"]]
    for _ in range(2):
        assert kitchen.says("DELETE", path, elder)["state"] == "withdrawn"
    assert front.get(order["href"], elder).json()["state"] == "confirmed"


def test_an_absence_that_is_sent_twice_is_one_and_taken_back_alarms_again(kitchen: Kitchen) -> None:
    (elder,) = kitchen.elder()
    order = kitchen.order(elder, n=3, deliver_to=DOOR).json()
    body = {"from": kitchen.day(3), "to": kitchen.day(3)}
    sent = [kitchen.says("POST", "/v1/elder-meals/absences", elder, 201, json=body)["id"] for _ in range(2)]
    kitchen.says("DELETE", f"/v1/elder-meals/absences/{sent[0]}", elder)
    told = kitchen.outcome(order["id"], kitchen.courier, "unanswered").json()
    assert (told["welfare_check_id"] is not None, told["reasons"]) == (True, [])
    assert kitchen.says("POST", "/v1/elder-meals/absences", elder, 201, json=body)["id"] not in sent


# ---------------------------------------------------------------- doors


def test_an_outcome_is_recorded_once_however_often_it_is_sent(kitchen: Kitchen, front: Front) -> None:
    (elder,) = kitchen.elder()
    order = kitchen.order(elder, n=3, deliver_to=DOOR).json()
    report = {"id": str(uuid.uuid4()), "at": clock.now().isoformat()}
    first = kitchen.outcome(order["id"], kitchen.courier, "delivered", **report)
    assert kitchen.outcome(order["id"], kitchen.courier, "delivered", **report).json() == first.json()
    assert is_problem(kitchen.outcome(order["id"], kitchen.courier, "refused", **report), 422, "key_reused")
    assert is_problem(kitchen.outcome(order["id"], kitchen.courier, "delivered"), 409, "already_recorded")
    assert is_problem(kitchen.outcome(order["id"], kitchen.courier, "unanswered"), 409, "already_recorded")
    assert is_problem(front.ask("DELETE", order["href"], elder), 409, "already_recorded")
    assert kitchen.town.one("SELECT count(*) FROM meal_outcomes WHERE order_id = %s", order["id"]) == 1
    late = kitchen.order(elder, n=2, deliver_to=DOOR).json()
    old = {"id": str(uuid.uuid4()), "at": (clock.now() - timedelta(hours=5)).isoformat()}
    assert kitchen.outcome(late["id"], kitchen.courier, "refused", **old).json()["reasons"] == ["recorded_late"]


def test_a_meal_goes_to_a_neighbour_only_as_the_elder_has_agreed(kitchen: Kitchen) -> None:
    (elder, other) = kitchen.elder(count=2)
    one, two = (kitchen.order(who, n=4, deliver_to=DOOR).json() for who in (elder, other))
    kitchen.knows(elder, neighbour={"name": "张阿姨", "consent": False})
    kitchen.knows(other, neighbour={"name": "张阿姨", "consent": True})
    assert is_problem(kitchen.outcome(one["id"], kitchen.courier, "to_neighbour"), 409, "neighbour_not_agreed")
    assert kitchen.outcome(two["id"], kitchen.courier, "to_neighbour").status_code == 200
    assert kitchen.town.one("SELECT outcome FROM meal_orders WHERE id = %s", one["id"]) is None


def test_who_said_they_are_away_alarms_nobody(kitchen: Kitchen) -> None:
    (elder,) = kitchen.elder()
    order = kitchen.order(elder, n=3, deliver_to=DOOR).json()
    kitchen.says("POST", "/v1/elder-meals/absences", elder, 201, json={"from": kitchen.day(3), "to": kitchen.day(3)})
    told = kitchen.outcome(order["id"], kitchen.courier, "unanswered").json()
    assert (told["welfare_check_id"], told["reasons"]) == (None, ["elder_is_absent"])


def test_a_meal_that_is_ordered_after_an_absence_was_written_is_expected(kitchen: Kitchen) -> None:
    (elder,), (son,) = kitchen.elder(), kitchen.town.residents()
    kitchen.town.relate(son, elder, "proxy")
    away = {"from": kitchen.day(0), "to": kitchen.day(300), "person_id": str(elder.person_id)}
    kitchen.says("POST", "/v1/elder-meals/absences", son, 201, json=away)
    order = kitchen.order(elder, n=3, deliver_to=DOOR).json()
    told = kitchen.outcome(order["id"], kitchen.courier, "unanswered").json()
    assert (told["welfare_check_id"] is not None, told["reasons"]) == (True, [])
    ends = {"id": str(uuid.uuid4()), "at": clock.now().isoformat(), "kind": "closed", "outcome": "safe_home"}
    path = f"/v1/elder-meals/welfare-checks/{told['welfare_check_id']}/steps"
    kitchen.says("POST", path, kitchen.courier, json=ends)
    later = kitchen.order(elder, ("小米粥", 1), n=4, deliver_to=DOOR).json()
    kitchen.says("POST", "/v1/elder-meals/absences", son, 201, json=away)
    told = kitchen.outcome(later["id"], kitchen.courier, "unanswered").json()
    assert told["reasons"] == ["elder_is_absent"], "what was said after it was ordered counts"


def test_what_was_done_before_nobody_opened_ends_no_check(kitchen: Kitchen, front: Front) -> None:
    (elder,) = kitchen.elder()
    order = kitchen.order(elder, n=3, deliver_to=DOOR).json()
    check = kitchen.outcome(order["id"], kitchen.courier, "unanswered").json()["welfare_check_id"]
    path = f"/v1/elder-meals/welfare-checks/{check}/steps"
    for minutes, status in ((20 * 24 * 60, 409), (6, 409), (4, 200)):
        at = (clock.now() - timedelta(minutes=minutes)).isoformat()
        body = {"id": str(uuid.uuid4()), "at": at, "kind": "closed", "outcome": "safe_home"}
        answer = front.ask("POST", path, kitchen.courier, json=body)
        assert answer.status_code == status
        if status == 409:
            assert is_problem(answer, 409, "too_early")
        assert front.town.one("SELECT state FROM welfare_checks WHERE id = %s", check) == (
            "open" if status == 409 else "closed"
        )


def test_another_door_that_stays_shut_is_not_ended_with_what_was_done_before(kitchen: Kitchen, front: Front) -> None:
    (elder,) = kitchen.elder()
    one, two = (kitchen.order(elder, n=n, deliver_to=DOOR).json() for n in (3, 4))
    kitchen.town.do(
        "UPDATE meal_orders SET made_at = made_at - interval '1 hour' WHERE person_id = %s", elder.person_id
    )
    then = (clock.now() - timedelta(minutes=25)).isoformat()
    check = kitchen.outcome(one["id"], kitchen.courier, "unanswered", at=then).json()["welfare_check_id"]
    assert kitchen.outcome(two["id"], kitchen.courier, "unanswered").json()["welfare_check_id"] == check
    path = f"/v1/elder-meals/welfare-checks/{check}/steps"
    for minutes, kind, status in ((23, "knocked", 200), (23, "closed", 409), (0, "closed", 200)):
        at = (clock.now() - timedelta(minutes=minutes)).isoformat()
        ends = {"outcome": "safe_home"} if kind == "closed" else {}
        body = {"id": str(uuid.uuid4()), "at": at, "kind": kind, **ends}
        answer = front.ask("POST", path, kitchen.courier, json=body)
        assert answer.status_code == status, answer.text
    assert front.town.one("SELECT state FROM welfare_checks WHERE id = %s", check) == "closed"


def test_what_is_to_be_done_next_is_what_nobody_has_done(front: Front) -> None:
    other = Kitchen(front, days=1)
    rungs = [(0, "called"), (5, "called"), (15, "neighbour"), (30, "on_site")]
    other.put("terms", {"ladder": [{"after_minutes": n, "step": step} for n, step in rungs]})
    (elder,) = other.elder()
    order = other.order(elder, deliver_to=DOOR).json()
    opened = other.outcome(order["id"], other.courier, "unanswered").json()
    path = f"/v1/elder-meals/welfare-checks/{opened['welfare_check_id']}"
    begin = datetime.fromisoformat(other.says("GET", path, other.courier)["opened_at"])
    seen = []
    for kind in ("called", "neighbour", "called", "on_site"):
        told = {"id": str(uuid.uuid4()), "at": clock.now().isoformat(), "kind": kind}
        following = other.says("POST", f"{path}/steps", other.courier, json=told)["next"]
        due = following and (datetime.fromisoformat(following["due_at"]) - begin).total_seconds() / 60
        seen.append(following and (following["step"], due))
    assert seen == [("called", 5), ("called", 5), ("on_site", 30), None]


def test_an_elder_has_one_open_check_and_its_ladder_is_climbed_to_the_end(kitchen: Kitchen, front: Front) -> None:
    (elder, other) = kitchen.elder(count=2)
    one, two = (kitchen.order(elder, n=n, deliver_to=DOOR).json() for n in (3, 4))
    hour = (clock.now() - timedelta(minutes=50)).isoformat()
    first = kitchen.outcome(one["id"], kitchen.courier, "unanswered", at=hour).json()
    second = kitchen.outcome(two["id"], kitchen.courier, "unanswered").json()
    assert second["welfare_check_id"] == first["welfare_check_id"]
    assert second["reasons"] == ["check_was_open"]
    path = f"/v1/elder-meals/welfare-checks/{first['welfare_check_id']}"
    for _ in range(4):
        kitchen.work("escalate")
    check = kitchen.says("GET", path, kitchen.manager)
    assert [step["step"] for step in check["steps"]] == ["called", "neighbour"]
    assert (check["state"], check["next"]) == ("open", None), "it stays open until somebody closes it"
    assert is_problem(front.get(path, other), 404, "not_there")
    listed = kitchen.says("GET", "/v1/elder-meals/welfare-checks?state=open", kitchen.manager)["items"]
    assert path.rpartition("/")[2] in {found["id"] for found in listed}
    assert kitchen.says("GET", "/v1/elder-meals/welfare-checks", other)["items"] == []
    for wrong in ({"kind": "closed"}, {"kind": "knocked", "outcome": "safe_out"}, {"kind": "prayed"}):
        told = {"id": str(uuid.uuid4()), "at": clock.now().isoformat(), **wrong}
        assert is_problem(front.ask("POST", f"{path}/steps", kitchen.courier, json=told), 422)
    ends = {"id": str(uuid.uuid4()), "at": clock.now().isoformat(), "kind": "closed", "outcome": "hospital"}
    assert kitchen.says("POST", f"{path}/steps", kitchen.manager, json=ends)["outcome"] == "hospital"
    more = {"id": str(uuid.uuid4()), "at": clock.now().isoformat(), "kind": "knocked"}
    assert is_problem(front.ask("POST", f"{path}/steps", kitchen.manager, json=more), 409, "already_recorded")
    id_ = path.rpartition("/")[2]
    assert kitchen.says("GET", path, kitchen.courier)["state"] == "closed", "for a day"
    kitchen.town.do("UPDATE welfare_checks SET closed_at = now() - interval '2 days' WHERE id = %s", id_)
    assert is_problem(front.get(path, kitchen.courier), 404, "not_there")
    listed = kitchen.says("GET", "/v1/elder-meals/welfare-checks?state=closed&limit=500", kitchen.courier)["items"]
    assert id_ not in {found["id"] for found in listed}
    assert kitchen.says("GET", path, kitchen.manager)["outcome"] == "hospital"
    kitchen.town.do("UPDATE welfare_checks SET closed_at = now() WHERE id = %s", id_)


def test_a_door_that_stays_shut_again_is_looked_after_again(kitchen: Kitchen, front: Front) -> None:
    (elder,) = kitchen.elder()
    order = kitchen.order(elder, n=3, deliver_to=DOOR).json()
    first = kitchen.outcome(order["id"], kitchen.courier, "unanswered").json()["welfare_check_id"]
    assert is_problem(kitchen.outcome(order["id"], kitchen.courier, "unanswered"), 409, "already_recorded"), (
        "somebody looks"
    )
    ends = {"id": str(uuid.uuid4()), "at": clock.now().isoformat(), "kind": "closed", "outcome": "safe_asleep"}
    kitchen.says("POST", f"/v1/elder-meals/welfare-checks/{first}/steps", kitchen.manager, json=ends)
    again = kitchen.outcome(order["id"], kitchen.courier, "unanswered").json()
    assert again["reasons"] == []
    assert again["welfare_check_id"] not in (None, first)
    assert kitchen.notices(order["id"]).count("elder-meals.order.visited") == 2
    assert kitchen.says("GET", f"/v1/elder-meals/welfare-checks/{again['welfare_check_id']}", elder)["state"] == "open"
    assert kitchen.outcome(order["id"], kitchen.courier, "delivered").status_code == 200
    assert examined(front) == []


def test_a_kitchen_hears_what_becomes_of_its_meals_and_whom_it_worries_about(front: Front) -> None:
    kitchen = Kitchen(front)
    (elder,) = kitchen.elder()
    order = kitchen.order(elder, n=3, deliver_to=DOOR).json()
    check = kitchen.outcome(order["id"], kitchen.courier, "unanswered").json()["welfare_check_id"]
    front.runner.run(stamp_notices(front.parts))
    for who in (kitchen.cook, kitchen.courier, kitchen.manager):
        heard = kitchen.says("GET", f"/v1/notices?place={kitchen.id}&limit=500", who)["items"]
        kinds = {one["type"] for one in heard}
        assert {"elder-meals.order.made", "elder-meals.order.visited", "elder-meals.welfare.opened"} <= kinds
        assert [one["subject"] for one in heard if one["type"] == "elder-meals.welfare.opened"] == [check]
        assert elder.name not in str(heard)
    assert is_problem(front.get(f"/v1/notices?place={kitchen.id}", elder), 403, "not_allowed")


def test_rounds_are_shared_planned_again_and_seen_by_their_couriers_only(front: Front) -> None:
    other = Kitchen(front, days=1)
    orders = [
        other.order(elder, deliver_to=DOOR | {"address": f"健康路{n}号"}).json()
        for n, elder in enumerate(other.elder(count=5))
    ]
    fetched = other.order(other.elder()[0], collect=True).json()
    couriers = [str(one.person_id) for one in (other.courier, other.other_courier)]
    body = {"slot_id": other.window(), "couriers": couriers}
    planned = other.says("POST", "/v1/elder-meals/rounds/plan", other.cook, json=body)["items"]
    assert [one["stops_total"] for one in planned] == [3, 2]
    assert [one["courier"]["id"] for one in planned] == couriers, "the cook sees who brings what"
    ways = [other.says("GET", f"/v1/elder-meals/rounds/{one['id']}", other.cook)["stops"] for one in planned]
    assert [stop["address"] for way in ways for stop in way] == [f"健康路{n}号" for n in range(5)]
    assert fetched["id"] not in {stop["order_id"] for way in ways for stop in way}
    assert is_problem(front.get(f"/v1/elder-meals/rounds/{planned[1]['id']}", other.courier), 404, "not_there")
    assert is_problem(other.outcome(ways[1][0]["order_id"], other.courier, "delivered"), 403, "not_allowed")
    assert other.outcome(ways[0][0]["order_id"], other.courier, "delivered").status_code == 200
    alone = other.says("POST", "/v1/elder-meals/rounds/plan", other.cook, json=body | {"couriers": couriers[1:]})[
        "items"
    ]
    assert [(one["stops_total"], one["stops_open"]) for one in alone] == [(1, 0), (4, 4)]
    (stranger,) = other.town.residents()
    wrong = front.ask(
        "POST", "/v1/elder-meals/rounds/plan", other.cook, json=body | {"couriers": [str(stranger.person_id)]}
    )
    assert is_problem(wrong, 422)
    assert is_problem(front.ask("POST", "/v1/elder-meals/rounds/plan", stranger, json=body), 403, "not_allowed")
    assert is_problem(front.get(f"/v1/elder-meals/rounds/{planned[0]['id']}", stranger), 404, "not_there")
    assert is_problem(front.get("/v1/elder-meals/rounds"), 401, "not_known")
    front.town.do("UPDATE rounds SET day = day - 10 WHERE slot_id = %s", other.window())
    over = other.says("GET", f"/v1/elder-meals/rounds/{alone[0]['id']}", other.cook)["stops"]
    assert [(stop["address"], stop["phone"], stop["name"][1:].strip("*")) for stop in over] == [(None, None, "")]
    assert len(orders) == 5


def test_a_phone_is_told_to_who_has_to_call_and_that_is_written_down(front: Front) -> None:
    other = Kitchen(front, days=1)
    (elder,), (son,) = other.elder(), other.town.residents()
    other.town.relate(son, elder, "proxy")
    other.knows(elder)
    order = other.order(son, elder=elder).json()
    whole, masked = DOOR["phone"], "154****0003"
    body = {"slot_id": other.window(), "couriers": [str(other.courier.person_id)]}
    (way,) = other.says("POST", "/v1/elder-meals/rounds/plan", other.cook, json=body)["items"]
    path = f"/v1/elder-meals/rounds/{way['id']}"

    def stop(who: Resident) -> Any:
        return other.says("GET", path, who)["stops"][0]["phone"]

    slot = other.window()
    assert (stop(other.courier), stop(other.cook)) == (masked, whole)
    times = other.town.all("SELECT starts_at, ends_at FROM slots WHERE id = %s", slot)[0]
    seen = []
    for begins in ("61 minutes", "59 minutes", "-239 minutes", "-241 minutes"):
        other.town.do(
            "UPDATE slots SET starts_at = now() + %s::interval, ends_at = now() + %s::interval + interval '2 hours' "
            "WHERE id = %s",
            *(begins, begins, slot),
        )
        seen.append(stop(other.courier))
    other.town.do("UPDATE slots SET starts_at = %s, ends_at = %s WHERE id = %s", *times, slot)
    assert seen == [masked, whole, whole, masked]
    assert is_problem(front.get(path, other.other_courier), 404, "not_there")
    read = [(other.cook.account_no, order["id"]), *[(other.courier.account_no, order["id"])] * 2]
    assert other.deeds("meals.phone.read", elder) == read

    assert [front.get(order["href"], who).json()["deliver_to"]["phone"] for who in (elder, son)] == [whole] * 2
    assert other.deeds("meals.phone.read", elder) == read, "what is one's own is not written down"
    listed = front.get(f"{ORDERS}?facility={other.id}", other.cook).json()["items"]
    assert [one["deliver_to"]["phone"] for one in listed] == [masked]
    assert [one["slot"]["facility"]["name"] for one in listed] == [way["facility"]["name"]]
    assert front.get(order["href"], other.cook).json()["deliver_to"]["phone"] == whole
    assert other.deeds("meals.phone.read", elder) == [*read, (other.cook.account_no, order["id"])]
    (second,) = other.elder()
    other.knows(second)
    desk = other.order(other.manager, elder=second, channel="phone").json()
    assert desk["deliver_to"]["phone"] == masked


@pytest.mark.parametrize(
    "bad",
    [
        {"ladder": []},
        {"ladder": [{"after_minutes": 5, "step": "called"}, {"after_minutes": 5, "step": "knocked"}]},
        {"ladder": [{"after_minutes": 0, "step": "call_120"}]},
        {"subsidy": {"tiers": [{"from_age": 61, "percent": 10}]}},
        {"subsidy": {"tiers": [{"from_age": 55, "percent": 10}]}},
        {"subsidy": {"tiers": [{"from_age": 60}]}},
        {"subsidy": {"tiers": [{"from_age": 60, "percent": 101}]}},
        {"subsidy": {"tiers": [{"from_age": 60, "percent": 1}, {"from_age": 60, "percent": 2}]}},
        {"subsidy": {"funding": {"government": 50}}},
        {"delivery_fee_fen": -1},
        {"area": ["nowhere"]},
        {"area": ["330424101", "330424199"]},
        {"subsidy": {"residents_of": ["99"]}},
    ],
    ids=str,
)
def test_terms_that_make_no_sense_are_refused(kitchen: Kitchen, front: Front, bad: dict[str, Any]) -> None:
    told = {"json": bad, "headers": {"If-Match": "*"}}
    assert is_problem(front.ask("PUT", f"{kitchen.path}/terms", kitchen.manager, **told), 422)


def test_who_eats_is_told_to_the_kitchen_and_not_to_whoever_works_elsewhere(kitchen: Kitchen, front: Front) -> None:
    sheet = f"{kitchen.path}/sheet?date={kitchen.day(3)}"
    assert front.get(sheet, kitchen.cook).status_code == 200
    for role in ("carer", "volunteer", "courier", "auditor"):
        (other,) = kitchen.town.residents()
        kitchen.town.appoint(other, role, prefix="330424101")
        assert is_problem(front.get(sheet, other), 403, "not_allowed"), role


def test_orders_are_listed_for_who_may_see_them(kitchen: Kitchen, front: Front) -> None:
    (elder,) = kitchen.elder()
    order = kitchen.order(elder, n=5, deliver_to=DOOR)
    if order.status_code != 201:  # another test has withdrawn that day
        order = kitchen.order(elder, n=4, deliver_to=DOOR)
    made = order.json()
    asked = f"{ORDERS}?facility={kitchen.id}&date={made['slot']['starts_at'][:10]}&limit=500"
    assert made["id"] in {one["id"] for one in front.get(asked, kitchen.cook).json()["items"]}
    assert {one["id"] for one in front.get(asked, elder).json()["items"]} == {made["id"]}
    assert front.get(asked, kitchen.courier).json()["items"] == []
    shown = front.get(f"{made['href']}/pass", elder)
    assert (shown.status_code, len(shown.json()["code"])) == (200, 8)


def test_staff_order_for_an_elder_at_the_desk(kitchen: Kitchen, front: Front) -> None:
    (elder,) = kitchen.elder()
    made = kitchen.order(kitchen.manager, ("小米粥", 1), n=4, elder=elder, channel="phone", deliver_to=DOOR)
    assert made.status_code == 201, made.text
    assert front.get(made.json()["href"], elder).json()["state"] == "confirmed"
    assert (
        kitchen.town.one("SELECT channel FROM claims WHERE group_id = %s LIMIT 1", made.json()["group_id"]) == "phone"
    )


def test_who_waits_for_a_full_window_gets_the_meal_that_is_given_back(front: Front) -> None:
    other = Kitchen(front, days=1)
    first, second = other.elder(count=2)
    other.town.do("UPDATE slots SET capacity = 1 WHERE id = %s", other.window())
    made = other.order(first).json()
    waits = other.order(second, if_full="wait", key="the-last-lunch", note="软一点")
    assert (waits.status_code, waits.json()["state"]) == (202, "waiting"), waits.text
    front.ask("DELETE", made["href"], first)
    front.serve_waiting()
    found = front.get("/v1/claims/by-key/the-last-lunch", second).json()
    assert found["state"] == "confirmed"
    assert front.get(found["href"], second).json()["note"] == "软一点"


def test_a_closure_that_is_taken_back_opens_the_dishes_again(front: Front) -> None:
    other = Kitchen(front, days=1)
    (elder,) = other.elder()
    starts = clock.at(clock.today() + timedelta(days=2), clock.datetime.min.time())
    shut = {"starts_at": starts.isoformat(), "ends_at": (starts + timedelta(hours=24)).isoformat(), "reason": "停水"}
    made = other.says("POST", f"{other.path}/closures", other.manager, 201, json=shut)
    assert is_problem(other.order(elder), 409)
    assert front.ask("DELETE", f"{other.path}/closures/{made['id']}", other.manager).status_code in (200, 204)
    assert other.order(elder).status_code == 201


def test_terms_are_kept_with_the_order_that_was_made_under_them(kitchen: Kitchen, front: Front) -> None:
    other = Kitchen(front, days=2)
    (elder,) = other.elder(82)
    before = other.order(elder, n=2).json()
    other.put("terms", {"subsidy": {"tiers": [{"from_age": 60, "amount_fen": 800}], "cap_fen": 500}})
    after = other.order(elder, n=3).json()
    assert (before["subsidy_fen"], after["subsidy_fen"]) == (360, 500)
    assert (before["terms_version"], after["terms_version"]) == (1, 2)
    assert front.get(before["href"], elder).json()["pay_fen"] == before["pay_fen"]
    assert kitchen.id != other.id


def test_supper_that_was_added_later_is_cooked_from_the_same_stock(front: Front) -> None:
    other = Kitchen(front, days=1)
    (elder,) = other.elder()
    lunch = other.order(elder, ("清蒸鱼", 4)).json()
    begins = clock.at(clock.today() + timedelta(days=2), clock.datetime.min.time()) + timedelta(hours=17)
    supper = {
        "resource": "午餐",
        "starts_at": begins.isoformat(),
        "ends_at": (begins + timedelta(hours=1)).isoformat(),
        "title": "晚餐",
    }
    window = other.says("POST", f"{other.path}/slots", other.manager, 201, json=supper)["id"]
    made = other.order(elder, ("小米粥", 5), ("清蒸鱼", 1), slot_id=window).json()
    assert is_problem(other.order(elder, ("小米粥", 1), slot_id=window), 409, "already_yours"), "one order a window"
    assert made["slot"]["id"] == window
    for path in (made["href"], f"/v1/claims/{made['group_id']}"):
        assert front.get(path, elder).json()["slot"]["id"] == window, (
            "the window, and not the dish, is what was ordered"
        )
    menu = other.says("GET", f"{other.path}/menus/{other.day(2)}", None)
    assert {one["name"]: one["free"] for one in menu["dishes"]}["小米粥"] == 15
    sheet = other.says("GET", f"{other.path}/production?date={other.day(2)}&slot={window}", other.cook)
    assert [(one["title"], one["portions"]) for one in sheet["windows"]] == [("晚餐", 6)]
    portions = {one["name"]: one["free"] for one in menu["dishes"]}["清蒸鱼"]
    assert examined(front) == [], "two portions of one stock are no fault"
    assert front.ask("DELETE", lunch["href"], elder).status_code == 200, (
        "what is given back is lunch's, and supper stays"
    )
    menu = other.says("GET", f"{other.path}/menus/{other.day(2)}", None)
    assert {one["name"]: one["free"] for one in menu["dishes"]}["清蒸鱼"] == portions + 4
    assert front.get(made["href"], elder).json()["state"] == "confirmed"
    assert lunch["slot"]["title"] == "午餐"


def test_the_sheet_of_a_kitchen_counts_meals_and_not_dishes(front: Front) -> None:
    other = Kitchen(front, days=1)
    (elder,) = other.elder()
    other.order(elder, ("清蒸鱼", 1), ("小米粥", 1))
    sheet = other.says("GET", f"{other.path}/sheet?date={other.day(2)}", other.manager)
    assert [(one["title"], [who["units"] for who in one["people"]]) for one in sheet["slots"]] == [("午餐", [2])]


@pytest.mark.parametrize("day", ["0001-01-01", "9999-12-31", "1999-12-31", "tomorrow", "2026-02-29"])
def test_days_that_nobody_means_are_refused_everywhere(kitchen: Kitchen, front: Front, day: str) -> None:
    copy = {"source": day, "target": kitchen.day(3), "days": 14}
    for body in (copy, copy | {"source": kitchen.day(2), "target": day}):
        assert is_problem(front.ask("POST", f"{kitchen.path}/menus/copy", kitchen.cook, json=body), 422)
    for path in (
        f"{kitchen.path}/menus?from={day}",
        f"{kitchen.path}/menus?to={day}",
        f"{kitchen.path}/production?date={day}",
        f"/v1/elder-meals/rounds?date={day}",
    ):
        assert is_problem(front.get(path, kitchen.cook), 422)


def test_what_an_elder_took_back_is_neither_used_nor_overlooked(kitchen: Kitchen, front: Front) -> None:
    (elder,) = kitchen.elder()
    kitchen.knows(elder, allergens=["fish"])
    withdrawn = {"given": False, "version": 1}
    kitchen.says("PUT", "/v1/identity/me/consents/health", elder, json=withdrawn)
    refused = kitchen.order(elder, ("小米粥", 1), n=4)
    assert is_problem(refused, 409, "consent_required")
    assert refused.json()["purposes"] == ["health"]
    kitchen.says("PUT", f"/v1/elder-meals/elders/{elder.person_id}", elder, json={"deliver_to": DOOR})
    assert kitchen.order(elder, ("清蒸鱼", 1), n=4).status_code == 201, "what is forgotten is asked for no longer"
    assert front.town.one("SELECT count(*) FROM meal_orders WHERE person_id = %s", elder.person_id) == 1


def test_a_courier_stands_only_at_the_doors_of_a_round(kitchen: Kitchen, front: Front) -> None:
    (elder,) = kitchen.elder()
    order = kitchen.order(elder, n=4, collect=True).json()["id"]
    early = {"id": str(uuid.uuid4()), "at": clock.now().isoformat(), "outcome": "delivered"}
    refused = front.ask("POST", f"{ORDERS}/{order}/outcome", kitchen.cook, json=early)
    assert is_problem(refused, 409, "too_early")
    assert refused.json()["opens_at"].endswith("+08:00")
    assert front.town.one("SELECT outcome FROM meal_orders WHERE id = %s", order) is None
    kitchen.comes(order)
    report = {"id": str(uuid.uuid4()), "at": clock.now().isoformat(), "outcome": "delivered"}
    assert is_problem(front.ask("POST", f"{ORDERS}/{order}/outcome", kitchen.courier, json=report), 403, "not_allowed")
    assert front.ask("POST", f"{ORDERS}/{order}/outcome", kitchen.cook, json=report).status_code == 200
