"""Standing orders: the worker asks for each day once, and what is refused is told and left alone."""

from __future__ import annotations

import asyncio
import dataclasses
import uuid
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest

from services.elder_meals import tasks
from services.elder_meals.actions import standing as actions
from services.elder_meals.sql import elders as sql
from services.gateway.tasks import stamp_notices
from shared import clock
from tests.elder_meals.kitchens import Kitchen
from tests.gateway.test_front import Front, examined, is_problem
from tests.town import Resident

STANDING = "/v1/elder-meals/standing-orders"
ALL_WEEK = list(range(7))


def standing(kitchen: Kitchen, who: Resident, elder: Resident | None = None, status: int = 201, **body: Any) -> Any:
    told = {
        "kitchen_id": str(kitchen.id),
        "weekdays": ALL_WEEK,
        "window": "午餐",
        "lines": [{"dish_id": kitchen.dishes["小米粥"], "portions": 1}],
        "starts_on": kitchen.day(2),
        "until": kitchen.day(5),
    } | body
    if elder is not None:
        told["person_id"] = str(elder.person_id)
    if "collect" not in told and not kitchen.has_door(elder or who):
        told["collect"] = True
    return kitchen.says("POST", STANDING, who, status, json=told)


def days(kitchen: Kitchen, elder: Resident) -> list[str]:
    rows = kitchen.town.all("SELECT day FROM meal_orders WHERE person_id = %s ORDER BY day", elder.person_id)
    return [row[0].isoformat() for row in rows]


def runs(kitchen: Kitchen, who: Resident, made: Any) -> list[tuple[str, str, str | None]]:
    read = kitchen.says("GET", f"{STANDING}/{made['id']}", who)
    return [(one["date"], one["state"], one["code"]) for one in read["runs"]]


def test_every_day_is_ordered_once_however_often_the_worker_looks(kitchen: Kitchen, front: Front) -> None:
    (elder,), (son,) = kitchen.elder(), kitchen.town.residents()
    kitchen.town.relate(son, elder, "proxy")
    made = standing(kitchen, son, elder)
    for _ in range(3):
        kitchen.work("order_standing")
    assert days(kitchen, elder) == [kitchen.day(n) for n in (2, 3, 4, 5)]
    assert {state for _, state, _ in runs(kitchen, son, made)} == {"ordered"}
    order = kitchen.town.one("SELECT id FROM meal_orders WHERE person_id = %s ORDER BY day LIMIT 1", elder.person_id)
    read = front.get(f"/v1/elder-meals/orders/{order}", son).json()
    assert (read["made_by"], read["pay_fen"]) == (str(son.person_id), 210)
    front.ask("DELETE", read["href"], son)
    kitchen.work("order_standing")
    assert len(days(kitchen, elder)) == 4, "what somebody cancelled is not ordered again"


def test_days_away_are_left_out_and_come_back_when_the_absence_does(kitchen: Kitchen) -> None:
    (elder,) = kitchen.elder()
    away = {"from": kitchen.day(3), "to": kitchen.day(4)}
    absence = kitchen.says("POST", "/v1/elder-meals/absences", elder, 201, json=away)
    standing(kitchen, elder)
    kitchen.work("order_standing")
    assert days(kitchen, elder) == [kitchen.day(2), kitchen.day(5)]
    kitchen.says("DELETE", f"/v1/elder-meals/absences/{absence['id']}", elder)
    kitchen.work("order_standing")
    assert days(kitchen, elder) == [kitchen.day(n) for n in (2, 3, 4, 5)]


def begun(kitchen: Kitchen) -> None:
    """The worker has written down what is wanted, and has not asked for it yet."""
    context = kitchen.context
    kitchen.front.runner.run(context.db.run(actions.begin_runs, context.keys, clock.today()))


