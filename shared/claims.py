"""Claims: the only code that writes them.

The gateway's arbiter holds places for a group (`hold`), a service confirms a whole group in the transaction of its own
row (`confirm`), and anybody who frees places does it here. Everybody locks in one order: slots, holders, households,
claims by id, own rows; each sorted. Whoever frees reads ids unlocked, locks in that order, and looks again.
"""

from __future__ import annotations

import uuid
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple

from shared import clock, errors
from shared.assertion import Caller
from shared.db import Tx, constraint_of
from shared.grants import Grant

OFFLINE = ("desk", "phone", "paper")
DESK: Final = frozenset({"staff", "manager", "operator"})
"""Roles that may act for residents at the desk, on the phone or from paper, and for the committee of their region."""


REFEREES: Mapping[str, type[errors.Refusal]] = {
    "nobody_in_two_places": errors.Overlaps,
    "one_place_per_person": errors.AlreadyYours,
    "taken_within_capacity": errors.Full,
}
"""What it means when a referee in the schema says no, whatever was thought before."""


def refusal_of(error: BaseException) -> errors.Refusal | None:
    """The refusal that a broken constraint stands for; None for an error that is no referee's."""
    kind = REFEREES.get(constraint_of(error) or "")
    return kind() if kind is not None else None


class Take(NamedTuple):
    """So many units of one slot for each person."""

    slot_id: uuid.UUID
    units: int = 1


class Subject(NamedTuple):
    """So many units, for each person, of every slot of one subject that is still to come: all evenings of a course.

    With `beside` only of those at the same place and on the same day as that slot: a dish with its delivery window.
    """

    subject_id: uuid.UUID
    units: int = 1
    beside: uuid.UUID | None = None


class Freed(NamedTuple):
    """A place that came free."""

    id: uuid.UUID
    group_id: uuid.UUID
    slot_id: uuid.UUID
    holder_no: int
    resource_id: uuid.UUID | None


async def lock_slots(tx: Tx, ids: Iterable[uuid.UUID], *, skip_locked: bool = False) -> set[uuid.UUID]:
    """Lock slots in order; the ids that were had."""
    rows = await tx.fetch(
        "SELECT id FROM slots WHERE id = ANY($1::uuid[]) ORDER BY id FOR NO KEY UPDATE"
        + (" SKIP LOCKED" if skip_locked else ""),
        list(set(ids)),
    )
    return {row[0] for row in rows}


class Holding(NamedTuple):
    """One place about to be held; the slot says the rest of its row of claims."""

    claim_id: uuid.UUID
    group_id: uuid.UUID
    slot_id: uuid.UUID
    holder_no: int
    account_no: int
    units: int
    channel: str
    is_exclusive: bool


async def hold(tx: Tx, holdings: Sequence[Holding], held_until: datetime) -> None:
    """Write held claims and count them on their slots, which the caller has locked."""
    slots: dict[uuid.UUID, list[int]] = {}
    for one in holdings:
        counted = slots.setdefault(one.slot_id, [0, 0])
        counted[0] += one.units
        counted[1] += one.units if one.channel in OFFLINE else 0
    await tx.execute(
        """
        WITH written AS (
            INSERT INTO claims (id, group_id, slot_id, holder_no, account_no, community, service, place_id, starts_at,
                                ends_at, units, channel, state, is_active, is_exclusive, is_counted, held_until)
            SELECT a.id, a.group_id, s.id, a.holder_no, a.account_no, s.community, s.service, s.place_id, s.starts_at,
                   s.ends_at, a.units, a.channel, 'held', true, a.is_exclusive, s.is_counted, $9
            FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::bigint[], $5::bigint[], $6::int[], $7::text[], $8::bool[])
                AS a(id, group_id, slot_id, holder_no, account_no, units, channel, is_exclusive)
            JOIN slots s ON s.id = a.slot_id
        )
        UPDATE slots s
        SET taken = s.taken + t.units, taken_offline = s.taken_offline + t.offline,
            next_lapse = least(s.next_lapse, $9)
        FROM unnest($10::uuid[], $11::int[], $12::int[]) AS t(slot_id, units, offline)
        WHERE s.id = t.slot_id
        """,
        *(list(column) for column in zip(*holdings, strict=True)),
        held_until,
        list(slots),
        [units for units, _ in slots.values()],
        [offline for _, offline in slots.values()],
    )


