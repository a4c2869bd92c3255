"""What events announces."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from shared.claims import Freed, Grant, Group
from shared.notices import Data, Notice, NoticeType
from shared.places import notices as places
from shared.texts import say


class EventTold(Data):
    """An event or a series, and when it is."""

    kind: str
    starts_at: datetime | None
    ends_at: datetime | None


class VenueNamed(Data):
    """An event or a series, and the claim that is its venue."""

    kind: str
    starts_at: datetime | None
    venue_group_id: uuid.UUID | None


class RegistrationMade(Data):
    """Which event and sessions, and how many people."""

    group_id: uuid.UUID
    event_id: uuid.UUID
    slots: list[uuid.UUID]
    starts_at: datetime
    persons: int


class RegistrationCancelled(Data):
    """Which sessions' seats came free, and why."""

    group_id: uuid.UUID
    slots: list[uuid.UUID]
    starts_at: datetime
    reason: str


_GROUP: Final = "01990000-0000-7000-8000-00000000000a"
_SLOT: Final = "01990000-0000-7000-8000-000000000001"
_EVENT: Final = "01990000-0000-7000-8000-00000000000e"
_STARTS: Final = "2026-12-01T19:00:00+08:00"
_ENDS: Final = "2026-12-01T21:00:00+08:00"
_THE_EVENT: Final = say("the event", "活动")
_THE_REGISTRATION: Final = say("the registration", "报名")

TYPES: Final = (
    NoticeType(
        "events.event.published",
        EventTold,
        _THE_EVENT,
        say(
            "It is open for registration, or will be. Nobody is told by name.",
            "活动已开放或即将开放报名，不通知具体个人。",
        ),
        {"kind": "event", "starts_at": _STARTS, "ends_at": _ENDS},
    ),
    NoticeType(
        "events.event.changed",
        EventTold,
        _THE_EVENT,
        say(
            "Something of what was published is no longer so: text, seats, deadlines, or which sessions take place. Everybody "
            "registered is told.",
            "已发布的内容有变：文字、名额、期限或场次。通知所有报名者。",
        ),
        {"kind": "event", "starts_at": _STARTS, "ends_at": _ENDS},
    ),
    NoticeType(
        "events.event.cancelled",
        VenueNamed,
        _THE_EVENT,
        say(
            "It does not take place. Its venue, which may be given back, stays booked; its organiser is told.",
            "活动取消。场地预约仍保留，可由组织者退还；通知组织者。",
        ),
        {"kind": "event", "starts_at": _STARTS, "venue_group_id": _GROUP},
    ),
    NoticeType(
        "events.event.venue_lost",
        VenueNamed,
        _THE_EVENT,
        say(
            "The claim that is its venue no longer covers its sessions. Its organiser is told, once.",
            "场地预约已不再覆盖其场次，仅通知组织者一次。",
        ),
        {"kind": "event", "starts_at": _STARTS, "venue_group_id": _GROUP},
    ),
    NoticeType(
        "events.registration.made",
        RegistrationMade,
        _THE_REGISTRATION,
        say(
            "Seats in an event or a series were confirmed. `persons` is how many people.",
            "活动或系列的名额已确认。`persons` 为人数。",
        ),
        {"group_id": _GROUP, "event_id": _EVENT, "slots": [_SLOT], "starts_at": _STARTS, "persons": 1},
    ),
    NoticeType(
        "events.registration.cancelled",
        RegistrationCancelled,
        _THE_REGISTRATION,
        say(
            "Somebody gave back all or some of its seats, or `reason` is `event_cancelled` or `session_cancelled`; `slots` are "
            "those that came free.",
            "全部或部分名额已退还；`reason` 也可为 `event_cancelled` 或 `session_cancelled`；`slots` 为释放名额的场次。",
        ),
        {"group_id": _GROUP, "slots": [_SLOT], "starts_at": _STARTS, "reason": "cancelled"},
    ),
    places.released("events"),
)


def event_published(event: Mapping[str, Any]) -> Notice:
    """An event is open for registration, or will be."""
    return Notice(
        "events.event.published",
        event["community"],
        event["id"],
        (),
        {"kind": event["kind"], "starts_at": event["starts_at"], "ends_at": event["ends_at"]},
    )


def event_changed(event: Mapping[str, Any], holders: Sequence[int]) -> Notice:
    """What was said of an event is no longer quite so."""
    return Notice(
        "events.event.changed",
        event["community"],
        event["id"],
        tuple(holders),
        {"kind": event["kind"], "starts_at": event["starts_at"], "ends_at": event["ends_at"]},
    )


def event_cancelled(event: Mapping[str, Any], organiser: Sequence[int]) -> Notice:
    """It does not take place; its organiser may give the venue back."""
    return Notice(
        "events.event.cancelled",
        event["community"],
        event["id"],
        tuple(organiser),
        {"kind": event["kind"], "starts_at": event["starts_at"], "venue_group_id": event["venue_group_id"]},
    )


def venue_lost(event: Mapping[str, Any], organiser: Sequence[int]) -> Notice:
    """The booking of its venue no longer covers its sessions."""
    return Notice(
        "events.event.venue_lost",
        event["community"],
        event["id"],
        tuple(organiser),
        {"kind": event["kind"], "starts_at": event["starts_at"], "venue_group_id": event["venue_group_id"]},
    )


def registration_made(grant: Grant, registration_id: uuid.UUID, event_id: uuid.UUID) -> Notice:
    """Seats were confirmed."""
    return Notice(
        "events.registration.made",
        grant.slots[0].community,
        registration_id,
        tuple(dict.fromkeys(claim.holder_no for claim in grant.claims)),
        {
            "group_id": grant.group_id,
            "event_id": event_id,
            "slots": [slot.id for slot in grant.slots],
            "starts_at": grant.slots[0].starts_at,
            "persons": len({claim.holder_no for claim in grant.claims}),
        },
    )


def registration_cancelled(group: Group, freed: Sequence[Freed]) -> Notice:
    """Somebody gave back all or some of their seats."""
    first = group.claims[0]
    return seats_freed(first["community"], first["starts_at"], freed, "cancelled")


def seats_freed(community: str, starts_at: datetime, freed: Sequence[Freed], reason: str) -> Notice:
    """Seats of one group came free: given back, or the event or a session of it does not take place."""
    first = freed[0]
    return Notice(
        "events.registration.cancelled",
        community,
        first.resource_id or first.group_id,
        tuple(dict.fromkeys(one.holder_no for one in freed)),
        {
            "group_id": first.group_id,
            "slots": list(dict.fromkeys(one.slot_id for one in freed)),
            "starts_at": starts_at,
            "reason": reason,
        },
    )
