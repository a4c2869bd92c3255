"""Elders: who they are to the ledger, what is known of them, their standing orders and absences."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import date, datetime
from typing import Any

from services.elder_meals import rules
from shared import errors
from shared.db import Referees, Tx, referee

_REFEREES: Referees = {
    "one_active_standing_order_per_window": errors.Exists,
    "standing_order_starts_before_it_ends": lambda: errors.Unprocessable.at("/until", "order"),
}


async def person(tx: Tx, person_id: uuid.UUID) -> Any | None:
    """A person as the ledger knows them: no, id, name, community."""
    return await tx.row("SELECT no, id, name, community FROM holders WHERE id = $1 AND kind = 'person'", person_id)


async def people(tx: Tx, ids: Sequence[uuid.UUID]) -> dict[uuid.UUID, Any]:
    """People by id: no, id, name."""
    rows = await tx.fetch("SELECT no, id, name FROM holders WHERE id = ANY($1::uuid[])", list(ids))
    return {row["id"]: row for row in rows}


async def profile(tx: Tx, person_id: uuid.UUID, *, locked: bool = False) -> Any | None:
    """What is known of an elder, sealed: version, sealed."""
    return await tx.row(
        "SELECT version, sealed FROM elder_profiles WHERE person_id = $1" + (" FOR NO KEY UPDATE" if locked else ""),
        person_id,
    )


async def profiles(tx: Tx, person_ids: Sequence[uuid.UUID]) -> dict[uuid.UUID, bytes]:
    """What is known of these elders, sealed."""
    rows = await tx.fetch(
        "SELECT person_id, sealed FROM elder_profiles WHERE person_id = ANY($1::uuid[])", list(person_ids)
    )
    return {row["person_id"]: row["sealed"] for row in rows}


async def begin_profile(tx: Tx, person_id: uuid.UUID, community: str, sealed: bytes, account_no: int) -> bool:
    """The first profile of an elder; False when there is one."""
    return bool(
        await tx.execute(
            "INSERT INTO elder_profiles (person_id, community, sealed, changed_by) VALUES ($1, $2, $3, $4) "
            "ON CONFLICT DO NOTHING",
            person_id,
            community,
            sealed,
            account_no,
        )
    )


async def write_profile(tx: Tx, person_id: uuid.UUID, community: str, sealed: bytes, account_no: int) -> None:
    """The next version of a locked profile."""
    await tx.execute(
        "UPDATE elder_profiles SET community = $2, sealed = $3, changed_by = $4, changed_at = now(), version = version + 1 "
        "WHERE person_id = $1",
        person_id,
        community,
        sealed,
        account_no,
    )


_STANDING = (
    "id, place_id, community, account_no, person_id, holder_no, weekdays, title, lines, starts_on, until, state, version, "
    "made_at"
)


async def insert_standing(tx: Tx, values: Sequence[Any]) -> uuid.UUID:
    """A new standing order."""
    with referee(_REFEREES):
        made: uuid.UUID = await tx.value(
            "INSERT INTO standing_orders (place_id, community, account_no, person_id, holder_no, weekdays, title, lines, "
            "starts_on, until) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) RETURNING id",
            *values,
        )
    return made


async def update_standing(tx: Tx, standing_id: uuid.UUID, values: Sequence[Any]) -> None:
    """Say a locked standing order anew: account, weekdays, title, lines, begin and end."""
    with referee(_REFEREES):
        await tx.execute(
            "UPDATE standing_orders SET account_no = $2, weekdays = $3, title = $4, lines = $5, starts_on = $6, until = $7, "
            "version = version + 1 WHERE id = $1",
            standing_id,
            *values,
        )


async def end_standing(tx: Tx, standing_id: uuid.UUID) -> None:
    """End a standing order; what it has ordered stays."""
    await tx.execute(
        "UPDATE standing_orders SET state = 'ended', version = version + 1 WHERE id = $1 AND state = 'active'",
        standing_id,
    )


async def orphaned(tx: Tx, limit: int) -> list[Any]:
    """Standing orders of whoever may not speak for the elder any more, locked, each with an open account of the elder's.

    At the desk that is whoever has no role of the staff there any more.
    """
    return await tx.fetch(
        """
        SELECT s.id, s.community, s.holder_no, (
            SELECT min(e.no) FROM accounts e WHERE e.person_id = s.person_id AND e.closed_at IS NULL) AS elders_account
        FROM standing_orders s JOIN accounts a ON a.no = s.account_no
        WHERE s.state = 'active' AND CASE WHEN s.lines->>'channel' = 'app' THEN a.person_id IS DISTINCT FROM s.person_id
          AND NOT EXISTS (
            SELECT FROM relations r WHERE r.actor_id = a.person_id AND r.person_id = s.person_id AND r.starts_at <= now()
            AND (r.ends_at IS NULL OR r.ends_at > now()) AND (r.services IS NULL OR 'elder-meals' = ANY (r.services)))
          ELSE NOT EXISTS (
            SELECT FROM roles r WHERE r.account_no = s.account_no AND r.role IN ('staff', 'manager', 'operator')
            AND starts_with(s.community, r.prefix) AND (r.place_id IS NULL OR r.place_id = s.place_id)
            AND r.starts_at <= now() AND (r.ends_at IS NULL OR r.ends_at > now())) END
        ORDER BY s.id LIMIT $1 FOR NO KEY UPDATE OF s SKIP LOCKED
        """,
        limit,
    )


async def pass_standings(tx: Tx, rows: Sequence[tuple[uuid.UUID, int]]) -> None:
    """From now on these are asked for in the name of their elders, and not from the desk: (standing order, account)."""
    await tx.execute(
        "WITH begun AS (UPDATE standing_runs SET body = body - 'channel' WHERE state = 'asking' AND standing_id = ANY($1)) "
        "UPDATE standing_orders s SET account_no = t.account_no, version = version + 1, "
        """lines = s.lines || '{"channel": "app"}' """
        "FROM unnest($1::uuid[], $2::bigint[]) AS t(id, account_no) WHERE s.id = t.id",
        [one for one, _ in rows],
        [account_no for _, account_no in rows],
    )


async def standing(tx: Tx, standing_id: uuid.UUID, *, locked: bool = False) -> Any | None:
    """One standing order."""
    return await tx.row(
        f"SELECT {_STANDING} FROM standing_orders WHERE id = $1" + (" FOR NO KEY UPDATE" if locked else ""), standing_id
    )


async def standings(
    tx: Tx,
    *,
    holders: Sequence[int] | None,
    prefixes: Sequence[str],
    person_id: uuid.UUID | None,
    place_id: uuid.UUID | None,
    after: uuid.UUID | None,
    limit: int,
) -> list[Any]:
    """Standing orders, the newest first. `holders` None asks as staff of `prefixes`."""
    return await tx.fetch(
        f"SELECT {_STANDING} FROM standing_orders WHERE ($1::bigint[] IS NULL OR holder_no = ANY($1)) "
        "AND ($1 IS NOT NULL OR community LIKE ANY (SELECT p || '%' FROM unnest($2::text[]) p)) "
        "AND ($3::uuid IS NULL OR person_id = $3) AND ($4::uuid IS NULL OR place_id = $4) "
        "AND ($5::uuid IS NULL OR id < $5) ORDER BY id DESC LIMIT $6",
        holders,
        list(prefixes),
        person_id,
        place_id,
        after,
        limit,
    )


async def runs(tx: Tx, standing_ids: Sequence[uuid.UUID], since: date) -> dict[uuid.UUID, list[Any]]:
    """What became of these standing orders since that day."""
    rows = await tx.fetch(
        "SELECT standing_id, day, state, code, order_id FROM standing_runs WHERE standing_id = ANY($1::uuid[]) AND day >= $2 "
        "ORDER BY standing_id, day",
        list(standing_ids),
        since,
    )
    found: dict[uuid.UUID, list[Any]] = {}
    for row in rows:
        found.setdefault(row["standing_id"], []).append(row)
    return found


async def active_standings(tx: Tx, today: date) -> list[Any]:
    """Standing orders that may want something from today on."""
    return await tx.fetch(
        f"SELECT {_STANDING} FROM standing_orders WHERE state = 'active' AND (until IS NULL OR until >= $1) ORDER BY id",
        today,
    )


async def ran(tx: Tx, standing_ids: Sequence[uuid.UUID], first: date) -> set[tuple[uuid.UUID, date]]:
    """The days on which these standing orders have asked already."""
    rows = await tx.fetch(
        "SELECT standing_id, day FROM standing_runs WHERE standing_id = ANY($1::uuid[]) AND day >= $2",
        list(standing_ids),
        first,
    )
    return {(row[0], row[1]) for row in rows}


async def begin_run(
    tx: Tx, standing_id: uuid.UUID, day: date, community: str, state: str, code: str | None, body: dict[str, Any]
) -> bool:
    """Write down that a standing order asks for a day, and with which words; False when somebody else has done so."""
    return bool(
        await tx.execute(
            "INSERT INTO standing_runs (standing_id, day, community, state, code, body) VALUES ($1, $2, $3, $4, $5, $6) "
            "ON CONFLICT DO NOTHING",
            standing_id,
            day,
            community,
            state,
            code,
            body,
        )
    )


async def end_run(
    tx: Tx, standing_id: uuid.UUID, day: date, state: str, code: str | None, order_id: uuid.UUID | None
) -> bool:
    """What became of it; False when somebody else has written that down."""
    return bool(
        await tx.execute(
            "UPDATE standing_runs SET state = $3, code = $4, order_id = $5, changed_at = now() "
            "WHERE standing_id = $1 AND day = $2 AND state = 'asking'",
            standing_id,
            day,
            state,
            code,
            order_id,
        )
    )


async def asking(tx: Tx) -> list[Any]:
    """Runs of which nobody knows yet what became of them."""
    return await tx.fetch(
        "SELECT standing_id, day FROM standing_runs WHERE state = 'asking' ORDER BY day, standing_id LIMIT 1000"
    )


async def held_run(tx: Tx, standing_id: uuid.UUID, day: date) -> Any | None:
    """Such a run with its standing order, held together; None when somebody else holds them, or has settled it."""
    return await tx.row(
        "SELECT r.standing_id, r.day, r.body, r.changed_at, s.account_no, s.holder_no, s.person_id, s.community, s.weekdays, "
        "s.starts_on, s.until, s.state FROM standing_runs r JOIN standing_orders s ON s.id = r.standing_id "
        "WHERE r.standing_id = $1 AND r.day = $2 AND r.state = 'asking' FOR NO KEY UPDATE SKIP LOCKED",
        standing_id,
        day,
    )


async def order_of(tx: Tx, person_id: uuid.UUID, slot_id: uuid.UUID, since: datetime) -> uuid.UUID | None:
    """The first order that was made for an elder out of a window since then, whatever became of it."""
    found: uuid.UUID | None = await tx.value(
        "SELECT id FROM meal_orders WHERE person_id = $1 AND slot_id = $2 AND made_at >= $3 ORDER BY made_at LIMIT 1",
        person_id,
        slot_id,
        since,
    )
    return found


async def hold_standings(tx: Tx, person_id: uuid.UUID) -> None:
    """Hold what orders by itself for an elder: no ask is under way from here on."""
    await tx.execute(
        "SELECT FROM standing_orders WHERE person_id = $1 AND state = 'active' ORDER BY id FOR NO KEY UPDATE", person_id
    )


async def ask_again(tx: Tx, person_id: uuid.UUID, first: date, last: date) -> None:
    """Ask after all for what was left out on these days because the elder was away."""
    await tx.execute(
        "UPDATE standing_runs r SET state = 'asking', code = NULL, changed_at = now() FROM standing_orders s "
        "WHERE s.id = r.standing_id AND s.person_id = $1 AND r.day BETWEEN $2 AND $3 AND r.code = $4",
        person_id,
        first,
        last,
        rules.AWAY,
    )


async def refused(tx: Tx, person_id: uuid.UUID, first: date, codes: Sequence[str]) -> list[Any]:
    """Days from this one on that an elder's standing orders did not get for one of these reasons: the orders, and day."""
    return await tx.fetch(
        f"SELECT {_STANDING}, day FROM standing_orders JOIN (SELECT standing_id, day FROM standing_runs WHERE day >= $2 "
        "AND state = 'refused' AND code = ANY($3::text[])) r ON r.standing_id = id "
        "WHERE person_id = $1 AND state = 'active' ORDER BY id, day",
        person_id,
        first,
        list(codes),
    )


