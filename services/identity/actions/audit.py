"""Looking into the audit, checking its chain, giving it away, and signing where it ends."""

from __future__ import annotations

import time
import uuid
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import jwt

from services.identity import notices, sql
from services.identity.actions import standing
from services.identity.sql.audit import Wanted
from shared import audit, clock, errors, regions, wire
from shared.assertion import Caller
from shared.crypto import Keyring
from shared.db import Tx
from shared.notices import announce
from shared.tokens import ISSUER

AUDITORS: Final = frozenset({"auditor"})
TYPE: Final = "audit-head+jwt"
_BATCH: Final = 2000
_FAR: Final = 1 << 62
_JWS: Final = jwt.PyJWS(algorithms=["EdDSA"])


def reach(who: Caller, region: str | None = None) -> list[str]:
    """The regions whose audit the caller may see, or the part of them that was asked for."""
    own = who.reach(AUDITORS)
    if region is not None:
        own = [max(one, region, key=len) for one in own if region.startswith(one) or one.startswith(region)]
    if not own:
        raise errors.NotAllowed
    return own


async def entries(tx: Tx, who: Caller, region: str | None, wanted: Wanted, before: int | None, limit: int) -> list[Any]:
    """What was done in the caller's regions, and in those that they follow, the newest first."""
    prefixes = reach(who, region)
    wanted = wanted._replace(prefixes=prefixes, former=await regions.former(tx, prefixes))
    return await sql.audit.entries(tx, wanted, before, limit)


class Broken(NamedTuple):
    """The first place where the chain does not hold: its entry was changed, is missing, or a head says otherwise."""

    position: int
    what: str


class Checked(NamedTuple):
    """How a part of the chain was found. `next` is where to go on, None at its end."""

    first: int | None
    last: int | None
    checked: int
    broken: Broken | None
    next: int | None


async def verify(tx: Tx, keys: Keyring, who: Caller, after: int | None, limit: int) -> Checked:
    """Compute the chain anew, as far as asked, and compare it with what is written and with what was signed.

    A digest tells nothing about other regions, so any auditor may check the whole chain.
    """
    reach(who)
    head = await sql.audit.head(tx)
    start = (await sql.audit.oldest(tx) or head["position"] + 1) - 1 if after is None else after
    before = audit.BEGINNING if start == 0 else await sql.audit.hash_at(tx, start)
    if before is None:
        if after is not None:
            raise errors.NotThere
        return Checked(None, None, 0, Broken(start, "missing"), None)
    position, done = start, 0
    heads = {row["position"]: row for row in await sql.audit.signed_heads(tx, start, start + limit)}
    while done < limit:
        links = await sql.audit.links(tx, position, min(_BATCH, limit - done))
        for entry in links:
            position += 1
            if entry["position"] != position:
                return Checked(start + 1, position - 1, done, Broken(position, "missing"), None)
            before = audit.link(before, audit.digest(entry, position))
            if before != entry["hash"]:
                return Checked(start + 1, position - 1, done, Broken(position, "entry"), None)
            if position in heads and not _holds(keys, heads[position], before):
                return Checked(start + 1, position - 1, done, Broken(position, "head"), None)
            done += 1
        if not links:
            break
    broken = None
    if position < head["position"] and done < limit:
        broken = Broken(position + 1, "missing")
    elif position == head["position"] and before != head["hash"]:
        broken = Broken(position, "head")
    elif await sql.audit.signed_heads(tx, head["position"], _FAR):
        broken = Broken(head["position"] + 1, "missing")
    following = position if broken is None and position < head["position"] else None
    return Checked(start + 1 if done else None, position if done else None, done, broken, following)


