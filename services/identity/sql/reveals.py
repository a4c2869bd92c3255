"""Permission to see what is known of somebody, in the database."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import Any, NamedTuple

from shared.db import Tx

NOT_BY_YOURSELF = "nobody_decides_on_their_own_reveal"


class Known(NamedTuple):
    """All of a person that may be revealed, and where they live."""

    person_id: uuid.UUID
    holder_no: int
    community: str
    name: str
    born: date | None
    document_kind: str | None
    document_sealed: bytes | None
    phone_sealed: bytes | None
    has_guardian: bool


async def known(tx: Tx, person_id: uuid.UUID) -> Known | None:
    """A person who is not closed."""
    row = await tx.row(
        """
        SELECT p.id, h.no, p.community, p.name, p.born, p.document_kind, p.document_sealed, p.phone_sealed,
               EXISTS (SELECT FROM relations r WHERE r.person_id = p.id AND r.kind = 'guardian'
                       AND r.starts_at <= now() AND (r.ends_at IS NULL OR r.ends_at > now()))
        FROM persons p JOIN holders h ON h.id = p.id WHERE p.id = $1 AND p.closed_at IS NULL
        """,
        person_id,
    )
    return Known(*row) if row else None


class Lately(NamedTuple):
    """How many other people an account asked about within a day, and whether that was too many already."""

    people: int
    is_told: bool


async def lately(tx: Tx, account_no: int, person_id: uuid.UUID) -> Lately:
    """What an account did within a day, besides this person."""
    row = await tx.row(
        "SELECT count(DISTINCT person_id) FILTER (WHERE person_id <> $2) AS people, "
        "coalesce(bool_or(is_beyond_limit), false) AS is_told "
        "FROM reveals WHERE account_no = $1 AND made_at > now() - interval '1 day'",
        account_no,
        person_id,
    )
    return Lately(*row) if row else Lately(0, is_told=False)


class NewReveal(NamedTuple):
    """A reveal to be written."""

    id: uuid.UUID
    person_id: uuid.UUID
    community: str
    account_no: int
    by_person_id: uuid.UUID
    fields: Sequence[str]
    reason: str
    needs_approval: bool
    is_beyond_limit: bool


async def insert(tx: Tx, one: NewReveal, life: timedelta) -> None:
    """Write it down: asked for, or allowed at once for so long."""
    await tx.execute(
        "INSERT INTO reveals (id, person_id, community, account_no, by_person_id, fields, reason, needs_approval, "
        "is_beyond_limit, state, expires_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, "
        "CASE WHEN $8 THEN 'asked' ELSE 'allowed' END, CASE WHEN $8 THEN NULL ELSE now() + $10::interval END)",
        *one,
        life,
    )


_REVEAL = """
    SELECT v.*, p.name AS person_name, coalesce(b.name, a.name) AS by_name, d.name AS decided_name,
           v.expires_at IS NOT NULL AND v.expires_at <= clock_timestamp() AS is_over
    FROM reveals v JOIN holders p ON p.id = v.person_id JOIN accounts a ON a.no = v.account_no
    LEFT JOIN holders b ON b.id = v.by_person_id LEFT JOIN holders d ON d.id = v.decided_person_id
"""


async def one(tx: Tx, reveal_id: uuid.UUID, *, locked: bool = False) -> Any | None:
    """One reveal with the names of those in it."""
    return await tx.row(_REVEAL + " WHERE v.id = $1" + (" FOR NO KEY UPDATE OF v" if locked else ""), reveal_id)


async def several(
    tx: Tx, account_no: int, prefixes: Sequence[str], state: str | None, before: uuid.UUID | None, limit: int
) -> list[Any]:
    """One's own, and those in these regions, the newest first."""
    return await tx.fetch(
        _REVEAL + " WHERE (v.account_no = $1 OR EXISTS (SELECT FROM unnest($2::text[]) AS t(prefix) "
        "WHERE starts_with(v.community, t.prefix))) AND ($3::text IS NULL OR v.state = $3) "
        "AND ($4::uuid IS NULL OR v.id < $4) ORDER BY v.id DESC LIMIT $5",
        account_no,
        list(prefixes),
        state,
        before,
        limit,
    )


async def decide(
    tx: Tx, reveal_id: uuid.UUID, account_no: int, person_id: uuid.UUID, life: timedelta | None, asked_after: datetime
) -> int:
    """Allow a reveal for so long, or deny it (None); 0 when it is decided already or was asked too long ago."""
    return await tx.execute(
        "UPDATE reveals SET state = CASE WHEN $4::interval IS NULL THEN 'denied' ELSE 'allowed' END, decided_by = $2, "
        "decided_person_id = $3, decided_at = now(), expires_at = now() + $4::interval "
        "WHERE id = $1 AND state = 'asked' AND made_at > $5",
        reveal_id,
        account_no,
        person_id,
        life,
        asked_after,
    )


async def has_seen(tx: Tx, account_no: int, person_id: uuid.UUID, fields: Sequence[str]) -> bool:
    """Whether an account has seen all these fields of a person under a permission that is not over."""
    return bool(
        await tx.value(
            "SELECT EXISTS (SELECT FROM reveals WHERE account_no = $1 AND person_id = $2 AND state = 'allowed' "
            "AND seen_at IS NOT NULL AND expires_at > clock_timestamp() AND fields @> $3::text[])",
            account_no,
            person_id,
            list(fields),
        )
    )


async def set_seen(tx: Tx, reveal_id: uuid.UUID) -> int:
    """It was seen; 0 when it had been seen before."""
    return await tx.execute("UPDATE reveals SET seen_at = now() WHERE id = $1 AND seen_at IS NULL", reveal_id)


async def told(tx: Tx, person_id: uuid.UUID) -> tuple[int, ...]:
    """The holders of a person, of their guardians, and of those who speak for them after their death: who is told."""
    rows = await tx.fetch(
        "SELECT no FROM holders WHERE id = $1 UNION SELECT h.no FROM relations r JOIN holders h ON h.id = r.actor_id "
        "WHERE r.person_id = $1 AND r.kind = 'guardian' AND r.starts_at <= now() "
        "AND (r.ends_at IS NULL OR r.ends_at > now()) "
        "UNION SELECT h.no FROM relatives v JOIN deaths d ON d.person_id = v.person_id JOIN holders h ON h.id = v.relative_id "
        "WHERE v.person_id = $1 AND v.state = 'allowed' AND v.expires_at > now() ORDER BY 1",
        person_id,
    )
    return tuple(row[0] for row in rows)


async def in_office(tx: Tx, roles: Sequence[str], community: str, *, but: int | None = None) -> tuple[int, ...]:
    """The holders of everybody who has one of these roles for a community, but for one account."""
    rows = await tx.fetch(
        "SELECT DISTINCT h.no FROM roles r JOIN accounts a ON a.no = r.account_no JOIN holders h ON h.id = a.person_id "
        "WHERE r.role = ANY($1::text[]) AND starts_with($2, r.prefix) AND r.place_id IS NULL AND r.starts_at <= now() "
        "AND (r.ends_at IS NULL OR r.ends_at > now()) AND a.closed_at IS NULL AND a.no IS DISTINCT FROM $3 ORDER BY 1",
        list(roles),
        community,
        but,
    )
    return tuple(row[0] for row in rows)
