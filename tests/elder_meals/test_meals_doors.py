"""What is said at doors and of ways: what is late, early, or of a meal that was given back; and meals that somebody fetches."""

from __future__ import annotations

import uuid
from datetime import datetime, timedelta
from typing import Any

import pytest

from shared import clock
from tests.elder_meals.kitchens import DOOR, ORDERS, Kitchen
from tests.gateway.test_front import Front, examined, is_problem

PLAN = "/v1/elder-meals/rounds/plan"


def given_back(kitchen: Kitchen) -> Any:
    """A meal on its way, and nobody wants it any more."""
    (elder,) = kitchen.elder()
    order = kitchen.order(elder, n=3, deliver_to=DOOR).json()
    kitchen.on_a_round(order["id"])
    assert kitchen.says("DELETE", order["href"], elder)["state"] == "released"
    return order


# ---------------------------------------------------------------- what has happened all the same


@pytest.mark.parametrize("outcome", ["delivered", "refused"])
def test_what_happened_to_a_meal_that_was_given_back_is_written_down(
    kitchen: Kitchen, front: Front, outcome: str
) -> None:
    order = given_back(kitchen)
    taken = "SELECT taken FROM slots WHERE id = %s"
    before = kitchen.town.one(taken, kitchen.window(3))
    for said in ({}, {"decided": False}):
        assert is_problem(kitchen.outcome(order["id"], kitchen.courier, outcome, **said), 409, "conflict")
    told = kitchen.outcome(order["id"], kitchen.courier, outcome, decided=True)
    assert (told.status_code, told.json()["reasons"]) == (200, ["given_back"])
    read = front.get(order["href"], kitchen.manager).json()
    assert (read["state"], read["outcome"]) == ("released", outcome), "its place is somebody else's by now"
    assert kitchen.town.one(taken, kitchen.window(3)) == before
    assert kitchen.says("DELETE", order["href"], kitchen.manager)["state"] == "released"
    assert examined(front) == []


def test_a_meal_that_was_given_back_before_alarms_nobody(kitchen: Kitchen, front: Front) -> None:
    order = given_back(kitchen)
    told = kitchen.outcome(order["id"], kitchen.courier, "unanswered", decided=True).json()
    assert (told["reasons"], told["welfare_check_id"]) == (["given_back"], None)
    assert front.get(order["href"], kitchen.manager).json()["outcome"] == "unanswered"
    assert examined(front) == []


def test_nobody_is_forgotten_because_the_meal_was_given_back_after_nobody_opened(kitchen: Kitchen) -> None:
    at = clock.now().isoformat()
    told = kitchen.outcome(given_back(kitchen)["id"], kitchen.courier, "unanswered", at=at, decided=True).json()
    assert told["reasons"] == ["given_back"]
    assert told["welfare_check_id"] is not None


def test_a_meal_that_a_neighbour_has_already_is_written_down(kitchen: Kitchen) -> None:
    (elder,) = kitchen.elder()
    order = kitchen.order(elder, n=3, deliver_to=DOOR).json()["id"]
    assert is_problem(kitchen.outcome(order, kitchen.courier, "to_neighbour"), 409, "neighbour_not_agreed")
    told = kitchen.outcome(order, kitchen.courier, "to_neighbour", decided=True).json()
    assert told["reasons"] == ["neighbour_not_agreed"]


def test_what_a_courier_did_before_the_ways_were_planned_again_is_written_down(front: Front) -> None:
    kitchen = Kitchen(front, days=1)
    order = kitchen.order(kitchen.elder()[0], deliver_to=DOOR).json()
    fetched = kitchen.order(kitchen.elder()[0], collect=True).json()
    for courier in (kitchen.courier, kitchen.other_courier):
        body = {"slot_id": kitchen.window(), "couriers": [str(courier.person_id)]}
        kitchen.says("POST", PLAN, kitchen.cook, json=body)
    assert is_problem(kitchen.outcome(order["id"], kitchen.courier, "delivered"), 403, "not_allowed")
    assert is_problem(kitchen.outcome(fetched["id"], kitchen.courier, "delivered", decided=True), 403, "not_allowed")
    (far,) = kitchen.town.residents()
    kitchen.town.appoint(far, "courier", prefix="330411105")
    assert is_problem(kitchen.outcome(order["id"], far, "delivered", decided=True), 404, "not_there")
    told = kitchen.outcome(order["id"], kitchen.courier, "delivered", decided=True)
    assert (told.status_code, told.json()["reasons"]) == (200, ["not_on_your_round"])
    again = kitchen.outcome(order["id"], kitchen.other_courier, "unanswered")
    assert is_problem(again, 409, "already_recorded"), "the elder has eaten, and alarms nobody"


# ---------------------------------------------------------------- shut again


def shut_twice(kitchen: Kitchen) -> tuple[str, str, Any]:
    """A meal at whose door nobody opened half an hour ago, its check, and how to end that as of so many minutes ago."""
    (elder,) = kitchen.elder()
    order = kitchen.order(elder, n=3, deliver_to=DOOR).json()["id"]
    told = kitchen.outcome(order, kitchen.courier, "unanswered", at=ago(30)).json()
    path = f"/v1/elder-meals/welfare-checks/{told['welfare_check_id']}/steps"

    def ends(minutes: int, status: int = 200) -> None:
        body = {"id": str(uuid.uuid4()), "at": ago(minutes), "kind": "closed", "outcome": "safe_home"}
        kitchen.says("POST", path, kitchen.manager, status, json=body)

    return order, told["welfare_check_id"], ends


def ago(minutes: int) -> str:
    return (clock.now() - timedelta(minutes=minutes)).isoformat()


