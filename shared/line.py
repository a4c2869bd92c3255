"""The line: many calls of one action become few transactions (group commit), and nobody waits for somebody else's trouble.

Callers hand over an item and await its answer. One runner takes all waiting items (up to `batch`) and gives them to the
action as a list, in arrival order, in one transaction; every item gets its own answer. Its laws:

1. An action locks first, then looks, then decides, then writes (READ COMMITTED).
2. From COMMIT on, failure is unknown, never a reason to run again: `shared.db` asks PostgreSQL what became of it.
3. A poisoned item does not spoil its neighbours: when PostgreSQL refuses the list's data, the list is halved until the
   culprit stands alone.
4. A blocked row does not hold up the others: when a lock is not had in `lock_ms`, the list runs again with SKIP LOCKED.
   The action answers SKIPPED for items whose rows it did not get; they stand in line again until their deadline, then
   hear LineFull. While rows are being skipped the line does not try to wait for them.
5. The line is bounded: a caller that finds it full hears LineFull at once, and nothing was done.
"""

from __future__ import annotations

import asyncio
import contextlib
import enum
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, Generic, Protocol, TypeAlias, TypeVar

import asyncpg
import structlog

from shared import errors
from shared.db import Database, NotCommitted, Tx

log = structlog.get_logger(__name__)

A = TypeVar("A")
R = TypeVar("R")
A_contra = TypeVar("A_contra", contravariant=True)
R_co = TypeVar("R_co", covariant=True)

LOCK_MS: Final = 150
"""How long a list waits for a lock before it goes on without the rows it cannot have."""
SKIPPING_SECONDS: Final = 1.0
"""How long a line that met a blocked row prefers to skip."""


class Skip(enum.Enum):
    """An item whose rows somebody else holds."""

    SKIPPED = "skipped"


SKIPPED: Final = Skip.SKIPPED

Answer: TypeAlias = R | Exception | Skip


class Action(Protocol[A_contra, R_co]):
    """What a line runs: one answer an item, which is a result, an exception to raise for it, or SKIPPED."""

    async def __call__(
        self, tx: Tx, items: Sequence[A_contra], /, *, skip_locked: bool
    ) -> Sequence[R_co | Exception | Skip]:
        """Act for all items in this transaction."""
        ...


class _Place(Generic[A, R]):
    __slots__ = ("answer", "deadline", "item")

    def __init__(self, item: A, answer: asyncio.Future[R], deadline: float) -> None:
        self.item = item
        self.answer = answer
        self.deadline = deadline


