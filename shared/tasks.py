"""What happens without anyone asking: small periodic tasks, each idempotent and safe to run twice at once.

The tables say what is due. A job queue only wakes somebody up, so losing every job row loses no work.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Task:
    """`run(context)` about every so many seconds; what it returns goes to the log when it is not zero or empty."""

    name: str
    every_seconds: int
    run: Callable[[Any], Awaitable[object]]
