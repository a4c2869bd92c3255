"""The door of a room: children are brought, and go home with somebody."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from services.childcare import notices, rules, sql
from services.childcare.actions import CARERS, Facts, terms_of
from services.childcare.actions.collecting import entry_of, index_of
from services.childcare.actions.incidents import write_down
from services.childcare.actions.watching import watched
from services.childcare.actions.written import collector_name, seal_incident
from services.childcare.rules import Adult
from services.childcare.sql.doors import Coming, Passing
from services.childcare.sql.rooms import Happened
from shared import claims, clock, errors, passes, uploads
from shared.assertion import Caller
from shared.claiming import NamedOut
from shared.claims import Group
from shared.collection import Collection
from shared.collection import actions as collection
from shared.crypto import Keyring
from shared.db import Tx
from shared.notices import announce

if TYPE_CHECKING:
    from services.childcare.schemas import SignInIn, SignOutIn


async def sign_in(tx: Tx, keys: Keyring, who: Caller, of: Collection, visit_id: uuid.UUID, told: SignInIn) -> uuid.UUID:
    """A child comes in, if its pass is shown and the room can watch over it; the hand-over's id."""
    earlier = await uploads.begin(tx, who, "childcare.sign_in", told, visit_id)
    if earlier is not None:
        return uuid.UUID(earlier["id"])
    visit, group = await _visit(tx, who, of, visit_id)
    # What is to be decided is decided now, whatever a slow clock says.
    moment = clock.now() if told.decided is None else told.at
    claim = _claim_at(_claims_of(group, told.person), moment)
    reasons = [*_late(told)]
    brought_by = told.brought_by or await _guardian_who_booked(tx, claim)
    if told.brought_by is not None and told.brought_by not in await sql.doors.named(tx, [told.brought_by]):
        _stands_against(told, reasons, "adult_unknown", errors.Unprocessable.at("/brought_by", "unknown"))
        brought_by = None
    try:
        _require_pass(keys, claim, told, moment)
    except errors.Refusal as refusal:
        _stands_against(told, reasons, refusal.code, refusal)
    state = (await claims.lock(tx, [claim["id"]])).get(claim["id"])
    await claims.attend(tx, [claim["id"]])
    if state not in ("confirmed", "attended"):
        _stands_against(told, reasons, str(state), errors.Cancelled())
    terms = await terms_of(tx, visit["place_id"])
    room = await watched(tx, visit["place_id"], visit["community"], terms.most_children)
    gone = await sql.doors.left_at(tx, visit_id, claim["id"]) if told.decided else None
    if gone is not None and told.at <= gone:  # told again under another id: the child is not there any more
        raise errors.AlreadyRecorded
    code = rules.no_time(moment, claim["starts_at"], claim["ends_at"], terms.sign_in_minutes)
    if code is not None:
        opens_at = clock.local(rules.opens_at(claim["starts_at"], terms.sign_in_minutes))
        more: dict[str, Any] = {"opens_at": opens_at} if code == "too_early" else {}
        _stands_against(told, reasons, code, errors.by_code(code)(**more))
    code = rules.no_entry(room, terms, accompanied=visit["stays"])
    if code is not None and told.decided is None:
        raise errors.by_code(code)
    strains = rules.strains(room, terms, accompanied=visit["stays"])
    reasons += strains
    coming = Coming(
        claim["id"],
        claim["holder_no"],
        visit_id,
        visit["place_id"],
        visit["community"],
        visit["stays"],
        told.at,
        claim["ends_at"],
    )
    await sql.doors.insert_inside(tx, coming)
    room = rules.entered(room, accompanied=visit["stays"])
    most = max(terms.most_children, room.children)
    await sql.doors.write_room(tx, visit["place_id"], room, most, is_unwatched="no_carer_recorded" in strains)
    passing = _passing(visit, claim, who, told, "in", reasons)._replace(adult_id=brought_by)
    await sql.doors.insert_handover(tx, passing)
    at = clock.local(told.at)
    where = (visit["community"], passing.id, visit["place_id"])
    heard = [notices.child_arrived(*where, visit_id, claim["holder_no"], at)]
    if strains:
        heard.append(notices.room_strained(*where, strains, at))
    await announce(tx, heard)
    await uploads.finish(tx, told.id, {"id": passing.id})
    return passing.id


