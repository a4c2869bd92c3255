"""When a place is open and by which rules: schedules, policies, the calendar."""

from __future__ import annotations

import uuid
from collections.abc import Collection
from datetime import date, datetime
from typing import Any, NamedTuple

from shared.db import Tx, referee
from shared.places.rules import Line, Policy, policy_body, policy_of, schedule_of
from shared.places.sql import constraints


class Schedule(NamedTuple):
    """A place's lines and their version; 0 when nobody has written any."""

    version: int
    lines: list[Line]


async def schedule(tx: Tx, place_id: uuid.UUID) -> Schedule:
    """The schedule in force."""
    row = await tx.row("SELECT version, body FROM schedules WHERE place_id = $1", place_id)
    return Schedule(row["version"], schedule_of(row["body"])) if row else Schedule(0, [])


async def write_schedule(tx: Tx, place_id: uuid.UUID, version: int, body: dict[str, Any]) -> None:
    """Replace the schedule."""
    await tx.execute(
        "INSERT INTO schedules (place_id, version, body) VALUES ($1, $2, $3) ON CONFLICT (place_id) DO UPDATE "
        "SET version = excluded.version, body = excluded.body, changed_at = now()",
        place_id,
        version,
        body,
    )


class Ruling(NamedTuple):
    """One version of a place's policy; version 0 is the house's default, not yet written."""

    id: uuid.UUID | None
    version: int
    policy: Policy
    made_at: datetime | None


async def policy(tx: Tx, place_id: uuid.UUID, version: int | None = None) -> Ruling | None:
    """The policy in force, or an older version of it."""
    row = await tx.row(
        "SELECT id, version, body, made_at FROM policies WHERE place_id = $1 AND ($2::int IS NULL OR version = $2) "
        "ORDER BY version DESC LIMIT 1",
        place_id,
        version,
    )
    if row is None:
        return None if version else Ruling(None, 0, Policy(), None)
    return Ruling(row["id"], row["version"], policy_of(row["body"]), row["made_at"])


async def insert_policy(
    tx: Tx, place_id: uuid.UUID, version: int, rules: Policy, made_by: uuid.UUID | None
) -> uuid.UUID:
    """The next version."""
    made: uuid.UUID = await tx.value(
        "INSERT INTO policies (place_id, version, body, made_by) VALUES ($1, $2, $3, $4) RETURNING id",
        place_id,
        version,
        policy_body(rules),
        made_by,
    )
    return made


class TermsOf(NamedTuple):
    """One version of a place's terms in its service's own words; version 0 says nothing, so all of it is the default."""

    version: int
    body: dict[str, Any]
    made_at: datetime | None


async def terms_of(tx: Tx, place_id: uuid.UUID, version: int | None = None) -> TermsOf | None:
    """A place's terms in force, or an older version of them."""
    row = await tx.row(
        "SELECT version, body, made_at FROM terms WHERE place_id = $1 AND ($2::int IS NULL OR version = $2) "
        "ORDER BY version DESC LIMIT 1",
        place_id,
        version,
    )
    if row is None:
        return None if version else TermsOf(0, {}, None)
    return TermsOf(*row)


async def terms(tx: Tx, place_ids: Collection[uuid.UUID]) -> dict[uuid.UUID, tuple[int, dict[str, Any]]]:
    """Version and body of the terms in force; places that were given none are missing."""
    rows = await tx.fetch(
        "SELECT t.place_id, t.version, t.body FROM unnest($1::uuid[]) AS p(id) CROSS JOIN LATERAL "
        "(SELECT * FROM terms WHERE place_id = p.id ORDER BY version DESC LIMIT 1) t",
        list(set(place_ids)),
    )
    return {row[0]: (row[1], row[2]) for row in rows}


async def insert_terms(
    tx: Tx, place_id: uuid.UUID, version: int, body: dict[str, Any], made_by: uuid.UUID | None
) -> None:
    """The next version."""
    with referee(constraints.REFEREES):
        await tx.execute(
            "INSERT INTO terms (place_id, version, body, made_by) VALUES ($1, $2, $3, $4)",
            place_id,
            version,
            body,
            made_by,
        )


async def day_kinds(tx: Tx, first: date, last: date) -> dict[date, str]:
    """What the calendar says of these dates, where it says anything."""
    return dict(await tx.fetch("SELECT date, kind FROM days WHERE date BETWEEN $1 AND $2", first, last))
