"""A broken constraint is heard as a refusal, if it has a meaning; anything else stays what it is."""

from __future__ import annotations

import asyncpg
import pytest

from shared import db, errors


def broken(constraint: str) -> None:
    error = asyncpg.UniqueViolationError("no")
    error.constraint_name = constraint
    with db.referee({"one_place_per_person": lambda: errors.Exists.at("/person", "taken")}):
        raise error


def test_a_constraint_with_a_meaning_is_a_refusal_that_says_where() -> None:
    with pytest.raises(errors.Exists) as told:
        broken("one_place_per_person")
    assert told.value.extra == {"errors": [{"in": "body", "pointer": "/person", "code": "taken"}]}


def test_another_one_is_nobodys_refusal() -> None:
    with pytest.raises(asyncpg.UniqueViolationError):
        broken("one_name_each")
