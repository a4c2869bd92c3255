"""Who may act for whom, and who was asked: relations and offers in the database.

Whoever writes here holds the holders of both people, so that the arbiter never decides beside them.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, NamedTuple

from shared.db import Tx

ONE_RELATION_EACH = "one_relation_each"
ONE_OPEN_ASK_EACH = "one_open_ask_of_a_proxy_each"


class Someone(NamedTuple):
    """A person, as far as families need to know them."""

    id: uuid.UUID
    no: int
    name: str
    community: str
    born: date | None
    level: int


_SOMEONE = "SELECT p.id, h.no, p.name, p.community, p.born, p.level FROM persons p JOIN holders h ON h.id = p.id AND h.kind = 'person'"


async def someone(tx: Tx, person_id: uuid.UUID) -> Someone | None:
    """One person who is neither closed nor dead."""
    row = await tx.row(f"{_SOMEONE} WHERE p.id = $1", person_id)
    return Someone(*row) if row else None


async def by_document(tx: Tx, index: bytes) -> Someone | None:
    """The person with this document."""
    row = await tx.row(f"{_SOMEONE} WHERE p.document_index = $1", index)
    return Someone(*row) if row else None


async def by_login(tx: Tx, provider: str, subject: bytes) -> Someone | None:
    """The person whose open account logs in this way."""
    row = await tx.row(
        f"{_SOMEONE} JOIN accounts a ON a.person_id = p.id JOIN logins l ON l.account_no = a.no "
        "WHERE l.provider = $1 AND l.subject_index = $2 AND a.closed_at IS NULL",
        provider,
        subject,
    )
    return Someone(*row) if row else None


async def lock(tx: Tx, person_ids: Sequence[uuid.UUID]) -> None:
    """Lock the holders of these people, in their order."""
    await tx.execute("SELECT FROM holders WHERE id = ANY($1::uuid[]) ORDER BY no FOR NO KEY UPDATE", list(person_ids))


@dataclass(frozen=True, slots=True)
class Relation:
    """One person and one whom they act for, or acted for, or never may."""

    id: uuid.UUID
    kind: str
    actor_id: uuid.UUID
    actor_name: str = field(repr=False)
    actor_no: int
    person_id: uuid.UUID
    name: str = field(repr=False)
    person_no: int
    community: str
    services: list[str] | None
    level: int
    evidence: str | None
    sealed: bytes | None = field(repr=False)
    cap_fen: int | None
    made_at: datetime
    ends_at: datetime | None
    is_barred: bool


_RELATION = """
    SELECT r.id, r.kind, r.actor_id, a.name, a.no, r.person_id, p.name, p.no, p.community, r.services, r.level, r.evidence,
           r.sealed, r.cap_fen, r.starts_at, r.ends_at, r.barred_at IS NOT NULL
    FROM relations r JOIN holders a ON a.id = r.actor_id JOIN holders p ON p.id = r.person_id
