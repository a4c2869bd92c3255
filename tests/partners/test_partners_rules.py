"""Rules of partners: which addresses are never called, when to try again, what is kept."""

from __future__ import annotations

import asyncio
import re
import socket
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from ipaddress import ip_address, ip_network
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.partners import outward, rules
from tests.partners.sink import Sink

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    "address",
    [
        "0.0.0.0", "0.1.2.3", "10.0.0.1", "100.64.0.1", "100.127.255.255", "127.0.0.1", "127.255.0.1", "169.254.169.254",
        "172.16.0.1", "172.31.255.255", "192.0.0.8", "192.0.2.1", "192.88.99.1", "192.168.1.1", "198.18.0.1", "198.19.255.255",
        "198.51.100.7", "203.0.113.9", "224.0.0.1", "239.255.255.255", "240.0.0.1", "255.255.255.255",
        "::", "::1", "::127.0.0.1", "fe80::1", "febf::1", "fec0::1", "fc00::1", "fd12::1", "ff02::1", "2001:db8::1", "3fff::1",
        "100::1", "5f00::1", "2001::1", "2002:7f00:1::", "2002:0808:0808::", "64:ff9b::7f00:1", "64:ff9b::808:808",
        "64:ff9b:1::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:0:7f00:1", "4000::1", "fe80::1%eth0",
    ],
)  # fmt: skip
def test_what_is_not_public_is_never_called(address: str) -> None:
    assert not rules.reachable(ip_address(address), ())


@pytest.mark.parametrize(
    "address", ["8.8.8.8", "1.1.1.1", "100.63.255.255", "100.128.0.0", "172.15.0.1", "172.32.0.1", "192.0.1.1", "198.20.0.1",
                "223.255.255.255", "2606:4700::1111", "2400:3200::1", "2001:4860:4860::8888", "2003::1"],
)  # fmt: skip
def test_what_is_public_is_called(address: str) -> None:
    assert rules.reachable(ip_address(address), ())


def test_a_named_network_is_called_and_nothing_beside_it() -> None:
    named = (ip_network("192.168.7.0/24"), ip_network("fd00:7::/64"))
    assert rules.reachable(ip_address("192.168.7.9"), named)
    assert rules.reachable(ip_address("::ffff:192.168.7.9"), named)
    assert rules.reachable(ip_address("fd00:7::9"), named)
    assert not rules.reachable(ip_address("192.168.8.9"), named)
    assert not rules.reachable(ip_address("fd00:8::9"), named)
    assert not rules.reachable(ip_address("127.0.0.1"), named)


@given(st.ip_addresses(v=4))
def test_no_wrapping_makes_an_address_reachable(address: Any) -> None:
    inner = int(address)
    for wrapped in (
        0xFFFF << 32 | inner,
        0xFFFF0000 << 32 | inner,
        0x64FF9B << 96 | inner,
        0x2002 << 112 | inner << 80,
        inner,
    ):
        assert not rules.reachable(ip_address(wrapped.to_bytes(16, "big")), ())


@given(st.integers(1, 10), st.floats(0, 1))
def test_pauses_are_as_published_with_a_fifth_of_jitter(attempts: int, jitter: float) -> None:
    found = rules.pause(attempts, jitter)
    assert found is not None
    assert 0.8 * rules.RETRIES[attempts - 1] - 1e-6 <= found <= 1.2 * rules.RETRIES[attempts - 1] + 1e-6
    assert rules.pause(11, jitter) is None


def test_it_is_tried_for_three_days_at_least() -> None:
    assert sum(rules.RETRIES) * 1.0 >= timedelta(hours=72).total_seconds()


@pytest.mark.parametrize(
    ("told", "seconds"),
    [("120", 120), ("0", 0), ("99999999", 86400), ("9" * 11, 86400), ("9" * 5000, 86400), (format_datetime(NOW + timedelta(minutes=5), usegmt=True), 300),
     (format_datetime(NOW - timedelta(minutes=5), usegmt=True), 0), (format_datetime(NOW + timedelta(days=9), usegmt=True), 86400),
     ("soon", None), ("-1", None), ("", None), ("1e9", None), (None, None), ("９", None)],
)  # fmt: skip
def test_retry_after_is_read_as_seconds_or_as_a_date(told: str | None, seconds: float | None) -> None:
    assert rules.retry_after(told, NOW) == seconds


@given(st.text(max_size=60))
def test_any_retry_after_is_survived(told: str) -> None:
    found = rules.retry_after(told, NOW)
    assert found is None or 0 <= found <= 86400


@given(st.binary(max_size=9000))
def test_any_answer_can_be_kept(answer: bytes) -> None:
    text = rules.kept(answer)
    assert len(text) <= rules.KEPT
    assert "\x00" not in text
    text.encode()


def test_numbers_of_people_are_masked() -> None:
    kept = rules.kept(b"call 13812345678, id 33041119800517123X, order 1234567890123456789")
    assert kept == "call ***, id ******, order 1234567890123456789"


