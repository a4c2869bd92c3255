"""Which database a command works on, and whether it may: the given one, the embedded one, its keys and its version."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import subprocess
from collections.abc import Callable, Coroutine, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import psycopg
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from services.cli import Stop
from services.cli.apart import apart
from shared import crypto, embedded, reach, regions, revisions
from shared.db import Database
from shared.settings import Settings

if TYPE_CHECKING:
    from shared.crypto import Keyring
    from shared.sealed import SealedWith

T = TypeVar("T")


@contextlib.contextmanager
def at(settings: Settings, *, may_make: bool = False) -> Iterator[str]:
    """The database's URL: DATABASE_URL, the running embedded one, or that one started for as long as this takes.

    A new one is made only by commands that fill it.
    """
    if settings.database_url is not None:
        require_reachable(settings.database_url)
        yield settings.database_url
        return
    beside = embedded.running(settings.data_dir)
    if beside is not None:
        yield beside.url()
        return
    if not may_make and not (settings.data_dir / "postgres" / "PG_VERSION").exists():
        raise Stop(f"There is no database in {settings.data_dir}; run `linli up` on it first, or set DATABASE_URL.")
    with embedded.own(settings.data_dir):
        started = embedded.start(settings.data_dir)
        try:
            yield started.url()
        finally:
            embedded.stop(started)


def require_reachable(url: str) -> None:
    """Refuse a database that cannot be used, in one sentence."""
    try:
        make_url(url)  # libpq also takes "host=… dbname=…", which the pool does not
        with psycopg.connect(url, connect_timeout=5) as connection:
            version = connection.info.server_version
    except psycopg.OperationalError as error:
        why = (str(error).strip().splitlines() or ["no answer"])[0].rpartition(": ")[2].strip()
        raise Stop(f"The database at DATABASE_URL cannot be reached ({why}); start it or correct the URL.") from None
    except (psycopg.Error, ArgumentError, ValueError):
        raise Stop("DATABASE_URL is not a PostgreSQL URL; write postgresql://user:password@host:5432/name.") from None
    if version < 180000:
        raise Stop(f"The database is PostgreSQL {version // 10000}; Linli needs version 18 or newer.")


def require_current(url: str) -> None:
    """Refuse a database of another version of the code."""
    current = revisions.current(url)
    if current == revisions.head():
        return
    if current is None:
        raise Stop("The database is empty; run `linli migrate` first.")
    if revisions.is_known(current):
        raise Stop(f"The database is at an older version ({current}); run `linli migrate` first.")
    raise Stop(f"The database is at version {current}, which this code does not know; install the newer Linli.")


def keys(settings: Settings, url: str) -> Keyring:
    """This deployment's keys: new ones only for a database that was made with none."""
    known = _one(url, "SELECT fingerprint FROM deployment") if _has(url, "deployment") else None
    ring = crypto.load_or_create(settings.keys_file, may_create=known is None, cipher=settings.cipher)
    if known is not None and ring.fingerprint() != known:
        raise Stop(
            f"The keys in {settings.keys_file} are not those this database was made with; "
            "put the right keys there, or use another data dir."
        )
    # By way of JSON, because an older schema does not have the column.
    sealed = _one(url, "SELECT (to_jsonb(d)->>'field_version')::int FROM deployment d") if known is not None else None
    if isinstance(sealed, int) and sealed not in ring.field:
        raise Stop(
            f"The keys in {settings.keys_file} are older than this database: field key {sealed} is missing; "
            "restore the newest copy of the file."
        )
    return ring


def remember_version(url: str, version: int) -> None:
    """Write down that rows may be sealed with this version of the field key from now on."""
    with psycopg.connect(url) as connection:
        connection.execute("UPDATE deployment SET field_version = greatest(field_version, %s)", (version,))


def migrate_up(url: str) -> None:
    """This version's schema, and in a new database the regions that come with the code: people live in them."""
    current = revisions.current(url)
    if current is not None and not revisions.is_known(current):
        require_current(url)
    _upgrade(url)
    if not _one(url, "SELECT EXISTS (SELECT 1 FROM regions)"):
        with psycopg.connect(url) as connection:
            connection.cursor().executemany(
                "INSERT INTO regions (code, name, level, parent_code) VALUES (%s, %s, %s, %s) ON CONFLICT DO NOTHING",
                [(one.code, one.name, one.level, one.parent_code or None) for one in regions.read()],
            )


def _upgrade(url: str) -> None:
    """Migrate in a process of its own: what that loads would stay with the town for as long as it serves."""
    command, environment = apart("shared.migrate", DATABASE_URL=url)
    done = subprocess.run(
        command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, check=False
    )
    if done.returncode == revisions.REFUSED:
        raise Stop(f"The database refused: {done.stderr.strip().rstrip('.')}.")
    if done.returncode < 0:
        raise Stop(f"Migrating was ended by {signal.Signals(-done.returncode).name}; run it again.")
    if done.returncode != 0:
        raise RuntimeError(done.stderr)


def remember_keys(url: str, ring: Keyring, *, demo: bool) -> None:
    """Write down with which keys this database was made, once; of two who make it at once, the later is refused."""
    with psycopg.connect(url) as connection:
        connection.execute(
            "INSERT INTO deployment (fingerprint, is_demo) VALUES (%s, %s) ON CONFLICT DO NOTHING",
            (ring.fingerprint(), demo),
        )
    if _one(url, "SELECT fingerprint FROM deployment") != ring.fingerprint():
        raise Stop("Somebody else has made this database at this moment, with other keys; use their data dir.")


def sealed_before(url: str, found: Sequence[SealedWith]) -> int:
    """How many values are sealed with a field key older than the newest."""
    newest = _one(url, "SELECT max(field_version) FROM deployment")
    return sum(one.values for one in found if isinstance(newest, int) and one.version < newest)


def prepare(settings: Settings, url: str) -> Keyring:
    """Keys and this version's schema, in a demo database."""
    ring = keys(settings, url)
    if revisions.current(url) != revisions.head():
        migrate_up(url)
    remember_keys(url, ring, demo=True)
    if not is_demo(url):
        raise Stop("This is not a demo database: it is not filled with synthetic residents.")
    return ring


def is_demo(url: str) -> bool:
    """Whether the database was made as a demo town."""
    return bool(_one(url, "SELECT is_demo FROM deployment"))


def is_empty(url: str) -> bool:
    """Whether nobody lives in it yet."""
    return not _one(url, "SELECT EXISTS (SELECT 1 FROM places) OR EXISTS (SELECT 1 FROM persons)")


def _has(url: str, table: str) -> bool:
    return _one(url, f"SELECT to_regclass('{table}')") is not None


def _one(url: str, sql: str) -> object:
    with psycopg.connect(url) as connection:
        connection.execute(reach.OF_A_SESSION)
        row = connection.execute(sql.encode()).fetchone()
    return row[0] if row else None


def acted(url: str, keys: Keyring, act: Callable[..., Coroutine[Any, Any, T]], *args: Any) -> T:
    """What `act(db, keys, …)` comes to, in a loop of its own."""

    async def acting() -> T:
        db = Database.connect(url, pool_size=2)
        try:
            return await act(db, keys, *args)
        finally:
            await db.close()

    return asyncio.run(acting())


def ensure_data_dir(path: Path) -> None:
    """Make the data dir, or say in one sentence why it cannot be."""
    try:
        path.mkdir(parents=True, exist_ok=True)
        probe = path / ".probe"
        probe.touch()
        probe.unlink()
    except OSError:
        raise Stop(f"The data dir {path} cannot be written to; choose another with --data-dir.") from None
