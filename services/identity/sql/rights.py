"""What people ask about their own data, in the database; and what becomes of who is closed."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import date, datetime
from typing import Any, NamedTuple

from shared.db import Tx
from shared.rights import MOST, Whom

NOT_BY_YOURSELF = "nobody_decides_on_their_own_request"


class NewRequest(NamedTuple):
    """A request to be written."""

    id: uuid.UUID
    person_id: uuid.UUID
    community: str
    kind: str
    field: str | None
    account_no: int
    body: bytes | None
    due_at: datetime
    acts_at: datetime | None


async def insert(tx: Tx, new: NewRequest) -> int:
    """Write it down; 0 when one like it is open."""
    return await tx.execute(
        "INSERT INTO requests (id, person_id, community, kind, field, account_no, body, due_at, acts_at) "
        "VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT DO NOTHING",
        *new,
    )


_REQUEST = """
    SELECT q.*, p.name AS person_name, a.expires_at AS archive_until
    FROM requests q JOIN holders p ON p.id = q.person_id
    LEFT JOIN archives a ON a.request_id = q.id AND a.expires_at > now()
"""


async def open_one(tx: Tx, person_id: uuid.UUID, kind: str) -> Any | None:
    """A person's open request of a kind."""
    return await tx.row(_REQUEST + " WHERE q.person_id = $1 AND q.kind = $2 AND q.state = 'asked'", person_id, kind)


async def one(tx: Tx, request_id: uuid.UUID) -> Any | None:
    """One request."""
    return await tx.row(_REQUEST + " WHERE q.id = $1", request_id)


async def locked(tx: Tx, request_id: uuid.UUID) -> Any | None:
    """One request, locked."""
    return await tx.row(_REQUEST + " WHERE q.id = $1 FOR NO KEY UPDATE OF q", request_id)


async def of_person(tx: Tx, person_id: uuid.UUID, before: uuid.UUID | None, limit: int) -> list[Any]:
    """A person's requests, the newest first."""
    return await tx.fetch(
        _REQUEST + " WHERE q.person_id = $1 AND ($2::uuid IS NULL OR q.id < $2) ORDER BY q.id DESC LIMIT $3",
        person_id,
        before,
        limit,
    )


async def queue(
    tx: Tx,
    prefixes: Sequence[str],
    kind: str | None,
    state: str | None,
    after: tuple[datetime, uuid.UUID] | None,
    limit: int,
) -> list[Any]:
    """Requests of these regions, what is due first at the front."""
    return await tx.fetch(
        _REQUEST
        + " WHERE EXISTS (SELECT FROM unnest($1::text[]) AS t(prefix) WHERE starts_with(q.community, t.prefix)) "
        "AND ($2::text IS NULL OR q.kind = $2) AND ($3::text IS NULL OR q.state = $3) "
        "AND ($4::timestamptz IS NULL OR (q.due_at, q.id) > ($4, $5)) ORDER BY q.due_at, q.id LIMIT $6",
        list(prefixes),
        kind,
        state,
        after[0] if after else None,
        after[1] if after else None,
        limit,
    )


async def answer(
    tx: Tx,
    request_id: uuid.UUID,
    state: str,
    *,
    account_no: int | None = None,
    person_id: uuid.UUID | None = None,
    words: str | None = None,
) -> int:
    """A request has its answer, and what it said is forgotten; 0 when it had one."""
    return await tx.execute(
        "UPDATE requests SET state = $2, decided_by = $3, decided_person_id = $4, answer = $5, decided_at = now(), "
        "body = NULL WHERE id = $1 AND state = 'asked'",
        request_id,
        state,
        account_no,
        person_id,
        words,
    )


async def due(tx: Tx, kind: str, limit: int) -> list[Any]:
    """Open requests that the worker can answer now: id, person_id, account_no."""
    return await tx.fetch(
        "SELECT id, person_id, account_no FROM requests WHERE kind = $1 AND state = 'asked' "
        "AND coalesce(acts_at, now()) <= now() AND NOT ($1 = 'closure' AND EXISTS ("
        "    SELECT FROM legal_holds l WHERE l.person_id = requests.person_id AND l.ended_at IS NULL)) "
        "ORDER BY made_at LIMIT $2",
        kind,
        limit,
    )


async def whom(tx: Tx, person_id: uuid.UUID, asked_by: int) -> Whom | None:
    """By what rows know somebody who is not closed."""
    row = await tx.row(
        "SELECT h.no, coalesce(array_agg(a.no) FILTER (WHERE a.no IS NOT NULL), '{}') AS accounts "
        "FROM persons p JOIN holders h ON h.id = p.id LEFT JOIN accounts a ON a.person_id = p.id "
        "WHERE p.id = $1 AND p.closed_at IS NULL GROUP BY h.no",
        person_id,
    )
    return Whom(person_id, row["no"], tuple(row["accounts"]), asked_by) if row else None


