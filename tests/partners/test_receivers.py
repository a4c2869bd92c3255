"""The example receivers, as a partner would run them: a process of their own, with the published libraries."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import httpx
import pytest

from tests.gateway.test_front import Front
from tests.partners.town import System, a_system, announce, due_now, push

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "examples" / "receivers"


@pytest.fixture(params=["python", "node"])
def command(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[list[str]]:
    if request.param == "python":
        yield [sys.executable, str(EXAMPLES / "receiver.py")]
        return
    if shutil.which("node") is None or shutil.which("npm") is None:
        pytest.skip("node is not installed here")
    shutil.copy(EXAMPLES / "receiver.mjs", tmp_path)
    made = subprocess.run(
        ["npm", "install", "--silent", "--no-fund", "--no-audit", "--ignore-scripts", "standardwebhooks"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    if made.returncode != 0:
        pytest.skip("npm cannot fetch standardwebhooks")
    yield ["node", str(tmp_path / "receiver.mjs")]


def listening(command: list[str], port: int, secret: str) -> tuple[subprocess.Popen[str], IO[str], int]:
    process = subprocess.Popen([*command, str(port), secret], stdout=subprocess.PIPE, text=True, env=os.environ.copy())
    assert process.stdout is not None
    first = process.stdout.readline()
    assert first.startswith("listening on "), first
    return process, process.stdout, int(first.split()[-1])


def test_a_receiver_proves_its_address_and_takes_each_notice_once(front: Front, command: list[str]) -> None:
    system = a_system(front)
    endpoint = registered(system)
    process, said, port = listening(command, 0, endpoint["secret"])
    try:
        front.town.do("UPDATE endpoints SET url = %s", f"http://127.0.0.1:{port}/")
        push(front)
        assert system.get(f"partners/endpoints/{endpoint['id']}").json()["state"] == "enabled"
        subjects = announce(front, 3)
        push(front)
        heard = [json.loads(said.readline()) for _ in range(3)]
        assert sorted(one["subject"] for one in heard) == sorted(map(str, subjects))
        front.town.do("UPDATE deliveries SET state = 'due', done_at = NULL")
        due_now(front)
        announce(front, 1)
        push(front)
        assert json.loads(said.readline())["position"] == 4, "what came twice is dealt with once"
        forged = httpx.post(f"http://127.0.0.1:{port}/", content=b"{}", headers={
            "webhook-id": "x", "webhook-timestamp": str(int(time.time())), "webhook-signature": "v1,AAAA"})  # fmt: skip
        assert forged.status_code == 400
    finally:
        process.terminate()
        process.wait(10)
        said.close()


def registered(system: System) -> dict[str, Any]:
    body = {"url": "http://127.0.0.1:9/", "types": ["*"], "community": "330411105"}
    made: dict[str, Any] = system.ask("POST", "partners/endpoints", json=body).json()
    return made
