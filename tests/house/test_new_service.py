"""The page about new services, done: its files are written into a copy of the house, and a drill is borrowed."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

from shared import embedded, revisions
from tests.conftest import copy_of
from tests.house.house import DOCS, ROOT

DAY = """
import asyncio, sys, uuid
from datetime import timedelta
from pathlib import Path
import httpx
from services import doctor
from services.gateway.app import Gateway
from shared import clock, migrate
from shared.crypto import Keyring
from shared.db import Database
from shared.settings import Settings
sys.path.append(sys.argv[2])
url, tests = sys.argv[1:]
migrate.upgrade(url)
from tests.town import Town

async def main():
    town, keys = Town(url), Keyring.fresh()
    who, keeper = town.residents(2)
    town.appoint(keeper, "manager")
    db = Database.connect(url, pool_size=4)
    gateway = Gateway(db, keys, Settings(data_dir=Path.cwd(), demo=True))
    async with gateway.running():
        async with httpx.AsyncClient(transport=httpx.ASGITransport(gateway), base_url="http://linli") as client:
            async def ask(method, path, who, **more):
                headers = who.headers(keys, uuid.uuid4().hex) | more.pop("headers", {})
                answer = await client.request(method, path, headers=headers, **more)
                assert answer.status_code < 300, (method, path, answer.status_code, answer.text)
                return answer.json()
            shed = await ask("POST", "/v1/lending/sheds", keeper, json={"name": "工具间", "kind": "shed",
                "community": "330411105003", "resources": [{"name": "电钻"}]})
            day = {"weekdays": list(range(7)), "starts": "08:00", "ends": "18:00", "slot_minutes": 600,
                   "resource": "电钻", "title": "电钻"}
            await ask("PUT", f"/v1/lending/sheds/{shed['id']}/schedule", keeper, json={"lines": [day]},
                      headers={"If-Match": '"0"'})
            slots = (await ask("GET", "/v1/slots?service=lending", who))["items"]
            loan = await ask("POST", "/v1/lending/loans", who, json={"slot_id": slots[-1]["id"], "purpose": "装书架"})
            assert loan["state"] == "confirmed" and loan["service"] == "lending", loan
            await ask("GET", loan["href"] + "/pass", who)
            claims = (await ask("GET", "/v1/claims", who))["items"]
            assert [one["service"] for one in claims] == ["lending"], claims
            assert (await ask("DELETE", loan["href"], who))["state"] == "released"
            documented = (await client.get("/openapi.json?lang=en")).json()["paths"]
            assert "/v1/lending/loans" in documented
    await db.close()
    assert [one for one in await doctor.examine(url) if one[1]] == []

asyncio.run(main())
print("borrowed")
"""


def test_the_page_about_new_services_works(server: embedded.Embedded, tmp_path: Path) -> None:
    page = (DOCS / "new-service.md").read_text(encoding="utf-8")
    house = tmp_path / "house"
    for part in ("services", "shared", "migrations"):
        shutil.copytree(ROOT / part, house / part)
    shutil.copy(ROOT / "pyproject.toml", house)
    files = re.findall(r"^`([\w/]+\.py)`\n\n```python\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    assert len(files) == 9
    for name, text in files:
        path = house / name
        assert not path.exists(), f"{name} is there already"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text.replace('"HEAD"', f'"{revisions.head()}"'), encoding="utf-8")
    (line,) = re.findall(r"at the end of `SERVICES`:\n\n```python\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    services = house / "services" / "__init__.py"
    text = services.read_text(encoding="utf-8")
    before, _, after = text.partition(")\n\n\ndef service(")
    services.write_text(f"{before}{line.rstrip()},\n)\n\n\ndef service({after}", encoding="utf-8")
    with copy_of(server, "template0") as url:
        told = subprocess.run(
            [sys.executable, "-c", DAY, url, str(ROOT)],
            cwd=house,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
    assert told.stdout.splitlines()[-1:] == ["borrowed"], told.stdout + told.stderr
