"""Collections: who may see, cancel and show what; and what a service adds of its own."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from datetime import date
from typing import Any

import pytest

from services.booking.notices import reservation_cancelled
from services.booking.schemas import ReservationOut
from shared import claiming, claims, errors
from shared.assertion import ActsFor, Caller, Role
from shared.claims import Group
from shared.collection import Collection, actions
from shared.collection.sql import Asked
from shared.crypto import Keyring
from shared.db import Database, Tx
from tests.conftest import connected
from tests.shared.collection.conftest import Booked
from tests.town import COMMUNITY, Resident

KEYS = Keyring.fresh()
STAFF, CARER = frozenset({"staff"}), frozenset({"carer"})


def out(row: Any, group: Group, detail: Any) -> ReservationOut:
    told = claiming.of_group(group, where="booking/reservations")
    return ReservationOut(**told, note=f"{row['note']}|{detail}")


THINGS = Collection(
    service="booking",
    name="reservations",
    table="reservations",
    columns=("note",),
    readers=CARER,
    staff=STAFF,
    out=out,
    cancelled=reservation_cancelled,
)


@pytest.fixture(scope="module")
def db(booked: Booked) -> Callable[[Callable[[Database], Awaitable[Any]]], Any]:
    """Run a story in the service's own role."""

    def told(story: Callable[[Database], Awaitable[Any]]) -> Any:
        async def whole() -> Any:
            async with connected(booked.url, role="linli_booking", pool_size=4) as opened:
                return await story(opened)

        return asyncio.run(whole())

    return told


Run = Callable[[Callable[[Database], Awaitable[Any]]], Any]


def caller(
    one: Resident, *roles: Role, for_: Sequence[Resident] = (), services: tuple[str, ...] | None = None
) -> Caller:
    return Caller(
        account_id=one.account_id,
        account_no=one.account_no,
        person_id=one.person_id,
        holder_no=one.holder_no,
        roles=roles,
        acts_for=tuple(ActsFor(who.person_id, who.holder_no, who.name, "guardian", services) for who in for_),
    )


def asked(who: Caller, **told: Any) -> Asked:
    nothing: dict[str, Any] = {
        "offices": (),
        "place_id": None,
        "slot_id": None,
        "person_id": None,
        "day": None,
        "after": None,
    }
    own = {"account_no": who.account_no, "holders": who.holders_in("booking"), "roles": who.roles, "limit": 50}
    return Asked(**(nothing | own | told))


def cancelling(who: Caller, of: Collection, resource: uuid.UUID, person: uuid.UUID | None = None) -> Any:
    return lambda db: db.run(actions.cancel, KEYS, who, of, resource, person_id=person, reason="ill")


def showing(who: Caller, resource: uuid.UUID, person: uuid.UUID | None = None, slot: uuid.UUID | None = None) -> Any:
    return lambda db: db.read(actions.shown_at_the_door, who, THINGS, resource, person, slot)


@pytest.mark.parametrize("name", ["", "Reservations", "a; DROP TABLE claims", "a b", "r.note", 'x"'])
def test_a_name_that_is_not_plain_never_reaches_a_statement(name: str) -> None:
    with pytest.raises(ValueError, match="^" if not name else None):
        replace(THINGS, table=name)
    with pytest.raises(ValueError, match="^" if not name else None):
        replace(THINGS, columns=("note", name))


def test_a_page_is_three_queries_whatever_is_on_it(booked: Booked, db: Run) -> None:
    (who,) = booked.town.residents()
    made = [booked.make(who, [who], [booked.town.slot(hour)]) for hour in (8, 10, 12)]
    seen: list[Sequence[uuid.UUID]] = []

    async def details(_tx: Tx, keys: Keyring, ids: Sequence[uuid.UUID]) -> Mapping[uuid.UUID, Any]:
        assert keys is KEYS
        seen.append(ids)
        return {one: made.index(one) for one in ids if one != made[1]}

    async def story(opened: Database) -> Any:
        counted = 0

        async def page(tx: Tx) -> Any:
            nonlocal counted
            fetch = tx.connection.fetch

            class Counting:
                async def fetch(self, *told: Any) -> Any:
                    nonlocal counted
                    counted += 1
                    return await fetch(*told)

            return await actions.page(Tx(Counting()), KEYS, caller(who), of, asked(caller(who)))

        found = await opened.read(page)
        assert counted == 2, "and the one of the details"
        return found

    of = replace(THINGS, details=details)
    found = db(story)
    assert [row["id"] for row, _ in found] == made[::-1]
    assert [told.note for _, told in found] == ["seen|2", "seen|None", "seen|0"]
    assert [list(one) for one in seen] == [made[::-1]]


