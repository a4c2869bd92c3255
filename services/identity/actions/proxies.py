"""Proxies: asked for, agreed to by the person they act for, limited in services, time and money, revoked at any time.

Until the person has agreed there is only an offer, which gives nobody any power. Relations do not chain: a proxy acts for
the person who agreed and for nobody that person acts for.
"""

from __future__ import annotations

import secrets
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Final

from services.identity import notices, rules, sealing, sql
from services.identity.actions import families, people
from services.identity.actions.consents import standing
from services.identity.rules import Document, Phone
from services.identity.sql.families import NewOffer, NewRelation, Relation, Someone
from shared import audit, clock, crypto, db, errors
from shared.assertion import Caller
from shared.crypto import Keyring
from shared.db import Tx
from shared.notices import announce
from shared.texts import say

MOST: Final = 20
"""Proxies of one person, and people one is a proxy of, with those that are asked for."""
ASKED_FOR: Final = timedelta(days=30)
CODE_LIFE: Final = timedelta(minutes=15)
TRIES: Final = 5
USUAL: Final = timedelta(days=365)
LONGEST: Final = timedelta(days=3 * 366)


@dataclass(frozen=True, slots=True)
class Scope:
    """What a proxy may do: in which services, until which day, for how much money a month."""

    services: Sequence[str]
    until: date | None
    cap_fen: int | None

    def ends_at(self) -> datetime:
        """The first moment at which it is over."""
        today = clock.today()
        last = self.until or today + USUAL
        if not today <= last <= today + LONGEST:
            raise errors.Unprocessable.at("/until", "out_of_range")
        return clock.at(last + timedelta(days=1), datetime.min.time())


@dataclass(frozen=True, slots=True)
class Proxy:
    """Somebody who acts for another, or would."""

    id: uuid.UUID
    state: str
    person_id: uuid.UUID
    person_name: str
    proxy_id: uuid.UUID
    proxy_name: str
    services: Sequence[str] | None
    cap_fen: int | None
    until: datetime | None
    made_at: datetime
    code: str | None = None
    code_expires_at: datetime | None = None


def _of_relation(one: Relation) -> Proxy:
    return Proxy(
        one.id,
        "active",
        one.person_id,
        one.name,
        one.actor_id,
        one.actor_name,
        one.services,
        one.cap_fen,
        one.ends_at,
        one.made_at,
    )


def _of_offer(row: Any, code: str | None = None) -> Proxy:
    return Proxy(
        row["id"],
        "pending",
        row["person_id"],
        row["name"],
        row["actor_id"],
        row["actor_name"],
        row["services"],
        row["cap_fen"],
        row["ends_at"],
        row["made_at"],
        code,
        row["code_ends_at"] if code is not None else None,
    )


async def mine(tx: Tx, account_no: int) -> list[Proxy]:
    """My proxies and those whose proxy I am, with what waits for a yes."""
    own = await people.member(tx, account_no)
    if own.person_id is None:
        return []
    return await _listed(tx, own.person_id, both=True)


async def theirs(tx: Tx, who: Caller, person_id: uuid.UUID) -> list[Proxy]:
    """Somebody's proxies, for those who act for them and for staff; a proxy sees their own line."""
    stands = await standing(tx, who, person_id)
    found = await _listed(tx, person_id, both=False)
    if stands.given_by == "proxy" and not stands.is_staff:
        return [one for one in found if one.proxy_id == who.person_id]
    return found


async def _listed(tx: Tx, person_id: uuid.UUID, *, both: bool) -> list[Proxy]:
    actor_id = person_id if both else None
    pending = await sql.families.open_proxies(tx, person_id=person_id, actor_id=actor_id, limit=4 * MOST)
    active = await sql.families.listed(tx, "proxy", person_id=person_id, actor_id=actor_id)
    return [_of_offer(row) for row in pending] + [_of_relation(one) for one in active]


async def one(tx: Tx, who: Caller, person_id: uuid.UUID | None, proxy_id: uuid.UUID) -> Proxy:
    """One of them."""
    found = await theirs(tx, who, person_id) if person_id is not None else await mine(tx, who.known())
    for each in found:
        if each.id == proxy_id:
            return each
    raise errors.NotThere


async def ask(tx: Tx, keys: Keyring, account_no: int, *, name: str, document: Document, scope: Scope) -> Proxy:
    """Ask somebody, known by name and document, to let me act for them. Nothing may be done before they agree."""
    own = await _verified(tx, account_no)
    elder = await sql.families.by_document(tx, sealing.document_index(keys, document))
    if elder is None or elder.name != name:
        raise errors.NotThere
    return await _asked(tx, account_no, elder, own, scope)


