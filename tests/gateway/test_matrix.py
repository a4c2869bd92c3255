"""Everybody at every door: personas × routes out of the OpenAPI document; unknown things and other people's things.

The routes come from the document and the people from the demo town, so a new route or persona is asked without being
named here. Only what belongs to whom is said below.

Whoever asks says nothing wrong: a body that the document lets through, `If-Match: *`, a fresh key. So what is answered is
about who asks, and only 401, 403 and 404 hide a thing.
"""

from __future__ import annotations

import fnmatch
import itertools
import json
import re
import uuid
from datetime import timedelta
from typing import Any, NamedTuple

import pytest

from services import SERVICES
from services.cli.town import personas
from shared import clock
from shared.tokens import verify
from tests.gateway.everybody import EVERYBODY, Everybody, everybody
from tests.gateway.test_one_shape import WISHES
from tests.house.house import ROOT

__all__ = ["everybody"]

DOCUMENT = json.loads((ROOT / "docs" / "openapi.en.json").read_text(encoding="utf-8"))  # as served, tests/house says


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


WORDS = ("because", "330424101003", "12:00", "123456", "*", "1234", "nobody-guesses-this-one", "elder-meals")
"""One of these is what any pattern of the document wants."""
SEALED = {"name": "林小满", "number": "no-such-number", "phone": "no-such-phone"}
"""Words that no answer may contain by chance: where they are somebody's, nobody else is told."""
LATER = {
    "starts_at": timedelta(hours=1),
    "ends_at": timedelta(hours=2),
    "until": timedelta(days=1),
    "to": timedelta(days=1),
}
"""Moments and days that have to be to come, or behind another."""


def least(schema: dict[str, Any], name: str = "") -> Any:  # noqa: C901, PLR0912 - one case a kind of schema
    """The least value that a schema allows."""
    if "$ref" in schema:
        return least(DOCUMENT["components"]["schemas"][schema["$ref"].rpartition("/")[2]], name)
    for several in ("anyOf", "oneOf", "allOf"):
        if several in schema:
            return least(schema[several][0], name)
    if "const" in schema:
        return schema["const"]
    if "enum" in schema:
        return schema["enum"][0]
    later = LATER.get(name, timedelta())
    match schema.get("type"), schema.get("format"):
        case "string", None if name in SEALED:
            return SEALED[name]
        case "object", _:
            known = schema.get("properties", {})
            return {one: least(known[one], one) for one in schema.get("required", [])}
        case "array", _:
            return [least(schema["items"], name)] * schema.get("minItems", 0)
        case "string", "uuid":
            return str(uuid.uuid4())
        case "string", "date":
            return (clock.today() + later).isoformat()
        case "string", "date-time":
            return (clock.now() + later).isoformat()
        case "string", _:
            return next(word for word in WORDS if re.search(schema.get("pattern", ""), word))
        case "integer" | "number", _:
            return max(1, schema.get("minimum", 1))
        case "boolean", _:
            return True
    return None


HOMES = {one.key: one.community for one in personas.PERSONAS}
BODIES: dict[str, dict[str, Any]] = {
    "childcare.visits.sign_in": {"code": "ABCD-EFGH"},
    "childcare.visits.sign_out": {"code": "123456"},
    "childcare.collectors.create": {"name": "外婆"},
    "childcare.rooms.count": {"count": 0},
    "partners.endpoints.replace": {"url": "https://partner.example/hook", "types": ["*"]},
}
"""What a body must say besides the least that the document asks for; of what kind places are is read where they are made."""


def body_of(operation: Operation, persona: str) -> Any:
    """What an operation takes, for the community of whoever sends it: there they may do what they may at all."""
    content = operation.told.get("requestBody", {}).get("content", {}).get("application/json")
    if content is None:
        return None
    more = [said for pattern, said in BODIES.items() if fnmatch.fnmatchcase(operation.id, pattern)]
    body: dict[str, Any] = least(content["schema"]) | (more[0] if more else {})
    if "community" in body and persona in HOMES:
        body["community"] = HOMES[persona]
    return body


def query_of(operation: Operation) -> dict[str, Any]:
    """What must be asked, and that nobody waits for news."""
    asked = [one for one in operation.told.get("parameters", []) if one.get("in") == "query"]
    needed = {one["name"]: least(one["schema"]) for one in asked if one.get("required")}
    return needed | {one["name"]: 0 for one in asked if one["name"] == "wait"}


