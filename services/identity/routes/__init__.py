"""Identity over HTTP: codes, sessions, and me."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Literal

from fastapi import APIRouter, Depends, Response

from services.identity import actions, codes, rules, sql
from services.identity.limits import Allowance, network
from services.identity.providers import Providers
from services.identity.routes import (
    audit,
    consents,
    deaths,
    families,
    oauth,
    people,
    places,
    proxies,
    reports,
    retention,
    reveals,
    rights,
    roles,
    staff,
)
from services.identity.routes import logins as ways
from services.identity.routes.given import (
    DOCUMENT_REFUSALS,
    At,
    Desk,
    Mine,
    acts_for,
    read_document,
    read_phone,
)
from services.identity.routes.issued import refreshed, tokens_of
from services.identity.schemas import (
    CodeIn,
    CodeOut,
    DocumentOut,
    MeOut,
    OwnAccountOut,
    PersonOut,
    RealNameIn,
    RefreshIn,
    RoleOut,
    SessionIn,
    SessionOut,
    TokensOut,
)
from shared import errors, pages, web
from shared.pages import Cursor, Limit, Page
from shared.texts import say
from shared.web import EVERYWHERE, App, Context, Ctx, Who, Wide, refuses, service_app

# The caller is asked for here, so that no route, not even one for everybody, answers past the gateway.
router = APIRouter(prefix="/v1/identity", responses=EVERYWHERE, dependencies=[Depends(web.caller)])
own = APIRouter(tags=["identity"])


@own.post(
    "/codes",
    operation_id="identity.codes.create",
    status_code=202,
    response_model=CodeOut,
    response_model_exclude_none=True,
    summary=say("Send a login code to a phone", "发送登录验证码"),
    description=say(
        "Six digits, valid for five minutes and five tries. The answer is the same for every phone; the pause before "
        "the next code grows.",
        "六位数字，五分钟内有效，最多尝试五次。对任何手机号的回答都相同；再次发送的间隔逐次延长。",
    ),
    responses=refuses(
        errors.PhoneMalformed, errors.InFlight, errors.ProviderOff, errors.ProviderDown, errors.ProviderSlow
    ),
)
async def create_code(told: CodeIn, ctx: Ctx, who: Who, at: At) -> Response:
    phone, demo = read_phone(told.phone), ctx.settings.demo
    at.codes.take(network(who.address))
    made = await ctx.db.run(actions.logins.make_code, ctx.keys, phone, demo=demo)
    try:
        await at.sender.send(phone, made.code)
    except errors.Refusal:
        await ctx.db.run(actions.logins.unsend_code, ctx.keys, phone, made)
        raise
    answer = CodeOut(
        expires_in=int(codes.LIFE.total_seconds()), resend_in=made.resend_in, demo_code=made.code if demo else None
    )
    return Response(answer.model_dump_json(exclude_none=True), 202, {"Cache-Control": "no-store"}, "application/json")


@own.post(
    "/sessions",
    operation_id="identity.sessions.create",
    status_code=201,
    response_model=TokensOut,
    summary=say("Log in", "登录"),
    description=say(
        "By phone with a code, or with what WeChat, Alipay, Zheliban or an OpenID provider gave. Who brings a phone for "
        "the first time becomes a resident. A wrong code counts as a try.",
        "使用手机验证码，或微信、支付宝、浙里办、OpenID 的授权码登录。首次携带手机号登录即注册为居民。验证码错误计入尝试次数。",
    ),
    responses=refuses(errors.CodeWrong, errors.PhoneMalformed, *ways.REFUSALS),
)
async def create_session(told: SessionIn, ctx: Wide, who: Who, at: At) -> Response:
    phone = ways.checked(told)
    at.logins.take(network(who.address))
    terms = actions.logins.Terms(
        device=told.device,
        life=timedelta(days=ctx.settings.refresh_days),
        idle=timedelta(days=ctx.settings.idle_days),
        demo=ctx.settings.demo,
    )
    if phone is not None:
        issued = await ways.twice(
            lambda: ctx.db.run(actions.logins.open_by_code, ctx.keys, terms, phone=phone, code=told.code)
        )
    else:
        vouched = await at.providers.exchange(told.provider, ways.brought(told))
        issued = await ways.twice(
            lambda: ctx.db.run(actions.logins.open_session, ctx.keys, terms, told.provider, vouched)
        )
    if issued is None:
        raise errors.CodeWrong
    return web.private(tokens_of(ctx, issued), 201)


@own.post(
    "/sessions/refresh",
    operation_id="identity.sessions.refresh",
    response_model=TokensOut,
    summary=say("Get the next tokens", "刷新令牌"),
    description=say(
        "A refresh token is good once. If the answer was lost, ask again with the same token within thirty seconds and "
        "get the same answer; used later, it ends the session.",
        "刷新令牌一次有效。若未收到回答，三十秒内可用同一令牌重试并得到相同结果；此后再用将终止会话。",
    ),
)
async def refresh_session(told: RefreshIn, ctx: Wide) -> Response:
    issued = await refreshed(ctx, told.refresh_token)
    if issued is None:
        raise errors.NotKnown
    return web.private(tokens_of(ctx, issued))


@own.get(
    "/sessions",
    operation_id="identity.sessions.list",
    response_model=Page[SessionOut],
    summary=say("My devices", "我的登录设备"),
)
async def list_sessions(ctx: Ctx, who: Who, account_no: Mine, limit: Limit = 50, cursor: Cursor = None) -> Response:
    after = pages.after(cursor, datetime, uuid.UUID)
    found = await ctx.db.read(sql.logins.sessions, account_no, after, limit + 1)

    def shown(one: sql.logins.LiveSession) -> SessionOut:
        return SessionOut(**one._asdict(), current=one.id == who.session_id)

    return web.private(pages.page(found, limit, shown, lambda one: (one.made_at, one.id)))


@own.delete(
    "/sessions/{session_id}",
    operation_id="identity.sessions.delete",
    status_code=204,
    summary=say("Log out a device", "退出登录"),
    description=say(
        "`current` is the session of this request. Its access token is refused within two seconds.",
        "`current` 为当前会话。其访问令牌在两秒内失效。",
    ),
)
async def delete_session(session_id: Literal["current"] | uuid.UUID, ctx: Ctx, who: Who, account_no: Mine) -> Response:
    wanted = who.session_id if session_id == "current" else session_id
    if not isinstance(wanted, uuid.UUID):
        raise errors.NotThere
    await ctx.db.run(actions.logins.end_session, account_no, wanted)
    return Response(status_code=204)


@own.delete(
    "/sessions",
    operation_id="identity.sessions.delete_all",
    status_code=204,
    summary=say("Log out everywhere", "退出全部设备"),
    description=say("This device, too.", "包括当前设备。"),
)
async def delete_sessions(ctx: Ctx, account_no: Mine) -> Response:
    await ctx.db.run(actions.logins.end_sessions, account_no)
    return Response(status_code=204)


def _me(me: actions.people.Me) -> MeOut:
    member = me.member
    person = None
    if member.person_id is not None and member.community is not None:
        document = None
        if member.document_kind is not None and member.document_last4 is not None:
            document = DocumentOut(kind=rules.DocumentKind(member.document_kind), last4=member.document_last4)
        person = PersonOut(
            id=member.person_id,
            name=member.name,
            community=member.community,
            level=member.level,
            document=document,
            phone_masked=me.phone_masked,
        )
    return MeOut(
        person=person,
        account=OwnAccountOut.model_validate({"id": member.account_id, "kind": member.kind}),
        roles=[RoleOut(role=one.role, region=one.prefix, place_id=one.place_id) for one in me.roles],
        acts_for=[acts_for(one) for one in me.acts_for],
    )


@own.get(
    "/me",
    operation_id="identity.me.read",
    response_model=MeOut,
    summary=say("Who I am, and for whom I may act", "我的信息与可代办对象"),
)
async def read_me(ctx: Ctx, account_no: Mine) -> Response:
    return web.private(_me(await ctx.db.read(actions.people.me, ctx.keys, account_no)))


@own.post(
    "/me/real-name",
    operation_id="identity.me.real_name",
    response_model=MeOut,
    summary=say("Say who I am, by a document", "实名登记"),
    description=say(
        "The number is checked, kept only encrypted, and never shown again but for its last four characters.",
        "证件号码经校验后仅以密文保存，此后只显示末四位。",
    ),
    responses=refuses(*DOCUMENT_REFUSALS, errors.Exists),
)
async def set_real_name(told: RealNameIn, ctx: Wide, account_no: Mine, at: At) -> Response:
    document = read_document(told.document)
    at.documents.take(account_no)
    try:
        known = await ctx.db.run(actions.people.set_real_name, ctx.keys, account_no, name=told.name, document=document)
    except errors.DocumentTaken:  # that transaction is lost, and the staff shall hear of it
        await ctx.db.run(actions.conflicts.note, ctx.keys, account_no, document)
        raise
    return web.private(_me(known))


for part in (
    own,
    ways.router,
    consents.router,
    families.router,
    proxies.router,
    people.router,
    places.router,
    roles.router,
    audit.router,
    reveals.router,
    rights.mine,
    rights.theirs,
    rights.router,
    deaths.mine,
    deaths.theirs,
    deaths.router,
    retention.router,
    reports.router,
    staff.router,
):
    router.include_router(part)

_service: Callable[[Context], App] = service_app("identity", "Identity", [router, oauth.router])


def app(given: Context) -> App:
    """Identity's app: the usual one, with its desk."""
    made = _service(given)
    demo, outside = given.settings.demo, Providers.of(given.settings)
    made.state["desk"] = Desk(
        sender=outside.phone,
        providers=outside,
        codes=Allowance(30, demo=demo),
        logins=Allowance(30 * codes.TRIES, demo=demo),
        documents=Allowance(20, demo=demo),
        searches=Allowance(300, demo=demo),
    )
    return made
