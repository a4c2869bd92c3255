"""Partners for tests: a running gateway, a manager, systems with keys, and facts to announce."""

from __future__ import annotations

import uuid
from typing import Any

import httpx

from services.gateway import tasks
from services.partners import tasks as partners
from shared import notices
from shared.notices import Notice
from shared.web import Context
from tests.gateway.test_front import Front
from tests.town import COMMUNITY, Resident


class System:
    """A partner's system with its key."""

    def __init__(self, front: Front, told: dict[str, Any]) -> None:
        self.front = front
        self.told = told
        self.id = told["id"]

    def ask(self, method: str, path: str, **more: Any) -> httpx.Response:
        headers = {"Authorization": f"Bearer {self.told['key']}", "Accept-Language": "en"} | more.pop("headers", {})
        return self.front.runner.run(self.front.client.request(method, f"/v1/{path}", headers=headers, **more))

    def get(self, path: str, **more: Any) -> httpx.Response:
        return self.ask("GET", path, **more)

    def poll(self, query: str = "") -> dict[str, Any]:
        answer = self.get(f"partners/notices{query}")
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found


def a_manager(front: Front, prefix: str = "330411105") -> Resident:
    (who,) = front.town.residents()
    front.town.appoint(who, "manager", prefix)
    return who


def a_system(front: Front, manager: Resident | None = None, **told: Any) -> System:
    manager = manager or a_manager(front)
    body = {"name": "厨房系统", "types": ["*"], "region": "330411105"} | told
    answer = front.ask("POST", "/v1/partners/keys", manager, json=body)
    assert answer.status_code == 201, answer.text
    return System(front, answer.json())


def announce(
    front: Front, count: int = 1, type_: str = "test.fact.came", community: str = COMMUNITY
) -> list[uuid.UUID]:
    """Facts that came, stamped; their subjects."""
    subjects = [uuid.uuid4() for _ in range(count)]
    made = [Notice(type_, community, one, (), {"number": n}) for n, one in enumerate(subjects)]
    front.runner.run(front.parts.db.run(notices.announce, made))
    front.runner.run(tasks.stamp_notices(front.parts))
    return subjects


def context(front: Front) -> Context:
    """What the worker gives to partners' tasks."""
    return Context(front.parts.db.of("linli_partners"), front.keys, front.parts.settings)


def push(front: Front, seconds: float = 1.5, most_seconds: float = 10) -> int:
    """Make out and call until nothing is due, or so long; how many calls."""

    async def all_of_it() -> int:
        await partners.fan_out(context(front))
        return await partners.drain(context(front), seconds=seconds, most_seconds=most_seconds)

    return front.runner.run(all_of_it())


def due_now(front: Front) -> None:
    """Time goes by, and what is to be tried again is due."""
    front.town.do("UPDATE deliveries SET due_at = now() - interval '1 s', leased_until = NULL WHERE state = 'due'")
    front.town.do("UPDATE endpoints SET throttled_until = NULL")


def an_endpoint(front: Front, system: System, url: str, *, proven: bool = True, **told: Any) -> dict[str, Any]:
    """An endpoint of a system, which has echoed its challenge."""
    body = {"url": url, "types": ["*"], "community": "330411105"} | told
    answer = system.ask("POST", "partners/endpoints", json=body)
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    if proven:
        push(front)
        assert system.get(f"partners/endpoints/{made['id']}").json()["state"] == "enabled"
    return made
