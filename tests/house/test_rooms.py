"""Every service has the same few rooms, and the page about the house names each other one with its reason."""

from __future__ import annotations

import ast

import pytest

from tests.house.house import ANYWHERE, HOUSE, ROOT, USUAL, Package, bare, extra, modules, packages, rows, tree

MOST_LINES = 450
PACKAGES = list(packages())


@pytest.mark.parametrize("package", PACKAGES, ids=lambda package: package.name)
def test_only_known_rooms(package: Package) -> None:
    known = {*USUAL, *ANYWHERE, *(room for room, _ in extra(package.name))}
    assert sorted(set(package.rooms) - known) == [], f"name it in {HOUSE.relative_to(ROOT)} with a reason, or move it"


@pytest.mark.parametrize("package", PACKAGES, ids=lambda package: package.name)
def test_the_page_names_no_room_that_is_gone(package: Package) -> None:
    assert [room for room, _ in extra(package.name) if room not in package.rooms] == []


def test_every_extra_room_has_its_reason() -> None:
    table = rows(HOUSE, "rooms")
    assert [row["room"] for row in table if len(row["why it is a room of its own"].split()) < 4] == []
    for row in table:
        name = f"{bare(row['where'])}.{bare(row['room'])}"
        assert name in modules() or (ROOT / name.replace(".", "/")).is_dir(), name


def test_no_room_is_long() -> None:
    allowed = {bare(row["module"]): int(row["lines"]) for row in rows(HOUSE, "long")}
    inside = {module for package in PACKAGES for made_of in package.rooms.values() for module in made_of}
    lengths = {module: len(modules()[module].read_text(encoding="utf-8").splitlines()) for module in inside}
    wrong = {one: n for one, n in lengths.items() if n > allowed.get(one, MOST_LINES)}
    assert wrong == {}, "make it a folder of the same name"
    assert [one for one in allowed if lengths.get(one, 0) <= MOST_LINES] == [], "no longer long: take it off the page"


def test_every_service_promises_something_at_its_door() -> None:
    for package in PACKAGES:
        told = ast.get_docstring(tree(modules()[package.name]))
        assert told, package.name
        assert told.rstrip().endswith("."), package.name


def test_every_service_of_the_list_has_its_folder() -> None:
    from services import SERVICES  # noqa: PLC0415 - a broken list shall fail this test only

    for one in SERVICES:
        assert f"services.{one.name.replace('-', '_')}" in {package.name for package in PACKAGES}
        for named in (one.app, one.claims, one.tasks):
            assert named is None or named.split(":")[0] in modules(), named


def test_questions_to_the_database_stand_in_sql_rooms() -> None:
    verbs = ("SELECT ", "INSERT INTO ", "UPDATE ", "DELETE FROM ", "WITH ")
    asks = set()
    for package in PACKAGES:
        for module in modules():
            if module.startswith(package.name) and "sql" not in module.split("."):
                asks |= {
                    module
                    for node in ast.walk(tree(modules()[module]))
                    if isinstance(node, ast.Constant)
                    and isinstance(node.value, str)
                    and node.value.lstrip().startswith(verbs)
                }
    assert sorted(asks) == []