def test_a_role_bound_to_a_place_lists_that_place_only(booked: Booked, db: Run) -> None:
    staff, who = booked.town.residents(2)
    other, policy = uuid.uuid4(), uuid.uuid4()
    booked.town.place(other, policy)
    here, there = booked.town.slot(8, days=5), booked.town.slot(10, days=5, place_id=other, policy_id=policy)
    made = [booked.make(who, [who], [one]) for one in (here, there)]

    def listed(*roles: Role, **told: Any) -> set[Any]:
        me = caller(staff, *roles)
        found = db(lambda opened: opened.read(actions.page, KEYS, me, THINGS, asked(me, holders=None, **told)))
        return {row["id"] for row, _ in found}

    for told in ({"person_id": who.person_id}, {"person_id": who.person_id, "day": None}):
        assert listed(Role("staff", COMMUNITY), **told) == set(made)
        assert listed(Role("staff", COMMUNITY, other), **told) == {made[1]}
        assert listed(Role("staff", "330424"), **told) == set()
        assert listed(**told) == set()
    assert listed(Role("staff", "33"), slot_id=here) == {made[0]}
    assert listed(Role("staff", "33"), person_id=who.person_id, day=date(2001, 1, 1)) == set()


def test_who_reads_for_their_work_sees_everybody_and_cancels_nothing(booked: Booked, db: Run) -> None:
    carer, who, other = booked.town.residents(3)
    made = booked.make(who, [who, other], [booked.town.slot(8)])
    me = caller(carer, Role("carer", COMMUNITY))
    read = db(lambda opened: opened.read(actions.read, KEYS, me, THINGS, made))
    assert len(read.persons) == 2
    for forbidden in (cancelling(me, THINGS, made), showing(me, made, who.person_id)):
        with pytest.raises(errors.NotAllowed):
            db(forbidden)
    assert booked.states(made) == ["confirmed"] * 2


def test_strangers_find_nothing_and_nobody_unknown_asks(booked: Booked, db: Run) -> None:
    who, stranger = booked.town.residents(2)
    made = booked.make(who, [who], [booked.town.slot(8)])
    proxy = caller(stranger, for_=[who], services=("events",))
    for me in (caller(stranger), proxy, caller(stranger, Role("staff", "330424"))):
        for forbidden in (cancelling(me, THINGS, made), showing(me, made)):
            with pytest.raises(errors.NotThere):
                db(forbidden)
    with pytest.raises(errors.NotKnown):
        db(showing(Caller(), made))
    with pytest.raises(errors.NotThere):
        db(showing(caller(who), uuid.uuid4()))


def test_what_must_be_true_when_places_are_given_back_is_asked_with_the_slots_locked(booked: Booked, db: Run) -> None:
    who, child = booked.town.residents(2)
    slots = [booked.town.slot(8), booked.town.slot(10)]
    made = booked.make(who, [who, child], slots)
    heard: list[Any] = []

    async def releasing(tx: Tx, asker: Caller, row: Any, group: Group, holders: Sequence[int]) -> None:
        locked = await tx.fetch("SELECT id FROM slots WHERE id = ANY($1::uuid[]) FOR UPDATE SKIP LOCKED", slots)
        with booked.town.connect() as outside:
            free = outside.execute(
                "SELECT id FROM slots WHERE id = ANY(%s) FOR UPDATE SKIP LOCKED", (slots,)
            ).fetchall()
        heard.append((asker.account_no, row["note"], {one["state"] for one in group.claims}, list(holders)))
        assert (len(locked), len(free)) == (2, 0)
        if asker.roles == ():
            raise errors.Closed

    of = replace(THINGS, releasing=releasing)
    with pytest.raises(errors.Closed):
        db(cancelling(caller(who), of, made))
    assert booked.states(made) == ["confirmed"] * 4, "refused, nothing was freed"
    staff = caller(who, Role("staff", COMMUNITY))
    told = db(cancelling(staff, of, made, child.person_id))
    assert {one.id: one.state for one in told.persons} == {
        who.person_id: "confirmed",
        child.person_id: "released",
    }
    assert heard[-1] == (who.account_no, "seen", {"confirmed"}, [child.holder_no])
    again = db(cancelling(staff, of, made, child.person_id))
    assert (again, len(heard)) == (told, 2), "there is nothing left to ask about"
    assert db(cancelling(staff, of, made)).state == "released"
    assert heard[-1][3] == [who.holder_no]
    for slot in slots:
        assert booked.town.one("SELECT taken FROM slots WHERE id = %s", slot) == 0
    assert booked.town.one("SELECT count(*) FROM notices WHERE subject = %s", made) == 2


