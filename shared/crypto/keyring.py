"""The keys of one deployment as a process holds them, and the public key set."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import hmac
import secrets
import uuid
from collections.abc import Mapping
from functools import cached_property

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from shared.crypto.ciphers import FORMATS, SM4GCM

KEY_BYTES = 32
INDEX_HASHES = {"aes": "sha256", "sm4": "sm3"}
"""What a new deployment's blind indexes are made with, by its cipher."""


@dataclasses.dataclass(frozen=True, eq=False)
class SigningKey:
    """One Ed25519 key pair; `kid` is its RFC 7638 thumbprint, so a key and its name can never disagree."""

    private: Ed25519PrivateKey = dataclasses.field(repr=False)

    @cached_property
    def public(self) -> Ed25519PublicKey:
        """What verifies."""
        return self.private.public_key()

    @cached_property
    def x(self) -> str:
        """The public key as a JWK writes it (RFC 8037)."""
        return b64(self.public.public_bytes_raw())

    @cached_property
    def kid(self) -> str:
        """The key's name in token headers and in the key set."""
        canonical = f'{{"crv":"Ed25519","kty":"OKP","x":"{self.x}"}}'
        return b64(hashlib.sha256(canonical.encode()).digest())


@dataclasses.dataclass(eq=False, repr=False)
class Keyring:
    """Every secret of one deployment; `repr` shows none of them.

    The first of `signing` signs, all verify. `field[newest]` encrypts, all decrypt. `assertion` is for HMAC between gateway
    and services, and those of `assertions` are believed. `index` is for blind indexes. Symmetric keys are 32 bytes.
    """

    deployment_id: str
    signing: tuple[SigningKey, ...]
    assertion: bytes
    field: Mapping[int, bytes]
    index: bytes
    assertions: tuple[bytes, ...] = ()
    sealing: int | None = None
    """The version that encrypts; None is the highest."""
    cipher: str = "aes"
    index_hash: str = "sha256"
    # Derived things are kept because HKDF costs ten times the HMAC it prepares. They live on the keyring so that they
    # go when it goes; two threads deriving the same one at once get equal values.
    ciphers: dict[tuple[int, int], AESGCM | SM4GCM] = dataclasses.field(init=False, default_factory=dict)
    index_keys: dict[str, bytes] = dataclasses.field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        """Whoever names one assertion key believes that one."""
        if self.assertion not in self.assertions:
            self.assertions = (self.assertion, *self.assertions)

    @classmethod
    def fresh(cls, cipher: str = "aes") -> Keyring:
        """New random keys for a new deployment."""
        return cls(
            deployment_id=str(uuid.uuid4()),
            signing=(SigningKey(Ed25519PrivateKey.generate()),),
            assertion=secrets.token_bytes(KEY_BYTES),
            field={1: secrets.token_bytes(KEY_BYTES)},
            index=secrets.token_bytes(KEY_BYTES),
            cipher=cipher,
            index_hash=INDEX_HASHES[cipher],
        )

    @property
    def newest(self) -> int:
        """The version of the field key that encrypts."""
        return self.sealing if self.sealing is not None else max(self.field)

    @property
    def head(self) -> bytes:
        """How a value begins that is sealed now."""
        return bytes((FORMATS[self.cipher],)) + self.newest.to_bytes(2)

    def become(self, other: Keyring) -> None:
        """Take over the turned keys of the same deployment, while others go on using this one.

        What opens and verifies comes first and goes last, so that nobody meets a key between two lines that is not there.
        """
        self.field = {**self.field, **other.field}
        self.signing, self.assertions = other.signing, other.assertions
        self.assertion, self.sealing = other.assertion, other.newest
        self.field = other.field

    def fingerprint(self) -> str:
        """16 hexadecimal digits by which a database remembers the keys it was filled with; they reveal no key.

        It covers what stored rows rely on for ever, the deployment and its index key. Adding or retiring a signing or
        field key is a rotation, not another deployment, and leaves it as it is.
        """
        told = f"linli fingerprint|{self.deployment_id}" + (
            "" if self.index_hash == "sha256" else f"|{self.index_hash}"
        )
        return hmac.digest(self.index, told.encode(), "sha256").hex()[:16]

    def __repr__(self) -> str:
        """Names it, and shows nothing."""
        return f"Keyring({self.deployment_id}, fingerprint={self.fingerprint()})"


def jwks(keyring: Keyring) -> dict[str, list[dict[str, str]]]:
    """The public JSON Web Key Set (RFC 7517, RFC 8037) that verifies what this deployment signs."""
    return {
        "keys": [
            {"kty": "OKP", "crv": "Ed25519", "x": key.x, "kid": key.kid, "use": "sig", "alg": "EdDSA"}
            for key in keyring.signing
        ]
    }


def b64(raw: bytes) -> str:
    """Base64url without padding, as keys are written."""
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
