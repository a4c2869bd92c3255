"""What is said and heard about families and proxies."""

from __future__ import annotations

import uuid
from datetime import date
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from services import SERVICES
from services.identity.schemas import DocumentIn, Name, Phone
from shared import clock
from shared.claiming import Moment, NamedOut, Short, Text
from shared.texts import say
from shared.web import Date, In, Out

Level = Literal["declared", "checked", "confirmed"]
Kind = Literal["birth_certificate", "household_register", "court", "seen"]
Code = Annotated[str, StringConstraints(min_length=1, max_length=40)]
Reason = Annotated[Text, StringConstraints(min_length=1)]
WORD = say("How well it is known: declared, checked, or confirmed by staff.", "核验程度：申报、已核对、工作人员确认。")


class _EvidenceIn(In):
    last4: Annotated[str, StringConstraints(pattern=r"^[0-9A-Za-z]{4}$")] | None = Field(
        default=None, description=say("The last four characters of its number.", "证件编号末四位。")
    )
    note: Text | None = None


class EvidenceIn(_EvidenceIn):
    """What shows that somebody is a child's guardian. Only its last four characters are kept, and only encrypted."""

    kind: Literal["birth_certificate", "household_register", "court"]


class SeenIn(_EvidenceIn):
    """What staff have seen of a guardianship: a document, or with their own eyes."""

    kind: Kind


class ChildIn(In):
    """A child of the caller."""

    name: Name
    document: DocumentIn
    relation: Literal["child"] = Field(description=say("Who they are to the caller.", "与本人的关系。"))
    evidence: EvidenceIn | None = Field(
        default=None, description=say("What shows it, for staff to check.", "监护关系证明，供工作人员核对。")
    )


class InvitationOut(Out):
    """A code for a second guardian; it is told now and never again."""

    id: uuid.UUID
    code: str = Field(description=say("For one person, once.", "仅限一人使用一次。"))
    expires_at: Moment


class AcceptIn(In):
    """An invitation, as it was told."""

    code: Code


class LevelIn(In):
    """What staff know of a guardianship."""

    level: Level = Field(description=WORD)
    evidence: SeenIn


class GuardianIn(LevelIn):
    """A guardian whom staff enter."""

    guardian: uuid.UUID


class BarIn(In):
    """Why somebody may not be a child's guardian, and by which document. Both are kept encrypted."""

    reason: Reason
    document: Annotated[Short, Field(description=say("The judgment or file it rests on.", "所依据的判决或文书编号。"))]


class LiftIn(In):
    """Why somebody is not barred any more."""

    reason: Reason


class RelativeOut(Out):
    """Somebody's guardian or child."""

    person: NamedOut
    relation: Literal["guardian", "child"] = Field(
        description=say(
            "What `person` is to the one who was asked about: `guardian` or `child`.",
            "`person` 与所查人员的关系：`guardian` 监护人，`child` 子女。",
        )
    )
    level: Level = Field(description=WORD)
    evidence: Kind | None
    last4: str | None
    until: Moment | None
    barred: bool = Field(
        description=say("They may not be a guardian; staff see it.", "禁止担任监护人（仅工作人员可见）。")
    )
    reason: str | None = Field(description=say("Why they are barred.", "禁止原因。"))
    document: str | None = Field(description=say("The judgment or file it rests on.", "所依据的判决或文书编号。"))


def _is_not_over(day: date) -> date:
    if day < clock.today():
        raise ValueError("it is over")
    return day


WHERE_ONE_ACTS: Final = f"^({'|'.join(one.name for one in SERVICES if one.collection)})$"
"""The services in which somebody can act for another: those that give places."""


class _ScopeIn(In):
    services: list[Annotated[str, StringConstraints(pattern=WHERE_ONE_ACTS)]] = Field(
        min_length=1, max_length=10, description=say("In these services only.", "仅限这些服务。")
    )
    until: Annotated[Date, AfterValidator(_is_not_over)] | None = Field(
        default=None, description=say("The last day; left out: a year.", "截止日期；省略则为一年。")
    )
    cap_fen: int | None = Field(
        default=None,
        ge=0,
        le=10_000_000,
        description=say("Most that may be spent in a month, in fen.", "每月代办消费上限（分）。"),
    )


class KnownIn(In):
    """Somebody known by name and document."""

    name: Name
    document: DocumentIn


class ReachedIn(In):
    """Somebody known by name and phone."""

    name: Name
    phone: Phone


class ProxyIn(_ScopeIn):
    """Whom I want to act for (`person`), or who is to act for me (`proxy`): one of the two."""

    person: KnownIn | None = Field(
        default=None, description=say("I ask them; they agree or not.", "申请代其办理，须本人同意。")
    )
    proxy: ReachedIn | None = Field(
        default=None, description=say("I appoint them; it counts at once.", "委托其为我代办，立即生效。")
    )

    @model_validator(mode="after")
    def _is_one(self) -> ProxyIn:
        if (self.person is None) == (self.proxy is None):
            raise ValueError("name one of person, proxy")
        return self


class ProxyAtDeskIn(_ScopeIn):
    """Who is to act for the person at the desk."""

    proxy: uuid.UUID


class CodeTold(In):
    """The code that the person has read out."""

    code: Annotated[str, StringConstraints(pattern=r"^[0-9]{6}$")]


class ProxyOut(Out):
    """Somebody who acts for another, or waits for a yes."""

    id: uuid.UUID
    state: Literal["pending", "active"] = Field(
        description=say("Pending: nothing may be done yet.", "待确认期间不能代办任何事项。")
    )
    person: NamedOut = Field(description=say("Who is acted for.", "被代办人。"))
    proxy: NamedOut = Field(description=say("Who acts.", "代办人。"))
    services: list[str] | None
    cap_fen: int | None
    until: Moment | None
    made_at: Moment


class ProxyShownOut(ProxyOut):
    """The same with the code that the person at the desk is shown: now and never again."""

    code: str
    code_expires_at: Moment
