"""Rooms as carers see them through the day: who is inside, carers, the close, incidents."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Path, Query, Response

from services.childcare.actions import incidents as actions
from services.childcare.actions import rooms
from services.childcare.schemas import CarerIn, CarerOut, CountIn, CountOut, IncidentIn, IncidentOut, NowOut
from shared import errors, pages, web
from shared.pages import Cursor, Limit, Page
from shared.texts import say
from shared.web import EVERYWHERE, Ctx, Who, Wide, refuses

RoomId = Annotated[uuid.UUID, Path(description=say("The room.", "儿童之家编号。"))]
IncidentId = Annotated[uuid.UUID, Path(description=say("The incident.", "事件编号。"))]

router = APIRouter(prefix="/v1/childcare/rooms", tags=["childcare rooms"], responses=EVERYWHERE)
incidents = APIRouter(prefix="/v1/childcare/incidents", tags=["incidents"], responses=EVERYWHERE)


@router.get(
    "/{place_id}/now",
    operation_id="childcare.rooms.now",
    response_model=NowOut,
    summary=say("Who is in a room now", "儿童之家当前人数"),
    description=say("Names only for its carers.", "仅照护人员可见姓名。"),
)
async def now(place_id: RoomId, ctx: Wide, who: Who) -> Response:
    return web.json(NowOut.model_validate(await ctx.db.read(rooms.now, who, place_id)))


@router.post(
    "/{place_id}/carers",
    operation_id="childcare.rooms.carers",
    response_model=CarerOut,
    summary=say("A carer comes or goes", "照护人员到岗或离岗"),
    description=say(
        "Only whoever has the role of a carer here, as long as it lasts. The last one stays while children are inside.",
        "仅限本处在岗且资质有效的照护人员。室内仍有儿童时，最后一名照护人员不得离开。",
    ),
    responses=refuses(errors.NotCarer, errors.AlreadyInside, errors.NotInside, errors.LastCarer, errors.KeyReused),
)
async def carers(place_id: RoomId, told: CarerIn, ctx: Ctx, who: Who) -> Response:
    return web.json(CarerOut.model_validate(await ctx.db.run(rooms.carers, who, place_id, told)))


@router.post(
    "/{place_id}/count",
    operation_id="childcare.rooms.count",
    response_model=CountOut,
    summary=say("Close a room after a head-count", "闭馆清点"),
    description=say(
        "Zero closes an empty room. Anything else says who is inside as far as is known, and opens an incident.",
        "清点为零且无在室儿童即闭馆；否则列出在室儿童，并自动登记事件。",
    ),
    responses=refuses(errors.KeyReused),
)
async def count(place_id: RoomId, told: CountIn, ctx: Ctx, who: Who) -> Response:
    return web.json(CountOut.model_validate(await ctx.db.run(rooms.count, ctx.keys, who, place_id, told)))


@incidents.post(
    "",
    status_code=201,
    operation_id="childcare.incidents.create",
    response_model=IncidentOut,
    summary=say("Write down an incident (carers)", "登记事件（照护人员）"),
    description=say(
        "Nobody changes or removes it; what becomes of it is another incident that `follows` it.",
        "登记后不可修改或删除；后续进展以 `follows` 另行登记。",
    ),
    responses=refuses(errors.KeyReused),
)
async def report(told: IncidentIn, ctx: Ctx, who: Who) -> Response:
    made = IncidentOut.model_validate(await ctx.db.run(actions.report, ctx.keys, who, told))
    return web.json(made, 201, {"Location": f"/v1/childcare/incidents/{made.id}"})


@incidents.get(
    "",
    operation_id="childcare.incidents.list",
    response_model=Page[IncidentOut],
    summary=say("Incidents of my rooms (carers), or of my child", "儿童之家事件列表（照护人员，或本人子女）"),
    description=say(
        "Guardians name their `child`. They read the words only where nobody else's child is concerned, never a witness, and "
        "nothing that was reported to an authority.",
        "监护人须指明 `child`。仅当事件不涉及他人子女时可见内容；不显示目击者，亦不显示已上报主管部门的事件。",
    ),
)
async def list_incidents(
    ctx: Ctx,
    who: Who,
    room: Annotated[uuid.UUID | None, Query(description=say("Only of this room.", "仅此儿童之家。"))] = None,
    child: Annotated[uuid.UUID | None, Query(description=say("Only of this child.", "仅此儿童。"))] = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Response:
    after = pages.after(cursor, datetime, uuid.UUID)
    found = await ctx.db.read(actions.incidents, ctx.keys, who, room, child, after, limit + 1)
    return web.json(pages.page(found, limit, IncidentOut.model_validate, lambda one: (one["at"], one["id"])))


@incidents.get(
    "/{incident_id}",
    operation_id="childcare.incidents.read",
    response_model=IncidentOut,
    summary=say("Read one incident (carers, and guardians as in the list)", "查看事件（照护人员；监护人同列表规则）"),
)
async def read_incident(incident_id: IncidentId, ctx: Ctx, who: Who) -> Response:
    return web.json(IncidentOut.model_validate(await ctx.db.read(actions.incident, ctx.keys, who, incident_id)))
