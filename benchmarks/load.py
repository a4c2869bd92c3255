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
local file = io.open("%(requests)s", "r")
local lines = {}
for line in file:lines() do lines[#lines + 1] = line end
file:close()
local threads = 0
function setup(thread)
  thread:set("id", threads)
  threads = threads + 1
end
function init(args)
  n = id
end
function request()
  local line = lines[(n %% #lines) + 1]
  n = n + 2
  local token, key, body = line:match("([^\\t]*)\\t([^\\t]*)\\t(.*)")
  local headers = {}
  if token ~= "" then headers["Authorization"] = "Bearer " .. token end
  if key ~= "" then headers["Idempotency-Key"] = key .. "-" .. n end
  if body ~= "" then headers["Content-Type"] = "application/json" end
  return wrk.format("%(method)s", "%(path)s", headers, body)
end
"""


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
        lines.write_text("".join(f"{r.token}\t{r.key}\t{r.body}\n" for r in requests))
        script = Path(folder, "load.lua")
        script.write_text(_LUA % {"requests": lines, "method": method, "path": path})
        ran = subprocess.run(
            [
                "wrk",
                "-t2",
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
            lines = [f"{method} {path} HTTP/1.1", f"Host: {host}", f"Content-Length: {len(request.body)}"]
            if request.token:
                lines.append(f"Authorization: Bearer {request.token}")
            if request.key:
                lines.append(f"Idempotency-Key: {request.key}-{sent}")
            if request.body:
                lines.append("Content-Type: application/json")
            began = time.perf_counter()
            writer.write(("\r\n".join(lines) + "\r\n\r\n" + request.body).encode())
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
