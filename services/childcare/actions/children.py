"""What carers need to know about a child: guardians say it, carers read it around a visit, and every reading is kept."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any, Final, Literal

from services.childcare import rules, sql
from services.childcare.actions import ON_DUTY, Facts, written
from shared import audit, clock, consents, errors
from shared.assertion import Caller
from shared.claiming import NamedOut
from shared.crypto import Keyring
from shared.db import Tx

if TYPE_CHECKING:
    from services.childcare.schemas.children import ChildIn

HEALTH: Final = "health"
"""What a guardian consents to before anybody keeps what is said about a child's health."""


def is_guardian(who: Caller, child_id: uuid.UUID) -> bool:
    """Whether the caller is a guardian of this child, known well enough for this service."""
    return any(
        one.person_id == child_id
        and one.relation == "guardian"
        and (one.services is None or "childcare" in one.services)
        for one in who.acts_for
    )


async def child_of(tx: Tx, child_id: uuid.UUID) -> Any:
    """The child: no, id, name, community."""
    found = await sql.children.child(tx, child_id)
    if found is None:
        raise errors.NotThere
    return found


async def child_of_guardian(tx: Tx, who: Caller, child_id: uuid.UUID) -> Any:
    """The child, for its guardians."""
    who.known()
    if not is_guardian(who, child_id):
        raise errors.NotThere
    return await child_of(tx, child_id)


async def seen_by_carer(tx: Tx, who: Caller, child_id: uuid.UUID, what: Literal["record", "collectors"]) -> Any:
    """The child, for a carer of a room where it is, or is about to be; writes down that they looked. Else NotThere."""
    account_no = who.known()
    child = await child_of(tx, child_id)
    now = clock.now()
    for visit in await sql.children.around(tx, child["no"], now - rules.AROUND, now + rules.AROUND):
        is_time = visit["is_inside"] or rules.may_read(now, [(visit["starts_at"], visit["ends_at"])])
        if is_time and who.may(ON_DUTY, visit["community"], visit["place_id"]):
            await sql.children.insert_read(tx, child["no"], child["community"], visit, account_no, what)
            await audit.record(
                tx,
                account_no,
                "child.read",
                community=child["community"],
                person_id=child_id,
                data={
                    "service": "childcare",
                    "fields": [what],
                    "place_id": visit["place_id"],
                    "visit_id": visit["visit_id"],
                },
            )
            return child
    raise errors.NotThere


async def read(tx: Tx, keys: Keyring, who: Caller, child_id: uuid.UUID) -> Facts:
    """What was said about a child."""
    if is_guardian(who, child_id):
        child = await child_of(tx, child_id)
        tx.discard()
    else:
        child = await seen_by_carer(tx, who, child_id, "record")
    row = await sql.children.record(tx, child["no"])
    body = written.open_record(keys, child["no"], row["body"]) if row is not None else {}
    is_about_health = bool(body.get("allergies") or body.get("notes"))
    withheld = [HEALTH] if is_about_health and not await consents.given(tx, [child_id], HEALTH) else []
    if withheld and not is_guardian(who, child_id):
        body = body | {"allergies": [], "notes": None}
    return Facts(
        withheld=withheld,
        person=NamedOut(id=child["id"], name=child["name"]),
        version=row["version"] if row is not None else 0,
        allergies=body.get("allergies", []),
        notes=body.get("notes"),
        contacts=body.get("contacts", []),
        guardians=[NamedOut(id=one["id"], name=one["name"]) for one in await sql.children.guardians(tx, child_id)],
        changed_at=row["changed_at"] if row is not None else None,
    )


async def write(tx: Tx, keys: Keyring, who: Caller, child_id: uuid.UUID, told: ChildIn, version: int | None) -> None:
    """Say it anew, over the version that was read where the caller names one."""
    child = await child_of_guardian(tx, who, child_id)
    if told.is_about_health and not await consents.given(tx, [child_id], HEALTH):
        raise errors.ConsentRequired(purposes=[HEALTH])
    sealed = written.seal_record(keys, child["no"], told.model_dump(mode="json"))
    if not await sql.children.write_record(tx, child["no"], child["community"], sealed, who.known(), version):
        raise errors.Changed


async def reads(
    tx: Tx, who: Caller, child_id: uuid.UUID, after: tuple[Any, uuid.UUID] | None, limit: int
) -> list[Facts]:
    """Who of the rooms read it, for guardians."""
    child = await child_of_guardian(tx, who, child_id)
    return [
        Facts(
            id=row["id"],
            by=row["by"],
            what=row["what"],
            facility=NamedOut(id=row["place_id"], name=row["place_name"]),
            visit_id=row["visit_id"],
            at=row["read_at"],
        )
        for row in await sql.children.reads(tx, child["no"], after, limit)
    ]


async def trips(
    tx: Tx, keys: Keyring, who: Caller, child_id: uuid.UUID, after: tuple[Any, uuid.UUID] | None, limit: int
) -> list[Facts]:
    """Who brought and collected the child, and who was refused, for guardians."""
    child = await child_of_guardian(tx, who, child_id)
    return [
        Facts(
            id=row["id"],
            visit_id=row["visit_id"],
            facility=NamedOut(id=row["place_id"], name=row["place_name"]),
            what=row["what"],
            adult=row["adult_name"]
            or (written.collector_name(keys, row["collector_id"], row["about"]) if row["what"] == "out" else None),
            at=row["at"],
        )
        for row in await sql.children.steps_of_child(tx, child["no"], after, limit)
    ]
