"""Endpoints: asked for, proven, looked after by their owners."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple

from services.partners import rules, signing
from services.partners.actions import making_out, reach
from services.partners.sql import endpoints as sql
from services.partners.sql import keys as keys_sql
from shared import clock, crypto, db, errors
from shared.assertion import Caller
from shared.crypto import Keyring
from shared.db import Database, Referees, Tx

TABLE: Final = "endpoints"
WINDOW: Final = 5000
SECONDS: Final = 3.0
"""How long one request recovers; the rest is asked for again."""
EARLIER: Final = 8
"""Secrets before that sign along at most."""
SIGNS_ALONG: Final = timedelta(days=1)
_REFEREES: Referees = {"endpoints_community_fkey": lambda: errors.Unprocessable.at("/community", "unknown_region")}
_MARGIN: Final = timedelta(hours=1)
"""Positions are given in the order of commits, not of moments: so much earlier and later is looked, too."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What an endpoint is to be."""

    url: str
    types: tuple[str, ...]
    community: str
    ordering: str
    description: str | None
    enabled: bool = True
    is_refused: bool = False
    """Nothing is ever sent to this address."""


async def make(tx: Tx, caller: Caller, keys: Keyring, wanted: Wanted) -> tuple[Any, str]:
    """A new endpoint and its secret. It gets a challenge first, and hears of what is stamped from now on."""
    if wanted.is_refused:
        raise errors.Unprocessable.at("/url", "address_refused")
    way = await _way(tx, caller, wanted)
    endpoint_id, secret, seed = clock.uuid7(), signing.new_secret(), signing.new_seed()
    await _is_alone(tx, caller, endpoint_id, way.filter.place_id, wanted)
    with db.referee(_REFEREES):
        await sql.insert(
            tx,
            (
                endpoint_id,
                caller.account_no,
                way.key_id,
                wanted.community,
                wanted.url,
                list(wanted.types),
                wanted.ordering,
                wanted.description,
                sealed(keys, endpoint_id, "secret_sealed", secret),
                sealed(keys, endpoint_id, "seed_sealed", seed),
                signing.public_key(seed),
                await sql.head(tx),
            ),
        )
    await sql.add_delivery(tx, endpoint_id, wanted.community, "challenge", clock.uuid7())
    return await sql.read(tx, endpoint_id), secret


async def _way(tx: Tx, caller: Caller, wanted: Wanted) -> reach.Reach:
    """The way in which a caller reaches what is wanted; its key is not revoked before this is done, nor was it."""
    way = reach.within(await reach.of(tx, caller, reach.PUSHED), wanted.community, wanted.types)
    if way.key_id is not None and not await keys_sql.is_live(tx, way.key_id):
        raise errors.NotKnown if caller.key is not None else errors.NotInScope
    return way


async def _is_alone(tx: Tx, caller: Caller, endpoint_id: uuid.UUID, place_id: uuid.UUID | None, wanted: Wanted) -> None:
    """Who asks again because no answer came does not get everything twice from then on."""
    if await sql.is_there(tx, endpoint_id, caller.known(), place_id, wanted.community, wanted.url, wanted.types):
        raise errors.Exists


def sealed(keys: Keyring, endpoint_id: uuid.UUID, column: str, secret: str) -> bytes:
    """A secret as it is kept."""
    return crypto.seal(keys, secret, table=TABLE, column=column, row=str(endpoint_id))


def unsealed(keys: Keyring, endpoint_id: uuid.UUID, column: str, kept: bytes) -> str:
    """A kept secret as it signs."""
    return crypto.unseal(keys, kept, table=TABLE, column=column, row=str(endpoint_id))


def earlier(keys: Keyring, endpoint_id: uuid.UUID, row: Any, now: datetime) -> list[tuple[str, datetime]]:
    """The secrets before that still sign, each with its moment, the latest first."""
    if row["previous_sealed"] is None:
        return []
    told = unsealed(keys, endpoint_id, "previous_sealed", row["previous_sealed"])
    return signing.earlier(told, row["previous_until"], now)


