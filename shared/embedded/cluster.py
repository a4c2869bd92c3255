"""One server on one data dir: made whole or not at all, launched, waited for, ended."""

import contextlib
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, urlencode

from shared.embedded.account import Account, account_for
from shared.embedded.folder import (
    SOCKET,
    last_word,
    locked,
    made,
    make_private,
    opened,
    pid_of,
    socket_dir_of,
    taken,
    trim,
)
from shared.embedded.refusals import AlreadyServed, DatabaseDidNotStart, DatabaseDidNotStop, DataDirNotWritable
from shared.embedded.wheel import client, programs_of, server_programs, spawn

_QUIET = 2.0  # seconds of waiting without a word
_PATIENCE = 60.0  # seconds for a silent server
_PATIENCE_RECOVERING = 600.0  # seconds for a server that says it is starting: a replay must not be cut short
_ACCEPTING, _REJECTING = 0, 1  # exit statuses of pg_isready; above them: silence

# Errors stay out of the log (`log` sorts above `error`): they are the answer the application gets for each lost race,
# and their words can quote a resident's data. `terse` and the two lengths keep DETAIL and parameters out of the rest.
# io_method sync: the data fit in memory, so I/O workers would be three processes for nothing. wal_compression off:
# the wheel has no lz4, and pglz costs more CPU than the few full pages between far checkpoints are worth.
# random_page_cost 1.1: by the default of 4 a list of thirty slots is looked for by reading the whole table.
# huge_pages off: a container's limit turns `try` into a bus error.
_INITDB = (
    "--username=linli --auth-local=trust --auth-host=reject --no-instructions"
    " --encoding=UTF8 --locale=C --locale-provider=builtin --builtin-locale=C.UTF-8"
)
_SETTINGS = """\
# Written by Linli at each start; change a setting with ALTER SYSTEM, which wins over this file.
include_if_exists 'postgres/postgresql.conf'
listen_addresses = ''
port = 5432
unix_socket_directories = '{socket_dir}'
unix_socket_permissions = 0700
max_connections = 100
shared_buffers = 80MB
maintenance_work_mem = 32MB
huge_pages = off
io_method = sync
jit = off
random_page_cost = 1.1
fsync = on
synchronous_commit = on
full_page_writes = on
wal_compression = off
max_wal_size = 1GB
checkpoint_timeout = 15min
autovacuum = on
autovacuum_naptime = 15s
autovacuum_max_workers = 2
autovacuum_vacuum_scale_factor = 0.05
autovacuum_analyze_scale_factor = 0.05
idle_in_transaction_session_timeout = 60s
lock_timeout = 0
timezone = 'UTC'
log_timezone = 'UTC'
log_destination = 'stderr'
logging_collector = off
log_line_prefix = '%m [%p] '
log_min_messages = log
log_min_error_statement = panic
log_error_verbosity = terse
log_statement = none
log_min_duration_statement = -1
log_parameter_max_length = 0
log_parameter_max_length_on_error = 0
log_checkpoints = off
"""


@dataclass(frozen=True)
class Embedded:
    """A running server. `programs` is the folder of the programs it was started from."""

    data_dir: Path
    socket_dir: Path
    programs: Path
    started_here: bool

    def url(self, database: str = "linli", user: str = "linli") -> str:
        """Give the address, for libpq, asyncpg and (as `postgresql+asyncpg:`) SQLAlchemy; the names plain."""
        # The port is named since both drivers would otherwise believe PGPORT.
        query = urlencode({"host": str(self.socket_dir), "port": "5432", "user": user}, safe="/", quote_via=quote)
        return f"postgresql:///{quote(database, safe='')}?{query}"


# A child must be reaped by the process that started it, else `stop` would leave a zombie.
_children: dict[Path, subprocess.Popen[bytes]] = {}


@contextlib.contextmanager
def own(data_dir: Path) -> Iterator[None]:
    """Be the one process that serves the data dir, until the block ends or the process dies; else AlreadyServed."""
    data_dir = made(data_dir)
    owner = taken(data_dir / "owner.lock")
    if owner is None:
        raise AlreadyServed(path=data_dir)
    try:
        yield
    finally:
        os.close(owner)


def start(data_dir: Path, *, progress: Callable[[str], None] = lambda _: None) -> Embedded:
    """Start the server on the data dir, made if needed, or find it running there.

    Returns when the server accepts connections and has the database `linli`. Survives any kill -9 before it.
    Blocks: up to 60 s for a silent server, 10 minutes for one replaying its log. Raises the Refused above.
    """
    data_dir = made(data_dir)
    account = account_for(data_dir)
    socket_dir = socket_dir_of(data_dir, account)
    with locked(data_dir / "lock"):
        earlier = _children.get(data_dir)
        try:
            make_private(socket_dir, account)
            is_ours = _raise_server(data_dir, socket_dir, account, progress)
            _make_database(data_dir, socket_dir)
        except BaseException as problem:
            if _children.get(data_dir, earlier) is not earlier:
                _end(data_dir, socket_dir)
            if isinstance(problem, PermissionError):
                raise DataDirNotWritable(path=problem.filename, reason=problem.strerror) from problem
            if isinstance(problem, OSError):
                raise DatabaseDidNotStart(path=data_dir, reason=problem) from problem
            raise
    return Embedded(data_dir, socket_dir, programs_of(data_dir), started_here=is_ours)


def running(data_dir: Path) -> Embedded | None:
    """Find the server that accepts connections on the data dir, for a command beside it; changes nothing."""
    data_dir = data_dir.resolve()
    try:
        uid = (data_dir / "postgres").stat().st_uid
    except OSError:
        return None
    socket_dir = socket_dir_of(data_dir, Account(uid, -1, "", is_other=False))
    if _state(socket_dir) != _ACCEPTING:
        return None
    return Embedded(data_dir, socket_dir, programs_of(data_dir), started_here=False)


