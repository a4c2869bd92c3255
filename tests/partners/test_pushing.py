"""Push: signed as foreign libraries verify it, tried again as published, and nobody held up by anybody else."""

from __future__ import annotations

import asyncio
import base64
import threading
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from standardwebhooks.webhooks import Webhook

from services.gateway import tasks as gateway
from services.partners import signing
from services.partners import tasks as partners
from shared.settings import Settings
from tests.gateway.test_front import Front, examined, is_problem
from tests.partners.sink import Sink, drips, floods, says, sleeps, well
from tests.partners.town import System, a_manager, a_system, an_endpoint, announce, context, due_now, push

PATIENCE = 60.0
"""Seconds in which what should come comes on any machine; never what a test measures."""


def test_the_vector_of_the_specification() -> None:
    at = datetime.fromtimestamp(1614265330, UTC)
    secret, notice = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "msg_p5jXN8AQM9LWM0D4loKWxJek"
    body = '{"test": 2432232314}'
    wanted = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
    assert signing.signatures(notice, at, body, [secret]) == wanted
    elsewhere = at.astimezone(datetime.now().astimezone().tzinfo) + timedelta(0)
    assert signing.signatures(notice, elsewhere, body, [secret]) == wanted, "whatever zone the moment is told in"
    beijing = datetime.fromisoformat("2021-02-25T23:02:10+08:00")
    assert signing.signatures(notice, beijing, body, [secret]) == wanted


