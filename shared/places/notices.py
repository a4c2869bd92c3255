"""What places announce, under the name of the service whose place it is."""

from __future__ import annotations

import uuid
from datetime import datetime

from shared.notices import Data, NoticeType
from shared.texts import say


class ClosureNamed(Data):
    """The closure and the words of the staff; no id where it was the calendar."""

    id: uuid.UUID | None
    reason: str | None


class ClaimReleased(Data):
    """Which slot was closed, and why."""

    reason: str
    slot_id: uuid.UUID
    starts_at: datetime
    closure: ClosureNamed


def released(service: str) -> NoticeType:
    """The kind of notice by which a service says that a closure took a place back."""
    return NoticeType(
        f"{service}.claim.released",
        ClaimReleased,
        say("the group of claims", "预约组"),
        say(
            "A closure, or a day that was closed, took a place back. `closure` has its id (null: the calendar) and the "
            "words of the staff.",
            "因停用或当日关闭收回名额。`closure` 为停用编号（日历关闭时为空）与工作人员的说明。",
        ),
        {
            "reason": "closed",
            "slot_id": "01990000-0000-7000-8000-000000000001",
            "starts_at": "2026-12-01T10:00:00+08:00",
            "closure": {"id": "01990000-0000-7000-8000-00000000000c", "reason": "维修"},
        },
    )
