"""The decisions of children's rooms, without a room."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from services.childcare import rules
from services.childcare.rules import Adult, Entry, Room, Terms

NOON = datetime(2026, 11, 24, 4, tzinfo=UTC)
HOUR = timedelta(hours=1)
RATIO = Terms(children_per_carer=8, accompanied_per_carer=16, most_children=20)

ratios = st.builds(
    Terms,
    children_per_carer=st.integers(1, 12),
    accompanied_per_carer=st.none() | st.integers(1, 24),
    most_children=st.integers(0, 40),
)


@st.composite
def rooms(draw: st.DrawFn) -> Room:
    children = draw(st.integers(0, 40))
    return Room(children, draw(st.integers(0, children)), draw(st.integers(0, 6)))


# ---------------------------------------------------------------- how many a room can watch over


@pytest.mark.parametrize(
    ("room", "needed"),
    [
        (Room(0, 0), 0),
        (Room(1, 0), 1),
        (Room(8, 0), 1),
        (Room(9, 0), 2),
        (Room(16, 16), 1),
        (Room(17, 17), 2),
        (Room(12, 8), 1),  # four alone are half a carer, eight with a guardian the other half
        (Room(13, 8), 2),
    ],
)
def test_so_many_carers_are_needed(room: Room, needed: int) -> None:
    assert rules.carers_needed(room, RATIO) == needed


def test_who_is_with_a_guardian_may_need_no_carer_of_their_own() -> None:
    assert rules.carers_needed(Room(20, 20), Terms(3, None, 20)) == 1
    assert rules.carers_needed(Room(20, 17), Terms(3, None, 20)) == 1
    assert rules.carers_needed(Room(20, 16), Terms(3, None, 20)) == 2


@given(room=rooms(), ratio=ratios, accompanied=st.booleans())
def test_a_child_more_never_needs_fewer_carers(room: Room, ratio: Terms, *, accompanied: bool) -> None:
    assert rules.carers_needed(rules.entered(room, accompanied=accompanied), ratio) >= rules.carers_needed(room, ratio)


@given(rooms(), ratios)
def test_a_guardian_who_stays_never_makes_it_harder_to_come_in_where_that_counts_less(room: Room, ratio: Terms) -> None:
    if ratio.accompanied_per_carer is not None and ratio.accompanied_per_carer < ratio.children_per_carer:
        return
    if rules.no_entry(room, ratio, accompanied=False) is None:
        assert rules.no_entry(room, ratio, accompanied=True) is None


@given(rooms(), ratios)
def test_as_many_come_in_as_the_room_says(room: Room, ratio: Terms) -> None:
    for _ in range(rules.children_left(room, ratio)):
        assert rules.no_entry(room, ratio, accompanied=False) is None
        room = rules.entered(room, accompanied=False)
    assert rules.no_entry(room, ratio, accompanied=False) is not None


class Doors(RuleBasedStateMachine):
    """Children and carers come and go; the room's three numbers are compared with who is there by name."""

    def __init__(self) -> None:
        super().__init__()
        self.room = Room()
        self.inside: list[bool] = []
        self.came = self.went = 0

    @rule(accompanied=st.booleans())
    def somebody_brings_a_child(self, *, accompanied: bool) -> None:
        if rules.no_entry(self.room, RATIO, accompanied=accompanied) is None:
            self.room = rules.entered(self.room, accompanied=accompanied)
            self.inside.append(accompanied)
            self.came += 1

    @precondition(lambda self: self.inside)
    @rule(n=st.integers(0, 100))
    def somebody_collects_a_child(self, n: int) -> None:
        accompanied = self.inside.pop(n % len(self.inside))
        self.room = rules.left(self.room, accompanied=accompanied)
        self.went += 1

    @rule()
    def a_carer_comes(self) -> None:
        if self.room.carers < 4:
            self.room = rules.with_carers(self.room, 1)

    @precondition(lambda self: self.room.carers)
    @rule()
    def a_carer_wants_to_go(self) -> None:
        if rules.no_leave_for_carer(self.room) is None:
            self.room = rules.with_carers(self.room, -1)

    @invariant()
    def whoever_came_and_did_not_leave_is_inside(self) -> None:
        assert self.room.children == len(self.inside) == self.came - self.went
        assert self.room.accompanied == sum(self.inside)

    @invariant()
    def the_room_is_never_too_full_and_never_without_a_carer(self) -> None:
        assert 0 <= self.room.children <= RATIO.most_children
        assert self.room.carers or not self.room.children


TestDoors = Doors.TestCase


