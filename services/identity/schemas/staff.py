"""What administrators say and hear of how their colleagues log in."""

from __future__ import annotations

import uuid
from typing import Annotated

from pydantic import Field, StringConstraints, model_validator

from services.identity import passwords
from shared.claiming import Moment
from shared.texts import say
from shared.web import In, Out

# A password is text as it was typed: blanks at its ends belong to it.
Password = Annotated[str, StringConstraints(min_length=1, max_length=4 * passwords.MOST, strip_whitespace=False)]


class StaffInvitationIn(In):
    """Whom to invite: an account or a person that has a role, and what they log in by."""

    account: uuid.UUID | None = None
    person: uuid.UUID | None = None
    name: Annotated[str, StringConstraints(min_length=2, max_length=64, pattern=r"^[\w.@+-]+$")] | None = Field(
        default=None,
        description=say(
            "What they log in by from now on: letters, digits and `. @ + - _`. Needed the first time.",
            "此后使用的登录名：文字、数字及 `. @ + - _`；首次邀请时必填。",
        ),
    )

    @model_validator(mode="after")
    def _is_somebody(self) -> StaffInvitationIn:
        if (self.account is None) == (self.person is None):
            raise ValueError("either account or person")
        return self


class StaffInvitationOut(Out):
    """An invitation. The code is shown this once: hand it over in person, or by a way that you trust."""

    account: uuid.UUID
    page: str = Field(description=say("Where the password is set.", "设置密码的页面。"))
    code: str = Field(description=say("Opens the page once; typed there.", "在该页面输入，一次有效。"))
    expires_at: Moment


class PasswordIn(In):
    """One's password, and what it shall be from now on."""

    current: Password
    new: Password = Field(
        description=say(
            "At least 8 characters, better 15 or more; up to 128, of any kind. What others would guess first is refused.",
            "至少 8 个字符，建议 15 个以上，最多 128 个，种类不限；过于常见的密码会被拒绝。",
        )
    )
