"""Runs `linli` commands, each in a process of its own, that has already imported what every command imports.

A line of JSON on stdin is one command ({"words", "env", "out", "err"}); the line on stdout that answers it is its exit
code. Importing takes a second, and the tests run some sixty commands.
"""

from __future__ import annotations

import importlib
import json
import os
import sys

from services.cli import main

for module in ("serving", "database", "town"):
    importlib.import_module(f"services.cli.{module}")

for line in sys.stdin:
    told = json.loads(line)
    pid = os.fork()
    if pid == 0:
        os.environ.clear()
        os.environ.update(told["env"])
        for number, flags, name in ((0, os.O_RDONLY, os.devnull), (1, os.O_WRONLY, "out"), (2, os.O_WRONLY, "err")):
            opened = os.open(told.get(name, name), flags)
            os.dup2(opened, number)
            os.close(opened)
        sys.argv = ["linli", *told["words"]]
        main()
        sys.exit()
    _, status = os.waitpid(pid, 0)
    print(os.waitstatus_to_exitcode(status), flush=True)