# ---------------------------------------------------------------- when


@pytest.mark.parametrize(
    ("minutes", "code"), [(-16, "too_early"), (-15, None), (0, None), (60, None), (61, "outside_session")]
)
def test_a_child_is_signed_in_from_a_quarter_of_an_hour_before_to_the_end(minutes: int, code: str | None) -> None:
    assert rules.no_time(NOON + timedelta(minutes=minutes), NOON, NOON + HOUR, 15) == code


def test_a_record_is_read_from_an_hour_before_to_an_hour_after() -> None:
    visits = [(NOON, NOON + HOUR)]
    assert rules.may_read(NOON - HOUR, visits)
    assert rules.may_read(NOON + 2 * HOUR, visits)
    assert not rules.may_read(NOON - HOUR - timedelta(seconds=1), visits)
    assert not rules.may_read(NOON + 2 * HOUR + timedelta(seconds=1), visits)
    assert not rules.may_read(NOON, [])


def test_what_comes_more_than_five_minutes_after_it_happened_is_late() -> None:
    assert rules.is_told_late(NOON - timedelta(minutes=6), NOON)
    assert not rules.is_told_late(NOON - timedelta(minutes=4), NOON)


@pytest.mark.parametrize(
    ("mode", "stays", "may"),
    [
        ("either", True, True),
        ("either", False, True),
        ("stay", True, True),
        ("stay", False, False),
        ("drop_off", True, False),
        ("drop_off", False, True),
    ],
)
def test_a_visit_suits_the_room_or_not(mode: str, *, stays: bool, may: bool) -> None:
    assert rules.suits(mode, stays=stays) is may


def test_each_step_for_a_late_child_is_due_once() -> None:
    steps = [10, 30, 60]
    assert rules.steps_due(NOON, steps, 0, NOON + timedelta(minutes=9)) == []
    assert rules.steps_due(NOON, steps, 0, NOON + timedelta(minutes=10)) == [1]
    assert rules.steps_due(NOON, steps, 1, NOON + timedelta(minutes=29)) == []
    assert rules.steps_due(NOON, steps, 1, NOON + timedelta(minutes=90)) == [2, 3]
    assert rules.steps_due(NOON, steps, 3, NOON + timedelta(days=1)) == []


# ---------------------------------------------------------------- with whom a child goes home

GRANDMOTHER, UNCLE, MOTHER = uuid.uuid4(), uuid.uuid4(), uuid.uuid4()
ALLOWED = Entry(uuid.uuid4(), "allowed", GRANDMOTHER)
ONCE = Entry(uuid.uuid4(), "once", name="刘 大姐", phone_last4="1234", starts_at=NOON - HOUR, ends_at=NOON + HOUR)


def never(**more: object) -> Entry:
    return Entry(uuid.uuid4(), "never", **more)  # type: ignore[arg-type]


def test_a_guardian_an_allowed_one_and_a_code_may_collect() -> None:
    assert rules.no_hand_over(Adult(MOTHER, "母亲", is_guardian=True), [], NOON) is None
    assert rules.no_hand_over(Adult(GRANDMOTHER), [ALLOWED], NOON) is None
    assert rules.no_hand_over(Adult(None, "刘大姐", entry=ONCE), [ONCE], NOON) is None


def test_nobody_else_may() -> None:
    assert rules.no_hand_over(Adult(UNCLE), [ALLOWED, ONCE], NOON) == "collector_unknown"
    assert rules.no_hand_over(Adult(), [ALLOWED], NOON) == "collector_unknown"
    named = Entry(uuid.uuid4(), "allowed", None, "某人")
    assert rules.no_hand_over(Adult(None), [named], NOON) == "collector_unknown", "nobody is not everybody"
    assert rules.no_hand_over(Adult(None, "某人", entry=named), [named], NOON) is None


@pytest.mark.parametrize("after", [-HOUR - timedelta(seconds=1), HOUR])
def test_a_code_is_good_only_in_its_time(after: timedelta) -> None:
    assert rules.no_hand_over(Adult(entry=ONCE), [ONCE], NOON + after) == "collector_unknown"


def test_a_code_is_good_once() -> None:
    used = ONCE._replace(is_used=True)
    assert rules.no_hand_over(Adult(entry=used), [used], NOON) == "collector_used"


