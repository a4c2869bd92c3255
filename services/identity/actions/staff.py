"""Staff log in: tries are counted before they are looked at, so that a crowd of guesses gets no further than one.

As elsewhere, what must leave its trace does not raise: it returns None or False, is committed, and the route refuses.
"""

from __future__ import annotations

import secrets
import time
import unicodedata
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, Literal

import structlog

from services.identity import oauth, passwords, rules, second, sql
from services.identity.actions import logins, people
from services.identity.actions.logins import Issued, Terms
from services.identity.oauth import Ask
from shared import audit, clock, crypto, db, errors
from shared.assertion import Caller
from shared.crypto import Keyring
from shared.db import Tx
from shared.texts import say

log = structlog.get_logger(__name__)

INVITATION: Final = timedelta(hours=24)
INVITES: Final = frozenset({"administrator", "security"})
_INVITATION_BYTES: Final = 20

Standing = Literal["in", "second", "enrol"]
"""What is still missing behind a right password: nothing, the second factor's code, or a second factor."""


def plain_name(name: str) -> str:
    """A name to log in by, in its one spelling."""
    return unicodedata.normalize("NFKC", name).strip().casefold()


def _subject(keys: Keyring, name: str) -> bytes:
    return crypto.blind_index(keys, plain_name(name), column="logins.password")


def _tries(keys: Keyring, kind: str, whose: str) -> bytes:
    return crypto.blind_index(keys, f"{kind}|{whose}", column="login_delays.key")


async def _count(tx: Tx, key: bytes, *, free: int = 0, forgives: timedelta = passwords.FORGIVES_NAME) -> int:
    """One try more, in advance; how many that makes. Refuses while there is to wait."""
    seen = await sql.staff.locked_delay(tx, key)
    if seen.until > seen.now:
        raise errors.TooMany(retry_after=(seen.until - seen.now).total_seconds())
    failures, rest = passwords.remembered(seen.failures, seen.now - seen.tried_at, forgives)
    until = seen.now + passwords.pause(failures + 1 - free)
    await sql.staff.set_delay(tx, key, failures + 1, seen.now - rest, until)
    return failures + 1


async def _community(tx: Tx, account_no: int | None) -> str:
    """Where a deed of an account is written down: its widest role's region, else its person's home."""
    if account_no is None:
        return people.UNKNOWN_HOME
    prefixes = [one.prefix for one in await sql.people.roles(tx, account_no)]
    own = await sql.people.member(tx, account_no)
    return min(prefixes, key=len) if prefixes else (own and own.community) or people.UNKNOWN_HOME


@dataclass(frozen=True, slots=True)
class Tried:
    """A try that was counted, and the password it is compared with; nobody's when there is none."""

    account_no: int | None
    kept: str | None = field(repr=False)
    tries: int


async def try_password(tx: Tx, keys: Keyring, name: str, network: str) -> Tried:
    """Count a try by name and by address, in advance; refuses while either has to wait, and does not count that."""
    by_address = _tries(keys, "address", network)
    tries = 0
    for key in sorted([_tries(keys, "name", plain_name(name)), by_address]):
        if key == by_address:
            await _count(tx, key, free=passwords.FREE, forgives=passwords.FORGIVES_ADDRESS)
        else:
            tries = await _count(tx, key)
    found = await sql.staff.named(tx, _subject(keys, name))
    return Tried(found.account_no, found.hash, tries) if found else Tried(None, None, tries)


async def wrong(tx: Tx, account_no: int | None, tries: int) -> None:
    """Write down that somebody was not let in; where nobody has the name, too: it takes as long."""
    await audit.record(
        tx, account_no, "staff.login_failed", community=await _community(tx, account_no), data={"tries": tries}
    )


async def right(tx: Tx, keys: Keyring, account_no: int, name: str, network: str) -> Standing:
    """The password was right, so its tries do not count; says what else is needed."""
    ends = {
        _tries(keys, "name", plain_name(name)): sql.staff.delete_delay,
        _tries(keys, "address", network): sql.staff.give_back_try,
    }
    for key in sorted(ends):
        await ends[key](tx, key)
    if await sql.staff.secret(tx, account_no) is not None:
        return "second"
    return "enrol" if await people.must_have_second(tx, account_no) else "in"


async def try_second(tx: Tx, keys: Keyring, account_no: int) -> int:
    """Count a try with a second factor's code; refuses while there is to wait."""
    return await _count(tx, _tries(keys, "second", str(account_no)))


async def use_second(tx: Tx, keys: Keyring, account_no: int, code: str, tries: int) -> bool:
    """Use up a code of the app, or a recovery code; False when it is wrong, or was used before."""
    sealed = await sql.staff.secret(tx, account_no)
    step = second.step_of(second.opened(keys, sealed, account_no), code, time.time()) if sealed else None
    if step is not None:
        is_right = await sql.staff.use_step(tx, account_no, step)
    else:
        is_right = await sql.staff.use_recovery_code(tx, account_no, second.kept(keys, code))
    if is_right:
        await sql.staff.delete_delay(tx, _tries(keys, "second", str(account_no)))
    else:
        await wrong(tx, account_no, tries)
    return is_right