def test_who_has_been_there_gives_nothing_back(booked: Booked, db: Run) -> None:
    who, child = booked.town.residents(2)
    both = booked.make(who, [who, child], [booked.town.slot(8)])
    came = "UPDATE claims SET state = 'attended' WHERE resource_id = %s AND holder_no = %s"
    booked.town.do(came, both, child.holder_no)
    parent = caller(who, for_=[child])
    for _ in range(2):
        told = db(cancelling(parent, THINGS, both))
        assert {one.id: one.state for one in told.persons} == {
            who.person_id: "released",
            child.person_id: "attended",
        }
    alone = booked.make(who, [who], [booked.town.slot(12)])
    booked.town.do(came, alone, who.holder_no)
    with pytest.raises(errors.AlreadyRecorded):
        db(cancelling(parent, THINGS, alone))
    assert booked.town.one("SELECT state FROM claims WHERE resource_id = %s", alone) == "attended"


def test_what_is_over_is_given_back_by_staff_alone(booked: Booked, db: Run) -> None:
    who, child = booked.town.residents(2)
    made = booked.make(who, [who, child], [booked.town.slot(8, days=days) for days in (-1, 2)])
    parent = caller(who, for_=[child])
    states = "SELECT starts_at > now(), state FROM claims WHERE resource_id = %s GROUP BY 1, 2 ORDER BY 1"
    for _ in range(2):
        assert db(cancelling(parent, THINGS, made)).state == "confirmed"
        assert booked.town.all(states, made) == [(False, "confirmed"), (True, "released")]
    past = booked.make(who, [who], [booked.town.slot(8, days=-2)])
    with pytest.raises(errors.TooLate):
        db(cancelling(parent, THINGS, past))
    staff = caller(booked.town.residents()[0], Role("staff", COMMUNITY))
    assert db(cancelling(staff, THINGS, past)).state == "released"


def test_what_is_over_beside_what_was_attended_gives_nothing_back(booked: Booked, db: Run) -> None:
    (who,) = booked.town.residents()
    slots = [booked.town.slot(8, days=days) for days in (-2, -1)]
    made = booked.make(who, [who], slots)
    booked.town.do("UPDATE claims SET state = 'attended' WHERE slot_id = %s", slots[0])
    with pytest.raises(errors.AlreadyRecorded):
        db(cancelling(caller(who), THINGS, made))


def test_a_cancel_that_waits_for_another_finds_nothing_to_ask_about(booked: Booked, db: Run) -> None:
    (who,) = booked.town.residents()
    made = booked.make(who, [who], [booked.town.slot(8)])
    asked_for: list[int] = []

    async def releasing(_tx: Tx, _who: Caller, _row: Any, _group: Group, holders: Sequence[int]) -> None:
        asked_for.extend(holders)
        await asyncio.sleep(0.3)

    of = replace(THINGS, releasing=releasing)

    async def story(opened: Database) -> list[Any]:
        return list(await asyncio.gather(*(cancelling(caller(who), of, made)(opened) for _ in range(3))))

    assert {one.state for one in db(story)} == {"released"}
    assert asked_for == [who.holder_no]
    assert booked.town.one("SELECT count(*) FROM notices WHERE subject = %s", made) == 1


def test_rows_that_a_service_writes_while_it_is_asked_stay(booked: Booked, db: Run) -> None:
    (who,) = booked.town.residents()
    made = booked.make(who, [who], [booked.town.slot(8)])
    booked.town.do("UPDATE claims SET state = 'attended' WHERE resource_id = %s", made)

    async def releasing(tx: Tx, _who: Caller, row: Any, _group: Group, _holders: Sequence[int]) -> None:
        await tx.execute("UPDATE reservations SET note = 'asked' WHERE id = $1", row["id"])

    assert db(cancelling(caller(who), replace(THINGS, releasing=releasing), made)).state == "attended"
    assert booked.town.one("SELECT note FROM reservations WHERE id = %s", made) == "asked"


