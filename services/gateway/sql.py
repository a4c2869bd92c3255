"""What the gateway's own routes ask the database."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import date, datetime
from typing import Any, NamedTuple

from shared.days import DayFact
from shared.db import Tx


async def region(tx: Tx, code: str) -> Any | None:
    """One region; of one that ended, also those that followed it, the principal one first."""
    return await tx.row(
        "SELECT code, name, level, parent_code, ended_on, ARRAY(SELECT new_code FROM region_changes c "
        "WHERE c.old_code = r.code ORDER BY is_principal DESC, new_code) AS successors FROM regions r WHERE code = $1",
        code,
    )


async def regions(tx: Tx, parent: str | None, after: str, limit: int) -> list[Any]:
    """Regions below a parent (None: the roots) that stand, in the order of their codes."""
    return await tx.fetch(
        "SELECT code, name, level, parent_code FROM regions WHERE parent_code IS NOT DISTINCT FROM $1 AND code > $2 "
        "AND ended_on IS NULL "
        "ORDER BY code LIMIT $3",
        parent,
        after,
        limit,
    )


async def days(tx: Tx, first: date, last: date) -> list[Any]:
    """The calendar's rows between two dates, both included."""
    return await tx.fetch("SELECT date, kind, name, is_provisional FROM days WHERE date BETWEEN $1 AND $2", first, last)


async def seed_days(tx: Tx, facts: Sequence[DayFact]) -> int:
    """Insert days; a provisional row gives way to a better one, and rows of the staff to none."""
    return await tx.execute(
        "INSERT INTO days (date, kind, name, is_provisional) SELECT * FROM unnest($1::date[], $2::text[], $3::text[], "
        "$4::bool[]) ON CONFLICT (date) DO UPDATE SET kind = excluded.kind, name = excluded.name, is_provisional = "
        "excluded.is_provisional WHERE days.is_provisional AND NOT excluded.is_provisional",
        *(list(column) for column in zip(*facts, strict=True)),
    )


async def revision(tx: Tx) -> str | None:
    """The migration this database is at."""
    found: str | None = await tx.value("SELECT version_num FROM alembic_version")
    return found


async def set_day(tx: Tx, day: date, kind: str, name: str | None) -> None:
    """Say what a date is; from then on no library changes it."""
    await tx.execute(
        "INSERT INTO days (date, kind, name, is_provisional) VALUES ($1, $2, $3, false) "
        "ON CONFLICT (date) DO UPDATE SET kind = excluded.kind, name = excluded.name, is_provisional = false",
        day,
        kind,
        name,
    )


async def group_ids(
    tx: Tx,
    *,
    holders: Sequence[int],
    when: str | None,
    state: str | None,
    service: str | None,
    after: tuple[datetime, uuid.UUID] | None,
    limit: int,
) -> list[Any]:
    """Groups in which these holders have (or wait for) a place: group_id, starts_at, is_waiting; soonest first.

    Attempts that a service refused, or whose hold lapsed, are shown only when they are asked for.
    """
    return await tx.fetch(
        """
        SELECT group_id, starts_at, is_waiting FROM (
            SELECT c.group_id, min(c.starts_at) AS starts_at, max(c.ends_at) AS ends_at, false AS is_waiting
            FROM claims c
            WHERE c.holder_no = ANY($1::bigint[]) AND ($3::text IS NULL OR c.state = $3)
              AND ($4::text IS NULL OR c.service = $4)
              AND (c.resource_id IS NOT NULL OR c.state = 'held' OR $3 = c.state)
            GROUP BY c.group_id
            UNION ALL
            SELECT w.group_id, min(s.starts_at), max(s.ends_at), true
            FROM waits w JOIN slots s ON s.id = w.slot_id
            WHERE w.holders && $1::bigint[] AND ($3::text IS NULL OR $3 = 'waiting') AND ($4::text IS NULL OR s.service = $4)
              AND NOT EXISTS (SELECT 1 FROM claims c WHERE c.group_id = w.group_id AND c.is_active)
            GROUP BY w.group_id
            UNION ALL
            SELECT k.group_id, min(s.starts_at), max(s.ends_at), false
            FROM asks k JOIN slots s ON s.id = ANY(k.slot_ids)
            WHERE k.state = CASE $3 WHEN 'lost' THEN 'lost' WHEN 'released' THEN 'left' END
              AND k.state IN ('lost', 'left') AND k.holders && $1::bigint[] AND ($4::text IS NULL OR k.service = $4)
              AND NOT EXISTS (SELECT 1 FROM claims c WHERE c.group_id = k.group_id AND c.state = $3)
            GROUP BY k.group_id
        ) AS mine
        WHERE ($2::text IS NULL OR ($2 = 'upcoming' AND ends_at > now()) OR ($2 = 'past' AND ends_at <= now()))
          AND ($5::timestamptz IS NULL OR (starts_at, group_id) > ($5, $6))
        ORDER BY starts_at, group_id LIMIT $7
        """,
        holders,
        when,
        state,
        service,
        after[0] if after else None,
        after[1] if after else None,
        limit,
    )


