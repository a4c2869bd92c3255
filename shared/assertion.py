"""The signed word of the gateway about one request: who calls, what they are, and what was granted to them.

One compact JWS a request (HS256 inside one deployment; audience is the service, life is seconds, and two minutes more where
it comes from another process, whose host's clock may be behind). A service believes nothing else about its caller. Birth dates and document numbers never travel in it.

Where the service lives in the gateway's own process, what was just signed is recognised by sight (`known=True` of `sign`): a
string equal to one that this process has made a moment ago needs no second look at its signature, and says nothing about
anybody; it is a number, good for nothing anywhere else.

It is signed and verified once a request, so it is done here in a few lines of the standard library: exactly one header
is ever written, and any other is refused before anything is parsed. A general JWT library took as long as the rest of a
service's work together.
"""

from __future__ import annotations

import base64
import hmac
import time
import uuid
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from itertools import count
from typing import Any, Final, NamedTuple

from shared import errors, wire
from shared.grants import Grant, GrantedClaim, GrantedSlot

HEADER: Final = "x-linli-assertion"
LIFE_SECONDS: Final = 30
SKEW_SECONDS: Final = 120
"""So far may the clock of a service's host be ahead of the gateway's; one that is behind only believes an assertion longer."""
_HEAD: Final = base64.urlsafe_b64encode(b'{"alg":"HS256","typ":"linli+jws"}').rstrip(b"=") + b"."


KEEPERS: Final = frozenset({"kitchen"})
"""Roles that, bound to one place, act for residents at its desk and may shut it for a time."""


TWO_FACTORS: Final = frozenset({"administrator", "security", "auditor", "manager", "staff", "operator"})
"""Roles that count only where a second factor was shown: power over others' roles, and the desks that see everybody."""


@dataclass(frozen=True, slots=True)
class Role:
    """What the account may do, for everything whose region code starts with `prefix`."""

    role: str
    prefix: str
    place_id: uuid.UUID | None = None


@dataclass(frozen=True, slots=True)
class ActsFor:
    """Somebody the caller may act for: as guardian, or as proxy for some services (None is all)."""

    person_id: uuid.UUID
    holder_no: int
    name: str
    relation: str
    services: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class Key:
    """How far the key of a partner's system reaches: these types of notices, this region, this place, these operations."""

    id: uuid.UUID
    prefix: str
    types: tuple[str, ...]
    operations: tuple[str, ...]
    place_id: uuid.UUID | None = None

    def allows(self, operation: str | None) -> bool:
        """Whether it was made for this operation; `partners.*` names all that begin so."""
        return operation is not None and any(
            one == operation or (one.endswith("*") and operation.startswith(one[:-1])) for one in self.operations
        )

    def narrowed(self, roles: tuple[Role, ...]) -> tuple[Role, ...]:
        """Its account's roles, as far as the key reaches."""
        reach = [(one, max(one.prefix, self.prefix, key=len)) for one in roles]
        return tuple(
            Role(one.role, prefix, one.place_id or self.place_id)
            for one, prefix in reach
            if prefix.startswith(one.prefix)
            and prefix.startswith(self.prefix)
            and (self.place_id is None or one.place_id in (None, self.place_id))
        )


