"""People at the desk over HTTP: search, enrolment, changes, confirmation, and numbers that two people say are theirs."""

from __future__ import annotations

import uuid
from functools import partial
from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request, Response

from services.identity import actions, rules
from services.identity.actions.desk import Seen, Told
from services.identity.routes.given import DOCUMENT_REFUSALS, At, Mine, matches, read_document, read_phone
from services.identity.schemas.people import (
    CloseIn,
    ConfirmIn,
    ConflictOut,
    FoundOut,
    MaskedDocumentOut,
    MaskedPersonOut,
    PartyOut,
    PersonChangeIn,
    PersonIn,
    SearchIn,
)
from services.identity.sql.conflicts import Case
from shared import errors, masking, pages, web
from shared.pages import Cursor, Limit, Page
from shared.texts import say
from shared.web import Context, Ctx, Who, Wide, refuses

router = APIRouter(tags=["identity"])


def _shown(one: Seen) -> MaskedPersonOut:
    document = None
    if one.document_kind is not None:
        document = MaskedDocumentOut(kind=rules.DocumentKind(one.document_kind), number=one.number_masked)
    return MaskedPersonOut(
        id=one.id,
        name=one.name,
        community=one.community,
        level=one.level,
        document=document,
        phone=one.phone_masked,
    )


def _answer(one: Seen, status: int = 200) -> Response:
    return web.private(_shown(one), status, ETag=web.etag(one.version))


@router.post(
    "/people/search",
    operation_id="identity.people.search",
    response_model=FoundOut,
    summary=say("Look for somebody (staff)", "查找人员（工作人员）"),
    description=say(
        "Numbers and phones are found whole only, names by their beginning; within the region of one's role, at most "
        "twenty. Every search is written down, without what was typed.",
        "证件号码与电话须完整匹配，姓名按开头匹配；仅限本岗位所辖区域，最多二十条。每次查找均留痕，但不记录输入内容。",
    ),
)
async def search(told: SearchIn, ctx: Ctx, who: Who, account_no: Mine, at: At) -> Response:
    at.searches.take(account_no)
    found = await ctx.db.run(actions.desk.search, ctx.keys, who, told.q)
    return web.private(FoundOut(items=[_shown(one) for one in found]))


def _told(told: PersonIn | PersonChangeIn) -> Told:
    return Told(
        told.name,
        read_document(told.document) if told.document else None,
        read_phone(told.phone) if told.phone else None,
        told.born,
        told.sex,
    )


async def _taken(ctx: Context, who: Who, told: Told) -> errors.DocumentTaken:
    """The lost transaction could not look any more who has the number."""
    if told.document is None:  # pragma: no cover - only a document can be taken
        return errors.DocumentTaken()
    return await ctx.db.read(actions.desk.taken, ctx.keys, who, told.document)


@router.post(
    "/people",
    operation_id="identity.people.create",
    status_code=201,
    response_model=MaskedPersonOut,
    summary=say("Enrol somebody at the desk (staff)", "窗口登记人员（工作人员）"),
    description=say(
        "Their mobile logs them in, unless it is somebody's login already. A number that is registered is refused; the "
        "problem names the person (`person`) to staff who may see them.",
        "其手机号可直接用于登录（已被他人用于登录的除外）。号码已登记的将被拒绝；对有权查看的工作人员，错误中给出登记人（`person`）。",
    ),
    responses=refuses(*DOCUMENT_REFUSALS, errors.PhoneMalformed, errors.RegionEnded, errors.InFlight),
)
async def create_person(body: PersonIn, ctx: Ctx, who: Who, account_no: Mine, at: At) -> Response:
    at.searches.take(account_no)  # a number that is taken is a number that was found
    told = _told(body)
    try:
        made = await ctx.db.run(actions.desk.enrol, ctx.keys, who, told, body.community)
    except errors.DocumentTaken:
        raise await _taken(ctx, who, told) from None
    return _answer(made, 201)


@router.get(
    "/people/{person_id}",
    operation_id="identity.people.read",
    response_model=MaskedPersonOut,
    summary=say("Read somebody", "查看人员"),
    description=say(
        "For staff of the person's regions, masked; for guardians and proxies.",
        "限该人员所属区域的工作人员（脱敏显示）及其监护人、受委托人。",
    ),
)
async def read_person(person_id: uuid.UUID, ctx: Ctx, who: Who) -> Response:
    return _answer(await ctx.db.read(actions.desk.read, ctx.keys, who, person_id))


