"""Refusals: one code, one meaning, told in both languages."""

from __future__ import annotations

import importlib
import re

import pytest

from shared import errors
from tests.house.house import modules

# A refusal may be made anywhere; all of them are known once every module that knows `errors` was read.
for name, path in modules().items():
    if name.startswith(("shared", "services")) and "errors" in path.read_text(encoding="utf-8"):
        importlib.import_module(name)

EVERY = list(errors.every())
ROOTS = {
    errors.Unreadable: 400,
    errors.NotKnown: 401,
    errors.NotAllowed: 403,
    errors.NotThere: 404,
    errors.MethodNotAllowed: 405,
    errors.Conflict: 409,
    errors.Gone: 410,
    errors.Changed: 412,
    errors.TooLarge: 413,
    errors.WrongMediaType: 415,
    errors.Unprocessable: 422,
    errors.ConditionMissing: 428,
    errors.TooMany: 429,
    errors.Broken: 500,
    errors.Unavailable: 503,
}


@pytest.mark.parametrize("kind", EVERY, ids=lambda kind: kind.__name__)
def test_a_refusal_says_one_sentence_in_each_language(kind: type[errors.Refusal]) -> None:
    assert "\n" not in kind.title("en")
    assert kind.title("en").endswith(".")
    assert re.fullmatch(r"[\x20-\x7e]+", kind.title("en"))
    assert kind.title("zh").endswith("。")
    assert re.search(r"[\u4e00-\u9fff]", kind.title("zh"))


@pytest.mark.parametrize("kind", EVERY, ids=lambda kind: kind.__name__)
def test_a_code_is_snake_case_and_found(kind: type[errors.Refusal]) -> None:
    assert re.fullmatch(r"[a-z]+(_[a-z]+)*", kind.code)
    found = errors.by_code(kind.code)
    assert issubclass(kind, found)
    assert found.status == kind.status


def test_no_two_meanings_share_a_code_or_a_sentence() -> None:
    meanings = [kind for kind in EVERY if errors.by_code(kind.code) is kind]
    for told in ([kind.code for kind in meanings], *([kind.title(lang) for kind in meanings] for lang in ("en", "zh"))):
        assert sorted({one for one in told if told.count(one) > 1}) == []


def test_a_kind_that_shares_a_code_is_its_own_parents_child_and_not_in_the_vocabulary() -> None:
    for kind in EVERY:
        meant = errors.by_code(kind.code)
        assert kind is meant or (issubclass(kind, meant) and not kind.__module__.startswith(errors.__name__)), kind


def test_one_code_has_one_title() -> None:
    for kind in EVERY:
        for lang in ("en", "zh"):
            assert kind.title(lang) == errors.by_code(kind.code).title(lang), kind


def test_the_tree_says_the_status() -> None:
    assert set(errors.Refusal.__subclasses__()) == set(ROOTS)
    assert {kind: kind.status for kind in ROOTS} == ROOTS
    allowed = {errors.ServiceSlow: 504, errors.ProviderSlow: 504}
    for kind in EVERY:
        root = next(one for one in ROOTS if issubclass(kind, one))
        assert kind.status == allowed.get(kind, ROOTS[root]), kind


def test_an_unknown_code_is_an_error_of_ours() -> None:
    with pytest.raises(LookupError):
        errors.by_code("no_such_code")


def test_the_arbiters_reasons_are_in_the_vocabulary() -> None:
    text = modules()["services.gateway.arbiter.rules"].read_text(encoding="utf-8")
    codes = set(re.findall(r'\b(?:No|Refused)\("(\w+)"', text))
    assert {"full", "overlaps", "not_open_yet", "key_reused"} <= codes
    for code in codes:
        assert errors.by_code(code).status in (403, 404, 409, 422), code
