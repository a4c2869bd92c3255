"""The town: its regions and its calendar of days."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

from fastapi import APIRouter, Query, Response

from services.gateway import actions, sql
from services.gateway.routes.given import Code, Gate, Who
from services.gateway.schemas import DayIn, DayOut, RegionOut
from shared import clock, days, errors, pages, web
from shared.pages import Cursor, Limit, Page
from shared.texts import say
from shared.web import EVERYWHERE

router = APIRouter(prefix="/v1", responses=EVERYWHERE)


@router.get(
    "/regions",
    operation_id="regions.list",
    response_model=Page[RegionOut],
    tags=["town"],
    summary=say("Regions below a region", "下级行政区划"),
)
async def list_regions(
    gate: Gate,
    parent: Annotated[
        str | None,
        Query(
            pattern=r"^[0-9]{2,12}(-[0-9]{2})?$", description=say("A region code; none: the roots.", "上级区划代码。")
        ),
    ] = None,
    limit: Limit = 100,
    cursor: Cursor = None,
) -> Response:
    after = pages.after(cursor, str)
    found = await gate.db.read(sql.regions, parent, after or "", limit + 1)
    items = [RegionOut.model_validate(dict(row)) for row in found[:limit]]
    return web.json(Page[RegionOut](items=items, next=pages.cursor(items[-1].code) if len(found) > limit else None))


@router.get(
    "/regions/{code}",
    operation_id="regions.read",
    response_model=RegionOut,
    tags=["town"],
    summary=say("Read one region", "查看行政区划"),
)
async def read_region(code: Code, gate: Gate) -> Response:
    found = await gate.db.read(sql.region, code)
    if found is None:
        raise errors.NotThere
    return web.json(RegionOut.model_validate(dict(found)))


@router.get(
    "/days",
    operation_id="days.list",
    response_model=Page[DayOut],
    tags=["town"],
    summary=say("What the days are: work, rest or closed", "工作日、休息日与闭馆日"),
)
async def list_days(
    gate: Gate,
    from_: Annotated[web.Date | None, Query(alias="from", description=say("First day.", "起始日期。"))] = None,
    to: Annotated[web.Date | None, Query(description=say("Last day, included.", "截止日期（含）。"))] = None,
) -> Response:
    first = from_ or clock.today()
    try:
        last = to or first + timedelta(days=30)
    except OverflowError:
        last = first
    if not timedelta(0) <= last - first <= timedelta(days=366):
        raise errors.Unprocessable.at("/to", "window", where="query")
    stored = {row["date"]: dict(row) for row in await gate.db.read(sql.days, first, last)}
    span = [first + timedelta(days=n) for n in range((last - first).days + 1)]
    items = [DayOut(**stored.get(day) or days.provisional(day)._asdict()) for day in span]
    return web.json(Page[DayOut](items=items))


@router.put(
    "/days/{day}",
    operation_id="days.replace",
    response_model=DayOut,
    tags=["town"],
    summary=say("Say what a day is (town manager)", "设定某日类型（管理员）"),
)
async def replace_day(day: web.Date, told: DayIn, gate: Gate, who: Who) -> Response:
    await gate.db.run(actions.set_day, who, day, told.kind, told.name)
    return web.json(DayOut(date=day, kind=told.kind, name=told.name, is_provisional=False))
