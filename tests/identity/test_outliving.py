"""What was taken away opens nothing any more: a password, a second factor, an account, power over another."""

from __future__ import annotations

import asyncio
import re
import time
import uuid
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import httpx
import pyotp
import pytest

from services.gateway import credentials
from services.identity import second, tasks
from shared import tokens
from shared.crypto import Keyring
from shared.settings import Settings
from tests.gateway.test_front import Front, examined, is_problem, opened
from tests.identity.staffroom import PASSWORD, Asking, Desk, asking, at_the_desk, said
from tests.identity.test_rights import ME, known, work
from tests.identity.test_second_factor import enrolled, secret_on
from tests.town import Resident

STALE = "This page was open for too long. Please try again."
OTHER = "purple stapler under rain 牛"
EVERYTHING = ["name", "born", "document", "phone"]
WHY = "居民到场申请打印副本"


async def reset(desk: Desk, name: str) -> None:
    """The owner sets another password, by an invitation."""
    chief = desk.staff(f"chief.of.{name}", "security", "33")
    account = desk.town.one("SELECT a.id FROM accounts a JOIN roles r ON r.account_no = a.no WHERE r.role = 'auditor'")
    made = await desk.api("POST", "/staff", chief.token(desk.keys), {"account": str(account)})
    assert made.status_code == 201, made.text
    page = await desk.http.get("/oauth/invitation")
    fields = {"username": name, "code": made.json()["code"], "password": OTHER, "again": OTHER}
    assert (await desk.submit(page, **fields)).status_code == 200


async def stopped(desk: Desk, page: httpx.Response, **fields: str) -> None:
    """The page's next step leads back to the beginning."""
    answer = await desk.submit(page, **fields)
    assert (answer.status_code, said(answer)) == (409, STALE)
    assert 'name="password"' in answer.text


@at_the_desk()
async def test_who_knew_the_old_password_sets_up_no_second_factor_after_it_was_changed(desk: Desk) -> None:
    """Else the thief of a password would lock its owner out, who has just set a new one."""
    desk.staff("qian.zheng", "auditor")
    thief = await desk.log_in(asking(), "qian.zheng")
    secret = secret_on(thief)
    await reset(desk, "qian.zheng")
    await stopped(desk, thief, code=pyotp.TOTP(secret).now())
    assert desk.town.one("SELECT count(*) FROM second_factors") == 0


async def _password(desk: Desk) -> None:
    await reset(desk, "qian.zheng")


async def _factor(desk: Desk) -> None:
    chief = desk.staff("chief", "security", "33")
    account = desk.town.one("SELECT a.id FROM accounts a JOIN roles r ON r.account_no = a.no WHERE r.role = 'auditor'")
    path = f"/staff/{account}/second-factor"
    assert (await desk.api("DELETE", path, chief.token(desk.keys))).status_code == 204


async def _closed(desk: Desk) -> None:
    desk.town.do("UPDATE accounts SET closed_at = now()")


@pytest.mark.parametrize("taken", [_password, _factor, _closed])
@at_the_desk()
async def test_a_page_that_stayed_open_leads_nowhere_once_what_it_was_shown_is_taken_away(
    desk: Desk, taken: Callable[[Desk], Awaitable[None]]
) -> None:
    desk.staff("qian.zheng", "auditor")
    page = await desk.log_in(asking(), "qian.zheng")
    shown = await desk.submit(page, code=pyotp.TOTP(secret_on(page)).now())
    assert re.search(r"<li>[^<]+</li>", shown.text), "the recovery codes; the next step sends back to the client"
    await taken(desk)
    await stopped(desk, shown)
    assert desk.town.one("SELECT count(*) FROM authorization_codes") == 0


async def _changed(desk: Desk, who: Resident) -> None:
    told = {"current": PASSWORD, "new": OTHER}
    assert (await desk.api("PUT", "/me/password", who.token(desk.keys), told)).status_code == 204


async def _everywhere(desk: Desk, who: Resident) -> None:
    assert (await desk.api("DELETE", "/sessions", who.token(desk.keys))).status_code == 204


@pytest.mark.parametrize("taken", [_changed, _everywhere])
@at_the_desk()
async def test_a_code_on_its_way_is_void_once_every_session_is_ended(
    desk: Desk, taken: Callable[[Desk, Resident], Awaitable[None]]
) -> None:
    who = desk.staff("zhou.min")
    ask: Asking = asking()
    sent_back = await desk.log_in(ask, "zhou.min")
    await taken(desk, who)
    refused = await desk.redeem(ask, sent_back)
    assert (refused.status_code, refused.json()["error"]) == (400, "invalid_grant")
    assert desk.town.one("SELECT count(*) FROM sessions") == 0