class Caller(NamedTuple):
    """Who is asking. Anonymous callers have no account.

    `has_second`: their session began with a second factor, or this is a demo, which asks for none.
    """

    account_id: uuid.UUID | None = None
    account_no: int | None = None
    person_id: uuid.UUID | None = None
    holder_no: int | None = None
    name: str = ""
    session_id: uuid.UUID | None = None
    has_second: bool = False
    roles: tuple[Role, ...] = ()
    acts_for: tuple[ActsFor, ...] = ()
    address: str = ""
    key: Key | None = None
    grant: Grant | None = None

    @property
    def holders(self) -> list[int]:
        """The holders this caller may act for in some service: oneself, and others as guardian or proxy."""
        own = [] if self.holder_no is None else [self.holder_no]
        return own + [one.holder_no for one in self.acts_for]

    def holders_in(self, service: str) -> list[int]:
        """The holders this caller may act for in this service; a proxy may be limited to others."""
        own = [] if self.holder_no is None else [self.holder_no]
        return own + [one.holder_no for one in self.acts_for if one.services is None or service in one.services]

    def known(self) -> int:
        """The account that asks; refuses who has none."""
        if self.account_no is None:
            raise errors.NotKnown
        return self.account_no

    def regions(self, roles: frozenset[str]) -> list[str]:
        """Where the caller has one of these roles for everything below, and not for one place only."""
        return [role.prefix for role in self.roles if role.role in roles and role.place_id is None]

    def reach(self, roles: frozenset[str]) -> list[str]:
        """These regions; refuses who has such a role in none."""
        self.known()
        found = self.regions(roles)
        if not found:
            raise errors.NotAllowed
        return found

    def may(self, roles: frozenset[str], community: str, place_id: uuid.UUID | None = None) -> bool:
        """Whether one of these roles reaches this community (and place, where the role is bound to one)."""
        return any(
            role.role in roles
            and community.startswith(role.prefix)
            and (role.place_id is None or role.place_id == place_id)
            for role in self.roles
        )

    def keeps(self, place_id: uuid.UUID) -> bool:
        """Whether the caller is the kitchen of this very place: a role that is bound to no place keeps none."""
        return any(role.role in KEEPERS and role.place_id == place_id for role in self.roles)

    def require(self, roles: frozenset[str], community: str, place_id: uuid.UUID | None = None) -> None:
        """Refuse unless one of these roles reaches this community."""
        self.known()
        if not self.may(roles, community, place_id):
            raise errors.NotAllowed


_signed: OrderedDict[str, tuple[str, int, bytes, Caller]] = OrderedDict()
"""Assertions of this process that are on their way to a service in this process: audience, expiry, key, caller."""
_MOST_SIGNED: Final = 10_000
_numbers = count()


def sign(caller: Caller, *, audience: str, key: bytes, grant: Grant | None = None, known: bool = False) -> str:
    """The assertion about `caller`, and what was granted to them, for one service; `known` when that lives here, too."""
    now = int(time.time())
    payload: dict[str, Any] = {"iss": "linli-gateway", "aud": audience, "iat": now, "exp": now + LIFE_SECONDS}
    payload |= {"jti": next(_numbers)} if known else _said(caller, grant)
    signed = _HEAD + base64.urlsafe_b64encode(wire.dumps(payload)).rstrip(b"=")
    token = (signed + b"." + base64.urlsafe_b64encode(hmac.digest(key, signed, "sha256")).rstrip(b"=")).decode()
    if known:
        _signed[token] = (audience, now + LIFE_SECONDS, key, caller._replace(grant=grant))
        if len(_signed) > _MOST_SIGNED:
            _signed.popitem(last=False)
    return token


def _said(caller: Caller, grant: Grant | None) -> dict[str, Any]:
    said: dict[str, Any] = {
        "acc": caller.account_id,
        "no": caller.account_no,
        "per": caller.person_id,
        "hol": caller.holder_no,
        "nam": caller.name,
        "sid": caller.session_id,
        "two": caller.has_second,
        "adr": caller.address,
        "rol": [(role.role, role.prefix, role.place_id) for role in caller.roles],
        "for": [(one.person_id, one.holder_no, one.name, one.relation, one.services) for one in caller.acts_for],
    }
    if caller.key is not None:
        one = caller.key
        said["key"] = (one.id, one.prefix, one.types, one.operations, one.place_id)
    if grant is not None:
        said["grant"] = {
            "group": grant.group_id,
            "until": grant.held_until,
            "claims": [tuple(claim) for claim in grant.claims],
            "slots": [tuple(slot) for slot in grant.slots],
        }
    return said


