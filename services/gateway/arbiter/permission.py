"""Whether somebody's roles reach the places of an ask: at the desk, or for a region's committee."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from services.gateway.arbiter.rules import Slot
from shared.assertion import KEEPERS, Caller
from shared.claims import DESK


def of_office(who: Caller, region: str, roles: Sequence[Any]) -> bool:
    """Whether the account works for the committee of the region that is to hold the places."""
    return who.has_second and any(
        role["account_no"] == who.account_no
        and role["role"] in DESK
        and region.startswith(role["prefix"])
        and role["place_id"] is None
        for role in roles
    )


def at_desk(who: Caller, slots: Iterable[Slot], roles: Sequence[Any]) -> bool:
    """Whether the account may claim all of these slots for others: at its desk, or in the place that it keeps."""
    return all(any(_reaches(who, role, slot) for role in roles) for slot in slots)


def _reaches(who: Caller, role: Any, slot: Slot) -> bool:
    if role["account_no"] != who.account_no or not slot.community.startswith(role["prefix"]):
        return False
    if role["role"] in KEEPERS:
        return bool(role["place_id"] == slot.place_id)
    return role["role"] in DESK and who.has_second and role["place_id"] in (None, slot.place_id)
