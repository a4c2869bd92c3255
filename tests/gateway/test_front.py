"""What a caller relies on at the front door, the same for both compositions: all in one process, or a process a service."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hmac
import time
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any

import httpx
import jwt
import orjson
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from services import SERVICES, doctor, service
from services.gateway import tasks
from services.gateway.app import Gateway
from services.gateway.parts import Parts
from shared import assertion, embedded
from shared.assertion import Caller, Role
from shared.crypto import Keyring
from shared.db import Database
from shared.settings import Settings
from shared.web import Context
from tests.conftest import copy_of
from tests.gateway import doors
from tests.gateway.doors import RESERVATIONS
from tests.town import Resident, Town, soon

CANARY = "canary-7f3a"
"""Sent in everything malformed; no answer may contain it."""


class Front:
    """A running gateway, and somebody to ask it."""

    def __init__(self, runner: asyncio.Runner, gateway: Gateway, town: Town, keys: Keyring) -> None:
        self.runner = runner
        self.gateway = gateway
        self.town = town
        self.keys = keys
        self.client = httpx.AsyncClient(transport=httpx.ASGITransport(gateway), base_url="http://linli")

    @property
    def parts(self) -> Parts:
        assert self.gateway.parts is not None
        return self.gateway.parts

    def ask(
        self,
        method: str,
        path: str,
        who: Resident | None = None,
        *,
        key: str | None = None,
        headers: dict[str, str] | None = None,
        **more: Any,
    ) -> httpx.Response:
        told = (
            who.headers(self.keys, key, self.parts.settings.issuer)
            if who
            else ({"Idempotency-Key": key} if key else {})
        )
        return self.runner.run(self.client.request(method, path, headers=told | (headers or {}), **more))

    def get(self, path: str, who: Resident | None = None, **more: Any) -> httpx.Response:
        return self.ask("GET", path, who, **more)

    def book(self, who: Resident, *slots: uuid.UUID, key: str | None = None, **body: Any) -> httpx.Response:
        told = doors.wants(who, *slots, key=key, **body)
        return self.ask("POST", RESERVATIONS, who, key=told.key, json=told.body)

    def serve_waiting(self) -> int:
        return self.runner.run(tasks.serve_waiting(self.parts))

    def taken(self, slot: uuid.UUID) -> int:
        return int(self.town.one("SELECT taken FROM slots WHERE id = %s", slot))


def examined(front: Front) -> list[tuple[str, list[str]]]:
    return [one for one in front.runner.run(doctor.examine(front.town.url)) if one[1]]


@contextlib.contextmanager
def opened(url: str, keys: Keyring, settings: Settings) -> Iterator[Front]:
    """A gateway in this process, with an event loop for its tests."""
    with asyncio.Runner() as runner:
        db = Database.connect(url, pool_size=settings.pool_size)
        gateway = Gateway(db, keys, settings)
        life = gateway.running()
        runner.run(life.__aenter__())
        front = Front(runner, gateway, Town(url), keys)
        try:
            yield front
        finally:
            runner.run(front.client.aclose())
            runner.run(life.__aexit__(None, None, None))
            runner.run(db.close())


@pytest.fixture(scope="module")
def town_url(server: embedded.Embedded, template: str) -> Iterator[str]:
    with copy_of(server, template) as url:
        yield url


@pytest.fixture(scope="module", params=["in one process", "services apart"])
def front(request: pytest.FixtureRequest, town_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Front]:
    keys, folder = Keyring.fresh(), tmp_path_factory.mktemp("front")
    with contextlib.ExitStack() as stack:
        upstreams = {}
        if request.param == "services apart":
            for one in SERVICES:
                alone = doors.service_alone(one.name, town_url, keys, doors.demo(folder))
                upstreams[one.name] = stack.enter_context(alone)
        yield stack.enter_context(opened(town_url, keys, doors.demo(folder, upstreams=upstreams)))


def is_problem(answer: httpx.Response, status: int, code: str | None = None) -> bool:
    """Whether it is a proper problem document with this status, which tells nothing of what was sent."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    told = answer.json()
    assert {"type", "title", "status", "detail", "code", "request_id"} <= told.keys()
    assert told["status"] == status
    assert told["request_id"] == answer.headers["x-request-id"]
    assert CANARY not in answer.text
    assert "Traceback" not in answer.text
    if code is not None:
        assert told["code"] == code
    return True


SHAPE = {
    "id",
    "group_id",
    "service",
    "state",
    "progress",
    "reason",
    "slot",
    "slots",
    "persons",
    "made_by",
    "position",
    "held_until",
    "href",
}


def claim_part(body: dict[str, Any]) -> dict[str, Any]:
    return {name: body[name] for name in SHAPE}


# ---------------------------------------------------------------- the one shape of a claim


def test_a_confirmed_claim_looks_the_same_wherever_it_is_read(front: Front) -> None:
    (who,), slot = front.town.residents(), front.town.slot(8)
    made = front.book(who, slot, key="one-shape-key", note="靠窗")
    body = made.json()
    assert made.status_code == 201
    assert (body["service"], body["state"], body["note"]) == ("booking", "confirmed", "靠窗")
    assert (body["reason"], body["position"], body["held_until"]) == (None, None, None)
    assert made.headers["location"] == body["href"] == f"{RESERVATIONS}/{body['id']}"
    assert "idempotency-replayed" not in made.headers
    assert body["persons"] == [{"id": str(who.person_id), "name": who.name, "state": "confirmed"}]
    assert body["made_by"] == str(who.person_id)
    assert body["slot"] == body["slots"][0]
    assert body["slot"]["id"] == str(slot)
    assert body["slot"]["starts_at"].endswith("+08:00")
    for path in (body["href"], f"/v1/claims/{body['group_id']}", "/v1/claims/by-key/one-shape-key"):
        read = front.get(path, who)
        assert read.status_code == 200
        assert claim_part(read.json()) == claim_part(body)
    assert [claim_part(one) for one in front.get("/v1/claims", who).json()["items"]] == [claim_part(body)]
    assert [one["id"] for one in front.get(RESERVATIONS, who).json()["items"]] == [body["id"]]


def test_a_slot_says_which_court_it_is_wherever_it_is_shown(front: Front) -> None:
    manager, who, late = front.town.residents(3)
    front.town.appoint(manager, "manager")
    hall = {"name": f"羽毛球馆 {uuid.uuid4().hex}", "kind": "hall", "community": "330411105003"}
    courts = [{"name": f"{n}号场", "capacity": 1} for n in (1, 2, 3)]
    path = front.ask("POST", "/v1/booking/facilities", manager, json=hall | {"resources": courts}).headers["location"]
    court = front.get(path, manager).json()["resources"][2]
    begins = (datetime.now(UTC) + timedelta(days=2)).replace(microsecond=0)
    session = {"resource": "3号场", "title": "羽毛球", "starts_at": begins.isoformat()}
    session["ends_at"] = (begins + timedelta(hours=1)).isoformat()
    slot = uuid.UUID(front.ask("POST", f"{path}/slots", manager, json=session).json()["id"])
    made = front.book(who, slot)
    waits = front.book(late, slot, if_full="wait")
    assert (made.status_code, waits.status_code) == (201, 202)
    told = [
        made.json()["slot"],
        waits.json()["slot"],
        front.get(made.json()["href"], who).json()["slot"],
        front.get("/v1/claims", who).json()["items"][0]["slot"],
        front.get(f"/v1/slots/{slot}").json(),
        front.get(f"/v1/slots?facility={path.rpartition('/')[2]}").json()["items"][0],
    ]
    assert [one["resource"] for one in told] == [{"id": court["id"], "name": "3号场"}] * len(told)
    assert front.get(f"/v1/slots/{front.town.slot(8)}").json()["resource"] is None


