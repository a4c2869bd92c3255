"""What people ask about what is known of them: a copy, a correction, an end. Each has a time by which it is answered."""

from __future__ import annotations

import uuid
from datetime import date, datetime, timedelta
from typing import Any, Final

from services.identity import archives, notices, rules, sealing, sql
from services.identity.actions import people, reveals, standing
from services.identity.rules import Document, Phone
from services.identity.sql.rights import NewRequest
from shared import audit, clock, crypto, errors
from shared.assertion import Caller
from shared.crypto import Keyring
from shared.db import Tx
from shared.notices import announce
from shared.rights import Tables, Whom
from shared.texts import say

ANSWERED_WITHIN: Final = timedelta(days=30)
CLOSED_WITHIN: Final = 15
"""Working days."""
KEPT: Final = timedelta(days=7)
"""For so long a copy can be fetched."""
REMINDER: Final = timedelta(days=5)
"""So long before the end of its time the staff is reminded of a request."""


def _new(found: standing.Standing, who: Caller, kind: str, due: datetime, **more: Any) -> NewRequest:
    subject = found.subject
    told: dict[str, Any] = {"field": None, "body": None, "acts_at": None, "id": clock.uuid7()} | more
    return NewRequest(
        person_id=subject.person_id,
        community=subject.community,
        kind=kind,
        account_no=who.known(),
        due_at=due,
        **told,
    )


async def _write(tx: Tx, who: Caller, new: NewRequest) -> Any:
    """Write a request down, or find the one like it that is open."""
    if not await sql.rights.insert(tx, new):
        tx.discard()
        return await sql.rights.open_one(tx, new.person_id, new.kind)
    await audit.record(
        tx,
        who.account_no,
        f"requests.{new.kind}",
        community=new.community,
        person_id=new.person_id,
        data={"request_id": new.id, "fields": [new.field] if new.field else []},
    )
    told = await sql.reveals.told(tx, new.person_id) if new.person_id != who.person_id else ()
    holders = tuple(no for no in told if no != who.holder_no)  # whoever asked knows
    await announce(tx, [notices.rights.request_made(new.id, new.community, holders, new.kind)])
    return await sql.rights.one(tx, new.id)


async def _recorded(tx: Tx, who: Caller | None, deed: str, row: Any, *, reason: str | None = None, **data: Any) -> None:
    """What was done about a request; by nobody where a task did it."""
    await audit.record(
        tx,
        who.account_no if who is not None else None,
        deed,
        community=row["community"],
        person_id=row["person_id"],
        reason=reason,
        data={"request_id": row["id"]} | data,
    )


async def ask_export(tx: Tx, who: Caller, person_id: uuid.UUID | None) -> Any:
    """Ask for a copy of everything; while one is being made, that one."""
    found = await standing.of(tx, who, person_id)
    return await _write(tx, who, _new(found, who, "export", clock.now() + ANSWERED_WITHIN))


async def ask_closure(tx: Tx, who: Caller, person_id: uuid.UUID | None, days: int) -> Any:
    """Ask to be forgotten, after so many days in which it can be taken back."""
    found = await standing.of(tx, who, person_id)
    today = clock.today()
    if await sql.rights.is_only_guardian(tx, found.subject.person_id, today):
        raise errors.LastGuardian
    now = clock.now()
    due = clock.at(rules.working_day_after(today, CLOSED_WITHIN), clock.local(now).time())
    return await _write(tx, who, _new(found, who, "closure", due, acts_at=now + timedelta(days=days)))


def _read(field: str, told: dict[str, Any]) -> Any:
    """What a correction says, checked; it is checked again when it is carried out."""
    value, today = told["value"], clock.today()
    try:
        match field:
            case "document":
                return rules.read_document(rules.DocumentKind(told["document_kind"]), value, today=today)
            case "phone":
                return rules.normalise_phone(value)
            case "born":
                born = date.fromisoformat(value)
                if not rules.EARLIEST <= born <= today:
                    raise ValueError(field)
                return born
            case "sex" if value not in ("male", "female"):
                raise ValueError(field)
            case "name" if not rules.NAME.fullmatch(value):
                raise ValueError(field)
    except rules.DocumentRefused as refused:
        raise errors.by_code(refused.code).at("/value", refused.code) from None
    except rules.PhoneMalformed as refused:
        raise errors.PhoneMalformed.at("/value", refused.code) from None
    except ValueError:
        raise errors.Unprocessable.at("/value", field) from None
    return value


async def ask_correction(
    tx: Tx, keys: Keyring, who: Caller, person_id: uuid.UUID | None, field: str, told: dict[str, Any]
) -> Any:
    """Say that something is wrong, and what is right; the staff decides. One open correction of a field at a time."""
    found = await standing.of(tx, who, person_id)
    _read(field, told)
    request_id = clock.uuid7()
    body = crypto.seal_json(keys, told, table="requests", column="body", row=str(request_id))
    due_at = clock.now() + ANSWERED_WITHIN
    new = _new(found, who, "correction", due_at, id=request_id, field=field, body=body)
    row = await _write(tx, who, new)
    if row is None or row["id"] != request_id:
        raise errors.Exists
    return row