@pytest.mark.parametrize(
    "adult",
    [
        Adult(MOTHER, "母亲", is_guardian=True),
        Adult(GRANDMOTHER, "奶奶"),
        Adult(UNCLE, "舅舅", entry=ONCE._replace(person_id=UNCLE)),
    ],
)
def test_never_beats_everything_else_also_for_a_guardian(adult: Adult) -> None:
    assert rules.no_hand_over(adult, [ALLOWED, ONCE], NOON) is None
    assert rules.no_hand_over(adult, [ALLOWED, ONCE, never(person_id=adult.person_id)], NOON) == "collector_barred"


def test_a_forbidden_name_is_the_same_name_however_it_is_written() -> None:
    barred = [ONCE, never(name="刘大姐")]
    assert rules.no_hand_over(Adult(None, "刘 大姐", entry=ONCE), barred, NOON) == "collector_barred"
    assert rules.no_hand_over(Adult(UNCLE, " 刘大姐 "), [*barred, ALLOWED], NOON) == "collector_barred"


def test_digits_tell_namesakes_apart() -> None:
    other = [ONCE, never(name="刘大姐", phone_last4="9999")]
    assert rules.no_hand_over(Adult(None, "刘大姐", entry=ONCE), other, NOON) is None
    same = [ONCE, never(name="刘大姐", phone_last4="1234")]
    assert rules.no_hand_over(Adult(None, "刘大姐", entry=ONCE), same, NOON) == "collector_barred"


def test_who_is_forbidden_by_person_is_forbidden_by_name_too() -> None:
    """Another guardian cannot let them in by writing the name alone."""
    barred = [ONCE, never(person_id=UNCLE, person_name="刘大姐")]
    assert rules.no_hand_over(Adult(None, "刘 大姐", entry=ONCE), barred, NOON) == "collector_barred"
    nickname = [ONCE, never(person_id=UNCLE, person_name="刘芳", name="刘大姐")]
    assert rules.no_hand_over(Adult(None, "刘 大姐", entry=ONCE), nickname, NOON) == "collector_barred"
    known = ONCE._replace(name="阿姨", person_id=UNCLE, person_name="刘芳")
    assert (
        rules.no_hand_over(Adult(UNCLE, "刘芳", entry=known), [known, never(name="阿姨")], NOON) == "collector_barred"
    )
    assert rules.no_hand_over(Adult(GRANDMOTHER, "刘大姐"), [*barred, ALLOWED], NOON) is None, "another person"


@pytest.mark.parametrize("written", ["刘\u200b大姐", "刘\u2060大姐\ufeff", "\u202e刘大姐", "刘　大姐"])
def test_what_nobody_sees_makes_no_other_name(written: str) -> None:
    hidden = ONCE._replace(name=written)
    barred = [hidden, never(name="刘大姐")]
    assert rules.no_hand_over(Adult(None, written, entry=hidden), barred, NOON) == "collector_barred"
    wide = ONCE._replace(name="Ｌｉｕ")
    assert rules.no_hand_over(Adult(None, "Ｌｉｕ", entry=wide), [wide, never(name="liu")], NOON) == "collector_barred"


def test_a_new_phone_does_not_tell_apart_whom_the_document_shows_to_be_the_same() -> None:
    told = ONCE._replace(id_last4="001x")
    barred = [told, never(name="刘大姐", phone_last4="9999", id_last4="001X")]
    assert rules.no_hand_over(Adult(None, "刘大姐", entry=told), barred, NOON) == "collector_barred"


def test_a_never_that_is_over_no_longer_holds() -> None:
    over = never(person_id=MOTHER, ends_at=NOON)
    assert rules.no_hand_over(Adult(MOTHER, is_guardian=True), [over], NOON) is None


entries = st.lists(
    st.builds(
        Entry,
        id=st.uuids(),
        kind=st.sampled_from(["allowed", "once", "never"]),
        person_id=st.none() | st.sampled_from([GRANDMOTHER, UNCLE, MOTHER]),
        name=st.none() | st.sampled_from(["刘大姐", "母亲"]),
        starts_at=st.none(),
        ends_at=st.none(),
        is_used=st.booleans(),
    ),
    max_size=6,
)


@given(listed=entries, person=st.sampled_from([GRANDMOTHER, UNCLE, MOTHER]), guardian=st.booleans())
def test_one_line_of_never_is_enough_whatever_else_the_list_says(
    listed: list[Entry], person: uuid.UUID, *, guardian: bool
) -> None:
    adult = Adult(person, None, is_guardian=guardian)
    assert rules.no_hand_over(adult, [*listed, never(person_id=person)], NOON) == "collector_barred"
    assert rules.no_hand_over(adult, [never(person_id=person), *listed], NOON) == "collector_barred"
