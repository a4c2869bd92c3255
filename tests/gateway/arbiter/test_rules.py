"""The arbiter's rules as pure functions: no database, no clock; each sentence is a promise to residents."""

from __future__ import annotations

import copy
import random
import uuid
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from datetime import time as wall_time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.gateway import availability
from services.gateway.arbiter import rules
from services.gateway.arbiter.rules import (
    Ask,
    Decision,
    Granted,
    Holder,
    Limits,
    Place,
    Previous,
    Refused,
    Replayed,
    Slot,
    Waiting,
    decide,
    eligible,
    free,
    verdict,
)
from shared import clock
from shared.claims import Take

COMMUNITY = "330411105003"
CENTRE = uuid.UUID(int=0xC0)
DAY = date(2026, 3, 4)  # a Wednesday
NOW = clock.at(date(2026, 3, 1), wall_time(8))


def slot(hour: float = 10, *, day: date = DAY, hours: float = 1, **facts: Any) -> Slot:
    """A slot at that hour of the town's clock; any fact may be set."""
    starts_at = clock.at(day, wall_time()) + timedelta(hours=hour)
    told = {
        "id": uuid.uuid4(),
        "service": "booking",
        "place_id": CENTRE,
        "community": COMMUNITY,
        "starts_at": starts_at,
        "ends_at": starts_at + timedelta(hours=hours),
        "day": clock.local(starts_at).date(),
        "opens_at": None,
        "closes_at": starts_at,
        "capacity": 30,
    }
    return Slot(**(told | facts))


def person(no: int = 1, **facts: Any) -> Holder:
    told = {
        "no": no,
        "id": uuid.UUID(int=no),
        "name": f"居民{no}",
        "kind": "person",
        "community": COMMUNITY,
        "born": date(1980, 5, 17),
        "level": 2,
        "household_no": None,
    }
    return Holder(**(told | facts))


def place_in(one: Slot) -> Place:
    return Place(one.id, one.place_id, one.starts_at, one.ends_at, one.day, one.is_exclusive)


def ask(takes: Slot | Sequence[Slot], *holders: int, key: str = "", units: int = 1, **facts: Any) -> Ask:
    """Everybody in `holders` asks for everything in `takes`; the first acts and may act for all."""
    slots = [takes] if isinstance(takes, Slot) else takes
    group = uuid.uuid4()
    told = {
        "group_id": group,
        "account_no": holders[0],
        "key": key or group.hex,
        "fingerprint": b"same body",
        "service": "booking",
        "takes": tuple(Take(one.id, units) for one in slots),
        "holders": holders,
        "may": frozenset(holders),
    }
    return Ask(**(told | facts))


def decided(
    asks: Sequence[Ask],
    slots: Sequence[Slot],
    people: Sequence[Holder],
    *,
    now: datetime = NOW,
    households: Mapping[tuple[int, uuid.UUID, date], int] | None = None,
) -> list[Decision]:
    return decide(asks, {one.id: one for one in slots}, {one.no: one for one in people}, households or {}, now)


def answer(one: Slot, who: Holder, **facts: Any) -> Decision:
    """What a single ask for one slot comes to."""
    now = facts.pop("now", NOW)
    households = facts.pop("households", None)
    (decision,) = decided([ask(one, who.no, **facts)], [one], [who], now=now, households=households)
    return decision


def code(decision: Decision) -> str:
    return decision.code if isinstance(decision, Refused) else type(decision).__name__.lower()


def codes(decisions: Sequence[Decision]) -> list[str]:
    return [code(one) for one in decisions]


# ---------------------------------------------------------------- one person, one slot


def test_whoever_meets_every_condition_of_a_slot_with_room_gets_a_place() -> None:
    assert answer(slot(), person()) == Granted()


def test_a_cancelled_slot_says_so_and_a_closed_one_too() -> None:
    assert code(answer(slot(state="cancelled"), person())) == "cancelled"
    assert code(answer(slot(state="closed"), person())) == "closed"


def test_booking_opens_at_its_moment_and_not_a_second_before() -> None:
    one = slot(opens_at=NOW)
    assert answer(one, person(), now=NOW - timedelta(seconds=1)) == Refused("not_open_yet", 0, 0, NOW)
    assert answer(one, person(), now=NOW) == Granted()


