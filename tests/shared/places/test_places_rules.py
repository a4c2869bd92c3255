"""Schedules and policies as rules: what is refused, what is made, and what a change does to what is there."""

from __future__ import annotations

import itertools
import uuid
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.places import rules
from shared.places.rules import Existing, Line, Resource, Wanted

COURT, STUDIO = uuid.UUID(int=1), uuid.UUID(int=2)
RESOURCES = {COURT: Resource(COURT, "1号场", 1), STUDIO: Resource(STUDIO, "教室", 20, is_exclusive=False)}
MONDAY = date(2026, 11, 23)
EVERY_DAY = frozenset(range(7))


def line(**more: Any) -> Line:
    told: dict[str, Any] = {
        "weekdays": EVERY_DAY,
        "starts": 540,
        "ends": 660,
        "slot_minutes": 60,
        "resource": COURT,
        "title": "羽毛球",
    }
    return Line(**(told | more))


def codes(*lines: Line) -> list[tuple[int, str, str]]:
    return [tuple(one) for one in rules.faults(lines, RESOURCES)]


def test_a_sound_schedule_has_no_faults() -> None:
    assert codes(line(), line(starts=660, ends=1440), line(resource=STUDIO)) == []


@pytest.mark.parametrize(
    ("wrong", "field", "code"),
    [
        ({"weekdays": frozenset()}, "weekdays", "weekday"),
        ({"weekdays": frozenset({7})}, "weekdays", "weekday"),
        ({"starts": 541}, "starts", "grid"),
        ({"ends": 662}, "ends", "grid"),
        ({"ends": 540}, "ends", "order"),
        ({"ends": 1445}, "ends", "order"),
        ({"slot_minutes": 7}, "slot_minutes", "grid"),
        ({"slot_minutes": 0}, "slot_minutes", "too_long"),
        ({"slot_minutes": 125}, "slot_minutes", "too_long"),
        ({"resource": uuid.UUID(int=9)}, "resource", "unknown"),
    ],
)
def test_a_line_that_cannot_be_is_named(wrong: dict[str, Any], field: str, code: str) -> None:
    apart = {"starts": 720, "ends": 840} if not {"starts", "ends"} & wrong.keys() else {}
    assert (1, field, code) in codes(line(), line(**(apart | wrong)))


def test_lines_of_an_exclusive_resource_do_not_meet() -> None:
    assert codes(line(), line(starts=600, ends=720)) == [(1, "starts", "overlap")]
    assert codes(line(weekdays=frozenset({0})), line(weekdays=frozenset({1}))) == []
    assert codes(line(days=frozenset({"work"})), line(days=frozenset({"rest"}))) == []
    assert codes(line(days=frozenset({"work"})), line()) == [(1, "starts", "overlap")]


def test_a_shared_resource_may_carry_several_sessions_but_none_twice() -> None:
    assert codes(line(resource=STUDIO), line(resource=STUDIO, title="瑜伽")) == []
    assert codes(line(resource=STUDIO), line(resource=STUDIO, ends=600)) == [(1, "starts", "twice")]
    assert codes(line(resource=STUDIO), line(resource=STUDIO, starts=570, ends=690)) == []


def test_there_are_bounds() -> None:
    assert codes(*[line(resource=STUDIO, title=str(n)) for n in range(201)])[0].count("too_many") == 1
    crowded = [line(resource=STUDIO, title=str(n), starts=0, ends=1440, slot_minutes=5) for n in range(4)]
    assert codes(*crowded) == [(0, "slot_minutes", "too_many")]


def test_a_day_makes_its_slots_and_leaves_out_the_remainder() -> None:
    planned = rules.lines_on([line(ends=690)], MONDAY, "work")
    assert [(one.starts, one.ends) for one in planned] == [(540, 600), (600, 660)]
    assert rules.lines_on([line(starts=1380, ends=1440)], MONDAY, "rest")[0].ends == 1440


def test_the_kind_of_day_decides() -> None:
    workday = [line(days=frozenset({"work"}))]
    assert len(rules.lines_on(workday, MONDAY, "work")) == 2
    assert rules.lines_on(workday, MONDAY, "rest") == []
    assert rules.lines_on([line()], MONDAY, "closed") == []
    assert len(rules.lines_on(workday, MONDAY, None)) == 2
    assert rules.lines_on([line(weekdays=frozenset({1}))], MONDAY, "work") == []


