"""Rounds, outcomes at doors, and welfare checks."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import date, datetime
from typing import Any

from services.elder_meals.sql.orders import LIVES
from shared import errors
from shared.db import Referees, Tx, referee

_REFEREES: Referees = dict.fromkeys(("one_end_per_order", "one_outcome_of_a_kind_per_moment"), errors.AlreadyRecorded)


async def couriers(
    tx: Tx, person_ids: Sequence[uuid.UUID], community: str, place_id: uuid.UUID
) -> dict[uuid.UUID, int]:
    """Accounts of those of these people who are couriers there."""
    rows = await tx.fetch(
        "SELECT a.person_id, a.no FROM accounts a WHERE a.person_id = ANY($1::uuid[]) AND EXISTS ("
        "SELECT 1 FROM roles r WHERE r.account_no = a.no AND r.role IN ('courier', 'kitchen', 'staff', 'manager', 'operator', "
        "'volunteer') AND starts_with($2, r.prefix) AND (r.place_id IS NULL OR r.place_id = $3) "
        "AND r.starts_at <= now() AND (r.ends_at IS NULL OR r.ends_at > now()))",
        list(person_ids),
        community,
        place_id,
    )
    return {row[0]: row[1] for row in rows}


async def window(tx: Tx, slot_id: uuid.UUID, *, locked: bool = False) -> Any | None:
    """A kitchen's window; whoever plans its rounds locks it."""
    return await tx.row(
        "SELECT s.id, s.place_id, (s.starts_at AT TIME ZONE 'Asia/Shanghai')::date AS day FROM slots s "
        "WHERE s.id = $1 AND s.service = 'elder-meals' AND s.subject_id IS NULL"
        + (" FOR NO KEY UPDATE" if locked else ""),
        slot_id,
    )


async def forget_open_stops(tx: Tx, slot_id: uuid.UUID) -> int:
    """Take off their rounds the doors of a window that nobody has been to; rounds that become empty go. Rounds that stay."""
    await tx.execute(
        "DELETE FROM stops s USING rounds r, meal_orders o WHERE r.id = s.round_id AND r.slot_id = $1 "
        "AND o.id = s.order_id AND o.outcome IS NULL",
        slot_id,
    )
    await tx.execute(
        "DELETE FROM rounds r WHERE r.slot_id = $1 AND NOT EXISTS (SELECT 1 FROM stops s WHERE s.round_id = r.id)",
        slot_id,
    )
    return int(await tx.value("SELECT coalesce(max(n), 0) FROM rounds WHERE slot_id = $1", slot_id))


async def planned(tx: Tx, order_ids: Sequence[uuid.UUID]) -> set[uuid.UUID]:
    """Which of these orders are on a round."""
    rows = await tx.fetch("SELECT order_id FROM stops WHERE order_id = ANY($1::uuid[])", list(order_ids))
    return {row[0] for row in rows}


async def insert_round(tx: Tx, values: Sequence[Any], order_ids: Sequence[uuid.UUID]) -> uuid.UUID:
    """A round with its doors in this order: place, community, slot, day, number, courier, who made it."""
    made: uuid.UUID = await tx.value(
        "INSERT INTO rounds (place_id, community, slot_id, day, n, courier_no, made_by) VALUES ($1, $2, $3, $4, $5, $6, $7) "
        "RETURNING id",
        *values,
    )
    await tx.execute(
        "INSERT INTO stops (order_id, round_id, n, community) SELECT t.order_id, $2, t.n, $3 "
        "FROM unnest($1::uuid[]) WITH ORDINALITY AS t(order_id, n)",
        list(order_ids),
        made,
        values[1],
    )
    return made


_ROUND = f"""
    SELECT r.id, r.place_id, r.community, r.slot_id, r.day, r.n, r.courier_no, p.name AS place_name, p.lat, p.lon,
           w.starts_at, w.ends_at, h.id AS courier_id, h.name AS courier_name,
           (SELECT count(*) FROM stops s WHERE s.round_id = r.id) AS total,
           (SELECT count(*) FROM stops s JOIN meal_orders o ON o.id = s.order_id
            WHERE s.round_id = r.id AND (o.outcome IS NULL OR o.outcome = 'unanswered') AND {LIVES}) AS open
    FROM rounds r JOIN places p ON p.id = r.place_id JOIN slots w ON w.id = r.slot_id
    LEFT JOIN accounts a ON a.no = r.courier_no LEFT JOIN holders h ON h.id = a.person_id
"""


