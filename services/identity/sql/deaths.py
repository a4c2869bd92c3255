"""Who has died, what they wished for then, and who may speak for them, in the database."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any, NamedTuple

from shared.db import Tx

NOT_BY_YOURSELF = "nobody_decides_on_their_own_relative"


async def death(tx: Tx, person_id: uuid.UUID) -> Any | None:
    """The death that is recorded of somebody: id, person_id, community, died_on, evidence, made_at, settled_at."""
    return await tx.row("SELECT * FROM deaths WHERE person_id = $1", person_id)


class NewDeath(NamedTuple):
    """A death to be written down."""

    id: uuid.UUID
    person_id: uuid.UUID
    community: str
    died_on: date
    evidence: str
    account_no: int


async def insert(tx: Tx, new: NewDeath) -> int:
    """Write it down; 0 when one is recorded already."""
    return await tx.execute(
        "INSERT INTO deaths (id, person_id, community, died_on, evidence, account_no) VALUES ($1, $2, $3, $4, $5, $6) "
        "ON CONFLICT DO NOTHING",
        *new,
    )


async def correct(tx: Tx, new: NewDeath) -> None:
    """Write anew on which day and by what; when nothing was to be changed, nothing is."""
    await tx.execute(
        "UPDATE deaths SET died_on = $2, evidence = $3, account_no = $4 WHERE person_id = $1",
        new.person_id,
        new.died_on,
        new.evidence,
        new.account_no,
    )


async def end(tx: Tx, person_id: uuid.UUID) -> None:
    """Whoever has died logs in no more, works here no more, and takes no place. Their holder is locked by the caller."""
    await tx.execute("UPDATE holders SET kind = 'dead' WHERE id = $1", person_id)
    await tx.execute("UPDATE accounts SET closed_at = now() WHERE person_id = $1 AND closed_at IS NULL", person_id)
    mine = "account_no IN (SELECT no FROM accounts WHERE person_id = $1)"
    await tx.execute(f"UPDATE sessions SET revoked_at = now() WHERE {mine} AND revoked_at IS NULL", person_id)
    await tx.execute(
        f"UPDATE roles SET ends_at = greatest(starts_at, now()) WHERE {mine} AND (ends_at IS NULL OR ends_at > now())",
        person_id,
    )
    await tx.execute(
        "UPDATE offers SET answered_at = now() WHERE (actor_id = $1 OR person_id = $1) AND answered_at IS NULL",
        person_id,
    )


async def take_back(tx: Tx, found: Any) -> None:
    """Nobody has died: they can log in again, and what was asked since in their name is not done."""
    person_id = found["person_id"]
    await tx.execute("UPDATE holders SET kind = 'person' WHERE id = $1", person_id)
    await tx.execute("UPDATE accounts SET closed_at = NULL WHERE person_id = $1", person_id)
    await tx.execute(
        "UPDATE requests SET state = 'withdrawn', decided_at = now(), body = NULL "
        "WHERE person_id = $1 AND state = 'asked' AND made_at >= $2",
        person_id,
        found["made_at"],
    )
    await tx.execute(
        "UPDATE relatives SET expires_at = now() WHERE person_id = $1 AND state = 'allowed' AND expires_at > now()",
        person_id,
    )
    await tx.execute("DELETE FROM deaths WHERE person_id = $1", person_id)


async def unsettled(tx: Tx, limit: int) -> list[Any]:
    """Deaths after which something may still go on by itself: id, person_id, account_no."""
    return await tx.fetch(
        "SELECT id, person_id, account_no FROM deaths WHERE settled_at IS NULL ORDER BY made_at LIMIT $1", limit
    )


async def set_settled(tx: Tx, death_id: uuid.UUID) -> int:
    """Nothing goes on for them any more; 0 when that was said before, or the death taken back."""
    return await tx.execute("UPDATE deaths SET settled_at = now() WHERE id = $1 AND settled_at IS NULL", death_id)


async def wish(tx: Tx, person_id: uuid.UUID) -> Any | None:
    """What somebody wants for after their death: who, named, changed_at."""
    return await tx.row("SELECT who, named, changed_at FROM wishes WHERE person_id = $1", person_id)


async def put_wish(
    tx: Tx, person_id: uuid.UUID, community: str, who: str, named: Sequence[uuid.UUID], account_no: int
) -> None:
    """Write it down instead of what was wished for before."""
    await tx.execute(
        "INSERT INTO wishes (person_id, community, who, named, account_no) VALUES ($1, $2, $3, $4, $5) "
        "ON CONFLICT (person_id) DO UPDATE SET who = excluded.who, named = excluded.named, "
        "account_no = excluded.account_no, changed_at = now()",
        person_id,
        community,
        who,
        list(named),
        account_no,
    )


async def living(tx: Tx, person_ids: Sequence[uuid.UUID]) -> set[uuid.UUID]:
    """Who of these is somebody of the town."""
    rows = await tx.fetch("SELECT id FROM holders WHERE id = ANY($1::uuid[]) AND kind = 'person'", list(person_ids))
    return {row["id"] for row in rows}


class NewRelative(NamedTuple):
    """Leave for a relative, to be decided on."""

    id: uuid.UUID
    person_id: uuid.UUID
    relative_id: uuid.UUID
    community: str
    relation: str
    evidence: str
    reason: str
    account_no: int
    by_person_id: uuid.UUID


async def ask(tx: Tx, new: NewRelative) -> int:
    """Write it down; 0 when the same is asked already."""
    return await tx.execute(
        "INSERT INTO relatives (id, person_id, relative_id, community, relation, evidence, reason, account_no, by_person_id) "
        "VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT (person_id, relative_id) WHERE state = 'asked' DO NOTHING",
        *new,
    )


_RELATIVE = """
    SELECT v.*, p.name AS person_name, t.name AS relative_name, t.no AS relative_no, b.name AS by_name,
           d.name AS decided_name, v.expires_at IS NOT NULL AND v.expires_at <= clock_timestamp() AS is_over
    FROM relatives v JOIN holders p ON p.id = v.person_id JOIN holders t ON t.id = v.relative_id
    JOIN holders b ON b.id = v.by_person_id LEFT JOIN holders d ON d.id = v.decided_person_id
