"""`linli`: everything an operator says to the town. Each failure is one clear sentence and an exit code that is not 0."""

from __future__ import annotations

import asyncio
import os
import re
import sys
from collections.abc import Coroutine
from pathlib import Path
from typing import Annotated, Any

import typer

app = typer.Typer(
    name="linli",
    help="Linli (邻里): the backend of a neighbourhood's services.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
demo_app = typer.Typer(help="Demo accounts and tokens (demo databases only).", no_args_is_help=True)
regions_app = typer.Typer(help="The official tree of regions.", no_args_is_help=True)
staff_app = typer.Typer(help="How colleagues log in.", no_args_is_help=True)
app.add_typer(demo_app, name="demo")
app.add_typer(staff_app, name="staff")
app.add_typer(regions_app, name="regions")
keys_app = typer.Typer(help="Turn the keys of this deployment while it runs.", no_args_is_help=True)
app.add_typer(keys_app, name="keys")

DataDir = Annotated[Path | None, typer.Option("--data-dir", help="Where keys and the embedded database live.")]


class Stop(Exception):
    """One clear sentence; the command ends with 1."""


def _settings(data_dir: Path | None, **changes: Any) -> Any:
    from pydantic import ValidationError
    from pydantic_settings import SettingsError

    from shared.settings import Settings

    if data_dir is not None:
        changes["data_dir"] = data_dir.expanduser().absolute()
    try:
        return Settings(**changes)
    except ValidationError as wrong:
        first = wrong.errors(include_input=False, include_url=False)[0]
        name = str(first["loc"][0]).upper().removeprefix("LINLI_")
        raise Stop(f"The setting LINLI_{name} cannot be used: {first['msg'].rstrip('.')}.") from None
    except SettingsError as wrong:
        field = re.search(r'field "([a-z_]+)"', str(wrong))
        name = f"The setting LINLI_{field[1].upper()}" if field else "A setting"
        raise Stop(f"{name} cannot be read: it is JSON; docs/settings.md has examples.") from None


@app.command()
def up(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to listen on; 0 takes a free one.")] = 8000,
    data_dir: DataDir = None,
    workers: Annotated[int, typer.Option(min=1, max=32, help="Serving processes.")] = 1,
    no_demo: Annotated[bool, typer.Option("--no-demo", help="Leave a new database empty.")] = False,
) -> None:
    """Serve the whole town: database, migrations, gateway, all services and the worker."""
    from services.cli import serving

    settings = _settings(data_dir)
    serving.up(settings, host=host, port=port, workers=workers, demo=not no_demo)


@app.command()
def serve(
    name: Annotated[str, typer.Argument(help="gateway, or a service's name.")],
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to listen on; 0 takes a free one.")] = 8000,
    data_dir: DataDir = None,
    fd: Annotated[int | None, typer.Option(hidden=True)] = None,
) -> None:
    """Serve one part: the gateway (services at LINLI_UPSTREAMS run elsewhere), or one service behind it."""
    from services.cli import serving

    serving.serve(_settings(data_dir), name, host=host, port=port, fd=fd)


@app.command()
def worker(data_dir: DataDir = None) -> None:
    """Do what is due without anyone asking; several workers share the work."""
    from services.cli import serving

    serving.work(_settings(data_dir))


@app.command()
def migrate(
    data_dir: DataDir = None,
    to: Annotated[str, typer.Option(help="A revision to go back to; default: this version's.")] = "head",
) -> None:
    """Bring the database to this version (or back to an older one)."""
    from services.cli import database
    from shared import migrate as migrations
    from shared import revisions

    settings = _settings(data_dir)
    with database.at(settings, may_make=True) as url:
        keys = database.keys(settings, url)
        before = revisions.current(url)
        if to == "head":
            database.migrate_up(url)
        elif before is not None and revisions.is_known(before) and (to == "base" or revisions.is_known(to)):
            migrations.downgrade(url, to)
        else:
            raise Stop(
                f"There is no way from {before or 'an empty database'} to {to}; name an older revision, or base."
            )
        if revisions.current(url):
            database.remember_keys(url, keys, demo=False)
        typer.echo(f"{before or 'new'} -> {revisions.current(url) or 'empty'}")


@app.command()
def doctor(data_dir: DataDir = None) -> None:
    """Recompute every invariant from the rows; names what is wrong and ends with 1 if anything is."""
    from services import doctor as checks
    from services.cli import database
    from shared.sealed import counted

    settings = _settings(data_dir)
    with database.at(settings) as url:
        database.require_current(url)
        found = asyncio.run(checks.examine(url))
        old = database.sealed_before(url, asyncio.run(counted(url)))
    for check, wrong in found:
        typer.echo(f"{'ok   ' if not wrong else 'WRONG'} {check}" + (f": {', '.join(wrong[:20])}" if wrong else ""))
    if old:
        typer.echo(f"note  {old} values are sealed with an older field key; `linli keys reseal` seals them anew")
    if any(wrong for _, wrong in found):
        raise typer.Exit(1)


@app.command()
def seed(
    residents: Annotated[int, typer.Option(min=0, max=2_000_000, help="How many residents the town gets.")] = 17_000,
    number: Annotated[int, typer.Option("--seed", help="The same number makes the same town.")] = 330411105,
    data_dir: DataDir = None,
) -> None:
    """Make the demo town with synthetic residents."""
    from services.cli import database, town

    settings = _settings(data_dir, demo=True)
    with database.at(settings, may_make=True) as url:
        keys = database.prepare(settings, url)
        town.build(url, keys, residents=residents, seed=number, show=True)


@app.command()
def openapi(
    name: Annotated[str | None, typer.Argument(help="A service; none: all of them.")] = None,
    lang: Annotated[str, typer.Option(help="zh or en.")] = "en",
    write: Annotated[bool, typer.Option("--write", help="Refresh the pinned documents in docs/.")] = False,
) -> None:
    """Print the OpenAPI document."""
    import json

    from services.gateway import console

    if write:
        for path in console.write_pins(Path("docs")):
            typer.echo(path)
        return
    document = console.document(lang)
    if name is not None:
        paths = {path: item for path, item in document["paths"].items() if path.startswith(f"/v1/{name}/")}
        if not paths:
            raise Stop(f"There is no service called {name}.")
        document = {**document, "paths": paths}
    typer.echo(json.dumps(document, ensure_ascii=False, indent=2))


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []})
def bench(context: typer.Context) -> None:
    """Run the benchmarks of this checkout."""
    import runpy

    path = Path(__file__).parents[2] / "benchmarks" / "run.py"
    if not path.exists():
        raise Stop("The benchmarks are part of a checkout; run script/bench there.")
    sys.argv = [str(path), *context.args]
    runpy.run_path(str(path), run_name="__main__")


