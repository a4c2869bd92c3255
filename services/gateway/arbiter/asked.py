"""What the arbiter is asked, and what it answers."""

from __future__ import annotations

import uuid
from typing import NamedTuple

from services.gateway.arbiter.rules import Decision
from shared.assertion import Caller
from shared.claims import Subject, Take
from shared.grants import Grant


class Asked(NamedTuple):
    """One request for places, as the front door understood it.

    `persons` None means the caller, or the committee of the region that is the `holder`.
    """

    service: str
    caller: Caller
    key: str
    fingerprint: bytes
    takes: tuple[Take | Subject, ...]
    persons: tuple[uuid.UUID, ...] | None = None
    channel: str = "app"
    waits: bool = False
    serving: uuid.UUID | None = None
    """The group that comes off the waiting list; None for a newcomer."""
    sealed_body: bytes = b""
    holder: str | None = None


class Outcome(NamedTuple):
    """The decision on one ask, and what goes with it: the grant, or the slot it was refused for.

    With one that has just begun to wait comes what it would have been granted. It holds nothing, and can only be asked about.
    """

    group_id: uuid.UUID
    decision: Decision
    grant: Grant | None = None
    slot_id: uuid.UUID | None = None