async def confirm(tx: Tx, grants: Sequence[tuple[Grant, uuid.UUID]], *, skip_locked: bool = False) -> list[bool | None]:
    """Confirm whole groups, each with the id of its service's row.

    True: every claim of the grant was held and alive, and is confirmed now. False: not, and nothing of the group was
    touched. None: some claim is locked by somebody else (only with `skip_locked`).
    """
    wanted = [(claim.id, n, resource_id) for n, (grant, resource_id) in enumerate(grants) for claim in grant.claims]
    rows = await tx.fetch(
        """
        WITH asked AS (
            SELECT * FROM unnest($1::uuid[], $2::int[], $3::uuid[]) AS a(id, n, resource_id)
        ), alive AS (
            SELECT id FROM claims WHERE id = ANY($1::uuid[]) AND state = 'held' AND held_until > clock_timestamp()
            ORDER BY id FOR NO KEY UPDATE"""
        + (" SKIP LOCKED" if skip_locked else "")
        + """
        ), whole AS (
            SELECT a.n FROM asked a LEFT JOIN alive USING (id) GROUP BY a.n HAVING count(*) = count(alive.id)
        )
        UPDATE claims c SET state = 'confirmed', held_until = NULL, resource_id = a.resource_id
        FROM asked a JOIN whole USING (n) WHERE c.id = a.id
        RETURNING a.n, pg_current_xact_id()::text AS xid
        """,
        *(list(column) for column in zip(*wanted, strict=True)),
    )
    confirmed = {row["n"] for row in rows}
    if rows:
        tx.xid = rows[0]["xid"]
    if not skip_locked or len(confirmed) == len(grants):
        return [n in confirmed for n in range(len(grants))]
    ids = [one for one, n, _ in wanted if n not in confirmed]
    had = await tx.fetch("SELECT id FROM claims WHERE id = ANY($1::uuid[]) FOR NO KEY UPDATE SKIP LOCKED", ids)
    locked_elsewhere = set(ids) - {row["id"] for row in had}
    return [
        n in confirmed or (None if any(claim.id in locked_elsewhere for claim in grant.claims) else False)
        for n, (grant, _) in enumerate(grants)
    ]


async def release(
    tx: Tx, group_id: uuid.UUID, *, only: Sequence[uuid.UUID] | None = None, reason: str, only_held: bool = False
) -> list[Freed]:
    """Free a group's active places, all or only these claims; what was freed. Nothing active is not an error."""
    found = await tx.fetch(
        "SELECT id, slot_id FROM claims WHERE group_id = $1 AND is_active AND ($2::uuid[] IS NULL OR id = ANY($2))"
        " AND state <> 'attended'",
        group_id,
        only,
    )
    if not found:
        return []
    await lock_slots(tx, (row["slot_id"] for row in found))
    return await free(tx, [row["id"] for row in found], state="released", reason=reason, only_held=only_held)


async def free(
    tx: Tx, ids: Sequence[uuid.UUID], *, state: str, reason: str, only_held: bool = False, skip_locked: bool = False
) -> list[Freed]:
    """Free these claims if they still take a place and nobody has come; the caller has locked their slots."""
    rows = await tx.fetch(
        """
        WITH locked AS (
            SELECT id FROM claims
            WHERE id = ANY($1::uuid[]) AND is_active AND state <> 'attended' AND (NOT $4 OR state = 'held')
              AND ($2 <> 'lapsed' OR (state = 'held' AND held_until <= clock_timestamp()))
            ORDER BY id FOR NO KEY UPDATE"""
        + (" SKIP LOCKED" if skip_locked else "")
        + """
        ), gone AS (
            UPDATE claims c SET state = $2, is_active = false, held_until = NULL, reason = $3, left_at = now()
            FROM locked WHERE c.id = locked.id
            RETURNING c.id, c.group_id, c.slot_id, c.holder_no, c.resource_id, c.units, c.channel
        ), counted AS (
            UPDATE slots s SET taken = s.taken - t.units, taken_offline = s.taken_offline - t.offline
            FROM (SELECT slot_id, sum(units) AS units,
                         coalesce(sum(units) FILTER (WHERE channel = ANY($5::text[])), 0) AS offline
                  FROM gone GROUP BY slot_id) t
            WHERE s.id = t.slot_id
        )
        SELECT id, group_id, slot_id, holder_no, resource_id FROM gone ORDER BY id
        """,
        list(ids),
        state,
        reason,
        only_held,
        OFFLINE,
    )
    return [Freed(*row) for row in rows]


