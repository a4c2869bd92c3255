"""Two desks press at once. Every race has a control: the same without the lock it stands on, which must go wrong."""

from __future__ import annotations

import asyncio
import uuid
from collections import Counter
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import asyncpg
import httpx
import pytest

from services.childcare import sql
from services.childcare.rules import Room
from shared import claims, clock
from shared.db import Tx
from tests.childcare.nursery import Nursery
from tests.gateway.test_front import Front, examined


def at_once(front: Front, asks: Sequence[tuple[str, Any, dict[str, Any]]]) -> list[httpx.Response]:
    """All of these are sent at the same moment: path, who, and what is told beside id and time."""

    async def together() -> list[httpx.Response]:
        sent = [
            front.client.post(
                path,
                headers=who.headers(front.keys),
                json={"id": str(uuid.uuid4()), "at": clock.now().isoformat()} | told,
            )
            for path, who, told in asks
        ]
        return list(await asyncio.gather(*sent))

    found: list[httpx.Response] = front.runner.run(together())
    return found


def waiting(room: Nursery, count: int) -> list[tuple[str, Any, dict[str, Any]]]:
    """So many children of different families stand at the door with their codes."""
    slot, asks = room.slot(), []
    for _ in range(count):
        parent, (child,) = room.family()
        visit = room.booked(parent, slot, child)
        asks.append((f"{visit['href']}/sign-in", room.carer, {"code": room.code(parent, visit, child)}))
    return asks


def test_the_last_child_within_the_ratio_comes_in_once_at_many_desks(front: Front) -> None:
    room = Nursery(front, children_per_carer=3)
    room.on_duty()
    answers = at_once(front, waiting(room, 6))
    assert Counter(one.status_code for one in answers) == {200: 3, 409: 3}
    assert {one.json()["code"] for one in answers if one.status_code == 409} == {"too_few_carers"}
    assert room.now()["children"] == 3
    assert examined(front) == []


def test_control_whoever_looks_without_the_lock_lets_one_child_too_many_in(
    front: Front, monkeypatch: pytest.MonkeyPatch
) -> None:
    if front.gateway.parts and not front.parts.claiming._guards["childcare"].is_local:
        pytest.skip("the control reaches into its own process")
    room = Nursery(front, children_per_carer=1)
    room.on_duty()
    asks = waiting(room, 2)

    async def looked_at(tx: Tx, place_id: uuid.UUID, _community: str, _places: int) -> Room:
        row = await tx.row("SELECT children, accompanied, carers FROM room_states WHERE place_id = $1", place_id)
        await asyncio.sleep(0.5)
        assert row is not None
        return Room(*row)

    with monkeypatch.context() as patch:
        patch.setattr(sql.doors, "locked_room", looked_at)
        answers = at_once(front, asks)
    assert [one.status_code for one in answers] == [200, 200], "one carer for one child, and two came in"
    assert room.now()["children"] == 1, "and the second was not even counted"
    wrong = [name for name, _ in examined(front)]
    assert wrong == ["who was brought to a room and not collected is inside"]
    here = "SELECT id FROM handovers WHERE place_id = %s"
    front.town.do(f"DELETE FROM notices WHERE subject IN ({here})", room.place_id)
    for table in ("insides", "handovers"):
        front.town.do(f"DELETE FROM {table} WHERE place_id = %s", room.place_id)
    front.town.do("UPDATE room_states SET children = 0 WHERE place_id = %s", room.place_id)


def test_one_code_opens_the_door_once_at_two_desks(front: Front) -> None:
    room = Nursery(front)
    room.on_duty()
    parent, child, visit = room.arrived()
    told = {"kind": "once", "name": "阿姨", "until": (clock.now() + timedelta(days=1)).isoformat()}
    made = front.ask("POST", f"/v1/childcare/children/{child.person_id}/collectors", parent, json=told).json()
    ask = (f"{visit['href']}/sign-out", room.carer, {"code": made["code"]})
    answers = at_once(front, [ask, ask, ask])
    assert Counter(one.status_code for one in answers) == {200: 1, 409: 2}
    assert {one.json()["code"] for one in answers if one.status_code == 409} == {"not_inside"}
    assert examined(front) == []


