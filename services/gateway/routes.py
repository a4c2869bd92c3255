"""The gateway's own routes: what can be claimed, what one has claimed, regions, days, and how the town is doing."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Collection, Mapping
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any, Literal

import asyncpg
from fastapi import APIRouter, Depends, FastAPI, Path, Query, Request, Response
from prometheus_client import generate_latest
from pydantic import StringConstraints, ValidationError

import services
from services.gateway import actions, availability, claiming, console, sql
from services.gateway.availability import Looking
from services.gateway.claiming import Call
from services.gateway.schemas import CapacityIn, DayIn, DayOut, RegionOut, SlotOut, SlotsQuery
from services.gateway.upstreams import Answer
from shared import claims, clock, crypto, days, errors, migrate, pages, problems, web, wire
from shared.assertion import Caller
from shared.claiming import ClaimOut
from shared.db import Tx
from shared.pages import Cursor, Limit, Page
from shared.texts import say
from shared.web import EVERYWHERE, refuses

if TYPE_CHECKING:
    from services.gateway.app import Parts

town = APIRouter(prefix="/v1", responses=EVERYWHERE)
health = APIRouter(include_in_schema=False)


async def parts_of(request: Request) -> Parts:
    """The running gateway's parts."""
    parts: Parts = request.app.state.parts
    return parts


async def call_of(request: Request) -> Call:
    """This request as the front door read it."""
    call: Call = request.scope["linli.call"]
    return call


async def caller_of(request: Request) -> Caller:
    """Who asks, with roles and those they act for."""
    return await (await parts_of(request)).credentials.with_facts((await call_of(request)).caller)


Gate = Annotated["Parts", Depends(parts_of)]
Told = Annotated[Call, Depends(call_of)]
Who = Annotated[Caller, Depends(caller_of)]
Code = Annotated[str, StringConstraints(pattern=r"^[0-9]{2,12}(-[0-9]{2})?$"), Path()]


def _moment(told: str | None, name: str) -> datetime | None:
    """A date (its midnight in the town) or a time with offset."""
    if told is None:
        return None
    with contextlib.suppress(ValueError, OverflowError):
        return _aware(f"{told}T00:00" if len(told) == 10 else told)
    raise errors.Unprocessable(errors=[{"in": "query", "pointer": f"/{name}", "code": "date_or_time"}])


def _aware(told: str) -> datetime:
    moment = datetime.fromisoformat(told)
    moment = (moment if moment.tzinfo is not None else moment.replace(tzinfo=clock.ZONE)).astimezone(UTC)
    _ = moment + timedelta(days=400)  # overflows for what is too near the end of time to be a window's beginning
    return moment


def _people(
    caller: Caller, persons: list[uuid.UUID] | None
) -> tuple[tuple[int, ...], frozenset[int], Mapping[int, Collection[str]]]:
    """The holders a question is for, whose guardian the caller is, and the services one may act in for some only.

    Refuses strangers.
    """
    limited = {one.holder_no: one.services for one in caller.acts_for if one.services is not None}
    known = {one.person_id: one.holder_no for one in caller.acts_for}
    guards = frozenset(one.holder_no for one in caller.acts_for if one.relation == "guardian")
    if caller.person_id is not None and caller.holder_no is not None:
        known[caller.person_id] = caller.holder_no
    if not persons:
        return (() if caller.holder_no is None else (caller.holder_no,)), guards, limited
    if caller.account_no is None:
        raise errors.NotKnown
    if any(person not in known for person in persons):
        raise errors.NotYours
    return tuple(dict.fromkeys(known[person] for person in persons)), guards, limited


