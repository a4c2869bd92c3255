"""The keys of one deployment, and what is done with them: sealing fields, blind indexes, the public key set.

A sealed field is `format (1 byte) | key version (2, big-endian) | nonce (12) | ciphertext and tag`. Its associated data is
`table|column|row|key version`, so a value copied into another row or column does not open there. The format byte tells the
cipher, AES-256-GCM or SM4-GCM: which of them seals is a setting, both open at any time. Blind indexes are HMAC-SHA256 or
HMAC-SM3, as the deployment was made: stored ones are found by nothing else, so that never changes.

Keys are turned in the file (`shared.rotation`); a running process takes them over with `Keyring.become`.

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
import time
import uuid
from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives import hmac as generic_hmac
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

_FILE_FORMAT = 1
_FILE_BYTES = 64 * 1024
_KEY_BYTES = 32

_AES_256_GCM = 1
_SM4_GCM = 2
FORMATS = {"aes": _AES_256_GCM, "sm4": _SM4_GCM}
INDEX_HASHES = {"aes": "sha256", "sm4": "sm3"}
"""What a new deployment's blind indexes are made with, by its cipher."""
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


class _SM4GCM:
    """SM4-GCM (GB/T 32907, RFC 8998) with the interface of `AESGCM`; its 128-bit key comes out of a field key by HKDF-SM3."""

    def __init__(self, key: bytes) -> None:
        self._key = HKDF(hashes.SM3(), 16, salt=None, info=b"linli sm4").derive(key)

    def encrypt(self, nonce: bytes, data: bytes, associated: bytes) -> bytes:
        """Ciphertext and tag."""
        made = Cipher(algorithms.SM4(self._key), modes.GCM(nonce)).encryptor()
        made.authenticate_additional_data(associated)
        return made.update(data) + made.finalize() + made.tag

    def decrypt(self, nonce: bytes, data: bytes, associated: bytes) -> bytes:
        """What was encrypted; raises InvalidTag."""
        opened = Cipher(algorithms.SM4(self._key), modes.GCM(nonce, data[-_TAG_BYTES:])).decryptor()
        opened.authenticate_additional_data(associated)
        return opened.update(data[:-_TAG_BYTES]) + opened.finalize()


_CIPHERS: Mapping[int, type[AESGCM | _SM4GCM]] = {_AES_256_GCM: AESGCM, _SM4_GCM: _SM4GCM}


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
    ciphers: dict[tuple[int, int], AESGCM | _SM4GCM] = dataclasses.field(init=False, default_factory=dict)
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
            assertion=secrets.token_bytes(_KEY_BYTES),
            field={1: secrets.token_bytes(_KEY_BYTES)},
            index=secrets.token_bytes(_KEY_BYTES),
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


@dataclasses.dataclass(frozen=True, repr=False)
class KeyFile:
    """What the key file holds: of each kind the newest first, and from when on that one is used instead of the next."""

    deployment_id: str
    signing: tuple[SigningKey, ...]
    assertion: tuple[bytes, ...]
    field: Mapping[int, bytes]
    index: bytes
    index_hash: str = "sha256"
    since: Mapping[str, float] = dataclasses.field(default_factory=dict)

    def is_coming(self, kind: str, now: float) -> bool:
        """Whether the newest key of a kind is known to everybody and not yet used."""
        return self.since.get(kind, 0.0) > now

    def at(self, now: float, cipher: str = "aes") -> Keyring:
        """The keyring of a moment."""
        signing, assertion = self.signing, self.assertion
        versions = sorted(self.field, reverse=True)
        return Keyring(
            deployment_id=self.deployment_id,
            signing=(signing[1], signing[0], *signing[2:]) if self.is_coming("signing", now) else signing,
            assertion=assertion[1] if self.is_coming("assertion", now) else assertion[0],
            assertions=assertion,
            field=self.field,
            sealing=versions[1] if self.is_coming("field", now) else versions[0],
            index=self.index,
            cipher=cipher,
            index_hash=self.index_hash,
        )


