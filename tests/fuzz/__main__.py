"""Tries every operation of a demo town of its own with made-up requests, as everybody in it. Ends with 1 on any finding.

A finding is a 5xx, a status, a media type or a body that the document does not name, and afterwards a broken invariant.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, NamedTuple

import httpx
import typer
from rich.console import Console
from rich.table import Table

from services.cli.town.personas import PERSONAS

ROOT = Path(__file__).parents[2]
NOBODY = "nobody"
EVERYBODY = (NOBODY, *(one.key for one in PERSONAS))
CHECKS = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance"
CONFIG = """
[parameters]
"query.wait" = 0 # who waits for news would wait in vain
"""
GENEROUS = {"LINLI_ACCOUNT_BURST": "100000", "LINLI_ADDRESS_BURST": "1000000"}
console = Console()


class Tried(NamedTuple):
    """What came of one persona's requests."""

    requests: int
    seconds: float
    findings: list[str]
    said: str


def linli(*words: str) -> list[str]:
    return [sys.executable, "-m", "services.cli", *words]


@contextlib.contextmanager
def town(folder: Path) -> Iterator[str]:
    """A demo town on a free port; its address."""
    words = linli("up", "--port", "0", "--data-dir", str(folder / "town"))
    with (folder / "town.log").open("w") as log:
        server = subprocess.Popen(
            words, cwd=ROOT, stdout=subprocess.PIPE, stderr=log, text=True, env=os.environ | GENEROUS
        )
    try:
        assert server.stdout is not None
        line = server.stdout.readline()
        if not line.startswith("ready "):
            raise SystemExit((folder / "town.log").read_text())
        yield line.removeprefix("ready ").strip()
    finally:
        server.terminate()
        server.wait()


def endless(address: str) -> list[str]:
    """Operations that answer with a stream, which has no end to wait for."""
    paths = httpx.get(f"{address}/openapi.json?lang=en", timeout=60).json()["paths"]
    operations = [one for item in paths.values() for one in item.values()]
    return [one["operationId"] for one in operations if "text/event-stream" in json.dumps(one["responses"])]


def tried(persona: str, address: str, folder: Path, examples: int, seconds: int, seed: int | None) -> Tried:
    """Everything, as this persona."""
    report = folder / f"{persona}.json"
    words = [
        *(sys.executable, "-m", "schemathesis.cli", "--config-file", str(folder / "config.toml")),
        *("run", f"{address}/openapi.json?lang=en", "--phases", "fuzzing", "--max-examples", str(examples)),
        *("--checks", CHECKS, "--continue-on-failure", "--request-timeout", "40", "--generation-database", "none"),
        *("--suppress-health-check", "all", "--warnings", "off", "--no-color"),
        *("--report", "json", "--report-json-path", str(report)),
        *(word for one in endless(address) for word in ("--exclude-operation-id", one)),
        *(("--seed", str(seed)) if seed is not None else ()),
    ]
    if persona != NOBODY:
        asked = linli("demo", "token", persona, "--data-dir", str(folder / "town"))
        token = subprocess.run(asked, cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()
        words += ["--header", f"Authorization: Bearer {token}"]
    environment = os.environ | {"SCHEMATHESIS_HOOKS": "tests.fuzz.hooks", "PYTHONPATH": str(ROOT)}
    began = time.monotonic()
    try:
        done = subprocess.run(
            words, cwd=folder, env=environment, capture_output=True, text=True, timeout=seconds, check=False
        )
    except subprocess.TimeoutExpired:
        return Tried(0, time.monotonic() - began, [f"not done in {seconds} seconds"], "")
    spent = time.monotonic() - began
    if not report.exists():
        return Tried(0, spent, ["it did not run"], done.stdout + done.stderr)
    told = json.loads(report.read_text())
    found = [f"{one['title']}: {', '.join(one['operations'])}" for one in told["failures"]]
    found += [json.dumps(one)[:300] for one in told["errors"]]
    if done.returncode and not found:
        found = [f"it ended with {done.returncode}"]
    return Tried(told["test_cases"]["generated"], spent, found, done.stdout if found else "")


def main(
    personas: Annotated[list[str] | None, typer.Argument(help="As whom; left out: everybody.")] = None,
    examples: Annotated[int, typer.Option(min=1, help="Requests an operation and persona.")] = 3,
    seconds: Annotated[int, typer.Option(min=1, help="Most seconds for a persona.")] = 600,
    seed: Annotated[int | None, typer.Option(help="The same number makes the same requests.")] = None,
) -> None:
    """Try every operation with made-up requests, as everybody of a demo town of its own."""
    if unknown := set(personas or ()) - set(EVERYBODY):
        raise SystemExit(f"There is no persona {', '.join(sorted(unknown))}; there are {', '.join(EVERYBODY)}.")
    folder = Path(tempfile.mkdtemp(prefix="linli-fuzz-"))
    folder.chmod(0o755)
    table = Table("persona", "requests", "seconds", "findings")
    is_clean = True
    try:
        (folder / "config.toml").write_text(CONFIG)
        with town(folder) as address:
            for persona in personas or EVERYBODY:
                with console.status(f"{persona}: every operation"):
                    one = tried(persona, address, folder, examples, seconds, seed)
                table.add_row(persona, str(one.requests), f"{one.seconds:.0f}", "\n".join(one.findings) or "none")
                is_clean = is_clean and not one.findings
                for line in one.said.splitlines():
                    console.print(line[:300], markup=False, highlight=False)
            doctor = linli("doctor", "--data-dir", str(folder / "town"))
            checked = subprocess.run(doctor, cwd=ROOT, capture_output=True, text=True, check=False)
        console.print(table)
        wrong = [line for line in checked.stdout.splitlines() if not line.startswith("ok ")]
        console.print("\n".join(wrong) or "every invariant holds", markup=False)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    if checked.returncode or not is_clean:
        raise SystemExit(1)


if __name__ == "__main__":
    typer.run(main)
