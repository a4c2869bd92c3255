"""What cannot be done is told in one sentence, on stderr, with an exit code that is not 0, before anything is done."""

from __future__ import annotations

import socket
import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
from sqlalchemy.engine import make_url

from services.cli import Stop, database
from shared import crypto, embedded, revisions
from tests.cli import commands
from tests.cli.commands import refusal

SIGNS_OF_LIFE = ["Starting the database"]


def execute(url: str, sql: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(sql.encode())


def rows(url: str, sql: str) -> list[tuple[object, ...]]:
    with psycopg.connect(url) as connection:
        return connection.execute(sql.encode()).fetchall()


@contextmanager
def empty_database(server: embedded.Embedded) -> Iterator[str]:
    name = f"t_{uuid.uuid4().hex[:16]}"
    execute(server.url("postgres"), f"CREATE DATABASE {name}")
    try:
        yield server.url(name)
    finally:
        execute(server.url("postgres"), f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def empty(server: embedded.Embedded) -> Iterator[str]:
    with empty_database(server) as url:
        yield url


@pytest.fixture
def deployed(database_url: str, tmp_path: Path) -> str:
    """A deployment that is no demo, with its keys in `tmp_path`."""
    ring = crypto.load_or_create(tmp_path / "keys.json", may_create=True)
    database.remember_keys(database_url, ring, demo=False)
    return database_url


def test_a_port_in_use_is_told_before_anything_is_started(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        told = f"Port {port} on 127.0.0.1 cannot be used (Address already in use); choose another with --port."
        assert refusal("up", "--port", port, "--data-dir", tmp_path / "new") == told
        assert refusal("serve", "identity", "--port", port, "--data-dir", tmp_path / "new") == told
    assert not (tmp_path / "new").exists()


def test_a_data_dir_that_cannot_be_written_to(tmp_path: Path, database_url: str) -> None:
    (tmp_path / "file").touch()
    for path in (tmp_path / "file", tmp_path / "file" / "below"):
        done = commands.linli("up", "--port", 0, "--data-dir", path)
        assert (done.returncode, done.stdout) == (1, "")
        *before, line = done.stderr.splitlines()
        assert before in ([], SIGNS_OF_LIFE)
        assert line.startswith(f"linli: Cannot write to {path} (")
    path = tmp_path / "file" / "below"
    assert refusal("seed", "--residents", 1, "--data-dir", path).startswith(f"Cannot write to {path} (")
    told = f"The data dir {path} cannot be written to; choose another with --data-dir."
    assert refusal("up", "--port", 0, "--data-dir", path, url=database_url) == told
    told = refusal("migrate", "--data-dir", path, url=database_url)
    assert told.startswith(f"The key file {path / 'keys.json'} cannot be opened (")


def test_a_data_dir_that_another_process_serves(tmp_path: Path) -> None:
    with embedded.own(tmp_path):
        told = refusal("seed", "--data-dir", tmp_path)
    assert told == f"Another process already serves {tmp_path}: stop it first, or choose another data directory."
    assert not (tmp_path / "postgres").exists()


def test_a_database_that_does_not_answer(server: embedded.Embedded) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))  # bound, so that nobody else takes it; not listening, so that it refuses
        url = f"postgresql://linli:secret@127.0.0.1:{silent.getsockname()[1]}/linli"
        told = "The database at DATABASE_URL cannot be reached (Connection refused); start it or correct the URL."
        assert refusal("doctor", url=url) == told
    told = refusal("doctor", url=server.url("nowhere"))
    assert told == (
        'The database at DATABASE_URL cannot be reached (database "nowhere" does not exist); '
        "start it or correct the URL."
    )


@pytest.mark.parametrize("url", ["mysql://linli@127.0.0.1/linli", "nonsense", "", "host=127.0.0.1 port=1 dbname=linli"])
def test_a_database_url_that_is_not_postgresqls(url: str) -> None:
    told = refusal("doctor", url=url)
    assert told == "DATABASE_URL is not a PostgreSQL URL; write postgresql://user:password@host:5432/name."


def test_of_two_who_make_a_database_at_once_the_later_is_refused(deployed: str, tmp_path: Path) -> None:
    other = crypto.load_or_create(tmp_path / "others.json", may_create=True)
    with pytest.raises(Stop, match=r"^Somebody else has made this database .*\.$"):
        database.remember_keys(deployed, other, demo=False)


def test_only_commands_that_fill_a_database_make_one(tmp_path: Path) -> None:
    data_dir = tmp_path / "nothing"
    told = f"There is no database in {data_dir}; run `linli up` on it first, or set DATABASE_URL."
    for words in (("doctor",), ("demo", "token", "resident")):
        assert refusal(*words, "--data-dir", data_dir) == told
    assert not data_dir.exists()


def test_an_empty_database_is_served_to_nobody(empty: str, tmp_path: Path) -> None:
    told = "The database is empty; run `linli migrate` first."
    for words in (("serve", "booking", "--port", 0), ("worker",), ("doctor",), ("demo", "token", "resident")):
        assert refusal(*words, "--data-dir", tmp_path, url=empty) == told
    assert list(tmp_path.iterdir()) == []
    assert rows(empty, "SELECT 1 FROM pg_tables WHERE schemaname = 'public'") == []


def test_a_database_of_a_newer_version_is_left_alone(deployed: str, tmp_path: Path) -> None:
    execute(deployed, "UPDATE alembic_version SET version_num = 'f00d'")
    told = "The database is at version f00d, which this code does not know; install the newer Linli."
    for words in (("up", "--port", 0), ("serve", "gateway", "--port", 0), ("migrate",), ("seed", "--residents", 1)):
        assert refusal(*words, "--data-dir", tmp_path, url=deployed) == told
    assert rows(deployed, "SELECT version_num FROM alembic_version") == [("f00d",)]


def test_which_versions_of_a_database_may_be_served(empty: str, database_url: str) -> None:
    database.require_current(database_url)
    with pytest.raises(Stop, match=r"^The database is empty; run `linli migrate` first\.$"):
        database.require_current(empty)
    execute(database_url, "UPDATE alembic_version SET version_num = 'f00d'")
    with pytest.raises(Stop, match=r"version f00d, which this code does not know"):
        database.require_current(database_url)
    execute(database_url, "DELETE FROM alembic_version")
    with pytest.raises(Stop, match="is empty"):
        database.require_current(database_url)
    assert revisions.is_known(revisions.head())
    assert not revisions.is_known("f00d")


def test_a_migration_there_is_no_way_for(deployed: str, tmp_path: Path) -> None:
    told = refusal("migrate", "--to", "yesterday", "--data-dir", tmp_path, url=deployed)
    assert told == f"There is no way from {revisions.head()} to yesterday; name an older revision, or base."
    assert rows(deployed, "SELECT version_num FROM alembic_version") == [(revisions.head(),)]


def test_what_lies_in_the_current_folder_is_not_taken_for_ours(empty: str, tmp_path: Path) -> None:
    """`linli` stands in somebody's project, which has migrations of its own."""
    for name in ("migrations", "alembic", "shared", "services"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("raise SystemExit(f'not {__name__}')")
    linli = [
        sys.executable,
        "-P",
        "-c",
        "from services.cli import main; main()",
        "migrate",
        "--data-dir",
        str(tmp_path),
    ]
    done = subprocess.run(
        linli, cwd=tmp_path, env=commands.environment(empty), capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, f"new -> {revisions.head()}\n"), done.stderr


def test_a_database_user_who_may_not_make_tables(server: embedded.Embedded, empty: str, tmp_path: Path) -> None:
    user = f"weak_{uuid.uuid4().hex[:8]}"
    execute(empty, f"CREATE ROLE {user} LOGIN")
    try:
        url = server.url(make_url(empty).database or "", user=user)
        told = refusal("migrate", "--data-dir", tmp_path, url=url)
        assert told == "The database refused: permission denied for schema public."
    finally:
        execute(empty, f"DROP ROLE {user}")


def test_keys_that_are_not_this_databases(deployed: str, tmp_path: Path) -> None:
    other = tmp_path / "other"
    crypto.load_or_create(other / "keys.json", may_create=True)
    told = (
        f"The keys in {other / 'keys.json'} are not those this database was made with; "
        "put the right keys there, or use another data dir."
    )
    for words in (("up", "--port", 0), ("serve", "identity", "--port", 0), ("migrate",)):
        assert refusal(*words, "--data-dir", other, url=deployed) == told


def test_keys_that_are_gone_damaged_or_open_to_all(deployed: str, tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    told = refusal("worker", "--data-dir", gone, url=deployed)
    assert told.startswith(f"There is no key file at {gone / 'keys.json'}: restore it from your backup, because ")
    assert not gone.exists()
    file = tmp_path / "keys.json"
    file.chmod(0o644)
    assert f"run `chmod 600 {file}`" in refusal("worker", "--data-dir", tmp_path, url=deployed)
    file.chmod(0o600)
    file.write_text(file.read_text()[:-20])
    told = refusal("worker", "--data-dir", tmp_path, url=deployed)
    assert told == f"The key file {file} is damaged or made by a newer version of Linli: restore it from your backup."


def test_names_that_nobody_has(deployed: str, tmp_path: Path) -> None:
    told = refusal("serve", "laundry", "--port", 0, "--data-dir", tmp_path, url=deployed)
    assert told.startswith("There is no part called laundry; there are gateway, identity, booking")
    assert refusal("openapi", "laundry") == "There is no service called laundry."


def test_a_part_without_a_database_to_share(tmp_path: Path) -> None:
    told = refusal("serve", "booking", "--port", 0, "--data-dir", tmp_path)
    assert told == "No database: set DATABASE_URL, or start `linli up` on this data dir first."
    assert list(tmp_path.iterdir()) == []


def test_a_database_that_is_no_demo_gives_no_tokens_and_gets_no_invented_residents(
    deployed: str, tmp_path: Path
) -> None:
    told = "This is not a demo database: there are no demo accounts in it."
    for words in (("token", "resident"), ("tokens", 3), ("people",)):
        assert refusal("demo", *words, "--data-dir", tmp_path, url=deployed) == told
    told = "This is not a demo database: it is not filled with synthetic residents."
    assert refusal("seed", "--residents", 5, "--data-dir", tmp_path, url=deployed) == told
    assert rows(deployed, "SELECT 1 FROM persons") == []


def test_more_connections_than_a_deployment_may_have(tmp_path: Path) -> None:
    told = refusal("up", "--port", 0, "--workers", 20, "--data-dir", tmp_path, LINLI_POOL_SIZE="12")
    assert told == (
        "20 processes with 12 connections each want 248 database connections of 80; lower --workers or LINLI_POOL_SIZE."
    )
    assert list(tmp_path.iterdir()) == []


def test_settings_that_cannot_be_used() -> None:
    told = refusal("doctor", LINLI_POOL_SIZE="1000")
    assert told.startswith("The setting LINLI_POOL_SIZE cannot be used: Input should be less than or equal to")
    assert refusal("doctor", LINLI_UPSTREAMS="booking=http://127.0.0.1").startswith(
        "The setting LINLI_UPSTREAMS cannot be read: it is JSON"
    )
    assert refusal("doctor", LINLI_PARTNER_NETWORKS="127.0.0.0/8").startswith(
        "The setting LINLI_PARTNER_NETWORKS cannot"
    )
