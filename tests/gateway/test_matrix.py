"""Everybody at every door: personas × routes out of the OpenAPI document; unknown things and other people's things.

The routes come from the document and the people from the demo town, so a new route or persona is asked without being
named here. Only what belongs to whom is said below.
"""

from __future__ import annotations

import re
import uuid
from typing import Any, NamedTuple

import pytest

from services.gateway.console.document import document
from shared import clock
from tests.gateway.everybody import EVERYBODY, Everybody, everybody
from tests.gateway.test_one_shape import WISHES

__all__ = ["everybody"]

DOCUMENT = document("en")


class Operation(NamedTuple):
    """One route of the document."""

    id: str
    method: str
    path: str
    told: dict[str, Any]

    @property
    def names(self) -> list[str]:
        """What its path names."""
        return re.findall(r"{(\w+)}", self.path)


OPERATIONS = [
    Operation(told["operationId"], method.upper(), path, told)
    for path, item in DOCUMENT["paths"].items()
    for method, told in item.items()
    if method in ("get", "put", "post", "delete")
]


def least(schema: dict[str, Any], depth: int = 0) -> Any:  # noqa: C901, PLR0912 - one case a kind of schema
    """The least value that a schema allows, more or less."""
    if "$ref" in schema:
        return least(DOCUMENT["components"]["schemas"][schema["$ref"].rpartition("/")[2]], depth + 1)
    for several in ("anyOf", "oneOf", "allOf"):
        if several in schema:
            return least(schema[several][0], depth + 1)
    if "const" in schema:
        return schema["const"]
    if "enum" in schema:
        return schema["enum"][0]
    match schema.get("type"), schema.get("format"):
        case "object", _:
            known = schema.get("properties", {})
            return {name: least(known[name], depth + 1) for name in schema.get("required", []) if name in known}
        case "array", _:
            return [least(schema["items"], depth + 1)] * max(schema.get("minItems", 0), 0)
        case "string", "uuid":
            return str(uuid.uuid4())
        case "string", "date":
            return clock.today().isoformat()
        case "string", "date-time":
            return clock.now().isoformat()
        case "string", _:
            return (
                "330424101003"
                if "[0-9]{2,12}" in schema.get("pattern", "")
                else "12:00"
                if "pattern" in schema
                else "x"
            )
        case "integer" | "number", _:
            return max(1, schema.get("minimum", 1))
        case "boolean", _:
            return True
    return None


def body_of(operation: Operation) -> Any:
    content = operation.told.get("requestBody", {}).get("content", {}).get("application/json")
    return least(content["schema"]) if content else None


def filled(operation: Operation, ids: dict[str, str]) -> str:
    """The path with these ids, and with made-up ones for the rest."""
    kinds = {one["name"]: one["schema"] for one in operation.told.get("parameters", []) if one.get("in") == "path"}
    path = operation.path
    for name in operation.names:
        path = path.replace("{" + name + "}", ids.get(name) or str(least(kinds.get(name, {"type": "string"}))))
    return path


def is_declared(operation: Operation, status: int) -> bool:
    known = operation.told["responses"]
    return str(status) in known or (400 <= status < 500 and "4XX" in known)


@pytest.mark.parametrize("persona", EVERYBODY)
def test_nobody_finds_what_is_not_there_and_no_answer_is_undeclared(everybody: Everybody, persona: str) -> None:
    wrong = []
    for one in OPERATIONS:
        answer = everybody.ask(
            persona, one.method, filled(one, {}), body_of(one), params={"wait": 0} if "notices" in one.id else {}
        )
        where = f"{persona} {one.id}: {answer.status_code} {answer.text[:120]}"
        if answer.status_code >= 500 or not is_declared(one, answer.status_code):
            wrong.append(where)
        elif answer.status_code >= 400:
            if answer.headers["content-type"] != "application/problem+json" or "code" not in answer.json():
                wrong.append("no problem: " + where)
        elif any(name.endswith("_id") for name in one.names) and one.method != "DELETE":
            wrong.append("found: " + where)
    assert wrong == []


@pytest.mark.parametrize("persona", ["nobody", "resident", "manager", "partner"])  # who may do least and most
def test_hostile_ids_find_nothing(everybody: Everybody, persona: str) -> None:
    wrong = []
    for one in OPERATIONS:
        for hostile in ("%00", "..%2f..%2fetc", "1' OR '1'='1", "0" * 300, "-1", "\u202e", "%F0%9F%92%A9"):
            if not one.names or (one.names == ["name"] and hostile == "-1"):  # a name that callers choose
                continue
            answer = everybody.ask(persona, one.method, filled(one, dict.fromkeys(one.names, hostile)), body_of(one))
            if answer.status_code >= 500 or answer.status_code < 300:
                wrong.append(f"{persona} {one.id} {hostile!r}: {answer.status_code} {answer.text[:100]}")
    assert wrong == []