async def ask_at_desk(
    tx: Tx, keys: Keyring, who: Caller, person_id: uuid.UUID, proxy_id: uuid.UUID, scope: Scope
) -> Proxy:
    """Staff write down who is to act for somebody, and show that person a code."""
    elder, proxy = await _of_office(tx, who, person_id, proxy_id)
    if not people.is_known_adult(proxy):
        raise errors.VerificationRequired
    made = await _asked(tx, who.known(), elder, proxy, scope)
    await _recorded(tx, who, "proxies.ask", elder, made.id)
    return await _coded(tx, keys, made.id)


async def _verified(tx: Tx, account_no: int) -> Someone:
    own = await people.member(tx, account_no)
    if own.person_id is None:
        raise errors.NotAllowed
    found = await sql.families.someone(tx, own.person_id)
    if found is None or not people.is_known_adult(found):
        raise errors.VerificationRequired
    return found


async def _may_begin(tx: Tx, person: Someone, proxy: Someone) -> None:
    """Lock both, and refuse what cannot be: oneself, a child, what is there already, and too many."""
    if person.id == proxy.id:
        raise errors.Unprocessable.at("/person", "oneself")
    if rules.is_under(person.born, rules.ADULT, clock.today()):
        raise errors.Unprocessable.at(
            "/person",
            "not_an_adult",
            say("A child has guardians and no proxies.", "未成年人由监护人代办，不设受托人。"),
        )
    await sql.families.lock(tx, [person.id, proxy.id])
    await families.close_over(tx, pair=(proxy.id, person.id))
    await sql.families.forget_asks(tx, proxy.id, person.id)
    if await sql.families.between(tx, proxy.id, person.id, "proxy") is not None:
        raise errors.Exists(say("They are a proxy already; revoke that first.", "代办关系已存在，请先撤销。"))
    for several in (await _listed(tx, person.id, both=False), await _listed(tx, proxy.id, both=True)):
        if len(several) >= MOST:
            raise errors.LimitReached


async def _asked(tx: Tx, account_no: int, person: Someone, proxy: Someone, scope: Scope) -> Proxy:
    ends_at = scope.ends_at()
    await _may_begin(tx, person, proxy)
    new = NewOffer(
        clock.uuid7(),
        "proxy",
        person.id,
        proxy.id,
        account_no,
        clock.now() + ASKED_FOR,
        scope.services,
        scope.cap_fen,
        ends_at,
    )
    asked = say("They have been asked already.", "已提交申请，等待本人确认。")
    with db.referee({sql.families.ONE_OPEN_ASK_EACH: lambda: errors.Exists(asked)}):
        await sql.families.insert_offer(tx, new)
    await announce(tx, [notices.proxy_asked(new.id, person.community, (person.no, proxy.no))])
    return _of_offer(await sql.families.offer(tx, new.id))


async def appoint(tx: Tx, keys: Keyring, account_no: int, *, name: str, phone: Phone, scope: Scope) -> Proxy:
    """Let somebody, known by name and phone, act for me: that is my own word, so it counts at once."""
    own = await people.member(tx, account_no)
    person = await sql.families.someone(tx, own.person_id) if own.person_id is not None else None
    if person is None:
        raise errors.NotAllowed
    proxy = await sql.families.by_login(tx, "phone", sealing.phone_index(keys, phone))
    if proxy is None or proxy.name != name or not people.is_known_adult(proxy):
        raise errors.NotThere
    ends_at = scope.ends_at()
    await _may_begin(tx, person, proxy)
    made = await _granted(
        tx, NewRelation(clock.uuid7(), proxy.id, person.id, "proxy", scope.services, scope.cap_fen, ends_at)
    )
    await audit.record(tx, account_no, "proxies.appoint", community=person.community, person_id=person.id)
    return made


async def _granted(tx: Tx, new: NewRelation) -> Proxy:
    with db.referee({sql.families.ONE_RELATION_EACH: errors.Exists}):
        await sql.families.insert(tx, new)
    made = await sql.families.relation(tx, new.id)
    if made is None:
        raise errors.Gone(say("The time they asked for is over.", "申请的代办期限已过。"))
    await announce(tx, [notices.proxy_granted(made.id, made.community, (made.person_no, made.actor_no))])
    return _of_relation(made)


async def _open(tx: Tx, proxy_id: uuid.UUID) -> Any:
    """An offer of a proxy that still waits for an answer, locked after both people."""
    found = await sql.families.offer(tx, proxy_id)
    if found is None or found["kind"] != "proxy":
        raise errors.NotThere
    await sql.families.lock(tx, [found["person_id"], found["actor_id"]])
    found = await sql.families.offer(tx, proxy_id, locked=True)
    if found is None or not found["is_open"]:
        raise errors.NotThere
    return found


async def _taken(tx: Tx, offer: Any) -> Proxy:
    await sql.families.answer(tx, offer["id"])
    return await _granted(
        tx,
        NewRelation(
            offer["id"],
            offer["actor_id"],
            offer["person_id"],
            "proxy",
            offer["services"],
            offer["cap_fen"],
            offer["ends_at"],
        ),
    )


