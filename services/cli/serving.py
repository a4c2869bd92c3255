"""Serving: the whole town in one process (or several sharing a socket), one part of it, or the worker alone."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from typing import TYPE_CHECKING, Any

import structlog
import uvicorn
from rich.console import Console

from services import SERVICES, service
from services.cli import Stop, called_off, database, run
from services.cli.apart import apart
from services.gateway.app import Gateway, with_cors
from services.worker import POOL
from services.worker import running as working
from shared import embedded, revisions, rotation
from shared.crypto import Keyring
from shared.db import MAX_CONNECTIONS, Database
from shared.settings import Settings
from shared.web import Context

if TYPE_CHECKING:
    from starlette.types import ASGIApp

GRACE_SECONDS = 10
"""How long requests that are running may take after the server was told to stop."""


def up(settings: Settings, *, host: str, port: int, workers: int, demo: bool) -> None:
    """Everything: the embedded database unless DATABASE_URL is set, migrations, the demo town, gateway, worker."""
    _log(settings)
    _fit(settings, workers)
    with contextlib.ExitStack() as stack:
        listening = stack.enter_context(_listen(host, port))
        port = listening.getsockname()[1]
        told = stack.enter_context(_progress())
        url = _database(settings, stack, told)
        keys = database.keys(settings, url)
        current = revisions.current(url)
        if current != revisions.head():
            if current is not None and not revisions.is_known(current):
                database.require_current(url)
            told("Preparing the database")
            database.migrate_up(url)
        database.remember_keys(url, keys, demo=demo)
        stack.enter_context(rotation.followed(settings.keys_file, keys))
        is_demo = database.is_demo(url)
        settings = settings.model_copy(
            update={"demo": is_demo, "database_url": url, "public_url": _public_url(settings, host, port)}
        )
        if is_demo and database.is_empty(url):
            from services.cli import town

            told("Building the demo town")
            town.build(url, keys, residents=town.DEMO_RESIDENTS, seed=town.DEMO_SEED, show=False)
        told("Starting")

        def ready() -> None:
            told(None)
            _welcome(settings)

        if workers == 1:
            run(_serve_town(url, keys, settings, listening, ready))
        else:
            run(_serve_many(url, keys, settings, listening, workers, ready))


def serve(settings: Settings, name: str, *, host: str, port: int, fd: int | None) -> None:
    """One part of the town, for a deployment of many processes."""
    _log(settings)
    if name != "gateway" and name not in {one.name for one in SERVICES}:
        raise Stop(f"There is no part called {name}; there are gateway, {', '.join(one.name for one in SERVICES)}.")
    with contextlib.ExitStack() as stack:
        listening = (
            stack.enter_context(_listen(host, port)) if fd is None else stack.enter_context(socket.socket(fileno=fd))
        )
        url, keys = _existing(settings)
        stack.enter_context(rotation.followed(settings.keys_file, keys))
        settings = settings.model_copy(update={"demo": database.is_demo(url), "database_url": url})

        def ready() -> None:
            if fd is None:
                print(f"ready {name} http://{_shown(host)}:{listening.getsockname()[1]}", flush=True)

        run(_serve_part(url, keys, settings, name, listening, ready, is_child=fd is not None))


def work(settings: Settings) -> None:
    """The worker alone."""
    _log(settings)
    url, keys = _existing(settings)
    settings = settings.model_copy(update={"demo": database.is_demo(url), "database_url": url})

    async def working_alone() -> None:
        stop = asyncio.Event()
        _on_signals(stop.set)
        db = Database.connect(url, pool_size=settings.pool_size)
        try:
            async with Gateway(db, keys, settings).running() as gateway, working(gateway, url):
                print("ready worker", flush=True)
                await stop.wait()
        finally:
            await db.close()

    with rotation.followed(settings.keys_file, keys):
        run(working_alone())


def _existing(settings: Settings) -> tuple[str, Keyring]:
    """The database of a deployment that is already there, and its keys."""
    if settings.database_url is not None:
        database.require_reachable(settings.database_url)
        url = settings.database_url
    else:
        beside = embedded.running(settings.data_dir)
        if beside is None:
            raise Stop("No database: set DATABASE_URL, or start `linli up` on this data dir first.")
        url = beside.url()
    database.require_current(url)
    return url, database.keys(settings, url)


def _database(settings: Settings, stack: contextlib.ExitStack, told: Callable[[str | None], None]) -> str:
    if settings.database_url is not None:
        database.ensure_data_dir(settings.data_dir)
        database.require_reachable(settings.database_url)
        return settings.database_url
    stack.enter_context(embedded.own(settings.data_dir))
    told("Starting the database")
    started = embedded.start(settings.data_dir, progress=told)
    stack.callback(embedded.stop, started)
    return started.url()


@contextlib.asynccontextmanager
async def _gateway(url: str, keys: Keyring, settings: Settings) -> AsyncIterator[Gateway]:
    db = Database.connect(url, pool_size=settings.pool_size)
    try:
        async with Gateway(db, keys, settings).running() as gateway:
            yield gateway
    finally:
        await db.close()


async def _serve_town(
    url: str, keys: Keyring, settings: Settings, listening: socket.socket, ready: Callable[[], None]
) -> None:
    async with _gateway(url, keys, settings) as gateway, working(gateway, url):
        await _http(with_cors(gateway, settings), listening, ready, gateway.stopping)


async def _serve_part(
    url: str,
    keys: Keyring,
    settings: Settings,
    name: str,
    listening: socket.socket,
    ready: Callable[[], None],
    *,
    is_child: bool,
) -> None:
    if is_child:
        _end_with_parent()
    if name == "gateway":
        async with _gateway(url, keys, settings) as gateway:
            await _http(with_cors(gateway, settings), listening, ready, gateway.stopping)
        return
    one = service(name)
    db = Database.connect(url, pool_size=settings.pool_size, role=one.role)
    try:
        context = Context(db, keys, settings)
        await _http(one.make(context), listening, ready, context.stopping, lifespan="on")
    finally:
        await db.close()


async def _serve_many(
    url: str, keys: Keyring, settings: Settings, listening: socket.socket, workers: int, ready: Callable[[], None]
) -> None:
    """Several gateways on one socket, each a process of its own; the worker runs here. One that dies is replaced."""
    stop = asyncio.Event()
    _on_signals(stop.set)
    listening.listen(2048)  # whoever comes before the first child is up waits for it
    fd = listening.fileno()
    command, environment = apart("services.cli", DATABASE_URL=url, LINLI_PUBLIC_URL=settings.public_url)

    lifeline, held = os.pipe()  # ours alone: however we end, the kernel closes it, and that ends the children

    def spawn() -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [
                *command,
                *("serve", "gateway", "--fd", str(fd), "--data-dir", str(settings.data_dir)),
            ],
            pass_fds=(fd,),
            env=environment,
            stdin=lifeline,
            stdout=subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C reaches us alone; we pass it on
        )

    children = [spawn() for _ in range(workers)]
    try:
        async with _gateway(url, keys, settings.model_copy(update={"pool_size": 4})) as gateway, working(gateway, url):
            ready()
            while not stop.is_set():
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(stop.wait(), 0.5)
                if not stop.is_set():
                    children = [child if child.poll() is None else spawn() for child in children]
    finally:
        listening.close()  # else the kernel would go on letting callers in, and nobody would answer
        for child in children:
            child.send_signal(signal.SIGTERM)
        for child in children:
            with contextlib.suppress(subprocess.TimeoutExpired):
                await asyncio.to_thread(child.wait, GRACE_SECONDS + 2)
            if child.poll() is None:
                child.kill()
        os.close(lifeline)
        os.close(held)


def _end_with_parent() -> None:
    """End as after SIGTERM when the process that started this one is gone: its end of our stdin is closed then."""
    loop = asyncio.get_running_loop()

    def gone() -> None:
        loop.remove_reader(0)
        os.kill(os.getpid(), signal.SIGTERM)

    loop.add_reader(0, gone)


class _Server(uvicorn.Server):
    """uvicorn without its signals: it would end the process before the database is stopped."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