@town.get(
    "/slots",
    operation_id="slots.list",
    response_model=Page[SlotOut],
    tags=["slots"],
    summary=say("Find what can be booked", "查询可预约场次"),
    description=say(
        "Slots of the next seven days, or of any window of at most 31. `bookable` and `reason` speak for the caller, or "
        "for one ask of everybody in `for`; without a token they are null.",
        "未来七天（或最多 31 天的任意时段）的场次。`bookable` 与 `reason` 针对本人，或 `for` 中所有人的一次预约；未登录时为空。",
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
        after=(after[0], after[1]) if after else None,
        limit=told.limit,
    )
    who = await gate.credentials.with_facts(call.caller) if told.persons else call.caller
    nos, guards, limited = _people(who, told.persons)
    seen = await gate.availability.submit(Looking(window, nos))
    items = availability.render(seen, guards, limited, personal=bool(nos))
    last = seen.page.last
    following = wire.dumps(pages.cursor(*last) if last else None)
    return Response(b'{"items":[' + b",".join(items) + b'],"next":' + following + b"}", media_type="application/json")


async def _express_slots(request: Request) -> Response:
    """`list_slots` by the express way; see shared.web.App."""
    query = request.query_params
    try:
        told = SlotsQuery.model_validate({key: query.getlist(key) if key == "for" else query[key] for key in query})
    except ValidationError as error:
        found = error.errors(include_url=False, include_input=False)
        raise problems.of_validation([{**one, "loc": ("query", *one["loc"])} for one in found]) from None
    return await list_slots(await parts_of(request), await call_of(request), told)


@town.get(
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
        Query(alias="for", max_length=20, description=say("For whom; repeatable.", "为谁查询，可重复。")),
    ] = None,
) -> Response:
    nos, guards, limited = _people(who, persons)
    window = availability.Window(clock.now(), clock.now(), slot_id=slot_id, limit=1)
    seen = await gate.availability.submit(Looking(window, nos))
    if not seen.page.slots:
        raise errors.NotThere
    (item,) = availability.render(seen, guards, limited, personal=bool(nos))
    slot = seen.page.slots[0]
    # The tag is for If-Match: it says nothing of who is in, so it must not stand for the whole answer.
    headers = {"ETag": web.etag(slot.capacity), "Cache-Control": "no-store"}
    return Response(item, media_type="application/json", headers=headers)


