"""The routes of a collection: a service that is claimed includes `router(…)` beside its own POST."""

from __future__ import annotations

import asyncio
import uuid
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Response

from shared import claiming, claims, errors, pages, passes, web
from shared.claiming import ClaimOut
from shared.collection import Collection, actions
from shared.collection.sql import Asked
from shared.pages import Cursor, Limit, Page
from shared.passes import Pass
from shared.texts import say
from shared.web import EVERYWHERE, Ctx, Who, refuses

Facility = Annotated[uuid.UUID | None, Query(description=say("A facility's id.", "场所编号。"))]
SlotId = Annotated[uuid.UUID | None, Query(description=say("A slot's id.", "场次编号。"))]
Person = Annotated[uuid.UUID | None, Query(description=say("A person's id.", "人员编号。"))]
OnlyPerson = Annotated[uuid.UUID | None, Query(description=say("Only this person.", "仅此人。"))]
Whose = Annotated[
    uuid.UUID | None,
    Query(description=say("Whose; left out: the caller, or the only person.", "何人；省略则为本人或唯一的人员。")),
]
OfSlot = Annotated[
    uuid.UUID | None,
    Query(description=say("Of which slot; left out: the next one.", "哪个场次；省略则为下一场。")),
]
Day = Annotated[web.Date | None, Query(alias="date", description=say("A day in the town.", "日期。"))]
Reason = Annotated[claiming.Text | None, Query(description=say("Why.", "原因。"))]


def router(of: Collection, out: type[ClaimOut]) -> APIRouter:
    """The routes of one collection, `/v1/<service>/<name>…`: list, read, cancel, pass."""
    made = APIRouter(prefix=f"/v1/{of.where}", tags=[of.name], responses=EVERYWHERE)
    which: Any = Path(alias=f"{of.one}_id")
    path = f"/{{{of.one}_id}}"

    @made.get(
        "",
        operation_id=f"{of.service}.{of.name}.list",
        response_model=Page.__class_getitem__(out),
        summary=of.words.list,
    )
    async def list_all(  # noqa: PLR0913, PLR0917 - the filters of one question
        ctx: Ctx,
        who: Who,
        facility: Facility = None,
        slot: SlotId = None,
        person: Person = None,
        day: Day = None,
        limit: Limit = 50,
        cursor: Cursor = None,
    ) -> Response:
        account_no = who.known()
        is_narrowed = facility is not None or slot is not None or person is not None or day is not None
        roles = [
            one
            for one in who.roles
            if one.role in of.readers | of.staff and (facility is None or one.place_id in (None, facility))
        ]
        after = pages.after(cursor, datetime, uuid.UUID)
        asked = Asked(
            account_no=account_no,
            offices=who.regions(claims.DESK),
            holders=None if is_narrowed and roles else who.holders_in(of.service),
            roles=roles,
            place_id=facility,
            slot_id=slot,
            person_id=person,
            day=day,
            after=after,
            limit=limit + 1,
        )
        found = await ctx.db.read(actions.page, ctx.keys, who, of, asked)
        last = found[limit - 1][0] if len(found) > limit else None
        following = pages.cursor(last["starts_at"], last["id"]) if last is not None else None
        return web.json(Page[Any](items=[shown for _, shown in found[:limit]], next=following))

    @made.get(path, operation_id=f"{of.service}.{of.name}.read", response_model=out, summary=of.words.read)
    async def read(ctx: Ctx, who: Who, resource_id: uuid.UUID = which) -> Response:
        use = ctx.db.read if of.shown is None else ctx.db.run  # that somebody has read it may have to be written down
        return web.json(await use(actions.read, ctx.keys, who, of, resource_id))

    @made.delete(
        path,
        operation_id=f"{of.service}.{of.name}.delete",
        response_model=out,
        summary=of.words.cancel,
        description=of.words.cancelling,
        responses=refuses(errors.AlreadyRecorded, errors.TooLate, *of.refusals),
    )
    async def cancel(
        ctx: Ctx, who: Who, resource_id: uuid.UUID = which, person: OnlyPerson = None, reason: Reason = None
    ) -> Response:
        done = await ctx.db.run(
            actions.cancel, ctx.keys, who, of, resource_id, person_id=person, reason=reason or "cancelled"
        )
        return web.json(done)

    @made.get(
        f"{path}/pass",
        operation_id=f"{of.service}.{of.name}.pass",
        response_model=Pass,
        summary=of.words.show,
        description=say(
            "For one person and one slot, good from an hour before until an hour after. The place's devices verify the token "
            "without a network; the code is for whoever has no screen. Keep it to yourself.",
            "一人一场，开始前一小时至结束后一小时有效。场所设备可离线验证令牌；无手机者可出示数字码。请勿转发。",
        ),
        responses=refuses(errors.Conflict),
    )
    async def show(
        ctx: Ctx, who: Who, resource_id: uuid.UUID = which, person: Whose = None, slot: OfSlot = None
    ) -> Response:
        claim = await ctx.db.read(actions.shown_at_the_door, who, of, resource_id, person, slot)
        drawn = await asyncio.to_thread(passes.issue, ctx.keys, **claim._asdict())
        return web.json(drawn, 200, {"Cache-Control": "no-store"})

    return made
