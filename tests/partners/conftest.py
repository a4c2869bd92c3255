"""A fresh town with a running gateway for each test about partners."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from services.partners.actions import reach
from shared import embedded
from shared.crypto import Keyring
from shared.settings import Settings
from tests.conftest import copy_of
from tests.gateway import doors
from tests.gateway.test_front import Front, opened
from tests.partners.sink import Sink


@pytest.fixture(autouse=True)
def _types_of_the_tests_own(monkeypatch: pytest.MonkeyPatch) -> None:
    known = reach.names()
    monkeypatch.setattr(reach, "names", lambda: known | {"test.fact.came", "test.other.came"})


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path, demo=True, partner_networks=("127.0.0.0/8",))


@pytest.fixture
def front(database_url: str, keys: Keyring, settings: Settings) -> Iterator[Front]:
    with opened(database_url, keys, settings) as front:
        yield front


@pytest.fixture(scope="module")
def shared_front(server: embedded.Embedded, template: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Front]:
    """A gateway for tests that are refused and leave nothing behind."""
    with copy_of(server, template) as url:
        told = doors.demo(tmp_path_factory.mktemp("refused"))
        with opened(url, Keyring.fresh(), told) as front:
            yield front


@pytest.fixture
def sink() -> Iterator[Sink]:
    with Sink() as sink:
        yield sink
