"""What happens at a place on a day."""

from __future__ import annotations

import uuid
from datetime import date, datetime

from fastapi import APIRouter, Request, Response

from shared import clock, errors, pages, web
from shared.claiming import NamedOut
from shared.pages import Cursor, Limit, Page
from shared.places import actions, schemas, sheets, sql
from shared.places.routes.given import ClosureId, Day, Format, PlaceId, place_of
from shared.places.schemas import ClosureIn, ClosureOut
from shared.texts import language, say
from shared.web import Ctx, Who, Wide, refuses


def add_days(made: APIRouter, service: str, collection: str, readers: frozenset[str]) -> None:
    """What happens there on a day; `readers` see who comes."""

    def named(verb: str) -> str:
        return f"{service}.{collection}.{verb}"

    @made.post(
        "/{place_id}/slots",
        operation_id=named("create_slot"),
        status_code=201,
        response_model=schemas.SlotMadeOut,
        summary=say("Add one extra session (staff)", "加开一个场次（工作人员）"),
        description=say(
            "Under the place's policy, except for when booking closes: that may be said here, and a deadline that is over "
            "already (the day before, for a session of today) becomes the policy's minutes before the start, or the start.",
            "适用本场所的规则；截止时间可单独设定。若规则的截止时间已过（如当天加开、规则为前一日截止），则取规则的开始前分钟数，否则至开始为止。",
        ),
        responses=refuses(errors.SlotsOverlap, errors.Exists, errors.Closed),
    )
    async def create_slot(place_id: PlaceId, told: schemas.SlotIn, ctx: Ctx, who: Who) -> Response:
        slot_id = await ctx.db.run(actions.create_slot, who, service, place_id, **told.said())
        href = f"/v1/slots/{slot_id}"
        return web.json(schemas.SlotMadeOut(id=slot_id, href=href), 201, {"Location": href})

    _add_closures(made, service, collection)

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
        place = await place_of(ctx, service, place_id)
        who.require(readers, place.community, place_id)
        day = day or clock.today()
        if not date(2000, 1, 1) <= day <= date(2200, 1, 1):
            raise errors.Unprocessable.at("/date", "range", where="query")
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
    async def read_occupancy(place_id: PlaceId, ctx: Wide) -> Response:
        place = await place_of(ctx, service, place_id)
        now = await ctx.db.read(sql.occupancy, place_id)
        named_out = NamedOut(id=place.id, name=place.name)
        return web.json(
            schemas.OccupancyOut(facility=named_out, at=clock.now(), people=now.people, capacity=now.capacity)
        )


def _add_closures(made: APIRouter, service: str, collection: str) -> None:
    """When it is shut."""

    def named(verb: str) -> str:
        return f"{service}.{collection}.{verb}"

    @made.get(
        "/{place_id}/closures",
        operation_id=named("list_closures"),
        response_model=Page[ClosureOut],
        summary=say("When a place is shut, the latest first", "关闭时段，由近及远"),
    )
    async def list_closures(place_id: PlaceId, ctx: Ctx, limit: Limit = 100, cursor: Cursor = None) -> Response:
        await place_of(ctx, service, place_id)
        after = pages.after(cursor, datetime, uuid.UUID)
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
        summary=say("Shut a place for a time (its staff)", "临时关闭场所（本场所工作人员）"),
        description=say(
            "Its slots are closed, and everybody who has a place in them is released and told. With `dry_run` it only says "
            "how many, with 200.",
            "关闭该时段的场次，释放并通知所有已预约者。`dry_run` 仅返回影响数量（200）。",
        ),
        responses={200: {"model": schemas.ClosingOut, "description": say("A dry run.", "预览。")}},
    )
    async def create_closure(place_id: PlaceId, told: ClosureIn, ctx: Wide, who: Who) -> Response:
        if told.dry_run:
            seen = await ctx.db.read(actions.foresee_closure, who, service, place_id, told.starts_at, told.ends_at)
            return web.json(schemas.closing_out(seen))
        done = await actions.close_place(ctx.db, who, service, place_id, told.starts_at, told.ends_at, told.reason)
        return web.json(
            schemas.closing_out(done), 201, {"Location": f"/v1/{service}/{collection}/{place_id}/closures/{done.id}"}
        )

    @made.get(
        "/{place_id}/closures/{closure_id}",
        operation_id=named("read_closure"),
        response_model=ClosureOut,
        summary=say("Read one closure", "查看关闭时段"),
    )
    async def read_closure(place_id: PlaceId, closure_id: ClosureId, ctx: Ctx) -> Response:
        await place_of(ctx, service, place_id)
        found = await ctx.db.read(sql.closure, place_id, closure_id)
        if found is None:
            raise errors.NotThere
        return web.json(ClosureOut.model_validate(found))

    @made.delete(
        "/{place_id}/closures/{closure_id}",
        operation_id=named("delete_closure"),
        status_code=204,
        summary=say("Take back a closure that is not over (its staff)", "撤销尚未结束的关闭（本场所工作人员）"),
        description=say(
            "What it closed and has not begun opens again. Who was released is not put back.",
            "恢复尚未开始的场次；已释放的名额不会恢复。",
        ),
        responses=refuses(errors.Conflict),
    )
    async def delete_closure(place_id: PlaceId, closure_id: ClosureId, ctx: Ctx, who: Who) -> Response:
        await ctx.db.run(actions.take_back_closure, who, service, place_id, closure_id)
        return Response(status_code=204)
