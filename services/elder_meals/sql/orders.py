"""Orders and their lines."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Mapping, Sequence
from datetime import date, datetime
from typing import Any, NamedTuple

from shared.db import Tx


async def elders_and_dishes(
    tx: Tx, holder_nos: Collection[int], dish_ids: Collection[uuid.UUID]
) -> tuple[dict[int, Any], dict[uuid.UUID, Any]]:
    """Those who are to eat and what, in one look.

    Elders by number: community, and what is known of them, sealed (None when nothing is). Dishes by id, offered or not, with
    the terms in force of their kitchens: terms_version and terms (None: none were said).
    """
    rows = await tx.fetch(
        """
        SELECT e.*, d.*
        FROM (
            SELECT h.no, h.community, p.sealed FROM holders h LEFT JOIN elder_profiles p ON p.person_id = h.id
            WHERE h.no = ANY($1::bigint[])
        ) e
        FULL JOIN (
            SELECT id, place_id, name, allergens, texture, diets, price_fen, t.terms_version, t.terms
            FROM dishes LEFT JOIN LATERAL (
                SELECT w.version AS terms_version, w.body AS terms FROM terms w WHERE w.place_id = dishes.place_id
                ORDER BY w.version DESC LIMIT 1
            ) t ON true
            WHERE id = ANY($2::uuid[])
        ) d ON false -- neither is asked about the other
        """,
        list(holder_nos),
        list(dish_ids),
    )
    return (
        {row["no"]: row for row in rows if row["no"] is not None},
        {row["id"]: row for row in rows if row["id"] is not None},
    )


async def insert_orders(tx: Tx, rows: Sequence[Mapping[str, Any]]) -> dict[uuid.UUID, int]:
    """Orders with their `lines` as they are decided; the number that each box got, by order.

    They are told as one JSON: an order has too many columns for one array each. `sealed` is told in base64.
    """
    made = await tx.fetch(
        """
        WITH told AS (
            SELECT * FROM json_to_recordset($1) AS o(id uuid, group_id uuid, place_id uuid, community text, account_no bigint,
                slot_id uuid, holder_no bigint, person_id uuid, day date, starts_at timestamptz, portions int,
                terms_version int, band smallint, price_fen int, subsidy_fen int, fee_fen int, pay_fen int, region text,
                sealed text, lines json)
        ), lines AS (
            INSERT INTO meal_lines (order_id, n, community, dish_id, portions, price_fen, subsidy_fen, pay_fen, why)
            SELECT o.id, l.n, o.community, l.dish_id, l.portions, l.price_fen, l.subsidy_fen, l.pay_fen, l.why
            FROM told o, json_to_recordset(o.lines) AS l(n smallint, dish_id uuid, portions int, price_fen int,
                subsidy_fen int, pay_fen int, why jsonb)
        )
        INSERT INTO meal_orders (id, group_id, place_id, community, account_no, slot_id, holder_no, person_id, day, starts_at,
                                 portions, terms_version, band, price_fen, subsidy_fen, fee_fen, pay_fen, region, sealed)
        SELECT id, group_id, place_id, community, account_no, slot_id, holder_no, person_id, day, starts_at, portions,
               terms_version, band, price_fen, subsidy_fen, fee_fen, pay_fen, region, decode(sealed, 'base64') FROM told
        RETURNING id, no
        """,
        rows,
    )
    return {row["id"]: row["no"] for row in made}


async def lines(tx: Tx, order_ids: Sequence[uuid.UUID]) -> dict[uuid.UUID, list[Any]]:
    """Lines with the names of their dishes, by order."""
    rows = await tx.fetch(
        "SELECT l.order_id, l.n, l.dish_id, d.name, l.portions, l.price_fen, l.subsidy_fen, l.pay_fen, l.why "
        "FROM meal_lines l JOIN dishes d ON d.id = l.dish_id WHERE l.order_id = ANY($1::uuid[]) ORDER BY l.order_id, l.n",
        list(order_ids),
    )
    found: dict[uuid.UUID, list[Any]] = {}
    for row in rows:
        found.setdefault(row["order_id"], []).append(row)
    return found


async def sealed(tx: Tx, order_ids: Sequence[uuid.UUID]) -> dict[uuid.UUID, Any]:
    """What is sealed of these orders, and their way: id, sealed, round_id."""
    rows = await tx.fetch(
        "SELECT o.id, o.sealed, s.round_id FROM meal_orders o LEFT JOIN stops s ON s.order_id = o.id "
        "WHERE o.id = ANY($1::uuid[])",
        list(order_ids),
    )
    return {row["id"]: row for row in rows}


async def order(tx: Tx, order_id: uuid.UUID, *, locked: bool = False) -> Any | None:
    """One order, for whoever brings it; it ends with its window."""
    return await tx.row(
        "SELECT id, no, group_id, place_id, community, account_no, slot_id, holder_no, person_id, day, starts_at, portions, "
        "region, sealed, outcome, outcome_at, made_at, (SELECT s.ends_at FROM slots s WHERE s.id = o.slot_id) AS ends_at "
        "FROM meal_orders o WHERE id = $1" + (" FOR NO KEY UPDATE" if locked else ""),
        order_id,
    )


async def set_outcome(tx: Tx, order_id: uuid.UUID, outcome: str, at: datetime) -> None:
    """What happened to a meal last."""
    await tx.execute("UPDATE meal_orders SET outcome = $2, outcome_at = $3 WHERE id = $1", order_id, outcome, at)


async def left_at(tx: Tx, group_id: uuid.UUID) -> datetime | None:
    """When a meal was given back; None while it is not."""
    found: datetime | None = await tx.value(
        "SELECT max(left_at) FROM claims WHERE group_id = $1 AND state <> 'lapsed' HAVING bool_and(state = 'released')",
        group_id,
    )
    return found


class Cap(NamedTuple):
    """What a proxy may spend for an elder in a month."""

    relation_id: uuid.UUID
    cap_fen: int


_IN_FORCE = (
    "r.starts_at <= clock_timestamp() AND (r.ends_at IS NULL OR r.ends_at > clock_timestamp()) "
    "AND (r.services IS NULL OR 'elder-meals' = ANY (r.services))"
)
"""By the clock: what was ended while this transaction was under way has ended."""


async def speaking(tx: Tx, pairs: Sequence[tuple[int, uuid.UUID]]) -> dict[tuple[int, uuid.UUID], Cap | None]:
    """Which of these accounts may act for these elders now, each with the cap of a proxy who has one.

    Of a child that has a guardian the arbiter has decided: an ask that waits outlives the guardian who made it.
    """
    rows = await tx.fetch(
        "SELECT k.no, k.person_id, r.id, r.cap_fen FROM unnest($1::bigint[], $2::uuid[]) AS k(no, person_id) "
        "JOIN accounts a ON a.no = k.no JOIN relations r ON r.person_id = k.person_id "
        f"AND (r.actor_id = a.person_id OR r.kind = 'guardian') WHERE {_IN_FORCE} ORDER BY r.cap_fen NULLS FIRST",
        [no for no, _ in pairs],
        [person_id for _, person_id in pairs],
    )
    return {(row[0], row[1]): Cap(row[2], row[3]) if row[3] is not None else None for row in rows}


async def hold_proxies(tx: Tx, relation_ids: Sequence[uuid.UUID], *, skip_locked: bool) -> set[uuid.UUID]:
    """Hold these proxies, so that their orders are weighed one after another; those that were had and still are proxies."""
    rows = await tx.fetch(
        f"WITH had AS (SELECT id FROM relations r WHERE id = ANY($1::uuid[]) AND {_IN_FORCE} ORDER BY id FOR NO KEY UPDATE"
        + (" SKIP LOCKED" if skip_locked else "")
        + ") UPDATE relations r SET used_at = now() FROM had WHERE r.id = had.id RETURNING r.id",
        relation_ids,
    )
    return {row[0] for row in rows}


LIVES = (
    "EXISTS (SELECT 1 FROM claims c WHERE c.group_id = o.group_id AND c.slot_id = o.slot_id "
    "AND c.state IN ('confirmed', 'attended'))"
)
"""Whether nobody has given the order `o` back."""


async def spent(tx: Tx, months: Sequence[tuple[int, uuid.UUID, date]]) -> dict[tuple[int, uuid.UUID, date], int]:
    """What is to be paid for meals of an elder that an account has ordered, by (account, elder, first day of a month)."""
    rows = await tx.fetch(
        "SELECT k.no, k.person_id, k.month, coalesce(sum(o.pay_fen), 0)::bigint "
        "FROM unnest($1::bigint[], $2::uuid[], $3::date[]) AS k(no, person_id, month) "
        "JOIN meal_orders o ON o.person_id = k.person_id AND o.account_no = k.no AND o.day >= k.month "
        "AND o.day < k.month + interval '1 month' AND EXISTS (SELECT 1 FROM claims c WHERE c.group_id = o.group_id "
        "AND c.slot_id = o.slot_id AND c.state IN ('confirmed', 'attended', 'no_show')) GROUP BY k.no, k.person_id, k.month",
        [one[0] for one in months],
        [one[1] for one in months],
        [one[2] for one in months],
    )
    return {(row[0], row[1], row[2]): row[3] for row in rows}


async def to_cook(tx: Tx, slot_ids: Sequence[uuid.UUID]) -> list[Any]:
    """Orders of these windows that nobody has cancelled, in the order of their numbers: id, no, slot_id, outcome, sealed."""
    return await tx.fetch(
        f"SELECT o.id, o.no, o.slot_id, o.outcome, o.sealed FROM meal_orders o WHERE o.slot_id = ANY($1::uuid[]) AND {LIVES} "
        "ORDER BY o.no",
        list(slot_ids),
    )


async def to_bring(tx: Tx, slot_id: uuid.UUID) -> list[Any]:
    """Orders of a window that go to a door and have come to no end, locked: id, region, sealed."""
    return await tx.fetch(
        f"SELECT o.id, o.region, o.sealed FROM meal_orders o WHERE o.slot_id = $1 AND o.region IS NOT NULL AND {LIVES} "
        "AND (o.outcome IS NULL OR o.outcome = 'unanswered') ORDER BY o.id FOR NO KEY UPDATE OF o",
        slot_id,
    )


async def of_person(tx: Tx, person_id: uuid.UUID, first: date, last: date) -> list[uuid.UUID]:
    """Orders of an elder on these days that nobody has cancelled."""
    rows = await tx.fetch(
        f"SELECT o.id FROM meal_orders o WHERE o.person_id = $1 AND o.day BETWEEN $2 AND $3 AND {LIVES} ORDER BY o.day, o.no",
        person_id,
        first,
        last,
    )
    return [row[0] for row in rows]
