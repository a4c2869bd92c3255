"""Hosts' clocks differ: an assertion of another process is believed for two minutes after its end, and nothing else is."""

from __future__ import annotations

import time
import uuid

import pytest

from shared import assertion, errors
from shared.assertion import LIFE_SECONDS, SKEW_SECONDS, Caller, Role

KEY, OTHER_KEY = b"k" * 32, b"o" * 32
CALLER = Caller(account_id=uuid.uuid4(), account_no=7, person_id=uuid.uuid4(), holder_no=9, name="居民")


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """What every clock says, to be set."""
    told = [1_800_000_000.0]
    monkeypatch.setattr(time, "time", lambda: told[0])
    return told


def read(token: str, *, audience: str = "booking", key: bytes = KEY) -> Caller:
    return assertion.verify(token, audience=audience, key=key)


def test_one_from_a_host_whose_clock_is_behind_is_believed_for_two_minutes_and_no_longer(now: list[float]) -> None:
    began = now[0]
    token = assertion.sign(CALLER, audience="booking", key=KEY)
    for ahead in (0, LIFE_SECONDS, 110, 120, LIFE_SECONDS + SKEW_SECONDS - 1):
        now[0] = began + ahead
        assert read(token) == CALLER, ahead
    for ahead in (LIFE_SECONDS + SKEW_SECONDS, 3600):
        now[0] = began + ahead
        with pytest.raises(errors.AssertionMissing):
            read(token)


def test_one_from_a_host_whose_clock_is_ahead_is_believed(now: list[float]) -> None:
    token = assertion.sign(CALLER, audience="booking", key=KEY)
    now[0] -= 110
    assert read(token) == CALLER


def test_the_two_minutes_are_for_nothing_that_is_forged_or_meant_for_another(now: list[float]) -> None:
    token = assertion.sign(CALLER, audience="booking", key=KEY)
    head, _, mac = token.split(".")
    boss = assertion.sign(CALLER._replace(roles=(Role("manager", "33"),)), audience="booking", key=OTHER_KEY)
    for ahead in (0, 110):
        now[0] += ahead
        assert read(token) == CALLER
        for forged in (boss, f"{head}.{boss.split('.')[1]}.{mac}", token[:-4] + "AAAA"):
            with pytest.raises(errors.AssertionMissing):
                read(forged)
        with pytest.raises(errors.AssertionMissing):
            read(token, audience="identity")
        with pytest.raises(errors.AssertionMissing):
            read(token, key=OTHER_KEY)


def test_inside_one_process_there_is_one_clock_and_no_two_minutes(now: list[float]) -> None:
    token = assertion.sign(CALLER, audience="booking", key=KEY, known=True)
    now[0] += LIFE_SECONDS + 1
    with pytest.raises(errors.AssertionMissing):
        read(token)
