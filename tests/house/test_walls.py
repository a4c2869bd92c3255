"""The second wall, examined in PostgreSQL's catalogue: every table, every role, with a row in each."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Iterable, Iterator
from fnmatch import fnmatchcase
from typing import Any

import psycopg
import pytest
from fastapi.routing import APIRoute
from psycopg import errors as refused
from psycopg import sql
from sqlalchemy.engine import make_url

from services import SERVICES, doctor
from services.gateway.console.document import routes
from shared import embedded, migrate, reach, web
from shared.assertion import ActsFor, Caller, Role
from tests.conftest import copy_of
from tests.house.house import DOCS, bare, rows

PAGE = DOCS / "walls.md"
HERE, ELSEWHERE = "330411105003", "440000000000"
NO = 7
ID = uuid.UUID(int=NO)
VALUES = {
    "bool": False,
    "bytea": b"x",
    "date": "2026-01-01",
    "float8": 1,
    "int2": 1,
    "int4": 1,
    "int8": NO,
    "json": "{}",
    "jsonb": "{}",
    "numeric": 1,
    "text": "x",
    "time": "08:00",
    "varchar": "x",
    "timestamptz": "2026-01-01",
    "uuid": ID,
    "_int2": "{1}",
    "_int4": "{1}",
    "_int8": f"{{{NO}}}",
    "_text": "{x}",
    "_uuid": f"{{{ID}}}",
}
TABLES = """
    SELECT t.relname, t.relrowsecurity AND t.relforcerowsecurity FROM pg_class t
    WHERE t.relkind IN ('r', 'p') AND t.relnamespace = 'public'::regnamespace
      AND t.relname NOT LIKE 'procrastinate\\_%%' ORDER BY 1
"""
COLUMNS = """
    SELECT a.attname, y.typname FROM pg_attribute a JOIN pg_type y ON y.oid = a.atttypid
    WHERE a.attrelid = %s::regclass AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = '' AND a.attidentity = ''
