"""What the gateway does without being asked: lapsed holds, waiting lists, the relay of notices, old keys."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from typing import Any, Final

from services import GATEWAY_EXPORTS, SERVICES, load, service
from services.gateway import actions, sql
from services.gateway.arbiter import sql as ledger
from services.gateway.arbiter import waiting
from services.gateway.arbiter.asked import Asked, Outcome
from services.gateway.claiming import OURS, Call, code_of
from services.gateway.parts import Parts
from services.gateway.upstreams import NoAnswer
from shared import claims, clock, crypto, days, errors, notices, wire
from shared.assertion import Caller
from shared.db import Tx
from shared.rights import Tables, Whom
from shared.tasks import Task

STAMPED_AT_ONCE: Final = 200
"""Notices that get their positions in one transaction."""


async def lapse(parts: Parts) -> int:
    """Free holds whose time is over; slots that are locked at this moment are left for the next round."""
    freed = 0
    while True:
        batch, count = await parts.db.run(_lapse_some)
        freed += count
        if batch < 100:
            return freed


async def _lapse_some(tx: Tx) -> tuple[int, int]:
    locked = await claims.lock_slots(tx, await ledger.lapsing_slots(tx, 100), skip_locked=True)
    if not locked:
        tx.discard()
        return 0, 0
    return len(locked), len(await claims.lapse(tx, sorted(locked)))


async def serve_waiting(parts: Parts) -> int:
    """Give places that came free to those who wait for them."""

    async def prepare(row: Any) -> Asked | None:
        return _asked(parts, row)

    async def settle(asked: Asked, outcome: Outcome) -> str | None:
        return await _settle(parts, asked, outcome)

    return await waiting.serve(parts.db, parts.line, prepare, settle)


def _asked(parts: Parts, row: Any) -> Asked | None:
    """The ask a waiting row stands for, read from its sealed body."""
    one = service(row["service"])
    try:
        body = _body(parts, row)
        told = load(one.claims or "").model_validate_json(body)
    except (crypto.Tampered, ValueError):
        return None
    return Asked(
        service=one.name,
        caller=Caller(
            account_id=row["account_id"],
            account_no=row["account_no"],
            person_id=row["person_id"],
            holder_no=row["holder_no"],
            name=row["name"] or "",
            has_second=True,  # they were let in when they asked
        ),
        key=row["key"],
        fingerprint=row["fingerprint"] or b"",
        takes=told.takes,
        persons=tuple(told.persons) if told.persons is not None else None,
        channel=told.channel,
        waits=True,
        serving=row["group_id"],
        sealed_body=row["body"],
        holder=told.holder,
    )


def _body(parts: Parts, row: Any) -> str:
    return crypto.unseal(parts.keys, row["body"], table="waits", column="body", row=f"{row['account_no']}|{row['key']}")


async def _settle(parts: Parts, asked: Asked, outcome: Outcome) -> str | None:
    one = service(asked.service)
    body = crypto.unseal(
        parts.keys, asked.sealed_body, table="waits", column="body", row=f"{asked.caller.account_no}|{asked.key}"
    )
    path = f"/v1/{one.name}/{one.collection}"
    call = Call(
        "POST",
        path,
        {b"content-type": b"application/json"},
        body.encode(),
        asked.caller,
        f"waiting-{clock.uuid7().hex}",
    )
    try:
        answer = await parts.claiming.settle(one, call, outcome)
    except errors.Refusal:
        return "unanswered"
    if answer.status < 400:
        return None
    return "unanswered" if code_of(answer) in OURS else "refused"


async def ask(
    parts: Parts, account_no: int, service_name: str, body: Mapping[str, Any], key: str
) -> tuple[int, dict[str, Any]]:
    """Claim places for an account that is not there to ask itself, such as a standing order's; status and answer."""
    row = await parts.db.read(sql.account, account_no)
    one = service(service_name)
    if row is None:
        return errors.NotThere.status, {"code": errors.NotThere.code}
    call = Call(
        "POST",
        f"/v1/{one.name}/{one.collection}",
        {b"content-type": b"application/json", b"idempotency-key": key.encode()},
        wire.dumps(body),
        Caller(row["id"], account_no, row["person_id"], row["holder_no"], row["name"], has_second=True),
        f"asked-{clock.uuid7().hex}",
    )
    try:
        answer = await parts.claiming.claim(call)
    except NoAnswer as none:
        return none.refusal.status, {"code": none.refusal.code}
    except errors.Refusal as refusal:
        return refusal.status, {"code": refusal.code, **refusal.extra}
    return answer.status, wire.loads(answer.body)


class People:
    """Asks every service what it knows of somebody, or to forget it; each in its own role (`shared.rights.Rights`)."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    async def everything(self, whom: Whom) -> dict[str, Tables]:
        """All that is known of somebody, by service."""
        parts = self._parts
        found: dict[str, Tables] = {"ledger": await parts.db.read(load(GATEWAY_EXPORTS), parts.keys, whom)}
        for one in SERVICES:
            if one.exports is not None:
                found[one.name] = await parts.db.of(one.role).read(load(one.exports), parts.keys, whom)
        return found

    async def end(self, whom: Whom) -> None:
        """Give back what they still hold, as they would themselves, and have every service end what goes on by itself."""
        parts = self._parts
        for group_id in await parts.db.read(sql.still_waits, whom.holder_no):
            await parts.db.run(actions.leave, group_id)
        who = Caller(account_no=whom.asked_by, person_id=whom.person_id, holder_no=whom.holder_no)
        for row in await parts.db.read(sql.still_holds, whom.holder_no):
            one = service(row["service"])
            path = f"/v1/{one.name}/{one.collection}/{row['resource_id']}"
            query = f"person={whom.person_id}".encode()
            call = Call("DELETE", path, {}, b"", who, f"closing-{clock.uuid7().hex}", query=query)
            answer = await parts.claiming.forward(one.name, call)
            if answer.status >= errors.Broken.status:
                raise errors.Unavailable
        for one in SERVICES:
            if one.ends is not None:
                await parts.db.of(one.role).run(load(one.ends), parts.keys, whom)

    async def forget(self, whom: Whom) -> None:
        """End what goes on, and have every service forget the rest."""
        await self.end(whom)
        parts = self._parts
        await parts.db.run(sql.forget_refusals, whom.holder_no)
        for one in SERVICES:
            if one.forgets is not None:
                await parts.db.of(one.role).run(load(one.forgets), parts.keys, whom)


async def stamp_notices(parts: Parts) -> int:
    """Give positions to what was announced, a little at a time: in a rush those who book are not to wait for all of it."""
    stamped = 0
    while True:
        began = time.monotonic()
        some = await parts.db.run(notices.stamp, most=STAMPED_AT_ONCE)
        stamped += some
        if some < STAMPED_AT_ONCE:
            return stamped
        await asyncio.sleep(2 * (time.monotonic() - began))


async def seed_days(parts: Parts) -> int:
    """This year and the next, as far as the library knows them; rows of the staff are never touched."""
    year = clock.today().year
    return await parts.db.run(sql.seed_days, [day for n in (year, year + 1) for day in days.known(n)])


async def purge_keys(parts: Parts) -> int:
    """Forget idempotency keys after their eight days; those that still wait are kept."""
    return await parts.db.run(ledger.delete_old_asks)


TASKS = (
    Task("ledger.lapse", 5, lapse),
    Task("ledger.serve_waiting", 1, serve_waiting),
    Task("notices.stamp", 1, stamp_notices),
    Task("days.seed", 3600, seed_days),
    Task("ledger.purge_keys", 3600, purge_keys),
)
