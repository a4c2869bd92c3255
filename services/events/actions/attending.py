"""The door: who came and who did not."""

from __future__ import annotations

import base64
import binascii
import uuid
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from services.events import rules, sql
from services.events.actions.organising import STAFF
from services.events.rules import Arrival
from services.events.sql.attending import Coming, Seat, Sitting
from shared import claims, clock, errors, passes, uploads, wire
from shared.assertion import Caller
from shared.collection.actions import GIVEN_BACK
from shared.crypto import Keyring
from shared.db import Tx
from shared.uploads import UploadIn

MARKERS: Final = STAFF | {"volunteer"}
"""Who stands at the door."""
GONE: Final = frozenset({"released", "lapsed"})
"""States of a claim whose place was given back."""


async def mark(tx: Tx, keys: Keyring, who: Caller, report: UploadIn, told: Arrival) -> dict[str, Any]:
    """Tick somebody off as having come, or as not having come; what stands against it now is refused.

    What was decided without a network has happened: there it is answered as reasons.
    """
    who.known()
    if not any(role.role in MARKERS for role in who.roles):
        raise errors.NotAllowed
    earlier = await uploads.begin(tx, who, "events.attendance", report)
    if earlier is not None:
        return earlier
    seat = await _seat(tx, keys, who, told)
    reasons = rules.marking(
        came=told.came, state=seat.state, starts_at=seat.starts_at, ends_at=seat.ends_at, at=told.at
    )
    if reasons and report.decided is None:
        raise _refusal(reasons[0], seat)
    state = seat.state
    if not reasons and state == "confirmed":
        if told.came:
            done = bool(await claims.attend(tx, [seat.claim_id]))
        else:
            await claims.lock_slots(tx, [seat.slot_id])
            done = bool(await claims.free(tx, [seat.claim_id], state="no_show", reason="no_show"))
        state = ("attended" if told.came else "no_show") if done else state
        if not done and report.decided is None:
            raise _refusal("not_registered", seat)
        reasons = [] if done else ["not_registered"]  # it was given back at this very moment
    answer = {
        "id": report.id,
        "accepted": not reasons,
        "reasons": reasons,
        "registration_id": seat.registration_id,
        "event_id": seat.event_id,
        "slot_id": seat.slot_id,
        "person": seat.person_id,
        "state": state,
    }
    kept = {name: str(value) if isinstance(value, uuid.UUID) else value for name, value in answer.items()}
    await uploads.finish(tx, report.id, kept)
    return kept


def _refusal(code: str, seat: Seat) -> errors.Refusal:
    """What somebody at the door hears now, of what is written down when it was decided without a network."""
    match code:
        case "too_early":
            return errors.TooEarly(opens_at=clock.local(rules.opens_at(seat.starts_at)))
        case "not_over":
            return errors.TooEarly(opens_at=clock.local(seat.ends_at))
        case "not_registered":
            return errors.Conflict(GIVEN_BACK)
        case _:
            return errors.AlreadyRecorded()


async def _seat(tx: Tx, keys: Keyring, who: Caller, told: Arrival) -> Seat:
    """The one claim that is meant, where the caller's role reaches."""
    if told.token is not None:
        seats = await _of_pass(tx, keys, told.token, told.at)
    elif told.code is not None:
        seats = await _of_code(tx, keys, who, told, told.code)
    else:
        seats = await sql.attending.seats(tx, told.registration_id) if told.registration_id is not None else []
    seats = [
        one
        for one in seats
        if who.may(MARKERS, one.community, one.place_id)
        and told.event_id in (None, one.event_id)
        and told.slot_id in (None, one.slot_id)
        and told.person_id in (None, one.person_id)
    ]
    if not seats:
        raise errors.NotThere
    if len({one.person_id for one in seats}) > 1:
        left = {one.person_id for one in seats if one.state not in GONE}  # who alone has not given it back is meant
        if len(left) != 1:
            raise errors.Unprocessable.at("/person", "missing")
        seats = [one for one in seats if one.person_id in left]
    return min(seats, key=lambda one: _distance(one, told.at))


def _distance(seat: Seat, at: datetime) -> tuple[timedelta, bool]:
    """How far a session is from a moment: the one that is on, or the next or last one; of one with two claims the alive."""
    away = max(seat.starts_at - at, at - seat.ends_at, timedelta(0))
    return away, seat.state not in ("confirmed", "attended")


async def _of_code(tx: Tx, keys: Keyring, who: Caller, told: Arrival, code: str) -> list[Seat]:
    """The claims with a code: of today, or else of a day to come, for which it is too early."""
    prefixes = [role.prefix for role in who.roles if role.role in MARKERS]
    for is_ahead in (False, True):
        near = await sql.attending.at_the_door(tx, told.at, prefixes, told.event_id, is_ahead=is_ahead)
        if seats := [one for one in near if passes.matches(keys, one.claim_id, code)]:
            return seats
    return []


async def _of_pass(tx: Tx, keys: Keyring, token: str, at: datetime) -> list[Seat]:
    """The claim of a pass. It says itself which one it is; whether that is true is looked at where that one's place is."""
    try:
        payload = wire.loads(base64.urlsafe_b64decode(token.split(".")[1] + "=="))
        claim_id = uuid.UUID(payload["sub"])
    except (ValueError, KeyError, TypeError, IndexError, AttributeError, binascii.Error) as error:
        raise errors.PassInvalid from error
    seat = await sql.attending.seat(tx, claim_id)
    if seat is None:
        raise errors.PassInvalid
    if passes.verify(keys, token, facility_id=seat.place_id, now=at, has_own_hours=True) != claim_id:
        raise errors.PassInvalid
    return [seat]


async def listed(
    tx: Tx, who: Caller, kind: str, event_id: uuid.UUID
) -> tuple[Any, Sequence[Sitting], Sequence[Coming]]:
    """An event with everybody on its list, for those who stand at its door."""
    event = await sql.events.event(tx, kind, event_id)
    if event is None:
        raise errors.NotThere
    if not who.may(MARKERS, event["community"], event["place_id"]):
        if not event["was_published"] and who.account_no is not None:
            raise errors.NotThere
        who.require(MARKERS, event["community"], event["place_id"])
    sittings, people = await sql.attending.listed(tx, event_id)
    return event, sittings, people