"""

Connection = psycopg.Connection[tuple[Any, ...]]


def named(table: str) -> set[str]:
    return {bare(row["table"]) for row in rows(PAGE, table)}


def connect(url: str) -> Connection:
    return psycopg.connect(url, autocommit=True)


def insertion(connection: Connection, table: str) -> tuple[sql.Composed, list[Any]]:
    """A row of this table, made from nothing but the catalogue: it is of `HERE`, and every number and id in it is the same."""
    columns = connection.execute(COLUMNS, (table,)).fetchall()
    values = [HERE if name == "community" else VALUES[kind] for name, kind in columns]
    words = sql.SQL("INSERT INTO {} ({}) OVERRIDING SYSTEM VALUE VALUES ({})").format(
        sql.Identifier(table),
        sql.SQL(", ").join(sql.Identifier(name) for name, _ in columns),
        sql.SQL(", ").join([sql.Placeholder()] * len(columns)),
    )
    return words, values


def tables(connection: Connection) -> dict[str, bool]:
    """Every table of ours, and whether it stands behind a wall that its owner does not climb either."""
    return {str(name): bool(is_walled) for name, is_walled in connection.execute(TABLES).fetchall()}


def roles(connection: Connection) -> list[str]:
    found = connection.execute(
        "SELECT rolname FROM pg_roles WHERE starts_with(rolname, 'linli_') ORDER BY 1"
    ).fetchall()
    return [str(row[0]) for row in found if row[0] in {"linli_gateway", *(one.role for one in SERVICES)}]


@pytest.fixture(scope="module")
def filled(server: embedded.Embedded, template: str) -> Iterator[str]:
    """A row in every table. What rows must be is not what is asked here, so checks, references and triggers are gone."""
    with copy_of(server, template) as url, connect(url) as connection:
        laws = connection.execute(
            "SELECT conrelid::regclass::text, conname FROM pg_constraint WHERE contype IN ('c', 'f', 'x')"
            " AND connamespace = 'public'::regnamespace AND conrelid::regclass::text NOT LIKE 'procrastinate%'"
        ).fetchall()
        for table, name in laws:
            connection.execute(sql.SQL("ALTER TABLE {} DROP CONSTRAINT {}").format(*map(sql.Identifier, (table, name))))
        connection.execute("SET session_replication_role = replica")
        for table in tables(connection):
            connection.execute(sql.SQL("DELETE FROM {}").format(sql.Identifier(table)))
            connection.execute(*insertion(connection, table))
            for (column,) in connection.execute(
                "SELECT attname FROM pg_attribute WHERE attrelid = %s::regclass AND attidentity <> ''", (table,)
            ).fetchall():
                connection.execute(
                    sql.SQL("ALTER TABLE {0} ALTER {1} DROP IDENTITY").format(
                        *map(sql.Identifier, (table, str(column)))
                    )
                )
                connection.execute(
                    sql.SQL("UPDATE {} SET {} = %s").format(*map(sql.Identifier, (table, str(column)))), (NO,)
                )
        connection.close()
        yield url


@pytest.fixture
def copied(server: embedded.Embedded, filled: str) -> Iterator[str]:
    """The same, to be broken."""
    with copy_of(server, str(make_url(filled).database)) as url:
        yield url


def may(connection: Connection, role: str, table: str, deed: str) -> bool:
    """Whether a role may do this to some column of a table at least."""
    asks = "has_table_privilege" if deed in ("DELETE", "INSERT") else "has_any_column_privilege"
    row = connection.execute(f"SELECT {asks}(%s, %s, %s)".encode(), (role, table, deed)).fetchone()
    return bool(row and row[0])


def seen(connection: Connection, role: str, table: str, settings: dict[str, str]) -> int:
    """How many rows a role sees in a transaction that says this of its reach."""
    with connection.transaction():
        for name, value in settings.items():
            connection.execute("SELECT set_config(%s, %s, true)", (f"app.{name}", value))
        connection.execute(sql.SQL("SET LOCAL ROLE {}").format(sql.Identifier(role)))
        row = connection.execute(sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier(table))).fetchone()
        return int(row[0]) if row else 0


def sights(url: str, settings: dict[str, str]) -> dict[str, set[int]]:
    """What the roles that may read a table see in it."""
    found: dict[str, set[int]] = {}
    with connect(url) as connection:
        for table in tables(connection):
            for role in roles(connection):
                if may(connection, role, table, "SELECT"):
                    found.setdefault(table, set()).add(seen(connection, role, table, settings))
    return found


def leaks(url: str) -> set[str]:
    """Tables that show a row to a transaction that did not say how far it reaches, or take one from it."""
    found = {table for table, counts in sights(url, {}).items() if counts != {0}}
    with connect(url) as connection:
        for table in tables(connection):
            columns = [str(name) for name, _ in connection.execute(COLUMNS, (table,)).fetchall()]
            for role in roles(connection):
                deeds: list[tuple[sql.Composed, list[Any]]] = []
                if may(connection, role, table, "INSERT"):
                    deeds.append(insertion(connection, table))
                if may(connection, role, table, "DELETE"):
                    deeds.append((sql.SQL("DELETE FROM {}").format(sql.Identifier(table)), []))
                if may(connection, role, table, "UPDATE"):
                    asked = "SELECT has_column_privilege(%s, %s, %s, 'UPDATE')"
                    (column, *_) = [
                        one for one in columns if connection.execute(asked, (role, table, one)).fetchone() == (True,)
                    ]
                    words = sql.SQL("UPDATE {} SET {} = NULL").format(*map(sql.Identifier, (table, column)))
                    deeds.append((words, []))
                for words, values in deeds:
                    if took(connection, role, words, values):
                        found.add(table)
    return found


def took(connection: Connection, role: str, words: sql.Composed, values: list[Any]) -> bool:
    """Whether this was done, or would have been: anything but nothing, or the wall's refusal."""
    with connection.transaction(force_rollback=True):
        connection.execute(sql.SQL("SET LOCAL ROLE {}").format(sql.Identifier(role)))
        try:
            return connection.execute(words, values).rowcount != 0
        except refused.InsufficientPrivilege:
            return False
        except psycopg.Error:
            return True


