"""How long things are kept, for everybody to read; and legal holds."""

from __future__ import annotations

import uuid
from typing import Annotated, Any

from fastapi import APIRouter, Path, Request, Response

from services.identity import actions, sql
from services.identity.routes.given import matches
from services.identity.schemas.rights import HoldIn, HoldOut, RetentionIn, RetentionOut
from shared import errors, web
from shared.pages import Page
from shared.texts import say
from shared.web import Ctx, Who, refuses

router = APIRouter(tags=["privacy"])
Table = Annotated[str, Path(pattern=r"^[a-z_]{1,40}$", description=say("The table.", "数据表。"))]


def _kept(row: Any) -> RetentionOut:
    what = "rows" if row["shreds"] is None else "words"
    return RetentionOut.model_validate({**dict(row), "table": row["table_name"], "what": what})


@router.get(
    "/retention",
    operation_id="identity.retention.list",
    response_model=Page[RetentionOut],
    summary=say("How long things are kept, and why", "信息保存期限与依据"),
)
async def list_retention(ctx: Ctx) -> Response:
    items = [_kept(row) for row in await ctx.db.read(sql.retention.tables)]
    return web.json(Page[RetentionOut](items=items))


@router.get(
    "/retention/{table}",
    operation_id="identity.retention.read",
    response_model=RetentionOut,
    summary=say("How long one is kept", "查看单项保存期限"),
)
async def read_retention(table: Table, ctx: Ctx) -> Response:
    row = await ctx.db.read(actions.retention.table, table)
    return web.json(_kept(row), 200, {"ETag": web.etag(row["version"])})


@router.put(
    "/retention/{table}",
    operation_id="identity.retention.replace",
    response_model=RetentionOut,
    summary=say("Keep it for longer or shorter", "调整保存期限"),
    description=say(
        "For the security officer of the whole deployment, between `least` and `most`; auditors are told. It counts from the "
        "next purge on.",
        "限全域安全管理员，须在 `least` 与 `most` 之间，并通知审计员；自下一次清理起生效。",
    ),
    responses=refuses(errors.Changed, errors.ConditionMissing),
)
async def replace_retention(table: Table, told: RetentionIn, request: Request, ctx: Ctx, who: Who) -> Response:
    row = await ctx.db.run(
        actions.retention.set_days, who, table, days=told.days, reason=told.reason, matches=matches(request)
    )
    return web.json(_kept(row), 200, {"ETag": web.etag(row["version"])})


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
