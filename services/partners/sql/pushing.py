"""Questions of who pushes: what is to be made out, what is due, and what came of it."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple

from services.partners.sql.reading import REACHED
from shared.db import Tx

_MAY: Final = """CASE WHEN e.key_id IS NOT NULL
    THEN NOT EXISTS (SELECT FROM partner_keys m WHERE m.id = e.key_id AND m.revoked_at IS NOT NULL)
    ELSE EXISTS (SELECT FROM roles r WHERE r.account_no = e.account_no AND starts_with(e.community, r.prefix)
        AND r.role = ANY({roles}::text[]) AND r.place_id IS NULL
        AND r.starts_at <= now() AND (r.ends_at IS NULL OR r.ends_at > now())) END"""
"""Whether an endpoint may hear anything: by a key that was not revoked, or by one of these roles for all of its region."""


async def behind(tx: Tx, head: int, most: int, roles: Collection[str], *, only: uuid.UUID | None = None) -> list[Any]:
    """Enabled endpoints for which deliveries are to be made out, locked; another worker's are passed over.

    `only` is one that is asked for, proven or not. `may`: by its key, or by one of these roles.
    """
    return await tx.fetch(
        f"""
        SELECT e.id, e.position, e.community, e.types, k.types AS key_types, k.place_id,
               {_MAY.format(roles="$3")} AS may
        FROM endpoints e LEFT JOIN partner_keys k ON k.id = e.key_id
        WHERE e.position < $1 AND CASE WHEN $4::uuid IS NULL THEN e.state = 'enabled' ELSE e.id = $4 END
        ORDER BY e.id LIMIT $2 FOR UPDATE OF e SKIP LOCKED
        """,
        head,
        most,
        list(roles),
        only,
    )


class Share(NamedTuple):
    """What an endpoint is to hear of: notices in (after, until] that match both patterns."""

    endpoint_id: uuid.UUID
    community: str
    after: int
    until: int
    pattern: str
    key_pattern: str
    place_id: uuid.UUID | None


async def make_out(tx: Tx, shares: Sequence[Share]) -> int:
    """Deliveries for several endpoints, and how far each is; how many deliveries."""
    columns = [list(column) for column in zip(*shares, strict=True)]
    made = await tx.execute(
        f"""
        INSERT INTO deliveries (endpoint_id, community, notice_id, position)
        SELECT f.id, f.community, n.id, n.position
        FROM unnest($1::uuid[], $2::text[], $3::bigint[], $4::bigint[], $5::text[], $6::text[], $7::uuid[])
             AS f(id, community, after, until, pattern, key_pattern, place_id)
        JOIN notices n ON n.position > f.after AND n.position <= f.until AND n.type ~ f.pattern AND n.type ~ f.key_pattern
             AND {REACHED.format(place="f.place_id", prefix="f.community")}
        ORDER BY f.id, n.position
        ON CONFLICT ON CONSTRAINT one_delivery_per_notice DO NOTHING
        """,
        *columns,
    )
    await tx.execute(
        "UPDATE endpoints e SET position = f.until FROM unnest($1::uuid[], $2::bigint[]) AS f(id, until) WHERE e.id = f.id",
        columns[0],
        columns[3],
    )
    return made


async def lease(tx: Tx, *, most: int, each: int, seconds: int, with_failing: bool, roles: Collection[str]) -> list[Any]:
    """Deliveries that are due, taken for a while, with all that a call needs.

    Nothing goes to the endpoint of a key that was revoked, or of an account whose roles have ended. Of one endpoint `each`
    at once; one that fails, and one that wants order, has one. Healthy endpoints come first. What another worker takes at
    the same moment is passed over.
    """
    picked = await tx.fetch(
        f"""
        WITH ready AS (
            SELECT e.id, e.state, e.ordering, e.failing_since IS NOT NULL AS fails,
                   CASE WHEN e.ordering = 'strict' OR e.failing_since IS NOT NULL THEN 1 ELSE $2 END - (
                       SELECT count(*) FROM deliveries l WHERE l.endpoint_id = e.id AND l.leased_until IS NOT NULL
                          AND l.leased_until > now()) AS room
            FROM endpoints e
            WHERE e.state <> 'disabled' AND (e.throttled_until IS NULL OR e.throttled_until <= now())
              AND ($3 OR e.failing_since IS NULL)
              AND {_MAY.format(roles="$4")}
        )
        SELECT d.id FROM ready r CROSS JOIN LATERAL (
                (SELECT d.id, d.due_at FROM deliveries d
                 WHERE (r.ordering <> 'strict' OR r.state = 'unproven') AND d.endpoint_id = r.id AND d.state = 'due'
                   AND d.due_at <= now() AND (d.leased_until IS NULL OR d.leased_until <= now())
                   AND (d.kind = 'challenge') = (r.state = 'unproven')
                 ORDER BY d.due_at, d.position LIMIT greatest(r.room, 0))
                UNION ALL
                (SELECT h.id, h.due_at FROM (
                    SELECT d.id, d.due_at, d.leased_until FROM deliveries d
                    WHERE r.ordering = 'strict' AND r.state = 'enabled' AND d.endpoint_id = r.id AND d.state = 'due'
                      AND d.kind <> 'challenge'
                    ORDER BY d.position LIMIT 1) h
                 WHERE r.room > 0 AND h.due_at <= now() AND (h.leased_until IS NULL OR h.leased_until <= now()))
            ) d
            ORDER BY r.fails, d.due_at LIMIT $1
        """,
        most,
        each,
        with_failing,
        list(roles),
    )
    if not picked:
        return []
    # By their ids, in a statement of its own: a join would be planned for a table that may have grown since.
    leased = await tx.fetch(
        """
        WITH locked AS (
            SELECT d.id FROM deliveries d
            WHERE d.id = ANY($1::uuid[]) AND d.state = 'due' AND (d.leased_until IS NULL OR d.leased_until <= now())
            ORDER BY d.id FOR UPDATE SKIP LOCKED
        )
        UPDATE deliveries d SET leased_until = now() + make_interval(secs => $2), attempts = d.attempts + 1
        FROM locked WHERE d.id = locked.id AND d.id = ANY($1::uuid[]) RETURNING d.id
        """,
        [row["id"] for row in picked],
        seconds,
    )
    if not leased:
        return []
    return await tx.fetch(
        """
        SELECT d.id, d.endpoint_id, d.kind, d.notice_id, d.position, d.attempts, d.made_at, e.url, e.community,
               e.secret_sealed, e.seed_sealed, e.failing_since IS NOT NULL AS fails,
               e.previous_until, CASE WHEN e.previous_until > now() THEN e.previous_sealed END AS previous_sealed,
               n.type, n.occurred_at, n.community AS notice_community, n.subject, n.data, k.place_id
        FROM deliveries d JOIN endpoints e ON e.id = d.endpoint_id LEFT JOIN notices n ON n.position = d.position
        LEFT JOIN partner_keys k ON k.id = e.key_id
        WHERE d.id = ANY($1::uuid[]) ORDER BY d.position
        """,
        [row["id"] for row in leased],
    )


class Result(NamedTuple):
    """What is written down about one call."""

    delivery_id: uuid.UUID
    endpoint_id: uuid.UUID
    url: str
    kind: str
    state: str
    due_in: float | None
    throttled_for: float | None
    is_gone: bool
    status: int | None
    error: str | None
    latency_ms: int
    answer: str | None


async def lock_endpoints(tx: Tx, endpoint_ids: Sequence[uuid.UUID]) -> list[Any]:
    """Endpoints that are about to change, locked in one order: id, state, url."""
    return await tx.fetch(
        "SELECT id, state, url FROM endpoints WHERE id = ANY($1::uuid[]) ORDER BY id FOR NO KEY UPDATE",
        list(endpoint_ids),
    )


async def record(tx: Tx, results: Sequence[Result]) -> None:
    """What came of several calls: the attempts, and what is still due. Deliveries that are gone are left out.

    What was given up while it was under way, and arrived, has arrived.
    """
    there = {
        row["id"]
        for row in await tx.fetch(
            "SELECT id FROM deliveries WHERE id = ANY($1::uuid[]) ORDER BY id FOR NO KEY UPDATE",
            [one.delivery_id for one in results],
        )
    }
    results = [one for one in results if one.delivery_id in there]
    ids = [one.delivery_id for one in results]
    await tx.execute(
        "INSERT INTO attempts (delivery_id, status, error, latency_ms, answer) "
        "SELECT * FROM unnest($1::uuid[], $2::int[], $3::text[], $4::int[], $5::text[])",
        ids,
        [one.status for one in results],
        [one.error for one in results],
        [one.latency_ms for one in results],
        [one.answer for one in results],
    )
    await tx.execute(
        """
        UPDATE deliveries d SET state = t.state, leased_until = NULL,
            due_at = CASE WHEN t.due_in IS NULL THEN d.due_at ELSE now() + make_interval(secs => t.due_in) END,
            done_at = CASE WHEN t.state = 'due' THEN NULL ELSE now() END
        FROM unnest($1::uuid[], $2::text[], $3::float8[]) AS t(id, state, due_in)
        WHERE d.id = t.id AND d.id = ANY($1::uuid[]) AND (d.state = 'due' OR d.state = 'failed' AND t.state = 'delivered')
        """,
        ids,
        [one.state for one in results],
        [one.due_in for one in results],
    )


async def note_health(tx: Tx, endpoint_id: uuid.UUID, *, is_well: bool, throttled_for: float | None) -> datetime | None:
    """Whether calls to an endpoint arrive, and for how long it wants peace; since when it has only failed."""
    since: datetime | None = await tx.value(
        """
        UPDATE endpoints SET failing_since = CASE WHEN $2 THEN NULL ELSE coalesce(failing_since, now()) END,
            throttled_until = CASE WHEN $3::float8 IS NULL THEN throttled_until ELSE
                greatest(throttled_until, now() + make_interval(secs => $3)) END
        WHERE id = $1 AND ($3::float8 IS NOT NULL OR $2 = (failing_since IS NOT NULL) OR NOT $2) RETURNING failing_since
        """,
        endpoint_id,
        is_well,
        throttled_for,
    )
    return since


async def set_state(tx: Tx, endpoint_id: uuid.UUID, state: str, reason: str | None) -> Any | None:
    """Enable or disable an endpoint; community and the holders behind its account, None when it was so already."""
    return await tx.row(
        "UPDATE endpoints e SET state = $2, reason = $3, failing_since = NULL, throttled_until = NULL, "
        "version = version + 1 WHERE e.id = $1 AND e.state <> $2 "
        "RETURNING e.id, e.community, ARRAY(SELECT h.no FROM accounts a JOIN holders h ON h.id = a.person_id "
        "WHERE a.no = e.account_no) AS holders",
        endpoint_id,
        state,
        reason,
    )


async def forget(tx: Tx, days: int) -> int:
    """Deliveries that were done with so long ago, and their attempts."""
    return await tx.execute(
        "DELETE FROM deliveries WHERE state <> 'due' AND done_at < now() - make_interval(days => $1)", days
    )
