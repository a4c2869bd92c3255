"""Staff log in from the console: in a real browser, through the page, and "Try it out" then works as them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from shared.crypto import Keyring
from shared.settings import Settings
from tests.gateway.test_console_browser import CHROMIUM, PATIENCE, Browser, browser, serving, shows
from tests.identity.staffroom import PASSWORD, colleague
from tests.town import Town

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")

ME = "document.getElementById('operations-identity-identity\\\\.me\\\\.read')"
STAFF = "[...document.querySelectorAll('.auth-container')].find(one => one.textContent.includes('authorizationCode'))"


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


def test_whoever_logs_in_on_the_page_can_try_the_operations_out(
    database_url: str, keys: Keyring, settings: Settings, tmp_path: Path
) -> None:
    town = Town(database_url)
    colleague(town, keys, "zhou.min")
    with serving(database_url, keys, settings) as address, browser(tmp_path / "profile", "en-GB") as page:
        page.go(f"{address}/docs")
        assert page.wait(shows("en"))
        click(page, "document.querySelector('.scheme-container .btn.authorize, .auth-wrapper .btn.authorize')")
        click(page, f"({STAFF})?.querySelector('.btn.authorize')")
        with window(page, "/oauth/authorize"):
            page.wait("document.querySelector('footer')")  # behind the whole form
            assert page.value("document.documentElement.lang") == "en"
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
        assert page.asked() == {"127.0.0.1"}
        assert page.complaints() == []
    assert town.one("SELECT count(*) FROM sessions WHERE provider = 'password'") == 1
