"""How often one caller may try what could be guessed: codes by address, document numbers by account.

In memory of one process, and bounded: it slows guessing down, while the database counts what must be exact.
"""

from __future__ import annotations

import ipaddress
import time
from collections import OrderedDict
from collections.abc import Hashable
from typing import Final

from shared import errors

_REMEMBERED: Final = 100_000
_DEMO: Final = 100
"""A demo is shown to a room full of people behind one address."""


class Allowance:
    """So many an hour, all at once if need be, and slowly growing back."""

    def __init__(self, an_hour: int, *, demo: bool = False) -> None:
        self._most = float(an_hour * _DEMO if demo else an_hour)
        self._left: OrderedDict[Hashable, tuple[float, float]] = OrderedDict()

    def take(self, who: Hashable) -> None:
        """Use one; refuses when there is none left."""
        now = time.monotonic()
        left, seen = self._left.pop(who, (self._most, now))
        left = min(self._most, left + (now - seen) * self._most / 3600)
        self._left[who] = (left - 1 if left >= 1 else left, now)
        if len(self._left) > _REMEMBERED:
            self._left.popitem(last=False)
        if left < 1:
            raise errors.TooMany(retry_after=(1 - left) * 3600 / self._most)


def network(address: str) -> str:
    """The address that counts: of IPv6 the first 64 bits, since everybody has as many of the others as they like."""
    try:
        told = ipaddress.ip_address(address)
    except ValueError:
        return address
    if told.version == 6 and told.ipv4_mapped is None:
        return str(ipaddress.ip_network((told, 64), strict=False))
    return address
