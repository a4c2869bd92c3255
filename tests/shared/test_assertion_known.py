"""An assertion that this process has just signed is known by sight: that saves reading it, and opens nothing."""

from __future__ import annotations

import base64
import time
import uuid

import pytest

from shared import assertion, errors, wire
from shared.assertion import Caller

KEY, OTHER_KEY = b"k" * 32, b"o" * 32
CALLER = Caller(account_id=uuid.uuid4(), account_no=7, person_id=uuid.uuid4(), holder_no=9, name="居民")


def known() -> str:
    return assertion.sign(CALLER, audience="booking", key=KEY, known=True)


def test_it_tells_the_same_as_one_that_is_read_and_tells_it_once() -> None:
    token = known()
    assert assertion.verify(token, audience="booking", key=KEY) == CALLER
    with pytest.raises(errors.AssertionMissing):
        assertion.verify(token, audience="booking", key=KEY)
    read = assertion.verify(assertion.sign(CALLER, audience="booking", key=KEY), audience="booking", key=KEY)
    assert read == CALLER


def test_it_names_nobody_and_no_two_are_alike() -> None:
    one, other = known(), known()
    assert one != other
    body = one.split(".")[1]
    said = wire.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
    assert said.keys() == {"iss", "aud", "iat", "exp", "jti"}


def test_another_service_another_deployment_and_a_changed_one_are_refused() -> None:
    for audience, key in (("identity", KEY), ("booking", OTHER_KEY)):
        with pytest.raises(errors.AssertionMissing):
            assertion.verify(known(), audience=audience, key=key)
    token = known()
    with pytest.raises(errors.AssertionMissing):
        assertion.verify(token[:-2] + ("AA" if token[-2:] != "AA" else "BB"), audience="booking", key=KEY)


def test_it_is_refused_when_its_seconds_are_over(monkeypatch: pytest.MonkeyPatch) -> None:
    token, later = known(), time.time() + assertion.LIFE_SECONDS + 1
    monkeypatch.setattr(time, "time", lambda: later)
    with pytest.raises(errors.AssertionMissing):
        assertion.verify(token, audience="booking", key=KEY)
