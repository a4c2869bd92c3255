"""A gateway with a children's room behind it, in one process or with the services apart."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

import pytest

from services import SERVICES
from shared import embedded
from shared.crypto import Keyring
from tests.childcare.nursery import Nursery
from tests.conftest import copy_of
from tests.gateway import doors
from tests.gateway.test_front import Front, opened

APART = ["services apart"] if os.environ.get("LINLI_LONG") else []
"""Both compositions are tried with LINLI_LONG=1; events, meals and the front door always try both."""


@pytest.fixture(scope="module", params=["in one process", *APART])
def front(
    request: pytest.FixtureRequest,
    server: embedded.Embedded,
    template: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Front]:
    keys, folder = Keyring.fresh(), tmp_path_factory.mktemp("nursery")
    with contextlib.ExitStack() as stack:
        url = stack.enter_context(copy_of(server, template))
        upstreams = {}
        if request.param == "services apart":
            for one in SERVICES:
                alone = doors.service_alone(one.name, url, keys, doors.demo(folder))
                upstreams[one.name] = stack.enter_context(alone)
        yield stack.enter_context(opened(url, keys, doors.demo(folder, upstreams=upstreams)))


@pytest.fixture
def room(front: Front) -> Nursery:
    """A room of its own for every test."""
    return Nursery(front)