@router.delete(
    "/people/{person_id}/sessions",
    operation_id="identity.people.sessions.delete_all",
    status_code=204,
    summary=say("Log somebody out everywhere (staff)", "终止某人的全部会话（工作人员）"),
    description=say(
        "For who has lost their phone. Not for oneself or one's own family. The person reads it in their ledger.",
        "用于手机遗失等情形。不得办理本人及家属。本人可在查阅记录中看到。",
    ),
)
async def log_out(person_id: uuid.UUID, ctx: Ctx, who: Who) -> Response:
    await ctx.db.run(actions.desk.log_out, who, person_id)
    return Response(status_code=204)


@router.put(
    "/people/{person_id}",
    operation_id="identity.people.replace",
    response_model=MaskedPersonOut,
    summary=say("Change somebody (staff)", "修改人员信息（工作人员）"),
    description=say(
        "What is left out stays. Not for oneself or one's own family. Who was confirmed is changed only with a reason.",
        "未填写的保持不变。不得办理本人及家属。已核验的须说明原因。",
    ),
    responses=refuses(
        *DOCUMENT_REFUSALS,
        errors.PhoneMalformed,
        errors.OwnMatter,
        errors.Confirmed,
        errors.Changed,
        errors.ConditionMissing,
        errors.InFlight,
    ),
)
async def replace_person(
    person_id: uuid.UUID, body: PersonChangeIn, ctx: Ctx, who: Who, account_no: Mine, at: At, request: Request
) -> Response:
    at.searches.take(account_no)
    told = _told(body)
    try:
        made = await ctx.db.run(
            actions.desk.replace, ctx.keys, who, person_id, told, matches(request), reason=body.reason
        )
    except errors.DocumentTaken:
        raise await _taken(ctx, who, told) from None
    return _answer(made)


@router.post(
    "/people/{person_id}/confirm",
    operation_id="identity.people.confirm",
    response_model=MaskedPersonOut,
    summary=say("Confirm who somebody is (staff)", "当面核验（工作人员）"),
    description=say(
        "Level 3: staff have seen the person and the document on record. Not for oneself or one's own family.",
        "等级 3：工作人员已当面核验本人及登记的证件。不得办理本人及家属。",
    ),
    responses=refuses(errors.OwnMatter, errors.VerificationRequired),
)
async def confirm_person(person_id: uuid.UUID, told: ConfirmIn, ctx: Ctx, who: Who) -> Response:
    return _answer(
        await ctx.db.run(actions.desk.confirm, ctx.keys, who, person_id, how=told.how, document=told.document)
    )


def _case(ctx: Context, one: Case) -> ConflictOut:
    phone = actions.conflicts.phone_masked(ctx.keys, one)
    return ConflictOut(
        id=one.id,
        community=one.community,
        document_kind=rules.DocumentKind(one.document_kind),
        person=PartyOut(id=one.person_id, name=masking.name(one.person_name), phone=phone),
        owner=PartyOut(id=one.owner_id, name=masking.name(one.owner_name)),
        tries=one.tries,
        opened_at=one.opened_at,
        closed_at=one.closed_at,
        outcome=one.outcome,
    )


@router.get(
    "/conflicts",
    operation_id="identity.conflicts.list",
    response_model=Page[ConflictOut],
    summary=say("Numbers that two people say are theirs (staff)", "证件冲突（工作人员）"),
)
async def list_conflicts(
    ctx: Wide,
    who: Who,
    state: Annotated[
        Literal["pending", "settled"] | None, Query(description=say("Only these.", "仅未结或已结。"))
    ] = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Response:
    after = pages.after(cursor, uuid.UUID)
    found = await ctx.db.read(
        actions.conflicts.cases,
        who,
        is_open=None if state is None else state == "pending",
        after=after,
        limit=limit + 1,
    )
    return web.private(pages.page(found, limit, partial(_case, ctx), lambda one: one.id))


@router.get(
    "/conflicts/{conflict_id}",
    operation_id="identity.conflicts.read",
    response_model=ConflictOut,
    summary=say("Read one of these (staff)", "查看证件冲突（工作人员）"),
)
async def read_conflict(conflict_id: uuid.UUID, ctx: Wide, who: Who) -> Response:
    return web.private(_case(ctx, await ctx.db.read(actions.conflicts.read, who, conflict_id)))


@router.post(
    "/conflicts/{conflict_id}/close",
    operation_id="identity.conflicts.close",
    response_model=ConflictOut,
    summary=say("Say what came of it (staff)", "办结证件冲突（工作人员）"),
    description=say(
        "Changes neither of the two: what was wrong is corrected as any other change.",
        "办结本身不改动任何一方的信息；需更正的按人员修改办理。",
    ),
    responses=refuses(errors.OwnMatter, errors.Conflict),
)
async def close_conflict(conflict_id: uuid.UUID, told: CloseIn, ctx: Wide, who: Who) -> Response:
    closed = await ctx.db.run(actions.conflicts.close, who, conflict_id, outcome=told.outcome, reason=told.reason)
    return web.private(_case(ctx, closed))
