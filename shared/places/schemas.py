"""What callers may say of places, and what they hear."""

from __future__ import annotations

import uuid
from datetime import date as Date  # noqa: N812 - a field is called date
from datetime import datetime, time, timedelta
from typing import Annotated, Literal, Self

from pydantic import AwareDatetime, Field, StringConstraints, model_validator

from shared import clock
from shared.claiming import Moment, NamedOut, Short, Text
from shared.places import rules, sql
from shared.places.actions import Closing, Description
from shared.places.rules import DAY_MINUTES, GRID_MINUTES, MOST_LINES, Line
from shared.texts import say
from shared.web import In, Out

Region = Annotated[str, StringConstraints(pattern=r"^[0-9]{2,12}(-[0-9]{2})?$")]
Code = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,39}$")]
Clock = Annotated[str, StringConstraints(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$")]
EndClock = Annotated[str, StringConstraints(pattern=r"^(([01][0-9]|2[0-3]):[0-5][0-9]|24:00)$")]
Capacity = Annotated[int, Field(ge=1, le=100_000)]
Minutes = Annotated[int, Field(ge=0, le=60 * 24 * 60)]
Age = Annotated[int, Field(ge=0, le=150)]
AtLeastOne = Annotated[int, Field(ge=1, le=1000)]


class ResourceIn(In):
    """Something in a place that slots are made on."""

    id: uuid.UUID | None = Field(
        default=None,
        description=say(
            "Of one that is there; without it, found by name or new.", "已有场地的编号；省略则按名称匹配或新建。"
        ),
    )
    name: Short
    name_en: Short | None = None
    is_exclusive: bool = Field(default=True, description=say("Carries one slot at a time.", "同一时间仅一个场次。"))
    capacity: Capacity = Field(default=1, description=say("Places in one slot.", "每场次名额。"))


class PlaceIn(In):
    """What a place is."""

    name: Short
    name_en: Short | None = None
    kind: Code
    community: Region = Field(description=say("A region code that exists.", "已存在的区划代码。"))
    address: Text | None = None
    lat: float | None = Field(default=None, ge=-90, le=90)
    lon: float | None = Field(default=None, ge=-180, le=180)
    resources: list[ResourceIn] = Field(default_factory=list, max_length=200)

    @model_validator(mode="after")
    def _is_one_place(self) -> Self:
        if (self.lat is None) != (self.lon is None):
            raise ValueError("lat and lon go together")
        ids = [one.id for one in self.resources if one.id is not None]
        if len({one.name for one in self.resources}) != len(self.resources) or len(set(ids)) != len(ids):
            raise ValueError("a resource is named twice")
        return self

    def said(self) -> Description:
        """What the actions are told."""
        return Description(
            self.kind,
            self.name,
            self.name_en,
            self.community,
            self.address,
            self.lat,
            self.lon,
            tuple(
                (one.id, rules.Resource(clock.uuid7(), one.name, one.capacity, one.is_exclusive, one.name_en))
                for one in self.resources
            ),
        )


class ResourceOut(Out):
    """Something in a place that slots are made on."""

    id: uuid.UUID
    name: str
    name_en: str | None
    is_exclusive: bool
    capacity: int


class PlaceOut(Out):
    """A place."""

    id: uuid.UUID
    service: str
    kind: str
    name: str
    name_en: str | None
    community: str
    address: str | None
    lat: float | None
    lon: float | None
    state: Literal["open", "closed"]
    version: int
    resources: list[ResourceOut]
    metres: int | None = Field(
        description=say("As the crow flies; only with `near`.", "直线距离（米），仅在附近查询时提供。")
    )
    walk_minutes: int | None = Field(description=say("Only with `near`.", "步行分钟数，仅在附近查询时提供。"))


def place_out(place: sql.Place) -> PlaceOut:
    """A place as it is shown."""
    walk = rules.walk_minutes(place.metres) if place.metres is not None else None
    return PlaceOut(
        id=place.id,
        service=place.service,
        kind=place.kind,
        name=place.name,
        name_en=place.name_en,
        community=place.community,
        address=place.address,
        lat=place.lat,
        lon=place.lon,
        state="open" if place.state == "open" else "closed",
        version=place.version,
        resources=[ResourceOut.model_validate(one) for one in place.resources],
        metres=place.metres,
        walk_minutes=walk,
    )


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


class Release(In):
    """Slots open so many days before their own, at this time."""

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

    release: Release | None = Field(
        default=None, description=say("null: bookable as soon as a slot exists.", "为空：场次生成后即可预约。")
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
    horizon_days: int = Field(
        default=8,
        ge=1,
        le=62,
        description=say("For how many days slots exist, today included.", "场次提前生成的天数（含当天）。"),
    )

    def said(self) -> rules.Policy:
        """What the actions are told."""
        regions = self.audience.regions
        return rules.Policy(
            release=rules.Release(self.release.days_ahead, time.fromisoformat(self.release.at))
            if self.release
            else None,
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
            horizon_days=self.horizon_days,
        )


class ReleaseOut(Out):
    """When slots open."""

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
    release: ReleaseOut | None
    close_minutes: int
    cancel_minutes: int | None
    limits: LimitsOut
    audience: PolicyAudienceOut
    offline_share: int
    offline_minutes: int
    is_waitable: bool
    horizon_days: int


def policy_out(ruling: sql.Ruling) -> PolicyOut:
    """A policy as it is shown."""
    return PolicyOut.model_validate(
        {"version": ruling.version, "made_at": ruling.made_at, **rules.policy_body(ruling.policy)}
    )


def _in_order(starts_at: datetime, ends_at: datetime, longest: timedelta) -> None:
    if not clock.now() < ends_at < clock.now() + timedelta(days=800):
        raise ValueError("not in the past, and not that far ahead")
    if not timedelta(0) < ends_at - starts_at <= longest:
        raise ValueError("ends_at comes after starts_at, and not that long after")


class SlotIn(In):
    """One session beside the schedule."""

    resource: Short = Field(description=say("Name or id.", "场地名称或编号。"))
    starts_at: AwareDatetime
    ends_at: AwareDatetime
    title: Short
    capacity: Capacity | None = Field(default=None, description=say("Instead of the resource's.", "代替场地的名额。"))

    @model_validator(mode="after")
    def _is_to_come(self) -> Self:
        _in_order(self.starts_at, self.ends_at, timedelta(days=1))
        return self


class SlotMadeOut(Out):
    """The session that was made."""

    id: uuid.UUID
    href: str


class ClosureIn(In):
    """A time at which a place is shut, and why; the reason is told to those who had a place."""

    starts_at: AwareDatetime
    ends_at: AwareDatetime
    reason: Annotated[Text, Field(min_length=1)]
    dry_run: bool = Field(default=False, description=say("Only say what it would do.", "仅预览影响，不执行。"))

    @model_validator(mode="after")
    def _is_to_come(self) -> Self:
        _in_order(self.starts_at, self.ends_at, timedelta(days=400))
        return self


class ClosingOut(Out):
    """What a closure did, or would do."""

    id: uuid.UUID | None = Field(description=say("null: a dry run.", "预览时为空。"))
    slots: int = Field(description=say("Slots closed.", "关闭的场次数。"))
    released: int = Field(description=say("Claims released.", "释放的名额数。"))


def closing_out(closing: Closing) -> ClosingOut:
    """A closure's effect as it is shown."""
    return ClosingOut.model_validate(closing)


class ClosureOut(Out):
    """A time at which a place is shut."""

    id: uuid.UUID
    starts_at: Moment
    ends_at: Moment
    reason: str
    slots: int
    released: int
    made_at: Moment


class AttendeeOut(Out):
    """Somebody who has a place."""

    name: str
    state: str
    channel: str
    units: int


class SessionOut(Out):
    """A slot of the day and who has it."""

    id: uuid.UUID
    title: str
    resource: str | None
    starts_at: Moment
    ends_at: Moment
    state: Literal["open", "closed", "cancelled"]
    capacity: int
    taken: int
    waiting: int
    people: list[AttendeeOut]


class SheetOut(Out):
    """A day at a place."""

    facility: NamedOut
    date: Date
    slots: list[SessionOut]


def sheet_out(place: sql.Place, day: Date, sessions: list[sql.Session]) -> SheetOut:
    """A day as it is shown."""
    return SheetOut(
        facility=NamedOut(id=place.id, name=place.name),
        date=day,
        slots=[SessionOut.model_validate(one) for one in sessions],
    )


class OccupancyOut(Out):
    """How full a place is at this moment."""

    facility: NamedOut
    at: Moment
    people: int = Field(description=say("Who have a place in what is on now.", "当前场次的在约人数。"))
    capacity: int = Field(description=say("Places in what is on now.", "当前场次的总名额。"))