async def readable(tx: Tx, caller: Caller, endpoint_id: uuid.UUID, *, owned: bool = False, locked: bool = False) -> Any:
    """An endpoint of the caller's account, as far as their key reaches, or region; only its owner's where `owned`."""
    caller.known()
    row = await sql.read(tx, endpoint_id, locked=locked)
    if row is None or not (_is_theirs(caller, row) or caller.may(reach.MAKERS, row["community"])):
        raise errors.NotThere
    if owned and row["account_no"] != caller.account_no:
        raise errors.NotAllowed
    return row


def _is_theirs(caller: Caller, row: Any) -> bool:
    """Whether the caller's account has it, and the key they show was made for it or reaches as far."""
    if row["account_no"] != caller.account_no:
        return False
    key = caller.key
    return (
        key is None
        or row["key_id"] == key.id
        or (
            row["community"].startswith(key.prefix)
            and all(rules.covers(key.types, kind) for kind in row["types"])
            and key.place_id in (None, row["place_id"])
        )
    )


async def listed(tx: Tx, caller: Caller, after: tuple[datetime, uuid.UUID] | None, limit: int) -> Sequence[Any]:
    """The endpoints a caller may see, newest first."""
    prefixes = caller.regions(reach.MAKERS)
    return await sql.several(tx, account_no=caller.known(), key=caller.key, prefixes=prefixes, after=after, limit=limit)


async def replace(
    tx: Tx, caller: Caller, endpoint_id: uuid.UUID, wanted: Wanted, matches: Callable[[Any], None]
) -> Any:
    """Change an endpoint. A new address, and one that was disabled, must show again that it is theirs.

    New filters, or another key, hold from now on: of what was stamped before, it hears what they cover and the old ones did.
    """
    row = await readable(tx, caller, endpoint_id)
    matches(row)
    way = None
    if row["account_no"] == caller.account_no:
        way = await _way(tx, caller, wanted)  # the key is locked before the endpoint, as by who revokes it
    elif wanted.enabled:
        raise errors.NotAllowed  # staff may stop an endpoint of their region, and nothing else
    row = await readable(tx, caller, endpoint_id, locked=True)
    matches(row)
    if way is None:
        wanted = Wanted(
            row["url"], tuple(row["types"]), row["community"], row["ordering"], row["description"], enabled=False
        )
        key_id, place_id = row["key_id"], row["place_id"]
    else:
        key_id, place_id = way.key_id, way.filter.place_id
        if wanted.enabled:
            await _is_alone(tx, caller, endpoint_id, place_id, wanted)
    again = wanted.enabled and (wanted.url != row["url"] or row["state"] == "disabled")
    if wanted.is_refused and (again or wanted.url != row["url"]):
        raise errors.Unprocessable.at("/url", "address_refused")  # one that it has may be stopped, and the rest changed
    state = "disabled" if not wanted.enabled else "unproven" if again else row["state"]
    reason = None if wanted.enabled else row["reason"] or "by_owner"
    before, after = (row["types"], row["community"], row["key_id"]), (list(wanted.types), wanted.community, key_id)
    turns = wanted.enabled and row["state"] != "disabled" and before != after
    if turns:
        await making_out.settle(tx, endpoint_id)
    with db.referee(_REFEREES):
        await sql.replace(
            tx,
            endpoint_id,
            (
                wanted.url,
                list(wanted.types),
                wanted.community,
                wanted.ordering,
                wanted.description,
                state,
                reason,
                key_id,
                row["state"] == "disabled",
            ),
        )
    if row["state"] == "disabled":
        await sql.give_up(tx, endpoint_id)  # from now on
    elif turns:
        pattern = rules.pattern(wanted.types)
        await sql.give_up(
            tx, endpoint_id, await sql.uncovered(tx, endpoint_id, None, pattern, wanted.community, place_id)
        )
    if wanted.url != row["url"]:
        await sql.end_challenges(tx, endpoint_id)
    if again and await sql.due_challenge(tx, endpoint_id) is None:
        await sql.add_delivery(tx, endpoint_id, wanted.community, "challenge", clock.uuid7())
    return await sql.read(tx, endpoint_id)