async def sign_out(
    tx: Tx, keys: Keyring, who: Caller, of: Collection, visit_id: uuid.UUID, told: SignOutIn
) -> uuid.UUID | errors.Refusal:
    """A child goes home with a guardian, or with whom one of them allows and none forbids; the hand-over's id.

    Somebody who may not is written down, and the answer says so: that is a fact, too, so it is returned and not raised.
    """
    earlier = await uploads.begin(tx, who, "childcare.sign_out", told, visit_id)
    if earlier is not None:
        return uuid.UUID(earlier["id"]) if "id" in earlier else errors.by_code(earlier["refused"])()
    visit, group = await _visit(tx, who, of, visit_id)
    terms = await terms_of(tx, visit["place_id"])
    room = await watched(tx, visit["place_id"], visit["community"], terms.most_children)
    claim, inside = await _inside(tx, _claims_of(group, told.person))
    # What is to be decided is decided now, whatever a slow clock says; what was, not before the child had come.
    moment = clock.now() if told.decided is None else max(told.at, inside["since"])
    rows = await sql.children.collectors(tx, claim["holder_no"], at=moment)
    adult = await _adult(tx, keys, claim, told, rows, moment)
    reasons = [*_late(told), *(["before_sign_in"] if told.at < inside["since"] else [])]
    code = rules.no_hand_over(adult, [entry_of(keys, row) for row in rows if row["is_in_force"]], moment)
    at = clock.local(told.at)
    if code is not None and told.decided is None:
        return await _turned_away(tx, who, visit, claim, told, adult, code)
    if code is not None:
        reasons.append(code)
        await _wrong_hands(tx, keys, who, visit, claim, told, code)
    once = adult.entry.id if adult.entry is not None and adult.entry.kind == "once" else None
    if once is not None and not await sql.children.use_code(tx, once) and code is None and told.decided is None:
        raise errors.CollectorUsed
    await sql.doors.delete_inside(tx, claim["id"])
    await sql.doors.write_room(tx, visit["place_id"], rules.left(room, accompanied=inside["stays"]))
    passing = _passing(visit, claim, who, told, "out", reasons)._replace(
        adult_id=adult.person_id,
        collector_id=adult.entry.id if adult.entry is not None else None,
        once_id=once if code is None else None,
    )
    await sql.doors.insert_handover(tx, passing)
    where = (visit["community"], passing.id, visit["place_id"])
    await announce(tx, [notices.child_collected(*where, visit_id, claim["holder_no"], at)])
    await uploads.finish(tx, told.id, {"id": passing.id})
    return passing.id


async def handed_over(tx: Tx, keys: Keyring, handover_id: uuid.UUID) -> Facts:
    """A hand-over as it is shown to the carers."""
    row = await sql.doors.handover(tx, handover_id)
    if row is None:
        raise errors.NotThere
    name = row["adult_name"] or collector_name(keys, row["collector_id"], row["about"])
    adult = row["adult_id"] or row["collector_id"]
    return Facts(
        id=row["id"],
        visit_id=row["visit_id"],
        person=NamedOut(id=row["child_id"], name=row["child_name"]),
        progress="inside" if row["direction"] == "in" else "left",
        at=row["at"],
        adult=NamedOut(id=adult, name=name) if adult is not None and name is not None else None,
        reasons=row["reasons"],
    )


async def _visit(tx: Tx, who: Caller, of: Collection, visit_id: uuid.UUID) -> tuple[Any, Group]:
    visit, group = await collection.readable(tx, who, of, visit_id)
    who.require(CARERS, visit["community"], visit["place_id"])
    return visit, group


def _claims_of(group: Group, person_id: uuid.UUID | None) -> list[Any]:
    """The claims of the child that is meant."""
    people = {row["person_id"] for row in group.claims}
    if person_id is None and len(people) > 1:
        raise errors.Unprocessable.at("/person", "missing")
    meant = person_id or next(iter(people))
    found = [row for row in group.claims if row["person_id"] == meant]
    if not found:
        raise errors.Unprocessable.at("/person", "unknown")
    return found


async def _guardian_who_booked(tx: Tx, claim: Any) -> uuid.UUID | None:
    """Whose pass it is, if that is a guardian's; staff who booked at the desk bring nobody."""
    guardians = await sql.children.guardians(tx, claim["person_id"])
    return next((one["id"] for one in guardians if one["id"] == claim["made_by"]), None)


