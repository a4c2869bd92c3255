"""What requests about places say, and the answers that several of them share."""

from __future__ import annotations

import uuid
from enum import IntEnum
from typing import Annotated, Literal

from fastapi import Path, Query, Request, Response

from shared import errors, web
from shared.assertion import Caller
from shared.places import actions, schemas, sql
from shared.texts import say
from shared.web import Context


class Walk(IntEnum):
    """Minutes of walking: the two circles of neighbourhood life."""

    FIVE = 5
    FIFTEEN = 15


PlaceId = Annotated[uuid.UUID, Path(description=say("The place.", "场所编号。"))]
ClosureId = Annotated[uuid.UUID, Path(description=say("The closure.", "关闭编号。"))]
Community = Annotated[
    str | None,
    Query(
        pattern=r"^[0-9]{2,12}(-[0-9]{2})?$", description=say("A region code; all below it.", "区划代码（含下级）。")
    ),
]
Kind = Annotated[str | None, Query(pattern=r"^[a-z][a-z0-9_]{0,39}$", description=say("Only this kind.", "仅此类型。"))]
Near = Annotated[
    str | None,
    Query(
        pattern=r"^-?[0-9]{1,2}(\.[0-9]{1,12})?,-?[0-9]{1,3}(\.[0-9]{1,12})?$",
        description=say("lat,lon: within walking distance of there, nearest first.", "纬度,经度：步行可达，由近及远。"),
    ),
]
For = Annotated[
    uuid.UUID | None,
    Query(
        alias="for",
        description=say(
            "Oneself or somebody one may act for: only places whose region and guardianship rules admit them. Ages and "
            "levels are not looked at here; `/v1/slots?for=` does.",
            "本人或可代办的人：仅列出区划及监护要求相符的场所；年龄和实名等级请见 `/v1/slots?for=`。",
        ),
    ),
]
Version = Annotated[int | None, Query(ge=1, le=1_000_000, description=say("An older one.", "历史版本。"))]
Day = Annotated[web.Date | None, Query(alias="date", description=say("Default: today.", "默认当天。"))]
Format = Annotated[
    Literal["json", "csv", "html"],
    Query(alias="format", description=say("For programs, sheets or paper.", "数据、表格或打印。")),
]


def matches(request: Request) -> actions.Matches:
    """Whether the caller read this version, by If-Match."""
    return lambda version: web.require_match(request, web.etag(version))


def point(near: str) -> tuple[float, float]:
    """A point of the map."""
    lat, lon = (float(part) for part in near.split(","))
    if abs(lat) > 90 or abs(lon) > 180:
        raise errors.Unprocessable.at("/near", "range", where="query")
    return lat, lon


def whom_of(who: Caller, service: str, person_id: uuid.UUID | None) -> sql.Whom | None:
    """For whom the caller asks; refuses strangers."""
    if person_id is None:
        return None
    who.known()
    if person_id == who.person_id and who.holder_no is not None:
        return sql.Whom(who.holder_no, is_guarded=False)
    for one in who.acts_for:
        if one.person_id == person_id and one.holder_no in who.holders_in(service):
            return sql.Whom(one.holder_no, one.relation == "guardian")
    raise errors.NotYours


async def place_of(ctx: Context, service: str, place_id: uuid.UUID) -> sql.Place:
    """The place of this service, or nothing there."""
    place = await ctx.db.read(sql.place, service, place_id)
    if place is None:
        raise errors.NotThere
    return place


async def shown(ctx: Context, service: str, place_id: uuid.UUID, status: int = 200, **headers: str) -> Response:
    """A place as an answer."""
    place = await place_of(ctx, service, place_id)
    return web.json(schemas.place_out(place), status, {"ETag": web.etag(place.version), **headers})


async def schedule(ctx: Context, place_id: uuid.UUID) -> Response:
    """A schedule as an answer."""
    found = await ctx.db.read(sql.schedule, place_id)
    return web.json(schemas.schedule_out(found), 200, {"ETag": web.etag(found.version)})


async def policy(ctx: Context, place_id: uuid.UUID, version: int | None = None) -> Response:
    """A policy as an answer."""
    found = await ctx.db.read(sql.policy, place_id, version)
    if found is None:
        raise errors.NotThere
    return web.json(schemas.policy_out(found), 200, {"ETag": web.etag(found.version)})
