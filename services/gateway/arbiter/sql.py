"""What the arbiter asks the database: locks in the one order, then facts, then the writes of a decided list."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from typing import Any, NamedTuple

from services.gateway.arbiter.rules import Holder, Limits, Place, Previous, Slot
from shared import claims
from shared.claims import GrantedSlot, Subject
from shared.db import Tx

ZONE = "Asia/Shanghai"

SLOT = f"""
    SELECT s.id, s.service, s.place_id, s.community, s.starts_at, s.ends_at,
           (s.starts_at AT TIME ZONE '{ZONE}')::date AS day, s.opens_at, s.closes_at, s.capacity, s.taken, s.taken_offline,
           s.waiting, s.offline_share, s.offline_until, s.min_age, s.max_age, s.regions, s.level, s.needs_guardian,
           s.allocation, s.is_exclusive, s.is_waitable, s.state, s.is_counted, s.policy_id, s.next_lapse, s.title, s.cancel_by,
           p.name AS place_name, s.subject_kind, s.subject_id
    FROM slots s JOIN places p ON p.id = s.place_id
"""
_FACTS = 25
"""The leading columns of SLOT that are a Slot's own, before its limits."""

_policies: dict[uuid.UUID, Limits] = {}
"""Policies never change, so what was read once is known."""


async def limits(tx: Tx, ids: Iterable[uuid.UUID]) -> Mapping[uuid.UUID, Limits]:
    """The limits of these policies; a query only for policies not seen before."""
    unknown = [one for one in set(ids) if one not in _policies]
    if unknown:
        if len(_policies) > 10_000:
            _policies.clear()
        for row in await tx.fetch(
            "SELECT id, body->'limits' AS limits FROM policies WHERE id = ANY($1::uuid[])", unknown
        ):
            _policies[row["id"]] = Limits(**(row["limits"] or {}))
    return _policies


def slot(row: Any, known: Mapping[uuid.UUID, Limits], held_until: datetime | None = None) -> Slot:
    """A row of SLOT as the rules see it."""
    return Slot._make((*row[:_FACTS], known[row["policy_id"]], held_until))


def granted_slot(row: Any) -> GrantedSlot:
    """A row of SLOT as a grant names it."""
    return GrantedSlot(
        row["id"],
        row["place_id"],
        row["place_name"],
        row["title"],
        row["community"],
        row["starts_at"],
        row["ends_at"],
        row["cancel_by"],
        row["state"],
        row["subject_id"],
    )


async def locked_slots(tx: Tx, ids: Sequence[uuid.UUID], *, skip_locked: bool) -> list[Any]:
    """Rows of SLOT, locked in the order of their ids."""
    return await tx.fetch(
        SLOT
        + " WHERE s.id = ANY($1::uuid[]) ORDER BY s.id FOR NO KEY UPDATE OF s"
        + (" SKIP LOCKED" if skip_locked else ""),
        ids,
    )


async def existing(tx: Tx, ids: Sequence[uuid.UUID]) -> set[uuid.UUID]:
    """Which of these slots exist at all."""
    return {row[0] for row in await tx.fetch("SELECT id FROM slots WHERE id = ANY($1::uuid[])", ids)}


async def slots(tx: Tx, ids: Sequence[uuid.UUID]) -> list[Any]:
    """Rows of SLOT, unlocked or already locked by the caller."""
    return await tx.fetch(SLOT + " WHERE s.id = ANY($1::uuid[])", ids)


_HOLDER = """
    h.no, h.id, h.name, h.kind, h.community, h.born, h.level, h.household_no,
    (SELECT jsonb_object_agg(x.service, x.ends_at)
     FROM suspensions x
     WHERE x.holder_no = h.no AND x.lifted_at IS NULL AND x.starts_at <= now() AND x.ends_at > now()) AS suspended,
    clock_timestamp() AS now
"""


async def locked_holders(tx: Tx, nos: Sequence[int], *, skip_locked: bool) -> list[Any]:
    """Holders by number, locked in the order of their numbers."""
    rows = await tx.fetch(
        f"SELECT {_HOLDER}, pg_current_xact_id()::text AS xid FROM holders h "
        "WHERE h.no = ANY($1::bigint[]) ORDER BY h.no FOR NO KEY UPDATE OF h" + (" SKIP LOCKED" if skip_locked else ""),
        nos,
    )
    if rows:
        tx.xid = rows[0]["xid"]
    return rows


async def holders(tx: Tx, nos: Sequence[int]) -> list[Any]:
    """Holders by number, unlocked."""
    return await tx.fetch(f"SELECT {_HOLDER} FROM holders h WHERE h.no = ANY($1::bigint[])", nos)


async def holder_nos(tx: Tx, ids: Sequence[uuid.UUID]) -> dict[uuid.UUID, int]:
    """Numbers of holders by id; unknown ids are missing."""
    rows = await tx.fetch("SELECT id, no FROM holders WHERE id = ANY($1::uuid[])", ids)
    return {row["id"]: row["no"] for row in rows}


