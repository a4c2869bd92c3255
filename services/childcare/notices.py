"""What children's rooms announce. Never a name, and never why somebody was refused: other guardians hear it, too."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from shared.claims import Freed, Grant, Group
from shared.notices import Notice


def visit_made(grant: Grant, visit_id: uuid.UUID, *, stays: bool) -> Notice:
    """Places in a room were confirmed."""
    return Notice(
        "childcare.visit.made",
        grant.slots[0].community,
        visit_id,
        tuple(dict.fromkeys(claim.holder_no for claim in grant.claims)),
        {
            "group_id": grant.group_id,
            "slots": [slot.id for slot in grant.slots],
            "starts_at": grant.slots[0].starts_at,
            "persons": len({claim.holder_no for claim in grant.claims}),
            "stays": stays,
        },
    )


def visit_cancelled(group: Group, freed: Sequence[Freed]) -> Notice:
    """Some or all places of a visit were given back."""
    first = group.claims[0]
    return Notice(
        "childcare.visit.cancelled",
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


def child_arrived(community: str, handover_id: uuid.UUID, visit_id: uuid.UUID, child_no: int, at: datetime) -> Notice:
    """A child was brought."""
    return Notice("childcare.child.arrived", community, handover_id, (child_no,), {"visit_id": visit_id, "at": at})


def child_collected(community: str, handover_id: uuid.UUID, visit_id: uuid.UUID, child_no: int, at: datetime) -> Notice:
    """A child went home with an adult."""
    return Notice("childcare.child.collected", community, handover_id, (child_no,), {"visit_id": visit_id, "at": at})


def collector_refused(community: str, try_id: uuid.UUID, visit_id: uuid.UUID, child_no: int, at: datetime) -> Notice:
    """Somebody wanted to collect a child and may not."""
    return Notice("childcare.collector.refused", community, try_id, (child_no,), {"visit_id": visit_id, "at": at})


def collection_missed(row: Any, step: int) -> Notice:
    """A child is still inside so long after the end of the session; `step` counts from one."""
    return Notice(
        "childcare.collection.missed",
        row["community"],
        row["claim_id"],
        (row["child_no"],),
        {"visit_id": row["visit_id"], "room_id": row["place_id"], "ends_at": row["ends_at"], "step": step},
    )


def incident_opened(
    community: str, incident_id: uuid.UUID, place_id: uuid.UUID, kind: str, severity: str, *, is_for_authority: bool
) -> Notice:
    """Something happened in a room and was written down; who and what stays there."""
    return Notice(
        "childcare.incident.opened",
        community,
        incident_id,
        (),
        {"room_id": place_id, "kind": kind, "severity": severity, "report_to_authority": is_for_authority},
    )


def room_closed(community: str, count_id: uuid.UUID, place_id: uuid.UUID, at: datetime) -> Notice:
    """Carers looked, and the room was empty."""
    return Notice("childcare.room.closed", community, count_id, (), {"room_id": place_id, "at": at})