def test_every_table_stands_behind_a_wall_or_open_with_a_reason(database_url: str) -> None:
    with connect(database_url) as connection:
        found = tables(connection)
    assert {name for name, is_walled in found.items() if not is_walled} == named("open")
    assert named("shut") <= {name for name, is_walled in found.items() if is_walled}
    for table in ("open", "shut", "beyond"):
        assert [row for row in rows(PAGE, table) if not row["why"]] == []


def test_who_does_not_say_how_far_they_reach_sees_and_takes_nothing(filled: str) -> None:
    assert leaks(filled) - named("open") == set()


def test_where_a_wall_is_missing_it_shows(copied: str) -> None:
    with connect(copied) as connection:
        for policy, table in connection.execute(
            "SELECT policyname, tablename FROM pg_policies WHERE tablename = 'persons'"
        ).fetchall():
            connection.execute(sql.SQL("DROP POLICY {} ON {}").format(*map(sql.Identifier, (policy, table))))
        assert 0 in sights(copied, {"region": "*"})["persons"], "without a policy nobody sees anything"
        connection.execute("ALTER TABLE reveals DISABLE ROW LEVEL SECURITY")
        connection.execute("CREATE POLICY anybody ON absences USING (true)")
    assert leaks(copied) - named("open") == {"reveals", "absences"}
    assert sights(copied, {"region": ELSEWHERE})["absences"] == {1}


def test_who_reaches_everywhere_sees_every_row(filled: str) -> None:
    assert {table: counts for table, counts in sights(filled, {"region": "*"}).items() if counts != {1}} == {}


def test_who_reaches_another_region_sees_nothing_of_this_one(filled: str) -> None:
    for elsewhere in (ELSEWHERE, f"{HERE}1", "-", f"{ELSEWHERE},44", "3304111050031,*0", ",", ",,"):
        shown = {table for table, counts in sights(filled, {"region": elsewhere}).items() if counts != {0}}
        assert shown - named("open") == named("shut"), elsewhere


def test_who_reaches_a_region_sees_the_rows_of_it(filled: str) -> None:
    with connect(filled) as connection:
        of_regions = {
            str(row[0])
            for row in connection.execute(
                "SELECT attrelid::regclass::text FROM pg_attribute JOIN pg_class t ON t.oid = attrelid"
                " WHERE attname = 'community' AND relkind = 'r'"
            ).fetchall()
        }
    for here in (HERE, HERE[:9], "33", f"{ELSEWHERE},{HERE[:6]}"):
        hidden = {table for table, counts in sights(filled, {"region": here}).items() if counts != {1}}
        assert hidden & of_regions == set(), here


def test_who_reaches_people_sees_what_is_theirs(filled: str) -> None:
    told = {"region": "-", "people": f"{uuid.uuid4()},{ID}", "holders": f"1,{NO}", "account": f"{NO}"}
    hidden = {table for table, counts in sights(filled, told).items() if counts != {1}}
    assert hidden == {"head_counts"} - {"head_counts"}, "every row is about somebody, so it is shown to them"
    others = {"region": "-", "people": f"{uuid.uuid4()}", "holders": "1,77", "account": "8"}
    shown = {table for table, counts in sights(filled, others).items() if counts != {0}}
    assert shown - named("open") == named("shut")


def test_who_has_a_place_here_is_known_here_wherever_they_live(copied: str) -> None:
    theirs = {
        "linli_childcare": ("child_records", "collectors", "consents"),
        "linli_elder_meals": ("elder_profiles", "absences", "consents"),
    }
    with connect(copied) as connection:

        def shown() -> set[int]:
            pairs = [(role, table) for role, several in theirs.items() for table in several]
            return {seen(connection, role, table, {"region": HERE}) for role, table in pairs}

        for table in ("holders", "persons", *{one for several in theirs.values() for one in several}):
            connection.execute(sql.SQL("UPDATE {} SET community = %s").format(sql.Identifier(table)), (ELSEWHERE,))
        assert shown() == {1}, "a kitchen knows what a guest from the next town must not eat"
        connection.execute("UPDATE claims SET community = %s", (ELSEWHERE,))
        assert shown() == {0}