async def enrol(tx: Tx, keys: Keyring, account_no: int, secret: str, code: str) -> Sequence[str] | None:
    """Take a second factor whose app shows the right code; its recovery codes. None when the code is wrong."""
    step = second.step_of(secret, code, time.time())
    if step is None:
        return None
    codes = second.recovery_codes()
    kept = [second.kept(keys, one) for one in codes]
    if not await sql.staff.insert_second_factor(tx, account_no, second.sealed(keys, secret, account_no), kept):
        raise errors.Conflict
    await sql.staff.use_step(tx, account_no, step)
    await sql.staff.delete_delay(tx, _tries(keys, "second", str(account_no)))
    await audit.record(tx, account_no, "totp.enrolled", community=await _community(tx, account_no))
    return codes


async def send_back(tx: Tx, account_no: int, ask: Ask) -> str:
    """A code for the client that asked."""
    code = oauth.make()
    await sql.staff.insert_code(
        tx,
        account_no,
        oauth.kept(code),
        client=ask.client,
        redirect_uri=ask.redirect_uri,
        challenge=ask.challenge,
        life=oauth.LIFE,
    )
    return code


@dataclass(frozen=True, slots=True)
class Redeeming:
    """What a client brings to redeem a code."""

    client: str
    redirect_uri: str
    code: str = field(repr=False)
    verifier: str = field(repr=False)


async def redeem(tx: Tx, keys: Keyring, terms: Terms, told: Redeeming) -> Issued | None:
    """Open a session for a code. None when it is not good: then it is used up, and what it had opened has ended."""
    kept = oauth.kept(told.code)
    found = await sql.staff.locked_code(tx, kept)
    if found is None:
        return None
    if found.is_used:
        if found.session_id is not None:
            await sql.logins.revoke_session(tx, found.session_id, found.account_no)
        log.warning("authorization_code_reused", session=str(found.session_id))
        return None
    member = await sql.people.member(tx, found.account_no)
    is_good = (
        found.is_live
        and member is not None
        and (found.client, found.redirect_uri) == (told.client, told.redirect_uri)
        and oauth.is_proof(found.challenge, told.verifier)
    )
    if not is_good or member is None:
        await sql.staff.use_code(tx, kept, None)
        return None
    issued = await logins.begin(tx, keys, terms, "password", member)
    await sql.staff.use_code(tx, kept, issued.session_id)
    await audit.record(
        tx,
        member.account_no,
        "staff.login",
        community=await _community(tx, member.account_no),
        data={"session": str(issued.session_id), "client": told.client},
    )
    return issued


# Passwords and invitations


@dataclass(frozen=True, slots=True)
class Invited:
    """An invitation: its code is shown this once."""

    account_id: uuid.UUID
    expires_at: datetime
    code: str = field(repr=False)


def _code_hash(keys: Keyring, code: str) -> bytes:
    return crypto.blind_index(keys, rules.read_back(code).hex(), column="invitations.code")


async def _invite(tx: Tx, keys: Keyring, account_no: int, account_id: uuid.UUID, made_by: int | None) -> Invited:
    code = rules.spelled(secrets.token_bytes(_INVITATION_BYTES))
    ends = await sql.staff.set_invitation(tx, account_no, _code_hash(keys, code), made_by, INVITATION)
    return Invited(account_id, ends, code)


async def _set_name(tx: Tx, keys: Keyring, account_no: int, name: str) -> None:
    taken = say("Somebody logs in by this name.", "此登录名已被使用。")
    with db.referee({sql.logins.ACCOUNT_PER_LOGIN: lambda: errors.Exists(taken)}):
        await sql.staff.set_name(tx, account_no, _subject(keys, name))


async def give(tx: Tx, keys: Keyring, account_no: int, name: str, kept: str) -> None:
    """A name and a password for somebody who has a part in a demo."""
    await _set_name(tx, keys, account_no, name)
    await sql.staff.set_password(tx, account_no, kept)


def _inviters(role: str) -> frozenset[str]:
    """Who helps whoever holds this role to log in: who may also grant it."""
    return frozenset({"security" if role in {"security", "auditor"} else "administrator"})