@demo_app.command("people")
def demo_people(data_dir: DataDir = None) -> None:
    """The demo accounts: persona, name, phone; who has a password logs in by the persona's word."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    from services.cli.town import personas

    # A phone stands above its password: beside each other they would leave no room for words in 80 columns.
    table = Table("persona", "name", "phone, password", "what they are", box=box.SIMPLE)
    for column in table.columns[:-1]:
        column.no_wrap = True
    for persona, name, phone, password, what in _demo(data_dir, personas.people):
        table.add_row(persona, name, "\n".join(filter(None, (phone, password))) or "-", what)
    Console().print(table)


@demo_app.command("token")
def demo_token(
    persona: Annotated[str, typer.Argument(help="Their word in `linli demo people`, such as resident.")],
    data_dir: DataDir = None,
) -> None:
    """Print an access token of a persona, and nothing else."""
    from services.cli.town import personas

    typer.echo(_demo(data_dir, personas.token, persona))


@demo_app.command("tokens")
def demo_tokens(count: Annotated[int, typer.Argument(min=1, max=100_000)], data_dir: DataDir = None) -> None:
    """Print tokens of different grown-up residents, one a line: person_id<TAB>token."""
    from services.cli.town import personas

    for person_id, token in _demo(data_dir, personas.tokens_for, count):
        typer.echo(f"{person_id}\t{token}")


@app.command("story")
def tell_story(
    name: Annotated[str, typer.Argument(help="meals, childcare, events, partner or fitness.")],
    url: Annotated[str, typer.Option(help="Where the town is served.")] = "http://127.0.0.1:8000",
    data_dir: DataDir = None,
) -> None:
    """Tell a story from the day of the demo town, call by call, against the running server."""
    from rich.console import Console

    from services.cli import stories
    from services.cli.town import personas

    stories.tell(name, url, lambda persona: str(_demo(data_dir, personas.token, persona)), Console())


def _demo(data_dir: Path | None, act: Any, *args: Any) -> Any:
    """Run `act(db, keys, …)` on a demo database; refuses any other."""
    from services.cli import database

    settings = _settings(data_dir, demo=True)
    with database.at(settings) as url:
        database.require_current(url)
        keys = database.keys(settings, url)
        if not database.is_demo(url):
            raise Stop("This is not a demo database: there are no demo accounts in it.")
        return database.acted(url, keys, act, *args)


@staff_app.command("invite")
def invite(
    login: Annotated[str, typer.Argument(help="The name they log in by.")],
    region: Annotated[str, typer.Option(help="Their role reaches every region whose code begins so.")],
    name: Annotated[str, typer.Option(help="What they are called; default: the login.")] = "",
    role: Annotated[str, typer.Option(help="What they may do.")] = "administrator",
    data_dir: DataDir = None,
) -> None:
    """Invite the first administrator of a new town, or anybody whose password is lost: prints a code, good for a day.

    Who logs in by this name already keeps their role and region.
    """
    from services.cli import staff

    settings = _settings(data_dir)
    made = staff.invite(settings, login=login, name=name or login, role=role, region=region)
    typer.echo(f"{settings.public_url.rstrip('/')}/oauth/invitation")
    typer.echo(made.code)


@regions_app.command("import")
def import_regions(file: Path, data_dir: DataDir = None) -> None:
    """Read a whole file of regions (code,name,level,parent_code) into the town; known codes get its names."""
    from services.cli import database, town

    settings = _settings(data_dir)
    with database.at(settings) as url:
        database.require_current(url)
        typer.echo(f"{asyncio.run(town.import_regions(url, file))} regions")


OnDay = Annotated[str | None, typer.Option("--on", help="The day it was decided for (YYYY-MM-DD); default: today.")]


@regions_app.command("merge")
def merge_regions(
    old: Annotated[list[str], typer.Argument(help="The codes that end.")],
    into: Annotated[str, typer.Option(help="The code that follows them: a new one, or one that stands.")],
    name: Annotated[str | None, typer.Option(help="Its name, if it is new.")] = None,
    on: OnDay = None,
    data_dir: DataDir = None,
) -> None:
    """Let one region follow several; all that is in them goes along. Best done while nobody books."""
    from services.identity.actions import regions as identity

    _change_regions(data_dir, identity.merge, old, into, name, _day(on))


@regions_app.command("split")
def split_region(
    old: Annotated[str, typer.Argument(help="The code that ends.")],
    into: Annotated[list[str], typer.Option(help="CODE=NAME, twice or more; the first is the principal one.")],
    child: Annotated[
        list[str] | None, typer.Option(help="CODE=CODE: which of them a region below follows; default: the first.")
    ] = None,
    on: OnDay = None,
    data_dir: DataDir = None,
) -> None:
    """Let several regions follow one; all that is in it goes along."""
    from services.identity.actions import regions as identity

    parts, children = (dict(_pair(one) for one in several or ()) for several in (into, child))
    _change_regions(data_dir, identity.split, old, parts, children, _day(on))


def _pair(told: str) -> tuple[str, str]:
    code, sign, said = told.partition("=")
    if not (code and sign and said):
        raise Stop(f"{told} does not say what follows it: CODE=NAME, or CODE=CODE for a child.")
    return code, said


def _day(told: str | None) -> Any:
    from datetime import date

    from shared import clock

    try:
        return date.fromisoformat(told) if told else clock.today()
    except ValueError:
        raise Stop(f"{told} is not a day (YYYY-MM-DD).") from None


def _change_regions(data_dir: Path | None, change: Any, *told: Any) -> None:
    from services.cli import database, town

    settings = _settings(data_dir)
    with database.at(settings) as url:
        database.require_current(url)
        done = asyncio.run(town.change_regions(url, change, *told))
    for one in done.follows:
        typer.echo(f"{one.old} -> {one.new.code} {one.new.name}")
    typer.echo(", ".join(f"{table} {count}" for table, count in done.rows.items()) or "nothing stood in them")


@app.command("appoint")
def appoint_first(
    person: Annotated[str, typer.Argument(help="The person's id.")],
    role: Annotated[str, typer.Argument(help="administrator or security.")],
    region: Annotated[str, typer.Argument(help="The code below which they have it.")],
    data_dir: DataDir = None,
) -> None:
    """Name the first administrator or security officer of a deployment; they grant all other roles."""
    from services.cli import database, town

    settings = _settings(data_dir)
    with database.at(settings) as url:
        database.require_current(url)
        asyncio.run(town.appoint(url, person, role, region))
    typer.echo(f"{role} of {region}")


Kind = Annotated[str, typer.Argument(help="signing, field or assertion.")]
Ahead = Annotated[
    float, typer.Option("--in", min=3, max=604_800, help="Seconds until the new key is used; all must have it by then.")
]
AtOnce = Annotated[
    bool, typer.Option("--now", help="The old signing key was stolen: what it has signed is good no longer.")
]


@keys_app.command("show")
def show_keys(data_dir: DataDir = None) -> None:
    """Which keys there are, which are in use, and how many rows are sealed with which."""
    from services.cli import keys

    keys.show(_settings(data_dir))


@keys_app.command("rotate")
def rotate_keys(kind: Kind, ahead: Ahead = 10, data_dir: DataDir = None) -> None:
    """Make a new key, which running processes take over by themselves; the old one goes on opening and verifying."""
    from services.cli import keys

    keys.rotate(_settings(data_dir), kind, ahead)


@keys_app.command("reseal")
def reseal(data_dir: DataDir = None) -> None:
    """Seal every stored value anew with the newest field key and the cipher of the settings; may be broken off and run again."""
    from services.cli import keys

    keys.reseal(_settings(data_dir))


@keys_app.command("retire")
def retire_keys(kind: Kind, at_once: AtOnce = False, data_dir: DataDir = None) -> None:
    """Forget the old keys of a kind, once nothing needs them."""
    from services.cli import keys

    keys.retire(_settings(data_dir), kind, at_once=at_once)


def run(work: Coroutine[Any, Any, Any]) -> Any:
    """Run in the fast loop where there is one."""
    try:
        import uvloop
    except ImportError:  # pragma: no cover - no wheel for this platform
        return asyncio.run(work)
    return uvloop.run(work)


def main() -> None:
    """The console script."""
    from services.cli import called_off
    from shared import crypto, embedded, errors, regions

    called_off.listen()
    try:
        app()
    except (Stop, embedded.Refused, crypto.KeysRefused, regions.RegionFileWrong) as stop:
        print(f"linli: {stop}", file=sys.stderr)
        sys.exit(1)
    except errors.Unavailable:
        print("linli: The database does not answer; check DATABASE_URL, or that it is running.", file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(141)
    except Exception as error:
        if type(error).__module__.partition(".")[0] not in ("psycopg", "sqlalchemy", "asyncpg"):
            raise
        why = str(getattr(error, "orig", error)).strip().partition("\n")[0].rstrip(".")
        print(f"linli: The database refused: {why}.", file=sys.stderr)
        sys.exit(1)
