"""Visits: the shape all claims share, and the door."""

from __future__ import annotations

import uuid
from typing import Annotated, Any

from fastapi import APIRouter, Path, Response

from services.childcare import notices, rules
from services.childcare.actions import CARERS, doors, visits
from services.childcare.schemas import HandoverOut, SignInIn, SignOutIn, StepOut, VisitIn, VisitOut
from shared import claiming, errors, web
from shared.claiming import NamedOut
from shared.claims import Group
from shared.collection import Collection, Words
from shared.line import Line
from shared.texts import say
from shared.web import EVERYWHERE, Context, Ctx, Who, refuses

WHERE = "childcare/visits"
VisitId = Annotated[uuid.UUID, Path(description=say("The visit.", "到访编号。"))]

router = APIRouter(prefix=f"/v1/{WHERE}", tags=["visits"], responses=EVERYWHERE)


def _out(row: Any, group: Group, detail: visits.Detail) -> VisitOut:
    fields = claiming.of_group(group, where=WHERE)
    steps = detail.of(group)
    latest = list({one["id"]: one["direction"] for one in steps}.values())
    fields["progress"] = rules.progress(latest.count("in"), latest.count("out"))
    shown = [StepOut(person=NamedOut.model_validate(one), direction=one["direction"], at=one["at"]) for one in steps]
    return VisitOut(**fields, stays=row["stays"], note=detail.note, steps=shown)


VISITS = Collection(
    service="childcare",
    name="visits",
    table="visits",
    columns=("stays",),
    readers=CARERS,
    staff=frozenset({"staff", "manager", "operator"}),
    out=_out,
    cancelled=notices.visit_cancelled,
    details=visits.details,
    releasing=visits.releasing,
    refusals=(errors.SignedIn,),
    words=Words(
        list=say("Visits: mine, or those of my rooms (carers)", "到访列表：我的，或本儿童之家的（照护人员）"),
        read=say("Read one visit", "查看一次到访"),
        cancel=say("Cancel all children's places or one child's", "取消全部或某名儿童的到访"),
    ),
)


@router.post(
    "",
    status_code=201,
    operation_id="childcare.visits.create",
    response_model=VisitOut,
    summary=say("Bring children to a session", "预约儿童之家"),
    description=say(
        "`persons` are the children (all or none); `stays`: a guardian stays with them. The room's ages, guardianship and "
        "consent are looked at. 201 confirmed; 202 on the waiting list (`if_full: wait`). Needs an Idempotency-Key.",
        "`persons` 为儿童（全部成功或全部不成功）；`stays` 表示监护人陪同。系统核对年龄、监护关系与同意。201 已确认；202 已候补（`if_full: wait`）。须带 Idempotency-Key。",
    ),
    responses={
        202: {"model": VisitOut, "description": say("On the waiting list.", "已进入候补。")},
        **refuses(*claiming.REFUSALS, errors.GuardianStays, errors.DropOffOnly),
    },
)
async def make(told: VisitIn, ctx: Ctx, who: Who) -> Response:
    grant, account_no = claiming.granted(who, told)
    line: Line[visits.Making, uuid.UUID] = ctx.lines["visits"]
    visit_id = await line.submit(visits.making(ctx.keys, grant, account_no, stays=told.stays, note=told.note))
    made = claiming.of_grant(
        grant, service="childcare", where=WHERE, resource_id=visit_id, made_by=who.person_id or who.account_id
    )
    more: dict[str, Any] = {"stays": told.stays, "note": told.note, "steps": []}
    return web.plain_json(made | more, 201, {"Location": made["href"]})


async def _handed_over(ctx: Context, done: uuid.UUID | errors.Refusal) -> Response:
    if isinstance(done, errors.Refusal):
        raise done
    return web.json(HandoverOut.model_validate(await ctx.db.read(doors.handed_over, ctx.keys, done)))


@router.post(
    "/{visit_id}/sign-in",
    operation_id="childcare.visits.sign_in",
    response_model=HandoverOut,
    summary=say("A child is brought (carers)", "儿童签到（照护人员）"),
    description=say(
        "From some minutes before the session to its end, with the visit's pass, and only as many as the carers in the room "
        "can watch over. The same `id` again answers the same. What happened offline (`decided`) is accepted, with what "
        "stands against it in `reasons`.",
        "场次开始前若干分钟至结束前，凭到访通行码签到，且不超过在岗照护人员可照看的人数。相同 `id` 得到相同答复。离线已发生的（`decided`）予以接受，问题列于 `reasons`。",
    ),
    responses=refuses(
        errors.PassInvalid,
        errors.KeyReused,
        errors.TooEarly,
        errors.OutsideSession,
        errors.RoomFull,
        errors.TooFewCarers,
        errors.AlreadyInside,
        errors.AlreadyRecorded,
        errors.Cancelled,
    ),
)
async def sign_in(visit_id: VisitId, told: SignInIn, ctx: Ctx, who: Who) -> Response:
    return await _handed_over(ctx, await ctx.db.run(doors.sign_in, ctx.keys, who, VISITS, visit_id, told))


@router.post(
    "/{visit_id}/sign-out",
    operation_id="childcare.visits.sign_out",
    response_model=HandoverOut,
    summary=say("A child goes home with somebody (carers)", "儿童接走（照护人员）"),
    description=say(
        "Only with a guardian, with somebody a guardian allows, or for a one-time code; never with somebody whom a guardian "
        "forbids, whoever that is. Who was refused is written down. The same `id` again answers the same.",
        "仅限监护人、监护人授权的人或持一次性接送码的人；监护人禁止的人一律不得接走。被拒绝者将被记录。相同 `id` 得到相同答复。",
    ),
    responses=refuses(
        errors.CollectorBarred,
        errors.CollectorUnknown,
        errors.CollectorUsed,
        errors.KeyReused,
        errors.NotInside,
    ),
)
async def sign_out(visit_id: VisitId, told: SignOutIn, ctx: Ctx, who: Who) -> Response:
    return await _handed_over(ctx, await ctx.db.run(doors.sign_out, ctx.keys, who, VISITS, visit_id, told))
