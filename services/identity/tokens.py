"""Refresh tokens: 16 bytes name the session, 32 are random, 16 prove that the token is one of ours.

The proof tells an old token of this very session, whose reuse ends the session, from a made-up one, which must not:
otherwise whoever learns a session's id could log its owner out. Only the SHA-256 of a token is kept.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import secrets
import uuid
from dataclasses import dataclass, field
from typing import Final

from shared import crypto
from shared.crypto import Keyring

_ID_BYTES: Final = 16
_RANDOM_BYTES: Final = 32
_PROOF_BYTES: Final = 16


@dataclass(frozen=True, slots=True)
class Refresh:
    """A refresh token of ours: the session it belongs to, what is kept of it, and itself in its one spelling."""

    session_id: uuid.UUID
    digest: bytes = field(repr=False)
    text: str = field(repr=False)


def make(keys: Keyring, session_id: uuid.UUID) -> Refresh:
    """A new token of a session; 86 characters."""
    body = session_id.bytes + secrets.token_bytes(_RANDOM_BYTES)
    return _of(body + _proof(keys, body))


def read(keys: Keyring, text: str) -> Refresh | None:
    """The token in a text; None when it is not one of ours."""
    try:
        raw = base64.urlsafe_b64decode(text.encode("ascii") + b"=" * (-len(text) % 4))
    except (ValueError, binascii.Error):
        return None
    body, proof = raw[:-_PROOF_BYTES], raw[-_PROOF_BYTES:]
    if len(raw) != _ID_BYTES + _RANDOM_BYTES + _PROOF_BYTES or not hmac.compare_digest(proof, _proof(keys, body)):
        return None
    return _of(raw)


def _of(raw: bytes) -> Refresh:
    # Of the bytes and not of the text, which base64 lets one write in several ways.
    text = base64.urlsafe_b64encode(raw).decode().rstrip("=")
    return Refresh(uuid.UUID(bytes=raw[:_ID_BYTES]), hashlib.sha256(raw).digest(), text)


def _proof(keys: Keyring, body: bytes) -> bytes:
    return crypto.blind_index(keys, body.hex(), column="sessions.refresh")