def test_the_same_key_and_body_again_is_answered_with_what_stands_now(front: Front) -> None:
    (who,), slot = front.town.residents(), front.town.slot(8)
    first = front.book(who, slot, key='"repeated-key"')
    again = front.book(who, slot, key="repeated-key")
    assert (first.status_code, again.status_code) == (201, 201)
    assert again.headers["idempotency-replayed"] == "true"
    assert again.headers["location"] == first.headers["location"]
    assert again.json() == first.json()
    front.ask("DELETE", first.json()["href"], who)
    after = front.book(who, slot, key="repeated-key")
    assert (after.status_code, after.json()["state"]) == (201, "released")
    assert front.taken(slot) == 0, "a replay books nothing"


def test_the_same_key_with_another_body_is_refused_and_belongs_to_its_account(front: Front) -> None:
    who, other = front.town.residents(2)
    slot, later = front.town.slot(8), front.town.slot(10)
    assert front.book(who, slot, key="one-key-only").status_code == 201
    assert is_problem(front.book(who, later, key="one-key-only"), 422, "key_reused")
    assert front.book(other, later, key="one-key-only").status_code == 201


@pytest.mark.parametrize("key", [None, "short", "x" * 129, "with space", "ключ-ключ", '""', "a\tbcdefgh"])
def test_a_claim_needs_a_proper_key(front: Front, key: str | None) -> None:
    (who,), slot = front.town.residents(), front.town.slot(8)
    headers = {} if key is None else {"Idempotency-Key": key.encode()}
    body = {"slot_id": str(slot)}
    answer = front.ask("POST", RESERVATIONS, who, headers=headers, json=body)
    assert is_problem(answer, 400, "idempotency_key_missing")
    assert front.taken(slot) == 0


def test_a_refused_ask_may_be_sent_again_with_its_key(front: Front) -> None:
    (first, second), slot = front.town.residents(2), front.town.slot(8, capacity=1)
    made = front.book(first, slot)
    assert is_problem(front.book(second, slot, key="patience"), 409, "full")
    assert is_problem(front.get("/v1/claims/by-key/patience", second), 404, "not_there")
    assert front.ask("DELETE", made.json()["href"], first).status_code == 200
    assert front.book(second, slot, key="patience").status_code == 201


def test_refusals_say_who_and_until_when(front: Front) -> None:
    (who, child) = front.town.residents(2)
    front.town.relate(who, child)
    opens = soon(3600).replace(microsecond=0)
    early = front.book(who, front.town.slot(8, opens_at=opens))
    assert is_problem(early, 409, "not_open_yet")
    assert datetime.fromisoformat(early.json()["opens_at"]) == opens
    assert early.json()["opens_at"].endswith("+08:00")
    slot = front.town.slot(8, needs_guardian=True)
    family = front.book(who, slot, persons=[str(child.person_id), str(who.person_id)])
    assert is_problem(family, 409, "guardian_required")
    assert family.json()["errors"] == [{"pointer": "/persons/1", "code": "guardian_required"}]
    assert front.taken(slot) == 0
    assert front.book(who, slot, persons=[str(child.person_id)]).status_code == 201


def test_a_last_place_that_is_only_held_says_until_when(front: Front) -> None:
    (first, second), slot = front.town.residents(2), front.town.slot(8, capacity=1)
    front.book(first, slot)
    until = soon(20).replace(microsecond=0)
    front.town.do("UPDATE claims SET state = 'held', held_until = %s WHERE slot_id = %s", until, slot)
    front.town.do("UPDATE slots SET next_lapse = %s WHERE id = %s", until, slot)
    answer = front.book(second, slot)
    assert is_problem(answer, 409, "held")
    assert datetime.fromisoformat(answer.json()["held_until"]) == until
    front.town.do("UPDATE claims SET held_until = now() - interval '1 second' WHERE slot_id = %s", slot)
    front.town.do("UPDATE slots SET next_lapse = now() - interval '1 second' WHERE id = %s", slot)
    seen = front.get(f"/v1/slots/{slot}", second).json()
    assert (seen["free"], seen["bookable"]) == (1, True), "free counts what nobody has freed yet"
    assert front.book(second, slot).status_code == 201


@pytest.mark.parametrize("guests", [True, "1", 1.5, "one", [1]], ids=repr)
def test_a_number_is_taken_from_nothing_else(front: Front, guests: object) -> None:
    (who,), slot = front.town.residents(), front.town.slot(8)
    assert is_problem(front.book(who, slot, guests=guests), 422, "unprocessable")
    assert front.taken(slot) == 0


def test_what_is_offered_instead_can_be_booked(front: Front) -> None:
    (first, second), title = front.town.residents(2), f"红烧肉 {uuid.uuid4().hex[:6]}"
    full, other = (front.town.slot(hour, capacity=1, title=title) for hour in (8, 10))
    front.town.slot(9, title=title, subject_kind="dish", subject_id=uuid.uuid4(), is_exclusive=False)
    front.book(first, full)
    refused = front.book(second, full)
    assert is_problem(refused, 409, "full")
    assert [one["id"] for one in refused.json()["alternatives"]] == [str(other)], "and no dish, which nobody can name"
    assert front.book(second, other).status_code == 201


def test_a_household_is_shown_what_it_will_be_given(front: Front) -> None:
    place, policy = uuid.uuid4(), uuid.uuid4()
    front.town.place(place, policy, household_per_day=1)
    one, two = (front.town.slot(hour, place_id=place, policy_id=policy) for hour in (8, 10))
    who, mate = front.town.residents(2, household=True)
    front.book(mate, one)
    for until, reason in (("1 minute", "limit_reached"), ("-1 second", None)):
        front.town.do(
            "UPDATE claims SET state = 'held', held_until = now() + %s::interval WHERE slot_id = %s", until, one
        )
        assert front.get(f"/v1/slots/{two}", who).json()["reason"] == reason
        answer = front.book(who, two)
        assert is_problem(answer, 409, reason) if reason else answer.status_code == 201


def test_half_past_midnight_is_the_towns_new_day(front: Front) -> None:
    slot = front.town.slot(0.5, min_age=60)
    day = datetime.fromisoformat(front.get(f"/v1/slots/{slot}").json()["starts_at"]).date()
    (just,) = front.town.residents(born=date(day.year - 60, day.month, min(day.day, 28)))
    (not_yet,) = front.town.residents(born=date(day.year - 60, day.month, day.day) + timedelta(days=1))
    assert front.book(just, slot).status_code == 201
    assert is_problem(front.book(not_yet, slot), 409, "too_young")


def test_guests_take_places(front: Front) -> None:
    (who, other), slot = front.town.residents(2), front.town.slot(8, capacity=4)
    assert front.book(who, slot, guests=2).status_code == 201
    assert front.taken(slot) == 3
    assert is_problem(front.book(other, slot, guests=1), 409, "full")
    assert front.book(other, slot).status_code == 201


def test_cancelling_frees_the_place_at_once_and_again_changes_nothing(front: Front) -> None:
    (who, other), slot = front.town.residents(2), front.town.slot(8, capacity=1)
    made = front.book(who, slot).json()
    gone = front.ask("DELETE", f"/v1/claims/{made['group_id']}", who)
    assert (gone.status_code, gone.json()["state"]) == (200, "released")
    assert front.taken(slot) == 0
    assert front.book(other, slot).status_code == 201
    for path in (made["href"], f"/v1/claims/{made['group_id']}"):
        again = front.ask("DELETE", path, who)
        assert (again.status_code, again.json()["state"]) == (200, "released")
    assert front.taken(slot) == 1
    assert examined(front) == []


