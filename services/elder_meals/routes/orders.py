"""Orders: one elder's meal out of one window."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Response

from services.elder_meals import notices, rules
from services.elder_meals.actions import KITCHEN, SERVICE
from services.elder_meals.actions import orders as actions
from services.elder_meals.schemas.orders import OrderIn, OrderOut, order_part
from shared import claiming, errors, web
from shared.claims import Group
from shared.collection import Collection, Words
from shared.line import Line
from shared.texts import say
from shared.web import EVERYWHERE, Ctx, Who, refuses

WHERE = f"{SERVICE}/orders"

router = APIRouter(prefix=f"/v1/{WHERE}", tags=["orders"], responses=EVERYWHERE)


def _out(row: Any, group: Group, detail: Any) -> OrderOut:
    told = claiming.of_group(group, where=WHERE) | {"progress": _progress(row, detail)}
    return OrderOut.model_validate(told | order_part({**dict(row), **(detail or {})}))


def _progress(row: Any, detail: Any) -> str | None:
    """The service's word for it: on a round, or what happened at the door."""
    return row["outcome"] or ("planned" if detail and detail["is_planned"] else None)


ORDERS = Collection(
    service=SERVICE,
    name="orders",
    table="meal_orders",
    columns=(
        "no",
        "slot_id",
        "holder_no",
        "person_id",
        "price_fen",
        "subsidy_fen",
        "fee_fen",
        "pay_fen",
        "terms_version",
        "outcome",
        "outcome_at",
    ),
    readers=KITCHEN,
    staff=KITCHEN,
    out=_out,
    cancelled=notices.order_cancelled,
    details=actions.details,
    releasing=actions.releasing,
    shown=actions.shown,
    refusals=(errors.AlreadyRecorded, errors.TooLate),
    words=Words(
        list=say("Meals: mine, or those of my kitchens (staff)", "订餐列表：我的，或本厨房的（工作人员）"),
        read=say("Read one order", "查看一个订单"),
        cancel=say("Cancel a meal", "取消订餐"),
        cancelling=say(
            "Frees the places at once, until `cancel_by`; after that only the kitchen and the staff may. A meal that has come to "
            "its end stays. Cancelling again answers the same.",
            "立即释放名额，须在 `cancel_by` 之前；逾期仅厨房和工作人员可以取消。已有结果的餐不能取消。重复取消返回相同结果。",
        ),
        show=say("The pass to show when fetching a meal", "取餐凭证"),
    ),
)


@router.post(
    "",
    status_code=201,
    operation_id="elder-meals.orders.create",
    response_model=OrderOut,
    summary=say("Order a meal for an elder", "为长者订餐"),
    description=say(
        "By the elder, their family, or at the desk and by phone by staff or the place's own kitchen. Dishes that do not suit the elder are refused and named. One portion "
        "of a meal is subsidised by age; each line says why it costs what it costs. One order a window for one elder. "
        "Needs an Idempotency-Key.",
        "可由长者本人、家人下单，或由工作人员及本厨房在窗口、电话代订。不符合长者饮食要求的菜品将被拒绝并指明。每餐按年龄补贴一份，"
        "每行注明计价原因。每位长者每个送餐时段限一份订单。须带 Idempotency-Key。",
    ),
    responses={
        202: {"model": OrderOut, "description": say("On the waiting list.", "已进入候补。")},
        **refuses(*claiming.REFUSALS, errors.DietConflict, errors.OutsideDeliveryArea, errors.CapReached),
    },
)
async def make(told: OrderIn, ctx: Ctx, who: Who) -> Response:
    grant, account_no = claiming.granted(who, told)
    line: Line[actions.Making, dict[str, Any]] = ctx.lines["orders"]
    making = actions.Making(
        grant,
        account_no,
        actions.new_id(),
        tuple((one.dish_id, one.portions) for one in told.lines),
        told.deliver_to.model_dump() if told.deliver_to is not None else None,
        told.collect,
        tuple(told.diet) if told.diet is not None else None,
        told.note,
        told.channel == "app" and grant.claims[0].person_id != who.person_id,
    )
    order = await line.submit(making)
    if told.channel != "app" and order["deliver_to"] is not None:  # staff are told phones where it is written down
        order["deliver_to"] = order["deliver_to"] | {"phone": rules.masked(order["deliver_to"].get("phone"))}
    made = claiming.of_grant(
        grant, service=SERVICE, where=WHERE, resource_id=making.id, made_by=who.person_id or who.account_id
    )
    return web.plain_json(made | order, 201, {"Location": made["href"]})