LINES = st.builds(
    lambda weekdays, days, begin, length, slot, resource, title: Line(
        weekdays, begin * 30, min(1440, (begin + length) * 30), slot * 15, resource, title, days
    ),
    st.frozensets(st.integers(0, 6), min_size=1),
    st.one_of(st.none(), st.frozensets(st.sampled_from(["work", "rest"]), min_size=1)),
    st.integers(0, 47),
    st.integers(1, 12),
    st.integers(1, 8),
    st.sampled_from([COURT, STUDIO]),
    st.sampled_from(["a", "b"]),
)


@given(st.lists(LINES, max_size=6), st.integers(0, 13), st.sampled_from(["work", "rest", "closed"]))
def test_a_sound_schedule_never_plans_two_slots_on_one_exclusive_resource(
    schedule: list[Line], day: int, kind: str
) -> None:
    sound: list[Line] = []
    for one in schedule:
        if not rules.faults([*sound, one], RESOURCES):
            sound.append(one)
    planned = rules.lines_on(sound, MONDAY + timedelta(days=day), kind)
    on_court = sorted(one for one in planned if one.resource == COURT)
    assert all(before.ends <= after.starts for before, after in itertools.pairwise(on_court))
    assert len({(one.resource, one.starts, one.title) for one in planned}) == len(planned)
    for one in planned:
        assert 0 <= one.starts < one.ends <= 1440
        assert any(
            open_.resource == one.resource and open_.starts <= one.starts and one.ends <= open_.ends for open_ in sound
        )


@given(st.lists(LINES, max_size=5))
def test_a_schedule_survives_its_storage(schedule: list[Line]) -> None:
    assert rules.schedule_of(rules.schedule_body(schedule)) == schedule


def test_a_policy_survives_its_storage_and_sparse_bodies_mean_the_default() -> None:
    policy = rules.Policy(
        release=rules.Ahead(2, time(8)),
        cancel_minutes=30,
        limits={"per_day": 1, "per_week": None, "at_once": 3, "household_per_day": None},
        audience=rules.Audience(16, 70, ("330411",), 2, needs_guardian=False),
        offline_share=2,
        close_at=rules.Ahead(1, time(16)),
        cancel_at=rules.Ahead(0, time(9)),
        is_exclusive=False,
    )
    assert rules.policy_of(rules.policy_body(policy)) == policy
    assert rules.policy_of({}) == rules.Policy()
    assert set(rules.policy_body(rules.Policy())["limits"]) == {"per_day", "per_week", "at_once", "household_per_day"}


def test_slots_exist_before_they_open() -> None:
    assert rules.Policy().days == 8
    assert rules.Policy(release=rules.Ahead(14, time(8))).days == 16
    assert rules.Policy(release=rules.Ahead(2, time(8))).marks(MONDAY).opens == (date(2026, 11, 21), time(8))


NOW = datetime(2026, 11, 23, 8, tzinfo=UTC)
HOUR = timedelta(hours=1)


def test_instants_count_back_from_the_start() -> None:
    policy = rules.Policy(close_minutes=10, cancel_minutes=30, offline_share=1, offline_minutes=60)
    assert rules.instants(policy, NOW, None) == (None, NOW - HOUR / 6, NOW - HOUR / 2, NOW - HOUR)
    assert rules.instants(rules.Policy(offline_minutes=60), NOW, NOW) == (NOW, NOW, None, None)


def test_instants_said_by_the_clock_are_never_later_than_the_start() -> None:
    policy = rules.Policy(close_at=rules.Ahead(1, time(16)), cancel_at=rules.Ahead(0, time(9)))
    assert policy.marks(MONDAY) == (None, (date(2026, 11, 22), time(16)), (MONDAY, time(9)))
    assert rules.instants(policy, NOW, None, NOW - HOUR, NOW - 2 * HOUR) == (None, NOW - HOUR, NOW - 2 * HOUR, None)
    assert rules.instants(policy, NOW, None, NOW + HOUR, NOW + HOUR) == (None, NOW, NOW, None)


@pytest.mark.parametrize(
    ("before", "wanted", "then"),
    [
        (None, None, None),
        (None, NOW + HOUR, None),
        (NOW - HOUR, NOW + HOUR, NOW - HOUR),
        (NOW - HOUR, NOW - 2 * HOUR, NOW - 2 * HOUR),
        (NOW + HOUR, NOW + 2 * HOUR, NOW + 2 * HOUR),
        (NOW + HOUR, None, None),
    ],
)
def test_what_is_open_is_never_shut_again(
    before: datetime | None, wanted: datetime | None, then: datetime | None
) -> None:
    assert rules.opens_anew(NOW, before, wanted) == then


