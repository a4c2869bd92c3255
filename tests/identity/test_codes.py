"""Login codes: five minutes, five tries, growing pauses, and no word about who is known."""

from __future__ import annotations

import asyncio
import json

from services.identity import codes
from shared import assertion
from tests.identity.town import ANYONE, Town, play

PHONE, OTHER = "15400000001", "15400000002"


def login(phone: str, code: str) -> dict[str, str]:
    return {"provider": "phone", "phone": phone, "code": code}


def wrong(code: str) -> str:
    return f"{(int(code) + 1) % 1_000_000:06d}"


def test_a_code_logs_in_once(database_url: str) -> None:
    async def scenario(town: Town) -> None:
        code = await town.code(PHONE)
        first = await town.call("POST", "/sessions", login("+86 154-0000-0001", code))
        again = await town.call("POST", "/sessions", login(PHONE, code))
        assert (first.status_code, again.status_code, again.json()["code"]) == (201, 401, "code_wrong")
        assert first.json()["token_type"] == "Bearer"
        assert first.json()["account"]["person"]["name"] == "新居民"
        assert first.headers["cache-control"] == "no-store"

    play(database_url, scenario)


def test_of_many_logins_with_one_code_one_succeeds(database_url: str) -> None:
    async def scenario(town: Town) -> None:
        code = await town.code(PHONE)
        answers = await asyncio.gather(*(town.call("POST", "/sessions", login(PHONE, code)) for _ in range(12)))
        assert sorted(one.status_code for one in answers) == [201] + [401] * 11
        assert await town.value("SELECT count(*) FROM persons") == 1

    play(database_url, scenario)


def test_five_wrong_tries_spend_the_code_and_are_counted_though_refused(database_url: str) -> None:
    async def scenario(town: Town) -> None:
        code = await town.code(PHONE)
        for tries in range(1, 6):
            refused = await town.call("POST", "/sessions", login(PHONE, wrong(code)))
            assert refused.json()["code"] == "code_wrong"
            assert await town.value("SELECT tries FROM login_codes") == tries
        right = await town.call("POST", "/sessions", login(PHONE, code))
        assert (right.status_code, right.json()["code"]) == (401, "code_wrong")
        await town.login(PHONE)

    play(database_url, scenario)


def test_guesses_sent_all_at_once_get_no_more_than_five_tries(database_url: str) -> None:
    async def scenario(town: Town) -> None:
        code = await town.code(PHONE)
        guesses = [wrong(code)] * 40
        answers = await asyncio.gather(*(town.call("POST", "/sessions", login(PHONE, one)) for one in guesses))
        assert {one.status_code for one in answers} == {401}
        assert await town.value("SELECT tries FROM login_codes") == codes.TRIES
        assert (await town.call("POST", "/sessions", login(PHONE, code))).status_code == 401

    play(database_url, scenario)


def test_an_expired_code_and_no_code_are_the_same_refusal(database_url: str) -> None:
    async def scenario(town: Town) -> None:
        code = await town.code(PHONE)
        await town.execute("UPDATE login_codes SET expires_at = now() - interval '1 second'")
        late = await town.call("POST", "/sessions", login(PHONE, code))
        none = await town.call("POST", "/sessions", login(OTHER, code))
        assert (late.status_code, late.content) == (none.status_code, none.content)

    play(database_url, scenario)


def test_another_phones_code_does_not_log_in(database_url: str) -> None:
    async def scenario(town: Town) -> None:
        code = await town.code(PHONE)
        await town.code(OTHER)
        await town.execute("UPDATE login_codes SET code_hash = (SELECT code_hash FROM login_codes LIMIT 1)")
        answers = [await town.call("POST", "/sessions", login(phone, code)) for phone in (OTHER, PHONE)]
        assert 201 in {one.status_code for one in answers}
        assert 401 in {one.status_code for one in answers}

    play(database_url, scenario)


def test_the_answer_does_not_tell_whether_a_phone_is_known(database_url: str) -> None:
    async def scenario(town: Town) -> None:
        await town.login(PHONE)
        known = await town.call("POST", "/codes", {"phone": PHONE})
        unknown = await town.call("POST", "/codes", {"phone": OTHER})
        assert (known.status_code, known.content, known.headers) == (202, unknown.content, unknown.headers)
        assert known.json() == {"expires_in": 300, "resend_in": 60}
        for phone in (PHONE, OTHER):
            refused = await town.call("POST", "/sessions", login(phone, wrong(town.sent.codes[-1])))
            assert refused.json()["code"] == "code_wrong"

    play(database_url, scenario, demo=False)


