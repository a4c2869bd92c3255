"""Problems on the wire: RFC 9457 `application/problem+json` out of refusals, in the reader's language.

Nothing of the input, of a stack or of SQL is ever in them.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from shared import clock, errors, wire
from shared.texts import choose, language

MEDIA_TYPE = "application/problem+json"
TYPE = "https://linli.example/problems/"
"""A name, not an address: problems are told apart by it, nobody needs to fetch it."""


_NAME = re.compile(r"[A-Za-z_][A-Za-z_0-9]{0,40}")
_RULE = re.compile(r"[a-z_]{1,30}(,? [a-z_]{1,30}){0,15}")


def document(refusal: errors.Refusal, *, lang: str, request_id: str | None) -> dict[str, Any]:
    """The members of the problem document."""
    title = type(refusal).title(lang)
    body: dict[str, Any] = {
        "type": TYPE + refusal.code.replace("_", "-"),
        "title": title,
        "status": refusal.status,
        "detail": choose(refusal.detail, lang) if refusal.detail else title,
        "code": refusal.code,
        "request_id": request_id,
    }
    if refusal.retry_after is not None:
        body["retry_after"] = math.ceil(refusal.retry_after)
    for name, value in refusal.extra.items():
        if value is not None:
            body[name] = clock.local(value).isoformat() if isinstance(value, datetime) else value
    return body


def render(
    refusal: errors.Refusal, *, accept_language: str | None, request_id: str | None
) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
    """Status, headers and body of the answer."""
    lang = language(accept_language)
    body = wire.dumps(document(refusal, lang=lang, request_id=request_id))
    headers = [
        (b"content-type", b"application/problem+json"),
        (b"content-length", str(len(body)).encode()),
        (b"content-language", lang.encode()),
    ]
    if refusal.retry_after is not None:
        headers.append((b"retry-after", str(math.ceil(refusal.retry_after)).encode()))
    if refusal.status == 401:
        headers.append((b"www-authenticate", b"Bearer"))
    return refusal.status, headers, body


def _code(one: Any) -> str:
    """What is wrong, as a code. A rule of ours is a sentence in small words, and `value_error` would hide it.

    What a caller sent is no such sentence where anybody else quotes it: quotes, digits and capitals are not told on.
    """
    rule = one["msg"].removeprefix("Value error, ") if one["type"] == "value_error" else ""
    return re.sub("[ ,]+", "_", rule) if _RULE.fullmatch(rule) else str(one["type"])


def of_validation(found: Sequence[Any]) -> errors.Refusal:
    """Pydantic's findings as a problem that says where, and never what was sent."""
    places = []
    unreadable = False
    for one in found[:50]:
        loc = list(one["loc"])
        where = loc.pop(0) if loc and loc[0] in ("body", "query", "path", "header", "cookie") else "body"
        unreadable |= one["type"] in ("json_invalid", "json_type") and where == "body"
        # A step may be a name the caller made up; only what looks like one is told back.
        pointer = "".join(f"/{step}" if isinstance(step, int) or _NAME.fullmatch(step) else "/?" for step in loc)
        places.append({"in": where, "pointer": pointer or "/", "code": _code(one)})
    if unreadable:
        return errors.Unreadable(errors=places)
    return errors.Unprocessable(errors=places)
