"""A calendar as other programs read it (RFC 5545): one entry a session and person, of an UID that never changes."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import UTC, timedelta

import icalendar

from services.events import rules
from services.events.sql.calendars import Place
from shared import clock

MEDIA_TYPE = "text/calendar; charset=utf-8"


def as_ics(places: Sequence[Place], own: object) -> bytes:
    """Every place somebody has or had, oldest first; those of other people carry their names."""
    calendar = icalendar.Calendar()
    calendar.add("prodid", "-//Linli//Events//ZH")
    calendar.add("version", "2.0")
    calendar.add("calscale", "GREGORIAN")
    calendar.add("method", "PUBLISH")
    calendar.add("x-wr-calname", "邻里活动")
    calendar.add("x-wr-timezone", str(clock.ZONE))
    calendar.add("refresh-interval", timedelta(hours=1), parameters={"VALUE": "DURATION"})
    gathered: dict[tuple[object, object], list[Place]] = {}
    for one in places:
        gathered.setdefault((one.slot_id, one.person_id), []).append(one)
    for several in sorted(gathered.values(), key=lambda several: (several[-1].starts_at, several[-1].slot_id)):
        calendar.add_component(_entry(several, own))
    calendar.add_missing_timezones()
    written: bytes = calendar.to_ical()
    return written


def _entry(places: Sequence[Place], own: object) -> icalendar.Event:
    last = places[-1]
    is_cancelled, sequence, at = rules.entry([rules.Had(one.made_at, one.left_at, one.state) for one in places])
    entry = icalendar.Event()
    # Told apart by session and person, and telling nothing of either.
    name = hashlib.sha256(f"{last.slot_id}|{last.person_id}".encode()).hexdigest()[:32]
    entry.add("uid", f"{name}@linli")
    entry.add("sequence", sequence)
    entry.add("dtstamp", at.astimezone(UTC).replace(microsecond=0))
    entry.add("last-modified", at.astimezone(UTC).replace(microsecond=0))
    entry.add("dtstart", clock.local(last.starts_at))
    entry.add("dtend", clock.local(last.ends_at))
    entry.add("summary", last.title if last.person_id == own else f"{last.title}（{last.name}）")
    entry.add("location", f"{last.place_name} {last.address}" if last.address else last.place_name)
    entry.add("status", "CANCELLED" if is_cancelled else "CONFIRMED")
    return entry
