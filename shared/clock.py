"""Time as the town reads it, and identifiers that sort by time."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import threading
import time
import uuid
from datetime import UTC, date, datetime
from datetime import time as wall_time
from zoneinfo import ZoneInfo

from asyncpg.pgproto.pgproto import UUID

ZONE = ZoneInfo("Asia/Shanghai")
"""The communities' zone. What leaves the API carries its offset; what is stored is an instant."""

_lock = threading.Lock()
_random = random.Random()  # noqa: S311 - ids are no secrets; whoever needs one takes `secrets`
os.register_at_fork(after_in_child=_random.seed)
_last = 0


def now() -> datetime:
    """This instant, aware, in UTC."""
    return datetime.now(UTC)


def local(moment: datetime) -> datetime:
    """The same instant as the town's clocks show it."""
    return moment.astimezone(ZONE)


def today() -> date:
    """Today's date in the town."""
    return local(now()).date()


def at(day: date, clock: wall_time) -> datetime:
    """The instant at which the town's clocks show `clock` on `day`."""
    return datetime.combine(day, clock, ZONE).astimezone(UTC)


async def pause(seconds: float, stopping: asyncio.Event) -> None:
    """Let so much time go by, or less when the server is to stop."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await stopping.wait()


def uuid7() -> uuid.UUID:
    """A new RFC 9562 UUID, version 7: 60 bits of time (strictly growing in a process), 62 random bits.

    Rows made one after the other get neighbouring keys, which keeps the insert side of every index warm.
    """
    global _last  # noqa: PLW0603 - the one counter that makes ids of one process strictly growing
    ticks = time.time_ns() * 4096 // 1_000_000
    with _lock:
        _last = ticks = max(ticks, _last + 1)
    tail = _random.getrandbits(62)
    value = ((ticks >> 12) << 80) | (0x7 << 76) | ((ticks & 0xFFF) << 64) | (0b10 << 62) | tail
    made: uuid.UUID = UUID(value.to_bytes(16, "big"))  # the database driver's kind, made in a tenth of the time
    return made