async def delete(tx: Tx, caller: Caller, endpoint_id: uuid.UUID) -> None:
    """Forget an endpoint and what was sent to it."""
    await readable(tx, caller, endpoint_id, locked=True)
    await sql.delete(tx, endpoint_id)


async def secret(tx: Tx, caller: Caller, keys: Keyring, endpoint_id: uuid.UUID) -> tuple[str, datetime | None]:
    """The secret, for its owner, and until when the one before signs along."""
    await readable(tx, caller, endpoint_id, owned=True)
    row = await sql.secrets(tx, endpoint_id)
    if row is None:
        raise errors.NotThere
    until = row["previous_until"]
    told = unsealed(keys, endpoint_id, "secret_sealed", row["secret_sealed"])
    return told, until if until is not None and until > clock.now() else None


async def rotate(tx: Tx, caller: Caller, keys: Keyring, endpoint_id: uuid.UUID) -> tuple[str, datetime]:
    """A new secret; each one before signs along for a day of its own. Refuses when too many do."""
    await readable(tx, caller, endpoint_id, owned=True, locked=True)
    row = await sql.secrets(tx, endpoint_id)
    if row is None:
        raise errors.NotThere
    now = clock.now()
    until = now + SIGNS_ALONG
    before = [
        (unsealed(keys, endpoint_id, "secret_sealed", row["secret_sealed"]), until),
        *earlier(keys, endpoint_id, row, now),
    ]
    if len(before) > EARLIER:
        raise errors.Conflict
    fresh = signing.new_secret()
    await sql.rotate(
        tx,
        endpoint_id,
        sealed(keys, endpoint_id, "secret_sealed", fresh),
        sealed(keys, endpoint_id, "previous_sealed", signing.kept(before)),
        until,
    )
    return fresh, until


async def _live(tx: Tx, caller: Caller, endpoint_id: uuid.UUID) -> Any:
    """An endpoint to which something is to be sent, locked; refuses one that is disabled, or may hear nothing any more."""
    row = await readable(tx, caller, endpoint_id, locked=True)
    if row["state"] == "disabled":
        raise errors.Conflict
    found = await keys_sql.read(tx, row["key_id"]) if row["key_id"] is not None else None
    if found is None and not await sql.hears(tx, row["account_no"], row["community"], reach.PUSHED):
        raise errors.NotAllowed
    if found is not None and found["revoked_at"] is not None:
        raise errors.NotAllowed
    return row


async def test(tx: Tx, caller: Caller, endpoint_id: uuid.UUID) -> Shown:
    """Something to look at, due now: the challenge where it was not echoed yet, else a test."""
    row = await _live(tx, caller, endpoint_id)
    delivery_id = await sql.due_challenge(tx, endpoint_id) if row["state"] == "unproven" else None
    if delivery_id is None:
        kind = "challenge" if row["state"] == "unproven" else "test"
        delivery_id = await sql.add_delivery(tx, endpoint_id, row["community"], kind, clock.uuid7())
    return (await _shown(tx, [await sql.delivery(tx, delivery_id)]))[0]


class Shown(NamedTuple):
    """A delivery with its last attempts."""

    delivery: Any
    tries: Sequence[Any]


async def _shown(tx: Tx, rows: Sequence[Any]) -> list[Shown]:
    tries: dict[uuid.UUID, list[Any]] = {}
    for one in await sql.attempts(tx, [row["id"] for row in rows]):
        tries.setdefault(one["delivery_id"], []).append(one)
    return [Shown(row, tries.get(row["id"], ())) for row in rows]


