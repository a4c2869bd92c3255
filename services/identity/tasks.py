"""What identity does without anyone asking: it forgets what is over, says what dates have ended, and completes what is older."""

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


async def end_relations(context: Context) -> int:
    """Say of guardians of those who grew up, and of proxies whose time is over, that they are that no more; how many.

    It only says so: by their dates they count for nobody since that very moment.
    """
    return await context.db.run(actions.families.close_over)


async def ask_again(context: Context) -> int:
    """Tell who turned fourteen, and their guardians, what takes their own word from now on; how many consents."""
    return await context.db.run(actions.consents.ask_again)


TASKS: Final = (
    Task("identity.forget", 3600, forget),
    Task("identity.catch_up", 3600, catch_up),
    Task("identity.end_relations", 60, end_relations),
    Task("identity.ask_again", 900, ask_again),
)
