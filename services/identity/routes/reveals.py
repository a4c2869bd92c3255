"""Reveals over HTTP: asked with a reason, allowed by somebody else where they must be, seen for some minutes."""

from __future__ import annotations

import uuid
from typing import Annotated, Literal

from fastapi import APIRouter, Query, Response

from services.identity import actions
from services.identity.actions.reveals import Shown
from services.identity.schemas.reveals import DenyIn, MaskedOut, RevealedOut, RevealIn, RevealOut
from shared import errors, masking, pages, web
from shared.pages import Cursor, Limit, Page
from shared.texts import say
from shared.web import Ctx, Who, refuses

router = APIRouter(tags=["privacy"])


def _masked(person_id: uuid.UUID | None, name: str | None) -> MaskedOut | None:
    return MaskedOut(id=person_id, name=masking.name(name or "")) if person_id is not None else None


def _out(shown: Shown) -> RevealOut:
    row = shown.row
    return RevealOut.model_validate(
        {
            **dict(row),
            "state": shown.state,
            "person": _masked(row["person_id"], row["person_name"]),
            "asked_by": _masked(row["by_person_id"], row["by_name"]),
            "decided_by": _masked(row["decided_person_id"], row["decided_name"]),
            "values": RevealedOut.model_validate(shown.values) if shown.values is not None else None,
        }
    )


def _told(shown: Shown, status: int = 200) -> Response:
    return web.private(_out(shown), status, Location=f"/v1/identity/reveals/{shown.row['id']}")


@router.post(
    "/people/{person_id}/reveal",
    operation_id="identity.people.reveal",
    response_model=RevealOut,
    responses={202: {"model": RevealOut}},
    summary=say("See what is sealed of a person", "查看被保护的个人信息"),
    description=say(
        "200 with the values for a grown-up; 202 for a minor, and for whoever sees too many people in a day, until a manager "
        "other than the asker allows it. Visible for 15 minutes. The person is told.",
        "成年人返回 200 与内容；未成年人或当日查看过多时返回 202，须由申请人以外的负责人批准。15 分钟内可见，并通知本人。",
    ),
)
async def ask(person_id: uuid.UUID, told: RevealIn, ctx: Ctx, who: Who) -> Response:
    most = ctx.settings.reveals_a_day
    shown = await ctx.db.run(
        actions.reveals.ask, ctx.keys, who, person_id, fields=told.fields, reason=told.reason, most=most
    )
    return _told(shown, 202 if shown.state == "asked" else 200)


@router.get(
    "/reveals",
    operation_id="identity.reveals.list",
    response_model=Page[RevealOut],
    summary=say("What I asked to see, and what I am to decide", "我的查看申请与待审批申请"),
)
async def list_reveals(
    ctx: Ctx,
    who: Who,
    state: Annotated[
        Literal["asked", "allowed", "denied"] | None, Query(description=say("Only this state.", "仅此状态。"))
    ] = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Response:
    before = pages.after(cursor, uuid.UUID)
    found = await ctx.db.read(actions.reveals.several, who, state, before, limit + 1)
    return web.private(pages.page(found, limit, _out, lambda one: one.row["id"]))


@router.get(
    "/reveals/{reveal_id}",
    operation_id="identity.reveals.read",
    response_model=RevealOut,
    summary=say("See what was allowed", "查看已获准的内容"),
)
async def read_reveal(reveal_id: uuid.UUID, ctx: Ctx, who: Who) -> Response:
    return _told(await ctx.db.run(actions.reveals.read, ctx.keys, who, reveal_id))


@router.post(
    "/reveals/{reveal_id}/approve",
    operation_id="identity.reveals.approve",
    response_model=RevealOut,
    summary=say("Allow somebody else to see it", "批准查看"),
    responses=refuses(errors.NotByYourself, errors.AlreadyRecorded),
)
async def approve(reveal_id: uuid.UUID, ctx: Ctx, who: Who) -> Response:
    return _told(await ctx.db.run(actions.reveals.decide, who, reveal_id, is_allowed=True))


@router.post(
    "/reveals/{reveal_id}/deny",
    operation_id="identity.reveals.deny",
    response_model=RevealOut,
    summary=say("Do not allow it", "不予批准"),
    responses=refuses(errors.NotByYourself, errors.AlreadyRecorded),
)
async def deny(reveal_id: uuid.UUID, told: DenyIn, ctx: Ctx, who: Who) -> Response:
    return _told(await ctx.db.run(actions.reveals.decide, who, reveal_id, is_allowed=False, reason=told.reason))
