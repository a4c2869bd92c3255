"""Roles over HTTP: who may do what, granted and taken back."""

from __future__ import annotations

import uuid
from typing import Annotated, Literal

from fastapi import APIRouter, Query, Response

from services.identity import actions
from services.identity.actions.roles import Wish
from services.identity.schemas.people import PartyOut
from services.identity.schemas.roles import GrantedRoleOut, RoleIn, RoleName
from services.identity.sql.roles import Granted
from shared import errors, masking, pages, web
from shared.pages import Cursor, Limit, Page
from shared.places.schemas.words import Region
from shared.texts import say
from shared.web import Ctx, Who, refuses

router = APIRouter(tags=["identity"])


def _shown(one: Granted) -> GrantedRoleOut:
    return GrantedRoleOut(
        id=one.id,
        account=one.account_id,
        person=PartyOut(id=one.person_id, name=masking.name(one.account_name)) if one.person_id else None,
        role=one.role,
        region=one.prefix,
        place_id=one.place_id,
        starts_at=one.starts_at,
        until=one.ends_at,
        over=one.is_over,
    )


@router.get(
    "/roles",
    operation_id="identity.roles.list",
    response_model=Page[GrantedRoleOut],
    summary=say("Who may do what", "岗位授权"),
    description=say(
        "For administrators, security and audit, below their own region.",
        "限系统管理员、安全管理员与审计员，本区域及下级。",
    ),
)
async def list_roles(
    ctx: Ctx,
    who: Who,
    region: Annotated[Region | None, Query(description=say("Below this code.", "该区划及下级。"))] = None,
    role: Annotated[RoleName | None, Query(description=say("Only this role.", "仅此岗位。"))] = None,
    person: Annotated[uuid.UUID | None, Query(description=say("Only this person's.", "仅此人员。"))] = None,
    state: Annotated[
        Literal["current", "over"], Query(description=say("In force, or over.", "有效或已结束。"))
    ] = "current",
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Response:
    after = pages.after(cursor, uuid.UUID)
    found = await ctx.db.read(
        actions.roles.granted,
        who,
        region=region,
        role=role,
        person_id=person,
        is_over=state == "over",
        after=after,
        limit=limit + 1,
    )
    return web.private(pages.page(found, limit, _shown, lambda one: one.id))


@router.post(
    "/roles",
    operation_id="identity.roles.create",
    status_code=201,
    response_model=GrantedRoleOut,
    summary=say("Grant a role", "授予岗位"),
    description=say(
        "Administrators grant all roles but security and audit, which security grants; below one's own region, never to "
        "oneself. Administrator, security and audit are three different people.",
        "系统管理员可授予除安全管理与审计以外的岗位，后两者由安全管理员授予；仅限本区域及下级，且不得授予本人。系统管理、安全管理与审计须由三人分别担任。",
    ),
    responses=refuses(errors.OwnMatter, errors.Exists, errors.PowersApart, errors.RegionEnded),
)
async def create_role(told: RoleIn, ctx: Ctx, who: Who) -> Response:
    wish = Wish(told.account, told.person, told.role, told.region, told.place_id, told.until, told.reason)
    return web.private(_shown(await ctx.db.run(actions.roles.grant, who, wish)), 201)


@router.get(
    "/roles/{role_id}",
    operation_id="identity.roles.read",
    response_model=GrantedRoleOut,
    summary=say("Read one role", "查看岗位授权"),
)
async def read_role(role_id: uuid.UUID, ctx: Ctx, who: Who) -> Response:
    return web.private(_shown(await ctx.db.read(actions.roles.read, who, role_id)))


@router.delete(
    "/roles/{role_id}",
    operation_id="identity.roles.delete",
    status_code=204,
    summary=say("Take a role back", "收回岗位"),
    description=say(
        "By whoever may grant it. It counts within two seconds; who had it is told.",
        "由有权授予者收回，两秒内生效，并通知本人。",
    ),
    responses=refuses(errors.OwnMatter),
)
async def delete_role(
    role_id: uuid.UUID,
    ctx: Ctx,
    who: Who,
    reason: Annotated[
        Literal["moved_on", "mistake", "misuse", "reorganised"], Query(description=say("Why.", "收回原因。"))
    ],
) -> Response:
    await ctx.db.run(actions.roles.withdraw, who, role_id, reason)
    return Response(status_code=204)
