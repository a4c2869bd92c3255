"""What callers say and hear about reservations. Imports nothing heavy: the gateway reads bodies with it, too."""

from __future__ import annotations

from functools import cached_property

from pydantic import Field

from shared.claiming import ClaimIn, ClaimOut, Text
from shared.claims import Take
from shared.texts import say


class ReservationIn(ClaimIn):
    """Places in a facility."""

    note: Text | None = Field(default=None, description=say("For the staff of the facility.", "给场所工作人员的备注。"))

    @cached_property
    def takes(self) -> tuple[Take, ...]:
        """Each person takes a place, and one for every guest."""
        return tuple([Take(slot, 1 + self.guests) for slot in self.slots])


class ReservationOut(ClaimOut):
    """A reservation."""

    note: str | None = None