def test_a_pass_is_of_the_person_named_or_the_caller_or_the_only_one(booked: Booked, db: Run) -> None:
    who, child, other = booked.town.residents(3)
    slot = booked.town.slot(8)
    family = booked.make(who, [who, child, other], [slot])
    parent = caller(who, for_=[child])

    def claim_of(someone: Resident, resource: uuid.UUID) -> Any:
        return booked.town.one(
            "SELECT id FROM claims WHERE resource_id = %s AND holder_no = %s", resource, someone.holder_no
        )

    assert db(showing(parent, family)).claim_id == claim_of(who, family)
    assert db(showing(parent, family, child.person_id)).claim_id == claim_of(child, family)
    with pytest.raises(errors.NotThere):
        db(showing(parent, family, other.person_id))  # having made the group is not enough
    assert db(showing(caller(other), family)).claim_id == claim_of(other, family)
    with pytest.raises(errors.NotThere):
        db(showing(caller(other), family, who.person_id))
    with pytest.raises(errors.NotThere):
        db(showing(parent, family, uuid.uuid4()))
    staff = caller(booked.town.residents()[0], Role("staff", COMMUNITY))
    with pytest.raises(errors.Unprocessable):
        db(showing(staff, family))
    assert db(showing(staff, family, child.person_id)).claim_id == claim_of(child, family)
    alone = booked.make(who, [child], [booked.town.slot(12)])
    assert db(showing(parent, alone)).claim_id == claim_of(child, alone)


def test_a_pass_is_of_the_slot_named_or_the_next_one_that_stands(booked: Booked, db: Run) -> None:
    (who,) = booked.town.residents()
    slots = [booked.town.slot(8, days=days) for days in (-3, 1, 2)]
    made = booked.make(who, [who], slots)

    def start_of(slot: uuid.UUID) -> Any:
        return booked.town.one("SELECT starts_at FROM slots WHERE id = %s", slot)

    me = caller(who)
    assert db(showing(me, made)).starts_at == start_of(slots[1])
    assert db(showing(me, made, None, slots[2])).starts_at == start_of(slots[2])
    with pytest.raises(errors.NotThere):
        db(showing(me, made, None, uuid.uuid4()))
    booked.town.do("UPDATE claims SET state = 'released', is_active = false WHERE slot_id = %s", slots[1])
    assert db(showing(me, made)).starts_at == start_of(slots[2])
    with pytest.raises(errors.Conflict):
        db(showing(me, made, None, slots[1]))
    booked.town.do("UPDATE claims SET state = 'released', is_active = false WHERE slot_id = %s", slots[2])
    assert db(showing(me, made)).starts_at == start_of(slots[0]), "over, and still theirs"


def test_the_ledger_alone_says_what_stands(booked: Booked, db: Run) -> None:
    (who,) = booked.town.residents()
    made = booked.make(who, [who], [booked.town.slot(8)])

    async def group(tx: Tx) -> Any:
        row, found = await actions.readable(tx, caller(who), THINGS, made)
        assert found == await claims.group(tx, row["group_id"])
        return row

    row = db(lambda opened: opened.read(group))
    assert list(row.keys()) == ["id", "group_id", "place_id", "community", "account_no", "starts_at", "note"]


def test_of_a_group_over_two_places_each_place_sees_and_gives_back_its_own_part(booked: Booked, db: Run) -> None:
    staff, who = booked.town.residents(2)
    other, policy = uuid.uuid4(), uuid.uuid4()
    booked.town.place(other, policy)
    here, there = booked.town.slot(8, days=6), booked.town.slot(10, days=6, place_id=other, policy_id=policy)
    made = booked.make(who, [who], [here, there])
    alone = booked.make(who, [who], [booked.town.slot(12, days=6)])

    def seen(role: Role, **told: Any) -> dict[uuid.UUID, list[Any]]:
        me = caller(staff, role)
        query = asked(me, holders=None, person_id=who.person_id, **told)
        found = db(lambda opened: opened.read(actions.page, KEYS, me, THINGS, query))
        return {row["id"]: [slot.id for slot in one.slots] for row, one in found}

    first, second = Role("staff", COMMUNITY, booked.town.place_id), Role("carer", COMMUNITY, other)
    assert seen(second) == seen(second, place_id=other) == {made: [there]}
    assert seen(first)[made] == [here]
    assert seen(first, place_id=other) == {made: [here]}
    assert set(seen(first)) == {made, alone}
    assert seen(Role("staff", COMMUNITY), place_id=other) == {made: [here, there]}
    read = db(lambda opened: opened.read(actions.read, KEYS, caller(staff, second), THINGS, made))
    assert [slot.id for slot in read.slots] == [there]
    with pytest.raises(errors.NotAllowed):
        db(cancelling(caller(staff, second), THINGS, made))
    desk = caller(staff, Role("staff", COMMUNITY, other))
    assert db(showing(desk, made)).facility_id == other
    assert db(cancelling(desk, THINGS, made)).state == "released"
    whole = db(lambda opened: opened.read(actions.read, KEYS, caller(who), THINGS, made))
    assert (len(whole.slots), whole.state) == (2, "confirmed"), "what is elsewhere stays theirs"
    with pytest.raises(errors.NotThere):
        db(lambda opened: opened.read(actions.read, KEYS, caller(staff, Role("staff", "330424", other)), THINGS, made))
