"""Claims in the one shape, as the ledger tells them where no service can: held, waiting, or come to nothing."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Any

from services import Service
from services.gateway.arbiter import sql
from shared import claiming, claims
from shared.assertion import Caller
from shared.db import Tx


def location(service: Service, group: claims.Group) -> str:
    """Where the group's resource is."""
    return claiming.href(service.name, service.collection or "", group.resource_id, group.group_id)


def shape(service: Service, group: claims.Group) -> claiming.ClaimOut:
    """The group in the one shape."""
    return claiming.ClaimOut(**claiming.of_group(group, where=f"{service.name}/{service.collection}"))


def seen(group: claims.Group, who: Caller) -> claims.Group | None:
    """As much of a group as the caller may see: what is at places whose staff they are, and their own; None if nothing is."""
    found = claims.seen_by(group, who, claims.DESK)
    return found if found.claims else None


async def waiting_shape(tx: Tx, group_id: uuid.UUID, who: Caller) -> claiming.ClaimOut | None:
    """A waiting ask in the one shape, as far as the caller may see it; None when that is nothing."""
    waits = await sql.waits(tx, group_id)
    shown = await _asked(tx, group_id, who, "waiting", [row["slot_id"] for row in waits], waits[0]) if waits else None
    return shown.model_copy(update={"position": max(row["position"] for row in waits)}) if shown else None


async def ended_shape(tx: Tx, group_id: uuid.UUID, who: Caller) -> claiming.ClaimOut | None:
    """An ask that left its waiting lists without a place, as far as the caller may see it; None when that is nothing."""
    ask = await sql.ended_ask(tx, group_id)
    state = "released" if ask is not None and ask["state"] == "left" else "lost"
    shown = await _asked(tx, group_id, who, state, ask["slot_ids"], ask) if ask is not None else None
    return shown.model_copy(update={"reason": ask["reason"]}) if shown and ask is not None else None


async def _asked(
    tx: Tx, group_id: uuid.UUID, who: Caller, state: str, slot_ids: Sequence[uuid.UUID], row: Any
) -> claiming.ClaimOut | None:
    rows = sorted(await sql.slots(tx, slot_ids), key=lambda one: (one["starts_at"], one["id"]))
    service = rows[0]["service"]
    people = await sql.holders(tx, row["holders"])
    if not any(who.may(claims.DESK, one["community"], one["place_id"]) for one in rows):
        own = set(who.holders_in(service))
        people = [one for one in people if one["no"] in own or claims.is_office(who, one["kind"], one["community"])]
    if not people:
        return None
    slots = [claiming.slot_out(sql.granted_slot(one)) for one in rows]
    return claiming.ClaimOut(
        id=None,
        group_id=group_id,
        service=service,
        state=state,
        slot=slots[0],
        slots=slots,
        persons=[claiming.PersonOut(id=one["id"], name=one["name"], state=state) for one in people],
        made_by=row["made_by"],
        href=f"/v1/claims/{group_id}",
    )
