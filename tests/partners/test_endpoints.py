"""Endpoints that change: nothing that they are to hear is lost, and nothing that they are not is sent."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.gateway.test_front import Front, examined
from tests.partners.sink import Sink
from tests.partners.town import System, a_manager, a_system, an_endpoint, announce, push

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
