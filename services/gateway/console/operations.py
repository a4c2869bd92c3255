"""Which operation of the document a request is: what a partner's key may do is said in operationIds."""

from __future__ import annotations

import re
from functools import cache
from typing import Final

from services.gateway.console.document import document

_PART: Final = re.compile(r"({[^}]+})")
_ANY: Final = "[^/]+"


@cache
def _addresses() -> dict[str, list[tuple[re.Pattern[str], str]]]:
    found: dict[str, list[tuple[re.Pattern[str], str]]] = {}
    for path, item in document("en")["paths"].items():
        pattern = re.compile("".join(_ANY if part[:1] == "{" else re.escape(part) for part in _PART.split(path)))
        for verb, operation in item.items():
            found.setdefault(verb.upper(), []).append((pattern, operation["operationId"]))
    return found


def operation_at(method: str, path: str) -> str | None:
    """The operationId of this method at this path; a path without a variable goes first, as it does in the apps."""
    fitting = [(one.pattern.count(_ANY), name) for one, name in _addresses().get(method, ()) if one.fullmatch(path)]
    return min(fitting)[1] if fitting else None
