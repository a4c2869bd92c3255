"""What callers say and hear of events. Imports nothing heavy: the gateway reads bodies with it, too."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import cached_property
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import (
    AfterValidator,
    AwareDatetime,
    ConfigDict,
    Field,
    StrictBool,
    StrictFloat,
    StrictInt,
    StringConstraints,
    ValidationError,
    ValidatorFunctionWrapHandler,
    WrapValidator,
)
from pydantic import model_validator as validator
from pydantic_core import PydanticCustomError

from services.events import rules
from services.events.rules import Arrival, Description, Session
from shared.claiming import ClaimIn, ClaimOut, Long, Moment, NamedOut, Short, Text
from shared.claims import Subject, Take
from shared.places.schemas.opening import Audience, PolicyAudienceOut
from shared.places.schemas.words import Capacity, Region
from shared.texts import say
from shared.uploads import UploadIn
from shared.web import In, Out

MOST_SESSIONS = 60
MOST_QUESTIONS = 20


def _bounded(moment: datetime) -> datetime:
    if not 2000 <= moment.year < 2200:
        raise ValueError("not between 2000 and 2200")
    return moment


When = Annotated[AwareDatetime, AfterValidator(_bounded)]
"""A moment that any calendar can show."""
QuestionId = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_-]{0,39}$")]
QuestionKind = Literal["text", "number", "bool", "choice"]
State = Literal["draft", "published", "changed", "cancelled", "held"]


class SessionIn(In):
    """A time at which it takes place."""

    id: uuid.UUID | None = Field(
        default=None,
        description=say(
            "Of one that is there and stays; without it, the one of the same times, or a new one.",
            "已有场次的编号；省略则按时间匹配，无匹配则为新增。",
        ),
    )
    starts_at: When
    ends_at: When
    title: Short | None = None

    @validator(mode="after")
    def _has_a_length(self) -> Self:
        if not timedelta(0) < self.ends_at - self.starts_at <= timedelta(days=1):
            raise ValueError("ends_at comes after starts_at, and not more than a day")
        return self


class QuestionIn(In):
    """Something that everybody who registers is asked."""

    id: QuestionId
    text: Annotated[Text, Field(min_length=1)]
    text_en: Text | None = None
    kind: QuestionKind
    options: list[Short] = Field(
        default_factory=list, max_length=50, description=say("Of a choice, at least two.", "选择题的选项，至少两个。")
    )
    required: bool = False


class EventIn(In):
    """An event or a series."""

    title: Short
    title_en: Short | None = None
    text: Long = ""
    community: Region = Field(description=say("Whose event it is: a region code.", "主办方所属区划代码。"))
    audience: Audience = Audience()
    seats: Capacity = Field(description=say("In each session.", "每场名额。"))
    sessions: list[SessionIn] = Field(min_length=1, max_length=MOST_SESSIONS)
    venue_group_id: uuid.UUID | None = Field(
        default=None,
        description=say(
            "The claim (`group_id`) by which a facility was booked for all sessions; needed before it is published.",
            "为全部场次预订场所的预约组编号；发布前须填写。",
        ),
    )
    questions: list[QuestionIn] = Field(default_factory=list, max_length=MOST_QUESTIONS)
    opens_at: When | None = Field(
        default=None, description=say("Registration opens; null: when it is published.", "开始报名；为空则发布即开放。")
    )
    closes_at: When | None = Field(
        default=None,
        description=say("Registration closes; null: when a session begins.", "截止报名；为空则至场次开始。"),
    )
    cancel_by: When | None = Field(default=None, description=say("Cancelling in time ends then.", "按时取消的期限。"))
    is_waitable: bool = True

    @validator(mode="after")
    def _opens_before_it_closes(self) -> Self:
        if self.opens_at is not None and self.closes_at is not None and self.opens_at >= self.closes_at:
            raise ValueError("opens_at is not before closes_at")
        if self.opens_at is not None and any(one.starts_at <= self.opens_at for one in self.sessions):
            raise ValueError("a session begins before opens_at")
        return self

    def said(self) -> Description:
        """What the actions are told."""
        audience = self.audience
        return Description(
            title=self.title,
            title_en=self.title_en,
            text=self.text,
            community=self.community,
            min_age=audience.min_age,
            max_age=audience.max_age,
            regions=tuple(dict.fromkeys(audience.regions)) if audience.regions is not None else None,
            level=audience.level,
            needs_guardian=audience.needs_guardian,
            seats=self.seats,
            questions=tuple(one.model_dump() for one in self.questions),
            opens_at=self.opens_at,
            closes_at=self.closes_at,
            cancel_by=self.cancel_by,
            is_waitable=self.is_waitable,
            venue_group_id=self.venue_group_id,
            sessions=tuple(Session(one.id, one.starts_at, one.ends_at, one.title) for one in self.sessions),
        )


class CancelIn(In):
    """Why it does not take place; everybody may read it."""

    reason: Annotated[Text, Field(min_length=1)]


class SessionOut(Out):
    """A time at which it takes place."""

    id: uuid.UUID
    starts_at: Moment
    ends_at: Moment
    title: str | None
    state: Literal["planned", "cancelled"]
    slot_id: uuid.UUID | None = Field(
        description=say("Claimed with this, once it is published.", "发布后以此编号报名。")
    )


class QuestionOut(Out):
    """Something that everybody who registers is asked."""

    id: str
    text: str
    text_en: str | None
    kind: QuestionKind
    options: list[str]
    required: bool


class EventOut(Out):
    """An event or a series."""

    id: uuid.UUID
    kind: Literal["event", "series"]
    state: State = Field(description=say("`held`: it took place.", "`held`：已举行。"))
    version: int
    title: str
    title_en: str | None
    text: str
    community: str
    audience: PolicyAudienceOut
    seats: int
    starts_at: Moment
    ends_at: Moment
    sessions: list[SessionOut]
    venue: NamedOut | None = Field(description=say("Where, once it is published.", "地点（发布后）。"))
    venue_group_id: uuid.UUID | None = Field(description=say("Only for staff.", "仅工作人员可见。"))
    venue_lost_at: Moment | None = Field(
        description=say("When its venue was found to be lost; only for staff.", "发现场地失效的时间；仅工作人员可见。")
    )
    questions: list[QuestionOut]
    opens_at: Moment | None
    closes_at: Moment | None
    cancel_by: Moment | None
    is_waitable: bool
    reason: str | None = Field(description=say("Why it was cancelled.", "取消原因。"))


def event_out(event: Any, sessions: list[Session], *, for_staff: bool) -> EventOut:
    """An event as it is shown."""
    return EventOut(
        **{name: event[name] for name in _PLAIN},
        audience=PolicyAudienceOut(**{name: event[name] for name in PolicyAudienceOut.model_fields}),
        sessions=[
            SessionOut(
                id=one.id,
                starts_at=one.starts_at,
                ends_at=one.ends_at,
                title=one.title,
                state="cancelled" if one.is_cancelled or event["state"] == "cancelled" else "planned",
                slot_id=one.id if event["was_published"] else None,
            )
            for one in sessions
        ],
        venue=NamedOut(id=event["place_id"], name=event["place_name"]) if event["was_published"] else None,
        venue_group_id=event["venue_group_id"] if for_staff else None,
        venue_lost_at=event["venue_lost_at"] if for_staff else None,
        questions=[QuestionOut(**one) for one in event["questions"]],
    )


_PLAIN = (
    "id",
    "kind",
    "state",
    "version",
    "title",
    "title_en",
    "text",
    "community",
    "seats",
    "starts_at",
    "ends_at",
    "opens_at",
    "closes_at",
    "cancel_by",
    "is_waitable",
    "reason",
)


def _answer(value: Any, read: ValidatorFunctionWrapHandler) -> bool | float | str:
    """An answer of some kind. Its fault is told once, and not once for every kind that it is not."""
    try:
        told: bool | float | str = read(value)
    except ValidationError as error:
        if not isinstance(value, str):
            raise PydanticCustomError("answer_type", "no answer to any question") from None
        fault = error.errors()[-1]  # the last kind is the text
        raise PydanticCustomError(fault["type"], fault["msg"]) from None
    if not isinstance(told, str) and not abs(told) <= rules.MOST_NUMBER:
        raise PydanticCustomError("range", "too large for any question")
    return told


class AnswerIn(In):
    """An answer to one of its questions."""

    question: QuestionId
    value: Annotated[StrictBool | StrictInt | StrictFloat | Text, WrapValidator(_answer)]


class RegistrationIn(ClaimIn):
    """Seats in a session, or in every session of a series that is still to come."""

    instead: ClassVar[tuple[str, ...]] = ("series_id",)
    names_subject: ClassVar[str] = "/series_id"
    series_id: uuid.UUID | None = Field(
        default=None,
        description=say(
            "A series: all sessions to come, all or none; instead of slot_id.",
            "系列课程：全部未开始的场次，全部成功或全部不成功；代替 slot_id。",
        ),
    )
    answers: list[AnswerIn] = Field(default_factory=list, max_length=MOST_QUESTIONS)

    @validator(mode="after")
    def _is_for_people(self) -> Self:
        if self.holder is not None:
            raise ValueError("a committee sits on no seat")
        return self

    @cached_property
    def takes(self) -> tuple[Take | Subject, ...]:
        """Each person takes a seat."""
        if self.series_id is not None:
            return (Subject(self.series_id),)
        return tuple([Take(slot) for slot in self.slots])


class AnswerOut(Out):
    """An answer."""

    question: str
    value: bool | int | float | str


class RegistrationOut(ClaimOut):
    """A registration."""

    event_id: uuid.UUID | None = None
    answers: list[AnswerOut] = Field(default_factory=list)


class AttendanceIn(UploadIn):
    """Somebody came, or did not: found by registration, by the code they say, or by the pass they show."""

    model_config = ConfigDict(validate_by_name=False, validate_by_alias=True, serialize_by_alias=True)

    registration_id: uuid.UUID | None = None
    code: Short | None = Field(default=None, description=say("The pass's digits.", "凭证数字码。"))
    pass_: Annotated[str, StringConstraints(min_length=1, max_length=2000)] | None = Field(
        default=None, alias="pass", description=say("The pass's token.", "凭证令牌。")
    )
    event_id: uuid.UUID | None = Field(default=None, description=say("Only of this event.", "仅此活动。"))
    slot_id: uuid.UUID | None = Field(
        default=None, description=say("Left out: the session nearest to `at`.", "省略则为最接近 `at` 的场次。")
    )
    person: uuid.UUID | None = Field(
        default=None, description=say("Needed when several registered together.", "多人一同报名时须填写。")
    )
    came: bool = True

    @validator(mode="after")
    def _names_one_way(self) -> Self:
        if sum(one is not None for one in (self.registration_id, self.code, self.pass_)) != 1:
            raise ValueError("name one of registration_id, code, pass")
        return self

    def said(self) -> Arrival:
        """What the actions are told."""
        return Arrival(
            self.registration_id, self.code, self.pass_, self.event_id, self.slot_id, self.person, self.came, self.at
        )


class AttendanceOut(Out):
    """What became of it."""

    id: uuid.UUID
    accepted: bool
    reasons: list[str] = Field(
        description=say(
            "Why not: not_registered, too_early, not_over, already_came, already_absent.",
            "未接受的原因：not_registered 未报名，too_early 过早，not_over 未结束，already_came 已到场，already_absent 已记缺席。",
        )
    )
    registration_id: uuid.UUID
    event_id: uuid.UUID
    slot_id: uuid.UUID
    person: uuid.UUID
    state: str


class ComingOut(Out):
    """Somebody on the list."""

    person: NamedOut
    registration_id: uuid.UUID | None
    state: str
    channel: str


class SittingOut(Out):
    """A session and its list."""

    id: uuid.UUID
    title: str
    starts_at: Moment
    ends_at: Moment
    state: Literal["open", "closed", "cancelled"]
    capacity: int
    taken: int
    waiting: int
    people: list[ComingOut]


class AttendanceListOut(Out):
    """Everybody who is to come, came, or did not."""

    event: NamedOut
    sessions: list[SittingOut]


def attendance_out(event: Any, sittings: Sequence[Any], people: Sequence[Any]) -> AttendanceListOut:
    """The list as it is shown."""
    return AttendanceListOut(
        event=NamedOut(id=event["id"], name=event["title"]),
        sessions=[
            SittingOut(
                **one._asdict(),
                people=[
                    ComingOut(
                        person=NamedOut(id=who.person_id, name=who.name),
                        registration_id=who.registration_id,
                        state=who.state,
                        channel=who.channel,
                    )
                    for who in people
                    if who.slot_id == one.id
                ],
            )
            for one in sittings
        ],
    )


class FeedbackIn(In):
    """What somebody who came says of it."""

    stars: int = Field(ge=1, le=5)
    text: Long = ""
    person: uuid.UUID | None = Field(
        default=None, description=say("Who came; left out: the caller.", "参加者；省略则为本人。")
    )


class FeedbackOut(Out):
    """What somebody said of it; never who."""

    id: uuid.UUID
    stars: int
    text: str
    made_at: Moment


class FeedbackListOut(Out):
    """What was said of it: the average for everybody, the words for staff."""

    count: int
    average: float | None
    items: list[FeedbackOut]
    next: str | None = None


class CalendarOut(Out):
    """The address of one's calendar: whoever has it reads it."""

    url: str
