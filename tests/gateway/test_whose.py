"""Whose a claim is: the people's and committees' it is for, as long as one may act for them. Having made it is not enough."""

from __future__ import annotations

import contextlib
import time
import uuid
from collections.abc import Iterator

import httpx
import pytest

from shared import embedded
from shared.crypto import Keyring
from tests.conftest import copy_of
from tests.gateway import doors
from tests.gateway.doors import RESERVATIONS
from tests.gateway.test_front import Front, examined, is_problem, opened
from tests.town import Resident

COMMITTEE = "330411105003"


@pytest.fixture(scope="module")
def front(server: embedded.Embedded, template: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Front]:
    with (
        copy_of(server, template) as url,
        opened(url, Keyring.fresh(), doors.demo(tmp_path_factory.mktemp("whose"))) as one,
    ):
        yield one


@contextlib.contextmanager
def booking_away(front: Front) -> Iterator[None]:
    """Booking answers nothing; what the ledger knows is still there."""
    guard = front.parts.guards["booking"]
    guard._open_until = time.monotonic() + 600
    try:
        yield
    finally:
        guard._open_until = 0


def forget(front: Front) -> None:
    """Two seconds go by."""
    front.parts.credentials._facts.clear()


def a_full_slot(front: Front, hour: int = 10) -> uuid.UUID:
    slot = front.town.slot(hour, capacity=1)
    assert front.book(front.town.residents()[0], slot).status_code == 201
    return slot


def no_longer_guardian(front: Front, who: Resident) -> None:
    front.town.do("UPDATE relations SET ends_at = now() WHERE actor_id = %s", who.person_id)
    forget(front)


def test_a_repeated_key_tells_a_former_guardian_nothing_of_the_child(front: Front) -> None:
    parent, child = front.town.residents(2)
    front.town.relate(parent, child)
    slot = front.town.slot(8)

    def ask() -> httpx.Response:
        return front.book(parent, slot, key="for-the-child", persons=[str(child.person_id)])

    made = ask()
    with booking_away(front):
        assert (ask().status_code, ask().json()["group_id"]) == (201, made.json()["group_id"])
    no_longer_guardian(front, parent)
    with booking_away(front):
        assert is_problem(ask(), 404, "not_there")
        assert child.name not in ask().text
    assert is_problem(ask(), 404, "not_there")


def test_of_a_family_a_former_guardian_still_hears_their_own_part(front: Front) -> None:
    parent, child = front.town.residents(2)
    front.town.relate(parent, child)
    slot, both = front.town.slot(9), [str(parent.person_id), str(child.person_id)]
    assert front.book(parent, slot, key="for-us-both", persons=both).status_code == 201
    no_longer_guardian(front, parent)
    with booking_away(front):
        again = front.book(parent, slot, key="for-us-both", persons=both).json()
    assert [one["id"] for one in again["persons"]] == [str(parent.person_id)]


def test_a_waiting_ask_is_not_its_makers_once_they_may_not_act_for_the_child(front: Front) -> None:
    parent, child = front.town.residents(2)
    front.town.relate(parent, child)
    slot = a_full_slot(front)
    asked = {"persons": [str(child.person_id)], "if_full": "wait"}
    waits = front.book(parent, slot, key="child-waits", **asked)
    assert (waits.status_code, waits.json()["state"]) == (202, "waiting")
    no_longer_guardian(front, parent)
    for answer in (
        front.book(parent, slot, key="child-waits", **asked),
        front.get("/v1/claims/by-key/child-waits", parent),
        front.get(waits.json()["href"], parent),
        front.ask("DELETE", waits.json()["href"], parent),
    ):
        assert is_problem(answer, 404, "not_there")
        assert child.name not in answer.text
    assert front.get("/v1/claims", parent).json()["items"] == []
    assert front.get(waits.json()["href"], child).json()["state"] == "waiting"
    left = front.ask("DELETE", waits.json()["href"], child)
    assert (left.status_code, left.json()["reason"]) == (200, "left")
    assert is_problem(front.get(waits.json()["href"], parent), 404, "not_there")
    assert examined(front) == []


