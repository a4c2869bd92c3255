"""Notices: written in the transaction of their fact, stamped afterwards with gap-free positions by one relay at a time."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict

from shared import clock, wire
from shared.db import Tx


class Data(BaseModel):
    """What a notice says besides its subject: nothing unknown, nothing personal."""

    model_config = ConfigDict(extra="forbid")


@dataclass(frozen=True, slots=True)
class NoticeType:
    """One kind of notice as partners are told of it. `subject` and `about` are said in both languages."""

    name: str
    data: type[BaseModel]
    subject: str
    about: str
    example: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Notice:
    """A fact in the past tense. `holders` are the people who are to be told; `data` holds nothing personal."""

    type: str
    community: str
    subject: uuid.UUID
    holders: tuple[int, ...]
    data: dict[str, Any] = field(default_factory=dict)


async def parts(tx: Tx, several: Sequence[tuple[dict[str, Any], Collection[uuid.UUID] | None]]) -> list[dict[str, Any]]:
    """What notices say, to those who may hear of some places only: just the slots there, and when the first begins.

    Each is its data, and the places its reader may hear of (None is all).
    """
    ids = {slot for data, only in several if only is not None for slot in _slots(data)}
    if not ids:
        return [data for data, _ in several]
    rows = await tx.fetch(
        "SELECT id::text, place_id, starts_at FROM slots WHERE id = ANY($1::text[]::uuid[])", sorted(ids)
    )
    slots = {row["id"]: row for row in rows}
    return [data if only is None else _part(data, only, slots) for data, only in several]


def _slots(data: dict[str, Any]) -> list[str]:
    named = data.get("slots")
    return named if isinstance(named, list) and len(named) > 1 else []


def _part(data: dict[str, Any], only: Collection[uuid.UUID], slots: dict[str, Any]) -> dict[str, Any]:
    there = [slot for slot in _slots(data) if slot in slots and slots[slot]["place_id"] in only]
    if not there:
        return data
    begins = {"starts_at": clock.local(min(slots[slot]["starts_at"] for slot in there))} if "starts_at" in data else {}
    return data | {"slots": there} | begins


async def announce(tx: Tx, notices: Sequence[Notice]) -> None:
    """Write notices in the transaction of their facts. They are read only once they have a position."""
    if not notices:
        return
    await tx.execute(
        """
        INSERT INTO notices (type, community, subject, holders, data)
        SELECT n.type, n.community, n.subject, n.holders::bigint[], n.data::jsonb
        FROM unnest($1::text[], $2::text[], $3::uuid[], $4::text[], $5::text[]) AS n(type, community, subject, holders, data)
        """,
        [notice.type for notice in notices],
        [notice.community for notice in notices],
        [notice.subject for notice in notices],
        ["{" + ",".join(map(str, notice.holders)) + "}" for notice in notices],
        [wire.dumps(_as_told(notice.data)).decode() for notice in notices],
    )


def _as_told(value: Any) -> Any:
    """The same with every moment as the town's clocks show it, as in every answer."""
    match value:
        case datetime():
            return clock.local(value)
        case dict():
            return {name: _as_told(one) for name, one in value.items()}
        case list() | tuple():
            return [_as_told(one) for one in value]
        case _:
            return value


_PLACES = """ARRAY(
    SELECT named::uuid
    FROM unnest(ARRAY[n.data->>'place_id', n.data->>'facility_id', n.data->>'kitchen_id', n.data->>'room_id']) AS named
    WHERE pg_input_is_valid(named, 'uuid')
    UNION SELECT place_id FROM slots WHERE subject_id = n.subject
    UNION SELECT place_id FROM slots WHERE id = ANY(ARRAY(
        SELECT named::uuid
        FROM (SELECT jsonb_array_elements_text(
                  CASE jsonb_typeof(n.data->'slots') WHEN 'array' THEN n.data->'slots' ELSE '[]' END) AS named
              UNION ALL SELECT n.data->>'slot_id') AS several
        WHERE pg_input_is_valid(named, 'uuid')))
    UNION SELECT place_id FROM claims
    WHERE NOT n.data ?| '{slots,slot_id}'
      AND group_id = CASE WHEN pg_input_is_valid(n.data->>'group_id', 'uuid') THEN (n.data->>'group_id')::uuid END)"""
"""Where a notice `n` happened: the places it names, those of its slots, of what it is about, or of the group it names."""


async def stamp(tx: Tx, *, most: int = 1000) -> int:
    """Give the next positions to notices that are visible by now, in the order of their numbers; how many there were.

    With it comes where each of them happened, so that those who announce, in a hurry, need not look.

    One relay at a time: it holds the head's row. What is not yet visible is stamped by a later call, so no position is
    ever skipped by a reader, and no slow transaction elsewhere holds anything up.
    """
    head = await tx.row("SELECT position FROM notice_head FOR UPDATE SKIP LOCKED")
    if head is None:
        return 0
    # A new statement: it sees what was committed before the lock was had.
    stamped: int = await tx.value(
        f"""
        WITH next AS (
            SELECT no, $1 + row_number() OVER (ORDER BY no) AS position
            FROM (SELECT no FROM notices WHERE position IS NULL ORDER BY no LIMIT $2) AS unstamped
        ), stamped AS (
            UPDATE notices n SET position = next.position, places = {_PLACES} FROM next WHERE n.no = next.no RETURNING 1
        )
        SELECT count(*) FROM stamped
        """,
        head["position"],
        most,
    )
    if stamped:
        await tx.execute("UPDATE notice_head SET position = position + $1", stamped)
    else:
        tx.discard()
    return stamped
