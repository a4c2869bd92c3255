"""After a death, over HTTP: what one wishes for in life, the record of it, and relatives who may speak for the dead."""

from __future__ import annotations

import uuid
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query, Response

from services.identity import actions
from services.identity.actions.deaths import Wish
from services.identity.schemas.deaths import DeathIn, DeathOut, LeaveIn, LeaveOut, TakeBackIn, WishIn, WishOut
from services.identity.schemas.reveals import DenyIn, MaskedOut
from shared import errors, masking, pages, web
from shared.pages import Cursor, Limit, Page
from shared.texts import say
from shared.web import Ctx, Who, refuses


async def _oneself() -> None:
    return None


async def _named(person_id: uuid.UUID) -> uuid.UUID:
    return person_id


def _wish(found: Wish) -> Response:
    return web.private(WishOut(who=found.who, persons=list(found.named), changed_at=found.changed_at))


def _of(word: str, prefix: str, whose: Any) -> APIRouter:
    """What one person wishes for: the caller, or somebody who says it at the desk."""
    router = APIRouter(prefix=prefix, tags=["privacy"])
    named = Depends(whose)

    @router.get(
        "/after-death",
        operation_id=f"identity.{word}.after_death.read",
        response_model=WishOut,
        summary=say("Who may see what is known of one after one's death", "查看身后个人信息安排"),
    )
    async def read(ctx: Ctx, who: Who, person_id: uuid.UUID | None = named) -> Response:
        return _wish(await ctx.db.read(actions.deaths.read_wish, who, person_id))

    @router.put(
        "/after-death",
        operation_id=f"identity.{word}.after_death.replace",
        response_model=WishOut,
        summary=say("Say who may see it: near relatives, only these people, or nobody", "设置身后个人信息安排"),
        description=say(
            "One's own word, in the app or at the desk; guardians and proxies cannot say it for anybody.",
            "须由本人在应用内或窗口作出，监护人与受委托人不能代为设置。",
        ),
    )
    async def replace(told: WishIn, ctx: Ctx, who: Who, person_id: uuid.UUID | None = named) -> Response:
        return _wish(await ctx.db.run(actions.deaths.put_wish, who, person_id, Wish(told.who, told.persons)))

    return router


mine = _of("me", "/me", _oneself)
theirs = _of("people", "/people/{person_id}", _named)
router = APIRouter(tags=["privacy"])


def _death(row: Any) -> Response:
    return web.private(DeathOut.model_validate(dict(row)))


@router.get(
    "/people/{person_id}/death",
    operation_id="identity.people.death.read",
    response_model=DeathOut,
    summary=say("Whether a death is recorded", "查看死亡登记"),
)
async def read_death(person_id: uuid.UUID, ctx: Ctx, who: Who) -> Response:
    return _death(await ctx.db.read(actions.deaths.read, who, person_id))


@router.put(
    "/people/{person_id}/death",
    operation_id="identity.people.death.replace",
    response_model=DeathOut,
    summary=say("Record a death", "登记死亡"),
    description=say(
        "For staff of the person's region. Logins, roles, guardianships and proxies end at once; places, lists, standing "
        "orders and open welfare checks end within a minute. Said again it corrects the day and the evidence.",
        "限本区域工作人员。登录、岗位、监护与代办关系立即终止；预约、候补、长期订餐及未结探视一分钟内终止。再次提交为更正日期与证明材料。",
    ),
)
async def record_death(person_id: uuid.UUID, told: DeathIn, ctx: Ctx, who: Who) -> Response:
    return _death(await ctx.db.run(actions.deaths.record, who, person_id, told.died_on, told.evidence))


@router.post(
    "/people/{person_id}/death/withdraw",
    operation_id="identity.people.death.withdraw",
    status_code=204,
    summary=say("Take the record of a death back", "撤销死亡登记"),
    description=say(
        "For managers, when it was a mistake. They can log in and book again; what was asked in their name since is not "
        "done. Places that others have by now, and relations, do not come back by themselves.",
        "限负责人，用于登记有误。本人可重新登录和预约，其间以其名义提出的申请作废；已由他人取得的名额及已终止的关系不自动恢复。",
    ),
)
async def withdraw_death(person_id: uuid.UUID, told: TakeBackIn, ctx: Ctx, who: Who) -> Response:
    await ctx.db.run(actions.deaths.take_back, who, person_id, told.reason)
    return Response(status_code=204)