def filled(operation: Operation, ids: dict[str, str]) -> str:
    """The path with these ids, and with made-up ones for the rest; what nobody made up is a purpose that there is."""
    kinds = {one["name"]: one["schema"] for one in operation.told.get("parameters", []) if one.get("in") == "path"}
    path = operation.path
    ids = {"purpose": "childcare", "key": "nobody-has-made-this"} | ids
    for name in operation.names:
        path = path.replace("{" + name + "}", ids.get(name) or str(least(kinds.get(name, {"type": "string"}))))
    return path


NOBODYS = {
    "name": "a reader's name: everybody has readers of their own by whatever names they like",
    "day": "a date",
    "year": "a year",
    "code": "of a region",
    "table": "of the database, and how long it is kept",
    "purpose": "of a consent; whose is said by the person before it",
    "secret": "of a calendar: whoever has it may read, and nobody can guess it",
}
"""What paths name that belongs to no one."""
HIDDEN = (401, 403, 404)


def asked(everybody: Everybody, persona: str, operation: Operation, ids: dict[str, str]) -> Any:
    """What somebody is answered who asks for these in a way that nothing is wrong with."""
    path, body = filled(operation, ids), body_of(operation, persona)
    return everybody.ask(persona, operation.method, path, body, params=query_of(operation), headers={"If-Match": "*"})


def is_declared(operation: Operation, status: int) -> bool:
    known = operation.told["responses"]
    return str(status) in known or (400 <= status < 500 and "4XX" in known)


def is_a_problem(answer: Any) -> bool:
    return answer.headers["content-type"] == "application/problem+json" and "code" in answer.json()


class Thing(NamedTuple):
    """Something of somebody's: its id, who made it, who else has to do with it, and under which paths it is meant."""

    id: str
    owner: str
    others: frozenset[str] = frozenset()
    under: str = ""

    @property
    def own(self) -> frozenset[str]:
        return self.others | {self.owner}


Things = dict[str, list[Thing]]
"""By the name that paths have for them."""


def _first(everybody: Everybody, persona: str, path: str, **params: Any) -> Any:
    return everybody.ask(persona, "GET", path, params=params).json()["items"][0]


def several(names: str) -> frozenset[str]:
    return frozenset(names.split())


HALL = several("manager operator staff")
"""Who runs the fitness centre."""
MEALS = several("elder resident kitchen steward")
ROOM = several("child-parent carer steward")
DESK = several("steward")
"""Who sits at the desk of the town where the child and the elder live."""


class Maker:
    """Makes things as people of the town, and says what came of it."""

    def __init__(self, everybody: Everybody) -> None:
        self.everybody = everybody
        self.things: Things = {}
        self.persons = {
            key: verify(everybody.front.keys, token).person_id
            for key, token in everybody.tokens.items()
            if token is not None
        }

    def made(self, persona: str, path: str, body: Any = None, **headers: str) -> Any:
        answer = self.everybody.ask(persona, "POST", path, body, headers=headers)
        assert answer.status_code in (200, 201, 202), f"{path}: {answer.text}"
        return answer.json()

    def row(self, sql: str, *args: Any) -> str:
        """The id of what no call of this town makes."""
        return str(self.everybody.front.town.one(sql, *args))

    def is_there(self, name: str, key: Any, owner: str, others: frozenset[str] = frozenset(), under: str = "") -> None:
        self.things.setdefault(name, []).append(Thing(str(key), owner, others, under))

    def may_know_each_other(self, *personas: str) -> None:
        """From now on, each may hear of the others."""
        for one in personas:
            self.everybody.known.own[one] |= {self.persons[other] for other in personas}


SEEN_BY = {
    "elder-meals": MEALS,
    "childcare": ROOM,
    "events": several("organiser manager operator staff"),
}
"""Who has to do with a claim besides whoever made it, where these are others than those who run the fitness centre."""
RUN_BY = {"elder-meals": ("steward", several("kitchen")), "childcare": ("steward", several("carer"))}
"""Who may rule a service's places, and who works there; elsewhere the town's manager and her staff."""
PLACES = [
    (found[1], found[2])
    for one in OPERATIONS
    if one.method == "POST" and (found := re.fullmatch(r"/v1/([^/]+)/([^/]+)/{place_id}/closures", one.path))
]
"""The services that have places, each with what it calls them."""


