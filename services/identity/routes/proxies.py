"""Proxies over HTTP: asked for, agreed to, shown, revoked."""

from __future__ import annotations

import uuid
from typing import Any

from fastapi import APIRouter, Response

from services.identity import actions
from services.identity.actions.proxies import Proxy, Scope
from services.identity.routes.given import DOCUMENT_REFUSALS, At, Mine, named, read_document, read_phone
from services.identity.schemas.families import CodeTold, ProxyAtDeskIn, ProxyIn, ProxyOut, ProxyShownOut
from shared import errors, web
from shared.assertion import Caller
from shared.pages import Page
from shared.texts import say
from shared.web import Who, Wide, refuses

router = APIRouter(tags=["identity"])

BEGINNING = (errors.VerificationRequired, errors.Exists, errors.LimitReached)


def _shape(one: Proxy, who: Caller) -> dict[str, Any]:
    person, proxy = named(who, (one.person_id, one.person_name), (one.proxy_id, one.proxy_name))
    return {
        "id": one.id,
        "state": one.state,
        "person": person,
        "proxy": proxy,
        "services": one.services,
        "cap_fen": one.cap_fen,
        "until": one.until,
        "made_at": one.made_at,
    }


def _out(one: Proxy, who: Caller) -> ProxyOut:
    return ProxyOut.model_validate(_shape(one, who))


def _shown(one: Proxy, who: Caller, status: int, where: str | None = None) -> Response:
    told = _shape(one, who) | {"code": one.code, "code_expires_at": one.code_expires_at}
    return web.private(ProxyShownOut.model_validate(told), status, **({"Location": where} if where else {}))


def _listed(found: list[Proxy], who: Caller) -> Response:
    return web.private(Page[ProxyOut](items=[_out(one, who) for one in found]))


def _scope(told: ProxyIn | ProxyAtDeskIn) -> Scope:
    return Scope(sorted(set(told.services)), told.until, told.cap_fen)


@router.get(
    "/me/proxies",
    operation_id="identity.me.proxies.list",
    response_model=Page[ProxyOut],
    summary=say("Who acts for me, and whom I act for as a proxy", "代办关系：谁为我代办，我为谁代办"),
)
async def list_mine(ctx: Wide, who: Who, account_no: Mine) -> Response:
    return _listed(await ctx.db.read(actions.proxies.mine, account_no), who)


@router.post(
    "/me/proxies",
    operation_id="identity.me.proxies.create",
    status_code=201,
    response_model=ProxyOut,
    summary=say("Ask to act for somebody, or appoint somebody", "申请代办，或委托他人代办"),
    description=say(
        "Whom one asks to act for is named by name and document, and must agree first, in the app or at the desk. Whom one "
        "appoints is named by name and phone, and may act at once. Both are told.",
        "申请代办须提供对方姓名与证件，经其在应用内或窗口同意后生效；委托他人须提供姓名与手机号，立即生效。双方均会收到通知。",
    ),
    responses=refuses(*DOCUMENT_REFUSALS, errors.PhoneMalformed, *BEGINNING),
)
async def create(told: ProxyIn, ctx: Wide, who: Who, account_no: Mine, at: At) -> Response:
    scope = _scope(told)
    if told.person is not None:
        number = read_document(told.person.document, "/person/document/number")
        at.documents.take(account_no)
        made = await ctx.db.run(
            actions.proxies.ask, ctx.keys, account_no, name=told.person.name, document=number, scope=scope
        )
    elif told.proxy is not None:
        reached = read_phone(told.proxy.phone, "/proxy/phone")
        at.documents.take(account_no)
        made = await ctx.db.run(
            actions.proxies.appoint, ctx.keys, account_no, name=told.proxy.name, phone=reached, scope=scope
        )
    else:  # pragma: no cover - the schema wants one of them
        raise errors.Unprocessable
    return web.private(_out(made, who), 201, Location=f"/v1/identity/me/proxies/{made.id}")


@router.get(
    "/me/proxies/{proxy_id}",
    operation_id="identity.me.proxies.read",
    response_model=ProxyOut,
    summary=say("One of them", "查看代办关系"),
)
async def read_mine(proxy_id: uuid.UUID, ctx: Wide, who: Who, account_no: Mine) -> Response:  # noqa: ARG001 - a known one
    return web.private(_out(await ctx.db.read(actions.proxies.one, who, None, proxy_id), who))


@router.post(
    "/me/proxies/{proxy_id}/confirm",
    operation_id="identity.me.proxies.confirm",
    response_model=ProxyOut,
    summary=say("Agree that somebody acts for me", "同意由其为我代办"),
    responses=refuses(errors.Gone, errors.Exists),
)
async def confirm_mine(proxy_id: uuid.UUID, ctx: Wide, who: Who, account_no: Mine) -> Response:
    return web.private(_out(await ctx.db.run(actions.proxies.confirm, account_no, proxy_id), who))


