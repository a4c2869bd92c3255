"""The routes of places: every service that has some includes `router(…)` under its own names."""

from __future__ import annotations

import uuid
from datetime import date, datetime
from enum import IntEnum
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Path, Query, Request, Response

from shared import clock, errors, pages, web
from shared.claiming import NamedOut
from shared.pages import Cursor, Limit, Page
from shared.places import actions, rules, schemas, sheets, sql
from shared.places.schemas import ClosureIn, ClosureOut, PlaceIn, PlaceOut, PolicyIn, PolicyOut, ScheduleIn, ScheduleOut
from shared.texts import language, say
from shared.web import EVERYWHERE, Context, Ctx, Who, refuses


class Walk(IntEnum):
    """Minutes of walking: the two circles of neighbourhood life."""

    FIVE = 5
    FIFTEEN = 15


PlaceId = Annotated[uuid.UUID, Path(description=say("The place.", "场所编号。"))]
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
Version = Annotated[int | None, Query(ge=1, le=1_000_000, description=say("An older one.", "历史版本。"))]
Day = Annotated[web.Date | None, Query(alias="date", description=say("Default: today.", "默认当天。"))]
Format = Annotated[
    Literal["json", "csv", "html"],
    Query(alias="format", description=say("For programs, sheets or paper.", "数据、表格或打印。")),
]


def _matches(request: Request) -> actions.Matches:
    """Whether the caller read this version, by If-Match."""
    return lambda version: web.require_match(request, web.etag(version))


def _point(near: str) -> tuple[float, float]:
    lat, lon = (float(part) for part in near.split(","))
    if abs(lat) > 90 or abs(lon) > 180:
        raise errors.Unprocessable(errors=[{"in": "query", "pointer": "/near", "code": "range"}])
    return lat, lon


async def _place(ctx: Context, service: str, place_id: uuid.UUID) -> sql.Place:
    place = await ctx.db.read(sql.place, service, place_id)
    if place is None:
        raise errors.NotThere
    return place


async def _shown(ctx: Context, service: str, place_id: uuid.UUID, status: int = 200, **headers: str) -> Response:
    place = await _place(ctx, service, place_id)
    return web.json(schemas.place_out(place), status, {"ETag": web.etag(place.version), **headers})


async def _schedule(ctx: Context, place_id: uuid.UUID) -> Response:
    found = await ctx.db.read(sql.schedule, place_id)
    return web.json(schemas.schedule_out(found), 200, {"ETag": web.etag(found.version)})


async def _policy(ctx: Context, place_id: uuid.UUID, version: int | None = None) -> Response:
    found = await ctx.db.read(sql.policy, place_id, version)
    if found is None:
        raise errors.NotThere
    return web.json(schemas.policy_out(found), 200, {"ETag": web.etag(found.version)})


def router(service: str, collection: str, kinds: tuple[str, ...]) -> APIRouter:
    """The routes of one service's places, `/v1/<service>/<collection>…`; their kinds are these."""
    made = APIRouter(
        prefix=f"/v1/{service}/{collection}",
        tags=[f"{service} {collection}"],
        responses=EVERYWHERE,
        dependencies=[Depends(web.caller)],  # nothing is answered but through the gateway, public or not
    )
    _add_places(made, service, collection, kinds)
    _add_rules(made, service, collection)
    _add_days(made, service, collection)
    return made