def verify(token: str | None, *, audience: str, key: bytes, more: Sequence[bytes] = ()) -> Caller:
    """The caller that the gateway vouches for; refuses anything unsigned, stale or meant for another service.

    `more` are the keys that count besides, while keys are being turned.
    """
    if not token:
        raise errors.AssertionMissing
    mine = _signed.pop(token, None)
    if mine is not None and mine[0] == audience and mine[1] > time.time() and mine[2] in (key, *more):
        return mine[3]
    try:
        payload = _opened(token.encode("ascii"), (key, *more))
        is_over = payload["exp"] + SKEW_SECONDS <= time.time()  # it came from another process, maybe of another host
        if payload["iss"] != "linli-gateway" or payload["aud"] != audience or is_over:
            raise errors.AssertionMissing
        grant, key_told = payload.get("grant"), payload.get("key")
        return Caller(
            account_id=_id(payload["acc"]),
            account_no=payload["no"],
            person_id=_id(payload["per"]),
            holder_no=payload["hol"],
            name=payload["nam"],
            session_id=_id(payload["sid"]),
            has_second=payload["two"] is True,
            address=payload["adr"],
            roles=tuple(Role(role, prefix, _id(place)) for role, prefix, place in payload["rol"]),
            acts_for=tuple(
                ActsFor(_uuid(person), no, name, relation, tuple(services) if services is not None else None)
                for person, no, name, relation, services in payload["for"]
            ),
            key=_key(key_told) if key_told else None,
            grant=_grant(grant) if grant else None,
        )
    except (KeyError, TypeError, ValueError) as error:
        raise errors.AssertionMissing from error


def _opened(token: bytes, keys: Sequence[bytes]) -> dict[str, Any]:
    signed, _, mac = token.rpartition(b".")
    if not signed.startswith(_HEAD) or not any(
        hmac.compare_digest(mac, base64.urlsafe_b64encode(hmac.digest(key, signed, "sha256")).rstrip(b"="))
        for key in keys
    ):
        raise errors.AssertionMissing
    body = signed[len(_HEAD) :]
    payload: dict[str, Any] = wire.loads(base64.urlsafe_b64decode(body + b"=" * (-len(body) % 4)))
    return payload


@lru_cache(maxsize=20_000)  # the same slots, places and people come by the thousand
def _uuid(text: str) -> uuid.UUID:
    return uuid.UUID(text)


def _id(text: str | None) -> uuid.UUID | None:
    return _uuid(text) if text else None


def _key(told: Any) -> Key:
    made, prefix, types, operations, place = told
    return Key(_uuid(made), prefix, tuple(types), tuple(operations), _id(place))


def _grant(told: dict[str, Any]) -> Grant:
    return Grant(
        uuid.UUID(told["group"]),
        datetime.fromisoformat(told["until"]),
        tuple(
            GrantedClaim(uuid.UUID(claim), _uuid(slot), no, _uuid(person), name, units, band)
            for claim, slot, no, person, name, units, band in told["claims"]
        ),
        tuple(_granted_slot(*one) for one in told["slots"]),
    )


def _granted_slot(  # noqa: PLR0913, PLR0917 - the members of a GrantedSlot, as JSON tells them
    slot: str,
    place: str,
    place_name: str,
    title: str,
    community: str,
    starts_at: str,
    ends_at: str,
    cancel_by: str | None,
    state: str,
    subject: str | None,
    resource: str | None,
    resource_name: str | None,
) -> GrantedSlot:
    return GrantedSlot(
        _uuid(slot),
        _uuid(place),
        place_name,
        title,
        community,
        datetime.fromisoformat(starts_at),
        datetime.fromisoformat(ends_at),
        datetime.fromisoformat(cancel_by) if cancel_by else None,
        state,
        _id(subject),
        _id(resource),
        resource_name,
    )
