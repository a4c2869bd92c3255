"""Rooms: carers, head-counts, incidents, and what is due."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from shared import errors
from shared.db import Tx, referee

_HAS_ROLE = """EXISTS (
    SELECT FROM roles r JOIN accounts a ON a.no = r.account_no
    WHERE a.person_id = d.person_id AND a.closed_at IS NULL AND r.role = ANY($1::text[])
      AND starts_with(d.community, r.prefix) AND (r.place_id IS NULL OR r.place_id = d.place_id)
      AND r.starts_at <= now() AND (r.ends_at IS NULL OR r.ends_at > now()))"""
"""Whether somebody has one of the roles $1 for a place now: d has person_id, community, place_id."""


async def state(tx: Tx, place_id: uuid.UUID) -> Any | None:
    """Who is in a room: children, accompanied, guardians who stay; None when nobody ever was."""
    return await tx.row(
        "SELECT children, accompanied, (SELECT count(DISTINCT visit_id) FROM insides i "
        "WHERE i.place_id = s.place_id AND i.stays) AS guardians FROM room_states s WHERE place_id = $1",
        place_id,
    )


async def everybody_inside(tx: Tx, place_id: uuid.UUID) -> list[Any]:
    """The children who are inside: child_no, id, name, visit_id, stays, since, ends_at."""
    return await tx.fetch(
        "SELECT i.child_no, h.id, h.name, i.visit_id, i.stays, i.since, i.ends_at FROM insides i "
        "JOIN holders h ON h.no = i.child_no WHERE i.place_id = $1 ORDER BY i.since, i.claim_id",
        place_id,
    )


async def has_role(tx: Tx, person_id: uuid.UUID, roles: Collection[str], community: str, place_id: uuid.UUID) -> bool:
    """Whether a person has one of these roles for this place now."""
    found: bool = await tx.value(
        f"SELECT {_HAS_ROLE} FROM (VALUES ($2::uuid, $3::text, $4::uuid)) AS d(person_id, community, place_id)",
        list(roles),
        person_id,
        community,
        place_id,
    )
    return found


async def with_lost_duties(tx: Tx, roles: Collection[str]) -> list[Any]:
    """Rooms in which somebody is on duty who has none of these roles any more: place_id, community, places."""
    return await tx.fetch(
        "SELECT DISTINCT d.place_id, d.community, s.places FROM duties d JOIN room_states s ON s.place_id = d.place_id "
        f"WHERE d.ended_at IS NULL AND NOT {_HAS_ROLE}",
        list(roles),
    )


async def end_lost_duties(tx: Tx, place_id: uuid.UUID, roles: Collection[str]) -> list[uuid.UUID]:
    """End the duties in a room, which is locked, of those who have none of these roles any more; their ids."""
    rows = await tx.fetch(
        f"UPDATE duties d SET ended_at = greatest(now(), began_at) WHERE d.place_id = $2 AND d.ended_at IS NULL "
        f"AND NOT {_HAS_ROLE} RETURNING d.id",
        list(roles),
        place_id,
    )
    return [row[0] for row in rows]


async def begin_duty(
    tx: Tx, place_id: uuid.UUID, community: str, person_id: uuid.UUID, by_no: int, at: datetime
) -> None:
    """A carer comes to a room; refused when they are in one already."""
    with referee({"one_room_per_carer": errors.AlreadyInside}):
        await tx.execute(
            "INSERT INTO duties (place_id, community, person_id, by_no, began_at) VALUES ($1, $2, $3, $4, $5)",
            place_id,
            community,
            person_id,
            by_no,
            at,
        )


async def duty(tx: Tx, place_id: uuid.UUID, person_id: uuid.UUID) -> Any | None:
    """A carer's presence in a room: id, began_at."""
    return await tx.row(
        "SELECT id, began_at FROM duties WHERE place_id = $1 AND person_id = $2 AND ended_at IS NULL",
        place_id,
        person_id,
    )