def test_one_of_a_family_may_stay_at_home(front: Front) -> None:
    (who, child), slot = front.town.residents(2), front.town.slot(8)
    front.town.relate(who, child)
    made = front.book(who, slot, persons=[str(who.person_id), str(child.person_id)]).json()
    gone = front.ask("DELETE", f"{made['href']}?person={child.person_id}", who).json()
    assert {one["id"]: one["state"] for one in gone["persons"]} == {
        str(who.person_id): "confirmed",
        str(child.person_id): "released",
    }
    assert gone["state"] == "confirmed"
    assert front.taken(slot) == 1
    assert is_problem(front.ask("DELETE", f"{made['href']}?person={uuid.uuid4()}", who), 404, "not_there")


def test_my_claims_come_soonest_first_in_pages_and_can_be_narrowed(front: Front) -> None:
    (who, child) = front.town.residents(2)
    front.town.relate(who, child)
    hours = [12, 9, 15]
    for hour in hours:
        front.book(who, front.town.slot(hour))
    front.book(who, front.town.slot(9), persons=[str(child.person_id)])
    page = front.get("/v1/claims?limit=2", who).json()
    rest = front.get(f"/v1/claims?limit=2&cursor={page['next']}", who).json()
    starts = [one["slot"]["starts_at"][11:13] for one in page["items"] + rest["items"]]
    assert (starts, rest["next"]) == (["09", "09", "12", "15"], None)
    of_child = front.get(f"/v1/claims?for={child.person_id}", who).json()["items"]
    assert [one["persons"][0]["id"] for one in of_child] == [str(child.person_id)]
    assert front.get("/v1/claims?when=past", who).json()["items"] == []
    assert len(front.get("/v1/claims?when=upcoming&state=confirmed&service=booking", who).json()["items"]) == 4
    assert front.get("/v1/claims?service=events", who).json()["items"] == []
    assert is_problem(front.get("/v1/claims"), 401, "not_known")


def test_a_place_is_ruled_shut_opened_again_and_kept_once_somebody_came(front: Front) -> None:
    manager, who, child = front.town.residents(3)
    front.town.appoint(manager, "manager")
    front.town.relate(who, child)
    facilities = "/v1/booking/facilities"
    name = f"食堂 {uuid.uuid4().hex}"
    told = {"name": name, "kind": "hall", "community": "330411105003", "resources": [{"name": "厅", "capacity": 9}]}
    path = front.ask("POST", facilities, manager, json=told).headers["location"]
    policy = {"close_at": {"days_ahead": 60, "at": "16:00"}, "is_exclusive": False, "audience": {"regions": ["330424"]}}
    ruled = front.ask("PUT", f"{path}/policy", manager, json=policy, headers={"If-Match": '"1"'})
    assert ruled.status_code == 200, ruled.text
    names = [one["name"] for one in front.get(f"{facilities}?for={child.person_id}", who).json()["items"]]
    assert name not in names
    begins = (datetime.now(UTC) + timedelta(days=2)).replace(microsecond=0)
    session = {"resource": "厅", "title": "午餐", "starts_at": begins.isoformat()}
    session["ends_at"] = (begins + timedelta(hours=1)).isoformat()
    slot = uuid.UUID(front.ask("POST", f"{path}/slots", manager, json=session).json()["id"])
    assert is_problem(front.book(who, slot), 409, "outside_area"), "a deadline that is over is not the extra session's"
    ruled = front.ask("PUT", f"{path}/policy", manager, json={"is_exclusive": False}, headers={"If-Match": '"2"'})
    assert ruled.status_code == 200, ruled.text
    window = {"starts_at": session["starts_at"], "ends_at": session["ends_at"], "reason": "检修"}
    closure = front.ask("POST", f"{path}/closures", manager, json=window).json()
    assert is_problem(front.book(who, slot), 409, "closed")
    assert is_problem(front.ask("DELETE", f"{path}/closures/{closure['id']}", who), 403, "not_allowed")
    assert front.ask("DELETE", f"{path}/closures/{closure['id']}", manager).status_code == 204
    assert front.book(who, slot).status_code == 201
    assert front.town.one("SELECT is_exclusive FROM claims WHERE slot_id = %s", slot) is False
    assert is_problem(front.ask("DELETE", path, manager), 409, "conflict")
    empty = front.ask("POST", facilities, manager, json=told | {"name": name + "空"}).headers["location"]
    assert front.ask("DELETE", empty, manager).status_code == 204
    assert is_problem(front.get(empty), 404, "not_there")
    assert examined(front) == []


# ---------------------------------------------------------------- waiting


def test_whoever_waits_is_served_when_a_place_comes_free(front: Front) -> None:
    first, second, third, late = front.town.residents(4)
    slot = front.town.slot(8, capacity=1)
    made = front.book(first, slot).json()
    waits = front.book(second, slot, key="waiting-key", if_full="wait")
    behind = front.book(third, slot, if_full="wait").json()
    body = waits.json()
    assert (waits.status_code, body["state"], body["id"], body["position"]) == (202, "waiting", None, 1)
    assert behind["position"] == 2
    assert waits.headers["location"] == body["href"] == f"/v1/claims/{body['group_id']}"
    for path in (body["href"], "/v1/claims/by-key/waiting-key"):
        assert claim_part(front.get(path, second).json()) == claim_part(body)
    assert [one["state"] for one in front.get("/v1/claims", second).json()["items"]] == ["waiting"]
    again = front.book(second, slot, key="waiting-key", if_full="wait")
    assert (again.status_code, again.headers["idempotency-replayed"]) == (202, "true")
    assert is_problem(front.book(second, slot, if_full="wait"), 409, "already_waiting")

    front.serve_waiting()  # whoever other tests left waiting
    front.ask("DELETE", made["href"], first)
    assert is_problem(front.book(late, slot), 409, "full"), "while somebody waits, newcomers see full"
    assert front.get(f"/v1/slots/{slot}", late).json()["reason"] == "full"
    assert front.serve_waiting() == 1
    served = front.get("/v1/claims/by-key/waiting-key", second).json()
    assert (served["state"], served["group_id"]) == ("confirmed", body["group_id"])
    assert front.get(f"{RESERVATIONS}/{served['id']}", second).status_code == 200
    again = front.book(second, slot, key="waiting-key", if_full="wait")
    assert (again.status_code, again.json()["id"]) == (201, served["id"])
    assert front.get(behind["href"], third).json()["position"] == 1
    assert front.serve_waiting() == 0
    assert examined(front) == []
    front.ask("DELETE", behind["href"], third)


def test_whoever_leaves_a_list_is_not_served(front: Front) -> None:
    first, second = front.town.residents(2)
    slot = front.town.slot(8, capacity=1)
    made = front.book(first, slot).json()
    waits = front.book(second, slot, if_full="wait").json()
    left = front.ask("DELETE", waits["href"], second)
    assert (left.status_code, left.json()["state"], left.json()["reason"]) == (200, "released", "left")
    front.ask("DELETE", made["href"], first)
    assert front.serve_waiting() == 0
    assert front.taken(slot) == 0
    assert front.get("/v1/claims", second).json()["items"] == []
    for answer in (front.get(waits["href"], second), front.ask("DELETE", waits["href"], second)):
        assert (answer.status_code, answer.json()["state"], answer.json()["reason"]) == (200, "released", "left")
    assert [one["href"] for one in front.get("/v1/claims?state=released", second).json()["items"]] == [waits["href"]]
    assert front.get("/v1/claims?state=lost", second).json()["items"] == []
    assert is_problem(front.get(waits["href"], first), 404, "not_there")
    assert examined(front) == []


