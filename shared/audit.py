"""Deeds written down in the transaction of the deed, and chained afterwards by one writer at a time.

An entry's `digest` is the SHA-256 of its canonical JSON, its `hash` the SHA-256 of the hash before it and its digest. So
whoever keeps one hash can tell whether anything before it was changed, and a part of the chain can be given away to be
checked with nothing but the digests of the rest.
"""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Mapping
from datetime import UTC
from typing import Any, Final

from shared.db import Tx

BEGINNING: Final = bytes(32)
"""The hash before the first entry."""


async def record(
    tx: Tx,
    account_no: int | None,
    action: str,
    *,
    community: str,
    person_id: uuid.UUID | None = None,
    reason: str | None = None,
    data: Mapping[str, Any] | None = None,
) -> None:
    """Write down that this account did this (`people.reveal`, `roles.grant`, …), about whom, and why.

    `data` names fields, ids and codes; never a name, a number or a phone.
    """
    await tx.execute(
        "INSERT INTO audit (account_no, action, person_id, community, reason, data) VALUES ($1, $2, $3, $4, $5, $6)",
        account_no,
        action,
        person_id,
        community,
        reason,
        dict(data or {}),
    )


def canonical(entry: Any, position: int) -> bytes:
    """An entry as it is hashed: JSON with sorted names, no spaces, UTF-8; the moment in UTC with microseconds."""
    told = {
        "account_no": entry["account_no"],
        "action": entry["action"],
        "at": entry["at"].astimezone(UTC).isoformat(timespec="microseconds"),
        "community": entry["community"],
        "data": entry["data"],
        "no": entry["no"],
        "person_id": str(entry["person_id"]) if entry["person_id"] is not None else None,
        "position": position,
        "reason": entry["reason"],
    }
    return json.dumps(told, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()


def digest(entry: Any, position: int) -> bytes:
    """What stands for an entry in the chain."""
    return hashlib.sha256(canonical(entry, position)).digest()


def link(before: bytes, digest: bytes) -> bytes:
    """The hash of an entry, by the hash before it."""
    return hashlib.sha256(before + digest).digest()


async def stamp(tx: Tx, *, most: int = 1000) -> int:
    """Chain entries that are visible by now, in the order of their numbers; how many there were.

    One writer at a time: it holds the head's row. What is not yet visible is chained by a later call.
    """
    head = await tx.row("SELECT position, hash FROM audit_head FOR UPDATE SKIP LOCKED")
    if head is None:
        tx.discard()
        return 0
    # A new statement: it sees what was committed before the lock was had.
    entries = await tx.fetch("SELECT * FROM audit WHERE position IS NULL ORDER BY no LIMIT $1", most)
    if not entries:
        tx.discard()
        return 0
    hashes, before = [], bytes(head["hash"])
    for position, entry in enumerate(entries, head["position"] + 1):
        before = link(before, digest(entry, position))
        hashes.append(before)
    await tx.execute(
        "UPDATE audit a SET position = t.position, hash = t.hash FROM unnest($1::bigint[], $2::bigint[], $3::bytea[]) "
        "AS t(no, position, hash) WHERE a.no = t.no",
        [entry["no"] for entry in entries],
        list(range(head["position"] + 1, head["position"] + 1 + len(entries))),
        hashes,
    )
    await tx.execute("UPDATE audit_head SET position = position + $1, hash = $2", len(entries), before)
    return len(entries)