async def end_duty(tx: Tx, duty_id: uuid.UUID, at: datetime) -> None:
    """A carer goes."""
    await tx.execute("UPDATE duties SET ended_at = greatest($2, began_at) WHERE id = $1", duty_id, at)


async def on_duty(tx: Tx, place_id: uuid.UUID, roles: Collection[str]) -> list[Any]:
    """The carers in a room, as long as they have one of these roles: id, name."""
    return await tx.fetch(
        "SELECT h.id, h.name FROM duties d JOIN holders h ON h.id = d.person_id "
        f"WHERE d.place_id = $2 AND d.ended_at IS NULL AND {_HAS_ROLE} ORDER BY d.began_at, d.id",
        list(roles),
        place_id,
    )


class Happened(NamedTuple):
    """An incident: a row."""

    id: uuid.UUID
    place_id: uuid.UUID
    community: str
    kind: str
    severity: str
    body: bytes
    children: Sequence[int]
    guardian_notified_at: datetime | None
    is_for_authority: bool
    follows: uuid.UUID | None
    by_no: int
    at: datetime


async def insert_incident(tx: Tx, happened: Happened) -> None:
    """Write down what happened."""
    await tx.execute(
        "INSERT INTO incidents (id, place_id, community, kind, severity, body, children, guardian_notified_at, "
        "is_for_authority, follows, by_no, at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)",
        *happened,
    )


async def children_of(tx: Tx, place_id: uuid.UUID, person_ids: Sequence[uuid.UUID]) -> dict[uuid.UUID, int]:
    """Those of these people who ever had a visit in a room: their numbers by id."""
    rows = await tx.fetch(
        "SELECT h.id, h.no FROM holders h WHERE h.id = ANY($1::uuid[]) AND EXISTS "
        "(SELECT FROM claims c WHERE c.holder_no = h.no AND c.place_id = $2)",
        list(person_ids),
        place_id,
    )
    return {row["id"]: row["no"] for row in rows}


_INCIDENT = """
    SELECT i.*, p.name AS place_name, a.name AS by_name, coalesce((
        SELECT jsonb_agg(jsonb_build_object('id', h.id, 'name', h.name) ORDER BY h.no) FROM holders h
        WHERE h.no = ANY(i.children)), '[]') AS persons
    FROM incidents i JOIN places p ON p.id = i.place_id JOIN accounts a ON a.no = i.by_no
"""


async def incident(tx: Tx, incident_id: uuid.UUID) -> Any | None:
    """One incident, with its room, its children, and who wrote it down."""
    return await tx.row(_INCIDENT + " WHERE i.id = $1", incident_id)


async def incidents(
    tx: Tx,
    reach: Sequence[tuple[str, uuid.UUID | None]],
    place_id: uuid.UUID | None,
    child_no: int | None,
    after: tuple[datetime, uuid.UUID] | None,
    limit: int,
) -> list[Any]:
    """The incidents of a room, or of all that are in reach (below a region, or one place there), latest first."""
    return await tx.fetch(
        _INCIDENT + " WHERE ($1::uuid IS NULL OR i.place_id = $1) AND ($7::bigint IS NULL OR i.children @> ARRAY[$7]) "
        "AND ($2::timestamptz IS NULL OR (i.at, i.id) < ($2, $3)) "
        "AND EXISTS (SELECT FROM unnest($5::text[], $6::uuid[]) AS r(prefix, place_id) "
        "WHERE starts_with(i.community, r.prefix) AND (r.place_id IS NULL OR r.place_id = i.place_id)) "
        "ORDER BY i.at DESC, i.id DESC LIMIT $4",
        place_id,
        after[0] if after else None,
        after[1] if after else None,
        limit,
        [prefix for prefix, _ in reach],
        [only for _, only in reach],
        child_no,
    )


