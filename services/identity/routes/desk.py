"""What identity's routes share: who sends codes, how often one may try, and how what callers said is read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request

from services.identity import codes, rules
from services.identity.limits import Allowance
from services.identity.providers import Providers
from services.identity.rules import Phone
from shared import errors
from shared.web import Who


@dataclass(frozen=True, slots=True)
class Desk:
    """What the routes keep between requests: who sends codes, who vouches, and how often one may try."""

    sender: codes.Sender
    providers: Providers
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


def place(pointer: str, code: str) -> list[dict[str, str]]:
    """Where in the body something is wrong, and what."""
    return [{"in": "body", "pointer": pointer, "code": code}]


def phone(told: str) -> Phone:
    """The telephone that a caller wrote; refuses what is none."""
    try:
        return rules.normalise_phone(told)
    except rules.PhoneMalformed as refused:
        raise errors.PhoneMalformed(errors=place("/phone", refused.code)) from None