def test_booking_closes_at_its_deadline_and_not_a_second_before() -> None:
    one = slot(closes_at=NOW)
    assert answer(one, person(), now=NOW - timedelta(seconds=1)) == Granted()
    assert code(answer(one, person(), now=NOW)) == "closed"


def test_a_slot_whose_deadline_is_before_its_release_is_simply_closed() -> None:
    assert code(answer(slot(closes_at=NOW, opens_at=NOW + timedelta(days=1)), person())) == "closed"


@pytest.mark.parametrize(
    ("born", "day", "age"),
    [
        (date(1966, 3, 4), date(2026, 3, 4), 60),
        (date(1966, 3, 5), date(2026, 3, 4), 59),
        (date(1966, 3, 3), date(2026, 3, 4), 60),
        (date(2004, 2, 29), date(2026, 2, 28), 21),  # no 29 February in 2026: the year is complete on 1 March
        (date(2004, 2, 29), date(2026, 3, 1), 22),
        (date(2004, 2, 29), date(2028, 2, 28), 23),
        (date(2004, 2, 29), date(2028, 2, 29), 24),
        (date(2025, 12, 31), date(2026, 1, 1), 0),
    ],
)
def test_years_are_completed_on_the_birthday(born: date, day: date, age: int) -> None:
    assert rules.age_on(born, day) == age


def test_age_counts_on_the_slots_date_and_not_on_the_day_of_booking() -> None:
    turns_60_that_day = person(born=date(1966, 3, 4))
    assert answer(slot(min_age=60), turns_60_that_day) == Granted()
    assert code(answer(slot(day=DAY - timedelta(days=1), min_age=60), turns_60_that_day)) == "too_young"
    assert code(answer(slot(max_age=59), turns_60_that_day)) == "too_old"
    assert answer(slot(day=DAY - timedelta(days=1), max_age=59), turns_60_that_day) == Granted()


def test_half_past_midnight_belongs_to_the_towns_new_day_though_utc_is_still_on_the_old_one() -> None:
    one = slot(0.5, min_age=60)
    assert one.starts_at.astimezone(UTC).date() == DAY - timedelta(days=1)
    assert one.day == DAY
    assert answer(one, person(born=date(1966, 3, 4))) == Granted()
    assert code(answer(one, person(born=date(1966, 3, 5)))) == "too_young"


def test_both_ends_of_an_age_range_are_included() -> None:
    one = slot(min_age=6, max_age=12)
    ages = [date(2026 - years, 3, 4) for years in (5, 6, 12, 13)]
    assert [code(answer(one, person(born=born))) for born in ages] == ["too_young", "granted", "granted", "too_old"]


def test_an_unknown_birthday_must_be_verified_first_where_age_matters_and_only_there() -> None:
    assert code(answer(slot(min_age=60), person(born=None))) == "verification_required"
    assert code(answer(slot(max_age=12), person(born=None))) == "verification_required"
    assert answer(slot(), person(born=None)) == Granted()


@pytest.mark.parametrize(
    ("community", "regions", "may"),
    [
        ("330411105003", ["330411105003"], True),
        ("330411105003", ["330411105"], True),
        ("330411105003", ["330411"], True),
        ("330411105003-01", ["330411105003"], True),
        ("330411105003", ["330411105204"], False),
        ("330411105003", ["330424", "330411105003"], True),
        ("330411105003", ["330411105003-01"], False),
        ("330411105003", [], False),
    ],
)
def test_a_region_admits_everybody_below_it_and_nobody_else(community: str, regions: list[str], *, may: bool) -> None:
    assert code(answer(slot(regions=regions), person(community=community))) == ("granted" if may else "outside_area")


def test_a_slot_without_regions_is_for_everybody() -> None:
    assert answer(slot(regions=None), person(community="110101001001")) == Granted()


def test_the_level_of_verification_must_be_reached() -> None:
    assert code(answer(slot(level=2), person(level=1))) == "verification_required"
    assert answer(slot(level=2), person(level=2)) == Granted()


def test_a_guardian_is_needed_where_it_says_so_and_a_proxy_is_not_one() -> None:
    one, child = slot(needs_guardian=True), person()
    assert code(answer(one, child)) == "guardian_required"
    assert answer(one, child, guards=frozenset({child.no})) == Granted()
    assert code(answer(one, child, guards=frozenset({99}))) == "guardian_required"


