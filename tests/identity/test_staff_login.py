"""Staff log in on a page of ours and are sent back with a code that only their client can use, once."""

from __future__ import annotations

import asyncio
import random
import re
from collections.abc import Awaitable, Callable
from pathlib import Path
from urllib.parse import urlencode

import httpx

from services import doctor
from services.identity import oauth
from shared import tokens
from shared.crypto import Keyring
from shared.settings import Settings
from tests.gateway.doors import service_alone
from tests.identity.staffroom import REDIRECT, Desk, act, asking, at_the_desk, hidden, query, said


@at_the_desk()
async def test_a_login_is_a_session_like_any_other(
    desk: Desk, database_url: str, keys: Keyring, settings: Settings
) -> None:
    someone = desk.staff("zhou.min")
    ask = asking()
    sent_back = await desk.log_in(ask, "Zhou.Min ")
    assert sent_back.headers["location"].startswith(REDIRECT + "?")
    assert query(sent_back.headers["location"])["iss"] == settings.public_url
    answer = await desk.redeem(ask, sent_back)
    assert answer.status_code == 200, answer.text
    told = answer.json()
    assert answer.headers["cache-control"] == "no-store"
    assert told["token_type"] == "Bearer"
    assert tokens.verify(keys, told["access_token"]).account_no == someone.account_no
    me = (await desk.api("GET", "/me", told["access_token"])).json()
    assert [one["role"] for one in me["roles"]] == ["manager"]
    (session,) = (await desk.api("GET", "/sessions", told["access_token"])).json()["items"]
    assert (session["provider"], session["device"], session["current"]) == ("password", "linli-console", True)
    again = await desk.exchange(grant_type="refresh_token", refresh_token=told["refresh_token"])
    assert again.status_code == 200
    assert again.json()["refresh_token"] != told["refresh_token"]
    assert desk.town.all("SELECT action, account_no, community FROM audit") == [
        ("staff.login", someone.account_no, "330411105")
    ]
    assert [one for one in await doctor.examine(database_url) if one[1]] == []
    desk.town.do("ALTER TABLE audit DISABLE TRIGGER USER")
    desk.town.do("DELETE FROM audit")
    assert [name for name, wrong in await doctor.examine(database_url) if wrong] == [
        "every login of staff was written down"
    ]


@at_the_desk()
async def test_the_page_is_closed_to_everything_from_outside(desk: Desk) -> None:
    page = await desk.open(asking())
    assert page.status_code == 200
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert page.headers["cache-control"] == "no-store"
    assert page.headers["referrer-policy"] == "no-referrer"
    assert "<script" not in page.text
    assert not re.search(r"<style|\sstyle=|\son\w+=", page.text)
    assert set(re.findall(r'(?:src|href)="([^"]+)"', page.text)) == {"data:,", "/oauth/login.css"}
    style = await desk.http.get("/oauth/login.css")
    assert style.headers["content-type"] == "text/css; charset=utf-8"
    cookie = page.headers["set-cookie"].lower()
    assert "samesite=strict" in cookie
    assert "httponly" in cookie
    for wanted in ("username", "current-password"):
        assert f'autocomplete="{wanted}"' in page.text


@at_the_desk(public_url="https://linli.example")
async def test_a_cookie_travels_only_under_tls_where_there_is_tls(desk: Desk) -> None:
    page = await desk.open(asking(redirect="https://linli.example/docs/oauth2-redirect"))
    assert page.headers["set-cookie"].startswith("__Host-linli=")
    assert "secure" in page.headers["set-cookie"].lower()


@at_the_desk()
async def test_the_page_speaks_the_readers_language_and_can_be_switched(desk: Desk) -> None:
    page = await desk.open(asking(), language="zh-CN")
    assert '<html lang="zh">' in page.text
    assert "登录" in page.text
    english = await desk.submit(page, username="somebody", password="", switch="en")
    assert '<html lang="en">' in english.text
    assert 'value="somebody"' in english.text
    assert said(english) == ""
    wrong = await desk.submit(english, username="somebody", password="x")
    assert said(wrong) == "The name or the password is wrong."
    assert desk.town.one("SELECT count(*) FROM audit WHERE action = 'staff.login_failed'") == 1