def test_whoever_waits_for_a_slot_that_closes_is_told_and_leaves_the_list(front: Front) -> None:
    first, second = front.town.residents(2)
    slot = front.town.slot(8, capacity=1)
    front.book(first, slot)
    waits = front.book(second, slot, if_full="wait").json()
    front.town.do("UPDATE slots SET closes_at = now() WHERE id = %s", slot)
    assert front.serve_waiting() == 1
    assert front.town.one("SELECT waiting FROM slots WHERE id = %s", slot) == 0
    told = "SELECT data->>'reason' FROM notices WHERE type = 'ledger.ask.lost' AND %s = ANY(holders)"
    assert front.town.one(told, second.holder_no) == "closed"
    lost = front.get(waits["href"], second).json()
    assert (lost["state"], lost["reason"], lost["slot"]["id"]) == ("lost", "closed", str(slot))
    assert [one["id"] for one in lost["persons"]] == [str(second.person_id)]
    assert front.get("/v1/claims?state=lost", second).json()["items"] == [lost]
    for answer in (front.get(waits["href"], first), front.ask("DELETE", waits["href"], first)):
        assert is_problem(answer, 404, "not_there")
    assert front.ask("DELETE", waits["href"], second).json() == lost, "what is over stays as it is"
    assert examined(front) == []


def test_a_place_given_at_the_second_try_belongs_to_whoever_waited(front: Front) -> None:
    """The service rests when the turn comes: the hold is freed, the rank is kept, and the next round confirms."""
    first, second = front.town.residents(2)
    slot = front.town.slot(8, capacity=1)
    made = front.book(first, slot).json()
    waits = front.book(second, slot, key="second-try", if_full="wait").json()
    front.ask("DELETE", made["href"], first)
    guard = front.parts.guards["booking"]
    guard._open_until = time.monotonic() + 60
    try:
        assert front.serve_waiting() == 0
    finally:
        guard._open_until = 0
    assert front.taken(slot) == 0
    assert front.get(waits["href"], second).json()["state"] == "waiting"
    assert front.serve_waiting() == 1
    served = front.get(waits["href"], second).json()
    assert (served["state"], front.taken(slot)) == ("confirmed", 1)
    assert served["id"] is not None, "the claim knows its reservation although the first try left a trace"
    gone = front.ask("DELETE", f"/v1/claims/{waits['group_id']}", second)
    assert (gone.json()["state"], front.taken(slot)) == ("released", 0)
    assert examined(front) == []


# ---------------------------------------------------------------- who may act for whom


def test_staff_book_at_the_desk_for_residents_of_their_own_town(front: Front) -> None:
    staff, resident = front.town.residents(2)
    front.town.appoint(staff, "staff", "330411105")
    slot = front.town.slot(8, capacity=2, offline_share=1, offline_until=soon(3600))
    made = front.book(staff, slot, persons=[str(resident.person_id)], channel="desk")
    assert made.status_code == 201
    assert made.json()["persons"][0]["id"] == str(resident.person_id)
    assert made.json()["made_by"] == str(staff.person_id)
    assert front.town.one("SELECT taken_offline FROM slots WHERE id = %s", slot) == 1
    assert front.get(made.json()["href"], resident).status_code == 200, "it is the resident's own"
    assert front.ask("DELETE", made.json()["href"], resident).status_code == 200


@pytest.mark.parametrize("prefix", ["330424", "330411105204", None])
def test_nobody_books_at_the_desk_outside_their_own_town(front: Front, prefix: str | None) -> None:
    staff, resident = front.town.residents(2)
    if prefix:
        front.town.appoint(staff, "staff", prefix)
    slot = front.town.slot(8)
    answer = front.book(staff, slot, persons=[str(resident.person_id)], channel="desk")
    assert is_problem(answer, 403)
    assert front.taken(slot) == 0


def test_a_resident_who_says_desk_does_not_get_the_places_kept_for_the_desk(front: Front) -> None:
    (who,) = front.town.residents()
    slot = front.town.slot(8, capacity=1, offline_share=1, offline_until=soon(3600))
    assert is_problem(front.book(who, slot), 409, "full")
    assert is_problem(front.book(who, slot, persons=[str(who.person_id)], channel="desk"), 403)
    assert front.taken(slot) == 0


def test_other_peoples_claims_are_not_there_and_stay_as_they_are(front: Front) -> None:
    who, stranger = front.town.residents(2)
    slot, full = front.town.slot(8), front.town.slot(10, capacity=1)
    made = front.book(who, slot, key="not-for-others").json()
    front.book(front.town.residents()[0], full)
    waits = front.book(who, full, if_full="wait").json()
    for path in (
        made["href"],
        f"/v1/claims/{made['group_id']}",
        waits["href"],
        f"{made['href']}?person={who.person_id}",
    ):
        assert is_problem(front.get(path, stranger), 404, "not_there")
        assert is_problem(front.ask("DELETE", path, stranger), 404, "not_there")
        assert is_problem(front.ask("DELETE", path), 401, "not_known")
    assert is_problem(front.get("/v1/claims/by-key/not-for-others", stranger), 404, "not_there")
    for path in (
        f"/v1/claims?for={who.person_id}",
        f"/v1/slots?for={who.person_id}",
        f"/v1/slots/{slot}?for={who.person_id}",
        f"/v1/booking/facilities?for={who.person_id}",
    ):
        assert is_problem(front.get(path, stranger), 403, "not_yours")
    assert is_problem(front.book(stranger, front.town.slot(12), persons=[str(who.person_id)]), 403, "not_yours")
    assert is_problem(front.book(stranger, front.town.slot(12), persons=[str(uuid.uuid4())]), 403, "not_yours")
    assert front.get(f"{RESERVATIONS}?person={who.person_id}", stranger).json()["items"] == []
    assert front.get(f"{RESERVATIONS}?slot={slot}", stranger).json()["items"] == []
    assert front.get(waits["href"], who).json()["state"] == "waiting"
    assert front.get(made["href"], who).json()["state"] == "confirmed"


def test_people_whom_staff_booked_together_cannot_cancel_each_other(front: Front) -> None:
    staff, one, other = front.town.residents(3)
    front.town.appoint(staff, "staff")
    slot = front.town.slot(8)
    made = front.book(staff, slot, persons=[str(one.person_id), str(other.person_id)], channel="desk").json()
    assert [p["id"] for p in front.get(made["href"], one).json()["persons"]] == [str(one.person_id)]
    assert is_problem(front.ask("DELETE", f"{made['href']}?person={other.person_id}", one), 404, "not_there")
    front.ask("DELETE", made["href"], one)
    left = front.town.all("SELECT holder_no FROM claims WHERE slot_id = %s AND is_active", slot)
    assert left == [(other.holder_no,)]


def test_people_whom_staff_put_on_a_list_together_do_not_see_or_remove_each_other(front: Front) -> None:
    staff, one, other, holds = front.town.residents(4)
    front.town.appoint(staff, "staff")
    slot = front.town.slot(8, capacity=2)
    front.book(holds, slot)
    both = [str(one.person_id), str(other.person_id)]
    waiting = front.book(staff, slot, persons=both, channel="desk", if_full="wait").json()
    assert sorted(p["id"] for p in waiting["persons"]) == sorted(both)
    group = f"/v1/claims/{waiting['group_id']}"
    assert [p["id"] for p in front.get(group, one).json()["persons"]] == [str(one.person_id)]
    assert is_problem(front.ask("DELETE", group, one), 403, "not_allowed")
    assert front.town.one("SELECT waiting FROM slots WHERE id = %s", slot) == 1


