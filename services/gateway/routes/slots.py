"""Slots: what can be claimed, and whether by whom asks."""

from __future__ import annotations

import contextlib
import uuid
from datetime import UTC, datetime, timedelta
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from pydantic import ValidationError

from services.gateway import actions, availability
from services.gateway.availability import Looking
from services.gateway.routes.given import Gate, Told, Who, call_of, parts_of, people
from services.gateway.schemas import FOR, CapacityIn, SlotOut, SlotsQuery
from shared import clock, errors, pages, problems, web, wire
from shared.pages import Page
from shared.texts import say
from shared.web import EVERYWHERE, refuses

router = APIRouter(prefix="/v1", responses=EVERYWHERE)


def _moment(told: str | None, name: str) -> datetime | None:
    """A date (its midnight in the town) or a time with offset."""
    if told is None:
        return None
    with contextlib.suppress(ValueError, OverflowError):
        return _aware(f"{told}T00:00" if len(told) == 10 else told)
    raise errors.Unprocessable.at(f"/{name}", "date_or_time", where="query")


def _aware(told: str) -> datetime:
    moment = datetime.fromisoformat(told)
    moment = (moment if moment.tzinfo is not None else moment.replace(tzinfo=clock.ZONE)).astimezone(UTC)
    _ = moment + timedelta(days=400)  # overflows for what is too near the end of time to be a window's beginning
    return moment


@router.get(
    "/slots",
    operation_id="slots.list",
    response_model=Page[SlotOut],
    tags=["slots"],
    summary=say("Find what can be booked", "查询可预约场次"),
    description=say(
        "Slots of the next seven days, or of any window of at most 31. `bookable` and `reason` speak for the caller, or "
        "for one ask of everybody in `for`; without a token they are null. Dishes are left out, since nobody claims one by "
        "itself (menus say what is left of them); with `subject` they are shown, too.",
        "未来七天（或最多 31 天的任意时段）的场次。`bookable` 与 `reason` 针对本人，或 `for` 中所有人的一次预约；未登录时为空。"
        "菜品随用餐时段一同预订，不单独列出（余量见菜单）；指定 `subject` 时显示。",
    ),
    responses=refuses(errors.NotYours),
)
async def list_slots(gate: Gate, call: Told, told: Annotated[SlotsQuery, Query()]) -> Response:
    after = pages.after(told.cursor, datetime, uuid.UUID)
    window = availability.window_of(
        starts_from=_moment(told.starts_from, "from"),
        starts_until=_moment(told.starts_until, "to"),
        service=told.service,
        place_id=told.facility,
        community=told.community,
        subject_id=told.subject,
        after=after,
        limit=told.limit,
    )
    who = await gate.credentials.with_facts(call.caller) if told.persons else call.caller
    nos, guards, limited = people(who, told.persons)
    seen = await gate.availability.submit(Looking(window, nos))
    items = availability.render(seen, guards, limited, personal=bool(nos))
    last = seen.page.last
    following = wire.dumps(pages.cursor(*last) if last else None)
    return Response(b'{"items":[' + b",".join(items) + b'],"next":' + following + b"}", media_type="application/json")


async def express(request: Request) -> Response:
    """`list_slots` by the express way; see shared.web.App."""
    query = request.query_params
    try:
        told = SlotsQuery.model_validate({key: query.getlist(key) if key == "for" else query[key] for key in query})
    except ValidationError as error:
        found = error.errors(include_url=False, include_input=False)
        raise problems.of_validation([{**one, "loc": ("query", *one["loc"])} for one in found]) from None
    return await list_slots(await parts_of(request), await call_of(request), told)


@router.get(
    "/slots/{slot_id}",
    operation_id="slots.read",
    response_model=SlotOut,
    tags=["slots"],
    summary=say("Read one slot", "查看一个场次"),
    responses=refuses(errors.NotYours),
)
async def read_slot(
    slot_id: uuid.UUID,
    gate: Gate,
    who: Who,
    persons: Annotated[
        list[uuid.UUID] | None,
        Query(
            alias="for",
            max_length=20,
            description=FOR,
        ),
    ] = None,
) -> Response:
    nos, guards, limited = people(who, persons)
    window = availability.Window(clock.now(), clock.now(), slot_id=slot_id, limit=1)
    seen = await gate.availability.submit(Looking(window, nos))
    if not seen.page.slots:
        raise errors.NotThere
    (item,) = availability.render(seen, guards, limited, personal=bool(nos))
    slot = seen.page.slots[0]
    # The tag is for If-Match: it says nothing of who is in, so it must not stand for the whole answer.
    headers = {"ETag": web.etag(slot.capacity), "Cache-Control": "no-store"}
    return Response(item, media_type="application/json", headers=headers)


@router.put(
    "/slots/{slot_id}",
    operation_id="slots.replace",
    response_model=SlotOut,
    tags=["slots"],
    summary=say("Change a slot's number of places (staff)", "修改场次名额（工作人员）"),
    responses=refuses(errors.CapacityTaken, errors.Changed, errors.ConditionMissing),
)
async def replace_slot(slot_id: uuid.UUID, told: CapacityIn, request: Request, gate: Gate, who: Who) -> Response:
    def matches(capacity: int) -> None:
        web.require_match(request, web.etag(capacity))

    await gate.db.run(actions.set_capacity, who, slot_id, told.capacity, matches)
    return await read_slot(slot_id, gate, who, None)