def test_who_stays_here_is_known_at_the_desk_here(copied: str) -> None:
    with connect(copied) as connection:
        for table in ("holders", "persons", "claims", "requests", "reveals"):
            connection.execute(sql.SQL("UPDATE {} SET community = %s").format(sql.Identifier(table)), (ELSEWHERE,))
        for stays, count in (("NULL", 1), ("'2026-01-01'", 0)):
            connection.execute(f"UPDATE person_places SET ended_on = {stays}".encode())
            for table in ("persons", "requests", "reveals"):
                assert seen(connection, "linli_identity", table, {"region": HERE}) == count, (table, stays)
        assert seen(connection, "linli_gateway", "persons", {"region": HERE}) == 0


def test_no_service_climbs_the_wall(database_url: str) -> None:
    with connect(database_url) as connection:
        assert len(roles(connection)) == len(SERVICES) + 1
        assert (
            connection.execute(
                "SELECT rolname FROM pg_roles r WHERE starts_with(rolname, 'linli_') AND (rolsuper OR rolbypassrls OR rolcanlogin"
                " OR EXISTS (SELECT FROM pg_class t WHERE t.relowner = r.oid)"
                " OR EXISTS (SELECT FROM pg_auth_members m WHERE m.member = r.oid))"
            ).fetchall()
            == []
        )


def test_an_owner_who_is_no_superuser_stands_before_the_wall_too(copied: str) -> None:
    with connect(copied) as connection, connection.transaction(force_rollback=True):
        connection.execute("CREATE ROLE owner_of_the_test")
        connection.execute("ALTER TABLE persons OWNER TO owner_of_the_test")
        assert seen(connection, "owner_of_the_test", "persons", {}) == 0
        connection.execute("RESET ROLE")
        assert seen(connection, "owner_of_the_test", "persons", {"region": "*"}) == 1


def test_a_town_may_belong_to_somebody_who_is_no_superuser(server: embedded.Embedded) -> None:
    owner, name = "keeper_of_the_test", "owned_by_the_keeper"
    with connect(server.url("postgres")) as connection:
        connection.execute(f"CREATE ROLE {owner} LOGIN CREATEROLE")
        for role in roles(connection):  # those that this cluster has already; the owner makes the rest
            connection.execute(f"GRANT {role} TO {owner} WITH ADMIN OPTION".encode())
        connection.execute(f"CREATE DATABASE {name} OWNER {owner}")
        url = server.url(name).replace("user=linli", f"user={owner}")
        try:
            migrate.upgrade(url)
            with connect(url) as owned:
                assert owned.execute("SELECT current_user::text").fetchone() == (owner,)
                entry = "INSERT INTO audit (action, community, data) VALUES ('x', '33', '{}')"
                with pytest.raises(refused.InsufficientPrivilege):
                    owned.execute(entry)
                owned.execute(reach.OF_A_SESSION)
                owned.execute(entry)
            assert [one for one in asyncio.run(doctor.examine(url)) if one[1]] == []
            migrate.downgrade(url, "base")
            migrate.upgrade(url)
        finally:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)")
            connection.execute(f"DROP OWNED BY {owner}")
            connection.execute(f"DROP ROLE {owner}")


def test_the_doctor_sees_a_wall_that_was_taken_down_and_who_climbs_one(database_url: str) -> None:
    checks = [doctor.CHECKS[name].encode() for name in ("every wall stands", "no service climbs the walls")]
    with connect(database_url) as connection:
        assert [connection.execute(one).fetchall() for one in checks] == [[], []]
        with connection.transaction(force_rollback=True):
            connection.execute("ALTER TABLE persons NO FORCE ROW LEVEL SECURITY")
            connection.execute("CREATE ROLE linli_of_the_test BYPASSRLS")
            assert [connection.execute(one).fetchall() for one in checks] == [[("persons",)], [("linli_of_the_test",)]]


