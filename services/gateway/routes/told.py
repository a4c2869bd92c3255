"""What one was told: notices about oneself and those one acts for; or, where one works, about the place."""

from __future__ import annotations

import time
import uuid
from typing import Annotated

from fastapi import APIRouter, Query, Response

from services.gateway import told
from services.gateway.routes.given import Gate, Who
from services.gateway.schemas import ToldOut, ToldPage
from shared import clock, errors, web
from shared.pages import LAST, Limit
from shared.texts import say
from shared.web import EVERYWHERE

_LOOKS_EVERY = 1.0
"""Seconds between two looks for somebody who waits; the relay stamps once a second."""

router = APIRouter(prefix="/v1", responses=EVERYWHERE)


@router.get(
    "/notices",
    operation_id="notices.list",
    response_model=ToldPage,
    tags=["notices"],
    summary=say("What I was told", "我的通知"),
    description=say(
        "Notices about the caller and those they act for, or about a `place`, in the order of their positions. Send `next` "
        "as `after` to go on; with `wait` the answer comes as soon as there is something new, or empty when the time is over.",
        "本人及所代办人员的通知，按顺序返回。将 `next` 作为 `after` 继续读取；带 `wait` 时有新通知即返回，超时返回空列表。",
    ),
)
async def list_told(
    gate: Gate,
    who: Who,
    after: Annotated[int, Query(ge=0, le=LAST, description=say("A position.", "起始位置。"))] = 0,
    wait: Annotated[int, Query(ge=0, le=30, description=say("Seconds to wait.", "等待秒数。"))] = 0,
    place: Annotated[
        uuid.UUID | None,
        Query(
            description=say(
                "What happens at this place, for those who work there: of all services for its staff, of their own for "
                "carers, kitchens, couriers and volunteers. `persons` is empty.",
                "该场所的通知，仅限在此工作的人员：管理人员可见全部服务，照护、厨房、送餐人员及志愿者仅见本服务。`persons` 为空。",
            )
        ),
    ] = None,
    limit: Limit = 50,
) -> Response:
    who.known()
    at = await gate.db.read(told.desk, who, place) if place is not None else None
    until = time.monotonic() + wait
    while True:
        found = await gate.told.submit(told.Asking(who, after, limit, at))
        if found.is_ahead:
            raise errors.Unprocessable.at("/after", "ahead", where="query")
        after = found.next
        is_over = gate.stopping.is_set() or time.monotonic() >= until
        if found.notices or (not found.is_more and is_over):
            items = [ToldOut.model_validate(one) for one in found.notices]
            return web.json(ToldPage(items=items, next=after))
        if not found.is_more:
            await clock.pause(min(_LOOKS_EVERY, until - time.monotonic()), gate.stopping)
            who = await gate.credentials.with_facts(who)  # whom one acts for, and where one works, may have changed
            at = await gate.db.read(told.desk, who, place) if place is not None else None
