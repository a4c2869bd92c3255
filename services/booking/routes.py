"""Booking's routes: facilities (the routes all places share) and reservations (the shape all claims share)."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from datetime import date, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Query, Response

from services.booking import actions, sql
from services.booking.schemas import ReservationIn, ReservationOut
from shared import claiming, claims, errors, pages, web
from shared.claims import Group
from shared.line import Line
from shared.pages import Cursor, Limit, Page
from shared.places import routes as places
from shared.texts import say
from shared.web import EVERYWHERE, Context, Ctx, Who, refuses

WHERE = "booking/reservations"
KINDS = ("fitness_centre", "court", "hall", "meeting_room", "shared_office", "neighbourhood_centre")

router = APIRouter(prefix=f"/v1/{WHERE}", tags=["reservations"], responses=EVERYWHERE)


def _out(group: Group, note: str | None) -> ReservationOut:
    return ReservationOut(**claiming.of_group(group, where=WHERE), note=note)


@router.post(
    "",
    status_code=201,
    operation_id="booking.reservations.create",
    response_model=ReservationOut,
    summary=say("Book places in a facility", "预约场所"),
    description=say(
        "For oneself, for the family (all or none), over several slots (all or none); staff at the desk act for residents. "
        "201 confirmed; 202 on the waiting list (`if_full: wait`). Needs an Idempotency-Key.",
        "为本人、家人（全部成功或全部不成功）或多个场次预约；工作人员可代居民办理。201 已确认；202 已候补（`if_full: wait`）。须带 Idempotency-Key。",
    ),
    responses={
        202: {"model": ReservationOut, "description": say("On the waiting list.", "已进入候补。")},
        **refuses(*claiming.REFUSALS),
    },
)
async def make(told: ReservationIn, ctx: Ctx, who: Who) -> Response:
    grant, account_no = claiming.granted(who, told)
    line: Line[actions.Making, uuid.UUID] = ctx.lines["reservations"]
    reservation_id = await line.submit(actions.Making(grant, account_no, told.note, actions.new_id()))
    made = claiming.of_grant(
        grant, service="booking", where=WHERE, resource_id=reservation_id, made_by=who.person_id or who.account_id
    )
    return web.plain_json(made | {"note": told.note}, 201, {"Location": made["href"]})


@router.get(
    "",
    operation_id="booking.reservations.list",
    response_model=Page[ReservationOut],
    summary=say("Reservations: mine, or those of my facilities (staff)", "预约列表：我的，或本场所的（工作人员）"),
)
async def list_all(
    ctx: Ctx,
    who: Who,
    facility: Annotated[uuid.UUID | None, Query(description=say("A facility's id.", "场所编号。"))] = None,
    slot: Annotated[uuid.UUID | None, Query(description=say("A slot's id.", "场次编号。"))] = None,
    person: Annotated[uuid.UUID | None, Query(description=say("A person's id.", "人员编号。"))] = None,
    day: Annotated[date | None, Query(alias="date", description=say("A day in the town.", "日期。"))] = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Response:
    if who.account_no is None:
        raise errors.NotKnown
    as_staff = facility is not None or slot is not None or person is not None or day is not None
    prefixes = [role.prefix for role in who.roles if role.role in actions.STAFF and role.place_id in (None, facility)]
    after = pages.after(cursor, datetime, uuid.UUID)
    found = await ctx.db.read(
        sql.reservations,
        account_no=who.account_no,
        holders=None if as_staff and prefixes else who.holders_in("booking"),
        place_id=facility,
        slot_id=slot,
        person_id=person,
        day=day,
        prefixes=prefixes,
        after=(after[0], after[1]) if after else None,
        limit=limit + 1,
    )
    more, found = len(found) > limit, found[:limit]
    groups = await ctx.db.read(claims.several, [row["group_id"] for row in found])
    items = [_out(actions.shown(groups[row["group_id"]], who), row["note"]) for row in found]
    following = pages.cursor(found[-1]["starts_at"], found[-1]["id"]) if more else None
    return web.json(Page[ReservationOut](items=items, next=following))


@router.get(
    "/{reservation_id}",
    operation_id="booking.reservations.read",
    response_model=ReservationOut,
    summary=say("Read one reservation", "查看一个预约"),
)
async def read(reservation_id: uuid.UUID, ctx: Ctx, who: Who) -> Response:
    reservation, group = await ctx.db.read(actions.readable, who, reservation_id)
    return web.json(_out(actions.shown(group, who), reservation["note"]))


@router.delete(
    "/{reservation_id}",
    operation_id="booking.reservations.delete",
    response_model=ReservationOut,
    summary=say("Cancel all places or one person's", "取消全部或某人的预约"),
    description=say(
        "Frees the places at once, also late. Cancelling again answers the same.",
        "立即释放名额，逾期亦可取消。重复取消返回相同结果。",
    ),
)
async def cancel(
    reservation_id: uuid.UUID,
    ctx: Ctx,
    who: Who,
    person: Annotated[uuid.UUID | None, Query(description=say("Only this person.", "仅此人。"))] = None,
    reason: Annotated[claiming.Text | None, Query(description=say("Why.", "原因。"))] = None,
) -> Response:
    group, note = await ctx.db.run(
        actions.cancel_reservation, who, reservation_id, person_id=person, reason=reason or "cancelled"
    )
    return web.json(_out(group, note))


def _lines(context: Context) -> Mapping[str, Line[Any, Any]]:
    settings = context.settings
    return {
        "reservations": Line(
            "reservations",
            context.db,
            actions.make_reservations,
            batch=settings.line_batch,
            waiting=settings.line_waiting,
            seconds=min(settings.line_seconds, settings.upstream_seconds),
        )
    }


app = web.service_app(
    "booking",
    "Booking",
    [router, places.router("booking", "facilities", KINDS)],
    opens=_lines,
    express={("POST", f"/v1/{WHERE}"): claiming.express(ReservationIn, make)},
)
