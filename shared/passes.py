"""Passes: one person's place as a code to show at a door, verified there without a network (JWS, EdDSA).

A pass says which claim it is of, and for which place and time. It says nothing about the person, and it is a claim on paper
rather than the claim: whoever has the ledger at hand looks there whether it still stands. Its type keeps it apart from the
access tokens that the same keys sign.
"""

from __future__ import annotations

import hmac
import io
import secrets
import unicodedata
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import jwt
import segno
from pydantic import Field

from shared import clock, crypto, errors, wire
from shared.claiming import Moment
from shared.crypto import Keyring
from shared.texts import say
from shared.tokens import ISSUER
from shared.web import Out

TYPE: Final = "pass+jwt"
MARGIN: Final = timedelta(minutes=60)
"""How long before the beginning and after the end a pass is good: people come early, and leave late."""
DIGITS: Final = 8
_LONGEST: Final = 2048
"""Characters; ours have a quarter of that."""
_JWS = jwt.PyJWS(algorithms=["EdDSA"])


class Pass(Out):
    """What is shown at the door."""

    token: str = Field(
        description=say("A JWS that /.well-known/jwks.json verifies.", "可用 /.well-known/jwks.json 验证的 JWS。")
    )
    code: str = Field(
        description=say(
            "Eight digits for whoever has no screen; the same each time.", "八位数字，供不使用手机者出示；每次相同。"
        )
    )
    expires_at: Moment
    svg: str = Field(description=say("The token as a QR code.", "令牌的二维码（SVG）。"))


def code_of(keys: Keyring, claim_id: uuid.UUID) -> str:
    """The claim's eight digits. They never change, because people write them down."""
    made = int.from_bytes(crypto.blind_index(keys, str(claim_id), column="passes.code"))
    return f"{made % 10**DIGITS:0{DIGITS}}"


def matches(keys: Keyring, claim_id: uuid.UUID, code: str) -> bool:
    """Whether these are the claim's digits, however they were grouped or typed."""
    told = "".join(unicodedata.normalize("NFKC", code).split())
    return hmac.compare_digest(told.encode(errors="replace"), code_of(keys, claim_id).encode())


def issue(
    keys: Keyring, *, claim_id: uuid.UUID, facility_id: uuid.UUID, starts_at: datetime, ends_at: datetime
) -> Pass:
    """The pass of one claim. It draws, which takes tens of milliseconds: call it in a thread of its own."""
    newest = keys.signing[0]
    expires_at = ends_at + MARGIN
    payload = {
        "iss": ISSUER,
        "aud": facility_id,
        "sub": claim_id,
        "jti": secrets.token_urlsafe(9),
        "nbf": int((starts_at - MARGIN).timestamp()),
        "exp": int(expires_at.timestamp()),
    }
    token = _JWS.encode(
        wire.dumps(payload), newest.private, algorithm="EdDSA", headers={"typ": TYPE, "kid": newest.kid}
    )
    return Pass(token=token, code=code_of(keys, claim_id), expires_at=expires_at, svg=_drawn(token))


def _drawn(token: str) -> str:
    drawing = io.BytesIO()
    segno.make_qr(token, error="l", boost_error=False).save(
        drawing, kind="svg", xmldecl=False, svgns=True, omitsize=True, nl=False
    )
    return drawing.getvalue().decode()


def verify(
    keys: Keyring, token: str, *, facility_id: uuid.UUID, now: datetime, has_own_hours: bool = False
) -> uuid.UUID:
    """The claim that a pass is of, at this place and time. Whether the claim still stands is the ledger's to say.

    A pass that is shown too early is told so, and when its door opens; `has_own_hours`: the door itself says that.
    """
    if len(token) > _LONGEST:
        raise errors.PassInvalid
    try:
        header: dict[str, Any] = jwt.get_unverified_header(token)
        key = next((one.public for one in keys.signing if one.kid == header["kid"]), None)
        if key is None or header.get("typ") != TYPE:
            raise errors.PassInvalid
        payload = wire.loads(_JWS.decode(token, key, algorithms=["EdDSA"]))
        if (
            payload["iss"] != ISSUER
            or payload["aud"] != str(facility_id)
            or not payload["nbf"] < payload["exp"]
            or now.timestamp() >= payload["exp"]
        ):
            raise errors.PassInvalid
        if now.timestamp() < payload["nbf"] and not has_own_hours:
            raise errors.TooEarly(opens_at=clock.local(datetime.fromtimestamp(payload["nbf"], UTC)))
        return uuid.UUID(payload["sub"])
    except (jwt.InvalidTokenError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise errors.PassInvalid from error