@at_the_desk()
async def test_whose_login_is_reset_by_another_is_told(desk: Desk) -> None:
    """Whoever may invite could set the password themselves: the owner hears of it also when nobody says a word."""
    who = desk.staff("qian.zheng", "auditor")
    await enrolled(desk, "qian.zheng")
    await _factor(desk)
    await _password(desk)
    told = desk.town.all(
        "SELECT holders, subject, data->>'what' FROM notices WHERE type = 'identity.login.changed' ORDER BY no"
    )
    assert told == [([who.holder_no], who.account_id, what) for what in ("second_factor", "password")]


@at_the_desk(demo=False)
async def test_power_that_takes_a_second_factor_is_not_had_with_a_login_from_before(desk: Desk, keys: Keyring) -> None:
    """An access token lives for minutes: whoever holds the colleague's password would be the auditor for so long."""
    who, chief = desk.staff("qian.zheng", "carer"), desk.staff("chief", "security", "33")
    ask: Asking = asking()
    token = (await desk.session("qian.zheng"))["access_token"]
    sent_back = await desk.log_in(ask, "qian.zheng")
    told = {"person": str(who.person_id), "role": "auditor", "region": "330411105", "reason": "任命"}
    granted = await desk.api("POST", "/roles", chief.token(desk.keys, issuer=desk.gateway.parts.settings.issuer), told)
    assert granted.status_code == 201, granted.text
    await asyncio.sleep(credentials.FACTS_SECONDS)
    assert (await desk.api("GET", "/audit", token)).status_code == 401
    assert (await desk.redeem(ask, sent_back)).status_code == 400
    await enrolled(desk, "qian.zheng")
    ask = asking()
    secret = second.opened(keys, bytes(desk.town.one("SELECT secret_sealed FROM second_factors")), who.account_no)
    page = await desk.log_in(ask, "qian.zheng")
    session = await desk.redeem(ask, await desk.submit(page, code=pyotp.TOTP(secret).now()))
    assert (await desk.api("GET", "/audit", session.json()["access_token"])).status_code == 200


@pytest.fixture
def front(database_url: str, keys: Keyring, settings: Settings) -> Iterator[Front]:
    """The whole town behind a gateway."""
    with opened(database_url, keys, settings) as made:
        yield made


def log_in(front: Front, phone: str) -> dict[str, Any]:
    code = front.ask("POST", "/v1/identity/codes", json={"phone": phone}).json()["demo_code"]
    made = front.ask("POST", "/v1/identity/sessions", json={"provider": "phone", "phone": phone, "code": code})
    found: dict[str, Any] = made.json()
    return found


def test_the_access_token_of_who_was_closed_opens_nothing(front: Front) -> None:
    login = log_in(front, "15400000001")
    headers = {"Authorization": f"Bearer {login['access_token']}"}
    assert front.ask("POST", f"{ME}/closure", headers=headers).status_code == 202
    front.town.do("UPDATE requests SET acts_at = now()")
    assert front.ask("GET", "/v1/notices", headers=headers).status_code == 200
    assert work(front, tasks.close) == 1
    time.sleep(credentials.FACTS_SECONDS)
    for path in ("/v1/claims", "/v1/notices", "/v1/identity/me", "/v1/identity/me/consents"):
        assert is_problem(front.ask("GET", path, headers=headers), 401, "not_known"), path
    session = tokens.verify(front.keys, login["access_token"], issuers=[front.parts.settings.issuer]).session_id
    assert front.town.all("SELECT device, successor_sealed FROM sessions WHERE id = %s", session) == [(None, None)]
    assert examined(front) == []


# ---------------------------------------------------------------- power over another


def people(elder: Resident, what: str) -> str:
    return f"/v1/identity/people/{elder.person_id}/{what}"


def relate(front: Front, actor: Resident, person: Resident) -> None:
    """A proxy for everything."""
    front.town.relate(actor, person, "proxy")


def end(front: Front) -> None:
    front.town.do("UPDATE relations SET ends_at = now() WHERE ends_at IS NULL")
    front.parts.credentials._facts.clear()


def test_a_closure_asked_by_a_proxy_ends_with_the_proxys_power(front: Front) -> None:
    nephew, elder = front.town.residents(2)
    relate(front, nephew, elder)
    assert front.ask("POST", people(elder, "closure"), nephew).status_code == 202
    end(front)
    front.town.do("UPDATE requests SET acts_at = now()")
    assert work(front, tasks.close) == 0
    (told,) = front.get(f"{ME}/requests", elder).json()["items"]
    assert (told["state"], bool(told["answer"])) == ("denied", True)
    assert front.town.one("SELECT closed_at FROM persons WHERE id = %s", elder.person_id) is None
    assert examined(front) == []


def test_a_closure_asked_by_a_proxy_who_still_is_one_or_by_the_desk_stands(front: Front) -> None:
    nephew, elder, clerk, other = front.town.residents(4)
    relate(front, nephew, elder)
    front.town.appoint(clerk, "staff")
    assert front.ask("POST", people(elder, "closure"), nephew).status_code == 202
    assert front.ask("POST", people(other, "closure"), clerk).status_code == 202
    front.town.do("UPDATE requests SET acts_at = now()")
    front.town.do("UPDATE roles SET ends_at = now()")
    assert work(front, tasks.close) == 2
    assert examined(front) == []


