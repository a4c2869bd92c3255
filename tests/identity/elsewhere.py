"""Other people's servers: they speak the wire formats that WeChat and the others document, well or badly."""

from __future__ import annotations

import contextlib
import json
import secrets
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple, Self
from urllib.parse import parse_qsl, urlsplit


class Heard(NamedTuple):
    """One request."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes

    @property
    def told(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.body)
        return found

    @property
    def form(self) -> dict[str, str]:
        return dict(parse_qsl(self.body.decode()))


Answer = tuple[int, Any]
"""A status and a body: bytes as they are, anything else as JSON."""
Mood = Callable[[BaseHTTPRequestHandler, Heard], Answer | None]


TOO_LONG = 30.0
"""Seconds that a slow one takes: nobody waits for half of it, however slow the machine."""


def sleeps(_: BaseHTTPRequestHandler, __: Heard) -> Answer:
    time.sleep(TOO_LONG)
    return 200, {}


def drips(handler: BaseHTTPRequestHandler, _: Heard) -> None:
    handler.send_response(200)
    handler.end_headers()
    for _ in range(int(TOO_LONG * 10)):
        handler.wfile.write(b" ")
        handler.wfile.flush()
        time.sleep(0.1)


def floods(handler: BaseHTTPRequestHandler, _: Heard) -> None:
    handler.send_response(200)
    handler.end_headers()
    for _ in range(200):
        handler.wfile.write(b'{"x": "' + b"x" * 65536)


def hangs_up(handler: BaseHTTPRequestHandler, _: Heard) -> None:
    handler.close_connection = True


def says(status: int, body: Any) -> Mood:
    return lambda _, __: (status, body)


BAD_MOODS: dict[str, Mood] = {
    "sleeps": sleeps,
    "drips": drips,
    "floods": floods,
    "hangs up": hangs_up,
    "error page": says(502, b"<html>Bad Gateway</html>"),
    "no JSON": says(200, b"<html>welcome to the captive portal</html>"),
    "half JSON": says(200, b'{"openid": "o'),
    "a list": says(200, [1, 2, 3]),
    "nothing": says(200, b""),
    "empty object": says(200, {}),
    "wrong types": says(200, {"openid": 7, "errcode": None, "access_token": [], "data": "x", "id_token": {}}),
    "deep": says(200, b"[" * 60_000),
    "moved": says(302, b""),
}


class Elsewhere:
    """A server on a port of its own. `mood` goes before whatever it does when it is well."""

    def __init__(self) -> None:
        self.heard: list[Heard] = []
        self.mood: Mood | None = None
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self) -> None:
                parts = urlsplit(self.path)
                body = self.rfile.read(int(self.headers.get("content-length", 0)))
                told = {name.lower(): value for name, value in self.headers.items()}
                heard = Heard(self.command, parts.path, dict(parse_qsl(parts.query)), told, body)
                outer.heard.append(heard)
                self.close_connection = True
                with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                    answer = outer.mood(self, heard) if outer.mood else outer.well(heard)
                    if answer is None:
                        return
                    status, said = answer
                    raw = said if isinstance(said, bytes) else json.dumps(said, ensure_ascii=False).encode()
                    self.send_response(status)
                    self.send_header("Content-Type", "application/json; encoding=utf-8")
                    self.send_header("Content-Length", str(len(raw)))
                    if status == 302:
                        self.send_header("Location", "http://127.0.0.1:1/")
                    self.end_headers()
                    self.wfile.write(raw)

            def do_GET(self) -> None:
                self.answer()

            def do_POST(self) -> None:
                self.answer()

            def log_message(self, *_: object) -> None:
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *_: object) -> None:
                """Callers who hang up are no news."""

        self._server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def well(self, heard: Heard) -> Answer:
        raise NotImplementedError

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)

    def paths(self) -> list[str]:
        return [one.path for one in self.heard]


class WeChatServer(Elsewhere):
    """api.weixin.qq.com as its documents have it: codes are good once, and only for this mini-program."""

    APPID, SECRET = "wx1234567890abcdef", "s3cret-of-the-mini-program"
    SESSION_KEY = "HyVFkGl5F5OQWJZZaNzBBg=="

    def __init__(self) -> None:
        super().__init__()
        self.codes: dict[str, str] = {}
        self.phones: dict[str, tuple[str, str]] = {}
        self.used: set[str] = set()
        self.token = ""
        self.token_life = 7200

    def code(self, openid: str) -> str:
        code = secrets.token_urlsafe(24)
        self.codes[code] = openid
        return code

    def phone_code(self, number: str, country: str = "86") -> str:
        code = secrets.token_hex(32)
        self.phones[code] = (country, number)
        return code

    def well(self, heard: Heard) -> Answer:
        match heard.method, heard.path:
            case "GET", "/sns/jscode2session":
                return 200, self._session(heard.query)
            case "GET", "/cgi-bin/token":
                if self._stranger(heard.query) or heard.query.get("grant_type") != "client_credential":
                    return 200, {"errcode": 40125, "errmsg": "invalid appsecret, rid: 1"}
                self.token = secrets.token_hex(60)
                return 200, {"access_token": self.token, "expires_in": self.token_life}
            case "POST", "/wxa/business/getuserphonenumber":
                return 200, self._phone(heard)
        return 404, b""

    def _stranger(self, query: dict[str, str]) -> bool:
        return (query.get("appid"), query.get("secret")) != (self.APPID, self.SECRET)

    def _session(self, query: dict[str, str]) -> dict[str, Any]:
        code = query.get("js_code", "")
        if self._stranger(query):
            return {"errcode": 40125, "errmsg": "invalid appsecret, rid: 1"}
        if code in self.used:
            return {"errcode": 40163, "errmsg": "code been used, rid: 1"}
        if code not in self.codes:
            return {"errcode": 40029, "errmsg": "invalid code, rid: 1"}
        self.used.add(code)
        return {"session_key": self.SESSION_KEY, "openid": self.codes[code]}

    def _phone(self, heard: Heard) -> dict[str, Any]:
        if heard.query.get("access_token") != self.token:
            return {"errcode": 40001, "errmsg": "invalid credential, access_token is invalid or not latest, rid: 1"}
        code = heard.told.get("code")
        if code in self.used or code not in self.phones:
            return {"errcode": 40029, "errmsg": "invalid code, rid: 1"}
        self.used.add(code)
        country, number = self.phones[code]
        return {
            "errcode": 0,
            "errmsg": "ok",
            "phone_info": {
                "phoneNumber": number,
                "purePhoneNumber": number,
                "countryCode": country,
                "watermark": {"timestamp": int(time.time()), "appid": self.APPID},
            },
        }
