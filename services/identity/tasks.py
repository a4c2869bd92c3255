"""What identity does without anyone asking: it forgets what is no longer needed."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from services.identity import actions
from shared.tasks import Task
from shared.web import Context

DEAD_SESSIONS: Final = timedelta(days=30)
"""Ended logins are kept for so long, to answer questions about a stolen phone."""


async def forget(context: Context) -> int:
    """Login codes, sessions, and tries to log in that are over; how many rows."""
    return await context.db.run(actions.logins.forget_old, sessions_kept=DEAD_SESSIONS) + await context.db.run(
        actions.staff.forget_old, codes_kept=DEAD_SESSIONS
    )


TASKS: Final = (Task("identity.forget", 3600, forget),)
