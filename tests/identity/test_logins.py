"""Several ways into one account, WeChat among them; and what happens when WeChat has a bad day."""

from __future__ import annotations

import asyncio
import logging
import time
import uuid
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.identity.elsewhere import BAD_MOODS, TOO_LONG, WeChatServer, says
from tests.identity.town import Town, play

PHONE, OTHER, THIRD = "15400000001", "15400000002", "15400000003"


@pytest.fixture
def wechat() -> Iterator[WeChatServer]:
    with WeChatServer() as server:
        yield server


def on(wechat: WeChatServer, **more: Any) -> dict[str, Any]:
    return {"wechat_appid": wechat.APPID, "wechat_secret": wechat.SECRET, "wechat_url": wechat.url} | more


async def enter(town: Town, code: str, **more: Any) -> httpx.Response:
    return await town.call(
        "POST", "/sessions", {"provider": "wechat", "code": code} | more, **{"accept-language": "en"}
    )


def test_who_brings_wechat_and_a_phone_becomes_a_resident_and_comes_back_by_either(
    database_url: str, wechat: WeChatServer
) -> None:
    async def scenario(town: Town) -> None:
        first = await enter(town, wechat.code("o-1"), phone_code=wechat.phone_code(PHONE), device="手机")
        assert first.status_code == 201, first.text
        account = first.json()["account"]
        again = await enter(town, wechat.code("o-1"))
        by_phone = await town.login(PHONE)
        assert again.json()["account"] == by_phone.answer["account"] == account
        me = (await town.call("GET", "/me", caller=by_phone.caller)).json()
        assert (me["person"]["level"], me["person"]["phone_masked"]) == (1, "154****0001")
        sessions = (await town.call("GET", "/sessions", caller=by_phone.caller)).json()["items"]
        assert [(one["provider"], one["device"]) for one in sessions] == [
            ("phone", None),
            ("wechat", None),
            ("wechat", "手机"),
        ]
        logins = (await town.call("GET", "/me/logins", caller=by_phone.caller)).json()["items"]
        assert sorted(one["provider"] for one in logins) == ["phone", "wechat"]

    play(database_url, scenario, **on(wechat))


def test_wechat_with_a_phone_finds_the_resident_who_logged_in_by_phone_before(
    database_url: str, wechat: WeChatServer
) -> None:
    async def scenario(town: Town) -> None:
        known = await town.login(PHONE)
        found = await enter(town, wechat.code("o-1"), phone_code=wechat.phone_code(PHONE))
        assert found.json()["account"] == known.answer["account"]
        assert await town.value("SELECT count(*) FROM persons") == 1
        assert await town.value("SELECT count(*) FROM audit WHERE action = 'login.added'") == 1

    play(database_url, scenario, **on(wechat))


def test_a_password_is_no_way_in_that_is_listed_or_taken_away_here(database_url: str, wechat: WeChatServer) -> None:
    async def scenario(town: Town) -> None:
        mine = await town.login(PHONE)
        add = "INSERT INTO logins (account_no, provider, subject_index) VALUES ($1, 'password', 'x')"
        await town.execute(add, mine.caller.account_no)
        (only,) = (await town.call("GET", "/me/logins", caller=mine.caller)).json()["items"]
        kept = await town.value("SELECT id FROM logins WHERE provider = 'password'")
        assert (await town.call("DELETE", f"/me/logins/{kept}", caller=mine.caller)).status_code == 404
        last = await town.call("DELETE", f"/me/logins/{only['id']}", caller=mine.caller)
        assert (last.status_code, last.json()["code"]) == (409, "login_last")

    play(database_url, scenario, **on(wechat))


def test_wechat_alone_makes_nobody_and_says_what_to_do(database_url: str, wechat: WeChatServer) -> None:
    async def scenario(town: Town) -> None:
        refused = await enter(town, wechat.code("o-1"))
        assert (refused.status_code, refused.json()["code"]) == (409, "login_unknown")
        assert await town.value("SELECT count(*) FROM persons") == 0

    play(database_url, scenario, **on(wechat))