def _holds(keys: Keyring, head: Any, hash_: bytes) -> bool:
    """Whether a signed head is about this hash; of a key that is gone only what stands beside it is compared."""
    if head["hash"] != hash_:
        return False
    try:
        kid = jwt.get_unverified_header(head["signed"]).get("kid")
        key = next((one.public for one in keys.signing if one.kid == kid), None)
        told = wire.loads(
            _JWS.decode(head["signed"], key, algorithms=["EdDSA"])
            if key is not None
            else _JWS.decode(head["signed"], options={"verify_signature": False})
        )
    except (jwt.InvalidTokenError, ValueError):
        return False
    return bool(told.get("position") == head["position"] and told.get("hash") == hash_.hex())


async def sign_head(tx: Tx, keys: Keyring) -> int:
    """Sign where the chain ends and tell everybody who listens; the position, 0 when nothing was added."""
    head = await sql.audit.head(tx)
    position, hash_ = head["position"], bytes(head["hash"])
    payload = {"iss": ISSUER, "iat": int(time.time()), "position": position, "hash": hash_.hex()}
    key = keys.signing[0]
    signed = _JWS.encode(wire.dumps(payload), key.private, algorithm="EdDSA", headers={"typ": TYPE, "kid": key.kid})
    head_id = clock.uuid7()
    if position == 0 or not await sql.audit.insert_head(tx, head_id, position, hash_, signed):
        tx.discard()
        return 0
    await announce(
        tx, [notices.audit_head(head_id, root, position, hash_.hex(), signed) for root in await sql.audit.roots(tx)]
    )
    return int(position)


async def export(tx: Tx, who: Caller, region: str | None, after: int, limit: int) -> list[dict[str, Any]]:
    """A part of the chain, line by line: entries of the caller's regions whole, those of others as digests, the heads.

    With the hash at `after` all of it can be checked by anybody; the last line says where to go on.
    """
    prefixes = reach(who, region)
    former = frozenset(await regions.former(tx, prefixes))
    links = await sql.audit.links(tx, after, limit)
    last = links[-1]["position"] if links else after
    heads = {row["position"]: row for row in await sql.audit.signed_heads(tx, after, last)}
    lines: list[dict[str, Any]] = []
    for entry in links:
        lines.append(_line(entry, prefixes, former))
        if entry["position"] in heads:
            head = heads[entry["position"]]
            lines.append(
                {"kind": "head", "position": head["position"], "hash": head["hash"].hex(), "signed": head["signed"]}
            )
    before = audit.BEGINNING if after == 0 else await sql.audit.hash_at(tx, after)
    await audit.record(
        tx, who.account_no, "audit.export", community=min(prefixes, key=len), data={"after": after, "until": last}
    )
    first = {"kind": "start", "position": after, "hash": before.hex() if before is not None else None}
    return [first, *lines, {"kind": "end", "next": last if len(links) == limit else None}]


def _line(entry: Any, prefixes: Sequence[str], former: frozenset[str]) -> dict[str, Any]:
    position, hash_ = entry["position"], entry["hash"].hex()
    community, is_general = entry["community"], entry["person_id"] is None
    if community not in former and not any(
        community.startswith(one) or (is_general and one.startswith(community)) for one in prefixes
    ):
        return {"kind": "digest", "position": position, "digest": audit.digest(entry, position).hex(), "hash": hash_}
    told = wire.loads(audit.canonical(entry, position))
    return {"kind": "entry", "entry": told, "position": position, "hash": hash_}


async def ledger(
    tx: Tx, who: Caller, person_id: uuid.UUID | None, before: int | None, limit: int
) -> tuple[list[Any], dict[int, str]]:
    """What was done with what is known of somebody, and what those are called who approved it.

    A look by the desk, or by a relative of somebody who has died, is in it, too.
    """
    found = await standing.of(tx, who, person_id)
    subject = found.subject
    rows = await sql.audit.entries(tx, Wanted(person_id=subject.person_id), before, limit)
    approvers = await sql.audit.names(tx, [row["data"]["approved_by"] for row in rows if "approved_by" in row["data"]])
    if found.is_desk or found.is_relative:
        await audit.record(
            tx, who.account_no, "people.ledger", community=subject.community, person_id=subject.person_id
        )
    else:
        tx.discard()
    return rows, approvers
