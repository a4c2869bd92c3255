"""Slots and holders: locked in the one order, then looked at, and for whom somebody may act."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from services import SERVICES
from services.gateway.arbiter.rules import Holder, Limits, Place, Slot
from shared import consents as ledger_of_consents
from shared.claims import Subject
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
