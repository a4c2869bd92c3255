"""What booking announces."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import datetime
from typing import Final

from shared.claims import Freed, Group
from shared.grants import Grant
from shared.notices import Data, Notice, NoticeType
from shared.places import notices as places
from shared.texts import say


class ReservationMade(Data):
    """Which slots, and how many people."""

    group_id: uuid.UUID
    slots: list[uuid.UUID]
    starts_at: datetime
    persons: int


class ReservationCancelled(Data):
    """Which slots came free."""

    group_id: uuid.UUID
    slots: list[uuid.UUID]
    starts_at: datetime
    reason: str


_GROUP: Final = "01990000-0000-7000-8000-00000000000a"
_SLOT: Final = "01990000-0000-7000-8000-000000000001"

TYPES: Final = (
    NoticeType(
        "booking.reservation.made",
        ReservationMade,
        say("the reservation", "预约"),
        say("Places in a facility were confirmed. `persons` is how many people.", "场所名额已确认。`persons` 为人数。"),
        {"group_id": _GROUP, "slots": [_SLOT], "starts_at": "2026-12-01T10:00:00+08:00", "persons": 2},
    ),
    NoticeType(
        "booking.reservation.cancelled",
        ReservationCancelled,
        say("the reservation", "预约"),
        say(
            "Somebody gave back all or some of its places; `slots` are those that came free.",
            "全部或部分名额已退还；`slots` 为释放名额的场次。",
        ),
        {"group_id": _GROUP, "slots": [_SLOT], "starts_at": "2026-12-01T10:00:00+08:00", "reason": "cancelled"},
    ),
    places.released("booking"),
)


def reservation_made(grant: Grant, reservation_id: uuid.UUID) -> Notice:
    """Places in a facility were confirmed."""
    return Notice(
        "booking.reservation.made",
        grant.slots[0].community,
        reservation_id,
        tuple(dict.fromkeys(claim.holder_no for claim in grant.claims)),
        {
            "group_id": grant.group_id,
            "slots": [slot.id for slot in grant.slots],
            "starts_at": grant.slots[0].starts_at,
            "persons": len({claim.holder_no for claim in grant.claims}),
        },
    )


def reservation_cancelled(group: Group, freed: Sequence[Freed]) -> Notice:
    """Some or all places of a reservation were given back. What the resident said about it stays in the ledger."""
    first = group.claims[0]
    return Notice(
        "booking.reservation.cancelled",
        first["community"],
        group.resource_id or group.group_id,
        tuple(dict.fromkeys(one.holder_no for one in freed)),
        {
            "group_id": group.group_id,
            "slots": list(dict.fromkeys(one.slot_id for one in freed)),
            "starts_at": first["starts_at"],
            "reason": "cancelled",
        },
    )
