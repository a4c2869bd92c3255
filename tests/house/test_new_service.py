"""The page about new services, done: its files are written into a copy of the house, are read, and its test is run."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from services import SERVICES
from shared import revisions
from tests.house.house import DOCS, ROOT

PAGE = (DOCS / "new-service.md").read_text(encoding="utf-8")
FILES = re.findall(r"^`([\w/]+\.py)`\n\n```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)

pytestmark = pytest.mark.skipif(
    any(one.name == "lending" for one in SERVICES),
    reason="the page's service is one of this town, and is tried as all are",
)


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the house with what the page says."""
    house = tmp_path_factory.mktemp("page") / "house"
    for part in ("services", "shared", "migrations", "tests"):
        shutil.copytree(ROOT / part, house / part)
    shutil.copy(ROOT / "pyproject.toml", house)
    last = revisions.head()
    after = f"{int(last) + 1:04}"
    for name, text in FILES:
        path = house / name.replace("9999", after)
        assert not path.exists(), f"{name} is there already"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text.replace('"HEAD"', f'"{last}"').replace('"9999"', f'"{after}"'), encoding="utf-8")
    (line,) = re.findall(
        r"^    # … those that are there\n(    Service\(\n.*?^    \),\n)\)\n```$", PAGE, re.MULTILINE | re.DOTALL
    )
    services = house / "services" / "__init__.py"
    before, end, rest = services.read_text(encoding="utf-8").partition(")\n\n\ndef service(")
    services.write_text(before + line + end + rest, encoding="utf-8")
    return house


def told(house: Path, *command: str | Path) -> tuple[int, str]:
    """What a program of the checkout's says in that house."""
    own = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    ran = subprocess.run(
        [sys.executable, *command], cwd=house, env=own, capture_output=True, text=True, check=False, timeout=120
    )
    return ran.returncode, ran.stdout + ran.stderr


def test_the_page_about_new_services_works(house: Path) -> None:
    assert len(FILES) == 10
    code, said = told(house, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/lending")
    assert code == 0, said
    assert "1 passed" in said


def test_the_pages_types_are_right(house: Path) -> None:
    code, said = told(
        house,
        "-m",
        "mypy",
        "--cache-dir",
        ROOT / ".mypy_cache" / "page",
        "-p",
        "services.lending",
        "-p",
        "shared.models",
    )
    assert code == 0, said


def test_the_pages_files_are_in_form(house: Path) -> None:
    names = [name.replace("9999", f"{int(revisions.head()) + 1:04}") for name, _ in FILES] + ["services/__init__.py"]
    for command in (("check", "--quiet"), ("format", "--check", "--quiet", "--diff")):
        code, said = told(house, "-m", "ruff", *command, "--no-cache", *names)
        assert code == 0, said
