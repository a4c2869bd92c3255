"""Who is asking: access tokens are verified offline, once, and remembered until they expire."""

from __future__ import annotations

import asyncio
import hashlib
import time
import uuid
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from functools import partial
from types import MappingProxyType
from typing import Final

from services import SERVICES
from services.gateway import sql as gateway_sql
from services.gateway.arbiter import sql
from shared import errors, tokens
from shared.assertion import TWO_FACTORS, ActsFor, Caller, Key, Role
from shared.crypto import Keyring
from shared.db import Database, Tx
from shared.line import Readers

INTERNAL: Final = frozenset(
    {b"x-linli-assertion", b"x-forwarded-for", b"x-forwarded-proto", b"x-real-ip", b"forwarded"}
)
"""Headers that only the gateway may set: what a client sends of them is dropped."""
_REMEMBERED: Final = 30_000
"""Entries of a cache, the latest used: everybody in a town of seventeen thousand, with their second devices."""
FACTS_SECONDS: Final = 2.0
"""So old may be what is believed of a caller, at most."""
_LONGEST_ACCESS: Final = 3600
"""Seconds; no access token lives longer, whatever the settings say."""
KEY: Final = "lk_"
"""How a partner's key begins."""


class Credentials:
    """Verified tokens and the freshest facts about their accounts; both caches are bounded."""

    def __init__(
        self,
        keys: Keyring,
        db: Database,
        guardians: Mapping[str, int] = MappingProxyType({}),
        *,
        issuer: str = tokens.ISSUER,
        demo: bool = False,
    ) -> None:
        self._keys = keys
        self._issuers = {issuer, tokens.ISSUER} if demo else {issuer}
        self._demo = demo
        self._signing = keys.signing
        self._facts_line = Readers("facts", db, partial(facts, guardians=guardians))
        self._known: OrderedDict[bytes, tuple[float, Caller]] = OrderedDict()
        self._facts: OrderedDict[int, tuple[float, Caller]] = OrderedDict()
        self._db = db
        self._partners: OrderedDict[bytes, tuple[float, Caller]] = OrderedDict()
        self._ended: frozenset[uuid.UUID] = frozenset()
        self._ended_until = 0.0
        self._asking = asyncio.Lock()

    async def who(self, authorization: str) -> Caller:
        """Whom an Authorization header names: by a token, or by a partner's key."""
        scheme, _, told = authorization.partition(" ")
        if scheme.lower() == "bearer" and told.startswith(KEY) and len(told) <= 200:
            return await self._partner(hashlib.sha256(told.encode()).digest())
        caller = self.caller(authorization)
        if caller.session_id is not None:
            await self._not_ended(caller.session_id)
        return caller

    async def _not_ended(self, session_id: uuid.UUID) -> None:
        """Refuse the token of a session that was ended: all of those are asked for at once, every two seconds at most."""
        if self._ended_until <= time.monotonic():
            async with self._asking:
                began = time.monotonic()
                if self._ended_until <= began:
                    self._ended = await self._db.read(gateway_sql.ended_sessions, _LONGEST_ACCESS)
                    self._ended_until = began + FACTS_SECONDS
        if session_id in self._ended:
            raise errors.NotKnown

    async def _partner(self, key_hash: bytes) -> Caller:
        """The account of a partner's key, at most two seconds old: a key that was revoked is refused by then."""
        now = time.monotonic()
        known = self._partners.get(key_hash)
        if known is None or known[0] <= now:
            row = await self._db.run(gateway_sql.use_partner_key, key_hash)
            if row is None:
                self._partners.pop(key_hash, None)
                raise errors.NotKnown
            key = Key(row["id"], row["community"], tuple(row["types"]), tuple(row["operations"]), row["place_id"])
            known = (now + FACTS_SECONDS, Caller(row["account_id"], row["account_no"], name=row["name"], key=key))
            self._partners[key_hash] = known
            if len(self._partners) > _REMEMBERED:
                self._partners.popitem(last=False)
        return known[1]

    def caller(self, authorization: str | None) -> Caller:
        """Whom a bearer token names; anonymous without one. Refuses what is malformed, forged or expired."""
        if authorization is None:
            return Caller()
        scheme, _, token = authorization.partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise errors.NotKnown
        if self._signing is not self._keys.signing:  # a key was turned, and may have been stolen
            self._signing = self._keys.signing
            self._known.clear()
        seen = hashlib.sha256(token.encode()).digest()  # a twentieth of a token's size, and nothing to log in with
        known = self._known.get(seen)
        if known is not None:
            if known[0] <= time.time():
                raise errors.TokenExpired
            self._known.move_to_end(seen)
            return known[1]
        claims = tokens.verify(self._keys, token, issuers=self._issuers)
        caller = Caller(
            account_id=claims.account_id,
            account_no=claims.account_no,
            person_id=claims.person_id,
            holder_no=claims.holder_no,
            name=claims.name,
            session_id=claims.session_id,
            has_second=claims.has_second or self._demo,
        )
        self._known[seen] = (claims.expires_at, caller)
        if len(self._known) > _REMEMBERED:
            self._known.popitem(last=False)
        return caller

    async def with_facts(self, caller: Caller) -> Caller:
        """The caller with roles and those they act for, at most two seconds old; refuses whose session has ended."""
        if caller.account_no is None:
            return caller
        if caller.session_id is not None:
            await self._not_ended(caller.session_id)
        now = time.monotonic()
        known = self._facts.get(caller.account_no)
        if known is None or known[0] <= now:
            known = (now + FACTS_SECONDS, await self._facts_line.submit(caller))
            for _ in range(2):  # as many are forgotten as come, and more
                if self._facts and next(iter(self._facts.values()))[0] <= now:
                    self._facts.popitem(last=False)
            self._facts[caller.account_no] = known
            self._facts.move_to_end(caller.account_no)
        return told_of(caller, known[1])


def told_of(caller: Caller, told: Caller) -> Caller:
    """The caller with the facts that `told` carries; roles no further than a partner's key, or the way they came in, reaches."""
    roles = told.roles if caller.key is None else caller.key.narrowed(told.roles)
    if caller.key is None and not caller.has_second:
        roles = tuple(one for one in roles if one.role not in TWO_FACTORS)
    return caller._replace(roles=roles, acts_for=told.acts_for)


def _scope(one: sql.Relation, guardians: Mapping[str, int]) -> tuple[str, ...] | None:
    """The services in which somebody may act for another; None is all. Some want guardians to be known better."""
    if one.kind == "guardian" and any(level > one.level for level in guardians.values()):
        return tuple(each.name for each in SERVICES if guardians.get(each.name, 0) <= one.level)
    return tuple(one.services) if one.services is not None else None


async def facts(tx: Tx, callers: Sequence[Caller], guardians: Mapping[str, int] = MappingProxyType({})) -> list[Caller]:
    """Roles and relations of several accounts in force now."""
    roles = await sql.roles(tx, [caller.account_no or 0 for caller in callers])
    actors = [caller.holder_no for caller in callers if caller.holder_no is not None]
    relations = await sql.relations(tx, actors) if actors else []
    return [
        Caller(
            roles=tuple(
                Role(row["role"], row["prefix"], row["place_id"])
                for row in roles
                if row["account_no"] == caller.account_no
            ),
            acts_for=tuple(
                ActsFor(one.person_id, one.holder_no, one.name, one.kind, _scope(one, guardians))
                for one in relations
                if one.actor_no == caller.holder_no
            ),
        )
        for caller in callers
    ]
