"""What guardians say of their children, and of whom may collect them; what they and the carers hear."""

from __future__ import annotations

import uuid
from typing import Annotated, Literal, Self

from pydantic import (
    AwareDatetime,
    ConfigDict,
    Field,
    StringConstraints,
    model_validator,
)

from services.childcare.rules import plain
from shared.claiming import Long, Moment, NamedOut, Short, Text
from shared.texts import say
from shared.web import In, Out

Last4 = Annotated[str, StringConstraints(pattern=r"^[0-9]{3}[0-9Xx]$")]
Phone4 = Annotated[str, StringConstraints(pattern=r"^[0-9]{4}$")]


class ContactIn(In):
    """Whom to call."""

    name: Short
    phone: Annotated[str, StringConstraints(pattern=r"^[0-9+ -]{3,20}$")]
    relation: Short | None = None


class ChildIn(In):
    """What carers need to know about a child. Replaces what was said before."""

    allergies: list[Short] = Field(default_factory=list, max_length=50)
    notes: Long | None = Field(default=None, description=say("Health, habits, fears.", "健康、习惯与注意事项。"))
    contacts: list[ContactIn] = Field(default_factory=list, max_length=10)

    @property
    def is_about_health(self) -> bool:
        """Whether it says more than whom to call."""
        return bool(self.allergies or self.notes)


class ContactOut(Out):
    """Whom to call."""

    name: str
    phone: str
    relation: str | None


class ChildOut(Out):
    """What guardians have said about a child; version 0 when nothing yet."""

    person: NamedOut
    version: int
    allergies: list[str]
    notes: str | None
    contacts: list[ContactOut]
    guardians: list[NamedOut]
    changed_at: Moment | None
    withheld: list[str] = Field(
        description=say(
            "Purposes whose consent was taken back: what was said for them is not shown to carers. Ask a guardian.",
            "已撤回同意的用途：相关内容不向照护人员显示，请询问监护人。",
        )
    )


class CollectorIn(In):
    """Somebody who may collect a child always, once, or never."""

    kind: Literal["allowed", "once", "never"]
    person_id: uuid.UUID | None = Field(default=None, description=say("Somebody of the town, or", "镇上居民编号，或"))
    name: Short | None = Field(
        default=None,
        description=say("a name: alone, or as somebody of the town is called", "姓名：可单独填写，或为该居民的别称"),
    )
    phone_last4: Phone4 | None = Field(
        default=None, description=say("and digits to know them by.", "及核对用的号码尾数。")
    )
    id_last4: Last4 | None = None
    starts_at: AwareDatetime | None = Field(default=None, alias="from")
    ends_at: AwareDatetime | None = Field(
        default=None,
        alias="until",
        description=say("Needed with `once`: how long its code is good.", "`once` 时必填：一次性接送码的有效期限。"),
    )
    note: Text | None = None

    @model_validator(mode="after")
    def _is_somebody(self) -> Self:
        if self.person_id is None and self.name is None:
            raise ValueError("say person_id, name or both")
        if self.name is not None and not plain(self.name):
            raise ValueError("nobody can read this name")
        if self.kind == "once" and self.ends_at is None:
            raise ValueError("a code needs its until")
        if self.starts_at is not None and self.ends_at is not None and self.starts_at >= self.ends_at:
            raise ValueError("from comes before until")
        for moment in (self.starts_at, self.ends_at):
            if moment is not None and not 2000 <= moment.year <= 2200:
                raise ValueError("not such a year")
        return self


class AllowAgainIn(In):
    """Why what an earlier guardian forbade is forbidden no more."""

    reason: Annotated[
        str,
        StringConstraints(min_length=2, max_length=200, pattern=r"^[^\x00-\x1f]*$"),
        Field(description=say("Why; guardians read it.", "事由，监护人可见。")),
    ]


class AdultOut(Out):
    """Somebody of the town; named only for carers."""

    id: uuid.UUID
    name: str | None


class CollectorOut(Out):
    """One line of a child's collectors."""

    model_config = ConfigDict(serialize_by_alias=True)

    id: uuid.UUID
    kind: Literal["allowed", "once", "never"]
    person: AdultOut | None
    name: str | None
    phone_last4: str | None
    id_last4: str | None
    starts_at: Moment | None = Field(serialization_alias="from")
    ends_at: Moment | None = Field(serialization_alias="until")
    note: str | None
    state: Literal["active", "used", "removed"]
    code: str | None = Field(
        default=None, description=say("Only when it is made, and only then.", "一次性接送码，仅在创建时显示一次。")
    )
    made_at: Moment


class ReadOut(Out):
    """Somebody of a room read what guardians wrote about a child."""

    id: uuid.UUID
    by: str
    what: Literal["record", "collectors"]
    facility: NamedOut
    visit_id: uuid.UUID
    at: Moment


class TripOut(Out):
    """A child was brought, collected, or kept from somebody who wanted to collect it."""

    id: uuid.UUID
    visit_id: uuid.UUID
    facility: NamedOut
    what: str = Field(
        description=say(
            "`in` brought, `out` collected, `refused` somebody wanted to and may not.",
            "`in` 送入，`out` 接走，`refused` 有人来接而被拒绝。",
        )
    )
    adult: str | None
    at: Moment
