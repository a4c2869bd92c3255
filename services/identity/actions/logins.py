"""Logging in, staying logged in, logging out.

A wrong login code and a reused refresh token must leave their trace, so those uses do not raise: they return None, are
committed, and the route refuses.
"""

from __future__ import annotations

import hmac
import uuid
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final, NamedTuple

import structlog

from services.identity import codes, notices, sealing, sql, tokens
from services.identity.actions import outside, people
from services.identity.providers import Outside
from services.identity.rules import Phone
from shared import clock, crypto, errors
from shared import notices as town
from shared.crypto import Keyring
from shared.db import Tx
from shared.texts import say

log = structlog.get_logger(__name__)

GRACE_SECONDS: Final = 30
"""For so long a phone that lost the answer to its refresh gets the same answer again."""


def _code_index(keys: Keyring, phone: Phone) -> bytes:
    return crypto.blind_index(keys, phone.digits, column="login_codes.phone")


class CodeMade(NamedTuple):
    """A code that is to be sent now, and the seconds until the next may be."""

    code: str
    resend_in: int
    before: sql.logins.CodeSent | None
    """What was kept of the phone until then."""


async def make_code(tx: Tx, keys: Keyring, phone: Phone, *, demo: bool) -> CodeMade:
    """A new code for a phone, whether or not anybody logs in with it; the one before is void."""
    index, code = _code_index(keys, phone), codes.make()
    kept = codes.kept(keys, phone, code)
    sent, last = 1, None
    if not await sql.logins.insert_code(tx, index, kept, codes.LIFE):
        last = await sql.logins.locked_code(tx, index)
        if last is None:  # used up by a login between the two statements
            raise errors.InFlight(retry_after=1)
        first_sent_at = last.first_sent_at
        if last.now - first_sent_at >= codes.MEMORY:
            first_sent_at = last.now
        else:
            sent = last.sent + 1
            wait = last.sent_at + codes.pause(last.sent, demo=demo) - last.now
            if wait > timedelta(0):
                raise errors.TooMany(retry_after=wait.total_seconds())
        await sql.logins.replace_code(
            tx, index, kept, sent=sent, first_sent_at=first_sent_at, at=last.now, expires_at=last.now + codes.LIFE
        )
    return CodeMade(code, int(codes.pause(sent, demo=demo).total_seconds()), last)


async def unsend_code(tx: Tx, keys: Keyring, phone: Phone, made: CodeMade) -> None:
    """Void a code that could not be sent, and count it no more: the pause is as long as it was before."""
    await sql.logins.unsend_code(tx, _code_index(keys, phone), codes.kept(keys, phone, made.code), made.before)


@dataclass(frozen=True, slots=True)
class Issued:
    """A session that goes on: whose it is and with which refresh token."""

    member: sql.people.Member
    session_id: uuid.UUID
    refresh_token: str = field(repr=False)
    seconds_left: float
    has_second: bool


async def right_code(tx: Tx, keys: Keyring, phone: Phone, code: str) -> Outside | None:
    """Whom a phone's code stands for, once; None when it is wrong, and that try is counted."""
    index = _code_index(keys, phone)
    kept = await sql.logins.try_code(tx, index, codes.TRIES)
    if not hmac.compare_digest(kept or b"", codes.kept(keys, phone, code)):
        return None
    await sql.logins.delete_code(tx, index)
    return Outside(phone.digits, phone=phone)


@dataclass(frozen=True, slots=True)
class Terms:
    """How a login is kept: what its device is called, how long it lives at most, and how long unused."""

    device: str | None
    life: timedelta
    idle: timedelta
    demo: bool = False


async def open_by_code(tx: Tx, keys: Keyring, terms: Terms, *, phone: Phone, code: str) -> Issued | None:
    """Log in by phone; None when the code is wrong. Who is new becomes a resident."""
    told = await right_code(tx, keys, phone, code)
    return None if told is None else await open_session(tx, keys, terms, "phone", told)


