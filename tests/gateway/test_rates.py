"""How much one caller may ask, and what is remembered of them."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from services.gateway import rates
from services.gateway.rates import Rates


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    now = SimpleNamespace(seconds=0.0)
    monkeypatch.setattr(rates, "time", SimpleNamespace(monotonic=lambda: now.seconds))
    return now


def test_a_bucket_refills_with_the_time(clock: SimpleNamespace) -> None:
    asked = Rates(rate=2, burst=4)
    assert [asked.take("a") for _ in range(5)] == [0, 0, 0, 0, 0.5]
    assert asked.take("b") == 0
    clock.seconds = 0.5
    assert [asked.take("a") for _ in range(2)] == [0, 0.5]


def test_who_is_not_seen_until_theirs_is_full_again_is_forgotten(clock: SimpleNamespace) -> None:
    asked = Rates(rate=2, burst=4)
    for who in range(100):
        asked.take(who)
    clock.seconds = 1.9
    assert asked.take(0) == 0  # seen again
    clock.seconds = 2.0
    for who in range(100, 160):
        asked.take(who)
    assert set(asked._buckets) == {0, *range(100, 160)}


def test_what_is_remembered_has_a_bound_and_the_longest_unseen_go_first(
    clock: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rates, "_REMEMBERED", 10)
    asked = Rates(rate=0.001, burst=1)
    for who in range(10):
        assert asked.take(who) == 0
    clock.seconds = 1
    assert asked.take(0) > 0  # empty still, and seen
    asked.take("new")
    assert "new" in asked._buckets
    assert 0 in asked._buckets
    assert 1 not in asked._buckets
    assert len(asked._buckets) == 10
