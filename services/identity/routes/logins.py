"""The ways to log in over HTTP: which there are, and which lead into one's own account."""

from __future__ import annotations

import uuid
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from fastapi import APIRouter, Response

from services.identity import actions, providers, sql
from services.identity.limits import network
from services.identity.providers import Told
from services.identity.routes.consents import Lang
from services.identity.routes.given import At, Mine, read_phone
from services.identity.rules import Phone
from services.identity.schemas import LoginIn, LoginOut, ProviderOut
from shared import errors, web
from shared.pages import Page
from shared.texts import choose, say
from shared.web import Ctx, Who, Wide, refuses

router = APIRouter(tags=["identity"])

T = TypeVar("T")

REFUSALS: Final = (
    errors.ProviderOff,
    errors.ProviderDown,
    errors.ProviderSlow,
    errors.LoginUnknown,
    errors.LoginTaken,
    errors.InFlight,
)

_NEEDS: Final = {
    "phone": {"phone"},
    "wechat": set[str](),
    "alipay": set[str](),
    "zheliban": set[str](),
    "oidc": {"verifier", "redirect_uri", "nonce"},
}
_MAY: Final = {"wechat": {"phone_code"}, "alipay": {"phone_code"}}


def checked(told: LoginIn) -> Phone | None:
    """The telephone, where that is the way; refuses what is missing for this provider, and what is another's."""
    given = {
        one for one in ("phone", "phone_code", "verifier", "redirect_uri", "nonce") if getattr(told, one) is not None
    }
    needs = _NEEDS[told.provider]
    wrong = dict.fromkeys(sorted(needs - given), "missing")
    wrong = wrong or dict.fromkeys(sorted(given - needs - _MAY.get(told.provider, set())), "extra_forbidden")
    if wrong:
        raise errors.Unprocessable(
            errors=[{"in": "body", "pointer": f"/{one}", "code": code} for one, code in wrong.items()]
        )
    return None if told.phone is None else read_phone(told.phone)


def brought(told: LoginIn) -> Told:
    """What a provider is asked about."""
    return Told(told.code, told.phone_code, told.verifier, told.redirect_uri, told.nonce)


async def twice(act: Callable[[], Awaitable[T]]) -> T:
    """Act, and once more when the same person did the same at the same moment: their code is good only once."""
    try:
        return await act()
    except errors.InFlight:
        return await act()


@router.get(
    "/providers",
    operation_id="identity.providers.list",
    response_model=Page[ProviderOut],
    summary=say("The ways to log in", "登录方式"),
    description=say("For everybody; `on` says which are set up here.", "无需登录；on 表示是否已开通。"),
)
async def list_providers(at: At, lang: Lang) -> Response:
    items = [
        ProviderOut(
            provider=name,
            title=choose(title, lang),
            on=facts is not None,
            note=choose(providers.NOTES[name], lang) if name in providers.NOTES else None,
            facts=dict(facts or {}),
        )
        for name, title in providers.TITLES.items()
        for facts in [({} if at.sender.is_on else None) if name == "phone" else at.providers.facts(name)]
    ]
    return web.json(Page[ProviderOut](items=items), 200, {"Cache-Control": "public, max-age=60"})


@router.get(
    "/me/logins",
    operation_id="identity.me.logins.list",
    response_model=Page[LoginOut],
    summary=say("The ways into my account", "我的登录方式"),
)
async def list_logins(ctx: Ctx, account_no: Mine) -> Response:
    found = await ctx.db.read(sql.logins.logins, account_no)
    return web.private(Page[LoginOut](items=[LoginOut(**one._asdict()) for one in found]))


@router.post(
    "/me/logins",
    operation_id="identity.me.logins.create",
    status_code=201,
    response_model=LoginOut,
    summary=say("Add a way into my account", "添加登录方式"),
    description=say(
        "With a code, as for a login. The same again is answered with the same.",
        "与登录相同，需提供授权码。重复添加返回同一结果。",
    ),
    responses=refuses(errors.CodeWrong, errors.PhoneMalformed, errors.DocumentTaken, *REFUSALS),
)
async def add_login(told: LoginIn, ctx: Wide, who: Who, account_no: Mine, at: At) -> Response:
    number = checked(told)
    at.logins.take(network(who.address))
    made: sql.logins.Login | None
    if number is not None:
        made = await ctx.db.run(actions.logins.add_by_code, ctx.keys, account_no, phone=number, code=told.code)
    else:
        vouched = await at.providers.exchange(told.provider, brought(told))
        made = await twice(
            lambda: ctx.db.run(
                actions.outside.add, ctx.keys, account_no, told.provider, vouched, has_second=who.has_second
            )
        )
    if made is None:
        raise errors.CodeWrong
    return web.private(LoginOut(**made._asdict()), 201)


@router.delete(
    "/me/logins/{login_id}",
    operation_id="identity.me.logins.delete",
    status_code=204,
    summary=say("Close a way into my account", "移除登录方式"),
    description=say(
        "Never the last one. Devices that logged in through this provider are logged out, but for this one.",
        "不能移除唯一的登录方式。通过该方式登录的其他设备将退出登录。",
    ),
    responses=refuses(errors.LoginLast),
)
async def remove_login(login_id: uuid.UUID, ctx: Ctx, who: Who, account_no: Mine) -> Response:
    await ctx.db.run(actions.outside.remove, account_no, login_id, session_id=who.session_id)
    return Response(status_code=204)