def make_claims(maker: Maker) -> dict[str, Any]:
    """One of each kind; what was answered."""
    found: dict[str, Any] = {}
    for service, path in ((one.name, f"/v1/{one.name}/{one.collection}") for one in SERVICES if one.collection):
        wish, others = WISHES[service](maker.everybody), SEEN_BY.get(service, HALL)
        key = f"the-{service}-of-{wish.persona}"
        found[service] = maker.made(wish.persona, path, wish.body, **{"Idempotency-Key": key})
        (name,) = {one.names[0] for one in OPERATIONS if re.fullmatch(path + r"/{\w+}", one.path)}
        maker.is_there(name, found[service]["id"], wish.persona, others)
        if service == "booking":
            maker.is_there("group_id", found[service]["group_id"], wish.persona, HALL)
            maker.is_there("slot_id", found[service]["slot"]["id"], "manager", HALL)
            maker.is_there("key", key, wish.persona)
    return found


def make_places(maker: Maker, claims: dict[str, Any]) -> None:
    for service, collection in PLACES:
        owner, others = RUN_BY.get(service, ("manager", HALL))
        place = claims[service]["slot"]["facility"]["id"]
        under = f"/v1/{service}/{collection}/"
        maker.is_there("place_id", place, owner, others, under)
        far = clock.now() + timedelta(days=200)
        shut = {"starts_at": far.isoformat(), "ends_at": (far + timedelta(hours=1)).isoformat(), "reason": "因故"}
        closure = maker.made(owner, f"{under}{place}/closures", shut)
        maker.is_there("closure_id", closure["id"], owner, others, under)
        kind = maker.everybody.ask(owner, "GET", under + place).json()["kind"]
        BODIES[f"{service}.{collection}.replace"] = {"kind": kind}


def make_meals(maker: Maker, order: dict[str, Any]) -> None:
    elder, kitchen = str(maker.persons["elder"]), order["slot"]["facility"]["id"]
    dish = _first(maker.everybody, "kitchen", f"/v1/elder-meals/kitchens/{kitchen}/dishes")["id"]
    standing = {
        "person_id": elder,
        "kitchen_id": kitchen,
        "weekdays": [0],
        "window": order["slot"]["title"],
        "lines": [{"dish_id": dish, "portions": 1}],
    }
    day = clock.today().isoformat()
    away = maker.made("elder", "/v1/elder-meals/absences", {"person_id": elder, "from": day, "to": day})
    maker.is_there("kitchen_id", kitchen, "steward", several("kitchen"))
    maker.is_there("dish_id", dish, "steward", several("kitchen"))
    maker.is_there(
        "standing_id", maker.made("resident", "/v1/elder-meals/standing-orders", standing)["id"], "elder", MEALS
    )
    maker.is_there("absence_id", away["id"], "elder", MEALS)
    way = maker.row(
        "INSERT INTO rounds (place_id, community, slot_id, day, n, courier_no, made_by) SELECT place_id, community, id, "
        "current_date, 1, (SELECT account_no FROM roles WHERE role = 'courier'), 1 FROM slots WHERE id = %s RETURNING id",
        order["slot"]["id"],
    )
    maker.is_there("round_id", way, "courier", several("kitchen steward"))
    check = maker.row(
        "INSERT INTO welfare_checks (person_id, holder_no, place_id, community, order_id, opened_at, ladder) "
        "SELECT h.id, h.no, s.place_id, s.community, %s, now(), '{\"rungs\": []}' FROM holders h, slots s WHERE h.id = %s AND s.id = %s "
        "RETURNING id",
        order["id"],
        elder,
        order["slot"]["id"],
    )
    maker.is_there("check_id", check, "steward", MEALS | {"courier"})
    maker.is_there("person_id", elder, "elder", several("resident steward"), "/v1/elder-meals/elders/")


