"""One client for all services: claims, passes, lists and cancellations are the same, whatever is claimed."""

from __future__ import annotations

import base64
import uuid
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest

from services import SERVICES
from shared import assertion, wire
from tests.gateway.everybody import Everybody, everybody
from tests.gateway.test_front import is_problem

__all__ = ["everybody"]

COMMON = {
    *("id", "group_id", "service", "state", "progress", "reason", "slot", "slots", "persons", "made_by", "position"),
    *("held_until", "href"),
}
"""What every answer about a claim says."""


class Wish(NamedTuple):
    """What somebody of the demo town asks of a service, and who has nothing to do with it."""

    persona: str
    body: dict[str, Any]
    stranger: str = "neighbour"


def _slot(town: Everybody, persona: str, service: str, **more: Any) -> dict[str, Any]:
    found = town.ask(persona, "GET", "/v1/slots", params={"service": service, "limit": 500, **more}).json()["items"]
    return next(one for one in reversed(found) if one["bookable"] and one["subject"] is None)


def _reservation(town: Everybody) -> Wish:
    return Wish(
        "resident", {"slot_id": _slot(town, "resident", "booking", community="330411105")["id"], "note": "球拍自带"}
    )


def _registration(town: Everybody) -> Wish:
    """A seat in a festival that the town's manager announces, once, on a court she has booked for the committee."""
    found = town.ask("resident", "GET", "/v1/slots", params={"service": "events", "limit": 500}).json()["items"]
    if able := [one for one in found if one["bookable"] and one["subject"]["kind"] == "event"]:
        return Wish("resident", {"slot_id": able[0]["id"]})
    court = _slot(town, "manager", "booking", community="330411105")
    hall = town.ask("manager", "POST", "/v1/booking/reservations", {"slot_id": court["id"], "holder": "330411105003"})
    festival = {
        "title": "邻里节",
        "community": "330411105003",
        "seats": 10,
        "sessions": [{"starts_at": court["starts_at"], "ends_at": court["ends_at"]}],
        "venue_group_id": hall.json()["group_id"],
    }
    event = town.ask("manager", "POST", "/v1/events/events", festival).json()
    published = town.ask("manager", "POST", f"/v1/events/events/{event['id']}/publish")
    return Wish("resident", {"slot_id": published.json()["sessions"][0]["slot_id"]})


def _meal(town: Everybody) -> Wish:
    window = _slot(town, "elder", "elder-meals")
    menu = f"/v1/elder-meals/kitchens/{window['facility']['id']}/menus/{window['starts_at'][:10]}"
    dish = next(one for one in town.ask("elder", "GET", menu).json()["dishes"] if "vegetarian" in one["diets"])
    return Wish("elder", {"slot_id": window["id"], "lines": [{"dish_id": dish["dish_id"], "portions": 2}]})


def _visit(town: Everybody) -> Wish:
    (one,) = town.ask("child-parent", "GET", "/v1/identity/me").json()["acts_for"]
    child = one["person"]["id"]
    session = _slot(town, "child-parent", "childcare", **{"for": child})
    return Wish("child-parent", {"slot_id": session["id"], "persons": [child], "stays": False})


WISHES: dict[str, Callable[[Everybody], Wish]] = {
    "booking": _reservation,
    "childcare": _visit,
    "elder-meals": _meal,
    "events": _registration,
}


def test_every_service_that_is_claimed_is_asked() -> None:
    assert set(WISHES) == {one.name for one in SERVICES if one.collection}


