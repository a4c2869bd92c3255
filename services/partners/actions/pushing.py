"""Pushing: deliveries are leased, called outside of any transaction, recorded."""

from __future__ import annotations

import hmac
import random
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from services.partners import notices, rules, signing
from services.partners.actions import reach
from services.partners.actions.endpoints import earlier, unsealed
from services.partners.outward import Came
from services.partners.sql import pushing as sql
from services.partners.sql.pushing import Result
from shared import clock, wire
from shared import notices as told
from shared.crypto import Keyring
from shared.db import Tx

LEASE_SECONDS: Final = 60
"""Longer than a call may take; what a killed worker held is due again after it."""
EACH: Final = 16
"""Calls at once to one healthy endpoint."""
MOST_BYTES: Final = 20_000
_jitter = random.SystemRandom()


@dataclass(frozen=True, slots=True)
class Call:
    """One call to be made, all that is needed for it, read while it was leased."""

    delivery_id: uuid.UUID
    endpoint_id: uuid.UUID
    kind: str
    attempts: int
    fails: bool
    url: str
    headers: Sequence[tuple[str, str]]
    body: bytes
    echo: str | None


async def turn(tx: Tx, keys: Keyring, results: Sequence[Result], *, most: int, with_failing: bool) -> list[Call]:
    """Write down what came of calls and take the next ones, in one transaction."""
    if results:
        await _record(tx, results)
    rows = []
    if most > 0:
        rows = await sql.lease(
            tx, most=most, each=EACH, seconds=LEASE_SECONDS, with_failing=with_failing, roles=reach.PUSHED
        )
    if not rows and not results:
        tx.discard()
    bound = [(row["data"] or {}, (row["place_id"],) if row["place_id"] is not None else None) for row in rows]
    parts = await told.parts(tx, bound)
    return [_call(keys, dict(row) | {"data": data}) for row, data in zip(rows, parts, strict=True)]


async def _record(tx: Tx, results: Sequence[Result]) -> None:
    found = {row["id"]: row for row in await sql.lock_endpoints(tx, [one.endpoint_id for one in results])}
    late = {one for one in results if one.endpoint_id in found and found[one.endpoint_id]["url"] != one.url}
    await sql.record(tx, [_elsewhere(one) if one in late else one for one in results])
    for endpoint_id, row in found.items():
        mine = [one for one in results if one.endpoint_id == endpoint_id and one not in late]
        if not mine:
            continue
        if any(one.is_gone for one in mine):
            await _disable(tx, endpoint_id, "gone")
            continue
        is_well = any(one.state == "delivered" for one in mine)
        throttled = max((one.throttled_for for one in mine if one.throttled_for is not None), default=None)
        since = await sql.note_health(tx, endpoint_id, is_well=is_well, throttled_for=throttled)
        if since is not None and clock.now() - since >= rules.GIVEN_UP:
            await _disable(tx, endpoint_id, "failing")
        elif row["state"] == "unproven" and any(one.kind == "challenge" and one.state == "delivered" for one in mine):
            await sql.set_state(tx, endpoint_id, "enabled", None)


def _elsewhere(one: Result) -> Result:
    """What another address said than the endpoint has by now: what arrived has arrived; the rest is asked of the new one."""
    if one.state == "delivered" and one.kind != "challenge":
        return one
    return one._replace(state="due", due_in=0.0)


async def _disable(tx: Tx, endpoint_id: uuid.UUID, reason: str) -> None:
    row = await sql.set_state(tx, endpoint_id, "disabled", reason)
    if row is not None:
        await told.announce(tx, [notices.endpoint_disabled(row["id"], row["community"], row["holders"], reason)])


def _call(keys: Keyring, row: Mapping[str, Any]) -> Call:
    endpoint_id: uuid.UUID = row["endpoint_id"]
    shared = [unsealed(keys, endpoint_id, "secret_sealed", row["secret_sealed"])]
    shared += [secret for secret, _ in earlier(keys, endpoint_id, row, clock.now())]
    seed = unsealed(keys, endpoint_id, "seed_sealed", row["seed_sealed"])
    echo = challenge(shared[0], row["id"]) if row["kind"] == "challenge" else None
    body = body_of(row, echo)
    headers = signing.headers(str(row["notice_id"]), clock.now(), body.decode(), shared, seed)
    return Call(row["id"], endpoint_id, row["kind"], row["attempts"], row["fails"], row["url"], headers, body, echo)


def challenge(secret: str, delivery_id: uuid.UUID) -> str:
    """What the owner of an endpoint must send back; nobody else can guess it."""
    return hmac.digest(secret.encode(), f"challenge|{delivery_id}".encode(), "sha256").hex()


def body_of(row: Mapping[str, Any], echo: str | None = None) -> bytes:
    """What is sent: the item as polling tells it, and a timestamp. Too much data stays at home and can be polled for."""
    is_notice = row["kind"] == "notice"
    at = clock.local(row["occurred_at"] if is_notice else row["made_at"])
    made: dict[str, Any] = {
        "type": row["type"] if is_notice else f"linli.endpoint.{row['kind']}",
        "timestamp": at,
        "id": row["notice_id"],
        "position": row["position"],
        "occurred_at": at,
        "community": row["notice_community"] if is_notice else row["community"],
        "subject": row["subject"] if is_notice else row["endpoint_id"],
        "data": row["data"] if is_notice else {},
    }
    if echo is not None:
        made["challenge"] = echo
    body = wire.dumps(made)
    return body if len(body) <= MOST_BYTES else wire.dumps(made | {"data": {}, "is_shortened": True})


def result(call: Call, came: Came) -> Result:
    """What a call's answer means for its delivery and its endpoint."""
    is_echoed = call.echo is None or call.echo.encode() in came.answer
    verdict = rules.verdict(
        status=came.status,
        told=came.retry_after,
        attempts=call.attempts,
        now=clock.now(),
        jitter=_jitter.random(),
        is_echoed=is_echoed,
    )
    error = came.error
    if error is None and not is_echoed and came.status is not None and 200 <= came.status < 300:
        error = "not_echoed"
    return Result(
        call.delivery_id,
        call.endpoint_id,
        call.url,
        call.kind,
        verdict.state,
        verdict.due_in,
        verdict.throttled_for,
        verdict.is_gone,
        came.status,
        error,
        came.latency_ms,
        rules.kept(came.answer) if came.status is not None else None,
    )
