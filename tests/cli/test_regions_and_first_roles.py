"""Regions change and the first roles are named by whoever runs the deployment: done whole, or told in one sentence."""

from __future__ import annotations

from pathlib import Path

import pytest

from services.cli import database
from shared import crypto
from tests.cli import commands
from tests.cli.commands import refusal, said
from tests.town import COMMUNITY, Town


@pytest.fixture
def town(database_url: str, tmp_path: Path) -> Town:
    """A deployment with regions and people, whose keys are in `tmp_path`."""
    ring = crypto.load_or_create(tmp_path / "keys.json", may_create=True)
    database.remember_keys(database_url, ring, demo=False)
    return Town(database_url)


def test_a_region_is_merged_and_split_by_command(town: Town) -> None:
    (someone,) = town.residents()
    home = "SELECT community FROM holders WHERE id = %s"
    told = said(
        "regions", "merge", "330411105", "--into", "330411109", "--name", "新镇", "--on", "2026-01-01", url=town.url
    )
    assert told.splitlines() == [
        "330411105 -> 330411109 新镇",
        "330411105003 -> 330411109003 解放社区",
        "330411105204 -> 330411109204 镇中村委会",
        "holders 1, persons 1, places 1",
    ]
    assert town.one(home, someone.person_id) == "330411109003"
    words = ["--into", "330411110=甲镇", "--into", "330411111=乙镇", "--child", "330411109003=330411111"]
    told = said("regions", "split", "330411109", *words, url=town.url)
    assert "330411109003 -> 330411111003 解放社区" in told.splitlines()
    assert town.one(home, someone.person_id) == "330411111003"
    assert town.one("SELECT on_day::text FROM region_changes WHERE old_code = '330411105'") == "2026-01-01"
    assert commands.said("doctor", url=town.url)


def test_regions_that_cannot_change_are_told_in_a_sentence(town: Town) -> None:
    def merge(*words: str) -> str:
        return refusal("regions", "merge", *words, url=town.url)

    assert merge("330411199", "--into", "330411109", "--name", "x") == (
        "Nothing was changed: 330411199 is not a region that stands."
    )
    assert merge("330411105", "--into", "330411109") == "Nothing was changed: 330411109 is new and needs a name."
    assert merge("330411105", "--into", "330411109", "--on", "someday") == "someday is not a day (YYYY-MM-DD)."
    assert refusal("regions", "split", "330411105", "--into", "330411109", url=town.url) == (
        "330411109 does not say what follows it: CODE=NAME, or CODE=CODE for a child."
    )
    # Two places of one name would be in one community: one of them is to be renamed first.
    town.do("INSERT INTO regions VALUES ('330411105002', '某社区', 'community', '330411105')")
    for code in (COMMUNITY, "330411105002"):
        town.do("INSERT INTO places (service, kind, name, community) VALUES ('booking', 'hall', '厅', %s)", code)
    assert merge(COMMUNITY, "330411105002", "--into", "330411105999", "--name", "x") == (
        "Nothing was changed: two things would be the same (one_place_per_name)."
    )
    assert town.one("SELECT count(*) FROM regions WHERE ended_on IS NOT NULL") == 0


def test_the_first_of_those_who_grant_roles_are_named_by_command(town: Town) -> None:
    first, second = town.residents(2)
    told = said("appoint", first.person_id, "administrator", "33", url=town.url)
    assert told == "administrator of 33\n"
    assert town.one("SELECT role FROM roles WHERE account_no = %s", first.account_no) == "administrator"
    for person, role, region, why in (
        (first.person_id, "security", "33", "Administrator, security and audit are three different people."),
        (first.person_id, "administrator", "33", "It exists already."),
        (second.person_id, "security", "99", "99 is not a region that stands."),
        (
            second.person_id,
            "manager",
            "33",
            "Only the first administrator and the first security officer are named like this.",
        ),
        (town.place_id, "security", "33", "There is no open account of this person."),
        ("nobody", "security", "33", "There is no open account of this person."),
    ):
        assert refusal("appoint", person, role, region, url=town.url) == why
    said("appoint", second.person_id, "security", "33", url=town.url)
    assert commands.said("doctor", url=town.url)