def test_who_says_they_are_away_before_the_worker_asks_gets_nothing_until_they_are_back(kitchen: Kitchen) -> None:
    (elder,) = kitchen.elder()
    made = standing(kitchen, elder, until=kitchen.day(3))
    begun(kitchen)
    away = {"from": kitchen.day(3), "to": kitchen.day(4)}
    absence = kitchen.says("POST", "/v1/elder-meals/absences", elder, 201, json=away)
    for _ in range(2):
        kitchen.work("order_standing")
    assert days(kitchen, elder) == [kitchen.day(2)]
    assert (kitchen.day(3), "refused", "away") in runs(kitchen, elder, made)
    assert kitchen.notices(made["id"]) == []
    assert examined(kitchen.front) == []
    kitchen.says("DELETE", f"/v1/elder-meals/absences/{absence['id']}", elder)
    kitchen.work("order_standing")
    assert days(kitchen, elder) == [kitchen.day(2), kitchen.day(3)]
    assert examined(kitchen.front) == []


def test_what_ends_before_the_worker_asks_orders_no_more(kitchen: Kitchen, front: Front) -> None:
    ends, shortens = kitchen.elder(count=2)
    ended, shortened = (standing(kitchen, one) for one in (ends, shortens))
    begun(kitchen)
    kitchen.says("DELETE", f"{STANDING}/{ended['id']}", ends)
    body = {name: shortened[name] for name in ("kitchen_id", "weekdays", "window", "lines", "starts_on")}
    kitchen.says("PUT", f"{STANDING}/{shortened['id']}", shortens, json=body | {"until": kitchen.day(2)})
    kitchen.work("order_standing")
    assert (days(kitchen, ends), days(kitchen, shortens)) == ([], [kitchen.day(2)])
    assert {one[1:] for one in runs(kitchen, ends, ended)} == {("refused", "ended")}
    assert kitchen.notices(ended["id"]) == kitchen.notices(shortened["id"]) == []
    assert examined(front) == []


def said_while_asking(kitchen: Kitchen, front: Front, *, is_held: bool) -> tuple[Any, str]:
    """An elder says that they are away just when the worker asks for their meal: the absence and the order.

    The worker goes on once the absence waits for it, or (not held) once it was said.
    """
    (elder,) = kitchen.elder()
    kitchen.knows(elder)
    made = standing(kitchen, elder, until=kitchen.day(2))
    context, sayings = kitchen.context, []
    ask = context.ask
    assert ask is not None
    waits = "SELECT count(*) FROM pg_locks l JOIN pg_stat_activity a USING (pid) WHERE NOT l.granted AND a.query ~ 'standing_orders'"

    async def away() -> Any:
        body = {"from": kitchen.day(2), "to": kitchen.day(2)}
        return await front.client.post("/v1/elder-meals/absences", json=body, headers=elder.headers(front.keys))

    async def meanwhile(account_no: int, service: str, body: Mapping[str, Any], key: str) -> Any:
        if key.startswith(f"standing-{made['id']}"):
            sayings.append(asyncio.create_task(away()))
            while is_held and not kitchen.town.one(waits):
                assert not sayings[0].done()
                await asyncio.sleep(0.01)
            if not is_held:
                await sayings[0]
        return await ask(account_no, service, body, key)

    async def work() -> list[Any]:
        await tasks.order_standing(dataclasses.replace(context, ask=meanwhile))
        return [(await one).json() for one in sayings]

    (absence,) = front.runner.run(work())
    return absence, str(kitchen.town.one("SELECT id FROM meal_orders WHERE person_id = %s", elder.person_id))


def test_an_absence_that_is_said_while_the_worker_asks_is_told_of_the_order(kitchen: Kitchen, front: Front) -> None:
    absence, order = said_while_asking(kitchen, front, is_held=True)
    assert absence["orders"] == [order]
    told = kitchen.outcome(order, kitchen.courier, "unanswered").json()
    assert (told["welfare_check_id"], told["reasons"]) == (None, ["elder_is_absent"])


