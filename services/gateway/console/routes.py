"""The console's page, its files and the document it shows. Nothing in it comes from another host."""

from __future__ import annotations

import gzip
import hashlib
import importlib.util
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Annotated, Final, Literal

from fastapi import APIRouter, Query, Request, Response

from services.gateway.console.document import document
from shared import errors, wire
from shared.texts import language

router = APIRouter(include_in_schema=False)

FILES: Final = {
    "swagger-ui-bundle.js": ("fastapi_offline", "text/javascript; charset=utf-8"),
    "swagger-ui.css": ("fastapi_offline", "text/css; charset=utf-8"),
    "console.js": ("services.gateway", "text/javascript; charset=utf-8"),
    "console.css": ("services.gateway", "text/css; charset=utf-8"),
}
RETURN: Final = "logged-in.js"
"""Hands the console what its log in window was sent back with."""
"""What the page loads, and the package in whose `static` it lies; nothing else is ever opened."""

POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""Swagger UI 5 works within it; its pictures are data: in its style sheet."""

_PAGE: Final = """<!doctype html>
<html lang="zh">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>邻里 Linli · API</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="{swagger-ui.css}">
<link rel="stylesheet" href="{console.css}">
</head>
<body>
<header>
<strong>邻里 Linli</strong>
<nav aria-label="语言 Language">
<button type="button" data-lang="zh" lang="zh">中文</button>
<button type="button" data-lang="en" lang="en">English</button>
</nav>
<a href="/openapi.json" download="linli.openapi.json">openapi.json</a>
</header>
<main id="console"></main>
<noscript>需要 JavaScript；接口文档见 <a href="/openapi.json">openapi.json</a>。 This page needs JavaScript; the document is <a href="/openapi.json?lang=en">openapi.json</a>.</noscript>
<script src="{swagger-ui-bundle.js}"></script>
<script src="{console.js}"></script>
</body>
</html>
"""


@dataclass(frozen=True, slots=True)
class File:
    """A body that stays the same as long as the process lives, also compressed, and its name by content."""

    body: bytes
    packed: bytes
    digest: str
    media_type: str

    @classmethod
    def of(cls, body: bytes, media_type: str) -> File:
        """The file with this body."""
        return cls(body, gzip.compress(body, 6, mtime=0), hashlib.sha256(body).hexdigest()[:20], media_type)

    def answer(self, request: Request, caching: str, **headers: str) -> Response:
        """The file, or 304 for who has it; packed for who can unpack it."""
        is_packed = "gzip" in request.headers.get("accept-encoding", "")
        tag = f'"{self.digest}{"-gz" if is_packed else ""}"'
        told = {"ETag": tag, "Cache-Control": caching, "Vary": "Accept-Encoding", **headers}
        if tag in {one.strip().removeprefix("W/") for one in request.headers.get("if-none-match", "").split(",")}:
            return Response(status_code=304, headers=told)
        if is_packed:
            told["Content-Encoding"] = "gzip"
        return Response(self.packed if is_packed else self.body, 200, told, self.media_type)


@cache
def file(name: str) -> File:
    """One of FILES, or RETURN."""
    package, media_type = FILES.get(name, ("services.gateway", "text/javascript; charset=utf-8"))
    found = importlib.util.find_spec(package)  # finds the folder without running the package
    if found is None or not found.submodule_search_locations:
        raise LookupError(package)
    return File.of((Path(found.submodule_search_locations[0]) / "static" / name).read_bytes(), media_type)


@cache
def _page() -> File:
    page = _PAGE
    for name in FILES:
        page = page.replace(f"{{{name}}}", f"/docs/assets/{name}?v={file(name).digest}")
    return File.of(page.encode(), "text/html; charset=utf-8")


_RETURN_PAGE: Final = """<!doctype html>
<html lang="zh">
<head>
<meta charset="utf-8">
<meta name="referrer" content="no-referrer">
<title>邻里 Linli · API</title>
<link rel="icon" href="data:,">
</head>
<body>
<p>可关闭此窗口。 This window can be closed.</p>
<script src="/docs/assets/logged-in.js"></script>
</body>
</html>
"""


@cache
def _written(lang: str) -> File:
    return File.of(wire.dumps(document(lang)), "application/json")


# The page and its files are plain functions: FastAPI runs them beside the event loop, which packing would hold up.


@router.api_route("/", methods=["GET", "HEAD"])
def front() -> Response:
    """Whoever opens the address that the server printed is shown the console."""
    return Response(status_code=307, headers={"Location": "/docs"})


@router.api_route("/docs", methods=["GET", "HEAD"])
def docs(request: Request) -> Response:
    """The console."""
    return _page().answer(request, "no-cache", **{"Content-Security-Policy": POLICY})


@router.get("/docs/oauth2-redirect")
def logged_in() -> Response:
    """Where the log in page sends the console's window back to."""
    headers = {"Content-Security-Policy": POLICY, "Cache-Control": "no-store", "Referrer-Policy": "no-referrer"}
    return Response(_RETURN_PAGE, headers=headers, media_type="text/html; charset=utf-8")


@router.api_route("/docs/assets/{name}", methods=["GET", "HEAD"])
def asset(name: str, request: Request, v: str = "") -> Response:
    """One of the console's files; kept for ever under the name of its content."""
    if name not in FILES and name != RETURN:
        raise errors.NotThere
    found = file(name)
    return found.answer(request, "public, max-age=31536000, immutable" if v == found.digest else "no-cache")


@router.api_route("/openapi.json", methods=["GET", "HEAD"])
async def openapi(request: Request, lang: Annotated[Literal["zh", "en"] | None, Query()] = None) -> Response:
    """The document, in the language asked for.

    Made in the event loop, once: a thread would meet requests that make FastAPI's fields at the same moment.
    """
    lang = lang or ("en" if language(request.headers.get("accept-language")) == "en" else "zh")
    return _written(lang).answer(
        request, "no-cache", **{"Content-Language": lang, "Vary": "Accept-Encoding, Accept-Language"}
    )