async def ask_by_key(tx: Tx, account_no: int, key: str) -> Any | None:
    """The newest group of a key: group_id, service, state, reason."""
    return await tx.row(
        "SELECT group_id, service, state, reason FROM asks WHERE account_no = $1 AND key = $2", account_no, key
    )


async def committee(tx: Tx, community: str) -> list[int]:
    """The holder's number of a region's committee, once it has asked for something."""
    rows = await tx.fetch("SELECT no FROM holders WHERE kind = 'organisation' AND community = $1", community)
    return [row["no"] for row in rows]


async def wait(tx: Tx, group_id: uuid.UUID) -> Any | None:
    """Who stands on a waiting list with this group: account_no, key, holders."""
    return await tx.row("SELECT account_no, key, holders FROM waits WHERE group_id = $1 LIMIT 1", group_id)


async def account(tx: Tx, account_no: int) -> Any | None:
    """An open account and its person: id, person_id, holder_no, name."""
    return await tx.row(
        "SELECT a.id, a.person_id, h.no AS holder_no, a.name FROM accounts a LEFT JOIN holders h ON h.id = a.person_id "
        "WHERE a.no = $1 AND a.closed_at IS NULL",
        account_no,
    )


async def slot_for_edit(tx: Tx, slot_id: uuid.UUID) -> Any | None:
    """A slot, locked: id, community, place_id, capacity, taken, state."""
    return await tx.row(
        "SELECT id, community, place_id, capacity, taken, state FROM slots WHERE id = $1 FOR NO KEY UPDATE", slot_id
    )


async def set_capacity(tx: Tx, slot_id: uuid.UUID, capacity: int) -> None:
    """Change a slot's number of places; the referee `taken_within_capacity` has the last word."""
    await tx.execute("UPDATE slots SET capacity = $2 WHERE id = $1", slot_id, capacity)


async def alternatives(tx: Tx, slot_ids: Sequence[uuid.UUID]) -> dict[uuid.UUID, list[Any]]:
    """For each slot up to three others like it that have places, nearest in time first: id, title, times, free."""
    rows = await tx.fetch(
        """
        SELECT s.id AS slot_id, a.id, a.title, a.starts_at, a.ends_at, a.free
        FROM slots s CROSS JOIN LATERAL (
            SELECT o.*, k.free FROM slots o CROSS JOIN LATERAL (
                SELECT o.capacity - o.taken - CASE WHEN o.offline_until > now()
                           THEN greatest(0, o.offline_share - o.taken_offline) ELSE 0 END AS free) k
            WHERE o.place_id = s.place_id AND o.title = s.title AND o.id <> s.id AND o.state = 'open' AND o.waiting = 0
              AND o.subject_kind IS DISTINCT FROM 'dish' -- a dish is taken with its window: nobody can name its slot
              AND k.free > 0 AND o.closes_at > now() AND (o.opens_at IS NULL OR o.opens_at <= now())
              AND o.starts_at BETWEEN s.starts_at - interval '2 days' AND s.starts_at + interval '2 days'
            ORDER BY abs(extract(epoch FROM o.starts_at - s.starts_at)), o.starts_at LIMIT 3
        ) a WHERE s.id = ANY($1::uuid[])
        """,
        slot_ids,
    )
    found: dict[uuid.UUID, list[Any]] = {slot_id: [] for slot_id in slot_ids}
    for row in rows:
        found[row["slot_id"]].append(row)
    return found


async def head(tx: Tx) -> int:
    """The position of the newest notice that has one."""
    position: int = await tx.value("SELECT position FROM notice_head")
    return position


async def told(tx: Tx, holders: Sequence[int], after: int, limit: int) -> list[Any]:
    """Notices about any of these holders, behind a position: position, id, type, community, subject, data, occurred_at, holders."""
    return await tx.fetch(
        "SELECT position, id, type, community, subject, data, occurred_at, holders FROM notices "
        "WHERE holders && $1::bigint[] AND position > $2 ORDER BY position LIMIT $3",
        holders,
        after,
        limit,
    )


