"""What the pages say is what the code does: tables made from the code, links that lead somewhere, two READMEs alike.

LINLI_WRITE=1 writes the tables anew; see `tests.house.house`.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

import pytest
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from services import SERVICES, notice_types
from services.cli import app, demo_app, regions_app, staff_app
from services.gateway.console import document
from shared import errors
from shared.settings import Settings, default_data_dir
from shared.texts import choose, is_bilingual
from tests.house.house import DOCS, HOUSE, ROOT, agree, bare, modules, rows, tree, triggers_on, where

READMES = (ROOT / "README.md", ROOT / "README.zh-CN.md")
PAGES = sorted([*ROOT.glob("*.md"), *DOCS.rglob("*.md")])
FOUR_PARTS = ["Context", "Decision", "Consequences", "Rejected"]
DECISIONS = sorted((DOCS / "decisions").glob("[0-9]*.md"))


def in_ticks(text: object) -> str:
    return f"`{text}`"


def test_every_refusal_is_on_its_page() -> None:
    told = [
        {"code": in_ticks(kind.code), "status": str(kind.status), "en": kind.title("en"), "zh": kind.title("zh")}
        for kind in errors.every()
        if errors.by_code(kind.code) is kind
    ]
    agree(DOCS / "errors.md", "errors", told, key="code", kept=("when",))


def default_of(name: str, field: FieldInfo) -> str:
    if field.default_factory is not None:
        return "see below" if name == "data_dir" else in_ticks({dict: "{}"}.get(field.default_factory, ""))  # type: ignore[call-overload]
    if field.default is PydanticUndefined:
        return "required"
    if field.default in (None, ()):
        return "none"
    return in_ticks(str(field.default).lower() if isinstance(field.default, bool) else field.default)


def bounds_of(field: FieldInfo) -> str:
    signs = {"ge": "≥", "gt": ">", "le": "≤", "lt": "<"}
    found = [f"{sign} {getattr(one, at)}" for at, sign in signs.items() for one in field.metadata if hasattr(one, at)]
    return ", ".join(found) or "-"


def test_every_setting_is_on_its_page() -> None:
    told = []
    for name, field in Settings.model_fields.items():
        aliases = getattr(field.validation_alias, "choices", None)
        names = [one for one in aliases if str(one).isupper()] if aliases else [f"LINLI_{name.upper()}"]
        told.append(
            {
                "variable": ", ".join(map(in_ticks, names)),
                "default": default_of(name, field),
                "bounds": bounds_of(field),
                "meaning": field.description or "",
            }
        )
    assert [one["variable"] for one in told if not one["meaning"]] == []
    agree(DOCS / "settings.md", "settings", told, key="variable")


def test_the_default_data_dir_is_as_the_page_says() -> None:
    text = (DOCS / "settings.md").read_text(encoding="utf-8")
    assert "`/var/lib/linli`" in text
    assert "`~/.local/share/linli`" in text
    assert default_data_dir().name == "linli"


class Found:
    """A notice that some function announces."""

    def __init__(self, call: ast.Call, function: ast.AST, place: str) -> None:
        self.place = place
        kind = call.args[0]
        if isinstance(kind, ast.JoinedStr):
            self.type = "".join(
                str(part.value) if isinstance(part, ast.Constant) else "{service}" for part in kind.values
            )
        else:
            assert isinstance(kind, ast.Constant), place
            self.type = str(kind.value)
        data: ast.expr | None = call.args[4] if len(call.args) > 4 else None
        if isinstance(data, ast.Name):
            wanted = data.id
            data = next(
                node.value
                for node in ast.walk(function)
                if isinstance(node, ast.Assign)
                and isinstance(node.targets[0], ast.Name)
                and node.targets[0].id == wanted
            )
        assert data is None or isinstance(data, ast.Dict), place
        self.fields = [str(key.value) for key in data.keys if isinstance(key, ast.Constant)] if data else []


def announced() -> Iterator[Found]:
    """Every `Notice(…)` that the code makes."""
    for path in modules().values():
        for function in ast.walk(tree(path)):
            if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
                for node in ast.walk(function):
                    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Notice":
                        yield Found(node, function, where(path, node.lineno))


KINDS = {kind.name: kind for kind in notice_types()}
PAST = re.compile(r"(ed|made|lost|left|drawn|given|gone|told|kept|found|begun|sent|come)(_again)?$")


def test_every_notice_is_on_its_page() -> None:
    told = [
        {
            "type": in_ticks(kind.name),
            "data": ", ".join(map(in_ticks, kind.data.model_fields)) or "-",
            "subject": choose(kind.subject, "en"),
            "about": choose(kind.about, "en"),
        }
        for kind in KINDS.values()
    ]
    assert told
    agree(DOCS / "notices.md", "notices", told, key="type")


def test_every_notice_that_the_code_makes_is_of_a_kind_that_partners_know() -> None:
    for one in announced():
        pattern = re.compile(re.escape(one.type).replace(r"\{service\}", "[a-z-]+"))
        kinds = [kind for name, kind in KINDS.items() if pattern.fullmatch(name)]
        assert kinds, f"{one.place}: {one.type} is in no TYPES"
        for kind in kinds:
            assert set(one.fields) <= set(kind.data.model_fields), one.place


def test_every_kind_of_notice_speaks_both_languages_and_has_an_example_of_its_own_form() -> None:
    assert len(KINDS) == len(notice_types()), "two kinds of one name"
    for kind in KINDS.values():
        assert is_bilingual(kind.subject), kind.name
        assert is_bilingual(kind.about), kind.name
        kind.data.model_validate_json(json.dumps(kind.example))
        assert set(kind.example) <= set(kind.data.model_fields), kind.name


def test_a_notice_is_named_in_the_past_tense() -> None:
    for name in [*KINDS, *(one.type for one in announced())]:
        assert re.fullmatch(r"(\{service\}|[a-z-]+)\.[a-z_-]+\.[a-z_]+", name), name
        assert PAST.search(name), name


def test_every_path_is_on_the_page_about_the_house() -> None:
    names = {one.name for one in SERVICES}
    found: dict[str, list[str]] = {}
    for path, item in document("en")["paths"].items():
        parts = path.split("/")
        # A service's paths are told by collection, the gateway's own by their first word.
        prefix = "/".join(parts[: 4 if parts[2] in names else 3])
        found.setdefault(prefix, []).extend(operation["operationId"] for operation in item.values())
    told = [{"path": in_ticks(prefix), "operations": ", ".join(map(in_ticks, ids))} for prefix, ids in found.items()]
    agree(HOUSE, "paths", told, key="path", kept=("what",))


def test_every_decision_is_listed_and_has_its_four_parts() -> None:
    assert [path.name[:4] for path in DECISIONS] == [f"{n:04}" for n in range(1, len(DECISIONS) + 1)]
    listed = {target for _, target in links(DOCS / "decisions" / "README.md")}
    assert {path.name for path in DECISIONS} <= listed
    for path in DECISIONS:
        text = path.read_text(encoding="utf-8")
        assert re.match(rf"# {path.name[:4]} [A-Z]", text), path.name
        assert re.findall(r"^## (.+)$", text, re.MULTILINE) == FOUR_PARTS, path.name
        assert len(text.splitlines()) <= 60, f"{path.name} is longer than a page"


def links(page: Path) -> list[tuple[str, str]]:
    """Every link of a page that stays in the repository: its words and its target."""
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    found = re.findall(r"\[([^\]]+)\]\(([^)\s]+)\)", text)
    return [(words, target) for words, target in found if "://" not in target and not target.startswith("mailto:")]


def anchors(page: Path) -> set[str]:
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    heads = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head.lower()).strip().replace(" ", "-") for head in heads}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_somewhere(page: Path) -> None:
    for words, target in links(page):
        path, _, anchor = unquote(target).partition("#")
        there = (page.parent / path).resolve() if path else page
        assert there.is_relative_to(ROOT), words
        assert there.exists(), f"{words}: {target}"
        assert not anchor or anchor in anchors(there), f"{words}: {target}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_file_that_a_page_names_is_there(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    named = set(re.findall(r"`((?:script|docs|tests|shared|services|migrations|benchmarks)/[\w./-]*)", text))
    gone = [one for one in named if not (ROOT / one).exists() and "lending" not in one]  # the service of a lesson
    assert gone == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_a_page_names_no_place_of_one_machine(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert re.findall(r"/(?:work|home|root|tmp|Users)/\S+", text) == []


def test_every_page_is_reached_from_the_readme() -> None:
    seen, ahead = set(), [READMES[0]]
    while ahead:
        page = ahead.pop()
        if page not in seen:
            seen.add(page)
            near = [(page.parent / unquote(target).partition("#")[0]).resolve() for _, target in links(page)]
            ahead += [one for one in near if one.suffix == ".md" and one.exists()]
    assert set(PAGES) - seen == set()


def commands(page: Path) -> list[str]:
    """What a page has its reader type: the lines of its shell blocks and the commands of its tables."""
    text = page.read_text(encoding="utf-8")
    blocks = re.findall(r"```sh\n(.*?)```", text, re.DOTALL)
    typed = [re.sub(r"\s+#.*$", "", line).strip() for block in blocks for line in block.splitlines()]
    named = sorted(set(re.findall(r"`(script/[^`]+)`", text)))
    return [line for line in typed if line and not line.startswith("#")] + named


def test_both_readmes_name_the_same_commands() -> None:
    en, zh = map(commands, READMES)
    assert "script/server" in en
    assert "script/test" in en
    assert en == zh


def test_both_readmes_have_the_same_parts() -> None:
    def parts(page: Path) -> list[str]:
        return re.findall(r"^(#+) ", page.read_text(encoding="utf-8"), re.MULTILINE)

    assert parts(READMES[0]) == parts(READMES[1])
    en, zh = ([target for _, target in links(page) if not target.startswith("README")] for page in READMES)
    assert en == zh


def test_every_command_is_in_the_readme() -> None:
    names = [f"{prefix}{told.name or told.callback.__name__}" for prefix, typer in (
        ("", app), ("demo ", demo_app), ("regions ", regions_app), ("staff ", staff_app)) for told in typer.registered_commands if told.callback]  # fmt: skip
    for page in READMES:
        text = page.read_text(encoding="utf-8")
        assert [name for name in names if f"`script/linli {name}" not in text] == [], page.name
        scripts = [one.name for one in (ROOT / "script").iterdir() if one.name != "bootstrap"]
        assert [name for name in scripts if f"script/{name}" not in text] == [], page.name


def test_the_changelog_keeps_its_form() -> None:
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    heads = re.findall(r"^## (.+)$", text, re.MULTILINE)
    assert heads[0] == "[Unreleased]"
    assert all(re.fullmatch(r"\[\d+\.\d+\.\d+\] - \d{4}-\d\d-\d\d", head) for head in heads[1:])
    allowed = {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}
    assert set(re.findall(r"^### (.+)$", text, re.MULTILINE)) <= allowed


def test_the_order_of_locks_is_told_once_in_words_and_once_in_code() -> None:
    said = "slots → holders → households → claims by id → a service's own rows"
    assert said in (DOCS / "scarcity.md").read_text(encoding="utf-8")
    for module in ("shared.claims", "shared.models.ledger"):
        told = " ".join((ast.get_docstring(tree(modules()[module])) or "").split())
        assert re.search(r"slots, holders, households, claims by id, (a service's )?own rows", told), module


def test_every_referee_is_on_the_page_about_scarcity() -> None:
    told = {bare(row["constraint"]) for row in rows(DOCS / "scarcity.md", "referees")}
    models = [modules()[f"shared.models.{name}"] for name in ("ledger", "booking", "events")]
    text = "\n".join(path.read_text(encoding="utf-8") for path in models)
    named = set(re.findall(r'name="(\w+)"', text)) | set(re.findall(r'Index\(\s*"(one_\w+)"', text))
    assert told == named | triggers_on("claims")
