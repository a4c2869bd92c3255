"""Slots and holders: locked in the one order, then looked at, and what stands against a place for somebody."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from typing import Any, NamedTuple

from services import SERVICES
from services.gateway.arbiter.rules import Holder, Limits, Place, Previous, Slot
from shared import claims
from shared import consents as ledger_of_consents
from shared.claims import Subject, Take
from shared.db import Tx
from shared.grants import GrantedSlot

ZONE = "Asia/Shanghai"

SLOT = f"""
    SELECT s.id, s.service, s.place_id, s.community, s.starts_at, s.ends_at,
           (s.starts_at AT TIME ZONE '{ZONE}')::date AS day, s.opens_at, s.closes_at, s.capacity, s.taken, s.taken_offline,
           s.waiting, s.offline_share, s.offline_until, s.min_age, s.max_age, s.regions, s.level, s.needs_guardian,
           s.allocation, s.is_exclusive, s.is_waitable, s.state, s.is_counted, s.policy_id, s.next_lapse, s.title, s.cancel_by,
           p.name AS place_name, s.subject_kind, s.subject_id, r.id AS resource_id, r.name AS resource_name,
           coalesce(s.next_lapse <= clock_timestamp(), false) AS is_due
    FROM slots s JOIN places p ON p.id = s.place_id LEFT JOIN resources r ON r.no = s.resource_no
"""
_FACTS = 25
"""The leading columns of SLOT that are a Slot's own, before its limits."""

PURPOSES: dict[str, tuple[str, ...]] = {one.name: one.purposes for one in SERVICES if one.purposes}
"""What people must have consented to, for the services that ask for it."""

_policies: dict[uuid.UUID, Limits] = {}
"""Policies never change, so what was read once is known."""


async def limits(tx: Tx, ids: Iterable[uuid.UUID]) -> Mapping[uuid.UUID, Limits]:
    """The limits of these policies; a query only for policies not seen before."""
    unknown = [one for one in set(ids) if one not in _policies]
    if unknown:
        if len(_policies) > 10_000:
            _policies.clear()
        for row in await tx.fetch(
            "SELECT id, body->'limits' AS limits FROM policies WHERE id = ANY($1::uuid[])", unknown
        ):
            _policies[row["id"]] = Limits(**(row["limits"] or {}))
    return _policies


def slot(row: Any, known: Mapping[uuid.UUID, Limits], held_until: datetime | None = None) -> Slot:
    """A row of SLOT as the rules see it."""
    return Slot._make((*row[:_FACTS], known[row["policy_id"]], held_until, PURPOSES.get(row["service"], ())))


def granted_slot(row: Any) -> GrantedSlot:
    """A row of SLOT as a grant names it."""
    return GrantedSlot(
        row["id"],
        row["place_id"],
        row["place_name"],
        row["title"],
        row["community"],
        row["starts_at"],
        row["ends_at"],
        row["cancel_by"],
        row["state"],
        row["subject_id"],
        row["resource_id"],
        row["resource_name"],
    )


async def locked_slots(tx: Tx, ids: Sequence[uuid.UUID], *, skip_locked: bool) -> list[Any]:
    """Rows of SLOT, locked in the order of their ids."""
    return await tx.fetch(
        SLOT
        + " WHERE s.id = ANY($1::uuid[]) ORDER BY s.id FOR NO KEY UPDATE OF s"
        + (" SKIP LOCKED" if skip_locked else ""),
        ids,
    )


async def existing(tx: Tx, ids: Sequence[uuid.UUID]) -> set[uuid.UUID]:
    """Which of these slots exist at all."""
    return {row[0] for row in await tx.fetch("SELECT id FROM slots WHERE id = ANY($1::uuid[])", ids)}


async def slots(tx: Tx, ids: Sequence[uuid.UUID]) -> list[Any]:
    """Rows of SLOT, unlocked or already locked by the caller."""
    return await tx.fetch(SLOT + " WHERE s.id = ANY($1::uuid[])", ids)


