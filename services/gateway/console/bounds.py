"""Bounds of what has none of its own: no text, list or number in the document is said to be endless."""

from __future__ import annotations

from typing import Any, Final

from shared.pages import LAST

LONGEST: Final = {
    "uuid": 36,
    "date": 10,
    "time": 18,
    "date-time": 40,
    "email": 254,
    "uri": 2_000,
    "uri-reference": 2_000,
}
"""Characters of a text of these formats."""
TEXT: Final = 65_536
"""Characters of any other text: what the gateway takes in one body, and a drawn pass fits in."""
ITEMS: Final = 10_000
INTEGERS: Final = {"int32": 2**31 - 1, "int64": LAST}
"""The greatest whole number of a format; of int64 what JSON's readers can tell apart."""

_VALUES: Final = frozenset({"example", "examples", "default", "enum", "const"})


def bounded(told: Any) -> Any:
    """A document with a bound on every schema in it; those that are there stay."""
    if isinstance(told, list):
        return [bounded(one) for one in told]
    if not isinstance(told, dict):
        return told
    made = {key: value if key in _VALUES else bounded(value) for key, value in told.items()}
    kinds = made.get("type")
    kinds = (
        {kinds}
        if isinstance(kinds, str)
        else {one for one in kinds if isinstance(one, str)}
        if isinstance(kinds, list)
        else set()
    )
    if "string" in kinds and not {"enum", "const"} & made.keys():
        made.setdefault("maxLength", LONGEST.get(made.get("format", ""), TEXT))
    if "integer" in kinds:
        most = INTEGERS.get(made.setdefault("format", "int64"), INTEGERS["int64"])
        if "exclusiveMinimum" not in made:
            made.setdefault("minimum", -most)
        if "exclusiveMaximum" not in made:
            made.setdefault("maximum", most)
    if "array" in kinds:
        made.setdefault("maxItems", ITEMS)
    return made
