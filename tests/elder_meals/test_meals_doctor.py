"""Each check of kitchens finds what it is for: a fact is broken, the check says so, and the fact is put back."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from datetime import timedelta

import pytest

from services.doctor import CHECKS
from shared import clock, embedded
from shared.crypto import Keyring
from tests.conftest import copy_of
from tests.elder_meals.kitchens import DOOR, Kitchen
from tests.gateway import doors
from tests.gateway.test_front import examined, is_problem, opened


@pytest.fixture(scope="module")
def kitchen(server: embedded.Embedded, template: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kitchen]:
    """A kitchen in which everything has happened once."""
    keys, folder = Keyring.fresh(), tmp_path_factory.mktemp("doctor")
    with copy_of(server, template) as url, opened(url, keys, doors.demo(folder)) as front:
        made = Kitchen(front)
        eats, shut, standing = made.elder(count=3)
        fed = made.order(eats, ("清蒸鱼", 2), ("小米粥", 1), deliver_to=DOOR).json()["id"]
        made.outcome(fed, made.courier, "delivered")
        door = made.order(shut, deliver_to=DOOR).json()["id"]
        old = (clock.now() - timedelta(minutes=20)).isoformat()
        check = made.outcome(door, made.courier, "unanswered", at=old).json()["welfare_check_id"]
        made.work("escalate")
        closed = {"id": str(uuid.uuid4()), "at": clock.now().isoformat(), "kind": "closed", "outcome": "safe_asleep"}
        made.says("POST", f"/v1/elder-meals/welfare-checks/{check}/steps", made.courier, json=closed)
        for lines in ([{"dish_id": made.dishes["小米粥"]}], None):
            body = {"kitchen_id": made.id, "weekdays": list(range(7)), "window": "午餐", "until": made.day(3)}
            body["collect"] = True
            told = body | ({"lines": lines} if lines else {"portions": 9})
            who = standing if lines else made.elder()[0]
            made.says("POST", "/v1/elder-meals/standing-orders", who, 201, json=told)
        made.work("order_standing")
        assert examined(front) == []
        yield made


BROKEN = {
    "every confirmed claim in a kitchen has its order": (
        "UPDATE claims SET resource_id = gen_random_uuid() WHERE service = 'elder-meals'"
    ),
    "every order takes what its lines say": "UPDATE meal_lines SET portions = portions + 1",
    "every order costs what its lines cost, and one line at most is subsidised": (
        "UPDATE meal_lines SET price_fen = price_fen + 1, pay_fen = pay_fen + 1"
    ),
    "what happened in kitchens and at doors was announced": (
        "DELETE FROM notices WHERE type = 'elder-meals.welfare.escalated'"
    ),
    "nothing was announced of kitchens that is not there": (
        "INSERT INTO notices (type, community, subject, holders, data)"
        " VALUES ('elder-meals.order.made', '33', gen_random_uuid(), '{}', '{}')"
    ),
    "an order's outcome was written down at its door": "DELETE FROM meal_outcomes WHERE kind = 'delivered'",
    "a door that stayed shut was looked after, or its meal was not expected": (
        "UPDATE welfare_checks SET person_id = gen_random_uuid()"
    ),
    "every step of a welfare check that was due was said": "DELETE FROM welfare_steps WHERE kind = 'escalated'",
    "a closed welfare check was closed by somebody": "UPDATE welfare_steps SET account_no = NULL",
    "a dish's stock is what the menu says": "UPDATE slots SET capacity = capacity + 1 WHERE subject_kind = 'dish'",
    "a standing order that was answered has its order": "UPDATE standing_runs SET day = day + 100",
}


def test_every_check_of_kitchens_is_broken_below() -> None:
    names = list(CHECKS)
    first = names.index("every confirmed claim in a kitchen has its order")
    own = names[first : names.index("a standing order that was answered has its order") + 1]
    assert {*BROKEN, "no elder has two welfare checks open"} == set(own), "that one is broken among the races"


@pytest.mark.parametrize("name", BROKEN)
def test_a_check_finds_what_it_is_for(kitchen: Kitchen, name: str) -> None:
    with kitchen.town.connect() as c:
        c.autocommit = False
        assert c.execute(CHECKS[name].encode()).fetchall() == []
        assert c.execute(BROKEN[name].encode()).rowcount
        assert c.execute(CHECKS[name].encode()).fetchall(), name
        c.rollback()


def test_what_cannot_be_unsealed_is_refused_for_its_elder_and_holds_nobody_up(kitchen: Kitchen) -> None:
    bad, good = kitchen.elder(count=2)
    for elder in (bad, good):
        kitchen.knows(elder, allergens=["fish"])
        body = {"kitchen_id": kitchen.id, "weekdays": list(range(7)), "window": "午餐", "until": kitchen.day(2)}
        kitchen.says("POST", "/v1/elder-meals/standing-orders", elder, 201, json=body)
    order = kitchen.order(bad, ("小米粥", 1), n=4, deliver_to=DOOR).json()["id"]
    kitchen.town.do(
        "UPDATE elder_profiles SET sealed = sealed || '\\x00' WHERE person_id = '" + str(bad.person_id) + "'"
    )
    assert is_problem(kitchen.order(bad, ("小米粥", 1), n=5), 503)
    assert kitchen.order(good, ("小米粥", 1), n=5).status_code == 201
    kitchen.work("order_standing")
    rows = kitchen.town.all(
        "SELECT DISTINCT person_id FROM meal_orders WHERE day = %s", clock.today() + timedelta(days=2)
    )
    assert (good.person_id,) in rows
    assert (bad.person_id,) not in rows
    check = kitchen.outcome(order, kitchen.courier, "unanswered").json()["welfare_check_id"]
    kitchen.work("escalate")
    assert kitchen.town.one("SELECT rung FROM welfare_checks WHERE id = %s", check) == 1, "nobody is forgotten"
