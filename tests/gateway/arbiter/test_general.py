"""What the ledger can do for any service: subjects, committees, places that count for no limit, bands of age."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable, Callable, Iterator
from datetime import date, timedelta
from typing import Any

import pytest
from psycopg.types.json import Jsonb

from services.gateway.arbiter import line as arbiter_line
from services.gateway.arbiter.asked import Asked, Outcome
from services.gateway.arbiter.line import Arbiter
from services.gateway.arbiter.rules import Granted, Refused, Replayed, Waiting, band
from shared import claims, clock, embedded
from shared.claims import Subject, Take
from shared.line import Line
from tests.conftest import connected, copy_of
from tests.laws.asking import caller
from tests.town import COMMUNITY, Resident, Town


@pytest.fixture(scope="module")
def town(server: embedded.Embedded, template: str) -> Iterator[Town]:
    with copy_of(server, template) as url:
        yield Town(url)


def decided(town: Town, *asks: Asked) -> list[Outcome]:
    """What the gateway's line decides, in its own role."""

    async def main() -> list[Outcome]:
        async with connected(town.url, role="linli_gateway", pool_size=2) as db:
            line: Line[Asked, Outcome] = Line("arbiter", db, Arbiter())
            try:
                return list(await asyncio.gather(*(line.submit(one) for one in asks)))
            finally:
                await line.close()

    return asyncio.run(main())


def ask(who: Resident, *takes: Take | Subject, **more: Any) -> Asked:
    return Asked("booking", caller(who), uuid.uuid4().hex, b"fingerprint-0016", takes, **more)


def test_a_subject_is_all_its_slots_that_are_to_come(town: Town) -> None:
    (who,), course = town.residents(1), uuid.uuid4()
    evenings = [town.slot(18, days=n, subject_kind="series", subject_id=course, capacity=1) for n in (1, 2, 3)]
    town.slot(18, days=-2, subject_kind="series", subject_id=course)
    town.slot(20, days=2, subject_kind="series", subject_id=course, state="cancelled")
    (told,) = decided(town, ask(who, Subject(course)))
    assert told.decision == Granted()
    assert told.grant is not None
    assert [one.slot_id for one in told.grant.claims] == evenings
    assert {one.subject_id for one in told.grant.slots} == {course}
    (late,) = decided(town, ask(*town.residents(1), Subject(course)))
    assert isinstance(late.decision, Refused)
    assert (late.decision.code, late.slot_id) == ("held", evenings[0])


def test_beside_a_slot_a_subject_is_what_is_there_that_day(town: Town) -> None:
    (who,), dish = town.residents(1), uuid.uuid4()
    window = town.slot(11, days=3, capacity=20)
    today = town.slot(10, days=3, hours=4, subject_kind="dish", subject_id=dish, is_exclusive=False, capacity=5)
    town.slot(10, days=4, hours=4, subject_kind="dish", subject_id=dish, is_exclusive=False)
    (told,) = decided(town, ask(who, Take(window, 2), Subject(dish, 2, window)))
    assert told.grant is not None
    assert [(one.slot_id, one.units) for one in told.grant.claims] == [(window, 2), (today, 2)]
    (other,) = decided(town, ask(*town.residents(1), Take(window, 4), Subject(dish, 4, window)))
    assert isinstance(other.decision, Refused)
    assert other.slot_id == today
    assert town.one("SELECT taken FROM slots WHERE id = %s", window) == 2, "all or none"


def test_a_subject_without_a_slot_is_not_offered(town: Town) -> None:
    (who,), window = town.residents(1), town.slot(11, days=5)
    (told,) = decided(town, ask(who, Take(window), Subject(uuid.uuid4(), 1, window)))
    assert told.decision == Refused("not_offered", subject=0)
    assert town.one("SELECT taken FROM slots WHERE id = %s", window) == 0


def test_a_key_is_answered_as_before_though_the_subject_has_gone(town: Town) -> None:
    (who,), dish, window = town.residents(1), uuid.uuid4(), town.slot(11, days=6)
    stock = town.slot(11, days=6, subject_kind="dish", subject_id=dish, is_exclusive=False)
    wish = ask(who, Take(window), Subject(dish, 1, window))
    (first,) = decided(town, wish)
    town.do("UPDATE claims SET state = 'confirmed', held_until = NULL, resource_id = gen_random_uuid() "
            "WHERE group_id = %s", first.group_id)  # fmt: skip
    town.do("UPDATE slots SET state = 'cancelled' WHERE id = %s", stock)
    (again,) = decided(town, wish)
    assert again.decision == Replayed(first.group_id, "confirmed")