def test_a_suspension_pauses_its_own_service_only_and_says_until_when() -> None:
    until = NOW + timedelta(days=7)
    assert answer(slot(), person(suspended={"booking": until})) == Refused("suspended", 0, 0, until)
    assert answer(slot(), person(suspended={"events": until})) == Granted()


def test_a_service_may_ask_for_consents_and_says_which_are_missing() -> None:
    one = slot(purposes=("childcare", "health"))
    assert answer(slot(), person()) == Granted()
    assert answer(one, person()) == Refused("consent_required", 0, 0, None, ("childcare", "health"))
    some = person(consents=frozenset({"childcare", "leaderboard"}))
    assert answer(one, some) == Refused("consent_required", 0, 0, None, ("health",))
    assert answer(one, person(consents=frozenset({"childcare", "health"}))) == Granted()
    assert answer(one, person(kind="organisation")) == Granted(), "a committee has no health"
    assert answer(slot(purposes=("health",), min_age=100), person()) == Refused("too_young", 0, 0), "asked for in vain"


def test_an_organisation_has_neither_age_nor_guardian_and_may_be_in_two_places() -> None:
    elsewhere = slot()
    committee = person(kind="organisation", born=None, level=3, places=[place_in(elsewhere)])
    assert answer(slot(min_age=60, needs_guardian=True), committee) == Granted()


def test_nobody_gets_the_same_slot_twice() -> None:
    one = slot(is_exclusive=False)
    assert code(answer(one, person(places=[place_in(one)]))) == "already_yours"


def test_of_a_stock_the_same_person_may_have_again() -> None:
    dish = slot(is_exclusive=False, is_counted=False)
    assert answer(dish, person(places=[place_in(dish)])) == Granted()


def test_nobody_is_in_two_places_at_once() -> None:
    has = person(places=[place_in(slot(10))])
    inside, across, around = slot(10.25, hours=0.5), slot(10.5), slot(9, hours=3)
    assert [code(answer(one, has)) for one in (inside, across, around)] == ["overlaps"] * 3


def test_back_to_back_slots_do_not_overlap() -> None:
    has = person(places=[place_in(slot(10))])
    assert answer(slot(11), has) == Granted()
    assert answer(slot(9), has) == Granted()


def test_a_dish_beside_a_lunch_window_is_no_second_place() -> None:
    has = person(places=[place_in(slot(10))])
    assert answer(slot(10, is_exclusive=False), has) == Granted()
    assert answer(slot(10), person(places=[place_in(slot(10, is_exclusive=False))])) == Granted()


def test_a_limit_per_day_counts_this_place_on_this_day() -> None:
    limits = Limits(per_day=1)
    has = person(places=[place_in(slot(8))])
    assert code(answer(slot(10, limits=limits), has)) == "limit_reached"
    assert answer(slot(10, day=DAY + timedelta(days=1), limits=limits), has) == Granted()
    assert answer(slot(10, place_id=uuid.uuid4(), limits=limits), has) == Granted()


def test_a_limit_per_week_runs_from_monday_to_sunday() -> None:
    monday, sunday = date(2026, 3, 2), date(2026, 3, 8)
    has = person(places=[place_in(slot(day=sunday))])
    week = Limits(per_week=1)
    assert code(answer(slot(day=monday, limits=week), has)) == "limit_reached"
    assert answer(slot(day=sunday + timedelta(days=1), limits=week), has) == Granted()
    assert answer(slot(day=monday - timedelta(days=1), limits=week), has, now=NOW - timedelta(days=2)) == Granted()


def test_a_limit_at_once_counts_only_what_is_not_over() -> None:
    limits = Limits(at_once=1)
    earlier = place_in(slot(8))
    assert code(answer(slot(limits=limits), person(places=[earlier]), now=earlier.ends_at - timedelta(seconds=1))) == (
        "limit_reached"
    )
    assert answer(slot(limits=limits), person(places=[earlier]), now=earlier.ends_at) == Granted()


def test_a_household_shares_its_limit_also_within_one_list() -> None:
    one, two = slot(10, limits=Limits(household_per_day=2)), slot(12, limits=Limits(household_per_day=2))
    people = [person(no, household_no=7) for no in (1, 2, 3)]
    asks = [ask(one, 1), ask(two, 2), ask(two, 3)]
    assert codes(decided(asks, [one, two], people)) == ["granted", "granted", "limit_reached"]
    assert code(answer(one, people[0], households={(7, CENTRE, DAY): 2})) == "limit_reached"
    assert answer(one, people[0], households={(7, CENTRE, DAY - timedelta(days=1)): 2}) == Granted()