async def organisation_nos(tx: Tx, codes: Sequence[str]) -> dict[str, int]:
    """The holder's number of each region's committee, made when it is asked for first; unknown regions are missing."""
    known = "SELECT community, no FROM holders WHERE kind = 'organisation' AND community = ANY($1::text[])"
    found = {row["community"]: row["no"] for row in await tx.fetch(known, codes)}
    if missing := [code for code in codes if code not in found]:
        await tx.execute(
            "INSERT INTO holders (id, kind, name, community, level) SELECT uuidv7(), 'organisation', name, code, 3 "
            "FROM regions WHERE code = ANY($1::text[]) ORDER BY code ON CONFLICT DO NOTHING",
            missing,
        )
        # A new statement: it sees those that another gateway has just made.
        found |= {row["community"]: row["no"] for row in await tx.fetch(known, missing)}
    return found


async def slots_of(tx: Tx, subjects: Sequence[tuple[str, Subject]]) -> dict[int, list[uuid.UUID]]:
    """For each (service, subject) the slots it stands for, soonest first; those without any are missing."""
    rows = await tx.fetch(
        f"""
        SELECT k.n, s.id
        FROM unnest($1::text[], $2::uuid[], $3::uuid[]) WITH ORDINALITY AS k(service, subject_id, beside, n)
        JOIN slots s ON s.subject_id = k.subject_id AND s.service = k.service
        LEFT JOIN slots b ON b.id = k.beside
        WHERE CASE WHEN k.beside IS NULL THEN s.state = 'open' AND s.starts_at > now()
              ELSE s.state <> 'cancelled' AND s.place_id = b.place_id
                   AND (s.starts_at AT TIME ZONE '{ZONE}')::date = (b.starts_at AT TIME ZONE '{ZONE}')::date END
        ORDER BY k.n, s.starts_at, s.id
        """,
        [service for service, _ in subjects],
        [one.subject_id for _, one in subjects],
        [one.beside for _, one in subjects],
    )
    found: dict[int, list[uuid.UUID]] = {}
    for n, slot_id in rows:
        found.setdefault(n - 1, []).append(slot_id)
    return found


def holder(row: Any, places: Sequence[Place], waits: frozenset[uuid.UUID] = frozenset()) -> Holder:
    """A row of `holders` as the rules see it."""
    suspended = {service: datetime.fromisoformat(until) for service, until in (row["suspended"] or {}).items()}
    return Holder._make((*row[:8], places, suspended, waits))


async def locked_households(tx: Tx, nos: Sequence[int], *, skip_locked: bool) -> set[int]:
    """Lock households in order; the numbers that were had."""
    rows = await tx.fetch(
        "SELECT no FROM households WHERE no = ANY($1::bigint[]) ORDER BY no FOR NO KEY UPDATE"
        + (" SKIP LOCKED" if skip_locked else ""),
        nos,
    )
    return {row[0] for row in rows}


class Lapsing(NamedTuple):
    """A hold that is over but still takes its place."""

    holder_no: int
    slot_id: uuid.UUID


class Standing(NamedTuple):
    """What holders have (`places`, and `over`: holds whose time is over), and what earlier asks came to by key."""

    places: dict[int, list[Place]]
    over: list[Lapsing]
    previous: dict[tuple[int, str], Previous]


_STANDING = f"""
    SELECT holder_no, slot_id, place_id, starts_at, ends_at, (starts_at AT TIME ZONE '{ZONE}')::date, is_exclusive,
           is_counted, held_until, NULL::text, NULL::bytea, NULL::text
    FROM claims WHERE holder_no = ANY($1::bigint[]) AND starts_at >= $2 AND is_active
    UNION ALL
    SELECT a.account_no, a.group_id, NULL, NULL, NULL, NULL, NULL, NULL, NULL, a.key, a.fingerprint,
           CASE WHEN c.is_confirmed THEN 'confirmed' WHEN c.is_held THEN 'held' WHEN a.state = 'granted' THEN 'lapsed'
                ELSE a.state END
    FROM unnest($3::bigint[], $4::text[]) AS k(account_no, key) JOIN asks a USING (account_no, key)
    LEFT JOIN LATERAL (
        SELECT bool_or(c.resource_id IS NOT NULL) AS is_confirmed,
               bool_or(c.state = 'held' AND c.held_until > clock_timestamp()) AS is_held
        FROM claims c WHERE c.group_id = a.group_id
    ) c ON true
"""


async def standing(
    tx: Tx, nos: Sequence[int], since: datetime, now: datetime, keys: Sequence[tuple[int, str]] = ()
) -> Standing:
    """Active claims of these holders from `since` on, and what asks with these keys came to, in one look."""
    rows = await tx.fetch(_STANDING, nos, since, [account_no for account_no, _ in keys], [key for _, key in keys])
    found = Standing({}, [], {})
    for no, slot_id, *place, held_until, key, fingerprint, state in rows:
        if key is not None:
            found.previous[no, key] = Previous(slot_id, fingerprint, state)
        elif held_until is not None and held_until <= now:
            found.over.append(Lapsing(no, slot_id))
        else:
            found.places.setdefault(no, []).append(Place(slot_id, *place))
    return found


