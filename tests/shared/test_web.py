from __future__ import annotations

import asyncio
import json
from datetime import date
from typing import Annotated, Any

import httpx
import pytest
from pydantic import AwareDatetime, Field, ValidationError

from services import SERVICES
from shared.crypto import Keyring
from shared.db import Database
from shared.settings import Settings
from shared.web import Context, In


class Told(In):
    yes: bool | None = None
    count: int | None = None
    days: list[Annotated[int, Field(ge=0, le=6)]] | None = None
    part: float | None = None
    day: date | None = None
    at: AwareDatetime | None = None


@pytest.mark.parametrize("way", ["python", "json"])
@pytest.mark.parametrize(
    ("name", "value", "is_taken"),
    [
        ("yes", True, True),
        ("yes", "no", False),
        ("yes", 0, False),
        ("count", 1, True),
        ("count", "1", False),
        ("count", True, False),
        ("days", [0, 6], True),
        ("days", [7], False),
        ("days", ["1"], False),
        ("days", [True], False),
        ("part", 1, True),
        ("part", "1.5", False),
        ("day", "2026-11-30", True),
        ("day", "2026-11-30T00:00:00Z", False),
        ("day", 1795451700, False),
        ("at", "2026-11-30T00:00:00+08:00", True),
        ("at", "2026-11-30t00:00:00z", True),
        ("at", "2026-11-30T00:00:00", False),
        ("at", "1795451700", False),
        ("at", 1795451700, False),
    ],
    ids=repr,
)
def test_what_callers_say_is_of_its_own_type(way: str, name: str, value: Any, *, is_taken: bool) -> None:
    def said() -> Told:
        if way == "json":
            return Told.model_validate_json(json.dumps({name: value}))
        return Told.model_validate({name: value})

    if is_taken:
        assert said()
        return
    with pytest.raises(ValidationError) as wrong:
        said()
    assert len(wrong.value.errors()) == 1


@pytest.mark.parametrize("service", SERVICES, ids=lambda one: one.name)
def test_a_container_may_ask_a_service_whether_it_is_alive(service: object, keys: Keyring, settings: Settings) -> None:
    async def asked() -> None:
        db = Database.connect("postgresql://nobody@127.0.0.1:1/nothing")
        app = service.make(Context(db, keys, settings))  # type: ignore[attr-defined]
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://service") as http:
            assert (await http.get("/healthz")).json() == {"status": "alive"}
        await db.close()

    asyncio.run(asked())
