"""The keys of one deployment, and what is done with them: sealing fields, blind indexes, the public key set.

A sealed field is `format (1 byte) | key version (2, big-endian) | nonce (12) | AES-256-GCM ciphertext and tag`. Its
associated data is `table|column|row|key version`, so a value copied into another row or column does not open there. The
format byte is where another cipher (SM4-GCM) will announce itself.

Refusals at start:

    KeysRefused
    ├── KeysMissing      there is no key file and none may, or can, be made
    ├── KeysUnreadable   it is there but cannot be read, or is not one of ours
    └── KeysExposed      somebody else on the machine may read it
"""

from __future__ import annotations

import base64
import contextlib
import dataclasses
import hashlib
import hmac
import json
import os
import secrets
import stat
import uuid
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

_FILE_FORMAT = 1
_FILE_BYTES = 64 * 1024
_KEY_BYTES = 32

_AES_256_GCM = 1
_HEAD_BYTES = 3
_NONCE_BYTES = 12
_TAG_BYTES = 16
_INDEX_BYTES = 16


class KeysRefused(Exception):
    """The keys of this deployment cannot be used."""


class KeysMissing(KeysRefused):
    """There is no key file."""


class KeysUnreadable(KeysRefused):
    """The key file cannot be read."""


class KeysExposed(KeysRefused):
    """The key file can be read by others."""


class Tampered(Exception):
    """The sealed value was changed, was moved from another row, or was not sealed with these keys."""


class KeyGone(Tampered):
    """The value is sealed with a key version that this key file does not hold."""


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
        return _b64(self.public.public_bytes_raw())

    @cached_property
    def kid(self) -> str:
        """The key's name in token headers and in the key set."""
        canonical = f'{{"crv":"Ed25519","kty":"OKP","x":"{self.x}"}}'
        return _b64(hashlib.sha256(canonical.encode()).digest())


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Keyring:
    """Every secret of one deployment; `repr` shows none of them.

    The first of `signing` signs, all verify. The highest version of `field` encrypts, all decrypt. `assertion` is for
    HMAC between gateway and services, `index` for blind indexes. Symmetric keys are 32 bytes.
    """

    deployment_id: str
    signing: tuple[SigningKey, ...]
    assertion: bytes
    field: Mapping[int, bytes]
    index: bytes
    # Derived things are kept because HKDF costs ten times the HMAC it prepares. They live on the keyring so that they
    # go when it goes; two threads deriving the same one at once get equal values.
    ciphers: dict[int, AESGCM] = dataclasses.field(init=False, default_factory=dict)
    index_keys: dict[str, bytes] = dataclasses.field(init=False, default_factory=dict)

    @classmethod
    def fresh(cls) -> Keyring:
        """New random keys for a new deployment."""
        return cls(
            deployment_id=str(uuid.uuid4()),
            signing=(SigningKey(Ed25519PrivateKey.generate()),),
            assertion=secrets.token_bytes(_KEY_BYTES),
            field={1: secrets.token_bytes(_KEY_BYTES)},
            index=secrets.token_bytes(_KEY_BYTES),
        )

    @cached_property
    def newest(self) -> int:
        """The version of the field key that encrypts."""
        return max(self.field)

    def fingerprint(self) -> str:
        """16 hexadecimal digits by which a database remembers the keys it was filled with; they reveal no key.

        It covers what stored rows rely on for ever, the deployment and its index key. Adding or retiring a signing or
        field key is a rotation, not another deployment, and leaves it as it is.
        """
        return hmac.digest(self.index, f"linli fingerprint|{self.deployment_id}".encode(), "sha256").hex()[:16]

    def __repr__(self) -> str:
        """Names it, and shows nothing."""
        return f"Keyring({self.deployment_id}, fingerprint={self.fingerprint()})"


def load_or_create(path: str | os.PathLike[str], *, may_create: bool) -> Keyring:
    """The keys in the JSON file at `path`, made there first when it is missing and `may_create`.

    Processes that start at the same moment all end with the same keys. Raises KeysMissing, KeysUnreadable or
    KeysExposed, each with one sentence for the operator that quotes nothing of the file.
    """
    path = Path(path)
    found = _read(path)
    if found is None and may_create:
        _create(path, Keyring.fresh())
        found = _read(path)
    if found is None:
        raise KeysMissing(
            f"There is no key file at {path}: restore it from your backup, because without it the stored personal data "
            "stay unreadable; only a new deployment may make a new one."
        )
    return found


def _read(path: Path) -> Keyring | None:
    try:
        # O_NONBLOCK, or a pipe lying at `path` would make the start wait for ever.
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except FileNotFoundError:
        return None
    except OSError as problem:
        raise KeysUnreadable(
            f"The key file {path} cannot be opened ({problem.strerror}): give it to the user that runs Linli."
        ) from None
    try:
        state = os.fstat(descriptor)
        if not stat.S_ISREG(state.st_mode):
            raise KeysUnreadable(f"{path} is not a file: point the settings at the key file.")
        if state.st_mode & 0o077:
            raise KeysExposed(
                f"The key file {path} can be read or changed by other users (mode {stat.S_IMODE(state.st_mode):04o}): "
                f"run `chmod 600 {path}`, and replace the keys if somebody may have read them."
            )
        content = os.read(descriptor, _FILE_BYTES + 1)
    finally:
        os.close(descriptor)
    try:
        return _parse(content)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        # `from None`: a JSON error carries the whole document, and a traceback may end in a log.
        raise KeysUnreadable(
            f"The key file {path} is damaged or made by a newer version of Linli: restore it from your backup."
        ) from None