@router.delete(
    "/me/proxies/{proxy_id}",
    operation_id="identity.me.proxies.delete",
    status_code=204,
    summary=say("Revoke, refuse, or give up", "撤销、拒绝或放弃代办"),
    description=say("It counts at once. Both are told.", "立即生效，双方均会收到通知。"),
)
async def revoke_mine(proxy_id: uuid.UUID, ctx: Wide, who: Who, account_no: Mine) -> Response:  # noqa: ARG001 - a known one
    await ctx.db.run(actions.proxies.revoke, who, None, proxy_id)
    return Response(status_code=204)


@router.get(
    "/people/{person_id}/proxies",
    operation_id="identity.people.proxies.list",
    response_model=Page[ProxyOut],
    summary=say("Somebody's proxies", "某人的受托代办人"),
    description=say(
        "For those who act for them (a proxy sees their own line), and staff of their region.",
        "限可代其办理的人（受托人仅见本人一项）及本区域工作人员。",
    ),
)
async def list_theirs(person_id: uuid.UUID, ctx: Wide, who: Who) -> Response:
    return _listed(await ctx.db.read(actions.proxies.theirs, who, person_id), who)


@router.post(
    "/people/{person_id}/proxies",
    operation_id="identity.people.proxies.create",
    status_code=201,
    response_model=ProxyShownOut,
    summary=say("Write down who is to act for the person at the desk (staff)", "窗口登记代办人（工作人员）"),
    description=say(
        "The code is shown or read to the person alone; when they say it, `confirm` makes it count.",
        "确认码仅出示或读给本人；本人报出后，经 `confirm` 生效。",
    ),
    responses=refuses(*BEGINNING),
)
async def create_theirs(person_id: uuid.UUID, told: ProxyAtDeskIn, ctx: Wide, who: Who) -> Response:
    made = await ctx.db.run(actions.proxies.ask_at_desk, ctx.keys, who, person_id, told.proxy, _scope(told))
    return _shown(made, who, 201, f"/v1/identity/people/{person_id}/proxies/{made.id}")


@router.get(
    "/people/{person_id}/proxies/{proxy_id}",
    operation_id="identity.people.proxies.read",
    response_model=ProxyOut,
    summary=say("One of somebody's proxies", "查看某人的一位代办人"),
)
async def read_theirs(person_id: uuid.UUID, proxy_id: uuid.UUID, ctx: Wide, who: Who) -> Response:
    return web.private(_out(await ctx.db.read(actions.proxies.one, who, person_id, proxy_id), who))


@router.post(
    "/people/{person_id}/proxies/{proxy_id}/code",
    operation_id="identity.people.proxies.show_code",
    response_model=ProxyShownOut,
    summary=say("A new code for the person at the desk (staff)", "重新生成确认码（工作人员）"),
)
async def show_code(person_id: uuid.UUID, proxy_id: uuid.UUID, ctx: Wide, who: Who) -> Response:
    return _shown(await ctx.db.run(actions.proxies.show_code, ctx.keys, who, person_id, proxy_id), who, 200)


@router.post(
    "/people/{person_id}/proxies/{proxy_id}/confirm",
    operation_id="identity.people.proxies.confirm",
    response_model=ProxyOut,
    summary=say("Enter the code that the person has said (staff)", "录入本人报出的确认码（工作人员）"),
    description=say("Five tries, a quarter of an hour.", "十五分钟内有效，最多尝试五次。"),
    responses=refuses(errors.DeskCodeWrong, errors.Gone, errors.Exists),
)
async def confirm_theirs(person_id: uuid.UUID, proxy_id: uuid.UUID, told: CodeTold, ctx: Wide, who: Who) -> Response:
    made = await ctx.db.run(actions.proxies.confirm_at_desk, ctx.keys, who, person_id, proxy_id, told.code)
    if isinstance(made, errors.Refusal):
        raise made
    return web.private(_out(made, who))


@router.delete(
    "/people/{person_id}/proxies/{proxy_id}",
    operation_id="identity.people.proxies.delete",
    status_code=204,
    summary=say("Revoke at the person's word (staff)", "按本人意愿撤销代办（工作人员）"),
)
async def revoke_theirs(person_id: uuid.UUID, proxy_id: uuid.UUID, ctx: Wide, who: Who) -> Response:
    await ctx.db.run(actions.proxies.revoke, who, person_id, proxy_id)
    return Response(status_code=204)