def make_child(maker: Maker, visit: dict[str, Any]) -> None:
    """The child, and what there is about it."""
    child, room = visit["persons"][0]["id"], visit["slot"]["facility"]["id"]
    maker.is_there("person_id", child, "child-parent", under="/v1/childcare/")
    maker.is_there("person_id", child, "child-parent", under="/v1/identity/me/family/")
    maker.is_there("person_id", child, "child-parent", DESK, "/v1/identity/people/")
    guardian = "/v1/identity/people/{person_id}/family/{guardian_id}"
    maker.is_there("guardian_id", maker.persons["child-parent"], "steward", under=guardian)
    maker.is_there("guardian_id", maker.persons["barred"], "steward", under=guardian + "/")
    collector = {"kind": "never", "name": "舅舅", "phone_last4": "1234"}
    allowed = maker.made("child-parent", f"/v1/childcare/children/{child}/collectors", collector)
    maker.is_there("collector_id", allowed["id"], "child-parent")
    fell = {"room": room, "severity": "minor", "text": "摔了一跤", "persons": [child]}
    maker.is_there("incident_id", maker.made("carer", "/v1/childcare/incidents", fell)["id"], "carer", ROOM)
    asked = maker.made("child-parent", f"/v1/identity/people/{child}/export")
    maker.is_there("request_id", asked["id"], "child-parent", DESK, "/v1/identity/people/")
    wrong = maker.made("child-parent", f"/v1/identity/people/{child}/corrections", {"field": "name", "value": "陈小贝"})
    maker.is_there("request_id", wrong["id"], "steward", under="/v1/identity/requests/")
    shown = maker.made("steward", f"/v1/identity/people/{child}/reveal", {"fields": ["document"], "reason": "核对证件"})
    reveal = maker.row(
        "UPDATE reveals r SET account_no = a.no, by_person_id = a.person_id FROM accounts a WHERE r.id = %s AND a.person_id = %s "
        "RETURNING r.id",
        shown["id"],
        maker.persons["carer"],
    )
    maker.is_there("reveal_id", reveal, "steward", several("carer"))
    tie = {"kind": "visitor", "community": "330424101003"}
    tied = maker.made("child-parent", f"/v1/identity/people/{child}/places", tie)
    maker.is_there("tie_id", tied["id"], "steward", several("child-parent"), "/v1/identity/people/")


def make_own(maker: Maker) -> None:
    """What somebody of the town has of their own, and those who act for the elder, or would."""
    asked = maker.made("resident", "/v1/identity/me/export")
    maker.is_there("request_id", asked["id"], "resident", under="/v1/identity/me/")
    tied = maker.made("resident", "/v1/identity/me/places", {"kind": "visitor", "community": "330411105204"})
    maker.is_there("tie_id", tied["id"], "resident", under="/v1/identity/me/")
    proxy = maker.row(
        "INSERT INTO relations (actor_id, person_id, kind, services) VALUES (%s, %s, 'proxy', '{booking}') RETURNING id",
        maker.persons["neighbour"],
        maker.persons["elder"],
    )
    for helper in ("neighbour", "villager"):
        maker.may_know_each_other("elder", helper)
    maker.is_there("proxy_id", proxy, "elder", several("neighbour"), "/v1/identity/me/")
    proxies = "/v1/identity/people/{person_id}/proxies"
    offer = maker.row(
        "INSERT INTO offers (kind, person_id, actor_id, by_account_no, services, expires_at) "
        "SELECT 'proxy', %s, person_id, no, '{booking}', now() + interval '1 day' FROM accounts WHERE person_id = %s RETURNING id",
        maker.persons["elder"],
        maker.persons["villager"],
    )
    maker.is_there("proxy_id", offer, "elder", DESK | {"villager"}, "/v1/identity/people/")
    maker.is_there("person_id", maker.persons["elder"], "elder", DESK | {"resident", "neighbour"}, proxies)
    login = (
        "INSERT INTO logins (account_no, provider, subject_index) SELECT no, 'wechat', '\\x01' FROM accounts "
        "WHERE person_id = %s RETURNING id"
    )
    session = (
        "INSERT INTO sessions (account_no, provider, refresh_hash, expires_at) "
        "SELECT no, 'phone', '\\x01', now() + interval '1 day' FROM accounts WHERE person_id = %s RETURNING id"
    )
    maker.is_there("login_id", maker.row(login, maker.persons["resident"]), "resident")
    maker.is_there("session_id", maker.row(session, maker.persons["resident"]), "resident")


