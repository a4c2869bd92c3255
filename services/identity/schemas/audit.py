"""What auditors read, and what residents read about who saw what of them."""

from __future__ import annotations

import uuid
from typing import Annotated, Any, Literal

from pydantic import Field

from shared.claiming import Moment
from shared.texts import say
from shared.web import Out

Name = Annotated[str, Field(description=say("Masked.", "脱敏。"))]


class ByOut(Out):
    """Who did something: the office they held there and then, and a masked name."""

    role: str | None = Field(description=say("Null: as a resident.", "空：以居民身份。"))
    region: str | None
    name: Name


class ByAccountOut(ByOut):
    """Who did something, for auditors."""

    account_id: uuid.UUID


class AuditOut(Out):
    """One deed. `position` and `hash` are null for the few seconds until it is chained."""

    no: int
    position: int | None
    hash: str | None
    at: Moment
    action: str
    community: str
    person_id: uuid.UUID | None = Field(description=say("Whom it was about.", "涉及的人员。"))
    by: ByAccountOut | None = Field(description=say("Null: nobody; a task did it.", "空：系统任务。"))
    reason: str | None
    data: dict[str, Any]


class BrokenOut(Out):
    """The first link that does not hold."""

    position: int
    what: Literal["entry", "missing", "head"] = Field(
        description=say(
            "`entry` was changed, is `missing`, or the end or a signed `head` says otherwise.",
            "`entry` 记录被改动；`missing` 记录缺失；`head` 与链尾或已签名的链头不符。",
        )
    )


class VerifyOut(Out):
    """How a part of the chain was found."""

    whole: bool = Field(description=say("Nothing is broken in this part.", "本段完整。"))
    first: int | None
    last: int | None
    checked: int
    broken: BrokenOut | None
    next: int | None = Field(
        description=say("Go on with `after` = this; null at the end.", "下一段的 `after`；到末尾为空。")
    )


class LedgerOut(Out):
    """Somebody saw or did something with what is known of a person."""

    at: Moment
    action: str
    what: list[str] = Field(description=say("The fields, where it was about some.", "涉及的字段。"))
    reason: str | None
    by: ByOut | None = Field(description=say("Null: nobody; a task did it.", "空：系统任务。"))
    is_self: bool = Field(description=say("The person themselves.", "是否为本人操作。"))
    approved_by: Name | None
    service: str | None
    place_id: uuid.UUID | None
