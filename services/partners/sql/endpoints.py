"""Questions about endpoints and what was sent to them."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any, Final

from services.partners.sql.reading import COVERED, REACHED
from shared import regions
from shared.assertion import Key
from shared.db import Tx

_SHOWN = """e.id, e.account_no, e.key_id, e.url, e.types, e.community, e.ordering, e.description, e.state, e.reason,
    e.public_key, e.position, e.failing_since, e.throttled_until, e.version, e.made_at,
    (SELECT k.place_id FROM partner_keys k WHERE k.id = e.key_id) AS place_id,
    (SELECT count(*) FROM deliveries d WHERE d.endpoint_id = e.id AND d.state = 'due') AS due"""

_ONE_AT_A_TIME: Final = 33041111


async def head(tx: Tx) -> int:
    """The last position given."""
    found: int = await tx.value("SELECT position FROM notice_head")
    return found


async def insert(tx: Tx, values: Sequence[Any]) -> None:
    """A new endpoint, which hears what is stamped from now on.

    Out of (id, account_no, key_id, community, url, types, ordering, description, secret, seed, public key, position).
    """
    await tx.execute(
        "INSERT INTO endpoints (id, account_no, key_id, community, url, types, ordering, description, secret_sealed, "
        "seed_sealed, public_key, since, position) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $12)",
        *values,
    )


async def read(tx: Tx, endpoint_id: uuid.UUID, *, locked: bool = False) -> Any | None:
    """One endpoint as it is shown, locked where it is to be changed."""
    lock = " FOR UPDATE" if locked else ""
    return await tx.row(f"SELECT {_SHOWN} FROM endpoints e WHERE e.id = $1{lock}", endpoint_id)


async def several(
    tx: Tx,
    *,
    account_no: int,
    key: Key | None,
    prefixes: Sequence[str],
    after: tuple[datetime, uuid.UUID] | None,
    limit: int,
) -> list[Any]:
    """Endpoints of an account, as far as the key reaches that was shown, and those within these prefixes, newest first."""
    return await tx.fetch(
        f"""
        SELECT {_SHOWN} FROM endpoints e
        WHERE (e.account_no = $1 AND ($6::uuid IS NULL OR e.key_id = $6 OR (
                   starts_with(e.community, $7)
                   AND ($9::uuid IS NULL OR $9 = (SELECT k.place_id FROM partner_keys k WHERE k.id = e.key_id))
                   AND NOT EXISTS (SELECT 1 FROM unnest(e.types) t WHERE NOT EXISTS (
                       SELECT 1 FROM unnest($8::text[]) k
                       WHERE k IN ('*', t) OR (k LIKE '%.*' AND starts_with(t, left(k, -1)))))))
               OR EXISTS (SELECT 1 FROM unnest($2::text[]) p WHERE starts_with(e.community, p)))
          AND ($3::timestamptz IS NULL OR (e.made_at, e.id) < ($3, $4::uuid))
        ORDER BY e.made_at DESC, e.id DESC LIMIT $5
        """,
        account_no,
        list(prefixes),
        after[0] if after else None,
        after[1] if after else None,
        limit,
        key.id if key else None,
        key.prefix if key else "",
        list(key.types) if key else [],
        key.place_id if key else None,
    )


async def is_there(
    tx: Tx,
    endpoint_id: uuid.UUID,
    account_no: int,
    place_id: uuid.UUID | None,
    community: str,
    url: str,
    types: Sequence[str],
) -> bool:
    """Whether another endpoint of the account hears the same at the same address; it asks one at a time for an account."""
    await tx.execute("SELECT pg_advisory_xact_lock($1, hashint8($2))", _ONE_AT_A_TIME, account_no)
    found: bool = await tx.value(
        "SELECT EXISTS (SELECT FROM endpoints e LEFT JOIN partner_keys k ON k.id = e.key_id "
        "WHERE e.account_no = $1 AND e.community = $2 AND e.url = $3 AND e.types <@ $4::text[] AND e.types @> $4::text[] "
        "AND e.id <> $5 AND e.state <> 'disabled' "
        "AND k.place_id IS NOT DISTINCT FROM $6::uuid)",
        account_no,
        community,
        url,
        list(types),
        endpoint_id,
        place_id,
    )
    return found


async def replace(tx: Tx, endpoint_id: uuid.UUID, values: Sequence[Any]) -> None:
    """Change an endpoint: (url, types, community, ordering, description, state, reason, key_id, begins at head).

    What it hears of is what comes behind its position; one that begins anew leaves out what is between, and filters hold
    from there on.
    """
    await tx.execute(
        """
        UPDATE endpoints SET url = $2, types = $3, community = $4, ordering = $5, description = $6, state = $7, reason = $8,
            key_id = $9, version = version + 1, failing_since = NULL, throttled_until = NULL,
            position = CASE WHEN $10 THEN (SELECT position FROM notice_head) ELSE position END,
            since = CASE WHEN $10 THEN (SELECT position FROM notice_head) ELSE position END
        WHERE id = $1
        """,
        endpoint_id,
        *values,
    )


async def uncovered(
    tx: Tx,
    endpoint_id: uuid.UUID,
    delivery_id: uuid.UUID | None,
    pattern: str,
    community: str,
    place_id: uuid.UUID | None,
) -> list[uuid.UUID]:
    """Deliveries of notices that these filters do not cover: this one, or of all that are due there."""
    rows = await tx.fetch(
        f"""
        {regions.FORMER.format(prefixes="ARRAY[$4::text]")}
        SELECT d.id FROM deliveries d JOIN notices n ON n.position = d.position
        WHERE d.endpoint_id = $1 AND CASE WHEN $2::uuid IS NULL THEN d.state = 'due' ELSE d.id = $2 END
          AND (n.type !~ $3 OR NOT {COVERED.format(place="$5::uuid", prefix="$4")})
        """,
        endpoint_id,
        delivery_id,
        pattern,
        community,
        place_id,
    )
    return [row["id"] for row in rows]


async def give_up(tx: Tx, endpoint_id: uuid.UUID, delivery_ids: Sequence[uuid.UUID] | None = None) -> None:
    """Send nothing of what is due there any more, or none of these; challenges are no notices."""
    await tx.execute(
        "UPDATE deliveries SET state = 'failed', done_at = now(), leased_until = NULL WHERE endpoint_id = $1 "
        "AND state = 'due' AND kind <> 'challenge' AND ($2::uuid[] IS NULL OR id = ANY($2))",
        endpoint_id,
        delivery_ids,
    )


async def delete(tx: Tx, endpoint_id: uuid.UUID) -> None:
    """Forget an endpoint and all that was sent to it."""
    await tx.execute("DELETE FROM endpoints WHERE id = $1", endpoint_id)


async def secrets(tx: Tx, endpoint_id: uuid.UUID) -> Any | None:
    """The sealed secrets of an endpoint."""
    return await tx.row(
        "SELECT secret_sealed, previous_sealed, previous_until FROM endpoints WHERE id = $1", endpoint_id
    )


async def rotate(
    tx: Tx, endpoint_id: uuid.UUID, secret_sealed: bytes, previous_sealed: bytes, previous_until: datetime
) -> None:
    """A new secret; those before sign along, the last of them until then."""
    await tx.execute(
        "UPDATE endpoints SET secret_sealed = $2, previous_sealed = $3, previous_until = $4 WHERE id = $1",
        endpoint_id,
        secret_sealed,
        previous_sealed,
        previous_until,
    )


async def add_delivery(tx: Tx, endpoint_id: uuid.UUID, community: str, kind: str, notice_id: uuid.UUID) -> uuid.UUID:
    """A test or a challenge, due now."""
    made: uuid.UUID = await tx.value(
        "INSERT INTO deliveries (endpoint_id, community, kind, notice_id) VALUES ($1, $2, $3, $4) RETURNING id",
        endpoint_id,
        community,
        kind,
        notice_id,
    )
    return made


async def due_challenge(tx: Tx, endpoint_id: uuid.UUID) -> uuid.UUID | None:
    """The challenge that an endpoint has not echoed yet, made due now."""
    found: uuid.UUID | None = await tx.value(
        "UPDATE deliveries SET due_at = now() WHERE endpoint_id = $1 AND kind = 'challenge' AND state = 'due' RETURNING id",
        endpoint_id,
    )
    return found


async def end_challenges(tx: Tx, endpoint_id: uuid.UUID) -> None:
    """A challenge is asked of one address: of the next one, another."""
    await tx.execute(
        "UPDATE deliveries SET state = 'failed', done_at = now(), leased_until = NULL "
        "WHERE endpoint_id = $1 AND kind = 'challenge' AND state = 'due'",
        endpoint_id,
    )


_DELIVERY = """d.id, d.endpoint_id, d.kind, d.notice_id, d.position, d.state, d.attempts, d.due_at, d.done_at, d.made_at,
    coalesce(n.type, 'linli.endpoint.' || d.kind) AS type"""


async def deliveries(
    tx: Tx, endpoint_id: uuid.UUID, state: str | None, after: tuple[datetime, uuid.UUID] | None, limit: int
) -> list[Any]:
    """Deliveries of an endpoint, newest first."""
    return await tx.fetch(
        f"""
        SELECT {_DELIVERY} FROM deliveries d LEFT JOIN notices n ON n.position = d.position
        WHERE d.endpoint_id = $1 AND ($2::text IS NULL OR d.state = $2)
          AND ($3::timestamptz IS NULL OR (d.made_at, d.id) < ($3, $4::uuid))
        ORDER BY d.made_at DESC, d.id DESC LIMIT $5
        """,
        endpoint_id,
        state,
        after[0] if after else None,
        after[1] if after else None,
        limit,
    )


async def delivery(tx: Tx, delivery_id: uuid.UUID) -> Any | None:
    """One delivery."""
    return await tx.row(
        f"SELECT {_DELIVERY} FROM deliveries d LEFT JOIN notices n ON n.position = d.position WHERE d.id = $1",
        delivery_id,
    )


async def attempts(tx: Tx, delivery_ids: Sequence[uuid.UUID]) -> list[Any]:
    """The last ten attempts of each of these deliveries, newest first."""
    return await tx.fetch(
        """
        SELECT a.* FROM unnest($1::uuid[]) w(id) CROSS JOIN LATERAL (
            SELECT delivery_id, made_at, status, error, latency_ms, answer FROM attempts
            WHERE delivery_id = w.id ORDER BY no DESC LIMIT 10) a
        """,
        list(delivery_ids),
    )


async def resend(tx: Tx, delivery_id: uuid.UUID) -> None:
    """Make a delivery due now, whatever became of it."""
    await tx.execute(
        "UPDATE deliveries SET state = 'due', due_at = now(), done_at = NULL, attempts = 0 WHERE id = $1", delivery_id
    )


async def hears(tx: Tx, account_no: int, community: str, roles: Collection[str]) -> bool:
    """Whether an account has one of these roles for all of this region now."""
    return bool(
        await tx.value(
            "SELECT EXISTS (SELECT 1 FROM roles WHERE account_no = $1 AND starts_with($2, prefix) AND role = ANY($3::text[]) "
            "AND place_id IS NULL AND starts_at <= now() AND (ends_at IS NULL OR ends_at > now()))",
            account_no,
            community,
            list(roles),
        )
    )


async def occurred(tx: Tx, position: int) -> datetime | None:
    """When the notice at a position occurred."""
    found: datetime | None = await tx.value("SELECT occurred_at FROM notices WHERE position = $1", position)
    return found


async def recover(  # noqa: PLR0913 - an endpoint's filters and a range
    tx: Tx,
    endpoint_id: uuid.UUID,
    *,
    after: int,
    until: int,
    since: datetime,
    before: datetime,
    patterns: Sequence[str],
    community: str,
    place_id: uuid.UUID | None,
) -> int:
    """Deliveries for what matches in a range and did not arrive; how many became due."""
    return await tx.execute(
        f"""
        INSERT INTO deliveries (endpoint_id, community, notice_id, position)
        SELECT $1, $8, n.id, n.position FROM notices n
        WHERE n.position > $2 AND n.position <= $3 AND n.occurred_at >= $4 AND n.occurred_at < $5
          AND n.type ~ $6 AND n.type ~ $7 AND {REACHED.format(place="$9::uuid", prefix="$8")}
        ORDER BY n.position
        ON CONFLICT ON CONSTRAINT one_delivery_per_notice DO UPDATE
            SET state = 'due', due_at = now(), done_at = NULL, attempts = 0 WHERE deliveries.state = 'failed'
        """,
        endpoint_id,
        after,
        until,
        since,
        before,
        patterns[0],
        patterns[1],
        community,
        place_id,
    )