def make_offices(maker: Maker) -> None:
    """What the staff have to do with."""
    courier = "SELECT id FROM roles WHERE role = 'courier'"
    maker.is_there("role_id", maker.row(courier), "administrator", several("security auditor"))
    account = "SELECT a.id FROM accounts a JOIN roles r ON r.account_no = a.no WHERE r.role = 'manager' AND r.prefix = '330411105'"
    maker.is_there("account_id", maker.row(account), "administrator")
    conflict = (
        "INSERT INTO identity_conflicts (person_id, owner_id, community, document_kind) "
        "VALUES (%s, %s, '330424101003', 'resident_id') RETURNING id"
    )
    maker.is_there("conflict_id", maker.row(conflict, maker.persons["courier"], maker.persons["elder"]), "steward")
    leave = (
        "INSERT INTO relatives (person_id, relative_id, community, relation, evidence, reason, account_no, by_person_id) "
        "SELECT %s, %s, '330424101003', 'child', 'household_register', '整理遗物', no, person_id FROM accounts "
        "WHERE person_id = %s RETURNING id"
    )
    who = [maker.persons[one] for one in ("elder", "resident", "carer")]
    maker.is_there("leave_id", maker.row(leave, *who), "steward", several("resident carer"))


def make_partners(maker: Maker) -> None:
    endpoint = {"url": "https://partner.example/hook", "types": ["*"], "community": "330411105"}
    near = several("partner manager administrator operator")
    hook = maker.made("partner", "/v1/partners/endpoints", endpoint)["id"]
    maker.is_there("endpoint_id", hook, "partner", near)
    key = {"name": "gate", "types": ["*"], "region": "330411105", "operations": ["partners.notices.list"]}
    maker.is_there("key_id", maker.made("manager", "/v1/partners/keys", key)["id"], "manager", near - {"partner"})
    delivery = "SELECT id FROM deliveries WHERE endpoint_id = %s LIMIT 1"
    maker.is_there("delivery_id", maker.row(delivery, hook), "partner", near)
    course = _first(maker.everybody, "nobody", "/v1/events/events", community="330411004")
    maker.is_there("event_id", course["id"], "organiser", under="/v1/events/events/")
    series = _first(maker.everybody, "nobody", "/v1/events/series", community="330411004")
    maker.is_there("event_id", series["id"], "organiser", under="/v1/events/series/")


@pytest.fixture(scope="module")
def things(everybody: Everybody) -> Things:
    """One of each kind, and of some kinds one for each part of the town."""
    maker = Maker(everybody)
    claims = make_claims(maker)
    make_places(maker, claims)
    make_meals(maker, claims["elder-meals"])
    make_child(maker, claims["childcare"])
    make_own(maker)
    make_offices(maker)
    make_partners(maker)
    return maker.things


def meant(operation: Operation, things: Things) -> dict[str, Thing]:
    """The thing for each name of a path: the one that is meant under the longest part of it."""
    found = {
        name: [one for one in things.get(name, ()) if operation.path.startswith(one.under)] for name in operation.names
    }
    return {name: max(several, key=lambda one: len(one.under)) for name, several in found.items() if several}


def test_all_that_paths_name_is_somebodys_or_said_to_be_nobodys(things: Things) -> None:
    named = {(name, name in meant(one, things)) for one in OPERATIONS for name in one.names}
    assert {name for name, is_there in named if not is_there} == NOBODYS.keys()
    assert not {name for name, is_there in named if is_there} & NOBODYS.keys()


