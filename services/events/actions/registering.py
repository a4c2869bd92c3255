"""Registrations: granted groups are confirmed, their answers checked and sealed, their people told."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from services.events import notices, rules, sql
from services.events.actions import faults
from services.events.rules import Fault
from shared import claiming, clock, crypto, errors, wire
from shared.crypto import Keyring
from shared.db import Tx
from shared.grants import Grant
from shared.line import Answer
from shared.notices import announce


@dataclass(frozen=True, slots=True)
class Making:
    """A granted group that is to become a registration."""

    grant: Grant
    account_no: int
    series_id: uuid.UUID | None
    guests: int
    answers: tuple[tuple[str, Any], ...]
    sealed: bytes | None
    id: uuid.UUID


def making(
    keys: Keyring,
    grant: Grant,
    account_no: int,
    series_id: uuid.UUID | None,
    guests: int,
    answers: Sequence[tuple[str, Any]],
) -> Making:
    """What is to be recorded, its answers sealed."""
    registration_id = clock.uuid7()
    sealed = None
    if answers:
        text = wire.dumps([{"question": question, "value": value} for question, value in answers]).decode()
        sealed = crypto.seal(keys, text, table="registrations", column="answers", row=str(registration_id))
    return Making(grant, account_no, series_id, guests, tuple(answers), sealed, registration_id)


async def make(tx: Tx, several: Sequence[Making], *, skip_locked: bool) -> list[Answer[uuid.UUID]]:
    """Confirm granted groups, write their registrations and announce them; each whole or not at all."""
    ids = {slot.subject_id for one in several for slot in one.grant.slots if slot.subject_id is not None}
    events = await sql.registrations.asked(tx, list(ids))
    refused = [await _refused(tx, one, events) for one in several]
    made, answers = await claiming.confirm(tx, several, refused, skip_locked=skip_locked)
    if made:
        await sql.registrations.insert(tx, [_row(one) for one in made])
        await announce(tx, [notices.registration_made(one.grant, one.id, _event_id(one)) for one in made])
    return answers


def _event_id(one: Making) -> uuid.UUID:
    event_id = one.grant.slots[0].subject_id
    if event_id is None:
        raise errors.GrantMissing
    return event_id


def _row(one: Making) -> tuple[Any, ...]:
    first = one.grant.slots[0]
    return (
        one.id,
        one.grant.group_id,
        _event_id(one),
        first.place_id,
        first.community,
        one.account_no,
        one.sealed,
        first.starts_at,
    )


async def _refused(tx: Tx, one: Making, events: dict[uuid.UUID, Any]) -> errors.Refusal | None:
    """Why the service itself does not take this registration."""
    event_id = one.grant.slots[0].subject_id
    event = events.get(event_id) if event_id is not None else None
    if event_id is None or event is None:
        return errors.GrantMissing()
    if one.guests:
        return faults.refusal([Fault("/guests", "nameless")])  # everybody has a name here
    if any(slot.subject_id != event_id for slot in one.grant.slots):
        return faults.refusal([Fault("/slot_ids", "several_events")])
    if event["state"] == "cancelled":
        return errors.Cancelled()
    if event["state"] not in rules.OPEN:
        return errors.Closed()
    if one.series_id is not None and event["kind"] != "series":
        return faults.refusal([Fault("/series_id", "not_a_series")])
    if one.series_id is None and event["kind"] == "series":
        everybody = {claim.holder_no for claim in one.grant.claims}
        if everybody != await sql.registrations.inside(tx, event_id, list(everybody), one.grant.group_id):
            # A session that was added later is for those inside.
            return faults.refusal([Fault("/slot_id", "whole_series")])
    return faults.refusal(rules.answer_faults(event["questions"], one.answers))


async def details(tx: Tx, keys: Keyring, ids: Sequence[uuid.UUID]) -> dict[uuid.UUID, Any]:
    """The answers of these registrations."""
    return {
        one: wire.loads(crypto.unseal(keys, sealed, table="registrations", column="answers", row=str(one)))
        for one, sealed in (await sql.registrations.answers(tx, ids)).items()
    }
