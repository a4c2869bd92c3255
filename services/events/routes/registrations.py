"""Registrations: the shape all claims share."""

from __future__ import annotations

import uuid
from typing import Any, Final

from fastapi import APIRouter, Response

from services.events import notices
from services.events.actions import organising, registering
from services.events.schemas import AnswerOut, RegistrationIn, RegistrationOut
from shared import claiming, web
from shared.claims import Group
from shared.collection import Collection, Words
from shared.line import Line
from shared.texts import say
from shared.web import EVERYWHERE, Ctx, Who, refuses

WHERE = "events/registrations"

router = APIRouter(prefix=f"/v1/{WHERE}", tags=["registrations"], responses=EVERYWHERE)


def _out(row: Any, group: Group, detail: Any) -> RegistrationOut:
    return RegistrationOut(
        **claiming.of_group(group, where=WHERE),
        event_id=row["event_id"],
        answers=[AnswerOut(**one) for one in detail or ()],
    )


COLLECTION: Final = Collection(
    service="events",
    name="registrations",
    table="registrations",
    columns=("event_id",),
    readers=organising.STAFF,
    staff=organising.STAFF,
    out=_out,
    details=registering.details,
    cancelled=notices.registration_cancelled,
    words=Words(
        list=say("Registrations: mine, or those of my events (staff)", "报名列表：我的，或本社区活动的（工作人员）"),
        read=say("Read one registration", "查看一个报名"),
        cancel=say("Cancel all seats or one person's", "取消全部或某人的报名"),
    ),
)


@router.post(
    "",
    status_code=201,
    operation_id="events.registrations.create",
    response_model=RegistrationOut,
    summary=say("Register for an event or a series", "报名活动或课程"),
    description=say(
        "For oneself or the family (all or none): a session (`slot_id`), or all sessions of a series that are still to come "
        "(`series_id`, all or none). Everybody has a name: no guests. 201 confirmed; 202 on the waiting list (`if_full: wait`). Needs an Idempotency-Key.",
        "为本人或家人（全部成功或全部不成功）报名一个场次（`slot_id`）或系列课程的全部未开始场次（`series_id`）。须逐人报名，不能携带访客。201 已确认；202 已候补（`if_full: wait`）。须带 Idempotency-Key。",
    ),
    responses={
        202: {"model": RegistrationOut, "description": say("On the waiting list.", "已进入候补。")},
        **refuses(*claiming.REFUSALS),
    },
)
async def make(told: RegistrationIn, ctx: Ctx, who: Who) -> Response:
    grant, account_no = claiming.granted(who, told)
    line: Line[registering.Making, uuid.UUID] = ctx.lines["registrations"]
    answers = [(one.question, one.value) for one in told.answers]
    making = registering.making(ctx.keys, grant, account_no, told.series_id, told.guests, answers)
    registration_id = await line.submit(making)
    made = claiming.of_grant(
        grant, service="events", where=WHERE, resource_id=registration_id, made_by=who.person_id or who.account_id
    )
    more = {
        "event_id": grant.slots[0].subject_id,
        "answers": [{"question": question, "value": value} for question, value in answers],
    }
    return web.plain_json(made | more, 201, {"Location": made["href"]})
