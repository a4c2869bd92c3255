"""The schema as the referee: what it must carry, what its laws are called, and what a service's role may not do."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg import errors as refused
from sqlalchemy import CheckConstraint, Table, UniqueConstraint
from sqlalchemy.dialects.postgresql import ExcludeConstraint

from services import SERVICES
from shared import embedded
from shared.models import Base
from tests.conftest import copy_of
from tests.house.house import DOCS, bare, modules, rows, tree, triggers_on
from tests.town import Town

TABLES = Base.metadata.tables
ROLES = [one.role for one in SERVICES]
BY_HABIT = re.compile(r"_(pkey|fkey|key|idx|check|excl|not_null)$")
"""What PostgreSQL or a naming convention would call it."""


def of_module(name: str) -> set[str]:
    """The tables that a models module makes."""
    return {
        mapper.local_table.name  # type: ignore[attr-defined]
        for mapper in Base.registry.mappers
        if mapper.class_.__module__ == f"shared.models.{name}"
    }


def reaches(table: Table, seen: frozenset[str] = frozenset()) -> bool:
    """Whether a row always says its community, or always points to a row that does."""
    column = table.columns.get("community")
    if column is not None:
        return not column.nullable
    return any(
        not key.parent.nullable and key.column.table.name not in seen and reaches(key.column.table, seen | {table.name})
        for key in table.foreign_keys
    )


def test_every_scarce_row_has_its_community() -> None:
    stated = {bare(row["table"]): row["its community"] for row in rows(DOCS / "scale.md", "communities")}
    people = {
        "regions",
        "region_changes",
        "days",
        "deployment",
        *of_module("identity"),
        "notice_head",
        "partner_head",
        "audit_head",
        "audit_heads",
        "retention",
        *of_module("staff"),
    }
    scarce = {name for name in TABLES if name not in people}
    assert set(stated) == scarce, "docs/scale.md says for every table how its rows find their community"
    for name, how in stated.items():
        carries = "community" in TABLES[name].c and not TABLES[name].c.community.nullable
        expected = "carried" if carries else "reached" if reaches(TABLES[name]) else "not yet"
        assert how.split(":")[0] == expected, f"{name}: {expected}"


def test_laws_are_called_by_sentences() -> None:
    named = []
    for table in TABLES.values():
        named += [f"{one.name}" for one in table.constraints if isinstance(one, CheckConstraint | ExcludeConstraint)]
        unique = [one for one in table.constraints if isinstance(one, UniqueConstraint)]
        named += [f"{one.name}" for one in unique if [column.name for column in one.columns] != ["id"]]
        named += [f"{one.name}" for one in table.indexes if one.unique]
    assert len(named) > 25
    wrong = [one for one in named if not re.fullmatch(r"[a-z]+(_[a-z]+)+", one) or BY_HABIT.search(one)]
    assert wrong == []
    assert sorted(one for one in named if named.count(one) > 1) == [], "two laws have one name"


def told(path: Path) -> dict[str, ast.expr]:
    """What a module's plain names stand for."""
    made = [one for one in ast.walk(tree(path)) if isinstance(one, ast.Assign)]
    return {one.targets[0].id: one.value for one in made if isinstance(one.targets[0], ast.Name)}


def keys(node: ast.expr | None, known: dict[str, ast.expr]) -> Iterator[str]:
    """The names of constraints in a table of their meanings, wherever they are written."""
    match node:
        case ast.Constant(value=str(name)):
            yield name
        case ast.Name(id=name) | ast.Attribute(attr=name) if not name.endswith("REFEREES"):
            yield from keys(known[name], known)
        case ast.Tuple(elts=several):
            for one in several:
                yield from keys(one, known)
        case ast.Dict(keys=names, values=values):
            for key, value in zip(names, values, strict=True):
                yield from keys(value if key is None else key, known)
        case ast.Call(func=ast.Attribute(attr="fromkeys"), args=[several, *_]):
            yield from keys(several, known)


def translated(path: Path, known: dict[str, ast.expr]) -> Iterator[str]:
    """The constraints to which a module gives a meaning."""
    for node in ast.walk(tree(path)):
        match node:
            case ast.Call(func=ast.Name(id="referee") | ast.Attribute(attr="referee"), args=[table]):
                yield from keys(table, known | told(path))
            case ast.AnnAssign(target=ast.Name(id="REFEREES" | "_REFEREES"), value=table):
                yield from keys(table, known | told(path))
            case ast.Compare(left=ast.Call(func=ast.Name(id="constraint_of")), comparators=[ast.Constant() as name]):
                yield from keys(name, {})


def test_the_laws_that_services_translate_exist() -> None:
    names = {f"{one.name}" for table in TABLES.values() for one in (*table.constraints, *table.indexes)}
    names |= triggers_on("claims")
    names |= {f"{table}_{column.name}_fkey" for table in TABLES for column in TABLES[table].c if column.foreign_keys}
    constants = {
        name: one for module, path in modules().items() if ".sql" in module for name, one in told(path).items()
    }
    used = {name for path in modules().values() for name in translated(path, constants)}
    assert len(used) > 30
    assert used - names == set()