def test_the_pause_grows_and_is_told(database_url: str) -> None:
    async def scenario(town: Town) -> None:
        for pause in (60, 120, 300, 600, 1800, 1800):
            sent = await town.call("POST", "/codes", {"phone": PHONE})
            assert (sent.status_code, sent.json()["resend_in"]) == (202, pause)
            early = await town.call("POST", "/codes", {"phone": PHONE})
            assert early.status_code == 429
            assert pause - 5 <= int(early.headers["retry-after"]) <= pause
            assert early.json()["retry_after"] == int(early.headers["retry-after"])
            await town.execute("UPDATE login_codes SET sent_at = sent_at - make_interval(secs => $1)", float(pause))
        await town.execute("UPDATE login_codes SET first_sent_at = first_sent_at - interval '1 day'")
        assert (await town.call("POST", "/codes", {"phone": PHONE})).json()["resend_in"] == 60
        assert len(town.sent.codes) == 7

    play(database_url, scenario, demo=False)


def test_asking_for_many_codes_at_once_sends_one(database_url: str) -> None:
    async def scenario(town: Town) -> None:
        answers = await asyncio.gather(*(town.call("POST", "/codes", {"phone": PHONE}) for _ in range(10)))
        assert sorted(one.status_code for one in answers) == [202] + [429] * 9
        assert len(town.sent.codes) == 1

    play(database_url, scenario, demo=False)


def test_a_demo_sends_ten_codes_without_a_pause(database_url: str) -> None:
    async def scenario(town: Town) -> None:
        for _ in range(10):
            await town.code(PHONE)
        assert (await town.call("POST", "/codes", {"phone": PHONE})).status_code == 429

    play(database_url, scenario)


def test_a_new_code_voids_the_one_before(database_url: str) -> None:
    async def scenario(town: Town) -> None:
        first, second = await town.code(PHONE), await town.code(PHONE)
        if first != second:
            assert (await town.call("POST", "/sessions", login(PHONE, first))).status_code == 401
        assert (await town.call("POST", "/sessions", login(PHONE, second))).status_code == 201

    play(database_url, scenario)


def test_one_address_gets_thirty_codes_an_hour(database_url: str) -> None:
    async def scenario(town: Town) -> None:
        # The whole of an IPv6 network counts as one.
        askers = [ANYONE._replace(address=f"2001:db8::{n:x}") for n in range(1, 32)]
        answers = [
            await town.call("POST", "/codes", {"phone": f"154000001{n:02d}"}, one) for n, one in enumerate(askers)
        ]
        assert [one.status_code for one in answers] == [202] * 30 + [429]
        assert answers[-1].json()["code"] == "too_many"
        elsewhere = await town.call("POST", "/codes", {"phone": PHONE}, ANYONE._replace(address="2001:db8:1::1"))
        assert elsewhere.status_code == 202

    play(database_url, scenario, demo=False)


def test_one_address_gets_so_many_tries_whoever_the_phones_belong_to(database_url: str) -> None:
    async def scenario(town: Town) -> None:
        await town.login(PHONE)
        phones = [phone for n in range(75) for phone in (PHONE, f"1540000{n:04d}")]
        answers = [await town.call("POST", "/sessions", login(phone, "000000")) for phone in phones]
        assert {one.content for one in answers[:149]} == {answers[0].content}
        assert answers[0].json()["code"] == "code_wrong"
        assert (answers[149].status_code, answers[149].json()["code"]) == (429, "too_many")
        elsewhere = await town.call("POST", "/sessions", login(PHONE, "000000"), ANYONE._replace(address="192.0.2.9"))
        assert elsewhere.content == answers[0].content

    play(database_url, scenario, demo=False)


def test_what_is_no_phone_is_refused_and_not_repeated(database_url: str) -> None:
    async def scenario(town: Town) -> None:
        for phone in ("123", "1" * 70, "15400000001\x00", "", "打电话来", "12345678901"):
            for path, body in (("/codes", {"phone": phone}), ("/sessions", login(phone, "000000"))):
                refused = await town.call("POST", path, body)
                assert refused.status_code == 422
                assert refused.json()["errors"][0]["pointer"] == "/phone"
                assert not phone or phone not in refused.text

    play(database_url, scenario)


def test_text_that_cannot_be_stored_is_refused(database_url: str) -> None:
    async def scenario(town: Town) -> None:
        for name in ("phone", "code", "device"):
            told = json.dumps(login(PHONE, "000000") | {name: "\ud800"}).encode()
            signed = assertion.sign(ANYONE, audience="identity", key=town.keys.assertion)
            headers = {assertion.HEADER: signed, "Content-Type": "application/json"}
            refused = await town.http.post("/v1/identity/sessions", content=told, headers=headers)
            assert refused.status_code in (400, 422)

    play(database_url, scenario)


def test_a_landline_may_log_in(database_url: str) -> None:
    async def scenario(town: Town) -> None:
        elder = await town.login("0573-90123456")
        me = await town.call("GET", "/me", caller=elder.caller)
        assert me.json()["person"]["phone_masked"] == "0573****3456"

    play(database_url, scenario)


def test_only_the_gateway_is_believed(database_url: str) -> None:
    async def scenario(town: Town) -> None:
        for path in ("/codes", "/sessions", "/sessions/refresh", "/me/real-name", "/me/family"):
            refused = await town.http.post(f"/v1/identity{path}", json={})
            assert (refused.status_code, refused.json()["code"]) == (403, "assertion_missing")

    play(database_url, scenario)
