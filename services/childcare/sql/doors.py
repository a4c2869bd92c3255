"""Who is inside, and what happens at the door."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

from services.childcare.rules import Room
from shared import errors
from shared.db import Referees, Tx, referee

_REFEREES: Referees = {
    "no_child_in_two_rooms": errors.AlreadyInside,
    "insides_pkey": errors.AlreadyInside,
    "children_within_places": errors.RoomFull,
    "no_children_without_a_carer": errors.TooFewCarers,
    "one_handover_per_code": errors.CollectorUsed,
}


async def locked_room(tx: Tx, place_id: uuid.UUID, community: str, places: int) -> Room:
    """Who is in a room, locked against everybody else who comes or goes; `places` is for a room that nobody used yet."""
    row = None
    while row is None:
        row = await tx.row(
            "SELECT children, accompanied, carers FROM room_states WHERE place_id = $1 FOR NO KEY UPDATE", place_id
        )
        if row is None:
            await tx.execute(
                "INSERT INTO room_states (place_id, community, places) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
                place_id,
                community,
                places,
            )
    return Room(row["children"], row["accompanied"], row["carers"])


async def write_room(
    tx: Tx, place_id: uuid.UUID, room: Room, places: int | None = None, *, is_unwatched: bool | None = None
) -> None:
    """Who is in a room now, which is locked. `places` is written when a child comes in.

    `is_unwatched`: whether children may be there without a carer; as it was when left out. It ends with the first carer.
    """
    with referee(_REFEREES):
        await tx.execute(
            "UPDATE room_states SET children = $2, accompanied = $3, carers = $4, places = coalesce($5, places), "
            "is_unwatched = coalesce($6, is_unwatched) AND $2 > 0 AND $4 = 0, version = version + 1 WHERE place_id = $1",
            place_id,
            room.children,
            room.accompanied,
            room.carers,
            places,
            is_unwatched,
        )


class Coming(NamedTuple):
    """A child who comes in: a row of insides."""

    claim_id: uuid.UUID
    child_no: int
    visit_id: uuid.UUID
    place_id: uuid.UUID
    community: str
    stays: bool
    since: datetime
    ends_at: datetime


async def insert_inside(tx: Tx, coming: Coming) -> None:
    """A child is inside from now on."""
    with referee(_REFEREES):
        await tx.execute(
            "INSERT INTO insides (claim_id, child_no, visit_id, place_id, community, stays, since, ends_at) "
            "VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
            *coming,
        )


async def inside(tx: Tx, claim_id: uuid.UUID) -> Any | None:
    """The child of this claim, if it is inside: child_no, stays, since."""
    return await tx.row("SELECT child_no, stays, since FROM insides WHERE claim_id = $1", claim_id)


async def left_at(tx: Tx, visit_id: uuid.UUID, claim_id: uuid.UUID) -> datetime | None:
    """When the child of this claim was last collected."""
    found: datetime | None = await tx.value(
        "SELECT max(at) FROM handovers WHERE visit_id = $1 AND claim_id = $2 AND direction = 'out'", visit_id, claim_id
    )
    return found


async def delete_inside(tx: Tx, claim_id: uuid.UUID) -> int:
    """The child of this claim is not inside any more; how many rows that were."""
    return await tx.execute("DELETE FROM insides WHERE claim_id = $1", claim_id)


class Passing(NamedTuple):
    """A child was brought or collected: a row of handovers."""

    id: uuid.UUID
    visit_id: uuid.UUID
    claim_id: uuid.UUID
    child_no: int
    place_id: uuid.UUID
    community: str
    direction: str
    adult_id: uuid.UUID | None
    collector_id: uuid.UUID | None
    once_id: uuid.UUID | None
    by_no: int
    reasons: Sequence[str]
    at: datetime


async def insert_handover(tx: Tx, passing: Passing) -> None:
    """Write down who brought or collected a child."""
    with referee(_REFEREES):
        await tx.execute(
            "INSERT INTO handovers (id, visit_id, claim_id, child_no, place_id, community, direction, adult_id, "
            "collector_id, once_id, by_no, reasons, at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)",
            *passing,
        )


async def handover(tx: Tx, handover_id: uuid.UUID) -> Any | None:
    """One of them, with the child's and the adult's names as far as they are known."""
    return await tx.row(
        """
        SELECT o.id, o.visit_id, o.direction, o.at, o.reasons, h.id AS child_id, h.name AS child_name, o.adult_id,
               a.name AS adult_name, o.collector_id, c.about
        FROM handovers o JOIN holders h ON h.no = o.child_no LEFT JOIN holders a ON a.id = o.adult_id
        LEFT JOIN collectors c ON c.id = o.collector_id WHERE o.id = $1
        """,
        handover_id,
    )


async def insert_turned_away(tx: Tx, row: Sequence[Any]) -> None:
    """Write down who was refused: id, visit_id, child_no, place_id, community, adult_id, collector_id, reason, by_no, at."""
    await tx.execute(
        "INSERT INTO turned_away (id, visit_id, child_no, place_id, community, adult_id, collector_id, reason, by_no, at) "
        "VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
        *row,
    )


async def named(tx: Tx, person_ids: Sequence[uuid.UUID]) -> dict[uuid.UUID, Any]:
    """People of the town by id: no, id, name, community, is_of_age (of age, or nobody knows); unknown ones are missing."""
    rows = await tx.fetch(
        "SELECT no, id, name, community, is_of_age(id) AS is_of_age FROM holders WHERE id = ANY($1::uuid[]) AND kind = 'person'",
        list(person_ids),
    )
    return {row["id"]: row for row in rows}
