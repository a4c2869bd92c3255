"""A year's report about minors counts what was done, and names nobody."""

from __future__ import annotations

import csv
import io
from typing import Any

import pytest

from shared import clock
from shared.assertion import Role
from tests.childcare.nursery import Nursery
from tests.gateway.test_front import Front, is_problem
from tests.identity.test_audit import AUDITOR
from tests.identity.test_consents import code_of
from tests.identity.test_reveals import WHY, cast, officer, reveal
from tests.identity.test_rights import front
from tests.identity.town import ANYONE, Town, play

__all__ = ["front"]

YEAR = clock.today().year
PATH = f"/reports/minors/{YEAR}"


def counted(report: Any, group: str) -> list[tuple[Any, ...]]:
    names = ("role", "purpose", "outcome", "count", "minors")
    return [tuple(one[name] for name in names) for one in report["items"] if one["group"] == group]


def test_looks_and_asks_are_counted_by_office_and_outcome(database_url: str) -> None:
    async def scenario(town: Town) -> None:
        parent, child, clerk, boss = await cast(town)
        staff, chief = officer(clerk), officer(boss, "manager")
        for verdict in ("approve", "deny", None):
            made = (await reveal(town, staff, child)).json()
            if verdict is not None:
                told = {"reason": WHY} if verdict == "deny" else None
                answer = await town.call("POST", f"/reveals/{made['id']}/{verdict}", told, chief)
                assert answer.status_code == 200, answer.text
            if verdict == "approve":
                for _ in range(2):
                    assert (await town.call("GET", f"/reveals/{made['id']}", caller=staff)).json()["values"]
        assert (await reveal(town, staff, parent.caller.person_id)).status_code == 200, "a grown-up is not counted"
        assert (await town.call("GET", f"/people/{child}/ledger", caller=staff)).status_code == 200
        assert (await town.call("GET", f"/people/{child}/ledger", caller=parent.caller)).status_code in (200, 404)
        report = (await town.call("GET", PATH, caller=AUDITOR)).json()
        assert counted(report, "looks") == [
            ("staff", "people.ledger", "not_asked", 1, 1),
            ("staff", "people.reveal", "approved", 2, 1),
        ]
        assert counted(report, "asked") == [
            ("staff", "people.reveal", "approved", 1, 1),
            ("staff", "people.reveal", "refused", 1, 1),
            ("staff", "people.reveal", "unanswered", 1, 1),
        ]
        for year, region in ((YEAR - 1, ""), (YEAR + 1, ""), (YEAR, "?region=330411105204")):
            empty = await town.call("GET", f"/reports/minors/{year}{region}", caller=AUDITOR)
            assert (empty.status_code, empty.json()["items"]) == (200, []), empty.text
        part = (await town.call("GET", f"{PATH}?region=330411", caller=AUDITOR)).json()
        assert (part["regions"], part["items"]) == (["330411"], report["items"])
        sheet = await town.call("GET", f"{PATH}?format=csv", caller=AUDITOR)
        assert sheet.headers["content-type"] == "text/csv; charset=utf-8"
        rows = list(csv.DictReader(io.StringIO(sheet.text.removeprefix("\ufeff"))))
        assert [one["count"] for one in rows] == [str(one["count"]) for one in report["items"]]
        assert all(who not in sheet.text for who in (child, "张", WHY))
        seen = await town.value("SELECT count(*) FROM audit WHERE action = 'reports.minors'")
        assert seen == 6, "who reads it is written down"

    play(database_url, scenario)


def test_it_is_for_auditors(database_url: str) -> None:
    async def scenario(town: Town) -> None:
        _, _, clerk, boss = await cast(town)
        assert (await town.call("GET", PATH, caller=ANYONE)).status_code == 401
        for caller in (clerk.caller, officer(clerk), officer(boss, "manager"), officer(boss, "administrator", "33")):
            assert code_of(await town.call("GET", PATH, caller=caller)) == (403, "not_allowed")
        elsewhere = AUDITOR._replace(roles=(Role("auditor", "330424"),))
        assert code_of(await town.call("GET", f"{PATH}?region=330411", caller=elsewhere)) == (403, "not_allowed")
        for bad in ("1999", "2201", "x", f"{YEAR}?format=pdf", f"{YEAR}?region=x"):
            assert (await town.call("GET", f"/reports/minors/{bad}", caller=AUDITOR)).status_code == 422, bad

    play(database_url, scenario)


def test_carers_looks_guardians_words_and_incidents_are_in_it(front: Front) -> None:
    room = Nursery(front)
    room.on_duty()
    parent, child, _ = room.arrived()
    about = f"/v1/childcare/children/{child.person_id}"
    assert front.get(about, room.carer).status_code == 200
    body = {"room": str(room.place_id), "persons": [str(child.person_id)], "text": "摔了一跤", "severity": "moderate"}
    assert room.post("/v1/childcare/incidents", room.carer, **body).status_code == 201
    withdrawn = {"given": False, "version": 1}
    where = f"/v1/identity/people/{child.person_id}/consents/childcare"
    assert front.ask("PUT", where, parent, json=withdrawn).status_code == 200
    (auditor,) = front.town.residents()
    front.town.appoint(auditor, "auditor", "33")
    answer = front.get(f"/v1/identity/reports/minors/{YEAR}", auditor)
    assert answer.status_code == 200, answer.text
    report = answer.json()
    assert ("carer", "child.read", "not_asked", 1, 1) in counted(report, "looks")
    assert [one[1:4] for one in counted(report, "consents")] == [
        ("childcare", "given", 1),
        ("childcare", "withdrawn", 1),
        ("health", "given", 1),
    ]
    assert counted(report, "incidents") == [(None, "reported", "moderate", 1, None)]
    assert is_problem(front.get(f"/v1/identity/reports/minors/{YEAR}", parent), 403, "not_allowed")


@pytest.mark.parametrize("at", ["-01-01T00:00:00+08:00", "-12-31T23:59:59+08:00"])
def test_a_year_is_the_towns(database_url: str, at: str) -> None:
    async def scenario(town: Town) -> None:
        _, child, clerk, _ = await cast(town)
        await reveal(town, officer(clerk), child)
        await town.execute("UPDATE roles SET starts_at = '2000-01-01'")
        await town.execute(f"UPDATE reveals SET made_at = '{YEAR - 1}{at}'")
        report = (await town.call("GET", f"/reports/minors/{YEAR - 1}", caller=AUDITOR)).json()
        assert counted(report, "asked") == [("staff", "people.reveal", "unanswered", 1, 1)]
        assert (await town.call("GET", PATH, caller=AUDITOR)).json()["items"] == []

    play(database_url, scenario)
