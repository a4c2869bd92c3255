"""What a meal costs, who can eat what, which way a courier goes: rules alone, over anything that may come."""

from __future__ import annotations

import uuid
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.elder_meals import rules
from services.elder_meals.rules import Dish, Door, Needs, Pricing, Rung, Tier, Wish

FEN = st.integers(0, 100_000)
TIERS = st.lists(
    st.one_of(
        st.builds(Tier, st.sampled_from(range(60, 105, 5)), st.integers(0, 100), st.none()),
        st.builds(Tier, st.sampled_from(range(60, 105, 5)), st.none(), FEN),
    ),
    max_size=6,
    unique_by=lambda one: one.from_age,
).map(tuple)
PRICINGS = st.builds(
    Pricing, TIERS, st.one_of(st.none(), FEN), st.one_of(st.none(), st.just(("330424",)), st.just(("3304", "33")))
)
WISHES = st.lists(st.builds(Wish, st.integers(1, 10), FEN), min_size=1, max_size=10)
BANDS = st.one_of(st.none(), st.sampled_from(range(0, 120, 5)))
AREAS = st.sampled_from(["330424101003", "330411004010", "440100000001"])


@given(WISHES, BANDS, AREAS, PRICINGS)
def test_every_sum_is_exact_and_nobody_is_paid_more_than_a_portion_costs(
    wishes: list[Wish], band: int | None, community: str, pricing: Pricing
) -> None:
    lines = rules.priced(wishes, band, community, pricing)
    assert len(lines) == len(wishes)
    for wish, line in zip(wishes, lines, strict=True):
        assert line.price_fen == wish.portions * wish.price_fen
        assert line.pay_fen == line.price_fen - line.subsidy_fen
        assert 0 <= line.subsidy_fen <= wish.price_fen, "never more than one portion of it"
        assert line.why["code"] in {
            "tier",
            "one_portion_per_meal",
            "no_subsidy",
            "age_unknown",
            "not_resident",
            "below_age",
        }
        if pricing.cap_fen is not None:
            assert line.subsidy_fen <= pricing.cap_fen


@given(WISHES, BANDS, AREAS, PRICINGS)
def test_at_most_one_portion_of_a_meal_is_subsidised(
    wishes: list[Wish], band: int | None, community: str, pricing: Pricing
) -> None:
    lines = rules.priced(wishes, band, community, pricing)
    assert sum(line.subsidy_fen > 0 for line in lines) <= 1
    assert sum(line.why["code"] == "tier" for line in lines) <= 1


@given(WISHES, st.sampled_from(range(60, 120, 5)), PRICINGS)
def test_the_order_of_lines_changes_nothing_of_what_is_paid(wishes: list[Wish], band: int, pricing: Pricing) -> None:
    one, other = (rules.priced(told, band, "330424101003", pricing) for told in (wishes, wishes[::-1]))
    assert sum(line.pay_fen for line in one) == sum(line.pay_fen for line in other)


@pytest.mark.parametrize(
    ("band", "subsidy", "code"),
    [
        (None, 0, "age_unknown"),
        (55, 0, "below_age"),
        (60, 180, "tier"),
        (65, 180, "tier"),
        (80, 360, "tier"),
        (95, 600, "tier"),
    ],
)
def test_tiers_by_age_as_a_real_street_has_them(band: int | None, subsidy: int, code: str) -> None:
    tiers = tuple(Tier(age, percent) for age, percent in ((60, 15), (70, 20), (80, 30), (90, 50)))
    (line,) = rules.priced([Wish(1, 1200)], band, "330424101003", Pricing(tiers))
    assert (line.subsidy_fen, line.why["code"]) == (subsidy, code)


def test_a_part_of_a_fen_is_not_paid_and_a_cap_holds() -> None:
    assert rules.subsidy_of(999, Tier(60, 15), None) == 149
    assert rules.subsidy_of(999, Tier(60, 15), 100) == 100
    assert rules.subsidy_of(300, Tier(60, None, 500), None) == 300


def test_the_dearest_portion_is_the_one_that_is_subsidised() -> None:
    lines = rules.priced([Wish(2, 300), Wish(1, 1000), Wish(3, 900)], 80, "33", Pricing((Tier(80, 30),)))
    assert [line.subsidy_fen for line in lines] == [0, 300, 0]
    assert [line.pay_fen for line in lines] == [600, 700, 2700]


def test_money_for_residents_is_for_residents() -> None:
    pricing = Pricing((Tier(60, 50),), regions=("330424101",))
    assert rules.priced([Wish(1, 1000)], 80, "330424101003", pricing)[0].subsidy_fen == 500
    assert rules.priced([Wish(1, 1000)], 80, "330411105003", pricing)[0].why["code"] == "not_resident"


