"""Standing orders: the same meal on the same weekdays."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request, Response

from services.elder_meals.actions import SERVICE
from services.elder_meals.actions import standing as actions
from services.elder_meals.schemas.elders import RunOut, StandingIn, StandingOut
from services.elder_meals.schemas.orders import LineIn
from shared import errors, pages, web
from shared.pages import Cursor, Limit, Page
from shared.texts import say
from shared.web import EVERYWHERE, Context, Ctx, Who, refuses

router = APIRouter(prefix=f"/v1/{SERVICE}/standing-orders", tags=["standing orders"], responses=EVERYWHERE)

StandingId = Annotated[uuid.UUID, Path(description=say("The standing order.", "长期订餐编号。"))]
Person = Annotated[uuid.UUID | None, Query(description=say("Only this person.", "仅此人。"))]
Kitchen = Annotated[uuid.UUID | None, Query(description=say("Only this kitchen (staff).", "仅此厨房（工作人员）。"))]


def _matches(request: Request) -> Callable[[object, bool], None]:
    """Staff say which version they read; of others it is asked only if they send it."""

    def matches(version: object, is_staff: bool) -> None:  # noqa: FBT001 - a fact about the caller
        if is_staff or request.headers.get("if-match") is not None:
            web.require_match(request, web.etag(version))

    return matches


def _wanted(told: StandingIn) -> actions.Wanted:
    return actions.Wanted(
        told.person_id, told.kitchen_id, told.weekdays, told.window, told.said(), told.starts_on, told.until
    )


def _out(row: Any, runs: Sequence[Any]) -> StandingOut:
    meal = row["lines"]
    return StandingOut(
        id=row["id"],
        person_id=row["person_id"],
        kitchen_id=row["place_id"],
        weekdays=row["weekdays"],
        window=row["title"],
        lines=[LineIn.model_validate(one) for one in meal["lines"]] if "lines" in meal else None,
        portions=meal.get("portions", 1),
        collect=meal.get("collect", False),
        starts_on=row["starts_on"],
        until=row["until"],
        state=row["state"],
        version=row["version"],
        runs=[RunOut(date=run["day"], state=run["state"], code=run["code"], order_id=run["order_id"]) for run in runs],
    )


async def _shown(ctx: Context, who: Who, standing_id: uuid.UUID, status: int = 200, **more: str) -> Response:
    row, runs = await ctx.db.read(actions.read_standing, who, standing_id)
    return web.json(_out(row, runs), status, {"ETag": web.etag(row["version"]), **more})


@router.post(
    "",
    status_code=201,
    operation_id="elder-meals.standing-orders.create",
    response_model=StandingOut,
    summary=say("Order the same meal on the same weekdays", "长期订餐"),
    description=say(
        "Each day is ordered by itself when its window opens, once; days away and closed days are left out. What is refused is "
        "told by a notice: `no_address` when the elder's profile says no door and the meal is not fetched.",
        "每日时段开放后自动下单一次，外出和停业日除外；未成功的会发送通知：长者档案无送餐地址且非自取时为 `no_address`。",
    ),
    responses=refuses(errors.Exists),
)
async def create_standing(told: StandingIn, ctx: Ctx, who: Who) -> Response:
    standing_id = await ctx.db.run(actions.create_standing, who, _wanted(told))
    return await _shown(ctx, who, standing_id, 201, Location=f"/v1/{SERVICE}/standing-orders/{standing_id}")


@router.get(
    "",
    operation_id="elder-meals.standing-orders.list",
    response_model=Page[StandingOut],
    summary=say("Standing orders, the newest first", "长期订餐列表"),
)
async def list_standings(
    ctx: Ctx, who: Who, person: Person = None, kitchen: Kitchen = None, limit: Limit = 50, cursor: Cursor = None
) -> Response:
    after = pages.after(cursor, uuid.UUID)
    found = await ctx.db.read(actions.standings, who, person, kitchen, after, limit + 1)
    return web.json(pages.page(found, limit, lambda one: _out(*one), lambda one: one[0]["id"]))


@router.get(
    "/{standing_id}",
    operation_id="elder-meals.standing-orders.read",
    response_model=StandingOut,
    summary=say("Read one standing order and what became of it", "查看长期订餐"),
)
async def read_standing(standing_id: StandingId, ctx: Ctx, who: Who) -> Response:
    return await _shown(ctx, who, standing_id)


@router.put(
    "/{standing_id}",
    operation_id="elder-meals.standing-orders.replace",
    response_model=StandingOut,
    summary=say("Change a standing order", "修改长期订餐"),
    description=say(
        "Meals it has ordered already stay; days that were refused and are still open are asked for again. Staff send "
        "If-Match, others may.",
        "已自动下单的餐保持不变；此前未成功且仍可订的日期将重新下单。工作人员须带 If-Match，其他人可选。",
    ),
    responses=refuses(errors.AlreadyRecorded, errors.Exists, errors.Changed, errors.ConditionMissing),
)
async def replace_standing(standing_id: StandingId, told: StandingIn, request: Request, ctx: Ctx, who: Who) -> Response:
    await ctx.db.run(actions.replace_standing, ctx.keys, who, standing_id, _wanted(told), _matches(request))
    return await _shown(ctx, who, standing_id)


@router.delete(
    "/{standing_id}",
    operation_id="elder-meals.standing-orders.delete",
    response_model=StandingOut,
    summary=say("End a standing order", "结束长期订餐"),
)
async def end_standing(standing_id: StandingId, ctx: Ctx, who: Who) -> Response:
    await ctx.db.run(actions.end_standing, who, standing_id)
    return await _shown(ctx, who, standing_id)