async def begin_again(tx: Tx, standing_id: uuid.UUID, day: date, body: dict[str, Any]) -> None:
    """Ask after all, with these words, for a day that was refused; the standing order is held."""
    await tx.execute(
        "UPDATE standing_runs SET state = 'asking', code = NULL, body = $3, changed_at = now() "
        "WHERE standing_id = $1 AND day = $2 AND state = 'refused'",
        standing_id,
        day,
        body,
    )


async def insert_absence(
    tx: Tx, person_id: uuid.UUID, community: str, account_no: int, first: date, last: date
) -> uuid.UUID:
    """An absence, said now; for the same days it is the one there is, so that taking it back leaves none."""
    made: uuid.UUID = await tx.value(
        "INSERT INTO absences (person_id, community, account_no, first, last, made_at) "
        "VALUES ($1, $2, $3, $4, $5, clock_timestamp()) ON CONFLICT (person_id, first, last) WHERE state = 'active' "
        "DO UPDATE SET made_at = clock_timestamp() RETURNING id",
        person_id,
        community,
        account_no,
        first,
        last,
    )
    return made


_ABSENCE = "id, person_id, community, first, last, state, made_at"


async def absence(tx: Tx, absence_id: uuid.UUID) -> Any | None:
    """One absence."""
    return await tx.row(f"SELECT {_ABSENCE} FROM absences WHERE id = $1", absence_id)


