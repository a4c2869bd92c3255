"""What a place is, and which there are."""

from __future__ import annotations

import uuid
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from shared import errors, pages, web
from shared.pages import Cursor, Limit, Page
from shared.places import actions, rules, schemas, sql
from shared.places.routes.given import Community, For, Kind, Near, PlaceId, Walk, matches, point, shown, whom_of
from shared.places.schemas import PlaceIn, PlaceOut
from shared.texts import say
from shared.web import Ctx, Who, refuses


def add_places(made: APIRouter, service: str, collection: str, kinds: tuple[str, ...]) -> None:
    """What a place is."""

    def named(verb: str) -> str:
        return f"{service}.{collection}.{verb}"

    def of_kind(told: PlaceIn) -> actions.Description:
        if told.kind not in kinds:
            raise errors.Unprocessable.at("/kind", "unknown")
        return told.said()

    all_kinds = ", ".join(kinds)

    @made.get(
        "",
        operation_id=named("list"),
        response_model=Page[PlaceOut],
        summary=say("Find places", "查找场所"),
        description=say(
            f"By name, or nearest first with `near`: within 5 or 15 minutes on foot (80 m a minute, streets 1.3 times the "
            f"straight line). Kinds: {all_kinds}.",
            f"按名称排列；带 `near` 时由近及远：步行 5 或 15 分钟内（每分钟 80 米，按直线距离的 1.3 倍计）。类型：{all_kinds}。",
        ),
    )
    async def list_places(  # noqa: PLR0913, PLR0917 - FastAPI passes by name
        ctx: Ctx,
        who: Who,
        community: Community = None,
        kind: Kind = None,
        near: Near = None,
        minutes: Annotated[Walk, Query(description=say("Only with `near`.", "仅与 `near` 同用。"))] = Walk.FIFTEEN,
        person: For = None,
        limit: Limit = 100,
        cursor: Cursor = None,
    ) -> Response:
        whom = whom_of(who, service, person)
        if near is None:
            by_name = pages.after(cursor, str, uuid.UUID)
            found = await ctx.db.read(
                sql.places, service, whom=whom, community=community, kind=kind, after=by_name, limit=limit + 1
            )
        else:
            lat, lon = point(near)
            by_metres = pages.after(cursor, int, uuid.UUID)
            found = await ctx.db.read(
                sql.places_near,
                service,
                whom=whom,
                lat=lat,
                lon=lon,
                metres=rules.reach_metres(minutes),
                community=community,
                kind=kind,
                after=by_metres,
                limit=limit + 1,
            )
        last = found[limit - 1] if len(found) > limit else None
        key = None if last is None else last.name if last.metres is None else last.metres
        return web.json(
            Page[PlaceOut](
                items=[schemas.place_out(one) for one in found[:limit]],
                next=pages.cursor(key, last.id) if last is not None and key is not None else None,
            )
        )

    @made.post(
        "",
        operation_id=named("create"),
        status_code=201,
        response_model=PlaceOut,
        summary=say("Add a place (manager)", "新增场所（管理员）"),
        description=say(f"Kinds: {all_kinds}.", f"类型：{all_kinds}。"),
        responses=refuses(errors.Exists),
    )
    async def create_place(told: PlaceIn, ctx: Ctx, who: Who) -> Response:
        place_id = await ctx.db.run(actions.create_place, who, service, of_kind(told))
        return await shown(ctx, service, place_id, 201, Location=f"/v1/{service}/{collection}/{place_id}")

    @made.get(
        "/{place_id}",
        operation_id=named("read"),
        response_model=PlaceOut,
        summary=say("Read one place", "查看场所"),
    )
    async def read_place(place_id: PlaceId, ctx: Ctx) -> Response:
        return await shown(ctx, service, place_id)

    @made.put(
        "/{place_id}",
        operation_id=named("replace"),
        response_model=PlaceOut,
        summary=say("Change a place (manager)", "修改场所（管理员）"),
        description=say(
            "Resources that are left out are removed; one that has slots cannot be.",
            "未列出的场地将被删除；已有场次的不能删除。",
        ),
        responses=refuses(errors.Conflict, errors.Exists, errors.Changed, errors.ConditionMissing),
    )
    async def replace_place(place_id: PlaceId, told: PlaceIn, request: Request, ctx: Ctx, who: Who) -> Response:
        await ctx.db.run(actions.replace_place, who, service, place_id, of_kind(told), matches(request))
        return await shown(ctx, service, place_id)

    @made.delete(
        "/{place_id}",
        operation_id=named("delete"),
        status_code=204,
        summary=say("Remove a place nobody ever had a place in (manager)", "删除从未被预约的场所（管理员）"),
        responses=refuses(errors.Conflict),
    )
    async def delete_place(place_id: PlaceId, ctx: Ctx, who: Who) -> Response:
        await ctx.db.run(actions.delete_place, who, service, place_id)
        return Response(status_code=204)