def test_a_door_that_stayed_shut_after_a_check_ended_is_not_forgotten_when_that_is_heard_later(
    kitchen: Kitchen, front: Front
) -> None:
    order, first, ends = shut_twice(kitchen)
    ends(20)
    for minutes in (31, 26):
        known = kitchen.outcome(order, kitchen.courier, "unanswered", at=ago(minutes), decided=True)
        assert is_problem(known, 409, "already_recorded"), "it is what is over"
    told = kitchen.outcome(order, kitchen.courier, "unanswered", at=ago(10), decided=True).json()
    assert told["welfare_check_id"] not in (None, first)
    assert told["reasons"] == []
    assert examined(front) == []


def test_two_phones_whose_clocks_are_apart_forget_no_door(kitchen: Kitchen) -> None:
    order, first, ends = shut_twice(kitchen)
    ends(20)
    told = kitchen.outcome(order, kitchen.courier, "unanswered", at=ago(23), decided=True).json()
    assert told["welfare_check_id"] not in (None, first)


def test_a_door_that_stayed_shut_again_is_heard_before_the_check_is_ended(kitchen: Kitchen, front: Front) -> None:
    order, first, ends = shut_twice(kitchen)
    told = kitchen.outcome(order, kitchen.courier, "unanswered", at=ago(10), decided=True).json()
    assert (told["welfare_check_id"], told["reasons"]) == (first, ["check_was_open"])
    ends(20, 409)
    ends(0)
    assert examined(front) == []


# ---------------------------------------------------------------- too early


@pytest.mark.parametrize("outcome", ["delivered", "unanswered"])
def test_nothing_happens_to_a_meal_before_it_is_ordered(kitchen: Kitchen, front: Front, outcome: str) -> None:
    (elder,) = kitchen.elder()
    order = kitchen.order(elder, n=4, deliver_to=DOOR).json()["id"]
    kitchen.comes(order)
    kitchen.on_a_round(order)
    for minutes, status in ((32, 409), (6, 409), (4, 200)):
        at = (clock.now() - timedelta(minutes=minutes)).isoformat()
        report = {"id": str(uuid.uuid4()), "at": at, "outcome": outcome}
        answer = front.ask("POST", f"{ORDERS}/{order}/outcome", kitchen.courier, json=report)
        assert answer.status_code == status, answer.text
        if status == 409:
            assert is_problem(answer, 409, "too_early")
            assert datetime.fromisoformat(answer.json()["opens_at"]) > datetime.fromisoformat(at)
            assert kitchen.town.one("SELECT count(*) FROM welfare_checks WHERE order_id = %s", order) == 0


# ---------------------------------------------------------------- ways


def test_a_meal_that_was_given_back_is_no_open_stop(front: Front) -> None:
    kitchen = Kitchen(front, days=1)
    first, second = (kitchen.order(one, deliver_to=DOOR).json() for one in kitchen.elder(count=2))
    body = {"slot_id": kitchen.window()}

    def stops(method: str = "GET") -> list[tuple[int, int]]:
        if method == "POST":
            found = kitchen.says("POST", PLAN, kitchen.cook, json=body)["items"]
        else:
            found = kitchen.says("GET", f"/v1/elder-meals/rounds?slot={kitchen.window()}", kitchen.courier)["items"]
        return [(one["stops_total"], one["stops_open"]) for one in found]

    assert stops("POST") == [(2, 2)]
    kitchen.says("DELETE", first["href"], kitchen.manager)
    assert stops() == [(2, 1)]
    assert kitchen.outcome(second["id"], kitchen.courier, "unanswered").status_code == 200
    assert stops() == [(2, 1)], "somebody may go there again"
    kitchen.says("DELETE", second["href"], kitchen.manager)
    assert stops() == [(2, 0)]
    assert stops("POST") == [(1, 0)]


# ---------------------------------------------------------------- what is fetched


def test_a_meal_that_is_fetched_goes_to_no_neighbour_and_who_does_not_come_is_looked_after(kitchen: Kitchen) -> None:
    elders = kitchen.elder(count=3)
    kitchen.knows(elders[0], neighbour={"name": "张阿姨", "consent": True})
    one, two, three = (kitchen.order(elder, n=5, collect=True).json()["id"] for elder in elders)
    wrong = kitchen.outcome(one, kitchen.cook, "to_neighbour")
    assert is_problem(wrong, 409, "conflict")
    assert "is fetched" in wrong.json()["detail"]
    assert kitchen.outcome(one, kitchen.cook, "delivered").status_code == 200
    assert kitchen.outcome(two, kitchen.cook, "refused").status_code == 200
    (ends,) = kitchen.town.all("SELECT ends_at FROM slots WHERE id = %s", kitchen.window(5))[0]
    for decided in (None, True):
        early = kitchen.outcome(three, kitchen.cook, "unanswered", decided=decided)
        assert is_problem(early, 409, "too_early"), "there is time until the window ends"
        assert datetime.fromisoformat(early.json()["opens_at"]) == ends
    with kitchen.is_over(three):
        told = kitchen.outcome(three, kitchen.cook, "unanswered").json()
    assert told["welfare_check_id"] is not None


# ---------------------------------------------------------------- steps


def test_an_unknown_step_is_wrong_in_one_place(kitchen: Kitchen, front: Front) -> None:
    body = {"id": str(uuid.uuid4()), "at": clock.now().isoformat(), "kind": "nope"}
    path = f"/v1/elder-meals/welfare-checks/{uuid.uuid4()}/steps"
    refused = front.ask("POST", path, kitchen.manager, json=body)
    assert is_problem(refused, 422)
    assert [one["pointer"] for one in refused.json()["errors"]] == ["/kind"]
