"""What people consent to: for oneself, for a child or an elder, and at the desk."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from services.identity import notices, rules, sql
from services.identity.sql.consents import NewWord, Subject, Word
from shared import clock, db, errors
from shared.assertion import Caller
from shared.db import Tx
from shared.notices import announce
from shared.purposes import OWN_WORD, PURPOSES, Purpose
from shared.texts import say

DESK: Final = frozenset({"staff", "manager", "operator"})
"""Who writes down what a resident says at the desk, on the phone or on paper."""


@dataclass(frozen=True, slots=True)
class State:
    """One purpose, and all that was said about it, the newest first."""

    purpose: Purpose
    words: Sequence[Word]

    @property
    def state(self) -> str:
        """What the newest word comes to today."""
        newest = self.words[0] if self.words else None
        if newest is None:
            return rules.consent_state(0, self.purpose.version, given=None)
        is_over = newest.until is not None and newest.until <= clock.now()
        return rules.consent_state(newest.version, self.purpose.version, given=newest.given, is_over=is_over)


@dataclass(frozen=True, slots=True)
class Said:
    """One word as it arrived; `by` names, at the desk, the guardian or proxy who said it."""

    given: bool
    version: int
    channel: str
    by: uuid.UUID | None


@dataclass(frozen=True, slots=True)
class Standing:
    """How the caller stands to a person: as self, guardian or proxy (for some services), and whether as staff."""

    subject: Subject
    given_by: str | None
    services: Sequence[str] | None
    is_staff: bool


def _own(who: Caller) -> uuid.UUID:
    if who.person_id is None:
        raise errors.NotAllowed
    return who.person_id


async def standing(tx: Tx, who: Caller, person_id: uuid.UUID | None) -> Standing:
    """None is the caller. Whoever has nothing to do with a person hears that there is nobody."""
    who.known()
    wanted = _own(who) if person_id is None else person_id
    subject = await sql.consents.subject(tx, wanted)
    if subject is None:
        raise errors.NotThere
    is_staff = who.may(DESK, subject.community)
    if who.person_id == wanted:
        return Standing(subject, "self", None, is_staff)
    mine = sorted((one for one in who.acts_for if one.person_id == wanted), key=lambda one: one.relation)
    if mine:
        services = None if mine[0].relation == "guardian" else mine[0].services
        return Standing(subject, mine[0].relation, services, is_staff)
    if not is_staff:
        raise errors.NotThere
    return Standing(subject, None, None, is_staff)


def _is_within(purpose: Purpose, services: Sequence[str] | None) -> bool:
    return services is None or bool(set(services) & set(purpose.services))


async def read(tx: Tx, who: Caller, person_id: uuid.UUID | None) -> list[State]:
    """Every purpose with what was said about it; a proxy for some services sees the purposes of these only."""
    stands = await standing(tx, who, person_id)
    limited = None if stands.is_staff else stands.services
    shown = [one for one in PURPOSES.values() if _is_within(one, limited)]
    words = await sql.consents.words(tx, stands.subject.person_id, [one.code for one in shown])
    return [State(one, words.get(one.code, [])) for one in shown]


async def record(tx: Tx, who: Caller, person_id: uuid.UUID | None, code: str, said: Said) -> State:
    """Write down a word that says something new; the same again is answered with what stands."""
    stands = await standing(tx, who, person_id)
    purpose = PURPOSES.get(code)
    if purpose is None:
        raise errors.NotThere
    given_by, by = await _giver(tx, who, stands, purpose, said)
    subject = stands.subject
    is_child = rules.is_under(subject.born, purpose.guardian_under, clock.today())
    if given_by != "guardian" and is_child:
        raise errors.GuardianRequired(
            say("For a child under 14 a guardian decides.", "未满 14 周岁的，须由监护人同意。")
        )
    if given_by == "guardian" and said.given and subject.born is not None and not is_child:
        raise errors.OwnWordRequired
    if said.given and said.version != purpose.version:
        raise errors.Conflict(
            say("The words of this purpose have changed; read them again.", "授权内容已更新，请重新阅读后再确认。"),
            version=purpose.version,
        )
    await sql.consents.lock(tx, subject.holder_no)
    words = (await sql.consents.words(tx, subject.person_id, [code])).get(code, [])
    newest = words[0] if words else None
    state = State(purpose, words).state
    is_own_now = given_by == "self" and newest is not None and newest.until is not None
    if state == "given" and not is_own_now if said.given else state in ("never", "withdrawn"):
        tx.discard()
        return State(purpose, words)
    word = NewWord(
        clock.uuid7(),
        subject.person_id,
        code,
        newest.step + 1 if newest is not None else 1,
        said.version if said.given or newest is None else newest.version,
        said.given,
        said.channel,
        given_by,
        who.known(),
        by,
        subject.community,
        _until(subject, purpose) if said.given and given_by == "guardian" else None,
    )
    with db.referee({sql.consents.ONE_WORD_AFTER_ANOTHER: lambda: errors.InFlight(retry_after=1)}):
        await sql.consents.insert(tx, word)
    tell = notices.consent_given if said.given else notices.consent_withdrawn
    await announce(tx, [tell(word.id, subject.community, subject.holder_no, code, word.version)])
    return State(purpose, (await sql.consents.words(tx, subject.person_id, [code]))[code])


def _until(subject: Subject, purpose: Purpose) -> datetime | None:
    """How long a guardian's word counts: a while after the birthday from which on it takes the child's own."""
    if subject.born is None:
        return None
    return clock.at(rules.birthday(subject.born, purpose.guardian_under), datetime.min.time()) + OWN_WORD


async def ask_again(tx: Tx) -> int:
    """Tell children who turned fourteen, and their guardians, which consents take the child's own word; how many."""
    due = await sql.consents.to_ask_again(tx, OWN_WORD)
    if not due:
        tx.discard()
    await announce(tx, [notices.consent_asked_again(*one) for one in due])
    return len(due)


async def _giver(tx: Tx, who: Caller, stands: Standing, purpose: Purpose, said: Said) -> tuple[str, uuid.UUID]:
    """As whom somebody speaks, and who that is; refuses who may not."""
    person_id = stands.subject.person_id
    if said.channel == "app":
        if said.by is not None:
            raise errors.Unprocessable.at("/by", "desk_only")
        if stands.given_by is None:
            raise errors.Unprocessable.at("/channel", "channel")
        if not _is_within(purpose, stands.services):
            raise errors.NotYours
        return stands.given_by, _own(who)
    if not stands.is_staff:
        raise errors.NotAllowed
    if said.by is None or said.by == person_id:
        return "self", person_id
    for relation in await sql.consents.relations(tx, said.by, person_id):
        if relation["kind"] == "guardian" or _is_within(purpose, relation["services"]):
            return relation["kind"], said.by
    raise errors.NotYours.at("/by", "not_yours")