async def rounds(tx: Tx, *, day: date | None = None, slot_id: uuid.UUID | None = None) -> list[Any]:
    """Rounds of a day or of a window."""
    return await tx.fetch(
        _ROUND + " WHERE ($1::date IS NULL OR r.day = $1) AND ($2::uuid IS NULL OR r.slot_id = $2) "
        "ORDER BY r.day, r.slot_id, r.n LIMIT 2000",
        day,
        slot_id,
    )


async def round_(tx: Tx, round_id: uuid.UUID) -> Any | None:
    """One round."""
    return await tx.row(_ROUND + " WHERE r.id = $1", round_id)


async def stops(tx: Tx, round_id: uuid.UUID) -> list[Any]:
    """The doors of a round in their order, with whose they are."""
    return await tx.fetch(
        "SELECT o.id, o.no, o.portions, o.region, o.sealed, o.outcome, o.person_id, h.name, "
        "(SELECT c.state FROM claims c WHERE c.group_id = o.group_id AND c.slot_id = o.slot_id "
        "ORDER BY c.is_active DESC, c.id LIMIT 1) AS state "
        "FROM stops s JOIN meal_orders o ON o.id = s.order_id JOIN holders h ON h.no = o.holder_no "
        "WHERE s.round_id = $1 ORDER BY s.n",
        round_id,
    )


async def courier_of(tx: Tx, order_id: uuid.UUID) -> Any | None:
    """The round an order is on: id and courier_no."""
    return await tx.row(
        "SELECT r.id, r.courier_no FROM stops s JOIN rounds r ON r.id = s.round_id WHERE s.order_id = $1", order_id
    )


async def insert_outcome(tx: Tx, values: Sequence[Any]) -> None:
    """Add what happened at a door: id, order, community, kind, at, account, sealed."""
    with referee(_REFEREES):
        await tx.execute(
            "INSERT INTO meal_outcomes (id, order_id, community, kind, at, account_no, sealed) VALUES ($1, $2, $3, $4, $5, $6, $7)",
            *values,
        )


async def open_check(tx: Tx, values: Sequence[Any]) -> uuid.UUID | None:
    """A welfare check for an elder who has none open: person, holder, place, community, order, begin, ladder, due."""
    made: uuid.UUID | None = await tx.value(
        "INSERT INTO welfare_checks (person_id, holder_no, place_id, community, order_id, opened_at, ladder, due_at) "
        "VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT DO NOTHING RETURNING id",
        *values,
    )
    return made


async def last_check(tx: Tx, person_id: uuid.UUID) -> Any | None:
    """The newest welfare check of an elder, locked, which is the open one if there is one: id, closed_at, ended_at.

    It ended when whoever closed it says so, and was closed when that was heard.
    """
    return await tx.row(
        "SELECT id, closed_at, (SELECT max(t.at) FROM welfare_steps t WHERE t.check_id = w.id AND t.kind = 'closed') AS ended_at "
        "FROM welfare_checks w WHERE person_id = $1 ORDER BY closed_at DESC NULLS FIRST, id DESC LIMIT 1 FOR NO KEY UPDATE",
        person_id,
    )


async def last_shut(tx: Tx, person_id: uuid.UUID) -> datetime | None:
    """When an elder's door was last found shut, whichever meal it was."""
    found: datetime | None = await tx.value(
        "SELECT max(t.at) FROM meal_orders o JOIN meal_outcomes t ON t.order_id = o.id "
        "WHERE o.person_id = $1 AND t.kind = 'unanswered'",
        person_id,
    )
    return found


