"""What partners get: deliveries to a sink on this machine, and notices that one reader polls."""

from __future__ import annotations

import json
import multiprocessing
import secrets
import socket
import time
import urllib.request
import uuid
from collections.abc import Callable
from typing import Final

import psycopg

from services.partners import signing
from services.partners.actions.endpoints import sealed
from services.partners.actions.keys import PREFIX, key_hash
from shared.crypto import Keyring

NOTICES: Final = 20_000
ANSWER: Final = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


def sink(listener: socket.socket) -> None:
    """Takes everything, in a process of its own."""
    import asyncio  # noqa: PLC0415 - after the fork

    class Takes(asyncio.Protocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            self.transport, self.left, self.head = transport, 0, b""

        def data_received(self, data: bytes) -> None:
            self.head += data
            while self.head:
                end = self.head.find(b"\r\n\r\n")
                if end < 0:
                    return
                at = self.head[:end].lower().find(b"content-length:")
                length = int(self.head[at + 15 : end].split(b"\r\n", 1)[0])
                if len(self.head) < end + 4 + length:
                    return
                self.head = self.head[end + 4 + length :]
                self.transport.write(ANSWER)  # type: ignore[attr-defined]

    async def serve() -> None:
        server = await asyncio.get_running_loop().create_server(Takes, sock=listener)
        await server.serve_forever()

    asyncio.run(serve())


def _announce(c: psycopg.Connection, type_: str) -> None:
    c.execute(
        "WITH head AS (UPDATE notice_head SET position = position + %(n)s RETURNING position)"
        " INSERT INTO notices (position, type, community, subject, holders, data)"
        " SELECT head.position - %(n)s + n, %(type)s, region.code, uuidv7(), '{}', '{\"persons\": 1}'"
        " FROM head, generate_series(1, %(n)s) n, (SELECT code FROM regions ORDER BY length(code) DESC LIMIT 1) region",
        {"n": NOTICES, "type": type_},
    )
    c.execute("ANALYZE notices")  # as the database does by itself, a minute later


def _account(c: psycopg.Connection) -> tuple[int, uuid.UUID, str]:
    """An account with a key: its number, the key's id, and the key."""
    key = PREFIX + secrets.token_urlsafe(32)
    row = c.execute("INSERT INTO accounts (name, kind) VALUES ('bench', 'partner') RETURNING no").fetchone()
    made = c.execute(
        "INSERT INTO partner_keys (account_no, name, key_hash, types, community, operations)"
        " SELECT %s, 'bench', %s, '{*}', code, '{*}' FROM regions ORDER BY length(code) LIMIT 1 RETURNING id",
        (row[0] if row else 0, key_hash(key)),
    ).fetchone()
    return (row[0] if row else 0), (made[0] if made else uuid.uuid4()), key


def deliveries(_base: str, url: str, keys: Keyring, seconds: int) -> float:
    """Deliveries a second of the town's own worker to four endpoints, while there is enough to deliver."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
    process = multiprocessing.get_context("fork").Process(target=sink, args=(listener,), daemon=True)
    process.start()
    try:
        with psycopg.connect(url, autocommit=True) as c:
            account_no, key_id, _ = _account(c)
            for _ in range(4):
                endpoint_id, seed = uuid.uuid4(), signing.new_seed()
                c.execute(
                    "INSERT INTO endpoints (id, account_no, key_id, community, url, types, state, secret_sealed, seed_sealed,"
                    " public_key, since, position) SELECT %s, %s, %s, k.community, %s, '{*}', 'enabled', %s, %s, %s,"
                    " h.position, h.position FROM notice_head h, partner_keys k WHERE k.id = %s",
                    (
                        endpoint_id,
                        account_no,
                        key_id,
                        f"http://127.0.0.1:{listener.getsockname()[1]}/",
                        sealed(keys, endpoint_id, "secret_sealed", signing.new_secret()),
                        sealed(keys, endpoint_id, "seed_sealed", seed),
                        signing.public_key(seed),
                        key_id,
                    ),
                )
            _announce(c, "bench.fact.came")
            done = "SELECT count(*) FROM deliveries WHERE state = 'delivered'"
            before = _count(c, done)
            while _count(c, done) < before + 200:
                time.sleep(0.05)
            first, began = _count(c, done), time.perf_counter()
            time.sleep(seconds)
            rate = (_count(c, done) - first) / (time.perf_counter() - began)
            c.execute("DELETE FROM endpoints WHERE account_no = %s", (account_no,))
        return rate
    finally:
        process.kill()
        process.join()
        listener.close()


def _count(c: psycopg.Connection, query: str) -> int:
    row = c.execute(query.encode()).fetchone()
    return int(row[0]) if row else 0


def polled(base: str, url: str, _keys: Keyring, seconds: int) -> float:
    """Notices a second that one reader polls, a thousand at once."""
    with psycopg.connect(url, autocommit=True) as c:
        _, _, key = _account(c)
        first = _count(c, "SELECT position FROM notice_head")
        _announce(c, "bench.fact.came")
    headers, after, seen = {"Authorization": f"Bearer {key}"}, first, 0
    until = 0.0
    while not until or time.perf_counter() < until:
        asked = urllib.request.Request(f"{base}/v1/partners/notices?after={after}&limit=1000", headers=headers)
        with urllib.request.urlopen(asked, timeout=30) as answer:
            page = json.loads(answer.read())
        if not until:  # the first asks what the key may do, which takes a second once
            until = time.perf_counter() + seconds
            continue
        seen += len(page["items"])
        after = first if page["done"] else page["next"]
    return seen / seconds


ALL: Final[dict[str, Callable[[str, str, Keyring, int], float]]] = {"l": deliveries, "m": polled}