_HOLDER = """
    h.no, h.id, h.name, h.kind, h.community, h.born, h.level, h.household_no,
    (SELECT jsonb_object_agg(x.service, x.ends_at)
     FROM suspensions x
     WHERE x.holder_no = h.no AND x.lifted_at IS NULL AND x.starts_at <= now() AND x.ends_at > now()) AS suspended,
    clock_timestamp() AS now
"""


async def locked_holders(tx: Tx, nos: Sequence[int], *, skip_locked: bool) -> list[Any]:
    """Holders by number, locked in the order of their numbers."""
    rows = await tx.fetch(
        f"SELECT {_HOLDER}, pg_current_xact_id()::text AS xid FROM holders h "
        "WHERE h.no = ANY($1::bigint[]) ORDER BY h.no FOR NO KEY UPDATE OF h" + (" SKIP LOCKED" if skip_locked else ""),
        nos,
    )
    if rows:
        tx.xid = rows[0]["xid"]
    return rows


async def holders(tx: Tx, nos: Sequence[int]) -> list[Any]:
    """Holders by number, unlocked."""
    return await tx.fetch(f"SELECT {_HOLDER} FROM holders h WHERE h.no = ANY($1::bigint[])", nos)


async def holder_nos(tx: Tx, ids: Sequence[uuid.UUID]) -> dict[uuid.UUID, int]:
    """Numbers of holders by id; unknown ids are missing, and those of who is closed or has died."""
    rows = await tx.fetch(
        "SELECT id, no FROM holders WHERE id = ANY($1::uuid[]) AND kind IN ('person', 'organisation')", ids
    )
    return {row["id"]: row["no"] for row in rows}


async def organisation_nos(tx: Tx, codes: Sequence[str]) -> dict[str, int]:
    """The holder's number of each region's committee, made when it is asked for first; unknown regions are missing."""
    known = "SELECT community, no FROM holders WHERE kind = 'organisation' AND community = ANY($1::text[])"
    found = {row["community"]: row["no"] for row in await tx.fetch(known, codes)}
    if missing := [code for code in codes if code not in found]:
        await tx.execute(
            "INSERT INTO holders (id, kind, name, community, level) SELECT uuidv7(), 'organisation', name, code, 3 "
            "FROM regions WHERE code = ANY($1::text[]) AND ended_on IS NULL ORDER BY code ON CONFLICT DO NOTHING",
            missing,
        )
        # A new statement: it sees those that another gateway has just made.
        found |= {row["community"]: row["no"] for row in await tx.fetch(known, missing)}
    return found


_beside: dict[tuple[str, uuid.UUID, uuid.UUID | None], list[uuid.UUID]] = {}
"""Slots of subjects beside a slot. A subject has its slots of a day once and for all, and a slot's place and times never
change, so what was read once is known; it may be cancelled since, which its row tells when it is locked."""


async def slots_of(tx: Tx, subjects: Sequence[tuple[str, Subject]]) -> dict[int, list[uuid.UUID]]:
    """For each (service, subject) the slots it stands for, soonest first; those without any are missing."""
    found: dict[int, list[uuid.UUID]] = {}
    unknown: list[int] = []
    for n, (service, one) in enumerate(subjects):
        known = _beside.get((service, one.subject_id, one.beside))
        if known is None:
            unknown.append(n)
        else:
            found[n] = known
    if not unknown:
        return found
    rows = await tx.fetch(
        f"""
        SELECT k.n, s.id
        FROM unnest($1::int[], $2::text[], $3::uuid[], $4::uuid[]) AS k(n, service, subject_id, beside)
        JOIN slots s ON s.subject_id = k.subject_id AND s.service = k.service
        LEFT JOIN slots b ON b.id = k.beside
        WHERE CASE WHEN k.beside IS NULL THEN s.state = 'open' AND s.starts_at > now()
              ELSE s.state <> 'cancelled' AND s.place_id = b.place_id
                   AND (s.starts_at AT TIME ZONE '{ZONE}')::date = (b.starts_at AT TIME ZONE '{ZONE}')::date END
        ORDER BY k.n, s.starts_at, s.id
        """,
        unknown,
        [subjects[n][0] for n in unknown],
        [subjects[n][1].subject_id for n in unknown],
        [subjects[n][1].beside for n in unknown],
    )
    for n, slot_id in rows:
        found.setdefault(n, []).append(slot_id)
    if len(_beside) > 10_000:
        _beside.clear()
    for n in unknown:
        service, one = subjects[n]
        if one.beside is not None and n in found:
            _beside[service, one.subject_id, one.beside] = found[n]
    return found


