"""Every column that holds sealed values, and how a row of it names itself in what was sealed.

A key can only be retired when nothing is left under it, so this list must be whole: a test compares it with the models.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from shared.db import Database, Tx


class Sealed(NamedTuple):
    """One column; `row` is an SQL expression for the row's name in the seal."""

    table: str
    column: str
    row: str = "id::text"


COLUMNS: Final = (
    Sealed("persons", "phone_sealed"),
    Sealed("persons", "document_sealed"),
    Sealed("sessions", "successor_sealed"),
    Sealed("second_factors", "secret_sealed", "account_no::text"),
    Sealed("relations", "sealed"),
    Sealed("requests", "body"),
    Sealed("archives", "sealed", "request_id::text"),
    Sealed("waits", "body", "account_no || '|' || key"),
    Sealed("endpoints", "secret_sealed"),
    Sealed("endpoints", "previous_sealed"),
    Sealed("endpoints", "seed_sealed"),
    Sealed("meal_orders", "sealed"),
    Sealed("elder_profiles", "sealed", "person_id::text"),
    Sealed("meal_outcomes", "sealed"),
    Sealed("welfare_steps", "sealed"),
    Sealed("registrations", "answers"),
    Sealed("feedback", "text"),
    Sealed("visits", "note"),
    Sealed("child_records", "body", "child_no::text"),
    Sealed("incidents", "body"),
    Sealed("collectors", "about"),
)

OPEN: Final = frozenset(
    {
        "asks.fingerprint",
        "audit.hash",
        "audit_head.hash",
        "audit_heads.hash",
        "authorization_codes.code_hash",
        "calendars.secret_hash",
        "collectors.code_index",
        "invitations.code_hash",
        "login_codes.code_hash",
        "login_codes.phone_index",
        "login_delays.key",
        "logins.subject_index",
        "offers.code_hash",
        "partner_keys.key_hash",
        "persons.document_index",
        "persons.phone_index",
        "recovery_codes.code_hash",
        "sessions.previous_hash",
        "sessions.refresh_hash",
        "uploads.fingerprint",
        "used_proofs.digest",
    }
)
"""Columns of bytes that are not sealed: digests and blind indexes, which open nothing and are never turned."""


class SealedWith(NamedTuple):
    """How many values of a column are sealed with which version of the field key, in which format."""

    place: str
    format: int
    version: int
    values: int


VERSIONS: Final = " UNION ALL ".join(
    # A value is its format (a byte), its version (two), and what is sealed.
    f"SELECT '{one.table}.{one.column}' AS place, get_byte({one.column}, 0) AS format, "  # noqa: S608
    f"256 * get_byte({one.column}, 1) + get_byte({one.column}, 2) AS version FROM {one.table} WHERE length({one.column}) > 2"
    for one in COLUMNS
)
"""SQL: where each sealed value stands, and with which version of the field key it is sealed."""


async def counted(url: str) -> list[SealedWith]:
    """What every sealed column is sealed with."""

    async def count(tx: Tx) -> list[SealedWith]:
        asked = f"SELECT place, format, version, count(*) FROM ({VERSIONS}) s GROUP BY 1, 2, 3 ORDER BY 1, 2, 3"  # noqa: S608
        rows = await tx.fetch(asked)
        return [SealedWith(*row) for row in rows]

    db = Database.connect(url, pool_size=1, command_seconds=600)
    try:
        return await db.read(count)
    finally:
        await db.close()
