"""What events announces."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from shared.claims import Freed, Group
from shared.grants import Grant
from shared.notices import Data, Notice, NoticeType
from shared.places import notices as places
from shared.texts import say


class EventTold(Data):
    """What kind it is, and when."""

    kind: str
    starts_at: datetime
    ends_at: datetime


class VenueTold(Data):
    """What kind it is, when it begins, and the claim that is its venue."""

    kind: str
    starts_at: datetime
    venue_group_id: uuid.UUID | None


class RegistrationMade(Data):
    """For what, which sessions, and how many people."""

    group_id: uuid.UUID
    event_id: uuid.UUID
    slots: list[uuid.UUID]
    starts_at: datetime
    persons: int


class RegistrationCancelled(Data):
    """Which sessions came free, and why."""

    group_id: uuid.UUID
    slots: list[uuid.UUID]
    starts_at: datetime
    reason: str


_GROUP: Final = "01990000-0000-7000-8000-00000000000a"
_EVENT: Final = "01990000-0000-7000-8000-00000000000b"
_SLOT: Final = "01990000-0000-7000-8000-000000000001"
_BEGIN: Final = "2026-12-01T14:00:00+08:00"
_TOLD: Final = {"kind": "event", "starts_at": _BEGIN, "ends_at": "2026-12-01T16:00:00+08:00"}
_VENUE: Final = {"kind": "event", "starts_at": _BEGIN, "venue_group_id": _GROUP}
_IT: Final = say("the event", "活动")
_ITS: Final = say("the registration", "报名")

TYPES: Final = (
    NoticeType(
        "events.event.published",
        EventTold,
        _IT,
        say(
            "It is open for registration, or will be. Nobody is told by name.",
            "已开放报名，或将于约定时间开放。不逐人通知。",
        ),
        _TOLD,
    ),
    NoticeType(
        "events.event.changed",
        EventTold,
        _IT,
        say(
            "Something of what was published is no longer so: text, seats, deadlines, or which sessions take place.",
            "发布内容有更改：文字、名额、期限或场次。",
        ),
        _TOLD,
    ),
    NoticeType(
        "events.event.cancelled",
        VenueTold,
        _IT,
        say(
            "It does not take place. Its venue stays booked, and may be given back.",
            "活动取消。场地预约仍保留，可另行退还。",
        ),
        _VENUE,
    ),
    NoticeType(
        "events.event.venue_lost",
        VenueTold,
        _IT,
        say("The claim that is its venue no longer covers its sessions.", "其场地预约不再覆盖全部场次。"),
        _VENUE,
    ),
    NoticeType(
        "events.registration.made",
        RegistrationMade,
        _ITS,
        say(
            "Seats in an event or a series were confirmed. `persons` is how many people.",
            "活动或课程的名额已确认。`persons` 为人数。",
        ),
        {"group_id": _GROUP, "event_id": _EVENT, "slots": [_SLOT], "starts_at": _BEGIN, "persons": 2},
    ),
    NoticeType(
        "events.registration.cancelled",
        RegistrationCancelled,
        _ITS,
        say(
            "Seats came free: given back, or `reason` is `event_cancelled` or `session_cancelled`.",
            "名额已释放：本人取消，或 `reason` 为 `event_cancelled`（活动取消）、`session_cancelled`（场次取消）。",
        ),
        {"group_id": _GROUP, "slots": [_SLOT], "starts_at": _BEGIN, "reason": "cancelled"},
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
