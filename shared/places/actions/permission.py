"""Who may do what to places, and the place they do it to, locked."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Final

from shared import errors
from shared.assertion import Caller
from shared.db import Tx
from shared.places import sql

OWNERS: Final = frozenset({"manager", "operator"})
"""Who says what a place is, when it is open and by which rules."""
STAFF: Final = frozenset({"staff", "manager", "operator"})
"""Who runs it from day to day: extra sessions, closures, and the sheet of who comes."""
READERS: Final = STAFF | {"volunteer"}
"""Who may see a day's sheet of a place their role reaches, where a service says nothing else."""

Matches = Callable[[object], None]
"""Refuses unless the caller read this version."""


async def held_place(
    tx: Tx, who: Caller, roles: frozenset[str], service: str, place_id: uuid.UUID, *, keepers: bool = False
) -> sql.Place:
    """The place, locked, for somebody whose role reaches it; or who keeps it, where that is enough."""
    place = await sql.locked_place(tx, place_id, service)
    if place is None:
        raise errors.NotThere
    if not (keepers and who.keeps(place_id)):
        who.require(roles, place.community, place_id)
    return place
