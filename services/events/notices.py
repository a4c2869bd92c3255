"""What events announces."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from shared.claims import Freed, Grant, Group
from shared.notices import Notice


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