async def open_session(tx: Tx, keys: Keyring, terms: Terms, provider: str, told: Outside) -> Issued:
    """Log in whom a provider vouches for.

    Refuses whose role asks for more than that, but in a demo. A provider's word that it was shown a second factor counts
    for a login that was added with one; anybody who was inside for a moment may have added any other.
    """
    member = await outside.member_of(tx, keys, provider, told)
    has_second = told.has_second and await sql.logins.has_second(
        tx, provider, sealing.login_index(keys, provider, told.subject)
    )
    if not terms.demo and not has_second and await people.must_have_second(tx, member.account_no):
        raise errors.NotAllowed(
            say("Your role logs in with a password and a second factor.", "您的角色须使用密码与动态口令登录。")
        )
    return await begin(tx, keys, terms, provider, member, has_second=has_second)


async def begin(
    tx: Tx, keys: Keyring, terms: Terms, provider: str, member: sql.people.Member, *, has_second: bool
) -> Issued:
    """A session of somebody who has shown all that they must."""
    session_id = clock.uuid7()
    token = tokens.make(keys, session_id)
    await sql.logins.insert_session(
        tx,
        session_id,
        member.account_no,
        provider=provider,
        device=terms.device,
        refresh_hash=token.digest,
        expires_at=clock.now() + terms.life,
        idle_seconds=int(terms.idle.total_seconds()),
        has_second=has_second,
    )
    return Issued(member, session_id, token.text, min(terms.life, terms.idle).total_seconds(), has_second)


async def add_by_code(tx: Tx, keys: Keyring, account_no: int, *, phone: Phone, code: str) -> sql.logins.Login | None:
    """Add a phone as another way into one's account; None when the code is wrong."""
    told = await right_code(tx, keys, phone, code)
    return None if told is None else await outside.add(tx, keys, account_no, "phone", told)


async def refresh_session(tx: Tx, keys: Keyring, token: tokens.Refresh, *, demo: bool) -> Issued | None:
    """The next refresh token, or within the grace the same one again. None when the session is over.

    Whoever brings an older token is a thief, or was robbed: nobody can tell which, so the session ends for both. It also
    ends for who was given a role that asks for a second factor, and logged in without one.
    """
    live = await sql.logins.locked_session(tx, token.session_id)
    member = await sql.people.member(tx, live.account_no) if live else None
    if live is None or member is None:
        return None
    if not demo and await people.must_have_second(tx, member.account_no) and not live.has_second:
        await sql.logins.revoke_session(tx, token.session_id, live.account_no)
        return None
    if hmac.compare_digest(token.digest, live.refresh_hash):
        following = tokens.make(keys, token.session_id)
        await sql.logins.rotate_session(
            tx,
            token.session_id,
            used=token.digest,
            following=following.digest,
            sealed=sealing.successor(keys, following.text, token.session_id),
        )
        return Issued(member, token.session_id, following.text, live.seconds_left, live.has_second)
    if (
        hmac.compare_digest(token.digest, live.previous_hash or b"")
        and live.seconds_since is not None
        and live.seconds_since <= GRACE_SECONDS
        and live.successor_sealed is not None
    ):
        text = sealing.open_successor(keys, live.successor_sealed, token.session_id)
        return Issued(member, token.session_id, text, live.seconds_left, live.has_second)
    await sql.logins.revoke_session(tx, token.session_id, live.account_no, reused=True)
    if member.community is not None and member.holder_no is not None:
        await town.announce(tx, [notices.session_revoked(token.session_id, member.community, member.holder_no)])
    log.warning("refresh_token_reused", session=str(token.session_id), account=str(member.account_id))
    return None


async def end_session(tx: Tx, account_no: int, session_id: uuid.UUID) -> None:
    """Log out one device; the gateway knows within two seconds."""
    if not await sql.logins.revoke_session(tx, session_id, account_no):
        raise errors.NotThere


async def end_sessions(tx: Tx, account_no: int) -> None:
    """Log out everywhere."""
    await sql.staff.void_codes(tx, account_no)
    await sql.logins.revoke_sessions(tx, account_no)


async def forget_old(tx: Tx, *, sessions_kept: timedelta) -> int:
    """Forget codes and sessions that are over, and successors nobody may ask for again; how many rows."""
    now = clock.now()
    return (
        await sql.logins.delete_old_codes(tx, now - codes.MEMORY)
        + await sql.logins.delete_dead_sessions(tx, now - sessions_kept)
        + await sql.logins.forget_successors(tx, now - timedelta(seconds=2 * GRACE_SECONDS))
    )
