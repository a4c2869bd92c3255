"""What the house tests read: modules and what they import, pages and their tables.

A table between two markers is made from the code. Run the tests with LINLI_WRITE=1 to write it anew; columns that only
a person can fill (`kept`) stay as they are, and a row whose kept column is empty fails the test.
"""

from __future__ import annotations

import ast
import os
import re
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
HOUSE = DOCS / "house.md"
CODE = ("shared", "services")
USUAL = ("routes", "schemas", "actions", "sql", "notices", "rules")
"""The rooms every service may have, in the order of the direction."""
ANYWHERE = ("__init__", "tasks")
"""The door plate, and what wakes up by itself: it may import every room, and no room imports it."""


class Import(NamedTuple):
    """One import statement's target, resolved to a module of the house where it is one."""

    target: str
    line: int
    is_for_types: bool


@cache
def modules() -> dict[str, Path]:
    """Every module of the product by its dotted name."""
    found = {}
    for top in (*CODE, "migrations"):
        for path in sorted((ROOT / top).rglob("*.py")):
            parts = path.relative_to(ROOT).with_suffix("").parts
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


@cache
def imports(path: Path) -> tuple[Import, ...]:
    """Everything a module imports, wherever the statement stands."""
    for_types: set[ast.AST] = set()
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            for_types |= {inner for one in node.body for inner in ast.walk(one)}
    found = []
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            found += [Import(one.name, node.lineno, node in for_types) for one in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno} imports relatively"
            for one in node.names:
                whole = f"{node.module}.{one.name}"
                found.append(Import(whole if whole in modules() else node.module or "", node.lineno, node in for_types))
    return tuple(found)


def triggers_on(table: str) -> set[str]:
    """The triggers that migrations put on a table."""
    texts = [path.read_text(encoding="utf-8") for path in (ROOT / "migrations" / "versions").glob("*.py")]
    return set(re.findall(rf"CREATE TRIGGER (\w+) [A-Z]+ [\w ]+ ON {table} ", "\n".join(texts)))


def where(path: Path, line: int) -> str:
    return f"{path.relative_to(ROOT)}:{line}"


def cell(text: str) -> str:
    """A cell as its page writes it, and as it reads: no bars, no ticks of code."""
    return text.replace("\\|", "|").strip()


def rows(page: Path, name: str) -> list[dict[str, str]]:
    """The table that a page holds between the markers of this name."""
    found = re.search(rf"<!-- {name}[ :].*?-->\n(.*?)\n<!-- /{name} -->", page.read_text(encoding="utf-8"), re.DOTALL)
    assert found, f"{page.relative_to(ROOT)} has no table <!-- {name}: … --> … <!-- /{name} -->"
    lines = [line for line in found[1].splitlines() if line.startswith("|")]
    split = [[cell(one) for one in re.split(r"(?<!\\)\|", line.strip()[1:-1])] for line in lines]
    return [dict(zip(split[0], one, strict=True)) for one in split[2:]]


def bare(text: str) -> str:
    """A cell without the ticks of code."""
    return text.strip("`")


def agree(page: Path, name: str, told: Sequence[dict[str, str]], *, key: str, kept: Sequence[str] = ()) -> None:
    """The page's table says what the code says; LINLI_WRITE=1 makes it so."""
    known = {row[key]: row for row in rows(page, name)}
    columns = [*(told[0] if told else {}), *kept]
    wanted = [one | {column: known.get(one[key], {}).get(column, "") for column in kept} for one in told]
    if os.environ.get("LINLI_WRITE"):
        write(page, name, columns, wanted)
    assert rows(page, name) == wanted, f"{page.relative_to(ROOT)}: run LINLI_WRITE=1 script/test tests/house"
    empty = [row[key] for row in wanted for column in kept if not row[column]]
    assert not empty, f"{page.relative_to(ROOT)}: say it yourself, for {', '.join(empty)}"


def write(page: Path, name: str, columns: Sequence[str], wanted: Sequence[dict[str, str]]) -> None:
    lines = [columns, ["---"] * len(columns), *([row[column] for column in columns] for row in wanted)]
    table = "\n".join("| " + " | ".join(one.replace("|", "\\|") for one in line) + " |" for line in lines)
    text = page.read_text(encoding="utf-8")
    marked = re.compile(rf"(<!-- {name}[ :].*?-->\n).*?(\n<!-- /{name} -->)", re.DOTALL)
    page.write_text(marked.sub(lambda found: found[1] + table + found[2], text), encoding="utf-8")


class Package(NamedTuple):
    """A folder with rooms."""

    name: str
    rooms: dict[str, tuple[str, ...]]
    """Each room with the modules it is made of; a folder of that name is one room."""

    def room_of(self, module: str) -> str | None:
        """The room a module of this package belongs to."""
        return next((room for room, made_of in self.rooms.items() if module in made_of), None)


def packages() -> Iterator[Package]:
    """Every folder with rooms: the services, the places they share, and folders inside a service that have rooms too."""
    names = [f"services.{one.name}" for one in sorted((ROOT / "services").iterdir()) if (one / "__init__.py").exists()]
    names = [name for name in names if name not in composers()]
    inner = {bare(row["where"]) for row in rows(HOUSE, "rooms")} - set(names)
    for name in (*names, *sorted(inner)):
        rooms: dict[str, list[str]] = {}
        for module in modules():
            if module.startswith(f"{name}."):
                rooms.setdefault(module.removeprefix(f"{name}.").split(".")[0], []).append(module)
        yield Package(name, {room: tuple(made_of) for room, made_of in rooms.items()})


@cache
def composers() -> dict[str, str]:
    """Modules outside the services, each with the service it may know: its name, `all` or `none`."""
    return {bare(row["module"]): row["knows"] for row in rows(HOUSE, "composers")}


def extra(package: str) -> list[tuple[str, str]]:
    """The rooms only this package has, each with where it stands: `before sql`, `after rules`."""
    return [(bare(row["room"]), row["stands"]) for row in rows(HOUSE, "rooms") if bare(row["where"]) == package]


def order(package: str) -> list[str]:
    """All rooms of a package from left to right."""
    made = list(USUAL)
    for room, stands in extra(package):
        side, _, beside = stands.partition(" ")
        assert side in ("before", "after"), f"{package}.{room} stands {stands!r}"
        at = made.index(beside)
        if side == "before":
            made.insert(at, room)
        else:
            made.insert(at + 1, room)
    return made
