"""What the ledger itself announces, whichever service it was about."""

from __future__ import annotations

import uuid
from typing import Final

from shared.notices import Data, NoticeType
from shared.texts import say


class AskLost(Data):
    """Which service and slots were waited for, and why in vain."""

    service: str
    slots: list[uuid.UUID]
    reason: str | None


TYPES: Final = (
    NoticeType(
        "ledger.ask.lost",
        AskLost,
        say("the group of the ask", "候补申请的预约组"),
        say(
            "An ask left its waiting lists without a place: it became impossible, or its service refused.",
            "候补未获名额即结束：已无法满足，或服务拒绝。",
        ),
        {"service": "booking", "slots": ["01990000-0000-7000-8000-000000000001"], "reason": "closed"},
    ),
)