async def remind(tx: Tx, before: datetime) -> list[Any]:
    """Open requests whose time is nearly over and of which nobody was reminded: id, community, kind, due_at."""
    return await tx.fetch(
        "UPDATE requests SET reminded_at = now() WHERE state = 'asked' AND reminded_at IS NULL AND due_at < $1 "
        "AND kind <> 'closure' RETURNING id, community, kind, due_at",
        before,
    )


async def insert_archive(tx: Tx, request_id: uuid.UUID, sealed: bytes, expires_at: datetime) -> None:
    """Keep somebody's copy for a time."""
    await tx.execute(
        "INSERT INTO archives (request_id, sealed, expires_at) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
        request_id,
        sealed,
        expires_at,
    )


async def archive(tx: Tx, request_id: uuid.UUID) -> bytes | None:
    """Somebody's copy, sealed, while it is kept."""
    found: bytes | None = await tx.value(
        "SELECT sealed FROM archives WHERE request_id = $1 AND expires_at > now()", request_id
    )
    return found


async def is_only_guardian(tx: Tx, person_id: uuid.UUID, today: date) -> bool:
    """Whether some child has no other guardian now."""
    found: bool = await tx.value(
        """
        SELECT EXISTS (
            SELECT FROM relations r JOIN persons c ON c.id = r.person_id
            WHERE r.actor_id = $1 AND r.kind = 'guardian' AND (r.ends_at IS NULL OR r.ends_at > now())
              AND c.closed_at IS NULL AND (c.born IS NULL OR c.born > $2::date - interval '18 years') AND NOT EXISTS (
                SELECT FROM relations o WHERE o.person_id = r.person_id AND o.actor_id <> $1 AND o.kind = 'guardian'
                AND o.starts_at <= now() AND (o.ends_at IS NULL OR o.ends_at > now())))
        """,
        person_id,
        today,
    )
    return found


async def speaks_no_more(tx: Tx, request_id: uuid.UUID) -> bool:
    """Whether a request was made by somebody who acted for the person then, and does so no more."""
    return bool(
        await tx.value(
            """
            SELECT EXISTS (SELECT FROM relations r WHERE (r.actor_id, r.person_id) = (a.person_id, q.person_id)
                           AND r.ends_at > q.made_at AND r.ends_at <= now())
               AND NOT EXISTS (SELECT FROM relations r WHERE (r.actor_id, r.person_id) = (a.person_id, q.person_id)
                               AND r.starts_at <= now() AND (r.ends_at IS NULL OR r.ends_at > now()))
            FROM requests q JOIN accounts a ON a.no = q.account_no WHERE q.id = $1
            """,
            request_id,
        )
    )


async def correct(tx: Tx, person_id: uuid.UUID, field: str, value: Any, index: bytes | None = None) -> None:
    """Write one field of a person, also where the ledger and the account have it. Locked by the caller."""
    await tx.execute("UPDATE persons SET version = version + 1 WHERE id = $1", person_id)
    match field:
        case "name":
            await tx.execute("UPDATE holders SET name = $2 WHERE id = $1", person_id, value)
            await tx.execute("UPDATE persons SET name = $2 WHERE id = $1", person_id, value)
            await tx.execute("UPDATE accounts SET name = $2 WHERE person_id = $1", person_id, value)
        case "born":
            await tx.execute("UPDATE holders SET born = $2 WHERE id = $1", person_id, value)
            await tx.execute("UPDATE persons SET born = $2 WHERE id = $1", person_id, value)
        case "sex":
            await tx.execute("UPDATE persons SET sex = $2 WHERE id = $1", person_id, value)
        case "phone":
            await tx.execute(
                "UPDATE persons SET phone_sealed = $2, phone_index = $3 WHERE id = $1", person_id, value, index
            )


CLOSED = "已注销"
_OF_ACCOUNTS = (
    "logins",
    "passwords",
    "invitations",
    "authorization_codes",
    "second_factors",
    "used_steps",
    "recovery_codes",
)
"""What lets somebody in."""


