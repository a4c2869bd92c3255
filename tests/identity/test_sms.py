"""Codes by SMS: a server that speaks Aliyun's `SendSms` and checks signatures by its documents, on good and bad days."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import logging
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from services.identity.providers import aliyun
from tests.identity.elsewhere import BAD_MOODS, Answer, Elsewhere, Heard, says, sleeps
from tests.identity.town import Town, play

PHONE, LANDLINE = "15400000001", "0573-90123456"
ENGLISH = {"accept-language": "en"}
_AUTHORIZATION = re.compile(r"ACS3-HMAC-SHA256 Credential=([^,]+),SignedHeaders=([^,]+),Signature=([0-9a-f]{64})")


def signature(secret: str, method: str, query: Mapping[str, str], headers: Mapping[str, str], body: bytes) -> str:
    """Signature V3 of an RPC call, step by step as the documents have it."""
    pairs = sorted((quote(name, safe="-_.~"), quote(value, safe="-_.~")) for name, value in query.items())
    names = sorted(name for name in headers if name.startswith("x-acs-") or name in ("host", "content-type"))
    request = [method, "/", "&".join(f"{name}={value}" for name, value in pairs)]
    request += [*(f"{name}:{headers[name].strip()}" for name in names), "", ";".join(names)]
    request.append(hashlib.sha256(body).hexdigest())
    digest = hashlib.sha256("\n".join(request).encode()).hexdigest()
    return hmac.new(secret.encode(), f"ACS3-HMAC-SHA256\n{digest}".encode(), hashlib.sha256).hexdigest()


class AliyunServer(Elsewhere):
    """dysmsapi.aliyuncs.com: it believes what is signed, fresh and new, and knows one signature and one template."""

    KEY_ID, SECRET, SIGN_NAME, TEMPLATE = "LTAI-of-the-town", "s3cret-of-the-town", "林里社区 (测试)*~", "SMS_154950909"

    def __init__(self) -> None:
        super().__init__()
        self.sent: list[tuple[str, str]] = []
        self.nonces: set[str] = set()

    def settings(self, **more: Any) -> dict[str, Any]:
        return {
            "demo": False,
            "sends": False,
            "aliyun_key_id": self.KEY_ID,
            "aliyun_key_secret": self.SECRET,
            "aliyun_sign_name": self.SIGN_NAME,
            "aliyun_template": self.TEMPLATE,
            "aliyun_url": self.url,
        } | more

    def well(self, heard: Heard) -> Answer:
        told = heard.headers
        match = _AUTHORIZATION.fullmatch(told.get("authorization", ""))
        if match is None or match[1] != self.KEY_ID:
            return 404, {"Code": "InvalidAccessKeyId.NotFound", "Message": "Specified access key is not found."}
        must = {"host", "x-acs-action", "x-acs-content-sha256", "x-acs-date", "x-acs-signature-nonce", "x-acs-version"}
        good = signature(self.SECRET, heard.method, heard.query, told, heard.body)
        if not must <= {*match[2].split(";")} or match[3] != good:
            return 400, {"Code": "SignatureDoesNotMatch", "Message": "Specified signature is not matched."}
        at = datetime.strptime(told["x-acs-date"], "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
        if abs(datetime.now(UTC) - at) > timedelta(minutes=15):
            return 400, {"Code": "InvalidTimeStamp.Expired", "Message": "Specified time stamp is expired."}
        if told["x-acs-signature-nonce"] in self.nonces:
            return 400, {"Code": "SignatureNonceUsed", "Message": "Specified signature nonce was used already."}
        self.nonces.add(told["x-acs-signature-nonce"])
        if (told["x-acs-action"], told["x-acs-version"], heard.path) != ("SendSms", "2017-05-25", "/"):
            return 404, {"Code": "InvalidAction.NotFound", "Message": "Specified api is not found."}
        if heard.query["SignName"] != self.SIGN_NAME or heard.query["TemplateCode"] != self.TEMPLATE:
            return 200, {"Code": "isv.SMS_TEMPLATE_ILLEGAL", "Message": "模板不合法", "RequestId": "1"}
        self.sent.append((heard.query["PhoneNumbers"], json.loads(heard.query["TemplateParam"])["code"]))
        return 200, {"Code": "OK", "Message": "OK", "BizId": "9006197469364984^0", "RequestId": "F655A8D5"}


@pytest.fixture
def sms() -> Iterator[AliyunServer]:
    with AliyunServer() as server:
        yield server


async def ask(town: Town, phone: str = PHONE) -> httpx.Response:
    return await town.call("POST", "/codes", {"phone": phone}, **ENGLISH)


async def ways(town: Town) -> dict[str, bool]:
    return {one["provider"]: one["on"] for one in (await town.call("GET", "/providers")).json()["items"]}


async def later(town: Town, seconds: float) -> None:
    await town.execute("UPDATE login_codes SET sent_at = sent_at - make_interval(secs => $1)", seconds)


def test_the_published_example_is_signed_as_published() -> None:
    query = {"ImageId": "win2019_1809_x64_dtc_zh-cn_40G_alibase_20230811.vhd", "RegionId": "cn-shanghai"}
    headers = {
        "host": "ecs.cn-shanghai.aliyuncs.com",
        "x-acs-action": "RunInstances",
        "x-acs-content-sha256": hashlib.sha256(b"").hexdigest(),
        "x-acs-date": "2023-10-26T10:22:32Z",
        "x-acs-signature-nonce": "3156853299f313e23d1673dc12e1703d",
        "x-acs-version": "2014-05-26",
    }
    published = "06563a9e1b43f5dfe96b81484da74bceab24a1d853912eee15083a6f0f3283c0"
    text = "&".join(f"{name}={value}" for name, value in query.items())
    signed = aliyun.authorization("YourAccessKeyId", b"YourAccessKeySecret", text, headers)
    assert signed == (
        "ACS3-HMAC-SHA256 Credential=YourAccessKeyId,SignedHeaders=host;x-acs-action;x-acs-content-sha256;x-acs-date;"
        f"x-acs-signature-nonce;x-acs-version,Signature={published}"
    )
    assert signature("YourAccessKeySecret", "POST", query, headers, b"") == published


def test_a_code_comes_by_sms_and_logs_in(database_url: str, sms: AliyunServer) -> None:
    async def scenario(town: Town) -> None:
        assert (await ways(town))["phone"] is True
        answer = await ask(town, "+86 154-0000-0001")
        assert (answer.status_code, answer.json()) == (202, {"expires_in": 300, "resend_in": 60})
        ((phone, code),) = sms.sent
        assert phone == PHONE
        entered = await town.call("POST", "/sessions", {"provider": "phone", "phone": PHONE, "code": code})
        assert entered.status_code == 201, entered.text
        assert (await ask(town)).status_code == 202
        first, second = (one.headers["x-acs-signature-nonce"] for one in sms.heard)
        assert first != second

    play(database_url, scenario, **sms.settings())


def test_what_is_unsigned_changed_or_sent_twice_sends_nothing(database_url: str, sms: AliyunServer) -> None:
    async def scenario(town: Town) -> None:
        assert (await ask(town)).status_code == 202
        (heard,) = sms.heard
        names = ("authorization", *(name for name in heard.headers if name.startswith("x-acs-")))
        good = {name: heard.headers[name] for name in names}
        for query, headers, refusal in (
            ({}, {}, "SignatureNonceUsed"),
            ({}, {"authorization": ""}, "InvalidAccessKeyId.NotFound"),
            ({"PhoneNumbers": "15400000002"}, {}, "SignatureDoesNotMatch"),
            ({}, {"x-acs-signature-nonce": "another"}, "SignatureDoesNotMatch"),
            ({}, {"x-acs-date": "2023-10-26T10:22:32Z"}, "SignatureDoesNotMatch"),
        ):
            async with httpx.AsyncClient() as http:
                answer = await http.post(sms.url, params=heard.query | query, headers=good | headers)
            assert answer.json()["Code"] == refusal
        assert len(sms.sent) == 1

    play(database_url, scenario, **sms.settings())


@pytest.mark.parametrize("wrong", ["aliyun_key_id", "aliyun_key_secret", "aliyun_sign_name", "aliyun_template"])
def test_a_wrong_setting_is_our_fault_and_sends_nothing(database_url: str, sms: AliyunServer, wrong: str) -> None:
    async def scenario(town: Town) -> None:
        assert (await ask(town)).json()["code"] == "provider_down"
        assert (len(sms.heard), sms.sent) == (1, [])

    play(database_url, scenario, **sms.settings(**{wrong: "another"}))


def test_whatever_the_service_does_the_person_may_ask_again_and_hears_of_other_ways(
    database_url: str, sms: AliyunServer
) -> None:
    async def scenario(town: Town) -> None:
        for mood, act in BAD_MOODS.items():
            sms.mood = act
            refused = await ask(town)
            told = refused.json()
            expected = (504, "provider_slow") if mood in ("sleeps", "drips") else (503, "provider_down")
            assert (refused.status_code, told["code"]) == expected, mood
            assert (told["provider"], told["other_ways"], refused.headers["retry-after"]) == ("phone", ["wechat"], "5")
            assert told["detail"].startswith("The SMS service ")
            assert await town.value("SELECT count(*) FROM login_codes") == 0
        sms.mood = None
        assert (await ask(town)).status_code == 202

    play(database_url, scenario, **sms.settings(provider_seconds=0.5, wechat_appid="wx", wechat_secret="s"))


def test_a_send_that_failed_neither_counts_nor_shortens_the_pause(database_url: str, sms: AliyunServer) -> None:
    async def scenario(town: Town) -> None:
        assert (await ask(town)).json()["resend_in"] == 60
        await later(town, 60)
        sms.mood = says(500, {})
        for _ in range(3):
            assert (await ask(town)).json()["code"] == "provider_down"
        for heard in sms.heard:
            body = {"provider": "phone", "phone": PHONE, "code": json.loads(heard.query["TemplateParam"])["code"]}
            assert (await town.call("POST", "/sessions", body)).json()["code"] == "code_wrong"
        sms.mood = None
        assert (await ask(town)).json()["resend_in"] == 120
        assert (await ask(town)).status_code == 429
        await later(town, 120)
        assert (await ask(town)).json()["resend_in"] == 300

    play(database_url, scenario, **sms.settings())


def test_a_newer_code_outlives_the_failure_of_an_older_send(database_url: str, sms: AliyunServer) -> None:
    async def scenario(town: Town) -> None:
        heard, loop = asyncio.Event(), asyncio.get_running_loop()

        def hears_and_sleeps(handler: BaseHTTPRequestHandler, told: Heard) -> Answer:
            loop.call_soon_threadsafe(heard.set)
            return sleeps(handler, told)

        sms.mood = hears_and_sleeps
        failing = asyncio.create_task(ask(town))
        await asyncio.wait_for(heard.wait(), 10)
        await town.execute("UPDATE login_codes SET code_hash = 'newer'")
        assert (await failing).json()["code"] == "provider_slow"
        assert await town.value("SELECT code_hash FROM login_codes WHERE expires_at > now()") == b"newer"

    play(database_url, scenario, **sms.settings(provider_seconds=1))


def test_what_the_service_refuses_is_told_as_what_it_is(database_url: str, sms: AliyunServer) -> None:
    async def scenario(town: Town) -> None:
        for refusal, status, code, rest in (
            ("isv.BUSINESS_LIMIT_CONTROL", 503, "provider_down", "600"),
            ("isv.DAY_LIMIT_CONTROL", 503, "provider_down", "5"),
            ("isv.OUT_OF_SERVICE", 503, "provider_down", "5"),
            ("isv.MOBILE_NUMBER_ILLEGAL", 422, "phone_malformed", None),
        ):
            sms.mood = says(200, {"Code": refusal, "Message": "some words", "RequestId": "1"})
            refused = await ask(town)
            assert (refused.status_code, refused.json()["code"], refused.headers.get("retry-after")) == (
                (status, code, rest)
            ), refusal
            assert "some words" not in refused.text
        assert await town.value("SELECT count(*) FROM login_codes") == 0

    play(database_url, scenario, **sms.settings())


def test_a_landline_is_told_that_no_sms_reaches_it(database_url: str, sms: AliyunServer) -> None:
    async def scenario(town: Town) -> None:
        refused = await ask(town, LANDLINE)
        assert (refused.status_code, refused.json()["errors"]) == (
            422,
            [{"in": "body", "pointer": "/phone", "code": "landline"}],
        )
        assert "landline" in refused.json()["detail"]
        assert (sms.heard, await town.value("SELECT count(*) FROM login_codes")) == ([], 0)

    play(database_url, scenario, **sms.settings())


@pytest.mark.parametrize("missing", ["aliyun_key_id", "aliyun_key_secret", "aliyun_sign_name", "aliyun_template"])
def test_without_one_of_its_settings_it_is_off_and_says_so(database_url: str, sms: AliyunServer, missing: str) -> None:
    async def scenario(town: Town) -> None:
        on = await ways(town)
        assert (on["phone"], on["wechat"]) == (False, True)
        for _ in range(2):
            refused = await ask(town)
            told = refused.json()
            assert (refused.status_code, told["code"], told["other_ways"]) == (409, "provider_off", ["wechat"])
            assert told["detail"] == "No SMS service is set up here; log in another way."
        other = (await town.call("POST", "/sessions", {"provider": "wechat", "code": "c"})).json()
        assert (other["code"], other["other_ways"]) == ("provider_down", [])
        assert (sms.heard, await town.value("SELECT count(*) FROM login_codes")) == ([], 0)

    more = {missing: None, "wechat_appid": "wx", "wechat_secret": "s", "wechat_url": "http://127.0.0.1:1"}
    play(database_url, scenario, **sms.settings(**more))


def test_a_demo_sends_nothing_and_shows_the_code(database_url: str, sms: AliyunServer) -> None:
    async def scenario(town: Town) -> None:
        assert (await ways(town))["phone"] is True
        await town.login(PHONE)
        await town.login(LANDLINE)
        assert sms.heard == []

    play(database_url, scenario, **sms.settings(demo=True))


def test_neither_code_nor_secret_nor_number_is_written_down(
    database_url: str, sms: AliyunServer, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    async def scenario(town: Town) -> None:
        answers = [await ask(town)]
        codes = {sms.sent[0][1]}
        await later(town, 60)
        for mood in (*(BAD_MOODS[name] for name in ("sleeps", "wrong types")), says(400, {"Code": PHONE})):
            sms.mood = mood
            answers.append(await ask(town))
        codes |= {json.loads(one.query["TemplateParam"])["code"] for one in sms.heard}
        row = await town.value("SELECT string_agg(t::text, '|') FROM login_codes t")
        logged = caplog.text + "".join(capfd.readouterr())
        assert logged.count("provider=phone") == 3
        seen = logged + "".join(one.text for one in answers) + row
        for secret in (sms.SECRET, PHONE, *codes):
            assert secret not in re.sub(r"\d{4}-\d\d-\d\d[T ][\d:.]+|[0-9a-f]{32,}", "", seen)

    with caplog.at_level(logging.DEBUG, logger="httpx"):
        caplog.set_level(logging.INFO)
        logging.getLogger("httpx").setLevel(logging.WARNING)
        play(database_url, scenario, **sms.settings(provider_seconds=0.3))