def _parse(content: bytes) -> Keyring:
    if len(content) > _FILE_BYTES:
        raise ValueError
    told: Any = json.loads(content)
    signing = tuple(SigningKey(Ed25519PrivateKey.from_private_bytes(_key(seed))) for seed in told["signing"])
    versions = {int(version): _key(key) for version, key in told["field"].items()}
    if told["format"] != _FILE_FORMAT or not signing or not versions or not all(0 < v < 1 << 16 for v in versions):
        raise ValueError
    return Keyring(
        deployment_id=str(uuid.UUID(told["deployment_id"])),
        signing=signing,
        assertion=_key(told["assertion"]),
        field=versions,
        index=_key(told["index"]),
    )


def _key(text: str) -> bytes:
    key = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    if len(key) != _KEY_BYTES:
        raise ValueError
    return key


def _write(keyring: Keyring) -> bytes:
    told = {
        "format": _FILE_FORMAT,
        "deployment_id": keyring.deployment_id,
        "signing": [_b64(key.private.private_bytes_raw()) for key in keyring.signing],
        "assertion": _b64(keyring.assertion),
        "field": {str(version): _b64(key) for version, key in keyring.field.items()},
        "index": _b64(keyring.index),
    }
    return json.dumps(told, indent=2).encode() + b"\n"


def _create(path: Path, keyring: Keyring) -> None:
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(_write(keyring))
            file.flush()
            os.fsync(descriptor)
        # A hard link, where one expects a rename: a rename would silently replace the keys that another process made a
        # moment ago and may have used already. Who comes second keeps the first one's.
        with contextlib.suppress(FileExistsError):
            os.link(draft, path)
        directory = os.open(path.parent, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)
    except OSError as problem:
        raise KeysMissing(
            f"There is no key file at {path} and none can be made ({problem.strerror}): "
            "make its folder writable for the user that runs Linli."
        ) from None
    finally:
        with contextlib.suppress(OSError):
            draft.unlink()


def seal(keyring: Keyring, plaintext: str, *, table: str, column: str, row: str) -> bytes:
    """`plaintext` encrypted for exactly this field of this row; 31 bytes longer than its UTF-8.

    Nonces are random, so a field key may seal 2**32 values (NIST SP 800-38D §8.3); rotate before that.
    """
    version = keyring.newest
    nonce = os.urandom(_NONCE_BYTES)
    sealed = _cipher(keyring, version).encrypt(nonce, plaintext.encode(), _place(table, column, row, version))
    return bytes((_AES_256_GCM,)) + version.to_bytes(2) + nonce + sealed


def unseal(keyring: Keyring, sealed: bytes, *, table: str, column: str, row: str) -> str:
    """What `seal` was given for this field of this row. Raises Tampered, or KeyGone when its key is not here."""
    if len(sealed) < _HEAD_BYTES + _NONCE_BYTES + _TAG_BYTES or sealed[0] != _AES_256_GCM:
        raise Tampered(Tampered.__doc__)
    version = int.from_bytes(sealed[1:_HEAD_BYTES])
    if version not in keyring.field:
        raise KeyGone(KeyGone.__doc__)
    nonce, body = sealed[_HEAD_BYTES : _HEAD_BYTES + _NONCE_BYTES], sealed[_HEAD_BYTES + _NONCE_BYTES :]
    try:
        return _cipher(keyring, version).decrypt(nonce, body, _place(table, column, row, version)).decode()
    except (InvalidTag, UnicodeDecodeError):
        raise Tampered(Tampered.__doc__) from None


def blind_index(keyring: Keyring, value: str, *, column: str) -> bytes:
    """16 bytes by which an encrypted `column` can be searched for an equal value (HMAC-SHA256, a key per column).

    Give it the normalised value. Name the column with its table, e.g. `persons.phone`, unless two are meant to be
    joined.
    """
    key = keyring.index_keys.get(column)
    if key is None:
        derive = HKDF(hashes.SHA256(), _KEY_BYTES, salt=None, info=f"linli blind index|{column}".encode())
        key = keyring.index_keys[column] = derive.derive(keyring.index)
    return hmac.digest(key, value.encode(), "sha256")[:_INDEX_BYTES]


def jwks(keyring: Keyring) -> dict[str, list[dict[str, str]]]:
    """The public JSON Web Key Set (RFC 7517, RFC 8037) that verifies what this deployment signs."""
    return {
        "keys": [
            {"kty": "OKP", "crv": "Ed25519", "x": key.x, "kid": key.kid, "use": "sig", "alg": "EdDSA"}
            for key in keyring.signing
        ]
    }


def _cipher(keyring: Keyring, version: int) -> AESGCM:
    cipher = keyring.ciphers.get(version)
    if cipher is None:
        cipher = keyring.ciphers[version] = AESGCM(keyring.field[version])
    return cipher


def _place(table: str, column: str, row: str, version: int) -> bytes:
    # Only `row` may hold the separator: then the text still splits in one way.
    if "|" in table or "|" in column:
        raise ValueError("a table or column name holds '|'")
    return f"{table}|{column}|{row}|{version}".encode()


def _b64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