def said(keys: Keyring, row: Any) -> dict[str, Any] | None:
    """What a correction says, while it is not decided."""
    if row["body"] is None:
        return None
    return crypto.unseal_json(keys, row["body"], table="requests", column="body", row=str(row["id"]))


async def _own(tx: Tx, who: Caller, person_id: uuid.UUID | None, request_id: uuid.UUID) -> Any:
    """A request about oneself, or about somebody one speaks for."""
    found = await standing.of(tx, who, person_id)
    row = await sql.rights.locked(tx, request_id)
    if row is None or row["person_id"] != found.subject.person_id:
        raise errors.NotThere
    return row


async def read(tx: Tx, who: Caller, person_id: uuid.UUID | None, request_id: uuid.UUID) -> Any:
    """One request."""
    row = await _own(tx, who, person_id, request_id)
    tx.discard()
    return row


async def several(tx: Tx, who: Caller, person_id: uuid.UUID | None, before: uuid.UUID | None, limit: int) -> list[Any]:
    """All that was asked."""
    found = await standing.of(tx, who, person_id)
    return await sql.rights.of_person(tx, found.subject.person_id, before, limit)


async def withdraw(tx: Tx, who: Caller, person_id: uuid.UUID | None, request_id: uuid.UUID) -> Any:
    """Take it back while it has no answer; again changes nothing."""
    row = await _own(tx, who, person_id, request_id)
    if row["state"] == "withdrawn":
        tx.discard()
        return row
    if not await sql.rights.answer(tx, request_id, "withdrawn"):
        raise errors.AlreadyRecorded
    await _recorded(tx, who, "requests.withdrawn", row)
    if row["person_id"] != who.person_id:
        await _tell(tx, row, "withdrawn")
    return await sql.rights.one(tx, request_id)


async def fetch(tx: Tx, keys: Keyring, who: Caller, person_id: uuid.UUID | None, request_id: uuid.UUID) -> bytes:
    """The copy that was made. Whoever speaks for them only by office sees in it what a reveal shows, so has one first."""
    row = await _own(tx, who, person_id, request_id)
    found = await standing.of(tx, who, person_id)
    if found.is_desk and not await sql.reveals.has_seen(tx, who.known(), row["person_id"], reveals.FIELDS):
        raise errors.NotAllowed(
            say(
                "Ask to see all that is sealed of them first; then fetch the copy.",
                "请先申请查看其全部敏感信息，再下载副本。",
            )
        )
    sealed = await sql.rights.archive(tx, request_id)
    if sealed is None:
        raise errors.Gone if row["kind"] == "export" and row["state"] == "done" else errors.NotThere
    await _recorded(tx, who, "people.export", row)
    return archives.unseal(keys, sealed, request_id)


async def queue(
    tx: Tx, who: Caller, kind: str | None, state: str | None, after: tuple[datetime, uuid.UUID] | None, limit: int
) -> list[Any]:
    """What is asked in one's regions, what is due first at the front."""
    return await sql.rights.queue(tx, who.reach(standing.DESK), kind, state, after, limit)


async def _at_the_desk(tx: Tx, who: Caller, request_id: uuid.UUID) -> Any:
    who.reach(standing.DESK)
    row = await sql.rights.locked(tx, request_id)
    if row is None or not who.may(standing.DESK, row["community"]):
        raise errors.NotThere
    return row


async def look(tx: Tx, keys: Keyring, who: Caller, request_id: uuid.UUID) -> tuple[Any, dict[str, Any] | None]:
    """One request with what it says, for whoever decides; the person sees that it was read."""
    row = await _at_the_desk(tx, who, request_id)
    told = said(keys, row)
    if told is None:
        tx.discard()
        return row, None
    await _recorded(tx, who, "requests.read", row, fields=[row["field"]])
    return row, told


async def decide(
    tx: Tx, keys: Keyring, who: Caller, request_id: uuid.UUID, *, is_right: bool, reason: str | None
) -> Any:
    """Do what a correction says, or say why not. The schema refuses whoever asked, and the person themselves."""
    row = await _at_the_desk(tx, who, request_id)
    if row["kind"] != "correction":
        raise errors.NotAllowed
    if who.person_id is None:
        raise errors.NotAllowed(standing.NOBODY)
    if who.person_id != row["person_id"] and await sql.desk.are_family(tx, who.person_id, row["person_id"]):
        raise errors.OwnMatter
    told = said(keys, row)
    if told is None:
        raise errors.AlreadyRecorded
    with standing.decided_by_another():
        await sql.rights.answer(
            tx,
            request_id,
            "done" if is_right else "denied",
            account_no=who.account_no,
            person_id=who.person_id,
            words=reason,
        )
    if is_right:
        await _correct(tx, keys, row["person_id"], row["field"], told)
    deed = "people.corrected" if is_right else "requests.denied"
    await _recorded(tx, who, deed, row, reason=reason, fields=[row["field"]])
    await _tell(tx, row, "done" if is_right else "denied")
    return await sql.rights.one(tx, request_id)