def test_a_wrong_a_used_and_a_made_up_code_are_the_same_refusal_as_a_wrong_phone_code(
    database_url: str, wechat: WeChatServer
) -> None:
    async def scenario(town: Town) -> None:
        by_phone = await town.call(
            "POST",
            "/sessions",
            {"provider": "phone", "phone": PHONE, "code": "000000"},
            **{"accept-language": "en"},
        )
        spent = wechat.code("o-1")
        phone_code = wechat.phone_code(PHONE)
        assert (await enter(town, spent, phone_code=phone_code)).status_code == 201
        for code, more in (
            (spent, {}),
            ("made-up", {}),
            ("0" * 2000, {}),
            (wechat.code("o-2"), {"phone_code": phone_code}),
            (wechat.code("o-3"), {"phone_code": "made-up"}),
        ):
            refused = await enter(town, code, **more)
            assert (refused.status_code, refused.content) == (401, by_phone.content)
        assert await town.value("SELECT count(*) FROM accounts") == 1

    play(database_url, scenario, **on(wechat))


def test_of_twenty_logins_with_one_code_one_succeeds(database_url: str, wechat: WeChatServer) -> None:
    async def scenario(town: Town) -> None:
        code, phone_code = wechat.code("o-1"), wechat.phone_code(PHONE)
        answers = await asyncio.gather(*(enter(town, code, phone_code=phone_code) for _ in range(20)))
        assert sorted(one.status_code for one in answers) == [201] + [401] * 19
        assert await town.value("SELECT count(*) FROM sessions") == 1

    play(database_url, scenario, **on(wechat))


def test_the_same_person_on_several_devices_at_once_is_one_resident(database_url: str, wechat: WeChatServer) -> None:
    async def scenario(town: Town) -> None:
        answers = await asyncio.gather(
            *(enter(town, wechat.code("o-1"), phone_code=wechat.phone_code(PHONE)) for _ in range(8))
        )
        assert {one.status_code for one in answers} <= {201, 409}, [one.text for one in answers]
        assert len({one.json()["account"]["id"] for one in answers if one.status_code == 201}) == 1
        assert await town.value("SELECT count(*) FROM persons") == 1
        assert await town.value("SELECT count(*) FROM accounts") == 1
        assert await town.value("SELECT count(*) FROM logins") == 2

    play(database_url, scenario, **on(wechat))


def test_the_token_for_phones_is_kept_and_renewed_when_another_process_has_renewed_it(
    database_url: str, wechat: WeChatServer
) -> None:
    async def scenario(town: Town) -> None:
        for number in (PHONE, OTHER):
            assert (await enter(town, wechat.code(number), phone_code=wechat.phone_code(number))).status_code == 201
        assert wechat.paths().count("/cgi-bin/token") == 1
        wechat.token = "another process's"
        assert (await enter(town, wechat.code("o-3"), phone_code=wechat.phone_code(THIRD))).status_code == 201
        assert wechat.paths().count("/cgi-bin/token") == 2

    play(database_url, scenario, **on(wechat))


def test_a_short_lived_token_is_renewed_in_time(database_url: str, wechat: WeChatServer) -> None:
    async def scenario(town: Town) -> None:
        provider = town.app.state["desk"].providers._on["wechat"]
        await enter(town, wechat.code("o-1"), phone_code=wechat.phone_code(PHONE))
        provider._token_until = time.monotonic()
        await enter(town, wechat.code("o-2"), phone_code=wechat.phone_code(OTHER))
        assert wechat.paths().count("/cgi-bin/token") == 2

    play(database_url, scenario, **on(wechat))


def test_a_foreign_phone_number_is_refused_plainly(database_url: str, wechat: WeChatServer) -> None:
    async def scenario(town: Town) -> None:
        refused = await enter(town, wechat.code("o-1"), phone_code=wechat.phone_code("5551234567", "1"))
        assert (refused.status_code, refused.json()["code"]) == (422, "phone_malformed")
        assert "5551234567" not in refused.text

    play(database_url, scenario, **on(wechat))