async def consents(tx: Tx, slots: Iterable[Any], people: Iterable[Any]) -> Mapping[uuid.UUID, frozenset[str]]:
    """What these people consent to, by their ids, of what these slots (rows of SLOT) ask for; mostly that is nothing."""
    if not PURPOSES:
        return {}
    wanted = {purpose for row in slots for purpose in PURPOSES.get(row["service"], ())}
    return await ledger_of_consents.of(tx, [row["id"] for row in people], sorted(wanted)) if wanted else {}


_NONE: frozenset[Any] = frozenset()


def holder(
    row: Any, places: Sequence[Place], waits: frozenset[uuid.UUID] = _NONE, consents: frozenset[str] = _NONE
) -> Holder:
    """A row of `holders` as the rules see it."""
    suspended = {service: datetime.fromisoformat(until) for service, until in (row["suspended"] or {}).items()}
    return Holder._make((*row[:8], places, suspended, waits, consents))


async def locked_households(tx: Tx, nos: Sequence[int], *, skip_locked: bool) -> set[int]:
    """Lock households in order; the numbers that were had."""
    rows = await tx.fetch(
        "SELECT no FROM households WHERE no = ANY($1::bigint[]) ORDER BY no FOR NO KEY UPDATE"
        + (" SKIP LOCKED" if skip_locked else ""),
        nos,
    )
    return {row[0] for row in rows}


