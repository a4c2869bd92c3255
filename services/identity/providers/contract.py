"""What every provider is: it exchanges what an app was given for whom that stands for."""

from __future__ import annotations

import json
import logging
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Final, Protocol

import httpx

from services.identity.rules import Document, Phone

# It writes every address it calls into the log, and theirs carry our secrets.
logging.getLogger("httpx").setLevel(logging.WARNING)

MOST_BYTES: Final = 64 * 1024
"""Of an answer; theirs have a hundredth of that."""
LEAST_RSA_BITS: Final = 2048
"""Of keys that sign, ours and theirs (NIST SP 800-131A): 112 bits of security, which is what Alipay gives out."""


@dataclass(frozen=True, slots=True)
class Told:
    """What a caller brings from elsewhere. None of it is ever kept or logged."""

    code: str = field(repr=False)
    phone_code: str | None = field(default=None, repr=False)
    verifier: str | None = field(default=None, repr=False)
    redirect_uri: str | None = None
    nonce: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Outside:
    """Whom a provider vouches for: what it calls them, and how much it knows of them.

    `phone` is one that they hold now: it opens the account that logs in with it. `contact` is only on record there, and the
    number may be somebody else's by now. `document` was checked by an authority, and `name` with it. `has_second`: the
    provider says that it was shown a second factor.
    """

    subject: str = field(repr=False)
    phone: Phone | None = field(default=None, repr=False)
    contact: Phone | None = field(default=None, repr=False)
    name: str | None = field(default=None, repr=False)
    document: Document | None = field(default=None, repr=False)
    once: bytes | None = field(default=None, repr=False)
    """The digest of something that the provider itself lets one use again, and we do not."""
    has_second: bool = False


class Provider(Protocol):
    """One way to log in that somebody else vouches for."""

    name: str
    facts: Mapping[str, str]
    """What an app must know to use it, none of it secret."""

    async def exchange(self, told: Told) -> Outside:
        """Whom this stands for. Raises errors.CodeWrong, Garbled, or what httpx raises."""
        ...


class Garbled(Exception):
    """The provider's answer is none of those it documents, or says that we are set up wrongly."""

    def __init__(self, why: str) -> None:
        """`why` is for the log: a word or a number of theirs, never what they said."""
        super().__init__(why)
        self.why = why


@cache
def _trust() -> ssl.SSLContext:
    return httpx.create_ssl_context()


async def ask(method: str, url: str, **more: Any) -> tuple[int, dict[str, Any], bytes]:
    """One question to a provider: status, the JSON object it answered, and that as it was written.

    Redirects are not followed, proxies are not asked, nothing is read without end.
    """
    headers = {"Accept": "application/json", "Accept-Encoding": "identity"} | more.pop("headers", {})
    body = b""
    async with (
        httpx.AsyncClient(verify=_trust(), trust_env=False, timeout=10) as http,
        http.stream(method, url, headers=headers, **more) as answer,
    ):
        async for part in answer.aiter_bytes():
            body += part
            if len(body) > MOST_BYTES:
                raise Garbled("too_long")
    if answer.status_code >= 500:
        raise Garbled(f"status_{answer.status_code}")
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        raise Garbled(f"no_json_{answer.status_code}") from None
    if not isinstance(found, dict):
        raise Garbled("no_object")
    return answer.status_code, found, body


def text(found: Mapping[str, Any], name: str, *, most: int = 256) -> str:
    """A text that must be there."""
    value = found.get(name)
    if not isinstance(value, str) or not value or len(value) > most:
        raise Garbled(f"no_{name}")
    return value
