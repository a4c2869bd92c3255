"""Somebody else's server: what it heard, and how it behaves, well or badly, path by path."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple, Self


class Heard(NamedTuple):
    """One request."""

    path: str
    headers: dict[str, str]
    body: bytes
    at: float

    @property
    def told(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.body)
        return found


Behaviour = Callable[[BaseHTTPRequestHandler, Heard], None]


def well(handler: BaseHTTPRequestHandler, heard: Heard) -> None:
    """Takes everything, and echoes challenges."""
    said(handler, 200, heard.told.get("challenge", "ok").encode())


def says(status: int, body: bytes = b"", **headers: str) -> Behaviour:
    """Echoes challenges, and answers everything else so."""

    def behave(handler: BaseHTTPRequestHandler, heard: Heard) -> None:
        if "challenge" in heard.told:
            well(handler, heard)
        else:
            said(handler, status, body, {name.replace("_", "-"): value for name, value in headers.items()})

    return behave


def said(
    handler: BaseHTTPRequestHandler, status: int, body: bytes = b"", headers: dict[str, str] | None = None
) -> None:
    handler.send_response(status)
    for name, value in ({"Content-Length": str(len(body))} | (headers or {})).items():
        handler.send_header(name, value)
    handler.end_headers()
    handler.wfile.write(body)


def sleeps(handler: BaseHTTPRequestHandler, heard: Heard) -> None:
    """Takes everything and says nothing."""
    if "challenge" in heard.told:
        well(handler, heard)
    else:
        time.sleep(5)


def drips(handler: BaseHTTPRequestHandler, heard: Heard) -> None:
    """Begins a head and never ends it, a byte at a time."""
    if "challenge" in heard.told:
        well(handler, heard)
        return
    for byte in b"HTTP/1.1 200 OK\r\nX-Slow: " + b"x" * 1000:
        handler.wfile.write(bytes([byte]))
        time.sleep(0.1)


def floods(handler: BaseHTTPRequestHandler, heard: Heard) -> None:
    """Answers with more than anybody wants to read."""
    if "challenge" in heard.told:
        well(handler, heard)
        return
    handler.send_response(200)
    handler.end_headers()
    for _ in range(2000):
        handler.wfile.write(b"x" * 65536)


class Sink:
    """A server on a port of its own; `behaviours` by path, `well` where none is named."""

    def __init__(self) -> None:
        self.heard: list[Heard] = []
        self.behaviours: dict[str, Behaviour] = {}
        sink = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                length = int(self.headers.get("content-length", 0))
                body = self.rfile.read(length)
                if len(body) < length:  # whoever spoke died in the middle of it
                    self.close_connection = True
                    return
                told = {name.lower(): value for name, value in self.headers.items()}
                heard = Heard(self.path, told, body, time.monotonic())
                sink.heard.append(heard)
                try:
                    sink.behaviours.get(self.path, well)(self, heard)
                except (BrokenPipeError, ConnectionResetError):
                    self.close_connection = True

            def log_message(self, *_: object) -> None:
                pass

        class Server(ThreadingHTTPServer):
            def handle_error(self, *_: object) -> None:
                """Callers who hang up are no news."""

            request_queue_size = 512
            daemon_threads = True

        self._server = Server(("127.0.0.1", 0), Handler)
        self.port = self._server.server_address[1]

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)

    def url(self, path: str = "/", host: str = "127.0.0.1") -> str:
        return f"http://{host}:{self.port}{path}"

    def notices(self, path: str | None = None) -> list[Heard]:
        """What was heard that is no challenge."""
        return [one for one in self.heard if "challenge" not in one.told and path in (None, one.path)]