def _claim_at(several: Sequence[Any], moment: datetime) -> Any:
    """Of a child's claims the one whose session is nearest; those that were given back only if there is no other."""
    alive = [row for row in several if row["state"] in ("confirmed", "attended")] or several
    return min(
        alive,
        key=lambda row: (max(row["starts_at"] - moment, moment - row["ends_at"]), row["starts_at"], row["id"]),
    )


def _require_pass(keys: Keyring, claim: Any, told: SignInIn, moment: datetime) -> None:
    if told.code is not None:
        if not passes.matches(keys, claim["id"], told.code):
            raise errors.PassInvalid
        return
    place_id = claim["place_id"]
    if passes.verify(keys, told.token or "", facility_id=place_id, now=moment, has_own_hours=True) != claim["id"]:
        raise errors.PassInvalid


def _late(told: SignInIn | SignOutIn) -> list[str]:
    return ["late"] if rules.is_told_late(told.at, clock.now()) else []


def _stands_against(told: SignInIn, reasons: list[str], code: str, refusal: errors.Refusal) -> None:
    """What was done already is written down with what stands against it; what is still to be done is refused."""
    if told.decided is None:
        raise refusal
    reasons.append(code)


def _passing(
    visit: Any, claim: Any, who: Caller, told: SignInIn | SignOutIn, direction: str, reasons: Sequence[str]
) -> Passing:
    return Passing(
        clock.uuid7(),
        visit["id"],
        claim["id"],
        claim["holder_no"],
        visit["place_id"],
        visit["community"],
        direction,
        None,
        None,
        None,
        who.known(),
        list(reasons),
        told.at,
    )


async def _inside(tx: Tx, several: Sequence[Any]) -> tuple[Any, Any]:
    for claim in several:
        found = await sql.doors.inside(tx, claim["id"])
        if found is not None:
            return claim, found
    raise errors.NotInside


async def _adult(tx: Tx, keys: Keyring, claim: Any, told: SignOutIn, rows: Sequence[Any], moment: datetime) -> Adult:
    """Who stands at the door: found by a one-time code, by a line of the list, or as somebody of the town."""
    row = None
    if told.code is not None:
        index = index_of(keys, told.code)
        row = next((one for one in rows if one["code_index"] == index), None)
    elif told.collector is not None:
        row = next((one for one in rows if one["id"] == told.collector and one["kind"] != "once"), None)
    person_id = told.collector if row is None else row["person_id"]
    person = (await sql.doors.named(tx, [person_id])).get(person_id) if person_id is not None else None
    entry = entry_of(keys, row) if row is not None else None
    return Adult(
        person["id"] if person is not None else None,
        person["name"] if person is not None else entry.name if entry is not None else None,
        is_guardian=person is not None
        and person["id"] in {one["id"] for one in await sql.children.guardians(tx, claim["person_id"], moment)},
        entry=entry,
        is_of_age=person is None or person["is_of_age"],
    )


async def _turned_away(
    tx: Tx, who: Caller, visit: Any, claim: Any, told: SignOutIn, adult: Adult, code: str
) -> errors.Refusal:
    try_id = clock.uuid7()
    await sql.doors.insert_turned_away(
        tx,
        (
            try_id,
            visit["id"],
            claim["holder_no"],
            visit["place_id"],
            visit["community"],
            adult.person_id,
            adult.entry.id if adult.entry is not None else None,
            code,
            who.account_no,
            told.at,
        ),
    )
    at = clock.local(told.at)
    where = (visit["community"], try_id, visit["place_id"])
    await announce(tx, [notices.collector_refused(*where, visit["id"], claim["holder_no"], at)])
    await uploads.finish(tx, told.id, {"refused": code})
    return errors.by_code(code)()


async def _wrong_hands(tx: Tx, keys: Keyring, who: Caller, visit: Any, claim: Any, told: SignOutIn, code: str) -> None:
    """A child has gone already with somebody who may not collect it: nobody can undo that, and somebody must look."""
    incident_id = clock.uuid7()
    body = {"text": code, "witnessed_by": [], "visit_id": str(visit["id"])}
    happened = Happened(
        incident_id,
        visit["place_id"],
        visit["community"],
        "collection",
        "serious",
        seal_incident(keys, incident_id, body),
        [claim["holder_no"]],
        None,
        False,  # noqa: FBT003 - a column
        None,
        who.known(),
        told.at,
    )
    await write_down(tx, happened)
