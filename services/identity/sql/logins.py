"""Login codes and sessions in the database."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import NamedTuple

from shared.db import Tx

ACCOUNT_PER_LOGIN = "one_account_per_login"


class CodeSent(NamedTuple):
    """The code last sent to a phone."""

    sent: int
    first_sent_at: datetime
    sent_at: datetime
    now: datetime


async def insert_code(tx: Tx, phone: bytes, kept: bytes, life: timedelta) -> bool:
    """Keep the first code of a phone; False when there is one already."""
    return bool(
        await tx.execute(
            "INSERT INTO login_codes (phone_index, code_hash, expires_at) VALUES ($1, $2, now() + $3::interval) "
            "ON CONFLICT DO NOTHING",
            phone,
            kept,
            life,
        )
    )


async def locked_code(tx: Tx, phone: bytes) -> CodeSent | None:
    """The code of a phone, locked."""
    row = await tx.row(
        "SELECT sent, first_sent_at, sent_at, clock_timestamp() FROM login_codes WHERE phone_index = $1 FOR UPDATE",
        phone,
    )
    return CodeSent(*row) if row else None


async def replace_code(
    tx: Tx, phone: bytes, kept: bytes, *, sent: int, first_sent_at: datetime, at: datetime, expires_at: datetime
) -> None:
    """Keep a newer code of a phone, with all its tries."""
    await tx.execute(
        "UPDATE login_codes SET code_hash = $2, tries = 0, sent = $3, first_sent_at = $4, sent_at = $5, expires_at = $6 "
        "WHERE phone_index = $1",
        phone,
        kept,
        sent,
        first_sent_at,
        at,
        expires_at,
    )


async def unsend_code(tx: Tx, phone: bytes, kept: bytes, before: CodeSent | None) -> None:
    """Forget the send of one code, unless it was used or replaced since; no earlier code comes to life again."""
    if before is None:
        await tx.execute("DELETE FROM login_codes WHERE phone_index = $1 AND code_hash = $2", phone, kept)
        return
    await tx.execute(
        "UPDATE login_codes SET sent = $3, first_sent_at = $4, sent_at = $5, expires_at = now() "
        "WHERE phone_index = $1 AND code_hash = $2",
        phone,
        kept,
        before.sent,
        before.first_sent_at,
        before.sent_at,
    )


async def try_code(tx: Tx, phone: bytes, most: int) -> bytes | None:
    """Count a try and return what is kept of the code; None when there is no code, or no try left."""
    kept: bytes | None = await tx.value(
        "UPDATE login_codes SET tries = tries + 1 WHERE phone_index = $1 AND tries < $2 "
        "AND expires_at > clock_timestamp() RETURNING code_hash",
        phone,
        most,
    )
    return kept


async def delete_code(tx: Tx, phone: bytes) -> None:
    """Forget a phone's code and how many were sent."""
    await tx.execute("DELETE FROM login_codes WHERE phone_index = $1", phone)


async def delete_old_codes(tx: Tx, first_sent_before: datetime) -> int:
    """Forget expired codes whose sends no longer count; how many."""
    return await tx.execute(
        "DELETE FROM login_codes WHERE expires_at <= now() AND first_sent_at < $1", first_sent_before
    )


async def insert_session(  # noqa: PLR0913 - the columns it writes
    tx: Tx,
    session_id: uuid.UUID,
    account_no: int,
    *,
    provider: str,
    device: str | None,
    refresh_hash: bytes,
    expires_at: datetime,
    idle_seconds: int | None = None,
    has_second: bool = False,
) -> None:
    """A new login; with `idle_seconds` it ends when it is not refreshed for so long."""
    await tx.execute(
        "INSERT INTO sessions (id, account_no, provider, device, refresh_hash, expires_at, idle_seconds, has_second) "
        "VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
        session_id,
        account_no,
        provider,
        device,
        refresh_hash,
        expires_at,
        idle_seconds,
        has_second,
    )


_LIVE = """revoked_at IS NULL AND expires_at > now()
    AND (idle_seconds IS NULL OR coalesce(rotated_at, made_at) > now() - make_interval(secs => idle_seconds))"""
"""Neither over nor revoked, nor left alone for too long."""


@dataclass(frozen=True, slots=True)
class Session:
    """A live session as its refresh finds it; `seconds_since` its token was last replaced.

    `has_second` is whether a second factor was shown when it began.
    """

    account_no: int
    refresh_hash: bytes = field(repr=False)
    previous_hash: bytes | None = field(repr=False)
    successor_sealed: bytes | None = field(repr=False)
    seconds_since: float | None
    seconds_left: float
    has_second: bool


async def locked_session(tx: Tx, session_id: uuid.UUID) -> Session | None:
    """A session that is neither over nor revoked nor idle for too long, locked."""
    row = await tx.row(
        f"""
        SELECT account_no, refresh_hash, previous_hash, successor_sealed,
               extract(epoch FROM clock_timestamp() - rotated_at)::float8,
               least(extract(epoch FROM expires_at - clock_timestamp()), idle_seconds)::float8, has_second
        FROM sessions WHERE id = $1 AND {_LIVE} FOR NO KEY UPDATE
        """,
        session_id,
    )
    return Session(*row) if row else None


async def rotate_session(tx: Tx, session_id: uuid.UUID, *, used: bytes, following: bytes, sealed: bytes) -> None:
    """Replace a session's token."""
    await tx.execute(
        "UPDATE sessions SET previous_hash = $2, refresh_hash = $3, successor_sealed = $4, rotated_at = clock_timestamp() "
        "WHERE id = $1",
        session_id,
        used,
        following,
        sealed,
    )


