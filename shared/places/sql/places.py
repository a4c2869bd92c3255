"""Places and what is in them."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import asyncpg

from shared import errors
from shared.db import Tx, referee
from shared.places.rules import Resource
from shared.places.sql import constraints
from shared.texts import say


@dataclass(frozen=True, slots=True)
class Place:
    """A place as it is stored, with what is in it. `metres` is how far off it is when that was asked."""

    id: uuid.UUID
    service: str
    kind: str
    name: str
    name_en: str | None
    community: str
    address: str | None
    lat: float | None
    lon: float | None
    state: str
    version: int
    metres: int | None
    resources: tuple[Resource, ...]


_PLACE = "p.id, p.service, p.kind, p.name, p.name_en, p.community, p.address, p.lat, p.lon, p.state, p.version"


async def place(tx: Tx, service: str, place_id: uuid.UUID) -> Place | None:
    """One place of this service."""
    row = await tx.row(
        f"SELECT {_PLACE}, NULL::int FROM places p WHERE p.id = $1 AND p.service = $2", place_id, service
    )
    return None if row is None else (await _with_resources(tx, [row]))[0]


async def locked_place(tx: Tx, place_id: uuid.UUID, service: str | None = None) -> Place | None:
    """One place, locked against everybody else who edits it, its schedule, its policy or its slots."""
    row = await tx.row(
        f"SELECT {_PLACE}, NULL::int FROM places p WHERE p.id = $1 AND ($2::text IS NULL OR p.service = $2) "
        "FOR NO KEY UPDATE",
        place_id,
        service,
    )
    return None if row is None else (await _with_resources(tx, [row]))[0]


async def place_ids(tx: Tx, service: str | None) -> list[uuid.UUID]:
    """All places of a service, or of all, that have a schedule."""
    rows = await tx.fetch(
        "SELECT p.id FROM places p JOIN schedules s ON s.place_id = p.id "
        "WHERE p.state = 'open' AND ($1::text IS NULL OR p.service = $1) ORDER BY p.id",
        service,
    )
    return [row[0] for row in rows]


class Whom(NamedTuple):
    """For whom places are looked for, and whether by a guardian of theirs."""

    holder_no: int
    is_guarded: bool


_ADMITS = """($2::bigint IS NULL OR NOT EXISTS (
    SELECT FROM (SELECT body -> 'audience' AS audience FROM policies WHERE place_id = p.id ORDER BY version DESC LIMIT 1) y
    WHERE ((y.audience ->> 'needs_guardian')::bool AND NOT $3::bool)
       OR NOT CASE WHEN jsonb_typeof(y.audience -> 'regions') = 'array' THEN EXISTS (
              SELECT FROM jsonb_array_elements_text(y.audience -> 'regions') r JOIN holders h ON h.no = $2
              WHERE starts_with(h.community, r)) ELSE true END))"""
"""Whether a place's policy is for a holder, as far as that can be told without their age and level, which are identity's."""


async def places(
    tx: Tx,
    service: str,
    *,
    whom: Whom | None = None,
    community: str | None,
    kind: str | None,
    after: tuple[str, uuid.UUID] | None,
    limit: int,
) -> list[Place]:
    """Places by name."""
    rows = await tx.fetch(
        f"SELECT {_PLACE}, NULL::int FROM places p WHERE p.service = $1 AND {_ADMITS} "
        "AND ($4::text IS NULL OR p.community LIKE $4 || '%') AND ($5::text IS NULL OR p.kind = $5) "
        "AND ($6::text IS NULL OR (p.name, p.id) > ($6, $7::uuid)) ORDER BY p.name, p.id LIMIT $8",
        service,
        whom.holder_no if whom else None,
        whom.is_guarded if whom else None,
        community,
        kind,
        after[0] if after else None,
        after[1] if after else None,
        limit,
    )
    return await _with_resources(tx, rows)


async def places_near(  # noqa: PLR0913 - the filters of one question
    tx: Tx,
    service: str,
    *,
    whom: Whom | None = None,
    lat: float,
    lon: float,
    metres: float,
    community: str | None,
    kind: str | None,
    after: tuple[int, uuid.UUID] | None,
    limit: int,
) -> list[Place]:
    """Places within so many metres as the crow flies (haversine on a sphere of 6,371 km), nearest first."""
    rows = await tx.fetch(
        f"""
        SELECT * FROM (
            SELECT {_PLACE}, round(12742000 * asin(least(1, sqrt(
                sin(radians(p.lat - $4) / 2) ^ 2
                + cos(radians($4)) * cos(radians(p.lat)) * sin(radians(p.lon - $5) / 2) ^ 2))))::int AS metres
            FROM places p
            WHERE p.service = $1 AND p.lat BETWEEN $4::float8 - 0.1 AND $4::float8 + 0.1 AND p.lon IS NOT NULL
              AND {_ADMITS}
              AND ($7::text IS NULL OR p.community LIKE $7 || '%') AND ($8::text IS NULL OR p.kind = $8)
        ) p
        WHERE p.metres <= $6 AND ($9::bigint IS NULL OR (p.metres, p.id) > ($9, $10::uuid))
        ORDER BY p.metres, p.id LIMIT $11
        """,
        service,
        whom.holder_no if whom else None,
        whom.is_guarded if whom else None,
        lat,
        lon,
        metres,
        community,
        kind,
        after[0] if after else None,
        after[1] if after else None,
        limit,
    )
    return await _with_resources(tx, rows)


async def _with_resources(tx: Tx, rows: Sequence[Any]) -> list[Place]:
    found = await tx.fetch(
        "SELECT place_id, id, name, capacity, is_exclusive, name_en, no FROM resources WHERE place_id = ANY($1::uuid[]) "
        "ORDER BY no",
        [row["id"] for row in rows],
    )
    return [Place(*(*row, tuple(Resource(*one[1:]) for one in found if one["place_id"] == row["id"]))) for row in rows]


async def insert_place(tx: Tx, service: str, values: Sequence[Any]) -> uuid.UUID:
    """A new place: kind, name, name_en, community, address, lat, lon."""
    with referee(constraints.REFEREES):
        made: uuid.UUID = await tx.value(
            "INSERT INTO places (service, kind, name, name_en, community, address, lat, lon) "
            "VALUES ($1, $2, $3, $4, $5, $6, $7, $8) RETURNING id",
            service,
            *values,
        )
    await _require_standing(tx, made)
    return made


async def _require_standing(tx: Tx, place_id: uuid.UUID) -> None:
    """Refuse a place in a region that has ended. Asked after writing, which waits for a region that is just ending."""
    if await tx.value(
        "SELECT r.ended_on IS NOT NULL FROM places p JOIN regions r ON r.code = p.community WHERE p.id = $1", place_id
    ):
        raise errors.RegionEnded


async def update_place(tx: Tx, place_id: uuid.UUID, values: Sequence[Any]) -> None:
    """Replace kind, name, name_en, community, address, lat, lon; the next version."""
    with referee(constraints.REFEREES):
        await tx.execute(
            "UPDATE places SET kind = $2, name = $3, name_en = $4, community = $5, address = $6, lat = $7, lon = $8, "
            "version = version + 1 WHERE id = $1",
            place_id,
            *values,
        )
    await _require_standing(tx, place_id)


async def write_resources(tx: Tx, place_id: uuid.UUID, resources: Sequence[Resource], gone: Sequence[int]) -> None:
    """Make (`no` None) or change resources and remove those that are gone."""
    with referee(constraints.REFEREES):
        if gone:
            await tx.execute("DELETE FROM resources WHERE no = ANY($1::bigint[])", gone)
        for one in resources:
            if one.no is None:
                await tx.execute(
                    "INSERT INTO resources (id, place_id, name, name_en, is_exclusive, capacity) "
                    "VALUES ($1, $2, $3, $4, $5, $6)",
                    one.id,
                    place_id,
                    one.name,
                    one.name_en,
                    one.is_exclusive,
                    one.capacity,
                )
            else:
                await tx.execute(
                    "UPDATE resources SET name = $2, name_en = $3, is_exclusive = $4, capacity = $5 WHERE no = $1",
                    one.no,
                    one.name,
                    one.name_en,
                    one.is_exclusive,
                    one.capacity,
                )


async def slot_ids(tx: Tx, place_id: uuid.UUID) -> list[uuid.UUID]:
    """Every slot that was ever made at a place."""
    return [row[0] for row in await tx.fetch("SELECT id FROM slots WHERE place_id = $1", place_id)]


async def delete_place(tx: Tx, place_id: uuid.UUID) -> None:
    """Remove a place with its resources, rules and slots; the schema refuses while anything else points to one of them.

    The slots go by the schema's own cascade: no service may delete one by itself.
    """
    try:
        await tx.execute("DELETE FROM places WHERE id = $1", place_id)
    except asyncpg.ForeignKeyViolationError as error:
        raise errors.Conflict(
            say("Somebody has or had a place there, or waits for one.", "该场所已有预约或候补记录。")
        ) from error


async def has_slots(tx: Tx, place_id: uuid.UUID) -> bool:
    """Whether any slot was ever made at a place."""
    return bool(await tx.value("SELECT EXISTS (SELECT FROM slots WHERE place_id = $1)", place_id))


async def resources_with_slots(tx: Tx, place_id: uuid.UUID) -> set[int]:
    """Those of its resources on which a slot was ever made."""
    rows = await tx.fetch(
        "SELECT no FROM resources r WHERE r.place_id = $1 "
        "AND EXISTS (SELECT FROM slots s WHERE s.place_id = $1 AND s.resource_no = r.no)",
        place_id,
    )
    return {row[0] for row in rows}


async def unknown_regions(tx: Tx, codes: Sequence[str]) -> list[str]:
    """Which of these codes are no regions."""
    rows = await tx.fetch(
        "SELECT c FROM unnest($1::text[]) AS c WHERE NOT EXISTS (SELECT FROM regions r WHERE r.code = c)", codes
    )
    return [row[0] for row in rows]
