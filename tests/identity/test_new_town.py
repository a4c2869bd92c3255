"""The first day of a town without anybody in it, as its page tells it: an administrator, a security officer, an auditor."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import httpx
import pyotp

from services import doctor
from services.gateway import tasks as gateway_tasks
from services.identity import tasks
from services.identity.actions import staff
from shared import clock
from shared.crypto import Keyring
from shared.settings import Settings
from shared.web import Context
from tests.identity.counter import number
from tests.identity.staffroom import PASSWORD, Desk, asking, at_the_desk
from tests.identity.test_second_factor import secret_on

TOWN, OTHER_TOWN, COMMUNITY, CITY = "330411105", "330424101", "330411105003", "3304"
ALL = ["name", "born", "document", "phone"]


@dataclass(slots=True)
class Colleague:
    """Somebody who has logged in with their own password, and a second factor where their role asks for one."""

    desk: Desk
    token: str

    async def ask(self, method: str, path: str, body: object = None, status: int = 200) -> Any:
        path = path if path.startswith("/v1") else f"/v1/identity{path}"
        headers = {"Authorization": f"Bearer {self.token}", "Accept-Language": "en"}
        answer = await self.desk.http.request(method, path, json=body, headers=headers)
        assert answer.status_code == status, answer.text
        return answer.json() if answer.headers.get("content-type", "").endswith(("/json", "+json")) else answer.text


async def arrived(desk: Desk, name: str, code: str) -> Colleague:
    """Whoever was invited sets a password and logs in, by the pages alone."""
    page = await desk.http.get("/oauth/invitation")
    told = await desk.submit(page, username=name, code=code, password=PASSWORD, again=PASSWORD)
    assert told.status_code == 200, told.text
    ask = asking()
    answer: httpx.Response = await desk.log_in(ask, name)
    if "otpauth" in answer.text:
        shown = await desk.submit(answer, code=pyotp.TOTP(secret_on(answer)).now())
        answer = await desk.submit(shown)
    return Colleague(desk, (await desk.redeem(ask, answer)).json()["access_token"])


@dataclass(slots=True)
class Day:
    """A town whose founders have come, and the colleagues whom the desk wrote down."""

    desk: Desk
    admin: Colleague
    security: Colleague
    clerk: Colleague
    people: dict[str, str]

    async def give(
        self, by: Colleague, who: str, role: str, place: str | None = None, status: int = 201, **more: str
    ) -> None:
        wish = {"person": self.people[who], "role": role, "region": CITY, "place_id": place, "reason": "任命"} | more
        await by.ask("POST", "/roles", wish, status)

    async def invite(self, by: Colleague, who: str, name: str) -> Colleague:
        made = await by.ask("POST", "/staff", {"person": self.people[who], "name": name}, 201)
        return await arrived(self.desk, name, made["code"])


async def begun(desk: Desk) -> Day:
    """Three founders from the command line; everybody else comes over HTTP."""
    assert desk.gateway.parts is not None
    db = desk.gateway.parts.db.of("linli_identity")
    founders = []
    for name, role, prefix in (
        ("gu.jg", "administrator", CITY),
        ("an.quan", "security", CITY),
        ("chuang.kou", "staff", TOWN),
    ):
        made = await db.run(staff.invite_first, desk.keys, login=name, name=name, role=role, prefix=prefix)
        founders.append(await arrived(desk, name, made.code))
    people = {}
    clerk = founders[2]
    for n, name in enumerate(["沈经理", "陈安全", "褚审计", "冯设施", "卫居民"]):
        document = {"kind": "resident_id", "number": number(n, "19800101")}
        body = {"name": name, "document": document, "phone": f"1385730000{n}", "community": COMMUNITY}
        people[name] = (await clerk.ask("POST", "/people", body, 201))["id"]
    admin, security, _ = founders
    return Day(desk, admin, security, clerk, people)


@at_the_desk()
async def test_three_founders_name_who_runs_a_town_and_leave(desk: Desk) -> None:
    day = await begun(desk)
    await day.admin.ask("POST", "/people/search", {"q": "沈经理"}, 403)

    # One manager for two towns, and an operator over two facilities.
    for town in (TOWN, OTHER_TOWN):
        await day.give(day.admin, "沈经理", "manager", region=town)
    manager = await day.invite(day.admin, "沈经理", "shen.jl")
    told = {"kind": "fitness_centre", "community": COMMUNITY}
    places = [
        (await manager.ask("POST", "/v1/booking/facilities", told | {"name": name}, 201))["id"]
        for name in ("健身中心", "羽毛球馆", "游泳馆")
    ]
    for place in places[:2]:
        await day.give(day.admin, "冯设施", "operator", place, region=COMMUNITY)
    operator = await day.invite(day.admin, "冯设施", "feng.ss")
    day_after = clock.today() + timedelta(days=2)
    closed = {
        "starts_at": f"{day_after}T08:00:00+08:00",
        "ends_at": f"{day_after}T10:00:00+08:00",
        "reason": "检修",
    }
    for place, status in zip(places, (201, 201, 403), strict=True):
        await operator.ask("POST", f"/v1/booking/facilities/{place}/closures", closed, status)

    # Powers stay apart, whoever asks.
    await day.give(day.admin, "褚审计", "auditor", status=403)
    await day.give(day.security, "褚审计", "auditor")
    await day.give(day.security, "褚审计", "security", status=409)
    await day.give(day.security, "陈安全", "security")
    await day.admin.ask("POST", "/staff", {"person": day.people["陈安全"], "name": "chen.aq"}, 404)
    security = await day.invite(day.security, "陈安全", "chen.aq")

    # The founders leave; nobody takes back their own role.
    for who, role in ((day.admin, "staff"), (security, "security")):
        listed = (await who.ask("GET", f"/roles?role={role}"))["items"]
        (founding,) = [one["id"] for one in listed if one["person"] is None]
        await who.ask("DELETE", f"/roles/{founding}?reason=moved_on", status=204)
    (own,) = (await day.admin.ask("GET", "/roles?role=administrator"))["items"]
    await day.admin.ask("DELETE", f"/roles/{own['id']}?reason=moved_on", status=403)
    assert [one for one in await doctor.examine(desk.town.url) if one[1]] == []


@at_the_desk()
async def test_a_resident_comes_to_the_desk_and_the_auditor_reads_what_was_done(
    desk: Desk, keys: Keyring, settings: Settings
) -> None:
    day = await begun(desk)
    await day.give(day.admin, "沈经理", "manager")
    await day.give(day.security, "褚审计", "auditor")
    manager, auditor = (
        await day.invite(day.admin, "沈经理", "shen.jl"),
        await day.invite(day.security, "褚审计", "chu.sj"),
    )
    where, why = f"/people/{day.people['卫居民']}", {"fields": ALL, "reason": "打印本人信息副本"}
    refused = await day.clerk.ask("POST", f"{where}/reveal", why, 403)
    assert "command line" in refused["detail"], "a founder is nobody's person"
    assert (await manager.ask("POST", f"{where}/reveal", why))["values"]["name"] == "卫居民"
    copy = await manager.ask("POST", f"{where}/export", status=202)
    wrong = await manager.ask("POST", f"{where}/corrections", {"field": "name", "value": "卫大明"}, 202)
    await manager.ask("POST", f"/requests/{wrong['id']}/approve", status=403)
    await manager.ask("POST", f"{where}/closure", status=202)
    parts = desk.gateway.parts
    assert parts is not None
    context = Context(parts.db.of("linli_identity"), keys, settings, rights=gateway_tasks.People(parts))
    assert await tasks.export(context) == 1
    await manager.ask("GET", f"{where}/requests/{copy['id']}/archive")
    done = [
        "people.export",
        "requests.closure",
        "requests.correction",
        "requests.export",
        "people.reveal",
        "people.enrol",
    ]
    assert [one["action"] for one in (await manager.ask("GET", f"{where}/ledger"))["items"]] == done

    await tasks.chain(context)
    await tasks.sign(context)
    for other in (day.admin, day.security, manager):
        for path in ("/audit", "/audit/verify", "/audit/export"):
            await other.ask("GET", path, status=403)
    assert (await auditor.ask("GET", "/audit/verify"))["whole"] is True
    lines = [json.loads(one) for one in (await auditor.ask("GET", "/audit/export")).splitlines()]
    assert (lines[0]["kind"], lines[-1]["kind"]) == ("start", "end")
    deeds = {one["entry"]["action"] for one in lines if one["kind"] == "entry"}
    assert {"roles.grant", "invitation.made", "totp.enrolled", *done} <= deeds
    assert [one for one in await doctor.examine(desk.town.url) if one[1]] == []