def test_the_desk_hears_again_what_it_made_as_long_as_it_is_the_desk(front: Front) -> None:
    staff, resident = front.town.residents(2)
    front.town.appoint(staff, "staff")
    slot, full = front.town.slot(8, days=3), a_full_slot(front, 12)
    asked = {"persons": [str(resident.person_id)], "channel": "desk"}
    assert front.book(staff, slot, key="at-the-desk", **asked).status_code == 201
    assert front.book(staff, full, key="desk-waits", **asked, if_full="wait").status_code == 202
    assert front.book(staff, slot, key="at-the-desk", **asked).json()["persons"][0]["id"] == str(resident.person_id)
    assert front.book(staff, full, key="desk-waits", **asked, if_full="wait").status_code == 202
    front.town.do("UPDATE roles SET ends_at = now() WHERE account_no = %s", staff.account_no)
    forget(front)
    assert is_problem(front.book(staff, slot, key="at-the-desk", **asked), 404, "not_there")
    assert is_problem(front.book(staff, full, key="desk-waits", **asked, if_full="wait"), 404, "not_there")
    assert is_problem(front.get("/v1/claims/by-key/desk-waits", staff), 404, "not_there")


def test_what_a_committee_has_is_listed_read_and_given_back_by_its_staff(front: Front) -> None:
    maker, colleague, of_the_town, resident = front.town.residents(4)
    front.town.appoint(maker, "staff", COMMITTEE)
    front.town.appoint(colleague, "manager", COMMITTEE)
    front.town.appoint(of_the_town, "operator", "330411105")
    near, far = front.town.slot(14), front.town.slot(16, community="330424101003")
    full = a_full_slot(front, 18)
    held = [front.book(maker, slot, holder=COMMITTEE) for slot in (near, far)]
    waits = front.book(maker, full, holder=COMMITTEE, if_full="wait")
    assert [one.status_code for one in (*held, waits)] == [201, 201, 202]
    groups = [one.json()["group_id"] for one in (*held, waits)]
    path = f"/v1/claims?holder={COMMITTEE}"
    for staff in (maker, colleague, of_the_town):
        assert [one["group_id"] for one in front.get(path, staff).json()["items"]] == groups
        assert front.get(f"{path}&state=waiting", staff).json()["items"] == [
            front.get(waits.json()["href"], staff).json()
        ]
    assert front.get("/v1/claims", colleague).json()["items"] == [], "one's own claims are not mixed with the office's"
    for answer in (front.get(path, resident), front.get("/v1/claims?holder=3304", of_the_town)):
        assert is_problem(answer, 403, "not_allowed")
    assert is_problem(front.get(path), 401, "not_known")
    assert is_problem(front.get("/v1/claims?holder=x", maker), 422)
    assert front.get("/v1/claims?holder=330411105204", of_the_town).json() == {"items": [], "next": None}
    for group, staff in zip(groups, (colleague, of_the_town, colleague), strict=True):
        assert is_problem(front.ask("DELETE", f"/v1/claims/{group}", resident), 404, "not_there")
        gone = front.ask("DELETE", f"/v1/claims/{group}", staff)
        assert (gone.status_code, gone.json()["state"]) == (200, "released"), gone.text
    assert (front.taken(near), front.taken(far)) == (0, 0)
    assert examined(front) == []


def test_whoever_left_the_committee_has_nothing_to_do_with_its_places(front: Front) -> None:
    (maker,) = front.town.residents()
    front.town.appoint(maker, "staff", COMMITTEE)
    made = front.book(maker, front.town.slot(20), key="for-the-committee", holder=COMMITTEE).json()
    assert [one["id"] for one in front.get(RESERVATIONS, maker).json()["items"]] == [made["id"]]
    front.town.do("UPDATE roles SET ends_at = now() WHERE account_no = %s", maker.account_no)
    forget(front)
    assert front.get(RESERVATIONS, maker).json()["items"] == []
    for path in (made["href"], f"/v1/claims/{made['group_id']}", "/v1/claims/by-key/for-the-committee"):
        assert is_problem(front.get(path, maker), 404, "not_there")