"""
_NOW = "r.starts_at <= now() AND (r.ends_at IS NULL OR r.ends_at > now())"


async def relation(tx: Tx, relation_id: uuid.UUID) -> Relation | None:
    """One relation that counts now."""
    row = await tx.row(f"{_RELATION} WHERE r.id = $1 AND {_NOW}", relation_id)
    return Relation(*row) if row else None


async def between(tx: Tx, actor_id: uuid.UUID, person_id: uuid.UUID, kind: str) -> Relation | None:
    """What one person is to another now, or that they are barred from it."""
    row = await tx.row(
        f"{_RELATION} WHERE r.actor_id = $1 AND r.person_id = $2 AND r.kind = $3 AND (r.barred_at IS NOT NULL OR {_NOW})",
        actor_id,
        person_id,
        kind,
    )
    return Relation(*row) if row else None


async def listed(
    tx: Tx,
    kind: str | None,
    *,
    actor_id: uuid.UUID | None = None,
    person_id: uuid.UUID | None = None,
    with_barred: bool = False,
    after: uuid.UUID | None = None,
    limit: int = 1000,
) -> list[Relation]:
    """Relations that count now, in the order in which they came: those where one acts, or one is acted for."""
    rows = await tx.fetch(
        f"{_RELATION} WHERE ($1::text IS NULL OR r.kind = $1) AND (r.actor_id = $2 OR r.person_id = $3) AND ({_NOW} OR ($4 AND r.barred_at IS NOT NULL)) "
        "AND ($5::uuid IS NULL OR r.id > $5) ORDER BY r.id LIMIT $6",
        kind,
        actor_id,
        person_id,
        with_barred,
        after,
        limit,
    )
    return [Relation(*row) for row in rows]


class NewRelation(NamedTuple):
    """A relation to be; `is_barred`: one that is none, and keeps its place."""

    id: uuid.UUID
    actor_id: uuid.UUID
    person_id: uuid.UUID
    kind: str
    services: Sequence[str] | None = None
    cap_fen: int | None = None
    ends_at: datetime | None = None
    level: int = 0
    evidence: str | None = None
    sealed: bytes | None = None
    is_barred: bool = False


async def insert(tx: Tx, new: NewRelation) -> None:
    """From now on one person may act for another; or never."""
    await tx.execute(
        "INSERT INTO relations (id, actor_id, person_id, kind, services, cap_fen, ends_at, level, evidence, sealed, closed_at, "
        "barred_at) VALUES ($1, $2, $3, $4, $5, $6, CASE WHEN $11 THEN now() ELSE $7 END, $8, $9, $10, "
        "CASE WHEN $11 THEN now() END, CASE WHEN $11 THEN now() END)",
        *new,
    )


async def end(tx: Tx, relation_id: uuid.UUID, *, barred: bool = False, sealed: bytes | None = None) -> None:
    """It counts no more from this moment on, and that was told."""
    await tx.execute(
        "UPDATE relations SET ends_at = greatest(starts_at, now()), closed_at = now(), "
        "barred_at = CASE WHEN $2 THEN now() END, sealed = coalesce($3, sealed) WHERE id = $1",
        relation_id,
        barred,
        sealed,
    )


async def lift(tx: Tx, relation_id: uuid.UUID, sealed: bytes) -> None:
    """Nobody is barred by this any more; it stays ended."""
    await tx.execute("UPDATE relations SET barred_at = NULL, sealed = $2 WHERE id = $1", relation_id, sealed)


async def set_evidence(tx: Tx, relation_id: uuid.UUID, level: int, evidence: str | None, sealed: bytes) -> None:
    """How well a guardianship is known, and by what."""
    await tx.execute(
        "UPDATE relations SET level = $2, evidence = $3, sealed = $4 WHERE id = $1",
        relation_id,
        level,
        evidence,
        sealed,
    )


async def close_over(tx: Tx, *, pair: tuple[uuid.UUID, uuid.UUID] | None = None, limit: int = 500) -> list[Relation]:
    """Close relations that time has ended, of one (actor, person) or of anybody; those that were closed now."""
    rows = await tx.fetch(
        "UPDATE relations SET closed_at = now() WHERE id IN (SELECT id FROM relations WHERE closed_at IS NULL "
        "AND ends_at <= now() AND ($1::uuid IS NULL OR (actor_id = $1 AND person_id = $2)) "
        "ORDER BY id LIMIT $3 FOR UPDATE SKIP LOCKED) RETURNING id",
        *(pair or (None, None)),
        limit,
    )
    found = await tx.fetch(f"{_RELATION} WHERE r.id = ANY($1::uuid[]) ORDER BY r.id", [row["id"] for row in rows])
    return [Relation(*row) for row in found]


async def guardians(tx: Tx, person_id: uuid.UUID) -> int:
    """How many guardians a child has now."""
    found: int = await tx.value(
        f"SELECT count(*) FROM relations r WHERE r.person_id = $1 AND r.kind = 'guardian' AND {_NOW}", person_id
    )
    return found


class NewOffer(NamedTuple):
    """An invitation, or the wish to be somebody's proxy."""

    id: uuid.UUID
    kind: str
    person_id: uuid.UUID
    actor_id: uuid.UUID | None
    by_account_no: int
    expires_at: datetime
    services: Sequence[str] | None = None
    cap_fen: int | None = None
    ends_at: datetime | None = None
    code_hash: bytes | None = None
    code_ends_at: datetime | None = None