async def close(tx: Tx, whom: Whom) -> None:
    """Leave of a person only what keeps the books right. Their holder and row are locked by the caller."""
    accounts = list(whom.account_nos)
    await tx.execute("DELETE FROM relations WHERE actor_id = $1 OR person_id = $1", whom.person_id)
    await tx.execute("DELETE FROM offers WHERE actor_id = $1 OR person_id = $1", whom.person_id)
    await tx.execute(
        "UPDATE holders SET name = $2, born = NULL, level = 0, household_no = NULL, kind = 'closed' WHERE no = $1",
        whom.holder_no,
        CLOSED,
    )
    await tx.execute(
        "UPDATE persons SET name = $2, sex = NULL, born = NULL, document_kind = NULL, document_sealed = NULL, "
        "document_index = NULL, document_last4 = NULL, phone_sealed = NULL, phone_index = NULL, level = 0, "
        "version = version + 1, closed_at = now() WHERE id = $1",
        whom.person_id,
        CLOSED,
    )
    await tx.execute(
        "UPDATE accounts SET name = $2, closed_at = coalesce(closed_at, now()) WHERE no = ANY($1::bigint[])",
        accounts,
        CLOSED,
    )
    for table in ("wishes", "deaths"):
        await tx.execute(f"DELETE FROM {table} WHERE person_id = $1", whom.person_id)
    await tx.execute("DELETE FROM person_places WHERE person_id = $1", whom.person_id)
    await tx.execute("DELETE FROM identity_conflicts WHERE person_id = $1 OR owner_id = $1", whom.person_id)
    for table in _OF_ACCOUNTS:
        await tx.execute(f"DELETE FROM {table} WHERE account_no = ANY($1::bigint[])", accounts)
    await tx.execute(  # ended and not deleted: the gateways must hear of it, for access tokens are still about
        "UPDATE sessions SET revoked_at = coalesce(revoked_at, now()), device = NULL, successor_sealed = NULL "
        "WHERE account_no = ANY($1::bigint[])",
        accounts,
    )
    await tx.execute(
        "UPDATE roles SET ends_at = now() WHERE account_no = ANY($1::bigint[]) AND (ends_at IS NULL OR ends_at > now())",
        accounts,
    )
    await tx.execute(
        "DELETE FROM archives a USING requests q WHERE q.id = a.request_id AND q.person_id = $1", whom.person_id
    )
    await tx.execute(
        "UPDATE requests SET state = 'withdrawn', decided_at = now(), body = NULL "
        "WHERE person_id = $1 AND state = 'asked' AND kind <> 'closure'",
        whom.person_id,
    )


async def tables(tx: Tx, whom: Whom) -> dict[str, list[Any]]:
    """All that identity knows of somebody, by table; sealed fields are still sealed."""
    accounts, person_id = list(whom.account_nos), whom.person_id
    return {
        "person": await tx.fetch("SELECT * FROM persons WHERE id = $1", person_id),
        "accounts": await tx.fetch(
            "SELECT id, name, kind, made_at FROM accounts WHERE no = ANY($1::bigint[])", accounts
        ),
        "logins": await tx.fetch("SELECT provider, made_at FROM logins WHERE account_no = ANY($1::bigint[])", accounts),
        "sessions": await tx.fetch(
            "SELECT provider, device, made_at, rotated_at, expires_at, revoked_at FROM sessions "
            "WHERE account_no = ANY($1::bigint[]) ORDER BY made_at DESC",
            accounts,
        ),
        "roles": await tx.fetch(
            "SELECT role, prefix, place_id, starts_at, ends_at FROM roles WHERE account_no = ANY($1::bigint[])",
            accounts,
        ),
        "relations": await tx.fetch(
            "SELECT r.kind, r.services, r.level, r.evidence, r.starts_at, r.ends_at, actor_id = $1 AS acts, p.name AS with "
            "FROM relations r "
            "JOIN persons p ON p.id = CASE WHEN r.actor_id = $1 THEN r.person_id ELSE r.actor_id END "
            "WHERE actor_id = $1 OR person_id = $1",
            person_id,
        ),
        "offers": await tx.fetch(
            "SELECT kind, services, made_at, expires_at, answered_at, person_id = $1 AS to_me FROM offers "
            "WHERE person_id = $1 OR actor_id = $1",
            person_id,
        ),
        "places": await tx.fetch(
            "SELECT t.kind, r.name AS region, t.is_home, t.starts_on, t.ended_on FROM person_places t "
            "JOIN regions r ON r.code = t.community WHERE t.person_id = $1 ORDER BY t.starts_on",
            person_id,
        ),
        "conflicts": await tx.fetch(
            "SELECT document_kind, tries, opened_at, closed_at, outcome FROM identity_conflicts WHERE person_id = $1",
            person_id,
        ),
        "consents": await tx.fetch(
            "SELECT purpose, version, given, at, channel, given_by FROM consents WHERE person_id = $1 ORDER BY at",
            person_id,
        ),
        "seen": await tx.fetch(
            "SELECT at, action, reason, data FROM audit WHERE person_id = $1 ORDER BY no DESC LIMIT $2", person_id, MOST
        ),
        "wish": await tx.fetch("SELECT who, named, changed_at FROM wishes WHERE person_id = $1", person_id),
        "death": await tx.fetch("SELECT died_on, evidence, made_at FROM deaths WHERE person_id = $1", person_id),
        "relatives": await tx.fetch(
            "SELECT v.relation, v.evidence, v.state, v.made_at, v.decided_at, v.expires_at, v.relative_id = $1 AS for_me, "
            "h.name AS with FROM relatives v "
            "JOIN holders h ON h.id = CASE WHEN v.relative_id = $1 THEN v.person_id ELSE v.relative_id END "
            "WHERE v.person_id = $1 OR v.relative_id = $1",
            person_id,
        ),
        "requests": await tx.fetch(
            "SELECT kind, field, state, answer, made_at, due_at, decided_at FROM requests WHERE person_id = $1 ORDER BY id",
            person_id,
        ),
    }