def stop(embedded: Embedded) -> None:
    """Stop the server, whoever started it; returns when no process and no socket is left, or DatabaseDidNotStop."""
    with locked(embedded.data_dir / "lock"):
        _end(embedded.data_dir, embedded.socket_dir)


def _raise_server(data_dir: Path, socket_dir: Path, account: Account, progress: Callable[[str], None]) -> bool:
    """Wait until a server accepts; launch one as soon as no process of an earlier one is left."""
    child: subprocess.Popen[bytes] | None = None
    log_start, is_told = 0, False
    began, pause = time.monotonic(), 0.01
    while (state := _state(socket_dir)) != _ACCEPTING:
        if child is None:
            life = taken(data_dir / "postgres.lock")
            if life is not None:
                try:
                    tools = server_programs(data_dir, account)
                    _initialise(data_dir, account, tools, life, progress)
                    progress("Starting the database")
                    log_start = trim(data_dir / "postgres.log")
                    child = _children[data_dir] = _launch(data_dir, socket_dir, account, tools, life)
                finally:
                    os.close(life)
                began = time.monotonic()
        elif child.poll() is not None:
            del _children[data_dir]
            raise DatabaseDidNotStart(path=data_dir, reason=last_word(data_dir / "postgres.log", log_start))
        waited = time.monotonic() - began
        if waited > (_PATIENCE_RECOVERING if state == _REJECTING else _PATIENCE):
            reason = f"process {pid_of(data_dir) or 'unknown'} holds it and accepts no connection after {waited:.0f} s"
            raise DatabaseDidNotStart(path=data_dir, reason=reason)
        if waited > _QUIET and not is_told:
            progress("Waiting for the database, which may be replaying its log")
            is_told = True
        time.sleep(pause)
        pause = min(pause * 1.5, 0.25)
    return child is not None


def _initialise(data_dir: Path, account: Account, tools: Path, life: int, progress: Callable[[str], None]) -> None:
    """Make PGDATA whole or not at all: initdb works beside it, a rename ends it."""
    new, pgdata = data_dir / "postgres.new", data_dir / "postgres"
    if new.is_dir():
        shutil.rmtree(new)
    if (pgdata / "PG_VERSION").exists():
        return
    progress("Preparing the database, once")
    make_private(new, account)
    log = data_dir / "postgres.log"
    log_start = trim(log)
    if spawn((tools / "initdb", "-D", new, *_INITDB.split()), account, log, life).wait() != 0:
        raise DatabaseDidNotStart(path=data_dir, reason=last_word(log, log_start))
    new.rename(pgdata)
    folder = os.open(data_dir, os.O_RDONLY)
    os.fsync(folder)
    os.close(folder)


def _launch(data_dir: Path, socket_dir: Path, account: Account, tools: Path, life: int) -> subprocess.Popen[bytes]:
    if (earlier := _children.pop(data_dir, None)) is not None:
        earlier.wait()
    for name in (SOCKET, f"{SOCKET}.lock"):
        (socket_dir / name).unlink(missing_ok=True)
    # PostgreSQL believes a stale postmaster.pid if any process of its user now has that pid, unless the pid is named
    # here. Its second guard, the shared memory block in the same file, stays: hence the file is not just removed.
    # Only a file cut short by a crash goes.
    pid = pid_of(data_dir)
    if pid is None:
        (data_dir / "postgres" / "postmaster.pid").unlink(missing_ok=True)
    conf, new = data_dir / "postgres.conf", data_dir / "postgres.conf.new"
    with os.fdopen(opened(new, os.O_WRONLY | os.O_TRUNC), "w") as file:
        os.fchmod(file.fileno(), 0o644)
        file.write(_SETTINGS.format(socket_dir=socket_dir))
    new.replace(conf)
    command = (tools / "postgres", "-D", data_dir / "postgres", "-c", f"config_file={conf}")
    return spawn(command, account, data_dir / "postgres.log", life, PG_GRANDPARENT_PID=str(pid or 0))


def _make_database(data_dir: Path, socket_dir: Path) -> None:
    wish = r"select 'create database linli' where not exists (select from pg_database where datname = 'linli') \gexec"
    done = client(socket_dir, "psql", "-Xqv", "ON_ERROR_STOP=1", sql=wish)
    if done.returncode != 0:
        raise DatabaseDidNotStart(path=data_dir, reason=done.stderr.strip())


def _end(data_dir: Path, socket_dir: Path) -> None:
    """Stop fast, then (a checkpoint that never ends) at once, which the next start repairs from the log."""
    child = _children.get(data_dir)
    for sign, patience in ((signal.SIGINT, _PATIENCE), (signal.SIGQUIT, 15.0)):
        is_told = False
        began = time.monotonic()
        while time.monotonic() - began < patience:
            state = _state(socket_dir)
            life = taken(data_dir / "postgres.lock")
            if life is not None:
                os.close(life)
                if state > _REJECTING:
                    if child is not None:
                        child.wait()
                        del _children[data_dir]
                    if socket_dir.parent != data_dir:
                        with contextlib.suppress(OSError):
                            socket_dir.rmdir()
                    return
            # The file's pid is only believed while a server answers: a stale one may be anybody's.
            pid = pid_of(data_dir) if state <= _REJECTING else None
            if child is not None and child.poll() is None:
                pid = child.pid
            if pid is not None and not is_told:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, sign)
                is_told = True
            time.sleep(0.02)
    raise DatabaseDidNotStop(path=data_dir, pid=pid_of(data_dir) or "unknown")


def _state(socket_dir: Path) -> int:
    return client(socket_dir, "pg_isready", "-q", "-t", "5").returncode