async def _colleague(
    tx: Tx, who: Caller, account_id: uuid.UUID | None, person_id: uuid.UUID | None
) -> tuple[sql.staff.Colleague, str]:
    """Staff over whom the caller has power, and their region: all their roles are such as the caller may grant.

    Residents without a role are nobody's staff, or an administrator could log in as any of them.
    """
    who.known()
    if not any(one.role in INVITES for one in who.roles):
        raise errors.NotAllowed
    found = await sql.staff.colleague(tx, account_id, person_id)
    roles = await sql.people.roles(tx, found.account_no) if found else []
    reached = [who.may(_inviters(one.role), one.prefix) for one in roles]
    if found is None or not any(reached):
        raise errors.NotThere
    if not all(reached):
        raise errors.NotAllowed
    if found.account_no == who.account_no:  # or who has a session for a moment would have the account for good
        raise errors.NotAllowed(say("Ask another administrator.", "请由其他管理员办理。"))
    return found, min((one.prefix for one in roles), key=len)


async def invite(
    tx: Tx, keys: Keyring, who: Caller, *, account_id: uuid.UUID | None, person_id: uuid.UUID | None, name: str | None
) -> Invited:
    """Let a colleague set a password, their first or a new one; `name` is what they log in by from now on."""
    found, community = await _colleague(tx, who, account_id, person_id)
    if name is not None:
        await _set_name(tx, keys, found.account_no, name)
    elif not await sql.staff.has_name(tx, found.account_no):
        raise errors.Unprocessable.at("/name", "missing")
    await audit.record(
        tx,
        who.account_no,
        "invitation.made",
        community=community,
        person_id=found.person_id,
        data={"account": str(found.account_id)},
    )
    return await _invite(tx, keys, found.account_no, found.account_id, who.account_no)


async def invite_first(tx: Tx, keys: Keyring, *, login: str, name: str, role: str, prefix: str) -> Invited:
    """From the machine itself: an invitation for whoever logs in by this name, who is made with one role if need be."""
    known = await sql.staff.named(tx, _subject(keys, login))
    if known is None:
        account_no, account_id = await sql.staff.insert_account(tx, name, role, prefix)
        await _set_name(tx, keys, account_no, login)
    else:
        account_no, account_id = known.account_no, (await people.member(tx, known.account_no)).account_id
    await audit.record(
        tx,
        None,
        "invitation.made",
        community=await _community(tx, account_no),
        data={"account": str(account_id), "from": "command line"},
    )
    return await _invite(tx, keys, account_no, account_id, None)


async def invited(tx: Tx, keys: Keyring, name: str, code: str) -> bool:
    """Whether this code invites who logs in by this name."""
    found = await sql.staff.named(tx, _subject(keys, name))
    account_no = await sql.staff.invited(tx, _code_hash(keys, code))
    return found is not None and found.account_no == account_no


async def accept(tx: Tx, keys: Keyring, name: str, code: str, kept: str) -> bool:
    """Set the password an invitation is for, and end every session; False when somebody was faster."""
    account_no = await sql.staff.use_invitation(tx, _code_hash(keys, code))
    if account_no is None:
        return False
    await sql.staff.delete_delay(tx, _tries(keys, "name", plain_name(name)))
    await _set(tx, account_no, kept, None)
    return True


async def _set(tx: Tx, account_no: int, kept: str, session_id: uuid.UUID | None) -> None:
    await sql.staff.set_password(tx, account_no, kept)
    await sql.logins.revoke_sessions(tx, account_no, spared=session_id)
    await audit.record(tx, account_no, "password.set", community=await _community(tx, account_no))


async def try_own_password(tx: Tx, keys: Keyring, account_no: int) -> str:
    """Count a try with one's own password; what is kept of it."""
    await _count(tx, _tries(keys, "own", str(account_no)))
    kept = await sql.staff.password(tx, account_no)
    if kept is None:
        raise errors.NotThere(say("You have no password.", "您尚未设置密码。"))
    return kept


async def change_password(tx: Tx, keys: Keyring, account_no: int, session_id: uuid.UUID | None, kept: str) -> None:
    """Set one's own password, and end one's other sessions."""
    await sql.staff.delete_delay(tx, _tries(keys, "own", str(account_no)))
    await _set(tx, account_no, kept, session_id)


async def forget_second(tx: Tx, who: Caller, account_id: uuid.UUID) -> None:
    """Take a colleague's second factor away: the app and the recovery codes are lost. Their sessions end."""
    found, community = await _colleague(tx, who, account_id, None)
    if not await sql.staff.delete_second_factor(tx, found.account_no):
        raise errors.NotThere
    await sql.logins.revoke_sessions(tx, found.account_no)
    await audit.record(
        tx,
        who.account_no,
        "totp.removed",
        community=community,
        person_id=found.person_id,
        data={"account": str(found.account_id)},
    )


async def forget_old(tx: Tx, *, codes_kept: timedelta) -> int:
    """Forget tries, used steps, invitations and codes that are over; how many rows."""
    now = clock.now()
    return await sql.staff.delete_old(tx, tries_before=now - passwords.MEMORY, codes_before=now - codes_kept)
