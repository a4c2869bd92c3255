"""The door of an event: who came."""

from __future__ import annotations

from fastapi import APIRouter, Response

from services.events.actions import attending
from services.events.schemas import AttendanceIn, AttendanceOut
from shared import errors, web
from shared.texts import say
from shared.web import EVERYWHERE, Who, Wide, refuses

router = APIRouter(prefix="/v1/events/attendance", tags=["registrations"], responses=EVERYWHERE)


@router.post(
    "",
    operation_id="events.attendance.create",
    response_model=AttendanceOut,
    summary=say("Somebody came, or did not (staff, volunteers)", "签到或记为缺席（工作人员、志愿者）"),
    description=say(
        "By registration, by the code they say or by the pass they show. The same `id` is answered the same. Told late with "
        "`decided`, what stands against it is in `reasons`. Who did not come is marked after the end.",
        "凭报名编号、数字码或凭证。相同 `id` 得到相同答复。离线已决定的可带 `decided` 补报，未接受的原因见 `reasons`。缺席须在结束后登记。",
    ),
    responses=refuses(
        errors.PassInvalid, errors.Conflict, errors.TooEarly, errors.AlreadyRecorded, errors.KeyReused, errors.InFlight
    ),
)
async def mark(told: AttendanceIn, ctx: Wide, who: Who) -> Response:
    return web.json(AttendanceOut(**await ctx.db.run(attending.mark, ctx.keys, who, told, told.said())))
