"""Every way in which a child could leave with the wrong person, tried at the door; and that nothing of it is lost."""

from __future__ import annotations

import uuid
from collections import Counter
from datetime import timedelta
from typing import Any

import pytest

from shared import clock
from tests.childcare.nursery import Nursery
from tests.childcare.test_childcare_children import about, add, tomorrow
from tests.childcare.test_childcare_races import at_once
from tests.gateway.test_front import Front, examined, is_problem
from tests.town import Resident


def guardianship_ends(front: Front, guardian: Resident, child: Resident) -> None:
    front.town.do(
        "UPDATE relations SET ends_at = now() - interval '1 minute' WHERE actor_id = %s AND person_id = %s",
        guardian.person_id,
        child.person_id,
    )


def went(front: Front, child: Resident) -> list[tuple[str, list[str]]]:
    """The child's hand-overs in the books."""
    return front.town.all(
        "SELECT direction, reasons FROM handovers WHERE child_no = %s ORDER BY made_at, id", child.holder_no
    )


def opened(front: Front, room: Nursery) -> list[Any]:
    """Incidents of a room by kind."""
    return [row[0] for row in front.town.all("SELECT kind FROM incidents WHERE place_id = %s", room.place_id)]


@pytest.fixture
def night(front: Front) -> Nursery:
    """A room with its carer on duty."""
    room = Nursery(front)
    room.on_duty()
    return room


def test_whom_a_former_guardian_allowed_takes_nobody_home(night: Nursery, front: Front) -> None:
    room = night
    parent, child, visit = room.arrived()
    former, ally = front.town.residents(2)
    front.town.relate(former, child)
    add(front, former, child, kind="allowed", person_id=str(ally.person_id))
    line = add(front, former, child, kind="allowed", name="王五")["id"]
    code = add(front, former, child, kind="once", name="赵六", until=tomorrow())["code"]
    add(front, former, child, kind="never", person_id=str(parent.person_id))
    guardianship_ends(front, former, child)
    for told in (
        {"collector": str(former.person_id)},
        {"collector": str(ally.person_id)},
        {"collector": line},
        {"code": code},
    ):
        assert is_problem(room.collect(visit, child, **told), 403, "collector_unknown"), told
    assert {
        row[0]
        for row in front.town.all("SELECT collector_id::text FROM turned_away WHERE child_no = %s", child.holder_no)
    } >= {line}
    seen = front.get(f"{about(child)}/collectors", room.carer).json()["items"]
    assert seen == [], "what no longer holds misleads no carer"
    assert room.collect(visit, child, collector=str(parent.person_id)).status_code == 200, (
        "nor does it keep a guardian out"
    )
    assert examined(front) == []


def test_a_child_that_has_gone_with_nobody_known_has_gone_and_somebody_looks(night: Nursery, front: Front) -> None:
    room = night
    for told in ({"code": "99999999"}, {"collector": str(uuid.uuid4())}):
        parent, child, visit = room.arrived()
        gone = room.collect(visit, child, decided=True, **told)
        assert gone.status_code == 200, gone.text
        assert (gone.json()["adult"], gone.json()["reasons"]) == (None, ["collector_unknown"])
        trips = front.get(f"{about(child)}/handovers", parent).json()["items"]
        assert [(one["what"], one["adult"]) for one in trips] == [("out", None), ("in", parent.name)]
        kinds = front.town.all("SELECT type FROM notices WHERE %s = ANY(holders) ORDER BY no", child.holder_no)
        assert ("childcare.incident.opened",) in kinds, "its guardians hear of it"
    assert opened(front, room) == ["collection"] * 2
    assert room.now()["children"] == 0
    assert examined(front) == []


