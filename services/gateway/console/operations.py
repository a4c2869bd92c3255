"""Which operation a request is: what a partner's key may do is said in operationIds."""

from __future__ import annotations

import re
from functools import cache
from typing import Final

from fastapi.routing import iter_route_contexts

from services.gateway.console.document import routes

_PART: Final = re.compile(r"({[^}]+})")
_ANY: Final = "[^/]+"


@cache
def table() -> dict[str, list[tuple[re.Pattern[str], str]]]:
    """For each method the addresses and their operationIds. The first look takes a while: it belongs to the start."""
    found: dict[str, list[tuple[re.Pattern[str], str]]] = {}
    for one in iter_route_contexts(routes()):
        if one.include_in_schema and one.operation_id:
            parts = _PART.split(one.path_format or "")
            pattern = re.compile("".join(_ANY if part[:1] == "{" else re.escape(part) for part in parts))
            for verb in one.methods or ():
                found.setdefault(verb, []).append((pattern, one.operation_id))
    return found


def operation_at(method: str, path: str) -> str | None:
    """The operationId of this method at this path; a path without a variable goes first, as it does in the apps."""
    fitting = [(one.pattern.count(_ANY), name) for one, name in table().get(method, ()) if one.fullmatch(path)]
    return min(fitting)[1] if fitting else None


def operation_ids() -> frozenset[str]:
    """Every operationId there is."""
    return frozenset(name for several in table().values() for _, name in several)
