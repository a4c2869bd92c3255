"""A room is made, given its terms, opened, and its terms change while children are inside."""

from __future__ import annotations

from typing import Any

import pytest

from tests.childcare.nursery import COMMUNITY, REGION, Nursery
from tests.gateway.test_front import Front, examined, is_problem

ROOMS = "/v1/childcare/rooms"


def put(front: Front, who: Any, path: str, body: Any) -> Any:
    tag = front.get(path, who).headers["etag"]
    return front.ask("PUT", path, who, json=body, headers={"If-Match": tag})


def test_a_manager_opens_a_room_and_its_terms_hold(front: Front) -> None:
    (manager,) = front.town.residents(community=COMMUNITY)
    front.town.appoint(manager, "manager", REGION)
    body = {
        "name": "新儿童之家",
        "kind": "children_room",
        "community": COMMUNITY,
        "resources": [{"name": "游戏室", "capacity": 20, "is_exclusive": False}],
    }
    made = front.ask("POST", ROOMS, manager, json=body)
    assert made.status_code == 201, made.text
    assert is_problem(front.ask("POST", ROOMS, manager, json=body | {"kind": "court"}), 422)
    terms = f"{ROOMS}/{made.json()['id']}/terms"
    usual = front.get(terms).json()
    assert (usual["version"], usual["children_per_carer"], usual["late_after_minutes"]) == (0, 8, [10, 30, 60])
    told = {"children_per_carer": 3, "accompanied_per_carer": None, "most_children": 6, "stays": "stay"}
    assert put(front, manager, terms, told).json()["children_per_carer"] == 3
    assert front.get(terms).json()["version"] == 1
    now = front.get(f"{ROOMS}/{made.json()['id']}/now").json()
    assert (now["ratio"], now["places"], now["children"], now["free"]) == (3, 6, 0, 0)
    lines = [
        {
            "weekdays": [0, 1, 2, 3, 4, 5, 6],
            "starts": "00:00",
            "ends": "24:00",
            "slot_minutes": 60,
            "resource": "游戏室",
            "title": "托管",
        }
    ]
    opened = put(front, manager, f"{ROOMS}/{made.json()['id']}/schedule", {"lines": lines})
    assert opened.status_code == 200, opened.text
    slots = front.get("/v1/slots", params={"service": "childcare", "facility": made.json()["id"]}).json()["items"]
    assert slots


@pytest.mark.parametrize(
    "wrong",
    [
        {"children_per_carer": 0},
        {"most_children": -1},
        {"stays": "sometimes"},
        {"late_after_minutes": [30, 10]},
        {"late_after_minutes": []},
        {"late_after_minutes": [0]},
        {"more": 1},
    ],
)
def test_terms_are_bounded(room: Nursery, front: Front, wrong: dict[str, Any]) -> None:
    (manager,) = room.carers(role="manager")
    assert is_problem(put(front, manager, f"{room.path}/terms", wrong), 422)
    assert is_problem(put(front, room.carer, f"{room.path}/terms", {}), 403)


def test_terms_that_become_stricter_send_nobody_home(room: Nursery, front: Front) -> None:
    room.on_duty()
    slot = room.slot()
    families = [room.arrived(slot) for _ in range(3)]
    (manager,) = room.carers(role="manager")
    assert put(front, manager, f"{room.path}/terms", {"most_children": 1}).status_code == 200
    assert (room.now()["children"], room.now()["places"], room.now()["free"]) == (3, 1, 0)
    parent, (late,) = room.family()
    assert is_problem(room.bring(parent, room.booked(parent, slot, late), late), 409, "room_full")
    for parent, child, visit in families:
        assert room.collect(visit, child, collector=str(parent.person_id)).status_code == 200
    assert room.now()["free"] == 1
    assert examined(front) == []
