"""What partners' service does without anyone asking."""

from __future__ import annotations

from services.partners.sql import reading
from shared.tasks import Task
from shared.web import Context


async def forget(context: Context) -> int:
    """Remember up to where notices are no longer read."""
    return await context.db.run(reading.forget)


TASKS = (Task("partners.forget", 600, forget),)
