"""Which notices somebody asked for, when to try again, where nobody may be sent, and what is kept of an answer. Pure."""

from __future__ import annotations

import re
import uuid
from collections.abc import Sequence
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final, NamedTuple
from urllib.parse import urlsplit

TYPES: Final = r"^(\*|[a-z][a-z_-]{0,39}(\.[a-z][a-z_-]{0,39}){0,2}(\.\*)?)$"
"""How a type, or a family of types (`booking.*`), is written."""
OPERATION: Final = r"^(\*|[a-z][a-z-]{0,39}(\.[a-z][a-z_-]{0,39}){0,3}(\.\*)?)$"

RETRIES: Final = (5, 60, 300, 1800, 7200, 18000, 36000, 50400, 72000, 86400)
"""Seconds after each failed attempt: three days in all."""
LONGEST: Final = 86400
"""Seconds that a Retry-After is honoured for at most."""
THROTTLING: Final = frozenset({429, 502, 503, 504})
"""Answers after which the whole endpoint is left in peace, not only this notice."""
GIVEN_UP: Final = timedelta(days=5)
"""After so long of nothing but failures an endpoint is disabled."""
KEPT: Final = 2000
"""Characters of an answer."""


class Filter(NamedTuple):
    """Notices below a region, of types that match a pattern, of one place where it is named."""

    prefix: str
    pattern: str
    place_id: uuid.UUID | None = None


def pattern(types: Sequence[str]) -> str:
    """A regular expression, PostgreSQL's and Python's, to be found in what a list of types and families covers.

    Of everything it is the empty one, for which nothing has to be compared.
    """
    if "*" in types:
        return ""
    parts = [
        re.escape(one[:-1]).replace("\\-", "-") + ".*" if one.endswith(".*") else re.escape(one).replace("\\-", "-")
        for one in types
    ]
    return f"^({'|'.join(parts)})$"


def covers(types: Sequence[str], wanted: str) -> bool:
    """Whether a type or family is within what these allow."""
    return any(one in ("*", wanted) or (one.endswith(".*") and wanted.startswith(one[:-1])) for one in types)


def pause(attempts: int, jitter: float) -> float | None:
    """Seconds after that many attempts have failed, with a jitter of ±20 % (0 to 1); None when it is given up."""
    if attempts > len(RETRIES):
        return None
    return RETRIES[attempts - 1] * (0.8 + 0.4 * jitter)


def retry_after(told: str | None, now: datetime) -> float | None:
    """The seconds a Retry-After asks for, at most a day; None when it says nothing that can be read."""
    if told is None:
        return None
    told = told.strip()
    if re.fullmatch(r"[0-9]+", told):
        seconds = float(told)
    else:
        try:
            moment = parsedate_to_datetime(told)
            seconds = (moment - now).total_seconds() if moment.tzinfo is not None else 0.0
        except (ValueError, TypeError, IndexError, OverflowError):
            return None
    return min(max(seconds, 0.0), float(LONGEST))


# Addresses

_NOWHERE: Final = tuple(
    ip_network(one)
    for one in (
        "0.0.0.0/8",
        "10.0.0.0/8",
        "100.64.0.0/10",
        "127.0.0.0/8",
        "169.254.0.0/16",
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.0.2.0/24",
        "192.88.99.0/24",
        "192.168.0.0/16",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/4",
        "240.0.0.0/4",
        "::/96",  # with :: and ::1
        "64:ff9b:1::/48",
        "100::/64",
        "2001::/23",
        "2001:db8::/32",
        "3fff::/20",
        "5f00::/16",
        "fc00::/7",
        "fe80::/10",
        "fec0::/10",
        "ff00::/8",
    )
)
"""Private, this host, link-local, shared, documentation, benchmarks, multicast, reserved."""
_MAPPED: Final = ip_network("::ffff:0:0/96")
_TRANSLATED: Final = ip_network("::ffff:0:0:0/96")
_NAT64: Final = ip_network("64:ff9b::/96")
_SIX_TO_FOUR: Final = ip_network("2002::/16")

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network


def unwrapped(address: Address) -> Address:
    """The IPv4 address inside an IPv6 one: mapped, translated, NAT64 or 6to4."""
    if isinstance(address, IPv4Address):
        return address
    if address in _MAPPED or address in _NAT64 or address in _TRANSLATED:
        return IPv4Address(int(address) & 0xFFFFFFFF)
    if address in _SIX_TO_FOUR:
        return IPv4Address(int(address) >> 80 & 0xFFFFFFFF)
    return address


