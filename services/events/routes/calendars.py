"""Calendars: an address for other programs, and what they read there."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Response

from services.events import calendars as written
from services.events.actions import calendars
from services.events.schemas import CalendarOut
from shared import web
from shared.texts import say
from shared.web import EVERYWHERE, Ctx, Who, Wide

router = APIRouter(
    prefix="/v1/events/calendar",
    tags=["registrations"],
    responses=EVERYWHERE,
    dependencies=[Depends(web.caller)],
)
Secret = Annotated[
    str, Path(pattern=r"^[A-Za-z0-9_-]{20,100}$", description=say("The secret of the address.", "地址中的密钥。"))
]


@router.post(
    "",
    operation_id="events.calendar.create",
    status_code=201,
    response_model=CalendarOut,
    summary=say("An address for one's calendar program", "获取日历订阅地址"),
    description=say(
        "Whoever has it reads when and where one is registered, and those one acts for: keep it to yourself. Asking again "
        "makes a new one, and the one before opens nothing any more.",
        "持有者可读取本人及所代办人员的活动时间与地点，请勿泄露。再次请求生成新地址，旧地址即失效。",
    ),
)
async def create(ctx: Ctx, who: Who) -> Response:
    secret = await ctx.db.run(calendars.renew, who)
    url = f"{ctx.settings.public_url.rstrip('/')}/v1/events/calendar/{secret}.ics"
    return web.json(CalendarOut(url=url), 201, {"Cache-Control": "no-store"})


@router.delete(
    "",
    operation_id="events.calendar.delete",
    status_code=204,
    summary=say("Withdraw the address", "停用日历订阅地址"),
)
async def withdraw(ctx: Ctx, who: Who) -> Response:
    await ctx.db.run(calendars.withdraw, who)
    return Response(status_code=204)


@router.get(
    "/{secret}.ics",
    operation_id="events.calendar.read",
    summary=say("A calendar (iCalendar), by its secret address", "日历（iCalendar），凭密钥地址"),
    response_class=Response,
    responses={
        200: {
            "description": say("Sessions, cancelled ones too.", "场次，包括已取消的。"),
            "content": {"text/calendar": {"schema": {"type": "string"}}},
        }
    },
)
async def read(secret: Secret, ctx: Wide) -> Response:
    return Response(
        await ctx.db.run(calendars.read, secret), headers={"Cache-Control": "private"}, media_type=written.MEDIA_TYPE
    )