PUBLIC = frozenset(EVERYBODY)
OWNERS = several("manager operator")
LET_IN = {
    "slots.read": PUBLIC,
    "*.read_schedule": PUBLIC,
    "*.read_policy": PUBLIC,
    "*.read_terms": PUBLIC,
    "*.list_closures": PUBLIC,
    "*.read_closure": PUBLIC,
    "*.occupancy": PUBLIC,
    "childcare.rooms.now": PUBLIC,
    "elder-meals.dishes.list": PUBLIC,
    "elder-meals.dishes.read": PUBLIC,
    "elder-meals.menus.list": PUBLIC,
    "elder-meals.menus.read": PUBLIC,
    **{f"{service}.{places}.read": PUBLIC for service, places in PLACES},
    "events.events.read": PUBLIC,
    "events.series.read": PUBLIC,
    "events.*.read_feedback": PUBLIC,
    "events.*.attendance": several("organiser volunteer"),
    **{
        f"{service}.{places}.{verb}": OWNERS
        for service, places in PLACES
        for verb in ("replace*", "delete")
        if service not in RUN_BY
    },
    "elder-meals.kitchens.replace*": DESK,
    "elder-meals.kitchens.delete": DESK,
    "elder-meals.kitchens.create_slot": DESK,
    "elder-meals.orders.outcome": several("courier kitchen steward"),
    "elder-meals.standing-orders.replace": several("elder resident steward"),
    "elder-meals.standing-orders.delete": several("elder resident steward"),
    "elder-meals.absences.delete": several("elder resident steward"),
    "childcare.rooms.carers": several("carer steward"),
    "childcare.rooms.count": several("carer steward"),
    "childcare.rooms.sheet": several("carer steward"),
    "childcare.rooms.*": DESK,
    "childcare.visits.sign_*": several("carer steward"),
    "childcare.visits.pass": several("child-parent steward"),
    "childcare.visits.delete": several("child-parent steward"),
    "childcare.collectors.lift": DESK,
    "identity.people.consents.*": several("child-parent steward"),
    "identity.people.family.list": several("child-parent steward"),
    "identity.people.family.*": DESK,
    "identity.people.proxies.create": DESK,
    "identity.people.proxies.show_code": DESK,
    "identity.people.proxies.confirm": DESK,
    "identity.people.replace": DESK,
    "identity.people.confirm": DESK,
    "identity.people.sessions.*": DESK,
    "identity.people.reveal": DESK,
    "identity.people.death.*": DESK,
    "identity.people.after_death.*": DESK,
    "identity.people.relatives.*": DESK,
    "identity.people.legal_hold.*": DESK,
    "identity.reveals.approve": DESK,
    "identity.reveals.deny": DESK,
    "identity.relatives.approve": DESK,
    "identity.relatives.deny": DESK,
    "identity.roles.delete": several("administrator"),
    "partners.endpoints.secret": several("partner"),
    "partners.endpoints.rotate": several("partner"),
}
"""Who may, by the first pattern that fits, where these are others than those who have to do with the things."""

BY_DESIGN = dict.fromkeys(
    ("events.events.say_feedback", "events.series.say_feedback"),
    (409, "everybody knows of it, and who was not there says nothing of it"),
)
"""What hides nothing, and why that is right."""


def let_in(operation: Operation, found: dict[str, Thing]) -> frozenset[str]:
    """Who may: who has to do with every thing that the path names, and whom the operation lets in besides."""
    for pattern, names in LET_IN.items():
        if fnmatch.fnmatchcase(operation.id, pattern):
            return names
    return frozenset.intersection(*(thing.own for thing in found.values()))


class Case(NamedTuple):
    """An operation, whatever things its path names, and who may."""

    operation: Operation
    found: dict[str, Thing]
    may: frozenset[str]

    @property
    def ids(self) -> dict[str, str]:
        return {name: thing.id for name, thing in self.found.items()}


@pytest.fixture(scope="module")
def cases(things: Things) -> list[Case]:
    """All operations; who may what names nothing of anybody's is not ours to say."""
    several = [(one, meant(one, things)) for one in OPERATIONS]
    return [Case(one, found, let_in(one, found) if found else PUBLIC) for one, found in several]


@pytest.mark.parametrize("persona", EVERYBODY)
def test_nobody_gets_at_what_is_somebody_elses(everybody: Everybody, cases: list[Case], persona: str) -> None:
    wrong = []
    for case in cases:
        if persona in case.may:
            continue
        one = case.operation
        answer = asked(everybody, persona, one, case.ids)
        right, _ = BY_DESIGN.get(one.id, (404, ""))
        if (
            answer.status_code not in (*HIDDEN, right)
            or not is_declared(one, answer.status_code)
            or not is_a_problem(answer)
        ):
            wrong.append(f"{persona} {one.id}: {answer.status_code} {answer.text[-300:]}")
    assert not wrong, "\n".join(wrong)