class Line(Generic[A, R]):
    """A queue in front of one action. `gone` hears of results whose callers no longer wait for them."""

    def __init__(  # noqa: PLR0913 - its limits are its interface
        self,
        name: str,
        db: Database,
        action: Action[A, R],
        *,
        batch: int = 64,
        waiting: int = 4000,
        seconds: float = 8.0,
        blocked_seconds: float = 2.0,
        gone: Callable[[A, R], None] | None = None,
    ) -> None:
        self.name = name
        self._db = db
        self._action = action
        self._batch = batch
        self._most_waiting = waiting
        self._seconds = seconds
        self._blocked_seconds = blocked_seconds
        self._gone = gone
        self._waiting: deque[_Place[A, R]] = deque()
        self._skipped: list[_Place[A, R]] = []
        self._wake = asyncio.Event()
        self._runner: asyncio.Task[None] | None = None
        self._skipping_until = 0.0
        self._closed = False
        self.transactions = 0
        """Transactions run so far; answers ÷ transactions is how well the line groups."""

    @property
    def length(self) -> int:
        """How many items wait now."""
        return len(self._waiting) + len(self._skipped)

    async def submit(self, item: A) -> R:
        """Stand in line with `item`; its answer, or the exception that the action has for it."""
        if self._closed or self.length >= self._most_waiting:
            raise errors.LineFull(retry_after=1)
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[R] = loop.create_future()
        self._waiting.append(_Place(item, answer, loop.time() + self._seconds))
        if self._runner is None or self._runner.done():
            self._runner = loop.create_task(self._run(), name=f"line {self.name}")
        self._wake.set()
        return await answer

    async def close(self) -> None:
        """Take nobody else, answer those who wait, end."""
        self._closed = True
        self._wake.set()
        if self._runner:
            await self._runner

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            if not self._waiting:
                if self._closed and not self._skipped:
                    return
                self._wake.clear()
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._wake.wait(), 0.01 if self._skipped else None)
            self._waiting.extend(self._skipped)
            self._skipped.clear()
            places: list[_Place[A, R]] = []
            while self._waiting and len(places) < self._batch:
                place = self._waiting.popleft()
                if place.answer.done():  # the caller has gone
                    continue
                if place.deadline <= loop.time():
                    place.answer.set_exception(errors.LineFull(retry_after=1))
                    continue
                places.append(place)
            if not places:
                continue
            try:
                await self._serve(places, skip=loop.time() < self._skipping_until)
            except Exception as error:  # a fault of ours must not stop the line
                log.exception("line_broken", line=self.name)
                for place in places:
                    if not place.answer.done():
                        place.answer.set_exception(error)

    async def _serve(self, places: list[_Place[A, R]], *, skip: bool, again: bool = True) -> None:
        try:
            await self._transact(places, skip=skip)
        except asyncpg.LockNotAvailableError:
            if skip:  # a lock that cannot be skipped, such as a foreign key's: those it concerns are found like poison
                return await self._halve(places, errors.LineFull(retry_after=1), skip=True)
            self._skipping_until = asyncio.get_running_loop().time() + SKIPPING_SECONDS
            return await self._serve(places, skip=True)
        except (asyncpg.DeadlockDetectedError, asyncpg.SerializationError):
            if again:  # PostgreSQL rolled it back before COMMIT: a second try is safe
                return await self._serve(places, skip=True, again=False)
            return self._fail(places, errors.LineFull(retry_after=1))
        except (asyncpg.DataError, asyncpg.IntegrityConstraintViolationError, asyncpg.InternalServerError) as error:
            return await self._halve(places, error, skip=skip)
        except Exception as error:  # noqa: BLE001 - CommitUnknown, NotCommitted, no connection: callers hear it
            return self._fail(places, error)

    async def _halve(self, places: list[_Place[A, R]], error: Exception, *, skip: bool) -> None:
        """Serve both halves by themselves; who stands alone hears the error."""
        if len(places) == 1:
            return self._fail(places, error)
        half = len(places) // 2
        await self._serve(places[:half], skip=skip)
        return await self._serve(places[half:], skip=skip)

    async def _transact(self, places: list[_Place[A, R]], *, skip: bool) -> None:
        self.transactions += 1
        async with self._db.transaction(lock_timeout_ms=LOCK_MS, same_plans=True) as tx:
            answers = await self._action(tx, [place.item for place in places], skip_locked=skip)
            if tx.discarded:  # nothing was done, so nobody needs to wait for the end of it
                return self._answer(places, answers)
        return self._answer(places, answers)

    def _answer(self, places: list[_Place[A, R]], answers: Sequence[Answer[R]]) -> None:
        now = asyncio.get_running_loop().time()
        for place, answer in zip(places, answers, strict=True):
            if place.answer.done():  # the caller has gone; what it was given is to be given back
                if self._gone is not None and not isinstance(answer, Exception | Skip):
                    self._gone(place.item, answer)
                continue
            if answer is SKIPPED:
                self._skipping_until = now + SKIPPING_SECONDS
                blocked_until = place.deadline - self._seconds + self._blocked_seconds
                if now >= blocked_until:
                    place.answer.set_exception(errors.LineFull(retry_after=1))
                else:
                    self._skipped.append(place)
            elif isinstance(answer, Exception):
                place.answer.set_exception(answer)
            else:
                place.answer.set_result(answer)

    @staticmethod
    def _fail(places: list[_Place[A, R]], error: Exception) -> None:
        if isinstance(error, NotCommitted):
            error = errors.Unavailable(retry_after=1)
        for place in places:
            if not place.answer.done():
                place.answer.set_exception(error)


class Readers(Generic[A, R]):
    """Readers that arrive while a query is under way share the next one: no locks, no writes, nothing older than a call.

    `read(tx, items)` answers all who wait in one read-only transaction that begins after the last of them came.
    """

    def __init__(
        self, name: str, db: Database, read: Callable[[Tx, Sequence[A]], Awaitable[Sequence[R]]], *, batch: int = 256
    ) -> None:
        self.name = name
        self._db = db
        self._read = read
        self._batch = batch
        self._waiting: list[tuple[A, asyncio.Future[R]]] = []
        self._runner: asyncio.Task[None] | None = None

    async def submit(self, item: A) -> R:
        """The answer to `item`."""
        answer: asyncio.Future[R] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, answer))
        if self._runner is None or self._runner.done():
            self._runner = asyncio.create_task(self._run(), name=f"readers {self.name}")
        return await answer

    async def _run(self) -> None:
        while self._waiting:
            several, self._waiting = self._waiting[: self._batch], self._waiting[self._batch :]
            try:
                found = await self._db.read(self._read, [item for item, _ in several])
            except Exception as error:  # noqa: BLE001 - every reader hears what went wrong
                for _, answer in several:
                    if not answer.done():
                        answer.set_exception(error)
                continue
            for (_, answer), one in zip(several, found, strict=True):
                if not answer.done():
                    answer.set_result(one)