def test_a_household_that_asks_together_counts_everybody_it_asks_for() -> None:
    one = slot(limits=Limits(household_per_day=2))
    people = [person(no, household_no=7) for no in (1, 2, 3)]
    assert decided([ask(one, 1, 2, 3)], [one], people) == [Refused("limit_reached", 2, 0)]
    assert decided([ask(one, 1, 2)], [one], people) == [Granted()]


# ---------------------------------------------------------------- room


def test_the_last_place_goes_to_the_first_who_asks() -> None:
    one = slot(capacity=1)
    assert codes(decided([ask(one, 1), ask(one, 2)], [one], [person(1), person(2)])) == ["granted", "held"]


def test_full_says_full_and_held_says_until_when_a_place_may_come_free() -> None:
    until = NOW + timedelta(seconds=30)
    assert answer(slot(capacity=1, taken=1), person()) == Refused("full", slot=0)
    assert answer(slot(capacity=1, taken=1, held_until=until), person()) == Refused("held", slot=0, until=until)


def test_guests_take_places_too() -> None:
    one = slot(capacity=5)
    people = [person(no) for no in (1, 2, 3)]
    asks = [ask(one, 1, units=3), ask(one, 2, units=3), ask(one, 3, units=2)]
    assert codes(decided(asks, [one], people)) == ["granted", "held", "granted"]


def test_a_family_gets_all_its_places_or_none() -> None:
    one = slot(capacity=4)
    people = [person(no) for no in range(1, 8)]
    asks = [ask(one, 1, 2, 3), ask(one, 4, 5), ask(one, 6)]
    assert codes(decided(asks, [one], people)) == ["granted", "held", "granted"]


def test_a_family_is_refused_for_the_one_who_may_not_and_hears_who_it_was() -> None:
    one = slot(min_age=18)
    people = [person(1), person(2, born=date(2015, 1, 1))]
    assert decided([ask(one, 1, 2)], [one], people) == [Refused("too_young", 1, 0)]


def test_a_course_is_given_with_all_its_evenings_or_not_at_all() -> None:
    evenings = [slot(19, day=DAY + timedelta(days=7 * n), capacity=1) for n in range(3)]
    spoilt = [*evenings[:2], evenings[2]._replace(taken=1)]
    asks = [ask(spoilt, 1), ask(spoilt[0], 2)]
    decisions = decided(asks, spoilt, [person(1), person(2)])
    assert decisions == [Refused("full", slot=2), Granted()], "what could not be had whole takes nothing from others"


def test_overlapping_slots_in_one_ask_are_refused() -> None:
    one, two = slot(10), slot(10.5)
    assert decided([ask([one, two], 1)], [one, two], [person()]) == [Refused("overlaps", 0, 1)]


def test_the_same_person_twice_in_one_list_gets_one_of_two_overlapping_places() -> None:
    one, two, three = slot(10), slot(10.5), slot(11.5)
    asks = [ask(one, 1), ask(two, 1), ask(one, 1), ask(three, 1)]
    assert codes(decided(asks, [one, two, three], [person()])) == ["granted", "overlaps", "already_yours", "granted"]


def test_the_same_person_named_twice_in_one_ask_is_refused() -> None:
    one = slot()
    assert decided([ask(one, 1, 1)], [one], [person()]) == [Refused("already_yours", 1, 0)]


def test_nobody_acts_for_a_stranger_or_for_nobody() -> None:
    one = slot()
    people = [person(1), person(2)]
    assert decided([ask(one, 1, 2, may=frozenset({1}))], [one], people) == [Refused("not_yours", person=1)]
    assert decided([ask(one, 9)], [one], people) == [Refused("not_yours", person=0)]


def test_an_unknown_slot_and_one_of_another_service_look_the_same() -> None:
    one, other = slot(), slot(service="events")
    assert decided([ask(one, 1)], [], [person()]) == [Refused("not_there", slot=0)]
    assert decided([ask(other, 1)], [other], [person()]) == [Refused("not_there", slot=0)]


