"""How a caller stands to a person in what concerns all that is known of them."""

from __future__ import annotations

import contextlib
import uuid
from dataclasses import dataclass
from typing import Final

from services.identity import sql
from services.identity.sql.consents import Subject
from shared import db, errors
from shared.assertion import Caller
from shared.db import Tx
from shared.texts import say

DESK: Final = frozenset({"staff", "manager"})
"""Who does for residents, at the desk, what residents may do for themselves."""
NOBODY: Final = say(
    "Your account was made on the command line and is nobody's: log in as the person you are on record as.",
    "您的账号由命令行创建，未关联人员；请使用关联本人的账号办理。",
)
"""Why who set up a town decides nothing about its people: that somebody else decided could not be told."""


@dataclass(frozen=True, slots=True)
class Standing:
    """A person, and whether the caller speaks for them only by office, or for one who has died, by leave."""

    subject: Subject
    is_desk: bool
    is_relative: bool = False


async def of(tx: Tx, who: Caller, person_id: uuid.UUID | None, desk: frozenset[str] = DESK) -> Standing:
    """Oneself (None), somebody one acts for in everything, or somebody of one's region at the desk; else NotThere.

    And who has died, for those close to them who have leave.
    """
    who.known()
    wanted = who.person_id if person_id is None else person_id
    if wanted is None:
        raise errors.NotAllowed
    subject = await sql.consents.subject(tx, wanted)
    if subject is None:
        raise errors.NotThere
    is_own = wanted == who.person_id or any(
        one.person_id == wanted and (one.relation == "guardian" or one.services is None) for one in who.acts_for
    )
    if not is_own and not who.may(desk, subject.community):
        if who.person_id is not None and await sql.deaths.may_speak(tx, who.person_id, wanted):
            return Standing(subject, is_desk=False, is_relative=True)
        if any(one.person_id == wanted for one in who.acts_for):
            raise errors.NotAllowed
        raise errors.NotThere
    return Standing(subject, not is_own)


def decided_by_another() -> contextlib.AbstractContextManager[None]:
    """The database says that nobody decides about what they asked themselves, or about themselves."""
    return db.referee(
        dict.fromkeys(
            (sql.reveals.NOT_BY_YOURSELF, sql.rights.NOT_BY_YOURSELF, sql.deaths.NOT_BY_YOURSELF), errors.NotByYourself
        )
    )
