"""Standard Webhooks 1.0.0: secrets, key pairs, and the headers that prove who sent a body."""

from __future__ import annotations

import base64
import secrets
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from standardwebhooks.webhooks import Webhook

_SECRET_BYTES: Final = 32


def new_secret() -> str:
    """A shared secret for `v1` signatures."""
    return "whsec_" + base64.b64encode(secrets.token_bytes(_SECRET_BYTES)).decode()


def kept(earlier: Sequence[tuple[str, datetime]]) -> str:
    """Earlier secrets, each with the moment until which it signs along, as they are kept together."""
    return "\n".join(f"{secret} {until.isoformat()}" for secret, until in earlier)


def earlier(told: str, until: datetime, now: datetime) -> list[tuple[str, datetime]]:
    """Of the secrets that were kept together those that still sign; `until` is for one that was kept without its moment."""
    lines = [line.partition(" ") for line in told.split("\n")]
    found = [(secret, datetime.fromisoformat(moment) if moment else until) for secret, _, moment in lines]
    return [one for one in found if one[1] > now]


def new_seed() -> str:
    """A private key for `v1a` signatures; it never leaves the house."""
    return "whsk_" + base64.b64encode(secrets.token_bytes(32)).decode()


def _private(seed: str) -> Ed25519PrivateKey:
    return Ed25519PrivateKey.from_private_bytes(base64.b64decode(seed.removeprefix("whsk_")))


def public_key(seed: str) -> str:
    """What verifies the `v1a` signatures of this private key."""
    return "whpk_" + base64.b64encode(_private(seed).public_key().public_bytes_raw()).decode()


def signatures(notice_id: str, at: datetime, body: str, shared: Sequence[str], seed: str | None = None) -> str:
    """The signature header: one `v1` for each shared secret in force, one `v1a` for the key pair."""
    at = at.astimezone(UTC)  # the package takes any clock's digits for UTC
    made = [Webhook(one).sign(notice_id, at, body) for one in shared]
    if seed is not None:
        signed = _private(seed).sign(f"{notice_id}.{int(at.timestamp())}.{body}".encode())
        made.append("v1a," + base64.b64encode(signed).decode())
    return " ".join(made)


def headers(notice_id: str, at: datetime, body: str, shared: Sequence[str], seed: str) -> list[tuple[str, str]]:
    """What a body is sent with."""
    return [
        ("content-type", "application/json"),
        ("user-agent", "Linli"),
        ("webhook-id", notice_id),
        ("webhook-timestamp", str(int(at.timestamp()))),
        ("webhook-signature", signatures(notice_id, at, body, shared, seed)),
    ]
