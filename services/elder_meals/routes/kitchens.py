"""What kitchens have beside every place: dishes, menus, and the sheet they cook by."""

from __future__ import annotations

import uuid
from datetime import date, timedelta
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Query, Request, Response

from services.elder_meals import sheets
from services.elder_meals.actions import SERVICE, rounds
from services.elder_meals.actions import dishes as actions
from services.elder_meals.schemas.doors import ProductionOut
from services.elder_meals.schemas.kitchens import CopyIn, DishIn, DishOut, MenuDishOut, MenuIn, MenuOut, WeekOut
from services.elder_meals.sql import dishes as sql
from shared import clock, errors, pages, web
from shared.claiming import NamedOut
from shared.pages import Cursor, Limit, Page
from shared.texts import language, say
from shared.web import EVERYWHERE, Context, Ctx, Who, refuses

router = APIRouter(prefix=f"/v1/{SERVICE}/kitchens", tags=["menus"], responses=EVERYWHERE)

KitchenId = Annotated[uuid.UUID, Path(description=say("The kitchen.", "厨房编号。"))]
DishId = Annotated[uuid.UUID, Path(description=say("The dish.", "菜品编号。"))]
MenuDay = Annotated[
    date, Path(alias="day", ge=date(2000, 1, 1), le=date(2200, 1, 1), description=say("The date.", "日期。"))
]
From = Annotated[
    date | None,
    Query(alias="from", ge=date(2000, 1, 1), le=date(2200, 1, 1), description=say("Default: today.", "默认当天。")),
]
To = Annotated[
    date | None,
    Query(
        alias="to",
        ge=date(2000, 1, 1),
        le=date(2200, 1, 1),
        description=say(
            "The last day; default: six days after `from`, at most 31.", "最后一天；默认 `from` 后六天，最多 31 天。"
        ),
    ),
]
Day = Annotated[
    date | None,
    Query(alias="date", ge=date(2000, 1, 1), le=date(2200, 1, 1), description=say("Default: today.", "默认当天。")),
]
Window = Annotated[uuid.UUID | None, Query(alias="slot", description=say("Only this window.", "仅此时段。"))]
Retired = Annotated[bool, Query(description=say("Those no longer offered.", "仅已停供的。"))]
Format = Annotated[
    Literal["json", "csv", "html"],
    Query(alias="format", description=say("For programs, sheets or paper.", "数据、表格或打印。")),
]


def _matches(request: Request) -> actions.Matches:
    return lambda version: web.require_match(request, web.etag(version))


async def _dish(ctx: Context, kitchen_id: uuid.UUID, dish_id: uuid.UUID, status: int = 200, **more: str) -> Response:
    row = await ctx.db.read(sql.dish, kitchen_id, dish_id)
    if row is None:
        raise errors.NotThere
    return web.json(DishOut.model_validate(dict(row)), status, {"ETag": web.etag(row["version"]), **more})


@router.get(
    "/{kitchen_id}/dishes",
    operation_id="elder-meals.dishes.list",
    response_model=Page[DishOut],
    summary=say("Dishes of a kitchen", "菜品列表"),
)
async def list_dishes(
    kitchen_id: KitchenId,
    ctx: Ctx,
    who: Who,
    retired: Retired = False,  # noqa: FBT002 - a query parameter
    limit: Limit = 100,
    cursor: Cursor = None,
) -> Response:
    await ctx.db.read(actions.may_see_drafts, who, kitchen_id)
    after = pages.after(cursor, str, uuid.UUID)
    found = await ctx.db.read(sql.dishes, kitchen_id, is_retired=retired, after=after, limit=limit + 1)
    return web.json(
        pages.page(found, limit, lambda row: DishOut.model_validate(dict(row)), lambda row: (row["name"], row["id"]))
    )


