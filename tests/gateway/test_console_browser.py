"""The console in a real browser, on a real server: it renders, asks no other host, switches its language, logs staff in."""

from __future__ import annotations

import asyncio
import fcntl
import itertools
import json
import os
import select
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import uvicorn

from services.gateway.app import Gateway
from services.gateway.console import document
from shared.crypto import Keyring
from shared.settings import Settings
from tests.conftest import connected
from tests.identity.staffroom import PASSWORD, colleague
from tests.town import Town

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
PATIENCE = 180.0
"""Seconds that a browser on a busy machine may take for one thing."""

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")

FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
    "--remote-debugging-pipe",
)
# A browser reads its commands from descriptor 3 and answers on 4: this puts them there.
PIPED = (
    "import os, sys; os.dup2(int(sys.argv[1]), 3); os.dup2(int(sys.argv[2]), 4); os.execv(sys.argv[3], sys.argv[3:])"
)


class Browser:
    """One page of a headless Chromium, spoken to over a pipe (the DevTools protocol: JSON, ended by a NUL)."""

    def __init__(self, commands: int, answers: int) -> None:
        self._commands, self._answers = commands, answers
        self._numbers = itertools.count(1)
        self._read = b""
        self.events: list[dict[str, Any]] = []
        target = self._send("Target.createTarget", {"url": "about:blank"})["targetId"]
        self._session = self._send("Target.attachToTarget", {"targetId": target, "flatten": True})["sessionId"]
        for domain in ("Network", "Runtime", "Log", "Page"):
            self.send(f"{domain}.enable")

    def send(self, method: str, **params: Any) -> Any:
        """One command to the page, and its result."""
        return self._send(method, params, sessionId=self._session)

    def _send(self, method: str, params: dict[str, Any], **more: str) -> Any:
        number = next(self._numbers)
        os.write(
            self._commands, json.dumps({"id": number, "method": method, "params": params, **more}).encode() + b"\0"
        )
        until = time.monotonic() + PATIENCE
        while True:
            message = self._receive(until)
            if message.get("id") == number:
                assert "error" not in message, message
                return message["result"]
            self.events.append(message)

    def _receive(self, until: float) -> dict[str, Any]:
        while b"\0" not in self._read:
            ready, _, _ = select.select([self._answers], [], [], max(0.0, until - time.monotonic()))
            assert ready, "the browser does not answer"
            part = os.read(self._answers, 1 << 16)
            assert part, "the browser has ended"
            self._read += part
        first, _, self._read = self._read.partition(b"\0")
        message: dict[str, Any] = json.loads(first)
        return message

    def value(self, expression: str) -> Any:
        """What a JavaScript expression (or the promise it gives) comes to."""
        told = self.send("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in told, told
        return told["result"].get("value")

    def wait(self, expression: str) -> Any:
        """The first true value of an expression; the page looks again whenever it changes.

        And from time to time: a window that has just opened is empty, and may get its page as another document.
        """
        try:
            return self.value(
                "new Promise((resolve, reject) => {"
                f"const look = () => {{ const seen = ({expression});"
                "if (seen) { eyes.disconnect(); clearInterval(again); resolve(seen instanceof Node || seen); } };"
                "const eyes = new MutationObserver(look), again = setInterval(look, 200);"
                "eyes.observe(document, {childList: true, subtree: true, characterData: true, attributes: true});"
                f"setTimeout(() => reject(new Error('never came')), {int(PATIENCE * 900)}); look(); }})"
            )
        except AssertionError as error:
            shown = self.value("document.body.innerText")
            error.add_note(f"asked: {self.urls()}\ncomplaints: {self.complaints()}\nshown: {shown[:4000]}")
            raise

    def go(self, url: str) -> None:
        """Open an address, from an empty page: another part of the same page would not be loaded again."""
        for one in ("about:blank", url):
            self._loaded("Page.navigate", url=one)

    def reload(self) -> None:
        """Open the same address again."""
        self._loaded("Page.reload")

    def _loaded(self, method: str, **params: Any) -> None:
        self.send("Page.stopLoading")
        seen = len(self.events)
        self.send(method, **params)
        until = time.monotonic() + PATIENCE
        while not any(one["method"] == "Page.loadEventFired" for one in self.events[seen:]):
            self.events.append(self._receive(until))

    def urls(self) -> list[str]:
        """Everything that was requested."""
        urls = [one["params"]["request"]["url"] for one in self.events if one["method"] == "Network.requestWillBeSent"]
        return [url for url in urls if not url.startswith("data:")]

    def asked(self) -> set[str]:
        """Hosts of everything that was requested."""
        return {urlsplit(url).hostname or "" for url in self.urls()}

    def complaints(self) -> list[str]:
        """Errors on its console, refusals of the content policy, exceptions nobody caught."""
        found = []
        for one in self.events:
            told = one.get("params", {})
            if one["method"] == "Log.entryAdded" and told["entry"]["level"] == "error":
                found.append(told["entry"]["text"])
            elif one["method"] == "Runtime.exceptionThrown" or (
                one["method"] == "Runtime.consoleAPICalled" and told["type"] in {"error", "assert"}
            ):
                found.append(
                    " ".join(str(part.get("value", part.get("description"))) for part in told.get("args", ()))
                    or json.dumps(told)[:500]
                )
        return found


@contextmanager
def browser(folder: Path, language: str) -> Iterator[Browser]:
    """A fresh browser of a reader of this language; ended with all its processes."""
    assert CHROMIUM is not None
    commands, to_browser = os.pipe()
    answers, from_browser = os.pipe()
    inherited = [fcntl.fcntl(one, fcntl.F_DUPFD, 20) for one in (commands, from_browser)]
    flags = [*FLAGS, f"--user-data-dir={folder}", f"--lang={language}", f"--accept-lang={language}"]
    process = subprocess.Popen(
        [sys.executable, "-c", PIPED, *map(str, inherited), CHROMIUM, *flags, "about:blank"],
        pass_fds=inherited,
        env={**os.environ, "HOME": str(folder), "LANGUAGE": language},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    for one in (commands, from_browser, *inherited):
        os.close(one)
    try:
        yield Browser(to_browser, answers)
    finally:
        os.close(to_browser)  # Chromium ends by itself when its pipe does
        os.close(answers)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, 9)
            process.wait(10)


@contextmanager
def serving(url: str, keys: Keyring, settings: Settings) -> Iterator[str]:
    """A gateway on a port of its own; its address."""
    document("zh")  # before there are threads
    listening = socket.create_server(("127.0.0.1", 0))
    started, stop = threading.Event(), threading.Event()
    failed: list[BaseException] = []

    async def serve() -> None:
        async with connected(url) as db, Gateway(db, keys, settings).running() as gateway:
            config = uvicorn.Config(gateway, lifespan="off", log_config=None, access_log=False, loop="asyncio")
            server = uvicorn.Server(config)
            task = asyncio.create_task(server._serve([listening]))
            started.set()
            await asyncio.to_thread(stop.wait)
            server.should_exit = True
            await task

    def run() -> None:
        try:
            asyncio.run(serve())
        except BaseException as error:  # noqa: BLE001 - told where the test waits
            failed.append(error)
            started.set()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    assert started.wait(PATIENCE)
    try:
        assert not failed, failed
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        stop.set()
        thread.join(PATIENCE)
        listening.close()
        assert not failed, failed


def summaries(lang: str) -> list[str]:
    told = document(lang)
    return [one["summary"] for part in ("paths", "webhooks") for item in told[part].values() for one in item.values()]


SHOWN = "[...document.querySelectorAll('.opblock-summary-description')].map(one => one.textContent)"
SLOTS = "document.getElementById('operations-slots-slots\\\\.list')"
ME = "document.getElementById('operations-identity-identity\\\\.me\\\\.read')"
STAFF = "[...document.querySelectorAll('.auth-container')].find(one => one.textContent.includes('authorizationCode'))"


def shows(lang: str) -> str:
    """True when the page shows exactly the operations of the document in this language."""
    return f"JSON.stringify({SHOWN}.sort()) === JSON.stringify({json.dumps(summaries(lang))}.sort())"


def click(page: Browser, expression: str) -> None:
    """As a person does it: a window that opens by itself is not let open."""
    page.wait(expression)
    page.send("Runtime.evaluate", expression=f"{expression}.click()", userGesture=True)


@contextmanager
def window(page: Browser, address: str) -> Iterator[None]:
    """The other window of the browser, as soon as it shows this address; the page itself again in the end."""
    until = time.monotonic() + PATIENCE
    while True:
        targets = page._send("Target.getTargets", {})["targetInfos"]
        found = [one["targetId"] for one in targets if one["type"] == "page" and address in one["url"]]
        if found:
            break
        assert time.monotonic() < until, targets
        time.sleep(0.1)
    own, page._session = (
        page._session,
        page._send("Target.attachToTarget", {"targetId": found[0], "flatten": True})["sessionId"],
    )
    try:
        for domain in ("Network", "Runtime", "Log", "Page"):
            page.send(f"{domain}.enable")
        yield
    finally:
        page._session = own


def test_the_console_asks_nobody_else_switches_its_language_asks_for_slots_and_logs_staff_in(
    database_url: str, keys: Keyring, settings: Settings, tmp_path: Path
) -> None:
    """One browser for all of it: to open the page costs more than all the rest."""
    town = Town(database_url)
    colleague(town, keys, "zhou.min")
    with serving(database_url, keys, settings) as address, browser(tmp_path / "profile", "zh-CN") as page:
        page.go(f"{address}/docs")
        assert page.wait(shows("zh"))
        assert page.value("document.documentElement.lang") == "zh"
        page.value("document.querySelector('button[data-lang=en]').click()")
        assert page.wait(shows("en"))
        assert page.wait("document.querySelector('.btn.authorize').textContent.trim() === 'Authorize'")
        page.reload()
        assert page.wait(shows("en"))

        page.value(f"{SLOTS}.querySelector('.opblock-summary-control').click()")
        execute = f"{SLOTS}.querySelector('.btn.execute')"
        page.wait(f"{execute} && ({execute}.click(), true)")  # pressed the moment it is there
        status = f"{SLOTS}.querySelector('.live-responses-table .response .response-col_status')?.textContent.trim()"
        assert page.wait(status).startswith("200")
        assert '"items"' in page.wait(f"{SLOTS}.querySelector('.live-responses-table')?.textContent")
        log_in_and_ask(page, town)
        assert page.asked() == {"127.0.0.1"}
        assert page.complaints() == []
    assert town.one("SELECT count(*) FROM sessions WHERE provider = 'password'") == 1


def log_in_and_ask(page: Browser, town: Town) -> None:
    """Through the page, as staff do it; "Execute" then works as them, also when their token has run out."""
    click(page, "document.querySelector('.scheme-container .btn.authorize, .auth-wrapper .btn.authorize')")
    click(page, f"({STAFF})?.querySelector('.btn.authorize')")
    with window(page, "/oauth/authorize"):
        page.wait("document.querySelector('footer')")  # behind the whole form
        assert page.value("document.documentElement.lang") == "zh"
        page.value(
            f"document.getElementById('username').value = 'zhou.min'; document.getElementById('password').value = '{PASSWORD}'; 1"
        )
        click(page, "document.querySelector('#form > button')")
    page.wait(f"[...(({STAFF})?.querySelectorAll('button') ?? [])].some(one => one.textContent === 'Logout')")
    click(page, "document.querySelector('.modal-ux .btn-done')")
    click(page, f"{ME}.querySelector('.opblock-summary-control')")
    click(page, f"{ME}.querySelector('.btn.execute')")
    status = f"{ME}.querySelector('.live-responses-table .response .response-col_status')?.textContent.trim()"
    assert page.wait(status).startswith("200")
    assert '"manager"' in page.wait(f"{ME}.querySelector('.live-responses-table')?.textContent")
    page.value("{ const now = Date.now; Date.now = () => now() + 16 * 60_000; }")  # the token has run out by now
    page.value(f"{ME}.querySelector('.btn-clear').click()")
    page.wait(f"!{ME}.querySelector('.live-responses-table .response')")
    click(page, f"{ME}.querySelector('.btn.execute')")
    assert page.wait(status).startswith("200")
    assert town.one("SELECT rotated_at IS NOT NULL FROM sessions WHERE provider = 'password'")


@pytest.mark.skipif(
    not os.environ.get("LINLI_LONG"), reason="a second browser for twelve seconds; LINLI_LONG=1 runs it"
)
def test_the_console_opens_in_the_readers_language_and_finds_operations_by_what_they_do(
    database_url: str, keys: Keyring, settings: Settings, tmp_path: Path
) -> None:
    with serving(database_url, keys, settings) as address, browser(tmp_path / "profile", "en-GB") as page:
        page.go(f"{address}/docs")
        assert page.wait(shows("en"))
        assert page.value("document.documentElement.lang") == "en"
        page.value("document.querySelector('.operation-filter-input').focus()")
        page.send("Input.insertText", text="by-key")
        found = (
            "[...document.querySelectorAll('.opblock-summary-description')].filter(one => !one.closest('.webhooks'))"
        )
        assert (
            page.wait(f"{found}.length === 1 && {found}[0].textContent")
            == "What became of a request whose answer was lost"
        )
        page.go(f"{address}/docs#/town/regions.read")
        assert page.wait("document.querySelector('.opblock.is-open')?.textContent").startswith("GET")
        assert page.asked() == {"127.0.0.1"}
        assert page.complaints() == []
