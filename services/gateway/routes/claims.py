"""Claims: what one has, and those one acts for."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Path, Query, Response

import services
from services.gateway import actions, claiming, shapes, sql
from services.gateway.claiming import Call
from services.gateway.parts import Parts
from services.gateway.routes.given import Gate, Told, Who, people
from services.gateway.upstreams import Answer, NoAnswer
from shared import claims, errors, pages, web, wire
from shared.assertion import Caller
from shared.claiming import ClaimOut
from shared.db import Tx
from shared.pages import Cursor, Limit, Page
from shared.texts import say
from shared.web import EVERYWHERE, refuses

router = APIRouter(prefix="/v1", responses=EVERYWHERE)


async def _claims(tx: Tx, who: Caller, group_ids: list[uuid.UUID]) -> dict[uuid.UUID, ClaimOut]:
    """Those of these groups that the caller may see, each as it is now: what it has, or that it waits."""
    found: dict[uuid.UUID, ClaimOut] = {}
    groups = await claims.several(tx, group_ids)
    for group_id in group_ids:
        group = groups.get(group_id)
        is_active = group is not None and any(row["state"] in ("held", "confirmed", "attended") for row in group.claims)
        asked = None
        if not is_active:
            asked = await shapes.waiting_shape(tx, group_id, who) or await shapes.ended_shape(tx, group_id, who)
        if asked is not None:
            found[group_id] = asked
        elif group is not None and (shown := shapes.seen(group, who)) is not None:
            found[group_id] = shapes.shape(services.service(group.service), shown)
    return found


async def _claim(gate: Parts, who: Caller, group_id: uuid.UUID) -> ClaimOut | None:
    return (await gate.db.read(_claims, who, [group_id])).get(group_id)


async def _with_progress(gate: Parts, who: Caller, call: Call, found: ClaimOut) -> ClaimOut:
    """The claim with its service's own word for how far it is; without one when the service does not answer."""
    if found.id is None:
        return found
    told = call._replace(caller=who, query=b"", path=found.href)
    try:
        answer = await gate.claiming.forward(found.service, told, method="GET", body=b"")
    except NoAnswer:
        return found
    progress = wire.loads(answer.body).get("progress") if answer.status == 200 else None
    return found.model_copy(update={"progress": progress})


@router.get(
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
    holder: Annotated[
        str | None,
        Query(
            pattern=r"^[0-9]{2,12}$",
            description=say(
                "What the committee of this region has, for its staff.",
                "该区划居（村）委会的预约（供其工作人员查询）。",
            ),
        ),
    ] = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Response:
    who.known()
    nos = list(people(who, persons)[0]) if persons else who.holders if holder is None else []
    if holder is not None:
        who.require(claims.DESK, holder)
        nos += await gate.db.read(sql.committee, holder)
    after = pages.after(cursor, datetime, uuid.UUID)
    found = await gate.db.read(
        sql.group_ids,
        holders=nos,
        when=when,
        state=state,
        service=service,
        after=after,
        limit=limit + 1,
    )
    more, found = len(found) > limit, found[:limit]
    shown = await gate.db.read(_claims, who, [row["group_id"] for row in found])
    items = [shown[row["group_id"]] for row in found if row["group_id"] in shown]
    following = pages.cursor(found[-1]["starts_at"], found[-1]["group_id"]) if more else None
    return web.json(Page[ClaimOut](items=items, next=following))


@router.get(
    "/claims/by-key/{key}",
    operation_id="claims.by_key",
    response_model=ClaimOut,
    tags=["claims"],
    summary=say("What became of a request whose answer was lost", "凭幂等键查询结果"),
)
async def read_claim_by_key(key: Annotated[str, Path(max_length=130)], gate: Gate, who: Who, call: Told) -> Response:
    ask = await gate.db.read(sql.ask_by_key, who.known(), claiming.idempotency_key(key))
    if ask is None:
        raise errors.NotThere
    found = await _claim(gate, who, ask["group_id"])
    if found is None or (found.id is None and found.state not in ("held", "waiting")):
        raise errors.NotThere  # nothing came of it: send it again with the same key
    return web.json(await _with_progress(gate, who, call, found))


@router.get(
    "/claims/{group_id}",
    operation_id="claims.read",
    response_model=ClaimOut,
    tags=["claims"],
    summary=say("Read one claim", "查看一个预约"),
)
async def read_claim(group_id: uuid.UUID, gate: Gate, who: Who, call: Told) -> Response:
    who.known()
    found = await _claim(gate, who, group_id)
    if found is None:
        raise errors.NotThere
    return web.json(await _with_progress(gate, who, call, found))


@router.delete(
    "/claims/{group_id}",
    operation_id="claims.delete",
    response_model=ClaimOut,
    tags=["claims"],
    summary=say("Cancel, or leave a waiting list", "取消预约或退出候补"),
    responses=refuses(errors.Conflict, errors.InFlight, errors.AlreadyRecorded, errors.SignedIn, errors.TooLate),
)
async def delete_claim(
    group_id: uuid.UUID,
    gate: Gate,
    who: Who,
    call: Told,
    person: Annotated[uuid.UUID | None, Query(description=say("Only this person.", "仅此人。"))] = None,
) -> Response:
    who.known()
    found = await _claim(gate, who, group_id)
    if found is None:
        raise errors.NotThere
    if found.id is not None:
        path = found.href
        told = call._replace(caller=who, query=f"person={person}".encode() if person else b"", path=path)
        return _as_response(await gate.claiming.forward(found.service, told, method="DELETE", body=b""))
    wait = await gate.db.read(sql.wait, group_id)
    if wait is not None:
        if wait["account_no"] != who.account_no and len(found.persons) < len(wait["holders"]):
            raise errors.NotAllowed
        if person is not None and [one.id for one in found.persons] != [person]:
            raise errors.Conflict(say("Who asked together leaves the list together.", "一同候补的人须一同退出。"))
        await gate.db.run(actions.leave, group_id)
        return await read_claim(group_id, gate, who, call)
    await gate.db.run(claims.release, group_id, reason="cancelled", only_held=True)
    return await read_claim(group_id, gate, who, call)


def _as_response(answer: Answer) -> Response:
    response = Response(answer.body, answer.status)
    response.raw_headers = answer.headers
    return response
