"""Endpoints that change: nothing that they are to hear is lost, and nothing that they are not is sent."""

from __future__ import annotations

import asyncio
import uuid
from datetime import timedelta
from typing import Any

import httpx
import pytest
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from services.gateway import credentials
from services.partners import signing, tasks
from services.partners.actions import endpoints
from services.partners.sql import keys
from shared import clock
from tests.gateway.test_front import Front, examined, is_problem
from tests.partners.sink import Sink, says
from tests.partners.town import System, a_manager, a_system, an_endpoint, announce, context, due_now, push
from tests.town import COMMUNITY

OTHER = "test.other.came"
BELOW = "330411105204"


def put(system: System, endpoint: dict[str, Any], **told: Any) -> httpx.Response:
    """Change an endpoint, and leave the rest of it as it is."""
    path = f"partners/endpoints/{endpoint['id']}"
    now = system.get(path)
    body = {name: now.json()[name] for name in ("url", "types", "community", "ordering", "description")} | told
    return system.ask("PUT", path, json=body, headers={"If-Match": now.headers["etag"]})


def positions(sink: Sink, path: str | None = None) -> list[int]:
    return [one.told["position"] for one in sink.notices(path)]


@pytest.mark.parametrize(("before", "after", "wanted"), [
    ({"types": ["*"]}, {"types": ["test.fact.came"]}, [1, 3, 4]),
    ({"types": ["test.fact.came"]}, {"types": ["*"]}, [1, 3, 4, 5]),
    ({}, {"community": BELOW}, [3, 4]),
    ({"community": BELOW}, {"community": "330411105"}, [3, 4, 5]),
    ({}, {"description": "the same"}, [1, 2, 3, 4, 5]),
    ({"types": [OTHER]}, {"types": ["test.fact.came"]}, [4]),
])  # fmt: skip
def test_what_both_filters_cover_is_not_lost_and_the_new_one_holds_from_now_on(
    front: Front, sink: Sink, before: dict[str, Any], after: dict[str, Any], wanted: list[int]
) -> None:
    system = a_system(front)
    endpoint = an_endpoint(front, system, sink.url(), **before)
    announce(front)
    announce(front, 1, OTHER)
    announce(front, 1, community=BELOW)
    assert put(system, endpoint, **after).status_code == 200, "before anything was made out"
    announce(front, 1, community=BELOW)
    announce(front, 1, OTHER)
    push(front)
    assert sorted(positions(sink)) == wanted
    assert examined(front) == []


def test_what_is_due_and_no_longer_asked_for_is_not_sent(front: Front, sink: Sink) -> None:
    system = a_system(front)
    endpoint = an_endpoint(front, system, sink.url("/before"))
    announce(front, 1, OTHER)
    announce(front)
    front.town.do("UPDATE endpoints SET throttled_until = now() + interval '1 hour'")
    push(front)
    assert put(system, endpoint, types=["test.fact.*"], url=sink.url("/after")).json()["due"] == 2, "and a challenge"
    push(front)
    push(front)
    assert (positions(sink, "/before"), positions(sink, "/after")) == ([], [2])
    assert examined(front) == []


def test_what_is_due_from_a_region_that_was_followed_is_still_sent(front: Front, sink: Sink) -> None:
    system = a_system(front)
    endpoint = an_endpoint(front, system, sink.url(), community=BELOW)
    announce(front, 1, community=BELOW)
    announce(front, 1, OTHER, community=BELOW)
    front.runner.run(tasks.fan_out(context(front)))
    front.town.do("INSERT INTO region_changes VALUES (%s, %s, 'merge', true, '2026-01-01')", BELOW, COMMUNITY)
    front.town.do("UPDATE endpoints SET community = %s", COMMUNITY)
    assert put(system, endpoint, types=["test.fact.came"]).status_code == 200
    push(front)
    assert positions(sink) == [1]