def test_a_pass_is_shown_to_those_whose_place_it_is_and_verified_without_the_ledger(front: Front) -> None:
    who, child, stranger, staff = front.town.residents(4)
    front.town.relate(who, child)
    slot = front.town.slot(8)
    made = front.book(who, slot, persons=[str(who.person_id), str(child.person_id)]).json()
    own = front.get(f"{made['href']}/pass", who)
    assert (own.status_code, own.headers["cache-control"]) == (200, "no-store")
    assert set(own.json()) == {"token", "code", "expires_at", "svg"}
    assert own.json()["expires_at"].endswith("+08:00")
    keys = jwt.PyJWKSet.from_dict(front.get("/.well-known/jwks.json").json())
    token = own.json()["token"]
    told = jwt.decode(
        token,
        keys[jwt.get_unverified_header(token)["kid"]].key,
        algorithms=["EdDSA"],
        audience=made["slot"]["facility"]["id"],
        options={"verify_nbf": False},
    )
    mine = "SELECT id::text FROM claims WHERE group_id = %s AND holder_no = %s"
    assert told["sub"] == front.town.one(mine, made["group_id"], who.holder_no)
    login = {"Authorization": f"Bearer {token}"}
    assert is_problem(front.get("/v1/claims", headers=login), 401, "not_known")
    childs = front.get(f"{made['href']}/pass?person={child.person_id}", who)
    assert childs.json()["code"] == front.get(f"{made['href']}/pass", child).json()["code"] != own.json()["code"]
    assert is_problem(front.get(f"{made['href']}/pass", stranger), 404, "not_there")
    assert is_problem(front.get(f"{made['href']}/pass"), 401, "not_known")
    assert is_problem(front.get(f"{made['href']}/pass?person={CANARY}", who), 422, "unprocessable")
    front.town.appoint(staff, "staff")
    assert is_problem(front.get(f"{made['href']}/pass", staff), 422, "unprocessable")
    assert front.get(f"{made['href']}/pass?person={who.person_id}", staff).json()["code"] == own.json()["code"]
    front.ask("DELETE", f"{made['href']}?person={child.person_id}", who)
    assert is_problem(front.get(f"{made['href']}/pass?person={child.person_id}", who), 409, "conflict")
    assert front.get(f"{made['href']}/pass", who).status_code == 200


def test_two_managers_with_the_same_reading_do_not_overwrite_each_other(front: Front) -> None:
    (manager,) = front.town.residents()
    front.town.appoint(manager, "manager")
    slot = front.town.slot(8, capacity=30)
    read = front.get(f"/v1/slots/{slot}", manager)
    match = {"If-Match": read.headers["etag"]}
    assert front.ask("PUT", f"/v1/slots/{slot}", manager, json={"capacity": 20}, headers=match).status_code == 200
    late = front.ask("PUT", f"/v1/slots/{slot}", manager, json={"capacity": 40}, headers=match)
    assert is_problem(late, 412, "changed")


def test_a_reader_who_knows_only_the_capacity_is_told_that_a_place_has_gone(front: Front) -> None:
    reader, somebody = front.town.residents(2)
    slot = front.town.slot(8, capacity=1)
    tag = front.get(f"/v1/slots/{slot}", reader).headers["etag"]
    front.book(somebody, slot)
    again = front.ask("GET", f"/v1/slots/{slot}", reader, headers={"If-None-Match": tag})
    assert (again.status_code, again.json()["free"]) == (200, 0)


def test_a_proxy_for_one_service_is_a_stranger_to_the_others(front: Front) -> None:
    proxy, elder = front.town.residents(2)
    front.town.relate(proxy, elder, "proxy", ["elder-meals"])
    slot, other = front.town.slot(8), front.town.slot(10)
    made = front.book(elder, slot).json()
    assert is_problem(front.book(proxy, other, persons=[str(elder.person_id)]), 403, "not_yours")
    assert is_problem(front.get(made["href"], proxy), 404, "not_there")
    assert is_problem(front.get(f"/v1/claims/{made['group_id']}", proxy), 404, "not_there")
    assert is_problem(front.ask("DELETE", made["href"], proxy), 404, "not_there")
    assert front.get("/v1/claims", proxy).json()["items"] == []
    assert front.taken(slot) == 1


def test_the_screen_does_not_promise_a_proxy_what_booking_refuses(front: Front) -> None:
    proxy, elder = front.town.residents(2)
    front.town.relate(proxy, elder, "proxy", ["elder-meals"])
    slot = front.town.slot(8)
    seen = front.get(f"/v1/slots/{slot}?for={elder.person_id}", proxy)
    assert seen.status_code == 403 or seen.json()["bookable"] is False
    assert is_problem(front.book(proxy, slot, persons=[str(elder.person_id)]), 403, "not_yours")


# ---------------------------------------------------------------- credentials


def test_an_assertion_from_outside_is_stripped_even_when_it_is_well_signed(front: Front) -> None:
    victim, thief = front.town.residents(2)
    made = front.book(victim, front.town.slot(8)).json()
    forged = assertion.sign(
        Caller(victim.account_id, victim.account_no, victim.person_id, victim.holder_no, victim.name),
        audience="booking",
        key=front.keys.assertion,
    )
    headers = {"X-Linli-Assertion": forged}
    assert is_problem(front.get(made["href"], headers=headers), 401, "not_known")
    assert is_problem(front.get(made["href"], thief, headers=headers), 404, "not_there")
    assert is_problem(front.ask("DELETE", made["href"], thief, headers=headers), 404, "not_there")
    assert front.get(RESERVATIONS, thief, headers=headers).json()["items"] == []


@pytest.mark.parametrize("name", [one.name for one in SERVICES])
def test_a_service_answers_nobody_but_the_gateway(name: str, town_url: str, settings: Settings) -> None:
    keys = Keyring.fresh()
    me = Caller(uuid.uuid4(), 1, uuid.uuid4(), 1, "居民", roles=(Role("manager", "33"),))
    good = assertion.sign(me, audience=name, key=keys.assertion)
    head, payload, signature = good.split(".")
    stale = orjson.loads(base64.urlsafe_b64decode(payload + "=="))
    stale["exp"] = int(time.time()) - assertion.SKEW_SECONDS - 1
    said = f"{head}.{base64.urlsafe_b64encode(orjson.dumps(stale)).decode().rstrip('=')}"
    mac = base64.urlsafe_b64encode(hmac.digest(keys.assertion, said.encode(), "sha256")).decode().rstrip("=")
    none = base64.urlsafe_b64encode(b'{"alg":"none","typ":"linli+jws"}').decode().rstrip("=")
    wrong = {
        "nothing": {},
        "another audience": {assertion.HEADER: assertion.sign(me, audience="elsewhere", key=keys.assertion)},
        "another key": {assertion.HEADER: assertion.sign(me, audience=name, key=Keyring.fresh().assertion)},
        "no algorithm": {assertion.HEADER: f"{none}.{payload}."},
        "stale": {assertion.HEADER: f"{said}.{mac}"},
        "a bitten signature": {assertion.HEADER: f"{head}.{payload}.{signature[:-4]}AAAA"},
        "an access token": {"Authorization": "Bearer " + good},
        "not even three parts": {assertion.HEADER: CANARY},
    }
    path = f"/v1/{name}/{service(name).collection or {'identity': 'me', 'partners': 'keys'}[name]}"

    async def knock() -> dict[str, httpx.Response]:
        db = Database.connect(town_url, pool_size=2)
        app: Any = service(name).make(Context(db, keys, settings))
        try:
            async with (
                app.router.lifespan_context(app),
                httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://service") as client,
            ):
                return {what: await client.get(path, headers=headers) for what, headers in wrong.items()}
        finally:
            await db.close()

    for what, answer in asyncio.run(knock()).items():
        assert answer.status_code == 403, what
        assert answer.json()["code"] == "assertion_missing", what
        assert CANARY not in answer.text