def _add_places(made: APIRouter, service: str, collection: str, kinds: tuple[str, ...]) -> None:
    """What a place is."""

    def named(verb: str) -> str:
        return f"{service}.{collection}.{verb}"

    def of_kind(told: PlaceIn) -> actions.Description:
        if told.kind not in kinds:
            raise errors.Unprocessable(errors=[{"in": "body", "pointer": "/kind", "code": "unknown"}])
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
    async def list_places(
        ctx: Ctx,
        community: Community = None,
        kind: Kind = None,
        near: Near = None,
        minutes: Annotated[Walk, Query(description=say("Only with `near`.", "仅与 `near` 同用。"))] = Walk.FIFTEEN,
        limit: Limit = 100,
        cursor: Cursor = None,
    ) -> Response:
        if near is None:
            by_name: Any = pages.after(cursor, str, uuid.UUID)
            found = await ctx.db.read(
                sql.places, service, community=community, kind=kind, after=by_name, limit=limit + 1
            )
        else:
            lat, lon = _point(near)
            by_metres: Any = pages.after(cursor, int, uuid.UUID)
            found = await ctx.db.read(
                sql.places_near,
                service,
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
        return await _shown(ctx, service, place_id, 201, Location=f"/v1/{service}/{collection}/{place_id}")

    @made.get(
        "/{place_id}",
        operation_id=named("read"),
        response_model=PlaceOut,
        summary=say("Read one place", "查看场所"),
    )
    async def read_place(place_id: PlaceId, ctx: Ctx) -> Response:
        return await _shown(ctx, service, place_id)

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
        await ctx.db.run(actions.replace_place, who, service, place_id, of_kind(told), _matches(request))
        return await _shown(ctx, service, place_id)


def _add_rules(made: APIRouter, service: str, collection: str) -> None:
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
        await _place(ctx, service, place_id)
        return await _schedule(ctx, place_id)

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
        await ctx.db.run(actions.replace_schedule, who, service, place_id, told.said(), _matches(request))
        return await _schedule(ctx, place_id)

    @made.get(
        "/{place_id}/policy",
        operation_id=named("read_policy"),
        response_model=PolicyOut,
        summary=say("The rules of booking at a place", "预约规则"),
    )
    async def read_policy(place_id: PlaceId, ctx: Ctx, version: Version = None) -> Response:
        await _place(ctx, service, place_id)
        return await _policy(ctx, place_id, version)

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
        await ctx.db.run(actions.replace_policy, who, service, place_id, told.said(), _matches(request))
        return await _policy(ctx, place_id)


def _add_days(made: APIRouter, service: str, collection: str) -> None:
    """What happens there on a day."""

    def named(verb: str) -> str:
        return f"{service}.{collection}.{verb}"

    @made.post(
        "/{place_id}/slots",
        operation_id=named("create_slot"),
        status_code=201,
        response_model=schemas.SlotMadeOut,
        summary=say("Add one extra session (staff)", "加开一个场次（工作人员）"),
        responses=refuses(errors.SlotsOverlap, errors.Exists, errors.Closed),
    )
    async def create_slot(place_id: PlaceId, told: schemas.SlotIn, ctx: Ctx, who: Who) -> Response:
        slot_id = await ctx.db.run(actions.create_slot, who, service, place_id, **told.model_dump())
        href = f"/v1/slots/{slot_id}"
        return web.json(schemas.SlotMadeOut(id=slot_id, href=href), 201, {"Location": href})

    @made.get(
        "/{place_id}/closures",
        operation_id=named("list_closures"),
        response_model=Page[ClosureOut],
        summary=say("When a place is shut, the latest first", "关闭时段，由近及远"),
    )
    async def list_closures(place_id: PlaceId, ctx: Ctx, limit: Limit = 100, cursor: Cursor = None) -> Response:
        await _place(ctx, service, place_id)
        after: Any = pages.after(cursor, datetime, uuid.UUID)
        found = await ctx.db.read(sql.closures, place_id, after, limit + 1)
        last = found[limit - 1] if len(found) > limit else None
        return web.json(
            Page[ClosureOut](
                items=[ClosureOut.model_validate(one) for one in found[:limit]],
                next=pages.cursor(last.starts_at, last.id) if last is not None else None,
            )
        )

    @made.post(
        "/{place_id}/closures",
        operation_id=named("create_closure"),
        status_code=201,
        response_model=schemas.ClosingOut,
        summary=say("Shut a place for a time (staff)", "临时关闭场所（工作人员）"),
        description=say(
            "Its slots are closed, and everybody who has a place in them is released and told. With `dry_run` it only says "
            "how many, with 200.",
            "关闭该时段的场次，释放并通知所有已预约者。`dry_run` 仅返回影响数量（200）。",
        ),
        responses={200: {"model": schemas.ClosingOut, "description": say("A dry run.", "预览。")}},
    )
    async def create_closure(place_id: PlaceId, told: ClosureIn, ctx: Ctx, who: Who) -> Response:
        if told.dry_run:
            seen = await ctx.db.read(actions.foresee_closure, who, service, place_id, told.starts_at, told.ends_at)
            return web.json(schemas.closing_out(seen))
        done = await actions.close_place(ctx.db, who, service, place_id, told.starts_at, told.ends_at, told.reason)
        return web.json(schemas.closing_out(done), 201)

    @made.get(
        "/{place_id}/sheet",
        operation_id=named("sheet"),
        response_model=schemas.SheetOut,
        summary=say("Who comes on a day (staff)", "当日名单（工作人员）"),
        responses={
            200: {
                "description": say("As JSON, CSV or a page to print.", "JSON、CSV 或可打印页面。"),
                "content": {"text/csv": {"schema": {"type": "string"}}, "text/html": {"schema": {"type": "string"}}},
            }
        },
    )
    async def read_sheet(
        place_id: PlaceId, request: Request, ctx: Ctx, who: Who, day: Day = None, form: Format = "json"
    ) -> Response:
        place = await _place(ctx, service, place_id)
        who.require(actions.READERS, place.community, place_id)
        day = day or clock.today()
        if not date(2000, 1, 1) <= day <= date(2200, 1, 1):
            raise errors.Unprocessable(errors=[{"in": "query", "pointer": "/date", "code": "range"}])
        sessions = await ctx.db.read(sql.sheet, place_id, day)
        lang = language(request.headers.get("accept-language"))
        private = {"Cache-Control": "no-store", "Vary": "Accept-Language"}
        if form == "csv":
            private["Content-Disposition"] = f'attachment; filename="sheet-{day}.csv"'
            return Response(sheets.as_csv(sessions, lang), headers=private, media_type="text/csv; charset=utf-8")
        if form == "html":
            private["Content-Security-Policy"] = "default-src 'none'; style-src 'unsafe-inline'"
            return Response(
                sheets.as_html(place, day, sessions, lang), headers=private, media_type="text/html; charset=utf-8"
            )
        return web.json(schemas.sheet_out(place, day, sessions), 200, private)

    @made.get(
        "/{place_id}/occupancy",
        operation_id=named("occupancy"),
        response_model=schemas.OccupancyOut,
        summary=say("How full a place is now", "当前在约人数"),
    )
    async def read_occupancy(place_id: PlaceId, ctx: Ctx) -> Response:
        place = await _place(ctx, service, place_id)
        now = await ctx.db.read(sql.occupancy, place_id)
        named_out = NamedOut(id=place.id, name=place.name)
        return web.json(
            schemas.OccupancyOut(facility=named_out, at=clock.now(), people=now.people, capacity=now.capacity)
        )
