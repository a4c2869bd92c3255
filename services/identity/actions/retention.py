"""Forgetting in time, and proving it; and holding what a court or an inquiry still needs."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any, Final

from services.identity import sql
from shared import audit, errors
from shared.assertion import Caller
from shared.db import Tx

HOLDERS: Final = frozenset({"manager"})
BATCH: Final = 2000


async def due(tx: Tx) -> list[str]:
    """The tables to be purged now; none when that was done within a day."""
    if await sql.retention.was_purged_lately(tx):
        return []
    return [row["table_name"] for row in await sql.retention.tables(tx)]


async def forget_some(tx: Tx, table: str) -> int:
    """Forget a batch of a table."""
    gone = await sql.retention.forget_old(tx, table, BATCH)
    if not gone:
        tx.discard()
    return gone


async def prove(tx: Tx, counts: Mapping[str, int]) -> None:
    """Write down what was forgotten."""
    roots = await sql.audit.roots(tx)
    await audit.record(tx, None, "retention.purged", community=roots[0] if roots else "", data={"counts": counts})


async def _subject(tx: Tx, who: Caller, person_id: uuid.UUID) -> Any:
    who.known()
    subject = await sql.consents.subject(tx, person_id)
    if subject is None or not who.may(HOLDERS, subject.community):
        raise errors.NotThere
    return subject


async def read_hold(tx: Tx, who: Caller, person_id: uuid.UUID) -> Any:
    """The legal hold on a person."""
    await _subject(tx, who, person_id)
    found = await sql.retention.hold(tx, person_id)
    if found is None:
        raise errors.NotThere
    return found


async def put_hold(tx: Tx, who: Caller, person_id: uuid.UUID, reason: str) -> Any:
    """Hold a person's data; what is held already stays as it is."""
    subject = await _subject(tx, who, person_id)
    if await sql.retention.insert_hold(tx, person_id, subject.community, reason, who.known()):
        await audit.record(
            tx, who.account_no, "people.held", community=subject.community, person_id=person_id, reason=reason
        )
    return await sql.retention.hold(tx, person_id)


async def end_hold(tx: Tx, who: Caller, person_id: uuid.UUID) -> None:
    """Let it go; what is not held stays so."""
    subject = await _subject(tx, who, person_id)
    if await sql.retention.end_hold(tx, person_id, who.known()):
        await audit.record(tx, who.account_no, "people.hold_ended", community=subject.community, person_id=person_id)
