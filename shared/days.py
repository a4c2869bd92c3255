"""The calendar of days: a table that staff may edit; a library only seeds it, and where it knows nothing, weekdays speak."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, timedelta
from typing import NamedTuple

import holidays

SATURDAY = 5


class DayFact(NamedTuple):
    """What a date is. Provisional: no official arrangement of it was known."""

    date: date
    kind: str
    name: str | None
    is_provisional: bool


def provisional(day: date) -> DayFact:
    """A date by its weekday alone."""
    return DayFact(day, "rest" if day.weekday() >= SATURDAY else "work", None, is_provisional=True)


def known(year: int) -> Iterable[DayFact]:
    """Every day of a year as the library knows it; days of a year without published swaps stay provisional.

    China's cabinet publishes the swaps of rest and working days (调休) late in the year before; a year in which the
    library knows none has only its statutory days for certain.
    """
    try:
        calendar = holidays.country_holidays("CN", years=year, language="zh_CN")
        named = {day: name for day, name in calendar.items() if day.year == year}
        workdays = {day for day in getattr(calendar, "weekend_workdays", ()) if day.year == year}
    except (NotImplementedError, KeyError, ValueError, OverflowError):
        named, workdays = {}, set()
    day = date(year, 1, 1)
    while day.year == year:
        if day in workdays:
            yield DayFact(day, "work", "调休上班", is_provisional=False)
        elif day in named:
            yield DayFact(day, "rest", named[day], is_provisional=False)
        else:
            yield provisional(day)._replace(is_provisional=not workdays)
        if day == date.max:
            return
        day += timedelta(days=1)
