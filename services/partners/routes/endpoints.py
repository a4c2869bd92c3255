"""Endpoints: where notices are sent, their secrets, and what was sent."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request, Response

from services.partners import rules
from services.partners.actions import endpoints as actions
from services.partners.actions import reach
from services.partners.actions.endpoints import Shown, Wanted
from services.partners.schemas import (
    DeliveryOut,
    EndpointEditIn,
    EndpointIn,
    EndpointMadeOut,
    EndpointOut,
    RecoveredOut,
    RecoverIn,
    SecretOut,
)
from shared import errors, pages, web
from shared.pages import Cursor, Limit, Page
from shared.texts import say
from shared.web import EVERYWHERE, Context, Ctx, Who, Wide, refuses

router = APIRouter(prefix="/v1/partners", tags=["partners"], responses=EVERYWHERE)


def _wanted(told: EndpointIn, ctx: Context) -> Wanted:
    is_refused = rules.is_never_called(told.url, ctx.settings.delivery_networks)
    enabled = told.enabled if isinstance(told, EndpointEditIn) else True
    kinds = reach.known(told.types)
    return Wanted(
        told.url, kinds, told.community, told.ordering, told.description, enabled=enabled, is_refused=is_refused
    )


def _etag(row: Any) -> str:
    return web.etag(row["id"], row["version"])


def _out(shown: Shown) -> DeliveryOut:
    return DeliveryOut(**dict(shown.delivery), tries=[dict(one) for one in shown.tries])


@router.get(
    "/endpoints",
    operation_id="partners.endpoints.list",
    response_model=Page[EndpointOut],
    summary=say("My endpoints, or those of my region", "我的接口，或本区域的接口"),
)
async def list_all(ctx: Ctx, who: Who, limit: Limit = 50, cursor: Cursor = None) -> Response:
    after = pages.after(cursor, datetime, uuid.UUID)
    found = await ctx.db.read(actions.listed, who, after, limit + 1)
    return web.json(
        pages.page(found, limit, lambda row: EndpointOut(**dict(row)), lambda row: (row["made_at"], row["id"]))
    )


@router.post(
    "/endpoints",
    status_code=201,
    operation_id="partners.endpoints.create",
    response_model=EndpointMadeOut,
    summary=say("Have notices sent", "登记推送接口"),
    description=say(
        "First a signed challenge is sent there: `{type: linli.endpoint.challenge, challenge}`. Answer 2xx with the challenge in "
        "the body; until then nothing else is sent. What is stamped from now on will come.",
        "首先向该地址发送已签名的验证：`{type: linli.endpoint.challenge, challenge}`。请返回 2xx 并在应答中包含 challenge；"
        "在此之前不会推送其他内容。登记之后产生的通知都会送达。",
    ),
    responses=refuses(errors.NotInScope, errors.Exists),
)
async def make(told: EndpointIn, ctx: Ctx, who: Who) -> Response:
    row, secret = await ctx.db.run(actions.make, who, ctx.keys, _wanted(told, ctx))
    where = f"/v1/partners/endpoints/{row['id']}"
    return web.private(EndpointMadeOut(**dict(row), secret=secret), 201, Location=where, ETag=_etag(row))


@router.get(
    "/endpoints/{endpoint_id}",
    operation_id="partners.endpoints.read",
    response_model=EndpointOut,
    summary=say("Read one endpoint", "查看一个接口"),
)
async def read(endpoint_id: uuid.UUID, ctx: Ctx, who: Who) -> Response:
    row = await ctx.db.read(actions.readable, who, endpoint_id)
    return web.json(EndpointOut(**dict(row)), 200, {"ETag": _etag(row)})


@router.put(
    "/endpoints/{endpoint_id}",
    operation_id="partners.endpoints.replace",
    response_model=EndpointOut,
    summary=say("Change, stop or take up an endpoint", "修改、停用或恢复接口"),
    description=say(
        "A new address, and one that was disabled, gets a challenge first. New filters hold from now on: what the old ones "
        "covered, too, is not lost. Staff of its region may stop it.",
        "更换地址或恢复停用的接口须重新验证。新的筛选条件即时生效，新旧条件均涵盖的通知不会遗漏。本区域管理人员可将其停用。",
    ),
    responses=refuses(errors.ConditionMissing, errors.Changed, errors.NotInScope, errors.Exists),
)
async def replace(endpoint_id: uuid.UUID, told: EndpointEditIn, request: Request, ctx: Wide, who: Who) -> Response:
    row = await ctx.db.run(
        actions.replace, who, endpoint_id, _wanted(told, ctx), lambda found: web.require_match(request, _etag(found))
    )
    return web.json(EndpointOut(**dict(row)), 200, {"ETag": _etag(row)})


@router.delete(
    "/endpoints/{endpoint_id}",
    status_code=204,
    operation_id="partners.endpoints.delete",
    summary=say("Forget an endpoint", "删除接口"),
)
async def delete(endpoint_id: uuid.UUID, ctx: Ctx, who: Who) -> Response:
    await ctx.db.run(actions.delete, who, endpoint_id)
    return Response(status_code=204)


@router.get(
    "/endpoints/{endpoint_id}/secret",
    operation_id="partners.endpoints.secret",
    response_model=SecretOut,
    summary=say("The secret, for its owner", "查看签名密钥（仅限所有者）"),
)
async def secret(endpoint_id: uuid.UUID, ctx: Ctx, who: Who) -> Response:
    told, until = await ctx.db.read(actions.secret, who, ctx.keys, endpoint_id)
    return web.private(SecretOut(secret=told, previous_until=until))


@router.post(
    "/endpoints/{endpoint_id}/secret/rotate",
    operation_id="partners.endpoints.rotate",
    response_model=SecretOut,
    summary=say("A new secret; the one before signs along for a day", "更换签名密钥，旧密钥继续签名 24 小时"),
    description=say(
        "Each secret before has a day of its own; while eight of them sign along there is no new one (409).",
        "每个旧密钥各自继续签名 24 小时；已有八个旧密钥仍在签名时不可再更换（409）。",
    ),
    responses=refuses(errors.Conflict),
)
async def rotate(endpoint_id: uuid.UUID, ctx: Ctx, who: Who) -> Response:
    told, until = await ctx.db.run(actions.rotate, who, ctx.keys, endpoint_id)
    return web.private(SecretOut(secret=told, previous_until=until))


@router.post(
    "/endpoints/{endpoint_id}/test",
    status_code=202,
    operation_id="partners.endpoints.test",
    response_model=DeliveryOut,
    summary=say("Send a test, or the challenge again", "发送测试通知或重发验证"),
    responses=refuses(errors.Conflict),
)
async def test(endpoint_id: uuid.UUID, ctx: Ctx, who: Who) -> Response:
    shown = await ctx.db.run(actions.test, who, endpoint_id)
    return web.json(_out(shown), 202, {"Location": f"/v1/partners/deliveries/{shown.delivery['id']}"})


@router.get(
    "/endpoints/{endpoint_id}/deliveries",
    operation_id="partners.endpoints.deliveries",
    response_model=Page[DeliveryOut],
    summary=say("What was sent there, and what came back", "推送记录与应答"),
)
async def list_deliveries(
    endpoint_id: uuid.UUID,
    ctx: Ctx,
    who: Who,
    state: Annotated[
        Literal["due", "delivered", "failed"] | None,
        Query(
            description=say("`due`, `delivered` or `failed`.", "`due` 待推送，`delivered` 已送达，`failed` 已放弃。")
        ),
    ] = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Response:
    after = pages.after(cursor, datetime, uuid.UUID)
    found = await ctx.db.read(
        actions.deliveries,
        who,
        endpoint_id,
        state=state,
        after=after,
        limit=limit + 1,
    )
    return web.json(pages.page(found, limit, _out, lambda one: (one.delivery["made_at"], one.delivery["id"])))


@router.post(
    "/endpoints/{endpoint_id}/recover",
    operation_id="partners.endpoints.recover",
    response_model=RecoveredOut,
    summary=say("Send again what did not arrive in a range of time", "重新推送某时间段内未送达的通知"),
    description=say(
        "What failed or was never sent becomes due. `next` is set when there is more: ask again with it as `since`.",
        "失败或未推送的通知将重新推送。若有剩余，`next` 不为空：以其作为 `since` 再次请求。",
    ),
    responses=refuses(errors.Conflict),
)
async def recover(endpoint_id: uuid.UUID, told: RecoverIn, ctx: Wide, who: Who) -> Response:
    found = await actions.recover(ctx.db, who, endpoint_id, told.since, told.until)
    return web.json(RecoveredOut(recovered=found.recovered, done=found.rest is None, next=found.rest))


@router.get(
    "/deliveries/{delivery_id}",
    operation_id="partners.deliveries.read",
    response_model=DeliveryOut,
    summary=say("One delivery and its attempts", "查看一次推送及其尝试"),
)
async def read_delivery(delivery_id: uuid.UUID, ctx: Ctx, who: Who) -> Response:
    return web.json(_out(await ctx.db.read(actions.delivery, who, delivery_id)))


@router.post(
    "/deliveries/{delivery_id}/resend",
    status_code=202,
    operation_id="partners.deliveries.resend",
    response_model=DeliveryOut,
    summary=say("Send this again", "重新推送"),
    description=say(
        "A notice that the endpoint is still to hear of, or the challenge as long as it was not echoed.",
        "仍在接口接收范围内的通知，或尚未回应的验证。",
    ),
    responses=refuses(errors.Conflict),
)
async def resend(delivery_id: uuid.UUID, ctx: Wide, who: Who) -> Response:
    return web.json(_out(await ctx.db.run(actions.resend, who, delivery_id)), 202)
