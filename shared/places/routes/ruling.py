"""When a place is open, and by which rules."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from typing import Any

from fastapi import APIRouter, Request, Response

from shared import errors, web
from shared.places import actions, schemas, sql
from shared.places.routes.given import PlaceId, Version, matches, place_of, policy, schedule
from shared.places.schemas import PolicyIn, PolicyOut, ScheduleIn, ScheduleOut
from shared.texts import say
from shared.web import Context, Ctx, Who, refuses

RegionsOf = Callable[[Any], Mapping[str, str]]
"""The regions that terms name, by where they say so (a JSON pointer); there must be such regions."""


def add_rules(made: APIRouter, service: str, collection: str) -> None:
    """When it is open, and how one books."""

    def named(verb: str) -> str:
        return f"{service}.{collection}.{verb}"

    @made.get(
        "/{place_id}/schedule",
        operation_id=named("read_schedule"),
        response_model=ScheduleOut,
        summary=say("When a place is open", "开放排班"),
    )
    async def read_schedule(place_id: PlaceId, ctx: Ctx) -> Response:
        await place_of(ctx, service, place_id)
        return await schedule(ctx, place_id)

    @made.put(
        "/{place_id}/schedule",
        operation_id=named("replace_schedule"),
        response_model=ScheduleOut,
        summary=say("Say when a place is open (manager)", "设定开放排班（管理员）"),
        description=say(
            "Slots follow at once: new ones are made, and future ones that no line makes any more are cancelled unless "
            'somebody has a place in them or waits. If-Match is "0" before the first schedule.',
            '场次立即调整：新增所需场次，取消不再需要且无人预约或候补的未来场次。首次设定时 If-Match 为 "0"。',
        ),
        responses=refuses(errors.Changed, errors.ConditionMissing),
    )
    async def replace_schedule(place_id: PlaceId, told: ScheduleIn, request: Request, ctx: Ctx, who: Who) -> Response:
        await ctx.db.run(actions.replace_schedule, who, service, place_id, told.said(), matches(request))
        return await schedule(ctx, place_id)

    @made.get(
        "/{place_id}/policy",
        operation_id=named("read_policy"),
        response_model=PolicyOut,
        summary=say("The rules of booking at a place", "预约规则"),
    )
    async def read_policy(place_id: PlaceId, ctx: Ctx, version: Version = None) -> Response:
        await place_of(ctx, service, place_id)
        return await policy(ctx, place_id, version)

    @made.put(
        "/{place_id}/policy",
        operation_id=named("replace_policy"),
        response_model=PolicyOut,
        summary=say("Set the rules of booking (manager)", "设定预约规则（管理员）"),
        description=say(
            "Makes the next version. It applies to every open slot that has not begun; nobody's place is taken away, and "
            "what is already open for booking stays open.",
            "生成新版本，适用于所有尚未开始的场次；不影响已有预约，已开放预约的场次保持开放。",
        ),
        responses=refuses(errors.Changed, errors.ConditionMissing),
    )
    async def replace_policy(place_id: PlaceId, told: PolicyIn, request: Request, ctx: Ctx, who: Who) -> Response:
        await ctx.db.run(actions.replace_policy, who, service, place_id, told.said(), matches(request))
        return await policy(ctx, place_id)


def add_terms(made: APIRouter, service: str, collection: str, told_as: type[web.In], regions: RegionsOf) -> None:
    """What its service alone wants to know of it."""
    shown_as = schemas.terms_model(told_as)

    def named(verb: str) -> str:
        return f"{service}.{collection}.{verb}"

    async def shown(ctx: Context, place_id: uuid.UUID, version: int | None = None) -> Response:
        found = await ctx.db.read(sql.terms_of, place_id, version)
        if found is None:
            raise errors.NotThere
        return web.json(schemas.terms_out(shown_as, found), 200, {"ETag": web.etag(found.version)})

    @made.get(
        "/{place_id}/terms",
        operation_id=named("read_terms"),
        response_model=shown_as,
        summary=say("The terms of a place", "场所细则"),
    )
    async def read_terms(place_id: PlaceId, ctx: Ctx, version: Version = None) -> Response:
        await place_of(ctx, service, place_id)
        return await shown(ctx, place_id, version)

    async def replace_terms(place_id: PlaceId, told: Any, request: Request, ctx: Ctx, who: Who) -> Response:
        body = told.model_dump(mode="json")
        await ctx.db.run(actions.replace_terms, who, service, place_id, body, regions(told), matches(request))
        return await shown(ctx, place_id)

    replace_terms.__annotations__["told"] = told_as
    made.put(
        "/{place_id}/terms",
        operation_id=named("replace_terms"),
        response_model=shown_as,
        summary=say("Set the terms of a place (manager)", "设定场所细则（管理员）"),
        description=say(
            'Makes the next version; what is left out is the default. If-Match is "0" before the first.',
            '生成新版本，省略的项取默认值。首次设定时 If-Match 为 "0"。',
        ),
        responses=refuses(errors.Changed, errors.ConditionMissing),
    )(replace_terms)