@router.post(
    "/{kitchen_id}/dishes",
    status_code=201,
    operation_id="elder-meals.dishes.create",
    response_model=DishOut,
    summary=say("Add a dish (kitchen)", "新增菜品（厨房）"),
    responses=refuses(errors.Exists),
)
async def create_dish(kitchen_id: KitchenId, told: DishIn, ctx: Ctx, who: Who) -> Response:
    dish_id = await ctx.db.run(actions.create_dish, who, kitchen_id, told.said())
    location = f"/v1/{SERVICE}/kitchens/{kitchen_id}/dishes/{dish_id}"
    return await _dish(ctx, kitchen_id, dish_id, 201, Location=location)


@router.get(
    "/{kitchen_id}/dishes/{dish_id}",
    operation_id="elder-meals.dishes.read",
    response_model=DishOut,
    summary=say("Read one dish", "查看菜品"),
)
async def read_dish(kitchen_id: KitchenId, dish_id: DishId, ctx: Ctx, _who: Who) -> Response:
    return await _dish(ctx, kitchen_id, dish_id)


@router.put(
    "/{kitchen_id}/dishes/{dish_id}",
    operation_id="elder-meals.dishes.replace",
    response_model=DishOut,
    summary=say("Change a dish (kitchen)", "修改菜品（厨房）"),
    description=say("Meals that are ordered keep the price they were ordered at.", "已下单的餐保持原价。"),
    responses=refuses(errors.Exists, errors.Conflict, errors.Changed, errors.ConditionMissing),
)
async def replace_dish(
    kitchen_id: KitchenId, dish_id: DishId, told: DishIn, request: Request, ctx: Ctx, who: Who
) -> Response:
    await ctx.db.run(actions.replace_dish, who, kitchen_id, dish_id, told.said(), _matches(request))
    return await _dish(ctx, kitchen_id, dish_id)


@router.delete(
    "/{kitchen_id}/dishes/{dish_id}",
    operation_id="elder-meals.dishes.delete",
    response_model=DishOut,
    summary=say("Offer a dish no longer (kitchen)", "停供菜品（厨房）"),
    responses=refuses(errors.Conflict),
)
async def retire_dish(kitchen_id: KitchenId, dish_id: DishId, ctx: Ctx, who: Who) -> Response:
    await ctx.db.run(actions.retire_dish, who, kitchen_id, dish_id)
    return await _dish(ctx, kitchen_id, dish_id)


def _menu(menu: sql.Menu) -> MenuOut:
    return MenuOut(
        date=menu.day,
        version=menu.version,
        published=menu.is_published,
        dishes=[
            MenuDishOut(**_fields(row), free=max(0, row["portions"] - row["taken"]), slot_id=_stock(menu, row))
            for row in menu.rows
        ],
    )


def _fields(row: Any) -> dict[str, Any]:
    return {name: row[name] for name in MenuDishOut.model_fields if name not in ("free", "slot_id")}


def _stock(menu: sql.Menu, row: Any) -> uuid.UUID | None:
    found: uuid.UUID | None = row["slot_id"] if menu.is_published else None
    return found


@router.get(
    "/{kitchen_id}/menus",
    operation_id="elder-meals.menus.list",
    response_model=WeekOut,
    summary=say("Menus of some days", "多日菜单"),
    description=say("Those who run the kitchen see drafts, too.", "厨房工作人员亦可见未发布的菜单。"),
)
async def list_menus(kitchen_id: KitchenId, ctx: Ctx, who: Who, first: From = None, last: To = None) -> Response:
    first = first or clock.today()
    last = last or first + timedelta(days=6)
    if not timedelta(0) <= last - first <= timedelta(days=31):
        raise errors.Unprocessable.at("/to", "range", where="query")
    drafts = await ctx.db.read(actions.may_see_drafts, who, kitchen_id)
    found = await ctx.db.read(sql.menus, kitchen_id, first, last)
    return web.json(WeekOut(items=[_menu(one) for one in found if drafts or one.is_published]))


