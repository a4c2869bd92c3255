"""Access tokens: what is not ours, not for us or no longer valid is refused."""

from __future__ import annotations

import base64
import json
import time
import uuid
from typing import Any

import jwt
import pytest

from shared import errors, tokens
from shared.crypto import Keyring

KEYS = Keyring.fresh()
ACCOUNT, PERSON, SESSION = uuid.uuid4(), uuid.uuid4(), uuid.uuid4()


def issued(keys: Keyring = KEYS, seconds: int = 60) -> str:
    return tokens.issue(
        keys,
        account_id=ACCOUNT,
        account_no=7,
        person_id=PERSON,
        holder_no=8,
        name="张三",
        session_id=SESSION,
        seconds=seconds,
    )


def signed(header: dict[str, Any] | None = None, **changed: Any) -> str:
    payload = jwt.decode(issued(), options={"verify_signature": False, "verify_aud": False}) | changed
    told = {"typ": "at+jwt", "kid": KEYS.signing[0].kid} | (header or {})
    return jwt.PyJWS().encode(json.dumps(payload).encode(), KEYS.signing[0].private, algorithm="EdDSA", headers=told)


def test_what_was_issued_is_read() -> None:
    claims = tokens.verify(KEYS, issued())
    assert (claims.account_id, claims.account_no, claims.person_id) == (ACCOUNT, 7, PERSON)
    assert (claims.holder_no, claims.name, claims.session_id) == (8, "张三", SESSION)
    assert 0 < claims.expires_at - time.time() <= 60
    assert "张三" not in repr(claims)


def test_an_account_without_a_person_has_a_token_too() -> None:
    token = tokens.issue(
        KEYS, account_id=ACCOUNT, account_no=7, person_id=None, holder_no=None, name="闸机", session_id=None, seconds=9
    )
    claims = tokens.verify(KEYS, token)
    assert (claims.person_id, claims.holder_no, claims.session_id) == (None, None, None)


def test_an_expired_token_says_so() -> None:
    with pytest.raises(errors.TokenExpired):
        tokens.verify(KEYS, issued(seconds=0))


def unsigned() -> str:
    head = base64.urlsafe_b64encode(json.dumps({"alg": "none", "typ": "at+jwt", "kid": KEYS.signing[0].kid}).encode())
    return f"{head.decode().rstrip('=')}.{issued().split('.')[1]}."


@pytest.mark.parametrize(
    "token",
    [
        issued(Keyring.fresh()),
        issued()[:-4] + "AAAA",
        unsigned(),
        signed(iss="somebody"),
        signed(aud="another"),
        signed(aud=["linli-api", "another"]),
        signed({"typ": "JWT"}),
        signed({"kid": "unknown"}),
        signed(sub="7"),
        signed(sub=None),
        signed(no=None),
        signed(exp="soon"),
        jwt.PyJWS().encode(b"[1]", KEYS.signing[0].private, "EdDSA", {"typ": "at+jwt", "kid": KEYS.signing[0].kid}),
        "",
        "a.b.c",
        "令牌",
        "x" * 5000,
    ],
)
def test_anything_else_is_not_known(token: str) -> None:
    with pytest.raises(errors.NotKnown) as refused:
        tokens.verify(KEYS, token)
    assert refused.type is errors.NotKnown


def test_every_key_of_the_ring_verifies_and_the_first_signs() -> None:
    rotated = Keyring.fresh()
    both = Keyring(
        deployment_id=rotated.deployment_id,
        signing=(*rotated.signing, *KEYS.signing),
        assertion=rotated.assertion,
        field=rotated.field,
        index=rotated.index,
    )
    assert tokens.verify(both, issued()).account_id == ACCOUNT
    assert tokens.verify(rotated, issued(both)).account_id == ACCOUNT
