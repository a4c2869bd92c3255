"""What those who came say of an event."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any

from services.events import sql
from services.events.actions.organising import visible
from shared import clock, crypto, errors
from shared.assertion import Caller
from shared.crypto import Keyring
from shared.db import Tx, referee


async def say(  # noqa: PLR0913 - who, of what, and what
    tx: Tx,
    keys: Keyring,
    who: Caller,
    kind: str,
    event_id: uuid.UUID,
    *,
    person_id: uuid.UUID | None,
    stars: int,
    text: str,
) -> tuple[uuid.UUID, datetime]:
    """What somebody who came says of an event, once."""
    who.known()
    await visible(tx, who, kind, event_id)
    no = who.holder_no if person_id in (None, who.person_id) else _acted_for(who, person_id)
    if no is None:
        raise errors.NotAllowed
    begins = await sql.feedback.attended(tx, event_id, no)
    if begins is None:
        raise errors.NotAttended
    if begins > clock.now():
        raise errors.TooEarly(opens_at=clock.local(begins))  # ticked off already: the door opens before it begins
    feedback_id = clock.uuid7()
    sealed = crypto.seal(keys, text, table="feedback", column="text", row=str(feedback_id)) if text else None
    with referee({"one_feedback_per_person": errors.Exists}):
        made_at = await sql.feedback.insert_feedback(tx, feedback_id, event_id, no, stars, sealed)
    return feedback_id, made_at


def _acted_for(who: Caller, person_id: uuid.UUID | None) -> int | None:
    for one in who.acts_for:
        if one.person_id == person_id and (one.services is None or "events" in one.services):
            return one.holder_no
    raise errors.NotYours


async def said(
    tx: Tx,
    keys: Keyring,
    who: Caller,
    kind: str,
    event_id: uuid.UUID,
    after: tuple[datetime, uuid.UUID] | None,
    limit: int,
) -> tuple[int, float | None, list[dict[str, Any]]]:
    """How many said something of an event, their stars on average, and (staff only) what; never who."""
    _, _, is_staff = await visible(tx, who, kind, event_id)
    count, average = await sql.feedback.average(tx, event_id)
    rows = await sql.feedback.feedback(tx, event_id, after, limit) if is_staff else []
    return (
        count,
        average,
        [
            {
                "id": row["id"],
                "stars": row["stars"],
                "text": crypto.unseal(keys, row["text"], table="feedback", column="text", row=str(row["id"]))
                if row["text"] is not None
                else "",
                "made_at": row["made_at"],
            }
            for row in rows
        ],
    )
