"""What the kitchens do without being asked. What is due stands in the tables, so a restart forgets nothing."""

from __future__ import annotations

import structlog

from services.elder_meals.actions import SERVICE, dishes, doors, standing
from services.elder_meals.sql import dishes as dishes_sql
from services.elder_meals.sql import elders as elders_sql
from shared import clock
from shared.places import tasks as places
from shared.tasks import Task
from shared.web import Context

log = structlog.get_logger(__name__)


async def stock_up(context: Context) -> int:
    """Stock for published menus whose days have windows by now."""
    came = 0
    for place_id, day in await context.db.read(dishes_sql.unstocked, clock.today()):
        came += await context.db.run(dishes.stock_up, place_id, day)
    return came


async def order_standing(context: Context) -> int:
    """Ask for what standing orders want, through the front door, each day of each once; how many were settled."""
    if context.ask is None:
        return 0
    today = clock.today()
    await context.db.run(standing.pass_on)
    await context.db.run(standing.begin_runs, context.keys, today)
    settled = 0
    for run in await context.db.read(elders_sql.asking):
        try:
            settled += await context.db.run(standing.settle, context.ask, run["standing_id"], run["day"])
        except Exception:  # one that cannot be asked for keeps no other elder waiting
            log.exception("standing_order_not_asked", standing=str(run["standing_id"]), day=str(run["day"]))
    return settled


async def escalate(context: Context) -> int:
    """Say what is due about doors that stay shut."""
    said = 0
    for check_id in await context.db.read(doors.due_checks):
        try:
            said += await context.db.run(doors.escalate, check_id, keys=context.keys)
        except Exception:  # it stays due, and keeps no other elder waiting
            log.exception("welfare_check_not_escalated", check=str(check_id))
    return said


TASKS = (
    *places.tasks(SERVICE),
    Task("elder-meals.stock_up", 30, stock_up),
    Task("elder-meals.order_standing", 30, order_standing),
    Task("elder-meals.escalate", 5, escalate),
)
