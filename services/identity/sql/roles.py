"""Roles in the database: who may do what below which region, until when. That powers stay apart, the schema decides."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

from shared.db import Tx


@dataclass(frozen=True, slots=True)
class Granted:
    """A role of an account; whose it is, is not in its repr."""

    id: uuid.UUID
    account_no: int
    account_id: uuid.UUID
    account_name: str = field(repr=False)
    person_id: uuid.UUID | None
    holder_no: int | None
    role: str
    prefix: str
    place_id: uuid.UUID | None
    starts_at: datetime
    ends_at: datetime | None
    is_over: bool


_GRANTED = """
    SELECT r.id, a.no, a.id, a.name, a.person_id, h.no, r.role, r.prefix, r.place_id, r.starts_at, r.ends_at,
           coalesce(r.ends_at <= now(), false)
    FROM roles r JOIN accounts a ON a.no = r.account_no LEFT JOIN holders h ON h.id = a.person_id
"""


async def granted(  # noqa: PLR0913 - what a list is narrowed by
    tx: Tx,
    prefixes: Sequence[str],
    *,
    region: str | None,
    role: str | None,
    person_id: uuid.UUID | None,
    is_over: bool,
    after: uuid.UUID | None,
    limit: int,
) -> list[Granted]:
    """Roles below these regions, in the order in which they were granted."""
    rows = await tx.fetch(
        _GRANTED + "WHERE EXISTS (SELECT FROM unnest($1::text[]) AS p WHERE starts_with(r.prefix, p)) "
        "AND ($2::text IS NULL OR starts_with(r.prefix, $2)) AND ($3::text IS NULL OR r.role = $3) "
        "AND ($4::uuid IS NULL OR a.person_id = $4) AND coalesce(r.ends_at <= now(), false) = $5 "
        "AND ($6::uuid IS NULL OR r.id > $6) ORDER BY r.id LIMIT $7",
        prefixes,
        region,
        role,
        person_id,
        is_over,
        after,
        limit,
    )
    return [Granted(*row) for row in rows]


async def one(tx: Tx, role_id: uuid.UUID) -> Granted | None:
    """One role."""
    row = await tx.row(_GRANTED + "WHERE r.id = $1", role_id)
    return Granted(*row) if row else None


async def locked_reach(tx: Tx, account_no: int, roles: Sequence[str]) -> list[tuple[str, str]]:
    """The account's own of these roles in force at this very moment (role, prefix); nobody takes them away meanwhile."""
    rows = await tx.fetch(
        "SELECT role, prefix FROM roles WHERE account_no = $1 AND role = ANY($2::text[]) AND starts_at <= clock_timestamp() "
        "AND (ends_at IS NULL OR ends_at > clock_timestamp()) ORDER BY id FOR SHARE",
        account_no,
        roles,
    )
    return [(row[0], row[1]) for row in rows]


class Account(NamedTuple):
    """Who is to get a role."""

    no: int
    kind: str
    person_id: uuid.UUID | None
    holder_no: int | None


async def account(tx: Tx, account_id: uuid.UUID | None, person_id: uuid.UUID | None) -> Account | None:
    """An open account by its id, or by its person."""
    row = await tx.row(
        "SELECT a.no, a.kind, a.person_id, h.no FROM accounts a LEFT JOIN holders h ON h.id = a.person_id "
        "WHERE a.closed_at IS NULL AND (a.id = $1 OR a.person_id = $2)",
        account_id,
        person_id,
    )
    return Account(*row) if row else None


async def community_of(tx: Tx, place_id: uuid.UUID) -> str | None:
    """Where a place is."""
    code: str | None = await tx.value("SELECT community FROM places WHERE id = $1", place_id)
    return code


async def insert(  # noqa: PLR0913, PLR0917 - the columns it writes
    tx: Tx,
    role_id: uuid.UUID,
    account_no: int,
    role: str,
    prefix: str,
    place_id: uuid.UUID | None,
    ends_at: datetime | None,
    granted_by: uuid.UUID | None,
) -> None:
    """Grant a role from now on."""
    await tx.execute(
        "INSERT INTO roles (id, account_no, role, prefix, place_id, ends_at, granted_by) "
        "VALUES ($1, $2, $3, $4, $5, $6, $7)",
        role_id,
        account_no,
        role,
        prefix,
        place_id,
        ends_at,
        granted_by,
    )


async def end(tx: Tx, role_id: uuid.UUID) -> int:
    """Take back a role that is in force, or was to begin; 0 when it was over."""
    return await tx.execute(
        "UPDATE roles SET ends_at = greatest(starts_at, now()) WHERE id = $1 AND (ends_at IS NULL OR ends_at > now())",
        role_id,
    )
