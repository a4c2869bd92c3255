"""Days of events: one in a single process, one with every service apart."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import pytest

from shared import embedded
from shared.crypto import Keyring
from tests.conftest import copy_of
from tests.events import hall
from tests.events.hall import Day
from tests.gateway import doors


@pytest.fixture(scope="package")
def town_url(server: embedded.Embedded, template: str) -> Iterator[str]:
    with copy_of(server, template) as url:
        yield url


@pytest.fixture(scope="package")
def day(town_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Day]:
    """A gateway with everything in its own process."""
    with hall.opened(town_url, Keyring.fresh(), doors.demo(tmp_path_factory.mktemp("day"))) as made:
        yield made


@pytest.fixture(scope="module", params=["in one process", "services apart"])
def either(
    request: pytest.FixtureRequest, server: embedded.Embedded, template: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Day]:
    """A gateway in both compositions."""
    keys, folder = Keyring.fresh(), tmp_path_factory.mktemp("either")
    with contextlib.ExitStack() as stack:
        url = stack.enter_context(copy_of(server, template))
        upstreams = {}
        if request.param == "services apart":
            upstreams = hall.apart(stack, url, keys, doors.demo(folder))
        yield stack.enter_context(hall.opened(url, keys, doors.demo(folder, upstreams=upstreams)))