def token_of(front: Front, who: Resident, *, header: dict[str, Any] | None = None, **claims: Any) -> str:
    """An access token of this deployment's newest key, but with some of it said differently."""
    told = orjson.loads(base64.urlsafe_b64decode(who.token(front.keys).split(".")[1] + "==")) | claims
    newest = front.keys.signing[0]
    return jwt.PyJWS().encode(
        orjson.dumps(told),
        newest.private,
        algorithm="EdDSA",
        headers={"typ": "at+jwt", "kid": newest.kid} | (header or {}),
    )


def unsigned(front: Front, who: Resident) -> str:
    payload = who.token(front.keys).split(".")[1]
    head = orjson.dumps({"alg": "none", "typ": "at+jwt", "kid": front.keys.signing[0].kid})
    return f"{base64.urlsafe_b64encode(head).decode().rstrip('=')}.{payload}."


def signed_with_the_public_key(front: Front, who: Resident) -> str:
    """The old trick: HMAC with what everybody may read."""
    payload = base64.urlsafe_b64decode(who.token(front.keys).split(".")[1] + "==")
    secret = front.keys.signing[0].public.public_bytes_raw()
    head = {"typ": "at+jwt", "kid": front.keys.signing[0].kid}
    return jwt.PyJWS().encode(payload, secret, algorithm="HS256", headers=head)


def signed_by_a_stranger(front: Front, who: Resident) -> str:
    payload = base64.urlsafe_b64decode(who.token(front.keys).split(".")[1] + "==")
    head = {"typ": "at+jwt", "kid": front.keys.signing[0].kid}
    return jwt.PyJWS().encode(payload, Ed25519PrivateKey.generate(), algorithm="EdDSA", headers=head)


def with_another_subject(front: Front, who: Resident) -> str:
    head, _, signature = who.token(front.keys).split(".")
    (other,) = front.town.residents()
    return f"{head}.{other.token(front.keys).split('.')[1]}.{signature}"


FORGED: dict[str, tuple[Callable[[Front, Resident], str], str]] = {
    "no algorithm": (unsigned, "not_known"),
    "HMAC": (signed_with_the_public_key, "not_known"),
    "another key": (signed_by_a_stranger, "not_known"),
    "another payload": (with_another_subject, "not_known"),
    "another audience": (lambda f, w: token_of(f, w, aud="somebody-else"), "not_known"),
    "another issuer": (lambda f, w: token_of(f, w, iss="somebody-else"), "not_known"),
    "another type": (lambda f, w: token_of(f, w, header={"typ": "JWT"}), "not_known"),
    "unknown key id": (lambda f, w: token_of(f, w, header={"kid": CANARY}), "not_known"),
    "expired": (lambda f, w: token_of(f, w, exp=int(time.time()) - 1), "token_expired"),
    "no expiry": (lambda f, w: token_of(f, w, exp=None), "not_known"),
    "no subject": (lambda f, w: token_of(f, w, sub=CANARY), "not_known"),
    "garbage": (lambda _f, _w: CANARY, "not_known"),
    "empty": (lambda _f, _w: "", "not_known"),
    "huge": (lambda _f, _w: "a." * 5000, "not_known"),
    "dots": (lambda _f, _w: "..", "not_known"),
}


@pytest.mark.parametrize("kind", FORGED)
def test_a_token_that_is_not_ours_is_not_known(front: Front, kind: str) -> None:
    (who,), slot = front.town.residents(), front.town.slot(8)
    made, code = FORGED[kind]
    headers = {"Authorization": f"Bearer {made(front, who)}"}
    answers = [
        front.ask("POST", RESERVATIONS, key="forged-key", json={"slot_id": str(slot)}, headers=headers),
        front.get("/v1/identity/me", headers=headers),
        front.get("/v1/slots", headers=headers),  # public, but whoever claims to be somebody must be
    ]
    for answer in answers:
        assert is_problem(answer, 401, code)
        assert answer.headers["www-authenticate"] == "Bearer"
    assert front.taken(slot) == 0


@pytest.mark.parametrize("told", ["Basic dXNlcjpwYXNz", "Bearer", "bearer  ", "é", "Digest " + CANARY])
def test_another_kind_of_credentials_is_not_known(front: Front, told: str) -> None:
    assert is_problem(front.get("/v1/claims", headers={"Authorization": told.encode("latin-1")}), 401)


def test_a_token_that_was_good_is_expired_when_its_time_is_over(front: Front) -> None:
    (who,) = front.town.residents()
    headers = {"Authorization": f"Bearer {who.token(front.keys, seconds=0)}"}
    assert is_problem(front.get("/v1/claims", headers=headers), 401, "token_expired")


# ---------------------------------------------------------------- malformed requests

SLOT = "0191d2c5-0000-7000-8000-000000000000"
BODIES: dict[str, tuple[bytes, int]] = {
    "nothing": (b"", 400),
    "half a body": (b'{"slot_id": "' + CANARY.encode(), 400),
    "not json": (CANARY.encode(), 400),
    "not utf-8": (b'{"note": "\xff\xfe' + CANARY.encode() + b'"}', 400),
    "a list": (b'["' + CANARY.encode() + b'"]', 422),
    "a string": (b'"' + CANARY.encode() + b'"', 422),
    "null": (b"null", 422),
    "NaN": (b'{"guests": NaN}', 422),
    "nested too deep": (b"[" * 20_000, 400),
    "no slot": (b"{}", 422),
    "two ways to name a slot": (orjson.dumps({"slot_id": SLOT, "slot_ids": [SLOT]}), 422),
    "no slots": (b'{"slot_ids": []}', 422),
    "a slot twice": (orjson.dumps({"slot_ids": [SLOT, SLOT]}), 422),
    "too many slots": (orjson.dumps({"slot_ids": [str(uuid.UUID(int=n)) for n in range(61)]}), 422),
    "not an id": (orjson.dumps({"slot_id": CANARY}), 422),
    "a number as id": (b'{"slot_id": 17}', 422),
    "an unknown field": (orjson.dumps({"slot_id": SLOT, "state": CANARY}), 422),
    "a grant of one's own": (orjson.dumps({"slot_id": SLOT, "grant": {"claims": [CANARY]}}), 422),
    "negative guests": (orjson.dumps({"slot_id": SLOT, "guests": -1}), 422),
    "a crowd of guests": (orjson.dumps({"slot_id": SLOT, "guests": 21}), 422),
    "guests beyond any number": (b'{"slot_id": "' + SLOT.encode() + b'", "guests": 1e400}', 422),
    "a person twice": (orjson.dumps({"slot_id": SLOT, "persons": [SLOT, SLOT]}), 422),
    "nobody": (orjson.dumps({"slot_id": SLOT, "persons": []}), 422),
    "desk for nobody": (orjson.dumps({"slot_id": SLOT, "channel": "desk"}), 422),
    "a channel of one's own": (orjson.dumps({"slot_id": SLOT, "channel": "partner"}), 422),
    "a null byte": (orjson.dumps({"slot_id": SLOT, "note": f"{CANARY}\x00"}), 422),
    "an escape": (orjson.dumps({"slot_id": SLOT, "note": f"{CANARY}\x1b[2J"}), 422),
    "half a character": (b'{"slot_id": "' + SLOT.encode() + b'", "note": "' + CANARY.encode() + b'\\ud800"}', 4),
    "a long note": (orjson.dumps({"slot_id": SLOT, "note": CANARY * 100}), 422),
    "an unknown slot": (orjson.dumps({"slot_id": SLOT}), 404),
    "more than fits": (orjson.dumps({"slot_id": SLOT, "note": CANARY * 10_000}), 413),
}


