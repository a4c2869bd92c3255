"""Official region codes: the tree that facilities and residents hang on, and that roles and audiences are cut from.

A code begins with the code of everything above it: province 33, city 3304, county 330411, street or town 330411105,
community or village 330411105003. Below that the house adds estates (小区), 330411105003-01. Names are the official
ones and are not shortened. Source of the shipped table: shared/data/NOTICE.md.
"""

from __future__ import annotations

import csv
import io
import os
import re
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from types import MappingProxyType
from typing import Final, NamedTuple

from shared.db import Tx

LEVELS: Mapping[str, int] = MappingProxyType(
    {"province": 2, "city": 4, "county": 6, "street": 9, "community": 12, "village": 12, "estate": 15}
)
"""Each level with the length of its codes, from the top. Communities and villages differ by kind only."""

_COLUMNS = ["code", "name", "level", "parent_code"]
_CODE = re.compile(r"[1-9][0-9](?:[0-9]{2}(?:[0-9]{2}(?:[0-9]{3}(?:[0-9]{3}(?:-[0-9]{2})?)?)?)?)?")
_LEVEL_OF_LENGTH = {2: "province", 4: "city", 6: "county", 9: "street", 12: "community", 15: "estate"}
_ESTATE_WIDTH = 3
"""A dash and two digits."""
_LENGTH_ABOVE = {4: 2, 6: 4, 9: 6, 12: 9, 15: 12}


class RegionFileWrong(ValueError):
    """The region table cannot be used; the message names its line."""

    def __init__(self, line: int, what: str) -> None:
        """`line` counts from 1 and includes the header."""
        super().__init__(f"line {line}: {what}")
        self.line = line


@dataclass(frozen=True, slots=True)
class Region:
    """One place of the tree; `parent_code` is None for a province."""

    code: str
    name: str
    level: str
    parent_code: str | None


def is_code(text: str) -> bool:
    """Whether `text` has the form of a code of some level."""
    return _CODE.fullmatch(text) is not None


def above(code: str) -> str | None:
    """The code of what a region belongs to; None for a province. ValueError if it is no code."""
    level_of(code)
    return code[: _LENGTH_ABOVE[len(code)]] if len(code) in _LENGTH_ABOVE else None


def level_of(code: str) -> str:
    """The level of a code; "community" for villages too, since their codes look alike. ValueError if it is no code."""
    if not is_code(code):
        raise ValueError("not a region code")
    return _LEVEL_OF_LENGTH[len(code)]


def covers(prefix: str, code: str) -> bool:
    """Whether the region `prefix` is `code` or lies above it.

    What is not the code of a level, such as 33041 or the empty text, covers nothing.
    """
    return code.startswith(prefix) and is_code(prefix) and is_code(code)


class Follows(NamedTuple):
    """One region is followed by another; by the principal one where the two cannot be told apart further."""

    old: str
    new: Region
    is_principal: bool = True


def merged(trees: Sequence[Sequence[Region]], into: Region, taken: Iterable[str]) -> list[Follows]:
    """What becomes of several regions, each with all below it (the region itself first), that become one.

    Those below keep the end of their codes where it is free among `taken`, and get the next free number otherwise.
    """
    used, found = set(taken), []
    for root, *below in trees:
        found.append(Follows(root.code, into))
        new = {root.code: into.code}
        for one in sorted(below, key=lambda region: region.code):
            if one.parent_code is None or one.parent_code not in new:
                raise ValueError(f"{one.code} is not below {root.code}")
            above = new[one.parent_code]
            code = above + one.code[len(one.parent_code) :]
            if code in used:
                code = _next_free(above, len(one.code) - len(one.parent_code), used)
            used.add(code)
            new[one.code] = code
            found.append(Follows(one.code, Region(code, one.name, one.level, above)))
    return found


