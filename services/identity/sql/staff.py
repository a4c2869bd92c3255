"""Passwords, invitations, second factors and authorization codes in the database."""

from __future__ import annotations

import uuid
from datetime import datetime, timedelta
from typing import NamedTuple

from shared.db import Tx


class Tried(NamedTuple):
    """What is known of the tries under one key, locked: what was tried before `tried_at` is reckoned with."""

    failures: int
    tried_at: datetime
    until: datetime
    now: datetime


async def locked_delay(tx: Tx, key: bytes) -> Tried:
    """The tries under a key, none at first."""
    await tx.execute("INSERT INTO login_delays (key) VALUES ($1) ON CONFLICT DO NOTHING", key)
    row = await tx.row(
        "SELECT failures, tried_at, until, clock_timestamp() FROM login_delays WHERE key = $1 FOR UPDATE", key
    )
    if row is None:  # forgotten between the two statements
        return await locked_delay(tx, key)
    return Tried(*row)


async def set_delay(tx: Tx, key: bytes, failures: int, at: datetime, until: datetime) -> None:
    """Count tries under a key."""
    await tx.execute(
        "UPDATE login_delays SET failures = $2, tried_at = $3, until = $4 WHERE key = $1", key, failures, at, until
    )


async def delete_delay(tx: Tx, key: bytes) -> None:
    """Forget the tries under a key."""
    await tx.execute("DELETE FROM login_delays WHERE key = $1", key)


async def give_back_try(tx: Tx, key: bytes) -> None:
    """The newest try under a key was a right one."""
    await tx.execute(
        "UPDATE login_delays SET failures = greatest(failures - 1, 0), until = least(until, now()) WHERE key = $1", key
    )


class Named(NamedTuple):
    """The account behind a name, and its password."""

    account_no: int
    hash: str | None


async def named(tx: Tx, subject: bytes) -> Named | None:
    """The open account that logs in by this name."""
    row = await tx.row(
        "SELECT l.account_no, p.hash FROM logins l JOIN accounts a ON a.no = l.account_no "
        "LEFT JOIN passwords p ON p.account_no = l.account_no "
        "WHERE l.provider = 'password' AND l.subject_index = $1 AND a.closed_at IS NULL",
        subject,
    )
    return Named(*row) if row else None


async def password(tx: Tx, account_no: int) -> str | None:
    """What is kept of an account's password."""
    kept: str | None = await tx.value("SELECT hash FROM passwords WHERE account_no = $1", account_no)
    return kept


async def set_password(tx: Tx, account_no: int, kept: str) -> None:
    """An account's password from now on."""
    await tx.execute(
        "INSERT INTO passwords (account_no, hash) VALUES ($1, $2) "
        "ON CONFLICT (account_no) DO UPDATE SET hash = excluded.hash, set_at = now()",
        account_no,
        kept,
    )


async def set_name(tx: Tx, account_no: int, subject: bytes) -> None:
    """The name an account logs in by from now on."""
    await tx.execute(
        "INSERT INTO logins (account_no, provider, subject_index) VALUES ($1, 'password', $2) "
        "ON CONFLICT (account_no) WHERE provider = 'password' DO UPDATE SET subject_index = excluded.subject_index",
        account_no,
        subject,
    )


async def has_name(tx: Tx, account_no: int) -> bool:
    """Whether an account has a name to log in by."""
    return bool(
        await tx.value("SELECT EXISTS (SELECT FROM logins WHERE account_no = $1 AND provider = 'password')", account_no)
    )


class Colleague(NamedTuple):
    """A person's account, as whoever helps them to log in finds it."""

    account_no: int
    account_id: uuid.UUID
    person_id: uuid.UUID | None


async def colleague(tx: Tx, account_id: uuid.UUID | None, person_id: uuid.UUID | None) -> Colleague | None:
    """An open account, by its id or by its person's; locked."""
    row = await tx.row(
        "SELECT no, id, person_id FROM accounts WHERE kind = 'person' AND closed_at IS NULL "
        "AND (id = $1 OR person_id = $2) ORDER BY no LIMIT 1 FOR NO KEY UPDATE",
        account_id,
        person_id,
    )
    return Colleague(*row) if row else None


async def insert_account(tx: Tx, name: str, role: str, prefix: str) -> tuple[int, uuid.UUID]:
    """An account that is nobody's resident, with one role: for who sets up a new town."""
    row = await tx.row("INSERT INTO accounts (name) VALUES ($1) RETURNING no, id", name)
    assert row is not None  # noqa: S101 - what was inserted is returned
    await tx.execute("INSERT INTO roles (account_no, role, prefix) VALUES ($1, $2, $3)", row["no"], role, prefix)
    return row["no"], row["id"]


async def set_invitation(tx: Tx, account_no: int, code_hash: bytes, made_by: int | None, life: timedelta) -> datetime:
    """Invite an account; the invitation before is void. When this one ends."""
    ends: datetime = await tx.value(
        "INSERT INTO invitations (account_no, code_hash, made_by, expires_at) VALUES ($1, $2, $3, now() + $4::interval) "
        "ON CONFLICT (account_no) DO UPDATE SET code_hash = excluded.code_hash, made_by = excluded.made_by, "
        "made_at = now(), expires_at = excluded.expires_at RETURNING expires_at",
        account_no,
        code_hash,
        made_by,
        life,
    )
    return ends


