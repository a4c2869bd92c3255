"""The ledger of consents in the database: read from its end, and only added to."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import Any, NamedTuple

from shared.db import Tx

ONE_WORD_AFTER_ANOTHER = "one_word_after_another"
SHOWN = 50
"""So many words about one purpose are shown, the newest."""


class Subject(NamedTuple):
    """Whom a consent is about."""

    person_id: uuid.UUID
    holder_no: int
    community: str
    born: date | None


async def subject(tx: Tx, person_id: uuid.UUID) -> Subject | None:
    """A person, as far as their consents need it."""
    row = await tx.row(
        "SELECT p.id, h.no, p.community, p.born FROM persons p JOIN holders h ON h.id = p.id WHERE p.id = $1", person_id
    )
    return Subject(*row) if row else None


async def lock(tx: Tx, holder_no: int) -> None:
    """Lock a person's holder: their words come one after another, and none while the arbiter decides about them."""
    await tx.execute("SELECT FROM holders WHERE no = $1 FOR NO KEY UPDATE", holder_no)


async def relations(tx: Tx, actor_id: uuid.UUID, person_id: uuid.UUID) -> list[Any]:
    """How one person may act for another at this moment, guardianship first: kind, services."""
    return await tx.fetch(
        "SELECT kind, services FROM relations WHERE actor_id = $1 AND person_id = $2 AND starts_at <= now() "
        "AND (ends_at IS NULL OR ends_at > now()) ORDER BY kind",
        actor_id,
        person_id,
    )


class Word(NamedTuple):
    """One word about one purpose, and who said it."""

    purpose: str
    step: int
    version: int
    given: bool
    at: datetime
    channel: str
    given_by: str
    by_person_id: uuid.UUID
    by_name: str
    until: datetime | None


async def words(tx: Tx, person_id: uuid.UUID, purposes: Sequence[str]) -> dict[str, list[Word]]:
    """What was said about these purposes, the newest first."""
    rows = await tx.fetch(
        """
        SELECT w.purpose, c.step, c.version, c.given, c.at, c.channel, c.given_by, c.by_person_id, p.name,
               c.until
        FROM unnest($2::text[]) AS w(purpose) CROSS JOIN LATERAL (
            SELECT * FROM consents c WHERE c.person_id = $1 AND c.purpose = w.purpose ORDER BY c.step DESC LIMIT $3
        ) c JOIN holders p ON p.id = c.by_person_id ORDER BY w.purpose, c.step DESC
        """,
        person_id,
        list(purposes),
        SHOWN,
    )
    found: dict[str, list[Word]] = {}
    for row in rows:
        found.setdefault(row["purpose"], []).append(Word(*row))
    return found


class NewWord(NamedTuple):
    """A word to be written."""

    id: uuid.UUID
    person_id: uuid.UUID
    purpose: str
    step: int
    version: int
    given: bool
    channel: str
    given_by: str
    by_account_no: int
    by_person_id: uuid.UUID
    community: str
    until: datetime | None


async def insert(tx: Tx, word: NewWord) -> None:
    """Add to the ledger."""
    await tx.execute(
        "INSERT INTO consents (id, person_id, purpose, step, version, given, channel, given_by, by_account_no, "
        "by_person_id, community, until) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)",
        *word,
    )


class AskedAgain(NamedTuple):
    """A guardian's word that takes the child's own from now on."""

    id: uuid.UUID
    community: str
    holder_no: int
    purpose: str
    version: int
    until: datetime


async def to_ask_again(tx: Tx, before: timedelta, limit: int = 500) -> list[AskedAgain]:
    """Words of guardians that are the newest and end within this time, marked so that each comes once."""
    rows = await tx.fetch(
        """
        WITH due AS (
            SELECT c.id FROM consents c
            WHERE c.until > now() AND c.until <= now() + $1::interval
              AND NOT EXISTS (SELECT FROM asked_again a WHERE a.consent_id = c.id)
              AND NOT EXISTS (SELECT FROM consents o WHERE o.person_id = c.person_id AND o.purpose = c.purpose
                              AND o.step > c.step)
              AND NOT EXISTS (SELECT FROM deaths d WHERE d.person_id = c.person_id)
            ORDER BY c.id LIMIT $2
        ), marked AS (
            INSERT INTO asked_again (consent_id) SELECT id FROM due ON CONFLICT DO NOTHING RETURNING consent_id
        )
        SELECT c.id, c.community, h.no, c.purpose, c.version, c.until
        FROM marked m JOIN consents c ON c.id = m.consent_id JOIN holders h ON h.id = c.person_id ORDER BY c.id
        """,
        before,
        limit,
    )
    return [AskedAgain(*row) for row in rows]