@at_the_desk()
async def test_the_page_does_not_tell_whether_a_name_is_known(desk: Desk) -> None:
    desk.staff("known")
    answers = []
    for name in ("known", "unknown"):
        page = await desk.log_in(asking(), name, "wrong password")
        text = re.sub(r'value="[^"]*"', "", page.text).replace(name, "")
        answers.append((page.status_code, text, sorted(page.headers)))
    assert answers[0] == answers[1]
    assert answers[0][0] == 400


@at_the_desk()
async def test_what_was_typed_is_escaped(desk: Desk) -> None:
    bad = '"><script>alert(1)</script>'
    ask = asking()
    ask.params["state"] = bad
    page = await desk.log_in(ask, bad, bad)
    assert "<script" not in page.text
    assert hidden(page)["state"] == bad


STRAY: list[dict[str, str | None]] = [
    {"redirect_uri": "https://evil.example/docs/oauth2-redirect"},
    {"redirect_uri": REDIRECT + "/"},
    {"redirect_uri": REDIRECT + "?x=1"},
    {"redirect_uri": "http://127.0.0.1:8000@evil.example/docs/oauth2-redirect"},
    {"redirect_uri": "http://localhost.evil.example/docs/oauth2-redirect"},
    {"redirect_uri": "javascript:alert(1)"},
    {"redirect_uri": "http://[::1/docs/oauth2-redirect"},
    {"redirect_uri": None},
    {"client_id": "somebody-else"},
    {"client_id": None},
    {"state": "\x00"},
]


@at_the_desk()
async def test_nobody_is_sent_to_an_address_that_is_not_ours(desk: Desk) -> None:
    for changed in STRAY:
        for method, where in (("GET", "params"), ("POST", "data")):
            answer = await desk.http.request(method, "/oauth/authorize", **{where: asking().but(**changed)})  # type: ignore[arg-type]
            assert answer.status_code == 400, changed
            assert "location" not in answer.headers
            assert answer.headers["content-type"] == "text/html; charset=utf-8"
            assert "evil" not in answer.text


def test_the_console_may_be_opened_under_any_name_of_this_machine_in_a_demo_only(
    database_url: str, keys: Keyring, settings: Settings
) -> None:
    def opens(status: int) -> Callable[[Desk], Awaitable[None]]:
        async def play(desk: Desk) -> None:
            for host in ("localhost:9000", "127.0.0.1:1234", "[::1]:80"):
                ask = asking(redirect=f"http://{host}/docs/oauth2-redirect")
                assert (await desk.open(ask)).status_code == status, host

        return play

    act(database_url, keys, settings, opens(200))
    act(database_url, keys, settings.model_copy(update={"demo": False}), opens(400))


DECLINED: list[tuple[dict[str, str | None], str]] = [
    ({"response_type": "token"}, "unsupported_response_type"),
    ({"response_type": None}, "unsupported_response_type"),
    ({"code_challenge_method": "plain"}, "invalid_request"),
    ({"code_challenge_method": None}, "invalid_request"),
    ({"code_challenge": None}, "invalid_request"),
    ({"code_challenge": "short"}, "invalid_request"),
    ({"state": None}, "invalid_request"),
    ({"state": "x" * 2000}, "invalid_request"),
    ({"scope": "everything"}, "invalid_scope"),
]


@at_the_desk()
async def test_a_client_is_told_at_its_own_address_what_is_wrong(desk: Desk) -> None:
    for changed, error in DECLINED:
        ask = asking()
        answer = await desk.http.get("/oauth/authorize", params=ask.but(**changed))
        assert answer.status_code == 303
        assert answer.headers["location"].startswith(REDIRECT + "?")
        told = query(answer.headers["location"])
        assert told["error"] == error
        assert "code" not in told
        assert told.get("state") == (None if "state" in changed else ask.params["state"])