def split(tree: Sequence[Region], into: Sequence[Region], goes_to: Mapping[str, str]) -> list[Follows]:
    """What becomes of a region with all below it (the region itself first) that becomes several.

    `goes_to` says for those right below it which one they follow; the first of `into` is the principal one, and whatever
    is not named goes there.
    """
    root, *below = tree
    found = [Follows(root.code, one, is_principal=n == 0) for n, one in enumerate(into)]
    new: dict[str, str] = {}
    for one in sorted(below, key=lambda region: region.code):
        if one.parent_code == root.code:
            above = goes_to.get(one.code, into[0].code)
        elif one.parent_code in new:
            above = new[one.parent_code]
        else:
            raise ValueError(f"{one.code} is not below {root.code}")
        new[one.code] = above + one.code[len(one.parent_code) :]
        found.append(Follows(one.code, Region(new[one.code], one.name, one.level, above)))
    return found


def _next_free(above: str, width: int, used: Container[str]) -> str:
    dash = "-" if width == _ESTATE_WIDTH and len(above) == LEVELS["community"] else ""
    for n in range(1, 10 ** (width - len(dash))):
        code = f"{above}{dash}{n:0{width - len(dash)}}"
        if code not in used:
            return code
    raise ValueError(f"there is no number left below {above}")


def read(path: str | os.PathLike[str] | None = None, *, known: Container[str] = ()) -> Iterator[Region]:
    """The regions of a CSV file (code, name, level, parent_code; UTF-8, parents first), checked row by row.

    Without a path, the shipped table: Zhejiang with its cities and counties, and everything below the counties
    330402, 330411 and 330424. `known` are codes that a parent may be without being in the file. Raises
    RegionFileWrong while iterating.
    """
    table = resources.files("shared").joinpath("data", "regions.csv") if path is None else Path(path)
    # utf-8-sig, because a table that went through Excel comes back with a byte order mark.
    with table.open("rb") as raw, io.TextIOWrapper(raw, encoding="utf-8-sig", newline="") as text:
        rows = csv.reader(text, strict=True)
        seen: set[str] = set()
        try:
            if next(rows, None) != _COLUMNS:
                raise RegionFileWrong(1, f"the columns must be {','.join(_COLUMNS)}")
            for row in rows:
                region = _region(row, rows.line_num)
                if region.code in seen:
                    raise RegionFileWrong(rows.line_num, f"{region.code} is there twice")
                parent = region.parent_code
                if parent is not None and parent not in seen and parent not in known:
                    raise RegionFileWrong(rows.line_num, f"the parent {parent} does not come before")
                seen.add(region.code)
                yield region
        except UnicodeDecodeError:
            raise RegionFileWrong(rows.line_num + 1, "or one soon after it is not UTF-8") from None
        except csv.Error as problem:
            raise RegionFileWrong(rows.line_num, str(problem)) from None


def _region(row: list[str], line: int) -> Region:
    if len(row) != len(_COLUMNS):
        raise RegionFileWrong(line, f"{len(row)} columns instead of {len(_COLUMNS)}")
    code, name, level, parent = row
    if not is_code(code):
        raise RegionFileWrong(line, f"{code!r} is not a region code")
    if LEVELS.get(level) != len(code):
        raise RegionFileWrong(line, f"{code} cannot be of level {level!r}")
    if parent != code[: _LENGTH_ABOVE.get(len(code), 0)]:
        raise RegionFileWrong(line, f"{parent!r} is not the parent of {code}")
    if not name.strip() or name != name.strip() or not name.isprintable():
        raise RegionFileWrong(line, f"{code} has no proper name")
    return Region(code, name, level, parent or None)


FORMER: Final = """
    WITH RECURSIVE former AS (
        SELECT c.old_code, t.prefix FROM region_changes c, unnest({prefixes}) AS t(prefix)
        WHERE starts_with(c.new_code, t.prefix)
        UNION SELECT c.old_code, f.prefix FROM region_changes c JOIN former f ON f.old_code = c.new_code)
"""
"""What a question begins with that reads `former`: codes that ended and are followed, however often, by regions below these
prefixes, each code with such a prefix.

What was said under such a code is read there now. Of a region that was split, what cannot be told apart is for all that
follow it.
"""


async def former(tx: Tx, prefixes: Sequence[str]) -> list[str]:
    """The codes of `FORMER`."""
    query = FORMER.format(prefixes="$1::text[]")
    rows = await tx.fetch(f"{query} SELECT DISTINCT old_code FROM former ORDER BY 1", list(prefixes))  # noqa: S608 - constants
    return [row[0] for row in rows]
