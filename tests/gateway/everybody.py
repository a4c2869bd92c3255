"""The demo town behind a gateway in this process, and everybody who has a part in it."""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from services.cli import town as demo_town
from services.cli.town import personas
from shared import embedded
from shared.crypto import Keyring
from shared.db import Database
from tests.conftest import copy_of
from tests.gateway import doors
from tests.gateway.test_front import Front, opened

EVERYBODY = ("nobody", *(one.key for one in personas.PERSONAS))


class Everybody(NamedTuple):
    """The demo town behind a gateway, and everybody's token."""

    front: Front
    tokens: dict[str, str | None]

    def ask(self, persona: str, method: str, path: str, body: Any = None, **more: Any) -> Any:
        headers = {"Accept-Language": "en", "Idempotency-Key": uuid.uuid4().hex, "If-Match": '"nothing-like-it"'}
        if self.tokens[persona] is not None:
            headers["Authorization"] = f"Bearer {self.tokens[persona]}"
        asked = {"json": body} if body is not None else {}
        return self.front.ask(method, path, headers=headers | more.pop("headers", {}), **asked, **more)


@pytest.fixture(scope="module")
def everybody(
    server: embedded.Embedded, template: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Everybody]:
    keys = Keyring.fresh()
    with copy_of(server, template) as url, contextlib.ExitStack() as stack:
        demo_town.build(url, keys, residents=20, seed=7, show=False)

        async def tokens() -> dict[str, str]:
            db = Database.connect(url, pool_size=1)
            try:
                return {one.key: await personas.token(db, keys, one.key) for one in personas.PERSONAS}
            finally:
                await db.close()

        known: dict[str, str | None] = {"nobody": None, **asyncio.run(tokens())}
        folder: Path = tmp_path_factory.mktemp("matrix")
        settings = doors.demo(folder, account_burst=100_000, address_burst=1_000_000)
        front = stack.enter_context(opened(url, keys, settings))
        yield Everybody(front, known)