def load_or_create(path: str | os.PathLike[str], *, may_create: bool, cipher: str = "aes") -> Keyring:
    """The keys in the JSON file at `path`, made there first when it is missing and `may_create`.

    Processes that start at the same moment all end with the same keys. Raises KeysMissing, KeysUnreadable or
    KeysExposed, each with one sentence for the operator that quotes nothing of the file.
    """
    path = Path(path)
    found = read(path)
    if found is None and may_create:
        _create(path, Keyring.fresh(cipher))
        found = read(path)
    if found is None:
        raise KeysMissing(
            f"There is no key file at {path}: restore it from your backup, because without it the stored personal data "
            "stay unreadable; only a new deployment may make a new one."
        )
    return found.at(time.time(), cipher)


def read(path: Path) -> KeyFile | None:
    """What the key file holds; None when there is none. Raises KeysUnreadable or KeysExposed."""
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


def _parse(content: bytes) -> KeyFile:
    if len(content) > _FILE_BYTES:
        raise ValueError
    told: Any = json.loads(content)
    signing = tuple(SigningKey(Ed25519PrivateKey.from_private_bytes(_key(seed))) for seed in told["signing"])
    several = told["assertion"] if isinstance(told["assertion"], list) else [told["assertion"]]
    versions = {int(version): _key(key) for version, key in told["field"].items()}
    found = KeyFile(
        deployment_id=str(uuid.UUID(told["deployment_id"])),
        signing=signing,
        assertion=tuple(_key(one) for one in several),
        field=versions,
        index=_key(told["index"]),
        index_hash=told.get("index_hash", "sha256"),
        since={kind: float(moment) for kind, moment in told.get("since", {}).items()},
    )
    counts = {"signing": len(signing), "assertion": len(several), "field": len(versions)}
    if (
        told["format"] != _FILE_FORMAT
        or not all(counts.values())
        or not all(0 < version < 1 << 16 for version in versions)
        or found.index_hash not in INDEX_HASHES.values()
        or any(counts[kind] < 2 for kind in found.since)
    ):
        raise ValueError
    return found


def _key(text: str) -> bytes:
    key = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    if len(key) != _KEY_BYTES:
        raise ValueError
    return key


def _write(kept: KeyFile) -> bytes:
    told = {
        "format": _FILE_FORMAT,
        "deployment_id": kept.deployment_id,
        "signing": [_b64(key.private.private_bytes_raw()) for key in kept.signing],
        "assertion": [_b64(key) for key in kept.assertion] if len(kept.assertion) > 1 else _b64(kept.assertion[0]),
        "field": {str(version): _b64(key) for version, key in kept.field.items()},
        "index": _b64(kept.index),
    }
    if kept.index_hash != "sha256":
        told["index_hash"] = kept.index_hash
    if kept.since:
        told["since"] = dict(kept.since)
    return json.dumps(told, indent=2).encode() + b"\n"


def _create(path: Path, made: Keyring) -> None:
    kept = KeyFile(
        made.deployment_id, made.signing, made.assertions, made.field, made.index, index_hash=made.index_hash
    )

    def link(draft: Path) -> None:
        # A hard link, where one expects a rename: a rename would silently replace the keys that another process made a
        # moment ago and may have used already. Who comes second keeps the first one's.
        with contextlib.suppress(FileExistsError):
            os.link(draft, path)

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _written(path, kept, link)
    except OSError as problem:
        raise KeysMissing(
            f"There is no key file at {path} and none can be made ({problem.strerror}): "
            "make its folder writable for the user that runs Linli."
        ) from None


def replace(path: Path, kept: KeyFile) -> None:
    """Put a turned key file in the place of the one before, whole or not at all. The caller holds its lock."""
    try:
        state = path.stat()

        def rename(draft: Path) -> None:
            if (state.st_uid, state.st_gid) != (os.geteuid(), os.getegid()):
                os.chown(draft, state.st_uid, state.st_gid)
            draft.replace(path)

        _written(path, kept, rename)
    except OSError as problem:
        raise KeysUnreadable(
            f"The key file {path} cannot be written ({problem.strerror}): turn keys as the user that owns it."
        ) from None


