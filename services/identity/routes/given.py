"""What identity's routes are given, and how they read what is typed."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request

from services.identity import actions, codes, rules
from services.identity.limits import Allowance
from services.identity.providers import Providers
from services.identity.rules import Document, Phone
from services.identity.schemas import ActsForOut, DocumentIn
from services.identity.schemas.people import DeskDocumentIn
from services.identity.sql.families import Relation
from shared import clock, errors, masking, web
from shared.assertion import Caller
from shared.claiming import NamedOut
from shared.web import Who

DOCUMENT_MALFORMED = (
    errors.DocumentMalformed,
    errors.DocumentOldFormat,
    errors.DocumentDate,
    errors.DocumentCheckDigit,
)
DOCUMENT_REFUSALS = (*DOCUMENT_MALFORMED, errors.DocumentTaken)


@dataclass(frozen=True, slots=True)
class Desk:
    """What the routes keep between requests: who sends codes, who vouches, and how often one may try."""

    sender: codes.Sender
    providers: Providers
    codes: Allowance
    logins: Allowance
    documents: Allowance
    searches: Allowance


async def desk(request: Request) -> Desk:
    """The running app's desk."""
    found: Desk = request.state.desk
    return found


async def known(who: Who) -> int:
    """The number of the account that asks."""
    return who.known()


At = Annotated[Desk, Depends(desk)]
Mine = Annotated[int, Depends(known)]


def matches(request: Request) -> actions.desk.Matches:
    """Whether the caller read this version, by If-Match."""
    return lambda version: web.require_match(request, web.etag(version))


def read_phone(told: str, pointer: str = "/phone") -> Phone:
    """The phone that somebody typed."""
    try:
        return rules.normalise_phone(told)
    except rules.PhoneMalformed as refused:
        raise errors.PhoneMalformed.at(pointer, refused.code) from None


def read_document(told: DocumentIn | DeskDocumentIn, pointer: str = "/document/number") -> Document:
    """The document that somebody typed."""
    try:
        return rules.read_document(told.kind, told.number, today=clock.today())
    except rules.DocumentRefused as refused:
        raise errors.by_code(refused.code).at(pointer, refused.code) from None


def named(who: Caller, *several: tuple[uuid.UUID, str]) -> list[NamedOut]:
    """Two people and what is between them: names in full for either of them and who acts for them, masked for the staff."""
    near = {who.person_id, *(one.person_id for one in who.acts_for)}
    is_own = any(person_id in near for person_id, _ in several)
    return [NamedOut(id=person_id, name=name if is_own else masking.name(name)) for person_id, name in several]


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
