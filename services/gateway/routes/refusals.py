"""Why somebody was refused."""

from __future__ import annotations

import uuid
from dataclasses import asdict
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from services.gateway import refusals
from services.gateway.refusals import Asking, Told
from services.gateway.routes.given import Gate, Who
from services.gateway.schemas import RefusalOut
from shared import errors, pages, web
from shared.pages import Cursor, Limit, Page
from shared.texts import language, say
from shared.web import EVERYWHERE

router = APIRouter(prefix="/v1", responses=EVERYWHERE)

Person = Annotated[uuid.UUID | None, Query(description=say("About this person.", "仅此人。"))]
Slot = Annotated[uuid.UUID | None, Query(description=say("About this slot.", "仅此场次。"))]
RequestId = Annotated[
    str | None,
    Query(pattern=r"^[A-Za-z0-9._-]{1,64}$", description=say("The request's id.", "请求编号。")),
]


def _title(code: str, lang: str) -> str:
    try:
        return errors.by_code(code).title(lang)
    except LookupError:  # a service of another version said it
        return errors.Conflict.title(lang)


def _shown(one: Told, lang: str) -> RefusalOut:
    return RefusalOut.model_validate({**asdict(one), "title": _title(one.code, lang)})


@router.get(
    "/refusals",
    operation_id="refusals.list",
    response_model=Page[RefusalOut],
    tags=["claims"],
    summary=say("Why a claim was refused", "预约被拒绝的原因"),
    description=say(
        "Refused claims of the last thirty days, the newest first: one's own and those of whom one acts for. Staff name a "
        "person, a slot or a request, and see those of their region. The same reason within a second is one item.",
        "最近三十天被拒绝的预约，由新到旧：本人及所代办人员的记录；工作人员按人员、场次或请求编号查询本区域的记录。"
        "一秒内相同原因合并为一条。",
    ),
)
async def list_refusals(
    request: Request,
    gate: Gate,
    who: Who,
    person: Person = None,
    slot: Slot = None,
    request_id: RequestId = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Response:
    who.known()
    after = pages.after(cursor, int)
    asking = Asking(who, person, slot, request_id, after, limit + 1)
    found = await gate.db.read(refusals.read, asking)
    lang = language(request.headers.get("accept-language"))
    return web.private(pages.page(found, limit, lambda one: _shown(one, lang), lambda one: one.no))