async def lock(tx: Tx, ids: Sequence[uuid.UUID]) -> dict[uuid.UUID, str]:
    """Lock claims in order; their states. Whoever needs their slots, too, has locked those before."""
    rows = await tx.fetch(
        "SELECT id, state FROM claims WHERE id = ANY($1::uuid[]) ORDER BY id FOR NO KEY UPDATE", list(ids)
    )
    return {row["id"]: row["state"] for row in rows}


async def attend(tx: Tx, ids: Sequence[uuid.UUID]) -> set[uuid.UUID]:
    """Say of confirmed claims that their holders came; those that were not marked before. Their places stay taken."""
    rows = await tx.fetch(
        """
        WITH locked AS (
            SELECT id FROM claims WHERE id = ANY($1::uuid[]) AND state = 'confirmed' ORDER BY id FOR NO KEY UPDATE
        )
        UPDATE claims c SET state = 'attended' FROM locked WHERE c.id = locked.id RETURNING c.id
        """,
        list(ids),
    )
    return {row[0] for row in rows}


async def lapse(tx: Tx, slot_ids: Sequence[uuid.UUID]) -> list[Freed]:
    """Free the holds on these slots whose time is over, and note when the next one will be; the slots are locked.

    A hold that is being confirmed at this moment is left alone: its claim is locked.
    """
    rows = await tx.fetch(
        "SELECT id, slot_id, held_until, held_until <= clock_timestamp() AS is_over FROM claims "
        "WHERE slot_id = ANY($1::uuid[]) AND is_active AND state = 'held'",
        list(slot_ids),
    )
    over = [row["id"] for row in rows if row["is_over"]]
    freed = await free(tx, over, state="lapsed", reason="hold_lapsed", skip_locked=True) if over else []
    gone = {claim.id for claim in freed}
    following: dict[uuid.UUID, datetime | None] = dict.fromkeys(slot_ids)
    for row in rows:
        if row["id"] not in gone:
            known = following[row["slot_id"]]
            following[row["slot_id"]] = min(known, row["held_until"]) if known else row["held_until"]
    await tx.execute(
        "UPDATE slots s SET next_lapse = t.next_lapse FROM unnest($1::uuid[], $2::timestamptz[]) AS t(id, next_lapse) "
        "WHERE s.id = t.id AND s.next_lapse IS DISTINCT FROM t.next_lapse",
        list(following),
        list(following.values()),
    )
    return freed


class Group(NamedTuple):
    """Everything the ledger knows of one group, one row a claim."""

    group_id: uuid.UUID
    service: str
    account_no: int
    resource_id: uuid.UUID | None
    claims: tuple[Any, ...]

    @property
    def state(self) -> str:
        """The group's state: that of its active claims, else of those that left."""
        states = {row["state"] for row in self.claims}
        for state in ("held", "confirmed", "attended", "no_show", "released", "lapsed"):
            if state in states:
                return state
        raise LookupError(self.group_id)


GROUP = """
    SELECT c.id, c.group_id, c.service, c.account_no, c.resource_id, c.slot_id, c.holder_no, c.units, c.state, c.reason,
           c.held_until, c.made_at, c.channel, c.community, c.place_id, h.id AS person_id, h.name AS person_name, h.kind AS holder_kind,
           h.community AS holder_community,
           coalesce(a.person_id, a.id) AS made_by,
           p.name AS place_name, s.title, s.starts_at, s.ends_at, s.cancel_by, s.state AS slot_state,
           r.id AS slot_resource_id, r.name AS slot_resource_name
    FROM claims c JOIN slots s ON s.id = c.slot_id JOIN places p ON p.id = s.place_id JOIN holders h ON h.no = c.holder_no
    JOIN accounts a ON a.no = c.account_no LEFT JOIN resources r ON r.no = s.resource_no
"""
"""One row a claim with what is shown of it; complete it with a WHERE on `c`."""


