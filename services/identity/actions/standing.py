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

DESK: Final = frozenset({"staff", "manager"})
"""Who does for residents, at the desk, what residents may do for themselves."""


@dataclass(frozen=True, slots=True)
class Standing:
    """A person, and whether the caller speaks for them only by office."""

    subject: Subject
    is_desk: bool


async def of(tx: Tx, who: Caller, person_id: uuid.UUID | None, desk: frozenset[str] = DESK) -> Standing:
    """Oneself (None), somebody one acts for in everything, or somebody of one's region at the desk; else NotThere."""
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
        if any(one.person_id == wanted for one in who.acts_for):
            raise errors.NotAllowed
        raise errors.NotThere
    return Standing(subject, not is_own)


def decided_by_another() -> contextlib.AbstractContextManager[None]:
    """The database says that nobody decides about what they asked themselves, or about themselves."""
    return db.referee(dict.fromkeys((sql.reveals.NOT_BY_YOURSELF, sql.rights.NOT_BY_YOURSELF), errors.NotByYourself))