def reachable(address: Address, allowed: Sequence[Network], *, is_plain: bool = False) -> bool:
    """Whether a notice may be sent there: anywhere public with TLS, and to the networks that the operator named.

    What wraps an IPv4 address is judged as that address; and NAT64 and 6to4 lead through somebody else's gateway: never.
    """
    inner = unwrapped(address)
    if any(inner.version == one.version and inner in one for one in allowed):
        return True
    if is_plain:
        return False
    if isinstance(address, IPv6Address) and (inner is not address or address not in _GLOBAL):
        return False
    return not any(inner.version == one.version and inner in one for one in _NOWHERE)


_GLOBAL: Final = ip_network("2000::/3")
"""All that is public in IPv6 today."""


def is_url(url: str) -> bool:
    """Whether this is an address we would ever call: http(s), a host, nothing of a user, no fragment, nothing odd."""
    if not re.fullmatch(r"[!-~]{8,500}", url) or any(one in url for one in '\\"<>^`{|}'):
        return False
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return False
    return (
        parts.scheme in ("https", "http")
        and bool(parts.hostname)
        and len(parts.hostname or "") <= 253
        and parts.username is None
        and parts.password is None
        and "@" not in parts.netloc
        and "#" not in url
        and port != 0
    )


def spelled(host: str) -> list[Address]:
    """The addresses that a host may be read as; none for a name.

    Libraries also take fewer parts, hexadecimal and octal ones (`10.1`, `0x7f.1`); some read `010` as eight, some as ten.
    """
    try:
        return [ip_address(host)]
    except ValueError:
        return [one for base in (8, 10) if (one := _in_parts(host.split("."), base)) is not None]


def _in_parts(parts: Sequence[str], base: int) -> IPv4Address | None:
    """One to four numbers, the last of which fills what is left; `base` is that of a number with a nought before it."""
    if len(parts) > 4 or not all(re.fullmatch(r"0x[0-9a-f]+|[0-9]+", one) for one in parts):
        return None
    try:
        *heads, last = (int(one, 16 if "x" in one else base if one.startswith("0") else 10) for one in parts)
    except ValueError:
        return None
    if any(one > 255 for one in heads) or last >= 256 ** (4 - len(heads)):
        return None
    return IPv4Address(sum(one << 8 * (3 - n) for n, one in enumerate(heads)) + last)


def is_never_called(url: str, allowed: Sequence[Network]) -> bool:
    """Whether a URL's host is an address, however it is spelled, to which nothing is sent.

    A name is looked up, and judged, at each call.
    """
    parts = urlsplit(url)
    is_plain = parts.scheme == "http"
    return not all(reachable(one, allowed, is_plain=is_plain) for one in spelled(parts.hostname or ""))


# What came back

_PHONE: Final = re.compile(r"(?<!\d)1[3-9]\d{9}(?!\d)")
_DOCUMENT: Final = re.compile(r"(?<!\d)\d{17}[\dXx](?!\d)")


def kept(answer: bytes) -> str:
    """The beginning of an answer as it is kept: text without controls, numbers of people masked."""
    text = answer[: KEPT * 4].decode("utf-8", "replace")
    text = "".join(one if one >= " " or one in "\n\t" else " " for one in text if one != "\x7f")
    text = _DOCUMENT.sub("******", text)
    return _PHONE.sub("***", text)[:KEPT]


class Verdict(NamedTuple):
    """What a call's answer means."""

    state: str
    due_in: float | None
    throttled_for: float | None
    is_gone: bool


def verdict(
    *, status: int | None, told: str | None, attempts: int, now: datetime, jitter: float, is_echoed: bool = True
) -> Verdict:
    """2xx is delivered; 410 ends it all; the rest is tried again, later for who asks for it."""
    if status is not None and 200 <= status < 300 and is_echoed:
        return Verdict("delivered", None, None, is_gone=False)
    if status == 410:
        return Verdict("failed", None, None, is_gone=True)
    wait = pause(attempts, jitter)
    if wait is None:
        return Verdict("failed", None, None, is_gone=False)
    asked = retry_after(told, now)
    wait = wait if asked is None else max(wait, asked)
    throttled = status in THROTTLING or asked is not None
    return Verdict("due", wait, wait if throttled else None, is_gone=False)