def test_a_wider_key_does_not_reach_back_behind_the_change(front: Front, sink: Sink) -> None:
    manager = a_manager(front)
    narrow = a_system(front, manager, types=["test.fact.*"])
    wide = a_system(front, manager, account_id=narrow.told["account_id"])
    endpoint = an_endpoint(front, narrow, sink.url(), types=["test.fact.*"], proven=False)
    announce(front, 1, OTHER)
    announce(front)
    assert put(wide, endpoint, types=["*"]).status_code == 200
    announce(front, 1, OTHER)
    push(front)
    push(front)
    assert sorted(positions(sink)) == [2, 3], "also where nothing was proven yet"
    assert examined(front) == []


def test_a_key_that_was_revoked_makes_and_changes_nothing_while_it_is_still_believed(
    front: Front, sink: Sink, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(credentials, "FACTS_SECONDS", 3600.0)
    manager = a_manager(front)
    system = a_system(front, manager)
    like = a_system(front, manager, account_id=system.told["account_id"])
    endpoint = an_endpoint(front, like, sink.url("/like"))
    assert system.get("partners/notices").status_code == 200
    assert front.ask("DELETE", f"/v1/partners/keys/{system.id}", manager).status_code == 200
    body = {"url": sink.url(), "types": ["*"], "community": "330411105"}
    assert system.get("partners/notices").status_code == 200, "believed"
    assert is_problem(system.ask("POST", "partners/endpoints", json=body), 401, "not_known")
    assert is_problem(put(system, endpoint, description="mine"), 401, "not_known")
    assert front.town.one("SELECT count(*) FROM endpoints WHERE key_id = %s", uuid.UUID(system.id)) == 0
    assert examined(front) == []


def test_who_makes_an_endpoint_waits_for_who_revokes_its_key(front: Front, sink: Sink) -> None:
    system = a_system(front)
    body = {"url": sink.url(), "types": ["*"], "community": "330411105"}
    headers = {"Authorization": f"Bearer {system.told['key']}"}
    assert system.get("partners/notices").status_code == 200

    async def at_once() -> httpx.Response:
        async with context(front).db.transaction() as tx:
            await keys.revoke(tx, uuid.UUID(system.id))
            making = asyncio.create_task(front.client.post("/v1/partners/endpoints", json=body, headers=headers))
            while not await tx.value(
                "SELECT count(*) FROM pg_stat_activity WHERE pg_backend_pid() = ANY(pg_blocking_pids(pid))"
            ):
                assert not making.done(), making.result().text
                await asyncio.sleep(0.01)
                await tx.value("SELECT pg_stat_clear_snapshot()")  # else the same sessions are told again
        return await making

    assert is_problem(front.runner.run(at_once()), 401, "not_known")


def test_nothing_goes_to_the_endpoint_of_a_revoked_key_whatever_it_says(front: Front, sink: Sink) -> None:
    manager = a_manager(front)
    system = a_system(front, manager)
    like = a_system(front, manager, account_id=system.told["account_id"])
    endpoint = an_endpoint(front, system, sink.url())
    announce(front)
    front.runner.run(tasks.fan_out(context(front)))
    front.town.do("UPDATE partner_keys SET revoked_at = now() WHERE id = %s", uuid.UUID(system.id))
    announce(front)
    assert push(front) == 0
    times = {"since": "2026-01-01T00:00:00Z", "until": "2100-01-01T00:00:00Z"}
    again = like.ask("POST", f"partners/endpoints/{endpoint['id']}/recover", json=times)
    assert is_problem(again, 403, "not_allowed")
    assert put(like, endpoint).status_code == 200, "a key that is good takes it over"
    announce(front)
    push(front)
    assert sorted(positions(sink)) == [1, 3]
    assert examined(front) == []


def test_what_is_due_is_not_sent_to_those_whose_role_ended(front: Front, sink: Sink) -> None:
    sink.behaviours["/"] = says(500)
    manager = a_manager(front)
    body = {"url": sink.url(), "types": ["*"], "community": "330411105"}
    where = front.ask("POST", "/v1/partners/endpoints", manager, json=body).headers["location"]
    push(front)
    announce(front, 2)
    push(front)
    tried = len(sink.notices())
    assert tried > 0
    front.town.do("UPDATE roles SET ends_at = now() WHERE account_no = %s", manager.account_no)
    front.parts.credentials._facts.clear()
    sink.behaviours.clear()
    due_now(front)
    assert push(front) == 0
    kept = front.get(f"{where}/deliveries", manager).json()
    notice = next(one["id"] for one in kept["items"] if one["kind"] == "notice")
    times = {"since": "2026-01-01T00:00:00Z", "until": "2100-01-01T00:00:00Z"}
    for path, more in (
        (f"/v1/partners/deliveries/{notice}/resend", None),
        (f"{where}/test", None),
        (f"{where}/recover", times),
    ):
        assert is_problem(front.ask("POST", path, manager, json=more), 403, "not_allowed"), path
    assert front.get(f"{where}/deliveries", manager).json() == kept, "a refusal changes nothing"
    assert push(front) == 0
    assert len(sink.notices()) == tried
    front.town.appoint(manager, "manager")
    push(front)
    assert set(positions(sink)) == {1, 2}
    assert len(sink.notices()) == tried + 2, "a role that is given again takes it up"
    assert examined(front) == []


def test_an_address_to_which_nothing_is_sent_any_more_can_be_stopped_and_edited(front: Front, sink: Sink) -> None:
    manager = a_manager(front)
    system = a_system(front, manager)
    endpoint = an_endpoint(front, system, sink.url())
    front.town.do("UPDATE endpoints SET url = 'https://10.0.0.1/in'")
    assert put(system, endpoint, description="the same").json()["state"] == "enabled"
    for told in ({"url": "https://10.0.0.2/"}, {"url": "https://10.0.0.2/", "enabled": False}):
        assert is_problem(put(system, endpoint, **told), 422)
    assert put(system, endpoint, enabled=False).json()["state"] == "disabled"
    assert put(system, endpoint, enabled=False, description="stopped").status_code == 200
    again = put(system, endpoint, enabled=True)
    assert is_problem(again, 422)
    assert [(one["pointer"], one["code"]) for one in again.json()["errors"]] == [("/url", "address_refused")]
    assert put(system, endpoint, enabled=True, url=sink.url("/new")).json()["state"] == "unproven"
    front.town.do("UPDATE endpoints SET url = 'https://10.0.0.1/in'")
    stop = {"url": "https://10.0.0.1/in", "types": ["*"], "community": "330411105", "enabled": False}
    where = f"/v1/partners/endpoints/{endpoint['id']}"
    stopped = front.ask("PUT", where, manager, json=stop, headers={"If-Match": "*"})
    assert (stopped.status_code, stopped.json()["state"]) == (200, "disabled"), "by the staff of its region, too"


def test_every_secret_before_signs_along_for_a_day_of_its_own(front: Front, sink: Sink) -> None:
    system = a_system(front)
    endpoint = an_endpoint(front, system, sink.url())
    path = f"partners/endpoints/{endpoint['id']}/secret"
    secrets = [endpoint["secret"]]
    for _ in range(8):
        rotated = system.ask("POST", f"{path}/rotate")
        assert rotated.status_code == 200
        secrets.append(rotated.json()["secret"])
    assert is_problem(system.ask("POST", f"{path}/rotate"), 409, "conflict")
    assert system.get(path).json() == rotated.json(), "a refusal changes nothing"
    announce(front)
    push(front)
    (heard,) = sink.notices()
    for secret in secrets:
        assert Webhook(secret).verify(heard.body, heard.headers)
    kept = front.town.one("SELECT endpoints::text FROM endpoints")
    assert not any(one.removeprefix("whsec_") in kept for one in secrets)


def test_a_secret_that_was_kept_alone_signs_until_its_day_is_over(front: Front, sink: Sink) -> None:
    system = a_system(front)
    endpoint = an_endpoint(front, system, sink.url())
    id_, first = uuid.UUID(endpoint["id"]), endpoint["secret"]
    rotate = f"partners/endpoints/{id_}/secret/rotate"
    second = system.ask("POST", rotate).json()["secret"]
    alone = endpoints.sealed(front.keys, id_, "previous_sealed", first)
    front.town.do("UPDATE endpoints SET previous_sealed = %s", alone)
    front.town.do("UPDATE endpoints SET previous_until = now() + interval '1 hour'")
    third = system.ask("POST", rotate).json()["secret"]
    sealed = front.town.one("SELECT previous_sealed FROM endpoints")
    now = clock.now()
    kept = signing.earlier(endpoints.unsealed(front.keys, id_, "previous_sealed", bytes(sealed)), now, now)
    assert [secret for secret, _ in kept] == [second, first]
    assert [round((until - now) / timedelta(hours=1)) for _, until in kept] == [24, 1]
    turned = signing.kept([(second, now + timedelta(hours=23)), (first, now - timedelta(seconds=1))])
    front.town.do(
        "UPDATE endpoints SET previous_sealed = %s", endpoints.sealed(front.keys, id_, "previous_sealed", turned)
    )
    announce(front)
    push(front)
    (heard,) = sink.notices()
    for secret in (second, third):
        assert Webhook(secret).verify(heard.body, heard.headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(first).verify(heard.body, heard.headers)


def test_only_what_would_be_sent_is_sent_again(front: Front, sink: Sink) -> None:
    system = a_system(front)
    endpoint = an_endpoint(front, system, sink.url())
    path = f"partners/endpoints/{endpoint['id']}"
    assert system.ask("POST", f"{path}/test").status_code == 202
    announce(front)
    push(front)
    kept = system.get(f"{path}/deliveries").json()
    by_kind = {one["kind"]: f"partners/deliveries/{one['id']}/resend" for one in kept["items"]}
    for kind in ("challenge", "test"):
        assert is_problem(system.ask("POST", by_kind[kind]), 409, "conflict")
    assert system.get(f"{path}/deliveries").json() == kept, "a refusal changes nothing"
    assert put(system, endpoint, url=sink.url("/new")).json()["state"] == "unproven"
    assert system.ask("POST", by_kind["challenge"]).status_code == 202, "any challenge that is echoed proves it"
    push(front)
    assert system.ask("POST", by_kind["notice"]).status_code == 202
    push(front)
    assert positions(sink, "/new") == [1]
    assert put(system, endpoint, types=[OTHER]).status_code == 200
    assert is_problem(system.ask("POST", by_kind["notice"]), 409, "conflict"), "no longer asked for"
    assert push(front) == 0
    assert examined(front) == []


def test_of_what_was_due_before_an_endpoint_was_disabled_nothing_is_sent(front: Front, sink: Sink) -> None:
    system = a_system(front)
    endpoint = an_endpoint(front, system, sink.url())
    path = f"partners/endpoints/{endpoint['id']}"
    announce(front, 2)
    assert system.ask("POST", f"{path}/test").status_code == 202
    front.runner.run(tasks.fan_out(context(front)))
    assert put(system, endpoint, enabled=False).json()["state"] == "disabled"
    times = {"since": "2026-01-01T00:00:00Z", "until": "2100-01-01T00:00:00Z"}
    assert is_problem(system.ask("POST", f"{path}/recover", json=times), 409, "conflict")
    kept = system.get(f"{path}/deliveries").json()
    for one in kept["items"]:
        assert is_problem(system.ask("POST", f"partners/deliveries/{one['id']}/resend"), 409, "conflict")
    assert system.get(f"{path}/deliveries").json() == kept
    assert put(system, endpoint, enabled=True).json()["state"] == "unproven"
    announce(front)
    push(front)
    push(front)
    assert positions(sink) == [3], "from now on"
    assert system.ask("POST", f"{path}/recover", json=times).json()["recovered"] == 2, "but who asks for it gets it"
    push(front)
    assert sorted(positions(sink)) == [1, 2, 3]
    assert examined(front) == []


def test_deliveries_are_nobodys_without_a_token(shared_front: Front) -> None:
    for method, path in (("GET", f"deliveries/{uuid.uuid4()}"), ("POST", f"deliveries/{uuid.uuid4()}/resend")):
        assert is_problem(shared_front.ask(method, f"/v1/partners/{path}"), 401, "not_known")