_CHECK = """
    SELECT w.id, w.person_id, w.holder_no, w.place_id, w.community, w.order_id, w.state, w.opened_at, w.ladder, w.rung,
           w.due_at, w.closed_at, w.outcome, w.made_at, h.name AS person_name, p.name AS place_name
    FROM welfare_checks w JOIN holders h ON h.no = w.holder_no JOIN places p ON p.id = w.place_id
"""


async def check(tx: Tx, check_id: uuid.UUID, *, locked: bool = False) -> Any | None:
    """One welfare check."""
    return await tx.row(_CHECK + " WHERE w.id = $1" + (" FOR NO KEY UPDATE OF w" if locked else ""), check_id)


async def checks(
    tx: Tx,
    *,
    roles: Sequence[tuple[str, uuid.UUID | None, bool]],
    seen_since: datetime,
    holders: Sequence[int],
    state: str | None,
    after: uuid.UUID | None,
    limit: int,
) -> list[Any]:
    """Welfare checks of these elders, or in the reach of these roles (prefix, place, whether old ones, too); newest first."""
    return await tx.fetch(
        _CHECK
        + " WHERE (w.holder_no = ANY($1::bigint[]) OR EXISTS (SELECT 1 FROM unnest($2::text[], $3::uuid[], $4::bool[]) "
        "AS r(prefix, place_id, is_staff) WHERE starts_with(w.community, r.prefix) "
        "AND (r.place_id IS NULL OR r.place_id = w.place_id) "
        "AND (r.is_staff OR w.closed_at IS NULL OR w.closed_at > $5))) "
        "AND ($6::text IS NULL OR w.state = $6) AND ($7::uuid IS NULL OR w.id < $7) ORDER BY w.id DESC LIMIT $8",
        list(holders),
        [prefix for prefix, _, _ in roles],
        [place for _, place, _ in roles],
        [is_staff for _, _, is_staff in roles],
        seen_since,
        state,
        after,
        limit,
    )


async def due_checks(tx: Tx, most: int) -> list[uuid.UUID]:
    """Open welfare checks of which something is due."""
    rows = await tx.fetch(
        "SELECT id FROM welfare_checks WHERE due_at <= now() AND state = 'open' ORDER BY due_at, id LIMIT $1", most
    )
    return [row[0] for row in rows]


async def due_check(tx: Tx, check_id: uuid.UUID) -> Any | None:
    """An open welfare check that is due, locked; None when somebody else is at it or it is not due any more."""
    return await tx.row(
        _CHECK + " WHERE w.id = $1 AND w.state = 'open' AND w.due_at <= now() FOR NO KEY UPDATE OF w SKIP LOCKED",
        check_id,
    )


async def climb(tx: Tx, check_id: uuid.UUID, rung: int, due_at: datetime | None) -> None:
    """The next rung of a locked check, and when it is due."""
    await tx.execute("UPDATE welfare_checks SET rung = $2, due_at = $3 WHERE id = $1", check_id, rung, due_at)


async def close_check(tx: Tx, check_id: uuid.UUID, outcome: str, at: datetime) -> None:
    """Close a locked check, with its reason."""
    await tx.execute(
        "UPDATE welfare_checks SET state = 'closed', closed_at = $3, outcome = $2, due_at = NULL WHERE id = $1",
        check_id,
        outcome,
        at,
    )


async def insert_step(tx: Tx, values: Sequence[Any]) -> None:
    """Add a step: id, check, community, kind, rung, outcome, at, account, sealed."""
    await tx.execute(
        "INSERT INTO welfare_steps (id, check_id, community, kind, rung, outcome, at, account_no, sealed) "
        "VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        *values,
    )


async def steps(tx: Tx, check_ids: Sequence[uuid.UUID]) -> dict[uuid.UUID, list[Any]]:
    """Steps of these checks in the order in which they were written."""
    rows = await tx.fetch(
        "SELECT id, check_id, kind, rung, outcome, at, sealed FROM welfare_steps WHERE check_id = ANY($1::uuid[]) "
        "ORDER BY check_id, made_at, id",
        list(check_ids),
    )
    found: dict[uuid.UUID, list[Any]] = {}
    for row in rows:
        found.setdefault(row["check_id"], []).append(row)
    return found