@at_the_desk()
async def test_a_parameter_may_not_come_twice_nor_a_form_be_something_else(desk: Desk) -> None:
    twice = urlencode(asking().params) + "&redirect_uri=" + REDIRECT
    assert (await desk.http.get(f"/oauth/authorize?{twice}")).status_code == 400
    assert (await desk.http.post("/oauth/authorize", json=asking().params)).status_code == 415
    for bad in (b"\xff\xfe", b"state=%ff", b"&".join(b"a%d=1" % n for n in range(100))):
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        assert (await desk.http.post("/oauth/authorize", content=bad, headers=headers)).status_code == 400
        told = await desk.http.post("/oauth/token", content=bad, headers=headers)
        assert (told.status_code, told.json()["error"]) == (400, "invalid_request")
    told = await desk.http.post("/oauth/token", json={"grant_type": "authorization_code"})
    assert (told.status_code, told.json()["error"]) == (400, "invalid_request")


@at_the_desk()
async def test_a_form_of_another_page_or_browser_is_not_taken(desk: Desk) -> None:
    desk.staff("zhou.min")
    page = await desk.open(asking())
    fields = {**hidden(page), "username": "zhou.min", "password": "correct horse battery 马"}
    own = dict(desk.http.cookies)
    for cookies, form in (({}, fields["form"]), ({"linli-login": "x" * 43}, fields["form"]), (own, ""), (own, "é")):
        desk.http.cookies.clear()
        desk.http.cookies.update(cookies)
        answer = await desk.http.post("/oauth/authorize", data={**fields, "form": form})
        assert answer.status_code == 400
    assert desk.town.one("SELECT count(*) FROM login_delays") == 0
    desk.http.cookies.clear()
    desk.http.cookies.update(own)
    assert (await desk.http.post("/oauth/authorize", data=fields)).status_code == 303


@at_the_desk()
async def test_a_code_is_good_once_and_its_reuse_ends_what_it_opened(desk: Desk) -> None:
    desk.staff("zhou.min")
    ask = asking()
    sent_back = await desk.log_in(ask, "zhou.min")
    told = (await desk.redeem(ask, sent_back)).json()
    again = await desk.redeem(ask, sent_back)
    assert (again.status_code, again.json()["error"]) == (400, "invalid_grant")
    refused = await desk.exchange(grant_type="refresh_token", refresh_token=told["refresh_token"])
    assert (refused.status_code, refused.json()["error"]) == (400, "invalid_grant")


@at_the_desk()
async def test_of_many_who_redeem_a_code_at_once_at_most_one_is_given_a_session_that_lives(desk: Desk) -> None:
    desk.staff("zhou.min")
    ask = asking()
    sent_back = await desk.log_in(ask, "zhou.min")
    answers = await asyncio.gather(*(desk.redeem(ask, sent_back) for _ in range(8)))
    assert [one.status_code for one in answers].count(200) == 1
    assert desk.town.one("SELECT count(*) FROM sessions") == 1
    assert desk.town.one("SELECT count(*) FROM sessions WHERE revoked_at IS NULL") == 0


@at_the_desk(oauth_clients={"desk": ("https://desk.example/in",)})
async def test_a_code_is_bound_to_who_asked_for_it(desk: Desk) -> None:
    desk.staff("zhou.min")
    for changed in (
        {"code_verifier": "x" * 43},
        {"code_verifier": "short"},
        {"redirect_uri": "http://localhost:8000/docs/oauth2-redirect"},
        {"client_id": "desk"},
    ):
        ask = asking()
        sent_back = await desk.log_in(ask, "zhou.min")
        stolen = await desk.redeem(ask, sent_back, **changed)
        assert (stolen.status_code, stolen.json()["error"]) == (400, "invalid_grant")
        assert (await desk.redeem(ask, sent_back)).status_code == 400, "a code somebody played with is used up"
    assert desk.town.one("SELECT count(*) FROM sessions") == 0


