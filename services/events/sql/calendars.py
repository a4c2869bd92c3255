"""Calendars: secret addresses, known by their hash, and what is behind them."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any, NamedTuple

from shared.db import Tx


async def write(tx: Tx, account_no: int, secret_hash: bytes) -> None:
    """The one address of an account's calendar; the one before opens nothing any more."""
    await tx.execute(
        "INSERT INTO calendars (community, account_no, secret_hash) "
        "SELECT h.community, a.no, $2 FROM accounts a JOIN holders h ON h.id = a.person_id WHERE a.no = $1 "
        "ON CONFLICT (account_no) DO UPDATE SET secret_hash = excluded.secret_hash, made_at = now(), used_at = now()",
        account_no,
        secret_hash,
    )


async def delete(tx: Tx, account_no: int) -> None:
    """Nobody reads this account's calendar any more."""
    await tx.execute("DELETE FROM calendars WHERE account_no = $1", account_no)


async def calendar(tx: Tx, secret_hash: bytes) -> Any | None:
    """Whose calendar it is: id, person_id, used_at. None of a closed account."""
    return await tx.row(
        "SELECT k.id, h.id AS person_id, k.used_at FROM calendars k "
        "JOIN accounts a ON a.no = k.account_no JOIN holders h ON h.id = a.person_id "
        "WHERE k.secret_hash = $1 AND a.closed_at IS NULL",
        secret_hash,
    )


async def use(tx: Tx, calendar_id: uuid.UUID) -> None:
    """It was read; written down once a day."""
    await tx.execute(
        "UPDATE calendars SET used_at = now() WHERE id = $1 AND used_at < now() - interval '1 day'", calendar_id
    )


class Place(NamedTuple):
    """A place that somebody has or had in a session."""

    slot_id: uuid.UUID
    person_id: uuid.UUID
    name: str
    title: str
    place_name: str
    address: str | None
    starts_at: datetime
    ends_at: datetime
    made_at: datetime
    left_at: datetime | None
    state: str


async def places(tx: Tx, person_id: uuid.UUID) -> list[Place]:
    """Every place in sessions of the last sixty days and to come, of somebody and those they act for, oldest first."""
    rows = await tx.fetch(
        """
        SELECT c.slot_id, h.id, h.name, s.title, p.name, p.address, s.starts_at, s.ends_at, c.made_at, c.left_at, c.state
        FROM holders h JOIN claims c ON c.holder_no = h.no JOIN slots s ON s.id = c.slot_id JOIN places p ON p.id = s.place_id
        WHERE h.id IN (
            SELECT $1::uuid UNION
            SELECT r.person_id FROM relations r WHERE r.actor_id = $1 AND r.starts_at <= now()
            AND (r.ends_at IS NULL OR r.ends_at > now()) AND (r.services IS NULL OR 'events' = ANY(r.services)))
          AND c.service = 'events' AND c.resource_id IS NOT NULL AND c.starts_at > now() - interval '60 days'
        ORDER BY c.made_at, c.id
        """,
        person_id,
    )
    return [Place(*row) for row in rows]