def _written(path: Path, kept: KeyFile, into_place: Callable[[Path], None]) -> None:
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(_write(kept))
            file.flush()
            os.fsync(descriptor)
        into_place(draft)
        directory = os.open(path.parent, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)
    finally:
        with contextlib.suppress(OSError):
            draft.unlink()


def seal(keyring: Keyring, plaintext: str, *, table: str, column: str, row: str) -> bytes:
    """`plaintext` encrypted for exactly this field of this row; 31 bytes longer than its UTF-8.

    Nonces are random, so a field key may seal 2**32 values (NIST SP 800-38D §8.3); rotate before that.
    """
    head, nonce = keyring.head, os.urandom(_NONCE_BYTES)
    version = int.from_bytes(head[1:])
    sealed = _cipher(keyring, head[0], version).encrypt(nonce, plaintext.encode(), _place(table, column, row, version))
    return head + nonce + sealed


def unseal(keyring: Keyring, sealed: bytes, *, table: str, column: str, row: str) -> str:
    """What `seal` was given for this field of this row. Raises Tampered, or KeyGone when its key is not here."""
    if len(sealed) < _HEAD_BYTES + _NONCE_BYTES + _TAG_BYTES or sealed[0] not in _CIPHERS:
        raise Tampered(Tampered.__doc__)
    version = int.from_bytes(sealed[1:_HEAD_BYTES])
    if version not in keyring.field:
        raise KeyGone(KeyGone.__doc__)
    nonce, body = sealed[_HEAD_BYTES : _HEAD_BYTES + _NONCE_BYTES], sealed[_HEAD_BYTES + _NONCE_BYTES :]
    try:
        return _cipher(keyring, sealed[0], version).decrypt(nonce, body, _place(table, column, row, version)).decode()
    except (InvalidTag, UnicodeDecodeError):
        raise Tampered(Tampered.__doc__) from None


def blind_index(keyring: Keyring, value: str, *, column: str) -> bytes:
    """16 bytes by which an encrypted `column` can be searched for an equal value (HMAC, a key per column).

    Give it the normalised value. Name the column with its table, e.g. `persons.phone`, unless two are meant to be
    joined.
    """
    key = keyring.index_keys.get(column)
    if key is None:
        algorithm = hashes.SM3() if keyring.index_hash == "sm3" else hashes.SHA256()
        derive = HKDF(algorithm, _KEY_BYTES, salt=None, info=f"linli blind index|{column}".encode())
        key = keyring.index_keys[column] = derive.derive(keyring.index)
    if keyring.index_hash == "sm3":
        made = generic_hmac.HMAC(key, hashes.SM3())
        made.update(value.encode())
        return made.finalize()[:_INDEX_BYTES]
    return hmac.digest(key, value.encode(), "sha256")[:_INDEX_BYTES]


def jwks(keyring: Keyring) -> dict[str, list[dict[str, str]]]:
    """The public JSON Web Key Set (RFC 7517, RFC 8037) that verifies what this deployment signs."""
    return {
        "keys": [
            {"kty": "OKP", "crv": "Ed25519", "x": key.x, "kid": key.kid, "use": "sig", "alg": "EdDSA"}
            for key in keyring.signing
        ]
    }


def _cipher(keyring: Keyring, kind: int, version: int) -> AESGCM | _SM4GCM:
    cipher = keyring.ciphers.get((kind, version))
    if cipher is None:
        cipher = keyring.ciphers[kind, version] = _CIPHERS[kind](keyring.field[version])
    return cipher


def _place(table: str, column: str, row: str, version: int) -> bytes:
    # Only `row` may hold the separator: then the text still splits in one way.
    if "|" in table or "|" in column:
        raise ValueError("a table or column name holds '|'")
    return f"{table}|{column}|{row}|{version}".encode()


def _b64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
