"""What schemas are called in the document: FastAPI's generated names, made short and single."""

from __future__ import annotations

import re
from typing import Any

Json = dict[str, Any]


def names_of(schemas: Json) -> dict[str, str]:
    """Every component's name in this document: `a__b__X` where two services have an X becomes BX, `Page_X_` XPage."""
    names = {name: _name(name) for name in schemas}
    if len(set(names.values())) != len(names) or "Problem" in names.values():
        raise ValueError(f"two schemas of one name: {sorted(names.values())}")
    return names


def _name(name: str) -> str:
    page = re.fullmatch(r"(?:.+__)?Page_(.+)_", name)
    if page:
        return f"{_name(page[1])}Page"
    *modules, own = name.lstrip("_").split("__")
    return (modules[1].capitalize() if modules else "") + own.lstrip("_")


def renamed(value: Any, names: dict[str, str]) -> Any:
    """A document whose components have these names."""
    prefix = "#/components/schemas/"
    if isinstance(value, dict):
        return {
            key: {names.get(name, name): renamed(one, names) for name, one in item.items()}
            if key == "schemas" and isinstance(item, dict)
            else renamed(item, names)
            for key, item in value.items()
        }
    if isinstance(value, list):
        return [renamed(one, names) for one in value]
    if isinstance(value, str) and value.startswith(prefix):
        return prefix + names.get(value.removeprefix(prefix), value.removeprefix(prefix))
    return value
