"""What residents were told: the notices that are about them, and about those they act for."""

from __future__ import annotations

import asyncio
import time
from typing import Annotated

from fastapi import APIRouter, Query, Response

from services.gateway.routes.given import Gate, Who
from services.gateway.schemas import ToldOut, ToldPage
from services.gateway.told import Asking
from shared import errors, web
from shared.pages import Limit
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
        "Notices about the caller and those they act for, in the order of their positions. Send `next` as `after` to go on; "
        "with `wait` the answer comes as soon as there is something new, or empty when the time is over.",
        "本人及所代办人员的通知，按顺序返回。将 `next` 作为 `after` 继续读取；带 `wait` 时有新通知即返回，超时返回空列表。",
    ),
)
async def list_told(
    gate: Gate,
    who: Who,
    after: Annotated[int, Query(ge=0, le=1 << 62, description=say("A position.", "起始位置。"))] = 0,
    wait: Annotated[int, Query(ge=0, le=30, description=say("Seconds to wait.", "等待秒数。"))] = 0,
    limit: Limit = 50,
) -> Response:
    if who.account_no is None:
        raise errors.NotKnown
    until = time.monotonic() + wait
    while True:
        found = await gate.told.submit(Asking(who, after, limit))
        after = found.next
        if found.notices or (not found.is_more and time.monotonic() >= until):
            items = [ToldOut.model_validate(one) for one in found.notices]
            return web.json(ToldPage(items=items, next=after))
        if not found.is_more:
            await asyncio.sleep(min(_LOOKS_EVERY, max(0.0, until - time.monotonic())))
            who = await gate.credentials.with_facts(who)  # whom one acts for may have changed meanwhile