@pytest.mark.parametrize("kind", BODIES)
def test_a_malformed_claim_is_a_proper_problem(front: Front, kind: str) -> None:
    (who,) = front.town.residents()
    body, status = BODIES[kind]
    headers = {"Content-Type": "application/json"}
    answer = front.ask("POST", RESERVATIONS, who, key="malformed-key", content=body, headers=headers)
    if status == 4:  # JSON libraries differ on lone surrogates: unreadable or wrong, but never kept
        assert answer.status_code in (400, 422)
        status = answer.status_code
    assert is_problem(answer, status)
    assert is_problem(front.get("/v1/claims/by-key/malformed-key", who), 404)


@pytest.mark.parametrize(
    "media", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", ""]
)
def test_a_claim_is_json_and_says_so(front: Front, media: str) -> None:
    (who,), slot = front.town.residents(), front.town.slot(8)
    body = orjson.dumps({"slot_id": str(slot)})
    for method, path in (("POST", RESERVATIONS), ("PUT", f"/v1/slots/{slot}"), ("POST", "/v1/identity/codes")):
        answer = front.ask(method, path, who, key="a-media-key", content=body, headers={"Content-Type": media})
        assert is_problem(answer, 415, "wrong_media_type"), path
    assert front.taken(slot) == 0


def test_a_charset_beside_the_media_type_is_fine(front: Front) -> None:
    (who,), slot = front.town.residents(), front.town.slot(8)
    body, headers = orjson.dumps({"slot_id": str(slot)}), {"Content-Type": "Application/JSON; charset=utf-8"}
    assert front.ask("POST", RESERVATIONS, who, key="charset-key", content=body, headers=headers).status_code == 201


def cursor(*parts: Any) -> str:
    return base64.urlsafe_b64encode(orjson.dumps(parts)).decode().rstrip("=")


WRONG_QUERIES = {
    "from=9999-12-31": 422,
    "from=9999-12-31T23:59:59-12:00": 422,
    "from=0001-01-01": 422,
    "from=0001-01-01T00:00:00%2B14:00": 422,
    "from=2026-02-30": 422,
    f"from={CANARY}": 422,
    "from=2026-01-02&to=2026-01-01": 422,
    "from=2026-01-01&to=2026-12-31": 422,
    "to=9999-12-31": 422,
    "limit=0": 422,
    "limit=501": 422,
    "limit=99999999999999999999": 422,
    f"limit={CANARY}": 422,
    f"facility={CANARY}": 422,
    "community=33%25": 422,
    "community=%00": 422,
    "service=" + "x" * 41: 422,
    f"cursor={CANARY}": 422,
    "cursor=%00": 422,
    "cursor=": 422,
    "cursor=" + "A" * 201: 422,
    f"cursor={cursor()}": 422,
    f"cursor={cursor(1, 2)}": 422,
    f"cursor={cursor('2026-01-01T00:00:00', SLOT)}": 422,
    f"cursor={cursor('2026-01-01T00:00:00+00:00', CANARY)}": 422,
    f"cursor={cursor(None, None)}": 422,
    f"for={CANARY}": 422,
    f"for={SLOT}": 403,
}


@pytest.mark.parametrize("query", WRONG_QUERIES)
def test_a_malformed_query_is_a_proper_problem(front: Front, query: str) -> None:
    (who,) = front.town.residents()
    assert is_problem(front.get(f"/v1/slots?{query}", who), WRONG_QUERIES[query])


@pytest.mark.parametrize("path", ["/v1/slots", "/v1/claims", RESERVATIONS, "/v1/regions", "/v1/identity/sessions"])
@pytest.mark.parametrize(
    "told",
    [
        cursor("0001-01-01T00:00:00+14:00", SLOT),
        cursor("9999-12-31T23:59:59-12:00", SLOT),
        cursor("2026-01-01T00:00:00+00:00", "\x00"),
        cursor("\x00"),
        cursor("\ud800".encode("utf-8", "surrogatepass").decode("latin-1")),
        cursor(10**18),
    ],
)
def test_no_cursor_breaks_a_list(front: Front, path: str, told: str) -> None:
    """Cursors are opaque, so anybody may send anything: an empty page or a problem, never a fault of ours."""
    (who,) = front.town.residents()
    answer = front.get(f"{path}?cursor={told}", who)
    assert answer.status_code == 200 or is_problem(answer, 422)


UNKNOWN = {
    ("GET", f"/v1/slots/{SLOT}"): 404,
    ("GET", f"/v1/claims/{SLOT}"): 404,
    ("DELETE", f"/v1/claims/{SLOT}"): 404,
    ("GET", f"{RESERVATIONS}/{SLOT}"): 404,
    ("DELETE", f"{RESERVATIONS}/{SLOT}"): 404,
    ("GET", f"{RESERVATIONS}/{CANARY}"): 422,
    ("GET", f"/v1/slots/{CANARY}"): 422,
    ("GET", f"/v1/claims/{CANARY}"): 422,
    ("GET", f"{RESERVATIONS}?date=9999-99-99"): 422,
    ("GET", "/v1/regions/33x"): 422,
    ("GET", "/v1/regions/99"): 404,
    ("GET", f"/v1/{CANARY}"): 404,
    ("GET", f"/v1/booking/{CANARY}"): 404,
    ("GET", f"/v1/identity/{CANARY}"): 404,
    ("GET", f"/{CANARY}"): 404,
    ("GET", "/v1/booking"): 404,
    ("GET", "/v1/booking/reservations/%00"): 404,
    ("GET", "/v1/booking/reservations/%0A"): 422,
    ("GET", "/v1/booking/reservations/%E5%9C%BA"): 404,
    ("GET", "/v1/booking/reservations/a%20b%3Fc%23d"): 422,
    ("GET", "/v1/booking/..%2Fidentity/me"): 404,
    ("GET", f"{RESERVATIONS}?facility=%ff"): 422,
    ("PATCH", RESERVATIONS): 405,
    ("DELETE", RESERVATIONS): 405,
    ("PUT", "/v1/claims"): 405,
    ("POST", "/v1/slots"): 405,
    ("POST", f"{RESERVATIONS}/{SLOT}"): 405,
    ("BREW", "/v1/slots"): 405,
}


@pytest.mark.parametrize(("method", "path"), UNKNOWN)
def test_what_is_not_there_or_cannot_be_done_is_a_proper_problem(front: Front, method: str, path: str) -> None:
    (who,) = front.town.residents()
    answer = front.ask(method, path, who)
    assert is_problem(answer, UNKNOWN[method, path]), answer.text


@pytest.mark.parametrize("query", [b"facility=\xff\xfe", b"\xe5\x9c\xba=1", b"date=%"])
def test_bytes_that_are_no_text_in_a_query_break_nothing(front: Front, query: bytes) -> None:
    """What a client library would never send, but a socket can."""
    (who,) = front.town.residents()
    for path in (RESERVATIONS, "/v1/slots", "/v1/identity/me"):
        status = raw(front, path, query, who)
        assert status < 500


def raw(front: Front, path: str, query: bytes, who: Resident) -> int:
    """The status of a request whose query is any bytes."""
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": query,
        "root_path": "",
        "headers": [(b"authorization", f"Bearer {who.token(front.keys)}".encode())],
        "client": ("127.0.0.1", 1),
        "server": ("linli", 80),
    }
    said: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Message) -> None:
        said.append(message)

    front.runner.run(front.gateway(scope, receive, send))
    return int(said[0]["status"])


# ---------------------------------------------------------------- manners


@pytest.mark.parametrize(
    ("accepts", "lang", "title"),
    [
        (None, "zh", "未找到，或您无权查看。"),
        ("en", "en", "There is nothing here that you may see."),
        ("en-GB,en;q=0.9,zh;q=0.1", "en", "There is nothing here that you may see."),
        ("zh-CN,en;q=0.5", "zh", "未找到，或您无权查看。"),
        ("fr", "zh", "未找到，或您无权查看。"),
        ("en;q=x, ~;;;,", "zh", "未找到，或您无权查看。"),
    ],
)
def test_a_problem_is_told_in_the_readers_language(front: Front, accepts: str | None, lang: str, title: str) -> None:
    headers = {} if accepts is None else {"Accept-Language": accepts}
    for path in (f"/v1/slots/{SLOT}", "/v1/booking/nowhere", "/v1/identity/nowhere"):
        answer = front.get(path, headers=headers)
        assert is_problem(answer, 404, "not_there")
        assert answer.json()["title"] == title
        assert answer.headers["content-language"] == lang


