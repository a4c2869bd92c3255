"""When a place is open, and by which rules: schedule, policy, terms."""

from __future__ import annotations

import uuid
from datetime import time
from typing import Annotated, Any, Literal, Self

from pydantic import Field, create_model, model_validator

from shared.claiming import Moment, Short
from shared.places import rules, sql
from shared.places.rules import DAY_MINUTES, GRID_MINUTES, MOST_LINES, Line
from shared.places.schemas.words import Age, AtLeastOne, Capacity, Clock, EndClock, Minutes, Region
from shared.texts import say
from shared.web import In, Out


class _Line(In):
    weekdays: list[Annotated[int, Field(ge=0, le=6)]] = Field(
        min_length=1, max_length=7, description=say("0 is Monday.", "0 为星期一。")
    )
    days: list[Literal["work", "rest"]] | None = Field(
        default=None,
        min_length=1,
        max_length=2,
        description=say(
            "Only days that the calendar calls so; none: all that are not closed.",
            "仅限日历中的工作日或休息日；省略则不限。",
        ),
    )
    starts: Clock = Field(description=say("HH:MM, in steps of five minutes.", "HH:MM，以五分钟为单位。"))
    ends: EndClock = Field(description=say("HH:MM; 24:00 is midnight.", "HH:MM；24:00 表示午夜。"))
    slot_minutes: int = Field(ge=GRID_MINUTES, le=DAY_MINUTES, description=say("Length of one slot.", "每场次分钟数。"))
    resource: Short = Field(description=say("Name or id.", "场地名称或编号。"))
    capacity: Capacity | None = Field(default=None, description=say("Instead of the resource's.", "代替场地的名额。"))
    title: Short
    title_en: Short | None = None


class ScheduleIn(In):
    """When a place is open, as lines."""

    lines: list[_Line] = Field(max_length=MOST_LINES)

    def said(self) -> list[tuple[str, Line]]:
        """Each line with the name or id of its resource."""
        return [
            (
                one.resource,
                Line(
                    weekdays=frozenset(one.weekdays),
                    days=frozenset(one.days) if one.days is not None else None,
                    starts=rules.minutes_of(one.starts),
                    ends=rules.minutes_of(one.ends),
                    slot_minutes=one.slot_minutes,
                    resource=uuid.UUID(int=0),
                    capacity=one.capacity,
                    title=one.title,
                    title_en=one.title_en,
                ),
            )
            for one in self.lines
        ]


class LineOut(Out):
    """One line of a schedule; `resource` is its id."""

    weekdays: list[int]
    days: list[Literal["work", "rest"]] | None
    starts: str
    ends: str
    slot_minutes: int
    resource: uuid.UUID
    capacity: int | None
    title: str
    title_en: str | None


class ScheduleOut(Out):
    """When a place is open; version 0 when nobody has said so yet."""

    version: int
    lines: list[LineOut]


def schedule_out(schedule: sql.Schedule) -> ScheduleOut:
    """A schedule as it is shown."""
    return ScheduleOut.model_validate({"version": schedule.version, **rules.schedule_body(schedule.lines)})


class Ahead(In):
    """So many days before a slot's own day in town, at this time."""

    days_ahead: int = Field(ge=0, le=60)
    at: Clock


class Limits(In):
    """How much one person or household may have here; null is no limit. Weeks begin on Monday."""

    per_day: AtLeastOne | None = None
    per_week: AtLeastOne | None = None
    at_once: AtLeastOne | None = None
    household_per_day: AtLeastOne | None = None


class Audience(In):
    """For whom."""

    min_age: Age | None = None
    max_age: Age | None = None
    regions: list[Region] | None = Field(
        default=None,
        min_length=1,
        max_length=100,
        description=say("Region codes; null: everybody.", "区划代码；为空则不限。"),
    )
    level: int = Field(default=0, ge=0, le=3, description=say("Real-name level needed.", "所需实名等级。"))
    needs_guardian: bool = False

    @model_validator(mode="after")
    def _has_ages_in_order(self) -> Self:
        if self.min_age is not None and self.max_age is not None and self.min_age > self.max_age:
            raise ValueError("min_age is above max_age")
        return self


