"""What happens at a place on a day: sessions, closures, who comes."""

from __future__ import annotations

import uuid
from datetime import date as Date  # noqa: N812 - a field is called date
from datetime import datetime, timedelta
from typing import Annotated, Any, Literal, Self

from pydantic import AwareDatetime, Field, model_validator

from shared import clock
from shared.claiming import Moment, NamedOut, Short, Text
from shared.places import sql
from shared.places.actions import Closing
from shared.places.schemas.words import Capacity, Minutes
from shared.texts import say
from shared.web import In, Out


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
    closes_at: AwareDatetime | None = Field(
        default=None,
        description=say(
            "Booking closes then; left out, as the policy says, or at the latest moment that is still to come.",
            "截止预约时间；省略则按规则，若已过则取尚未过的最晚时刻。",
        ),
    )
    close_minutes: Minutes | None = Field(
        default=None, description=say("Or so long before the start.", "或开始前多少分钟截止。")
    )

    @model_validator(mode="after")
    def _is_to_come(self) -> Self:
        _in_order(self.starts_at, self.ends_at, timedelta(days=1))
        if self.closes_at is not None and self.close_minutes is not None:
            raise ValueError("a deadline is said either as a time or in minutes")
        if self.closing is not None and not clock.now() < self.closing <= self.starts_at:
            raise ValueError("booking closes after now, and not after the start")
        return self

    @property
    def closing(self) -> datetime | None:
        """When booking closes, if the session has a word of its own."""
        if self.close_minutes is not None:
            return self.starts_at - timedelta(minutes=self.close_minutes)
        return self.closes_at

    def said(self) -> dict[str, Any]:
        """What the action is told."""
        return self.model_dump(exclude={"close_minutes"}) | {"closes_at": self.closing}


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
