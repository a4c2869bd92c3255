"""Who may know whom. A line of code can be found, moved and tested because these hold."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

from tests.house.house import CODE, ROOT, composers, imports, modules, order, packages, tree, where

NAMELESS = {"utils", "util", "helpers", "helper", "manager", "managers", "common", "misc", "base_service"}
OUTSIDE = {"asyncio", "logging", "os", "pathlib", "random", "secrets", "socket", "ssl", "subprocess", "time"}
"""What of the standard library reaches out of a rule: to the clock, the disk, the net, to chance."""
CLOCKS = {"now", "today", "utcnow"}


def service_of(module: str) -> str | None:
    """The service a module belongs to."""
    parts = module.split(".")
    folder = ".".join(parts[:2])
    if parts[0] != "services" or len(parts) < 2 or folder in composers():
        return None
    return parts[1] if (ROOT / "services" / parts[1]).is_dir() else None


def test_shared_knows_no_service_and_no_test() -> None:
    wrong = [
        f"{where(path, one.line)} imports {one.target}"
        for name, path in modules().items()
        if name.split(".")[0] == "shared"
        for one in imports(path)
        if one.target.split(".")[0] in ("services", "tests", "benchmarks")
    ]
    assert wrong == []


def test_the_product_knows_no_test() -> None:
    wrong = [
        f"{where(path, one.line)} imports {one.target}"
        for path in modules().values()
        for one in imports(path)
        if one.target.split(".")[0] in ("tests", "benchmarks", "pytest", "hypothesis")
    ]
    assert wrong == []


def test_services_never_import_each_other() -> None:
    wrong = []
    for name, path in modules().items():
        own = service_of(name)
        for one in imports(path):
            theirs = service_of(one.target)
            if own is not None and theirs not in (None, own):
                wrong.append(f"{where(path, one.line)} imports {one.target}")
    assert wrong == [], "they meet in the ledger, in notices, and through the gateway"


def composer_of(module: str) -> str | None:
    """The module outside the services that this one is or belongs to."""
    folder = ".".join(module.split(".")[:2])
    return folder if folder in composers() else None


def test_a_service_knows_neither_the_list_of_services_nor_who_composes_them() -> None:
    wrong = [
        f"{where(path, one.line)} imports {one.target}"
        for name, path in modules().items()
        if service_of(name) is not None
        for one in imports(path)
        if composer_of(one.target)
        and not (service_of(name) in ("gateway", "identity", "partners") and one.target == "services")
    ]
    assert wrong == []


def test_who_composes_knows_the_services_that_the_page_says() -> None:
    wrong = []
    for name, path in modules().items():
        knows = composers().get(composer_of(name) or "")
        for one in imports(path):
            theirs = service_of(one.target)
            if knows is not None and theirs is not None and knows not in ("all", theirs):
                wrong.append(f"{where(path, one.line)} imports {one.target}")
    assert wrong == []


def test_reading_the_list_of_services_imports_nothing() -> None:
    assert [one.target for one in imports(modules()["services"]) if one.target.split(".")[0] in CODE] == ["shared.web"]
    assert [one.target for one in imports(modules()["services"]) if "." in one.target and not one.is_for_types] == [
        "collections.abc"
    ]


def test_only_the_rooms_to_the_right_are_imported() -> None:
    wrong = []
    for package in packages():
        places = {room: at for at, room in enumerate(order(package.name))}
        for room, made_of in package.rooms.items():
            for module in made_of:
                for one in imports(modules()[module]):
                    other = package.room_of(one.target)
                    if one.is_for_types or other in (None, room) or room == "tasks":
                        continue
                    if other == "tasks" or places[room] > places[other]:
                        wrong.append(f"{where(modules()[module], one.line)}: {room} imports {other}")
    assert wrong == []


def pure_rooms() -> dict[str, Path]:
    return {name: path for name, path in modules().items() if "rules" in name.split(".")[1:]}


def test_there_are_pure_rooms() -> None:
    assert {"services.gateway.arbiter.rules", "services.identity.rules", "shared.places.rules"} <= set(pure_rooms())


def test_a_pure_room_imports_nothing_but_the_language() -> None:
    wrong = [
        f"{where(path, one.line)} imports {one.target}"
        for path in pure_rooms().values()
        for one in imports(path)
        if one.target.split(".")[0] not in sys.stdlib_module_names - OUTSIDE
    ]
    assert wrong == []


def test_a_pure_room_waits_for_nothing_and_looks_at_no_clock() -> None:
    wrong = [
        where(path, node.lineno)
        for path in pure_rooms().values()
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Await | ast.AsyncFunctionDef | ast.AsyncFor | ast.AsyncWith)
        or (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in CLOCKS)
    ]
    assert wrong == []


def test_no_module_is_named_after_nothing() -> None:
    tops = (*CODE, "migrations", "tests", "benchmarks")
    wrong = [
        str(path.relative_to(ROOT))
        for top in tops
        for path in (ROOT / top).rglob("*")
        if path.stem.lower() in NAMELESS and (path.suffix == ".py" or path.is_dir())
    ]
    assert wrong == []


def test_claims_are_written_in_one_module() -> None:
    wrong = []
    for path in modules().values():
        if path.is_relative_to(ROOT / "migrations") or path == ROOT / "shared" / "claims.py":
            continue
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                said = " ".join(node.value.split())
                if any(verb in said for verb in ("INSERT INTO claims", "UPDATE claims", "DELETE FROM claims")):
                    wrong.append(where(path, node.lineno))
    assert wrong == []
