"""What booking does without being asked."""

from __future__ import annotations

from shared.places import actions as places
from shared.tasks import Task
from shared.web import Context


async def roll_out(context: Context) -> int:
    """Slots for every day of the horizon, at every facility."""
    return await places.roll_out_all(context.db, "booking")


async def finish_closures(context: Context) -> int:
    """Release what a closure that was interrupted has left."""
    return await places.finish_closures(context.db, "booking")


TASKS = (
    Task("booking.roll_out", 600, roll_out),
    Task("booking.finish_closures", 15, finish_closures),
)
