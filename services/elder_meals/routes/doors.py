"""Ways from door to door, what happened there, and what is done when nobody opened."""

from __future__ import annotations

import uuid
from datetime import date
from typing import Annotated, Literal

from fastapi import APIRouter, Path, Query, Response

from services.elder_meals.actions import SERVICE, rounds
from services.elder_meals.actions import doors as actions
from services.elder_meals.schemas.doors import (
    CheckOut,
    OutcomeIn,
    OutcomeOut,
    PlanIn,
    RoundOut,
    RoundsOut,
    StepIn,
)
from shared import clock, errors, pages, web
from shared.pages import Cursor, Limit, Page
from shared.texts import say
from shared.web import EVERYWHERE, Ctx, Who, refuses

router = APIRouter(prefix=f"/v1/{SERVICE}", tags=["rounds"], responses=EVERYWHERE)

OrderId = Annotated[uuid.UUID, Path(description=say("The order.", "订单编号。"))]
RoundId = Annotated[uuid.UUID, Path(description=say("The round.", "送餐路线编号。"))]
CheckId = Annotated[uuid.UUID, Path(description=say("The welfare check.", "探视任务编号。"))]
Day = Annotated[
    date | None,
    Query(alias="date", ge=date(2000, 1, 1), le=date(2200, 1, 1), description=say("Default: today.", "默认当天。")),
]
Window = Annotated[uuid.UUID | None, Query(alias="slot", description=say("Only this window.", "仅此时段。"))]
State = Annotated[
    Literal["open", "closed"] | None,
    Query(
        description=say(
            "Only these: `open` (somebody must still look) or `closed` (it is over).",
            "仅此状态：`open` 进行中，`closed` 已结束。",
        )
    ),
]


@router.post(
    "/rounds/plan",
    operation_id="elder-meals.rounds.plan",
    response_model=RoundsOut,
    summary=say("Plan the ways of a window (kitchen)", "规划送餐路线（厨房）"),
    description=say(
        "Doors where nothing has happened yet are put in an order to walk and shared among the couriers; plan again when "
        "somebody cannot come, or more is ordered.",
        "将尚无结果的送餐点排序并分配给送餐员；人员变动或新增订单后可重新规划。",
    ),
)
async def plan(told: PlanIn, ctx: Ctx, who: Who) -> Response:
    found = await ctx.db.run(rounds.plan, ctx.keys, who, told.slot_id, told.couriers)
    return web.json(RoundsOut.model_validate({"items": found}))


@router.get(
    "/rounds",
    operation_id="elder-meals.rounds.list",
    response_model=RoundsOut,
    summary=say("My rounds of a day", "我的送餐路线"),
)
async def list_rounds(ctx: Ctx, who: Who, day: Day = None, slot: Window = None) -> Response:
    asked = day if day is not None or slot is not None else clock.today()
    found = await ctx.db.read(rounds.rounds, who, asked, slot)
    return web.json(RoundsOut.model_validate({"items": found}))


@router.get(
    "/rounds/{round_id}",
    operation_id="elder-meals.rounds.read",
    response_model=RoundOut,
    summary=say("The doors of a round", "路线详情"),
    description=say(
        "For its courier and those who run the kitchen; addresses only until the day after. The courier is told phones in "
        "full from one hour before the window until two hours after it; whoever is told is written down.",
        "仅限本路线送餐员及厨房；地址仅在次日前可见。时段开始前一小时至结束后两小时，送餐员可见完整电话；每次查看均有记录。",
    ),
)
async def read_round(round_id: RoundId, ctx: Ctx, who: Who) -> Response:
    found = await ctx.db.run(rounds.read_round, ctx.keys, who, round_id)
    return web.private(RoundOut.model_validate(found))


@router.post(
    "/orders/{order_id}/outcome",
    operation_id="elder-meals.orders.outcome",
    response_model=OutcomeOut,
    summary=say("What happened at the door (courier)", "送达结果（送餐员）"),
    description=say(
        "Sent again with the same id it is answered the same; late is accepted. What happened offline (`decided`) is accepted "
        "also of a meal that was given back or put on another round meanwhile, with what stands against it in `reasons`. `unanswered` opens a welfare "
        "check, unless the elder has said since they ordered that they are away, or the meal was given back before; of a meal "
        "that is fetched it is not said before its window ends.",
        "相同 id 重复提交得到相同答复，允许补报。离线已发生的（`decided`）即使此餐已取消或已改派路线也予以接受，问题列于 `reasons`。"
        "`unanswered` 将发起探视任务，长者下单后报备外出或此前已取消此餐的除外；自取的餐须待时段结束后方可登记。",
    ),
    responses=refuses(
        errors.AlreadyRecorded,
        errors.NeighbourNotAgreed,
        errors.Conflict,
        errors.InFlight,
        errors.KeyReused,
        errors.TooEarly,
    ),
)
async def record(order_id: OrderId, told: OutcomeIn, ctx: Ctx, who: Who) -> Response:
    said = {"note": told.note, "position": told.position.model_dump() if told.position is not None else None}
    found = await ctx.db.run(actions.record, ctx.keys, who, order_id, told, told.outcome, said)
    return web.json(OutcomeOut.model_validate(found))


@router.get(
    "/welfare-checks",
    operation_id="elder-meals.welfare-checks.list",
    response_model=Page[CheckOut],
    summary=say("Doors that stayed shut, the newest first", "探视任务列表"),
)
async def list_checks(ctx: Ctx, who: Who, state: State = None, limit: Limit = 50, cursor: Cursor = None) -> Response:
    after = pages.after(cursor, uuid.UUID)
    found = await ctx.db.read(actions.checks, ctx.keys, who, state, after, limit + 1)
    return web.private(pages.page(found, limit, CheckOut.model_validate, lambda one: one["id"]))


@router.get(
    "/welfare-checks/{check_id}",
    operation_id="elder-meals.welfare-checks.read",
    response_model=CheckOut,
    summary=say("What was done about a closed door", "查看探视任务"),
)
async def read_check(check_id: CheckId, ctx: Ctx, who: Who) -> Response:
    found = await ctx.db.read(actions.read_check, ctx.keys, who, check_id)
    return web.private(CheckOut.model_validate(found))


@router.post(
    "/welfare-checks/{check_id}/steps",
    operation_id="elder-meals.welfare-checks.step",
    response_model=CheckOut,
    summary=say("Say what was done", "登记处理步骤"),
    description=say(
        "Steps are only added. `closed` says how it ended, and is said by somebody in office; the elder's family may add the "
        "other kinds.",
        "步骤只增不改。`closed` 须由工作人员填写结果；家属可登记其他步骤。",
    ),
    responses=refuses(errors.AlreadyRecorded, errors.TooEarly, errors.InFlight, errors.KeyReused),
)
async def step(check_id: CheckId, told: StepIn, ctx: Ctx, who: Who) -> Response:
    await ctx.db.run(actions.step, ctx.keys, who, check_id, told, kind=told.kind, outcome=told.outcome, note=told.note)
    found = await ctx.db.read(actions.read_check, ctx.keys, who, check_id)
    return web.private(CheckOut.model_validate(found))
