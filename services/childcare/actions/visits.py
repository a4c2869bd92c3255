"""Visits: recorded, shown, given back."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from services.childcare import notices, rules, sql
from shared import claiming, claims, clock, crypto, errors
from shared.assertion import Caller
from shared.claims import Group
from shared.crypto import Keyring
from shared.db import Tx
from shared.grants import Grant
from shared.line import Answer
from shared.notices import announce
from shared.places import sql as places


@dataclass(frozen=True, slots=True)
class Making:
    """A granted group that is to become a visit; its note is sealed."""

    grant: Grant
    account_no: int
    stays: bool
    note: bytes | None
    id: uuid.UUID


def making(keys: Keyring, grant: Grant, account_no: int, *, stays: bool, note: str | None) -> Making:
    """What stands in the line."""
    visit_id = clock.uuid7()
    sealed = crypto.seal(keys, note, table="visits", column="note", row=str(visit_id)) if note else None
    return Making(grant, account_no, stays, sealed, visit_id)


async def make_visits(tx: Tx, several: Sequence[Making], *, skip_locked: bool) -> list[Answer[uuid.UUID]]:
    """Confirm granted groups, write their visits and announce them; each whole or not at all."""
    terms = await places.terms(tx, list({slot.place_id for one in several for slot in one.grant.slots}))
    refused = [_unsuited(one, terms) for one in several]
    made, answers = await claiming.confirm(tx, several, refused, skip_locked=skip_locked)
    if made:
        await sql.visits.insert_visits(
            tx,
            [
                (
                    one.id,
                    one.grant.group_id,
                    one.grant.slots[0].place_id,
                    one.grant.slots[0].community,
                    one.account_no,
                    one.stays,
                    one.note,
                    one.grant.slots[0].starts_at,
                )
                for one in made
            ],
        )
        await announce(tx, [notices.visit_made(one.grant, one.id, stays=one.stays) for one in made])
    return answers


def _unsuited(one: Making, terms: Mapping[uuid.UUID, tuple[int, dict[str, Any]]]) -> errors.Refusal | None:
    if len({slot.place_id for slot in one.grant.slots}) > 1:  # only one room's carers would know of the child
        return errors.Unprocessable.at("/slot_ids", "several_rooms")
    for slot in one.grant.slots:
        mode = rules.terms_of(terms.get(slot.place_id, (0, {}))[1]).stays
        if not rules.suits(mode, stays=one.stays):
            return errors.GuardianStays() if mode == "stay" else errors.DropOffOnly()
    return None


class Detail(NamedTuple):
    """A visit's note and its hand-overs."""

    note: str | None
    steps: list[dict[str, Any]]

    def of(self, group: Group) -> list[dict[str, Any]]:
        """The hand-overs of the people in this group; others are nothing to its reader."""
        seen = {str(one["person_id"]) for one in group.claims}
        return [one for one in self.steps if one["id"] in seen]


async def details(tx: Tx, keys: Keyring, visit_ids: Sequence[uuid.UUID]) -> Mapping[uuid.UUID, Detail]:
    """Notes and hand-overs of visits."""
    return {
        row["id"]: Detail(
            crypto.unseal(keys, row["note"], table="visits", column="note", row=str(row["id"]))
            if row["note"] is not None
            else None,
            row["steps"],
        )
        for row in await sql.visits.steps(tx, visit_ids)
    }


async def releasing(tx: Tx, _who: Caller, _row: Any, group: Group, holder_nos: Sequence[int]) -> None:
    """Nobody cancels a child who was signed in: it is inside, or was; what is still to come is given back.

    Whoever signs it in now waits for us, or we for them.
    """
    states = await claims.lock(tx, [row["id"] for row in group.claims if row["holder_no"] in holder_nos])
    for no in holder_nos:
        theirs = {states.get(row["id"]) for row in group.claims if row["holder_no"] == no}
        if "attended" in theirs and "confirmed" not in theirs:
            raise errors.SignedIn