@pytest.fixture(params=sorted(WISHES))
def service(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def common(told: dict[str, Any]) -> dict[str, Any]:
    assert told.keys() >= COMMON, told
    return {name: told[name] for name in COMMON}


def test_a_claim_is_the_same_everywhere(everybody: Everybody, service: str) -> None:
    town = everybody
    persona, body, stranger = WISHES[service](town)
    collection = next(one.collection for one in SERVICES if one.name == service)
    path, key = f"/v1/{service}/{collection}", uuid.uuid4().hex
    free = town.ask(persona, "GET", f"/v1/slots/{body['slot_id']}").json()["free"]

    assert is_problem(town.ask("nobody", "POST", path, body), 401)
    without = town.ask(persona, "POST", path, body, headers={"Idempotency-Key": ""})
    assert is_problem(without, 400, "idempotency_key_missing")
    made = town.ask(persona, "POST", path, body, headers={"Idempotency-Key": key})
    assert made.status_code == 201, made.text
    told = made.json()
    assert (told["service"], told["state"], told["slot"]["id"]) == (service, "confirmed", body["slot_id"])
    assert made.headers["location"] == told["href"] == f"{path}/{told['id']}"

    again = town.ask(persona, "POST", path, body, headers={"Idempotency-Key": key})
    assert (again.status_code, again.headers.get("idempotency-replayed")) == (201, "true")
    assert again.json() == told
    other = town.ask(persona, "POST", path, body | {"if_full": "wait"}, headers={"Idempotency-Key": key})
    assert is_problem(other, 422, "key_reused")

    assert town.ask(persona, "GET", told["href"]).json() == told, "what was made is what is read"
    assert common(town.ask(persona, "GET", f"/v1/claims/{told['group_id']}").json()) == common(told)
    assert town.ask(persona, "GET", f"/v1/claims/by-key/{key}").json()["group_id"] == told["group_id"]
    mine = town.ask(persona, "GET", "/v1/claims", params={"service": service, "limit": 100}).json()["items"]
    assert [common(one) for one in mine if one["group_id"] == told["group_id"]] == [common(told)]
    listed = town.ask(persona, "GET", path, params={"limit": 100}).json()["items"]
    assert [one for one in listed if one["id"] == told["id"]] == [told]

    shown = town.ask(persona, "GET", f"{told['href']}/pass").json()
    assert {"token", "code", "expires_at", "svg"} <= shown.keys()
    assert shown["svg"].startswith("<svg")

    for method, where in (("GET", ""), ("GET", "/pass"), ("DELETE", "")):
        assert is_problem(town.ask(stranger, method, told["href"] + where), 404)
        assert is_problem(town.ask("nobody", method, told["href"] + where), 401)
    assert is_problem(town.ask(stranger, "GET", f"/v1/claims/{told['group_id']}"), 404)
    assert is_problem(town.ask(stranger, "DELETE", f"/v1/claims/{told['group_id']}"), 404)

    for _ in range(2):
        gone = town.ask(persona, "DELETE", told["href"], params={"reason": "临时有事"})
        assert (gone.status_code, gone.json()["state"], gone.json()["reason"]) == (200, "released", "临时有事")
    assert town.ask(persona, "GET", f"/v1/slots/{body['slot_id']}").json()["free"] == free
    assert town.ask(persona, "GET", told["href"]).json()["state"] == "released"
    assert is_problem(town.ask(persona, "GET", f"{told['href']}/pass"), 409)


def test_a_claim_is_cancelled_at_the_gateway_as_at_its_service(everybody: Everybody, service: str) -> None:
    persona, body, _ = WISHES[service](everybody)
    collection = next(one.collection for one in SERVICES if one.name == service)
    told = everybody.ask(persona, "POST", f"/v1/{service}/{collection}", body).json()
    gone = everybody.ask(persona, "DELETE", f"/v1/claims/{told['group_id']}").json()
    assert gone["state"] == "released"
    assert everybody.ask(persona, "GET", told["href"]).json()["state"] == "released"


def test_no_assertion_says_a_birthday_a_number_or_a_phone(
    everybody: Everybody, monkeypatch: pytest.MonkeyPatch
) -> None:
    told, sign = [], assertion.sign

    def heard(*args: Any, **more: Any) -> str:
        """Signs for a service elsewhere: what a service beside the gateway knows by sight says nothing at all."""
        told.append(sign(*args, **more | {"known": False}))
        return told[-1]

    monkeypatch.setattr(assertion, "sign", heard)
    for service, wish in WISHES.items():
        persona, body, _ = wish(everybody)
        collection = next(one.collection for one in SERVICES if one.name == service)
        made = everybody.ask(persona, "POST", f"/v1/{service}/{collection}", body)
        assert made.status_code == 201, made.text
        everybody.ask(persona, "DELETE", made.json()["href"])
    for persona in everybody.tokens:
        for path in ("/v1/identity/me", "/v1/identity/me/family", "/v1/partners/notices"):
            everybody.ask(persona, "GET", path)
    gate = {"name": "gate", "types": ["*"], "region": "330411105", "operations": ["partners.notices.list"]}
    key = everybody.ask("manager", "POST", "/v1/partners/keys", gate).json()["key"]
    by_key = everybody.ask("nobody", "GET", "/v1/partners/notices", headers={"Authorization": f"Bearer {key}"})
    assert by_key.status_code == 200, by_key.text
    read = [wire.loads(base64.urlsafe_b64decode(one.split(".")[1] + "==")) for one in told]
    assert {one["aud"] for one in read} == {one.name for one in SERVICES}
    for member in ("per", "for", "rol", "key", "grant"):
        assert any(one.get(member) for one in read), f"nobody with {member} was among them"
    assert {name for one in read for name in one} == {
        *(
            "iss",
            "aud",
            "iat",
            "exp",
            "acc",
            "no",
            "per",
            "hol",
            "nam",
            "sid",
            "two",
            "adr",
            "rol",
            "for",
            "key",
            "grant",
        )
    }
    born = {str(one) for (one,) in everybody.front.town.all("SELECT DISTINCT born FROM persons WHERE born IS NOT NULL")}
    never = born | {one.replace("-", "") for one in born} | set(everybody.known.secrets)
    assert min(len(born), len(everybody.known.secrets)) > 10
    assert {word for word in never for one in read if word in str(one)} == set()


@pytest.mark.parametrize(
    "bad",
    [
        {"slot_id": None},
        {"slot_id": "nonsense"},
        {"slot_id": "00000000-0000-0000-0000-000000000000"},
        {"persons": []},
        {"persons": ["00000000-0000-0000-0000-000000000000"]},
        {"guests": -1},
        {"guests": 10**9},
        {"if_full": "perhaps"},
        {"channel": "desk"},
        {"holder": "330411105003"},
        {"unknown": 1},
        {"note": "\u0000"},
    ],
    ids=str,
)
def test_a_bad_claim_is_refused_and_takes_nothing(everybody: Everybody, service: str, bad: dict[str, Any]) -> None:
    persona, body, _ = WISHES[service](everybody)
    collection = next(one.collection for one in SERVICES if one.name == service)
    before = everybody.ask(persona, "GET", f"/v1/slots/{body['slot_id']}").json()["free"]
    answer = everybody.ask(persona, "POST", f"/v1/{service}/{collection}", body | bad)
    assert 400 <= answer.status_code < 500, answer.text
    assert is_problem(answer, answer.status_code)
    assert everybody.ask(persona, "GET", f"/v1/slots/{body['slot_id']}").json()["free"] == before
