"""Asks and those who wait: what each key came to, ranks on waiting lists, and whose turn it is."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Any, NamedTuple

from shared.db import Tx


async def waits_of(tx: Tx, nos: Sequence[int], slot_ids: Sequence[uuid.UUID]) -> dict[int, set[uuid.UUID]]:
    """On which of these slots' waiting lists these holders already stand."""
    rows = await tx.fetch(
        "SELECT slot_id, holders FROM waits WHERE slot_id = ANY($1::uuid[]) AND holders && $2::bigint[]", slot_ids, nos
    )
    found: dict[int, set[uuid.UUID]] = {}
    for row in rows:
        for no in row["holders"]:
            found.setdefault(no, set()).add(row["slot_id"])
    return found


async def ranked(tx: Tx, group_ids: Sequence[uuid.UUID]) -> dict[uuid.UUID, frozenset[uuid.UUID]]:
    """The slots on whose waiting lists these groups stand; who has left, or is leaving, is missing, and nobody else leaves now."""
    rows = await tx.fetch(
        "SELECT w.group_id, w.slot_id FROM waits w JOIN asks k USING (account_no, key, group_id) "
        "WHERE w.group_id = ANY($1::uuid[]) AND k.state = 'waiting' ORDER BY w.group_id, w.slot_id FOR UPDATE OF k SKIP LOCKED",
        group_ids,
    )
    found: dict[uuid.UUID, set[uuid.UUID]] = {}
    for group_id, slot_id in rows:
        found.setdefault(group_id, set()).add(slot_id)
    return {group_id: frozenset(slots) for group_id, slots in found.items()}


async def write_asks(
    tx: Tx,
    *,
    account_nos: Sequence[int],
    keys: Sequence[str],
    group_ids: Sequence[uuid.UUID],
    fingerprints: Sequence[bytes],
    services: Sequence[str],
    states: Sequence[str],
) -> None:
    """Remember what each key came to; a key's newest group replaces the one before."""
    await tx.execute(
        """
        INSERT INTO asks (account_no, key, group_id, fingerprint, service, state)
        SELECT * FROM unnest($1::bigint[], $2::text[], $3::uuid[], $4::bytea[], $5::text[], $6::text[])
        ON CONFLICT (account_no, key) DO UPDATE
        SET group_id = excluded.group_id, fingerprint = excluded.fingerprint, state = excluded.state, reason = NULL,
            slot_ids = NULL, holders = NULL, made_at = now()
        """,
        account_nos,
        keys,
        group_ids,
        fingerprints,
        services,
        states,
    )


async def write_waits(tx: Tx, rows: Sequence[tuple[Any, ...]]) -> None:
    """Put asks on waiting lists; ranks are drawn here, under the slots' locks. Rows already there keep their rank."""
    for row in rows:
        written = await tx.execute(
            "INSERT INTO waits (slot_id, group_id, no, account_no, key, holders, units, channel, body) "
            "VALUES ($1, $2, nextval('waits_no_seq'), $3, $4, $5::bigint[], $6, $7, $8) ON CONFLICT DO NOTHING",
            *row,
        )
        if written:
            await tx.execute("UPDATE slots SET waiting = waiting + 1 WHERE id = $1", row[0])


async def waits(tx: Tx, group_id: uuid.UUID) -> list[Any]:
    """Where a group waits: slot_id, holders, channel, made_by, and its position on that slot's list."""
    return await tx.fetch(
        "SELECT w.slot_id, w.holders, w.channel, coalesce(a.person_id, a.id) AS made_by, "
        "(SELECT count(*) FROM waits x WHERE x.slot_id = w.slot_id AND x.no <= w.no) AS position "
        "FROM waits w JOIN accounts a ON a.no = w.account_no WHERE w.group_id = $1 ORDER BY w.slot_id",
        group_id,
    )


