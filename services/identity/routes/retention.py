"""How long things are kept, for everybody to read; and legal holds."""

from __future__ import annotations

import uuid

from fastapi import APIRouter, Response

from services.identity import actions, sql
from services.identity.schemas.rights import HoldIn, HoldOut, RetentionOut
from shared import web
from shared.pages import Page
from shared.texts import say
from shared.web import Ctx, Who

router = APIRouter(tags=["privacy"])


@router.get(
    "/retention",
    operation_id="identity.retention.list",
    response_model=Page[RetentionOut],
    summary=say("How long things are kept, and why", "信息保存期限与依据"),
)
async def list_retention(ctx: Ctx) -> Response:
    items = [
        RetentionOut(table=row["table_name"], days=row["days"], basis=row["basis"])
        for row in await ctx.db.read(sql.retention.tables)
    ]
    return web.json(Page[RetentionOut](items=items))


@router.get(
    "/people/{person_id}/legal-hold",
    operation_id="identity.people.legal_hold.read",
    response_model=HoldOut,
    summary=say("Whether a person's data must be kept for now", "查看法定留存"),
)
async def read_hold(person_id: uuid.UUID, ctx: Ctx, who: Who) -> Response:
    row = await ctx.db.read(actions.retention.read_hold, who, person_id)
    return web.private(HoldOut.model_validate(dict(row)))


@router.put(
    "/people/{person_id}/legal-hold",
    operation_id="identity.people.legal_hold.replace",
    response_model=HoldOut,
    summary=say("Keep a person's data for now", "设置法定留存"),
    description=say(
        "While it stands nothing of the person is purged, and a closure waits. For managers of the region.",
        "留存期间不清除其信息，注销顺延。限本区域负责人。",
    ),
)
async def put_hold(person_id: uuid.UUID, told: HoldIn, ctx: Ctx, who: Who) -> Response:
    row = await ctx.db.run(actions.retention.put_hold, who, person_id, told.reason)
    return web.private(HoldOut.model_validate(dict(row)))


@router.delete(
    "/people/{person_id}/legal-hold",
    operation_id="identity.people.legal_hold.delete",
    status_code=204,
    summary=say("Let it go", "解除法定留存"),
)
async def end_hold(person_id: uuid.UUID, ctx: Ctx, who: Who) -> Response:
    await ctx.db.run(actions.retention.end_hold, who, person_id)
    return Response(status_code=204)
