"""What is known of elders, and when they are away."""

from __future__ import annotations

import uuid
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request, Response

from services.elder_meals.actions import SERVICE
from services.elder_meals.actions import elders as actions
from services.elder_meals.schemas.elders import AbsenceIn, AbsenceOut, ElderIn, ElderOut
from shared import errors, pages, web
from shared.pages import Cursor, Limit, Page
from shared.texts import say
from shared.web import EVERYWHERE, Context, Ctx, Who, Wide, refuses

router = APIRouter(prefix=f"/v1/{SERVICE}", tags=["elders"], responses=EVERYWHERE)

PersonId = Annotated[uuid.UUID, Path(description=say("The elder.", "长者编号。"))]
AbsenceId = Annotated[uuid.UUID, Path(description=say("The absence.", "外出报备编号。"))]
Person = Annotated[uuid.UUID | None, Query(description=say("Only this person.", "仅此人。"))]


def _matches(request: Request) -> actions.Matches:
    """Who says which version they read is held to it."""

    def matches(version: object) -> None:
        if request.headers.get("if-match") is not None:
            web.require_match(request, web.etag(version))

    return matches


async def _shown(ctx: Context, who: Who, person_id: uuid.UUID) -> Response:
    version, said = await ctx.db.run(actions.read_profile, ctx.keys, who, person_id)
    told = ElderOut.model_validate({**said, "person_id": person_id, "version": version})
    return web.private(told, ETag=web.etag(version))


@router.get(
    "/elders/{person_id}",
    operation_id="elder-meals.elders.read",
    response_model=ElderOut,
    summary=say("What is known of an elder", "长者档案"),
    description=say("For the elder, those who act for them here, and staff.", "长者本人、代办人及工作人员可见。"),
)
async def read_elder(person_id: PersonId, ctx: Ctx, who: Who) -> Response:
    return await _shown(ctx, who, person_id)


@router.put(
    "/elders/{person_id}",
    operation_id="elder-meals.elders.replace",
    response_model=ElderOut,
    summary=say("Say what a kitchen and a courier must know of an elder", "更新长者档案"),
    description=say(
        "What is left out is forgotten. Diet, allergies and texture need the elder's consent to `health`. If-Match is asked "
        "only of those who send it.",
        "未填写的内容将被清除。饮食、过敏与质地信息须长者同意 `health`。If-Match 可选。",
    ),
    responses=refuses(errors.ConsentRequired, errors.Changed),
)
async def replace_elder(person_id: PersonId, told: ElderIn, request: Request, ctx: Ctx, who: Who) -> Response:
    said = told.model_dump(mode="json")
    await ctx.db.run(actions.replace_profile, ctx.keys, who, person_id, said, _matches(request))
    return await _shown(ctx, who, person_id)


def _absence(row: Any, orders: list[uuid.UUID] | None = None) -> AbsenceOut:
    return AbsenceOut.model_construct(**{**dict(row), "orders": orders or []})


def _told(out: AbsenceOut, status: int = 200, **headers: str) -> Response:
    return Response(out.model_dump_json(by_alias=True), status, headers, "application/json")


@router.post(
    "/absences",
    status_code=201,
    operation_id="elder-meals.absences.create",
    response_model=AbsenceOut,
    summary=say("Say that an elder is away", "外出报备"),
    description=say(
        "Standing orders pause, and a closed door alarms nobody. Meals that are ordered stay and are named in the answer; "
        "one that is ordered later is expected, and its closed door alarms as usual.",
        "期间长期订餐暂停，无人应门不会触发探视。已订的餐保留，并在答复中列出；此后新订的餐视为本人在家，无人应门照常触发探视。",
    ),
)
async def create_absence(told: AbsenceIn, ctx: Wide, who: Who) -> Response:
    absence_id, _ = await ctx.db.run(actions.create_absence, who, told.person_id, told.first, told.last)
    row, orders = await ctx.db.read(actions.read_absence, who, absence_id)
    return _told(_absence(row, orders), 201, Location=f"/v1/{SERVICE}/absences/{absence_id}")


@router.get(
    "/absences",
    operation_id="elder-meals.absences.list",
    response_model=Page[AbsenceOut],
    summary=say("Absences, the newest first", "外出报备列表"),
)
async def list_absences(
    ctx: Ctx, who: Who, person: Person = None, limit: Limit = 50, cursor: Cursor = None
) -> Response:
    after = pages.after(cursor, uuid.UUID)
    found = await ctx.db.read(actions.absences, who, person, after, limit + 1)
    last = found[limit - 1] if len(found) > limit else None
    page = Page[AbsenceOut].model_construct(
        items=[_absence(row) for row in found[:limit]], next=pages.cursor(last["id"]) if last else None
    )
    return Response(page.model_dump_json(by_alias=True), media_type="application/json")


@router.get(
    "/absences/{absence_id}",
    operation_id="elder-meals.absences.read",
    response_model=AbsenceOut,
    summary=say("Read one absence", "查看外出报备"),
)
async def read_absence(absence_id: AbsenceId, ctx: Ctx, who: Who) -> Response:
    row, orders = await ctx.db.read(actions.read_absence, who, absence_id)
    return _told(_absence(row, orders))


@router.delete(
    "/absences/{absence_id}",
    operation_id="elder-meals.absences.delete",
    response_model=AbsenceOut,
    summary=say("The elder is there after all", "撤回外出报备"),
)
async def withdraw_absence(absence_id: AbsenceId, ctx: Wide, who: Who) -> Response:
    row, orders = await ctx.db.run(actions.withdraw_absence, who, absence_id)
    return _told(_absence(row, orders))
