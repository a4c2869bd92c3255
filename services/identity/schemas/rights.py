"""What people say and hear about their own data: a copy, a correction, an end."""

from __future__ import annotations

import uuid
from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from services.identity.rules import DocumentKind
from services.identity.schemas.reveals import MaskedOut, Reason
from shared.claiming import Moment, Short
from shared.texts import say
from shared.web import In, Out

Kind = Literal["export", "correction", "closure"]
Field_ = Annotated[
    Literal["name", "sex", "born", "document", "phone"],
    Field(
        description=say(
            "`name`, `sex`, `born` (the date of birth), `document` (its kind and number), `phone`.",
            "`name` 姓名；`sex` 性别；`born` 出生日期；`document` 证件及号码；`phone` 电话。",
        )
    ),
]
State = Literal["asked", "done", "denied", "withdrawn"]
Note = Annotated[str, StringConstraints(max_length=500)]


class CorrectionIn(In):
    """What is wrong, and what is right."""

    field: Field_
    value: Annotated[Short, Field(description=say("What is right.", "正确的内容。"))]
    document_kind: DocumentKind = Field(
        default=DocumentKind.RESIDENT_ID, description=say("For a document: its kind.", "更正证件时的证件类型。")
    )
    note: Note | None = Field(default=None, description=say("For whoever decides.", "给审批人的说明。"))


class DecisionIn(In):
    """A word with a decision."""

    reason: Reason | None = None


class RefusalIn(In):
    """Why not."""

    reason: Reason


class ArchiveOut(Out):
    """Where a copy can be fetched, and until when."""

    href: str
    expires_at: Moment


class RequestOut(Out):
    """Something that somebody asked about what is known of them."""

    id: uuid.UUID
    kind: Kind
    field: Field_ | None
    state: State
    made_at: Moment
    due_at: Moment = Field(description=say("It is answered by then.", "最迟答复时间。"))
    acts_at: Moment | None = Field(description=say("A closure can be taken back until then.", "注销在此之前可以撤回。"))
    decided_at: Moment | None
    answer: str | None
    archive: ArchiveOut | None


class QueuedOut(RequestOut):
    """The same for whoever decides; what a correction says is shown when it is read by itself, and that is noted."""

    person: MaskedOut
    overdue: bool
    value: str | None = None
    document_kind: DocumentKind | None = None
    note: str | None = None


class RetentionOut(Out):
    """How many days a table's rows are kept."""

    table: str
    days: int
    what: Literal["rows", "words"] = Field(
        description=say(
            "`words`: the row stays, and what was said with it goes.", "`words` 仅清除其中的文字内容，保留记录本身。"
        )
    )
    least: int = Field(description=say("As the law has it.", "法定最短天数。"))
    most: int
    basis: str
    version: int


class RetentionIn(In):
    """For how long, and why."""

    days: int = Field(ge=0, le=36_500)
    reason: Reason


class HoldIn(In):
    """Why a person's data must be kept for now."""

    reason: Reason


class HoldOut(Out):
    """A person's data must be kept for now."""

    person_id: uuid.UUID
    reason: str
    made_at: Moment
