"""A PostgreSQL for the run, a migrated template in it, and a fresh copy for every test that writes."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
import uuid
from collections.abc import AsyncIterator, Iterator, Sequence
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import asyncpg
import psycopg
import pytest

from services import notice_types
from shared import embedded, migrate, notices, wire
from shared.crypto import Keyring
from shared.db import Database, Tx
from shared.settings import Settings
from tests import overheard, town

_MEMORY = Path("/dev/shm")
if (
    _MEMORY.is_dir()
    and os.access(_MEMORY, os.W_OK)
    and not os.statvfs(_MEMORY).f_flag & os.ST_NOEXEC
    and shutil.disk_usage(_MEMORY).free > 8 << 30
):  # what tests make is thrown away; in memory a copy of a database takes a third of the time
    tempfile.tempdir = os.environ["TMPDIR"] = str(_MEMORY)


@cache
def _kinds() -> dict[str, notices.NoticeType]:
    return {kind.name: kind for kind in notice_types()}


async def _announce(tx: Tx, several: Sequence[notices.Notice], announce: Any = notices.announce) -> None:
    """Whatever the tests announce has the form that partners are promised; `test.…` is the tests' own."""
    for one in several:
        if not one.type.startswith("test."):
            assert one.type in _kinds(), f"{one.type} is in no TYPES"
            _kinds()[one.type].data.model_validate_json(wire.dumps(one.data))
            assert set(one.data) <= set(_kinds()[one.type].data.model_fields), one.type
    await announce(tx, several)


notices.announce = _announce  # before any service is read, so that all of them have this one


_types: dict[tuple[int, ...], Any] = {}


async def _introspect_types(
    connection: Any, oids: Sequence[int], seconds: float, ask: Any = asyncpg.Connection._introspect_types
) -> Any:
    """PostgreSQL's own types are the same in every database, and asking takes longer than connecting."""
    key = tuple(sorted(oids))
    if key in _types:
        return _types[key], SimpleNamespace(name="none had to be prepared")
    found = await ask(connection, oids, seconds)
    if key[-1] < 16384:
        _types[key] = found[0]
    return found


asyncpg.Connection._introspect_types = _introspect_types


if (
    importlib.util.find_spec("sniffio") is None
):  # httpx asks for it at every request, and Python looks for it on the disk
    sys.modules["sniffio"] = None  # type: ignore[assignment]


@pytest.hookimpl(tryfirst=True)
def pytest_collection(session: pytest.Session) -> None:
    """In a new checkout every process reads its share of the tests first: what one has compiled, the others find."""
    told = getattr(session.config, "workerinput", None)
    if told is not None and len(session.config.args) == 1:
        names = sorted(path.relative_to(session.config.rootpath) for path in Path(__file__).parent.rglob("test_*.py"))
        for name in names[int(told["workerid"].removeprefix("gw")) :: told["workercount"]]:
            importlib.import_module(".".join(name.with_suffix("").parts))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The folder of many short tests comes last, so that all processes end at about the same time."""
    items.sort(key=lambda item: item.path.parent.name == "identity")


gc.disable()  # nothing that is read while tests are collected is garbage


def pytest_collection_finish() -> None:
    """What was read stays: nothing looks through it for garbage again, and less often through what comes after it."""
    gc.freeze()
    gc.set_threshold(20_000, 10, 20)
    gc.enable()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call() -> Iterator[None]:
    """What a test was answered tells nobody what is not theirs to see, or the test has failed."""
    yield
    overheard.examine()


overheard.listen()


_landlord: dict[Path, psycopg.Connection[Any]] = {}
"""The connection to a server over which databases are made and dropped."""


@contextlib.contextmanager
def reachable() -> Iterator[Path]:
    """A folder every user may enter: pytest's own are private, so root's PostgreSQL could not get there."""
    folder = Path(tempfile.mkdtemp(prefix="linli-test-")).resolve()
    folder.chmod(0o755)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def server() -> Iterator[embedded.Embedded]:
    """One server a test process."""
    with reachable() as folder:
        started = embedded.start(folder)
        try:
            with psycopg.connect(started.url("postgres"), autocommit=True) as _landlord[started.data_dir]:
                yield started
        finally:
            embedded.stop(started)


@pytest.fixture(scope="session")
def cluster() -> Iterator[Path]:
    """What the first start on a data dir makes of it, at rest."""
    with reachable() as folder:
        embedded.stop(embedded.start(folder))
        yield folder / "postgres"


def started_before(data_dir: Path, cluster: Path) -> Path:
    """A data dir on which a server was started before: making a cluster takes most of a second."""
    data_dir.mkdir(mode=0o755)
    subprocess.run(["cp", "-a", cluster, data_dir], check=True)  # whose files they are, too
    return data_dir


@pytest.fixture(scope="session")
def template(server: embedded.Embedded) -> str:
    """The name of a database with the schema and nothing in it."""
    _landlord[server.data_dir].execute("CREATE DATABASE linli_template")
    migrate.upgrade(server.url("linli_template"))
    return "linli_template"


def copy_of(server: embedded.Embedded, template: str) -> contextlib.AbstractContextManager[str]:
    """A fresh copy of a template database, dropped in the end."""

    @contextlib.contextmanager
    def made() -> Iterator[str]:
        name = f"t_{uuid.uuid4().hex[:16]}"
        landlord = _landlord[server.data_dir]
        landlord.execute(f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY file_copy")
        try:
            with town.sharing(server.url(name)), overheard.listening(server.url(name)):
                yield server.url(name)
        finally:
            landlord.execute(f"DROP DATABASE {name} WITH (FORCE)")

    return made()


@pytest.fixture
def database_url(server: embedded.Embedded, template: str) -> Iterator[str]:
    """A fresh, migrated database."""
    with copy_of(server, template) as url:
        yield url


@pytest.fixture
def keys() -> Keyring:
    """Keys of a deployment that lives as long as the test."""
    return Keyring.fresh()


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Settings of a demo deployment."""
    return Settings(data_dir=tmp_path, demo=True)


@contextlib.asynccontextmanager
async def connected(url: str, *, role: str | None = None, pool_size: int = 10) -> AsyncIterator[Database]:
    """A pool on a database, closed in the end."""
    db = Database.connect(url, pool_size=pool_size, role=role)
    try:
        yield db
    finally:
        await db.close()


def run(coroutine: object) -> object:
    """Run a coroutine to its end in a loop of its own."""
    return asyncio.run(coroutine)  # type: ignore[arg-type]