def test_places_kept_for_the_desk_are_the_desks_until_their_time() -> None:
    until = NOW + timedelta(hours=1)
    one = slot(capacity=3, offline_share=2, offline_until=until)
    assert (free(one, NOW), free(one, NOW, "desk"), free(one, until)) == (1, 3, 3)
    people = [person(no) for no in (1, 2, 3, 4)]
    asks = [ask(one, 1), ask(one, 2), ask(one, 3, channel="desk"), ask(one, 4, channel="phone")]
    assert codes(decided(asks, [one], people)) == ["granted", "held", "granted", "granted"]
    assert codes(decided(asks, [one], people, now=until)) == ["granted", "granted", "granted", "held"]


def test_what_the_desk_has_used_of_its_share_is_not_kept_twice() -> None:
    until = NOW + timedelta(hours=1)
    assert free(slot(capacity=5, taken=2, taken_offline=2, offline_share=2, offline_until=until), NOW) == 3
    assert free(slot(capacity=5, taken=3, taken_offline=3, offline_share=2, offline_until=until), NOW) == 2
    assert free(slot(capacity=5, taken=1, taken_offline=1, offline_share=2, offline_until=until), NOW) == 3
    assert free(slot(capacity=1, offline_share=2, offline_until=until), NOW) == 0, "never less than nothing"


def test_a_share_without_an_end_is_no_share() -> None:
    assert free(slot(capacity=3, offline_share=2, offline_until=None), NOW) == 3


# ---------------------------------------------------------------- waiting


def test_whoever_would_rather_wait_stands_on_the_lists_of_the_full_slots_only() -> None:
    full, roomy = slot(10, capacity=1, taken=1), slot(12)
    assert decided([ask([full, roomy], 1, waits=True)], [full, roomy], [person()]) == [Waiting((full.id,))]


def test_while_somebody_waits_newcomers_see_full_even_when_a_place_is_free() -> None:
    one = slot(capacity=2, taken=1, waiting=1)
    assert answer(one, person()) == Refused("full", slot=0)
    assert answer(one, person(), waits=True) == Waiting((one.id,))
    assert verdict(one, person(), NOW) == rules.No("full")


def test_somebody_who_began_to_wait_in_this_very_list_comes_before_whoever_asks_later() -> None:
    one = slot(capacity=1)
    people = [person(no) for no in (1, 2, 3, 4)]
    asks = [ask(one, 1, 2, waits=True), ask(one, 1, waits=True), ask(one, 2), ask(one, 3)]
    two = slot(12, capacity=2, taken=1)
    lists = [ask(two, 1, 2, waits=True), ask(two, 3), ask(two, 1)]
    assert codes(decided(asks, [one], people)) == ["not_waitable", "granted", "held", "held"]
    assert codes(decided(lists, [two], people)) == ["waiting", "full", "already_waiting"]


def test_those_who_wait_are_served_in_the_order_in_which_they_are_asked() -> None:
    one = slot(capacity=3, taken=2, waiting=3)
    people = [person(no) for no in (1, 2, 3, 4)]
    serving = {"serving": True, "waits": True, "ranked": frozenset({one.id})}
    asks = [ask(one, 1, 2, **serving), ask(one, 3, **serving), ask(one, 4, **serving)]
    # The family of two cannot have its places now; it keeps its rank, and nobody stands still behind it.
    assert codes(decided(asks, [one], people)) == ["waiting", "granted", "waiting"]


def test_whoever_waits_already_is_not_put_on_the_list_twice() -> None:
    one = slot(capacity=1, taken=1, waiting=1)
    assert code(answer(one, person(waits=frozenset({one.id})), waits=True)) == "already_waiting"
    assert code(answer(one, person(waits=frozenset({one.id})))) == "already_waiting"


def test_no_list_is_kept_where_waiting_is_not_meant_or_could_never_end() -> None:
    assert code(answer(slot(capacity=1, taken=1, is_waitable=False), person(), waits=True)) == "not_waitable"
    assert code(answer(slot(capacity=2, taken=1), person(), waits=True, units=3)) == "not_waitable"


def test_waiting_does_not_help_whoever_may_not_have_the_place_anyway() -> None:
    assert code(answer(slot(capacity=1, taken=1, min_age=60), person(), waits=True)) == "too_young"


# ---------------------------------------------------------------- keys


