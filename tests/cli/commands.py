"""The `linli` command as an operator runs it: real processes, and every one of them ended by whom it was started."""

from __future__ import annotations

import atexit
import contextlib
import fcntl
import functools
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import psutil

from shared import crypto, embedded
from shared.crypto import Keyring

HOUSE = Path(__file__).parents[2]
PATIENCE = 60.0
"""Seconds after which something that should come is not coming; never what a test measures."""

PLAIN: Final[dict[str, Any]] = {"timeout": 20, "trust_env": False, "verify": False}
"""How to ask over plain HTTP: reading the certificates that only TLS needs takes longer than the answer."""


def environment(url: str | None = None, **more: str) -> dict[str, str]:
    """This machine's environment without anybody's settings."""
    own = {key: value for key, value in os.environ.items() if key != "DATABASE_URL" and not key.startswith("LINLI_")}
    return own | {"PYTHONPATH": str(HOUSE)} | ({"DATABASE_URL": url} if url is not None else {}) | more


@functools.cache
def _forks() -> subprocess.Popen[str]:
    """One for this test process, of which it is a child; it ends when its stdin does."""
    started = subprocess.Popen(
        # a file that an interrupted command had open is told on stderr, and no failure of its own
        [sys.executable, "-W", "error", "-W", "default::ResourceWarning", "-m", "tests.cli.forking"],
        env=environment(),
        cwd=HOUSE,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    atexit.register(_end, started)
    return started


def _end(forks: subprocess.Popen[str]) -> None:
    forks.communicate()


def linli(*words: object, url: str | None = None, **more: str) -> subprocess.CompletedProcess[str]:
    """Run a command to its end, in a process of its own."""
    told = [str(word) for word in words]
    with tempfile.NamedTemporaryFile("r") as out, tempfile.NamedTemporaryFile("r") as err:
        code = _forked(words=told, env=environment(url, **more), out=out.name, err=err.name)
        return subprocess.CompletedProcess(told, code, out.read(), err.read())


def _forked(**told: object) -> int:
    """What the forking process answers."""
    forks = _forks()
    assert forks.stdin is not None
    assert forks.stdout is not None
    forks.stdin.write(json.dumps(told) + "\n")
    forks.stdin.flush()
    return int(forks.stdout.readline())


def said(*words: object, url: str | None = None, **more: str) -> str:
    """What a command that does its work says on stdout."""
    done = linli(*words, url=url, **more)
    assert done.returncode == 0, done.stderr
    return done.stdout


def refusal(*words: object, url: str | None = None, **more: str) -> str:
    """The one sentence with which a command refuses."""
    done = linli(*words, url=url, **more)
    assert done.returncode == 1, done
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert line.startswith("linli: "), line
    sentence = line.removeprefix("linli: ")
    assert sentence.endswith("."), sentence
    assert "Traceback" not in sentence
    assert not {"{", "}"} & set(sentence), sentence
    return sentence


def eventually(is_so: Callable[[], object], *, within: float = PATIENCE) -> None:
    deadline = time.monotonic() + within
    while not is_so():
        assert time.monotonic() < deadline, "it did not come to pass"
        time.sleep(0.01)


def keys_of(data_dir: Path) -> Keyring:
    return crypto.load_or_create(data_dir / "keys.json", may_create=False)


def database_of(data_dir: Path) -> str:
    """The address of the embedded database that runs there."""
    found = embedded.running(data_dir)
    assert found is not None
    return found.url()


def has_postgres(data_dir: Path) -> bool:
    """Whether any process of a PostgreSQL of this data dir is left: each of them holds its lock."""
    if not (data_dir / "postgres.lock").exists():
        return False
    with (data_dir / "postgres.lock").open("r+") as life:
        try:
            fcntl.flock(life, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def postgres(data_dir: Path) -> list[psutil.Process]:
    """The processes of the PostgreSQL that runs there, the postmaster first."""
    pid = int((data_dir / "postgres" / "postmaster.pid").read_text().splitlines()[0])
    postmaster = psutil.Process(pid)
    return [postmaster, *postmaster.children(recursive=True)]


def is_alive(one: psutil.Process) -> bool:
    """Whether it runs; without an init that reaps, an orphan stays as a zombie, which runs nothing."""
    try:
        return one.is_running() and one.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def kill(several: list[psutil.Process]) -> None:
    """kill -9, and none of them is left."""
    for one in several:
        if one.is_running():
            one.kill()
    psutil.wait_procs(several, timeout=PATIENCE)
    assert not any(map(is_alive, several))


class Serving:
    """A command that goes on until it is told to stop; ended, with its children, when the block ends."""

    def __init__(self, *words: object, folder: Path, url: str | None = None, **more: str) -> None:
        self._words = words
        self._files = [Path(tempfile.mkstemp(dir=folder, suffix=kind)[1]) for kind in (".out", ".err", ".code")]
        out, err, code = map(str, self._files)
        told = [str(word) for word in words]
        self.process = psutil.Process(_forked(words=told, env=environment(url, **more), out=out, err=err, code=code))
        self._children: list[psutil.Process] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.code is None:
            with contextlib.suppress(AssertionError, psutil.NoSuchProcess):
                self.process.terminate()
                self.ended(within=20)
        if self.code is None:
            self.kill()
        kill([one for one in self._children if one.is_running()])

    @property
    def out(self) -> str:
        return self._files[0].read_text()

    @property
    def err(self) -> str:
        return self._files[1].read_text()

    @property
    def code(self) -> int | None:
        """Its exit code, once it has ended."""
        told = self._files[2].read_text()
        return int(told) if told.endswith("\n") else None

    def ready(self) -> str:
        """Wait for its one line on stdout; the address in it, if it has one. The first half of a line is not a line."""
        eventually(lambda: "\n" in self.out or self.code is not None)
        assert self.code is None, f"{self._words} ended: {self.err}"
        (line,) = self.out.splitlines()
        assert line.startswith("ready "), line
        self.children()
        return line.split()[-1]

    def children(self) -> list[psutil.Process]:
        """Its children (never PostgreSQL, which is ended by its data dir), remembered to be ended with it."""
        found = []
        for one in self.process.children():
            with contextlib.suppress(psutil.NoSuchProcess):  # ZombieProcess too: it has ended
                if "services.cli" in one.cmdline():
                    found.append(one)
        self._children += [one for one in found if one not in self._children]
        return found

    def stop(self, sign: signal.Signals = signal.SIGTERM) -> int:
        """Tell it to stop; its exit code."""
        self.process.send_signal(sign)
        return self.ended()

    def ended(self, within: float = 60) -> int:
        """Wait for its end; its exit code. 60 s are the 10 s of grace and a very slow machine."""
        eventually(lambda: self.code is not None, within=within)
        assert self.code is not None
        return self.code

    def kill(self) -> None:
        """kill -9 of this process alone."""
        self.children()
        self.process.kill()
        self.ended()
