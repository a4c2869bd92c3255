"""One OpenAPI 3.1 document of the gateway and of all services, in each language. Built without a database.

FastAPI describes the routes; what it cannot know is added here: who may ask without a token, which headers travel, what
every problem and every word of a list means. What it says wrongly (its own error body) is taken out.
"""

from __future__ import annotations

import json
import re
import threading
import tomllib
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any, Final, cast

from fastapi.openapi.utils import get_openapi

from services import SERVICES, load
from services.gateway.console import webhooks, words
from services.gateway.console.bounds import bounded
from services.gateway.console.names import names_of, renamed
from services.gateway.console.words.meanings import meaning
from shared import errors, problems
from shared.crypto import Keyring
from shared.db import Database
from shared.settings import Settings
from shared.texts import LANGUAGES, choose, is_bilingual, say, translated
from shared.web import EVERYWHERE, Context, refuses

Json = dict[str, Any]

ALL: Final = {**EVERYWHERE, **refuses(errors.Broken)}
"""What any operation may answer: that of `shared.web`, and what nobody plans."""

_BUILDING: Final = threading.Lock()
"""FastAPI makes a route's fields when it first needs them, and two threads at it fall over each other."""

_PLACES: Final = ("list", "read", "read_schedule", "read_policy", "list_closures", "read_closure", "occupancy")
_SERVED: Final = ("booking.facilities", "elder-meals.kitchens", "childcare.rooms")
OPEN: Final = frozenset(
    {
        "slots.list",
        "slots.read",
        "regions.list",
        "regions.read",
        "days.list",
        "identity.codes.create",
        "identity.sessions.create",
        "identity.sessions.refresh",
        "identity.providers.list",
        "identity.purposes.list",
        "identity.retention.list",
        "childcare.rooms.now",
        "partners.types.list",
        *(f"open.{one}" for one in ("slots.list", "dataset.read")),
        *(f"{places}.{verb}" for places in _SERVED for verb in _PLACES),
        *(f"events.{kind}.{verb}" for kind in ("events", "series") for verb in ("list", "read", "read_feedback")),
        "events.calendar.read",
    }
)
"""Operations that answer without a token."""

LOGGED_IN: Final[tuple[Json, ...]] = ({"bearer": []}, {"staff": []})
"""Either way of being known."""

_ROOT: Final = "#/components"
_CODE: Final = re.compile(r"^- `(\w+)`", re.MULTILINE)
_SUBSCHEMAS: Final = ("properties", "patternProperties", "$defs")
_VERBS: Final = frozenset({"get", "put", "post", "delete", "patch"})


@cache
def document(lang: str) -> Json:
    """The document in `zh` or `en`; the same object each time, so do not change it."""
    with _BUILDING:
        return cast("Json", _without_empty(translated(_bilingual(), lang)))