async def told_at(tx: Tx, place_id: uuid.UUID, after: int, limit: int) -> list[Any]:
    """Notices about something at a place, behind a position: the same columns."""
    return await tx.fetch(
        "SELECT position, id, type, community, subject, data, occurred_at, holders FROM notices "
        "WHERE places @> ARRAY[$1::uuid] AND position > $2 ORDER BY position LIMIT $3",
        place_id,
        after,
        limit,
    )


async def place(tx: Tx, place_id: uuid.UUID) -> Any | None:
    """A place of any service: id, community."""
    return await tx.row("SELECT id, community FROM places WHERE id = $1", place_id)


async def use_partner_key(tx: Tx, key_hash: bytes) -> Any | None:
    """A partner's key that is not revoked, of an open account; when it was last used is known to the minute."""
    row = await tx.row(
        "SELECT k.id, k.account_no, a.id AS account_id, a.name, k.types, k.community, k.place_id, k.operations, "
        "k.last_used_at IS NULL OR k.last_used_at < now() - interval '1 minute' AS is_stale "
        "FROM partner_keys k JOIN accounts a ON a.no = k.account_no "
        "WHERE k.key_hash = $1 AND k.revoked_at IS NULL AND a.closed_at IS NULL",
        key_hash,
    )
    if row is not None and row["is_stale"]:
        await tx.execute("UPDATE partner_keys SET last_used_at = now() WHERE id = $1", row["id"])
    else:
        tx.discard()
    return row


class NewRefusal(NamedTuple):
    """A refused claim to be written; `holders` are whom it was for, `holder_no` whom it failed for."""

    at: datetime
    account_no: int
    own_no: int
    holders: Sequence[int]
    holder_no: int | None
    service: str
    slot_id: uuid.UUID | None
    code: str
    request_id: str
    times: int


async def insert_refusals(tx: Tx, rows: Sequence[NewRefusal]) -> None:
    """Write refusals in one statement; each belongs where its slot is, or else where its caller lives."""
    columns = [list(column) for column in zip(*rows, strict=True)]
    columns[3] = ["{" + ",".join(map(str, holders)) + "}" for holders in columns[3]]
    await tx.execute(
        """
        INSERT INTO refused (at, account_no, holder_nos, holder_no, service, slot_id, place_id, community, code,
                             request_id, count)
        SELECT n.at, n.account_no, n.holders::bigint[], n.holder_no, n.service, n.slot_id, s.place_id,
               coalesce(s.community, (SELECT h.community FROM holders h WHERE h.no = n.own_no), ''), n.code,
               n.request_id, n.count
        FROM unnest($1::timestamptz[], $2::bigint[], $3::bigint[], $4::text[], $5::bigint[], $6::text[], $7::uuid[],
                    $8::text[], $9::text[], $10::int[]) WITH ORDINALITY
             AS n(at, account_no, own_no, holders, holder_no, service, slot_id, code, request_id, count, ordinal)
        LEFT JOIN slots s ON s.id = n.slot_id ORDER BY n.ordinal
        """,
        *columns,
    )


class Sought(NamedTuple):
    """Whose refusals, and which: about these holders, about the limited ones in their service, or in a scope.

    A scope is a region code, and a place where a role has one.
    """

    holders: Sequence[int]
    limited: Sequence[tuple[int, str]]
    scope: Sequence[tuple[str, uuid.UUID | None]]
    holder_no: int | None
    slot_id: uuid.UUID | None
    request_id: str | None
    after: int | None
    limit: int


