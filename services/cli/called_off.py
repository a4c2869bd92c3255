"""A command is called off before a server waits for signals, or where none does."""

from __future__ import annotations

import signal
from typing import Final

_signs: Final[list[int]] = []


def listen() -> None:
    """SIGTERM ends the command as Ctrl-C does, stopping what was started."""
    signal.signal(signal.SIGTERM, _end)


def _end(sign: int, _frame: object) -> None:
    _signs.append(sign)
    raise SystemExit(128 + sign)


def go_on() -> None:
    """End here what was called off and goes on all the same.

    Python drops what a signal raises while it calls back, as it does whenever a module has just been imported.
    """
    if _signs:
        raise SystemExit(128 + _signs[0])
