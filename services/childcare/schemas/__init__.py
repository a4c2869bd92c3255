"""What callers say and hear about children's rooms. Imports nothing heavy: the gateway reads bodies with it, too."""

from __future__ import annotations

import unicodedata
import uuid
from functools import cached_property
from typing import Annotated, Literal, Self

from pydantic import (
    AfterValidator,
    AwareDatetime,
    Field,
    StringConstraints,
    field_validator,
    model_validator,
)

from services.childcare.rules import Terms
from shared import clock
from shared.claiming import ClaimIn, ClaimOut, Long, Moment, NamedOut, Short, Text
from shared.claims import Take
from shared.texts import say
from shared.uploads import AHEAD, UploadIn
from shared.web import In, Out

Code = Annotated[
    str,
    StringConstraints(min_length=1, max_length=40),
    AfterValidator(lambda told: "".join(unicodedata.normalize("NFKC", told).split())),
]
"""Digits as somebody types or reads them out: grouped, or of full width."""
Minute = Annotated[int, Field(ge=1, le=24 * 60)]


_USUAL = Terms()


class RoomTerms(In):
    """How many a room watches over, in which way, and when somebody is called for a child who was not collected."""

    children_per_carer: int = Field(
        default=_USUAL.children_per_carer,
        ge=1,
        le=50,
        description=say("Without their guardian.", "每名照护人员照看的无陪同儿童数。"),
    )
    accompanied_per_carer: int | None = Field(
        default=_USUAL.accompanied_per_carer,
        ge=1,
        le=100,
        description=say(
            "With a guardian who stays; null: they need no carer's attention.",
            "每名照护人员照看的有陪同儿童数；为空则不计入。",
        ),
    )
    most_children: int = Field(
        default=_USUAL.most_children, ge=1, le=1000, description=say("In the room at once.", "同时在室内的儿童上限。")
    )
    stays: Literal["either", "stay", "drop_off"] = Field(
        default="either", description=say("Whether guardians stay.", "监护人是否陪同。")
    )
    sign_in_minutes: int = Field(
        default=_USUAL.sign_in_minutes,
        ge=0,
        le=120,
        description=say("Signing in begins so long before.", "开始前多少分钟可签到。"),
    )
    late_after_minutes: list[Minute] = Field(
        default_factory=lambda: list(_USUAL.late_after_minutes),
        min_length=1,
        max_length=10,
        description=say(
            "After the end of the session, for a child still inside: one step each.",
            "场次结束后儿童未被接走的提醒时点。",
        ),
    )

    @model_validator(mode="after")
    def _has_steps_in_order(self) -> Self:
        if sorted(set(self.late_after_minutes)) != self.late_after_minutes:
            raise ValueError("late_after_minutes grow")
        return self


class VisitIn(ClaimIn):
    """Children come to a session of a room."""

    stays: bool = Field(default=False, description=say("A guardian stays with them.", "监护人是否全程陪同。"))
    note: Text | None = Field(default=None, description=say("For the carers of the room.", "给照护人员的备注。"))

    @model_validator(mode="after")
    def _brings_only_children(self) -> Self:
        if self.guests:
            raise ValueError("a child brings no guests")
        if self.holder is not None:
            raise ValueError("a committee is no child")
        return self

    @cached_property
    def takes(self) -> tuple[Take, ...]:
        """Each child takes a place."""
        return tuple([Take(slot, 1) for slot in self.slots])


class StepOut(Out):
    """A child was brought or collected."""

    person: NamedOut
    direction: Literal["in", "out"]
    at: Moment


class VisitOut(ClaimOut):
    """A visit of one or more children."""

    stays: bool
    note: str | None = None
    steps: list[StepOut] = Field(
        default_factory=list, description=say("Who came and went, in order.", "签到与接走记录（按时间）。")
    )


class DoorIn(UploadIn):
    """What a device tells of a door: something happened, or is to happen."""

    @model_validator(mode="after")
    def _has_happened(self) -> Self:
        if self.decided is False:
            raise ValueError("what did not happen is not told")
        return self


class SignInIn(DoorIn):
    """A child is brought: the guardian shows the pass of the visit."""

    person: uuid.UUID | None = Field(
        default=None, description=say("The child; needed if there are several.", "儿童编号；多名儿童时必填。")
    )
    code: Code | None = Field(default=None, description=say("The pass's eight digits, or", "通行码 8 位数字，或"))
    token: str | None = Field(
        default=None, max_length=2000, alias="pass", description=say("the pass itself.", "通行凭证。")
    )
    brought_by: uuid.UUID | None = Field(
        default=None, description=say("The adult, where known.", "送来儿童的成年人（如已知）。")
    )

    @model_validator(mode="after")
    def _shows_something(self) -> Self:
        if (self.code is None) == (self.token is None):
            raise ValueError("show either code or pass")
        return self


class SignOutIn(DoorIn):
    """A child goes home with an adult."""

    person: uuid.UUID | None = Field(
        default=None, description=say("The child; needed if there are several.", "儿童编号；多名儿童时必填。")
    )
    collector: uuid.UUID | None = Field(
        default=None,
        description=say(
            "The adult's person id, or the id of a line of the child's collectors.",
            "接领人编号，或接领名单中的条目编号。",
        ),
    )
    code: Code | None = Field(default=None, description=say("Or a one-time code.", "或一次性接送码。"))

    @model_validator(mode="after")
    def _names_somebody(self) -> Self:
        if (self.collector is None) == (self.code is None):
            raise ValueError("name either collector or code")
        return self