async def _tell(tx: Tx, row: Any, state: str) -> None:
    told = await sql.reveals.told(tx, row["person_id"])
    await announce(tx, [notices.rights.request_answered(row["id"], row["community"], told, row["kind"], state)])


async def _correct(tx: Tx, keys: Keyring, person_id: uuid.UUID, field: str, told: dict[str, Any]) -> None:
    await sql.people.lock_person(tx, person_id)
    known = await sql.reveals.known(tx, person_id)
    if known is None:
        raise errors.NotThere
    value = _read(field, told)
    match value:
        case Document():
            # Whoever was confirmed was so with another number.
            await people.write_name(tx, keys, person_id, name=known.name, document=value, level=people.BY_DOCUMENT)
        case Phone():
            sealed, index = sealing.phone(keys, value, person_id), sealing.contact_index(keys, value)
            await sql.rights.correct(tx, person_id, field, sealed, index)
        case _:
            await sql.rights.correct(tx, person_id, field, value)


async def known_of(tx: Tx, keys: Keyring, whom: Whom) -> Tables:
    """All that identity knows of somebody."""
    found = {name: [dict(row) for row in rows] for name, rows in (await sql.rights.tables(tx, whom)).items()}
    for person in found["person"]:
        for name, opened in (("document", sealing.open_document), ("phone", sealing.open_phone)):
            sealed = person.pop(f"{name}_sealed")
            person[name] = opened(keys, sealed, whom.person_id) if sealed is not None else None
        for name in ("document_index", "document_last4", "phone_index", "version", "closed_at"):
            person.pop(name)
    return found


async def due(tx: Tx, kind: str) -> list[tuple[Any, Whom | None]]:
    """Requests that can be answered now, and about whom they are."""
    rows = await sql.rights.due(tx, kind, 20)
    return [(row, await sql.rights.whom(tx, row["person_id"], row["account_no"])) for row in rows]


async def exported(tx: Tx, keys: Keyring, request_id: uuid.UUID, archive: bytes) -> bool:
    """A copy was made: keep it for a week, and tell."""
    row = await sql.rights.locked(tx, request_id)
    if row is None or not await sql.rights.answer(tx, request_id, "done"):
        tx.discard()
        return False
    sealed = archives.seal(keys, archive, request_id)
    await sql.rights.insert_archive(tx, request_id, sealed, clock.now() + KEPT)
    await _tell(tx, row, "done")
    return True


async def close(tx: Tx, request_id: uuid.UUID, whom: Whom) -> bool:
    """The last step: nobody is here any more, and the books still add up. Who became a child's only guardian stays."""
    await sql.people.lock_person(tx, whom.person_id)
    row = await sql.rights.locked(tx, request_id)
    if row is None or row["state"] != "asked":
        tx.discard()
        return False
    if why := await _in_the_way(tx, request_id, whom):
        await sql.rights.answer(tx, request_id, "denied", words=why)
        await _tell(tx, row, "denied")
        return False
    await sql.rights.close(tx, whom)
    await sql.rights.answer(tx, request_id, "done")
    await _recorded(tx, None, "people.closed", row)
    await announce(tx, [notices.person_closed(whom.person_id, row["community"])])
    return True


async def may_close(tx: Tx, request_id: uuid.UUID, whom: Whom) -> bool:
    """Whether a closure still stands, before anything is given back for it."""
    row = await sql.rights.one(tx, request_id)
    if row is None or row["state"] != "asked":
        return False
    return await _in_the_way(tx, request_id, whom) is None


async def _in_the_way(tx: Tx, request_id: uuid.UUID, whom: Whom) -> str | None:
    """Why a closure that was asked for is not carried out."""
    if await sql.rights.is_only_guardian(tx, whom.person_id, clock.today()):
        return say("A child has no other guardian.", "有未成年人仅由其监护。")
    if await sql.rights.speaks_no_more(tx, request_id):
        return say("Whoever asked for it no longer acts for you.", "提出申请者已不再代办您的事务。")
    return None


async def remind(tx: Tx) -> int:
    """Remind the staff of what must be answered soon; of how many."""
    rows = await sql.rights.remind(tx, clock.now() + REMINDER)
    told = []
    for row in rows:
        holders = await sql.reveals.in_office(tx, sorted(standing.DESK), row["community"])
        told.append(notices.rights.request_due(row["id"], row["community"], holders, row["kind"], row["due_at"]))
    if not told:
        tx.discard()
    await announce(tx, told)
    return len(told)