async def insert_offer(tx: Tx, new: NewOffer) -> None:
    """Somebody is to be asked."""
    await tx.execute(
        "INSERT INTO offers (id, kind, person_id, actor_id, by_account_no, expires_at, services, cap_fen, ends_at, code_hash, "
        "code_ends_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
        *new,
    )


_OFFER = """
    SELECT o.id, o.kind, o.person_id, p.name, p.no AS person_no, p.community, o.actor_id, a.name AS actor_name,
           a.no AS actor_no, o.by_account_no, o.services, o.cap_fen, o.ends_at, o.code_hash, o.code_ends_at, o.tries,
           o.made_at, o.expires_at, o.answered_at, o.answered_at IS NULL AND o.expires_at > now() AS is_open
    FROM offers o JOIN holders p ON p.id = o.person_id LEFT JOIN holders a ON a.id = o.actor_id
"""


async def offer(tx: Tx, offer_id: uuid.UUID, *, locked: bool = False) -> Any | None:
    """One offer."""
    return await tx.row(f"{_OFFER} WHERE o.id = $1" + (" FOR NO KEY UPDATE OF o" if locked else ""), offer_id)


async def offer_by_code(tx: Tx, code_hash: bytes) -> Any | None:
    """The invitation with this code."""
    return await tx.row(f"{_OFFER} WHERE o.code_hash = $1 AND o.kind = 'guardian'", code_hash)


async def is_still_meant(tx: Tx, offer_id: uuid.UUID) -> bool:
    """Whether whoever invited is still a guardian of the child."""
    found: bool = await tx.value(
        "SELECT EXISTS (SELECT FROM offers o JOIN accounts i ON i.no = o.by_account_no "
        "JOIN relations r ON r.actor_id = i.person_id AND r.person_id = o.person_id "
        f"WHERE o.id = $1 AND r.kind = 'guardian' AND {_NOW})",
        offer_id,
    )
    return found


async def open_proxies(tx: Tx, *, person_id: uuid.UUID | None, actor_id: uuid.UUID | None, limit: int) -> list[Any]:
    """Wishes to be a proxy that nobody has answered, of the one who is to say yes or of the one who asked."""
    return await tx.fetch(
        f"{_OFFER} WHERE o.kind = 'proxy' AND o.answered_at IS NULL AND o.expires_at > now() "
        "AND (o.person_id = $1 OR o.actor_id = $2) ORDER BY o.id LIMIT $3",
        person_id,
        actor_id,
        limit,
    )


async def answer(tx: Tx, offer_id: uuid.UUID) -> int:
    """It was accepted, refused or withdrawn; 0 when it had been before."""
    return await tx.execute("UPDATE offers SET answered_at = now() WHERE id = $1 AND answered_at IS NULL", offer_id)


async def forget_asks(tx: Tx, actor_id: uuid.UUID, person_id: uuid.UUID) -> None:
    """A wish that nobody answered in time is none any more, so that it can be said again."""
    await tx.execute(
        "UPDATE offers SET answered_at = now() WHERE kind = 'proxy' AND actor_id = $1 AND person_id = $2 "
        "AND answered_at IS NULL AND expires_at <= now()",
        actor_id,
        person_id,
    )


async def end_invitations(tx: Tx, person_id: uuid.UUID) -> None:
    """Invitations that are open for a child are good no more: there is one at a time."""
    await tx.execute(
        "UPDATE offers SET expires_at = now() WHERE kind = 'guardian' AND person_id = $1 AND answered_at IS NULL "
        "AND expires_at > now()",
        person_id,
    )


async def set_code(tx: Tx, offer_id: uuid.UUID, code_hash: bytes, ends_at: datetime) -> None:
    """The code that is shown at the desk, with all its tries."""
    await tx.execute(
        "UPDATE offers SET code_hash = $2, code_ends_at = $3, tries = 0 WHERE id = $1", offer_id, code_hash, ends_at
    )


async def count_try(tx: Tx, offer_id: uuid.UUID) -> None:
    """A wrong code was entered."""
    await tx.execute("UPDATE offers SET tries = tries + 1 WHERE id = $1", offer_id)
