"""What callers of the gateway's own routes say and hear."""

from __future__ import annotations

import uuid
from datetime import date as Date  # noqa: N812 - a field is called date
from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from shared.claiming import RESOURCE, Moment, NamedOut, Short
from shared.texts import say
from shared.web import In, Out


class SubjectOut(Out):
    """What a slot is about, where that is more than its place: a dish, an event."""

    kind: str
    id: uuid.UUID


class AudienceOut(Out):
    """For whom a slot is."""

    min_age: int | None
    max_age: int | None
    level: int = Field(description=say("Real-name level needed, 0 to 3.", "所需实名等级，0 至 3。"))


class SlotOut(Out):
    """A slot, and whether the caller could book it now."""

    id: uuid.UUID
    service: str
    facility: NamedOut
    resource: NamedOut | None = Field(description=RESOURCE)
    title: str
    subject: SubjectOut | None
    community: str
    starts_at: Moment
    ends_at: Moment
    opens_at: Moment | None
    closes_at: Moment
    cancel_by: Moment | None
    allocation: Literal["first_come", "ballot"]
    audience: AudienceOut
    capacity: int
    free: int
    waiting: int
    state: Literal["open", "closed", "cancelled"]
    bookable: bool | None = Field(
        description=say("For the caller or for all in `for`.", "针对本人或 `for` 中的所有人。")
    )
    reason: str | None


FOR: Final = say(
    "For whom, repeatable: oneself and those one may act for. Staff at the desk hear why not from the claim itself.",
    "为谁查询，可重复：本人及可代办的人。窗口工作人员直接提交预约，不可预约时会说明原因。",
)


class SlotsQuery(BaseModel):
    """Which slots, and for whom; what an `In` takes, but a number in a query is text."""

    model_config = In.model_config | ConfigDict(populate_by_name=True)

    service: str | None = Field(
        default=None, pattern=r"^[a-z-]{1,40}$", description=say("A service's path word.", "服务名称。")
    )
    facility: uuid.UUID | None = Field(default=None, description=say("A place's id.", "场所编号。"))
    community: str | None = Field(
        default=None,
        pattern=r"^[0-9]{2,12}(-[0-9]{2})?$",
        description=say("A region code; all below it.", "区划代码（含下级）。"),
    )
    subject: uuid.UUID | None = Field(
        default=None,
        description=say("Only what is about this event, series or dish.", "仅限此活动、系列课程或菜品的场次。"),
    )
    starts_from: str | None = Field(
        default=None, alias="from", max_length=40, description=say("A date or time.", "起始日期或时间。")
    )
    starts_until: str | None = Field(
        default=None,
        alias="to",
        max_length=40,
        description=say("A date or time, exclusive.", "截止日期或时间（不含）。"),
    )
    persons: list[uuid.UUID] | None = Field(
        default=None,
        alias="for",
        max_length=20,
        description=FOR,
    )
    limit: int = Field(default=100, ge=1, le=500, description=say("Most items on this page.", "本页最多条数。"))
    cursor: str | None = Field(
        default=None, max_length=200, description=say("`next` of the page before.", "上一页返回的 `next`。")
    )


class CapacityIn(In):
    """A slot's new number of places."""

    capacity: int = Field(ge=0, le=100_000)


class RegionOut(Out):
    """A division of the official tree."""

    code: str
    name: str
    level: str
    parent_code: str | None
    ended_on: Date | None = Field(default=None, description=say("Merged or split on this day.", "撤并日期。"))
    successors: list[str] = Field(
        default=[], description=say("Those that followed it, the principal one first.", "承接的区划，主要承接者在前。")
    )


class DayOut(Out):
    """What a date is."""

    date: Date
    kind: Literal["work", "rest", "closed"]
    name: str | None
    is_provisional: bool = Field(
        description=say("No official calendar yet; may change.", "官方日历尚未公布，可能变化。")
    )


class DayIn(In):
    """What a date is to be."""

    kind: Literal["work", "rest", "closed"]
    name: Short | None = None


class RefusalOut(Out):
    """A claim that was refused, and why."""

    at: Moment
    service: str
    slot_id: uuid.UUID | None
    community: str
    code: str = Field(description=say("The reason, as the problem named it.", "拒绝原因代码。"))
    title: str = Field(description=say("The reason in words.", "拒绝原因。"))
    persons: list[uuid.UUID] = Field(description=say("For whom it was asked.", "为谁预约。"))
    person: uuid.UUID | None = Field(description=say("For whom it failed, if for one.", "因何人被拒绝。"))
    request_id: str = Field(description=say("The last such request.", "最近一次请求编号。"))
    count: int = Field(description=say("How often within a second.", "一秒内的次数。"))


class ToldOut(Out):
    """Something that happened to the caller, or to somebody they act for."""

    position: int
    id: uuid.UUID
    type: str = Field(description=say("`service.thing.happened`", "`服务.事物.事件`"))
    community: str
    subject: uuid.UUID = Field(
        description=say("What it is about, as its type says; e.g. the event.", "通知的主题，依类型而定，例如活动编号。")
    )
    occurred_at: Moment
    persons: list[uuid.UUID] = Field(description=say("Whom of the caller's people it is about.", "涉及的人员。"))
    data: dict[str, Any] = Field(description=say("More about it; nothing personal.", "事件详情，不含个人信息。"))


class ToldPage(Out):
    """Notices, and the position to go on behind."""

    items: list[ToldOut]
    next: int
