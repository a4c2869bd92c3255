"""What booking announces."""

from __future__ import annotations

import uuid
from collections.abc import Sequence

from shared.claims import Freed, Grant, Group
from shared.notices import Notice


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
