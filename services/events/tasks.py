"""What events does without being asked."""

from __future__ import annotations

from services.events import sql
from services.events.actions import organising
from shared.places import actions as places
from shared.tasks import Task
from shared.web import Context


async def finish_cancellations(context: Context) -> int:
    """Release what a cancellation that was interrupted has left."""
    return await organising.finish(context.db)


async def finish_closures(context: Context) -> int:
    """Release what the closure of a hall, interrupted, has left in the sessions that were to take place there."""
    return await places.finish_closures(context.db, "events")


async def watch_venues(context: Context) -> int:
    """Tell organisers whose venue was lost."""
    return await organising.watch_venues(context.db)


async def mark_held(context: Context) -> int:
    """What is over took place."""
    return await context.db.run(sql.events.mark_held)


TASKS = (
    Task("events.finish_cancellations", 15, finish_cancellations),
    Task("events.finish_closures", 15, finish_closures),
    Task("events.watch_venues", 30, watch_venues),
    Task("events.mark_held", 60, mark_held),
)
