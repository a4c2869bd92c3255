"""What identity does without anyone asking: it forgets what is over, says what dates have ended, and completes what is older."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from typing import Any, Final

import structlog

from services.identity import actions, archives
from shared import audit, clock
from shared.rights import Rights, Whom
from shared.tasks import Task
from shared.web import Context

log = structlog.get_logger(__name__)

DEAD_SESSIONS: Final = timedelta(days=30)
"""Ended logins are kept for so long, to answer questions about a stolen phone."""


async def forget(context: Context) -> int:
    """Login codes, sessions, and tries to log in that are over; how many rows."""
    return await context.db.run(actions.logins.forget_old, sessions_kept=DEAD_SESSIONS) + await context.db.run(
        actions.staff.forget_old, codes_kept=DEAD_SESSIONS
    )


async def catch_up(context: Context) -> int:
    """Homes and phones that were written down before they could be looked for; how many rows."""
    count = 0
    while done := await context.db.run(actions.places.find_homes):
        count += done
    while done := await context.db.run(actions.desk.index_phones, context.keys):
        count += done
    return count


async def end_relations(context: Context) -> int:
    """Say of guardians of those who grew up, and of proxies whose time is over, that they are that no more; how many.

    It only says so: by their dates they count for nobody since that very moment.
    """
    return await context.db.run(actions.families.close_over)


async def ask_again(context: Context) -> int:
    """Tell who turned fourteen, and their guardians, what takes their own word from now on; how many consents."""
    return await context.db.run(actions.consents.ask_again)


async def chain(context: Context) -> int:
    """Give the audit's new entries their place in the chain."""
    chained = 0
    while True:
        some = await context.db.run(audit.stamp)
        chained += some
        if some < 1000:
            return chained


async def export(context: Context) -> int:
    """Make the copies that people asked for; how many."""

    async def one(rights: Rights, request_id: uuid.UUID, whom: Whom) -> bool:
        found = await rights.everything(whom)
        archive = await asyncio.to_thread(archives.packed, found, clock.now())
        return await context.db.run(actions.rights.exported, context.keys, request_id, archive)

    return await _each(context, await context.db.read(actions.rights.due, "export"), one)


async def close(context: Context) -> int:
    """Forget those who asked for it and did not take it back; how many. What is begun is done again until it is whole."""

    async def one(rights: Rights, request_id: uuid.UUID, whom: Whom) -> bool:
        if await context.db.read(actions.rights.may_close, request_id, whom):
            await rights.forget(whom)
        return await context.db.run(actions.rights.close, request_id, whom)

    return await _each(context, await context.db.read(actions.rights.due, "closure"), one)


async def settle(context: Context) -> int:
    """End what would go on by itself for those who have died; how many."""

    async def one(rights: Rights, death_id: uuid.UUID, whom: Whom) -> bool:
        await rights.end(whom)
        return await context.db.run(actions.deaths.settled, death_id)

    return await _each(context, await context.db.read(actions.deaths.due), one)


async def _each(
    context: Context,
    due: Sequence[tuple[Any, Whom | None]],
    do: Callable[[Rights, uuid.UUID, Whom], Awaitable[bool]],
) -> int:
    """Do all that is due; what fails is tried again later and keeps nobody else waiting."""
    done = 0
    for row, whom in due:
        if whom is None or context.rights is None:
            continue
        try:
            done += await do(context.rights, row["id"], whom)
        except Exception:
            log.exception("request_failed", task=do.__qualname__, request=str(row["id"]))
    return done


async def purge(context: Context) -> int:
    """Forget, once a day, what has been kept long enough, and write down how much that was; how many rows."""
    tables = await context.db.read(actions.retention.due)
    counts = dict.fromkeys(tables, 0)
    for table in tables:
        while gone := await context.db.run(actions.retention.forget_some, table):
            counts[table] += gone
    if counts:
        await context.db.run(actions.retention.prove, counts)
    return sum(counts.values())


async def remind(context: Context) -> int:
    """Remind the staff of what must be answered soon."""
    return await context.db.run(actions.rights.remind)


async def sign(context: Context) -> int:
    """Sign where the audit ends, for its witnesses."""
    return await context.db.run(actions.audit.sign_head, context.keys)


TASKS: Final = (
    Task("identity.forget", 3600, forget),
    Task("identity.catch_up", 3600, catch_up),
    Task("identity.end_relations", 60, end_relations),
    Task("identity.ask_again", 900, ask_again),
    Task("identity.chain", 5, chain),
    Task("identity.sign", 3600, sign),
    Task("identity.export", 20, export),
    Task("identity.close", 60, close),
    Task("identity.settle", 20, settle),
    Task("identity.remind", 3600, remind),
    Task("identity.purge", 3600, purge),
)