def test_no_time_before_the_child_came_brings_back_a_leave_that_is_over(night: Nursery, front: Front) -> None:
    room = night
    parent, child, visit = room.arrived()
    (uncle,) = front.town.residents()
    yesterday = clock.now() - timedelta(days=1)
    add(
        front,
        parent,
        child,
        kind="allowed",
        person_id=str(uncle.person_id),
        **{
            "from": (yesterday - timedelta(hours=1)).isoformat(),
            "until": (clock.now() + timedelta(hours=1)).isoformat(),
        },
    )
    front.town.do("UPDATE collectors SET ends_at = %s WHERE person_id = %s", yesterday, uncle.person_id)
    who = {"collector": str(uncle.person_id), "at": yesterday}
    assert is_problem(room.collect(visit, child, **who), 403, "collector_unknown")
    gone = room.collect(visit, child, decided=True, **who)
    assert gone.json()["reasons"] == ["late", "before_sign_in", "collector_unknown"]
    assert opened(front, room) == ["collection"]
    assert examined(front) == []


@pytest.mark.parametrize(
    "written",
    [
        "李 刚",
        "李·刚",
        "李•刚",
        "李-刚",
        "李.刚",
        "李_刚",
        "“李刚”",
        "李\u200b刚",
        "李\u3164刚",
        "李\ufe01刚",
        "(李刚)",
        "李刚\u0301",
    ],
)
def test_a_forbidden_name_stays_forbidden_however_another_guardian_writes_it(
    night: Nursery, front: Front, written: str
) -> None:
    room = night
    parent, child, visit = room.arrived()
    (father,) = front.town.residents()
    front.town.relate(father, child)
    add(front, parent, child, kind="never", name="李刚")
    line = add(front, father, child, kind="allowed", name=written)["id"]
    code = add(front, father, child, kind="once", name=written, until=tomorrow())["code"]
    assert is_problem(room.collect(visit, child, collector=line), 403, "collector_barred")
    assert is_problem(room.collect(visit, child, code=code), 403, "collector_barred")


def test_nobody_collects_under_somebody_elses_number(night: Nursery, front: Front) -> None:
    room = night
    parent, child, visit = room.arrived()
    father, barred, neighbour = front.town.residents(3)
    front.town.relate(father, child)
    for table in ("holders", "persons"):
        front.town.do(f"UPDATE {table} SET name = '李刚' WHERE id = %s", barred.person_id)
    add(front, parent, child, kind="never", person_id=str(barred.person_id))
    line = add(front, father, child, kind="allowed", person_id=str(neighbour.person_id), name="李刚")["id"]
    assert is_problem(room.collect(visit, child, collector=line), 403, "collector_barred")
    plain = add(front, father, child, kind="allowed", person_id=str(neighbour.person_id))["id"]
    assert room.collect(visit, child, collector=plain).status_code == 200


def test_a_code_opens_the_door_for_its_child_in_its_time_and_once(night: Nursery, front: Front) -> None:
    room = night
    slot = room.slot()
    parent, (child, sister) = room.family(2)
    visit = room.booked(parent, slot, child, sister)
    for one in (child, sister):
        assert room.bring(parent, visit, one).status_code == 200
    code = add(front, parent, child, kind="once", name="外婆", until=tomorrow())["code"]
    over = add(front, parent, child, kind="once", name="舅舅", until=tomorrow())
    front.town.do("UPDATE collectors SET ends_at = now() - interval '1 minute' WHERE id = %s", uuid.UUID(over["id"]))
    taken = add(front, parent, child, kind="once", name="姑姑", until=tomorrow())
    assert front.ask("DELETE", f"{about(child)}/collectors/{taken['id']}", parent).status_code == 200
    assert is_problem(room.collect(visit, sister, code=code), 403, "collector_unknown")
    assert is_problem(room.collect(visit, child, code=over["code"]), 403, "collector_unknown")
    assert is_problem(room.collect(visit, child, code=taken["code"]), 403, "collector_unknown")
    pass_code = room.code(parent, visit, child)
    assert is_problem(room.collect(visit, child, code=pass_code), 403, "collector_unknown"), (
        "a pass brings, it collects not"
    )
    assert room.collect(visit, child, code=code).status_code == 200
    assert room.bring(parent, visit, child).status_code == 200
    assert is_problem(room.collect(visit, child, code=code), 403, "collector_used")
    gone = room.collect(visit, child, code=code, decided=True)
    assert gone.json()["reasons"] == ["collector_used"]
    assert opened(front, room) == ["collection"]
    assert examined(front) == []


