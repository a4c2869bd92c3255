"""The file that holds a deployment's keys: made once, read at start, replaced whole when a key is turned.

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
import json
import os
import secrets
import stat
import time
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from shared.crypto.keyring import INDEX_HASHES, KEY_BYTES, Keyring, SigningKey, b64

_FILE_FORMAT = 1
_FILE_BYTES = 64 * 1024


class KeysRefused(Exception):
    """The keys of this deployment cannot be used."""


class KeysMissing(KeysRefused):
    """There is no key file."""


class KeysUnreadable(KeysRefused):
    """The key file cannot be read."""


class KeysExposed(KeysRefused):
    """The key file can be read by others."""


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
    if len(key) != KEY_BYTES:
        raise ValueError
    return key


def _write(kept: KeyFile) -> bytes:
    told = {
        "format": _FILE_FORMAT,
        "deployment_id": kept.deployment_id,
        "signing": [b64(key.private.private_bytes_raw()) for key in kept.signing],
        "assertion": [b64(key) for key in kept.assertion] if len(kept.assertion) > 1 else b64(kept.assertion[0]),
        "field": {str(version): b64(key) for version, key in kept.field.items()},
        "index": b64(kept.index),
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
