"""Booking's routes: facilities (the routes all places share) and reservations (the shape all claims share)."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter, Response

from services.booking import actions, notices
from services.booking.schemas import ReservationIn, ReservationOut
from shared import claiming, web
from shared.claims import Group
from shared.collection import Collection, Words
from shared.collection import routes as collections
from shared.line import Line
from shared.places import routes as places
from shared.texts import say
from shared.web import EVERYWHERE, Context, Ctx, Who, refuses

WHERE = "booking/reservations"
KINDS = ("fitness_centre", "court", "hall", "meeting_room", "shared_office", "neighbourhood_centre")
STAFF = frozenset({"staff", "manager", "operator"})

router = APIRouter(prefix=f"/v1/{WHERE}", tags=["reservations"], responses=EVERYWHERE)


def _out(row: Any, group: Group, _detail: object) -> ReservationOut:
    return ReservationOut(**claiming.of_group(group, where=WHERE), note=row["note"])


RESERVATIONS = Collection(
    service="booking",
    name="reservations",
    table="reservations",
    columns=("note",),
    readers=STAFF,
    staff=STAFF,
    out=_out,
    cancelled=notices.reservation_cancelled,
    words=Words(
        list=say("Reservations: mine, or those of my facilities (staff)", "预约列表：我的，或本场所的（工作人员）"),
        read=say("Read one reservation", "查看一个预约"),
        cancel=say("Cancel all places or one person's", "取消全部或某人的预约"),
    ),
)


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
    reservation_id = await line.submit(actions.Making(grant, account_no, told.note))
    made = claiming.of_grant(
        grant, service="booking", where=WHERE, resource_id=reservation_id, made_by=who.person_id or who.account_id
    )
    return web.plain_json(made | {"note": told.note}, 201, {"Location": made["href"]})


def _lines(context: Context) -> Mapping[str, Line[Any, Any]]:
    return {"reservations": claiming.line_of("reservations", context, actions.make_reservations)}


app = web.service_app(
    "booking",
    "Booking",
    [router, collections.router(RESERVATIONS, ReservationOut), places.router("booking", "facilities", KINDS)],
    opens=_lines,
    express={("POST", f"/v1/{WHERE}"): claiming.express(ReservationIn, make)},
)