@router.post(
    "/{kitchen_id}/menus/copy",
    operation_id="elder-meals.menus.copy",
    response_model=WeekOut,
    summary=say("Say a week's menus again (kitchen)", "复制菜单（厨房）"),
    description=say("Days that have a menu already keep it.", "已有菜单的日期保持不变。"),
    responses=refuses(errors.Conflict),
)
async def copy_menus(kitchen_id: KitchenId, told: CopyIn, ctx: Ctx, who: Who) -> Response:
    made = await ctx.db.run(
        actions.copy_menus,
        who,
        kitchen_id,
        told.source,
        told.target,
        told.days,
        is_published=told.published,
    )
    last = told.target + timedelta(days=told.days - 1)
    found = await ctx.db.read(sql.menus, kitchen_id, told.target, last)
    return web.json(WeekOut(items=[_menu(one) for one in found if one.day in made]))


async def _read_menu(ctx: Context, kitchen_id: uuid.UUID, day: date, *, drafts: bool) -> Response:
    found = await ctx.db.read(sql.menu, kitchen_id, day)
    if not (drafts or found.is_published):
        raise errors.NotThere
    return web.json(_menu(found), 200, {"ETag": web.etag(found.version)})


@router.get(
    "/{kitchen_id}/menus/{day}",
    operation_id="elder-meals.menus.read",
    response_model=MenuOut,
    summary=say("The menu of a day", "当日菜单"),
)
async def read_menu(kitchen_id: KitchenId, day: MenuDay, ctx: Ctx, who: Who) -> Response:
    drafts = await ctx.db.read(actions.may_see_drafts, who, kitchen_id)
    return await _read_menu(ctx, kitchen_id, day, drafts=drafts)


@router.put(
    "/{kitchen_id}/menus/{day}",
    operation_id="elder-meals.menus.replace",
    response_model=MenuOut,
    summary=say("Say what is cooked on a day (kitchen)", "设定当日菜单（厨房）"),
    description=say(
        'Published, each dish has so many portions to order. If-Match is "0" before the first menu of a day. What is ordered '
        "stays: a menu that would take it away is refused.",
        '发布后每道菜按份数可订。首次设定当日菜单时 If-Match 为 "0"。已订的餐不受影响，与之冲突的修改将被拒绝。',
    ),
    responses=refuses(errors.CapacityTaken, errors.Conflict, errors.Changed, errors.ConditionMissing),
)
async def replace_menu(
    kitchen_id: KitchenId, day: MenuDay, told: MenuIn, request: Request, ctx: Ctx, who: Who
) -> Response:
    await ctx.db.run(
        actions.replace_menu, who, kitchen_id, day, told.said(), _matches(request), is_published=told.published
    )
    return await _read_menu(ctx, kitchen_id, day, drafts=True)


@router.get(
    "/{kitchen_id}/production",
    operation_id="elder-meals.kitchens.production",
    response_model=ProductionOut,
    summary=say("What is cooked on a day, and what goes into each box (kitchen)", "当日生产单（厨房）"),
    description=say(
        "Boxes have numbers, not names. What an elder must not eat stands on the box.",
        "餐盒以编号区分，不显示姓名；忌口与过敏信息标注在对应餐盒上。",
    ),
    responses={
        200: {
            "description": say("As JSON, CSV or a page to print.", "JSON、CSV 或可打印页面。"),
            "content": {"text/csv": {"schema": {"type": "string"}}, "text/html": {"schema": {"type": "string"}}},
        }
    },
)
async def production(
    kitchen_id: KitchenId,
    request: Request,
    ctx: Ctx,
    who: Who,
    day: Day = None,
    slot: Window = None,
    form: Format = "json",
) -> Response:
    day = day or clock.today()
    place, windows = await ctx.db.read(rounds.production, ctx.keys, who, kitchen_id, day, slot)
    sheet = ProductionOut.model_validate(
        {"facility": NamedOut(id=place.id, name=place.name), "date": day, "windows": windows}
    )
    private = {"Cache-Control": "no-store", "Vary": "Accept-Language"}
    if form == "json":
        return web.json(sheet, 200, private)
    return sheets.answer(place.name, day, windows, form, language(request.headers.get("accept-language")), private)
