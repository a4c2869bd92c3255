"""What guardians have said about a child, and who has read it."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

from shared.db import Tx

_IS_GUARDIAN = "r.kind = 'guardian' AND r.starts_at <= {at} AND (r.ends_at IS NULL OR r.ends_at > {at})"


async def child(tx: Tx, person_id: uuid.UUID) -> Any | None:
    """Somebody of the town: no, id, name, community."""
    return await tx.row(
        "SELECT no, id, name, community FROM holders WHERE id = $1 AND kind = 'person'",
        person_id,
    )


async def guardians(tx: Tx, person_id: uuid.UUID, at: datetime | None = None) -> list[Any]:
    """Who is a guardian of this child now, or was at a moment: id, name."""
    return await tx.fetch(
        f"SELECT h.id, h.name FROM relations r JOIN holders h ON h.id = r.actor_id WHERE r.person_id = $1 "
        f"AND {_IS_GUARDIAN.format(at='coalesce($2, now())')} ORDER BY h.no",
        person_id,
        at,
    )


async def around(tx: Tx, child_no: int, first: datetime, last: datetime) -> list[Any]:
    """Visits of a child that touch this time, and where it is still inside: visit_id, place_id, community, times, inside."""
    return await tx.fetch(
        """
        SELECT v.id AS visit_id, v.place_id, v.community, c.starts_at, c.ends_at, i.claim_id IS NOT NULL AS is_inside
        FROM claims c JOIN visits v ON v.id = c.resource_id LEFT JOIN insides i ON i.claim_id = c.id
        WHERE c.holder_no = $1 AND c.service = 'childcare'
          AND ((c.state IN ('confirmed', 'attended') AND c.starts_at <= $3 AND c.ends_at >= $2) OR i.claim_id IS NOT NULL)
        ORDER BY c.starts_at
        """,
        child_no,
        first,
        last,
    )


async def record(tx: Tx, child_no: int) -> Any | None:
    """What was said about a child: body (sealed), version, changed_at."""
    return await tx.row("SELECT body, version, changed_at FROM child_records WHERE child_no = $1", child_no)


async def write_record(tx: Tx, child_no: int, community: str, body: bytes, by_no: int, version: int | None) -> int:
    """Replace it, if it has this version (any, without one; 0: if nobody wrote any yet); rows written."""
    return await tx.execute(
        "INSERT INTO child_records AS r (child_no, community, body, changed_by) SELECT $1, $2, $3, $4 "
        "WHERE $5::int IS NULL OR $5 = 0 OR EXISTS (SELECT FROM child_records WHERE child_no = $1) "
        "ON CONFLICT (child_no) DO UPDATE SET body = excluded.body, version = r.version + 1, "
        "changed_by = excluded.changed_by, changed_at = now() WHERE $5::int IS NULL OR r.version = $5",
        child_no,
        community,
        body,
        by_no,
        version,
    )


async def insert_read(tx: Tx, child_no: int, community: str, visit: Any, account_no: int, what: str) -> None:
    """Write down that somebody of a room read what guardians wrote."""
    await tx.execute(
        "INSERT INTO record_reads (child_no, community, place_id, visit_id, account_no, what) "
        "VALUES ($1, $2, $3, $4, $5, $6)",
        child_no,
        community,
        visit["place_id"],
        visit["visit_id"],
        account_no,
        what,
    )


async def reads(tx: Tx, child_no: int, after: tuple[datetime, uuid.UUID] | None, limit: int) -> list[Any]:
    """Who read it, latest first: id, by, what, place_id, place_name, visit_id, read_at."""
    return await tx.fetch(
        """
        SELECT r.id, a.name AS by, r.what, r.place_id, p.name AS place_name, r.visit_id, r.read_at
        FROM record_reads r JOIN accounts a ON a.no = r.account_no JOIN places p ON p.id = r.place_id
        WHERE r.child_no = $1 AND ($2::timestamptz IS NULL OR (r.read_at, r.id) < ($2, $3))
        ORDER BY r.read_at DESC, r.id DESC LIMIT $4
        """,
        child_no,
        after[0] if after else None,
        after[1] if after else None,
        limit,
    )


class Line(NamedTuple):
    """One line of a child's collectors: a row."""

    id: uuid.UUID
    child_no: int
    maker_no: int
    community: str
    kind: str
    person_id: uuid.UUID | None
    about: bytes
    code_index: bytes | None
    starts_at: datetime | None
    ends_at: datetime | None


