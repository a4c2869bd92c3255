"""Who runs PostgreSQL: it refuses to run as root."""

import contextlib
import os
import pwd
import stat
from dataclasses import dataclass
from pathlib import Path

from shared.embedded.refusals import DataDirNotReachable, DataDirNotWritable, NoAccount


@dataclass(frozen=True)
class Account:
    """An account of this machine; `is_other` than our own."""

    uid: int
    gid: int
    name: str
    is_other: bool


def account_for(data_dir: Path) -> Account:
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
    account = Account(entry.pw_uid, entry.pw_gid, entry.pw_name, is_other=uid == 0)
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
