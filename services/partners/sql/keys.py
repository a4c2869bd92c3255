"""Questions about partners' keys."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from shared.db import Tx

_COLUMNS = (
    "k.id, k.account_no, a.id AS account_id, k.name, k.types, k.community, k.place_id, k.operations, k.made_at, "
    "k.last_used_at, k.revoked_at"
)


async def account(tx: Tx, account_id: uuid.UUID) -> Any | None:
    """A partner's open account: no, id."""
    return await tx.row(
        "SELECT no, id FROM accounts WHERE id = $1 AND kind = 'partner' AND closed_at IS NULL", account_id
    )


async def insert_account(tx: Tx, name: str) -> Any:
    """A new partner's account: no, id."""
    return await tx.row("INSERT INTO accounts (name, kind) VALUES ($1, 'partner') RETURNING no, id", name)


async def place(tx: Tx, place_id: uuid.UUID) -> Any | None:
    """Where a place is."""
    return await tx.row("SELECT community FROM places WHERE id = $1", place_id)


async def insert(tx: Tx, values: Sequence[Any]) -> uuid.UUID:
    """A new key out of (account_no, name, key_hash, types, community, place_id, operations, made_by)."""
    made: uuid.UUID = await tx.value(
        "INSERT INTO partner_keys (account_no, name, key_hash, types, community, place_id, operations, made_by) "
        "VALUES ($1, $2, $3, $4, $5, $6, $7, $8) RETURNING id",
        *values,
    )
    return made


async def read(tx: Tx, key_id: uuid.UUID) -> Any | None:
    """One key, never its hash."""
    return await tx.row(
        f"SELECT {_COLUMNS} FROM partner_keys k JOIN accounts a ON a.no = k.account_no WHERE k.id = $1", key_id
    )


async def several(
    tx: Tx, *, account_no: int, prefixes: Sequence[str], after: tuple[datetime, uuid.UUID] | None, limit: int
) -> list[Any]:
    """Keys of this account and those within these prefixes, newest first."""
    return await tx.fetch(
        f"""
        SELECT {_COLUMNS} FROM partner_keys k JOIN accounts a ON a.no = k.account_no
        WHERE (k.account_no = $1 OR EXISTS (SELECT 1 FROM unnest($2::text[]) p WHERE starts_with(k.community, p)))
          AND ($3::timestamptz IS NULL OR (k.made_at, k.id) < ($3, $4::uuid))
        ORDER BY k.made_at DESC, k.id DESC LIMIT $5
        """,
        account_no,
        list(prefixes),
        after[0] if after else None,
        after[1] if after else None,
        limit,
    )


async def every(tx: Tx, account_no: int) -> list[Any]:
    """All keys an account ever had, revoked ones too: community, place_id."""
    return await tx.fetch("SELECT community, place_id FROM partner_keys WHERE account_no = $1", account_no)


async def live(tx: Tx, account_no: int) -> list[Any]:
    """The keys of an account that are not revoked: id, community, types, place_id; the widest first."""
    return await tx.fetch(
        "SELECT id, community, types, place_id FROM partner_keys WHERE account_no = $1 AND revoked_at IS NULL "
        "ORDER BY length(community), made_at",
        account_no,
    )


async def is_live(tx: Tx, key_id: uuid.UUID) -> bool:
    """Whether a key is not revoked, which it cannot be before this transaction has ended."""
    found = await tx.row("SELECT revoked_at FROM partner_keys WHERE id = $1 FOR SHARE", key_id)
    return found is not None and found["revoked_at"] is None


async def revoke(tx: Tx, key_id: uuid.UUID) -> None:
    """End a key, and what was asked for with it."""
    await tx.execute("UPDATE partner_keys SET revoked_at = now() WHERE id = $1 AND revoked_at IS NULL", key_id)
    await tx.execute(
        "UPDATE endpoints SET state = 'disabled', reason = 'key_revoked', version = version + 1 "
        "WHERE key_id = $1 AND state <> 'disabled'",
        key_id,
    )
