"""How much one caller may ask: a token bucket an account and an address, in memory, bounded."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Hashable
from typing import Final

_REMEMBERED: Final = 100_000


class Rates:
    """Buckets of `burst` tokens that refill with `rate` a second; a caller not seen for long has a full one."""

    def __init__(self, rate: float, burst: int) -> None:
        self.rate = rate
        self.burst = burst
        self._buckets: OrderedDict[Hashable, tuple[float, float]] = OrderedDict()

    @property
    def policy(self) -> str:
        """The quota as a RateLimit-Policy item: so many requests in the seconds a bucket takes to refill."""
        return f"q={self.burst};w={max(1, round(self.burst / self.rate))}"

    def left(self, who: Hashable) -> int:
        """Tokens in the bucket when it was last looked at."""
        bucket = self._buckets.get(who)
        return self.burst if bucket is None else int(bucket[0])

    def take(self, who: Hashable) -> float:
        """0 when there was a token, else the seconds until there is one."""
        now = time.monotonic()
        bucket = self._buckets.get(who)
        if bucket is None:
            self._forget(now)
            tokens = float(self.burst)
        else:
            tokens = min(self.burst, bucket[0] + (now - bucket[1]) * self.rate)
            self._buckets.move_to_end(who)
        if tokens < 1:
            self._buckets[who] = (tokens, now)
            return (1 - tokens) / self.rate
        self._buckets[who] = (tokens - 1, now)
        return 0.0

    def _forget(self, now: float) -> None:
        """Make room for one: two that were not seen for so long that theirs are full again, or else the oldest."""
        for _ in range(2):
            if self._buckets:
                seen = next(iter(self._buckets.values()))[1]
                if (now - seen) * self.rate >= self.burst or len(self._buckets) >= _REMEMBERED:
                    self._buckets.popitem(last=False)