async def turns(tx: Tx, after: int, limit: int) -> list[Any]:
    """Waiting rows of slots that have a place, or that they can never have any more, ranked behind `after`; with who asked."""
    return await tx.fetch(
        """
        SELECT w.no, w.group_id, w.account_no, w.key, s.community, w.holders, w.slot_id, w.channel, w.body, s.service,
               a.id AS account_id, h.no AS holder_no, h.id AS person_id, h.name, k.fingerprint
        FROM slots s JOIN waits w ON w.slot_id = s.id JOIN accounts a ON a.no = w.account_no
        LEFT JOIN holders h ON h.id = a.person_id LEFT JOIN asks k ON k.account_no = w.account_no AND k.key = w.key
        WHERE s.waiting > 0 AND w.no > $1
          AND (s.capacity - s.taken - CASE WHEN w.channel IN ('app', 'partner') AND s.offline_until > now()
                   THEN greatest(0, s.offline_share - s.taken_offline) ELSE 0 END >= w.units
               OR w.units > s.capacity OR s.state <> 'open' OR s.closes_at <= now() OR s.next_lapse <= now())
        ORDER BY w.no LIMIT $2
        """,
        after,
        limit,
    )


async def waiting_slots(tx: Tx, group_id: uuid.UUID) -> list[uuid.UUID]:
    """The slots on whose lists a group stands, and those of its active claims: all that leaving will lock."""
    rows = await tx.fetch(
        "SELECT slot_id FROM waits WHERE group_id = $1 UNION "
        "SELECT slot_id FROM claims WHERE group_id = $1 AND is_active",
        group_id,
    )
    return [row[0] for row in rows]


async def set_ask_granted(tx: Tx, group_id: uuid.UUID, account_no: int, key: str) -> None:
    """An ask that waited has its places."""
    await tx.execute(
        "UPDATE asks SET state = 'granted', made_at = now() WHERE account_no = $1 AND key = $2 AND group_id = $3",
        account_no,
        key,
        group_id,
    )


class Ended(NamedTuple):
    """An ask that waited and left its lists without a place: `lost` or `left`, why, for which slots and whom."""

    group_id: uuid.UUID
    account_no: int
    key: str
    state: str
    reason: str
    slot_ids: Sequence[uuid.UUID]
    holders: Sequence[int]


async def set_ask_ended(tx: Tx, ended: Ended) -> None:
    """Remember an ask that came to nothing, for as long as its key is remembered."""
    await tx.execute(
        "UPDATE asks SET state = $4, reason = $5, slot_ids = $6::uuid[], holders = $7::bigint[], made_at = now() "
        "WHERE group_id = $1 AND account_no = $2 AND key = $3",
        *ended,
    )


async def ended_ask(tx: Tx, group_id: uuid.UUID) -> Any | None:
    """An Ended with its service, made_by, community, place_id and offices; None when no such ask is remembered."""
    return await tx.row(
        "SELECT k.account_no, k.service, k.state, k.reason, k.slot_ids, k.holders, coalesce(a.person_id, a.id) AS made_by, "
        "s.community, s.place_id, "
        "ARRAY(SELECT h.no FROM holders h WHERE h.no = ANY(k.holders) AND h.kind = 'organisation') AS offices "
        "FROM asks k JOIN accounts a ON a.no = k.account_no LEFT JOIN slots s ON s.id = k.slot_ids[1] "
        "WHERE k.group_id = $1 AND k.state IN ('lost', 'left')",
        group_id,
    )


async def lapsing_slots(tx: Tx, limit: int) -> list[uuid.UUID]:
    """Slots on which some hold may be over."""
    rows = await tx.fetch("SELECT id FROM slots WHERE next_lapse <= now() ORDER BY next_lapse LIMIT $1", limit)
    return [row[0] for row in rows]


async def delete_old_asks(tx: Tx) -> int:
    """Forget keys after eight days; how many. Those that still wait are kept."""
    return await tx.execute(
        """
        DELETE FROM asks a USING (
            SELECT account_no, key FROM asks WHERE made_at < now() - interval '8 days' AND state <> 'waiting'
            ORDER BY account_no, key FOR UPDATE SKIP LOCKED
        ) old WHERE a.account_no = old.account_no AND a.key = old.key
        """
    )


async def leave_lists(tx: Tx, group_ids: Sequence[uuid.UUID]) -> int:
    """Take groups off every waiting list; how many there were. The slots are locked by the caller."""
    gone: int = await tx.value(
        """
        WITH gone AS (DELETE FROM waits WHERE group_id = ANY($1::uuid[]) RETURNING slot_id, group_id),
        counted AS (
            UPDATE slots s SET waiting = s.waiting - t.n
            FROM (SELECT slot_id, count(*) AS n FROM gone GROUP BY slot_id) t WHERE s.id = t.slot_id
        )
        SELECT count(DISTINCT group_id) FROM gone
        """,
        list(group_ids),
    )
    return gone
