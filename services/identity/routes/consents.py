"""Consents over HTTP: what one may be asked, and what one said, for oneself and for others."""

from __future__ import annotations

import uuid
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Request, Response
from pydantic import StringConstraints

from services.identity import actions
from services.identity.actions.consents import Said, State
from services.identity.schemas import ConsentIn, ConsentOut, ConsentWordOut, PurposeOut
from shared import errors, masking, web
from shared.assertion import Caller
from shared.claiming import NamedOut
from shared.pages import Page
from shared.purposes import PURPOSES
from shared.texts import choose, language, say
from shared.web import Ctx, Who, refuses

router = APIRouter(tags=["identity"])


async def language_of(request: Request) -> str:
    """The reader's language."""
    return language(request.headers.get("accept-language"))


Lang = Annotated[str, Depends(language_of)]
Code = Annotated[str, StringConstraints(pattern=r"^[a-z-]{1,40}$"), Path()]

REFUSALS = (errors.Conflict, errors.GuardianRequired, errors.OwnWordRequired, errors.NotYours, errors.InFlight)


def _shown(one: State, lang: str, *, is_masked: bool = False) -> ConsentOut:
    return ConsentOut(
        purpose=one.purpose.code,
        title=choose(one.purpose.title, lang),
        version=one.purpose.version,
        state=one.state,
        given=one.state == "given",
        history=[
            ConsentWordOut.model_validate(
                {
                    **word._asdict(),
                    "person": NamedOut(
                        id=word.by_person_id, name=masking.name(word.by_name) if is_masked else word.by_name
                    ),
                }
            )
            for word in one.words
        ],
    )


def _listed(states: list[State], lang: str, *, is_masked: bool = False) -> Response:
    return web.private(Page[ConsentOut](items=[_shown(one, lang, is_masked=is_masked) for one in states]))


def _is_stranger(who: Caller, person_id: uuid.UUID) -> bool:
    """Staff see whose word it was, but not the whole name."""
    return who.person_id != person_id and all(one.person_id != person_id for one in who.acts_for)


def _said(told: ConsentIn) -> Said:
    return Said(told.given, told.version, told.channel, told.by)


@router.get(
    "/purposes",
    operation_id="identity.purposes.list",
    response_model=Page[PurposeOut],
    summary=say("What one may be asked to consent to", "授权用途"),
)
async def list_purposes(lang: Lang) -> Response:
    items = [
        PurposeOut(
            code=one.code,
            title=choose(one.title, lang),
            text=choose(one.text, lang),
            version=one.version,
            services=list(one.services),
            sensitive=one.is_sensitive,
            required=one.is_required,
            guardian_under=one.guardian_under,
        )
        for one in PURPOSES.values()
    ]
    return web.json(Page[PurposeOut](items=items))


@router.get(
    "/me/consents",
    operation_id="identity.me.consents.list",
    response_model=Page[ConsentOut],
    summary=say("What I have consented to", "我的授权"),
)
async def list_mine(ctx: Ctx, who: Who, lang: Lang) -> Response:
    return _listed(await ctx.db.read(actions.consents.read, who, None), lang)


@router.put(
    "/me/consents/{purpose}",
    operation_id="identity.me.consents.replace",
    response_model=ConsentOut,
    summary=say("Consent, or take it back", "同意或撤回授权"),
    description=say(
        "Taking back counts at once. The same again changes nothing. For who is under 14 a guardian decides; from then "
        "on it takes the child's own word.",
        "撤回立即生效；重复提交不产生变化。未满 14 周岁的由监护人决定，年满后须由本人作出。",
    ),
    responses=refuses(*REFUSALS),
)
async def replace_mine(purpose: Code, told: ConsentIn, ctx: Ctx, who: Who, lang: Lang) -> Response:
    return web.private(_shown(await ctx.db.run(actions.consents.record, who, None, purpose, _said(told)), lang))


@router.get(
    "/people/{person_id}/consents",
    operation_id="identity.people.consents.list",
    response_model=Page[ConsentOut],
    summary=say("What somebody I act for has consented to", "所代办人员的授权"),
    description=say(
        "For guardians, proxies (the purposes of their services), and staff of the person's region.",
        "限监护人、受委托人（仅限其受托服务的用途）及本区域工作人员。",
    ),
)
async def list_theirs(person_id: uuid.UUID, ctx: Ctx, who: Who, lang: Lang) -> Response:
    states = await ctx.db.read(actions.consents.read, who, person_id)
    return _listed(states, lang, is_masked=_is_stranger(who, person_id))


@router.put(
    "/people/{person_id}/consents/{purpose}",
    operation_id="identity.people.consents.replace",
    response_model=ConsentOut,
    summary=say("Consent for somebody, or take it back", "代为同意或撤回授权"),
    description=say(
        "Staff write down what was said at the desk, on the phone or on paper: `channel` says which, `by` who said it.",
        "工作人员登记窗口、电话或纸质的表示：`channel` 为渠道，`by` 为作出表示的人。",
    ),
    responses=refuses(*REFUSALS),
)
async def replace_theirs(
    person_id: uuid.UUID, purpose: Code, told: ConsentIn, ctx: Ctx, who: Who, lang: Lang
) -> Response:
    state = await ctx.db.run(actions.consents.record, who, person_id, purpose, _said(told))
    return web.private(_shown(state, lang, is_masked=_is_stranger(who, person_id)))
