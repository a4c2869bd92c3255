"""Keys for partners' systems: made by managers, shown once, kept as hashes."""

from __future__ import annotations

import hashlib
import secrets
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from services.partners.actions import reach
from services.partners.sql import keys as sql
from shared import db, errors
from shared.assertion import Caller
from shared.db import Tx

PREFIX: Final = "lk_"


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a key is to be."""

    name: str
    types: tuple[str, ...]
    community: str
    place_id: uuid.UUID | None
    operations: tuple[str, ...]
    account_id: uuid.UUID | None


def key_hash(key: str) -> bytes:
    """What is kept of a key: it is long and random, so nothing slower is needed."""
    return hashlib.sha256(key.encode()).digest()


async def make(tx: Tx, caller: Caller, wanted: Wanted) -> tuple[Any, str]:
    """A new key and what it reads, which is not kept."""
    if caller.key is not None:
        raise errors.NotAllowed  # no key makes keys
    caller.require(reach.MAKERS, wanted.community, wanted.place_id)
    if wanted.place_id is not None:
        place = await sql.place(tx, wanted.place_id)
        if place is None or not place["community"].startswith(wanted.community):
            raise errors.Unprocessable.at("/facility_id", "unknown_place")
    if wanted.account_id is None:
        account = await sql.insert_account(tx, wanted.name)
    else:
        account = await sql.account(tx, wanted.account_id)
        held = await sql.every(tx, account["no"]) if account is not None else []
        if account is None or not all(caller.may(reach.MAKERS, one["community"], one["place_id"]) for one in held):
            raise errors.Unprocessable.at("/account_id", "unknown_account")
    key = PREFIX + secrets.token_urlsafe(32)
    with db.referee({"partner_keys_community_fkey": lambda: errors.Unprocessable.at("/region", "unknown_region")}):
        made = await sql.insert(
            tx,
            (
                account["no"],
                wanted.name,
                key_hash(key),
                list(wanted.types),
                wanted.community,
                wanted.place_id,
                list(wanted.operations),
                caller.account_id,
            ),
        )
    row = await sql.read(tx, made)
    return row, key


async def readable(tx: Tx, caller: Caller, key_id: uuid.UUID) -> Any:
    """A key of the caller's own account or region."""
    caller.known()
    row = await sql.read(tx, key_id)
    if row is None or (
        row["account_no"] != caller.account_no and not caller.may(reach.MAKERS, row["community"], row["place_id"])
    ):
        raise errors.NotThere
    return row


async def listed(tx: Tx, caller: Caller, after: tuple[datetime, uuid.UUID] | None, limit: int) -> Sequence[Any]:
    """The keys a caller may see, newest first."""
    prefixes = caller.regions(reach.MAKERS)
    return await sql.several(tx, account_no=caller.known(), prefixes=prefixes, after=after, limit=limit)


async def revoke(tx: Tx, caller: Caller, key_id: uuid.UUID) -> Any:
    """End a key; again changes nothing. A key ends itself and no other one."""
    await readable(tx, caller, key_id)
    if caller.key is not None and caller.key.id != key_id:
        raise errors.NotAllowed
    await sql.revoke(tx, key_id)
    return await sql.read(tx, key_id)
