"""What takes place: events and series have the same routes, each under its own name."""

from __future__ import annotations

import uuid
from datetime import date, datetime, time
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Path, Query, Request, Response

from services.events import schemas, sql
from services.events.actions import attending, organising
from services.events.schemas import CancelIn, EventIn, EventOut
from shared import clock, errors, pages, web
from shared.pages import Cursor, Limit, Page
from shared.places import sheets
from shared.places.sql import Attendee, Session
from shared.texts import language, say
from shared.web import EVERYWHERE, Context, Ctx, Who, Wide, refuses

EventId = Annotated[uuid.UUID, Path(description=say("The event or series.", "活动或课程编号。"))]
Community = Annotated[
    str | None,
    Query(
        pattern=r"^[0-9]{2,12}(-[0-9]{2})?$", description=say("A region code; all below it.", "区划代码（含下级）。")
    ),
]
Since = Annotated[
    date | None,
    Query(alias="from", description=say("Not over before this day; default today.", "此日尚未结束；默认当天。")),
]
Until = Annotated[date | None, Query(alias="to", description=say("Begins before this day.", "此日之前开始。"))]
State = Annotated[
    Literal["draft", "published", "changed", "cancelled", "held"] | None,
    Query(description=say("Only this state; `held`: it took place.", "仅此状态；`held`：已举行。")),
]
Format = Annotated[
    Literal["json", "csv", "html"],
    Query(alias="format", description=say("For programs, sheets or paper.", "数据、表格或打印。")),
]


def _begin(day: date, name: str) -> datetime:
    if not date(2000, 1, 1) <= day <= date(2200, 1, 1):
        raise errors.Unprocessable.at(f"/{name}", "range", where="query")
    return clock.at(day, time())


def _matches(request: Request) -> organising.Matches:
    """Whether the caller read this version, by If-Match."""
    return lambda version: web.require_match(request, web.etag(version))


def router(kind: str, collection: str) -> APIRouter:
    """The routes of one kind of what takes place, `/v1/events/<collection>…`."""
    made = APIRouter(
        prefix=f"/v1/events/{collection}",
        tags=["events"],
        responses=EVERYWHERE,
        dependencies=[Depends(web.caller)],  # nothing is answered but through the gateway, public or not
    )
    _add_events(made, kind, collection)
    _add_list(made, kind, collection)
    return made


async def _shown(ctx: Context, who: Who, kind: str, event_id: uuid.UUID, status: int = 200, **headers: str) -> Response:
    event, sessions, is_staff = await ctx.db.read(organising.visible, who, kind, event_id)
    shown = schemas.event_out(event, sessions, for_staff=is_staff)
    return web.json(shown, status, {"ETag": web.etag(event["version"]), **headers})


