"""Answers that come after their endpoint was changed: they count for the address that was called, and for no other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from services.partners import tasks
from services.partners.actions import pushing
from services.partners.actions.pushing import Call
from services.partners.outward import Came
from tests.gateway.test_front import Front, examined
from tests.partners.sink import Sink, said
from tests.partners.test_endpoints import OTHER, positions, put
from tests.partners.town import System, a_system, an_endpoint, announce, context, push


def under_way(front: Front) -> list[Call]:
    """Calls that were begun and are not answered yet."""
    front.runner.run(tasks.fan_out(context(front)))
    turn = context(front).db.run(pushing.turn, front.keys, [], most=16, with_failing=True)
    return front.runner.run(turn)


def answered(front: Front, calls: Sequence[Call], status: int, told: str | None = None) -> None:
    """What the address that was called says at last; challenges it echoes."""
    results = [pushing.result(one, Came(status, None, 9, (one.echo or "").encode(), told)) for one in calls]
    front.runner.run(context(front).db.run(pushing.turn, front.keys, results, most=0, with_failing=True))


def read(system: System, endpoint: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = system.get(f"partners/endpoints/{endpoint['id']}").json()
    return found


def mute(handler: Any, _: Any) -> None:
    """Takes everything, and echoes nothing."""
    said(handler, 200)


@pytest.mark.parametrize(
    "steps",
    [
        [{"url": "/new"}],
        [{"enabled": False}, {"url": "/new", "enabled": True}],
        [{"url": "/new", "enabled": False}, {"enabled": True}],
    ],
)
def test_an_address_is_proven_by_its_own_echo_alone(front: Front, sink: Sink, steps: list[dict[str, Any]]) -> None:
    sink.behaviours["/new"] = mute
    system = a_system(front)
    endpoint = an_endpoint(front, system, sink.url("/old"), proven=False)
    (held,) = calls = under_way(front)
    for step in steps:
        told = step | ({"url": sink.url(step["url"])} if "url" in step else {})
        assert put(system, endpoint, **told).status_code == 200
    answered(front, calls, 200)
    announce(front)
    push(front)
    assert read(system, endpoint)["state"] == "unproven"
    assert [one.path for one in sink.heard] == ["/new"], "asked, and nothing else was sent there"
    assert held.echo is not None
    del sink.behaviours["/new"]
    assert system.ask("POST", f"partners/endpoints/{endpoint['id']}/test").status_code == 202
    push(front)
    push(front)
    assert (read(system, endpoint)["state"], positions(sink, "/new")) == ("enabled", [1])
    assert examined(front) == []


def test_a_challenge_that_the_address_before_echoes_late_is_still_asked_of_the_new_one(
    front: Front, sink: Sink
) -> None:
    system = a_system(front)
    endpoint = an_endpoint(front, system, sink.url("/old"))
    (kept,) = system.get(f"partners/endpoints/{endpoint['id']}/deliveries").json()["items"]
    assert put(system, endpoint, url=sink.url("/between")).json()["state"] == "unproven"
    calls = under_way(front)
    assert put(system, endpoint, url=sink.url("/new")).json()["state"] == "unproven"
    for one in (kept["id"], str(calls[0].delivery_id)):
        assert system.ask("POST", f"partners/deliveries/{one}/resend").status_code == 202
    answered(front, calls, 200)
    assert read(system, endpoint)["state"] == "unproven"
    push(front)
    assert read(system, endpoint)["state"] == "enabled"
    assert "/between" not in {one.path for one in sink.heard}
    assert examined(front) == []


@pytest.mark.parametrize(("status", "became", "recovered"), [(200, "delivered", 0), (500, "failed", 1)])
def test_what_arrived_after_it_was_given_up_has_arrived(
    front: Front, sink: Sink, status: int, became: str, recovered: int
) -> None:
    system = a_system(front)
    endpoint = an_endpoint(front, system, sink.url())
    path = f"partners/endpoints/{endpoint['id']}"
    announce(front)
    calls = under_way(front)
    assert put(system, endpoint, types=[OTHER]).status_code == 200
    answered(front, calls, status)
    (notice,) = [one for one in system.get(f"{path}/deliveries").json()["items"] if one["kind"] == "notice"]
    assert (notice["state"], [one["status"] for one in notice["tries"]]) == (became, [status])
    assert put(system, endpoint, types=["*"]).status_code == 200
    times = {"since": "2026-01-01T00:00:00Z", "until": "2100-01-01T00:00:00Z"}
    assert system.ask("POST", f"{path}/recover", json=times).json()["recovered"] == recovered
    assert examined(front) == []


@pytest.mark.parametrize(("status", "told"), [(410, None), (503, "86400"), (500, None), (200, None)])
def test_what_the_address_before_says_late_is_not_charged_to_the_new_one(
    front: Front, sink: Sink, status: int, told: str | None
) -> None:
    system = a_system(front)
    endpoint = an_endpoint(front, system, sink.url("/old"))
    announce(front)
    calls = under_way(front)
    assert [one.kind for one in calls] == ["notice"]
    assert put(system, endpoint, url=sink.url("/new")).json()["state"] == "unproven"
    push(front)
    before = read(system, endpoint)
    answered(front, calls, status, told)
    after = read(system, endpoint)
    assert after | {"due": 0} == before | {"due": 0}
    assert (after["state"], after["failing_since"], after["throttled_until"]) == ("enabled", None, None)
    push(front)
    assert positions(sink, "/new") == ([] if status == 200 else [1]), "it did not arrive, so it is told now"
    tries = system.get(f"partners/endpoints/{endpoint['id']}/deliveries?state=delivered").json()["items"]
    (notice,) = [one for one in tries if one["kind"] == "notice"]
    assert [one["status"] for one in notice["tries"]] == ([200] if status == 200 else [200, status])
    assert examined(front) == []