def test_the_same_key_twice_in_one_list_is_one_ask() -> None:
    one, full = slot(), slot(12, capacity=1, taken=1)
    people = [person(1), person(2)]
    twice = [ask(one, 1, key="k"), ask(one, 1, key="k")]
    assert decided(twice, [one], people) == [Granted(), Refused("in_flight")]
    waits = [ask(full, 1, key="k", waits=True), ask(full, 1, key="k", waits=True)]
    assert decided(waits, [full], people) == [Waiting((full.id,)), Replayed(waits[0].group_id, "waiting")]
    refused = [ask(full, 1, key="k"), ask(full, 1, key="k")]
    assert codes(decided(refused, [full], people)) == ["full", "full"], "a refusal is not remembered"
    assert codes(decided([ask(one, 1, key="k"), ask(one, 2, key="k")], [one], people)) == ["granted", "granted"], (
        "a key is its account's own"
    )


def test_the_same_key_with_another_body_is_refused_also_within_one_list() -> None:
    one = slot()
    asks = [ask(one, 1, key="k"), ask(one, 1, key="k", fingerprint=b"another body")]
    assert codes(decided(asks, [one], [person()])) == ["granted", "key_reused"]
    before = Previous(uuid.uuid4(), b"another body", "confirmed")
    assert code(answer(one, person(), previous=before)) == "key_reused"


@pytest.mark.parametrize(
    ("state", "means"),
    [
        ("held", "in_flight"),
        ("confirmed", "replayed"),
        ("waiting", "replayed"),
        ("left", "granted"),
        ("lapsed", "granted"),
        ("lost", "granted"),
    ],
)
def test_a_key_means_what_became_of_it(state: str, means: str) -> None:
    before = Previous(uuid.uuid4(), b"same body", state)
    decision = answer(slot(), person(), previous=before)
    assert code(decision) == means
    if isinstance(decision, Replayed):
        assert decision.group_id == before.group_id


def test_an_ask_off_the_list_is_decided_although_its_key_says_waiting() -> None:
    one = slot(capacity=2, taken=1, waiting=1)
    before = Previous(uuid.uuid4(), b"same body", "waiting")
    serving = {"serving": True, "waits": True, "ranked": frozenset({one.id}), "previous": before}
    assert answer(one, person(), **serving) == Granted()
    assert answer(one, person(), **serving | {"previous": replace(before, state="confirmed")}) == Replayed(
        before.group_id, "confirmed"
    )


# ---------------------------------------------------------------- what holds for every list of asks


@st.composite
def towns(draw: st.DrawFn, *, most_asks: int = 12) -> tuple[list[Ask], dict[uuid.UUID, Slot], dict[int, Holder]]:
    """A few slots, a few people with or without places, and asks of all kinds in some order.

    Hypothesis draws (and shrinks) how many of each there are; the rest is drawn from a seed of its own, which is fifty
    times faster than a choice of Hypothesis for every fact.
    """
    numbers = draw(st.integers(1, 4)), draw(st.integers(1, 6)), draw(st.integers(1, most_asks))
    luck = random.Random(draw(st.integers(0, 2**32)))
    slots = [_some_slot(luck, n) for n in range(numbers[0])]
    people = {no: _some_person(luck, no, slots) for no in range(1, numbers[1] + 1)}
    return [_some_ask(luck, n, slots, people) for n in range(numbers[2])], {one.id: one for one in slots}, people


def _some_slot(luck: random.Random, n: int) -> Slot:
    capacity = luck.randint(0, 4)
    taken = luck.randint(0, capacity)
    return slot(
        luck.choice([8, 9, 9.5, 10, 11]),
        hours=luck.choice([1, 1, 0.5, 3]),
        place_id=luck.choice([CENTRE, CENTRE, uuid.UUID(int=2000)]),
        id=uuid.UUID(int=1000 + n),
        capacity=capacity,
        taken=taken,
        taken_offline=luck.randint(0, taken),
        offline_share=luck.choice([0, 0, 1, 2]),
        offline_until=luck.choice([None, NOW, NOW + timedelta(hours=1)]),
        waiting=luck.choice([0, 0, 0, 1]),
        min_age=luck.choice([None, None, 30]),
        needs_guardian=luck.choice([False, False, True]),
        is_exclusive=luck.choice([True, True, False]),
        is_waitable=luck.random() < 0.5,
        state=luck.choice(["open", "open", "open", "closed"]),
        opens_at=luck.choice([None, None, NOW + timedelta(hours=1)]),
        limits=luck.choice(
            [Limits(), Limits(per_day=1), Limits(at_once=1), Limits(at_once=2), Limits(household_per_day=2)]
        ),
    )


