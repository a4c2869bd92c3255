"""The database: one pool a process, one use = one function = one transaction, committed before it returns.

`run` is the only way to write. The action gets a `Tx`; when it returns, the transaction is committed and only then does
the caller go on, so an answer never leaves before its fact is durable. When the connection breaks between COMMIT and its
answer, the outcome is asked from PostgreSQL itself (`pg_xact_status` of the transaction's own id): committed returns the
result, aborted raises `NotCommitted` (nothing happened), and only a database that stays silent leaves `CommitUnknown`.

The SQL rooms speak PostgreSQL with `$1` parameters straight to the driver: a statement there costs a third of the
client's time it costs through an expression layer, and can be pasted into psql. Pooling, models and migrations are
SQLAlchemy's.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from typing import Any, Concatenate, ParamSpec, TypeVar

import asyncpg
from sqlalchemy import event
from sqlalchemy.engine import make_url
from sqlalchemy.exc import InvalidatePoolError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from shared import errors, reach, wire
from shared.assertion import Caller

P = ParamSpec("P")
T = TypeVar("T")
Referees = Mapping[str, Callable[[], errors.Refusal]]
"""What it means to the caller when one of these constraints is broken."""

MAX_CONNECTIONS = 80
"""The sum of all pools of a deployment, job workers included, stays below this."""
ROLL_BACK_SECONDS = 2.0
"""How long a transaction that is given up keeps its connection; then the connection is given up, too."""
COMMIT_SECONDS = 5
"""How long the answer to COMMIT is waited for before PostgreSQL is asked over another connection."""


class CommitUnknown(errors.Unknown):
    """It is not yet known whether this was done; ask again with the same Idempotency-Key."""

    # COMMIT was sent, and the database could not be asked what became of it.


class NotCommitted(errors.Unavailable):
    """This does not work at the moment; please try again."""

    # The database lost the transaction before it was committed; nothing was done.


class Tx:
    """One open transaction."""

    __slots__ = ("connection", "discarded", "xid")

    def __init__(self, connection: Any) -> None:
        self.connection = connection
        self.discarded = False
        self.xid: str | None = None
        """The transaction's id (`pg_current_xact_id()::text`), where a statement told it by the way."""

    async def fetch(self, sql: str, *args: Any) -> list[Any]:
        """All rows of the answer (asyncpg records: by name or position)."""
        return await self.connection.fetch(sql, *args)  # type: ignore[no-any-return]

    async def row(self, sql: str, *args: Any) -> Any | None:
        """The first row, or None."""
        return await self.connection.fetchrow(sql, *args)

    async def value(self, sql: str, *args: Any) -> Any:
        """The first column of the first row, or None."""
        return await self.connection.fetchval(sql, *args)

    async def execute(self, sql: str, *args: Any) -> int:
        """The number of rows touched."""
        status: str = await self.connection.execute(sql, *args)
        count = status.rsplit(" ", 1)[-1]
        return int(count) if count.isdigit() else 0

    async def many(self, sql: str, rows: Sequence[Sequence[Any]]) -> None:
        """The same statement for many rows."""
        await self.connection.executemany(sql, rows)

    def discard(self) -> None:
        """Nothing was written that matters: roll back in the end instead of waiting for the disk."""
        self.discarded = True


