"""Over HTTP: inviting colleagues to log in, one's own password, and a colleague's lost second factor."""

from __future__ import annotations

import uuid

from fastapi import APIRouter, Response

from services.identity import actions, passwords
from services.identity.schemas.staff import PasswordIn, StaffInvitationIn, StaffInvitationOut
from shared import errors, web
from shared.texts import say
from shared.web import Ctx, Who, refuses

router = APIRouter(tags=["staff log in"])


@router.post(
    "/staff",
    operation_id="identity.staff.create",
    status_code=201,
    response_model=StaffInvitationOut,
    summary=say("Invite a colleague to set a password", "邀请同事设置密码"),
    description=say(
        "For who may grant all the colleague's roles: administrators in their region, for security and audit the security "
        "administrator. Good once, for a day; the invitation before "
        "is void. It is the way to a forgotten password, too: when it is used, every session of theirs ends.",
        "限可授予对方全部角色者：辖区管理员；安全与审计角色由安全管理员办理。邀请码一次有效，24 小时内使用，新邀请使旧邀请失效。"
        "忘记密码时同样使用；设置后其全部会话终止。",
    ),
    responses=refuses(errors.Exists),
)
async def invite(told: StaffInvitationIn, ctx: Ctx, who: Who) -> Response:
    made = await ctx.db.run(
        actions.staff.invite, ctx.keys, who, account_id=told.account, person_id=told.person, name=told.name
    )
    page = f"{ctx.settings.public_url.rstrip('/')}/oauth/invitation"
    answer = StaffInvitationOut(account=made.account_id, page=page, code=made.code, expires_at=made.expires_at)
    return web.private(answer, 201)


@router.delete(
    "/staff/{account_id}/second-factor",
    operation_id="identity.staff.forget_second_factor",
    status_code=204,
    summary=say("Take a lost second factor away", "重置动态口令"),
    description=say(
        "For who may invite them, and not for oneself. Their sessions end; at the next login they set up a new one.",
        "限可邀请对方者办理，不可为本人办理。其会话终止，下次登录时重新启用。",
    ),
)
async def forget_second_factor(account_id: uuid.UUID, ctx: Ctx, who: Who) -> Response:
    await ctx.db.run(actions.staff.forget_second, who, account_id)
    return Response(status_code=204)


@router.put(
    "/me/password",
    operation_id="identity.me.password",
    status_code=204,
    summary=say("Change my password", "修改密码"),
    description=say(
        "My other sessions end. After a wrong `current` the next try must wait, longer each time.",
        "其他会话将终止。`current` 错误后须等待，等待时间逐次延长。",
    ),
)
async def change_password(told: PasswordIn, ctx: Ctx, who: Who) -> Response:
    account_no = who.known()
    if fault := passwords.fault(told.new):
        raise errors.Unprocessable.at("/new", fault)
    passwords.require_room()
    kept = await ctx.db.run(actions.staff.try_own_password, ctx.keys, account_no)
    if not await passwords.verify(kept, told.current):
        raise errors.Unprocessable.at("/current", "wrong")
    new = await passwords.keep(told.new)
    await ctx.db.run(actions.staff.change_password, ctx.keys, account_no, who.session_id, new)
    return Response(status_code=204)
