"""What staff say and hear when they must see what is sealed."""

from __future__ import annotations

import uuid
from datetime import date
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, StringConstraints

from services.identity.schemas.audit import Name
from shared.claiming import Moment
from shared.texts import say
from shared.web import In, Out

FIELDS = Annotated[
    Literal["name", "born", "document", "phone"],
    Field(
        description=say(
            "`name`, `born` (the date of birth), `document` (its kind and number), `phone`.",
            "`name` 姓名；`born` 出生日期；`document` 证件及号码；`phone` 电话。",
        )
    ),
]


def _once(fields: list[str]) -> list[str]:
    if len(set(fields)) < len(fields):
        raise ValueError("each field once")
    return fields


Reason = Annotated[
    str,
    StringConstraints(min_length=4, max_length=200, pattern=r"^[^\x00-\x1f]*$"),
    Field(description=say("Why; the person reads it.", "事由，本人可见。")),
]


class RevealIn(In):
    """What is to be seen, and why."""

    fields: Annotated[list[FIELDS], Field(min_length=1, max_length=4), AfterValidator(_once)]
    reason: Reason


class DenyIn(In):
    """Why not."""

    reason: Reason


class RevealedDocumentOut(Out):
    """A document in clear."""

    kind: str
    number: str


class RevealedOut(Out):
    """What was asked for, in clear; null is what is not known, or was not asked for."""

    name: str | None = None
    born: date | None = None
    document: RevealedDocumentOut | None = None
    phone: str | None = None


class MaskedOut(Out):
    """Somebody, by id and a masked name."""

    id: uuid.UUID
    name: Name


class RevealOut(Out):
    """Permission to see something of a person, asked for or given."""

    id: uuid.UUID
    person: MaskedOut
    community: str
    fields: list[FIELDS]
    reason: str
    state: Literal["asked", "allowed", "denied", "over"]
    needs_approval: bool
    asked_by: MaskedOut
    decided_by: MaskedOut | None
    made_at: Moment
    decided_at: Moment | None
    expires_at: Moment | None = Field(description=say("Until then it can be seen.", "可查看的截止时间。"))
    values: RevealedOut | None = Field(
        description=say("For whoever asked, while it is allowed.", "仅在允许期内向申请人显示。")
    )