def groups(rows: Iterable[Any]) -> list[Group]:
    """Rows of GROUP, gathered by group in the order in which the groups appear."""
    found: dict[uuid.UUID, list[Any]] = {}
    for row in rows:
        found.setdefault(row["group_id"], []).append(row)
    return [
        Group(
            group_id,
            claims[0]["service"],
            claims[0]["account_no"],
            # a group off the waiting list may have an earlier try that came to nothing
            next((claim["resource_id"] for claim in claims if claim["resource_id"] is not None), None),
            tuple(claims),
        )
        for group_id, claims in found.items()
    ]


async def several(tx: Tx, group_ids: Sequence[uuid.UUID]) -> dict[uuid.UUID, Group]:
    """Groups by id; those of which the ledger has no claim are missing. A window comes before the dishes out of it."""
    rows = await tx.fetch(
        GROUP + " WHERE c.group_id = ANY($1::uuid[]) ORDER BY s.is_counted DESC, s.starts_at, c.id", list(group_ids)
    )
    return {one.group_id: one for one in groups(rows)}


async def group(tx: Tx, group_id: uuid.UUID) -> Group | None:
    """One group, or None when the ledger has no claim of it."""
    return (await several(tx, [group_id])).get(group_id)


def of_party(group: Group, who: Caller) -> Group:
    """What of a group is the caller's own: the people they act for now, and the committees they work for.

    Having made it is not enough: whoever is no longer a child's guardian has nothing to do with the child's places.
    """
    own = set(who.holders_in(group.service))
    return group._replace(
        claims=tuple(
            one
            for one in group.claims
            if one["holder_no"] in own or is_office(who, one["holder_kind"], one["holder_community"])
        )
    )


def is_office(who: Caller, kind: str, community: str) -> bool:
    """Whether a holder is a committee, and the caller works for it."""
    return kind == "organisation" and who.may(DESK, community)


def seen_by(group: Group, who: Caller, roles: Collection[str]) -> Group:
    """What of a group somebody may see: their own people, and whatever is at places that one of these roles reaches."""
    reached = frozenset(roles)
    own = {one["id"] for one in of_party(group, who).claims}
    return group._replace(
        claims=tuple(
            one for one in group.claims if one["id"] in own or who.may(reached, one["community"], one["place_id"])
        )
    )


def new_id() -> uuid.UUID:
    """A new id for a group or a claim."""
    return clock.uuid7()


def matches(
    grant: Grant,
    takes: Sequence[Take | Subject],
    persons: Sequence[uuid.UUID] | None,
    caller: uuid.UUID | None,
    *,
    holder: str | None = None,
) -> bool:
    """Whether a grant is for exactly what was asked: what a service recomputes before it confirms.

    Which slots a subject has only the ledger knows; here they must be of that subject, and some there must be. A `holder`
    (a committee) is one, whoever it is.
    """
    named = {claim.person_id for claim in grant.claims} if holder is not None else set(persons or (caller,))
    wanted: dict[uuid.UUID, int] = {}
    for take in takes:
        if isinstance(take, Take):
            wanted[take.slot_id] = take.units
            continue
        there = [slot.id for slot in grant.slots if slot.subject_id == take.subject_id]
        if not there:
            return False
        for slot_id in there:
            wanted.setdefault(slot_id, take.units)
    asked = {(slot_id, person): units for slot_id, units in wanted.items() for person in named}
    given = {(claim.slot_id, claim.person_id): claim.units for claim in grant.claims}
    return (
        (holder is None or len(named) == 1)
        and len(given) == len(grant.claims)
        and given == asked
        and {slot.id for slot in grant.slots} == wanted.keys()
    )