def test_a_request_keeps_its_id_and_gets_one_when_it_has_none_worth_keeping(front: Front) -> None:
    for path in ("/v1/slots", f"{RESERVATIONS}/{SLOT}", "/v1/identity/me", "/nowhere"):
        for good in ("my-request.0042", "7", "x" * 64):
            kept = front.get(path, headers={"X-Request-Id": good})
            assert kept.headers.get_list("x-request-id") == [good]
            if kept.status_code >= 400:
                assert kept.json()["request_id"] == good
        for bad in ("", "x" * 65, "two words here", f"{CANARY}<script>"):
            given = front.get(path, headers={"X-Request-Id": bad}).headers.get_list("x-request-id")
            assert len(given) == 1
            assert len(given[0]) == 32


def test_every_answer_says_that_it_is_what_it_says(front: Front) -> None:
    for path in ("/v1/slots", RESERVATIONS, "/healthz", "/nowhere"):
        assert front.get(path).headers["x-content-type-options"] == "nosniff"


def test_the_town_is_alive_and_ready(front: Front) -> None:
    assert front.get("/healthz").json() == {"status": "alive"}
    ready = front.get("/readyz")
    assert ready.status_code == 200
    assert (ready.json()["database"], ready.json()["migrations"]) == ("ok", "ok")
    assert b"linli_requests_total" in front.get("/metrics").content


def test_after_all_this_the_doctor_finds_nothing(front: Front) -> None:
    assert examined(front) == []


# ---------------------------------------------------------------- gateways of another kind


def test_whoever_asks_too_much_is_told_when_to_come_again(town_url: str, settings: Settings) -> None:
    slow = settings.model_copy(update={"account_rate": 0.5, "account_burst": 3, "pool_size": 2})
    with opened(town_url, Keyring.fresh(), slow) as front:
        who, other = front.town.residents(2)
        answers = [front.get("/v1/claims", who) for _ in range(4)]
        assert [one.status_code for one in answers] == [200, 200, 200, 429]
        assert is_problem(answers[3], 429, "too_many")
        assert 1 <= int(answers[3].headers["retry-after"]) <= 2
        assert answers[3].json()["retry_after"] == int(answers[3].headers["retry-after"])
        assert front.get("/v1/claims", other).status_code == 200, "one's haste is not another's"
    by_address = settings.model_copy(update={"address_rate": 0.5, "address_burst": 2, "pool_size": 2})
    with opened(town_url, Keyring.fresh(), by_address) as front:
        forwarded = [front.get("/healthz", headers={"X-Forwarded-For": f"10.0.0.{n}"}) for n in range(3)]
        assert [one.status_code for one in forwarded] == [200, 200, 429], "an address is not believed from just anybody"


@contextlib.contextmanager
def booking_is(url: str, settings: Settings, app: Callable[[ASGIApp], ASGIApp] | str) -> Iterator[Front]:
    """A gateway whose booking service runs elsewhere as `app` makes it out of the real one, or is at that address."""
    keys = Keyring.fresh()
    with contextlib.ExitStack() as stack:
        if isinstance(app, str):
            address = app
        else:
            one = service("booking")
            made = doors.door(url, lambda db: app(one.make(Context(db.of(one.role), keys, settings))))
            address = stack.enter_context(made)
        told = settings.model_copy(update={"upstreams": {"booking": address}, "pool_size": 3})
        yield stack.enter_context(opened(url, keys, told))


def its_own_paths_only(front: Front, status: int, code: str) -> bool:
    """Booking's paths fail with this problem, a claim leaves nothing behind, and everybody else is well."""
    (who,), slot = front.town.residents(), front.town.slot(8)
    answer = front.book(who, slot, key="service-away")
    assert is_problem(answer, status, code)
    assert int(answer.headers["retry-after"]) >= 1
    assert front.taken(slot) == 0, "the hold was freed at once"
    assert is_problem(front.get(RESERVATIONS, who), status, code)
    assert front.get("/v1/identity/me", who).status_code == 200
    assert front.get(f"/v1/slots/{slot}", who).json()["bookable"] is True
    assert front.get("/v1/claims", who).json()["items"] == []
    return True


def test_a_dead_service_fails_for_its_own_paths_only_and_its_holds_are_freed(town_url: str, settings: Settings) -> None:
    with booking_is(town_url, settings, "http://127.0.0.1:1") as front:
        assert its_own_paths_only(front, 503, "service_down")
        (who,) = front.town.residents()
        for _ in range(6):  # the circuit opens; still the same answer
            assert is_problem(front.get(RESERVATIONS, who), 503, "service_down")


def test_a_slow_service_fails_for_its_own_paths_only_and_its_holds_are_freed(town_url: str, settings: Settings) -> None:
    def sleepy(real: ASGIApp) -> ASGIApp:
        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] == "lifespan":
                await real(scope, receive, send)
                return
            while (await receive())["type"] != "http.disconnect":  # as long as anybody listens, it says nothing
                pass

        return app

    with booking_is(town_url, settings, sleepy) as front:
        front.parts.guards["booking"]._seconds = 0.25  # its own only: the others may be as slow as this machine is
        assert its_own_paths_only(front, 504, "service_slow")


def answering(status: int, *, after_its_work: bool) -> Callable[[ASGIApp], ASGIApp]:
    """A service that answers only this, before or after it did what it was asked."""

    def made(real: ASGIApp) -> ASGIApp:
        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] == "lifespan":
                await real(scope, receive, send)
                return

            async def nobody(_message: Message) -> None:
                """Its real answer is lost."""

            if after_its_work:
                await real(scope, receive, nobody)
            await send({"type": "http.response.start", "status": status, "headers": [(b"content-length", b"2")]})
            await send({"type": "http.response.body", "body": b"{}"})

        return app

    return made


def test_a_service_that_breaks_before_its_work_leaves_no_hold(town_url: str, settings: Settings) -> None:
    with booking_is(town_url, settings, answering(500, after_its_work=False)) as front:
        (who,), slot = front.town.residents(), front.town.slot(8)
        assert is_problem(front.book(who, slot, key="broken-before"), 503)
        assert front.taken(slot) == 0


def test_a_service_that_breaks_after_its_work_has_booked_and_the_caller_hears_so(
    town_url: str, settings: Settings
) -> None:
    """The answer is lost, the ledger is not: confirmed there is a 201."""
    with booking_is(town_url, settings, answering(502, after_its_work=True)) as front:
        (who,), slot = front.town.residents(), front.town.slot(8)
        made = front.book(who, slot, key="broken-after")
        assert made.status_code == 201
        assert made.json()["state"] == "confirmed"
        assert made.headers["location"] == made.json()["href"] == f"{RESERVATIONS}/{made.json()['id']}"
        assert front.taken(slot) == 1
        again = front.book(who, slot, key="broken-after")
        assert (again.status_code, again.json()["id"]) == (201, made.json()["id"])


def test_a_service_that_refuses_by_itself_frees_the_hold_at_once(town_url: str, settings: Settings) -> None:
    with booking_is(town_url, settings, answering(422, after_its_work=False)) as front:
        (who,), slot = front.town.residents(), front.town.slot(8)
        assert front.book(who, slot, key="refused-there").status_code == 422
        assert front.taken(slot) == 0
        assert examined(front) == []
