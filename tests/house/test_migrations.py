"""Migrations and models are two tellings of one schema; each migration goes both ways, with people in the tables."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator
from datetime import date, time, timedelta
from itertools import pairwise
from typing import Any

import psycopg
import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from psycopg.types.json import Jsonb
from sqlalchemy import Engine, create_engine
from sqlalchemy.engine import make_url
from sqlalchemy.pool import NullPool

from shared import clock, embedded, migrate, revisions
from shared.models import Base
from tests.conftest import copy_of
from tests.house.house import ROOT
from tests.town import Town

SCRIPTS = ScriptDirectory.from_config(migrate.config())
HISTORY = [one.revision for one in reversed(list(SCRIPTS.walk_revisions()))]

OURS = "n.nspname = 'public' AND {0}.relname NOT LIKE 'procrastinate\\_%' AND {0}.relname <> 'alembic_version'"
CATALOGUE = {
    "tables": f"""
        SELECT t.relname, t.relpersistence, array_to_string(t.reloptions, ',')
        FROM pg_class t JOIN pg_namespace n ON n.oid = t.relnamespace
        WHERE t.relkind IN ('r', 'p') AND {OURS.format("t")}""",
    "columns": f"""
        SELECT t.relname, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull, a.attidentity, a.attgenerated,
               pg_get_expr(d.adbin, d.adrelid), a.attcollation::regcollation::text
        FROM pg_attribute a JOIN pg_class t ON t.oid = a.attrelid JOIN pg_namespace n ON n.oid = t.relnamespace
        LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
        WHERE a.attnum > 0 AND NOT a.attisdropped AND t.relkind IN ('r', 'p') AND {OURS.format("t")}""",
    "constraints": f"""
        SELECT t.relname, c.conname, c.contype, c.condeferrable, replace(pg_get_constraintdef(c.oid), ' NOT VALID', '')
        FROM pg_constraint c JOIN pg_class t ON t.oid = c.conrelid JOIN pg_namespace n ON n.oid = t.relnamespace
        WHERE {OURS.format("t")}""",
    "constraints that old rows keep": f"""
        SELECT t.relname, c.conname
        FROM pg_constraint c JOIN pg_class t ON t.oid = c.conrelid JOIN pg_namespace n ON n.oid = t.relnamespace
        WHERE c.convalidated AND {OURS.format("t")}""",
    "indexes": f"""
        SELECT t.relname, i.relname, pg_get_indexdef(x.indexrelid)
        FROM pg_index x JOIN pg_class i ON i.oid = x.indexrelid JOIN pg_class t ON t.oid = x.indrelid
        JOIN pg_namespace n ON n.oid = t.relnamespace WHERE {OURS.format("t")}""",
    "sequences of columns": f"""
        SELECT t.relname, s.seqstart, s.seqincrement, s.seqcache, s.seqcycle
        FROM pg_sequence s JOIN pg_class t ON t.oid = s.seqrelid JOIN pg_namespace n ON n.oid = t.relnamespace
        WHERE EXISTS (SELECT FROM pg_depend d WHERE d.objid = t.oid AND d.deptype IN ('a', 'i')
                      AND d.refclassid = 'pg_class'::regclass) AND {OURS.format("t")}""",
}


def told(url: str) -> dict[str, list[str]]:
    """Everything the catalogue says of our tables."""
    with psycopg.connect(url) as connection:
        return {
            name: sorted(str(row) for row in connection.execute(query.encode()).fetchall())
            for name, query in CATALOGUE.items()
        }


def engine(url: str) -> Engine:
    return create_engine(make_url(url).set(drivername="postgresql+psycopg"), poolclass=NullPool)


@pytest.fixture
def empty(server: embedded.Embedded) -> Iterator[str]:
    """A database with nothing in it."""
    with copy_of(server, "template0") as url:
        yield url


def test_there_is_one_head_and_one_line_of_history() -> None:
    assert SCRIPTS.get_heads() == [revisions.head()]
    assert len(SCRIPTS.get_bases()) == 1
    assert all(isinstance(one.down_revision, str | None) for one in SCRIPTS.walk_revisions())


def test_a_migration_is_numbered_named_and_says_what_it_does() -> None:
    files = sorted((ROOT / "migrations" / "versions").glob("*.py"))
    assert [path.name[:4] for path in files] == [f"{n:04}" for n in range(1, len(files) + 1)]
    assert [path.name[:4] for path in files] == HISTORY
    for path in files:
        assert re.fullmatch(r"\d{4}_[a-z]+(_[a-z]+)*\.py", path.name), path.name
        assert re.match(r'"""[A-Z][^"]+\."""\n', path.read_text(encoding="utf-8")), path.name


def test_the_models_and_the_migrations_make_the_same_tables(empty: str, database_url: str) -> None:
    Base.metadata.create_all(engine(empty))
    models, migrated = told(empty), told(database_url)
    for name, of_models in models.items():
        assert of_models, name
        assert migrated[name] == of_models, name


def test_autogenerate_finds_nothing_to_do(database_url: str) -> None:
    with engine(database_url).connect() as connection:
        context = MigrationContext.configure(
            connection,
            opts={
                "compare_type": True,
                "compare_server_default": True,
                "include_name": lambda name, kind, _: kind != "table" or not name.startswith("procrastinate_"),
            },
        )
        assert compare_metadata(context, Base.metadata) == []


def fill(url: str) -> None:
    """People in the tables: everything that a day in town leaves behind."""
    town = Town(url)
    parent, child, member = town.residents(3, household=True)
    town.relate(parent, child)
    town.appoint(member, "staff")
    slot = town.slot()
    for someone, state in ((parent, "held"), (child, "confirmed"), (member, "released")):
        resource = uuid.uuid4() if state == "confirmed" else None
        group: Any = town.one(
            "INSERT INTO claims (group_id, slot_id, holder_no, account_no, community, service, place_id, starts_at,"
            " ends_at, channel, state, is_active, is_exclusive, held_until, resource_id) SELECT uuidv7(), id, %s, %s,"
            " community, service, place_id, starts_at, ends_at, 'app', %s, %s, true,"
            " CASE WHEN %s THEN now() + interval '30 s' END, %s FROM slots WHERE id = %s RETURNING group_id",
            *(someone.holder_no, someone.account_no, state, state != "released", state == "held", resource, slot),
        )
        town.do(
            "INSERT INTO asks (account_no, key, group_id, fingerprint, service, state)"
            " VALUES (%s, 'key-of-the-test', %s, '\\x00', 'booking', 'granted')",
            *(someone.account_no, group),
        )
        if resource is not None:
            town.do(
                "INSERT INTO reservations (id, group_id, place_id, community, account_no, starts_at)"
                " SELECT %s, %s, place_id, community, %s, starts_at FROM slots WHERE id = %s",
                *(resource, group, someone.account_no, slot),
            )
    town.do("UPDATE slots SET taken = 2, next_lapse = now() + interval '30 s', waiting = 1 WHERE id = %s", slot)
    town.do(
        "INSERT INTO waits (slot_id, group_id, no, account_no, key, holders, units, channel, body)"
        " VALUES (%s, uuidv7(), nextval('waits_no_seq'), %s, 'another-key', %s, 1, 'app', '\\x00')",
        *(slot, member.account_no, [member.holder_no]),
    )
    town.do(
        "INSERT INTO notices (type, community, subject, holders, data) VALUES ('t.h.happened', '33', uuidv7(), '{}', '{}')"
    )
    town.do("INSERT INTO suspensions (holder_no, service, reason, starts_at, ends_at) VALUES (%s, 'booking', 'no_show',"
            " now(), now() + interval '7 days')", child.holder_no)  # fmt: skip
    town.do("INSERT INTO terms (place_id, version, body) VALUES (%s, 1, '{}')", town.place_id)
    town.do("INSERT INTO deployment (fingerprint) VALUES ('test')")


def test_every_migration_goes_both_ways_with_people_in_the_tables(empty: str, database_url: str) -> None:
    made = {}
    for one in HISTORY:
        migrate.upgrade(empty, one)
        made[one] = told(empty)

    def is_at(revision: str) -> None:
        assert revisions.current(database_url) == revision
        now, wanted = told(database_url), dict(made[revision])
        for one in (now, wanted):
            del one["constraints that old rows keep"]  # what was written meanwhile need not keep the laws of before
        assert now == wanted

    fill(database_url)
    for older, one in reversed(list(pairwise(HISTORY))):
        migrate.downgrade(database_url, older)
        is_at(older)
        migrate.upgrade(database_url, one)
        is_at(one)
        migrate.downgrade(database_url, older)
    migrate.downgrade(database_url, "base")
    assert revisions.current(database_url) is None
    assert told(database_url) == {name: [] for name in CATALOGUE}
    with psycopg.connect(database_url) as connection:
        left = connection.execute(
            "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relname NOT LIKE 'alembic%'"
            " UNION ALL SELECT proname FROM pg_proc WHERE pronamespace = 'public'::regnamespace"
        ).fetchall()
    assert left == []
    migrate.upgrade(database_url)
    assert told(database_url) == made[revisions.head()]
    fill(database_url)


def test_roles_that_say_nothing_are_over_before_their_law_comes(database_url: str) -> None:
    migrate.downgrade(database_url, HISTORY[HISTORY.index("0014") - 1])
    town = Town(database_url)
    one, other = town.residents(2)
    for someone in (one, one, other):
        town.appoint(someone, "manager")
    town.do(
        "INSERT INTO roles (account_no, role, prefix, ends_at) VALUES (%s, 'staff', '33', '2020-01-01')", one.account_no
    )
    migrate.upgrade(database_url)
    kept = town.all("SELECT account_no, role FROM roles WHERE ends_at IS NULL OR ends_at > now() ORDER BY account_no")
    assert kept == [(one.account_no, "manager"), (other.account_no, "manager")]
    town.appoint(other, "security", "33")
    migrate.downgrade(database_url, HISTORY[HISTORY.index("0014") - 1])
    assert town.one("SELECT count(*) FROM roles WHERE role = 'security'") == 0


def test_a_migration_gives_up_on_a_lock_rather_than_stopping_the_town(database_url: str) -> None:
    with engine(database_url).connect() as connection:
        command.upgrade(migrate.config(connection), "head")
        assert connection.exec_driver_sql("SHOW lock_timeout").scalar() == "5s"


def test_a_second_migration_of_the_same_database_changes_nothing(database_url: str) -> None:
    wanted = told(database_url)
    migrate.upgrade(database_url)
    assert told(database_url) == wanted


def test_a_migration_changes_the_schema_and_nothing_else() -> None:
    for path in (ROOT / "migrations" / "versions").glob("*.py"):
        text = path.read_text(encoding="utf-8")
        assert not re.search(r"^(from|import) (shared|services)", text, re.MULTILINE), (
            f"{path.name}: tomorrow's code must not change yesterday's migration"
        )


def test_what_guardians_proxies_and_consents_said_before_keeps_its_meaning_with_families(database_url: str) -> None:
    before = next(one.down_revision for one in SCRIPTS.walk_revisions() if one.path.endswith("_families.py"))
    assert isinstance(before, str)
    migrate.downgrade(database_url, before)
    town = Town(database_url)
    mother, other = town.residents(2)
    (child,) = town.residents(born=date(2016, 2, 29))
    (young,) = town.residents(born=date(2009, 5, 5))
    (grown,) = town.residents(born=date(2000, 5, 5))
    for who in (child, young, grown):
        town.do(
            "INSERT INTO relations (actor_id, person_id, kind) VALUES (%s, %s, 'guardian')",
            *(mother.person_id, who.person_id),
        )
        town.do(
            "INSERT INTO consents (person_id, purpose, step, version, given, at, channel, given_by, by_account_no, "
            "by_person_id, community) VALUES (%s, 'health', 1, 1, true, '2022-01-01', 'app', 'guardian', %s, %s, '33')",
            *(who.person_id, mother.account_no, mother.person_id),
        )
    for days in (10, 20):
        town.do(
            "INSERT INTO relations (actor_id, person_id, kind, ends_at) VALUES (%s, %s, 'proxy', now() + %s * interval '1 day')",
            *(mother.person_id, other.person_id, days),
        )
    migrate.upgrade(database_url)
    ends = "SELECT ends_at, closed_at FROM relations WHERE kind = 'guardian' AND person_id = %s"
    assert town.all(ends, child.person_id) == [(clock.at(date(2034, 3, 1), time()), None)]
    (over,) = town.all(ends, grown.person_id)
    assert over[0] <= clock.now()
    assert over[1] is not None, "nobody is told of what was over long ago"
    proxies = "SELECT count(*) FROM relations WHERE kind = 'proxy' AND closed_at IS NULL AND ends_at > now()"
    assert town.one(proxies) == 1, "of two at once the newer one stands"
    until = "SELECT until FROM consents WHERE person_id = %s"
    assert town.one(until, child.person_id) == clock.at(date(2030, 3, 31), time())
    assert town.one(until, young.person_id) > clock.now() + timedelta(days=29), "who is older has a month from now"
    assert town.one(until, grown.person_id) is None, "it was given for somebody of age by then"
    migrate.downgrade(database_url, before)
    assert town.all("SELECT ends_at FROM relations WHERE person_id = %s", child.person_id) == [(None,)]
    migrate.upgrade(database_url)


def test_sessions_that_began_with_a_second_factor_go_on_and_no_others_of_power(database_url: str) -> None:
    before = next(one.down_revision for one in SCRIPTS.walk_revisions() if one.path.endswith("_second_factors.py"))
    assert isinstance(before, str)
    migrate.downgrade(database_url, before)
    town = Town(database_url)
    (auditor,) = town.residents()
    town.do(
        "INSERT INTO second_factors (account_no, secret_sealed, enrolled_at) VALUES (%s, '\\x00', now())",
        auditor.account_no,
    )
    for provider, hours in (("password", 1), ("password", -1), ("oidc", 1), ("phone", 1)):
        town.do(
            "INSERT INTO sessions (id, account_no, provider, refresh_hash, made_at, expires_at) VALUES"
            " (uuidv7(), %s, %s, '\\x00', now() + %s * interval '1 hour', now() + interval '9 hours')",
            *(auditor.account_no, provider, hours),
        )
    migrate.upgrade(database_url)
    assert town.all("SELECT provider, made_at > now() FROM sessions WHERE has_second") == [("password", True)]


def test_notices_from_before_they_knew_their_places_learn_them(database_url: str) -> None:
    before = next(
        one.down_revision for one in SCRIPTS.walk_revisions() if one.path.endswith("_places_of_old_notices.py")
    )
    assert isinstance(before, str)
    migrate.downgrade(database_url, before)
    town = Town(database_url)
    slot = town.slot()
    told = {
        "of a slot": {"slots": [str(slot)]},
        "of a room": {"room_id": str(town.place_id)},
        "of nothing": {"slots": ["x"]},
    }
    for n, (name, data) in enumerate({**told, "on its way": told["of a slot"]}.items(), 1):
        town.do(
            "INSERT INTO notices (type, community, subject, holders, data, position) VALUES (%s, '330411105003', uuidv7(), '{}', "
            "%s, %s)",
            *(name, Jsonb(data), n if name in told else None),
        )
    migrate.upgrade(database_url)
    known = dict(town.all("SELECT type, places FROM notices"))
    assert known == {"of a slot": [town.place_id], "of a room": [town.place_id], "of nothing": [], "on its way": []}
    migrate.downgrade(database_url, before)
    assert dict(town.all("SELECT type, places FROM notices")) == known


def test_a_period_that_was_set_by_hand_and_the_dead_outlive_the_way_there_and_back(database_url: str) -> None:
    before = next(one.down_revision for one in SCRIPTS.walk_revisions() if one.path.endswith("_after_a_death.py"))
    assert isinstance(before, str)
    town = Town(database_url)
    (dead,) = town.residents()
    town.do("UPDATE holders SET kind = 'dead' WHERE id = %s", dead.person_id)
    town.do(
        "INSERT INTO deaths (person_id, community, died_on, evidence, account_no) "
        "VALUES (%s, '330411105003', '2026-01-01', 'death_certificate', 1)",
        dead.person_id,
    )
    migrate.downgrade(database_url, before)
    assert town.one("SELECT kind FROM holders WHERE id = %s", dead.person_id) == "person"
    town.do("UPDATE retention SET days = 200 WHERE table_name IN ('audit', 'uploads', 'requests')")
    migrate.upgrade(database_url)
    kept = town.all("SELECT table_name, days, least, most FROM retention WHERE days = 200 ORDER BY 1")
    assert kept == [("audit", 200, 180, 3650), ("requests", 200, 200, 3650), ("uploads", 200, 40, 200)]
    assert town.all("SELECT * FROM kept_too_long()") == []


def test_of_an_absence_that_was_sent_twice_one_stands(database_url: str) -> None:
    before = next(
        one.down_revision for one in SCRIPTS.walk_revisions() if one.path.endswith("_absences_are_said_once.py")
    )
    assert isinstance(before, str)
    migrate.downgrade(database_url, before)
    town = Town(database_url)
    (elder,) = town.residents()
    for day, state in ((3, "active"), (3, "active"), (3, "withdrawn"), (4, "active")):
        town.do(
            "INSERT INTO absences (person_id, community, account_no, first, last, state) "
            "VALUES (%s, '330411105003', %s, '2026-12-01', make_date(2026, 12, %s), %s)",
            *(elder.person_id, elder.account_no, day, state),
        )
    migrate.upgrade(database_url)
    assert town.all("SELECT extract(day FROM last)::int, state FROM absences ORDER BY id") == [
        (3, "withdrawn"),
        (3, "active"),
        (3, "withdrawn"),
        (4, "active"),
    ]
    migrate.downgrade(database_url, before)
    assert town.one("SELECT count(*) FROM absences") == 4


def test_a_door_that_stayed_shut_twice_has_been_so_once_on_the_way_back(database_url: str) -> None:
    before = next(one.down_revision for one in SCRIPTS.walk_revisions() if one.path.endswith("_shut_again.py"))
    assert isinstance(before, str)
    town = Town(database_url)
    (elder,) = town.residents()
    order = town.one(
        "INSERT INTO meal_orders (id, group_id, place_id, community, account_no, slot_id, holder_no, person_id, day, starts_at, "
        "portions, terms_version, price_fen, subsidy_fen, fee_fen, pay_fen) VALUES (uuidv7(), uuidv7(), uuidv7(), '33', %s, "
        "uuidv7(), %s, %s, '2026-12-01', '2026-12-01', 1, 0, 0, 0, 0, 0) RETURNING id",
        *(elder.account_no, elder.holder_no, elder.person_id),
    )
    for kind, minute in (("unanswered", 1), ("unanswered", 9), ("delivered", 10)):
        town.do(
            "INSERT INTO meal_outcomes (id, order_id, community, kind, at, account_no) "
            "VALUES (uuidv7(), %s, '33', %s, '2026-12-01 11:00+08'::timestamptz + %s * interval '1 minute', 1)",
            *(order, kind, minute),
        )
    told = "SELECT kind, extract(minute FROM at)::int FROM meal_outcomes ORDER BY at"
    migrate.downgrade(database_url, before)
    assert town.all(told) == [("unanswered", 9), ("delivered", 10)], "what was told last, as the order says it"
    migrate.upgrade(database_url)
    assert town.all(told) == [("unanswered", 9), ("delivered", 10)]
