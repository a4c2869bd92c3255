"""What people may ask of everybody who knows something of them: all of it, and that it be forgotten.

Each service says both for itself (`exports` and `forgets` in the list of services), in its own role; whoever runs the tasks
asks them one after the other.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

Tables = dict[str, list[dict[str, Any]]]
"""What somebody is told that is known of them: rows by the name of a table, sealed fields opened."""

MOST: int = 5000
"""Rows of one table, the newest first."""


class Whom(NamedTuple):
    """Somebody, by everything that rows know people by; `asked_by` is the account that asks for them."""

    person_id: uuid.UUID
    holder_no: int
    account_nos: Sequence[int]
    asked_by: int


class Rights(Protocol):
    """Asks every service."""

    async def everything(self, whom: Whom) -> dict[str, Tables]:
        """All that is known of somebody, by service."""

    async def end(self, whom: Whom) -> None:
        """Give back what they still hold, and end what goes on for them by itself; safe to do again."""

    async def forget(self, whom: Whom) -> None:
        """The same, and forget what need not be known of them any more."""
