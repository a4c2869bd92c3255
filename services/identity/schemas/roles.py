"""Roles as those who grant them say and hear them."""

from __future__ import annotations

import uuid
from typing import Literal, Self

from pydantic import AwareDatetime, Field, model_validator

from services.identity.schemas.people import PartyOut
from shared.claiming import Moment, Short
from shared.places.schemas.words import Region
from shared.texts import say
from shared.web import In, Out

RoleName = Literal[
    "staff",
    "manager",
    "auditor",
    "administrator",
    "security",
    "operator",
    "kitchen",
    "courier",
    "carer",
    "volunteer",
    "gate",
]


class RoleIn(In):
    """A role for a person, or for a device's account."""

    person: uuid.UUID | None = None
    account: uuid.UUID | None = Field(
        default=None, description=say("Instead of a person: a device.", "授予设备账号时填写，代替人员。")
    )
    role: RoleName = Field(description=say("What they may do.", "岗位。"))
    region: Region = Field(description=say("For everything below this code.", "在该区划及其下级有效。"))
    place_id: uuid.UUID | None = Field(default=None, description=say("In this place only.", "仅限此场所。"))
    until: AwareDatetime | None = Field(
        default=None, description=say("Left out: until it is taken back.", "省略则至收回为止。")
    )
    reason: Short

    @model_validator(mode="after")
    def _is_for_one(self) -> Self:
        if (self.person is None) == (self.account is None):
            raise ValueError("a person or an account")
        return self


class GrantedRoleOut(Out):
    """A role that somebody has, or had."""

    id: uuid.UUID
    account: uuid.UUID
    person: PartyOut | None
    role: RoleName = Field(description=say("What they may do.", "岗位。"))
    region: str
    place_id: uuid.UUID | None
    starts_at: Moment
    until: Moment | None
    over: bool = Field(description=say("Expired or taken back.", "是否已到期或收回。"))
