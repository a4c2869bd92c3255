"""The children's room of 沈荡社区: for children of three to twelve, eight to one carer, twenty places."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any, Final

from services.cli.town.places import found, line, policy
from services.identity.actions import consents
from shared.assertion import ActsFor, Caller
from shared.crypto import Keyring
from shared.db import Tx
from shared.purposes import PURPOSES

AUDIENCE: Final = {"min_age": 3, "max_age": 12, "regions": ["330424101"], "level": 1, "needs_guardian": True}
_QUARTERS: Final = ((0, "24:00"), (15, "23:15"), (30, "23:30"), (45, "23:45"))
ROOM: Final[dict[str, Any]] = {
    "name": "沈荡社区儿童之家",
    "name_en": "Shendang Children's Room",
    "kind": "children_room",
    "community": "330424101003",
    "address": "沈荡镇沈荡社区邻里中心二楼",
    "lat": 30.5797,
    "lon": 120.8253,
    "resources": [("游戏室", "Playroom", 20), ("阅读角", "Reading Corner", 12)],
    "lines": [
        line("游戏室", "08:00", "20:00", 120, "儿童托管"),
        # For an hour, beginning at every quarter: whenever somebody looks, there is a session they can still come to.
        *(line("阅读角", f"00:{minute:02}", end, 60, "临时托管") for minute, end in _QUARTERS),
    ],
    "policy": policy(
        audience=None,
        cancel_minutes=30,
        limits={"per_day": None, "per_week": None, "at_once": 12, "household_per_day": None},
    )
    | {"audience": AUDIENCE},
}
TERMS: Final[dict[str, Any]] = {
    "children_per_carer": 8,
    "accompanied_per_carer": 16,
    "most_children": 20,
    "stays": "either",
    "sign_in_minutes": 15,
    "late_after_minutes": [10, 30, 60],
}


async def build(tx: Tx, keys: Keyring, people: Mapping[str, uuid.UUID]) -> None:  # noqa: ARG001 - as every part
    """The room, and the mother's consent for her child."""
    await found(tx, "childcare", ROOM, is_exclusive=False, terms=TERMS)
    mother = await tx.row(
        "SELECT a.id, a.no, h.no AS holder_no, h.name FROM accounts a JOIN holders h ON h.id = a.person_id WHERE h.id = $1",
        people["child-parent"],
    )
    if mother is not None:
        child = ActsFor(people["child"], 0, "", "guardian")
        who = Caller(mother["id"], mother["no"], people["child-parent"], mother["holder_no"], acts_for=(child,))
        for purpose in ("childcare", "health"):
            said = consents.Said(given=True, version=PURPOSES[purpose].version, channel="app", by=None)
            await consents.record(tx, who, people["child"], purpose, said)
