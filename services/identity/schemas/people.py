"""What staff say and hear of people. Numbers and phones go in and come out masked."""

from __future__ import annotations

import uuid
from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from services.identity.rules import DocumentKind
from services.identity.schemas import Name, Phone
from shared.claiming import Moment, Short
from shared.places.schemas.words import Region
from shared.texts import say
from shared.web import Date, In, Out

Sex = Literal["male", "female"]
TieKind = Literal["resident", "registered_elsewhere", "works_here", "emigrant", "visitor", "business"]
FullName = Annotated[Name, StringConstraints(pattern=r"^[^\n\t*]*$")]
"""A name that nobody has masked: what was read masked is not written back."""


class SearchIn(In):
    """Whom the staff look for."""

    q: Annotated[
        Short,
        Field(
            description=say(
                "A document number or a phone, whole; or the beginning of a name, two characters or more.",
                "完整的证件号码或电话，或姓名开头（至少两个字）。",
            )
        ),
    ]


class MaskedDocumentOut(Out):
    """A document, its number masked."""

    kind: DocumentKind
    number: str | None = Field(description=say("Masked; null without a document.", "脱敏号码；无证件时为空。"))


class MaskedPersonOut(Out):
    """A person as staff see them."""

    id: uuid.UUID
    name: str = Field(
        description=say(
            "Masked for staff, in full for guardians and proxies.", "对工作人员脱敏，对监护人及受委托人完整显示。"
        )
    )
    community: str = Field(description=say("The region where they live.", "居住地区划代码。"))
    level: int = Field(
        description=say(
            "How well they are known: 1 by phone or by the staff's word, 2 by a document number, 3 confirmed.",
            "实名等级：1 手机号或工作人员代为登记，2 证件号码，3 已核验。",
        )
    )
    document: MaskedDocumentOut | None
    phone: str | None = Field(description=say("Masked.", "脱敏号码。"))


class FoundOut(Out):
    """Who was found: at most twenty."""

    items: list[MaskedPersonOut]


class DeskDocumentIn(In):
    """A document that the staff have in front of them; `none` has no number."""

    kind: DocumentKind
    number: Annotated[str, StringConstraints(max_length=80)] = ""

    @model_validator(mode="after")
    def _has_a_number_or_none(self) -> Self:
        if (self.kind is DocumentKind.NONE) != (self.number == ""):
            raise ValueError("a document has a number, and `none` has none")
        return self


class PersonIn(In):
    """Somebody who came to the desk."""

    name: FullName
    document: DeskDocumentIn
    community: Region
    phone: Phone | None = None
    born: Date | None = Field(
        default=None, description=say("Where the number does not say it.", "证件号码不含出生日期时填写。")
    )
    sex: Sex | None = None


class PersonChangeIn(In):
    """What is to be changed of a person; what is left out stays, since it is read masked only."""

    name: FullName | None = None
    document: DeskDocumentIn | None = None
    phone: Phone | None = None
    born: Date | None = None
    sex: Sex | None = None
    reason: Short | None = Field(
        default=None,
        description=say(
            "Why; needed where the person was confirmed, who then has to be confirmed again.",
            "修改原因；已核验人员必填，修改后须重新核验。",
        ),
    )


class ConfirmIn(In):
    """How the staff know that a person is who they say."""

    how: Literal["at_the_desk", "at_home", "by_authority"] = Field(
        description=say("Where they were seen, or that an authority said so.", "核验方式。")
    )
    document: DocumentKind = Field(
        description=say("The document that was seen: that on record.", "所查验的证件类型，须与登记一致。")
    )


class TieIn(In):
    """How a person belongs to a region."""

    kind: TieKind
    community: Region
    home: bool = Field(
        default=False,
        description=say(
            "Their primary home from today on; ends the one before.", "自今日起为常住地，原常住地随之结束。"
        ),
    )
    starts_on: Date | None = Field(default=None, description=say("Left out: today.", "省略则为今日。"))

    @model_validator(mode="after")
    def _is_lived_in(self) -> Self:
        if self.home and self.kind != "resident":
            raise ValueError("a home is where one is resident")
        return self


class TieOut(Out):
    """One way in which a person belongs, or belonged, to a region."""

    id: uuid.UUID
    kind: TieKind
    community: str
    home: bool = Field(validation_alias="is_home", description=say("The primary home.", "是否为常住地。"))
    starts_on: Date
    ended_on: Date | None


class PartyOut(Out):
    """One of the two, masked."""

    id: uuid.UUID
    name: str
    phone: str | None = None


class ConflictOut(Out):
    """Somebody said a number that is another's."""

    id: uuid.UUID
    community: str
    document_kind: DocumentKind
    person: PartyOut = Field(description=say("Who said it.", "提交者。"))
    owner: PartyOut = Field(description=say("For whom the number is registered.", "号码登记人。"))
    tries: int = Field(description=say("How often.", "提交次数。"))
    opened_at: Moment
    closed_at: Moment | None
    outcome: Literal["unfounded", "corrected", "same_person"] | None


class CloseIn(In):
    """What came of a conflict."""

    outcome: Literal["unfounded", "corrected", "same_person"] = Field(description=say("What came of it.", "处理结果。"))
    reason: Short