async def revoke_session(tx: Tx, session_id: uuid.UUID, account_no: int, *, reused: bool = False) -> int:
    """End an account's session, if it has not ended; 0 when the account has no such session."""
    return await tx.execute(
        "UPDATE sessions SET revoked_at = coalesce(revoked_at, now()), successor_sealed = NULL, "
        "was_reused = was_reused OR $3 WHERE id = $1 AND account_no = $2",
        session_id,
        account_no,
        reused,
    )


async def revoke_sessions(
    tx: Tx, account_no: int, *, provider: str | None = None, spared: uuid.UUID | None = None
) -> int:
    """End an account's sessions, all or those of one provider, but for the one that is spared; how many."""
    return await tx.execute(
        "UPDATE sessions SET revoked_at = now(), successor_sealed = NULL WHERE account_no = $1 AND revoked_at IS NULL "
        "AND ($2::text IS NULL OR provider = $2) AND ($3::uuid IS NULL OR id <> $3)",
        account_no,
        provider,
        spared,
    )


async def revoke_weak(tx: Tx, account_no: int) -> int:
    """End an account's sessions that began without a second factor; how many."""
    return await tx.execute(
        "UPDATE sessions SET revoked_at = now(), successor_sealed = NULL WHERE account_no = $1 AND revoked_at IS NULL "
        "AND NOT has_second",
        account_no,
    )


class LiveSession(NamedTuple):
    """A session as its owner sees it; `used_at` is when it was last refreshed."""

    id: uuid.UUID
    provider: str
    device: str | None
    made_at: datetime
    used_at: datetime
    expires_at: datetime


async def sessions(tx: Tx, account_no: int, after: tuple[datetime, uuid.UUID] | None, limit: int) -> list[LiveSession]:
    """An account's live sessions, newest first."""
    rows = await tx.fetch(
        f"""
        SELECT id, provider, device, made_at, coalesce(rotated_at, made_at) AS used_at,
               least(expires_at, coalesce(rotated_at, made_at) + make_interval(secs => idle_seconds))
        FROM sessions
        WHERE account_no = $1 AND {_LIVE}
          AND ($2::timestamptz IS NULL OR (made_at, id) < ($2, $3))
        ORDER BY made_at DESC, id DESC LIMIT $4
        """,
        account_no,
        after[0] if after else None,
        after[1] if after else None,
        limit,
    )
    return [LiveSession(*row) for row in rows]


async def delete_dead_sessions(tx: Tx, before: datetime) -> int:
    """Forget sessions that ended before a moment; how many."""
    return await tx.execute("DELETE FROM sessions WHERE expires_at < $1 OR revoked_at < $1", before)


async def forget_successors(tx: Tx, before: datetime) -> int:
    """Forget sealed tokens that nobody may ask for again; how many."""
    return await tx.execute(
        "UPDATE sessions SET successor_sealed = NULL WHERE successor_sealed IS NOT NULL AND rotated_at < $1", before
    )


class Login(NamedTuple):
    """One way into an account."""

    id: uuid.UUID
    account_no: int
    provider: str
    made_at: datetime


_LOGIN = "SELECT id, account_no, provider, made_at FROM logins"


async def login_by_subject(tx: Tx, provider: str, subject: bytes) -> Login | None:
    """The way into some account that this is."""
    row = await tx.row(f"{_LOGIN} WHERE provider = $1 AND subject_index = $2", provider, subject)
    return Login(*row) if row else None


async def logins(tx: Tx, account_no: int) -> list[Login]:
    """Every way into an account but a password, which has ways of its own; the oldest first."""
    rows = await tx.fetch(f"{_LOGIN} WHERE account_no = $1 AND provider <> 'password' ORDER BY made_at, id", account_no)
    return [Login(*row) for row in rows]


async def insert_login(tx: Tx, account_no: int, provider: str, subject: bytes) -> bool:
    """Another way into an account; False when somebody has it already."""
    return bool(
        await tx.execute(
            "INSERT INTO logins (account_no, provider, subject_index) VALUES ($1, $2, $3) "
            f"ON CONFLICT ON CONSTRAINT {ACCOUNT_PER_LOGIN} DO NOTHING",
            account_no,
            provider,
            subject,
        )
    )


async def vouch(tx: Tx, login_id: uuid.UUID) -> None:
    """A second factor was shown for a login to be added."""
    await tx.execute("UPDATE logins SET has_second = true WHERE id = $1 AND NOT has_second", login_id)


async def has_second(tx: Tx, provider: str, subject: bytes) -> bool:
    """Whether a second factor was shown for this login to be added."""
    return bool(
        await tx.value("SELECT has_second FROM logins WHERE provider = $1 AND subject_index = $2", provider, subject)
    )


async def lock_account(tx: Tx, account_no: int) -> None:
    """Lock an account: what is counted of it then stays so."""
    await tx.execute("SELECT FROM accounts WHERE no = $1 FOR NO KEY UPDATE", account_no)


async def delete_login(tx: Tx, login_id: uuid.UUID) -> None:
    """Close one way into an account."""
    await tx.execute("DELETE FROM logins WHERE id = $1", login_id)


async def use_proof(tx: Tx, digest: bytes) -> bool:
    """Note that something has vouched; False when it had before."""
    return bool(await tx.execute("INSERT INTO used_proofs (digest) VALUES ($1) ON CONFLICT DO NOTHING", digest))
