"""A service's collection of claimed things: read, listed, cancelled and shown at the door in the same way everywhere."""

from __future__ import annotations

import re
import uuid
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from shared import errors
from shared.assertion import Caller
from shared.claiming import ClaimOut
from shared.claims import Freed, Group
from shared.crypto import Keyring
from shared.db import Tx
from shared.notices import Notice
from shared.texts import say

_PLAIN: Final = re.compile(r"[a-z][a-z0-9_]{0,62}")

Details = Callable[[Tx, Keyring, Sequence[uuid.UUID]], Awaitable[Mapping[uuid.UUID, Any]]]
"""More about these resources, by id, in one query; those of which there is no more are missing."""
Releasing = Callable[[Tx, Caller, Any, Group, Sequence[int]], Awaitable[None]]
"""What must be true, or written, when these holders of a row's group give their places back."""


class Shown(Protocol):
    """How a resource (its row, its answer) is told to this caller, in a list or `alone`; may write down that it was read."""

    async def __call__(self, tx: Tx, who: Caller, row: Any, out: Any, *, alone: bool) -> Any:
        """The answer as this caller hears it."""


@dataclass(frozen=True, slots=True)
class Words:
    """What the document says of a collection's routes."""

    list: str = say("Mine, or those of my places (staff)", "列表：我的，或本场所的（工作人员）")
    read: str = say("Read one", "查看一项")
    cancel: str = say("Cancel all places or one person's", "取消全部或某人的名额")
    cancelling: str = say(
        "Frees the places at once, also late, until the session is over. Cancelling again answers the same.",
        "立即释放名额，场次结束前均可取消，逾期亦可。重复取消返回相同结果。",
    )
    show: str = say("The pass to show at the door", "入场凭证")


@dataclass(frozen=True, slots=True)
class Collection:
    """The claimed things of one service, and what is its own about them.

    Its table has the columns id, group_id, place_id, community, account_no, starts_at, and `columns` beside them.
    `readers` may see those of the places their role reaches, `staff` may cancel them for residents. `out` makes the answer
    out of a row, its group and its detail (None without `details`); `cancelled` is what is announced. `releasing` runs when
    the slots are locked and before anything is freed: it may refuse (`refusals` says with what), or write rows of its own.
    `shown` leaves out what not everybody hears who may read.
    """

    service: str
    name: str
    table: str
    columns: tuple[str, ...]
    readers: frozenset[str]
    staff: frozenset[str]
    out: Callable[[Any, Group, Any], ClaimOut]
    cancelled: Callable[[Group, Sequence[Freed]], Notice]
    details: Details | None = None
    releasing: Releasing | None = None
    shown: Shown | None = None
    refusals: tuple[type[errors.Refusal], ...] = ()
    words: Words = field(default=Words())

    def __post_init__(self) -> None:
        """Names become part of statements: anything but a plain one is a mistake in the code."""
        for name in (self.table, *self.columns):
            if not _PLAIN.fullmatch(name):
                raise ValueError(name)

    @property
    def where(self) -> str:
        """Its path, without the version: `booking/reservations`."""
        return f"{self.service}/{self.name}"

    @property
    def one(self) -> str:
        """What one of its resources is called: `reservation`."""
        return self.name.removesuffix("s")