"""


async def relative(tx: Tx, relative_id: uuid.UUID, *, locked: bool = False) -> Any | None:
    """One leave with the names of those in it."""
    return await tx.row(_RELATIVE + " WHERE v.id = $1" + (" FOR NO KEY UPDATE OF v" if locked else ""), relative_id)


async def asked_for(tx: Tx, person_id: uuid.UUID, relative_id: uuid.UUID) -> Any | None:
    """The leave that nobody has decided on yet."""
    return await tx.row(
        _RELATIVE + " WHERE v.person_id = $1 AND v.relative_id = $2 AND v.state = 'asked'", person_id, relative_id
    )


async def relatives(
    tx: Tx,
    account_no: int,
    person_id: uuid.UUID | None,
    prefixes: Sequence[str],
    state: str | None,
    before: uuid.UUID | None,
    limit: int,
) -> list[Any]:
    """Those that an account asked for, that are for a person, or that are in these regions; the newest first."""
    return await tx.fetch(
        _RELATIVE
        + " WHERE (v.account_no = $1 OR v.relative_id = $2 OR EXISTS (SELECT FROM unnest($3::text[]) AS t(prefix) "
        "WHERE starts_with(v.community, t.prefix))) AND ($4::text IS NULL OR v.state = $4) "
        "AND ($5::uuid IS NULL OR v.id < $5) ORDER BY v.id DESC LIMIT $6",
        account_no,
        person_id,
        list(prefixes),
        state,
        before,
        limit,
    )


async def decide(tx: Tx, relative_id: uuid.UUID, account_no: int, person_id: uuid.UUID, life: timedelta | None) -> int:
    """Give leave for so long, or deny it (None), also what was given before; 0 when it is decided so already."""
    return await tx.execute(
        "UPDATE relatives SET state = CASE WHEN $4::interval IS NULL THEN 'denied' ELSE 'allowed' END, decided_by = $2, "
        "decided_person_id = $3, decided_at = now(), expires_at = now() + $4::interval "
        "WHERE id = $1 AND (state = 'asked' OR (state = 'allowed' AND $4::interval IS NULL))",
        relative_id,
        account_no,
        person_id,
        life,
    )


async def may_speak(tx: Tx, relative_id: uuid.UUID, person_id: uuid.UUID) -> bool:
    """Whether somebody has leave, at this moment, to speak for a person who has died."""
    found: bool = await tx.value(
        "SELECT EXISTS (SELECT FROM relatives v JOIN deaths d ON d.person_id = v.person_id WHERE v.person_id = $2 "
        "AND v.relative_id = $1 AND v.state = 'allowed' AND v.expires_at > now())",
        relative_id,
        person_id,
    )
    return found
