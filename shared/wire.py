"""JSON bytes out of plain values, in one place: the database driver's UUIDs are a class of their own."""

from __future__ import annotations

from typing import Any

import orjson
from asyncpg.pgproto.pgproto import UUID


def dumps(value: Any) -> bytes:
    """Compact JSON; UUIDs and aware moments as text."""
    return orjson.dumps(value, default=_DRIVERS)


_DRIVERS = UUID.__str__
"""For the driver's UUIDs, which come by the dozen in every answer; it refuses everything else with a TypeError."""


loads = orjson.loads

Written = orjson.Fragment
"""JSON that is written already, as a value among others."""
