"""`linli worker`: wakes the tasks of all services, through a job queue in the same database.

The queue (Procrastinate) spreads wake-ups over any number of workers and keeps at most one waiting job a task. It is
only an alarm clock: what is due stands in the tables, every task is safe to run twice at once, and losing every job row
loses nothing. A killed worker's job stays `doing`; a sweep of our own, outside the queue, puts that right.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TYPE_CHECKING, Any, Final

import procrastinate
import psycopg
import structlog
from procrastinate import exceptions

from services import SERVICES, load
from services.gateway import tasks as gateway_tasks
from shared import errors
from shared.tasks import Task
from shared.web import Context

if TYPE_CHECKING:
    from services.gateway.app import Gateway

log = structlog.get_logger(__name__)

POOL: Final = 4
"""Connections of one worker."""
_STALLED_SECONDS: Final = 30
_FINISHING_SECONDS: Final = 5
"""How long tasks that run may take after the worker was told to stop."""


def _cron(seconds: int) -> str:
    """A cron line (with seconds) that fires about every so many seconds."""
    if seconds < 60:
        return f"* * * * * */{seconds}" if seconds > 1 else "* * * * * *"
    minutes = seconds // 60
    return f"*/{minutes} * * * * 0" if minutes < 60 else "7 * * * * 0"


def due_tasks(gateway: Gateway) -> list[tuple[Task, Callable[[], Awaitable[object]]]]:
    """Every task with what it runs on: the gateway's parts, or its own service's context."""
    parts = gateway.parts
    if parts is None:
        raise RuntimeError("the gateway is not running")
    found: list[tuple[Task, Callable[[], Awaitable[object]]]] = []

    def add(task: Task, on: Any) -> None:
        found.append((task, lambda: task.run(on)))

    for task in gateway_tasks.TASKS:
        add(task, parts)
    for one in SERVICES:
        if one.tasks is not None:
            ask = functools.partial(gateway_tasks.ask, parts)
            context = Context(
                parts.db.of(one.role), parts.keys, parts.settings, ask=ask, rights=gateway_tasks.People(parts)
            )
            for task in load(one.tasks):
                add(task, context)
    return found


def _queue(url: str, tasks: list[tuple[Task, Callable[[], Awaitable[object]]]]) -> procrastinate.App:
    app = procrastinate.App(connector=procrastinate.PsycopgConnector(conninfo=url, min_size=1, max_size=POOL))
    for task, act in tasks:
        _register(app, task, act)
    return app


def _register(app: procrastinate.App, task: Task, act: Callable[[], Awaitable[object]]) -> None:
    @app.periodic(cron=_cron(task.every_seconds), periodic_id=task.name)
    @app.task(name=task.name, queueing_lock=task.name, pass_context=False)
    async def job(timestamp: int) -> None:  # noqa: ARG001 - the queue says when it was due
        await once(task, act)


async def once(task: Task, act: Callable[[], Awaitable[object]]) -> object:
    """Run a task; what goes wrong is logged and tried again at its next turn."""
    began = time.perf_counter()
    try:
        done = await act()
    except errors.Unavailable:
        log.warning("task_postponed", task=task.name)
        return None
    except Exception:
        log.exception("task_failed", task=task.name)
        return None
    if done:
        log.debug("task_done", task=task.name, done=done, seconds=round(time.perf_counter() - began, 3))
    return done


@contextlib.asynccontextmanager
async def running(gateway: Gateway, url: str) -> AsyncIterator[None]:
    """Work until the block ends; every task runs once at the start, so a new town is complete at once."""
    tasks = due_tasks(gateway)
    for task, act in tasks:
        await once(task, act)
    app = _queue(url, tasks)
    async with app.open_async():
        sweeping = asyncio.create_task(_sweep(app), name="sweep")
        working = asyncio.create_task(_work(app), name="worker")
        try:
            yield
        finally:
            for one in (sweeping, working):
                one.cancel()
            await asyncio.wait((sweeping, working), timeout=_FINISHING_SECONDS + 1)
            await app.close_async()  # nobody goes on waiting for a connection to a database that is away
            await asyncio.gather(sweeping, working, return_exceptions=True)


async def _work(app: procrastinate.App) -> None:
    """The queue's worker gives up when the database goes away; it begins again until it is told to stop."""
    while True:
        try:
            await app.run_worker_async(
                install_signal_handlers=False,
                listen_notify=False,  # nothing may depend on a session: a pooler in transaction mode must do
                fetch_job_polling_interval=0.5,
                concurrency=4,
                delete_jobs="always",
                shutdown_graceful_timeout=_FINISHING_SECONDS,
            )
        except Exception as error:  # noqa: BLE001 - whatever stopped it, the town's work is not done
            log.warning("worker_gave_up", error=type(error).__name__)
        if _is_told_to_stop():  # an error on the way out hides it: the queue's worker raises that instead
            return
        await asyncio.sleep(1)


def _is_told_to_stop() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


async def _sweep(app: procrastinate.App) -> None:
    """Jobs of workers that died are run again; their finished rows are not kept."""
    while True:
        with contextlib.suppress(exceptions.ProcrastinateException, psycopg.Error):
            for job in await app.job_manager.get_stalled_jobs(seconds_since_heartbeat=_STALLED_SECONDS):
                await app.job_manager.finish_job(job, status=procrastinate.jobs.Status.FAILED, delete_job=True)
            await app.job_manager.prune_stalled_workers(_STALLED_SECONDS)
        await asyncio.sleep(_STALLED_SECONDS)
