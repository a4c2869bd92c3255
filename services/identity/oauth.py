"""What a client asks when it sends somebody to log in: authorization code with PKCE (RFC 6749, RFC 7636), nothing else.

Wrong
├── Stray       the client or its address is not one of ours: said on the page, and nobody is sent anywhere
└── Declined    the rest of the request is wrong: the client is told, at its own address
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Final
from urllib.parse import parse_qsl, urlencode, urlsplit

from shared.settings import Settings

CONSOLE: Final = "linli-console"
"""The docs console; public, as all our clients are: a secret in a page or an app is none."""
CONSOLE_REDIRECT: Final = "/docs/oauth2-redirect"
LIFE: Final = timedelta(seconds=60)
_CODE_BYTES: Final = 32
_CHALLENGE: Final = re.compile(r"[A-Za-z0-9_-]{43}")
_VERIFIER: Final = re.compile(r"[A-Za-z0-9._~-]{43,128}")
_MOST_STATE: Final = 1000
_MOST_FIELDS: Final = 30
_LOOPBACK: Final = frozenset({"127.0.0.1", "localhost", "::1"})


class Wrong(Exception):
    """The request cannot be taken; `error` is its word in RFC 6749, `why` the sentence."""

    def __init__(self, error: str, why: str) -> None:
        super().__init__(why)
        self.error = error
        self.why = why


class Stray(Wrong):
    """Nobody may be sent back."""


class Declined(Wrong):
    """The client is told at `location`."""

    def __init__(self, error: str, why: str, location: str) -> None:
        super().__init__(error, why)
        self.location = location


@dataclass(frozen=True, slots=True)
class Ask:
    """A client's request that somebody log in; `state` and `challenge` are its own to compare."""

    client: str
    redirect_uri: str
    state: str
    challenge: str

    def fields(self) -> dict[str, str]:
        """The request again, as a form carries it on."""
        return {
            "response_type": "code",
            "client_id": self.client,
            "redirect_uri": self.redirect_uri,
            "state": self.state,
            "code_challenge": self.challenge,
            "code_challenge_method": "S256",
        }


def form(encoded: bytes) -> dict[str, str]:
    """The fields of a form or a query. Refuses what is not one, and a field that comes twice (RFC 6749 §3.1)."""
    try:
        pairs = parse_qsl(encoded.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=_MOST_FIELDS)
    except ValueError:
        raise Stray("invalid_request", "The request is not a form.") from None
    told = dict(pairs)
    if len(told) != len(pairs):
        raise Stray("invalid_request", "A parameter comes twice.")
    if any("\x00" in value for value in told.values()):
        raise Stray("invalid_request", "The request is not a form.")
    return told


def is_ours(settings: Settings, client: str, redirect_uri: str) -> bool:
    """Whether a client may have people sent there: to what the settings list, letter by letter, and to the console."""
    if redirect_uri in settings.oauth_clients.get(client, ()):
        return True
    if client != CONSOLE:
        return False
    if redirect_uri == settings.issuer + CONSOLE_REDIRECT:
        return True
    # A demo is opened under whatever name its reader's own machine has; RFC 8252 §7.3 leaves the port open, too.
    try:
        told = urlsplit(redirect_uri)
        host = told.hostname
    except ValueError:
        return False
    own = f"http://{told.netloc}{CONSOLE_REDIRECT}"
    return settings.demo and host in _LOOPBACK and "@" not in told.netloc and redirect_uri == own


def read(told: Mapping[str, str], settings: Settings) -> Ask:
    """The request in a query or in the page's form."""
    client, redirect_uri, state = told.get("client_id", ""), told.get("redirect_uri", ""), told.get("state", "")
    if client != CONSOLE and client not in settings.oauth_clients:
        raise Stray("invalid_client", "This client is not known.")
    if not is_ours(settings, client, redirect_uri):
        raise Stray("invalid_request", "This client may not send you there.")

    def declined(error: str, why: str) -> Declined:
        known = state if len(state) <= _MOST_STATE else ""
        return Declined(
            error, why, back(redirect_uri, settings, error=error, error_description=why, **_if(state=known))
        )

    if told.get("response_type") != "code":
        raise declined("unsupported_response_type", "Only the authorization code is given here.")
    if told.get("code_challenge_method") != "S256" or not _CHALLENGE.fullmatch(told.get("code_challenge", "")):
        raise declined("invalid_request", "A code_challenge by S256 is needed.")
    if not state or len(state) > _MOST_STATE:
        raise declined("invalid_request", "A state is needed.")
    if told.get("scope"):
        raise declined("invalid_scope", "There are no scopes here: roles say what one may do.")
    return Ask(client, redirect_uri, state, told["code_challenge"])


def _if(**told: str) -> dict[str, str]:
    return {name: value for name, value in told.items() if value}


def back(redirect_uri: str, settings: Settings, **told: str) -> str:
    """The way back to the client, with what it is told; and who tells it (RFC 9207)."""
    joint = "&" if urlsplit(redirect_uri).query else "?"
    return f"{redirect_uri}{joint}{urlencode({**told, 'iss': settings.issuer})}"


def origin(redirect_uri: str) -> str:
    """Where a form's answer may lead, as a content policy names it."""
    told = urlsplit(redirect_uri)
    return f"{told.scheme}://{told.netloc}" if told.scheme in ("http", "https") else f"{told.scheme}:"


def make() -> str:
    """A new code: 256 bits."""
    return secrets.token_urlsafe(_CODE_BYTES)


def kept(code: str) -> bytes:
    """What is kept of a code."""
    return hashlib.sha256(code.encode(errors="replace")).digest()


def is_proof(challenge: str, verifier: str) -> bool:
    """Whether who redeems the code is who asked for it (RFC 7636 §4.6)."""
    if not _VERIFIER.fullmatch(verifier):
        return False
    made = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=")
    return hmac.compare_digest(made, challenge.encode())
