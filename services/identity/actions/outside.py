"""Whom a provider vouches for, as an account of ours: found, made, or added to as another way in.

An authority's word about a document opens the account of whoever has that document only where nobody else can be inside:
the person was confirmed before, or has no account yet, or the account also logs in with the phone on record there. A number
that was merely said may have been said by a stranger, and a phone on record may have gone to one; then the person logs in as
always, and adds the authority's login.
"""

from __future__ import annotations

import uuid

from services.identity import notices, sealing, sql
from services.identity.actions import people
from services.identity.providers import Outside
from services.identity.sql.logins import Login
from services.identity.sql.people import Member
from shared import audit, clock, errors
from shared.crypto import Keyring
from shared.db import Tx
from shared.notices import announce
from shared.texts import say


async def member_of(tx: Tx, keys: Keyring, provider: str, told: Outside) -> Member:
    """Who logs in; who is vouched for here for the first time, with a phone or a document, becomes a resident."""
    await _use(tx, told)
    subject = sealing.login_index(keys, provider, told.subject)
    login = await sql.logins.login_by_subject(tx, provider, subject)
    account_no = login.account_no if login else await _known_otherwise(tx, keys, told)
    if account_no is None:
        return await _new_resident(tx, keys, provider, told)
    found = await sql.people.member(tx, account_no)
    if found is None:
        raise errors.NotAllowed(say("This account is closed.", "此账号已注销。"))
    found = await _learn(tx, keys, found, provider, told)
    if login is None:
        await _add(tx, keys, found, provider, told)
    return found


async def add(
    tx: Tx, keys: Keyring, account_no: int, provider: str, told: Outside, *, has_second: bool = False
) -> Login:
    """Another way into one's own account; the same again is answered with the same.

    `has_second`: whoever adds it has shown a second factor, so that it may be as good as that.
    """
    own = await people.member(tx, account_no)
    if own.kind != "person":
        raise errors.NotAllowed
    await _use(tx, told)
    if told.document is not None:
        index = sealing.document_index(keys, told.document)
        owner = await sql.people.by_document(tx, index)
        if (own.document_index or index) != index or (owner is not None and owner.person_id != own.person_id):
            raise errors.LoginTaken(say("This login is of another person.", "此登录方式属于他人。"))
    own = await _learn(tx, keys, own, provider, told)
    login = await _add(tx, keys, own, provider, told)
    if has_second:
        await sql.logins.vouch(tx, login.id)
    return login


async def remove(tx: Tx, account_no: int, login_id: uuid.UUID, *, session_id: uuid.UUID | None) -> None:
    """Close one of several ways in; what was opened through its provider ends, but for the session that asks."""
    own = await people.member(tx, account_no)
    await sql.logins.lock_account(tx, account_no)
    known = await sql.logins.logins(tx, account_no)
    (gone,) = [one for one in known if one.id == login_id] or (None,)
    if gone is None:
        raise errors.NotThere
    if len(known) == 1:
        raise errors.LoginLast
    await sql.logins.delete_login(tx, login_id)
    await sql.logins.revoke_sessions(tx, account_no, provider=gone.provider, spared=session_id)
    await _record(tx, own, "removed", gone.provider)


async def _use(tx: Tx, told: Outside) -> None:
    if told.once is not None and not await sql.logins.use_proof(tx, told.once):
        raise errors.CodeWrong


async def _add(tx: Tx, keys: Keyring, own: Member, provider: str, told: Outside) -> Login:
    subject = sealing.login_index(keys, provider, told.subject)
    is_new = await sql.logins.insert_login(tx, own.account_no, provider, subject)
    login = await sql.logins.login_by_subject(tx, provider, subject)
    if login is None:  # somebody took it away between the two statements
        raise errors.InFlight(retry_after=1)
    if login.account_no != own.account_no:
        raise errors.LoginTaken
    if is_new:
        await _record(tx, own, "added", provider)
    return login


async def _record(tx: Tx, own: Member, what: str, provider: str) -> None:
    community = own.community or people.UNKNOWN_HOME
    await audit.record(
        tx, own.account_no, f"login.{what}", community=community, person_id=own.person_id, data={"provider": provider}
    )
    if own.holder_no is not None:
        await announce(tx, [notices.login_changed(own.account_id, community, own.holder_no, what)])