@town.put(
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


def _is_visible(group: claims.Group, who: Caller) -> bool:
    own = set(who.holders_in(group.service))
    return (
        group.account_no == who.account_no
        or any(row["holder_no"] in own for row in group.claims)
        or any(who.may(actions.PLACE_STAFF, row["community"], row["place_id"]) for row in group.claims)
    )


def _shown(group: claims.Group, who: Caller) -> claims.Group:
    """The group without people who are nothing to the caller (others whom the same staff booked)."""
    own = set(who.holders_in(group.service))
    if group.account_no == who.account_no or any(
        who.may(actions.PLACE_STAFF, row["community"], row["place_id"]) for row in group.claims
    ):
        return group
    return group._replace(claims=tuple(row for row in group.claims if row["holder_no"] in own))


async def _claims(tx: Tx, who: Caller, group_ids: list[uuid.UUID]) -> dict[uuid.UUID, ClaimOut]:
    """Those of these groups that the caller may see, each as it is now: what it has, or that it waits."""
    found: dict[uuid.UUID, ClaimOut] = {}
    groups = await claims.several(tx, group_ids)
    for group_id in group_ids:
        group = groups.get(group_id)
        is_active = group is not None and any(row["state"] in ("held", "confirmed", "attended") for row in group.claims)
        wait = None if is_active else await sql.wait(tx, group_id)
        if wait is not None:
            if wait["account_no"] == who.account_no or set(who.holders_in(wait["service"])) & set(wait["holders"]):
                only = None if wait["account_no"] == who.account_no else who.holders_in(wait["service"])
                waiting = await claiming.waiting_shape(tx, group_id, services.service(wait["service"]), only)
                if waiting is not None:
                    found[group_id] = waiting
        elif not is_active and (ended := await claiming.ended_shape(tx, group_id, who)) is not None:
            found[group_id] = ended
        elif group is not None and _is_visible(group, who):
            found[group_id] = claiming.shape(services.service(group.service), _shown(group, who))
    return found


async def _claim(gate: Parts, who: Caller, group_id: uuid.UUID) -> ClaimOut | None:
    return (await gate.db.read(_claims, who, [group_id])).get(group_id)


@town.get(
    "/claims",
    operation_id="claims.list",
    response_model=Page[ClaimOut],
    tags=["claims"],
    summary=say("What I have, and those I act for", "我的预约（含代办对象）"),
    responses=refuses(errors.NotYours),
)
async def list_claims(
    gate: Gate,
    who: Who,
    when: Annotated[
        Literal["upcoming", "past"] | None, Query(description=say("Still to come, or over.", "未结束或已结束。"))
    ] = None,
    state: Annotated[
        Literal["held", "confirmed", "waiting", "released", "lapsed", "lost", "attended", "no_show"] | None,
        Query(description=say("Only this state.", "仅此状态。")),
    ] = None,
    persons: Annotated[
        list[uuid.UUID] | None, Query(alias="for", max_length=20, description=say("Only these people.", "仅这些人。"))
    ] = None,
    service: Annotated[
        str | None, Query(pattern=r"^[a-z-]{1,40}$", description=say("Only this service.", "仅此服务。"))
    ] = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Response:
    if who.account_no is None:
        raise errors.NotKnown
    nos = list(_people(who, persons)[0]) if persons else who.holders
    after = pages.after(cursor, datetime, uuid.UUID)
    found = await gate.db.read(
        sql.group_ids,
        holders=nos,
        when=when,
        state=state,
        service=service,
        after=(after[0], after[1]) if after else None,
        limit=limit + 1,
    )
    more, found = len(found) > limit, found[:limit]
    shown = await gate.db.read(_claims, who, [row["group_id"] for row in found])
    items = [shown[row["group_id"]] for row in found if row["group_id"] in shown]
    following = pages.cursor(found[-1]["starts_at"], found[-1]["group_id"]) if more else None
    return web.json(Page[ClaimOut](items=items, next=following))


@town.get(
    "/claims/by-key/{key}",
    operation_id="claims.by_key",
    response_model=ClaimOut,
    tags=["claims"],
    summary=say("What became of a request whose answer was lost", "凭幂等键查询结果"),
)
async def read_claim_by_key(key: Annotated[str, Path(max_length=130)], gate: Gate, who: Who) -> Response:
    if who.account_no is None:
        raise errors.NotKnown
    ask = await gate.db.read(sql.ask_by_key, who.account_no, claiming.idempotency_key(key))
    if ask is None:
        raise errors.NotThere
    found = await _claim(gate, who, ask["group_id"])
    if found is None or (found.id is None and found.state not in ("held", "waiting")):
        raise errors.NotThere  # nothing came of it: send it again with the same key
    return web.json(found)


@town.get(
    "/claims/{group_id}",
    operation_id="claims.read",
    response_model=ClaimOut,
    tags=["claims"],
    summary=say("Read one claim", "查看一个预约"),
)
async def read_claim(group_id: uuid.UUID, gate: Gate, who: Who) -> Response:
    if who.account_no is None:
        raise errors.NotKnown
    found = await _claim(gate, who, group_id)
    if found is None:
        raise errors.NotThere
    return web.json(found)


@town.delete(
    "/claims/{group_id}",
    operation_id="claims.delete",
    response_model=ClaimOut,
    tags=["claims"],
    summary=say("Cancel, or leave a waiting list", "取消预约或退出候补"),
)
async def delete_claim(
    group_id: uuid.UUID,
    gate: Gate,
    who: Who,
    call: Told,
    person: Annotated[uuid.UUID | None, Query(description=say("Only this person.", "仅此人。"))] = None,
) -> Response:
    if who.account_no is None:
        raise errors.NotKnown
    found = await _claim(gate, who, group_id)
    if found is None:
        raise errors.NotThere
    if found.id is not None:
        path = found.href
        told = call._replace(caller=who, query=f"person={person}".encode() if person else b"", path=path)
        return _as_response(await gate.claiming.forward(found.service, told, method="DELETE", body=b""))
    wait = await gate.db.read(sql.wait, group_id)
    if wait is not None:
        if wait["account_no"] != who.account_no and not set(wait["holders"]) <= set(who.holders_in(wait["service"])):
            raise errors.NotAllowed
        if person is not None and [one.id for one in found.persons] != [person]:
            raise errors.Conflict(say("Who asked together leaves the list together.", "一同候补的人须一同退出。"))
        await gate.db.run(actions.leave, group_id)
        return await read_claim(group_id, gate, who)
    await gate.db.run(claims.release, group_id, reason="cancelled", only_held=True)
    return await read_claim(group_id, gate, who)


def _as_response(answer: Answer) -> Response:
    response = Response(answer.body, answer.status)
    response.raw_headers = answer.headers
    return response


@town.get(
    "/regions",
    operation_id="regions.list",
    response_model=Page[RegionOut],
    tags=["town"],
    summary=say("Regions below a region", "下级行政区划"),
)
async def list_regions(
    gate: Gate,
    parent: Annotated[
        str | None,
        Query(
            pattern=r"^[0-9]{2,12}(-[0-9]{2})?$", description=say("A region code; none: the roots.", "上级区划代码。")
        ),
    ] = None,
    limit: Limit = 100,
    cursor: Cursor = None,
) -> Response:
    after = pages.after(cursor, str)
    found = await gate.db.read(sql.regions, parent, after[0] if after else "", limit + 1)
    items = [RegionOut.model_validate(dict(row)) for row in found[:limit]]
    return web.json(Page[RegionOut](items=items, next=pages.cursor(items[-1].code) if len(found) > limit else None))


@town.get(
    "/regions/{code}",
    operation_id="regions.read",
    response_model=RegionOut,
    tags=["town"],
    summary=say("Read one region", "查看行政区划"),
)
async def read_region(code: Code, gate: Gate) -> Response:
    found = await gate.db.read(sql.region, code)
    if found is None:
        raise errors.NotThere
    return web.json(RegionOut.model_validate(dict(found)))


@town.get(
    "/days",
    operation_id="days.list",
    response_model=Page[DayOut],
    tags=["town"],
    summary=say("What the days are: work, rest or closed", "工作日、休息日与闭馆日"),
)
async def list_days(
    gate: Gate,
    from_: Annotated[date | None, Query(alias="from", description=say("First day.", "起始日期。"))] = None,
    to: Annotated[date | None, Query(description=say("Last day, included.", "截止日期（含）。"))] = None,
) -> Response:
    first = from_ or clock.today()
    try:
        last = to or first + timedelta(days=30)
    except OverflowError:
        last = first
    if not timedelta(0) <= last - first <= timedelta(days=366):
        raise errors.Unprocessable(errors=[{"in": "query", "pointer": "/to", "code": "window"}])
    stored = {row["date"]: dict(row) for row in await gate.db.read(sql.days, first, last)}
    span = [first + timedelta(days=n) for n in range((last - first).days + 1)]
    items = [DayOut(**stored.get(day) or days.provisional(day)._asdict()) for day in span]
    return web.json(Page[DayOut](items=items))


@town.put(
    "/days/{day}",
    operation_id="days.replace",
    response_model=DayOut,
    tags=["town"],
    summary=say("Say what a day is (town manager)", "设定某日类型（管理员）"),
)
async def replace_day(day: date, told: DayIn, gate: Gate, who: Who) -> Response:
    await gate.db.run(actions.set_day, who, day, told.kind, told.name)
    return web.json(DayOut(date=day, kind=told.kind, name=told.name, is_provisional=False))


@health.get("/healthz")
async def alive() -> dict[str, str]:
    return {"status": "alive"}


@health.get("/readyz")
async def ready(gate: Gate) -> Response:
    found: dict[str, Any] = {"upstreams": {name: "resting" if g.is_open else "ok" for name, g in gate.guards.items()}}
    try:
        revision = await gate.db.read(sql.revision)
        found["database"] = "ok"
        found["migrations"] = "ok" if revision == migrate.head() else f"at {revision}, code needs {migrate.head()}"
    except (errors.Refusal, asyncpg.PostgresError):
        found["database"] = "down"
    is_ready = found["database"] == "ok" and found.get("migrations") == "ok"
    return Response(wire.dumps(found), 200 if is_ready else 503, media_type="application/json")


@health.get("/metrics")
async def metrics(gate: Gate) -> Response:
    gate.metrics.line.set(gate.line.length)
    return Response(generate_latest(gate.metrics.registry), media_type="text/plain; version=0.0.4; charset=utf-8")


@health.get("/.well-known/jwks.json")
async def jwks(gate: Gate) -> Response:
    return Response(
        wire.dumps(crypto.jwks(gate.keys)),
        media_type="application/json",
        headers={"Cache-Control": "public, max-age=300"},
    )


def app(parts: Parts) -> web.App:
    """The gateway's own routes as an app."""
    made = FastAPI(title="Linli", redirect_slashes=False, docs_url=None, redoc_url=None, openapi_url=None)
    made.state.parts = parts
    web.with_manners(made)
    for router in (town, health, console.router):
        made.include_router(router)
    return web.App(made, {("GET", "/v1/slots"): _express_slots})
