"""What identity does without anyone asking: it forgets what is no longer needed, and completes what is older than it."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from services.identity import actions
from shared.tasks import Task
from shared.web import Context

DEAD_SESSIONS: Final = timedelta(days=30)
"""Ended logins are kept for so long, to answer questions about a stolen phone."""


async def forget(context: Context) -> int:
    """Login codes and sessions that are over; how many rows."""
    return await context.db.run(actions.logins.forget_old, sessions_kept=DEAD_SESSIONS)


async def catch_up(context: Context) -> int:
    """Homes and phones that were written down before they could be looked for; how many rows."""
    count = 0
    while done := await context.db.run(actions.places.find_homes):
        count += done
    while done := await context.db.run(actions.desk.index_phones, context.keys):
        count += done
    return count


TASKS: Final = (Task("identity.forget", 3600, forget), Task("identity.catch_up", 3600, catch_up))
