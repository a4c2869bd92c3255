"""Families over HTTP: my children, second guardians, and what staff enter, check and bar."""

from __future__ import annotations

import uuid
from functools import partial

from fastapi import APIRouter, Response

from services.identity import actions, rules
from services.identity.actions.families import Evidence, unseal
from services.identity.routes.given import DOCUMENT_REFUSALS, At, Mine, acts_for, named, read_document
from services.identity.schemas import ActsForOut
from services.identity.schemas.families import (
    AcceptIn,
    BarIn,
    ChildIn,
    EvidenceIn,
    GuardianIn,
    InvitationOut,
    LevelIn,
    LiftIn,
    RelativeOut,
    SeenIn,
)
from services.identity.sql.families import Relation
from shared import errors, pages, web
from shared.assertion import Caller
from shared.claiming import NamedOut
from shared.crypto import Keyring
from shared.pages import Cursor, Limit, Page
from shared.texts import say
from shared.web import Who, Wide, refuses

router = APIRouter(tags=["identity"])

OFFICE = (errors.VerificationRequired, errors.Exists, errors.GuardianBarred, errors.LimitReached, errors.InFlight)


def _where(person_id: uuid.UUID) -> str:
    return f"/v1/identity/me/family/{person_id}"


def _evidence(told: EvidenceIn | SeenIn) -> Evidence:
    return Evidence(told.kind, told.last4, told.note)


def _relative(keys: Keyring, who: Caller, one: Relation, asked: uuid.UUID, *, to_staff: bool) -> RelativeOut:
    is_child = one.person_id == asked
    parties = (one.actor_id, one.actor_name), (one.person_id, one.name)
    guardian, child = named(who, *parties) if to_staff else [NamedOut(id=id_, name=name) for id_, name in parties]
    said, is_shown = unseal(keys, one), to_staff and one.is_barred
    return RelativeOut.model_validate(
        {
            "person": guardian if is_child else child,
            "relation": "guardian" if is_child else "child",
            "level": rules.LEVELS[one.level],
            "evidence": one.evidence,
            "last4": said.get("last4"),
            "until": None if one.is_barred else one.ends_at,
            "barred": is_shown,
            "reason": said.get("reason") if is_shown else None,
            "document": said.get("document") if is_shown else None,
        }
    )


@router.get(
    "/me/family",
    operation_id="identity.me.family.list",
    response_model=Page[ActsForOut],
    summary=say("My children", "我的子女"),
)
async def list_family(ctx: Wide, account_no: Mine, limit: Limit = 50, cursor: Cursor = None) -> Response:
    after = pages.after(cursor, uuid.UUID)
    found = await ctx.db.read(actions.families.children, account_no, after=after, limit=limit + 1)
    return web.private(pages.page(found, limit, acts_for, lambda one: one.id))


@router.post(
    "/me/family",
    operation_id="identity.me.family.create",
    status_code=201,
    response_model=ActsForOut,
    summary=say("Add a child of mine", "添加子女"),
    description=say(
        "For a verified adult; the child is under 18 by its document and nobody has registered it yet. Whose child is "
        "registered already is invited by the other guardian, or entered by staff.",
        "限已实名的成年人；按证件未满 18 周岁且尚未登记的子女。已登记的，由另一监护人邀请或由工作人员登记。",
    ),
    responses=refuses(*DOCUMENT_REFUSALS, errors.VerificationRequired, errors.LimitReached),
)
async def add_child(told: ChildIn, ctx: Wide, account_no: Mine, at: At) -> Response:
    number = read_document(told.document)
    at.documents.take(account_no)
    made = await ctx.db.run(
        actions.families.add_child,
        ctx.keys,
        account_no,
        name=told.name,
        document=number,
        evidence=_evidence(told.evidence) if told.evidence is not None else None,
    )
    return web.private(acts_for(made), 201, Location=_where(made.person_id))


@router.post(
    "/me/family/accept",
    operation_id="identity.me.family.accept",
    status_code=201,
    response_model=ActsForOut,
    summary=say("Become a child's second guardian by an invitation", "凭邀请成为监护人"),
    description=say(
        "For a verified adult, with the code that the other guardian was given: once, within a day.",
        "限已实名的成年人，凭另一监护人获得的邀请码，一日内使用一次。",
    ),
    responses=refuses(*OFFICE, errors.Gone),
)
async def accept(told: AcceptIn, ctx: Wide, account_no: Mine, at: At) -> Response:
    at.documents.take(account_no)
    made = await ctx.db.run(actions.families.accept, ctx.keys, account_no, told.code)
    return web.private(acts_for(made), 201, Location=_where(made.person_id))


@router.get(
    "/me/family/{person_id}",
    operation_id="identity.me.family.read",
    response_model=ActsForOut,
    summary=say("A child of mine", "查看子女"),
)
async def read_child(person_id: uuid.UUID, ctx: Wide, account_no: Mine) -> Response:
    return web.private(acts_for(await ctx.db.read(actions.families.child, account_no, person_id)))