class HandoverOut(Out):
    """What became of a child who was brought or was to be collected."""

    id: uuid.UUID
    visit_id: uuid.UUID
    person: NamedOut
    progress: Literal["inside", "left"]
    at: Moment
    adult: NamedOut | None = Field(description=say("Who brought or collected the child.", "送来或接走儿童的成年人。"))
    reasons: list[str] = Field(
        description=say("What stood against it, where it had happened already.", "已发生的记录中存在的问题。")
    )


class DeskIn(DoorIn):
    """What carers tell of their room. Whoever sends it again gives it an id of its own; left out, it is told once, of now."""

    id: uuid.UUID = Field(
        default_factory=uuid.uuid4,
        description=say(
            "One's own id of this report: sent again, it is answered the same.",
            "本次上报的编号：重复提交得到相同的答复。",
        ),
    )
    at: AwareDatetime = Field(
        default_factory=clock.now,
        description=say("When it happened; left out: now.", "发生时间；省略则为当前时间。"),
    )


class CarerIn(DeskIn):
    """A carer comes to the room, or goes."""

    person: uuid.UUID | Literal["self"] = Field(default="self", description=say("The carer.", "照护人员。"))
    inside: bool = Field(description=say("true: comes; false: goes.", "true 为到岗，false 为离岗。"))


class InsideOut(Out):
    """A child who is inside."""

    id: uuid.UUID
    name: str
    visit_id: uuid.UUID
    stays: bool
    since: Moment
    ends_at: Moment


class NowOut(Out):
    """Who is in a room at this moment. Names only for its carers."""

    facility: NamedOut
    at: Moment
    children: int
    adults: int = Field(description=say("Carers, and guardians who stay.", "照护人员及陪同的监护人。"))
    carers: int
    ratio: int = Field(
        description=say("Children without a guardian for one carer, at most.", "每名照护人员最多照看的无陪同儿童数。")
    )
    places: int = Field(description=say("Children at once, at most.", "同时在室内的儿童上限。"))
    free: int = Field(
        description=say("How many more could come in now, with these carers.", "按当前照护人员还可接收的儿童数。")
    )
    inside: list[InsideOut] | None = None
    on_duty: list[NamedOut] | None = None


class CarerOut(Out):
    """A carer came or went."""

    person: NamedOut
    inside: bool
    at: Moment
    children: int
    carers: int
    reasons: list[str]


class CountIn(DeskIn):
    """Carers look whether the room is empty."""

    count: int | None = Field(
        default=None,
        ge=0,
        le=1000,
        description=say(
            "Children seen in the room; left out: as many as are named.", "清点到的儿童人数；省略则为所列人数。"
        ),
    )
    names: list[Short] = Field(
        default_factory=list, max_length=100, description=say("Who they are.", "被清点儿童的姓名。")
    )

    @model_validator(mode="after")
    def _says_how_many(self) -> Self:
        if self.count is None and "names" not in self.model_fields_set:
            raise ValueError("say count or names")
        if self.count is not None and self.count < len(self.names):
            raise ValueError("more are named than were counted")
        return self

    @property
    def seen(self) -> int:
        """How many children were seen."""
        return len(self.names) if self.count is None else self.count


class CountOut(Out):
    """Whether the room is closed; if not, who is inside as far as is known."""

    id: uuid.UUID
    closed: bool
    count: int
    inside: list[NamedOut]
    incident: uuid.UUID | None
    at: Moment
    reasons: list[str]


class IncidentIn(DeskIn):
    """Something that happened in a room."""

    room: uuid.UUID
    severity: Literal["minor", "moderate", "serious"]
    text: Annotated[Long, Field(min_length=1)]
    persons: list[uuid.UUID] = Field(
        default_factory=list,
        max_length=50,
        description=say("The children concerned, of those who ever had a visit here.", "涉及的儿童，须曾预约过本室。"),
    )
    witnessed_by: list[Short] = Field(
        default_factory=list, max_length=20, description=say("Names of who saw it.", "目击者姓名。")
    )
    guardian_notified_at: AwareDatetime | None = None
    report_to_authority: bool = Field(
        default=False, description=say("The law asks to report it at once.", "依法须立即报告。")
    )
    follows: uuid.UUID | None = Field(
        default=None, description=say("An earlier incident that this adds to.", "所补充的先前记录。")
    )

    @field_validator("guardian_notified_at")
    @classmethod
    def _was_notified(cls, moment: AwareDatetime | None) -> AwareDatetime | None:
        if moment is not None and not (moment.year >= 2000 and moment <= clock.now() + AHEAD):
            raise ValueError("not yet, or not such a year")
        return moment


class IncidentOut(Out):
    """What was written down; nobody can change it."""

    id: uuid.UUID
    room: NamedOut
    kind: str = Field(
        description=say(
            "`reported` by somebody; `count`: a room was not empty at its close; `collection`: a child had already "
            "gone with somebody who may not collect it.",
            "`reported` 人工上报；`count` 闭馆清点不为零；`collection` 儿童已被无权接领的人接走。",
        )
    )
    severity: Literal["minor", "moderate", "serious"]
    text: str | None = Field(
        description=say(
            "null for guardians, unless it is about their own children only; and for everybody once its time is over.",
            "监护人仅在只涉及本人子女时可见，否则为空；保存期满后对所有人为空。",
        )
    )
    persons: list[NamedOut] = Field(description=say("For guardians only their own.", "监护人仅见本人子女。"))
    witnessed_by: list[str]
    guardian_notified_at: Moment | None
    report_to_authority: bool
    follows: uuid.UUID | None
    by: str
    at: Moment
    made_at: Moment
