"""Questions of the open feed: what changed since it was last told, and pages of it."""

from __future__ import annotations

from typing import Any

from shared.db import Tx

_FINGERPRINT = """hashtextextended(concat_ws('|', s.capacity, s.taken, s.state, s.title, s.opens_at, s.closes_at, p.name, p.kind,
    p.address, p.lat, p.lon, 1), 0)"""
"""What the feed tells of a slot; the 1 is the form's own version."""
_MOMENT = """to_char({column} AT TIME ZONE 'Asia/Shanghai', 'YYYY-MM-DD"T"HH24:MI:SS"+08:00"')"""
_OFFERED = "s.state = 'open' AND s.ends_at > now() AND s.subject_kind IS DISTINCT FROM 'dish'"


async def stamp(tx: Tx, *, most: int) -> int:
    """Give the next change numbers to slots that are no longer as they were told; how many.

    It only reads slots. One at a time counts on, so that a reader behind a number misses nothing; what changes while it looks
    is found by the next look.
    """
    head = await tx.row("SELECT change_no FROM partner_head FOR UPDATE SKIP LOCKED")
    if head is None:
        return 0
    stamped = await tx.execute(
        f"""
        WITH offered AS (
            SELECT s.id, {_FINGERPRINT} AS fingerprint FROM slots s JOIN places p ON p.id = s.place_id WHERE {_OFFERED}
        ), changed AS (
            SELECT coalesce(f.id, o.slot_id) AS id, f.fingerprint
            FROM offered f FULL JOIN open_slots o ON o.slot_id = f.id
            WHERE CASE WHEN f.id IS NULL THEN o.body IS NOT NULL
                       ELSE o.slot_id IS NULL OR o.body IS NULL OR o.fingerprint <> f.fingerprint END
            LIMIT $2
        )
        INSERT INTO open_slots (slot_id, community, change_no, fingerprint, body, ends_at)
        SELECT s.id, s.community, $1 + row_number() OVER (ORDER BY s.starts_at, s.id), coalesce(c.fingerprint, 0),
            CASE WHEN c.fingerprint IS NOT NULL THEN jsonb_build_object(
                'startDate', {_MOMENT.format(column="s.starts_at")},
                'endDate', {_MOMENT.format(column="s.ends_at")},
                'duration', 'PT' || (extract(epoch FROM s.ends_at - s.starts_at)::bigint / 60) || 'M',
                'remainingUses', s.capacity - s.taken,
                'maximumUses', s.capacity,
                'title', s.title,
                'service', s.service,
                'community', s.community,
                'place', jsonb_build_object('id', p.id, 'name', p.name, 'kind', p.kind, 'address', p.address,
                                            'lat', p.lat, 'lon', p.lon)) END,
            s.ends_at
        FROM changed c JOIN slots s ON s.id = c.id JOIN places p ON p.id = s.place_id
        ON CONFLICT (slot_id) DO UPDATE SET change_no = excluded.change_no, fingerprint = excluded.fingerprint,
            body = excluded.body, ends_at = excluded.ends_at, changed_at = now()
        """,
        head["change_no"],
        most,
    )
    if stamped:
        await tx.execute("UPDATE partner_head SET change_no = change_no + $1", stamped)
    else:
        tx.discard()
    return stamped


async def page(tx: Tx, after: int, limit: int) -> list[Any]:
    """Slots in the order of their last changes."""
    return await tx.fetch(
        "SELECT slot_id, change_no, body FROM open_slots WHERE change_no > $1 ORDER BY change_no LIMIT $2", after, limit
    )


async def forget(tx: Tx, days: int) -> int:
    """Slots that were told as gone so long ago."""
    return await tx.execute(
        "DELETE FROM open_slots WHERE body IS NULL AND changed_at < now() - make_interval(days => $1)", days
    )
