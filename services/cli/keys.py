"""`linli keys`: turning the keys of a deployment that goes on serving meanwhile."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from datetime import UTC, datetime
from typing import Any, Final

import psycopg
from psycopg.rows import tuple_row
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from services.cli import Stop, database
from shared import clock, crypto, reach, rotation
from shared.crypto import KeyFile, Keyring
from shared.sealed import COLUMNS, Sealed, counted
from shared.settings import Settings

_BLOCKS: Final = 64
"""Blocks of a table that are sealed anew in one transaction: some thousand rows, and locks for less than a second."""
_DEMO_TOKENS: Final = 12 * 3600
_PASSES_OUTLIVE: Final = 3600
"""Seconds for which a pass is good after the end of what it is for."""
_FORMATS: Final = {number: name for name, number in crypto.FORMATS.items()}


def show(settings: Settings) -> None:
    """Every key by its public name or number; no key itself."""
    with database.at(settings) as url:
        database.require_current(url)
        database.keys(settings, url)
        kept, rows = _kept(settings), asyncio.run(counted(url))
    now = time.time()
    table = Table("kind", "key", "state", "rows")
    for kind, names in (
        ("signing", [one.kid for one in kept.signing]),
        ("field", [str(one) for one in sorted(kept.field, reverse=True)]),
        ("assertion", [f"#{n}" for n in range(len(kept.assertion), 0, -1)]),
    ):
        coming = kept.is_coming(kind, now)
        used = "seals" if kind == "field" else "signs"
        older = "opens" if kind == "field" else "verifies"
        for at, name in enumerate(names):
            state = f"{used} {_said(kept, kind)}" if at == 0 and coming else used if at == int(coming) else older
            counts: Counter[str] = Counter()
            for one in rows if kind == "field" else ():
                if str(one.version) == name:
                    counts[_FORMATS.get(one.format, "?")] += one.values
            told = ", ".join(f"{count} {cipher}" for cipher, count in sorted(counts.items()))
            table.add_row(kind, name, state, told or ("0" if kind == "field" else "-"))
    console = Console()
    console.print(table)
    console.print(
        f"Blind indexes: HMAC-{kept.index_hash.upper()}, for ever. New values are sealed with {settings.cipher}."
    )


def rotate(settings: Settings, kind: str, ahead: float) -> None:
    """Add a key; the database remembers that rows may need it."""
    _known(kind)
    with database.at(settings) as url:
        database.require_current(url)
        database.keys(settings, url)
        kept = rotation.rotate(settings.keys_file, kind, ahead=ahead)
        if kind == "field":
            database.remember_version(url, max(kept.field))
    print(f"The new {kind} key is used {_said(kept, kind)}; back up {settings.keys_file}.")
    if kind == "field":
        print("Then run `linli keys reseal`.")


def retire(settings: Settings, kind: str, *, at_once: bool) -> None:
    """Forget what nothing needs: no row, no token, no pass; tokens and passes may be forgotten `at_once`."""
    _known(kind)
    with database.at(settings) as url:
        database.require_current(url)
        database.keys(settings, url)
        needed = {one.version for one in asyncio.run(counted(url))} if kind == "field" else set()
        until = _signed_until(url, _kept(settings).since.get(kind, 0.0)) if kind == "signing" and not at_once else 0.0
        gone = rotation.retire(settings.keys_file, kind, needed=needed, signed_until=until)
    print(f"{gone} old {kind} key{'' if gone == 1 else 's'} retired." if gone else f"There is no old {kind} key.")


def reseal(settings: Settings) -> None:
    """Walk through every sealed column, a few blocks at a time."""
    with database.at(settings) as url:
        database.require_current(url)
        keys = database.keys(settings, url)
        if _kept(settings).is_coming("field", time.time()):
            raise Stop(f"The newest field key seals only {_said(_kept(settings), 'field')}; run this then.")
        console = Console(stderr=True)
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        done, unreadable = 0, 0
        with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
            for one in COLUMNS:
                made, wrong = _reseal(url, keys, one, progress)
                done, unreadable = done + made, unreadable + wrong
        left = sum(
            found.values
            for found in asyncio.run(counted(url))
            if bytes((found.format,)) + found.version.to_bytes(2) != keys.head
        )
    print(f"{done} values sealed anew; {left} left.")
    if unreadable:
        raise Stop(
            f"{unreadable} values cannot be opened with these keys and were left as they are; see `linli keys show`."
        )
    if left:
        raise Stop(f"{left} values were in use or came meanwhile; run it again.")


def _reseal(url: str, keys: Keyring, one: Sealed, progress: Progress) -> tuple[int, int]:
    done = unreadable = 0
    with psycopg.connect(url, autocommit=True, row_factory=tuple_row) as connection:
        connection.execute(reach.OF_A_SESSION)
        size = connection.execute("SELECT pg_relation_size(%s::regclass) / 8192", (one.table,)).fetchone()
        blocks = int(size[0]) if size else 0
        task = progress.add_task(f"{one.table}.{one.column}", total=blocks)
        for first in range(0, blocks, _BLOCKS):
            with connection.transaction():
                rows = connection.execute(
                    f"SELECT ctid::text, {one.row}, {one.column} FROM {one.table} "  # noqa: S608 - names of our own list
                    f"WHERE ctid >= %s::tid AND ctid < %s::tid AND length({one.column}) > 2 "
                    f"AND substring({one.column} from 1 for 3) <> %s "
                    "FOR NO KEY UPDATE SKIP LOCKED".encode(),
                    (f"({first},0)", f"({first + _BLOCKS},0)", keys.head),
                ).fetchall()
                turned = [(_turned(keys, one, row, value), at) for at, row, value in rows]
                told = [(value, at) for value, at in turned if value is not None]
                write = f"UPDATE {one.table} SET {one.column} = %s WHERE ctid = %s::tid"  # noqa: S608 - as above
                connection.cursor().executemany(write.encode(), told)
            done, unreadable = done + len(told), unreadable + len(turned) - len(told)
            progress.update(task, completed=min(first + _BLOCKS, blocks))
    return done, unreadable


def _turned(keys: Keyring, one: Sealed, row: str, value: bytes) -> bytes | None:
    """A value under the newest key; None when it cannot be opened."""
    place: dict[str, Any] = {"table": one.table, "column": one.column, "row": row}
    try:
        return crypto.seal(keys, crypto.unseal(keys, value, **place), **place)
    except crypto.Tampered:
        return None


def _signed_until(url: str, since: float) -> float:
    """When the last thing ends that was signed before a moment: an access token, or a pass for a place taken by then."""
    with psycopg.connect(url) as connection:
        connection.execute(reach.OF_A_SESSION)
        row = connection.execute(
            "SELECT extract(epoch FROM max(ends_at))::float8 FROM claims WHERE is_active AND made_at <= to_timestamp(%s)",
            (since,),
        ).fetchone()
    return max(since + _DEMO_TOKENS, (row[0] if row and row[0] else 0.0) + _PASSES_OUTLIVE)


def _kept(settings: Settings) -> KeyFile:
    found = crypto.read(settings.keys_file)
    if found is None:
        raise Stop(f"There is no key file at {settings.keys_file}.")
    return found


def _known(kind: str) -> None:
    if kind not in rotation.KINDS:
        raise Stop(f"There are no {kind} keys; there are {', '.join(rotation.KINDS)}. The index key is never turned.")


def _said(kept: KeyFile, kind: str) -> str:
    return f"from {clock.local(datetime.fromtimestamp(kept.since[kind], UTC)):%Y-%m-%d %H:%M:%S}"