def state(system: System, endpoint: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = system.get(f"partners/endpoints/{endpoint['id']}").json()
    return found


def deliveries(system: System, endpoint: dict[str, Any], query: str = "") -> list[dict[str, Any]]:
    found = system.get(f"partners/endpoints/{endpoint['id']}/deliveries{query}").json()["items"]
    return [one for one in found if one["kind"] != "challenge"]


def test_nothing_is_sent_before_the_challenge_is_echoed(front: Front, sink: Sink) -> None:
    sink.behaviours["/"] = lambda handler, _: says(200, b"hello")(handler, _._replace(body=b"{}"))
    system = a_system(front)
    endpoint = an_endpoint(front, system, sink.url(), proven=False)
    announce(front, 2)
    push(front)
    assert [one.told["type"] for one in sink.heard] == ["linli.endpoint.challenge"]
    assert state(system, endpoint)["state"] == "unproven"
    tries = system.get(f"partners/endpoints/{endpoint['id']}/deliveries").json()["items"][0]
    assert (tries["state"], tries["tries"][0]["error"]) == ("due", "not_echoed")
    assert (tries["tries"][0]["status"], tries["tries"][0]["answer"]) == (200, "hello")
    del sink.behaviours["/"]
    assert system.ask("POST", f"partners/endpoints/{endpoint['id']}/test").status_code == 202, "the challenge, now"
    push(front)
    assert state(system, endpoint)["state"] == "enabled"
    push(front)
    assert len(sink.notices()) == 2, "what came since it was registered"
    assert examined(front) == []


def test_what_is_sent_is_the_item_of_the_poll_and_verifies_with_foreign_libraries(front: Front, sink: Sink) -> None:
    system = a_system(front)
    endpoint = an_endpoint(front, system, sink.url("/in"))
    announce(front)
    assert push(front) == 1
    (item,) = system.poll()["items"]
    (heard,) = sink.notices()
    assert heard.told == item | {"timestamp": item["occurred_at"]}
    assert heard.headers["webhook-id"] == item["id"]
    assert heard.headers["content-type"] == "application/json"
    assert Webhook(endpoint["secret"]).verify(heard.body, heard.headers) == heard.told
    (v1a,) = [one for one in heard.headers["webhook-signature"].split() if one.startswith("v1a,")]
    key = Ed25519PublicKey.from_public_bytes(base64.b64decode(endpoint["public_key"].removeprefix("whpk_")))
    signed = f"{heard.headers['webhook-id']}.{heard.headers['webhook-timestamp']}.".encode() + heard.body
    key.verify(base64.b64decode(v1a.removeprefix("v1a,")), signed)
    (delivery,) = deliveries(system, endpoint)
    assert (delivery["state"], delivery["attempts"], delivery["tries"][0]["status"]) == ("delivered", 1, 200)
    assert delivery["type"] == item["type"]
    assert state(system, endpoint)["due"] == 0
    assert examined(front) == []


def test_only_what_was_asked_for_and_within_reach_is_sent(front: Front, sink: Sink) -> None:
    system = a_system(front, types=["test.*"])
    an_endpoint(front, system, sink.url("/one"), types=["test.other.*"])
    an_endpoint(front, system, sink.url("/two"), types=["test.*"], community="330411105204")
    announce(front, 2)
    announce(front, 1, "test.other.came")
    announce(front, 1, community="330411105204")
    announce(front, 1, community="330424101003")
    announce(front, 1, "test.other.came", community="330424101003")
    push(front)
    heard = [(one.path, one.told["position"]) for one in sink.notices()]
    assert sorted(heard) == [("/one", 3), ("/two", 4)]
    for wrong in ({"types": ["*"]}, {"types": ["booking.*"]}, {"community": "33"}, {"community": "330424101"}):
        body = {"url": sink.url(), "types": ["test.*"], "community": "330411105"} | wrong
        assert is_problem(system.ask("POST", "partners/endpoints", json=body), 403, "not_in_scope")


def test_secrets_are_the_owners_and_after_a_rotation_both_sign(front: Front, sink: Sink) -> None:
    manager = a_manager(front)
    system, other = a_system(front, manager), a_system(front, manager)
    endpoint = an_endpoint(front, system, sink.url())
    path = f"partners/endpoints/{endpoint['id']}/secret"
    assert system.get(path).json() == {"secret": endpoint["secret"], "previous_until": None}
    assert is_problem(other.get(path), 404)
    assert is_problem(front.get(f"/v1/{path}", manager), 403), "managers see the endpoint, not its secret"
    assert is_problem(front.ask("POST", f"/v1/{path}/rotate", manager), 403)
    rotated = system.ask("POST", f"{path}/rotate").json()
    assert rotated["secret"] != endpoint["secret"]
    announce(front)
    push(front)
    (heard,) = sink.notices()
    for secret in (endpoint["secret"], rotated["secret"]):
        assert Webhook(secret).verify(heard.body, heard.headers)
    front.town.do("UPDATE endpoints SET previous_until = now() - interval '1 s'")
    announce(front)
    push(front)
    assert Webhook(rotated["secret"]).verify(sink.notices()[-1].body, sink.notices()[-1].headers)
    assert len([one for one in sink.notices()[-1].headers["webhook-signature"].split() if one.startswith("v1,")]) == 1
    assert system.get(path).json()["previous_until"] is None
    kept = front.town.one("SELECT endpoints::text FROM endpoints")
    assert rotated["secret"].removeprefix("whsec_") not in kept


def test_what_fails_is_tried_again_later_each_time_and_then_given_up(front: Front, sink: Sink) -> None:
    sink.behaviours["/"] = says(500, b"oh\x00 13912345678 330411199001011234\xff")
    system = a_system(front)
    endpoint = an_endpoint(front, system, sink.url())
    announce(front)
    pauses = []
    for _ in range(11):
        assert push(front) == 1
        (one,) = front.town.all(
            "SELECT extract(epoch FROM due_at - now()), state FROM deliveries WHERE kind = 'notice'"
        )
        pauses.append(float(one[0]))
        due_now(front)
    for seconds, wanted in zip(pauses, (5, 60, 300, 1800, 7200, 18000, 36000, 50400, 72000, 86400), strict=False):
        assert wanted * 0.79 - 1 <= seconds <= wanted * 1.21
    (delivery,) = deliveries(system, endpoint)
    assert (delivery["state"], delivery["attempts"], len(delivery["tries"])) == ("failed", 11, 10)
    assert delivery["tries"][0]["answer"] == "oh  *** ******\ufffd"
    assert push(front) == 0
    assert {one.headers["webhook-id"] for one in sink.notices()} == {delivery["notice_id"]}, "the same id at every try"
    assert deliveries(system, endpoint, "?state=delivered") == []
    sink.behaviours.clear()
    assert system.ask("POST", f"partners/deliveries/{delivery['id']}/resend").json()["state"] == "due"
    push(front)
    assert deliveries(system, endpoint)[0]["state"] == "delivered"


def test_410_ends_it_at_once_and_a_notice_says_so(front: Front, sink: Sink) -> None:
    sink.behaviours["/"] = says(410)
    system = a_system(front)
    endpoint = an_endpoint(front, system, sink.url())
    announce(front, 3)
    push(front)
    told = state(system, endpoint)
    assert (told["state"], told["reason"]) == ("disabled", "gone")
    announce(front)
    assert push(front) == 0
    (notice,) = system.poll("?types=partners.*")["items"]
    assert (notice["subject"], notice["data"]) == (endpoint["id"], {"reason": "gone"})
    assert is_problem(system.ask("POST", f"partners/endpoints/{endpoint['id']}/test"), 409)
    sink.behaviours.clear()
    body = {"url": sink.url(), "types": ["*"], "community": "330411105"}
    path = f"partners/endpoints/{endpoint['id']}"
    assert is_problem(system.ask("PUT", path, json=body), 428)
    assert is_problem(system.ask("PUT", path, json=body, headers={"If-Match": '"x"'}), 412)
    tag = system.get(path).headers["etag"]
    assert system.ask("PUT", path, json=body, headers={"If-Match": tag}).json()["state"] == "unproven"
    push(front)
    assert state(system, endpoint)["state"] == "enabled"
    announce(front)
    push(front)
    push(front)
    assert sink.notices()[-1].told["position"] == front.town.one("SELECT position FROM notice_head")
    assert examined(front) == []


@pytest.mark.parametrize(("status", "header", "least", "most"), [
    (429, "120", 119, 121), (503, "999999", 86399, 86401), (200, None, None, None), (503, "soon", 3, 7), (504, None, 3, 7),
    (500, "30", 29, 31),
])  # fmt: skip
def test_who_asks_for_peace_is_left_in_peace(
    front: Front, sink: Sink, status: int, header: str | None, least: float | None, most: float | None
) -> None:
    sink.behaviours["/"] = says(status, **({"Retry_After": header} if header else {}))
    system = a_system(front)
    an_endpoint(front, system, sink.url())
    announce(front)
    push(front)
    asked = front.town.one(
        "SELECT extract(epoch FROM throttled_until - (SELECT max(made_at) FROM attempts)) FROM endpoints"
    )
    if least is None:
        assert asked is None
        return
    assert least - 1 <= float(asked) <= (most or 0)
    announce(front, 5)
    assert push(front) == 0, "nothing else is sent there meanwhile"


def test_five_days_of_nothing_but_failures_disable_an_endpoint(front: Front, sink: Sink) -> None:
    sink.behaviours["/"] = says(500)
    system = a_system(front)
    endpoint = an_endpoint(front, system, sink.url())
    announce(front)
    push(front)
    assert state(system, endpoint)["failing_since"] is not None
    front.town.do("UPDATE endpoints SET failing_since = now() - interval '4 days 23 hours'")
    due_now(front)
    push(front)
    assert state(system, endpoint)["state"] == "enabled"
    sink.behaviours.clear()
    due_now(front)
    push(front)
    assert state(system, endpoint)["failing_since"] is None, "one success and all is well"
    sink.behaviours["/"] = says(500)
    announce(front)
    push(front)
    front.town.do("UPDATE endpoints SET failing_since = now() - interval '5 days 1 second'")
    due_now(front)
    push(front)
    assert (state(system, endpoint)["state"], state(system, endpoint)["reason"]) == ("disabled", "failing")


def test_slow_dead_and_hostile_endpoints_hold_up_nobody(front: Front, sink: Sink) -> None:
    """They hang until the good one has everything: what comes first is seen, and no clock is raced."""
    has_all = threading.Event()

    def hangs(handler: Any, heard: Any) -> None:
        if "challenge" in heard.told:
            well(handler, heard)
        else:
            has_all.wait(PATIENCE)

    sink.behaviours.update({"/hangs": hangs, "/hangs-too": hangs, "/floods": floods, "/errs": says(500)})
    sink.behaviours["/turns"] = says(302, Location=sink.url("/inside"))
    system = a_system(front)
    names = ("/hangs", "/hangs-too", "/floods", "/errs", "/turns")
    slow, drip, flood, errs, turns = bad = [an_endpoint(front, system, sink.url(path)) for path in names]
    dead = an_endpoint(front, system, sink.url("/dead"))
    front.town.do("UPDATE endpoints SET url = 'http://127.0.0.1:9/' WHERE id = %s", dead["id"])
    good = an_endpoint(front, system, sink.url("/good"))
    announce(front, 20)

    def tries(one: dict[str, Any]) -> list[str]:
        return [each["error"] for shown in deliveries(system, one) for each in shown["tries"]]

    def is_done(one: dict[str, Any]) -> bool:
        return not front.town.one("SELECT count(*) FROM deliveries WHERE endpoint_id = %s AND state = 'due'", one["id"])

    def was_tried(one: dict[str, Any]) -> bool:
        asked = "SELECT count(*) FROM attempts a JOIN deliveries d ON d.id = a.delivery_id WHERE kind = 'notice'"
        return bool(front.town.one(f"{asked} AND d.endpoint_id = %s", one["id"]))

    async def call_until_all_is_said() -> None:
        await partners.fan_out(context(front))
        calling = asyncio.create_task(partners.drain(context(front), seconds=PATIENCE, most_seconds=PATIENCE))
        while not (is_done(good) and is_done(flood) and all(map(was_tried, (errs, turns, dead)))):
            assert not calling.done()
            await asyncio.sleep(0.05)
        calling.cancel()
        await asyncio.wait([calling])

    front.runner.run(call_until_all_is_said())
    assert len(sink.notices("/good")) == 20
    assert tries(slow) == tries(drip) == [], "nobody else was given up for that"
    assert set(tries(dead)) == {"connection"}
    assert sink.notices("/inside") == [], "nobody is led elsewhere"
    has_all.set()
    sink.behaviours |= {"/hangs": sleeps, "/hangs-too": drips}
    while not (tries(slow) and tries(drip)):
        due_now(front)
        push(front, seconds=1, most_seconds=1)
    assert set(tries(slow)) == set(tries(drip)) == {"timeout"}
    assert [state(system, one)["failing_since"] is not None for one in bad] == [True, True, False, True, True]
    assert state(system, good)["due"] == 0
    assert examined(front) == []


def test_strict_order_waits_for_what_fails_and_best_effort_does_not(front: Front, sink: Sink) -> None:
    system = a_system(front)
    an_endpoint(front, system, sink.url("/strict"), ordering="strict")
    an_endpoint(front, system, sink.url("/loose"))
    announce(front, 5)
    fails = {2}

    def stumbles(handler: Any, heard: Any) -> None:
        says(500 if heard.told["position"] in fails else 200)(handler, heard)

    sink.behaviours |= {"/strict": stumbles, "/loose": stumbles}
    push(front)
    assert [one.told["position"] for one in sink.notices("/strict")] == [1, 2]
    assert {one.told["position"] for one in sink.notices("/loose")} == {1, 2, 3, 4, 5}
    fails.clear()
    due_now(front)
    push(front)
    assert [one.told["position"] for one in sink.notices("/strict")] == [1, 2, 2, 3, 4, 5]


def test_what_was_missed_is_recovered_and_asking_again_does_nothing(front: Front, sink: Sink) -> None:
    system = a_system(front)
    endpoint = an_endpoint(front, system, sink.url())
    path = f"partners/endpoints/{endpoint['id']}"
    body = {"url": sink.url(), "types": ["*"], "community": "330411105"}

    def switch(*, enabled: bool) -> None:
        tag = system.get(path).headers["etag"]
        told = system.ask("PUT", path, json=body | {"enabled": enabled}, headers={"If-Match": tag})
        assert told.status_code == 200, told.text

    switch(enabled=False)
    assert state(system, endpoint)["reason"] == "by_owner"
    announce(front, 4)
    push(front)
    switch(enabled=True)
    push(front)
    announce(front, 1)
    push(front)
    assert [one.told["position"] for one in sink.notices()] == [5], "from now on"
    now = datetime.now(UTC)
    times = {"since": (now - timedelta(minutes=5)).isoformat(), "until": (now + timedelta(minutes=1)).isoformat()}
    assert system.ask("POST", f"{path}/recover", json=times).json() == {"recovered": 4, "done": True, "next": None}
    assert system.ask("POST", f"{path}/recover", json=times).json()["recovered"] == 0
    backwards = system.ask("POST", f"{path}/recover", json={"since": times["until"], "until": times["since"]})
    assert (backwards.status_code, backwards.json()["errors"][0]["code"]) == (422, "since_comes_before_until")
    push(front)
    assert sorted(one.told["position"] for one in sink.notices()) == [1, 2, 3, 4, 5]
    long_ago = {"since": "2020-01-01T00:00:00Z", "until": "2020-02-01T00:00:00Z"}
    assert system.ask("POST", f"{path}/recover", json=long_ago).json()["recovered"] == 0
    assert is_problem(
        system.ask("POST", f"{path}/recover", json={"since": "1066-01-01T00:00:00Z", "until": "2020-02-01T00:00:00Z"}),
        422,
    )
    assert is_problem(
        system.ask("POST", f"{path}/recover", json={"since": "2020-01-01T00:00:00", "until": "2020-02-01T00:00:00Z"}),
        422,
    )
    assert examined(front) == []


def test_a_test_can_be_asked_for(front: Front, sink: Sink) -> None:
    system = a_system(front)
    endpoint = an_endpoint(front, system, sink.url())
    asked = system.ask("POST", f"partners/endpoints/{endpoint['id']}/test")
    assert (asked.status_code, asked.json()["kind"]) == (202, "test")
    push(front)
    (heard,) = sink.notices()
    assert heard.told["type"] == "linli.endpoint.test"
    assert Webhook(endpoint["secret"]).verify(heard.body, heard.headers)
    assert system.get(asked.headers["location"].removeprefix("/v1/")).json()["state"] == "delivered"


def test_endpoints_belong_to_their_account(front: Front, sink: Sink) -> None:
    manager = a_manager(front)
    mine, theirs = a_system(front, manager), a_system(front, manager)
    endpoint = an_endpoint(front, mine, sink.url())
    announce(front)
    push(front)
    (delivery,) = deliveries(mine, endpoint)
    path = f"partners/endpoints/{endpoint['id']}"
    body = {"url": sink.url(), "types": ["*"], "community": "330411105"}
    times = {"since": "2026-01-01T00:00:00Z", "until": "2027-01-01T00:00:00Z"}
    for method, where, more in (
        ("GET", path, {}),
        ("PUT", path, {"json": body, "headers": {"If-Match": "*"}}),
        ("DELETE", path, {}),
        ("GET", f"{path}/secret", {}),
        ("POST", f"{path}/secret/rotate", {}),
        ("POST", f"{path}/test", {}),
        ("GET", f"{path}/deliveries", {}),
        ("POST", f"{path}/recover", {"json": times}),
        ("GET", f"partners/deliveries/{delivery['id']}", {}),
        ("POST", f"partners/deliveries/{delivery['id']}/resend", {}),
    ):
        assert is_problem(theirs.ask(method, where, **more), 404), where
    assert theirs.get("partners/endpoints").json()["items"] == []
    assert [one["id"] for one in front.get("/v1/partners/endpoints", manager).json()["items"]] == [endpoint["id"]]
    stop = {"json": body | {"enabled": False}, "headers": {"If-Match": "*"}}
    assert is_problem(front.ask("PUT", f"/v1/{path}", manager, json=body, headers={"If-Match": "*"}), 403)
    assert front.ask("PUT", f"/v1/{path}", manager, **stop).json()["state"] == "disabled"
    assert mine.ask("DELETE", path).status_code == 204
    assert is_problem(mine.get(path), 404)
    assert front.town.one("SELECT count(*) FROM attempts") == 0


def test_a_revoked_key_takes_its_endpoints_along(front: Front, sink: Sink) -> None:
    manager = a_manager(front)
    system = a_system(front, manager)
    endpoint = an_endpoint(front, system, sink.url())
    front.ask("DELETE", f"/v1/partners/keys/{system.id}", manager)
    announce(front)
    push(front)
    assert sink.notices() == []
    told = front.get(f"/v1/partners/endpoints/{endpoint['id']}", manager).json()
    assert (told["state"], told["reason"]) == ("disabled", "key_revoked")


def test_an_endpoint_of_one_place_hears_its_part_of_what_begins_elsewhere(front: Front, sink: Sink) -> None:
    (who,) = front.town.residents()
    other, policy = uuid.uuid4(), uuid.uuid4()
    front.town.place(other, policy)
    system = a_system(front, facility_id=str(other))
    endpoint = an_endpoint(front, system, sink.url())
    slots = [front.town.slot(8), front.town.slot(10, place_id=other, policy_id=policy)]
    assert front.book(who, *slots).status_code == 201
    assert front.book(who, front.town.slot(14)).status_code == 201
    front.runner.run(gateway.stamp_notices(front.parts))
    push(front)
    assert [one.told["data"]["slots"] for one in sink.notices()] == [[str(slots[1])]]
    front.town.do("DELETE FROM deliveries WHERE endpoint_id = %s", uuid.UUID(endpoint["id"]))
    times = {"since": "2026-01-01T00:00:00Z", "until": "2100-01-01T00:00:00Z"}
    again = system.ask("POST", f"partners/endpoints/{endpoint['id']}/recover", json=times)
    assert again.json()["recovered"] == 1, again.text


def test_who_asks_again_is_not_told_everything_twice(front: Front, sink: Sink) -> None:
    manager = a_manager(front)
    where = "/v1/partners/endpoints"
    body = {"url": sink.url(), "types": ["elder-meals.*", "events.*"], "community": "330411105"}

    async def at_once() -> list[httpx.Response]:
        headers = manager.headers(front.keys, None, front.parts.settings.issuer)
        return await asyncio.gather(*(front.client.post(where, json=body, headers=headers) for _ in range(6)))

    told = sorted(front.runner.run(at_once()), key=lambda one: one.status_code)
    assert [one.status_code for one in told] == [201, *[409] * 5]
    assert is_problem(told[-1], 409, "exists")
    turned = body | {"types": ["events.*", "elder-meals.*"], "description": "the same"}
    assert is_problem(front.ask("POST", where, manager, json=turned), 409, "exists")
    other = front.ask("POST", where, manager, json=body | {"types": ["events.*"]})
    assert other.status_code == 201, "something else may go to the same address"
    now = {"If-Match": "*"}
    assert is_problem(front.ask("PUT", other.headers["location"], manager, json=turned, headers=now), 409, "exists")
    first = told[0].headers["location"]
    assert front.ask("PUT", first, manager, json=turned, headers=now).status_code == 200, "it is itself"
    stopped = turned | {"enabled": False}
    assert front.ask("PUT", first, manager, json=stopped, headers=now).status_code == 200
    assert front.ask("PUT", other.headers["location"], manager, json=turned, headers=now).status_code == 200
    assert is_problem(front.ask("PUT", first, manager, json=turned, headers=now), 409, "exists")
    assert front.ask("POST", where, a_manager(front), json=body).status_code == 201, "what others hear is theirs"


def test_staff_who_lost_their_role_are_no_longer_told(front: Front, sink: Sink) -> None:
    manager = a_manager(front)
    body = {"url": sink.url(), "types": ["*"], "community": "330411105"}
    assert front.ask("POST", "/v1/partners/endpoints", manager, json=body).status_code == 201
    push(front)
    announce(front)
    push(front)
    assert len(sink.notices()) == 1
    front.town.do("UPDATE roles SET ends_at = now() WHERE account_no = %s", manager.account_no)
    announce(front)
    push(front)
    assert len(sink.notices()) == 1


def test_another_role_or_one_at_a_single_place_hears_nothing_of_the_region(front: Front, sink: Sink) -> None:
    (manager,) = front.town.residents()
    place = uuid.uuid4()
    front.town.place(place, uuid.uuid4())
    front.town.appoint(manager, "manager", place_id=place)
    body = {"url": sink.url(), "types": ["*"], "community": "330411105"}
    assert is_problem(front.ask("POST", "/v1/partners/endpoints", manager, json=body), 403, "not_in_scope")
    front.town.appoint(manager, "manager")
    front.parts.credentials._facts.clear()
    endpoint = front.ask("POST", "/v1/partners/endpoints", manager, json=body).json()
    push(front)
    front.town.do("DELETE FROM roles WHERE account_no = %s AND place_id IS NULL", manager.account_no)
    front.town.appoint(manager, "courier")
    front.town.appoint(manager, "auditor")
    announce(front)
    push(front)
    times = {"since": "2026-01-01T00:00:00Z", "until": "2100-01-01T00:00:00Z"}
    again = front.ask("POST", f"/v1/partners/endpoints/{endpoint['id']}/recover", manager, json=times)
    assert is_problem(again, 403, "not_allowed")
    front.parts.credentials._facts.clear()
    assert is_problem(front.ask("POST", "/v1/partners/endpoints", manager, json=body), 403, "not_in_scope")
    push(front)
    assert sink.notices() == []


def test_a_narrow_key_does_not_reach_what_a_wider_one_of_its_account_made(front: Front, sink: Sink) -> None:
    manager = a_manager(front)
    wide = a_system(front, manager)
    account = wide.told["account_id"]
    narrow = a_system(front, manager, account_id=account, types=["test.other.*"])
    below = a_system(front, manager, account_id=account, region="330411105003")
    like = a_system(front, manager, account_id=account)
    endpoint = an_endpoint(front, wide, sink.url())
    path = f"partners/endpoints/{endpoint['id']}"
    for key in (narrow, below):
        assert is_problem(key.get(path), 404, "not_there")
        assert is_problem(key.get(f"{path}/secret"), 404, "not_there")
        assert is_problem(key.ask("DELETE", path), 404, "not_there")
        assert key.get("partners/endpoints").json()["items"] == []
        assert is_problem(key.ask("DELETE", f"partners/keys/{wide.id}"), 403, "not_allowed")
    assert like.get(f"{path}/secret").json()["secret"] == endpoint["secret"]
    assert [one["id"] for one in like.get("partners/endpoints").json()["items"]] == [endpoint["id"]]
    mine = an_endpoint(front, narrow, sink.url(), types=["test.other.*"])
    assert [one["id"] for one in narrow.get("partners/endpoints").json()["items"]] == [mine["id"]]
    assert narrow.ask("DELETE", f"partners/keys/{narrow.id}").status_code == 200


@pytest.mark.parametrize(
    "url",
    [
        "ftp://example.org/", "https://", "https:///x", "https://user@example.org/", "https://user:pass@example.org/",
        "https://example.org/#x", "https://exa mple.org/", "https://example.org\\@127.0.0.1/", "javascript:alert(1)",
        "https://example.org:0/", "https://example.org:99999/", "https://[::1/", "//example.org/", "",
        "https://example.org/\r\nX: y", "https://例子.中国/", "https://" + "a" * 600 + "/",
    ],
)  # fmt: skip
def test_what_cannot_be_an_address_is_refused(shared_front: Front, url: str) -> None:
    body = {"url": url, "types": ["*"], "community": "330411105"}
    assert is_problem(a_system(shared_front).ask("POST", "partners/endpoints", json=body), 422)


def test_too_much_data_stays_at_home(front: Front, sink: Sink) -> None:
    system = a_system(front)
    an_endpoint(front, system, sink.url())
    announce(front)
    front.town.do("UPDATE notices SET data = jsonb_build_object('much', repeat('x', 30000))")
    push(front)
    (heard,) = sink.notices()
    assert len(heard.body) < 20_000
    assert (heard.told["data"], heard.told["is_shortened"]) == ({}, True)


def test_without_being_named_no_network_of_ones_own_is_called(
    database_url: str, keys: Any, settings: Settings, sink: Sink
) -> None:
    from tests.gateway.test_front import opened  # noqa: PLC0415

    with opened(database_url, keys, settings.model_copy(update={"partner_networks": (), "demo": False})) as front:
        system = a_system(front)
        names = (sink.url(host="localhost"), f"https://localhost:{sink.port}/")
        addresses = (
            sink.url(), sink.url(host="[::ffff:127.0.0.1]"), sink.url(host="[::1]"), f"https://127.0.0.1:{sink.port}/",
            "https://169.254.169.254/latest/meta-data/", "https://[fd00::1]/", "http://93.184.215.14/",
            sink.url(host="2130706433"), sink.url(host="0x7f.1"), sink.url(host="0"), "https://10.1/",
            "https://3232235777/", "https://2130706433/", "https://0x7f000001/",
        )  # fmt: skip
        endpoints = [an_endpoint(front, system, url, proven=False) for url in names]
        for url in addresses:
            body = {"url": url, "types": ["*"], "community": "330411105"}
            refused = system.ask("POST", "partners/endpoints", json=body)
            assert is_problem(refused, 422)
            assert [(one["pointer"], one["code"]) for one in refused.json()["errors"]] == [("/url", "address_refused")]
            endpoints.append(an_endpoint(front, system, f"https://example.org/{len(endpoints)}", proven=False))
            front.town.do("UPDATE endpoints SET url = %s WHERE id = %s", url, endpoints[-1]["id"])
        push(front)
        for one in endpoints:
            tries = system.get(f"partners/endpoints/{one['id']}/deliveries").json()["items"][0]["tries"]
            assert [(each["status"], each["error"]) for each in tries] == [(None, "address_refused")], one["url"]
    assert sink.heard == []


def test_an_id_that_is_not_there_is_not_there(front: Front) -> None:
    system = a_system(front)
    for path in (f"endpoints/{uuid.uuid4()}", f"deliveries/{uuid.uuid4()}"):
        assert is_problem(system.get(f"partners/{path}"), 404)