def test_whoever_cancels_while_the_child_is_signed_in_hears_which_came_first(front: Front) -> None:
    room = Nursery(front)
    room.on_duty()
    slot = room.slot()
    for _ in range(6):
        parent, (child,) = room.family()
        visit = room.booked(parent, slot, child)
        told = {"id": str(uuid.uuid4()), "at": clock.now().isoformat(), "code": room.code(parent, visit, child)}

        async def both(
            visit: dict[str, Any] = visit, parent: Any = parent, told: dict[str, Any] = told
        ) -> list[httpx.Response]:
            return list(
                await asyncio.gather(
                    front.client.post(f"{visit['href']}/sign-in", headers=room.carer.headers(front.keys), json=told),
                    front.client.delete(visit["href"], headers=parent.headers(front.keys)),
                )
            )

        came, cancelled = front.runner.run(both())
        assert (came.status_code, cancelled.status_code) in {(200, 409), (409, 200)}
        assert (came.json().get("code"), cancelled.json().get("code")) in {(None, "signed_in"), ("cancelled", None)}
    assert examined(front) == []


def test_the_last_carer_and_a_child_cannot_pass_each_other_in_the_door(front: Front) -> None:
    room = Nursery(front)
    room.on_duty()
    (bring,) = waiting(room, 1)
    came, gone = at_once(front, [bring, (f"{room.path}/carers", room.carer, {"inside": False})])
    assert (came.status_code, gone.status_code) in {(200, 409), (409, 200)}
    assert {came.json().get("code"), gone.json().get("code")} in ({None, "last_carer"}, {"too_few_carers", None})


def test_the_schema_has_the_last_word(front: Front) -> None:
    room = Nursery(front, most_children=1)
    room.on_duty()
    room.arrived()
    for wish in (
        "UPDATE room_states SET children = places + 1",
        "UPDATE room_states SET children = -1",
        "UPDATE room_states SET carers = 0",
        "UPDATE room_states SET is_unwatched = true",
        "UPDATE room_states SET accompanied = children + 1",
        (
            "INSERT INTO insides SELECT gen_random_uuid(), child_no, visit_id, place_id, community, stays, since, ends_at "
            "FROM insides"
        ),
        (
            "INSERT INTO duties (place_id, community, person_id, began_at, by_no) SELECT place_id, community, person_id, "
            "now(), by_no FROM duties WHERE ended_at IS NULL"
        ),
        (
            "INSERT INTO head_counts (place_id, community, counted, inside, by_no, at) SELECT place_id, community, 1, 0, 1, "
            "now() FROM duties"
        ),
    ):
        with pytest.raises(asyncpg.IntegrityConstraintViolationError):
            front.runner.run(_try(front, wish, None))
    for wish in (
        "UPDATE handovers SET by_no = 0",
        "DELETE FROM handovers",
        "UPDATE incidents SET severity = 'minor'",
        "DELETE FROM incidents",
        "DELETE FROM turned_away",
        "DELETE FROM record_reads",
        "DELETE FROM head_counts",
        "DELETE FROM collectors",
        "UPDATE collectors SET kind = 'allowed'",
        "SELECT document_sealed FROM persons",
    ):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            front.runner.run(_try(front, wish, "linli_childcare"))


async def _try(front: Front, wish: str, role: str | None) -> None:
    async with front.parts.db.of(role).transaction() as tx:
        await tx.execute(wish)
        tx.discard()


def test_a_closure_that_comes_while_a_child_is_signed_in_takes_no_place_from_it(room: Nursery, front: Front) -> None:
    room.on_duty()
    slot = room.slot()
    _, _, visit = room.arrived(slot)
    claim = front.town.one("SELECT id FROM claims WHERE group_id = %s", uuid.UUID(visit["group_id"]))

    async def close() -> int:
        async with front.parts.db.transaction() as tx:
            await claims.lock_slots(tx, [slot])
            return len(await claims.free(tx, [claim], state="released", reason="closed"))

    assert front.runner.run(close()) == 0, "whoever looked before the child came frees nothing"
    assert front.town.one("SELECT state FROM claims WHERE id = %s", claim) == "attended"
    assert room.now()["children"] == 1
    assert examined(front) == []