def _masked(person_id: uuid.UUID | None, name: str | None) -> MaskedOut | None:
    return MaskedOut(id=person_id, name=masking.name(name or "")) if person_id is not None else None


def _relative(row: Any) -> LeaveOut:
    return LeaveOut.model_validate(
        {
            **dict(row),
            "state": "over" if row["is_over"] else row["state"],
            "person": _masked(row["person_id"], row["person_name"]),
            "relative": _masked(row["relative_id"], row["relative_name"]),
            "asked_by": _masked(row["by_person_id"], row["by_name"]),
            "decided_by": _masked(row["decided_person_id"], row["decided_name"]),
        }
    )


def _told(row: Any, status: int = 200) -> Response:
    return web.private(_relative(row), status, Location=f"/v1/identity/relatives/{row['id']}")


@router.post(
    "/people/{person_id}/relatives",
    operation_id="identity.people.relatives.create",
    status_code=202,
    response_model=LeaveOut,
    summary=say("Ask leave for a relative of somebody who has died", "为近亲属申请行使死者的个人信息权利"),
    description=say(
        "The staff has seen the papers; a manager who is another person gives leave for 90 days, in which the relative asks "
        "for a copy, a correction or an end under `…/people/{id}/…`. What the person said in life goes first.",
        "工作人员查验材料后提交，由申请人以外的负责人批准，有效期 90 天，期间近亲属可在 `…/people/{id}/…` 下申请副本、更正或注销。本人生前另有安排的从其安排。",
    ),
    responses=refuses(errors.WishedOtherwise, errors.NotByYourself, errors.VerificationRequired, errors.Conflict),
)
async def ask(person_id: uuid.UUID, told: LeaveIn, ctx: Ctx, who: Who) -> Response:
    row = await ctx.db.run(
        actions.deaths.ask,
        who,
        person_id,
        relative_id=told.relative,
        relation=told.relation,
        evidence=told.evidence,
        reason=told.reason,
    )
    return _told(row, 202)


@router.get(
    "/relatives",
    operation_id="identity.relatives.list",
    response_model=Page[LeaveOut],
    summary=say(
        "For whom I have leave, what I asked for, and what I am to decide", "近亲属权限：本人持有、本人提交与待审批"
    ),
)
async def list_relatives(
    ctx: Ctx,
    who: Who,
    state: Annotated[
        Literal["asked", "allowed", "denied"] | None, Query(description=say("Only this state.", "仅此状态。"))
    ] = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Response:
    before = pages.after(cursor, uuid.UUID)
    found = await ctx.db.read(actions.deaths.relatives, who, state, before, limit + 1)
    return web.private(pages.page(found, limit, _relative, lambda one: one["id"]))


@router.get(
    "/relatives/{leave_id}",
    operation_id="identity.relatives.read",
    response_model=LeaveOut,
    summary=say("Read one", "查看近亲属权限"),
)
async def read_relative(leave_id: uuid.UUID, ctx: Ctx, who: Who) -> Response:
    return _told(await ctx.db.read(actions.deaths.relative, who, leave_id))


DECISIONS = refuses(errors.NotByYourself, errors.AlreadyRecorded, errors.Conflict)


@router.post(
    "/relatives/{leave_id}/approve",
    operation_id="identity.relatives.approve",
    response_model=LeaveOut,
    summary=say("Give leave", "批准近亲属权限"),
    responses=DECISIONS,
)
async def approve(leave_id: uuid.UUID, ctx: Ctx, who: Who) -> Response:
    return _told(await ctx.db.run(actions.deaths.decide, who, leave_id, is_allowed=True))


@router.post(
    "/relatives/{leave_id}/deny",
    operation_id="identity.relatives.deny",
    response_model=LeaveOut,
    summary=say("Do not give leave, or end it", "不予批准或终止近亲属权限"),
    responses=DECISIONS,
)
async def deny(leave_id: uuid.UUID, told: DenyIn, ctx: Ctx, who: Who) -> Response:
    return _told(await ctx.db.run(actions.deaths.decide, who, leave_id, is_allowed=False, reason=told.reason))