def _some_person(luck: random.Random, no: int, slots: list[Slot]) -> Holder:
    has = luck.choice(slots)
    elsewhere = slot(luck.choice([8, 9, 9.5, 10, 11]), hours=luck.choice([0.5, 1]), place_id=uuid.UUID(int=2001))
    return person(
        no,
        born=date(luck.choice([1960, 1990, 2010]), 1, 1),
        household_no=luck.choice([None, 1]),
        places=[
            *([place_in(has)] if has.taken and luck.random() < 0.5 else []),
            *([place_in(elsewhere)] if luck.random() < 0.2 else []),
        ],
        waits=frozenset(one.id for one in slots if one.waiting and luck.random() < 0.2),
    )


def _some_ask(luck: random.Random, n: int, slots: list[Slot], people: dict[int, Holder]) -> Ask:
    holders = luck.choices(sorted(people), k=luck.choice([1, 1, 1, 2, 3]))
    return ask(
        luck.sample(slots, luck.randint(1, min(2, len(slots)))),
        *holders,
        group_id=uuid.UUID(int=n),
        key=luck.choice(["a", f"k{n}", f"k{n}", f"k{n}"]),
        fingerprint=luck.choice([b"x", b"x", b"y"]),
        units=luck.choice([1, 1, 1, 2]),
        waits=luck.random() < 0.5,
        channel=luck.choice(["app", "app", "desk", "phone"]),
        guards=frozenset(holders[1:]),
    )


def counted(people: Mapping[int, Holder]) -> Counter[tuple[int, uuid.UUID, date]]:
    return Counter(
        (one.household_no, place.place_id, place.day)
        for one in people.values()
        if one.household_no is not None
        for place in one.places
    )


Town = tuple[list[Ask], dict[uuid.UUID, Slot], dict[int, Holder]]
FAST = settings(max_examples=150, deadline=None, derandomize=True, database=None)


def run(town: Town, asks: Sequence[Ask] | None = None) -> list[Decision]:
    return decide(town[0] if asks is None else asks, town[1], town[2], counted(town[2]), NOW)


def granted(town: Town, decisions: Sequence[Decision]) -> list[Ask]:
    return [one for one, decision in zip(town[0], decisions, strict=True) if isinstance(decision, Granted)]


@FAST
@given(towns())
def test_never_more_is_taken_than_there_is(town: Town) -> None:
    taken: Counter[uuid.UUID] = Counter()
    online: Counter[uuid.UUID] = Counter()
    for one in granted(town, run(town)):
        for take in one.takes:
            taken[take.slot_id] += take.units * len(one.holders)
            online[take.slot_id] += take.units * len(one.holders) * (one.channel == "app")
    for slot_id, units in taken.items():
        one = town[1][slot_id]
        assert one.taken + units <= one.capacity
        if online[slot_id] and one.offline_until is not None and one.offline_until > NOW:
            offline = one.taken_offline + units - online[slot_id]
            assert one.taken + units + max(0, one.offline_share - offline) <= one.capacity


@FAST
@given(towns())
def test_a_refused_ask_changes_nothing_for_those_after_it(town: Town) -> None:
    decisions = run(town)
    kept = [(one, d) for one, d in zip(town[0], decisions, strict=True) if not isinstance(d, Refused | Replayed)]
    assert run(town, [one for one, _ in kept]) == [d for _, d in kept]


@FAST
@given(towns())
def test_whoever_comes_later_changes_nothing_for_those_before(town: Town) -> None:
    decisions = run(town)
    for n in range(len(decisions)):
        assert run(town, town[0][: n + 1]) == decisions[: n + 1]


