"""A place and what is in it."""

from __future__ import annotations

import uuid
from typing import Literal, Self

from pydantic import Field, model_validator

from shared import clock
from shared.claiming import Short, Text
from shared.places import rules, sql
from shared.places.actions import Description
from shared.places.schemas.words import Capacity, Code, Region
from shared.texts import say
from shared.web import In, Out


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
    state: Literal["open", "closed"] = Field(
        description=say(
            "`open`, or `closed` for good: it makes no more slots.", "`open` 开放，`closed` 已停办，不再产生场次。"
        )
    )
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