@pytest.mark.parametrize("mood", BAD_MOODS)
def test_whatever_wechat_does_phones_log_in_and_the_refusal_names_the_other_way(
    database_url: str, wechat: WeChatServer, mood: str
) -> None:
    async def scenario(town: Town) -> None:
        wechat.mood = BAD_MOODS[mood]
        began = time.monotonic()
        down, _ = await asyncio.gather(enter(town, wechat.code("o-1")), town.login(PHONE))
        assert time.monotonic() - began < TOO_LONG / 2
        told = down.json()
        slow = mood in ("sleeps", "drips")
        assert (down.status_code, told["code"]) == ((504, "provider_slow") if slow else (503, "provider_down"))
        assert (told["provider"], told["other_ways"]) == ("wechat", ["phone"])
        assert told["detail"].startswith("WeChat ")
        assert down.headers["retry-after"] == "5"
        wechat.mood = None
        assert (await enter(town, wechat.code("o-1"), phone_code=wechat.phone_code(PHONE))).status_code == 201

    play(database_url, scenario, **on(wechat, provider_seconds=0.5))


def test_no_server_at_all_is_an_answer_too(database_url: str) -> None:
    async def scenario(town: Town) -> None:
        refused = await enter(town, "code")
        assert (refused.status_code, refused.json()["code"]) == (503, "provider_down")

    play(database_url, scenario, wechat_appid="a", wechat_secret="b", wechat_url="http://127.0.0.1:1")


@pytest.mark.parametrize(
    ("errcode", "status", "code"),
    [(-1, 503, "provider_down"), (40013, 503, "provider_down"), (45011, 429, "too_many"), (40226, 403, "not_allowed")],
)
def test_what_wechat_refuses_is_told_as_what_it_is(
    database_url: str, wechat: WeChatServer, errcode: int, status: int, code: str
) -> None:
    async def scenario(town: Town) -> None:
        wechat.mood = says(200, {"errcode": errcode, "errmsg": "some words, rid: 1"})
        refused = await enter(town, "code")
        assert (refused.status_code, refused.json()["code"]) == (status, code)

    play(database_url, scenario, **on(wechat))


def test_a_wrong_secret_is_our_fault_and_not_the_callers(database_url: str, wechat: WeChatServer) -> None:
    async def scenario(town: Town) -> None:
        assert (await enter(town, wechat.code("o-1"))).json()["code"] == "provider_down"

    play(database_url, scenario, **on(wechat, wechat_secret="another"))


