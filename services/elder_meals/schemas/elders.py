"""What is known of an elder: diet, door, contacts; standing orders and absences."""

from __future__ import annotations

import uuid
from datetime import date
from typing import Annotated, Any, Self

from pydantic import Field, ValidationInfo, field_validator, model_validator

from services.elder_meals.rules import Allergen, Diet, Texture
from services.elder_meals.schemas.orders import (
    EARLIEST,
    LATEST,
    DeliverTo,
    DoorOut,
    LineIn,
    Lines,
    Phone,
    Portions,
    distinct,
)
from shared.claiming import Moment, Short, Text
from shared.texts import say
from shared.web import In, Out

Weekdays = Annotated[list[Annotated[int, Field(ge=0, le=6)]], Field(min_length=1, max_length=7)]
Day = Annotated[date, Field(ge=EARLIEST, le=LATEST)]


class NeighbourIn(In):
    """Who may take a meal when the elder is out, if the elder has agreed."""

    name: Short
    phone: Phone | None = None
    consent: bool = Field(default=False, description=say("The elder has agreed.", "长者已同意。"))


class ContactIn(In):
    """Somebody to call when a door stays shut."""

    name: Short
    relation: Short | None = None
    phone: Phone | None = None
    person_id: uuid.UUID | None = Field(
        default=None,
        description=say("A resident: told by a notice, too.", "居民编号：同时收到通知。"),
    )


class ElderIn(In):
    """What a kitchen and a courier must know. What is left out is not known any more."""

    diet: list[Diet] = Field(default_factory=list, max_length=8)
    allergens: list[Allergen] = Field(default_factory=list, max_length=14)
    texture: Texture = "normal"
    deliver_to: DeliverTo | None = None
    neighbour: NeighbourIn | None = None
    contacts: list[ContactIn] = Field(default_factory=list, max_length=10)
    note: Text | None = None

    @field_validator("diet", "allergens")
    @classmethod
    def _has_each_once(cls, said: list[str]) -> list[str]:
        return sorted(set(said))


class NeighbourOut(Out):
    """Who may take a meal."""

    name: str
    phone: str | None = None
    consent: bool = False


class ContactOut(Out):
    """Somebody to call."""

    name: str
    relation: str | None = None
    phone: str | None = None
    person_id: uuid.UUID | None = None


class ElderOut(Out):
    """What is known of an elder; version 0 when nothing is."""

    person_id: uuid.UUID
    version: int
    diet: list[str] = Field(default_factory=list)
    allergens: list[str] = Field(default_factory=list)
    texture: str = "normal"
    deliver_to: DoorOut | None = None
    neighbour: NeighbourOut | None = None
    contacts: list[ContactOut] = Field(default_factory=list)
    note: str | None = None


class StandingIn(In):
    """The same meal on the same days."""

    person_id: uuid.UUID | None = Field(
        default=None, description=say("The elder; left out: oneself.", "长者；省略则为本人。")
    )
    kitchen_id: uuid.UUID
    weekdays: Weekdays = Field(description=say("0 is Monday.", "0 为星期一。"))
    window: Short = Field(
        description=say("Title of the window, as the kitchen's slots have it.", "时段名称，与厨房场次的名称一致。")
    )
    lines: Lines | None = Field(
        default=None,
        description=say(
            "Left out: the first dish of the day that suits the elder.", "省略则为当日第一道适合长者的菜。"
        ),
    )
    portions: Portions = Field(
        default=1,
        description=say("Of the dish of the day: lines say their own.", "当日菜品的份数；指定菜品时在各行填写。"),
    )
    collect: bool = Field(
        default=False,
        description=say(
            "Eaten or fetched at the kitchen; else it is brought where the elder's profile says.",
            "到店就餐或自取；否则送至长者档案中的地址。",
        ),
    )
    starts_on: Day | None = None
    until: Day | None = None

    @field_validator("portions")
    @classmethod
    def _is_of_the_dish_of_the_day(cls, portions: int, said: ValidationInfo) -> int:
        if portions != 1 and said.data.get("lines") is not None:
            raise ValueError("each line says its portions")
        return portions

    @model_validator(mode="after")
    def _is_sound(self) -> Self:
        if len(set(self.weekdays)) != len(self.weekdays):
            raise ValueError("a weekday is named twice")
        if self.starts_on is not None and self.until is not None and self.until < self.starts_on:
            raise ValueError("until comes after starts_on")
        if self.lines is not None:
            distinct(self.lines)
        return self

    def said(self) -> dict[str, Any]:
        """The meal as it is stored."""
        where = {"collect": True} if self.collect else {}
        if self.lines is None:
            return {"dish_of_the_day": True, "portions": self.portions, **where}
        return {"lines": [{"dish_id": str(one.dish_id), "portions": one.portions} for one in self.lines], **where}


class RunOut(Out):
    """What became of a standing order on a day."""

    date: date
    state: str = Field(
        description=say("asking, ordered or refused.", "asking 办理中，ordered 已下单，refused 被拒绝。")
    )
    code: str | None = Field(
        default=None,
        description=say(
            "Why it was refused: a code as an order hears it, or `no_address`; told by a notice. `away` and `ended` are not: "
            "the elder is away, or it was wanted no more.",
            "被拒原因：与下单相同的代码，或 `no_address`（均有通知）。`away` 外出、`ended` 已终止则不另行通知。",
        ),
    )
    order_id: uuid.UUID | None = None


class StandingOut(Out):
    """A standing order."""

    id: uuid.UUID
    person_id: uuid.UUID
    kitchen_id: uuid.UUID
    weekdays: list[int]
    window: str
    lines: list[LineIn] | None
    portions: int
    collect: bool = False
    starts_on: date
    until: date | None
    state: str = Field(description=say("active or ended.", "active 生效中，ended 已结束。"))
    version: int
    runs: list[RunOut] = Field(default_factory=list)


class AbsenceIn(In):
    """An elder is away."""

    person_id: uuid.UUID | None = Field(
        default=None, description=say("The elder; left out: oneself.", "长者；省略则为本人。")
    )
    first: Day = Field(alias="from")
    last: Day = Field(alias="to")

    @model_validator(mode="after")
    def _is_in_order(self) -> Self:
        if not self.first <= self.last or (self.last - self.first).days > 400:
            raise ValueError("to comes after from, and not that long after")
        return self


class AbsenceOut(Out):
    """An elder is away."""

    id: uuid.UUID
    person_id: uuid.UUID
    first: date = Field(serialization_alias="from")
    last: date = Field(serialization_alias="to")
    state: str = Field(description=say("active or withdrawn.", "active 生效中，withdrawn 已撤回。"))
    made_at: Moment
    orders: list[uuid.UUID] = Field(
        default_factory=list,
        description=say(
            "Meals ordered for those days; they stay until somebody cancels them.",
            "该时段已订的餐，如不需要请另行取消。",
        ),
    )