def test_what_counts_for_no_limit_neither_fills_nor_meets_one(town: Town) -> None:
    (who,) = town.residents(1)
    place, policy = uuid.uuid4(), uuid.uuid4()
    town.place(place, policy, per_day=1)
    here: dict[str, Any] = {"place_id": place, "policy_id": policy, "is_exclusive": False}
    dishes = [town.slot(11, **here, is_counted=False, title=f"菜{n}") for n in (1, 2)]
    windows = [town.slot(hour, **here) for hour in (11, 17)]
    (lunch,) = decided(town, ask(who, Take(windows[0]), Take(dishes[0]), Take(dishes[1])))
    assert lunch.decision == Granted()
    (supper,) = decided(town, ask(who, Take(windows[1])))
    assert supper.decision == Refused("limit_reached", person=0, slot=0)


@pytest.mark.parametrize(
    "limits", [{"per_day": 2}, {"per_week": 4}, {"at_once": 9}, {"at_once": 10}, {"per_day": 3, "at_once": 20}]
)
def test_whatever_limits_or_overlaps_is_looked_at_whenever_and_wherever_it_is(
    town: Town, limits: dict[str, int]
) -> None:
    who, *others = town.residents(10)
    place, free, limited = uuid.uuid4(), uuid.uuid4(), uuid.uuid4()
    town.place(place, free)
    town.do(
        "INSERT INTO policies (id, place_id, version, body) VALUES (%s, %s, 2, %s)",
        limited,
        place,
        Jsonb({"limits": limits}),
    )
    here = [(-3, 9), (-1, 9), (1, 8), (1, 12), (2, 8), (2, 12), (2, 14), (6, 8), (7, 8), (8, 8), (8, 12)]
    later = clock.now() + timedelta(days=1)
    has = [town.slot(hour, days=days, place_id=place, policy_id=free, closes_at=later) for days, hour in here]
    elsewhere = town.slot(10, days=5)
    wanted = [town.slot(10, days=n, place_id=place, policy_id=limited, capacity=1) for n in range(1, 10)]
    full = [ask(other, Take(one)) for other, one in zip(others, wanted, strict=True)]
    given = decided(town, *(ask(who, Take(one)) for one in (*has, elsewhere)), *full)
    assert {one.decision for one in given} == {Granted()}
    town.do("UPDATE claims SET state = 'confirmed', held_until = NULL, resource_id = gen_random_uuid()")

    def code(n: int) -> str:
        day, days = clock.today() + timedelta(days=n), [clock.today() + timedelta(days=days) for days, _ in here]
        monday = day - timedelta(days=day.weekday())
        is_reached = (
            days.count(day) >= limits.get("per_day", 99)
            or sum(monday <= one < monday + timedelta(days=7) for one in days) >= limits.get("per_week", 99)
            or sum(one > clock.today() for one in days) >= limits.get("at_once", 99)
        )
        return "overlaps" if n == 5 else "limit_reached" if is_reached else "full"

    expected = [code(n) for n in range(1, 10)]
    alone = [decided(town, ask(who, Take(one)))[0].decision for one in wanted]
    assert [one.code for one in alone if isinstance(one, Refused)] == expected
    together = decided(town, *(ask(who, Take(one)) for one in wanted))
    assert [one.decision for one in together] == alone


def test_a_committee_holds_a_hall_for_its_region(town: Town) -> None:
    office, stranger = town.residents(2)
    town.appoint(office, "staff", "330411105")
    hall, other = town.slot(19, days=3, capacity=1), town.slot(19, days=4, capacity=1)
    (told,) = decided(town, ask(office, Take(hall), holder=COMMUNITY))
    assert told.grant is not None
    (claim,) = told.grant.claims
    row = town.all("SELECT kind, name, community FROM holders WHERE no = %s", claim.holder_no)
    assert row == [("organisation", "解放社区", COMMUNITY)]
    assert town.one("SELECT is_exclusive FROM claims WHERE id = %s", claim.id) is False
    (again,) = decided(town, ask(office, Take(other), holder=COMMUNITY))
    assert again.grant is not None
    assert again.grant.claims[0].holder_no == claim.holder_no, "one holder a region"
    for who, region in ((stranger, COMMUNITY), (office, "330424101003"), (office, "999999999999")):
        (refused,) = decided(town, ask(who, Take(town.slot(9, days=5)), holder=region))
        assert refused.decision == Refused("not_yours", person=0)


