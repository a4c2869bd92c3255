"""The second factor: who must have one sets it up at the first login; its codes open once, each."""

from __future__ import annotations

import asyncio
import html
import re
import time
import uuid

import httpx
import jwt
import pyotp
import pytest

from services import doctor
from services.identity import second
from shared.crypto import Keyring
from tests.identity.staffroom import Desk, asking, at_the_desk, hidden, said
from tests.identity.town import Town as IdentityTown
from tests.identity.town import play
from tests.town import COMMUNITY

WRONG = "The code is wrong or was used before."


def secret_on(page: httpx.Response) -> str:
    found = re.search(r"otpauth://totp/[^<]*", page.text)
    assert found
    parsed = pyotp.parse_uri(html.unescape(found[0]))
    assert isinstance(parsed, pyotp.TOTP)
    assert parsed.issuer == "Linli"
    return parsed.secret


async def enrolled(desk: Desk, name: str) -> tuple[str, list[str]]:
    """The secret and the recovery codes of a colleague who has just set the factor up."""
    ask = asking()
    page = await desk.log_in(ask, name)
    secret = secret_on(page)
    shown = await desk.submit(page, code=pyotp.TOTP(secret).now())
    codes = re.findall(r"<li>([^<]+)</li>", shown.text)
    assert (await desk.redeem(ask, await desk.submit(shown))).status_code == 200
    desk.town.do("DELETE FROM used_steps")  # the tests do not wait for the next half minute
    return secret, codes


async def with_code(desk: Desk, name: str, code: str) -> httpx.Response:
    return await desk.submit(await desk.log_in(asking(), name), code=code)


@pytest.mark.parametrize(
    ("seconds", "code"),
    [(59, "94287082"), (1111111109, "07081804"), (1234567890, "89005924"), (2000000000, "69279037")],
)
def test_codes_are_those_of_rfc_6238(seconds: int, code: str) -> None:
    secret = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"
    assert pyotp.TOTP(secret, digits=8).at(seconds) == code
    assert second.step_of(secret, code[2:], seconds) == seconds // 30


def test_a_clock_may_be_off_by_half_a_minute() -> None:
    secret, now = second.secret(), 1_800_000_000
    for off, is_good in ((-60, False), (-30, True), (0, True), (30, True), (60, False)):
        assert (second.step_of(secret, pyotp.TOTP(secret).at(now + off), now) is not None) == is_good, off
    for typed in ("", "123", "１２３", "é" * 6, "\x00" * 6):
        assert second.step_of(secret, typed, now) is None
    code = pyotp.TOTP(secret).at(now)
    assert second.step_of(secret, f" {code[:3]} {code[3:]} ", now) == now // 30
    assert second.step_of(secret, "".join(chr(ord(one) + 0xFEE0) for one in code), now) == now // 30


@pytest.mark.parametrize("role", ["administrator", "auditor"])
@at_the_desk()
async def test_power_over_others_needs_a_second_factor_from_the_first_login_on(desk: Desk, role: str) -> None:
    someone = desk.staff("qian.zheng", role)
    ask = asking()
    page = await desk.log_in(ask, "qian.zheng")
    assert page.status_code == 200
    assert "<svg" in page.text
    assert not re.search(r"<style|\sstyle=|\son\w+=|<script", page.text)
    secret = secret_on(page)
    wrong = await desk.submit(page, code="000000")
    assert said(wrong) == WRONG
    assert secret_on(wrong) == secret
    shown = await desk.submit(wrong, code=pyotp.TOTP(secret).now())
    codes = re.findall(r"<li>([^<]+)</li>", shown.text)
    assert len(set(codes)) == second.RECOVERY_CODES
    assert (await desk.redeem(ask, await desk.submit(shown))).status_code == 200
    assert [row[0] for row in desk.town.all("SELECT action FROM audit ORDER BY no")] == [
        "totp.enrolled",
        "staff.login",
    ]
    kept = str(desk.town.all("SELECT * FROM second_factors")) + str(desk.town.all("SELECT * FROM recovery_codes"))
    assert secret not in kept
    assert codes[0] not in kept
    assert someone.account_no == desk.town.one("SELECT account_no FROM second_factors")


@at_the_desk()
async def test_each_code_opens_once_also_in_a_crowd(desk: Desk) -> None:
    desk.staff("qian.zheng", "auditor")
    secret, _ = await enrolled(desk, "qian.zheng")
    code = pyotp.TOTP(secret).now()
    assert (await with_code(desk, "qian.zheng", code)).status_code == 303
    replayed = await with_code(desk, "qian.zheng", code)
    assert (replayed.status_code, said(replayed)) == (400, WRONG)
    desk.wait()
    desk.town.do("DELETE FROM used_steps")
    pages = [await desk.log_in(asking(), "qian.zheng") for _ in range(6)]
    code = pyotp.TOTP(secret).now()
    desk.town.do(
        "CREATE FUNCTION forget() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.until = now(); RETURN NEW; END $$"
    )
    desk.town.do("CREATE TRIGGER forgets BEFORE UPDATE ON login_delays FOR EACH ROW EXECUTE FUNCTION forget()")
    answers = await asyncio.gather(*(desk.submit(page, code=code) for page in pages))
    assert sorted(one.status_code for one in answers) == [303, 400, 400, 400, 400, 400]