@pytest.mark.parametrize(
    ("role", "table", "condition", "index"),
    [
        ("linli_gateway", "notices", "position > 0 AND holders && '{1}'::bigint[]", "notices_holders_idx"),
        (
            "linli_gateway",
            "notices",
            "position > 0 AND places @> '{00000000-0000-0000-0000-000000000001}'::uuid[]",
            "notices_places_idx",
        ),
        ("linli_gateway", "waits", "holders && '{1}'::bigint[]", "waits_holders_idx"),
        ("linli_gateway", "refused", "holder_nos @> '{1}'::bigint[]", "refused_holder_nos_idx"),
        ("linli_childcare", "incidents", "children && '{1}'::bigint[]", "incidents_children_idx"),
        ("linli_identity", "persons", "starts_with(name, '王')", "persons_name_idx"),
    ],
)
def test_an_index_finds_rows_behind_the_wall(
    database_url: str, role: str, table: str, condition: str, index: str
) -> None:
    with connect(database_url) as connection, connection.transaction():
        connection.execute("SET LOCAL enable_seqscan = off")
        connection.execute("SET LOCAL app.region = '*'")
        connection.execute(sql.SQL("SET LOCAL ROLE {}").format(sql.Identifier(role)))
        told = connection.execute(f"EXPLAIN SELECT * FROM {table} WHERE {condition}".encode()).fetchall()
    assert any(index in str(line) for (line,) in told), told


def test_the_walls_go_as_they_came(database_url: str) -> None:
    policies = "SELECT tablename, policyname, roles, cmd, qual, with_check FROM pg_policies ORDER BY 1, 2"
    with connect(database_url) as connection:
        wanted = connection.execute(policies).fetchall()
        assert wanted
        migrate.downgrade(database_url, "0019")
        assert connection.execute(policies).fetchall() == []
        assert not any(tables(connection).values())
        migrate.upgrade(database_url)
        assert connection.execute(policies).fetchall() == wanted


def test_a_reach_is_made_of_codes_and_ids_and_nothing_else() -> None:
    mine, theirs = uuid.uuid4(), uuid.uuid4()
    caller = Caller(
        account_no=3,
        person_id=mine,
        holder_no=4,
        roles=(Role("staff", "330411"), Role("gate", "330424101", uuid.uuid4())),
        acts_for=(ActsFor(theirs, 5, "x", "guardian"),),
    )
    assert reach.of(caller) == reach.Reach("330411,330424101", f"{theirs},{mine}", "4,5", "3")
    assert reach.of(caller).settings == (
        f";SET LOCAL app.region='330411,330424101';SET LOCAL app.people='{theirs},{mine}'"
        ";SET LOCAL app.holders='4,5';SET LOCAL app.account='3'"
    )
    assert reach.of(Caller()).settings == ";SET LOCAL app.region='-'"
    assert reach.of(Caller(roles=(Role("manager", ""),))) == reach.EVERYWHERE
    for wrong in ("33';DROP TABLE persons;--", "33%", "zz", "33\n"):
        with pytest.raises(ValueError, match="codes and ids"):
            _ = reach.Reach(wrong).settings


def beyond(dependant: Any) -> bool:
    """Whether a route is given the database without its caller's reach."""
    return dependant.call is web.wide or any(beyond(one) for one in dependant.dependencies)


def flat(several: Iterable[Any]) -> Iterator[APIRoute]:
    """Every route, those of included routers, too."""
    for one in several:
        if isinstance(one, APIRoute):
            yield one
        else:
            yield from flat(getattr(getattr(one, "original_router", None), "routes", ()))


def test_what_reaches_beyond_its_caller_says_why() -> None:
    every = {one.operation_id or one.path: beyond(one.dependant) for one in flat(routes())}
    assert len(every) > 100
    found = {name for name, is_beyond in every.items() if is_beyond}
    stated = {bare(row["operation"]) for row in rows(PAGE, "beyond")}
    assert {one for one in found if not any(fnmatchcase(one, pattern) for pattern in stated)} == set()
    assert {one for one in stated if not any(fnmatchcase(name, one) for name in found)} == set()