def test_what_is_told_again_under_another_id_brings_no_child_back_and_takes_none_twice(
    night: Nursery, front: Front
) -> None:
    room = night
    parent, (child,) = room.family()
    visit = room.booked(parent, room.slot(), child)
    at = clock.now()
    came = {"code": room.code(parent, visit, child), "at": at, "decided": True}
    assert room.bring(parent, visit, child, **came).status_code == 200
    assert is_problem(room.bring(parent, visit, child, **came), 409, "already_inside")
    left = {"collector": str(parent.person_id), "at": clock.now(), "decided": True}
    assert room.collect(visit, child, **left).status_code == 200
    assert is_problem(room.collect(visit, child, **left), 409, "not_inside")
    assert is_problem(room.bring(parent, visit, child, **came), 409, "already_recorded")
    assert room.now()["children"] == 0, "no child that is not there is waited for"
    assert went(front, child) == [("in", []), ("out", [])]
    assert room.bring(parent, visit, child, code=came["code"], decided=True).status_code == 200, "it may come back"
    assert room.collect(visit, child, **left | {"at": clock.now()}).status_code == 200
    assert examined(front) == []


def test_decided_offline_is_no_way_round_the_never_list_without_a_trace(night: Nursery, front: Front) -> None:
    room = night
    parent, child, visit = room.arrived()
    (father,) = front.town.residents()
    front.town.relate(father, child)
    add(front, parent, child, kind="never", person_id=str(father.person_id))
    who = {"collector": str(father.person_id)}
    assert is_problem(room.collect(visit, child, **who), 403, "collector_barred")
    assert is_problem(room.collect(visit, child, **who, decided=False), 422)
    gone = room.collect(visit, child, **who, decided=True)
    assert (gone.status_code, gone.json()["reasons"]) == (200, ["collector_barred"])
    assert opened(front, room) == ["collection"]
    listed = front.get("/v1/childcare/incidents", father, params={"child": str(child.person_id)}).json()["items"]
    assert [(one["kind"], one["text"]) for one in listed] == [("collection", None)], "whose list it was stays unsaid"
    assert examined(front) == []


def test_two_desks_and_two_adults_take_a_child_home_once(night: Nursery, front: Front) -> None:
    room = night
    parent, child, visit = room.arrived()
    code = add(front, parent, child, kind="once", name="外婆", until=tomorrow())["code"]
    path = f"{visit['href']}/sign-out"
    answers = at_once(
        front,
        [
            (path, room.carer, {"code": code}),
            (path, room.carer, {"collector": str(parent.person_id)}),
            (path, room.carer, {"code": code, "decided": True}),
        ],
    )
    assert Counter(one.status_code for one in answers) == {200: 1, 409: 2}, [one.text for one in answers]
    assert [direction for direction, _ in went(front, child)] == ["in", "out"]
    assert examined(front) == []


def test_what_was_done_offline_is_judged_by_the_list_as_it_was(night: Nursery, front: Front) -> None:
    """Written after the hand-over, a line allows nothing; removed since, it did allow it."""
    room = night
    parent, child, visit = room.arrived()
    was, since = front.town.residents(2)
    line = add(front, parent, child, kind="allowed", person_id=str(was.person_id))
    front.town.do("UPDATE collectors SET made_at = made_at - interval '2 hours'")
    front.town.do("UPDATE relations SET starts_at = starts_at - interval '2 hours'")
    front.town.do("UPDATE insides SET since = since - interval '1 hour'")
    then = clock.now() - timedelta(minutes=20)
    front.ask("DELETE", f"/v1/childcare/children/{child.person_id}/collectors/{line['id']}", parent)
    add(front, parent, child, kind="allowed", person_id=str(since.person_id))
    told = room.collect(visit, child, collector=str(was.person_id), at=then, decided=True)
    assert "collector_unknown" not in told.json()["reasons"], told.text
    assert opened(front, room) == []
    other, second, theirs = room.arrived()
    add(front, other, second, kind="allowed", person_id=str(since.person_id))
    front.town.do("UPDATE insides SET since = since - interval '1 hour'")
    told = room.collect(theirs, second, collector=str(since.person_id), at=then, decided=True)
    assert "collector_unknown" in told.json()["reasons"]
    assert opened(front, room) == ["collection"]