@router.delete(
    "/me/family/{person_id}",
    operation_id="identity.me.family.delete",
    status_code=204,
    summary=say("End my guardianship of a child", "解除监护关系"),
)
async def remove_child(person_id: uuid.UUID, ctx: Wide, account_no: Mine) -> Response:
    await ctx.db.run(actions.families.remove_child, account_no, person_id)
    return Response(status_code=204)


@router.post(
    "/me/family/{person_id}/invitations",
    operation_id="identity.me.family.invite",
    status_code=201,
    response_model=InvitationOut,
    summary=say("Invite the child's second guardian", "邀请另一监护人"),
    description=say(
        "The code is for one person, once, within a day; a newer one takes its place.",
        "邀请码一日内仅限一人使用一次；重新生成后旧码失效。",
    ),
    responses=refuses(errors.LimitReached),
)
async def invite(person_id: uuid.UUID, ctx: Wide, account_no: Mine) -> Response:
    made = await ctx.db.run(actions.families.invite, ctx.keys, account_no, person_id)
    return web.private(InvitationOut.model_validate(made), 201)


@router.get(
    "/people/{person_id}/family",
    operation_id="identity.people.family.list",
    response_model=Page[RelativeOut],
    summary=say("Somebody's guardians and children", "监护人与子女"),
    description=say(
        "For those who act for them, and staff of their region. Only staff see who is barred and why; that they looked is "
        "written down.",
        "限可代其办理的人及本区域工作人员。禁止担任监护人的记录及原因仅工作人员可见，查看均有记录。",
    ),
)
async def list_relatives(
    person_id: uuid.UUID, ctx: Wide, who: Who, limit: Limit = 50, cursor: Cursor = None
) -> Response:
    after = pages.after(cursor, uuid.UUID)
    found, is_staff = await ctx.db.run(actions.families.read, who, person_id, after=after, limit=limit + 1)
    shown = partial(_relative, ctx.keys, who, asked=person_id, to_staff=is_staff)
    return web.private(pages.page(found, limit, shown, lambda one: one.id))


@router.post(
    "/people/{person_id}/family",
    operation_id="identity.people.family.create",
    status_code=201,
    response_model=RelativeOut,
    summary=say("Enter a child's guardian (staff)", "登记监护人（工作人员）"),
    responses=refuses(*OFFICE),
)
async def enter(person_id: uuid.UUID, told: GuardianIn, ctx: Wide, who: Who) -> Response:
    seen, level = _evidence(told.evidence), rules.LEVELS.index(told.level)
    made = await ctx.db.run(actions.families.enter, ctx.keys, who, person_id, told.guardian, seen, level)
    return web.private(
        _relative(ctx.keys, who, made, person_id, to_staff=True),
        201,
        Location=f"/v1/identity/people/{person_id}/family",
    )


@router.put(
    "/people/{person_id}/family/{guardian_id}",
    operation_id="identity.people.family.replace",
    response_model=RelativeOut,
    summary=say("Say how well a guardianship is known (staff)", "核验监护关系（工作人员）"),
)
async def check(person_id: uuid.UUID, guardian_id: uuid.UUID, told: LevelIn, ctx: Wide, who: Who) -> Response:
    seen, level = _evidence(told.evidence), rules.LEVELS.index(told.level)
    made = await ctx.db.run(actions.families.check, ctx.keys, who, person_id, guardian_id, seen, level)
    return web.private(_relative(ctx.keys, who, made, person_id, to_staff=True))


@router.post(
    "/people/{person_id}/family/{guardian_id}/bar",
    operation_id="identity.people.family.bar",
    response_model=RelativeOut,
    summary=say("Bar somebody from being a child's guardian (staff)", "禁止担任监护人（工作人员）"),
    description=say(
        "It counts at once, everywhere. What was claimed for the child stays the child's and its other guardians'.",
        "立即在所有服务中生效。已为该儿童预约的名额归该儿童及其他监护人。",
    ),
)
async def bar(person_id: uuid.UUID, guardian_id: uuid.UUID, told: BarIn, ctx: Wide, who: Who) -> Response:
    made = await ctx.db.run(
        actions.families.bar, ctx.keys, who, person_id, guardian_id, reason=told.reason, document=told.document
    )
    return web.private(_relative(ctx.keys, who, made, person_id, to_staff=True))


@router.post(
    "/people/{person_id}/family/{guardian_id}/lift",
    operation_id="identity.people.family.lift",
    status_code=204,
    summary=say("Bar somebody no longer (staff)", "解除禁止（工作人员）"),
)
async def lift(person_id: uuid.UUID, guardian_id: uuid.UUID, told: LiftIn, ctx: Wide, who: Who) -> Response:
    await ctx.db.run(actions.families.lift, ctx.keys, who, person_id, guardian_id, reason=told.reason)
    return Response(status_code=204)
