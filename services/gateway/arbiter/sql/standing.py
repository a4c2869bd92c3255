"""What stands against a place for somebody: what they have already, and what is held of a slot."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, NamedTuple

from services.gateway.arbiter.rules import Limits, Place, Previous
from services.gateway.arbiter.sql.facts import ZONE
from shared import claims, clock
from shared.claims import Take
from shared.db import Tx

EVER = datetime(9999, 1, 1, tzinfo=UTC)
"""Later than anything anybody has."""


class Lapsing(NamedTuple):
    """A hold that is over but still takes its place; `home` where it was asked what a household has at a place on a day."""

    holder_no: int
    slot_id: uuid.UUID
    home: tuple[int, uuid.UUID, date] | None = None


class Standing(NamedTuple):
    """What holders have (`places`, and `over`: holds whose time is over), and what earlier asks came to by key.

    `held_until`: the first moment at which a hold on a slot can lapse; slots without holds are missing.
    """

    places: dict[int, list[Place]]
    over: list[Lapsing]
    previous: dict[tuple[int, str], Previous]
    held_until: dict[uuid.UUID, datetime]


_PLACE = f"""
    c.holder_no, c.slot_id, c.place_id, c.starts_at, c.ends_at, (c.starts_at AT TIME ZONE '{ZONE}')::date, c.is_exclusive,
    c.is_counted, c.held_until, NULL::text, NULL::bytea, NULL::text
"""
_STANDING = f"""
    SELECT {_PLACE}
    FROM claims c WHERE c.holder_no = ANY($1::bigint[]) AND c.ends_at > $2 AND c.starts_at < $12 AND c.is_active
      AND ($9::uuid[] IS NULL OR c.place_id = ANY($9) OR (c.ends_at > $10 AND c.starts_at < $11))
    UNION ALL
    SELECT {_PLACE}
    FROM unnest($6::bigint[], $7::timestamptz[], $8::timestamptz[]) AS w(holder_no, starts_at, ends_at)
    JOIN claims c ON c.holder_no = w.holder_no AND c.ends_at > w.starts_at AND c.starts_at < w.ends_at
    WHERE c.state IN ('held', 'confirmed', 'attended') -- that is is_active, whose index an empty town would be planned with
    UNION ALL
    SELECT a.account_no, a.group_id, NULL, NULL, NULL, NULL, NULL, NULL, NULL, a.key, a.fingerprint,
           CASE WHEN c.is_confirmed THEN 'confirmed' WHEN c.is_held THEN 'held' WHEN a.state = 'granted' THEN 'lapsed'
                ELSE a.state END
    FROM unnest($3::bigint[], $4::text[]) AS k(account_no, key) JOIN asks a USING (account_no, key)
    LEFT JOIN LATERAL (
        SELECT bool_or(c.resource_id IS NOT NULL) AS is_confirmed,
               bool_or(c.state = 'held' AND c.held_until > clock_timestamp()) AS is_held
        FROM claims c WHERE c.group_id = a.group_id
    ) c ON true
    UNION ALL
    SELECT NULL, slot_id, NULL, NULL, NULL, NULL, NULL, NULL, min(held_until), NULL, NULL, NULL
    FROM claims WHERE slot_id = ANY($5::uuid[]) AND is_active AND state = 'held' GROUP BY slot_id