@pytest.mark.parametrize("what", ["closure", "export", "corrections"])
def test_what_another_asks_about_somebody_is_told_to_them(front: Front, what: str) -> None:
    nephew, elder, clerk = front.town.residents(3)
    relate(front, nephew, elder)
    front.town.appoint(clerk, "staff")
    body = {"field": "name", "value": "张三丰"} if what == "corrections" else None
    for who, path in (
        (nephew, people(elder, what)),
        (clerk, people(nephew, what)),
        (clerk, f"{ME}/{what}"),
    ):
        assert front.ask("POST", path, who, json=body).status_code == 202
    told = front.town.all("SELECT holders FROM notices WHERE type = 'identity.request.made' ORDER BY no")
    assert told == [([elder.holder_no],), ([nephew.holder_no],), ([],)]


def test_who_had_asked_is_told_when_another_takes_it_back(front: Front) -> None:
    elder, clerk = front.town.residents(2)
    front.town.appoint(clerk, "staff")
    for who in (clerk, elder):
        asked_for = front.ask("POST", f"{ME}/export", elder).headers["location"]
        path = asked_for.replace("/me/", f"/people/{elder.person_id}/") if who is clerk else asked_for
        assert front.ask("DELETE", path, who).json()["state"] == "withdrawn"
    told = front.town.all("SELECT holders, data->>'state' FROM notices WHERE type = 'identity.request.answered'")
    assert told == [([elder.holder_no], "withdrawn")]


# ---------------------------------------------------------------- the copy


def copied(front: Front, clerk: Resident, elder: Resident) -> str:
    """A copy of all that is known of somebody, made at the desk; where it is fetched."""
    where: str = front.ask("POST", people(elder, "export"), clerk).headers["location"]
    assert work(front, tasks.export) == 1
    return f"{where}/archive"


def reveal(front: Front, clerk: Resident, elder: Resident, fields: list[str]) -> httpx.Response:
    told = {"fields": fields, "reason": WHY}
    return front.ask("POST", people(elder, "reveal"), clerk, json=told)


def test_a_copy_shows_the_desk_no_more_than_a_reveal_does(front: Front) -> None:
    elder, clerk, colleague = front.town.residents(3)
    known(front, elder)
    for one in (clerk, colleague):
        front.town.appoint(one, "staff")
    where = copied(front, clerk, elder)
    assert is_problem(front.get(where, clerk), 403, "not_allowed")
    assert reveal(front, clerk, elder, ["phone"]).status_code == 200
    assert is_problem(front.get(where, clerk), 403, "not_allowed")
    assert reveal(front, clerk, elder, EVERYTHING).status_code == 200
    assert is_problem(front.get(where, colleague), 403, "not_allowed")
    assert front.get(where, clerk).content.startswith(b"PK")
    assert front.town.one("SELECT count(*) FROM notices WHERE type = 'identity.person.revealed'") == 2, "and it is told"
    front.town.do("UPDATE reveals SET expires_at = now()")
    assert is_problem(front.get(where, clerk), 403, "not_allowed")
    mine = where.replace(f"/people/{elder.person_id}/", "/me/")
    assert front.get(mine, elder).status_code == 200, "it is theirs"


def test_a_childs_copy_takes_somebody_elses_word_at_the_desk(front: Front) -> None:
    parent, child, clerk, boss = front.town.residents(4)
    front.town.relate(parent, child)
    front.town.appoint(clerk, "staff")
    front.town.appoint(boss, "manager")
    where = copied(front, clerk, child)
    asked = reveal(front, clerk, child, EVERYTHING)
    assert asked.status_code == 202
    assert is_problem(front.get(where, clerk), 403, "not_allowed")
    reveal_id = asked.json()["id"]
    assert front.ask("POST", f"/v1/identity/reveals/{reveal_id}/approve", boss).status_code == 200
    assert is_problem(front.get(where, clerk), 403, "not_allowed"), "nobody was told yet"
    assert front.get(f"/v1/identity/reveals/{reveal_id}", clerk).status_code == 200
    assert front.get(where, clerk).status_code == 200
    assert front.get(where, parent).status_code == 200


def test_nobody_decides_on_a_correction_of_their_own_family(front: Front) -> None:
    clerk, spouse = front.town.residents(2, household=True)
    front.town.appoint(clerk, "manager")
    body = {"field": "born", "value": "1950-01-01"}
    made = front.ask("POST", f"{ME}/corrections", spouse, json=body)
    assert made.status_code == 202, made.text
    for word, told in (("approve", None), ("deny", {"reason": "不符合规定"})):
        answer = front.ask("POST", f"/v1/identity/requests/{made.json()['id']}/{word}", clerk, json=told)
        assert is_problem(answer, 403, "own_matter")
    assert uuid.UUID(made.json()["id"])
