"""What events decide from facts alone."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.events import rules
from services.events.rules import Claimed, Fault, Had, Session

NOON = datetime(2026, 11, 22, 4, tzinfo=UTC)


def at(hours: float) -> datetime:
    return NOON + timedelta(hours=hours)


def session(begin: float, end: float, name: Any = None, **more: Any) -> Session:
    return Session(name, at(begin), at(end), **more)


def hall(*hours: tuple[float, float], place: str = "hall") -> list[Claimed]:
    return [Claimed(place, at(begin), at(end)) for begin, end in hours]


def test_slots_that_touch_are_one_venue() -> None:
    assert rules.covers(hall((1, 2), (0, 1), (2, 3)), [session(0, 3)])


def test_a_gap_in_the_venue_is_seen() -> None:
    assert not rules.covers(hall((0, 1), (1.5, 3)), [session(0, 3)])


def test_every_session_needs_the_venue_but_not_a_cancelled_one() -> None:
    sessions = [session(0, 1), session(24, 25)]
    assert not rules.covers(hall((0, 1)), sessions)
    assert rules.covers(hall((0, 1), (24, 25)), sessions)
    assert rules.covers(hall((0, 1)), [sessions[0], sessions[1]._replace(is_cancelled=True)])


def test_two_places_or_none_are_no_venue() -> None:
    assert not rules.covers([], [session(0, 1)])
    assert not rules.covers([*hall((0, 1)), *hall((1, 2), place="elsewhere")], [session(0, 1)])


@given(st.lists(st.integers(0, 40), min_size=1, max_size=12), st.integers(0, 40), st.integers(1, 5))
def test_a_venue_covers_what_each_of_its_hours_covers(hours: list[int], begin: int, length: int) -> None:
    expected = set(range(begin, begin + length)) <= set(hours)
    assert rules.covers(hall(*((n, n + 1) for n in hours)), [session(begin, begin + length)]) == expected


def test_sessions_of_one_event_do_not_overlap_but_may_touch() -> None:
    assert rules.overlapping([session(1, 2), session(0, 1)]) == []
    assert rules.overlapping([session(1, 2), session(0, 1.5)]) == [Fault("/sessions/0/starts_at", "overlaps")]


def question(name: str = "size", kind: str = "choice", *, required: bool = True, options: Any = None) -> dict[str, Any]:
    if kind == "choice" and options is None:
        options = ["S", "M"]
    return {"id": name, "kind": kind, "required": required, "options": options}


def test_questions_are_told_apart_and_choices_have_options() -> None:
    assert rules.question_faults([question(), question("notes", "text")]) == []
    assert rules.question_faults([question(), question()]) == [Fault("/questions/1/id", "twice")]
    assert rules.question_faults([question(options=["S"])]) == [Fault("/questions/0/options", "choices")]
    assert rules.question_faults([question(options=["S", "S"])]) == [Fault("/questions/0/options", "choices")]
    assert rules.question_faults([question(kind="bool", options=["S", "M"])]) == [
        Fault("/questions/0/options", "not_a_choice")
    ]


@pytest.mark.parametrize(
    ("kind", "value", "code"),
    [
        ("choice", "S", None),
        ("choice", "XXL", "choice"),
        ("choice", 1, "choice"),
        ("bool", True, None),
        ("bool", "yes", "bool"),
        ("bool", 1, "bool"),
        ("number", 3, None),
        ("number", -2.5, None),
        ("number", True, "number"),
        ("number", "3", "number"),
        ("number", 1e12, "range"),
        ("number", float("inf"), "range"),
        ("number", float("nan"), "range"),
        ("number", 10**400, "range"),
        ("text", "花生过敏", None),
        ("text", "   ", "required"),
        ("text", 7, "text"),
    ],
)
def test_an_answer_has_the_kind_of_its_question(kind: str, value: Any, code: str | None) -> None:
    told = rules.answer_faults([question(kind=kind)], [("size", value)])
    assert told == ([Fault("/answers/0/value", code)] if code else [])


def test_required_answers_are_missed_and_strange_ones_are_named() -> None:
    questions = [question(), question("notes", "text", required=False)]
    assert rules.answer_faults(questions, [("size", "S")]) == []
    assert rules.answer_faults(questions, [("notes", "")]) == [Fault("/answers", "required")]
    assert rules.answer_faults(questions, [("size", "S"), ("shoe", 1)]) == [Fault("/answers/1/question", "unknown")]
    assert rules.answer_faults(questions, [("size", "S"), ("size", "M")]) == [Fault("/answers/1/question", "twice")]


def test_a_session_without_an_id_is_known_by_its_times() -> None:
    before = [session(0, 1, "a"), session(2, 3, "b"), session(4, 5, "c", is_cancelled=True)]
    assert rules.recognised(before, [session(0, 1), before[1]]) == tuple(before[:2])
    new = [session(0, 2), session(4, 5), before[1], session(2, 3)]
    assert rules.recognised(before, new) == tuple(new), "other times, a cancelled one's, those of one that is named"
    assert rules.recognised(before, [session(0, 1), session(0, 1)]) == (before[0], session(0, 1)), "once"


def test_a_published_session_stays_with_its_times_goes_or_is_new() -> None:
    before = [session(0, 1, "a"), session(2, 3, "b"), session(4, 5, "c", is_cancelled=True)]
    assert rules.replaced(before, before[:2], at(-1)) == ([], [], [])
    assert rules.replaced(before, before, at(-1)) == ([], [], []), "a cancelled one may be named, and stays so"
    assert rules.replaced(before, [before[1], session(6, 7)], at(-1)) == ([], ["a"], [session(6, 7)])
    assert rules.replaced(before, [before[1]], at(2)) == ([], [], []), "what is over is not cancelled"
    moved = rules.replaced(before, [session(0.5, 1.5, "a"), before[1]], at(-1))[0]
    assert moved == [Fault("/sessions/0/starts_at", "fixed"), Fault("/sessions/0/ends_at", "fixed")]
    assert rules.replaced(before, [*before[:2], session(0, 1, "x")], at(-1))[0] == [Fault("/sessions/2/id", "unknown")]
    assert rules.replaced(before, [before[0], *before[:2]], at(-1))[0] == [Fault("/sessions/1/id", "unknown")]
    assert rules.replaced(before, [*before[:2], session(6, 7)], at(6))[0] == [Fault("/sessions/2/starts_at", "past")]


def test_what_has_begun_cannot_be_announced() -> None:
    assert rules.past([session(0, 1), session(2, 3)], at(1)) == [Fault("/sessions/0/starts_at", "past")]


def test_a_deadline_that_is_over_is_named() -> None:
    assert rules.past_deadlines(at(1), at(2), at(1)) == [Fault("/closes_at", "past")]
    assert rules.past_deadlines(None, at(1), at(3)) == [Fault("/cancel_by", "past")]
    assert rules.past_deadlines(None, None, at(3)) == []


def test_registration_never_closes_after_the_beginning() -> None:
    assert rules.closing(None, at(3)) == at(3)
    assert rules.closing(at(1), at(3)) == at(1)
    assert rules.closing(at(9), at(3)) == at(3)


def test_an_event_lasts_from_its_first_to_its_last_session_that_takes_place() -> None:
    sessions = [session(0, 1, is_cancelled=True), session(2, 3), session(4, 5)]
    assert rules.span(sessions) == (at(2), at(5))
    assert rules.span(sessions[:1]) == (at(0), at(1))


@pytest.mark.parametrize(
    ("came", "state", "hour", "reasons"),
    [
        (True, "confirmed", 0.5, []),
        (True, "confirmed", -1, []),
        (True, "confirmed", -3, ["too_early"]),
        (True, "confirmed", 30, []),
        (True, "attended", 0.5, []),
        (True, "released", 0.5, ["not_registered"]),
        (True, "no_show", 2, ["already_absent"]),
        (False, "confirmed", 0.5, ["not_over"]),
        (False, "confirmed", 1, []),
        (False, "no_show", 1, []),
        (False, "attended", 1, ["already_came"]),
        (False, "lapsed", 1, ["not_registered"]),
    ],
)
def test_who_came_is_ticked_off_at_the_door_and_who_did_not_only_afterwards(
    came: bool,  # noqa: FBT001 - what was ticked
    state: str,
    hour: float,
    reasons: list[str],
) -> None:
    assert rules.marking(came=came, state=state, starts_at=at(0), ends_at=at(1), at=at(hour)) == reasons


def test_a_calendar_entry_rises_with_everything_that_happens_to_it() -> None:
    made, left = Had(at(0), None, "confirmed"), Had(at(0), at(1), "released")
    assert rules.entry([made]) == (False, 0, at(0))
    assert rules.entry([left]) == (True, 1, at(1))
    assert rules.entry([left, Had(at(2), None, "attended")]) == (False, 2, at(2))
    assert rules.entry([left, Had(at(2), at(3), "released")]) == (True, 3, at(3))
    assert rules.entry([Had(at(0), at(5), "no_show")])[0] is False


def test_an_address_that_nobody_reads_is_forgotten() -> None:
    assert not rules.is_stale(at(0), at(24 * 100), 400)
    assert rules.is_stale(at(0), at(24 * 401), 400)
