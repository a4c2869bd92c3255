"""Grants: what the gateway's arbiter gives a group, as the assertion carries it to the service that confirms it."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import NamedTuple


class GrantedClaim(NamedTuple):
    """One held place, as the grant names it."""

    id: uuid.UUID
    slot_id: uuid.UUID
    holder_no: int
    person_id: uuid.UUID
    name: str
    units: int
    band: int | None = None
    """Lower end of the person's five years of age on the slot's day, for services that may know it: 80 is 80 to 84."""


class GrantedSlot(NamedTuple):
    """What a service needs to know of a slot to write its row and to answer."""

    id: uuid.UUID
    place_id: uuid.UUID
    place_name: str
    title: str
    community: str
    starts_at: datetime
    ends_at: datetime
    cancel_by: datetime | None
    state: str = "open"
    subject_id: uuid.UUID | None = None
    resource_id: uuid.UUID | None = None
    resource_name: str | None = None


class Grant(NamedTuple):
    """All places of one ask, held until `held_until`; a service confirms exactly these or none."""

    group_id: uuid.UUID
    held_until: datetime
    claims: tuple[GrantedClaim, ...]
    slots: tuple[GrantedSlot, ...]
