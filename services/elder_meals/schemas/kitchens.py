"""A kitchen's terms, its dishes and its menus."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from datetime import date as Date  # noqa: N812 - a field is called date
from typing import Annotated, Any, Self

from pydantic import Field, model_validator

from services.elder_meals.rules import LADDER, Allergen, Diet, Doing, Texture
from services.elder_meals.schemas.orders import EARLIEST, LATEST, Region
from shared.claiming import Short
from shared.texts import say
from shared.web import In, Out

Fen = Annotated[int, Field(ge=0, le=100_000)]
Share = Annotated[int, Field(ge=0, le=100)]


class TierIn(In):
    """From this age on, a part of one portion is paid for the elder."""

    from_age: int = Field(ge=60, le=120, multiple_of=5)
    percent: Share | None = None
    amount_fen: Fen | None = None

    @model_validator(mode="after")
    def _is_one_way(self) -> Self:
        if (self.percent is None) == (self.amount_fen is None):
            raise ValueError("either percent or amount_fen")
        return self


class FundingIn(In):
    """Who pays the subsidy, in percent."""

    government: Share = 100
    enterprise: Share = 0
    charity: Share = 0

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        if self.government + self.enterprise + self.charity != 100:
            raise ValueError("the shares make a hundred")
        return self


class SubsidyIn(In):
    """What is paid for elders: one portion a meal, by the tier of their age."""

    tiers: list[TierIn] = Field(default_factory=list, max_length=12)
    cap_fen: Fen | None = Field(default=None, description=say("Most for one portion.", "每份最高补贴。"))
    residents_of: list[Region] | None = Field(
        default=None,
        max_length=100,
        description=say("Only residents of these; null: all.", "仅限这些区划的居民；为空则不限。"),
    )
    funding: FundingIn = FundingIn()

    @model_validator(mode="after")
    def _has_each_age_once(self) -> Self:
        if len({one.from_age for one in self.tiers}) != len(self.tiers):
            raise ValueError("an age is named twice")
        return self


class RungIn(In):
    """What is to be done so many minutes after nobody opened."""

    after_minutes: int = Field(ge=0, le=24 * 60)
    step: Doing


def _ladder() -> list[RungIn]:
    return [RungIn.model_validate({"after_minutes": one.after_minutes, "step": one.step}) for one in LADDER]


class KitchenTerms(In):
    """Where a kitchen delivers, what is paid for elders, and what is done at a door that stays shut."""

    area: list[Region] | None = Field(
        default=None,
        max_length=200,
        description=say("Regions it delivers to; null: everywhere.", "配送区域；为空则不限。"),
    )
    subsidy: SubsidyIn = SubsidyIn()
    delivery_fee_fen: Fen = 0
    neighbour_allowed: bool = Field(
        default=True,
        description=say("A meal may go to a neighbour whom the elder named.", "可交给长者指定的邻居。"),
    )
    ladder: list[RungIn] = Field(default_factory=_ladder, min_length=1, max_length=12)

    @model_validator(mode="after")
    def _climbs(self) -> Self:
        minutes = [one.after_minutes for one in self.ladder]
        if minutes != sorted(set(minutes)):
            raise ValueError("each step of the ladder is later than the one before")
        return self


def regions_of(terms: KitchenTerms) -> Mapping[str, str]:
    """The regions where it delivers, and whose residents are paid for, by where the terms name them."""
    told = {"/area": terms.area, "/subsidy/residents_of": terms.subsidy.residents_of}
    return {f"{where}/{n}": code for where, codes in told.items() for n, code in enumerate(codes or ())}


class DishIn(In):
    """Something a kitchen cooks."""

    name: Short
    name_en: Short | None = None
    allergens: list[Allergen] = Field(default_factory=list, max_length=14)
    texture: Texture = "normal"
    diets: list[Diet] = Field(
        default_factory=list, max_length=8, description=say("Diets it suits.", "适合的饮食要求。")
    )
    price_fen: Fen = Field(description=say("For one portion.", "每份价格。"))

    def said(self) -> tuple[Any, ...]:
        """What the actions are told."""
        return (
            self.name,
            self.name_en,
            sorted(set(self.allergens)),
            self.texture,
            sorted(set(self.diets)),
            self.price_fen,
        )


class DishOut(Out):
    """Something a kitchen cooks."""

    id: uuid.UUID
    name: str
    name_en: str | None
    allergens: list[str]
    texture: str
    diets: list[str]
    price_fen: int
    state: str = Field(description=say("offered or retired.", "offered 供应中，retired 已停供。"))
    version: int


class MenuDishIn(In):
    """A dish of a day and how many portions are cooked."""

    dish_id: uuid.UUID
    portions: int = Field(ge=1, le=100_000)


class MenuIn(In):
    """What is cooked on a day."""

    dishes: list[MenuDishIn] = Field(max_length=60)
    published: bool = Field(default=False, description=say("Open for orders.", "发布并可订。"))

    @model_validator(mode="after")
    def _has_each_dish_once(self) -> Self:
        if len({one.dish_id for one in self.dishes}) != len(self.dishes):
            raise ValueError("a dish is named twice")
        return self

    def said(self) -> list[tuple[uuid.UUID, int]]:
        """What the actions are told."""
        return [(one.dish_id, one.portions) for one in self.dishes]


class MenuDishOut(Out):
    """A dish of a day, and what is left of it."""

    dish_id: uuid.UUID
    name: str
    name_en: str | None
    allergens: list[str]
    texture: str
    diets: list[str]
    price_fen: int
    portions: int
    taken: int
    free: int
    slot_id: uuid.UUID | None = Field(
        description=say("Its stock; null before it is published.", "库存场次；发布前为空。")
    )


class MenuOut(Out):
    """What is cooked on a day; version 0 when nobody has said so yet."""

    date: Date
    version: int
    published: bool
    dishes: list[MenuDishOut]


class CopyIn(In):
    """Menus of some days, said again for later ones."""

    source: Date = Field(ge=EARLIEST, le=LATEST, description=say("First day to copy.", "复制的起始日期。"))
    target: Date = Field(ge=EARLIEST, le=LATEST, description=say("First day to fill.", "填入的起始日期。"))
    days: int = Field(default=7, ge=1, le=14)
    published: bool = False


class WeekOut(Out):
    """Menus of several days."""

    items: list[MenuOut]