async def confirm(tx: Tx, account_no: int, proxy_id: uuid.UUID) -> Proxy:
    """Agree that somebody acts for me; again is answered with what stands. Nobody can agree for somebody else here."""
    own = await people.member(tx, account_no)
    stands = await sql.families.relation(tx, proxy_id)
    if stands is not None and stands.kind == "proxy" and stands.person_id == own.person_id:
        tx.discard()
        return _of_relation(stands)
    found = await sql.families.offer(tx, proxy_id)
    if found is None or own.person_id is None or own.person_id not in (found["person_id"], found["actor_id"]):
        raise errors.NotThere
    if found["person_id"] != own.person_id:
        raise errors.NotAllowed
    made = await _taken(tx, await _open(tx, proxy_id))
    await audit.record(tx, account_no, "proxies.confirm", community=found["community"], person_id=own.person_id)
    return made


async def show_code(tx: Tx, keys: Keyring, who: Caller, person_id: uuid.UUID, proxy_id: uuid.UUID) -> Proxy:
    """A new code for the person at the desk; an older one is good no more."""
    found = await _open(tx, proxy_id)
    if found["person_id"] != person_id:
        raise errors.NotThere
    elder, _ = await _of_office(tx, who, person_id, found["actor_id"])
    await _recorded(tx, who, "proxies.code", elder, proxy_id)
    return await _coded(tx, keys, proxy_id)


async def _coded(tx: Tx, keys: Keyring, proxy_id: uuid.UUID) -> Proxy:
    code = f"{secrets.randbelow(1_000_000):06d}"
    await sql.families.set_code(tx, proxy_id, _index(keys, proxy_id, code), clock.now() + CODE_LIFE)
    return _of_offer(await sql.families.offer(tx, proxy_id), code)


def _index(keys: Keyring, proxy_id: uuid.UUID, code: str) -> bytes:
    return crypto.blind_index(keys, f"{proxy_id}|{code}", column="offers.code")


async def confirm_at_desk(
    tx: Tx, keys: Keyring, who: Caller, person_id: uuid.UUID, proxy_id: uuid.UUID, code: str
) -> Proxy | errors.Refusal:
    """The person has read out their code: they agree. A wrong code is a fact, too, so it is returned and not raised."""
    stands = await standing(tx, who, person_id)
    if not stands.is_staff:
        raise errors.NotAllowed
    found = await _open(tx, proxy_id)
    if found["person_id"] != person_id:
        raise errors.NotThere
    elder, _ = await _of_office(tx, who, person_id, found["actor_id"])
    if found["code_hash"] is None or found["tries"] >= TRIES or found["code_ends_at"] <= clock.now():
        raise errors.DeskCodeWrong
    if not secrets.compare_digest(bytes(found["code_hash"]), _index(keys, proxy_id, code)):
        await sql.families.count_try(tx, proxy_id)
        return errors.DeskCodeWrong()
    made = await _taken(tx, found)
    await _recorded(tx, who, "proxies.confirm", elder, proxy_id)
    return made


async def _of_office(tx: Tx, who: Caller, person_id: uuid.UUID, proxy_id: uuid.UUID) -> tuple[Someone, Someone]:
    """The two people, for staff of the person's region who are neither of them."""
    stands = await standing(tx, who, person_id)
    if not stands.is_staff or who.person_id in (person_id, proxy_id):
        raise errors.NotAllowed
    person, proxy = await sql.families.someone(tx, person_id), await sql.families.someone(tx, proxy_id)
    if person is None or proxy is None:
        raise errors.NotThere
    return person, proxy


async def revoke(tx: Tx, who: Caller, person_id: uuid.UUID | None, proxy_id: uuid.UUID) -> None:
    """End it, or say no, or take the wish back: the person, their proxy, and staff at the person's word."""
    found = await one(tx, who, person_id, proxy_id)
    if person_id is not None and person_id != who.person_id:
        await _of_office(tx, who, found.person_id, found.proxy_id)
    await sql.families.lock(tx, [found.person_id, found.proxy_id])
    relation = await sql.families.relation(tx, proxy_id)
    reason = "revoked" if who.person_id != found.proxy_id else "left"
    if relation is not None:
        await families.end(tx, relation, reason)
    elif await sql.families.answer(tx, proxy_id):
        row = await sql.families.offer(tx, proxy_id)
        if row is not None:
            holders = (row["person_no"], row["actor_no"])
            await announce(tx, [notices.proxy_revoked(proxy_id, row["community"], holders, "refused")])
    else:
        raise errors.NotThere
    person = await sql.families.someone(tx, found.person_id)
    if person is not None:
        await _recorded(tx, who, "proxies.revoke", person, proxy_id)


async def _recorded(tx: Tx, who: Caller, deed: str, person: Someone, proxy_id: uuid.UUID) -> None:
    await audit.record(
        tx, who.account_no, deed, community=person.community, person_id=person.id, data={"proxy_id": str(proxy_id)}
    )