def write_pins(folder: Path) -> list[Path]:
    """Write the documents that the tests compare with; the paths written."""
    paths = []
    for lang in LANGUAGES:
        path = folder / f"openapi.{lang}.json"
        path.write_text(json.dumps(document(lang), ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
        paths.append(path)
    return paths


@cache
def _bilingual() -> Json:
    """The document with both languages in each text."""
    told = get_openapi(title="Linli 邻里", version=_version(), routes=routes())
    schemas = told.get("components", {}).get("schemas", {})
    for gone in ("HTTPValidationError", "ValidationError"):
        schemas.pop(gone, None)
    told = renamed(told, names_of(schemas))
    schemas = {name: _plain(schema, name) for name, schema in told["components"]["schemas"].items()}
    paths = _in_order({path: _path(item) for path, item in told["paths"].items()})
    return {
        "openapi": told["openapi"],
        "info": {
            "title": "Linli 邻里",
            "version": told["info"]["version"],
            "description": words.ABOUT,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [
            {
                "url": "/",
                "description": say(
                    "This gateway, local or in production.", "本网关（本地或生产环境，local or production）。"
                ),
                "x-internal": False,
            }
        ],
        "security": [*LOGGED_IN],
        "tags": [{"name": name, "description": words.TAGS.get(name, "")} for name in [*_tags(paths), "webhooks"]],
        "paths": bounded(paths),
        "webhooks": bounded(webhooks.webhooks()),
        "components": {
            "schemas": bounded(dict(sorted({**schemas, "Problem": _problem()}.items()))),
            "responses": {_everywhere_name(status): _refusal(status, ()) for status in ALL},
            "parameters": words.PARAMETERS,
            "headers": bounded(words.HEADERS),
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT", "description": words.BEARER},
                "staff": {
                    "type": "oauth2",
                    "description": words.STAFF,
                    "flows": {
                        "authorizationCode": {
                            "authorizationUrl": "/oauth/authorize",
                            "tokenUrl": "/oauth/token",
                            "refreshUrl": "/oauth/token",
                            "scopes": {},
                        }
                    },
                },
            },
        },
    }


def routes() -> list[Any]:
    """The routes of the gateway and of every service. Making an app needs a context, describing it needs nothing of it."""
    context = Context(cast("Database", None), Keyring.fresh(), Settings())
    found = [*load("services.gateway.routes:documented").routes]
    for service in SERVICES:
        found += cast("Any", service.make(context)).fastapi.routes
    return found


def _version() -> str:
    """The checkout's version, or that of the installed package."""
    project = Path(__file__).parents[3] / "pyproject.toml"
    if project.is_file():
        return str(tomllib.loads(project.read_text(encoding="utf-8"))["project"]["version"])
    return metadata.version("linli")


# Schemas


def _plain(schema: Json, field: str = "") -> Json:
    """A schema without generated titles, its words explained, texts of only one language marked as English."""
    made: Json = {}
    for key, value in schema.items():
        if key == "title":
            continue
        if key in _SUBSCHEMAS:
            made[key] = {name: _plain(one, name) for name, one in value.items()}
        elif key == "description":
            made[key] = value if is_bilingual(value) else say(" ".join(value.split()), "")
        elif key not in {"default", "enum", "const", "examples"}:
            made[key] = _mapped(value, _plain)
        else:
            made[key] = value
    return _explained(made, made, field)


def _mapped(value: Any, change: Callable[[Json], Json]) -> Any:
    if isinstance(value, dict):
        return change(value)
    if isinstance(value, list):
        return [_mapped(one, change) for one in value]
    return value


def _explained(told: Json, schema: Json, field: str) -> Json:
    """`told` (a property or a parameter) with the meaning of each value that `schema` lists in its description."""
    own = told.get("description", "")
    said = " ".join([own, *(one.get("description", "") for one in _inner(schema))])
    missing = [one for one in _values(schema) if f"`{one}`" not in said]
    if not missing or not field:
        return told
    lines = [(one, meaning(field, one)) for one in missing]
    both = {
        lang: "\n".join(
            [
                choose(own, lang),
                *(f"- `{one}`{'：' if lang == 'zh' else ': '}{choose(text, lang)}" for one, text in lines),
            ]
        ).strip()
        for lang in LANGUAGES
    }
    return {**told, "description": say(both["en"], both["zh"])}


def _inner(schema: Json) -> Iterator[Json]:
    for one in (*schema.get("anyOf", ()), *([schema["items"]] if isinstance(schema.get("items"), dict) else [])):
        yield one
        yield from _inner(one)


def _values(schema: Json) -> list[str]:
    """The words that a schema lists, its own and those one step inside (nullable, list)."""
    found = [*schema.get("enum", ()), *([schema["const"]] if "const" in schema else [])]
    for one in _inner(schema):
        found += [*one.get("enum", ()), *([one["const"]] if "const" in one else [])]
    return [one for one in dict.fromkeys(found) if isinstance(one, str)]


def _kinds() -> dict[str, type[errors.Refusal]]:
    """The refusals by code. A kind below another may keep its code: the caller is told the same."""
    found: dict[str, type[errors.Refusal]] = {}
    for kind in errors.every():
        found.setdefault(kind.code, kind)
    return found


def _problem() -> Json:
    """RFC 9457 problem details as `shared.problems` writes them."""
    kinds = _kinds()
    listed = {
        lang: "\n".join(f"- `{code}` ({kind.status}) {kind.title(lang)}" for code, kind in kinds.items())
        for lang in LANGUAGES
    }
    return {
        "type": "object",
        "description": say("What went wrong (RFC 9457).", "错误说明（RFC 9457）。"),
        "required": ["type", "title", "status", "detail", "code", "request_id"],
        "properties": {
            "type": {"type": "string", "format": "uri", "description": say("Its name as a URI.", "类型 URI。")},
            "title": {"type": "string", "description": say("What kind of problem, to be read.", "问题类别，供阅读。")},
            "status": {
                "type": "integer",
                "format": "int32",
                "minimum": 400,
                "maximum": 599,
                "description": say("The status.", "状态码。"),
            },
            "detail": {"type": "string", "description": say("This problem, to be read.", "具体说明，供阅读。")},
            "code": {"type": "string", "enum": list(kinds), "description": say(listed["en"], listed["zh"])},
            "request_id": {
                "type": ["string", "null"],
                "description": say("The request's id, for questions to us.", "请求编号，便于查询。"),
            },
            "retry_after": {
                "type": "integer",
                "format": "int32",
                "minimum": 0,
                "description": say("Seconds until it is worth trying again.", "多少秒后可重试。"),
            },
            **{
                name: {"type": "string", "format": "date-time", "description": text}
                for name, text in words.UNTIL.items()
            },
            **words.MEMBERS,
            "service": {"type": "string", "description": say("The service that does not answer.", "未响应的服务。")},
            "errors": {
                "type": "array",
                "maxItems": 50,
                "description": say("Where in the request, and what.", "请求中的位置与原因。"),
                "items": {
                    "type": "object",
                    "required": ["pointer", "code"],
                    "properties": {
                        "in": {
                            "type": "string",
                            "description": say("body, query, path or header.", "body、query、path 或 header。"),
                        },
                        "pointer": {"type": "string", "description": say("JSON pointer.", "JSON 指针。")},
                        "code": {"type": "string", "description": say("What is wrong there.", "原因。")},
                    },
                },
            },
        },
    }


# Paths


def _path(item: Json) -> Json:
    conditional = any(
        "condition_missing" in _codes(one.get("responses", {}).get("428", {}))
        for verb, one in item.items()
        if verb in _VERBS
    )
    return {verb: _operation(verb, one, conditional=conditional) for verb, one in item.items()}


def _operation(verb: str, told: Json, *, conditional: bool) -> Json:
    """One operation: `conditional` when this path's resource is edited with If-Match."""
    codes = {int(status): _codes(one) for status, one in told["responses"].items() if _is_refusal(status)}
    is_keyed = "idempotency_key_missing" in codes.get(400, ())
    body = told.get("requestBody")
    parameters = [_parameter(one) for one in told.get("parameters", ())]
    if is_keyed:
        parameters.append({"$ref": f"{_ROOT}/parameters/IdempotencyKey"})
    if "condition_missing" in codes.get(428, ()):
        parameters.append({"$ref": f"{_ROOT}/parameters/IfMatch"})
    made = {
        "tags": told.get("tags", []),
        "summary": told["summary"],
        **({"description": told["description"]} if told.get("description") else {}),
        "operationId": told["operationId"],
        **({"security": [{}, *LOGGED_IN]} if told["operationId"] in OPEN else {}),
        **({"parameters": parameters} if parameters else {}),
    }
    if body is not None:
        content = {media: _media(one) for media, one in body["content"].items()}
        if is_keyed:  # a generated example would name slot_id and slot_ids, which is refused
            example = words.CLAIM | words.CLAIMS.get(told["operationId"], {})
            content = {media: {"example": example, **one} for media, one in content.items()}
        made["requestBody"] = {**body, "content": content}
    for name, value in told.items():
        if name not in {*made, "parameters", "responses"}:
            made[name] = value
    headers = [
        *words.EVERYWHERE,
        *(["Idempotency-Replayed", "Location"] if is_keyed else []),
        *(["ETag"] if conditional and verb in {"get", "put"} else []),
    ]
    made["responses"] = {
        **{
            status: _success(status, one, headers)
            for status, one in sorted(told["responses"].items())
            if not _is_refusal(status)
        },
        **dict(_refusals(codes, has_body=body is not None)),
    }
    return made


def _parameter(told: Json) -> Json:
    """A parameter. One that is left out is not null: nothing in a URL is."""
    schema = {key: value for key, value in _plain(told["schema"]).items() if key != "description"}
    options = [one for one in schema.get("anyOf", ()) if one != {"type": "null"}]
    if len(options) == 1:
        schema = {**options[0], **{key: value for key, value in schema.items() if key != "anyOf"}}
    made = {**told, "schema": schema}
    if told["in"] == "path":
        made = {"description": words.PATHS.get(told["name"], ""), **made}
    return _explained(made, schema, told["name"])


def _media(told: Json) -> Json:
    return {**told, **({"schema": _plain(told["schema"])} if "schema" in told else {})}


def _is_refusal(status: str) -> bool:
    return status[:1] in "45"


def _success(status: str, told: Json, headers: list[str]) -> Json:
    """An answer that is no refusal, with the headers it carries."""
    said = told.get("description", "")
    made: Json = {
        "description": said if is_bilingual(said) else words.DONE.get(status, words.DONE["200"]),
        "headers": {
            **told.get("headers", {}),
            **{name: {"$ref": f"{_ROOT}/headers/{name}"} for name in headers},
        },
    }
    content = {media: _media(one) for media, one in told.get("content", {}).items()}
    return {**made, **({"content": content} if content and status != "204" else {})}


def _codes(told: Json) -> tuple[str, ...]:
    return tuple(_CODE.findall(choose(told.get("description", ""), "en")))


def _refusals(codes: dict[int, tuple[str, ...]], *, has_body: bool) -> Iterator[tuple[str, Json]]:
    """The refusals of a route: those everywhere by reference, its own ones together with those everywhere."""
    for status in sorted({*codes, *(int(one) for one in ALL)}):
        if not has_body and status in (413, 415):
            continue
        common = _codes(ALL.get(status, {}))
        if set(codes.get(status, ())) <= set(common) and common:
            yield str(status), {"$ref": f"{_ROOT}/responses/{_everywhere_name(status)}"}
        else:
            yield str(status), _refusal(status, codes[status])


def _everywhere_name(status: int | str) -> str:
    return errors.by_code(_codes(ALL[status])[0]).__name__


def _refusal(status: int | str, codes: Iterable[str]) -> Json:
    """One status' refusals, as a response."""
    wanted = {*codes, *_codes(ALL.get(status, {}))}
    kinds = [kind for code, kind in _kinds().items() if code in wanted and kind.status == int(status)]
    told = refuses(*kinds).get(int(status), {"description": words.DONE["4XX"]})
    retries = int(status) in (429, 503, 504) or "in_flight" in wanted
    return {
        "description": told["description"],
        "headers": {
            name: {"$ref": f"{_ROOT}/headers/{name}"}
            for name in (*words.EVERYWHERE, *(["Retry-After"] if retries else []))
        },
        "content": {problems.MEDIA_TYPE: {"schema": {"$ref": f"{_ROOT}/schemas/Problem"}}},
    }


# Order


def _tags(paths: Json) -> list[str]:
    """The tags in use, in the order of a working day; unknown ones behind."""
    used = dict.fromkeys(tag for item in paths.values() for one in item.values() for tag in one["tags"])
    return [*(tag for tag in words.TAGS if tag in used), *(tag for tag in used if tag not in words.TAGS)]


def _in_order(paths: Json) -> Json:
    places = {tag: place for place, tag in enumerate(_tags(paths))}
    return dict(
        sorted(paths.items(), key=lambda one: min(places[tag] for verb in one[1].values() for tag in verb["tags"]))
    )


def _without_empty(value: Any) -> Any:
    """The document without descriptions that this language has none of."""
    if isinstance(value, dict):
        return {key: _without_empty(one) for key, one in value.items() if not (key == "description" and one == "")}
    if isinstance(value, list):
        return [_without_empty(one) for one in value]
    return value
