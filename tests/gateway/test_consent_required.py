"""A service may ask for consents: who has not given them is refused, and seen to be, until they do."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from services.gateway.arbiter import sql
from shared.crypto import Keyring
from shared.settings import Settings
from tests.gateway.test_front import Front, is_problem, opened
from tests.town import Resident


@pytest.fixture
def front(database_url: str, keys: Keyring, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[Front]:
    """A town in which booking asks for two consents."""
    monkeypatch.setitem(sql.PURPOSES, "booking", ("childcare", "health"))
    with opened(database_url, keys, settings) as made:
        yield made


def says(front: Front, who: Resident, purpose: str, *, given: bool, path: str = "/me") -> httpx.Response:
    body = {"given": given, "version": 1}
    return front.ask("PUT", f"/v1/identity{path}/consents/{purpose}", who, json=body)


def seen(front: Front, slot: object, who: Resident, *others: Resident) -> Any:
    told = front.get(f"/v1/slots/{slot}?" + "&".join(f"for={one.person_id}" for one in others or (who,)), who).json()
    return told["bookable"], told["reason"]


def test_who_has_not_consented_is_refused_with_what_is_missing(front: Front) -> None:
    (who,), slot = front.town.residents(), front.town.slot(8)
    refused = front.book(who, slot)
    assert is_problem(refused, 409, "consent_required")
    assert refused.json()["purposes"] == ["childcare", "health"]
    assert refused.json()["errors"] == [{"pointer": "/persons/0", "code": "consent_required"}]
    assert seen(front, slot, who) == (False, "consent_required")
    (listed,) = front.get("/v1/slots", who).json()["items"]
    assert (listed["bookable"], listed["reason"]) == (False, "consent_required")
    assert says(front, who, "childcare", given=True).status_code == 200
    assert front.book(who, slot).json()["purposes"] == ["health"], "what was heard a moment ago is not heard again"
    assert says(front, who, "health", given=True).status_code == 200
    assert seen(front, slot, who) == (True, None)
    assert front.book(who, slot).status_code == 201


def test_taking_a_consent_back_counts_for_the_next_ask(front: Front) -> None:
    (who,) = front.town.residents()
    for purpose in ("childcare", "health"):
        says(front, who, purpose, given=True)
    assert front.book(who, front.town.slot(8)).status_code == 201
    says(front, who, "health", given=False)
    slot = front.town.slot(10)
    assert is_problem(front.book(who, slot), 409, "consent_required")
    assert seen(front, slot, who) == (False, "consent_required")


def test_a_guardian_consents_for_the_child_and_everybody_is_asked_about(front: Front) -> None:
    parent, child = front.town.residents(2)
    front.town.relate(parent, child)
    slot = front.town.slot(8)
    for purpose in ("childcare", "health"):
        says(front, parent, purpose, given=True)
    both = [str(parent.person_id), str(child.person_id)]
    refused = front.book(parent, slot, persons=both)
    assert is_problem(refused, 409, "consent_required")
    assert refused.json()["errors"] == [{"pointer": "/persons/1", "code": "consent_required"}]
    assert seen(front, slot, parent, parent, child) == (False, "consent_required")
    for purpose in ("childcare", "health"):
        assert says(front, parent, purpose, given=True, path=f"/people/{child.person_id}").status_code == 200
    assert seen(front, slot, parent, parent, child) == (True, None)
    assert front.book(parent, slot, persons=both).status_code == 201


def test_who_took_a_consent_back_while_waiting_leaves_the_list(front: Front) -> None:
    first, second = front.town.residents(2)
    slot = front.town.slot(8, capacity=1)
    for who in (first, second):
        for purpose in ("childcare", "health"):
            says(front, who, purpose, given=True)
    made = front.book(first, slot).json()
    waits = front.book(second, slot, if_full="wait").json()
    says(front, second, "health", given=False)
    front.ask("DELETE", made["href"], first)
    front.serve_waiting()
    ended = front.get(f"/v1/claims/{waits['group_id']}", second).json()
    assert (ended["state"], ended["reason"]) == ("lost", "consent_required")


def test_who_asks_for_nothing_is_asked_nothing(front: Front, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sql.PURPOSES, "booking")
    front.town.do("ALTER TABLE consents RENAME TO not_to_be_read")
    (who,), slot = front.town.residents(), front.town.slot(8)
    assert front.book(who, slot).status_code == 201
    assert front.get("/v1/slots", who).status_code == 200
