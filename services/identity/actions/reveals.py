"""Seeing what is sealed: with a reason, for some minutes, and of minors only with somebody else's word.

Nothing of what is seen is kept: a reveal is permission, and the values are read anew each time they are shown.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from services.identity import notices, rules, sealing, sql
from services.identity.actions import standing
from services.identity.sql.reveals import Known, NewReveal
from shared import audit, clock, errors
from shared.assertion import Caller
from shared.crypto import Keyring
from shared.db import Tx
from shared.notices import announce

ASKERS: Final = frozenset({"staff", "manager"})
APPROVERS: Final = frozenset({"manager"})
WATCHERS: Final = ("auditor", "manager")
LIFE: Final = timedelta(minutes=15)
"""For so long what was allowed can be seen."""
WAITS: Final = timedelta(days=1)
"""For so long a question waits for its answer."""


@dataclass(frozen=True, slots=True)
class Shown:
    """A reveal, and the values while they may be seen by whoever asked for them."""

    row: Any
    values: dict[str, Any] | None

    @property
    def state(self) -> str:
        """`over` is what was allowed, or asked, too long ago."""
        if self.row["state"] == "allowed" and self.row["is_over"]:
            return "over"
        if self.row["state"] == "asked" and self.row["made_at"] <= clock.now() - WAITS:
            return "over"
        return str(self.row["state"])


def values(keys: Keyring, known: Known, fields: Sequence[str]) -> dict[str, Any]:
    """These fields of a person, opened."""
    found: dict[str, Any] = {"name": known.name, "born": known.born, "document": None, "phone": None}
    if known.document_sealed is not None and "document" in fields:
        number = sealing.open_document(keys, known.document_sealed, known.person_id)
        found["document"] = {"kind": known.document_kind, "number": number}
    if known.phone_sealed is not None and "phone" in fields:
        found["phone"] = rules.national_phone(sealing.open_phone(keys, known.phone_sealed, known.person_id))
    return {name: found[name] for name in fields}


async def ask(
    tx: Tx, keys: Keyring, who: Caller, person_id: uuid.UUID, *, fields: Sequence[str], reason: str, most: int
) -> Shown:
    """See some of a person; of a minor, and of one more than `most` people in a day, once somebody else allows it."""
    account_no = who.known()
    known = await sql.reveals.known(tx, person_id)
    if known is None or not who.may(ASKERS, known.community):
        is_theirs = person_id == who.person_id or any(one.person_id == person_id for one in who.acts_for)
        raise errors.NotAllowed if is_theirs and known is not None else errors.NotThere
    if who.person_id is None:
        raise errors.NotAllowed
    await sql.logins.lock_account(tx, account_no)
    lately = await sql.reveals.lately(tx, account_no, person_id)
    is_beyond = lately.people >= most
    is_minor = known.has_guardian or rules.is_under(known.born, rules.ADULT, clock.today())
    new = NewReveal(
        clock.uuid7(),
        person_id,
        known.community,
        account_no,
        who.person_id,
        list(fields),
        reason,
        is_minor or is_beyond,
        is_beyond,
    )
    await sql.reveals.insert(tx, new, LIFE)
    if is_beyond and not lately.is_told:
        watchers = await sql.reveals.in_office(tx, WATCHERS, known.community)
        await announce(tx, [notices.reveals_exceeded(new.id, known.community, watchers, lately.people + 1)])
    if not new.needs_approval:
        return await _shown(tx, keys, who, new.id, known)
    managers = await sql.reveals.in_office(tx, list(APPROVERS), known.community, but=who.account_no)
    await announce(tx, [notices.reveal_asked(new.id, known.community, managers)])
    await audit.record(
        tx,
        who.account_no,
        "people.reveal_asked",
        community=known.community,
        person_id=person_id,
        reason=reason,
        data={"fields": list(fields), "reveal_id": new.id},
    )
    return Shown(await sql.reveals.one(tx, new.id), None)


async def _shown(tx: Tx, keys: Keyring, who: Caller, reveal_id: uuid.UUID, known: Known) -> Shown:
    """What was allowed, to whoever asked for it: written down each time, and told to the person the first time."""
    is_first = await sql.reveals.set_seen(tx, reveal_id)
    row = await sql.reveals.one(tx, reveal_id)
    if row is None:
        raise errors.NotThere
    approved = {"approved_by": row["decided_by"]} if row["decided_by"] is not None else {}
    await audit.record(
        tx,
        who.account_no,
        "people.reveal",
        community=row["community"],
        person_id=row["person_id"],
        reason=row["reason"],
        data={"fields": row["fields"], "reveal_id": reveal_id, **approved},
    )
    if is_first:
        told = await sql.reveals.told(tx, row["person_id"])
        await announce(tx, [notices.person_revealed(reveal_id, row["community"], told, row["fields"])])
    return Shown(row, values(keys, known, row["fields"]))


async def _visible(tx: Tx, who: Caller, reveal_id: uuid.UUID) -> Any:
    """A reveal of the caller's own, or of a region where they decide; locked."""
    who.known()
    row = await sql.reveals.one(tx, reveal_id, locked=True)
    if row is None or not (row["account_no"] == who.account_no or who.may(APPROVERS, row["community"])):
        raise errors.NotThere
    return row


async def read(tx: Tx, keys: Keyring, who: Caller, reveal_id: uuid.UUID) -> Shown:
    """One reveal; with the values for whoever asked, while it is allowed and they may still ask for such things."""
    shown = Shown(await _visible(tx, who, reveal_id), None)
    row = shown.row
    known = await sql.reveals.known(tx, row["person_id"])
    is_theirs = row["account_no"] == who.account_no and who.may(ASKERS, row["community"])
    if shown.state == "allowed" and is_theirs and known is not None:
        return await _shown(tx, keys, who, reveal_id, known)
    tx.discard()
    return shown


async def several(tx: Tx, who: Caller, state: str | None, before: uuid.UUID | None, limit: int) -> list[Shown]:
    """What one asked for, and what is asked in the regions where one decides."""
    account_no = who.known()
    if not any(one.role in ASKERS for one in who.roles):
        raise errors.NotAllowed
    rows = await sql.reveals.several(tx, account_no, who.regions(APPROVERS), state, before, limit)
    return [Shown(row, None) for row in rows]


async def decide(tx: Tx, who: Caller, reveal_id: uuid.UUID, *, is_allowed: bool, reason: str | None = None) -> Shown:
    """Allow or deny it; the schema refuses whoever asked for it themselves. The same word again changes nothing."""
    row = await _visible(tx, who, reveal_id)
    if who.person_id is None or not who.may(APPROVERS, row["community"]):
        raise errors.NotAllowed
    account_no = who.known()
    wanted = "allowed" if is_allowed else "denied"
    if row["state"] == wanted and row["decided_by"] == account_no:
        tx.discard()
        return Shown(row, None)
    with standing.decided_by_another():
        decided = await sql.reveals.decide(
            tx, reveal_id, account_no, who.person_id, LIFE if is_allowed else None, clock.now() - WAITS
        )
    if not decided:
        raise errors.AlreadyRecorded
    await audit.record(
        tx,
        account_no,
        "people.reveal_allowed" if is_allowed else "people.reveal_denied",
        community=row["community"],
        person_id=row["person_id"],
        reason=reason,
        data={"fields": row["fields"], "reveal_id": reveal_id},
    )
    return Shown(await sql.reveals.one(tx, reveal_id), None)
