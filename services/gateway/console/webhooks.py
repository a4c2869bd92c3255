"""Every kind of notice as a webhook of the document: the same source as the table on the page and `GET …/types`."""

from __future__ import annotations

from typing import Any, Final

from services import notice_types
from services.gateway.console import words
from shared.notices import NoticeType
from shared.texts import say

Json = dict[str, Any]

_ID: Final = "01990000-0000-7000-8000-0000000000aa"
_HEADERS: Final = (
    ("webhook-id", say("The notice's id; the same at every attempt.", "通知编号；每次重试相同。"), {"type": "string"}),
    (
        "webhook-timestamp",
        say("When this attempt was made, in seconds of the epoch.", "本次发送的时间（秒）。"),
        {"type": "string", "pattern": "^[0-9]+$"},
    ),
    (
        "webhook-signature",
        say(
            "Signatures of `id.timestamp.body`, separated by spaces: `v1,` HMAC-SHA256 and `v1a,` Ed25519.",
            "对 `id.timestamp.body` 的签名，以空格分隔：`v1,` 为 HMAC-SHA256，`v1a,` 为 Ed25519。",
        ),
        {"type": "string"},
    ),
)


def webhooks() -> Json:
    """The `webhooks` of the document, by type."""
    return {kind.name: {"post": _operation(kind)} for kind in notice_types()}


def _operation(kind: NoticeType) -> Json:
    return {
        "tags": ["webhooks"],
        "summary": kind.about,
        "description": words.PUSHED,
        "operationId": f"webhooks.{kind.name}",
        "parameters": [
            {"name": name, "in": "header", "required": True, "description": about, "schema": schema}
            for name, about, schema in _HEADERS
        ],
        "requestBody": {
            "required": True,
            "description": say("The notice.", "通知。"),
            "content": {"application/json": {"schema": body(kind), "example": example(kind)}},
        },
        "responses": {
            "2XX": {"description": say("Taken.", "已接收。")},
            "410": {"description": say("Do not send any more.", "不再接收。")},
        },
    }


def body(kind: NoticeType) -> Json:
    """The JSON Schema of what is sent."""
    return {
        "type": "object",
        "required": ["type", "timestamp", "id", "position", "occurred_at", "community", "subject", "data"],
        "properties": {
            "type": {"type": "string", "enum": [kind.name], "description": said(kind.name, kind.about)},
            "timestamp": {"type": "string", "format": "date-time"},
            "id": {"type": "string", "format": "uuid"},
            "position": {"type": "integer", "format": "int64"},
            "occurred_at": {"type": "string", "format": "date-time"},
            "community": {"type": "string"},
            "subject": {"type": "string", "format": "uuid", "description": kind.subject},
            "data": data(kind),
        },
    }


def said(word: str, meaning: str) -> str:
    """A list of one word, explained."""
    en, bar, zh = meaning.partition("\u241f")
    return f"`{word}`: {en}{bar}`{word}`：{zh}"


def data(kind: NoticeType) -> Json:
    """The schema of a notice's own data, with what it refers to inside."""
    schema = kind.data.model_json_schema()
    made: Json = _inlined(schema, schema.get("$defs", {}))
    return made


def _inlined(schema: Any, named: Json) -> Any:
    if isinstance(schema, list):
        return [_inlined(one, named) for one in schema]
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        return _inlined(named[schema["$ref"].rpartition("/")[2]], named)
    return {
        key: {name: _inlined(one, named) for name, one in value.items()}
        if key == "properties"
        else _inlined(value, named)
        for key, value in schema.items()
        if key not in {"$defs", "title", "description", "additionalProperties"}  # new fields may come
    }


def example(kind: NoticeType) -> Json:
    """A notice as it is sent."""
    return {
        "type": kind.name,
        "timestamp": "2026-12-01T09:30:00+08:00",
        "id": _ID,
        "position": 41,
        "occurred_at": "2026-12-01T09:30:00+08:00",
        "community": "330411105003",
        "subject": "01990000-0000-7000-8000-0000000000bb",
        "data": kind.example,
    }
