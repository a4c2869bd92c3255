"""The data dir and what lies in it: locks, the log, the socket's folder. Nothing is ever opened through a link."""

import contextlib
import fcntl
import hashlib
import os
import re
from collections.abc import Iterator
from pathlib import Path

from shared.embedded.account import Account
from shared.embedded.refusals import DataDirNotWritable, SocketDirNotOurs

SOCKET = ".s.PGSQL.5432"
_LONGEST_SOCKET = 90  # bytes; macOS allows 103, Linux 107
_LONGEST_LOG = 1 << 20  # bytes, looked at when the server starts


def made(data_dir: Path) -> Path:
    """Give the data dir, made if needed; refuse one that we cannot write to."""
    try:
        data_dir = data_dir.resolve()
        if not data_dir.is_dir():
            data_dir.mkdir(parents=True, exist_ok=True)
            data_dir.chmod(0o755 if os.geteuid() == 0 else 0o700)
        os.close(opened(data_dir / "lock", os.O_RDWR))
    except OSError as problem:
        raise DataDirNotWritable(path=data_dir, reason=problem.strerror) from problem
    return data_dir


def socket_dir_of(data_dir: Path, account: Account) -> Path:
    """Give `run/`, or a folder that follows from the data dir alone if that path is too long or not plain."""
    inside = data_dir / "run"
    # Commas part addresses for libpq and PostgreSQL, colons for SQLAlchemy.
    if re.fullmatch(r"[\w./-]+", str(inside), re.ASCII) and len(str(inside / SOCKET)) <= _LONGEST_SOCKET:
        return inside
    digest = hashlib.sha256(os.fsencode(data_dir)).hexdigest()[:16]
    # Not TMPDIR: it is long on macOS, and a command beside the server may have another one.
    return Path(os.sep, "tmp", f"linli-{account.uid}-{digest}")


def make_private(path: Path, account: Account) -> None:
    """Make a folder that only the account can enter; refuse one that is somebody else's."""
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


def pid_of(data_dir: Path) -> int | None:
    """Give the process that the server's own file names, which may be long gone."""
    try:
        return abs(int((data_dir / "postgres" / "postmaster.pid").read_text().split("\n", 1)[0])) or None
    except (OSError, ValueError):
        return None


def opened(path: Path, flags: int) -> int:
    """Open or make a file, never through a link: as root we may stand in somebody else's folder."""
    return os.open(path, flags | os.O_CREAT | os.O_NOFOLLOW, 0o600)


def taken(path: Path) -> int | None:
    """Take a lock if it is free; close what is given to let it go."""
    lock = opened(path, os.O_RDWR)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        return None
    return lock


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Wait for a lock and have it until the block ends."""
    lock = opened(path, os.O_RDWR)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)


def trim(log: Path) -> int:
    """Keep the last quarter of a log grown too long; give its length."""
    with os.fdopen(opened(log, os.O_RDWR), "r+b") as file:
        length = file.seek(0, os.SEEK_END)
        if length > _LONGEST_LOG:
            file.seek(-_LONGEST_LOG // 4, os.SEEK_END)
            tail = file.read()
            file.seek(0)
            file.truncate()
            length = file.write(tail)
    return length


def last_word(log: Path, log_start: int) -> str:
    """Say why the server died: the last fatal line it wrote since, else its last line."""
    lines = [line for line in log.read_bytes()[log_start:].decode(errors="replace").splitlines() if line.strip()]
    fatal = [line for line in lines if re.search(r"(FATAL|PANIC|error): ", line)]
    return re.sub(r"^.*?(FATAL|PANIC|error): +", "", (fatal or lines or ["it said nothing"])[-1])
