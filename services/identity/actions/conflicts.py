"""A number that is somebody else's: nothing is overwritten, and the staff look at it."""

from __future__ import annotations

import uuid

from services.identity import notices, sealing, sql
from services.identity.actions import people
from services.identity.actions.consents import DESK
from services.identity.rules import Document
from services.identity.sql.conflicts import Case
from shared import audit, clock, errors, masking
from shared.assertion import Caller
from shared.crypto import Keyring
from shared.db import Tx
from shared.notices import announce


async def note(tx: Tx, keys: Keyring, account_no: int, document: Document) -> None:
    """Write down that somebody said a number that is another's; the staff of the other's region look at it."""
    own = await people.member(tx, account_no)
    owner = await sql.desk.by_document(tx, sealing.document_index(keys, document))
    if own.person_id is None or own.holder_no is None or owner is None or owner.id == own.person_id:
        return
    opened = await sql.conflicts.open_(tx, clock.uuid7(), own.person_id, owner.id, owner.community, document.kind.value)
    if opened.is_new:
        await announce(tx, [notices.conflict_opened(opened.id, owner.community, own.holder_no)])


async def cases(tx: Tx, who: Caller, *, is_open: bool | None, after: uuid.UUID | None, limit: int) -> list[Case]:
    """The cases of the caller's regions."""
    return await sql.conflicts.cases(tx, who.reach(DESK), is_open=is_open, after=after, limit=limit)


async def read(tx: Tx, who: Caller, case_id: uuid.UUID) -> Case:
    """One case of the caller's regions."""
    who.known()
    found = await sql.conflicts.case(tx, case_id)
    reach = tuple(who.regions(DESK))
    if found is None or not reach or not (found.community.startswith(reach) or found.community == people.UNKNOWN_HOME):
        raise errors.NotThere
    return found


def phone_masked(keys: Keyring, one: Case) -> str | None:
    """How to reach who tried, as far as the staff see it."""
    return masking.phone(sealing.open_phone(keys, one.person_phone, one.person_id)) if one.person_phone else None


async def close(tx: Tx, who: Caller, case_id: uuid.UUID, *, outcome: str, reason: str) -> Case:
    """Say what came of a case. What is to be changed about either person is changed as usual; this changes nobody."""
    found = await read(tx, who, case_id)
    for one in (found.person_id, found.owner_id):
        if who.person_id is not None and (who.person_id == one or await sql.desk.are_family(tx, who.person_id, one)):
            raise errors.OwnMatter
    if not await sql.conflicts.close(tx, case_id, who.known(), outcome):
        raise errors.Conflict
    await audit.record(
        tx,
        who.account_no,
        "conflicts.close",
        community=found.community,
        person_id=found.person_id,
        reason=reason,
        data={"outcome": outcome},
    )
    return await read(tx, who, case_id)
