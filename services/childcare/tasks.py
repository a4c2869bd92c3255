"""What children's rooms do without being asked."""

from __future__ import annotations

from services.childcare.actions import overdue, watching
from shared.places import actions as places
from shared.tasks import Task
from shared.web import Context


async def roll_out(context: Context) -> int:
    """Sessions for every day of the horizon, in every room."""
    return await places.roll_out_all(context.db, "childcare")


async def finish_closures(context: Context) -> int:
    """Release what a closure that was interrupted has left."""
    return await places.finish_closures(context.db, "childcare")


async def call_for_the_late(context: Context) -> int:
    """Take the steps that are due for children who were not collected."""
    return await context.db.run(overdue.call)


async def end_lost_duties(context: Context) -> int:
    """Take carers off duty whose role has ended."""
    return await watching.end_lost_duties(context.db)


async def miss(context: Context) -> int:
    """Free the places of those who did not come."""
    return await context.db.run(overdue.miss)


TASKS = (
    Task("childcare.roll_out", 600, roll_out),
    Task("childcare.finish_closures", 15, finish_closures),
    Task("childcare.call_for_the_late", 30, call_for_the_late),
    Task("childcare.end_lost_duties", 30, end_lost_duties),
    Task("childcare.miss", 600, miss),
)
