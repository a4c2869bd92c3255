"""Where people live, work and stay, over HTTP: one's own, and those of others."""

from __future__ import annotations

import uuid

from fastapi import APIRouter, Response

from services.identity import actions
from services.identity.schemas.people import TieIn, TieOut
from shared import errors, pages, web
from shared.pages import Cursor, Limit, Page
from shared.texts import say
from shared.web import Context, Ctx, Who, Wide, refuses

router = APIRouter(tags=["identity"])
REFUSALS = (errors.Exists, errors.LimitReached, errors.RegionEnded)


async def _listed(ctx: Context, who: Who, person_id: uuid.UUID | None, limit: int, cursor: str | None) -> Response:
    after = pages.after(cursor, uuid.UUID)
    found = await ctx.db.read(actions.places.ties, who, person_id, after=after, limit=limit + 1)
    return web.private(pages.page(found, limit, TieOut.model_validate, lambda one: one.id))


async def _added(ctx: Context, who: Who, person_id: uuid.UUID | None, told: TieIn) -> Response:
    made = await ctx.db.run(
        actions.places.add,
        who,
        person_id,
        kind=told.kind,
        community=told.community,
        is_home=told.home,
        starts_on=told.starts_on,
    )
    return web.private(TieOut.model_validate(made), 201)


@router.get(
    "/me/places",
    operation_id="identity.me.places.list",
    response_model=Page[TieOut],
    summary=say("Where I live, work and stay", "我的居住地及关联地区"),
)
async def list_mine(ctx: Ctx, who: Who, limit: Limit = 50, cursor: Cursor = None) -> Response:
    return await _listed(ctx, who, None, limit, cursor)


@router.post(
    "/me/places",
    operation_id="identity.me.places.create",
    status_code=201,
    response_model=TieOut,
    summary=say("Say where I live, work or stay", "登记我的居住地或关联地区"),
    description=say(
        "A primary home (`home`) ends the one before, and decides what is for residents of one's region. It can be moved "
        "once in thirty days; staff may move it sooner.",
        "常住地（`home`）会取代原常住地，并决定可预约的属地范围。三十天内只能自行变更一次，工作人员可提前办理。",
    ),
    responses=refuses(*REFUSALS),
)
async def add_mine(told: TieIn, ctx: Ctx, who: Who) -> Response:
    return await _added(ctx, who, None, told)


@router.get(
    "/me/places/{tie_id}",
    operation_id="identity.me.places.read",
    response_model=TieOut,
    summary=say("Read one of these", "查看关联地区"),
)
async def read_mine(tie_id: uuid.UUID, ctx: Ctx, who: Who) -> Response:
    return web.private(TieOut.model_validate(await ctx.db.read(actions.places.tie, who, None, tie_id)))


@router.delete(
    "/me/places/{tie_id}",
    operation_id="identity.me.places.delete",
    status_code=204,
    summary=say("That is over", "结束关联地区"),
    description=say("It stays in the list with its days.", "记录及起止日期予以保留。"),
    responses=refuses(errors.Conflict),
)
async def remove_mine(tie_id: uuid.UUID, ctx: Ctx, who: Who) -> Response:
    await ctx.db.run(actions.places.remove, who, None, tie_id)
    return Response(status_code=204)


@router.get(
    "/people/{person_id}/places",
    operation_id="identity.people.places.list",
    response_model=Page[TieOut],
    summary=say("Where somebody lives, works and stays", "人员的居住地及关联地区"),
    description=say("For guardians, proxies, and staff of these regions.", "限监护人、受委托人及相关区域的工作人员。"),
)
async def list_theirs(person_id: uuid.UUID, ctx: Ctx, who: Who, limit: Limit = 50, cursor: Cursor = None) -> Response:
    return await _listed(ctx, who, person_id, limit, cursor)


@router.post(
    "/people/{person_id}/places",
    operation_id="identity.people.places.create",
    status_code=201,
    response_model=TieOut,
    summary=say("Write down where somebody lives, works or stays", "登记人员的居住地或关联地区"),
    description=say(
        "For guardians, and staff of the person's regions; a primary home is moved by the staff of the one before.",
        "限监护人及相关区域的工作人员；变更常住地由原常住地的工作人员办理。",
    ),
    responses=refuses(*REFUSALS),
)
async def add_theirs(person_id: uuid.UUID, told: TieIn, ctx: Wide, who: Who) -> Response:
    return await _added(ctx, who, person_id, told)


@router.get(
    "/people/{person_id}/places/{tie_id}",
    operation_id="identity.people.places.read",
    response_model=TieOut,
    summary=say("Read one of these", "查看关联地区"),
)
async def read_theirs(person_id: uuid.UUID, tie_id: uuid.UUID, ctx: Ctx, who: Who) -> Response:
    return web.private(TieOut.model_validate(await ctx.db.read(actions.places.tie, who, person_id, tie_id)))


@router.delete(
    "/people/{person_id}/places/{tie_id}",
    operation_id="identity.people.places.delete",
    status_code=204,
    summary=say("That is over", "结束关联地区"),
    description=say("It stays in the list with its days.", "记录及起止日期予以保留。"),
    responses=refuses(errors.Conflict),
)
async def remove_theirs(person_id: uuid.UUID, tie_id: uuid.UUID, ctx: Ctx, who: Who) -> Response:
    await ctx.db.run(actions.places.remove, who, person_id, tie_id)
    return Response(status_code=204)
