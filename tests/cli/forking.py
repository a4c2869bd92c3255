"""Runs `linli` commands, each in a process of its own, that has already imported what every command imports.

A line of JSON on stdin is one command ({"words", "env", "out", "err"}); the line on stdout that answers it is its exit
code. One with "code" goes on by itself: the answer is its process id, and when it ends its exit code is written to that
file. Importing takes a second or two, and the tests run more than a hundred commands.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import json
import os
import signal
import sys
from pathlib import Path
from typing import Any, NoReturn

from services import SERVICES, load, operation_ids
from services.cli import main

for module in ("serving", "database", "town"):
    importlib.import_module(f"services.cli.{module}")
for service in SERVICES:
    load(service.app)
operation_ids()  # makes every route ready

gc.freeze()  # a collection in a child would touch, and so copy, all that was imported


def become(told: dict[str, Any]) -> NoReturn:
    """This process is the command from now on."""
    signal.signal(signal.SIGINT, signal.default_int_handler)  # whoever runs the tests may have Ctrl-C ignored
    os.environ.clear()
    os.environ.update(told["env"])
    hear_and_say(told["out"], told["err"])
    sys.argv = ["linli", *told["words"]]
    code: object = 0
    try:
        main()
    except SystemExit as told_to:
        code = told_to.code
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code if isinstance(code, int) else int(code is not None))  # taking apart what was imported takes long


def hear_and_say(out: str, err: str) -> None:
    for number, flags, name in ((0, os.O_RDONLY, os.devnull), (1, os.O_WRONLY, out), (2, os.O_WRONLY, err)):
        opened = os.open(name, flags)
        os.dup2(opened, number)
        os.close(opened)


def ended(pid: int) -> int:
    """Wait for its end; its exit code."""
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def kept(told: dict[str, Any]) -> int:
    """The id of a command that goes on; a process between it and this one waits for its end."""
    hear, say = os.pipe()
    if os.fork() == 0:
        hear_and_say(os.devnull, os.devnull)
        pid = os.fork()
        if pid == 0:
            become(told)
        os.write(say, f"{pid}\n".encode())
        os.close(say)
        code = ended(pid)
        Path(told["code"]).write_text(f"{code}\n", encoding="ascii")
        os._exit(0)
    os.close(say)
    with os.fdopen(hear) as answer:
        return int(answer.readline())


def bury() -> None:
    """Those who waited for a command that has ended leave nothing."""
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG) != (0, 0):
            pass


for line in sys.stdin:
    bury()
    told = json.loads(line)
    if "code" in told:
        answer = kept(told)
    else:
        child = os.fork()
        if child == 0:
            become(told)
        answer = ended(child)
    sys.stdout.write(f"{answer}\n")
    sys.stdout.flush()
