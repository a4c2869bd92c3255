"""Who may collect a child: always, once, or never. Each guardian sees and removes only what they wrote themselves.

What a guardian forbade stays when they are none any more; then a manager of the region may lift it, with a reason.
"""

from __future__ import annotations

import secrets
import uuid
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from services.childcare import sql
from services.childcare.actions import Facts
from services.childcare.actions.children import child_of, child_of_guardian, is_guardian, seen_by_carer
from services.childcare.actions.written import open_collector, seal_collector
from services.childcare.rules import Entry
from services.childcare.sql.children import Line
from shared import audit, clock, crypto, errors
from shared.assertion import Caller
from shared.crypto import Keyring
from shared.db import Tx

if TYPE_CHECKING:
    from services.childcare.schemas.children import CollectorIn

LIFTERS: Final = frozenset({"manager"})
MOST: Final = 50
"""Lines that one guardian may have about one child."""
TRIES: Final = 5


class About(NamedTuple):
    """What is sealed of a line."""

    name: str | None = None
    phone_last4: str | None = None
    id_last4: str | None = None
    note: str | None = None


def about_of(keys: Keyring, collector_id: uuid.UUID, sealed: bytes) -> About:
    """What a line says of somebody."""
    return About(**open_collector(keys, collector_id, sealed))


def index_of(keys: Keyring, code: str) -> bytes:
    """By what a one-time code is found; the code itself is kept nowhere."""
    return crypto.blind_index(keys, code, column="collectors.code")


def entry_of(keys: Keyring, row: Any) -> Entry:
    """A line as the rules read it."""
    about = about_of(keys, row["id"], row["about"])
    return Entry(
        row["id"],
        row["kind"],
        row["person_id"],
        about.name,
        about.phone_last4,
        about.id_last4,
        row["starts_at"],
        row["ends_at"],
        row["used_at"] is not None,
        row["person_name"],
    )


async def add(tx: Tx, keys: Keyring, who: Caller, child_id: uuid.UUID, told: CollectorIn) -> Facts:
    """Write a line; a one-time code is told now and never again."""
    child = await child_of_guardian(tx, who, child_id)
    if told.person_id is not None:
        person = (await sql.doors.named(tx, [told.person_id])).get(told.person_id)
        if person is None:
            raise errors.Unprocessable.at("/person_id", "unknown")
        if told.kind != "never" and not person["is_of_age"]:
            raise errors.Unprocessable.at("/person_id", "too_young")
    if told.ends_at is not None and told.ends_at <= clock.now():
        raise errors.Unprocessable.at("/until", "past")
    if len(await sql.children.collectors(tx, child["no"], who.account_no)) >= MOST:
        raise errors.LimitReached
    collector_id = clock.uuid7()
    about = About(told.name, told.phone_last4, told.id_last4, told.note)
    sealed = seal_collector(keys, collector_id, about._asdict())
    line = Line(
        collector_id,
        child["no"],
        who.known(),
        child["community"],
        told.kind,
        told.person_id,
        sealed,
        None,
        told.starts_at,
        told.ends_at,
    )
    code = None
    for _ in range(TRIES):
        code = f"{secrets.randbelow(10**8):08}" if told.kind == "once" else None
        if await sql.children.insert_collector(tx, line._replace(code_index=index_of(keys, code) if code else None)):
            break
    else:  # pragma: no cover - five times the same of a hundred million
        raise errors.Unavailable(retry_after=1)
    return (await one(tx, keys, who, child_id, collector_id)) | {"code": code}


async def one(tx: Tx, keys: Keyring, who: Caller, child_id: uuid.UUID, collector_id: uuid.UUID) -> Facts:
    """One of the caller's own lines, also a removed one."""
    child = await child_of_guardian(tx, who, child_id)
    row = await sql.children.collector(tx, child["no"], who.known(), collector_id)
    if row is None:
        raise errors.NotThere
    return _out(keys, row)


async def listed(tx: Tx, keys: Keyring, who: Caller, child_id: uuid.UUID) -> list[Facts]:
    """The caller's own lines; for carers around a visit all lines, with names, and it is written down that they looked.

    For managers of the region, what somebody forbade who is no guardian any more, where there is such a line.
    """
    if is_guardian(who, child_id):
        child = await child_of(tx, child_id)
        tx.discard()
        return [_out(keys, row) for row in await sql.children.collectors(tx, child["no"], who.account_no)]
    if left_behind := await _left_behind(tx, who, child_id):
        child = await child_of(tx, child_id)
        data = {"service": "childcare", "fields": ["collectors"]}
        await audit.record(
            tx, who.account_no, "child.read", community=child["community"], person_id=child_id, data=data
        )
        return [_out(keys, row, name=row["person_name"]) for row in left_behind]
    child = await seen_by_carer(tx, who, child_id, "collectors")
    lines = [row for row in await sql.children.collectors(tx, child["no"]) if row["is_in_force"]]
    return [_out(keys, row, name=row["person_name"]) for row in lines]


async def remove(tx: Tx, keys: Keyring, who: Caller, child_id: uuid.UUID, collector_id: uuid.UUID) -> Facts:
    """Take one of one's own lines back; doing it again changes nothing."""
    await one(tx, keys, who, child_id, collector_id)
    await sql.children.remove_collector(tx, collector_id)
    return await one(tx, keys, who, child_id, collector_id)


async def _left_behind(tx: Tx, who: Caller, child_id: uuid.UUID) -> list[Any]:
    """What is forbidden by those who are no guardians any more, for managers of the child's region."""
    child = await sql.children.child(tx, child_id)
    if child is None or not who.may(LIFTERS, child["community"]):
        return []
    return [
        row for row in await sql.children.collectors(tx, child["no"]) if row["is_in_force"] and not row["is_makers"]
    ]


async def lift(tx: Tx, keys: Keyring, who: Caller, child_id: uuid.UUID, collector_id: uuid.UUID, reason: str) -> Facts:
    """Lift what somebody forbade who is no guardian any more; a guardian lifts their own. Again changes nothing."""
    who.known()
    child = await child_of(tx, child_id)
    if not who.may(LIFTERS, child["community"]):
        raise errors.NotAllowed if is_guardian(who, child_id) else errors.NotThere
    row = await sql.children.collector(tx, child["no"], None, collector_id)
    if row is None or row["kind"] != "never":
        raise errors.NotThere
    if is_guardian(who, child_id) or who.account_no == row["maker_no"] or who.person_id in (child_id, row["person_id"]):
        raise errors.NotByYourself
    if row["removed_at"] is None:
        if all(one["id"] != collector_id for one in await _left_behind(tx, who, child_id)):
            raise errors.NotAllowed
        await sql.children.remove_collector(tx, collector_id)
        await audit.record(
            tx,
            who.account_no,
            "collectors.lift",
            community=child["community"],
            person_id=child_id,
            reason=reason,
            data={"service": "childcare", "collector_id": collector_id},
        )
    return _out(keys, await sql.children.collector(tx, child["no"], None, collector_id))


def _out(keys: Keyring, row: Any, name: str | None = None) -> Facts:
    about = about_of(keys, row["id"], row["about"])
    return Facts(
        id=row["id"],
        kind=row["kind"],
        person={"id": row["person_id"], "name": name} if row["person_id"] is not None else None,
        **about._asdict(),
        starts_at=row["starts_at"],
        ends_at=row["ends_at"],
        state="removed" if row["removed_at"] else "used" if row["used_at"] else "active",
        made_at=row["made_at"],
    )