async def deliveries(
    tx: Tx,
    caller: Caller,
    endpoint_id: uuid.UUID,
    *,
    state: str | None,
    after: tuple[datetime, uuid.UUID] | None,
    limit: int,
) -> list[Shown]:
    """What was sent to an endpoint, and what is to be, newest first."""
    await readable(tx, caller, endpoint_id)
    return await _shown(tx, await sql.deliveries(tx, endpoint_id, state, after, limit))


async def delivery(tx: Tx, caller: Caller, delivery_id: uuid.UUID) -> Shown:
    """One delivery of an endpoint that the caller may see."""
    caller.known()
    row = await sql.delivery(tx, delivery_id)
    if row is None:
        raise errors.NotThere
    await readable(tx, caller, row["endpoint_id"])
    return (await _shown(tx, [row]))[0]


async def resend(tx: Tx, caller: Caller, delivery_id: uuid.UUID) -> Shown:
    """Send a notice again, whatever became of it, or the challenge that was not echoed yet; a test is asked for anew.

    Refuses a notice that the endpoint's filters no longer cover.
    """
    found = (await delivery(tx, caller, delivery_id)).delivery
    row = await _live(tx, caller, found["endpoint_id"])
    if found["kind"] != "notice":
        if (found["kind"], row["state"]) != ("challenge", "unproven"):
            raise errors.Conflict
    elif await sql.uncovered(
        tx, row["id"], delivery_id, rules.pattern(row["types"]), row["community"], row["place_id"]
    ):
        raise errors.Conflict
    await sql.resend(tx, delivery_id)
    return await delivery(tx, caller, delivery_id)


class Recovered(NamedTuple):
    """How many deliveries became due, and from when on the rest is to be asked for."""

    recovered: int
    rest: datetime | None


async def recover(db: Database, caller: Caller, endpoint_id: uuid.UUID, since: datetime, before: datetime) -> Recovered:
    """Make due what matches in a range of moments and did not arrive. In steps of their own; asking again does the rest."""
    began, recovered = time.monotonic(), 0
    at, until = await db.read(_range, caller, endpoint_id, since - _MARGIN)
    while at < until:
        upto = min(at + WINDOW, until)
        count, moment = await db.run(_recover, caller, endpoint_id, (at, upto), (since, before))
        recovered, at = recovered + count, upto
        if moment is not None and moment > before + _MARGIN:
            break
        if at < until and time.monotonic() - began > SECONDS and moment is not None:
            return Recovered(recovered, max(since, min(moment, before)))
    return Recovered(recovered, None)


async def _range(tx: Tx, caller: Caller, endpoint_id: uuid.UUID, since: datetime) -> tuple[int, int]:
    """Positions behind which to begin, and where an endpoint is: the first moment is found by halving."""
    row = await readable(tx, caller, endpoint_id)
    if row["state"] == "disabled":
        raise errors.Conflict
    low, high = 0, row["position"]
    while low < high:
        middle = (low + high + 1) // 2
        moment = await sql.occurred(tx, middle)
        if moment is not None and moment >= since:
            high = middle - 1
        else:
            low = middle
    return low, row["position"]


async def _recover(
    tx: Tx, caller: Caller, endpoint_id: uuid.UUID, positions: tuple[int, int], moments: tuple[datetime, datetime]
) -> tuple[int, datetime | None]:
    row = await _live(tx, caller, endpoint_id)
    found = await keys_sql.read(tx, row["key_id"]) if row["key_id"] is not None else None
    count = await sql.recover(
        tx,
        endpoint_id,
        after=positions[0],
        until=positions[1],
        since=moments[0],
        before=moments[1],
        patterns=(rules.pattern(row["types"]), rules.pattern(found["types"] if found is not None else ["*"])),
        community=row["community"],
        place_id=found["place_id"] if found is not None else None,
    )
    return count, await sql.occurred(tx, positions[1])
