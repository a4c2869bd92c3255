from __future__ import annotations

import asyncio

import httpx
import pytest

from services import SERVICES
from shared.crypto import Keyring
from shared.db import Database
from shared.settings import Settings
from shared.web import Context


@pytest.mark.parametrize("service", SERVICES, ids=lambda one: one.name)
def test_a_container_may_ask_a_service_whether_it_is_alive(service: object, keys: Keyring, settings: Settings) -> None:
    async def asked() -> None:
        db = Database.connect("postgresql://nobody@127.0.0.1:1/nothing")
        app = service.make(Context(db, keys, settings))  # type: ignore[attr-defined]
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://service") as http:
            assert (await http.get("/healthz")).json() == {"status": "alive"}
        await db.close()

    asyncio.run(asked())