class Lapsing(NamedTuple):
    """A hold that is over but still takes its place."""

    holder_no: int
    slot_id: uuid.UUID


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
    FROM claims c WHERE c.holder_no = ANY($1::bigint[]) AND c.ends_at > $2 AND c.starts_at >= $2 AND c.is_active
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

    Of those who are `limited` by a place all they have at `places` (None: anywhere) and within the `span` of the list; of
    others what they have `between` two moments of their own.
    """

    limited: set[int]
    places: list[uuid.UUID] | None
    span: tuple[datetime, datetime]
    between: dict[int, tuple[datetime, datetime]]


def wanted(
    takes: Sequence[tuple[Take, ...]],
    several: Sequence[tuple[int, ...]],
    rows: Mapping[uuid.UUID, Any],
    known: Mapping[uuid.UUID, Limits],
    now: datetime,
) -> Wanted:
    """What to look at for these asks."""
    limited: set[int] = set()
    places: set[uuid.UUID] = set()
    between: dict[int, tuple[datetime, datetime]] = {}
    for taken, holders in zip(takes, several, strict=True):
        for take in taken:
            row = rows.get(take.slot_id)
            if row is None or not (row["is_counted"] or row["is_exclusive"]):  # nothing stands against a stock
                continue
            of = known[row["policy_id"]]
            if row["is_counted"] and (of.per_day, of.per_week, of.at_once) != (None, None, None):
                limited.update(holders)
                places.add(row["place_id"])
            starts_at, ends_at = row["starts_at"], row["ends_at"]
            for no in holders:
                first, last = between.get(no, (starts_at, ends_at))
                between[no] = min(first, starts_at), max(last, ends_at)
    span = (
        min((starts_at for starts_at, _ in between.values()), default=now),
        max((ends_at for _, ends_at in between.values()), default=now),
    )
    return Wanted(limited, list(places), span, {no: when for no, when in between.items() if no not in limited})


async def standing(
    tx: Tx,
    wanted: Wanted,
    since: datetime,
    now: datetime,
    keys: Sequence[tuple[int, str]] = (),
    slot_ids: Sequence[uuid.UUID] = (),
) -> Standing:
    """What may stand against an ask, in one look.

    Active claims as far as they are wanted, from `since` on; what asks with these keys came to; holds on these slots.
    """
    rows = await tx.fetch(
        _STANDING,
        list(wanted.limited),
        since,
        [account_no for account_no, _ in keys],
        [key for _, key in keys],
        slot_ids,
        list(wanted.between),
        [starts_at for starts_at, _ in wanted.between.values()],
        [ends_at for _, ends_at in wanted.between.values()],
        wanted.places,
        *wanted.span,
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
    tx: Tx, nos: Sequence[int], place_ids: Sequence[uuid.UUID], since: datetime
) -> dict[tuple[int, uuid.UUID, date], int]:
    """Active claims by household, place and day."""
    rows = await tx.fetch(
        f"SELECT h.household_no, c.place_id, (c.starts_at AT TIME ZONE '{ZONE}')::date, count(*) "
        "FROM claims c JOIN holders h ON h.no = c.holder_no WHERE h.household_no = ANY($1::bigint[]) "
        "AND c.place_id = ANY($2::uuid[]) AND c.ends_at > $3 AND c.starts_at >= $3 AND c.is_active AND c.is_counted GROUP BY 1, 2, 3",
        nos,
        place_ids,
        since,
    )
    return {(row[0], row[1], row[2]): row[3] for row in rows}


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


class Relation(NamedTuple):
    """Somebody an account's person may act for."""

    actor_no: int
    holder_no: int
    person_id: uuid.UUID
    name: str
    kind: str
    services: Sequence[str] | None
    level: int

    def reaches(self, service: str, level: int) -> bool:
        """Whether they may act there, in a service that wants to know guardians so well."""
        return (self.services is None or service in self.services) and (self.kind != "guardian" or self.level >= level)


async def relations(tx: Tx, actor_nos: Sequence[int]) -> list[Relation]:
    """Whom these holders may act for at this moment."""
    rows = await tx.fetch(
        """
        SELECT a.no, p.no, p.id, p.name, r.kind, r.services, r.level
        FROM holders a JOIN relations r ON r.actor_id = a.id JOIN holders p ON p.id = r.person_id
        WHERE a.no = ANY($1::bigint[]) AND r.starts_at <= now() AND (r.ends_at IS NULL OR r.ends_at > now())
        ORDER BY p.name, p.no, r.id
        """,
        actor_nos,
    )
    return [Relation(*row) for row in rows]


async def guarded(tx: Tx, nos: Sequence[int]) -> frozenset[int]:
    """Which of these holders have a guardian at this moment, whoever that is."""
    rows = await tx.fetch(
        "SELECT DISTINCT h.no FROM holders h JOIN relations r ON r.person_id = h.id WHERE h.no = ANY($1::bigint[]) "
        "AND r.kind = 'guardian' AND r.starts_at <= now() AND (r.ends_at IS NULL OR r.ends_at > now())",
        nos,
    )
    return frozenset(row[0] for row in rows)


async def roles(tx: Tx, account_nos: Sequence[int]) -> list[Any]:
    """Roles in force: account_no, role, prefix, place_id."""
    return await tx.fetch(
        "SELECT account_no, role, prefix, place_id FROM roles WHERE account_no = ANY($1::bigint[]) AND starts_at <= now() "
        "AND (ends_at IS NULL OR ends_at > now()) ORDER BY id",
        account_nos,
    )
