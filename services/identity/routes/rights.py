"""People's rights over HTTP: for oneself, for those one acts for and at the desk in the same words, and the staff's queue."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query, Request, Response

from services.identity import actions
from services.identity.routes.given import DOCUMENT_MALFORMED
from services.identity.schemas.reveals import MaskedOut
from services.identity.schemas.rights import (
    ArchiveOut,
    CorrectionIn,
    DecisionIn,
    QueuedOut,
    RefusalIn,
    RequestOut,
)
from shared import clock, errors, masking, pages, web
from shared.pages import Cursor, Limit, Page
from shared.texts import choose, language, say
from shared.web import Ctx, Who, Wide, refuses

MALFORMED = (*DOCUMENT_MALFORMED, errors.PhoneMalformed)


def _where(person_id: uuid.UUID | None) -> str:
    return "/v1/identity/me" if person_id is None else f"/v1/identity/people/{person_id}"


def _facts(request: Request, row: Any, where: str) -> dict[str, Any]:
    lang = language(request.headers.get("accept-language"))
    archive = None
    if row["archive_until"] is not None:
        archive = ArchiveOut(href=f"{where}/requests/{row['id']}/archive", expires_at=row["archive_until"])
    answer = choose(row["answer"], lang) if row["answer"] is not None else None
    return {**dict(row), "answer": answer, "archive": archive}


def _out(request: Request, row: Any, person_id: uuid.UUID | None) -> RequestOut:
    return RequestOut.model_validate(_facts(request, row, _where(person_id)))


def _told(request: Request, row: Any, person_id: uuid.UUID | None, status: int = 200) -> Response:
    headers = {"Location": f"{_where(person_id)}/requests/{row['id']}"} if status == 202 else {}
    return web.private(_out(request, row, person_id), status, **headers)


async def _oneself() -> None:
    return None


async def _named(person_id: uuid.UUID) -> uuid.UUID:
    return person_id


def _of(word: str, prefix: str, whose: Any) -> APIRouter:
    """The routes about one person: the caller, or somebody named in the path."""
    router = APIRouter(prefix=prefix, tags=["privacy"])
    named = Depends(whose)

    @router.post(
        "/export",
        operation_id=f"identity.{word}.export",
        status_code=202,
        response_model=RequestOut,
        summary=say("Ask for a copy of all that is known", "申请个人信息副本"),
        description=say(
            "Made in a minute or so out of all services: JSON, CSV and a page to read, in one ZIP. It can be fetched for a week.",
            "通常一分钟内由各服务汇总：JSON、CSV 与可读网页，打包为 ZIP，七天内可下载。",
        ),
    )
    async def export(request: Request, ctx: Ctx, who: Who, person_id: uuid.UUID | None = named) -> Response:
        return _told(request, await ctx.db.run(actions.rights.ask_export, who, person_id), person_id, 202)

    @router.post(
        "/closure",
        operation_id=f"identity.{word}.closure",
        status_code=202,
        response_model=RequestOut,
        summary=say("Ask to be forgotten", "申请注销"),
        description=say(
            "After some days in which it can be taken back (DELETE the request), places are given back and name, documents, "
            "phone, logins and relations are gone. What must stay for the books says nothing of anybody.",
            "冷静期内可撤回（DELETE 该申请）；期满后释放名额，姓名、证件、电话、登录方式与代办关系全部清除，账目仅保留无法识别个人的记录。",
        ),
        responses=refuses(errors.LastGuardian),
    )
    async def closure(request: Request, ctx: Wide, who: Who, person_id: uuid.UUID | None = named) -> Response:
        row = await ctx.db.run(actions.rights.ask_closure, who, person_id, ctx.settings.closure_days)
        return _told(request, row, person_id, 202)

    @router.post(
        "/corrections",
        operation_id=f"identity.{word}.corrections",
        status_code=202,
        response_model=RequestOut,
        summary=say("Say that something is wrong", "申请更正"),
        responses=refuses(*MALFORMED, errors.Exists),
    )
    async def correction(
        told: CorrectionIn, request: Request, ctx: Ctx, who: Who, person_id: uuid.UUID | None = named
    ) -> Response:
        row = await ctx.db.run(
            actions.rights.ask_correction, ctx.keys, who, person_id, told.field, told.model_dump(mode="json")
        )
        return _told(request, row, person_id, 202)

    @router.get(
        "/requests",
        operation_id=f"identity.{word}.requests.list",
        response_model=Page[RequestOut],
        summary=say("What was asked, and what came of it", "申请列表"),
    )
    async def list_requests(
        request: Request,
        ctx: Ctx,
        who: Who,
        person_id: uuid.UUID | None = named,
        limit: Limit = 50,
        cursor: Cursor = None,
    ) -> Response:
        before = pages.after(cursor, uuid.UUID)
        found = await ctx.db.read(actions.rights.several, who, person_id, before, limit + 1)
        return web.private(pages.page(found, limit, lambda row: _out(request, row, person_id), lambda row: row["id"]))

    @router.get(
        "/requests/{request_id}",
        operation_id=f"identity.{word}.requests.read",
        response_model=RequestOut,
        summary=say("Read one request", "查看申请"),
    )
    async def read_request(
        request_id: uuid.UUID, request: Request, ctx: Ctx, who: Who, person_id: uuid.UUID | None = named
    ) -> Response:
        return _told(request, await ctx.db.run(actions.rights.read, who, person_id, request_id), person_id)

    @router.delete(
        "/requests/{request_id}",
        operation_id=f"identity.{word}.requests.delete",
        response_model=RequestOut,
        summary=say("Take it back", "撤回申请"),
        responses=refuses(errors.AlreadyRecorded),
    )
    async def withdraw(
        request_id: uuid.UUID, request: Request, ctx: Ctx, who: Who, person_id: uuid.UUID | None = named
    ) -> Response:
        return _told(request, await ctx.db.run(actions.rights.withdraw, who, person_id, request_id), person_id)

    @router.get(
        "/requests/{request_id}/archive",
        operation_id=f"identity.{word}.requests.archive",
        response_class=Response,
        responses={200: {"content": {"application/zip": {"schema": {"type": "string"}}}}, **refuses(errors.Gone)},
        summary=say("Fetch the copy", "下载副本"),
    )
    async def archive(request_id: uuid.UUID, ctx: Ctx, who: Who, person_id: uuid.UUID | None = named) -> Response:
        made = await ctx.db.run(actions.rights.fetch, ctx.keys, who, person_id, request_id)
        headers = {"Cache-Control": "no-store", "Content-Disposition": 'attachment; filename="linli.zip"'}
        return Response(made, 200, headers, "application/zip")

    return router


mine = _of("me", "/me", _oneself)
theirs = _of("people", "/people/{person_id}", _named)
router = APIRouter(tags=["privacy"])


def _queued(request: Request, row: Any, told: dict[str, Any] | None = None) -> QueuedOut:
    facts = _facts(request, row, _where(row["person_id"]))
    is_overdue = row["state"] == "asked" and row["due_at"] < clock.now()
    person = MaskedOut(id=row["person_id"], name=masking.name(row["person_name"]))
    shown = told or {}
    return QueuedOut.model_validate(
        {
            **facts,
            "person": person,
            "overdue": is_overdue,
            "value": shown.get("value"),
            "document_kind": shown.get("document_kind") if row["field"] == "document" else None,
            "note": shown.get("note"),
        }
    )


@router.get(
    "/requests",
    operation_id="identity.requests.list",
    response_model=Page[QueuedOut],
    summary=say("What residents ask about their data", "居民个人信息申请"),
    description=say(
        "For the staff of the region; what is due first is at the front.", "限本区域工作人员；临近期限者在前。"
    ),
)
async def list_queue(
    request: Request,
    ctx: Ctx,
    who: Who,
    kind: Annotated[
        Literal["export", "correction", "closure"] | None, Query(description=say("Only this kind.", "仅此类。"))
    ] = None,
    state: Annotated[
        Literal["asked", "done", "denied", "withdrawn"] | None,
        Query(description=say("Only this state.", "仅此状态。")),
    ] = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Response:
    after = pages.after(cursor, datetime, uuid.UUID)
    found = await ctx.db.read(actions.rights.queue, who, kind, state, after, limit + 1)
    return web.private(
        pages.page(found, limit, lambda row: _queued(request, row), lambda row: (row["due_at"], row["id"]))
    )


@router.get(
    "/requests/{request_id}",
    operation_id="identity.requests.read",
    response_model=QueuedOut,
    summary=say("Read one with what it says", "查看申请内容"),
)
async def look(request_id: uuid.UUID, request: Request, ctx: Ctx, who: Who) -> Response:
    return web.private(_queued(request, *await ctx.db.run(actions.rights.look, ctx.keys, who, request_id)))


DECISIONS = refuses(errors.NotByYourself, errors.OwnMatter, errors.AlreadyRecorded, errors.DocumentTaken, *MALFORMED)


@router.post(
    "/requests/{request_id}/approve",
    operation_id="identity.requests.approve",
    response_model=QueuedOut,
    summary=say("Do what a correction says", "同意更正"),
    responses=DECISIONS,
)
async def approve(
    request_id: uuid.UUID, request: Request, ctx: Ctx, who: Who, told: DecisionIn | None = None
) -> Response:
    reason = told.reason if told is not None else None
    row = await ctx.db.run(actions.rights.decide, ctx.keys, who, request_id, is_right=True, reason=reason)
    return web.private(_queued(request, row))


@router.post(
    "/requests/{request_id}/deny",
    operation_id="identity.requests.deny",
    response_model=QueuedOut,
    summary=say("Say why not", "不予更正"),
    responses=DECISIONS,
)
async def deny(request_id: uuid.UUID, told: RefusalIn, request: Request, ctx: Ctx, who: Who) -> Response:
    row = await ctx.db.run(actions.rights.decide, ctx.keys, who, request_id, is_right=False, reason=told.reason)
    return web.private(_queued(request, row))
