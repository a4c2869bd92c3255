"""A kitchen of its own for each module of tests, which the doctor examines after all of them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from shared import embedded
from shared.crypto import Keyring
from tests.conftest import copy_of
from tests.elder_meals.kitchens import Kitchen
from tests.gateway import doors
from tests.gateway.test_front import Front, examined, opened


@pytest.fixture(scope="module")
def kitchen(server: embedded.Embedded, template: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kitchen]:
    keys, folder = Keyring.fresh(), tmp_path_factory.mktemp("kitchen")
    settings = doors.demo(folder, account_burst=100_000, address_burst=100_000)
    with copy_of(server, template) as url, opened(url, keys, settings) as front:
        yield Kitchen(front)
        assert examined(front) == [], "after all of it"


@pytest.fixture
def front(kitchen: Kitchen) -> Front:
    return kitchen.front
