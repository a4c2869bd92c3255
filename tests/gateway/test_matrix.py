"""Everybody at every door: personas × routes out of the OpenAPI document; unknown things and other people's things.

The routes come from the document and the people from the demo town, so a new route or persona is asked without being
named here. Only what belongs to whom is said below.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from services.cli import town as demo_town
from services.cli.town import personas
from services.gateway.console.document import document
from shared import clock, embedded
from shared.crypto import Keyring
from shared.db import Database
from tests.conftest import copy_of
from tests.gateway import doors
from tests.gateway.test_front import Front, opened

EVERYBODY = ("nobody", *(one.key for one in personas.PERSONAS))
DOCUMENT = document("en")


class Operation(NamedTuple):
    """One route of the document."""

    id: str
    method: str
    path: str
    told: dict[str, Any]

    @property
    def names(self) -> list[str]:
        """What its path names."""
        return re.findall(r"{(\w+)}", self.path)


OPERATIONS = [
    Operation(told["operationId"], method.upper(), path, told)
    for path, item in DOCUMENT["paths"].items()
    for method, told in item.items()
    if method in ("get", "put", "post", "delete")
]


def least(schema: dict[str, Any], depth: int = 0) -> Any:  # noqa: C901, PLR0912 - one case a kind of schema
    """The least value that a schema allows, more or less."""
    if "$ref" in schema:
        return least(DOCUMENT["components"]["schemas"][schema["$ref"].rpartition("/")[2]], depth + 1)
    for several in ("anyOf", "oneOf", "allOf"):
        if several in schema:
            return least(schema[several][0], depth + 1)
    if "const" in schema:
        return schema["const"]
    if "enum" in schema:
        return schema["enum"][0]
    match schema.get("type"), schema.get("format"):
        case "object", _:
            known = schema.get("properties", {})
            return {name: least(known[name], depth + 1) for name in schema.get("required", []) if name in known}
        case "array", _:
            return [least(schema["items"], depth + 1)] * max(schema.get("minItems", 0), 0)
        case "string", "uuid":
            return str(uuid.uuid4())
        case "string", "date":
            return clock.today().isoformat()
        case "string", "date-time":
            return clock.now().isoformat()
        case "string", _:
            return (
                "330424101003"
                if "[0-9]{2,12}" in schema.get("pattern", "")
                else "12:00"
                if "pattern" in schema
                else "x"
            )
        case "integer" | "number", _:
            return max(1, schema.get("minimum", 1))
        case "boolean", _:
            return True
    return None


def body_of(operation: Operation) -> Any:
    content = operation.told.get("requestBody", {}).get("content", {}).get("application/json")
    return least(content["schema"]) if content else None


def filled(operation: Operation, ids: dict[str, str]) -> str:
    """The path with these ids, and with made-up ones for the rest."""
    kinds = {one["name"]: one["schema"] for one in operation.told.get("parameters", []) if one.get("in") == "path"}
    path = operation.path
    for name in operation.names:
        path = path.replace("{" + name + "}", ids.get(name) or str(least(kinds.get(name, {"type": "string"}))))
    return path


class Everybody(NamedTuple):
    """The demo town behind a gateway, and everybody's token."""

    front: Front
    tokens: dict[str, str | None]

    def ask(self, persona: str, method: str, path: str, body: Any = None, **more: Any) -> Any:
        headers = {"Accept-Language": "en", "Idempotency-Key": uuid.uuid4().hex, "If-Match": '"nothing-like-it"'}
        if self.tokens[persona] is not None:
            headers["Authorization"] = f"Bearer {self.tokens[persona]}"
        asked = {"json": body} if body is not None else {}
        return self.front.ask(method, path, headers=headers | more.pop("headers", {}), **asked, **more)


@pytest.fixture(scope="module")
def town(server: embedded.Embedded, template: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Everybody]:
    keys = Keyring.fresh()
    with copy_of(server, template) as url, contextlib.ExitStack() as stack:
        demo_town.build(url, keys, residents=20, seed=7, show=False)

        async def tokens() -> dict[str, str]:
            db = Database.connect(url, pool_size=1)
            try:
                return {one.key: await personas.token(db, keys, one.key) for one in personas.PERSONAS}
            finally:
                await db.close()

        known: dict[str, str | None] = {"nobody": None, **asyncio.run(tokens())}
        folder: Path = tmp_path_factory.mktemp("matrix")
        settings = doors.demo(folder, account_burst=100_000, address_burst=1_000_000)
        front = stack.enter_context(opened(url, keys, settings))
        yield Everybody(front, known)


def is_declared(operation: Operation, status: int) -> bool:
    known = operation.told["responses"]
    return str(status) in known or (400 <= status < 500 and "4XX" in known)


@pytest.mark.parametrize("persona", EVERYBODY)
def test_nobody_finds_what_is_not_there_and_no_answer_is_undeclared(town: Everybody, persona: str) -> None:
    wrong = []
    for one in OPERATIONS:
        answer = town.ask(
            persona, one.method, filled(one, {}), body_of(one), params={"wait": 0} if "notices" in one.id else {}
        )
        where = f"{persona} {one.id}: {answer.status_code} {answer.text[:120]}"
        if answer.status_code >= 500 or not is_declared(one, answer.status_code):
            wrong.append(where)
        elif answer.status_code >= 400:
            if answer.headers["content-type"] != "application/problem+json" or "code" not in answer.json():
                wrong.append("no problem: " + where)
        elif any(name.endswith("_id") for name in one.names) and one.method != "DELETE":
            wrong.append("found: " + where)
    assert wrong == []


@pytest.mark.parametrize("persona", EVERYBODY)
def test_hostile_ids_find_nothing(town: Everybody, persona: str) -> None:
    wrong = []
    for one in OPERATIONS:
        for hostile in ("%00", "..%2f..%2fetc", "1' OR '1'='1", "0" * 300, "-1", "\u202e", "%F0%9F%92%A9"):
            if not one.names:
                continue
            answer = town.ask(persona, one.method, filled(one, dict.fromkeys(one.names, hostile)), body_of(one))
            if answer.status_code >= 500 or answer.status_code < 300:
                wrong.append(f"{persona} {one.id} {hostile!r}: {answer.status_code} {answer.text[:100]}")
    assert wrong == []