@at_the_desk()
async def test_without_its_referee_a_code_would_open_for_a_crowd(desk: Desk) -> None:
    """The control: the same crowd, and steps are no longer kept apart."""

    desk.staff("qian.zheng", "auditor")
    secret, _ = await enrolled(desk, "qian.zheng")
    desk.town.do("ALTER TABLE used_steps DROP CONSTRAINT a_step_opens_once, ADD COLUMN n uuid DEFAULT uuidv7()")
    desk.town.do("ALTER TABLE used_steps ADD CONSTRAINT a_step_opens_once PRIMARY KEY (account_no, step, n)")
    pages = [await desk.log_in(asking(), "qian.zheng") for _ in range(3)]
    code = pyotp.TOTP(secret).now()
    assert [(await desk.submit(page, code=code)).status_code for page in pages] == [303, 303, 303]


@at_the_desk()
async def test_a_recovery_code_opens_once(desk: Desk) -> None:
    desk.staff("qian.zheng", "auditor")
    _, codes = await enrolled(desk, "qian.zheng")
    assert {len(one.replace("-", "")) * 5 for one in codes} == {120}, "bits: enough for a keyed hash without stretching"
    assert (await with_code(desk, "qian.zheng", codes[3].upper().replace("-", ""))).status_code == 303
    assert said(await with_code(desk, "qian.zheng", codes[3])) == WRONG
    desk.wait()
    assert (await with_code(desk, "qian.zheng", codes[4])).status_code == 303


@at_the_desk()
async def test_guessing_codes_is_slowed_down_as_guessing_passwords(desk: Desk) -> None:
    desk.staff("qian.zheng", "auditor")
    secret, _ = await enrolled(desk, "qian.zheng")
    page = await desk.log_in(asking(), "qian.zheng")
    answers = await asyncio.gather(*(desk.submit(page, code=f"{n:06}") for n in range(10)))
    assert sorted(one.status_code for one in answers) == [400] + [429] * 9
    late = next(one for one in answers if one.status_code == 429)
    assert late.headers["retry-after"] == "1"
    desk.wait()
    assert (await desk.submit(late, code=pyotp.TOTP(secret).now())).status_code == 303
    assert desk.town.one("SELECT count(*) FROM audit WHERE action = 'staff.login_failed'") == 1


