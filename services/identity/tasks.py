"""What identity does without anyone asking: it forgets what is no longer needed."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from services.identity import actions
from shared import audit
from shared.tasks import Task
from shared.web import Context

DEAD_SESSIONS: Final = timedelta(days=30)
"""Ended logins are kept for so long, to answer questions about a stolen phone."""


async def forget(context: Context) -> int:
    """Login codes and sessions that are over; how many rows."""
    return await context.db.run(actions.logins.forget_old, sessions_kept=DEAD_SESSIONS)


async def chain(context: Context) -> int:
    """Give the audit's new entries their place in the chain."""
    chained = 0
    while True:
        some = await context.db.run(audit.stamp)
        chained += some
        if some < 1000:
            return chained


async def sign(context: Context) -> int:
    """Sign where the audit ends, for its witnesses."""
    return await context.db.run(actions.audit.sign_head, context.keys)


TASKS: Final = (
    Task("identity.forget", 3600, forget),
    Task("identity.chain", 5, chain),
    Task("identity.sign", 3600, sign),
)