async def _http(
    app: ASGIApp,
    listening: socket.socket,
    ready: Callable[[], None],
    stopping: asyncio.Event,
    *,
    lifespan: Any = "off",
) -> None:
    """Serve until a signal: then no new requests, those running are finished, at most GRACE_SECONDS.

    Those that only wait for news see that the server is `stopping`, and end.
    """
    server = _Server(
        uvicorn.Config(
            app,
            lifespan=lifespan,
            access_log=False,
            log_config=None,
            server_header=False,
            proxy_headers=False,  # the gateway reads X-Forwarded-For itself, and only from proxies it trusts
            timeout_keep_alive=75,
            timeout_graceful_shutdown=GRACE_SECONDS,
            backlog=2048,
        )
    )

    def stop() -> None:
        server.should_exit = True
        stopping.set()

    _on_signals(stop)
    serving = asyncio.create_task(server.serve(sockets=[listening]))
    while not server.started and not serving.done():  # noqa: ASYNC110 - uvicorn tells no other way
        await asyncio.sleep(0.01)
    if server.started:
        ready()
        _quiet_garbage()
    await serving


def _quiet_garbage() -> None:
    """What was made at the start stays for ever and is not looked through again; requests leave few cycles behind."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)


def _on_signals(act: Callable[[], None]) -> None:
    loop = asyncio.get_running_loop()
    for one in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(one, act)


@contextlib.contextmanager
def _listen(host: str, port: int) -> Iterator[socket.socket]:
    """A listening socket; a port in use is told before anything else is started."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as listening:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listening.bind((host, port))
        except OSError as error:
            raise Stop(
                f"Port {port} on {host} cannot be used ({error.strerror}); choose another with --port."
            ) from None
        listening.set_inheritable(True)
        yield listening


