"""What partners' service does without anyone asking: making out, calling, forgetting.

The tables say what is due. The queue's job only sees to it that somebody in this process is calling; losing it loses
nothing.
"""

from __future__ import annotations

import asyncio
import time
from typing import Final

import structlog

from services.partners import outward
from services.partners.actions import making_out, pushing
from services.partners.actions.pushing import Call
from services.partners.sql import opening, reading
from services.partners.sql import pushing as pushing_sql
from services.partners.sql.pushing import Result
from shared import errors
from shared.tasks import Task
from shared.web import Context

log = structlog.get_logger(__name__)

MOST: Final = 512
"""Calls at once in one process. Endpoints that fail share the half of them."""
_GATHERS: Final = 0.01
"""Seconds in which answers that come together are written down together."""
_LOOKS_EVERY: Final = 0.5
OPEN_STEP: Final = 2000
_calling: dict[int, asyncio.Task[int]] = {}


async def fan_out(context: Context) -> int:
    """Make out deliveries for whatever was stamped."""
    made = 0
    while some := await context.db.run(making_out.fan_out):
        made += some
    return made


async def drain(context: Context, *, seconds: float = outward.SECONDS, most_seconds: float = 60) -> int:
    """Call until nothing is due and nothing is under way, or so long; how many calls.

    `seconds` is what one call may take. Slow endpoints hold up nobody else's.
    """
    async with outward.Door(context.settings.delivery_networks, seconds=seconds) as door:
        return await _drain(context, door, time.monotonic() + most_seconds)


async def _drain(context: Context, door: outward.Door, until: float) -> int:
    under_way: dict[asyncio.Task[Result], Call] = {}
    results: list[Result] = []
    calls = 0
    try:
        while True:
            failing = sum(call.fails for call in under_way.values())
            room, has_room = MOST - len(under_way), failing < MOST // 2
            if time.monotonic() > until:
                room = 0
            took, results = results, []
            try:
                leased = await context.db.run(pushing.turn, context.keys, took, most=room, with_failing=has_room)
            except errors.Unavailable:
                results = took  # the database rests: what came of the calls is not lost with it
                await asyncio.sleep(_LOOKS_EVERY)
                continue
            for call in leased:
                under_way[asyncio.create_task(_one(door, call))] = call
            calls += len(leased)
            if not under_way:
                return calls
            done, _ = await asyncio.wait(under_way, timeout=_LOOKS_EVERY, return_when=asyncio.FIRST_COMPLETED)
            if done:
                await asyncio.sleep(_GATHERS)
            for one in [one for one in under_way if one.done()]:
                del under_way[one]
                results.append(one.result())
    finally:
        for one in under_way:
            one.cancel()


async def _one(door: outward.Door, call: Call) -> Result:
    return pushing.result(call, await door.post(call.url, call.headers, call.body))


async def deliver(context: Context) -> int:
    """See to it that this process is calling; it does so beside the queue, whose workers are for everybody."""
    at = id(context.db.engine)
    running = _calling.get(at)
    if running is not None and not running.done() and running.get_loop() is asyncio.get_running_loop():
        return 0
    _calling[at] = asyncio.create_task(_quietly(context), name="partners.deliver")
    await asyncio.sleep(0)
    return 1


async def _quietly(context: Context) -> int:
    began = time.monotonic()
    try:
        calls = await drain(context)
    except Exception as error:  # noqa: BLE001 - the next turn begins again; leases that are left open end by themselves
        log.warning("deliveries_rest", error=type(error).__name__)
        return 0
    if calls:
        log.debug("delivered", calls=calls, seconds=round(time.monotonic() - began, 3))
    return calls


async def tell_openly(context: Context) -> int:
    """Give change numbers to slots that are no longer as the open feed told them."""
    told = 0
    while True:
        some = await context.db.run(opening.stamp, most=OPEN_STEP)
        told += some
        if some < OPEN_STEP:
            return told


async def forget(context: Context) -> int:
    """Remember up to where notices are no longer read, and drop what is too old to be asked for."""
    return sum(
        [
            await context.db.run(reading.forget),
            await context.db.run(pushing_sql.forget, 30),
            await context.db.run(opening.forget, 8),
        ]
    )


TASKS = (
    Task("partners.fan_out", 1, fan_out),
    Task("partners.deliver", 1, deliver),
    Task("partners.open", 5, tell_openly),
    Task("partners.forget", 3600, forget),
)
