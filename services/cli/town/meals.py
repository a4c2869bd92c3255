"""The kitchens of the demo town: lunch that is ordered the day before, and a canteen that cooks at any hour."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import Any, Final

from services.cli.town.places import found, line, policy
from services.elder_meals.actions.sealing import seal
from services.elder_meals.sql import dishes as sql
from services.elder_meals.sql import elders
from services.identity.actions import consents
from shared import clock
from shared.assertion import Caller
from shared.crypto import Keyring
from shared.db import Tx

HOME: Final = "330424101003"
KITCHEN: Final[dict[str, Any]] = {
    "name": "沈荡邻里中心厨房",
    "name_en": "Shendang Neighbourhood Kitchen",
    "kind": "kitchen",
    "community": HOME,
    "address": "沈荡镇沈荡社区",
    "lat": 30.5797,
    "lon": 120.8253,
    "resources": [("午餐", "Lunch", 20)],
    "lines": [line("午餐", "10:30", "12:30", 120, "午餐")],
    "policy": policy(
        cancel_minutes=None,
        close_at={"days_ahead": 1, "at": "16:00"},
        cancel_at={"days_ahead": 1, "at": "16:00"},
        limits=dict.fromkeys(("per_day", "per_week", "at_once", "household_per_day")),
        is_exclusive=False,
    )
    | {"audience": {"min_age": 60, "max_age": None, "regions": None, "level": 0, "needs_guardian": False}},
}
CANTEEN: Final[dict[str, Any]] = {
    **KITCHEN,
    "name": "沈荡社区全天食堂",
    "name_en": "Shendang All-Day Canteen",
    "resources": [("热餐", "Hot Meals", 20)],
    "lines": [line("热餐", "00:00", "24:00", 60, "热餐")],
    "policy": {**KITCHEN["policy"], "close_at": None, "cancel_at": None, "cancel_minutes": 0},
}
"""Same-day: a meal can be ordered until its hour begins, whenever somebody tries the town."""
TERMS: Final = {
    "area": ["330424101"],
    "subsidy": {
        "tiers": [
            {"from_age": 60, "percent": 15, "amount_fen": None},
            {"from_age": 70, "percent": 20, "amount_fen": None},
            {"from_age": 80, "percent": 30, "amount_fen": None},
            {"from_age": 90, "percent": 50, "amount_fen": None},
        ],
        "cap_fen": 600,
        "residents_of": ["330424101"],
        "funding": {"government": 60, "enterprise": 30, "charity": 10},
    },
    "delivery_fee_fen": 200,
    "neighbour_allowed": True,
    "ladder": [
        {"after_minutes": 0, "step": "called"},
        {"after_minutes": 5, "step": "contact_reached"},
        {"after_minutes": 15, "step": "neighbour"},
        {"after_minutes": 30, "step": "on_site"},
        {"after_minutes": 45, "step": "emergency_staff_decision"},
    ],
}
DISHES: Final[tuple[tuple[Any, ...], ...]] = (
    ("清蒸鲈鱼套餐", "Steamed perch set", ["fish", "soy"], "normal", ["low_oil", "low_sugar", "no_pork"], 1400),
    ("红烧肉套餐", "Braised pork set", ["gluten", "soy"], "normal", [], 1500),
    ("番茄炒蛋套餐", "Tomato and egg set", ["egg"], "soft", ["low_oil", "no_pork", "vegetarian"], 1000),
    (
        "白灼虾套餐",
        "Boiled shrimp set",
        ["crustacean"],
        "normal",
        ["low_oil", "low_salt", "low_sugar", "no_pork"],
        1600,
    ),
    (
        "低盐鸡丝面",
        "Low-salt chicken noodles",
        ["gluten", "egg"],
        "soft",
        ["diabetic", "halal", "low_oil", "low_salt", "low_sugar", "no_pork"],
        1000,
    ),
    ("肉末豆腐软餐", "Soft tofu with minced pork", ["soy"], "minced", ["low_oil", "low_salt"], 1200),
    (
        "杂粮蔬菜套餐",
        "Vegetables and whole grain",
        [],
        "soft",
        ["diabetic", "halal", "low_oil", "low_purine", "low_salt", "low_sugar", "no_pork", "vegetarian"],
        900,
    ),
    (
        "南瓜小米糊",
        "Pumpkin and millet cream",
        ["milk"],
        "liquid",
        ["low_oil", "low_salt", "no_pork", "vegetarian"],
        800,
    ),
)
MENU_DAYS: Final = 35
"""A town that is started again weeks later still has menus; stock is made as the windows come."""
PORTIONS: Final = 20


async def build(tx: Tx, keys: Keyring, people: Mapping[str, uuid.UUID]) -> None:
    """The kitchens, their dishes and menus, and what must be known of the elder who lives alone."""
    for told, offered in ((KITCHEN, lambda n: (n, n + 2, n + 4, 6)), (CANTEEN, lambda _: tuple(range(len(DISHES))))):
        place_id = await _kitchen(tx, told, offered)
        await tx.execute(
            "INSERT INTO roles (account_no, role, prefix, place_id) SELECT no, 'kitchen', $2, $3 FROM accounts "
            "WHERE person_id = $1",
            people["kitchen"],
            HOME,
            place_id,
        )
    await _elder(tx, keys, people)


async def _kitchen(tx: Tx, told: Mapping[str, Any], offered: Callable[[int], Sequence[int]]) -> uuid.UUID:
    """A kitchen with its dishes, and a menu for each day of those that are `offered` on the n-th."""
    place_id = await found(tx, "elder-meals", told, is_exclusive=False, terms=TERMS)
    ids = [await sql.insert_dish(tx, place_id, HOME, dish) for dish in DISHES]
    today = clock.today()
    for n in range(MENU_DAYS):
        day = today + timedelta(days=n)
        await sql.write_menu(tx, place_id, HOME, day, is_published=True)
        chosen = dict.fromkeys(ids[k % len(ids)] for k in offered(n))
        await sql.write_menu_dishes(tx, place_id, HOME, day, [(dish_id, PORTIONS) for dish_id in chosen])
        await sql.make_stock(tx, place_id, day)
    return place_id


async def _elder(tx: Tx, keys: Keyring, people: Mapping[str, uuid.UUID]) -> None:
    elder = people["elder"]
    row = await tx.row(
        "SELECT a.id, a.no, h.no AS holder_no, h.name FROM accounts a JOIN holders h ON h.id = a.person_id WHERE h.id = $1",
        elder,
    )
    if row is None:  # pragma: no cover - personas are built first
        raise LookupError(elder)
    who = Caller(row["id"], row["no"], elder, row["holder_no"], row["name"])
    for purpose in ("health", "elder-meals"):
        await consents.record(tx, who, None, purpose, consents.Said(given=True, version=1, channel="app", by=None))
    profile = {
        "diet": ["low_oil"],
        "allergens": ["peanut", "crustacean"],
        "texture": "normal",
        "deliver_to": {
            "region": HOME,
            "address": "沈荡社区健康路9号201室",
            "note": "敲门请大声",
            "phone": "15400000003",
            "lat": 30.5812,
            "lon": 120.8267,
        },
        "neighbour": {"name": "邻居张阿姨", "phone": "15400000020", "consent": True},
        "contacts": [
            {"name": "王建国", "relation": "儿子", "phone": "15400000001", "person_id": str(people["resident"])}
        ],
        "note": None,
    }
    await elders.begin_profile(tx, elder, HOME, seal(keys, "profile", elder, profile), row["no"])