async def insert_collector(tx: Tx, line: Line) -> bool:
    """Add a line; False when the child has a line with this code already."""
    return bool(
        await tx.execute(
            "INSERT INTO collectors (id, child_no, maker_no, community, kind, person_id, about, code_index, starts_at, "
            "ends_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) ON CONFLICT (child_no, code_index) DO NOTHING",
            *line,
        )
    )


async def collectors(tx: Tx, child_no: int, maker_no: int | None = None, *, at: datetime | None = None) -> list[Any]:
    """The lines of a child, all or one maker's, oldest first, with the person's name; removed ones are left out.

    At a moment that was, those that were written and not removed then; and those that forbid also if written since.
    `is_in_force`: whether its maker is a guardian now, or was at a moment: a guardianship that ends takes its lines along,
    but for those that forbid: these stay, unless their maker was barred or whom they forbid is a guardian.
    `is_makers`: it is, or was, because its maker is one. Should there ever be too many, it is not those that forbid which
    are left out.
    """
    return await tx.fetch(
        f"""
        SELECT *, is_makers OR still_forbids AS is_in_force FROM (
            SELECT c.*, h.name AS person_name, EXISTS (
                SELECT FROM relations r JOIN accounts a ON a.person_id = r.actor_id JOIN holders k ON k.id = r.person_id
                WHERE a.no = c.maker_no AND k.no = c.child_no AND {_IS_GUARDIAN.format(at="coalesce($3, now())")}
            ) AS is_makers, (c.kind = 'never' AND NOT EXISTS (
                SELECT FROM relations r JOIN holders k ON k.id = r.person_id LEFT JOIN accounts a ON a.person_id = r.actor_id
                WHERE k.no = c.child_no AND ((a.no = c.maker_no AND r.barred_at IS NOT NULL)
                   OR (r.actor_id = c.person_id AND {_IS_GUARDIAN.format(at="coalesce($3, now())")}))
            )) AS still_forbids
            FROM collectors c LEFT JOIN holders h ON h.id = c.person_id
            WHERE c.child_no = $1 AND ($2::bigint IS NULL OR c.maker_no = $2) AND (c.removed_at IS NULL OR c.removed_at > $3)
              AND (c.kind = 'never' OR c.made_at <= coalesce($3, c.made_at))
            ORDER BY c.kind <> 'never', c.made_at, c.id LIMIT 500) lines
        ORDER BY made_at, id
        """,
        child_no,
        maker_no,
        at,
    )


async def collector(tx: Tx, child_no: int, maker_no: int | None, collector_id: uuid.UUID) -> Any | None:
    """One line of one maker, or of anybody, also a removed one."""
    return await tx.row(
        "SELECT * FROM collectors WHERE id = $3 AND child_no = $1 AND ($2::bigint IS NULL OR maker_no = $2)",
        child_no,
        maker_no,
        collector_id,
    )


async def remove_collector(tx: Tx, collector_id: uuid.UUID) -> int:
    """A line no longer holds; rows changed."""
    return await tx.execute(
        "UPDATE collectors SET removed_at = now() WHERE id = $1 AND removed_at IS NULL", collector_id
    )


async def use_code(tx: Tx, collector_id: uuid.UUID) -> int:
    """Use up a one-time code; 0 when it was used before, or taken back at this very moment."""
    return await tx.execute(
        "UPDATE collectors SET used_at = now() WHERE id = $1 AND used_at IS NULL AND removed_at IS NULL", collector_id
    )


async def steps_of_child(tx: Tx, child_no: int, after: tuple[datetime, uuid.UUID] | None, limit: int) -> Sequence[Any]:
    """Who brought and collected a child, and who was refused, latest first."""
    return await tx.fetch(
        """
        SELECT s.*, p.name AS place_name, h.name AS adult_name, c.about FROM (
            SELECT id, visit_id, place_id, direction AS what, adult_id, collector_id, at FROM handovers WHERE child_no = $1
            UNION ALL
            SELECT id, visit_id, place_id, 'refused', adult_id, collector_id, at FROM turned_away WHERE child_no = $1
        ) s JOIN places p ON p.id = s.place_id LEFT JOIN holders h ON h.id = s.adult_id
        LEFT JOIN collectors c ON c.id = s.collector_id
        WHERE $2::timestamptz IS NULL OR (s.at, s.id) < ($2, $3) ORDER BY s.at DESC, s.id DESC LIMIT $4
        """,
        child_no,
        after[0] if after else None,
        after[1] if after else None,
        limit,
    )