def test_gateways_that_ask_at_once_make_one_committee(town: Town) -> None:
    office, village = *town.residents(1), "330411105204"
    town.appoint(office, "staff", "330411105")
    slots = [town.slot(9, days=6, capacity=1, title=f"{n}") for n in range(8)]

    async def main() -> list[Outcome]:
        async with connected(town.url, role="linli_gateway", pool_size=8) as db:
            lines = [Line("arbiter", db, Arbiter()) for _ in slots]
            wishes = [ask(office, Take(slot), holder=village) for slot in slots]
            told = await asyncio.gather(*(line.submit(one) for line, one in zip(lines, wishes, strict=True)))
            for line in lines:
                await line.close()
            return list(told)

    told = asyncio.run(main())
    assert [one.decision for one in told] == [Granted()] * 8
    assert town.one("SELECT count(*) FROM holders WHERE kind = 'organisation' AND community = %s", village) == 1


def test_only_a_service_that_may_know_is_told_a_band_of_age(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    (elder,) = town.residents(1, born=date(1943, 6, 1))
    (told,) = decided(town, ask(elder, Take(town.slot(8, days=6))))
    assert told.grant is not None
    assert told.grant.claims[0].band is None
    monkeypatch.setattr(arbiter_line, "BANDED", frozenset({"booking"}))
    (told,) = decided(town, ask(elder, Take(town.slot(8, days=5))))
    assert told.grant is not None
    assert told.grant.claims[0].band in (80, 85)


def test_a_band_begins_on_a_birthday() -> None:
    assert band(date(1946, 11, 23), date(2026, 11, 22), 5) == 75
    assert band(date(1946, 11, 22), date(2026, 11, 22), 5) == 80
    assert band(None, date(2026, 11, 22), 5) is None


def test_who_waits_for_a_course_waits_for_its_full_evenings(town: Town) -> None:
    first, second = town.residents(2)
    course = uuid.uuid4()
    evenings = [town.slot(20, days=n, subject_kind="series", subject_id=course, capacity=n) for n in (1, 2)]
    assert decided(town, ask(first, Subject(course)))[0].decision == Granted()
    (told,) = decided(town, ask(second, Subject(course), waits=True, sealed_body=b"x"))
    assert told.decision == Waiting((evenings[0],))


@pytest.mark.parametrize(
    ("takes", "persons", "is_same"),
    [
        ([Take], None, True),
        ([Take, Take], None, False),
        ([], None, False),
        ([Take], "somebody else", False),
    ],
)
def test_a_service_confirms_only_what_was_asked(
    town: Town,
    takes: list[Callable[..., Awaitable[Any]]],
    persons: str | None,
    is_same: bool,  # noqa: FBT001
) -> None:
    (who,), dish = town.residents(1), uuid.uuid4()
    window = town.slot(12, days=6, capacity=9)
    town.slot(12, days=6, subject_kind="dish", subject_id=dish, is_exclusive=False)
    (told,) = decided(town, ask(who, Take(window, 2), Subject(dish, 2, window)))
    assert told.grant is not None
    asked = [Take(window, 2) if n == 0 else Take(uuid.uuid4(), 2) for n, _ in enumerate(takes)]
    wanted = [*asked, Subject(dish, 2, window)]
    others = [uuid.uuid4()] if persons else None
    assert claims.matches(told.grant, wanted, others, who.person_id) is is_same
    assert not claims.matches(told.grant, [*asked, Subject(dish, 3, window)], others, who.person_id)
    assert not claims.matches(told.grant, [*asked, Subject(uuid.uuid4(), 2, window)], others, who.person_id)
    assert claims.matches(told.grant, wanted, None, None, holder=COMMUNITY) is (len(takes) == 1)
