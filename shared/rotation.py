"""Turning keys: a new one is known to every process before anybody uses it, and an old one goes when nothing needs it.

The key file is the only place where this happens. Every process looks at it once a second; a new key waits a while
(`AHEAD_SECONDS`) before it signs or seals, so all of them have it by then and no token or row is ever unreadable to
somebody. The index key is never turned: every stored blind index would have to be made anew from values that are sealed.
"""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import os
import secrets
import threading
import time
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Final

import structlog
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from shared import crypto
from shared.crypto import KeyFile, Keyring, KeysRefused, SigningKey

log = structlog.get_logger(__name__)

KINDS: Final = ("signing", "field", "assertion")
AHEAD_SECONDS: Final = 10.0
"""How long a new key is known before it is used; processes on other machines need as long as the file takes to get there."""
SETTLED_SECONDS: Final = 60.0
"""How long a new key is in use before the one before may go: nothing made with that is then still on its way."""
LOOK_SECONDS: Final = 1.0


class NotYet(KeysRefused):
    """This key cannot be turned or retired now."""


@contextlib.contextmanager
def _turning(path: Path) -> Iterator[KeyFile]:
    """The key file, which nobody else turns meanwhile."""
    descriptor = os.open(path.parent, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        found = crypto.read(path)
        if found is None:
            raise crypto.KeysMissing(f"There is no key file at {path}.")
        yield found
    finally:
        os.close(descriptor)


def rotate(path: Path, kind: str, *, ahead: float = AHEAD_SECONDS) -> KeyFile:
    """Add a key that is used from `ahead` seconds on; those before it go on opening and verifying."""
    with _turning(path) as kept:
        now = time.time()
        if kept.is_coming(kind, now):
            raise NotYet(f"The newest {kind} key is not used yet; wait until it is before another one is made.")
        since = {**kept.since, kind: now + ahead}
        if kind == "signing":
            signing = (SigningKey(Ed25519PrivateKey.generate()), *kept.signing)
            turned = dataclasses.replace(kept, signing=signing, since=since)
        elif kind == "assertion":
            turned = dataclasses.replace(kept, assertion=(secrets.token_bytes(32), *kept.assertion), since=since)
        else:
            field = {**kept.field, max(kept.field) + 1: secrets.token_bytes(32)}
            turned = dataclasses.replace(kept, field=field, since=since)
        crypto.replace(path, turned)
        return turned


def retire(path: Path, kind: str, *, needed: Collection[int] = (), signed_until: float = 0.0) -> int:
    """Forget the keys of a kind that were turned out and that nothing needs any more; how many.

    `needed` are the versions of field keys that rows are sealed under; `signed_until` is when the last thing ends that an old
    signing key has signed.
    """
    with _turning(path) as kept:
        now = time.time()
        since = kept.since.get(kind)
        if since is None:
            return 0
        if kept.is_coming(kind, now):
            raise NotYet(f"The newest {kind} key is not used yet; the one before is still needed.")
        if kind != "signing" and now < since + SETTLED_SECONDS:
            raise NotYet(f"The old {kind} key was in use a moment ago; retire it in a minute.")
        if kind == "signing":
            if now < signed_until:
                raise NotYet("Tokens or passes that the old signing key has signed are still good; retire it later.")
            turned = dataclasses.replace(kept, signing=kept.signing[:1])
        elif kind == "assertion":
            turned = dataclasses.replace(kept, assertion=kept.assertion[:1])
        else:
            newest = max(kept.field)
            turned = dataclasses.replace(
                kept, field={n: key for n, key in kept.field.items() if n in {newest, *needed}}
            )
            if len(turned.field) == len(kept.field) > 1:
                raise NotYet("Rows are still sealed under every old field key; run `linli keys reseal` first.")
        gone = sum(len(getattr(one, kind)) * sign for one, sign in ((kept, 1), (turned, -1)))
        if len(getattr(turned, kind)) == 1:
            turned = dataclasses.replace(turned, since={name: at for name, at in kept.since.items() if name != kind})
        crypto.replace(path, turned)
        return gone


def look(path: Path, ring: Keyring) -> bool:
    """Take over what the key file holds now; whether anything is different. A file that cannot be used changes nothing."""
    try:
        kept = crypto.read(path)
    except KeysRefused as refused:
        log.error("keys_unreadable", why=type(refused).__name__)  # noqa: TRY400 - the sentence is enough
        return False
    if kept is None:
        log.error("keys_missing")
        return False
    now = kept.at(time.time(), ring.cipher)
    if now.fingerprint() != ring.fingerprint():
        log.error("keys_of_another_deployment")
        return False
    before = _shape(ring)
    if _shape(now) == before:
        return False
    ring.become(now)
    log.info("keys_turned", signing=ring.signing[0].kid, field=ring.newest)
    return True


def _shape(ring: Keyring) -> tuple[object, ...]:
    return [one.kid for one in ring.signing], ring.assertion, ring.assertions, ring.newest, sorted(ring.field)


@contextlib.contextmanager
def followed(path: Path, ring: Keyring) -> Iterator[None]:
    """Keep a process's keys as its key file has them, while the block runs."""
    stop = threading.Event()

    def follow() -> None:
        seen: object = None
        due = 0.0
        while not stop.wait(LOOK_SECONDS):
            with contextlib.suppress(OSError):
                state = path.stat()
                now = (state.st_mtime_ns, state.st_ino, state.st_size)
                if now != seen or time.time() >= due:
                    look(path, ring)
                    seen, due = now, _next(path)

    thread = threading.Thread(target=follow, name="keys", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def _next(path: Path) -> float:
    """When the next key begins to be used; in a while when none does."""
    try:
        kept = crypto.read(path)
    except KeysRefused:
        return time.time() + LOOK_SECONDS
    coming = [at for at in kept.since.values() if at > time.time()] if kept is not None else []
    return min(coming, default=time.time() + 3600)