class Thing(NamedTuple):
    """Something of somebody's: its id, and who has to do with it."""

    id: str
    own: frozenset[str]


def _first(everybody: Everybody, persona: str, path: str, **params: Any) -> Any:
    return everybody.ask(persona, "GET", path, params=params).json()["items"][0]


@pytest.fixture(scope="module")
def things(everybody: Everybody) -> dict[str, Thing]:
    """One of each kind, by the name that paths have for it."""

    def made(persona: str, path: str, body: dict[str, Any]) -> Any:
        answer = everybody.ask(persona, "POST", path, body)
        assert answer.status_code in (200, 201), f"{path}: {answer.text}"
        return answer.json()

    claimed = {
        service: (wish.persona, made(wish.persona, f"/v1/{service}/{collection}", wish.body))
        for service, collection in (
            ("booking", "reservations"),
            ("elder-meals", "orders"),
            ("childcare", "visits"),
            ("events", "registrations"),
        )
        for wish in [WISHES[service](everybody)]
    }
    elder = everybody.ask("elder", "GET", "/v1/identity/me").json()["person"]["id"]
    child = claimed["childcare"][1]["persons"][0]["id"]
    order = claimed["elder-meals"][1]
    kitchen = order["slot"]["facility"]["id"]
    dish = _first(everybody, "kitchen", f"/v1/elder-meals/kitchens/{kitchen}/dishes")["id"]
    standing = {
        "person_id": elder,
        "kitchen_id": kitchen,
        "weekdays": [0],
        "window": order["slot"]["title"],
        "lines": [{"dish_id": dish, "portions": 1}],
    }
    day = clock.today().isoformat()
    away = made("elder", "/v1/elder-meals/absences", {"person_id": elder, "from": day, "to": day})
    course = _first(everybody, "nobody", "/v1/events/events")
    endpoint = {"url": "https://partner.example/hook", "types": ["*"], "community": "330411105"}
    key = {"name": "gate", "types": ["*"], "region": "330411105", "operations": ["partners.notices.list"]}
    meals = frozenset({"elder", "resident", "kitchen", "steward"})
    return {
        "reservation_id": Thing(claimed["booking"][1]["id"], frozenset({"resident", "manager"})),
        "order_id": Thing(order["id"], meals),
        "visit_id": Thing(claimed["childcare"][1]["id"], frozenset({"child-parent", "carer", "steward"})),
        "registration_id": Thing(claimed["events"][1]["id"], frozenset({claimed["events"][0], "organiser"})),
        "standing_id": Thing(made("resident", "/v1/elder-meals/standing-orders", standing)["id"], meals),
        "absence_id": Thing(away["id"], meals),
        "person_id": Thing(child, frozenset({"child-parent", "carer", "steward"})),
        "event_id": Thing(course["id"], frozenset(EVERYBODY)),
        "endpoint_id": Thing(
            made("partner", "/v1/partners/endpoints", endpoint)["id"],
            frozenset({"partner", "manager", "administrator"}),
        ),
        "key_id": Thing(made("manager", "/v1/partners/keys", key)["id"], frozenset({"manager", "administrator"})),
    }


@pytest.mark.parametrize("persona", EVERYBODY)
def test_nobody_gets_at_what_is_somebody_elses(everybody: Everybody, things: dict[str, Thing], persona: str) -> None:
    ids = {name: thing.id for name, thing in things.items()}
    wrong = []
    for one in OPERATIONS:
        others = [name for name in one.names if name in things and persona not in things[name].own]
        if not others:
            continue
        answer = everybody.ask(persona, one.method, filled(one, ids), body_of(one))
        hidden = (401, 403, 404) if one.method in ("GET", "DELETE") else range(400, 500)
        if answer.status_code not in hidden:
            wrong.append(f"{persona} {one.id}: {answer.status_code} {answer.text[:150]}")
    assert wrong == []


@pytest.mark.parametrize("persona", EVERYBODY)
def test_everybody_reads_what_is_theirs(everybody: Everybody, things: dict[str, Thing], persona: str) -> None:
    wrong = []
    for one in OPERATIONS:
        name = one.names[-1] if one.names else ""
        if (
            one.method != "GET"
            or not one.path.endswith(f"{{{name}}}")
            or persona not in things.get(name, Thing("", frozenset())).own
        ):
            continue
        if name == "person_id":  # each part of a person has its own readers
            continue
        answer = everybody.ask(persona, "GET", filled(one, {key: thing.id for key, thing in things.items()}))
        if answer.status_code != 200 and "series" not in one.id:
            wrong.append(f"{persona} {one.id}: {answer.status_code} {answer.text[:150]}")
    assert wrong == []