async def absences(
    tx: Tx,
    *,
    person_ids: Sequence[uuid.UUID] | None,
    prefixes: Sequence[str],
    person_id: uuid.UUID | None,
    after: uuid.UUID | None,
    limit: int,
) -> list[Any]:
    """Absences, the newest first. `person_ids` None asks as staff of `prefixes`."""
    return await tx.fetch(
        f"SELECT {_ABSENCE} FROM absences WHERE ($1::uuid[] IS NULL OR person_id = ANY($1)) "
        "AND ($1 IS NOT NULL OR community LIKE ANY (SELECT p || '%' FROM unnest($2::text[]) p)) "
        "AND ($3::uuid IS NULL OR person_id = $3) AND ($4::uuid IS NULL OR id < $4) ORDER BY id DESC LIMIT $5",
        None if person_ids is None else list(person_ids),
        list(prefixes),
        person_id,
        after,
        limit,
    )


async def withdraw_absence(tx: Tx, absence_id: uuid.UUID) -> None:
    """The elder is there after all."""
    await tx.execute("UPDATE absences SET state = 'withdrawn' WHERE id = $1", absence_id)


async def away(tx: Tx, person_ids: Sequence[uuid.UUID], first: date, last: date) -> list[Any]:
    """Absences of these people that meet these days: person_id, first, last, made_at."""
    return await tx.fetch(
        "SELECT person_id, first, last, made_at FROM absences WHERE person_id = ANY($1::uuid[]) AND state = 'active' "
        "AND first <= $3 AND last >= $2",
        list(person_ids),
        first,
        last,
    )
