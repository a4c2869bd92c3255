"""Lists in pages: where one ends, and where the next begins."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime

import pytest

from shared import errors, pages

ONE = uuid.UUID("01a20232-5d02-7907-b4af-d8a3b68ab590")


def test_one_more_than_the_limit_means_that_there_is_a_next_page() -> None:
    page = pages.page([1, 2, 3], 2, lambda n: f"no. {n}", lambda n: n)
    assert page.items == ["no. 1", "no. 2"]
    assert pages.after(page.next, int) == 2
    assert pages.page([1, 2], 2, str, lambda n: n).next is None
    assert pages.page([], 2, str, lambda n: n).next is None


def test_a_sort_key_of_two_comes_back_as_two() -> None:
    moment = datetime(2026, 11, 22, 8, tzinfo=UTC)
    told = pages.page([moment, moment], 1, str, lambda at: (at, ONE)).next
    assert pages.after(told, datetime, uuid.UUID) == (moment, ONE)
    assert pages.after(None, datetime, uuid.UUID) is None
    with pytest.raises(errors.Unprocessable):
        pages.after(told, uuid.UUID)
