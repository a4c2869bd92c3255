"""Modules of ours that run in a process of their own: what migrates, and the gateways beside the first."""

from __future__ import annotations

import os
import sys


def apart(module: str, **environment: str) -> tuple[list[str], dict[str, str]]:
    """The command and its environment: the module is found where this one was, whatever lies in the current folder."""
    found = os.pathsep.join(path for path in sys.path if path)
    return [sys.executable, "-P", "-m", module], {**os.environ, "PYTHONPATH": found, **environment}
