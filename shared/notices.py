"""Notices: written in the transaction of their fact, stamped afterwards with gap-free positions by one relay at a time."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
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


async def stamp(tx: Tx, *, most: int = 1000) -> int:
    """Give the next positions to notices that are visible by now, in the order of their numbers; how many there were.

    One relay at a time: it holds the head's row. What is not yet visible is stamped by a later call, so no position is
    ever skipped by a reader, and no slow transaction elsewhere holds anything up.
    """
    head = await tx.row("SELECT position FROM notice_head FOR UPDATE SKIP LOCKED")
    if head is None:
        return 0
    # A new statement: it sees what was committed before the lock was had.
    stamped: int = await tx.value(
        """
        WITH next AS (
            SELECT no, $1 + row_number() OVER (ORDER BY no) AS position
            FROM (SELECT no FROM notices WHERE position IS NULL ORDER BY no LIMIT $2) AS unstamped
        ), stamped AS (
            UPDATE notices n SET position = next.position FROM next WHERE n.no = next.no RETURNING 1
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