@at_the_desk(oauth_clients={"desk": ("https://desk.example/in?tab=1",)})
async def test_a_frontend_of_the_settings_is_sent_back_to_its_own_address_only(desk: Desk) -> None:
    desk.staff("zhou.min")
    ask = asking("desk", "https://desk.example/in?tab=1")
    page = await desk.open(ask)
    assert "form-action 'self' https://desk.example;" in page.headers["content-security-policy"]
    sent_back = await desk.submit(page, username="zhou.min", password="correct horse battery 马")
    assert sent_back.headers["location"].startswith("https://desk.example/in?tab=1&code=")
    assert (await desk.redeem(ask, sent_back, client_id="desk")).status_code == 200
    stray = asking("desk", REDIRECT)
    assert (await desk.open(stray)).status_code == 400
    assert (await desk.open(asking(redirect="https://desk.example/in?tab=1"))).status_code == 400


@at_the_desk()
async def test_a_code_lives_for_a_minute(desk: Desk) -> None:
    desk.staff("zhou.min")
    for seconds, status in ((58, 200), (61, 400)):
        ask = asking()
        sent_back = await desk.log_in(ask, "zhou.min")
        desk.town.do("UPDATE authorization_codes SET expires_at = expires_at - make_interval(secs => %s)", seconds)
        assert (await desk.redeem(ask, sent_back)).status_code == status


GRANTS: list[tuple[dict[str, str], int, str]] = [
    ({"grant_type": "password", "username": "zhou.min", "password": "x"}, 400, "unsupported_grant_type"),
    ({"grant_type": "client_credentials"}, 400, "unsupported_grant_type"),
    ({}, 400, "unsupported_grant_type"),
    ({"grant_type": "authorization_code"}, 400, "invalid_request"),
    ({"grant_type": "authorization_code", "code": "x", "redirect_uri": REDIRECT}, 400, "invalid_request"),
    ({"grant_type": "refresh_token"}, 400, "invalid_request"),
    ({"grant_type": "refresh_token", "refresh_token": "made-up"}, 400, "invalid_grant"),
    (
        {"grant_type": "authorization_code", "code": "é", "redirect_uri": "x", "code_verifier": "x"},
        400,
        "invalid_grant",
    ),
    ({"grant_type": "refresh_token", "client_id": "somebody-else"}, 401, "invalid_client"),
]


@at_the_desk()
async def test_the_exchange_knows_two_grants_and_no_password(desk: Desk) -> None:
    for fields, status, error in GRANTS:
        answer = await desk.exchange(**fields)
        assert (answer.status_code, answer.json()["error"]) == (status, error)
        assert answer.headers["cache-control"] == "no-store"


def test_nothing_in_the_code_takes_a_password_for_a_token() -> None:
    """Apart from the page, no operation of the API logs in with a password."""
    text = Path(oauth.__file__).parent / "schemas" / "__init__.py"
    assert "password" not in text.read_text(encoding="utf-8")


@at_the_desk()
async def test_a_session_of_staff_ends_when_it_is_left_alone_and_after_a_day_of_work(desk: Desk) -> None:
    desk.staff("zhou.min")
    for column, minutes, status in (("made_at", 28, 200), ("made_at", 31, 400), ("expires_at", 12 * 60 + 1, 400)):
        told = await desk.session("zhou.min")
        desk.town.do(
            f"UPDATE sessions SET {column} = {column} - make_interval(mins => %s) WHERE rotated_at IS NULL", minutes
        )
        answer = await desk.exchange(grant_type="refresh_token", refresh_token=told["refresh_token"])
        assert answer.status_code == status, (column, minutes)
        desk.town.do("UPDATE sessions SET revoked_at = now()")


@at_the_desk(staff_idle_minutes=5)
async def test_an_access_token_does_not_outlive_the_time_a_session_may_be_left_alone(desk: Desk) -> None:
    desk.staff("zhou.min")
    told = await desk.session("zhou.min")
    assert told["expires_in"] == 300
    again = await desk.exchange(grant_type="refresh_token", refresh_token=told["refresh_token"])
    assert again.json()["expires_in"] == 300


