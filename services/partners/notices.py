"""What partners' service announces."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Final

from shared.notices import Data, Notice, NoticeType
from shared.texts import say


class EndpointDisabled(Data):
    """Why nothing is sent any more."""

    reason: str


TYPES: Final = (
    NoticeType(
        "partners.endpoint.disabled",
        EndpointDisabled,
        say("the endpoint", "接口"),
        say(
            "Nothing is sent there any more: it answered 410 (`gone`), or only failed for five days (`failing`).",
            "已停止推送：返回 410（`gone`），或连续五天失败（`failing`）。",
        ),
        {"reason": "failing"},
    ),
)


def endpoint_disabled(endpoint_id: uuid.UUID, community: str, holders: Sequence[int], reason: str) -> Notice:
    """An endpoint was disabled, and not by its owner."""
    return Notice("partners.endpoint.disabled", community, endpoint_id, tuple(holders), {"reason": reason})
