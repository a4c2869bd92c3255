"""Passwords: what one may be, how it is kept (Argon2id), and how long one waits after a wrong one.

A hash takes 46 MiB and some tens of milliseconds, on purpose. Two are worked out at once, in threads of their own, so
that a crowd with wrong passwords costs neither the memory nor the event loop.
"""

from __future__ import annotations

import asyncio
import itertools
import re
import unicodedata
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Final, TypeVar

import argon2

from shared import errors

T = TypeVar("T")
LEAST: Final = 8
GOOD: Final = 15
MOST: Final = 128
"""Characters."""
AT_ONCE: Final = 2
WAITING: Final = 20
"""So many may wait for a hash; more are told to come back."""
FREE: Final = 10
"""So many wrong tries in a row from one address cost nothing: a whole office sits behind it."""
FORGIVES_NAME: Final = timedelta(hours=1)
FORGIVES_ADDRESS: Final = timedelta(minutes=6)
"""One wrong try is forgotten every so often: an office mistypes all year."""
MEMORY: Final = timedelta(hours=24)
"""All are forgotten when none has been made for so long."""
LONGEST: Final = 900
_DEMO: Final = "linli-demo-"
_CONTEXT: Final = ("linli", "邻里", "社区", "shequ", "wangdian", "王店", "jiaxing", "嘉兴", "password", "mima", "密码")
_LIKELY: Final = re.compile(
    r"1[3-9]\d{9}"  # a mobile's number
    r"|(?:19|20)\d\d(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])"  # a birthday
    r"|\d{17}[\dx]"  # a document
)
_HASHER: Final = argon2.PasswordHasher(time_cost=1, memory_cost=46 * 1024, parallelism=1)
_NOBODYS: Final = "$argon2id$v=19$m=47104,t=1,p=1$bm9ib2R5J3Mgc2FsdC4uLg$eaGmbpXfCYAhnq6h9QFAwjEBSm5eG6DCzelwU16hZYA"
"""Is compared where nobody has the name: the answer then takes as long, and nothing equals it."""
_threads: Final = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="argon2")
_asked = 0


def pause(failures: int) -> timedelta:
    """How long after so many failures in a row the next try is heard: 1, 2, 4 … seconds, a quarter of an hour at most."""
    return timedelta(seconds=min(2 ** min(failures - 1, 20), LONGEST) if failures > 0 else 0)


def remembered(failures: int, since: timedelta, every: timedelta) -> tuple[int, timedelta]:
    """How many of these failures still count, when one is forgotten `every` so often; and the time not yet reckoned."""
    gone = since // every
    return (failures - gone, since - gone * every) if gone < failures else (0, timedelta(0))


def demo(persona: str) -> str:
    """The password of somebody with a part in the demo. Everybody may know it, so it opens nothing elsewhere."""
    return f"{_DEMO}{persona}"


def is_demo(password: str) -> bool:
    """Whether this is a password that only a demo takes."""
    return password.startswith(_DEMO)


def normal(password: str) -> str:
    """A password in its one spelling: é is typed in two ways."""
    return unicodedata.normalize("NFC", password)


@cache
def _common() -> frozenset[str]:
    lines = (Path(__file__).parent / "static" / "common-passwords.txt").read_text(encoding="utf-8").splitlines()
    return frozenset(line for line in lines if not line.startswith("#"))


def fault(password: str, *known: str) -> str | None:
    """Why this cannot be a password, in one word; None when it can. `known` are words that others know of its owner.

    Which kinds of characters it is made of does not matter, as long as it is long and nobody thinks of it first.
    """
    password = normal(password)
    if len(password) < LEAST:
        return "too_short"
    if len(password) > MOST:
        return "too_long"
    if any(unicodedata.category(one) in ("Cc", "Cs") for one in password):
        return "unreadable"
    plain = password.casefold()
    if plain in _common() or plain[::-1] in _common() or _LIKELY.fullmatch(plain) or _is_pattern(plain):
        return "too_common"
    rest = plain
    for word in (*_CONTEXT, *(one.casefold() for one in known if len(one) > 2)):
        rest = rest.replace(word, "")
    return "too_common" if len(rest) < LEAST - 2 else None


def _is_pattern(plain: str) -> bool:
    """Whether it is a run (abcdefgh, 98765432) or the same few characters over and over."""
    steps = {ord(after) - ord(before) for before, after in itertools.pairwise(plain)}
    if len(steps) == 1 and steps <= {-1, 0, 1}:
        return True
    unit = (plain + plain).find(plain, 1)  # how far it must be shifted to be itself again
    return unit <= LEAST // 2


async def keep(password: str) -> str:
    """What is kept of a password."""
    return await _in_turn(_HASHER.hash, normal(password))


async def verify(kept: str | None, password: str) -> bool:
    """Whether the password is the one that was kept; None is nobody's, and takes as long."""
    return await _in_turn(_matches, kept or _NOBODYS, normal(password))


def _matches(kept: str, password: str) -> bool:
    try:
        return _HASHER.verify(kept, password)
    except argon2.exceptions.VerifyMismatchError:
        return False


def require_room() -> None:
    """Refuse while too many wait for a hash."""
    if _asked >= AT_ONCE + WAITING:
        raise errors.Unavailable(retry_after=2)


async def _in_turn(work: Callable[..., T], *args: str) -> T:
    global _asked  # noqa: PLW0603 - one count for all event loops: they share the threads
    require_room()
    _asked += 1
    try:
        return await asyncio.get_running_loop().run_in_executor(_threads, work, *args)
    finally:
        _asked -= 1
