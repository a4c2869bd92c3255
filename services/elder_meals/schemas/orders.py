"""An order: which dishes out of which window, for whom, and where to bring them."""

from __future__ import annotations

import uuid
from datetime import date
from functools import cached_property
from typing import Annotated, Any, ClassVar, Self

from pydantic import Field, StringConstraints, model_validator

from services.elder_meals.rules import Diet, Ending
from shared.claiming import ClaimIn, ClaimOut, Moment, Short, Text
from shared.claims import Subject, Take
from shared.texts import say
from shared.web import In, Out

EARLIEST, LATEST = date(2000, 1, 1), date(2200, 1, 1)
"""Days that may be named at all."""
Region = Annotated[str, StringConstraints(pattern=r"^[0-9]{2,12}(-[0-9]{2})?$")]
Phone = Annotated[str, StringConstraints(pattern=r"^\+?[0-9][0-9 -]{3,18}[0-9]$")]
Portions = Annotated[int, Field(ge=1, le=10, description=say("Portions.", "份数。"))]


class DeliverTo(In):
    """A door."""

    region: Region = Field(description=say("Region code of the door.", "送达地址所在区划代码。"))
    address: Annotated[Text, Field(min_length=1, max_length=200)]
    note: Text | None = Field(default=None, description=say("For the courier.", "给送餐员的备注。"))
    phone: Phone | None = None
    lat: float | None = Field(default=None, ge=-90, le=90)
    lon: float | None = Field(default=None, ge=-180, le=180)

    @model_validator(mode="after")
    def _is_one_point(self) -> Self:
        if (self.lat is None) != (self.lon is None):
            raise ValueError("lat and lon go together")
        return self


class LineIn(In):
    """A dish and how many portions of it."""

    dish_id: uuid.UUID
    portions: Portions = 1


Lines = Annotated[list[LineIn], Field(min_length=1, max_length=10)]


def distinct(lines: list[LineIn]) -> list[LineIn]:
    """Lines in which no dish comes twice."""
    if len({one.dish_id for one in lines}) != len(lines):
        raise ValueError("a dish is named twice")
    return lines


class OrderIn(ClaimIn):
    """One elder's meal out of one window."""

    names_subject: ClassVar[str] = "/lines/{}/dish_id"
    public: ClassVar[frozenset[str]] = ClaimIn.public | {"lines", "collect"}
    lines: Lines
    deliver_to: DeliverTo | None = Field(
        default=None,
        description=say(
            "Left out: where the elder's profile says; needed if it says nothing and the meal is not fetched.",
            "省略则送至长者档案中的地址；档案无地址且非自取时必填。",
        ),
    )
    collect: bool = Field(
        default=False, description=say("Eaten or fetched at the kitchen.", "到店就餐或自取，不需配送。")
    )
    diet: list[Diet] | None = Field(
        default=None,
        max_length=8,
        description=say("Instead of the diet of the elder's profile.", "代替长者档案中的饮食要求。"),
    )
    note: Text | None = Field(default=None, description=say("For the kitchen.", "给厨房的备注。"))

    @model_validator(mode="after")
    def _is_one_meal(self) -> Self:
        if self.slot_id is None:
            raise ValueError("name the window in slot_id")
        if self.persons is not None and len(self.persons) != 1:
            raise ValueError("an order is for one elder")
        if self.guests or self.holder is not None:
            raise ValueError("a meal has no guests and no committee")
        if self.collect and self.deliver_to is not None:
            raise ValueError("either collected or delivered")
        distinct(self.lines)
        return self

    @cached_property
    def takes(self) -> tuple[Take | Subject, ...]:
        """So many portions of the window, and of each dish as many as its line says."""
        if self.slot_id is None:  # pragma: no cover - the validator has seen to it
            return ()
        window = Take(self.slot_id, sum(one.portions for one in self.lines))
        return (window, *(Subject(one.dish_id, one.portions, self.slot_id) for one in self.lines))


class DoorOut(Out):
    """Where a meal is brought."""

    region: str
    address: str
    note: str | None = None
    phone: str | None = None
    lat: float | None = None
    lon: float | None = None


class WhyOut(Out):
    """Why a line costs what it costs: a code, and the tier that was applied."""

    code: str = Field(
        description=say(
            "tier, one_portion_per_meal, below_age, age_unknown, not_resident or no_subsidy.",
            "tier 按年龄段补贴、one_portion_per_meal 每餐限补一份、below_age 未到年龄、age_unknown 年龄未知、"
            "not_resident 非补贴区域居民、no_subsidy 无补贴。",
        )
    )
    from_age: int | None = None
    percent: int | None = None
    amount_fen: int | None = None
    cap_fen: int | None = None


class LineOut(Out):
    """A dish of an order and what it costs."""

    dish_id: uuid.UUID
    name: str
    portions: int
    price_fen: int
    subsidy_fen: int
    pay_fen: int
    why: WhyOut


class OrderOut(ClaimOut):
    """A meal."""

    no: int | None = Field(default=None, description=say("The number on the box.", "餐盒编号。"))
    lines: list[LineOut] = Field(default_factory=list)
    price_fen: int | None = None
    subsidy_fen: int | None = None
    fee_fen: int | None = Field(default=None, description=say("For delivery.", "配送费。"))
    pay_fen: int | None = Field(default=None, description=say("What the elder pays.", "长者应付。"))
    terms_version: int | None = None
    deliver_to: DoorOut | None = Field(
        default=None, description=say("null: fetched at the kitchen.", "为空：到店自取。")
    )
    diet: list[str] = Field(default_factory=list)
    note: str | None = None
    outcome: Ending | None = None
    outcome_at: Moment | None = None


def order_part(told: dict[str, Any]) -> dict[str, Any]:
    """An order's own fields, as the recording action tells them."""
    return {name: told[name] for name in OrderOut.model_fields if name in told and name not in ClaimOut.model_fields}


__all__ = ["DeliverTo", "DoorOut", "LineIn", "LineOut", "Lines", "OrderIn", "OrderOut", "Phone", "Region", "Short"]