async def household_counts(
    tx: Tx, nos: Sequence[int], place_ids: Sequence[uuid.UUID], since: datetime
) -> dict[tuple[int, uuid.UUID, date], int]:
    """Active claims by household, place and day."""
    rows = await tx.fetch(
        f"SELECT h.household_no, c.place_id, (c.starts_at AT TIME ZONE '{ZONE}')::date, count(*) "
        "FROM claims c JOIN holders h ON h.no = c.holder_no WHERE h.household_no = ANY($1::bigint[]) "
        "AND c.place_id = ANY($2::uuid[]) AND c.starts_at >= $3 AND c.is_active AND c.is_counted GROUP BY 1, 2, 3",
        nos,
        place_ids,
        since,
    )
    return {(row[0], row[1], row[2]): row[3] for row in rows}


async def held_until(tx: Tx, ids: Sequence[uuid.UUID]) -> dict[uuid.UUID, datetime]:
    """The first moment at which a hold on each of these slots can lapse; slots without holds are missing."""
    rows = await tx.fetch(
        "SELECT slot_id, min(held_until) FROM claims WHERE slot_id = ANY($1::uuid[]) AND is_active AND state = 'held' "
        "GROUP BY slot_id",
        ids,
    )
    return {row[0]: row[1] for row in rows}


async def lapsed_units(tx: Tx, ids: Sequence[uuid.UUID]) -> dict[uuid.UUID, tuple[int, int]]:
    """Units of holds on these slots that are over but not yet freed, and how many of them were made offline."""
    rows = await tx.fetch(
        "SELECT slot_id, sum(units)::int, coalesce(sum(units) FILTER (WHERE channel = ANY($2::text[])), 0)::int "
        "FROM claims WHERE slot_id = ANY($1::uuid[]) AND is_active AND state = 'held' "
        "AND held_until <= clock_timestamp() GROUP BY slot_id",
        ids,
        claims.OFFLINE,
    )
    return {row[0]: (row[1], row[2]) for row in rows}


class Relation(NamedTuple):
    """Somebody an account's person may act for."""

    actor_no: int
    holder_no: int
    person_id: uuid.UUID
    name: str
    kind: str
    services: Sequence[str] | None


async def relations(tx: Tx, actor_nos: Sequence[int]) -> list[Relation]:
    """Whom these holders may act for at this moment."""
    rows = await tx.fetch(
        """
        SELECT a.no, p.no, p.id, p.name, r.kind, r.services
        FROM holders a JOIN relations r ON r.actor_id = a.id JOIN holders p ON p.id = r.person_id
        WHERE a.no = ANY($1::bigint[]) AND r.starts_at <= now() AND (r.ends_at IS NULL OR r.ends_at > now())
        ORDER BY p.name, p.no
        """,
        actor_nos,
    )
    return [Relation(*row) for row in rows]


async def roles(tx: Tx, account_nos: Sequence[int]) -> list[Any]:
    """Roles in force: account_no, role, prefix, place_id."""
    return await tx.fetch(
        "SELECT account_no, role, prefix, place_id FROM roles WHERE account_no = ANY($1::bigint[]) AND starts_at <= now() "
        "AND (ends_at IS NULL OR ends_at > now())",
        account_nos,
    )


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
    """The slots on whose waiting lists these groups stand."""
    rows = await tx.fetch(
        "SELECT group_id, array_agg(slot_id) FROM waits WHERE group_id = ANY($1::uuid[]) GROUP BY group_id", group_ids
    )
    return {row[0]: frozenset(row[1]) for row in rows}


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
    """Waiting rows of slots that have a place, or that nobody can claim any more, ranked behind `after`; with who asked."""
    return await tx.fetch(
        """
        SELECT w.no, w.group_id, w.account_no, w.key, s.community, w.holders, w.slot_id, w.channel, w.body, s.service,
               a.id AS account_id, h.no AS holder_no, h.id AS person_id, h.name, k.fingerprint
        FROM slots s JOIN waits w ON w.slot_id = s.id JOIN accounts a ON a.no = w.account_no
        LEFT JOIN holders h ON h.id = a.person_id LEFT JOIN asks k ON k.account_no = w.account_no AND k.key = w.key
        WHERE s.waiting > 0 AND w.no > $1
          AND (s.capacity - s.taken - CASE WHEN w.channel IN ('app', 'partner') AND s.offline_until > now()
                   THEN greatest(0, s.offline_share - s.taken_offline) ELSE 0 END >= w.units
               OR s.state <> 'open' OR s.closes_at <= now() OR s.next_lapse <= now())
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
    """An Ended with its service and made_by; None when no such ask is remembered."""
    return await tx.row(
        "SELECT k.account_no, k.service, k.state, k.reason, k.slot_ids, k.holders, coalesce(a.person_id, a.id) AS made_by "
        "FROM asks k JOIN accounts a ON a.no = k.account_no WHERE k.group_id = $1 AND k.state IN ('lost', 'left')",
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