async def refusals(tx: Tx, sought: Sought) -> list[Any]:
    """Refusals of the last thirty days, the newest first, each with `is_in_scope`."""
    args: list[Any] = [
        list(sought.holders),
        [no for no, _ in sought.limited],
        [service for _, service in sought.limited],
        [prefix for prefix, _ in sought.scope],
        [place for _, place in sought.scope],
        sought.limit,
    ]
    where = ["r.at > now() - interval '30 days'"]
    for condition, value in (
        ("r.holder_nos @> ARRAY[?::bigint]", sought.holder_no),
        ("r.slot_id = ?", sought.slot_id),
        ("r.request_id = ?", sought.request_id),
        ("r.no < ?", sought.after),
    ):
        if value is not None:
            args.append(value)
            where.append(condition.replace("?", f"${len(args)}"))
    return await tx.fetch(
        f"""
        SELECT r.no, r.at, r.service, r.slot_id, r.community, r.code, r.holder_nos, r.holder_no, r.request_id, r.count,
               k.is_in_scope
        FROM refused r CROSS JOIN LATERAL (
            SELECT EXISTS (
                SELECT FROM unnest($4::text[], $5::uuid[]) AS p(prefix, place_id)
                WHERE starts_with(r.community, p.prefix) AND (p.place_id IS NULL OR p.place_id = r.place_id)
            ) AS is_in_scope) k
        WHERE {" AND ".join(where)} AND (k.is_in_scope OR (r.holder_nos && ($1::bigint[] || $2::bigint[]) AND (
            r.holder_nos && $1::bigint[] OR EXISTS (
                SELECT FROM unnest($2::bigint[], $3::text[]) AS l(no, service)
                WHERE l.service = r.service AND l.no = ANY(r.holder_nos)))))
        ORDER BY r.no DESC LIMIT $6
        """,
        *args,
    )


async def holder_ids(tx: Tx, nos: Sequence[int]) -> dict[int, uuid.UUID]:
    """Ids of holders by number."""
    return {
        row["no"]: row["id"] for row in await tx.fetch("SELECT no, id FROM holders WHERE no = ANY($1::bigint[])", nos)
    }


async def ended_sessions(tx: Tx, seconds: int) -> frozenset[uuid.UUID]:
    """The sessions that were ended in the last so many seconds, whose tokens may still be about."""
    rows = await tx.fetch(
        "SELECT id FROM sessions WHERE revoked_at IS NOT NULL AND revoked_at > now() - make_interval(secs => $1)",
        float(seconds),
    )
    return frozenset(uuid.UUID(bytes=row[0].bytes) for row in rows)


async def known_of(tx: Tx, holder_no: int, account_nos: Sequence[int], most: int) -> dict[str, list[Any]]:
    """What the ledger has about somebody: claims, waiting lists, pauses, what they were told and refused."""
    return {
        "claims": await tx.fetch(
            "SELECT c.service, p.name AS place, s.title, c.starts_at, c.ends_at, c.units, c.state, c.reason, c.channel, "
            "c.made_at, c.left_at FROM claims c JOIN slots s ON s.id = c.slot_id JOIN places p ON p.id = c.place_id "
            "WHERE c.holder_no = $1 ORDER BY c.starts_at DESC LIMIT $2",
            holder_no,
            most,
        ),
        "waiting": await tx.fetch(
            "SELECT s.service, s.title, s.starts_at, w.made_at FROM waits w JOIN slots s ON s.id = w.slot_id "
            "WHERE w.holders @> ARRAY[$1::bigint]",
            holder_no,
        ),
        "pauses": await tx.fetch(
            "SELECT service, reason, starts_at, ends_at, lifted_at FROM suspensions WHERE holder_no = $1", holder_no
        ),
        "told": await tx.fetch(
            "SELECT type, data, occurred_at FROM notices WHERE holders @> ARRAY[$1::bigint] AND position IS NOT NULL "
            "ORDER BY position DESC LIMIT $2",
            holder_no,
            most,
        ),
        "refused": await tx.fetch(
            "SELECT at, service, code, count FROM refused WHERE account_no = ANY($1::bigint[]) OR holder_nos @> ARRAY[$2::bigint] "
            "ORDER BY no DESC LIMIT $3",
            list(account_nos),
            holder_no,
            most,
        ),
    }


async def still_holds(tx: Tx, holder_no: int) -> list[Any]:
    """What somebody still has to come: service, resource_id."""
    return await tx.fetch(
        "SELECT DISTINCT service, resource_id FROM claims WHERE holder_no = $1 AND is_active "
        "AND ends_at > now() AND starts_at > now() AND resource_id IS NOT NULL AND state <> 'attended'",
        holder_no,
    )


async def still_waits(tx: Tx, holder_no: int) -> list[uuid.UUID]:
    """The groups with which somebody stands on a list."""
    rows = await tx.fetch("SELECT DISTINCT group_id FROM waits WHERE holders @> ARRAY[$1::bigint]", holder_no)
    return [row["group_id"] for row in rows]


async def forget_refusals(tx: Tx, holder_no: int) -> int:
    """Forget why somebody was refused."""
    return await tx.execute("DELETE FROM refused WHERE holder_nos @> ARRAY[$1::bigint]", holder_no)