@at_the_desk()
async def test_a_ticket_is_of_one_browser_for_ten_minutes(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.staff("qian.zheng", "auditor")
    secret, _ = await enrolled(desk, "qian.zheng")
    page = await desk.log_in(asking(), "qian.zheng")
    fields = {**hidden(page), "code": pyotp.TOTP(secret).now()}

    async def refused(**changed: str) -> bool:
        answer = await desk.http.post("/oauth/authorize", data={**fields, **changed})
        return answer.status_code == 400 and 'name="password"' in answer.text

    assert await refused(ticket="")
    assert await refused(ticket="AAAA")
    assert await refused(ticket="é")
    assert await refused(ticket=fields["ticket"][:-8] + "AAAAAAA=")
    own = dict(desk.http.cookies)
    desk.http.cookies.clear()
    other = hidden(await desk.open(asking()))
    assert await refused(form=other["form"]), "another browser cannot go on where this one was"
    desk.http.cookies.clear()
    desk.http.cookies.update(own)
    now = time.time()
    monkeypatch.setattr("services.identity.routes.oauth.time.time", lambda: now + 601)
    assert await refused()
    monkeypatch.undo()
    assert (await desk.http.post("/oauth/authorize", data=fields)).status_code == 303


@at_the_desk()
async def test_a_lost_second_factor_is_taken_away_by_another_administrator(desk: Desk, keys: Keyring) -> None:
    boss, someone = desk.staff("boss", "administrator", "33"), desk.staff("qian.zheng", "administrator")
    await enrolled(desk, "qian.zheng")
    path = f"/staff/{someone.account_id}/second-factor"
    assert (await desk.api("DELETE", path, someone.token(keys))).status_code == 403, "nobody does it for themselves"
    assert (await desk.api("DELETE", path, boss.token(keys))).status_code == 204
    assert (await desk.api("DELETE", path, boss.token(keys))).status_code == 404
    own = f"/staff/{boss.account_id}/second-factor"
    assert (await desk.api("DELETE", own, boss.token(keys))).status_code == 403
    assert desk.town.one("SELECT count(*) FROM sessions WHERE revoked_at IS NULL") == 0
    assert "otpauth://" in (await desk.log_in(asking(), "qian.zheng")).text
    assert desk.town.one("SELECT account_no FROM audit WHERE action = 'totp.removed'") == boss.account_no


@at_the_desk()
async def test_two_browsers_that_set_up_a_factor_at_once_leave_one(desk: Desk) -> None:
    desk.staff("qian.zheng", "auditor")
    pages = [await desk.log_in(asking(), "qian.zheng") for _ in range(2)]
    answers = await asyncio.gather(*(desk.submit(one, code=pyotp.TOTP(secret_on(one)).now()) for one in pages))
    assert sorted(one.status_code for one in answers) == [200, 409]
    assert desk.town.one("SELECT count(*) FROM recovery_codes") == second.RECOVERY_CODES


def test_a_telephone_is_not_enough_for_power_over_others(database_url: str) -> None:
    phone = "15400000001"

    async def scenario(town: IdentityTown) -> None:
        before = await town.login(phone)
        account = before.caller.account_no
        assert (await town.refresh(before.refresh)).status_code == 200
        await town.execute("INSERT INTO roles (account_no, role, prefix) VALUES ($1, 'administrator', '33')", account)
        await town.execute("UPDATE login_codes SET sent_at = now() - interval '1 hour'")
        body = {"provider": "phone", "phone": phone, "code": await town.code(phone)}
        refused = await town.call("POST", "/sessions", body)
        assert (refused.status_code, refused.json()["code"]) == (403, "not_allowed")
        assert (await town.refresh(before.refresh)).status_code == 401, "the session of before has ended, too"
        assert await town.value("SELECT count(*) FROM sessions WHERE revoked_at IS NULL") == 0
        await town.execute("UPDATE roles SET ends_at = now()")
        assert (await town.call("POST", "/sessions", body)).status_code == 201, "the code was not used up"

    play(database_url, scenario, demo=False)


@pytest.mark.parametrize("role", ["manager", "staff", "operator"])
@at_the_desk(demo=False)
async def test_whoever_sees_a_whole_town_needs_a_second_factor_too(desk: Desk, role: str) -> None:
    desk.staff("qian.zheng", role)
    desk.staff("rider", "courier")
    assert "otpauth://" in (await desk.log_in(asking(), "qian.zheng")).text
    assert (await desk.log_in(asking(), "rider")).status_code == 303, "who sees a day's doors does not"


@at_the_desk(demo=False)
async def test_roles_of_power_count_only_in_a_session_with_a_second_factor(
    desk: Desk, database_url: str, keys: Keyring
) -> None:
    someone = desk.staff("qian.zheng", "courier")
    held = (await desk.session("qian.zheng"))["access_token"]
    desk.town.appoint(someone, "staff", COMMUNITY)
    desk.town.appoint(someone, "auditor", "33")
    (neighbour,) = desk.town.residents()
    booking = {"slot_id": str(desk.town.slot()), "persons": [str(neighbour.person_id)], "channel": "desk"}
    secret, _ = await enrolled(desk, "qian.zheng")
    ask = asking()
    page = await desk.log_in(ask, "qian.zheng")
    shown = await desk.submit(page, code=pyotp.TOTP(secret).now())
    strong = (await desk.redeem(ask, shown)).json()["access_token"]
    discovered = (await desk.http.get("/.well-known/openid-configuration")).json()
    assert discovered["acr_values_supported"] == ["1", "2"]
    assert (await desk.api("GET", "/me", someone.token(keys))).status_code == 401, "not by that issuer"
    for token, acr, status, booked in ((held, "1", 403, 403), (strong, "2", 200, 201)):
        claims = jwt.decode(token, options={"verify_signature": False})
        assert (claims["acr"], claims["iss"]) == (acr, discovered["issuer"])
        assert (await desk.api("GET", "/audit", token)).status_code == status
        assert (await desk.api("POST", "/people/search", token, {"q": "居民"})).status_code == status
        headers = {"Authorization": f"Bearer {token}", "Idempotency-Key": uuid.uuid4().hex}
        answer = await desk.http.post("/v1/booking/reservations", json=booking, headers=headers)
        assert answer.status_code == booked, answer.text
    assert [one for one in await doctor.examine(database_url) if one[1]] == []
    desk.town.do("DELETE FROM recovery_codes")
    desk.town.do("DELETE FROM second_factors")
    assert [name for name, wrong in await doctor.examine(database_url) if wrong] == [
        "who logged in with a password and a second factor has one"
    ]


@at_the_desk(demo=False)
async def test_a_password_is_not_enough_from_the_moment_power_is_given(desk: Desk) -> None:
    someone = desk.staff("qian.zheng", "courier")
    session = await desk.session("qian.zheng")
    desk.town.appoint(someone, "auditor", "33")
    refresh = {"grant_type": "refresh_token"}
    assert (await desk.exchange(**refresh, refresh_token=session["refresh_token"])).status_code == 400
    secret, _ = await enrolled(desk, "qian.zheng")
    ask = asking()
    page = await desk.log_in(ask, "qian.zheng")
    told = (await desk.redeem(ask, await desk.submit(page, code=pyotp.TOTP(secret).now()))).json()
    assert (await desk.exchange(**refresh, refresh_token=told["refresh_token"])).status_code == 200
