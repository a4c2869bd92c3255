"""Runs `linli` commands, each in a process of its own, that has already imported what every command imports.

A line of JSON on stdin is one command ({"words", "env", "out", "err"}); the line on stdout that answers it is its exit
code. Importing takes a second, and the tests run some sixty commands.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import sys

from services.cli import main

for module in ("serving", "database", "town"):
    importlib.import_module(f"services.cli.{module}")

gc.freeze()  # a collection in a child would touch, and so copy, all that was imported

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
        code: object = 0
        try:
            main()
        except SystemExit as told_to:
            code = told_to.code
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code if isinstance(code, int) else int(code is not None))  # taking apart what was imported takes long
    _, status = os.waitpid(pid, 0)
    sys.stdout.write(f"{os.waitstatus_to_exitcode(status)}\n")
    sys.stdout.flush()
