"""The document that others build on: whole, valid, in two languages, and never changed by accident."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from services import SERVICES, notice_types
from services.gateway.console import document, write_pins
from services.gateway.console.document import OPEN
from shared import errors
from shared.texts import LANGUAGES, is_bilingual

DOCS = Path(__file__).resolve().parents[2] / "docs"
REFRESH = "docs/openapi.*.json differ from the code; if the change is meant, run: script/linli openapi --write"


def operations(lang: str) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Path, verb and operation."""
    for path, item in document(lang)["paths"].items():
        for verb, operation in item.items():
            yield path, verb, operation


def by_id(lang: str) -> dict[str, dict[str, Any]]:
    return {operation["operationId"]: operation for _, _, operation in operations(lang)}


def resolved(told: dict[str, Any], lang: str) -> dict[str, Any]:
    """What a reference points to."""
    while "$ref" in told:
        found: Any = document(lang)
        for step in told["$ref"].removeprefix("#/").split("/"):
            found = found[step]
        told = found
    return told


def strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, one in value.items():
            yield key
            yield from strings(one)
    elif isinstance(value, list):
        for one in value:
            yield from strings(one)


def fields(schema: Any, name: str, told: str = "") -> Iterator[tuple[str, str, list[str]]]:
    """Every list of words in a schema: where it is, what is said of it, and the words."""
    if not isinstance(schema, dict):
        return
    told = schema.get("description", "") or told
    words = [*schema.get("enum", ()), *([schema["const"]] if "const" in schema else [])]
    if any(isinstance(word, str) for word in words):
        yield name, told, [word for word in words if isinstance(word, str)]
    for inner in ("properties", "$defs"):
        for key, one in schema.get(inner, {}).items():
            yield from fields(one, f"{name}.{key}")
    for one in (*schema.get("anyOf", ()), *schema.get("oneOf", ()), *schema.get("allOf", ()), schema.get("items")):
        yield from fields(one, name, told)


def word_lists(lang: str) -> dict[str, tuple[str, list[str]]]:
    found: dict[str, tuple[str, list[str]]] = {}
    told = document(lang)
    for name, schema in told["components"]["schemas"].items():
        found |= {where: (said, words) for where, said, words in fields(schema, name)}
    for path, verb, operation in operations(lang):
        for parameter in operation.get("parameters", ()):
            one = resolved(parameter, lang)
            where = f"{verb} {path} {one['name']}"
            found |= {at: (said, words) for at, said, words in fields(one["schema"], where, one.get("description", ""))}
    return found


def test_it_is_valid_openapi() -> None:
    OpenAPIV31SpecValidator(document("en")).validate()


def test_its_languages_differ_in_words_only() -> None:
    def shape(told: Any) -> Any:
        match told:
            case dict():
                is_text = isinstance(told.get("description"), str)  # some of the code's own are in English alone
                return {name: shape(one) for name, one in told.items() if not (name == "description" and is_text)}
            case list():
                return [shape(one) for one in told]
        return type(told)

    assert shape(document("zh")) == shape(document("en"))


@pytest.mark.parametrize("lang", LANGUAGES)
def test_it_is_the_pinned_one(lang: str) -> None:
    path = DOCS / f"openapi.{lang}.json"
    assert path.exists(), REFRESH
    assert json.loads(path.read_text(encoding="utf-8")) == json.loads(json.dumps(document(lang))), REFRESH


def test_the_pins_are_written_as_they_are_read(tmp_path: Path) -> None:
    assert [json.loads(path.read_text(encoding="utf-8"))["paths"] for path in write_pins(tmp_path)] == [
        document(lang)["paths"] for lang in LANGUAGES
    ]


@pytest.mark.parametrize("lang", LANGUAGES)
def test_no_text_holds_two_languages(lang: str) -> None:
    assert [text for text in strings(document(lang)) if is_bilingual(text)] == []


def test_both_languages_say_the_same_things() -> None:
    def bare(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: bare(one) for key, one in value.items() if key not in {"summary", "description"}}
        return [bare(one) for one in value] if isinstance(value, list) else value

    assert bare(document("zh")) == bare(document("en"))


def test_every_operation_speaks_both_languages() -> None:
    zh, en = by_id("zh"), by_id("en")
    wrong = [f"{name} summary" for name, one in en.items() if one["summary"] == zh[name]["summary"]]
    wrong += [
        f"{name} description"
        for name, one in en.items()
        if "description" in one | zh[name] and one.get("description") == zh[name].get("description")
    ]
    assert wrong == [], "write them with shared.texts.say"


def test_every_parameter_and_answer_speaks_both_languages() -> None:
    wrong = []
    zh = by_id("zh")
    for path, verb, operation in operations("en"):
        other = zh[operation["operationId"]]
        pairs = [
            (resolved(a, "en")["name"], resolved(a, "en"), resolved(b, "zh"))
            for a, b in zip(operation.get("parameters", ()), other.get("parameters", ()), strict=True)
        ]
        pairs += [
            (status, resolved(one, "en"), resolved(other["responses"][status], "zh"))
            for status, one in operation["responses"].items()
        ]
        wrong += [
            f"{verb} {path}: {name}"
            for name, one, two in pairs
            if not one.get("description") or one["description"] == two.get("description")
        ]
    assert wrong == [], "write them with shared.texts.say"