DOES = {
    "elder-meals.orders.outcome": "steward",
    "elder-meals.rounds.read": "courier",
    "childcare.visits.sign_*": "carer",
}
"""Who does it, where it is not whoever made the thing."""
STILL_REFUSED = {
    "childcare.collectors.lift": "whoever said it is still a guardian",
    "childcare.visits.sign_in": "a made-up code opens nothing",
    "identity.people.proxies.confirm": "nor at the desk",
    "identity.*.requests.archive": "the worker has not made the copy",
    "identity.people.death.read": "nobody has died",
    "identity.people.legal_hold.read": "nothing is held",
    "identity.people.family.create": "the guardian is nobody",
    "identity.people.proxies.create": "the proxy is nobody",
    "identity.staff.forget_second_factor": "there is none",
}
"""What is refused for another reason to those who may, too."""
ORDER = ("GET", "PUT", "POST", "DELETE")


def by_what_it_leaves(case: Case) -> tuple[bool, int]:
    """What is read before it is changed, and changed before it is taken away; who has died does nothing any more."""
    return "death" in case.operation.id, ORDER.index(case.operation.method)


def test_what_is_said_of_operations_is_said_of_some() -> None:
    ids = [one.id for one in OPERATIONS]
    said = [*LET_IN, *BODIES, *BY_DESIGN, *DOES, *STILL_REFUSED]
    assert [pattern for pattern in said if not fnmatch.filter(ids, pattern)] == []


def doer(case: Case) -> str:
    """Somebody who may: whoever made the thing that a path names last, or else one of those who are let in."""
    for pattern, name in DOES.items():
        if fnmatch.fnmatchcase(case.operation.id, pattern):
            return name
    owners = [thing.owner for thing in reversed(case.found.values()) if thing.owner in case.may]
    return (owners or sorted(case.may))[0]


def test_everybody_does_what_is_theirs(everybody: Everybody, cases: list[Case]) -> None:
    """After that, as it changes and ends what is asked for above."""
    wrong = []
    for case in sorted(cases, key=by_what_it_leaves):
        one = case.operation
        if not case.found or any(fnmatch.fnmatchcase(one.id, pattern) for pattern in STILL_REFUSED):
            continue
        persona = doer(case)
        answer = asked(everybody, persona, one, case.ids)
        if answer.status_code in HIDDEN or answer.status_code >= (400 if one.method == "GET" else 500):
            wrong.append(f"{persona} {one.id}: {answer.status_code} {answer.text[-300:]}")
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("persona", EVERYBODY)
def test_nobody_finds_what_is_not_there_and_no_answer_is_undeclared(
    everybody: Everybody, cases: list[Case], persona: str
) -> None:
    """Strangers asked for the real one above: here one of them asks for what is not there, and those it could be of."""
    wrong = []
    for one, found, may in cases:
        if found and persona != "outsider" and (persona not in may or may == PUBLIC):
            continue
        answer = asked(everybody, persona, one, {})
        if (
            answer.status_code >= 500
            or not is_declared(one, answer.status_code)
            or (answer.status_code >= 400 and not is_a_problem(answer))
            or (found and answer.status_code not in HIDDEN)
        ):
            wrong.append(f"{persona} {one.id}: {answer.status_code} {answer.text[-300:]}")
    assert not wrong, "\n".join(wrong)


HOSTILE = ("%00", "..%2f..%2fetc", "1' OR '1'='1", "0" * 300, "-1", "\u202e", "%F0%9F%92%A9")


def test_hostile_ids_find_nothing(everybody: Everybody) -> None:
    """Asked in turn by those who may do least and most: nobody looks at who asks before such an id is refused."""
    wrong = []
    askers = itertools.cycle(("nobody", "resident", "manager", "partner"))
    for one, hostile in itertools.product(OPERATIONS, HOSTILE):
        if not one.names or (one.names == ["name"] and hostile == "-1"):  # a name that callers choose
            continue
        persona = next(askers)
        path = filled(one, dict.fromkeys(one.names, hostile))
        answer = everybody.ask(persona, one.method, path, body_of(one, persona))
        if answer.status_code >= 500 or answer.status_code < 300:
            wrong.append(f"{persona} {one.id} {hostile!r}: {answer.status_code} {answer.text[:100]}")
    assert not wrong, "\n".join(wrong)