def want(hour: int, length: int = 1, **more: Any) -> Wanted:
    return Wanted(1, NOW + hour * HOUR, NOW + (hour + length) * HOUR, "羽毛球", 4, is_exclusive=True)._replace(**more)


def have(of: Wanted, **more: Any) -> Existing:
    made = Existing(
        uuid.uuid4(),
        of.resource_no,
        of.is_exclusive,
        of.starts_at,
        of.ends_at,
        of.title,
        of.capacity,
        "open",
        is_untouched=True,
    )
    return made._replace(**more)


def steps(wanted: list[Wanted], existing: list[Existing], former: list[Wanted] | None = None) -> rules.Steps:
    made = None if former is None else {(one.key, one.ends_at): one.capacity for one in former}
    return rules.steps(wanted, existing, former=made, makes_until=NOW + 24 * HOUR)


def test_rolling_out_twice_makes_nothing_twice_and_cancels_nothing() -> None:
    assert steps([want(1), want(2)], [have(want(1)), have(want(5))]).make == (want(2),)
    assert steps([], [have(want(1))]).cancel == ()
    assert steps([want(30)], []).make == ()


def test_only_what_the_former_lines_made_and_nobody_touched_is_cancelled() -> None:
    gone, extra, taken = have(want(1)), have(want(2), title="比赛"), have(want(3), is_untouched=False)
    changed = steps([], [gone, extra, taken], former=[want(1), want(2), want(3)])
    assert changed.cancel == (gone.id,)


def test_a_line_that_comes_back_reopens_its_slot() -> None:
    slept = have(want(1), state="cancelled")
    assert steps([want(1)], [slept]).reopen == ((slept.id, want(1)),)
    assert steps([want(1)], [slept]).make == ()
    busy = have(want(0, 2), title="比赛")
    assert steps([want(1)], [slept, busy]).reopen == ()


def test_a_slot_with_another_end_makes_way_because_times_never_change() -> None:
    short, slept = have(want(1)), have(want(5), state="cancelled")
    changed = steps([want(1, 2), want(5, 2)], [short, slept], former=[want(1)])
    assert changed.cancel == (short.id,)
    assert set(changed.displace) == {short.id, slept.id}
    assert changed.make == (want(1, 2), want(5, 2))
    kept = steps([want(1, 2)], [replace_touched(short)], former=[want(1)])
    assert (kept.cancel, kept.make) == ((), ())


def test_the_calendar_turns_only_what_a_schedule_made() -> None:
    made, extra = have(want(1), is_scheduled=True), have(want(2), title="比赛")
    held = have(want(3), is_scheduled=True, state="closed", is_untouched=False)
    empty = have(want(4), is_scheduled=True, state="closed")
    every = [made, extra, held, empty]
    assert rules.turns(every, {one.id for one in every}) == ([made.id], [])
    assert rules.turns(every, set()) == ([], [held.id])


def test_what_was_closed_opens_again_when_it_is_wanted_again() -> None:
    closed, by_hand = have(want(1), is_scheduled=True, state="closed"), have(want(2), state="closed")
    assert steps([want(1), want(2)], [closed, by_hand]).reopen == ((closed.id, want(1)),)
    assert steps([], [closed]).reopen == ()
    longer = steps([want(1, 2)], [closed])
    assert (longer.displace, longer.make) == ((closed.id,), (want(1, 2),))


def replace_touched(one: Existing) -> Existing:
    return one._replace(is_untouched=False)


def test_a_new_capacity_reaches_untouched_slots_that_still_have_the_old_one() -> None:
    one, by_hand = have(want(1)), have(want(2), capacity=9)
    changed = steps([want(1, capacity=6), want(2, capacity=6)], [one, by_hand], former=[want(1), want(2)])
    assert changed.resize == ((one.id, 6),)


def test_closures_shut_what_they_touch() -> None:
    shut = [(NOW, NOW + HOUR)]
    assert rules.is_shut(NOW + HOUR / 2, NOW + 2 * HOUR, shut)
    assert not rules.is_shut(NOW + HOUR, NOW + 2 * HOUR, shut)


def test_five_minutes_on_foot_are_three_hundred_metres_and_a_bit() -> None:
    assert rules.reach_metres(5) == pytest.approx(307.7, abs=0.1)
    assert rules.walk_minutes(307) == 5
    assert rules.walk_minutes(308) == 6
    assert replace(RESOURCES[COURT], name="2号场").name == "2号场"