class PolicyIn(In):
    """The rules of booking at a place. What is left out is the default."""

    release: Ahead | None = Field(
        default=None, description=say("null: bookable as soon as a slot exists.", "为空：场次生成后即可预约。")
    )
    close_at: Ahead | None = Field(
        default=None,
        description=say(
            "Booking closes at this time, at the latest at the start; instead of `close_minutes`.",
            "在该时刻截止预约（不晚于开始时间），代替 `close_minutes`。",
        ),
    )
    cancel_at: Ahead | None = Field(
        default=None,
        description=say(
            "Cancelling in time ends at this time; instead of `cancel_minutes`.",
            "在该时刻为取消期限，代替 `cancel_minutes`。",
        ),
    )
    close_minutes: Minutes = Field(
        default=0, description=say("Booking closes so long before the start.", "开始前多少分钟截止预约。")
    )
    cancel_minutes: Minutes | None = Field(
        default=None, description=say("Cancelling in time ends so long before the start.", "开始前多少分钟为取消期限。")
    )
    limits: Limits = Limits()
    audience: Audience = Audience()
    offline_share: int = Field(
        default=0,
        ge=0,
        le=100_000,
        description=say("Places kept for desk, phone and paper.", "为窗口、电话和纸质预约保留的名额。"),
    )
    offline_minutes: Minutes = Field(
        default=0, description=say("They are given up so long before the start.", "开始前多少分钟释放保留名额。")
    )
    is_waitable: bool = True
    is_exclusive: bool = Field(
        default=True,
        description=say(
            "A place takes its holder's time: nobody has two at once.", "占用本人时间：同一时间不能重复预约。"
        ),
    )
    horizon_days: int = Field(
        default=8,
        ge=1,
        le=62,
        description=say("For how many days slots exist, today included.", "场次提前生成的天数（含当天）。"),
    )

    @model_validator(mode="after")
    def _has_one_deadline_each(self) -> Self:
        if (self.close_at and self.close_minutes) or (self.cancel_at and self.cancel_minutes is not None):
            raise ValueError("a deadline is said either by the clock or in minutes")
        if self.release and self.close_at and not _opens_first(self.release, self.close_at):
            raise ValueError("close_at comes after release")
        return self

    def said(self) -> rules.Policy:
        """What the actions are told."""
        regions = self.audience.regions
        return rules.Policy(
            release=_ahead(self.release),
            close_at=_ahead(self.close_at),
            cancel_at=_ahead(self.cancel_at),
            close_minutes=self.close_minutes,
            cancel_minutes=self.cancel_minutes,
            limits=self.limits.model_dump(),
            audience=rules.Audience(
                self.audience.min_age,
                self.audience.max_age,
                tuple(dict.fromkeys(regions)) if regions is not None else None,
                self.audience.level,
                self.audience.needs_guardian,
            ),
            offline_share=self.offline_share,
            offline_minutes=self.offline_minutes,
            is_waitable=self.is_waitable,
            is_exclusive=self.is_exclusive,
            horizon_days=self.horizon_days,
        )


def _ahead(one: Ahead | None) -> rules.Ahead | None:
    return rules.Ahead(one.days_ahead, time.fromisoformat(one.at)) if one is not None else None


def _opens_first(release: Ahead, close: Ahead) -> bool:
    return (-release.days_ahead, release.at) < (-close.days_ahead, close.at)


class AheadOut(Out):
    """So many days before a slot's own, at this time."""

    days_ahead: int
    at: str


class LimitsOut(Out):
    """How much one person or household may have."""

    per_day: int | None
    per_week: int | None
    at_once: int | None
    household_per_day: int | None


class PolicyAudienceOut(Out):
    """For whom."""

    min_age: int | None
    max_age: int | None
    regions: list[str] | None
    level: int
    needs_guardian: bool


class PolicyOut(Out):
    """One version of the rules of booking at a place; version 0 is the house's default."""

    version: int
    made_at: Moment | None
    release: AheadOut | None
    close_at: AheadOut | None
    cancel_at: AheadOut | None
    close_minutes: int
    cancel_minutes: int | None
    limits: LimitsOut
    audience: PolicyAudienceOut
    offline_share: int
    offline_minutes: int
    is_waitable: bool
    is_exclusive: bool
    horizon_days: int


def policy_out(ruling: sql.Ruling) -> PolicyOut:
    """A policy as it is shown."""
    return PolicyOut.model_validate(
        {"version": ruling.version, "made_at": ruling.made_at, **rules.policy_body(ruling.policy)}
    )


def terms_model(told: type[In]) -> type[In]:
    """How terms of this schema are shown: its own words, with the version and when it was made."""
    return create_model(
        told.__name__.removesuffix("In") + "Out",
        __base__=told,
        __doc__=told.__doc__,
        version=(int, Field(description=say("0: nobody has said anything yet.", "0 表示尚未设定。"))),
        made_at=(Moment | None, Field()),
    )


def terms_out(shown: type[In], found: sql.TermsOf) -> In:
    """Terms as they are shown; what an older version does not say is the default, and what has gone is left out."""
    known: dict[str, Any] = {name: value for name, value in found.body.items() if name in shown.model_fields}
    return shown.model_validate(known | {"version": found.version, "made_at": found.made_at})