SETS = st.frozensets(st.sampled_from(rules.ALLERGENS))
DIETS = st.frozensets(st.sampled_from(rules.DIETS))
TEXTURES = st.sampled_from(rules.TEXTURES)


@given(SETS, DIETS, TEXTURES, SETS, DIETS, TEXTURES)
def test_no_dish_that_conflicts_is_ever_called_suitable(
    has: frozenset[str], marked: frozenset[str], texture: str, not_: frozenset[str], wants: frozenset[str], can: str
) -> None:
    dish = Dish(uuid.uuid4(), "x", 100, has, marked, texture)
    found = rules.conflicts(dish, Needs(wants, not_, can))
    suits = not (has & not_) and wants <= marked and rules.TEXTURES.index(texture) >= rules.TEXTURES.index(can)
    assert (found == []) == suits
    assert len(found) == len(set(found))


def test_the_dish_of_the_day_is_the_first_that_suits() -> None:
    menu = [Dish(uuid.uuid4(), "鱼", 1, frozenset({"fish"})), Dish(uuid.uuid4(), "肉", 1), Dish(uuid.uuid4(), "菜", 1)]
    assert rules.dish_of_the_day(menu, Needs(allergens=frozenset({"fish"}))) == menu[1]
    assert rules.dish_of_the_day(menu, Needs(diets=frozenset({"halal"}))) is None


DOORS = st.lists(
    st.builds(
        Door,
        st.uuids(),
        st.sampled_from(["330424101003", "330424101003-01", "330424101003-02"]),
        st.text(max_size=12),
        st.one_of(st.none(), st.tuples(st.floats(30, 31), st.floats(120, 121))),
    ),
    max_size=20,
    unique_by=lambda one: one.key,
)


@given(DOORS, st.one_of(st.none(), st.just((30.58, 120.82))), st.integers(1, 6))
def test_a_round_visits_every_door_once_and_no_courier_walks_twice_as_far(
    doors: list[Door], start: tuple[float, float] | None, couriers: int
) -> None:
    way = rules.tour(doors, start)
    assert sorted(one.key for one in way) == sorted(one.key for one in doors)
    regions = [one.region for one in way]
    assert len(set(regions)) == sum(1 for n, one in enumerate(regions) if n == 0 or regions[n - 1] != one)
    pieces = rules.shares(way, couriers)
    assert [one for piece in pieces for one in piece] == way
    assert len(pieces) <= couriers
    assert max(map(len, pieces)) - min(map(len, pieces)) <= 1


def test_number_nine_comes_before_number_ten() -> None:
    doors = [Door(uuid.uuid4(), "33", f"健康路{n}号", None) for n in (10, 9, 101, 1)]
    assert [one.address for one in rules.tour(doors, None)] == [f"健康路{n}号" for n in (1, 9, 10, 101)]


@given(st.one_of(st.none(), st.text(max_size=30)))
def test_a_masked_phone_never_shows_all_of_it(phone: str | None) -> None:
    told = rules.masked(phone)
    assert (told is None) == (phone is None)
    assert told is None or len([one for one in told if one != "*"]) <= 7
    assert rules.masked("15400000003") == "154****0003"


def test_the_ladder_ends() -> None:
    at = datetime(2026, 11, 22, 3, tzinfo=UTC)
    ladder = [Rung(0, "call"), Rung(15, "neighbour")]
    assert [rules.due(ladder, at, n) for n in range(3)] == [at, at + timedelta(minutes=15), None]


def test_a_rung_is_climbed_by_doing_what_it_asks_for() -> None:
    ladder = [Rung(0, "called"), Rung(5, "called"), Rung(15, "neighbour")]
    done = [[], ["called"], ["neighbour"], ["called", "called"], ["called", "neighbour", "called"], ["escalated"]]
    assert [rules.next_rung(ladder, 0, one) for one in done] == [0, 1, 0, 2, 3, 0]
    assert [rules.next_rung(ladder, 2, one) for one in done] == [2, 2, 3, 2, 3, 2], "what was told is not told again"


def test_standing_days_are_the_weekdays_between_begin_and_end() -> None:
    days = rules.meal_days(date(2026, 11, 22), 8, {0, 6}, date(2026, 11, 23), date(2026, 11, 28))
    assert days == [date(2026, 11, 23)]
    assert len(rules.meal_days(date(2026, 11, 22), 8, {0, 6}, date(2026, 1, 1), None)) == 3
