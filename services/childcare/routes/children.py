"""Children: what carers need to know, who may collect them, and who looked."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Path, Request, Response

from services.childcare.actions import Facts, children, collecting
from services.childcare.schemas.children import ChildIn, ChildOut, CollectorIn, CollectorOut, ReadOut, TripOut
from shared import errors, pages, web
from shared.assertion import Caller
from shared.pages import Cursor, Limit, Page
from shared.texts import say
from shared.web import EVERYWHERE, Context, Ctx, Who, refuses

ChildId = Annotated[uuid.UUID, Path(description=say("The child.", "儿童编号。"))]
CollectorId = Annotated[uuid.UUID, Path(description=say("The line.", "条目编号。"))]

router = APIRouter(prefix="/v1/childcare/children", tags=["children"], responses=EVERYWHERE)


def _version(request: Request) -> int | None:
    """The version the caller has read, where they say so; a version nobody ever had for what is not ours."""
    told = request.headers.get("if-match", "*").strip()
    if told == "*":
        return None
    bare = told.strip('"')
    return int(bare) if bare.isdecimal() and len(bare) < 10 else -1


async def _child(ctx: Context, who: Caller, person_id: uuid.UUID) -> Response:
    found = ChildOut.model_validate(await ctx.db.run(children.read, ctx.keys, who, person_id))
    return web.private(found, ETag=web.etag(found.version))


def _collector(found: Facts) -> Response:
    return web.json(CollectorOut.model_validate(found))


@router.get(
    "/{person_id}",
    operation_id="childcare.children.read",
    response_model=ChildOut,
    summary=say("What carers need to know about a child", "儿童照护须知"),
    description=say(
        "For guardians; for carers of a room only from an hour before a visit there to an hour after, or while the child is "
        "inside. Each time a carer reads it, that is written down.",
        "监护人可随时查看；照护人员仅限到访前一小时至结束后一小时或儿童在室期间查看，每次查看均有记录。",
    ),
)
async def read(person_id: ChildId, ctx: Ctx, who: Who) -> Response:
    return await _child(ctx, who, person_id)


@router.put(
    "/{person_id}",
    operation_id="childcare.children.replace",
    response_model=ChildOut,
    summary=say("Say what carers need to know (guardians)", "填写照护须知（监护人）"),
    description=say(
        "Replaces what was said. Allergies and notes need the consent `health`; contacts do not. With If-Match only over the "
        "version that was read.",
        "整体替换。过敏与备注须先取得 `health` 同意，联系人不需要。带 If-Match 时仅替换所读版本。",
    ),
    responses=refuses(errors.ConsentRequired, errors.Changed),
)
async def replace(person_id: ChildId, told: ChildIn, request: Request, ctx: Ctx, who: Who) -> Response:
    await ctx.db.run(children.write, ctx.keys, who, person_id, told, _version(request))
    return await _child(ctx, who, person_id)


@router.get(
    "/{person_id}/reads",
    operation_id="childcare.children.reads",
    response_model=Page[ReadOut],
    summary=say("Which carers have read it (guardians)", "查阅记录（监护人）"),
)
async def list_reads(person_id: ChildId, ctx: Ctx, who: Who, limit: Limit = 50, cursor: Cursor = None) -> Response:
    after = pages.after(cursor, datetime, uuid.UUID)
    found = await ctx.db.read(children.reads, who, person_id, after, limit + 1)
    return web.json(pages.page(found, limit, ReadOut.model_validate, lambda one: (one["at"], one["id"])))


@router.get(
    "/{person_id}/handovers",
    operation_id="childcare.children.handovers",
    response_model=Page[TripOut],
    summary=say("Who brought and collected a child (guardians)", "接送记录（监护人）"),
)
async def list_trips(person_id: ChildId, ctx: Ctx, who: Who, limit: Limit = 50, cursor: Cursor = None) -> Response:
    after = pages.after(cursor, datetime, uuid.UUID)
    found = await ctx.db.read(children.trips, ctx.keys, who, person_id, after, limit + 1)
    return web.json(pages.page(found, limit, TripOut.model_validate, lambda one: (one["at"], one["id"])))


@router.get(
    "/{person_id}/collectors",
    operation_id="childcare.collectors.list",
    response_model=Page[CollectorOut],
    summary=say("Who may collect a child", "接领名单"),
    description=say(
        "A guardian sees what they wrote themselves; carers see all of it around a visit, and that is written down.",
        "监护人仅可见本人填写的条目；照护人员在到访前后可见全部，且每次查看均有记录。",
    ),
)
async def list_collectors(person_id: ChildId, ctx: Ctx, who: Who) -> Response:
    found = await ctx.db.run(collecting.listed, ctx.keys, who, person_id)
    return web.private(Page[CollectorOut].model_validate({"items": found}))


@router.post(
    "/{person_id}/collectors",
    status_code=201,
    operation_id="childcare.collectors.create",
    response_model=CollectorOut,
    summary=say("Allow or forbid somebody to collect a child (guardians)", "授权或禁止接领（监护人）"),
    description=say(
        "`once` gives a code of eight digits, shown only in this answer, good once before `until`. `never` beats everything "
        "else, also for a guardian. Other guardians neither see nor remove it.",
        "`once` 返回八位接送码，仅在此答复中显示，在 `until` 之前使用一次有效。`never` 优先于一切授权，对监护人同样有效。其他监护人不可见、不可删除。",
    ),
    responses=refuses(errors.LimitReached),
)
async def add_collector(person_id: ChildId, told: CollectorIn, ctx: Ctx, who: Who) -> Response:
    made = CollectorOut.model_validate(await ctx.db.run(collecting.add, ctx.keys, who, person_id, told))
    return web.private(made, 201, Location=f"/v1/childcare/children/{person_id}/collectors/{made.id}")


@router.get(
    "/{person_id}/collectors/{collector_id}",
    operation_id="childcare.collectors.read",
    response_model=CollectorOut,
    summary=say("Read one of one's own lines (guardians)", "查看本人填写的条目（监护人）"),
)
async def read_collector(person_id: ChildId, collector_id: CollectorId, ctx: Ctx, who: Who) -> Response:
    return _collector(await ctx.db.read(collecting.one, ctx.keys, who, person_id, collector_id))


@router.delete(
    "/{person_id}/collectors/{collector_id}",
    operation_id="childcare.collectors.delete",
    response_model=CollectorOut,
    summary=say("Take one of one's own lines back (guardians)", "撤销本人填写的条目（监护人）"),
)
async def remove_collector(person_id: ChildId, collector_id: CollectorId, ctx: Ctx, who: Who) -> Response:
    return _collector(await ctx.db.run(collecting.remove, ctx.keys, who, person_id, collector_id))
