"""JSON bytes out of plain values, in one place: the database driver's UUIDs are a class of their own."""

from __future__ import annotations

import uuid
from typing import Any

import orjson


def dumps(value: Any) -> bytes:
    """Compact JSON; UUIDs and aware moments as text."""
    return orjson.dumps(value, default=_other)


def _other(value: Any) -> Any:
    if isinstance(value, uuid.UUID):
        return str(value)
    raise TypeError(type(value).__name__)


loads = orjson.loads