def test_every_word_of_every_list_is_explained_in_both_languages() -> None:
    zh, en = word_lists("zh"), word_lists("en")
    wrong = []
    for where, (said, words) in en.items():
        other = zh[where][0]
        for word in words:
            line = re.compile(rf"`{re.escape(word)}`")
            silent = re.compile(rf"^- `{re.escape(word)}`[：:] *$", re.MULTILINE)
            if any(not line.search(text) or silent.search(text) for text in (said, other)) or said == other:
                wrong.append(f"{where}: {word}")
    assert wrong == [], "say what these mean in services/gateway/console/words/meanings.py, MEANINGS"


@pytest.mark.parametrize("lang", LANGUAGES)
def test_no_word_is_listed_without_its_meaning(lang: str) -> None:
    silent = re.compile(r"(?:^|\\n)- `[^`]+`[：:] *(?:\\n|\"|$)")
    found = [one.group() for one in silent.finditer(json.dumps(document(lang), ensure_ascii=False))]
    assert found == []


@pytest.mark.parametrize("lang", LANGUAGES)
def test_whatever_shows_a_token_says_how_tokens_are_made(lang: str) -> None:
    schemes = document(lang)["components"]["securitySchemes"]
    assert [name for name, one in schemes.items() if "RFC8725" not in one["description"]] == []


def test_operation_ids_are_unique_and_say_what_they_do() -> None:
    ids = [operation["operationId"] for _, _, operation in operations("en")]
    assert len(ids) == len(set(ids))
    assert [one for one in ids if not re.fullmatch(r"[a-z][a-z-]*(\.[a-z][a-z_-]*){1,3}", one)] == []


def test_every_tag_is_explained_and_they_come_in_the_order_of_a_day() -> None:
    for lang in LANGUAGES:
        tags = document(lang)["tags"]
        assert [tag["name"] for tag in tags if not tag.get("description")] == []
        names = [tag["name"] for tag in tags]
        assert names[:2] == ["slots", "claims"]
        seen = [operation["tags"][0] for _, _, operation in operations(lang)]
        assert [*dict.fromkeys(seen), "webhooks"] == names


def test_open_operations_are_marked_and_exist() -> None:
    marked = {name for name, one in by_id("en").items() if {} in one.get("security", [])}
    assert {"slots.list", "regions.read", "booking.facilities.list", "identity.codes.create"} <= marked
    assert marked == OPEN & set(by_id("en"))
    assert document("en")["security"] == [{"bearer": []}, {"staff": []}]


def test_a_claim_needs_its_key_and_an_edit_what_was_read() -> None:
    for service in SERVICES:
        if service.collection:
            claim = document("en")["paths"][f"/v1/{service.name}/{service.collection}"]["post"]
            names = {resolved(one, "en")["name"]: resolved(one, "en") for one in claim["parameters"]}
            assert names["Idempotency-Key"]["required"] is True
            assert re.fullmatch(names["Idempotency-Key"]["schema"]["pattern"], "0198f0aa-1.2_3:x")
            assert {"Location", "Idempotency-Replayed"} <= set(claim["responses"]["201"]["headers"])
    for path, verb, operation in operations("en"):
        needs = "428" in operation["responses"]
        names_of = {resolved(one, "en")["name"] for one in operation.get("parameters", ())}
        assert needs == ("If-Match" in names_of), f"{verb} {path}"
        if needs:
            read = document("en")["paths"][path]["get"]["responses"]["200"]
            assert "ETag" in read["headers"], path


def test_every_problem_code_is_in_one_list_with_its_sentence() -> None:
    for lang in LANGUAGES:
        told = document(lang)["components"]["schemas"]["Problem"]["properties"]["code"]
        assert set(told["enum"]) == {kind.code for kind in errors.every()}
        assert len(told["enum"]) == len(set(told["enum"]))
        for kind in errors.every():
            if kind is errors.by_code(kind.code):
                assert f"- `{kind.code}` ({kind.status}) {kind.title(lang)}" in told["description"]


@pytest.mark.parametrize("lang", LANGUAGES)
def test_every_refusal_is_a_problem_and_nothing_of_the_framework_shows(lang: str) -> None:
    text = json.dumps(document(lang))
    assert "HTTPValidationError" not in text
    assert "ValidationError" not in text
    for path, verb, operation in operations(lang):
        refused = {status: resolved(one, lang) for status, one in operation["responses"].items() if status >= "400"}
        assert {"401", "422", "429", "500", "503"} <= set(refused), f"{verb} {path}"
        for status, one in refused.items():
            assert list(one["content"]) == ["application/problem+json"], f"{verb} {path} {status}"
        assert "Retry-After" in refused["429"]["headers"]
        assert "Retry-After" in refused["503"]["headers"]


def test_every_reference_leads_somewhere_and_every_component_is_used() -> None:
    told = document("en")
    refs = set(re.findall(r'"\$ref": "#/components/(\w+)/([^"]+)"', json.dumps(told)))
    there = {
        (kind, name) for kind in ("schemas", "responses", "parameters", "headers") for name in told["components"][kind]
    }
    assert refs == there


def test_every_kind_of_notice_is_a_webhook_with_an_example_of_its_own_schema() -> None:
    for lang in LANGUAGES:
        hooks = document(lang)["webhooks"]
        assert set(hooks) == {kind.name for kind in notice_types()}
        for name, hook in hooks.items():
            media = hook["post"]["requestBody"]["content"]["application/json"]
            jsonschema_rs.Draft202012Validator(media["schema"]).validate(media["example"])
            assert media["example"]["type"] == name


def test_webhooks_speak_both_languages() -> None:
    zh, en = (document(lang)["webhooks"] for lang in ("zh", "en"))
    assert [name for name in en if en[name]["post"]["summary"] == zh[name]["post"]["summary"]] == []