def _add_events(made: APIRouter, kind: str, collection: str) -> None:
    """Drafting, publishing, changing, cancelling."""

    def named(verb: str) -> str:
        return f"events.{collection}.{verb}"

    is_series = kind == "series"

    @made.get(
        "",
        operation_id=named("list"),
        response_model=Page[EventOut],
        summary=say("Series (courses), soonest first", "系列课程，由近及远")
        if is_series
        else say("Events, soonest first", "活动，由近及远"),
    )
    async def list_all(
        ctx: Ctx,
        who: Who,
        community: Community = None,
        state: State = None,
        since: Since = None,
        until: Until = None,
        limit: Limit = 50,
        cursor: Cursor = None,
    ) -> Response:
        after = pages.after(cursor, datetime, uuid.UUID)
        found = await ctx.db.read(
            sql.events.events,
            kind,
            community=community,
            state=state,
            since=_begin(since or clock.today(), "from"),
            until=_begin(until, "to") if until is not None else None,
            unpublished=[(role.prefix, role.place_id) for role in who.roles if role.role in organising.STAFF],
            after=after,
            limit=limit + 1,
        )
        last = found[limit - 1] if len(found) > limit else None
        sessions = await ctx.db.read(sql.events.sessions, [one["id"] for one in found[:limit]])
        return web.json(
            Page[EventOut](
                items=[
                    schemas.event_out(
                        one,
                        sessions[one["id"]],
                        for_staff=who.may(organising.STAFF, one["community"], one["place_id"]),
                    )
                    for one in found[:limit]
                ],
                next=pages.cursor(last["starts_at"], last["id"]) if last is not None else None,
            )
        )

    @made.post(
        "",
        operation_id=named("create"),
        status_code=201,
        response_model=EventOut,
        summary=say("Draft a series (staff)", "起草系列课程（工作人员）")
        if is_series
        else say("Draft an event (staff)", "起草活动（工作人员）"),
        description=say(
            "Nobody else sees it before it is published. Its venue is a claim of its own: book the facility first, and name "
            "that claim's group. No deadline is later than the beginning of the last session.",
            "发布前他人不可见。场地须另行预约，并在此填写其预约组编号。各期限不得晚于最后一场开始。",
        ),
    )
    async def create(told: EventIn, ctx: Ctx, who: Who) -> Response:
        event_id = await ctx.db.run(organising.draft, who, kind, told.said())
        return await _shown(ctx, who, kind, event_id, 201, Location=f"/v1/events/{collection}/{event_id}")

    @made.get(
        "/{event_id}",
        operation_id=named("read"),
        response_model=EventOut,
        summary=say("Read one series", "查看系列课程") if is_series else say("Read one event", "查看活动"),
    )
    async def read(event_id: EventId, ctx: Ctx, who: Who) -> Response:
        return await _shown(ctx, who, kind, event_id)

    @made.put(
        "/{event_id}",
        operation_id=named("replace"),
        response_model=EventOut,
        summary=say("Change a series (staff)", "修改系列课程（工作人员）")
        if is_series
        else say("Change an event (staff)", "修改活动（工作人员）"),
        description=say(
            "Once published, times, community and audience stay; text, seats (not below what is taken), deadlines and, while "
            "nobody is registered, questions may change. A session that is left out is cancelled, one of other "
            "times is added. Those who are registered are told.",
            "发布后，时间、所属社区与对象不变；文字、名额（不少于已占用）、期限可改，无人报名时问题可改。未列出的场次将取消，时间不同的场次为新增。已报名者会收到通知。",
        ),
        responses=refuses(
            errors.Conflict,
            errors.CapacityTaken,
            errors.VenueMissing,
            errors.VenueTaken,
            errors.Exists,
            errors.Changed,
            errors.ConditionMissing,
        ),
    )
    async def replace(event_id: EventId, told: EventIn, request: Request, ctx: Ctx, who: Who) -> Response:
        await organising.replace(ctx.db, who, kind, event_id, told.said(), _matches(request))
        return await _shown(ctx, who, kind, event_id)

    @made.post(
        "/{event_id}/publish",
        operation_id=named("publish"),
        response_model=EventOut,
        summary=say("Publish a series (staff)", "发布系列课程（工作人员）")
        if is_series
        else say("Publish an event (staff)", "发布活动（工作人员）"),
        description=say(
            "Its venue must be had for the whole of every session; one booking serves one event. No session has begun, and no "
            "deadline is over. Each session becomes a slot.",
            "场地须覆盖全部场次，一个场地预约只用于一个活动。场次均未开始，期限均未过。每个场次成为可报名的场次。",
        ),
        responses=refuses(errors.Conflict, errors.VenueMissing, errors.VenueTaken),
    )
    async def publish(event_id: EventId, ctx: Ctx, who: Who) -> Response:
        await ctx.db.run(organising.publish, who, kind, event_id)
        return await _shown(ctx, who, kind, event_id)

    @made.post(
        "/{event_id}/cancel",
        operation_id=named("cancel"),
        response_model=EventOut,
        summary=say("Call a series off (staff)", "取消系列课程（工作人员）")
        if is_series
        else say("Call an event off (staff)", "取消活动（工作人员）"),
        description=say(
            "Everybody registered is released and told, and so are those who wait. The venue stays booked until it is given "
            "back. A draft goes quietly: nobody else ever sees it. Again: the same answer.",
            "释放并通知所有报名与候补人员。场地预约保留，须另行退还。草稿取消后不公开、不通知。重复取消返回相同结果。",
        ),
        responses=refuses(errors.Conflict),
    )
    async def cancel(event_id: EventId, told: CancelIn, ctx: Wide, who: Who) -> Response:
        await organising.cancel(ctx.db, who, kind, event_id, told.reason)
        return await _shown(ctx, who, kind, event_id)


def _add_list(made: APIRouter, kind: str, collection: str) -> None:
    """Who comes, and who came."""

    @made.get(
        "/{event_id}/attendance",
        operation_id=f"events.{collection}.attendance",
        response_model=schemas.AttendanceListOut,
        summary=say("Who comes, came, or did not (staff, volunteers)", "签到名单（工作人员、志愿者）"),
        responses={
            200: {
                "description": say("As JSON, CSV or a page to print.", "JSON、CSV 或可打印页面。"),
                "content": {"text/csv": {"schema": {"type": "string"}}, "text/html": {"schema": {"type": "string"}}},
            }
        },
    )
    async def attendance(event_id: EventId, request: Request, ctx: Ctx, who: Who, form: Format = "json") -> Response:
        event, sittings, people = await ctx.db.read(attending.listed, who, kind, event_id)
        lang = language(request.headers.get("accept-language"))
        private = {"Cache-Control": "no-store", "Vary": "Accept-Language"}
        if form == "json":
            return web.json(schemas.attendance_out(event, sittings, people), 200, private)
        listed = [
            Session(
                id=one.id,
                title=f"{clock.local(one.starts_at):%Y-%m-%d} {one.title}",
                resource=event["place_name"],
                starts_at=one.starts_at,
                ends_at=one.ends_at,
                state=one.state,
                capacity=one.capacity,
                taken=one.taken,
                waiting=one.waiting,
                people=tuple(
                    Attendee(person.name, person.state, person.channel, 1)
                    for person in people
                    if person.slot_id == one.id
                ),
            )
            for one in sittings
        ]
        if form == "csv":
            private["Content-Disposition"] = f'attachment; filename="attendance-{event_id}.csv"'
            return Response(sheets.as_csv(listed, lang), headers=private, media_type="text/csv; charset=utf-8")
        private["Content-Security-Policy"] = "default-src 'none'; style-src 'unsafe-inline'"
        return Response(
            sheets.as_page(event["title"], listed, lang), headers=private, media_type="text/html; charset=utf-8"
        )
