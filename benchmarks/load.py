"""One load generator for all lines of a run: wrk where it is installed, else a small asyncio client of our own."""

from __future__ import annotations

import asyncio
import json
import re
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

CONNECTIONS = 64

_LUA = """
local file = io.open("%(requests)s", "rb")
local before, after = {}, {}
for one, rest in file:read("*a"):gmatch("([^\\1]*)\\1([^\\2]*)\\2") do
  before[#before + 1], after[#after + 1] = one, rest
end
file:close()
local n = -1
function request()
  n = n + 1
  local i = n %% #before + 1
  return before[i] .. n .. after[i]
end
"""
"""All but the number of a request is put together before the clock runs, and one thread sends them: the generator
shares the processors with what it measures."""


@dataclass(frozen=True)
class Load:
    """What a load came to: answers a second, those that were 2xx, and latencies in milliseconds."""

    per_second: float
    good_per_second: float
    p50_ms: float
    p99_ms: float
    requests: int
    failures: int


@dataclass(frozen=True)
class Request:
    """One request of a load; every use of it gets a key of its own."""

    token: str = ""
    key: str = ""
    body: str = ""


def generator() -> str:
    """Which load generator this run uses."""
    return "wrk" if shutil.which("wrk") else "asyncio"


def load(base: str, method: str, path: str, requests: list[Request], seconds: float) -> Load:
    """`requests` in turn over CONNECTIONS connections for so many seconds."""
    if generator() == "asyncio":
        return asyncio.run(_asyncio(base, method, path, requests, seconds))
    with tempfile.TemporaryDirectory() as folder:
        lines = Path(folder, "requests")
        lines.write_bytes(b"".join(b"%b\1%b\2" % _wire(r, method, path, base) for r in requests))
        script = Path(folder, "load.lua")
        script.write_text(_LUA % {"requests": lines})
        ran = subprocess.run(
            [
                "wrk",
                "-t1",
                f"-c{CONNECTIONS}",
                f"-d{round(seconds)}s",
                "--timeout",
                "20s",
                "--latency",
                "-s",
                str(script),
                base,
            ],
            capture_output=True,
            text=True,
            check=True,
        ).stdout
    total = int(_found(r"(\d+) requests in", ran))
    took = _milliseconds(_found(r"requests in ([\d.]+\w+)", ran)) / 1000
    bad = int(_found(r"Non-2xx or 3xx responses: (\d+)", ran) or 0)
    errors = sum(
        int(n) for n in re.findall(r"(?:connect|read|write|timeout) (\d+)", _found(r"Socket errors: (.*)", ran))
    )
    return Load(
        total / took,
        (total - bad) / took,
        _milliseconds(_found(r"50%\s+([\d.]+\w+)", ran)),
        _milliseconds(_found(r"99%\s+([\d.]+\w+)", ran)),
        total,
        errors,
    )


def _wire(request: Request, method: str, path: str, base: str) -> tuple[bytes, bytes]:
    """What goes over the wire before and after the number of the request; the number makes its key its own."""
    head = [f"{method} {path} HTTP/1.1", f"Host: {base.removeprefix('http://')}"]
    if request.token:
        head.append(f"Authorization: Bearer {request.token}")
    if request.body:
        head += ["Content-Type: application/json", f"Content-Length: {len(request.body)}"]
    head.append(f"Idempotency-Key: {request.key}-" if request.key else "X-Number: ")
    return "\r\n".join(head).encode(), f"\r\n\r\n{request.body}".encode()


def _found(pattern: str, text: str) -> str:
    match = re.search(pattern, text)
    return match.group(1) if match else ""


def _milliseconds(text: str) -> float:
    match = re.fullmatch(r"([\d.]+)(us|ms|s|m)", text)
    if match is None:
        return float("nan")
    return float(match.group(1)) * {"us": 0.001, "ms": 1, "s": 1000, "m": 60_000}[match.group(2)]


async def _asyncio(base: str, method: str, path: str, requests: list[Request], seconds: float) -> Load:
    host, port = base.removeprefix("http://").split(":")
    until = time.perf_counter() + seconds
    latencies: list[float] = []
    good = failures = sent = 0

    async def one() -> None:
        nonlocal good, failures, sent
        reader, writer = await asyncio.open_connection(host, int(port))
        while time.perf_counter() < until:
            request = requests[sent % len(requests)]
            sent += 1
            before, after = _wire(request, method, path, base)
            began = time.perf_counter()
            writer.write(b"%b%d%b" % (before, sent, after))
            try:
                head = await reader.readuntil(b"\r\n\r\n")
                length = int(_found(r"(?i)content-length: (\d+)", head.decode("latin-1")) or 0)
                await reader.readexactly(length)
            except (OSError, EOFError, asyncio.IncompleteReadError):
                failures += 1
                break
            latencies.append((time.perf_counter() - began) * 1000)
            good += head[9:10] in b"23"
        writer.close()

    began = time.perf_counter()
    await asyncio.gather(*(one() for _ in range(CONNECTIONS)))
    took = time.perf_counter() - began
    latencies.sort()
    count = len(latencies)
    return Load(
        count / took, good / took, latencies[count // 2], latencies[min(count - 1, count * 99 // 100)], count, failures
    )


if __name__ == "__main__":
    base, method, path, seconds = sys.argv[1:5]
    print(json.dumps(load(base, method, path, [Request()], float(seconds)).__dict__))