@pytest.fixture(scope="module")
def town(server: embedded.Embedded, template: str) -> Iterator[Town]:
    """One town for all: what is refused leaves nothing behind."""
    with copy_of(server, template) as url:
        yield Town(url)


@pytest.fixture(params=ROLES)
def service(request: pytest.FixtureRequest, town: Town) -> Iterator[psycopg.Connection[tuple[object, ...]]]:
    """A connection in the role of one service."""
    with town.connect() as connection:
        connection.execute(f"SET ROLE {request.param}".encode())
        yield connection


CLAIM = (
    "INSERT INTO claims (group_id, slot_id, holder_no, account_no, community, service, place_id, starts_at, ends_at, channel,"
    " state, is_active, is_exclusive) SELECT uuidv7(), id, %s, %s, community, service, place_id, starts_at, ends_at, 'app',"
    " 'confirmed', true, true FROM slots WHERE id = %s"
)


def test_a_service_cannot_write_a_claim(town: Town, service: psycopg.Connection[tuple[object, ...]]) -> None:
    slot, (someone,) = town.slot(), town.residents(1)
    values = (someone.holder_no, someone.account_no, slot)
    with pytest.raises(refused.InsufficientPrivilege):
        service.execute(CLAIM, values)
    town.do(CLAIM, *values)  # the same words are good ones from somebody who may say them
    assert town.one("SELECT count(*) FROM claims WHERE slot_id = %s", slot) == 1


@pytest.mark.parametrize(
    "wish",
    [
        "DELETE FROM claims",
        "TRUNCATE claims",
        "UPDATE claims SET slot_id = slot_id",
        "UPDATE claims SET holder_no = holder_no",
        "UPDATE claims SET units = units",
        "UPDATE claims SET is_exclusive = false",
        "UPDATE slots SET starts_at = starts_at",
        "UPDATE slots SET waiting = 0",
        "DELETE FROM slots",
        "DELETE FROM notices",
        "UPDATE notices SET position = 1",
        "DELETE FROM waits",
        "SELECT body FROM waits",
        "SELECT key FROM asks",
        "ALTER TABLE claims DISABLE TRIGGER nobody_in_two_places",
        "CREATE TABLE mine (a int)",
    ],
)
def test_a_service_cannot_bend_the_ledger(service: psycopg.Connection[tuple[object, ...]], wish: str) -> None:
    with pytest.raises(refused.InsufficientPrivilege):
        service.execute(wish.encode())


def test_a_place_that_was_left_is_claimed_anew_and_never_taken_back(town: Town) -> None:
    slot, (someone,) = town.slot(), town.residents(1)
    town.do(CLAIM, someone.holder_no, someone.account_no, slot)
    town.do("UPDATE claims SET state = 'released', is_active = false WHERE slot_id = %s", slot)
    with pytest.raises(refused.ExclusionViolation, match="a place that was left is claimed anew"):
        town.do("UPDATE claims SET state = 'confirmed', is_active = true WHERE slot_id = %s", slot)


def test_a_place_elsewhere_counts_for_whoever_cannot_see_it(town: Town) -> None:
    here, there, (guest,) = town.slot(), town.slot(), town.residents(1, community="330424101003")
    town.do(CLAIM, guest.holder_no, guest.account_no, there)
    town.do("UPDATE claims SET community = '330424101003' WHERE slot_id = %s", there)
    with town.connect() as connection:
        connection.execute("BEGIN; SET LOCAL ROLE linli_gateway; SET LOCAL app.region = '330411'")
        assert connection.execute("SELECT FROM claims WHERE slot_id = %s", (there,)).fetchall() == []
        with pytest.raises(refused.ExclusionViolation, match="somebody would be in two places"):
            connection.execute(CLAIM, (guest.holder_no, guest.account_no, here))


def test_claims_are_not_written_where_a_look_is_older_than_a_lock(town: Town) -> None:
    slot, (someone,) = town.slot(), town.residents(1)
    with town.connect() as connection:
        connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
        with pytest.raises(refused.FeatureNotSupported, match="READ COMMITTED"):
            connection.execute(CLAIM, (someone.holder_no, someone.account_no, slot))


def test_only_identity_reads_how_people_log_in(town: Town) -> None:
    for role in {*ROLES, "linli_gateway"} - {"linli_identity"}:
        with town.connect() as connection:
            connection.execute(f"SET ROLE {role}".encode())
            for wish in (f"SELECT * FROM {table}" for table in ("logins", "login_codes", *sorted(of_module("staff")))):
                with pytest.raises(refused.InsufficientPrivilege):
                    connection.execute(wish.encode())


def test_the_service_roles_cannot_log_in(town: Town) -> None:
    told = town.all(
        "SELECT rolname, rolcanlogin, rolsuper, rolbypassrls FROM pg_roles WHERE starts_with(rolname, 'linli_')"
    )
    assert {row[0] for row in told} >= {*ROLES, "linli_gateway"}
    assert [row[0] for row in told if any(row[1:])] == []