@given(st.lists(st.from_regex(rules.TYPES, fullmatch=True), min_size=1, max_size=5), st.sampled_from(
    ["booking.reservation.made", "booking.x.made", "elder-meals.order.made", "bookings.x.made"]))  # fmt: skip
def test_a_pattern_matches_what_its_types_cover(types: list[str], name: str) -> None:
    assert bool(re.search(rules.pattern(types), name)) == rules.covers(types, name)


def test_a_family_is_not_its_neighbour() -> None:
    assert rules.covers(["booking.*"], "booking.reservation.made")
    assert not rules.covers(["booking.*"], "bookings.reservation.made")
    assert not re.search(rules.pattern(["booking.*"]), "bookings.reservation.made")
    assert rules.covers(["booking.*"], "booking.reservation.*")
    assert not rules.covers(["booking.reservation.*"], "booking.*")


@pytest.mark.parametrize(
    "host", ["10.1", "10.0.1", "3232235777", "2130706433", "0x7f000001", "0X7F.1", "010.0.0.1", "0177.1", "10.0.0.010", "0", "[::1]"],
)  # fmt: skip
def test_an_address_of_our_own_is_known_however_it_is_spelled(host: str) -> None:
    assert rules.is_never_called(f"https://{host}/", ())


@pytest.mark.parametrize(
    "host", ["8.8.8.8", "8.8", "134744072", "10.example", "123.com", "10.0.0.1.example", "1.2.3.4.5", "256.1", "0x.com", "1e3.org",
             "4294967296", "10-1", "face.0xg"],
)  # fmt: skip
def test_names_that_look_like_numbers_and_public_addresses_are_taken(host: str) -> None:
    assert not rules.is_never_called(f"https://{host}/", ())


_PART = r"(0x[0-9a-f]{1,8}|[0-9]{1,10})"


@given(st.from_regex(rf"{_PART}(\.{_PART}){{0,3}}", fullmatch=True))
def test_addresses_are_read_as_the_name_server_s_library_reads_them(host: str) -> None:
    try:
        wanted = ip_address(socket.inet_aton(host))
    except OSError:
        return
    assert wanted in rules.spelled(host)


# The door


def answers(monkeypatch: pytest.MonkeyPatch, *turns: list[str]) -> list[str]:
    """A name server that says something else each time; who asked."""
    asked: list[str] = []

    def getaddrinfo(host: str, port: int, **_: Any) -> list[Any]:
        asked.append(host)
        found = turns[min(len(asked), len(turns)) - 1]
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (one, port)) for one in found]

    monkeypatch.setattr(outward.socket, "getaddrinfo", getaddrinfo)
    return asked


async def called(url: str, *networks: str) -> outward.Came:
    async with outward.Door([ip_network(one) for one in networks], seconds=3) as door:
        return await door.post(url, [("content-type", "application/json")], b"{}")


def test_a_name_is_asked_for_once_and_its_checked_address_is_called(
    monkeypatch: pytest.MonkeyPatch, sink: Sink
) -> None:
    asked = answers(monkeypatch, ["127.0.0.1"], ["169.254.169.254"])
    came = asyncio.run(called(f"http://box.example:{sink.port}/in", "127.0.0.0/8"))
    assert (came.status, asked) == (200, ["box.example"])
    assert sink.heard[0].headers["host"] == f"box.example:{sink.port}"


@pytest.mark.parametrize("found", [["8.8.8.8", "127.0.0.1"], ["10.0.0.1"], ["169.254.169.254"], ["100.100.100.200"]])
def test_a_name_with_one_address_of_our_own_is_not_called_at_all(
    monkeypatch: pytest.MonkeyPatch, sink: Sink, found: list[str]
) -> None:
    answers(monkeypatch, found)
    assert asyncio.run(called(f"https://evil.example:{sink.port}/")).error == "address_refused"
    assert sink.heard == []


def test_without_tls_only_named_networks_are_called(monkeypatch: pytest.MonkeyPatch) -> None:
    answers(monkeypatch, ["8.8.8.8"])
    assert asyncio.run(called("http://public.example/", "127.0.0.0/8")).error == "address_refused"


def test_a_name_that_is_nowhere_and_a_server_that_speaks_no_tls(monkeypatch: pytest.MonkeyPatch) -> None:
    async def plain() -> str | None:
        async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(b"220 no TLS here\r\n")
            writer.close()

        async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            return (await called(f"https://127.0.0.1:{port}/", "127.0.0.0/8")).error

    assert asyncio.run(plain()) == "tls"

    def nowhere(*_: Any, **__: Any) -> Any:
        raise socket.gaierror

    monkeypatch.setattr(outward.socket, "getaddrinfo", nowhere)
    assert asyncio.run(called("https://nowhere.example/")).error == "no_such_host"


def test_a_slow_name_server_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    import time  # noqa: PLC0415

    monkeypatch.setattr(outward.socket, "getaddrinfo", lambda *_, **__: time.sleep(4))
    assert asyncio.run(called("https://slow.example/")).error == "timeout"