class Database:
    """A pool of connections, the role its transactions take, and how far they reach.

    `role` is a database role: the gateway and every service have one each, with the grants of what they may touch.
    None means the role that logged in (migrations, seeding, the doctor). It sees and takes everybody's rows, but where it is
    given to a request: there no more than its `caller`'s reach allows (`shared.web`).
    """

    def __init__(self, engine: AsyncEngine, role: str | None = None, caller: Caller | None = None) -> None:
        self.engine = engine
        self.role = role
        self.caller = caller

    @classmethod
    def connect(
        cls, url: str, *, pool_size: int = 10, role: str | None = None, command_seconds: float = 10
    ) -> Database:
        """`url` as PostgreSQL's own tools take it; nothing is sent before the first use.

        A statement that is not answered in `command_seconds` is given up: a silent connection must not hold a line.
        """
        engine = create_async_engine(
            make_url(url).set(drivername="postgresql+asyncpg"),
            pool_size=pool_size,
            max_overflow=0,
            pool_timeout=5,
            pool_use_lifo=True,  # the few that are busy have their plans and pages at hand, and the others stay small
            isolation_level="AUTOCOMMIT",  # BEGIN and COMMIT are ours, see `transaction`
            connect_args={"timeout": 5, "command_timeout": command_seconds},
        )

        @event.listens_for(engine.sync_engine, "connect")
        def _made(dbapi_connection: Any, _record: Any) -> None:
            dbapi_connection.run_async(_set_codecs)
            _keep_alive(dbapi_connection.driver_connection)

        @event.listens_for(engine.sync_engine, "checkout")
        def _open(dbapi_connection: Any, _record: Any, _proxy: Any) -> None:
            if dbapi_connection.driver_connection.is_closed():  # while it lay there, and most likely all others too
                raise InvalidatePoolError

        return cls(engine, role)

    def of(self, role: str | None) -> Database:
        """The same pool for another role."""
        return Database(self.engine, role, self.caller)

    def within(self, caller: Caller) -> Database:
        """The same pool and role, showing and taking no more than this caller's reach allows."""
        return Database(self.engine, self.role, caller)

    async def close(self) -> None:
        """Close every connection."""
        await self.engine.dispose()

    @contextlib.asynccontextmanager
    async def transaction(
        self, *, lock_timeout_ms: int = 2000, read_only: bool = False, same_plans: bool = False
    ) -> AsyncIterator[Tx]:
        """A transaction at READ COMMITTED, committed when the block ends and rolled back when it raises.

        `same_plans` is for statements that run thousands of times over indexed keys: each is planned once a connection,
        in an empty town as in a full one.
        """
        begin = self._begin(lock_timeout_ms, read_only=read_only, same_plans=same_plans)
        try:
            async with self.engine.connect() as pooled:
                raw = (await pooled.get_raw_connection()).driver_connection
                if raw is None:  # pragma: no cover - the pool hands out open connections only
                    raise errors.Unavailable
                tx = Tx(raw)
                try:
                    await raw.execute(begin)
                    yield tx
                    xid = None
                    if not (read_only or tx.discarded):
                        xid = tx.xid or await raw.fetchval("SELECT pg_current_xact_id_if_assigned()::text")
                except asyncpg.PostgresError as error:
                    await self._roll_back(pooled, raw)
                    if isinstance(error, asyncpg.PostgresConnectionError | asyncpg.AdminShutdownError):
                        raise NotCommitted from error
                    raise
                except (OSError, asyncpg.InterfaceError, asyncpg.InternalClientError) as error:
                    await self._roll_back(pooled, raw)
                    raise NotCommitted from error
                except BaseException:
                    await self._roll_back(pooled, raw)
                    raise
                if xid is None:
                    await self._end(pooled, raw)
                else:
                    await self._commit(pooled, raw, xid)
        except (OSError, TimeoutError, asyncpg.CannotConnectNowError, asyncpg.TooManyConnectionsError) as error:
            raise errors.Unavailable(retry_after=1) from error
        except Exception as error:
            if type(error).__module__.startswith("sqlalchemy."):  # the pool could not give a connection
                raise errors.Unavailable(retry_after=1) from error
            raise

    def _begin(self, lock_timeout_ms: int, *, read_only: bool, same_plans: bool) -> str:
        begin = "BEGIN READ ONLY" if read_only else f"BEGIN;SET LOCAL lock_timeout={lock_timeout_ms}"
        begin += (reach.EVERYWHERE if self.caller is None else reach.of(self.caller)).settings
        if same_plans:
            begin += ";SET LOCAL plan_cache_mode=force_generic_plan;SET LOCAL enable_seqscan=off"
        return f"{begin};SET LOCAL ROLE {self.role}" if self.role else begin

    async def run(self, action: Callable[Concatenate[Tx, P], Awaitable[T]], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """`action(tx, …)` in one transaction, committed when this returns."""
        try:
            async with self.transaction() as tx:
                return await action(tx, *args, **kwargs)
        except (asyncpg.LockNotAvailableError, asyncpg.DeadlockDetectedError) as error:
            raise errors.Unavailable(retry_after=1) from error

    async def read(self, query: Callable[Concatenate[Tx, P], Awaitable[T]], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """`query(tx, …)` in a transaction that cannot write."""
        async with self.transaction(read_only=True) as tx:
            return await query(tx, *args, **kwargs)

    async def _end(self, pooled: Any, raw: Any) -> None:
        """End a transaction that wrote nothing that matters: by ROLLBACK, which waits for no disk."""
        try:
            await raw.execute("ROLLBACK", timeout=ROLL_BACK_SECONDS)
        except BaseException as error:
            raw.terminate()
            await pooled.invalidate()
            if not isinstance(error, Exception):
                raise

    async def _roll_back(self, pooled: Any, raw: Any) -> None:
        """Give up a transaction, also while its task is being cancelled."""
        giving_up = asyncio.ensure_future(raw.execute("ROLLBACK"))
        giving_up.add_done_callback(lambda done: done.cancelled() or done.exception())  # nobody else may ask any more
        try:
            await asyncio.wait_for(asyncio.shield(giving_up), ROLL_BACK_SECONDS)
        except BaseException:  # noqa: BLE001 - whatever it was, this connection is not to be used again
            raw.terminate()
            await pooled.invalidate()

    async def _commit(self, pooled: Any, raw: Any, xid: str) -> None:
        try:
            await raw.execute("COMMIT", timeout=COMMIT_SECONDS)
        except BaseException as error:
            raw.terminate()
            await pooled.invalidate()
            if not isinstance(error, Exception):
                raise
            outcome = await self._outcome(xid)
            if outcome == "committed":
                return
            if outcome == "aborted":
                raise NotCommitted(retry_after=1) from error
            raise CommitUnknown(retry_after=2) from error

    async def _outcome(self, xid: str) -> str | None:
        """What became of a transaction: committed, aborted, or None when it cannot be learned in time."""
        for pause in (0.02, 0.05, 0.1, 0.2, 0.4, 0.8, 1.6):
            with contextlib.suppress(Exception):
                async with self.engine.connect() as pooled:
                    raw = (await pooled.get_raw_connection()).driver_connection
                    status = await raw.fetchval("SELECT pg_xact_status($1::text::xid8)", xid)  # type: ignore[union-attr]
                    if status in ("committed", "aborted"):
                        return str(status)
            await asyncio.sleep(pause)
        return None


async def _set_codecs(connection: Any) -> None:
    for name in ("json", "jsonb"):
        await connection.set_type_codec(
            name, schema="pg_catalog", encoder=lambda value: wire.dumps(value).decode(), decoder=wire.loads
        )


def _keep_alive(connection: Any) -> None:
    """Ask the other end every minute: a firewall must not forget what lies idle, and what died there is to be known here.

    By the client, as a pooler between them takes no such setting.
    """
    line = connection._transport.get_extra_info("socket")  # noqa: SLF001 - the driver offers no other way
    if line is not None and line.family in (socket.AF_INET, socket.AF_INET6):
        line.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        line.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 60)
        line.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 10)
        line.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3)


@contextlib.contextmanager
def referee(meanings: Referees) -> Iterator[None]:
    """The schema refuses, and the caller hears what that means: a refusal for each constraint by name."""
    try:
        yield
    except asyncpg.IntegrityConstraintViolationError as error:
        refusal = meanings.get(constraint_of(error) or "")
        if refusal is None:
            raise
        raise refusal() from error


def constraint_of(error: BaseException) -> str | None:
    """The name of the constraint that PostgreSQL says was broken."""
    name = getattr(error, "constraint_name", None)
    return name if isinstance(name, str) else None