async def incidents_of_child(
    tx: Tx,
    child_nos: Sequence[int],
    place_id: uuid.UUID | None,
    after: tuple[datetime, uuid.UUID] | None,
    limit: int,
    incident_id: uuid.UUID | None = None,
) -> list[Any]:
    """What guardians may read of these children, latest first: nothing that an authority was told of, nor what follows it.

    Whoever harms a child is often near to it, and must not read that somebody has seen.
    """
    return await tx.fetch(
        _INCIDENT
        + """
        WHERE i.children && $1::bigint[] AND ($2::uuid IS NULL OR i.place_id = $2) AND ($6::uuid IS NULL OR i.id = $6)
          AND ($3::timestamptz IS NULL OR (i.at, i.id) < ($3, $4)) AND NOT EXISTS (
            WITH RECURSIVE before AS (
                SELECT i.is_for_authority, i.follows
                UNION ALL SELECT b.is_for_authority, b.follows FROM before JOIN incidents b ON b.id = before.follows)
            SELECT FROM before WHERE is_for_authority)
        ORDER BY i.at DESC, i.id DESC LIMIT $5
        """,
        list(child_nos),
        place_id,
        after[0] if after else None,
        after[1] if after else None,
        limit,
        incident_id,
    )


async def insert_count(tx: Tx, row: Sequence[Any]) -> None:
    """Write down a head-count: id, place_id, community, counted, inside, incident_id, by_no, at."""
    await tx.execute(
        "INSERT INTO head_counts (id, place_id, community, counted, inside, incident_id, by_no, at) "
        "VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
        *row,
    )


async def count_of(tx: Tx, count_id: uuid.UUID) -> Any | None:
    """One head-count: id, counted, incident_id, at."""
    return await tx.row("SELECT id, counted, incident_id, at FROM head_counts WHERE id = $1", count_id)


async def not_collected(tx: Tx, limit: int) -> list[Any]:
    """Children inside after the end of their session, unless they have a place in what is on now; with the steps taken.

    claim_id, child_no, visit_id, place_id, community, ends_at, done.
    """
    return await tx.fetch(
        """
        SELECT i.claim_id, i.child_no, i.visit_id, i.place_id, i.community, i.ends_at,
               (SELECT coalesce(max(l.step), 0) FROM late_collections l WHERE l.claim_id = i.claim_id) AS done
        FROM insides i
        WHERE i.ends_at < now() AND NOT EXISTS (
            SELECT FROM claims c WHERE c.holder_no = i.child_no AND c.place_id = i.place_id AND c.is_active
              AND c.id <> i.claim_id AND c.starts_at <= now() AND c.ends_at > now())
        ORDER BY i.ends_at, i.claim_id LIMIT $1
        """,
        limit,
    )


async def insert_late(tx: Tx, rows: Sequence[tuple[Any, int]]) -> set[tuple[uuid.UUID, int]]:
    """Take steps for children who were not collected: those that nobody took before."""
    taken = await tx.fetch(
        "INSERT INTO late_collections (claim_id, step, visit_id, place_id, community, child_no) "
        "SELECT * FROM unnest($1::uuid[], $2::smallint[], $3::uuid[], $4::uuid[], $5::text[], $6::bigint[]) "
        "ON CONFLICT DO NOTHING RETURNING claim_id, step",
        [row["claim_id"] for row, _ in rows],
        [step for _, step in rows],
        [row["visit_id"] for row, _ in rows],
        [row["place_id"] for row, _ in rows],
        [row["community"] for row, _ in rows],
        [row["child_no"] for row, _ in rows],
    )
    return {(row["claim_id"], row["step"]) for row in taken}


async def not_come(tx: Tx, before: datetime, limit: int) -> list[Any]:
    """Claims of visits that ended before this and to which nobody came: id, slot_id."""
    return await tx.fetch(
        "SELECT c.id, c.slot_id FROM slots s JOIN claims c ON c.slot_id = s.id WHERE s.service = 'childcare' "
        "AND s.starts_at > $1::timestamptz - interval '3 days' AND s.ends_at < $1 AND c.state = 'confirmed' "
        "ORDER BY s.ends_at, c.id LIMIT $2",
        before,
        limit,
    )
