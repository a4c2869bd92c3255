"""Forgetting in time, and proving it; and holding what a court or an inquiry still needs."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from typing import Any, Final

from services.identity import notices, sql
from shared import audit, clock, db, errors
from shared.assertion import Caller
from shared.db import Tx
from shared.notices import announce

HOLDERS: Final = frozenset({"manager"})
BATCH: Final = 2000
KEEPER: Final = frozenset({"security"})
"""Who says how long things are kept: not who runs the system, nor who looks over both their shoulders."""
WATCHERS: Final = ("auditor",)


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


def _out_of_range() -> errors.Refusal:
    return errors.Unprocessable.at("/days", "out_of_range")


async def table(tx: Tx, name: str) -> Any:
    """How long one table is kept, and why."""
    found = await sql.retention.table(tx, name)
    if found is None:
        raise errors.NotThere
    return found


async def set_days(tx: Tx, who: Caller, name: str, *, days: int, reason: str, matches: Callable[[int], None]) -> Any:
    """Keep a table for longer or shorter, as far as the law lets one; auditors are told. For the whole deployment's officer."""
    who.known()
    roots = await sql.audit.roots(tx)
    if not all(who.may(KEEPER, root) for root in roots):
        raise errors.NotAllowed
    found = await sql.retention.table(tx, name, locked=True)
    if found is None:
        raise errors.NotThere
    matches(found["version"])
    if found["days"] == days:
        tx.discard()
        return found
    with db.referee(dict.fromkeys((sql.retention.WITHIN_THE_LAW, sql.retention.HALF_A_YEAR), _out_of_range)):
        await sql.retention.set_days(tx, name, days)
    change = clock.uuid7()
    told = {"id": change, "table": name, "days": days, "before": found["days"]}
    for root in roots:
        await audit.record(tx, who.account_no, "retention.changed", community=root, reason=reason, data=told)
        watchers = await sql.reveals.in_office(tx, WATCHERS, root)
        await announce(tx, [notices.rights.retention_changed(change, root, watchers, name, days)])
    return await sql.retention.table(tx, name)


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
