"""Events and series with their sessions, and the venue that is had for them."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from services.events.rules import Claimed, Description, Session
from shared import errors
from shared.db import Referees, Tx, referee

_EVENT = """
    SELECT e.id, e.kind, e.community, e.account_no, e.state, e.version, e.title, e.title_en, e.text, e.seats, e.min_age,
           e.max_age, e.regions, e.level, e.needs_guardian, e.questions, e.opens_at, e.closes_at, e.cancel_by, e.is_waitable,
           e.venue_group_id, e.place_id, e.venue_lost_at, e.reason, e.starts_at, e.ends_at, e.place_id IS NOT NULL AS was_published,
           p.name AS place_name
    FROM events e LEFT JOIN places p ON p.id = e.place_id
"""


_REFEREES: Referees = {
    "one_event_per_venue_group": errors.VenueTaken,
    "events_community_fkey": lambda: errors.Unprocessable.at("/community", "unknown"),
    "one_session_per_moment": errors.Exists,
}


async def event(tx: Tx, kind: str, event_id: uuid.UUID) -> Any | None:
    """One event of this kind, with the name of its venue."""
    return await tx.row(_EVENT + " WHERE e.kind = $1 AND e.id = $2", kind, event_id)


async def locked(tx: Tx, kind: str, event_id: uuid.UUID) -> Any | None:
    """The same, locked."""
    return await tx.row(_EVENT + " WHERE e.kind = $1 AND e.id = $2 FOR NO KEY UPDATE OF e", kind, event_id)


async def events(  # noqa: PLR0913 - the filters of one question
    tx: Tx,
    kind: str,
    *,
    community: str | None,
    state: str | None,
    since: datetime,
    until: datetime | None,
    unpublished: Sequence[tuple[str, uuid.UUID | None]],
    after: tuple[datetime, uuid.UUID] | None,
    limit: int,
) -> list[Any]:
    """Events that are not over at `since`, soonest first; never published ones only where a role (prefix, place) reaches them."""
    return await tx.fetch(
        _EVENT
        + """
        WHERE e.kind = $1 AND ($2::text IS NULL OR starts_with(e.community, $2)) AND ($3::text IS NULL OR e.state = $3)
          AND e.ends_at > $4 AND ($5::timestamptz IS NULL OR e.starts_at < $5)
          AND (e.place_id IS NOT NULL OR EXISTS (
                  SELECT 1 FROM unnest($6::text[], $7::uuid[]) AS r(prefix, place_id)
                  WHERE starts_with(e.community, r.prefix) AND (r.place_id IS NULL OR r.place_id = e.place_id)))
          AND ($8::timestamptz IS NULL OR (e.starts_at, e.id) > ($8, $9::uuid))
        ORDER BY e.starts_at, e.id LIMIT $10
        """,
        kind,
        community,
        state,
        since,
        until,
        [prefix for prefix, _ in unpublished],
        [place_id for _, place_id in unpublished],
        after[0] if after else None,
        after[1] if after else None,
        limit,
    )


async def sessions(tx: Tx, event_ids: Sequence[uuid.UUID]) -> dict[uuid.UUID, list[Session]]:
    """The sessions of these events, soonest first."""
    rows = await tx.fetch(
        "SELECT event_id, id, starts_at, ends_at, title, is_cancelled FROM event_sessions "
        "WHERE event_id = ANY($1::uuid[]) ORDER BY starts_at, id",
        event_ids,
    )
    found: dict[uuid.UUID, list[Session]] = {one: [] for one in event_ids}
    for event_id, *session in rows:
        found[event_id].append(Session(*session))
    return found


def _values(told: Description) -> tuple[Any, ...]:
    return (
        told.community,
        told.title,
        told.title_en,
        told.text,
        told.seats,
        told.min_age,
        told.max_age,
        list(told.regions) if told.regions is not None else None,
        told.level,
        told.needs_guardian,
        list(told.questions),
        told.opens_at,
        told.closes_at,
        told.cancel_by,
        told.is_waitable,
        told.venue_group_id,
    )


async def insert(tx: Tx, kind: str, account_no: int, told: Description, span: tuple[datetime, datetime]) -> uuid.UUID:
    """A new draft."""
    with referee(_REFEREES):
        made: uuid.UUID = await tx.value(
            "INSERT INTO events (kind, account_no, starts_at, ends_at, community, title, title_en, text, seats, min_age, "
            "max_age, regions, level, needs_guardian, questions, opens_at, closes_at, cancel_by, is_waitable, "
            "venue_group_id) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, "
            "$20) RETURNING id",
            kind,
            account_no,
            *span,
            *_values(told),
        )
    return made


async def update(
    tx: Tx, event_id: uuid.UUID, told: Description, span: tuple[datetime, datetime], *, state: str
) -> None:
    """Say anew what an event is; the next version. A venue that is named anew is not lost."""
    with referee(_REFEREES):
        await tx.execute(
            "UPDATE events SET starts_at = $2, ends_at = $3, state = $4, version = version + 1, "
            "venue_lost_at = CASE WHEN venue_group_id IS DISTINCT FROM $20 THEN NULL ELSE venue_lost_at END, "
            "community = $5, title = $6, title_en = $7, text = $8, seats = $9, min_age = $10, max_age = $11, regions = $12, "
            "level = $13, needs_guardian = $14, questions = $15, opens_at = $16, closes_at = $17, cancel_by = $18, "
            "is_waitable = $19, venue_group_id = $20 WHERE id = $1",
            event_id,
            *span,
            state,
            *_values(told),
        )


async def insert_sessions(tx: Tx, event_id: uuid.UUID, made: Sequence[Session]) -> None:
    """Sessions of an event, each with its id."""
    with referee(_REFEREES):
        await tx.execute(
            "INSERT INTO event_sessions (id, event_id, starts_at, ends_at, title) "
            "SELECT s.id, $1, s.starts_at, s.ends_at, s.title "
            "FROM unnest($2::uuid[], $3::timestamptz[], $4::timestamptz[], $5::text[]) AS s(id, starts_at, ends_at, title)",
            event_id,
            [one.id for one in made],
            [one.starts_at for one in made],
            [one.ends_at for one in made],
            [one.title for one in made],
        )


async def delete_sessions(tx: Tx, event_id: uuid.UUID) -> None:
    """Forget the sessions of a draft."""
    await tx.execute("DELETE FROM event_sessions WHERE event_id = $1", event_id)


async def cancel_sessions(tx: Tx, ids: Sequence[uuid.UUID]) -> None:
    """These sessions do not take place."""
    await tx.execute("UPDATE event_sessions SET is_cancelled = true WHERE id = ANY($1::uuid[])", ids)


async def name_sessions(tx: Tx, named: Sequence[Session]) -> None:
    """Give sessions that stay other titles."""
    await tx.execute(
        "UPDATE event_sessions s SET title = n.title FROM unnest($1::uuid[], $2::text[]) AS n(id, title) WHERE s.id = n.id",
        [one.id for one in named],
        [one.title for one in named],
    )


async def publish(tx: Tx, event_id: uuid.UUID, place_id: uuid.UUID) -> None:
    """It takes place there."""
    with referee(_REFEREES):
        await tx.execute(
            "UPDATE events SET state = 'published', version = version + 1, place_id = $2 WHERE id = $1",
            event_id,
            place_id,
        )


async def cancel(tx: Tx, event_id: uuid.UUID, reason: str) -> None:
    """It does not take place."""
    await tx.execute(
        "UPDATE events SET state = 'cancelled', version = version + 1, reason = $2 WHERE id = $1", event_id, reason
    )


async def mark_held(tx: Tx) -> int:
    """What is over took place; how many events."""
    return await tx.execute(
        "UPDATE events SET state = 'held', version = version + 1 "
        "WHERE state IN ('published', 'changed') AND ends_at <= now()"
    )


async def venue(tx: Tx, group_id: uuid.UUID, account_no: int, community: str) -> list[Claimed]:
    """The confirmed slots of a booking that may serve as this account's venue; none when it may not.

    It was made by the same account, or by an account whose role reaches the event's community, and it is held by a
    committee or by whoever made it: nobody's own booking becomes somebody else's festival.
    """
    rows = await tx.fetch(
        """
        SELECT c.place_id, c.starts_at, c.ends_at
        FROM claims c JOIN holders h ON h.no = c.holder_no JOIN accounts a ON a.no = c.account_no
        WHERE c.group_id = $1 AND c.service = 'booking' AND c.state IN ('confirmed', 'attended')
          AND (h.kind = 'organisation' OR h.id = a.person_id)
          AND (c.account_no = $2 OR EXISTS (
                  SELECT 1 FROM roles r WHERE r.account_no = c.account_no AND r.role IN ('staff', 'manager', 'operator')
                  AND starts_with($3, r.prefix) AND r.starts_at <= now() AND (r.ends_at IS NULL OR r.ends_at > now())))
        ORDER BY c.id FOR SHARE OF c
        """,
        group_id,
        account_no,
        community,
    )
    return [Claimed(*row) for row in rows]


async def with_weak_venues(tx: Tx) -> list[uuid.UUID]:
    """Events that are still to come, and some slot of whose venue was given back without anybody having been told."""
    rows = await tx.fetch(
        """
        SELECT e.id FROM events e
        WHERE e.state IN ('published', 'changed') AND e.ends_at > now() AND e.venue_lost_at IS NULL
          AND (EXISTS (SELECT 1 FROM claims c WHERE c.group_id = e.venue_group_id
                       AND c.state NOT IN ('confirmed', 'attended'))
               OR NOT EXISTS (SELECT 1 FROM claims c WHERE c.group_id = e.venue_group_id))
        ORDER BY e.id LIMIT 500
        """
    )
    return [row[0] for row in rows]


async def watched(tx: Tx, event_id: uuid.UUID) -> Any | None:
    """An event whose venue may be lost, locked; None when it is locked elsewhere or no longer of interest."""
    return await tx.row(
        _EVENT + " WHERE e.id = $1 AND e.state IN ('published', 'changed') AND e.venue_lost_at IS NULL "
        "FOR NO KEY UPDATE OF e SKIP LOCKED",
        event_id,
    )


async def still_had(tx: Tx, group_id: uuid.UUID) -> list[Claimed]:
    """What is still confirmed of a venue's booking."""
    rows = await tx.fetch(
        "SELECT place_id, starts_at, ends_at FROM claims WHERE group_id = $1 AND service = 'booking' "
        "AND state IN ('confirmed', 'attended')",
        group_id,
    )
    return [Claimed(*row) for row in rows]


async def lose_venue(tx: Tx, event_id: uuid.UUID) -> None:
    """Its venue is lost, and that is being told."""
    await tx.execute("UPDATE events SET venue_lost_at = now(), version = version + 1 WHERE id = $1", event_id)


async def organiser(tx: Tx, account_no: int) -> list[int]:
    """The holder's number of whoever organises it, if it is a person."""
    rows = await tx.fetch(
        "SELECT h.no FROM accounts a JOIN holders h ON h.id = a.person_id WHERE a.no = $1", account_no
    )
    return [row[0] for row in rows]
