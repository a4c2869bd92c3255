"""Access tokens: a short word, signed once by this deployment and verified anywhere offline (RFC 9068, EdDSA).

A token says who an account is, never what it may do: roles and relations are read fresh, so that a role taken away is
gone in seconds and not when the last token runs out.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Collection
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Final

import jwt

from shared import errors, wire
from shared.crypto import Keyring

ISSUER: Final = "linli"
"""Who signs what is not for frontends: passes, heads of the audit, and the tokens that a demo's command line makes."""
AUDIENCE: Final = "linli-api"
ONE_FACTOR: Final = "1"
TWO_FACTORS: Final = "2"
"""What a token's `acr` says of the login that it comes from."""
_TYPE: Final = "at+jwt"
_LONGEST: Final = 4096
"""Characters; ours have a tenth of that."""
_JWS = jwt.PyJWS(algorithms=["EdDSA"])


@dataclass(frozen=True, slots=True)
class Claims:
    """What a verified token says; `expires_at` in seconds of the epoch."""

    account_id: uuid.UUID
    account_no: int
    person_id: uuid.UUID | None
    holder_no: int | None
    name: str = field(repr=False)
    session_id: uuid.UUID | None
    has_second: bool
    expires_at: float


def issue(  # noqa: PLR0913 - the claims of the token
    keys: Keyring,
    *,
    account_id: uuid.UUID,
    account_no: int,
    person_id: uuid.UUID | None,
    holder_no: int | None,
    name: str,
    session_id: uuid.UUID | None,
    seconds: int,
    issuer: str = ISSUER,
    has_second: bool = False,
) -> str:
    """A new access token; `issuer` is the address by which the outside knows us."""
    now = int(time.time())
    newest = keys.signing[0]
    payload = {
        "iss": issuer,
        "aud": AUDIENCE,
        "sub": account_id,
        "no": account_no,
        "per": person_id,
        "hol": holder_no,
        "nam": name,
        "sid": session_id,
        "acr": TWO_FACTORS if has_second else ONE_FACTOR,
        "iat": now,
        "exp": now + seconds,
        "jti": uuid.uuid4(),
    }
    return _JWS.encode(
        wire.dumps(payload), newest.private, algorithm="EdDSA", headers={"typ": _TYPE, "kid": newest.kid}
    )


@lru_cache(maxsize=64)
def _header(segment: str) -> dict[str, Any]:
    """What the first part of a token says: the same few words in all of ours."""
    return jwt.get_unverified_header(segment + "..")


def verify(keys: Keyring, token: str, *, issuers: Collection[str] = (ISSUER,)) -> Claims:
    """What the token says. Refuses what is malformed, forged, of another issuer, meant for somebody else, or expired."""
    if len(token) > _LONGEST:
        raise errors.NotKnown
    try:
        header = _header(token.partition(".")[0])
        key = next((one.public for one in keys.signing if one.kid == header["kid"]), None)
        if key is None or header.get("typ") != _TYPE:
            raise errors.NotKnown
        payload = wire.loads(_JWS.decode(token, key, algorithms=["EdDSA"]))
        if payload["iss"] not in issuers or payload["aud"] != AUDIENCE:
            raise errors.NotKnown
        claims = Claims(
            account_id=uuid.UUID(payload["sub"]),
            account_no=int(payload["no"]),
            person_id=uuid.UUID(payload["per"]) if payload["per"] else None,
            holder_no=payload["hol"],
            name=payload["nam"],
            session_id=uuid.UUID(payload["sid"]) if payload["sid"] else None,
            has_second=payload.get("acr") == TWO_FACTORS,
            expires_at=float(payload["exp"]),
        )
    except (jwt.InvalidTokenError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise errors.NotKnown from error
    if claims.expires_at <= time.time():
        raise errors.TokenExpired
    return claims
