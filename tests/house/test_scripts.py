"""What a newcomer touches first: the scripts, the locks and the containers."""

from __future__ import annotations

import os
import re
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]
SCRIPTS = sorted(path for path in (ROOT / "script").iterdir() if path.is_file())
LOCKS = ("requirements.lock", "requirements-dev.lock")
NEEDED = {"bootstrap", "server", "test", "check", "bench", "lock", "linli"}


def entries(name: str) -> dict[str, str]:
    """The requirements of a lock, by package: `name==version ; marker --hash=… --hash=…`."""
    text = (ROOT / name).read_text(encoding="utf-8").replace("\\\n", " ")
    lines = [
        line.split(" #")[0].strip() for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")
    ]
    return {canonicalize_name(re.split(r"[=\s;\[]", line)[0]): line for line in lines}


def versions(name: str) -> dict[str, str]:
    return {package: line.split("==")[1].split()[0] for package, line in entries(name).items()}


def compose() -> dict[str, Any]:
    made: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))
    return made


def environment(container: dict[str, Any]) -> dict[str, str]:
    return container.get("environment", {})


def test_the_scripts_are_all_there() -> None:
    assert {path.name for path in SCRIPTS} >= NEEDED


@pytest.mark.parametrize("path", [*SCRIPTS, ROOT / ".ci" / "run"], ids=lambda path: path.name)
def test_a_script_is_executable_and_parses(path: Path) -> None:
    assert os.access(path, os.X_OK)
    first = path.read_text(encoding="utf-8").splitlines()[0]
    shell = {"#!/bin/sh": "sh", "#!/usr/bin/env bash": "bash"}[first]
    read = subprocess.run([shell, "-n", str(path)], capture_output=True, text=True, check=False)
    assert (read.returncode, read.stderr) == (0, "")


@pytest.mark.parametrize("name", LOCKS)
def test_every_requirement_of_a_lock_is_pinned_and_hashed(name: str) -> None:
    locked = entries(name)
    assert len(locked) > 20
    bad = [line for line in locked.values() if not re.match(r"[\w.-]+==\S+\s.*--hash=sha256:[0-9a-f]{64}", line)]
    assert bad == []


@pytest.mark.parametrize("name", LOCKS)
def test_a_lock_names_no_address_and_no_folder(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    assert [word for word in ("://", "index-url", "find-links", "trusted-host", "file:", " /") if word in text] == []


def test_the_locks_hold_what_the_project_asks_for() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    asked = {
        "requirements.lock": project["dependencies"],
        "requirements-dev.lock": project["dependencies"] + project["optional-dependencies"]["dev"],
    }
    for name, requirements in asked.items():
        locked = versions(name)
        for requirement in map(Requirement, requirements):
            version = locked.get(canonicalize_name(requirement.name))
            assert version is not None, f"{name} lacks {requirement.name}: run script/lock"
            assert requirement.specifier.contains(version), f"{name}, {requirement.name} {version}: run script/lock"


def test_working_on_linli_uses_the_versions_that_run_it() -> None:
    served = versions("requirements.lock")
    worked = versions("requirements-dev.lock")
    assert {package: worked.get(package) for package in served} == served


def test_every_service_has_a_container_and_the_gateway_knows_where() -> None:
    from services import SERVICES  # noqa: PLC0415  a broken services package shall fail this test only

    containers = compose()["services"]
    assert set(containers) >= {"db", "migrate", "gateway", "worker", "town"}
    names = {service.name for service in SERVICES}
    assert names <= set(containers)
    upstreams = yaml.safe_load(environment(containers["gateway"])["LINLI_UPSTREAMS"])
    assert upstreams == {name: f"http://{name}:8000" for name in names}
    for name in names:
        assert containers[name]["command"][:2] == ["serve", name]
        assert "ports" not in containers[name]
        assert containers["gateway"]["depends_on"][name] == {"condition": "service_healthy"}


def test_every_container_is_hardened() -> None:
    for name, container in compose()["services"].items():
        assert container["read_only"] is True, name
        assert container["cap_drop"] == ["ALL"], name
        assert container["security_opt"] == ["no-new-privileges:true"], name


def test_the_compose_file_holds_no_secret() -> None:
    for container in compose()["services"].values():
        for key, value in environment(container).items():
            if re.search(r"PASSWORD|SECRET|TOKEN|KEY", key):
                assert re.fullmatch(r"\$\{\w+:\?[^}]*\}", value), key
            if "@" in value:
                assert re.search(r"://\w+:\$\{\w+:\?[^}]*\}@", value), key


def test_the_image_runs_as_nobody_special_from_the_lock() -> None:
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    final = text[text.rindex("\nFROM ") :]
    assert "--require-hashes -r requirements.lock" in text
    assert "\nUSER linli\n" in final
    assert "pip" not in final
    copied = {
        word
        for line in text.splitlines()
        if line.startswith("COPY ") and "--from" not in line
        for word in line.split()[1:-1]
    }
    kept = {
        line[1:] for line in (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines() if line.startswith("!")
    }
    assert copied == kept
