"""What a running gateway is made of, and what it counts."""

from __future__ import annotations

import asyncio
from bisect import bisect_left
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import accumulate

from prometheus_client import CollectorRegistry, Gauge, Metric
from prometheus_client.metrics_core import CounterMetricFamily, HistogramMetricFamily

from services.gateway import told
from services.gateway.arbiter.asked import Asked, Outcome
from services.gateway.availability import Looking, Seen
from services.gateway.claiming import Claiming
from services.gateway.credentials import Credentials
from services.gateway.refusals import Refusals
from services.gateway.upstreams import Guard
from shared.crypto import Keyring
from shared.db import Database
from shared.line import Line, Readers
from shared.settings import Settings


@dataclass(slots=True)
class Parts:
    """Everything a running gateway is made of; its routes find it at `request.state.parts`."""

    db: Database
    keys: Keyring
    settings: Settings
    guards: Mapping[str, Guard]
    line: Line[Asked, Outcome]
    claiming: Claiming
    availability: Readers[Looking, Seen]
    told: Readers[told.Asking, told.Found]
    credentials: Credentials
    metrics: Metrics
    refusals: Refusals
    stopping: asyncio.Event


class Metrics:
    """What is counted; one registry a gateway, so that several can live in one process (tests do).

    Counting is two additions; the words and buckets of Prometheus are only put together when somebody asks.
    """

    BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.registry.register(self)
        self.line = Gauge("linli_line_waiting", "Asks waiting in the arbiter's line", registry=self.registry)
        self._answers: dict[tuple[str, int], int] = {}
        self._seconds: dict[str, list[float]] = {}

    def count(self, service: str, status: int, seconds: float) -> None:
        """One more answer."""
        self._answers[service, status] = self._answers.get((service, status), 0) + 1
        kept = self._seconds.get(service)
        if kept is None:
            kept = self._seconds[service] = [0.0] * (len(self.BOUNDS) + 2)
        kept[bisect_left(self.BOUNDS, seconds)] += 1
        kept[-1] += seconds

    def collect(self) -> Iterator[Metric]:
        """The counts as Prometheus reads them."""
        requests = CounterMetricFamily("linli_requests", "Requests answered", labels=["service", "status"])
        for (service, status), count in self._answers.items():
            requests.add_metric([service, str(status)], count)
        yield requests
        seconds = HistogramMetricFamily("linli_request_seconds", "Time to answer", labels=["service"])
        for service, kept in self._seconds.items():
            upto = list(accumulate(kept[:-1]))
            names = [*map(str, self.BOUNDS), "+Inf"]
            seconds.add_metric([service], list(zip(names, upto, strict=True)), kept[-1])
        yield seconds