@FAST
@given(towns())
def test_a_list_decides_as_its_asks_would_one_after_the_other(town: Town) -> None:
    """Splitting a list in two transactions, with the ledger written in between, comes to the same."""
    asks, slots, people = town
    asks = [one._replace(key=f"k{n}") for n, one in enumerate(asks)]
    slots, people, apart = dict(slots), dict(people), []
    for one in asks:
        (decision,) = decide([one], slots, people, counted(people), NOW)
        apart.append(decision)
        if isinstance(decision, Granted):
            for take in one.takes:
                s = slots[take.slot_id]
                units = take.units * len(one.holders)
                offline = units * (one.channel in rules.OFFLINE)
                slots[s.id] = s._replace(taken=s.taken + units, taken_offline=s.taken_offline + offline)
                for no in one.holders:
                    people[no] = people[no]._replace(places=[*people[no].places, place_in(s)])
        elif isinstance(decision, Waiting):
            for slot_id in decision.slots:
                slots[slot_id] = slots[slot_id]._replace(waiting=slots[slot_id].waiting + 1)
                for no in one.holders:
                    people[no] = people[no]._replace(waits=people[no].waits | {slot_id})
    together = decide(asks, town[1], town[2], counted(town[2]), NOW)
    same = {"held": "full"}  # whether a full slot says "held" depends on holds, which a plain count does not show
    assert [same.get(c, c) for c in codes(together)] == [same.get(c, c) for c in codes(apart)]


@FAST
@given(towns())
def test_nobody_is_given_two_exclusive_places_at_once_nor_one_slot_twice(town: Town) -> None:
    has: dict[int, list[Place]] = {no: list(one.places) for no, one in town[2].items()}
    for one in granted(town, run(town)):
        for take in one.takes:
            new = place_in(town[1][take.slot_id])
            for no in one.holders:
                for old in has[no]:
                    assert old.slot_id != new.slot_id
                    if old.is_exclusive and new.is_exclusive:
                        assert old.ends_at <= new.starts_at or new.ends_at <= old.starts_at
                has[no].append(new)


@FAST
@given(towns())
def test_nobody_is_given_what_is_not_for_them(town: Town) -> None:
    for one in granted(town, run(town)):
        for take in one.takes:
            for no in one.holders:
                holder, s = town[2][no], town[1][take.slot_id]
                assert eligible(s._replace(limits=Limits()), holder, NOW, guarded=no in one.guards) is None
                assert s.id not in holder.waits
                assert not s.waiting


@FAST
@given(towns(most_asks=6))
def test_deciding_is_repeatable_and_touches_nothing_it_was_given(town: Town) -> None:
    before = copy.deepcopy(town)
    first = run(town)
    assert run(town) == first
    assert town == before


def on_the_screen(town: Town, holders: Sequence[int], guards: frozenset[int]) -> dict[uuid.UUID, str]:
    """What the screen tells these people of every slot, as `decide` would say it."""
    people = town[2]
    slots = sorted(town[1].values(), key=lambda one: one.starts_at)
    page = availability.Page([], slots, NOW, more=False)
    seen = availability.Seen(page, tuple(people[no] for no in holders), NOW, counted(people))
    shown = availability.reasons(seen, guards)
    by_id = {slot.id: no.code if no else "granted" for slot, no in zip(slots, shown, strict=True)}
    return {slot_id: by_id[slot_id] for slot_id in town[1]}


@FAST
@given(towns(most_asks=1))
def test_the_screen_promises_exactly_what_booking_gives(town: Town) -> None:
    """`verdict`, the screen's own reasons and `decide` agree on one person and one slot, whatever the facts."""
    (one,), slots, people = town
    households = counted(people)
    for who in people.values():
        shown = on_the_screen(town, [who.no], one.guards)
        for s in slots.values():
            (decision,) = run(town, [ask(s, who.no, guards=one.guards)])
            guarded = who.no in one.guards
            count = households[who.household_no, s.place_id, s.day] if who.household_no is not None else 0
            promised = verdict(s, who, NOW, guarded=guarded, household=count)
            assert code(decision) == shown[s.id]
            assert (decision == Granted()) == (promised is None)
            if code(decision) != "already_waiting":  # of a person's waiting, `verdict` knows only that the slot is full
                assert code(decision) == (promised.code if promised else "granted")


@FAST
@given(towns(most_asks=1))
def test_the_screen_speaks_for_a_family_as_booking_decides_for_it(town: Town) -> None:
    (one,), slots, _ = town
    holders = tuple(dict.fromkeys(one.holders))
    shown = on_the_screen(town, holders, one.guards)
    decisions = [run(town, [ask(s, *holders, guards=one.guards)])[0] for s in slots.values()]
    assert codes(decisions) == list(shown.values())