@at_the_desk()
async def test_a_closed_account_is_nobodys(desk: Desk) -> None:
    someone = desk.staff("zhou.min")
    ask = asking()
    sent_back = await desk.log_in(ask, "zhou.min")
    desk.town.do("UPDATE accounts SET closed_at = now() WHERE no = %s", someone.account_no)
    assert (await desk.redeem(ask, sent_back)).status_code == 400
    assert said(await desk.log_in(asking(), "zhou.min")) == "The name or the password is wrong."


@at_the_desk()
async def test_a_huge_password_is_only_wrong(desk: Desk) -> None:
    desk.staff("zhou.min")
    answer = await desk.log_in(asking(), "zhou.min", "x" * 40_000)
    assert (answer.status_code, said(answer)) == (400, "The name or the password is wrong.")
    assert (await desk.log_in(asking(), "zhou.min", "x" * 80_000)).status_code == 413
    desk.wait()
    assert (await desk.log_in(asking(), "zhou.min", "with a \x00")).status_code == 400


NASTY = (
    "",
    "\x00",
    "\r\nSet-Cookie: x=1",
    "%00",
    "é" * 300,
    "\ud7ff\U0010ffff",
    "../..",
    "A" * 9000,
    "[]",
    "' OR 1=1 --",
    "￿",
    "=&?#",
)


def test_nothing_that_is_sent_breaks_it(database_url: str, keys: Keyring, settings: Settings) -> None:
    chance = random.Random(7)

    async def play(desk: Desk) -> None:
        desk.staff("zhou.min")
        page = await desk.open(asking())
        for _ in range(250):
            method, path = chance.choice(
                [
                    ("GET", "authorize"),
                    ("POST", "authorize"),
                    ("POST", "token"),
                    ("GET", "invitation"),
                    ("POST", "invitation"),
                ]
            )
            fields = {**hidden(page), "ticket": "x", "username": "zhou.min", "password": "x", "code": "x", "again": "x"}
            fields |= {"grant_type": "authorization_code", "code_verifier": "x" * 43, "refresh_token": "x"}
            for name in chance.sample(sorted(fields), chance.randint(0, 4)):
                if chance.random() < 0.4:
                    del fields[name]
                else:
                    fields[name] = chance.choice(NASTY)
            told = urlencode(fields).encode()
            if chance.random() < 0.2:
                cut = chance.randrange(len(told))
                told = told[:cut] + bytes(chance.randrange(256) for _ in range(4)) + told[cut + 1 :]
            headers = {
                "Content-Type": "application/x-www-form-urlencoded",
                "Cookie": chance.choice(["", "linli-login=\xff", "=;;=", "linli-login=" + "x" * 43]),
            }
            query = (
                "".join(one if one.isprintable() else "?" for one in told.decode("latin-1")) if method == "GET" else ""
            )
            answer = await desk.http.request(
                method,
                httpx.URL(f"/oauth/{path}", query=query.encode("ascii", "replace")),
                content=told if method == "POST" else None,
                headers={name: value.encode("latin-1") for name, value in headers.items()},
            )
            assert answer.status_code in (200, 303, 400, 401, 429), (method, path, told, answer.text)
            assert "set-cookie: x=1" not in str(answer.headers).lower()
            if answer.status_code == 303:
                assert answer.headers["location"].startswith(REDIRECT)

    act(database_url, keys, settings, play)


def test_a_browsers_cookie_stays_its_own_where_identity_lives_elsewhere(
    database_url: str, keys: Keyring, settings: Settings
) -> None:
    async def play(desk: Desk) -> None:
        desk.staff("zhou.min")
        ask = asking()
        assert (await desk.redeem(ask, await desk.log_in(ask, "zhou.min"))).status_code == 200
        seen = set()
        for _ in range(3):
            seen.add(desk.http.cookies["linli-login"])
            desk.http.cookies.clear()
            await desk.open(asking())
        assert len(seen) == 3

    with service_alone("identity", database_url, keys, settings) as address:
        act(database_url, keys, settings.model_copy(update={"upstreams": {"identity": address}}), play)