def test_neither_secrets_nor_codes_nor_session_keys_are_written_down(
    database_url: str, wechat: WeChatServer, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    async def scenario(town: Town) -> None:
        code, phone_code = wechat.code("openid-of-somebody"), wechat.phone_code(PHONE)
        answers = [await enter(town, code, phone_code=phone_code), await enter(town, code)]
        for name in ("sleeps", "half JSON", "wrong types"):
            wechat.mood = BAD_MOODS[name]
            answers.append(await enter(town, code))
        tables = ("logins", "sessions", "accounts", "persons", "audit", "notices", "used_proofs")
        rows = [await town.value(f"SELECT string_agg(t::text, '|') FROM {one} t") or "" for one in tables]
        seen = caplog.text + "".join(capfd.readouterr()) + "".join(one.text for one in answers) + "".join(rows)
        for secret in (wechat.SECRET, wechat.SESSION_KEY, wechat.token, code, phone_code, "openid-of-somebody", PHONE):
            assert secret not in seen
            assert secret.encode().hex() not in seen

    with caplog.at_level(logging.DEBUG, logger="httpx"):
        caplog.set_level(logging.INFO)
        logging.getLogger("httpx").setLevel(logging.WARNING)
        play(database_url, scenario, **on(wechat, provider_seconds=0.3))


def test_everybody_learns_which_ways_there_are(database_url: str, wechat: WeChatServer) -> None:
    async def scenario(town: Town) -> None:
        listed = (await town.call("GET", "/providers", **{"accept-language": "en"})).json()["items"]
        told = {one["provider"]: one for one in listed}
        assert (told["phone"]["on"], told["wechat"]["on"]) == (True, True)
        assert (told["wechat"]["title"], told["wechat"]["facts"]) == ("WeChat", {"client_id": wechat.APPID})
        assert told["phone"]["note"].startswith("A text message can be read by")
        assert told["wechat"]["note"] is None
        listed = (await town.call("GET", "/providers", **{"accept-language": "zh"})).json()["items"]
        assert "短信" in listed[0]["note"]
        assert wechat.SECRET not in str(listed)

    play(database_url, scenario, **on(wechat))


def test_a_provider_without_its_secret_is_off(database_url: str) -> None:
    async def scenario(town: Town) -> None:
        listed = (await town.call("GET", "/providers")).json()["items"]
        assert {one["provider"]: one["on"] for one in listed}["wechat"] is False
        refused = await enter(town, "code")
        assert (refused.status_code, refused.json()["code"]) == (409, "provider_off")
        assert refused.json()["other_ways"] == ["phone"]

    play(database_url, scenario, wechat_appid="wx")


def test_what_belongs_to_another_way_is_refused_before_anybody_is_asked(
    database_url: str, wechat: WeChatServer
) -> None:
    async def scenario(town: Town) -> None:
        for body, pointer in (
            ({"provider": "phone", "code": "000000"}, "/phone"),
            ({"provider": "wechat", "code": "x", "phone": PHONE}, "/phone"),
            ({"provider": "phone", "phone": PHONE, "code": "1", "phone_code": "x"}, "/phone_code"),
            ({"provider": "oidc", "code": "x", "verifier": "v" * 43, "redirect_uri": "http://a"}, "/nonce"),
            ({"provider": "qq", "code": "x"}, "/provider"),
            ({"provider": "wechat", "code": ""}, "/code"),
            ({"provider": "wechat", "code": "x" * 2001}, "/code"),
            ({"provider": "wechat", "code": "x", "openid": "o-1"}, "/openid"),
            ({"provider": "wechat", "code": "a\x00b"}, None),
        ):
            refused = await town.call("POST", "/sessions", body)
            if pointer is None:  # whatever a code looks like, WeChat says whether it is one
                assert refused.status_code in (401, 422)
            else:
                assert refused.status_code == 422
                assert refused.json()["errors"][0]["pointer"] == pointer
        assert [one for one in wechat.heard if "openid" in str(one.query)] == []

    play(database_url, scenario, **on(wechat))


def test_tries_at_outside_codes_count_with_all_others_of_an_address(database_url: str, wechat: WeChatServer) -> None:
    async def scenario(town: Town) -> None:
        answers = [await enter(town, f"guess-{n}") for n in range(151)]
        assert {one.status_code for one in answers[:150]} == {401}
        assert (answers[150].status_code, answers[150].json()["code"]) == (429, "too_many")
        wrong = {"provider": "phone", "phone": PHONE, "code": "000000"}
        assert (await town.call("POST", "/sessions", wrong)).status_code == 429

    play(database_url, scenario, demo=False, **on(wechat))


def test_a_way_in_is_added_listed_and_taken_away_but_never_the_last(database_url: str, wechat: WeChatServer) -> None:
    async def scenario(town: Town) -> None:
        mine = await town.login(PHONE)
        body = {"provider": "wechat", "code": wechat.code("o-1")}
        added = await town.call("POST", "/me/logins", body, mine.caller)
        assert (added.status_code, added.json()["provider"]) == (201, "wechat")
        again = await town.call("POST", "/me/logins", body | {"code": wechat.code("o-1")}, mine.caller)
        assert (again.status_code, again.json()) == (201, added.json())
        stolen = (await enter(town, wechat.code("o-1"))).json()
        assert stolen["account"] == mine.answer["account"]

        gone = await town.call("DELETE", f"/me/logins/{added.json()['id']}", caller=mine.caller)
        assert gone.status_code == 204
        assert (await town.refresh(stolen["refresh_token"])).status_code == 401
        assert (await town.refresh(mine.refresh)).status_code == 200
        assert (await enter(town, wechat.code("o-1"))).json()["code"] == "login_unknown"
        (left,) = (await town.call("GET", "/me/logins", caller=mine.caller)).json()["items"]
        last = await town.call("DELETE", f"/me/logins/{left['id']}", caller=mine.caller)
        assert (last.status_code, last.json()["code"]) == (409, "login_last")
        deeds = (
            "SELECT array_agg(action || ' ' || (data->>'provider') ORDER BY no) FROM audit WHERE action LIKE 'login%'"
        )
        assert await town.value(deeds) == ["login.added wechat", "login.removed wechat"]
        told = "SELECT array_agg(holders::text || (data->>'what') ORDER BY no) FROM notices WHERE type = 'identity.login.changed'"
        assert await town.value(told) == [f"{{{mine.caller.holder_no}}}{what}" for what in ("added", "removed")]

    play(database_url, scenario, **on(wechat))


def test_two_ways_taken_away_at_once_leave_one(database_url: str, wechat: WeChatServer) -> None:
    async def scenario(town: Town) -> None:
        for n in range(5):
            mine = await town.login(f"1540000001{n}")
            body = {"provider": "wechat", "code": wechat.code(f"o-{n}")}
            await town.call("POST", "/me/logins", body, mine.caller)
            items = (await town.call("GET", "/me/logins", caller=mine.caller)).json()["items"]
            gone = await asyncio.gather(
                *(town.call("DELETE", f"/me/logins/{one['id']}", caller=mine.caller) for one in items)
            )
            assert sorted(one.status_code for one in gone) == [204, 409]

    play(database_url, scenario, **on(wechat))


def test_somebody_elses_login_is_neither_added_nor_taken_away(database_url: str, wechat: WeChatServer) -> None:
    async def scenario(town: Town) -> None:
        mine, theirs = await town.login(PHONE), await town.login(OTHER)
        body = {"provider": "wechat", "code": wechat.code("o-1")}
        added = (await town.call("POST", "/me/logins", body, theirs.caller)).json()
        taken = await town.call("POST", "/me/logins", body | {"code": wechat.code("o-1")}, mine.caller)
        assert (taken.status_code, taken.json()["code"]) == (409, "login_taken")
        by_phone = {"provider": "phone", "phone": OTHER, "code": await town.code(OTHER)}
        assert (await town.call("POST", "/me/logins", by_phone, mine.caller)).json()["code"] == "login_taken"
        for login_id in (added["id"], uuid.uuid4()):
            gone = await town.call("DELETE", f"/me/logins/{login_id}", caller=mine.caller)
            assert (gone.status_code, gone.json()["code"]) == (404, "not_there")
        for method, path in (("GET", "/me/logins"), ("POST", "/me/logins"), ("DELETE", f"/me/logins/{added['id']}")):
            asked = {"provider": "wechat", "code": "x"} if method == "POST" else None
            assert (await town.call(method, path, asked)).status_code == 401

    play(database_url, scenario, **on(wechat))


def test_of_two_accounts_that_add_one_login_at_once_one_gets_it(database_url: str, wechat: WeChatServer) -> None:
    async def scenario(town: Town) -> None:
        several = [await town.login(f"1540000002{n}") for n in range(4)]
        answers = await asyncio.gather(
            *(
                town.call("POST", "/me/logins", {"provider": "wechat", "code": wechat.code("o-1")}, one.caller)
                for one in several
            )
        )
        assert sorted(one.status_code for one in answers) == [201, 409, 409, 409], [one.text for one in answers]

    play(database_url, scenario, **on(wechat))


def test_a_phone_is_added_by_its_code_and_a_wrong_code_is_counted(database_url: str) -> None:
    async def scenario(town: Town) -> None:
        mine = await town.login(PHONE)
        code = await town.code(OTHER)
        wrong = {"provider": "phone", "phone": OTHER, "code": f"{(int(code) + 1) % 1_000_000:06d}"}
        assert (await town.call("POST", "/me/logins", wrong, mine.caller)).json()["code"] == "code_wrong"
        assert await town.value("SELECT tries FROM login_codes") == 1
        assert (await town.call("POST", "/me/logins", wrong | {"code": code}, mine.caller)).status_code == 201
        assert (await town.login(OTHER)).answer["account"] == mine.answer["account"]
        me = (await town.call("GET", "/me", caller=mine.caller)).json()
        assert me["person"]["phone_masked"] == "154****0001"

    play(database_url, scenario)


def test_slowness_of_one_provider_holds_nobody_else_up(database_url: str, wechat: WeChatServer) -> None:
    async def scenario(town: Town) -> None:
        wechat.mood = BAD_MOODS["sleeps"]
        waiting = [asyncio.create_task(enter(town, f"code-{n}")) for n in range(90)]
        await asyncio.wait(waiting, timeout=0.2)
        for n in range(3):
            await town.login(f"1540000003{n}")
        assert not any(one.done() for one in waiting), "they wait still"
        for one in waiting:
            one.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)

    play(database_url, scenario, **on(wechat, provider_seconds=10, upstream_seconds=14))
