"""What the staff and relatives say and hear after a death, and what people say about it in life."""

from __future__ import annotations

import uuid
from datetime import date
from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from services.identity.schemas.reveals import MaskedOut, Reason
from shared.claiming import Moment
from shared.texts import say
from shared.web import In, Out

DeathEvidence = Annotated[
    Literal["death_certificate", "cremation_certificate", "household_register", "court_ruling"],
    Field(
        description=say(
            "What the staff has seen: a certificate of the death or of the cremation, the register of households, a court's ruling.",
            "工作人员查验的材料：死亡医学证明、火化证明、户口注销证明、法院宣告。",
        )
    ),
]
Nearness = Annotated[
    Literal["spouse", "child", "parent", "sibling", "grandparent", "grandchild", "named"],
    Field(
        description=say(
            "A near relative by law; `named`: whom the person named in life.",
            "近亲属关系；`named` 为本人生前指定的人。",
        )
    ),
]
Papers = Annotated[
    Literal[
        "household_register",
        "marriage_certificate",
        "birth_certificate",
        "adoption_certificate",
        "court_ruling",
        "committee_letter",
    ],
    Field(description=say("What the staff has seen of it.", "工作人员查验的关系证明材料。")),
]
Interest = Annotated[
    str,
    StringConstraints(min_length=2, max_length=200, pattern=r"^[^\x00-\x1f]*$"),
    Field(
        description=say(
            "What lawful interest of their own they have in it; whoever decides reads it.",
            "近亲属自身的合法、正当利益，供审批人查看。",
        )
    ),
]
Afterwards = Annotated[
    Literal["relatives", "named", "nobody"],
    Field(
        description=say(
            "`relatives`: as the law has it; `named`: only `persons`; `nobody`.",
            "`relatives` 依法由近亲属行使；`named` 仅限 `persons` 所列人员；`nobody` 任何人不得行使。",
        )
    ),
]


class DeathIn(In):
    """Somebody has died."""

    died_on: date
    evidence: DeathEvidence


class DeathOut(Out):
    """The record of a death. `settled_at`: all that went on by itself has ended."""

    person_id: uuid.UUID
    died_on: date
    evidence: DeathEvidence
    made_at: Moment
    settled_at: Moment | None


class TakeBackIn(In):
    """Why it is taken back."""

    reason: Reason


class WishIn(In):
    """Whom one lets speak for oneself after one's death."""

    who: Afterwards
    persons: list[uuid.UUID] = Field(default=[], max_length=10)

    @model_validator(mode="after")
    def _names_some(self) -> Self:
        if (self.who == "named") != bool(self.persons):
            raise ValueError("persons go with named, and only with it")
        if len(set(self.persons)) < len(self.persons):
            raise ValueError("each person once")
        return self


class WishOut(Out):
    """Whom somebody lets speak for them after their death."""

    who: Afterwards
    persons: list[uuid.UUID]
    changed_at: Moment | None = Field(description=say("null: nothing was said.", "为空表示本人未作安排。"))


class LeaveIn(In):
    """Who is to speak for somebody who has died."""

    relative: uuid.UUID = Field(description=say("Somebody of the town.", "亲属的人员编号。"))
    relation: Nearness
    evidence: Papers
    reason: Interest


class LeaveOut(Out):
    """Leave to speak for somebody who has died about what is known of them."""

    id: uuid.UUID
    person: MaskedOut
    relative: MaskedOut
    community: str
    relation: Nearness
    evidence: Papers
    reason: Interest
    state: Literal["asked", "allowed", "denied", "over"]
    asked_by: MaskedOut
    decided_by: MaskedOut | None
    made_at: Moment
    decided_at: Moment | None
    expires_at: Moment | None
