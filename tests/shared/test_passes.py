"""Passes: verified by anybody with the public keys, good for one place and time, and never a login."""

from __future__ import annotations

import json
import re
import uuid
from datetime import datetime, timedelta
from typing import Any
from xml.etree import ElementTree as ET

import jwt
import pytest

from shared import clock, crypto, errors, passes, tokens
from shared.crypto import Keyring

KEYS = Keyring.fresh()
CLAIM, PLACE = clock.uuid7(), uuid.uuid4()
STARTS = clock.now().replace(microsecond=0)
ENDS = STARTS + timedelta(hours=1)


def issued(keys: Keyring = KEYS) -> passes.Pass:
    return passes.issue(keys, claim_id=CLAIM, facility_id=PLACE, starts_at=STARTS, ends_at=ENDS)


def verified(token: str, *, keys: Keyring = KEYS, place: uuid.UUID = PLACE, now: datetime = STARTS) -> uuid.UUID:
    return passes.verify(keys, token, facility_id=place, now=now)


def signed(header: dict[str, Any] | None = None, **changed: Any) -> str:
    payload = jwt.decode(issued().token, options={"verify_signature": False}) | changed
    told = {"typ": "pass+jwt", "kid": KEYS.signing[0].kid} | (header or {})
    return jwt.PyJWS().encode(json.dumps(payload).encode(), KEYS.signing[0].private, algorithm="EdDSA", headers=told)


def access() -> str:
    return tokens.issue(
        KEYS, account_id=PLACE, account_no=7, person_id=None, holder_no=None, name="", session_id=None, seconds=60
    )


def test_a_door_verifies_a_pass_with_the_public_keys_alone() -> None:
    known = jwt.PyJWKSet.from_dict(crypto.jwks(KEYS))
    token = issued().token
    header = jwt.get_unverified_header(token)
    payload = jwt.decode(token, known[header["kid"]].key, algorithms=["EdDSA"], audience=str(PLACE), issuer="linli")
    assert header["typ"] == "pass+jwt"
    assert payload["sub"] == str(CLAIM)
    assert payload["nbf"] == (STARTS - timedelta(hours=1)).timestamp()
    assert payload["exp"] == (ENDS + timedelta(hours=1)).timestamp()
    assert set(payload) == {"iss", "aud", "sub", "jti", "nbf", "exp"}, "nothing about the person"
    assert payload["jti"] != jwt.decode(issued().token, options={"verify_signature": False})["jti"]
    with pytest.raises(jwt.InvalidAudienceError):
        jwt.decode(token, known[header["kid"]].key, algorithms=["EdDSA"], audience=str(uuid.uuid4()), issuer="linli")


def test_a_pass_is_good_from_an_hour_before_until_an_hour_after() -> None:
    token, hour, second = issued().token, timedelta(hours=1), timedelta(seconds=1)
    for good in (STARTS - hour, STARTS, ENDS, ENDS + hour - second):
        assert verified(token, now=good) == CLAIM
    with pytest.raises(errors.PassInvalid):
        verified(token, now=ENDS + hour)
    with pytest.raises(errors.TooEarly) as early:
        verified(token, now=STARTS - hour - second)
    assert early.value.extra["opens_at"] == STARTS - hour
    assert passes.verify(KEYS, token, facility_id=PLACE, now=STARTS - timedelta(days=9), has_own_hours=True) == CLAIM
    assert issued().expires_at == ENDS + hour


@pytest.mark.parametrize(
    "token",
    [
        issued(Keyring.fresh()).token,
        issued().token[:-4] + "AAAA",
        access(),
        signed(iss="somebody"),
        signed(aud=str(uuid.uuid4())),
        signed(aud=[str(PLACE)]),
        signed({"typ": "at+jwt"}),
        signed({"typ": "JWT"}),
        signed({"kid": "unknown"}),
        signed(sub="7"),
        signed(sub=None),
        signed(nbf=None),
        signed(exp="soon"),
        jwt.encode({"sub": str(CLAIM)}, "a secret of thirty-two bytes or so", algorithm="HS256"),
        jwt.PyJWS().encode(b"[1]", KEYS.signing[0].private, "EdDSA", {"typ": "pass+jwt", "kid": KEYS.signing[0].kid}),
        "",
        "a.b.c",
        "通行",
        "x" * 5000,
    ],
)
def test_anything_else_opens_no_door(token: str) -> None:
    with pytest.raises(errors.PassInvalid):
        verified(token)


def test_a_pass_for_one_place_opens_no_other() -> None:
    with pytest.raises(errors.PassInvalid):
        verified(issued().token, place=uuid.uuid4())


def test_a_pass_is_no_login() -> None:
    for token in (issued().token, signed(aud="linli-api", no=7, per=None, hol=None, nam="", sid=None)):
        with pytest.raises(errors.NotKnown):
            tokens.verify(KEYS, token)


def test_the_code_is_the_claims_for_ever() -> None:
    code = issued().code
    assert re.fullmatch(r"[0-9]{8}", code)
    assert code == issued().code == passes.code_of(KEYS, uuid.UUID(str(CLAIM)))
    assert code != passes.code_of(Keyring.fresh(), CLAIM)
    some = {passes.code_of(KEYS, clock.uuid7()) for _ in range(1000)}
    assert len(some) > 990
    assert {len(one) for one in some} == {8}
    assert min(some) < "05000000", "leading zeros stay"


def test_a_code_may_be_written_in_groups_or_typed_wide() -> None:
    code = passes.code_of(KEYS, CLAIM)
    wide = code.translate({ord("0") + n: 0xFF10 + n for n in range(10)})
    for told in (code, f"{code[:4]} {code[4:]}", wide):
        assert passes.matches(KEYS, CLAIM, told)
    for told in ("", code[:-1], code + "0", "八位数字", "\ud800", passes.code_of(KEYS, clock.uuid7())):
        assert not passes.matches(KEYS, CLAIM, told)


def test_the_drawing_stands_in_a_page_by_itself() -> None:
    drawn = issued().svg
    assert drawn.startswith("<svg ")
    assert ET.fromstring(drawn).tag == "{http://www.w3.org/2000/svg}svg"
    assert len(drawn) < 20_000
