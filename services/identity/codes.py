"""Login codes: how they are made, how often one is sent, and who sends it.

A code has six digits, so everything about it is scarce: five minutes, five tries, and a growing pause before the next.
The pauses belong to the phone and not to the asker, because each message costs money and wakes somebody. They end a
day after the first message, and with a login.
"""

from __future__ import annotations

import secrets
from datetime import timedelta
from typing import Final, Protocol

from services.identity.rules import Phone
from shared import crypto
from shared.crypto import Keyring

LIFE: Final = timedelta(minutes=5)
TRIES: Final = 5
MEMORY: Final = timedelta(hours=24)
"""How long sends are counted, from the first one."""
_PAUSES: Final = (60, 120, 300, 600, 1800)
_FREE_IN_DEMO: Final = 10


def make() -> str:
    """A new code."""
    return f"{secrets.randbelow(1_000_000):06d}"


def kept(keys: Keyring, phone: Phone, code: str) -> bytes:
    """What is kept of a code: keyed, because a million codes are quickly tried, and bound to its phone."""
    return crypto.blind_index(keys, f"{phone.digits}|{code}", column="login_codes.code")


def pause(sent: int, *, demo: bool) -> timedelta:
    """How long after the `sent`-th message the next may be asked for."""
    if demo:
        sent -= _FREE_IN_DEMO - 1
    return timedelta(seconds=_PAUSES[min(sent, len(_PAUSES)) - 1] if sent > 0 else 0)


class Sender(Protocol):
    """Whoever brings a code to a phone."""

    @property
    def is_on(self) -> bool:
        """Whether there is anybody who does."""

    async def send(self, phone: Phone, code: str) -> None:
        """Returns when it is on its way; raises an errors.Refusal when it is not."""
