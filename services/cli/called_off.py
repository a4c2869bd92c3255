"""A command is called off before a server waits for signals, or where none does."""

from __future__ import annotations

import logging
import signal
import sys
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from sys import UnraisableHookArgs

_signs: Final[list[int]] = []


def listen() -> None:
    """SIGTERM ends the command as Ctrl-C does, stopping what was started."""
    signal.signal(signal.SIGTERM, _end)
    sys.unraisablehook = _lost


def is_news(record: logging.LogRecord) -> bool:
    """Whether a log line says more than that somebody was interrupted here: libraries log what passes through them."""
    return not (record.exc_info and isinstance(record.exc_info[1], SystemExit | KeyboardInterrupt))


def _lost(told: UnraisableHookArgs) -> None:
    if not isinstance(told.exc_value, SystemExit):  # `go_on` sees to that
        sys.__unraisablehook__(told)


def _end(sign: int, _frame: object) -> None:
    _signs.append(sign)
    raise SystemExit(128 + sign)


def go_on() -> None:
    """End here what was called off and goes on all the same.

    Python drops what a signal raises while it calls back, as it does whenever a module has just been imported.
    """
    if _signs:
        raise SystemExit(128 + _signs[0])