async def invited(tx: Tx, code_hash: bytes) -> int | None:
    """The open account that a good invitation is for."""
    no: int | None = await tx.value(
        "SELECT i.account_no FROM invitations i JOIN accounts a ON a.no = i.account_no "
        "WHERE i.code_hash = $1 AND i.expires_at > now() AND a.closed_at IS NULL",
        code_hash,
    )
    return no


async def use_invitation(tx: Tx, code_hash: bytes) -> int | None:
    """Use an invitation up; whose it was, None when somebody was faster."""
    no: int | None = await tx.value(
        "DELETE FROM invitations WHERE code_hash = $1 AND expires_at > now() RETURNING account_no", code_hash
    )
    return no


async def secret(tx: Tx, account_no: int) -> bytes | None:
    """The sealed secret of an account's second factor."""
    sealed: bytes | None = await tx.value("SELECT secret_sealed FROM second_factors WHERE account_no = $1", account_no)
    return sealed


async def insert_second_factor(tx: Tx, account_no: int, sealed: bytes, recovery: list[bytes]) -> bool:
    """Give an account its second factor; False when it has one."""
    if not await tx.execute(
        "INSERT INTO second_factors (account_no, secret_sealed) VALUES ($1, $2) ON CONFLICT DO NOTHING",
        account_no,
        sealed,
    ):
        return False
    await tx.execute("DELETE FROM recovery_codes WHERE account_no = $1", account_no)
    await tx.execute(
        "INSERT INTO recovery_codes (account_no, code_hash) SELECT $1, unnest($2::bytea[])", account_no, recovery
    )
    return True


async def delete_second_factor(tx: Tx, account_no: int) -> bool:
    """Take an account's second factor away; False when it has none."""
    await tx.execute("DELETE FROM recovery_codes WHERE account_no = $1", account_no)
    return bool(await tx.execute("DELETE FROM second_factors WHERE account_no = $1", account_no))


async def use_step(tx: Tx, account_no: int, step: int) -> bool:
    """Use up the code of a half minute; False when it was used before: `a_step_opens_once`."""
    return bool(
        await tx.execute(
            "INSERT INTO used_steps (account_no, step) VALUES ($1, $2) ON CONFLICT ON CONSTRAINT a_step_opens_once "
            "DO NOTHING",
            account_no,
            step,
        )
    )


async def use_recovery_code(tx: Tx, account_no: int, code_hash: bytes) -> bool:
    """Use up a recovery code; False when there is none like it left."""
    return bool(
        await tx.execute(
            "UPDATE recovery_codes SET used_at = now() WHERE account_no = $1 AND code_hash = $2 AND used_at IS NULL",
            account_no,
            code_hash,
        )
    )


async def insert_code(
    tx: Tx, account_no: int, code_hash: bytes, *, client: str, redirect_uri: str, challenge: str, life: timedelta
) -> None:
    """A code that is on its way to a client."""
    await tx.execute(
        "INSERT INTO authorization_codes (code_hash, account_no, client, redirect_uri, challenge, expires_at) "
        "VALUES ($1, $2, $3, $4, $5, now() + $6::interval)",
        code_hash,
        account_no,
        client,
        redirect_uri,
        challenge,
        life,
    )


class Code(NamedTuple):
    """A code as who redeems it finds it."""

    account_no: int
    client: str
    redirect_uri: str
    challenge: str
    is_live: bool
    is_used: bool
    session_id: uuid.UUID | None


async def locked_code(tx: Tx, code_hash: bytes) -> Code | None:
    """A code, locked."""
    row = await tx.row(
        "SELECT account_no, client, redirect_uri, challenge, expires_at > clock_timestamp(), used_at IS NOT NULL, "
        "session_id FROM authorization_codes WHERE code_hash = $1 FOR UPDATE",
        code_hash,
    )
    return Code(*row) if row else None


async def use_code(tx: Tx, code_hash: bytes, session_id: uuid.UUID | None) -> None:
    """Use a code up, for this session or for none."""
    await tx.execute(
        "UPDATE authorization_codes SET used_at = now(), session_id = $2 WHERE code_hash = $1", code_hash, session_id
    )


async def delete_old(tx: Tx, *, tries_before: datetime, codes_before: datetime) -> int:
    """Forget what is over: tries, steps, invitations, and codes whose reuse would no longer find a session."""
    return (
        await tx.execute("DELETE FROM login_delays WHERE tried_at < $1 AND until < now()", tries_before)
        + await tx.execute("DELETE FROM used_steps WHERE used_at < $1", tries_before)
        + await tx.execute("DELETE FROM invitations WHERE expires_at < now()")
        + await tx.execute("DELETE FROM authorization_codes WHERE expires_at < $1", codes_before)
    )
