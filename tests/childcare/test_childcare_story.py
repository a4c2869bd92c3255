"""The story of the rainy afternoon is told against the demo town, and ends well."""

from __future__ import annotations

import asyncio
import io
from pathlib import Path

from rich.console import Console
from services.cli.story import tell

from services import doctor
from services.cli import town
from services.cli.town import personas
from shared.crypto import Keyring
from tests.conftest import connected
from tests.gateway import doors


def test_the_rainy_afternoon_is_told_to_its_end(database_url: str, tmp_path: Path) -> None:
    keys = Keyring.fresh()
    town.build(database_url, keys, residents=0, seed=1, show=False)

    async def token(persona: str) -> str:
        async with connected(database_url, pool_size=1) as db:
            return await personas.token(db, keys, persona)

    told = io.StringIO()
    with doors.gateway(database_url, keys, doors.demo(tmp_path)) as address:
        for _ in range(2):
            tell("childcare", address, lambda one: asyncio.run(token(one)), Console(file=told, width=200))
    assert told.getvalue().count("The end.") == 2
    assert "told a moment ago" in told.getvalue(), "the boy cannot be in two places"
    assert [one for one in asyncio.run(doctor.examine(database_url)) if one[1]] == []
