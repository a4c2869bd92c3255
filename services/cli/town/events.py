"""The culture hall of the demo town, with a festival and a course in it."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, time, timedelta
from typing import Any, Final

from services.booking import actions as booking
from services.cli.town.places import found, line, policy
from services.events.actions import organising
from services.events.rules import Description, Session
from services.gateway.arbiter import sql as ledger
from shared import claims, clock
from shared.assertion import Caller, Role
from shared.claims import Holding
from shared.crypto import Keyring
from shared.db import Tx
from shared.grants import Grant, GrantedClaim, GrantedSlot

COMMUNITY: Final = "330411004010"
HALL: Final[dict[str, Any]] = {
    "name": "茶园社区文化礼堂",
    "name_en": "Chayuan Culture Hall",
    "kind": "hall",
    "community": COMMUNITY,
    "address": "塘汇街道茶园社区",
    "lat": 30.7991,
    "lon": 120.7392,
    "resources": [("大礼堂", "Great Hall", 1)],
    "lines": [line("大礼堂", "08:00", "22:00", 60, "礼堂")],
    "policy": policy(
        ["330411004"], limits={"per_day": None, "per_week": None, "at_once": None, "household_per_day": None}
    ),
}


async def build(tx: Tx, keys: Keyring, people: Mapping[str, uuid.UUID]) -> None:  # noqa: ARG001 - as every part
    """The hall; and, by whoever organises there, a festival of few seats and a course of three evenings."""
    hall = await found(tx, "booking", HALL)
    organiser = people["organiser"]
    row = await tx.row("SELECT id, no FROM accounts WHERE person_id = $1", organiser)
    if row is None:
        raise LookupError(organiser)
    who = Caller(account_id=row["id"], account_no=row["no"], person_id=organiser, roles=(Role("manager", COMMUNITY),))
    festival = [(3, 14, 16)]
    course = [(day, 19, 20) for day in (2, 4, 6)]
    await _announce(tx, who, hall, "event", _festival(festival), festival)
    await _announce(tx, who, hall, "series", _course(course), course)


def _moment(day: int, hour: int) -> datetime:
    return clock.at(clock.today() + timedelta(days=day), time(hour))


def _sessions(times: Sequence[tuple[int, int, int]]) -> tuple[Session, ...]:
    return tuple(Session(None, _moment(day, begin), _moment(day, end)) for day, begin, end in times)


def _festival(times: Sequence[tuple[int, int, int]]) -> Description:
    questions = {
        "id": "dumplings",
        "text": "要不要吃汤圆？",
        "text_en": "Would you like dumplings?",
        "kind": "bool",
        "options": [],
        "required": False,
    }
    return _described("茶园灯会", "Lantern Festival", "猜灯谜，做花灯，吃汤圆。老少皆宜。", 6, times, (questions,))


def _course(times: Sequence[tuple[int, int, int]]) -> Description:
    return _described("太极拳入门", "Tai Chi for Beginners", "三个晚上，从站桩到起势。请穿宽松的衣服。", 12, times, ())


def _described(
    title: str,
    title_en: str,
    text: str,
    seats: int,
    times: Sequence[tuple[int, int, int]],
    questions: tuple[Mapping[str, Any], ...],
) -> Description:
    return Description(
        title=title,
        title_en=title_en,
        text=text,
        community=COMMUNITY,
        min_age=None,
        max_age=None,
        regions=None,
        level=1,
        needs_guardian=False,
        seats=seats,
        questions=questions,
        opens_at=None,
        closes_at=None,
        cancel_by=None,
        is_waitable=True,
        venue_group_id=None,
        sessions=_sessions(times),
    )


async def _announce(
    tx: Tx, who: Caller, hall: uuid.UUID, kind: str, told: Description, times: Sequence[tuple[int, int, int]]
) -> None:
    """Book the hall for the committee, and publish."""
    group_id = await _book(tx, who.account_no or 0, hall, [_moment(d, h) for d, b, e in times for h in range(b, e)])
    event_id = await organising.draft(tx, who, kind, replace(told, venue_group_id=group_id))
    await organising.publish(tx, who, kind, event_id)


async def _book(tx: Tx, account_no: int, hall: uuid.UUID, hours: Sequence[datetime]) -> uuid.UUID:
    """A reservation of the hall, held by the community's committee."""
    holder_no = (await ledger.organisation_nos(tx, [COMMUNITY]))[COMMUNITY]
    committee = await tx.row("SELECT id, name FROM holders WHERE no = $1", holder_no)
    slots = await tx.fetch(
        "SELECT id, title, community, starts_at, ends_at, cancel_by FROM slots "
        "WHERE place_id = $1 AND starts_at = ANY($2::timestamptz[]) ORDER BY starts_at",
        hall,
        hours,
    )
    if committee is None or len(slots) != len(hours):
        raise LookupError(hall)
    group_id, until = claims.new_id(), clock.now() + timedelta(minutes=1)
    held = [GrantedClaim(claims.new_id(), one["id"], holder_no, committee["id"], committee["name"], 1) for one in slots]
    await claims.lock_slots(tx, [one["id"] for one in slots])
    await claims.hold(
        tx,
        [
            Holding(
                claim.id,
                group_id,
                slot["id"],
                holder_no,
                account_no,
                1,
                "app",
                is_exclusive=False,
            )
            for claim, slot in zip(held, slots, strict=True)
        ],
        until,
    )
    granted = tuple(
        GrantedSlot(
            one["id"],
            hall,
            HALL["name"],
            one["title"],
            one["community"],
            one["starts_at"],
            one["ends_at"],
            one["cancel_by"],
        )
        for one in slots
    )
    grant = Grant(group_id, until, tuple(held), granted)
    await booking.make_reservations(tx, [booking.Making(grant, account_no, "茶园社区活动")], skip_locked=False)
    return group_id