def _fit(settings: Settings, workers: int) -> None:
    """Refuse more database connections than the deployment may have."""
    wanted = settings.pool_size * workers + POOL + (4 if workers > 1 else 0)
    if wanted > MAX_CONNECTIONS:
        raise Stop(
            f"{workers} processes with {settings.pool_size} connections each want {wanted} database connections of "
            f"{MAX_CONNECTIONS}; lower --workers or LINLI_POOL_SIZE."
        )


@contextlib.contextmanager
def _progress() -> Iterator[Callable[[str | None], None]]:
    """A spinner on stderr where somebody looks, plain lines elsewhere."""
    console = Console(stderr=True)
    status = console.status("Starting") if console.is_terminal else None
    said: list[str] = []

    def tell(what: str | None) -> None:
        called_off.go_on()
        if status is None:
            if what is not None and what not in said:
                said.append(what)
                console.print(what, highlight=False)
        elif what is None:
            status.stop()
        else:
            status.update(what)

    if status is not None:
        status.start()
    try:
        yield tell
    finally:
        if status is not None:
            status.stop()


def _public_url(settings: Settings, host: str, port: int) -> str:
    """What the settings say, or where it listens when they say nothing."""
    if "public_url" in settings.model_fields_set:
        return settings.public_url
    return f"http://{_shown(host)}:{port}"


def _shown(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _welcome(settings: Settings) -> None:
    print(f"ready {settings.public_url}", flush=True)
    lines = [f"  docs console  {settings.public_url}/docs"]
    if settings.demo:
        beside = "" if settings.data_dir == type(settings)().data_dir else f" --data-dir {settings.data_dir}"
        lines.append(f"  a token       script/linli demo token resident{beside}")
        lines.append(f"  who is there  script/linli demo people{beside}")
    print("\n".join(lines), file=sys.stderr, flush=True)


def _log(settings: Settings) -> None:
    """JSON lines on stderr, and nothing personal in them."""
    import logging

    level = {"debug": 10, "info": 20, "warning": 30, "error": 40}.get(settings.log_level.lower(), 20)
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(ensure_ascii=False),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr, format="%(message)s")
    for handler in logging.getLogger().handlers:
        handler.addFilter(called_off.is_news)
    logging.getLogger("procrastinate").setLevel(logging.ERROR)