"""


class Wanted(NamedTuple):
    """Of what somebody has, what could stand against an ask.

    Of those who are `limited` by a place all they have at `places` (None: anywhere) between `since` and `until`, and whatever
    they have within the `span` of the list; of others what they have `between` two moments of their own.
    """

    limited: set[int]
    places: list[uuid.UUID] | None
    since: datetime
    until: datetime
    span: tuple[datetime, datetime]
    between: dict[int, tuple[datetime, datetime]]


def _reach(of: Limits, day: date, now: datetime) -> tuple[datetime, datetime]:
    """Since and until when what somebody has counts against these limits for a slot on that day; at least one is set."""
    first, last = (now, EVER) if of.at_once is not None else (EVER, now)
    if of.per_week is not None or of.per_day is not None:
        days = 7 if of.per_week is not None else 1
        begins = clock.at(day - timedelta(days=day.weekday() if days == 7 else 0), time.min)
        first, last = min(first, begins), max(last, begins + timedelta(days=days))
    return first, last


def wanted(
    takes: Sequence[tuple[Take, ...]],
    several: Sequence[tuple[int, ...]],
    rows: Mapping[uuid.UUID, Any],
    known: Mapping[uuid.UUID, Limits],
    now: datetime,
) -> Wanted:
    """What to look at for these asks."""
    limits = {
        one: _reach(of, row["day"], now)
        for one, row in rows.items()
        if row["is_counted"]
        and ((of := known[row["policy_id"]]).per_day, of.per_week, of.at_once) != (None, None, None)
    }
    limited: set[int] = set()
    between: dict[int, tuple[datetime, datetime]] = {}
    for taken, holders in zip(takes, several, strict=True):
        for take in taken:
            row = rows.get(take.slot_id)
            if row is None or not (row["is_counted"] or row["is_exclusive"]):  # nothing stands against a stock
                continue
            if take.slot_id in limits:
                limited.update(holders)
            starts_at, ends_at = row["starts_at"], row["ends_at"]
            for no in holders:
                first, last = between.get(no, (starts_at, ends_at))
                between[no] = min(first, starts_at), max(last, ends_at)
    first = min((starts_at for starts_at, _ in between.values()), default=now)
    last = max((ends_at for _, ends_at in between.values()), default=now)
    return Wanted(
        limited,
        list({rows[one]["place_id"] for one in limits}),
        min([first, *(since for since, _ in limits.values())]),
        max([last, *(until for _, until in limits.values())]),
        (first, last),
        {no: when for no, when in between.items() if no not in limited},
    )


async def standing(
    tx: Tx,
    wanted: Wanted,
    now: datetime,
    keys: Sequence[tuple[int, str]] = (),
    slot_ids: Sequence[uuid.UUID] = (),
) -> Standing:
    """What may stand against an ask, in one look.

    Active claims as far as they are wanted; what asks with these keys came to; holds on these slots.
    """
    rows = await tx.fetch(
        _STANDING,
        list(wanted.limited),
        wanted.since,
        [account_no for account_no, _ in keys],
        [key for _, key in keys],
        slot_ids,
        list(wanted.between),
        [starts_at for starts_at, _ in wanted.between.values()],
        [ends_at for _, ends_at in wanted.between.values()],
        wanted.places,
        *wanted.span,
        wanted.until,
    )
    found = Standing({}, [], {}, {})
    for no, slot_id, *place, held_until, key, fingerprint, state in rows:
        if no is None:
            found.held_until[slot_id] = held_until
        elif key is not None:
            found.previous[no, key] = Previous(slot_id, fingerprint, state)
        elif held_until is not None and held_until <= now:
            found.over.append(Lapsing(no, slot_id))
        else:
            found.places.setdefault(no, []).append(Place(slot_id, *place))
    return found


async def household_counts(
    tx: Tx, nos: Sequence[int], place_ids: Sequence[uuid.UUID], since: datetime, now: datetime
) -> tuple[dict[tuple[int, uuid.UUID, date], int], list[Lapsing]]:
    """Active claims by household, place and day; and apart from them holds whose time is over."""
    rows = await tx.fetch(
        f"SELECT h.household_no, c.place_id, (c.starts_at AT TIME ZONE '{ZONE}')::date, "
        "count(*) FILTER (WHERE c.held_until > $4 OR c.held_until IS NULL), "
        "array_agg(c.holder_no) FILTER (WHERE c.held_until <= $4), array_agg(c.slot_id) FILTER (WHERE c.held_until <= $4) "
        "FROM claims c JOIN holders h ON h.no = c.holder_no WHERE h.household_no = ANY($1::bigint[]) "
        "AND c.place_id = ANY($2::uuid[]) AND c.ends_at > $3 AND c.starts_at >= $3 AND c.is_active AND c.is_counted GROUP BY 1, 2, 3",
        nos,
        place_ids,
        since,
        now,
    )
    over = [
        Lapsing(no, slot_id, (row[0], row[1], row[2]))
        for row in rows
        for no, slot_id in zip(row[4] or (), row[5] or (), strict=True)
    ]
    return {(row[0], row[1], row[2]): row[3] for row in rows}, over


async def lapse_elsewhere(tx: Tx, over: Sequence[Lapsing]) -> tuple[int, list[Lapsing]]:
    """Free holds that are over: how many were, and which were not. Their slots out of order, so never waiting for them.

    What was not freed is being confirmed at this moment, or its slot is locked: whom it counts for has to wait.
    """
    had = await claims.lock_slots(tx, {one.slot_id for one in over}, skip_locked=True)
    gone = await claims.lapse(tx, list(had))
    freed = {(one.holder_no, one.slot_id) for one in gone}
    return len(gone), [one for one in over if (one.holder_no, one.slot_id) not in freed]


async def held_until(tx: Tx, ids: Sequence[uuid.UUID]) -> dict[uuid.UUID, datetime]:
    """The first moment at which a hold on each of these slots can lapse; slots without holds are missing."""
    rows = await tx.fetch(
        "SELECT slot_id, min(held_until) FROM claims WHERE slot_id = ANY($1::uuid[]) AND is_active AND state = 'held' "
        "GROUP BY slot_id",
        ids,
    )
    return {row[0]: row[1] for row in rows}


async def lapsed_units(tx: Tx, ids: Sequence[uuid.UUID]) -> dict[uuid.UUID, tuple[int, int]]:
    """Units of holds on these slots that are over but not yet freed, and how many of them were made offline."""
    rows = await tx.fetch(
        "SELECT slot_id, sum(units)::int, coalesce(sum(units) FILTER (WHERE channel = ANY($2::text[])), 0)::int "
        "FROM claims WHERE slot_id = ANY($1::uuid[]) AND is_active AND state = 'held' "
        "AND held_until <= clock_timestamp() GROUP BY slot_id",
        ids,
        claims.OFFLINE,
    )
    return {row[0]: (row[1], row[2]) for row in rows}
