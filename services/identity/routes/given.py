"""What identity's routes are given: the desk with its allowances, who asks, and what somebody typed, read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request, Response
from pydantic import BaseModel

from services.identity import codes, rules
from services.identity.limits import Allowance
from services.identity.rules import Document, Phone
from services.identity.schemas import ActsForOut, DocumentIn
from services.identity.sql.families import Relation
from shared import clock, errors, web
from shared.claiming import NamedOut
from shared.web import Who

DOCUMENT_REFUSALS = (
    errors.DocumentMalformed,
    errors.DocumentOldFormat,
    errors.DocumentDate,
    errors.DocumentCheckDigit,
    errors.DocumentTaken,
)


@dataclass(frozen=True, slots=True)
class Desk:
    """What the routes keep between requests: who sends codes, and how often one may try."""

    sender: codes.Sender
    codes: Allowance
    logins: Allowance
    documents: Allowance


async def desk(request: Request) -> Desk:
    """The running app's desk."""
    found: Desk = request.app.state.desk
    return found


async def known(who: Who) -> int:
    """The number of the account that asks."""
    if who.account_no is None:
        raise errors.NotKnown
    return who.account_no


At = Annotated[Desk, Depends(desk)]
Mine = Annotated[int, Depends(known)]


def private(model: BaseModel, status: int = 200, location: str | None = None) -> Response:
    """An answer that nobody in between keeps."""
    headers = {"Cache-Control": "no-store"} | ({"Location": location} if location is not None else {})
    return web.json(model, status, headers)


def _at(pointer: str, code: str) -> list[dict[str, str]]:
    return [{"in": "body", "pointer": pointer, "code": code}]


def read_phone(told: str, pointer: str = "/phone") -> Phone:
    """A phone as somebody typed it."""
    try:
        return rules.normalise_phone(told)
    except rules.PhoneMalformed as refused:
        raise errors.PhoneMalformed(errors=_at(pointer, refused.code)) from None


def read_document(told: DocumentIn, pointer: str = "/document/number") -> Document:
    """A document as somebody typed it."""
    try:
        return rules.read_document(told.kind, told.number, today=clock.today())
    except rules.DocumentRefused as refused:
        raise errors.by_code(refused.code)(errors=_at(pointer, refused.code)) from None


def acts_for(one: Relation) -> ActsForOut:
    """A relation, as the one who acts sees it."""
    return ActsForOut.model_validate(
        {
            "person": NamedOut(id=one.person_id, name=one.name),
            "relation": one.kind,
            "services": one.services,
            "until": one.ends_at,
            "level": rules.LEVELS[one.level] if one.kind == "guardian" else None,
            "cap_fen": one.cap_fen,
        }
    )
