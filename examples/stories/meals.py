"""Lunch for an elder who lives alone: ordered by his son, cooked, brought, and a door that stays shut."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta
from typing import Any


def story(town: Any) -> None:
    son, elder = town.as_("resident"), town.as_("elder")
    kitchen, courier = town.as_("kitchen"), town.as_("courier")

    town.say("The kitchen's windows are public: the next one that can still be ordered from.")
    town.as_("anybody").get("/v1/slots", service="elder-meals", limit=200)
    father = elder.id
    slots = son.get("/v1/slots", service="elder-meals", limit=500, **{"for": father})["items"]
    window = next(one for one in slots if one["bookable"])
    if datetime.fromisoformat(window["starts_at"]) > datetime.now(UTC) + timedelta(hours=2):
        town.say("He has his meals of the next hours, of stories told a moment ago. The story ends here.")
        return
    place, day = window["facility"]["id"], window["starts_at"][:10]
    menu = son.get(f"/v1/elder-meals/kitchens/{place}/menus/{day}")

    town.say("The son orders for his father: what the father must not eat is refused, and named.")
    profile = son.get(f"/v1/elder-meals/elders/{father}")
    good = [one for one in menu["dishes"] if _suits(one, profile) and one["free"]]
    bad = [one for one in menu["dishes"] if not _suits(one, profile)]
    for dish in bad[:1]:
        son.post("/v1/elder-meals/orders", _order(window, father, dish), expect=409)

    town.say("What suits him is ordered. By age, a part of one portion is paid; each line says why.")
    dish = next(one for one in good if _can_have(son, father, one, day))
    order = son.post("/v1/elder-meals/orders", _order(window, father, dish))
    assert order["pay_fen"] == order["price_fen"] - order["subsidy_fen"] + order["fee_fen"]

    town.say("The kitchen cooks by a sheet of dishes and numbered boxes, without names.")
    kitchen.get(f"/v1/elder-meals/kitchens/{place}/production", date=day, slot=window["id"])

    town.say("A round is planned for the courier, who sees the doors of it and nothing else.")
    couriers = {"slot_id": window["id"], "couriers": [courier.id]}
    (way,) = [one for one in kitchen.post("/v1/elder-meals/rounds/plan", couriers)["items"] if one["stops_open"]][:1]
    courier.get(f"/v1/elder-meals/rounds/{way['id']}")

    town.say("Nobody opens. The courier says so, twice because the network is bad, and a welfare check begins: once.")
    shut = _report(outcome="unanswered", note="灯亮着，没有回应")
    first = courier.post(f"{order['href']}/outcome", shut)
    assert courier.post(f"{order['href']}/outcome", shut) == first
    check = f"/v1/elder-meals/welfare-checks/{first['welfare_check_id']}"

    town.say("What is due is said to the family and the staff without anybody asking.")
    son.hears("elder-meals.welfare.escalated", order_id=order["id"])
    son.get(check)

    town.say("The courier knocks again; the son reaches his father, who is at the hospital with a neighbour.")
    courier.post(f"{check}/steps", _report(kind="knocked"))
    son.post(f"{check}/steps", _report(kind="contact_reached", note="父亲陪邻居去医院了"))

    town.say("Whoever ends it says how it ended. The meal is brought in the evening, and eaten.")
    closed = courier.post(f"{check}/steps", _report(kind="closed", outcome="safe_out"))
    assert closed["state"] == "closed"
    courier.post(f"{order['href']}/outcome", _report(outcome="delivered"))
    assert son.get(order["href"])["state"] == "attended"


def _can_have(son: Any, father: str, dish: dict[str, Any], day: str) -> bool:
    """Whether the father can have the dish that day: there is some left, and he has not ordered it already."""
    stock = son.get("/v1/slots", subject=dish["dish_id"], **{"for": father})["items"]
    return any(one["bookable"] and one["starts_at"][:10] == day for one in stock)


def _order(window: dict[str, Any], father: str, dish: dict[str, Any]) -> dict[str, Any]:
    return {"slot_id": window["id"], "persons": [father], "lines": [{"dish_id": dish["dish_id"], "portions": 1}]}


def _suits(dish: dict[str, Any], profile: dict[str, Any]) -> bool:
    return not set(dish["allergens"]) & set(profile["allergens"]) and set(profile["diet"]) <= set(dish["diets"])


def _report(**said: Any) -> dict[str, Any]:
    return {"id": str(uuid.uuid4()), "at": datetime.now(UTC).isoformat(), **said}