def test_control_without_holding_the_standing_order_the_absence_misses_it(
    kitchen: Kitchen, front: Front, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def not_held(_tx: Any, _person_id: uuid.UUID) -> None:
        pass

    monkeypatch.setattr(sql, "hold_standings", not_held)
    absence, order = said_while_asking(kitchen, front, is_held=False)
    assert absence["orders"] == []
    told = kitchen.outcome(order, kitchen.courier, "unanswered").json()
    assert told["welfare_check_id"] is not None, "they said that they are away, and are worried about"


def test_a_worker_that_died_before_an_absence_was_said_has_ordered_all_the_same(kitchen: Kitchen) -> None:
    (elder,) = kitchen.elder()
    made = standing(kitchen, elder, until=kitchen.day(2))
    kitchen.work("order_standing")
    forgets = "UPDATE standing_runs SET state = 'asking', order_id = NULL, changed_at = %s WHERE standing_id = %s"
    kitchen.town.do(forgets, clock.now() - timedelta(minutes=1), made["id"])
    away = {"from": kitchen.day(2), "to": kitchen.day(2)}
    kitchen.says("POST", "/v1/elder-meals/absences", elder, 201, json=away)
    kitchen.work("order_standing")
    assert runs(kitchen, elder, made) == [(kitchen.day(2), "ordered", None)]


def test_a_refusal_is_told_once_and_not_tried_again(kitchen: Kitchen) -> None:
    (elder,) = kitchen.elder()
    kitchen.knows(elder, allergens=["fish"])
    made = standing(kitchen, elder, lines=[{"dish_id": kitchen.dishes["清蒸鱼"]}], until=kitchen.day(2))
    for _ in range(2):
        kitchen.work("order_standing")
    assert runs(kitchen, elder, made) == [(kitchen.day(2), "refused", "diet_conflict")]
    assert kitchen.notices(made["id"]) == ["elder-meals.standing.refused"]
    told = kitchen.town.one("SELECT data::text FROM notices WHERE subject = %s", made["id"])
    assert "fish" not in told


def test_a_meal_that_goes_nowhere_is_told_to_the_family_and_one_that_is_fetched_goes_on(
    kitchen: Kitchen, front: Front
) -> None:
    (elder, other), (son,) = kitchen.elder(count=2), kitchen.town.residents()
    kitchen.town.relate(son, elder, "proxy")
    made = standing(kitchen, son, elder, until=kitchen.day(2), collect=False)
    fetched = standing(kitchen, other, until=kitchen.day(2), collect=True)
    assert (made["collect"], fetched["collect"]) == (False, True)
    kitchen.work("order_standing")
    assert runs(kitchen, son, made) == [(kitchen.day(2), "refused", "no_address")]
    front.runner.run(stamp_notices(front.parts))
    heard = {one["subject"]: one["data"] for one in kitchen.says("GET", "/v1/notices?limit=500", son)["items"]}
    assert heard[made["id"]] == {"date": kitchen.day(2), "code": "no_address"}
    (order,) = kitchen.says("GET", "/v1/elder-meals/orders", other)["items"]
    assert (order["deliver_to"], order["fee_fen"]) == (None, 0)


@pytest.mark.parametrize("how", ["door", "collect", "diet", "longer"])
def test_what_was_refused_is_asked_for_again_once_the_reason_is_mended(kitchen: Kitchen, how: str) -> None:
    (elder,) = kitchen.elder()
    lines = [{"dish_id": kitchen.dishes["清蒸鱼"], "portions": 1}]
    if how == "diet":
        kitchen.knows(elder, allergens=["fish"])
    made = standing(kitchen, elder, lines=lines, until=kitchen.day(3), collect=how == "longer")
    body = {name: made[name] for name in ("kitchen_id", "weekdays", "window", "lines", "starts_on", "until", "collect")}
    path = f"{STANDING}/{made['id']}"
    if how == "longer":
        begun(kitchen)
        kitchen.says("PUT", path, elder, json=body | {"starts_on": kitchen.day(4), "until": kitchen.day(5)})
    kitchen.work("order_standing")
    refused = {"diet": "diet_conflict", "longer": "ended"}.get(how, "no_address")
    told = 0 if how == "longer" else 2
    assert [one for one in runs(kitchen, elder, made) if one[2]] == [
        (kitchen.day(n), "refused", refused) for n in (2, 3)
    ]
    shut = "UPDATE slots SET closes_at = %s WHERE id = %s"
    (closes,) = kitchen.town.all("SELECT closes_at FROM slots WHERE id = %s", kitchen.window(3))[0]
    kitchen.town.do(shut, clock.now() - timedelta(seconds=1), kitchen.window(3))
    if how in ("door", "diet"):
        kitchen.knows(elder)
    else:
        kitchen.says("PUT", path, elder, json=body | {"collect": True})
    for _ in range(2):
        kitchen.work("order_standing")
    kitchen.town.do(shut, closes, kitchen.window(3))
    assert runs(kitchen, elder, made)[:2] == [(kitchen.day(2), "ordered", None), (kitchen.day(3), "refused", refused)]
    assert kitchen.notices(made["id"]) == ["elder-meals.standing.refused"] * told
    assert examined(kitchen.front) == []


def test_the_dish_of_the_day_is_one_that_suits(kitchen: Kitchen) -> None:
    (elder,) = kitchen.elder()
    kitchen.knows(elder, allergens=["soy", "fish"])
    standing(kitchen, elder, lines=None, portions=2, until=kitchen.day(2))
    kitchen.work("order_standing")
    found = kitchen.town.all(
        "SELECT l.dish_id, l.portions FROM meal_lines l JOIN meal_orders o ON o.id = l.order_id WHERE o.person_id = %s",
        elder.person_id,
    )
    assert found == [(uuid.UUID(kitchen.dishes["小米粥"]), 2)]


def test_a_standing_order_is_one_a_window_and_ends(kitchen: Kitchen, front: Front) -> None:
    (elder, other) = kitchen.elder(count=2)
    made = standing(kitchen, elder)
    assert standing(kitchen, elder, status=409)["code"] == "exists"
    path = f"{STANDING}/{made['id']}"
    assert is_problem(front.get(path, other), 404, "not_there")
    assert is_problem(front.ask("DELETE", path, other), 404, "not_there")
    for _ in range(2):
        assert kitchen.says("DELETE", path, elder)["state"] == "ended"
    kitchen.work("order_standing")
    assert days(kitchen, elder) == []
    assert standing(kitchen, elder)["state"] == "active"


def test_what_a_proxy_ordered_goes_on_in_the_elders_name_when_they_are_none_any_more(kitchen: Kitchen) -> None:
    (elder,), (friend,) = kitchen.elder(), kitchen.town.residents()
    kitchen.town.relate(friend, elder, "proxy", ["elder-meals"])
    made = standing(kitchen, friend, elder, until=kitchen.day(2))
    kitchen.town.do("UPDATE relations SET services = '{events}' WHERE actor_id = %s", friend.person_id)
    for _ in range(2):
        kitchen.work("order_standing")
    assert days(kitchen, elder) == [kitchen.day(2)]
    assert kitchen.notices(made["id"]).count("elder-meals.standing.passed") == 1
    order = "SELECT account_no FROM meal_orders WHERE person_id = %s"
    assert kitchen.town.one(order, elder.person_id) == elder.account_no
    assert kitchen.says("GET", f"{STANDING}/{made['id']}", elder)["state"] == "active"
    assert examined(kitchen.front) == []


def test_an_elder_without_an_account_keeps_no_order_of_a_proxy_who_left(kitchen: Kitchen) -> None:
    (elder,), (friend,) = kitchen.elder(), kitchen.town.residents()
    kitchen.town.relate(friend, elder, "proxy")
    made = standing(kitchen, friend, elder, until=kitchen.day(2))
    kitchen.town.do("UPDATE accounts SET closed_at = now() WHERE no = %s", elder.account_no)
    kitchen.town.do("UPDATE relations SET ends_at = now(), closed_at = now() WHERE actor_id = %s", friend.person_id)
    for _ in range(2):
        kitchen.work("order_standing")
    assert days(kitchen, elder) == []
    assert kitchen.notices(made["id"]) == ["elder-meals.standing.ended"]
    assert kitchen.town.one("SELECT state FROM standing_orders WHERE id = %s", made["id"]) == "ended"


def test_what_the_desk_wrote_down_and_what_a_guardian_may_still_say_stays_theirs(kitchen: Kitchen) -> None:
    (elder,), (friend,) = kitchen.elder(), kitchen.town.residents()
    kitchen.town.relate(friend, elder, "proxy")
    standing(kitchen, friend, elder, until=kitchen.day(2))
    (other,) = kitchen.elder()
    standing(kitchen, kitchen.manager, other, until=kitchen.day(2))
    kitchen.work("order_standing")
    owners = "SELECT array_agg(account_no ORDER BY id) FROM standing_orders WHERE person_id = ANY(%s)"
    assert kitchen.town.one(owners, [elder.person_id, other.person_id]) == [
        friend.account_no,
        kitchen.manager.account_no,
    ]


@pytest.mark.parametrize("has_account", [True, False])
def test_what_the_desk_wrote_down_outlives_its_clerk_in_the_elders_name(kitchen: Kitchen, *, has_account: bool) -> None:
    (elder,), (clerk,) = kitchen.elder(), kitchen.town.residents()
    kitchen.town.appoint(clerk, "staff", prefix="330424101")
    made = standing(kitchen, clerk, elder, until=kitchen.day(2))
    begun(kitchen)
    kitchen.town.do("UPDATE roles SET ends_at = now() WHERE account_no = %s", clerk.account_no)
    if not has_account:
        kitchen.town.do("UPDATE accounts SET closed_at = now() WHERE no = %s", elder.account_no)
    for _ in range(2):
        kitchen.work("order_standing")
    assert days(kitchen, elder) == ([kitchen.day(2)] if has_account else [])
    assert kitchen.notices(made["id"]) == [f"elder-meals.standing.{'passed' if has_account else 'ended'}"]
    found = kitchen.town.all("SELECT account_no, state FROM standing_orders WHERE id = %s", made["id"])
    assert found == [(elder.account_no, "active") if has_account else (clerk.account_no, "ended")]


def test_what_staff_change_for_a_family_stays_the_familys(kitchen: Kitchen, front: Front) -> None:
    (elder,), (son,) = kitchen.elder(), kitchen.town.residents()
    kitchen.town.relate(son, elder, "proxy")
    made = standing(kitchen, son, elder, until=kitchen.day(2))
    path = f"{STANDING}/{made['id']}"
    body = {name: made[name] for name in ("kitchen_id", "weekdays", "window", "lines", "starts_on", "until", "collect")}
    fresh = {"If-Match": front.get(path, kitchen.manager).headers["etag"]}
    kitchen.says("PUT", path, kitchen.manager, json=body, headers=fresh)
    kitchen.work("order_standing")
    order = "SELECT account_no FROM meal_orders WHERE person_id = %s"
    assert kitchen.town.one(order, elder.person_id) == son.account_no
    assert kitchen.town.one("SELECT channel FROM claims WHERE holder_no = %s LIMIT 1", elder.holder_no) == "app"


def test_staff_speak_for_an_elder_as_from_the_desk(kitchen: Kitchen) -> None:
    (elder,) = kitchen.elder()
    standing(kitchen, kitchen.manager, elder, until=kitchen.day(2))
    kitchen.work("order_standing")
    assert days(kitchen, elder) == [kitchen.day(2)]
    assert kitchen.town.one("SELECT channel FROM claims WHERE holder_no = %s LIMIT 1", elder.holder_no) == "desk"


def test_a_worker_that_died_in_between_is_followed_by_one_that_asks_with_the_same_key(kitchen: Kitchen) -> None:
    (elder,) = kitchen.elder()
    made = standing(kitchen, elder, until=kitchen.day(2))
    kitchen.work("order_standing")
    kitchen.town.do("UPDATE standing_runs SET state = 'asking', order_id = NULL WHERE standing_id = %s", made["id"])
    kitchen.work("order_standing")
    assert len(days(kitchen, elder)) == 1
    assert runs(kitchen, elder, made) == [(kitchen.day(2), "ordered", None)]


@pytest.mark.parametrize(
    "bad",
    [
        {"weekdays": []},
        {"weekdays": [7]},
        {"weekdays": [1, 1]},
        {"kitchen_id": "01990000-0000-7000-8000-000000000000"},
        {"lines": [{"dish_id": "01990000-0000-7000-8000-000000000000"}]},
        {"lines": []},
        {"portions": 0, "lines": None},
        {"until": "2020-01-01"},
        {"until": "2300-01-01"},
        {"window": "\u0000"},
        {"window": "Lunch"},
        {"unknown": 1},
    ],
    ids=str,
)
def test_a_standing_order_that_makes_no_sense_is_refused(kitchen: Kitchen, bad: dict[str, Any]) -> None:
    (elder,) = kitchen.elder()
    standing(kitchen, elder, status=422, **bad)


def wrong(refused: Any) -> list[tuple[str, str]]:
    return [(one["pointer"], one["code"]) for one in refused["errors"]]


def test_a_standing_order_that_could_never_order_anything_is_refused(kitchen: Kitchen) -> None:
    (elder,) = kitchen.elder()
    day = clock.today() + timedelta(days=3)
    never = {"starts_on": day.isoformat(), "until": (day + timedelta(days=1)).isoformat()}
    last, next_ = day.weekday(), (day + timedelta(days=1)).weekday()
    others = [one for one in ALL_WEEK if one not in (last, next_)]
    bad: list[tuple[dict[str, Any], tuple[str, str]]] = [
        ({"starts_on": "2020-01-01", "until": "2020-12-31"}, ("/until", "past")),
        ({"starts_on": kitchen.day(-9), "until": kitchen.day(-1)}, ("/until", "past")),
        (never | {"weekdays": others}, ("/weekdays", "never")),
        ({"starts_on": "2199-01-01", "until": None}, ("/starts_on", "too_far")),
        ({"starts_on": kitchen.day(367), "until": None}, ("/starts_on", "too_far")),
        ({"portions": 5}, ("/portions", "each_line_says_its_portions")),
    ]
    for told, where in bad:
        assert wrong(standing(kitchen, elder, status=422, **told)) == [where], told
    made = standing(kitchen, elder, **never, weekdays=[next_])
    body = {"kitchen_id": str(kitchen.id), "weekdays": ALL_WEEK, "window": "午餐", "collect": True} | never
    path = f"{STANDING}/{made['id']}"
    for told, where in bad:
        if "portions" not in told:
            assert wrong(kitchen.says("PUT", path, elder, 422, json=body | told)) == [where], told
    ends = {"starts_on": None, "until": kitchen.day(2)}
    assert wrong(kitchen.says("PUT", path, elder, 422, json=body | ends)) == [("/until", "order")]
    stranger = {"person_id": str(kitchen.elder()[0].person_id)}
    assert wrong(kitchen.says("PUT", path, elder, 422, json=body | stranger)) == [("/person_id", "fixed")]
    strange = {"kitchen_id": str(uuid.uuid4())}
    assert wrong(kitchen.says("PUT", path, elder, 422, json=body | strange)) == [("/kitchen_id", "fixed")]
    again = body | {"lines": made["lines"], "portions": made["portions"]}
    assert kitchen.says("PUT", path, elder, json=again)["version"] == 2, "said again as it was read"


def test_nobody_makes_one_for_a_stranger(kitchen: Kitchen) -> None:
    (elder, other) = kitchen.elder(count=2)
    assert standing(kitchen, other, elder, status=404)["code"] == "not_there"


def test_a_change_counts_from_the_next_day_that_is_ordered(kitchen: Kitchen, front: Front) -> None:
    (elder,) = kitchen.elder()
    made = standing(kitchen, elder, until=kitchen.day(2))
    kitchen.work("order_standing")
    body = {
        "kitchen_id": str(kitchen.id),
        "weekdays": ALL_WEEK,
        "window": "午餐",
        "lines": [{"dish_id": kitchen.dishes["清蒸鱼"]}],
        "collect": True,
        "until": kitchen.day(3),
    }
    path = f"{STANDING}/{made['id']}"
    assert is_problem(front.ask("PUT", path, elder, json=body, headers={"If-Match": '"9"'}), 412, "changed")
    assert kitchen.says("PUT", path, elder, json=body)["version"] == 2
    kitchen.work("order_standing")
    rows = kitchen.town.all(
        "SELECT o.day, l.dish_id FROM meal_orders o JOIN meal_lines l ON l.order_id = o.id WHERE person_id = %s ORDER BY 1",
        elder.person_id,
    )
    assert [(row[0], str(row[1])) for row in rows] == [
        (clock.today() + timedelta(days=2), kitchen.dishes["小米粥"]),
        (clock.today() + timedelta(days=3), kitchen.dishes["清蒸鱼"]),
    ]