async def _known_otherwise(tx: Tx, keys: Keyring, told: Outside) -> int | None:
    """The account that has this phone or document; None when there is none and one may be made."""
    reached = told.phone or told.contact
    by_phone = None
    if reached is not None:
        by_phone = await sql.logins.login_by_subject(tx, "phone", sealing.phone_index(keys, reached))
    if told.document is None:
        if told.phone is None:
            raise errors.LoginUnknown
        return by_phone.account_no if by_phone else None
    index = sealing.document_index(keys, told.document)
    owner = await sql.people.by_document(tx, index)
    theirs = await sql.people.member(tx, by_phone.account_no) if by_phone else None
    if theirs is not None and theirs.document_index == index:
        return theirs.account_no
    if owner is None and theirs is not None and theirs.document_index is None:
        raise errors.LoginUnknown(
            say(
                "Your phone is known here: log in by phone, and add this login.",
                "您的手机号已在此登录过，请用手机号登录后添加此方式。",
            )
        )
    if owner is None or owner.account_no is None:
        return None
    if owner.level < people.CONFIRMED:
        raise errors.LoginUnknown(
            say(
                "Your document is on record with another login: log in that way, and add this one.",
                "您的证件已登记在其他登录方式下，请用原方式登录后添加此方式。",
            )
        )
    return owner.account_no


async def _new_resident(tx: Tx, keys: Keyring, provider: str, told: Outside) -> Member:
    if told.document is not None:
        index = sealing.document_index(keys, told.document)
        owner = await sql.people.by_document(tx, index)
        if owner is not None:
            await sql.people.lock_person(tx, owner.person_id)
            if owner.account_no is not None or await sql.people.by_document(tx, index) != owner:
                raise errors.InFlight(retry_after=1)  # an account has just been opened, or they are somebody else now
            if not await sql.deaths.living(tx, [owner.person_id]):
                raise errors.NotAllowed(say("This account is closed.", "此账号已注销。"))
            return await _first_account(tx, keys, provider, told, owner.person_id)
    person = people.new_person(keys, name=told.name or people.NEW_RESIDENT, community=people.UNKNOWN_HOME, level=0)
    await sql.people.insert_people(tx, [person])
    return await _first_account(tx, keys, provider, told, person.id)


async def _first_account(tx: Tx, keys: Keyring, provider: str, told: Outside, person_id: uuid.UUID) -> Member:
    """A person's account with this login, and with the phone they hold where that is nobody's login yet."""
    subject = sealing.login_index(keys, provider, told.subject)
    account = sql.people.NewAccount(clock.uuid7(), person_id, told.name or people.NEW_RESIDENT, provider, subject)
    with people.referee():  # the same person may log in elsewhere at the same moment
        numbers = await sql.people.insert_accounts(tx, [account])
    account_no = numbers[account.id]
    if told.phone is not None and provider != "phone":
        await sql.logins.insert_login(tx, account_no, "phone", sealing.phone_index(keys, told.phone))
    return await _learn(tx, keys, await people.member(tx, account_no), provider, told)


async def _learn(tx: Tx, keys: Keyring, own: Member, provider: str, told: Outside) -> Member:
    """Write down what the provider knows of a person and we did not: who they are, their first phone."""
    if own.person_id is None:
        return own
    phone = told.phone or told.contact
    is_confirmed = told.document is not None and own.level < people.CONFIRMED
    is_reached = phone is not None and own.phone_sealed is None
    if not is_confirmed and not is_reached:
        return own
    await sql.people.lock_person(tx, own.person_id)
    own = await people.member(tx, own.account_no)
    person_id = own.person_id
    if person_id is None:
        return own
    if phone is not None and own.phone_sealed is None:
        level = people.BY_PHONE if told.phone else 0
        sealed, found_by = sealing.phone(keys, phone, person_id), sealing.contact_index(keys, phone)
        await sql.people.set_phone(tx, person_id, sealed, found_by, level)
    if told.document is not None and own.level < people.CONFIRMED:
        index = sealing.document_index(keys, told.document)
        if own.document_index in (None, index):
            name = told.name or own.name
            await people.write_name(tx, keys, person_id, name=name, document=told.document, level=people.CONFIRMED)
            await _confirmed(tx, await people.member(tx, own.account_no), provider)
    return await people.member(tx, own.account_no)


async def _confirmed(tx: Tx, own: Member, provider: str) -> None:
    community = own.community or people.UNKNOWN_HOME
    confirmation = clock.uuid7()
    await audit.record(
        tx,
        own.account_no,
        "people.confirm",
        community=community,
        person_id=own.person_id,
        data={"id": str(confirmation), "provider": provider},
    )
    if own.holder_no is not None:
        await announce(tx, [notices.person_confirmed(confirmation, community, own.holder_no, people.CONFIRMED)])
