"""What is sealed: an elder's profile, what an order says about its elder, and notes from doors."""

from __future__ import annotations

import uuid
from typing import Any, Final

import structlog

from services.elder_meals.rules import Needs
from shared import crypto
from shared.crypto import Keyring

HEALTH: Final = "health"
"""The purpose that somebody consents to before we keep or use what they can eat."""

log = structlog.get_logger(__name__)

_TABLES = {
    "order": "meal_orders",
    "profile": "elder_profiles",
    "outcome": "meal_outcomes",
    "step": "welfare_steps",
}


def seal(keys: Keyring, kind: str, row: uuid.UUID, told: Any) -> bytes:
    """What was told, for exactly this row."""
    return crypto.seal_json(keys, told, table=_TABLES[kind], column="sealed", row=str(row))


def unseal(keys: Keyring, kind: str, row: uuid.UUID, sealed: bytes | None) -> dict[str, Any]:
    """What was told for this row; nothing when nothing was."""
    return crypto.unseal_json(keys, sealed, table=_TABLES[kind], column="sealed", row=str(row)) if sealed else {}


def readable(keys: Keyring, kind: str, row: uuid.UUID, sealed: bytes | None) -> dict[str, Any] | None:
    """As `unseal`; None when it cannot be read, which must not keep anybody else waiting."""
    try:
        return unseal(keys, kind, row, sealed)
    except crypto.Tampered:
        log.exception("unreadable", kind=kind, row=str(row))
        return None


def is_about_health(profile: dict[str, Any]) -> bool:
    """Whether a profile says something that only a consent lets us use."""
    return bool(profile.get("diet") or profile.get("allergens") or (profile.get("texture") or "normal") != "normal")


def needs_of(profile: dict[str, Any], diet: tuple[str, ...] | None = None) -> Needs:
    """What somebody with this profile can eat; a diet told with an order replaces the profile's, allergies stay."""
    return Needs(
        frozenset(profile.get("diet") or () if diet is None else diet),
        frozenset(profile.get("allergens") or ()),
        profile.get("texture") or "normal",
    )
