"""Alipay, 浙里办 and the staff's OpenID provider: what they vouch for, and what nobody can make them vouch for."""

from __future__ import annotations

import asyncio
import base64
import json
import secrets
import time
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from typing import Any

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from services.identity import sealing
from services.identity.actions import enrolment, logins, outside
from services.identity.providers import Outside, Providers
from services.identity.rules import normalise_phone
from shared import errors
from shared.crypto import KeysUnreadable
from shared.settings import Settings
from tests.identity.authorities import (
    OTHER_SIGNER,
    AlipayServer,
    OidcServer,
    ZhelibanServer,
    private_text,
    public_text,
    rsa_key,
)
from tests.identity.elsewhere import BAD_MOODS, Elsewhere
from tests.identity.test_enrolment import HOMES
from tests.identity.town import ADULT, ADULT_TOO, Town, play

PHONE, OTHER = "15400000001", "15400000002"
EMPOWER = "INSERT INTO roles (account_no, role, prefix) VALUES ($1, 'administrator', '33')"
TERMS = logins.Terms(device=None, life=timedelta(days=30), idle=timedelta(days=14), demo=False)
EN = {"accept-language": "en"}


@pytest.fixture
def alipay() -> Iterator[AlipayServer]:
    with AlipayServer() as server:
        yield server


@pytest.fixture
def zheliban() -> Iterator[ZhelibanServer]:
    with ZhelibanServer() as server:
        yield server


@pytest.fixture
def oidc() -> Iterator[OidcServer]:
    with OidcServer() as server:
        yield server


async def enter(town: Town, provider: str, code: str, **more: Any) -> httpx.Response:
    return await town.call("POST", "/sessions", {"provider": provider, "code": code} | more, **EN)


def refused(answer: httpx.Response, status: int, code: str) -> bool:
    return (answer.status_code, answer.json()["code"]) == (status, code)


# Alipay


def test_alipay_with_its_encrypted_phone_makes_a_resident_who_comes_back(
    database_url: str, alipay: AlipayServer
) -> None:
    async def scenario(town: Town) -> None:
        first = await enter(town, "alipay", alipay.code("2088-1"), phone_code=alipay.phone(PHONE))
        assert first.status_code == 201, first.text
        again = await enter(town, "alipay", alipay.code("2088-1"))
        assert again.json()["account"] == first.json()["account"] == (await town.login(PHONE)).answer["account"]
        assert refused(await enter(town, "alipay", alipay.code("2088-2")), 409, "login_unknown")

    play(database_url, scenario, **alipay.settings())


def test_an_encrypted_phone_counts_once_whoever_shows_it_again(database_url: str, alipay: AlipayServer) -> None:
    async def scenario(town: Town) -> None:
        copied = alipay.phone(PHONE)
        assert (await enter(town, "alipay", alipay.code("victim"), phone_code=copied)).status_code == 201
        thief = await enter(town, "alipay", alipay.code("thief"), phone_code=copied)
        assert refused(thief, 401, "code_wrong")
        mine = await town.login(OTHER)
        body = {"provider": "alipay", "code": alipay.code("thief"), "phone_code": copied}
        assert refused(await town.call("POST", "/me/logins", body, mine.caller), 401, "code_wrong")
        assert await town.value("SELECT count(*) FROM logins WHERE provider = 'alipay'") == 1

    play(database_url, scenario, **alipay.settings())


def test_of_several_who_show_one_encrypted_phone_at_once_one_is_believed(
    database_url: str, alipay: AlipayServer
) -> None:
    async def scenario(town: Town) -> None:
        copied = alipay.phone(PHONE)
        answers = await asyncio.gather(
            *(enter(town, "alipay", alipay.code(f"user-{n}"), phone_code=copied) for n in range(6))
        )
        assert sorted(one.status_code for one in answers) == [201] + [401] * 5, [one.text for one in answers]

    play(database_url, scenario, **alipay.settings())


def test_what_alipay_did_not_sign_or_encrypt_is_not_believed(database_url: str, alipay: AlipayServer) -> None:
    async def scenario(town: Town) -> None:
        good = json.loads(alipay.phone(PHONE))
        other = json.loads(alipay.phone(OTHER))
        for told in (
            alipay.phone(PHONE, signer=rsa_key("somebody")),
            json.dumps(good | {"response": other["response"]}),
            json.dumps(good | {"sign": ""}),
            json.dumps(good | {"sign": 7}),
            json.dumps(good | {"response": {"code": "10000", "mobile": PHONE}}),
            json.dumps({"response": good["response"]}),
            alipay.phone(PHONE, code="40001"),
            PHONE,
            "{}",
            "[]",
            "null",
            "not json",
            "[" * 1900,
        ):
            assert refused(await enter(town, "alipay", alipay.code("user"), phone_code=told), 401, "code_wrong"), told
        assert refused(
            await enter(town, "alipay", alipay.code("user"), phone_code=alipay.phone("+1 555")), 422, "phone_malformed"
        )
        alipay.signer = rsa_key("somebody")
        assert refused(
            await enter(town, "alipay", alipay.code("user"), phone_code=alipay.phone(PHONE)), 503, "provider_down"
        )
        assert await town.value("SELECT count(*) FROM accounts") == 0

    play(database_url, scenario, **alipay.settings())


def test_an_app_that_gets_open_ids_from_alipay_works_as_well(database_url: str, alipay: AlipayServer) -> None:
    async def scenario(town: Town) -> None:
        alipay.member = "open_id"
        answer = await enter(town, "alipay", alipay.code("074a1CcTG1"), phone_code=alipay.phone(PHONE))
        assert answer.status_code == 201

    play(database_url, scenario, **alipay.settings())


def test_keys_may_be_pem_and_what_is_no_key_is_told_at_the_start(alipay: AlipayServer) -> None:
    form = (serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption())
    pem = alipay.ours.private_bytes(*form).decode()
    assert Providers.of(Settings(**alipay.settings(alipay_key=pem))).facts("alipay") is not None
    for name in ("alipay_key", "alipay_public_key", "alipay_aes_key"):
        for wrong in ("secret-but-no-key", "c2VjcmV0"):
            with pytest.raises(KeysUnreadable) as told:
                Providers.of(Settings(**alipay.settings(**{name: wrong})))
            assert "LINLI_ALIPAY_KEY" in str(told.value)
            assert wrong not in str(told.value)
    short = rsa.generate_private_key(65537, 1024)
    for name, weak in (("alipay_key", private_text(short)), ("alipay_public_key", public_text(short))):
        with pytest.raises(KeysUnreadable, match="2048"):
            Providers.of(Settings(**alipay.settings(**{name: weak})))


# 浙里办


async def elder(town: Town, *, phone: str | None = None, number: str = ADULT, level: int = 2) -> Any:
    """Somebody enrolled at the desk."""

    class Resident:
        name, sex, born, document_kind, document_number = "张三", "male", date(1949, 12, 31), "resident_id", number
        household, relation, community = 1, "head", HOMES[0][0]

    Resident.phone = phone
    (made,) = await town.root.run(enrolment.enrol, town.keys, [Resident()])
    await town.execute("UPDATE persons SET level = $1 WHERE id = $2", level, made.person_id)
    return made


def test_a_ticket_of_the_authority_confirms_name_and_number(database_url: str, zheliban: ZhelibanServer) -> None:
    async def scenario(town: Town) -> None:
        answer = await enter(town, "zheliban", zheliban.ticket("u-1", ADULT, "张三", phone=PHONE))
        assert answer.status_code == 201, answer.text
        login = town.of(answer.json())
        person = (await town.call("GET", "/me", caller=login.caller)).json()["person"]
        assert (person["name"], person["level"], person["phone_masked"]) == ("张三", 3, "154****0001")
        assert person["document"] == {"kind": "resident_id", "last4": "002X"}
        assert await town.value("SELECT level FROM holders") == 3
        assert await town.value("SELECT data->>'provider' FROM audit WHERE action = 'people.confirm'") == "zheliban"
        again = await enter(town, "zheliban", zheliban.ticket("u-1", ADULT, "张三"))
        assert again.json()["account"] == answer.json()["account"]
        told = "SELECT count(*) FROM notices n JOIN audit a ON a.data->>'id' = n.subject::text WHERE n.type = $1"
        assert await town.value(told, "identity.person.confirmed") == 1
        kept = await town.value("SELECT phone_index FROM persons")
        assert kept == sealing.contact_index(town.keys, normalise_phone(PHONE)), "the desk finds them by it"
        assert ADULT not in "".join(town.answers)

    play(database_url, scenario, **zheliban.settings())


def test_below_the_checked_level_nothing_is_believed(database_url: str, zheliban: ZhelibanServer) -> None:
    async def scenario(town: Town) -> None:
        await town.login(PHONE)
        for n, level in enumerate(("1", "2", "", "高级")):
            ticket = zheliban.ticket(f"u-{n}", ADULT, "张三", level, phone=PHONE)
            assert refused(await enter(town, "zheliban", ticket), 409, "login_unknown")
        broken = zheliban.ticket("u-9", ADULT[:-1] + "0", "张三", phone=PHONE)
        assert refused(await enter(town, "zheliban", broken), 409, "login_unknown")
        assert await town.value("SELECT count(*) FROM accounts") == 1

    play(database_url, scenario, **zheliban.settings())


def test_a_phone_on_record_there_may_be_somebody_elses_by_now(database_url: str, zheliban: ZhelibanServer) -> None:
    async def scenario(town: Town) -> None:
        holder = await town.login(PHONE)
        former = await enter(town, "zheliban", zheliban.ticket("u-1", ADULT, "张三", phone=PHONE))
        assert refused(former, 409, "login_unknown")
        assert former.json()["detail"] == "Your phone is known here: log in by phone, and add this login."
        assert (await town.call("GET", "/me", caller=holder.caller)).json()["person"]["level"] == 1
        confirmed = await enter(town, "zheliban", zheliban.ticket("u-2", ADULT_TOO, "李四", phone=OTHER))
        assert confirmed.status_code == 201
        later = await town.login(OTHER)
        assert later.answer["account"]["id"] != confirmed.json()["account"]["id"]

    play(database_url, scenario, **zheliban.settings())


def test_an_account_that_was_opened_a_moment_ago_is_found_by_who_saw_none(
    database_url: str, zheliban: ZhelibanServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked: list[Any] = []
    look = outside._known_otherwise

    async def looked_before(*about: Any) -> int | None:
        looked.append(about)
        return None if len(looked) == 2 else await look(*about)  # the second ticket, just before the first is used

    async def scenario(town: Town) -> None:
        await elder(town)
        monkeypatch.setattr(outside, "_known_otherwise", looked_before)
        zheliban_1, zheliban_2 = (zheliban.ticket(one, ADULT, "张三") for one in ("u-1", "u-2"))
        first = await enter(town, "zheliban", zheliban_1)
        second = await enter(town, "zheliban", zheliban_2)
        assert (first.status_code, second.status_code) == (201, 201)
        assert first.json()["account"]["id"] == second.json()["account"]["id"]
        assert len(looked) == 3

    play(database_url, scenario, **zheliban.settings())


def test_the_authority_opens_the_account_of_an_enrolled_elder_who_had_none(
    database_url: str, zheliban: ZhelibanServer
) -> None:
    async def scenario(town: Town) -> None:
        known = await elder(town)
        assert known.account_no is None
        tickets = [zheliban.ticket("u-1", ADULT, "张三") for _ in range(4)]
        answers = await asyncio.gather(*(enter(town, "zheliban", one) for one in tickets))
        assert {one.status_code for one in answers} <= {201, 409}
        found = [town.of(one.json()).caller for one in answers if one.status_code == 201]
        assert {one.person_id for one in found} == {known.person_id}
        assert await town.value("SELECT count(*) FROM accounts") == 1
        assert await town.value("SELECT level FROM persons") == 3

    play(database_url, scenario, **zheliban.settings())


def test_an_account_that_only_said_the_number_is_not_opened_but_adds_the_authority(
    database_url: str, zheliban: ZhelibanServer
) -> None:
    async def scenario(town: Town) -> None:
        said = await town.login(PHONE)
        await town.real_name(said, ADULT)
        stranger = await enter(town, "zheliban", zheliban.ticket("u-1", ADULT, "张三", phone=OTHER))
        assert refused(stranger, 409, "login_unknown")
        assert stranger.json()["detail"].startswith("Your document is on record")
        body = {"provider": "zheliban", "code": zheliban.ticket("u-1", ADULT, "张三")}
        assert (await town.call("POST", "/me/logins", body, said.caller)).status_code == 201
        assert (await town.call("GET", "/me", caller=said.caller)).json()["person"]["level"] == 3
        later = await enter(town, "zheliban", zheliban.ticket("u-1", ADULT, "张三", phone=OTHER))
        assert later.json()["account"]["id"] == said.answer["account"]["id"]

    play(database_url, scenario, **zheliban.settings())


def test_the_accounts_own_phone_or_an_earlier_confirmation_opens_it(
    database_url: str, zheliban: ZhelibanServer
) -> None:
    async def scenario(town: Town) -> None:
        said = await town.login(PHONE)
        await town.real_name(said, ADULT)
        answer = await enter(town, "zheliban", zheliban.ticket("u-1", ADULT, "张三", phone=PHONE))
        assert answer.json()["account"]["id"] == said.answer["account"]["id"]
        confirmed = await elder(town, phone=OTHER, number=ADULT_TOO, level=3)
        answer = await enter(town, "zheliban", zheliban.ticket("u-2", ADULT_TOO, "李四"))
        assert answer.json()["account"]["id"] == str(confirmed.account_id)
        # Whom the staff confirmed under one name is not renamed.
        assert answer.json()["account"]["person"]["name"] == "张三"

    play(database_url, scenario, **zheliban.settings())


def test_two_elders_with_one_phone_are_told_apart_by_their_documents(
    database_url: str, zheliban: ZhelibanServer
) -> None:
    async def scenario(town: Town) -> None:
        first = await elder(town, phone=PHONE)
        second = await elder(town, phone=PHONE, number=ADULT_TOO)
        assert (first.account_no is None, second.account_no is None) == (False, True)
        answer = await enter(town, "zheliban", zheliban.ticket("u-2", ADULT_TOO, "张三", phone=PHONE))
        assert town.of(answer.json()).caller.person_id == second.person_id
        assert (await town.login(PHONE)).caller.person_id == first.person_id

    play(database_url, scenario, **zheliban.settings())


def test_an_authoritys_login_of_somebody_else_is_not_added(database_url: str, zheliban: ZhelibanServer) -> None:
    async def scenario(town: Town) -> None:
        mine = await town.login(PHONE)
        await elder(town, number=ADULT_TOO)
        body = {"provider": "zheliban", "code": zheliban.ticket("u-2", ADULT_TOO, "李四")}
        assert refused(await town.call("POST", "/me/logins", body, mine.caller), 409, "login_taken")
        await town.real_name(mine, ADULT)
        body = {"provider": "zheliban", "code": zheliban.ticket("u-3", "330411201506150013", "王小")}
        assert refused(await town.call("POST", "/me/logins", body, mine.caller), 409, "login_taken")
        assert await town.value("SELECT count(*) FROM logins WHERE provider = 'zheliban'") == 0

    play(database_url, scenario, **zheliban.settings())


def test_a_ticket_is_good_once_and_a_clock_that_is_off_is_our_fault(
    database_url: str, zheliban: ZhelibanServer
) -> None:
    async def scenario(town: Town) -> None:
        ticket = zheliban.ticket("u-1", ADULT, "张三")
        assert (await enter(town, "zheliban", ticket)).status_code == 201
        assert refused(await enter(town, "zheliban", ticket), 401, "code_wrong")
        assert refused(await enter(town, "zheliban", "tk_made_up"), 401, "code_wrong")
        for off, status in ((80, 201), (-80, 201), (100, 503), (-100, 503)):
            zheliban.clock_off = off
            assert (await enter(town, "zheliban", zheliban.ticket("u-1", ADULT, "张三"))).status_code == status

    play(database_url, scenario, **zheliban.settings())


# The staff's own


async def staff(town: Town, oidc: OidcServer, subject: str = "s-1", path: str = "/sessions", **changed: Any) -> Any:
    verifier, nonce = secrets.token_urlsafe(48), secrets.token_urlsafe(16)
    body = {
        "provider": "oidc",
        "code": oidc.code(subject, verifier, nonce),
        "verifier": verifier,
        "nonce": nonce,
        "redirect_uri": oidc.REDIRECT,
    } | {name: value for name, value in changed.items() if name != "caller"}
    more = {"caller": changed["caller"]} if "caller" in changed else {}
    return await town.call("POST", path, body, **more, **EN)


async def linked(town: Town, oidc: OidcServer) -> Any:
    mine = await town.login(PHONE)
    added = await staff(town, oidc, path="/me/logins", caller=mine.caller)
    assert added.status_code == 201, added.text
    return mine


def test_staff_log_in_with_what_they_added_and_nobody_becomes_a_resident_by_it(
    database_url: str, oidc: OidcServer
) -> None:
    async def scenario(town: Town) -> None:
        assert refused(await staff(town, oidc), 409, "login_unknown")
        mine = await linked(town, oidc)
        answer = await staff(town, oidc)
        assert (answer.status_code, answer.json()["account"]) == (201, mine.answer["account"])
        assert refused(await staff(town, oidc, "s-2"), 409, "login_unknown")
        assert oidc.paths().count("/jwks") == 1
        assert oidc.paths().count("/.well-known/openid-configuration") == 1

    play(database_url, scenario, **oidc.settings())


def test_power_over_others_comes_in_by_the_staffs_own_provider_and_by_no_residents_way(
    database_url: str, oidc: OidcServer
) -> None:
    async def scenario(town: Town) -> None:
        mine = (await town.login(PHONE)).caller
        added = await staff(town, oidc, path="/me/logins", caller=mine._replace(has_second=True))
        assert added.status_code == 201, added.text
        await town.execute(EMPOWER, mine.account_no)
        answer = await staff(town, oidc)
        assert answer.status_code == 201, answer.text
        assert town.of(answer.json()).caller.has_second
        following = await town.refresh(answer.json()["refresh_token"])
        assert following.status_code == 200
        by_phone = Outside("subject", phone=normalise_phone(PHONE))
        for provider in ("wechat", "alipay", "zheliban"):
            with pytest.raises(errors.NotAllowed):
                await town.root.run(logins.open_session, town.keys, TERMS, provider, by_phone)
        await town.execute("UPDATE sessions SET has_second = false")
        assert (await town.refresh(following.json()["refresh_token"])).status_code == 401

    oidc.claims = {"amr": ["pwd", "mfa"]}
    play(database_url, scenario, demo=False, **oidc.settings())


def test_a_staff_login_that_was_there_before_the_power_does_not_stand_for_a_second_factor(
    database_url: str, oidc: OidcServer
) -> None:
    """Whoever was inside for a moment, with a stolen phone say, may have added a login of their own."""

    async def scenario(town: Town) -> None:
        mine = await linked(town, oidc)
        before = await staff(town, oidc)
        assert before.status_code == 201, "nobody without such a role needs more"
        assert not town.of(before.json()).caller.has_second
        await town.execute(EMPOWER, mine.caller.account_no)
        assert refused(await staff(town, oidc), 403, "not_allowed")
        assert (await town.refresh(before.json()["refresh_token"])).status_code == 401, "nor does its session go on"
        by_password = mine.caller._replace(has_second=True)
        again = await staff(town, oidc, path="/me/logins", caller=by_password)
        assert again.status_code == 201, "whoever shows a second factor may add it anew"
        assert (await staff(town, oidc)).status_code == 201

    oidc.claims = {"amr": ["mfa"]}
    play(database_url, scenario, demo=False, **oidc.settings())


@pytest.mark.parametrize(
    "said", [{}, {"amr": ["pwd"]}, {"amr": "mfa"}, {"acr": "1"}, {"acr": None, "amr": [None, 2, {}]}, {"acr": ["mfa"]}]
)
def test_a_provider_that_was_shown_no_second_factor_lets_nobody_with_power_in(
    database_url: str, oidc: OidcServer, said: dict[str, Any]
) -> None:
    async def scenario(town: Town) -> None:
        mine = (await town.login(PHONE)).caller
        added = await staff(town, oidc, path="/me/logins", caller=mine._replace(has_second=True))
        assert added.status_code == 201, added.text
        await town.execute(EMPOWER, mine.account_no)
        assert refused(await staff(town, oidc), 403, "not_allowed")
        oidc.claims = {"acr": "mfa"}
        assert (await staff(town, oidc)).status_code == 201

    oidc.claims = said
    play(database_url, scenario, demo=False, **oidc.settings())


def unsigned(oidc: OidcServer, **changed: Any) -> str:
    body = oidc.id_token("s-1", "n" * 16).split(".")[1]
    head = base64.urlsafe_b64encode(json.dumps({"alg": "none", "kid": oidc.kid} | changed).encode()).decode()
    return f"{head.rstrip('=')}.{body}."


def by_secret(oidc: OidcServer) -> str:
    """HMAC with what everybody knows: the public key's own text."""
    form = (serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    public = oidc.key.public_key().public_bytes(*form)
    payload = oidc.id_token("s-1", "n" * 16).split(".")[1]
    head = base64.urlsafe_b64encode(b'{"alg":"HS256","kid":"k1"}').decode().rstrip("=")
    import hmac  # noqa: PLC0415

    mac = hmac.digest(public, f"{head}.{payload}".encode(), "sha256")
    return f"{head}.{payload}.{base64.urlsafe_b64encode(mac).decode().rstrip('=')}"


FORGERIES: dict[str, Callable[[OidcServer], None]] = {
    "nobody signed it": lambda it: setattr(it, "token", unsigned(it)),
    "none, in capitals": lambda it: setattr(it, "token", unsigned(it, alg="NONE")),
    "signed with the public key": lambda it: setattr(it, "token", by_secret(it)),
    "signed by somebody else": lambda it: setattr(
        it, "token", jwt.encode({"sub": "s-1"}, rsa_key("somebody"), "RS256", headers={"kid": "k1"})
    ),
    "another algorithm than the key's": lambda it: setattr(
        it, "token", jwt.encode({"sub": "s-1"}, OTHER_SIGNER, "EdDSA", headers={"kid": "k1"})
    ),
    "an unknown key": lambda it: it.header.update(kid="k9"),
    "its own key": lambda it: it.header.update(kid="k9", jwk={"kty": "oct", "k": "AAAA"}, jku="http://127.0.0.1:1/"),
    "an access token": lambda it: it.header.update(typ="at+jwt"),
    "something critical": lambda it: it.header.update(crit=["b64"], b64=True),
    "for somebody else": lambda it: it.claims.update(aud="another"),
    "for several, presenter unnamed": lambda it: it.claims.update(aud=["linli", "another"]),
    "for several, another presenter": lambda it: it.claims.update(aud=["linli", "another"], azp="another"),
    "of another issuer": lambda it: it.claims.update(iss="https://evil.example"),
    "over": lambda it: it.claims.update(exp=int(time.time()) - 125, iat=int(time.time()) - 600),
    "not yet made": lambda it: it.claims.update(iat=int(time.time()) + 125),
    "not yet good": lambda it: it.claims.update(nbf=int(time.time()) + 125),
    "endless": lambda it: it.claims.update(exp=None),
    "of another request": lambda it: it.claims.update(nonce="another-request's"),
    "of no request": lambda it: it.claims.update(nonce=None),
    "of nobody": lambda it: it.claims.update(sub=None),
    "of a number": lambda it: it.claims.update(sub=7),
    "garbage": lambda it: setattr(it, "token", "a.b.c"),
    "deep": lambda it: setattr(it, "token", base64.urlsafe_b64encode(b"[" * 3000).decode() + ".b.c"),
}


def test_no_forged_id_token_logs_anybody_in(database_url: str, oidc: OidcServer) -> None:
    async def scenario(town: Town) -> None:
        await linked(town, oidc)
        for what, forge in FORGERIES.items():
            forge(oidc)
            answer = await staff(town, oidc)
            assert refused(answer, 401, "code_wrong"), (what, answer.text)
            oidc.header, oidc.claims, oidc.token = {}, {}, None
            assert (await staff(town, oidc)).status_code == 201, f"after {what}"

    play(database_url, scenario, **oidc.settings())


def test_two_minutes_of_difference_between_clocks_are_forgiven(database_url: str, oidc: OidcServer) -> None:
    async def scenario(town: Town) -> None:
        await linked(town, oidc)
        for claims in ({"iat": 110, "nbf": 110, "exp": 400}, {"iat": -400, "nbf": -400, "exp": -110}):
            oidc.claims = {name: int(time.time()) + off for name, off in claims.items()}
            assert (await staff(town, oidc)).status_code == 201

    play(database_url, scenario, **oidc.settings())


def test_a_code_without_its_verifier_its_redirect_or_twice_is_wrong(database_url: str, oidc: OidcServer) -> None:
    async def scenario(town: Town) -> None:
        await linked(town, oidc)
        assert refused(await staff(town, oidc, verifier="v" * 43), 401, "code_wrong")
        assert refused(await staff(town, oidc, code="made-up"), 401, "code_wrong")
        assert refused(await staff(town, oidc, nonce="n" * 16), 401, "code_wrong")
        for uri in ("https://evil.example/", oidc.REDIRECT + "/", oidc.REDIRECT.upper()):
            assert refused(await staff(town, oidc, redirect_uri=uri), 422, "unprocessable")
        body = {"verifier": "v" * 48, "nonce": "n" * 16, "code": oidc.code("s-1", "v" * 48, "n" * 16)}
        assert (await staff(town, oidc, **body)).status_code == 201
        assert refused(await staff(town, oidc, **body), 401, "code_wrong")

    play(database_url, scenario, **oidc.settings())


def test_their_new_key_is_fetched_and_made_up_names_of_keys_are_not_asked_for_each_time(
    database_url: str, oidc: OidcServer
) -> None:
    async def scenario(town: Town) -> None:
        await linked(town, oidc)
        provider = town.app.state["desk"].providers._on["oidc"]
        oidc.key, oidc.kid = rsa_key("oidc, next"), "k2"
        oidc.more_keys = [None, {"kty": "oct", "k": "AAAA", "kid": "k3"}, {"kty": "RSA", "kid": "broken"}]
        assert refused(await staff(town, oidc), 401, "code_wrong")  # looked a moment ago
        provider._keys_at = time.monotonic() - 61
        assert (await staff(town, oidc)).status_code == 201
        oidc.header = {"kid": "made-up"}
        for _ in range(5):
            assert refused(await staff(town, oidc), 401, "code_wrong")
        assert oidc.paths().count("/jwks") == 2

    play(database_url, scenario, **oidc.settings())


@pytest.mark.filterwarnings("ignore::jwt.warnings.InsecureKeyLengthWarning")
def test_a_provider_that_signs_with_a_short_key_is_not_believed(database_url: str, oidc: OidcServer) -> None:
    async def scenario(town: Town) -> None:
        await linked(town, oidc)
        oidc.key, oidc.kid = rsa.generate_private_key(65537, 1024), "short"
        town.app.state["desk"].providers._on["oidc"]._keys_at = time.monotonic() - 61
        assert refused(await staff(town, oidc), 401, "code_wrong")
        assert oidc.paths().count("/jwks") == 2, "it was looked for, and not taken"

    play(database_url, scenario, **oidc.settings())


@pytest.mark.parametrize(
    "configuration",
    [{"issuer": "https://another.example"}, {"token_endpoint": None}, {"jwks_uri": "file:///etc/passwd"}],
)
def test_a_configuration_of_somebody_else_is_not_used(
    database_url: str, oidc: OidcServer, configuration: dict[str, Any]
) -> None:
    async def scenario(town: Town) -> None:
        oidc.configuration = configuration
        assert refused(await staff(town, oidc), 503, "provider_down")

    play(database_url, scenario, **oidc.settings())


def test_our_secret_goes_where_they_want_it(database_url: str, oidc: OidcServer) -> None:
    async def scenario(town: Town) -> None:
        oidc.configuration = {"token_endpoint_auth_methods_supported": ["client_secret_post"]}
        await linked(town, oidc)
        assert "authorization" not in next(one for one in oidc.heard if one.path == "/token").headers

    play(database_url, scenario, **oidc.settings())


def test_a_wrong_secret_of_ours_is_not_the_callers_fault(database_url: str, oidc: OidcServer) -> None:
    async def scenario(town: Town) -> None:
        assert refused(await staff(town, oidc), 503, "provider_down")

    play(database_url, scenario, **oidc.settings(oidc_client_secret="another"))


# All of them


@pytest.mark.parametrize("kind", [AlipayServer, ZhelibanServer, OidcServer])
def test_whatever_they_do_the_answer_is_one_of_ours_and_phones_log_in(
    database_url: str, kind: type[AlipayServer | ZhelibanServer | OidcServer]
) -> None:
    with kind() as server:

        async def scenario(town: Town) -> None:
            name = kind.__name__.removesuffix("Server").lower()
            more = (
                {"verifier": "v" * 43, "nonce": "n" * 16, "redirect_uri": OidcServer.REDIRECT} if name == "oidc" else {}
            )
            for mood, act in BAD_MOODS.items():
                server.mood = act
                answer = await enter(town, name, "code", **more)
                expected = (504, "provider_slow") if mood in ("sleeps", "drips") else (503, "provider_down")
                assert (answer.status_code, answer.json()["code"]) == expected, mood
                assert answer.json()["other_ways"] == ["phone"]
            await town.login(PHONE)

        assert isinstance(server, Elsewhere)
        play(database_url, scenario, **server.settings(provider_seconds=0.5))


def test_a_gateway_shows_every_way_and_no_secret(
    database_url: str, alipay: AlipayServer, zheliban: ZhelibanServer, oidc: OidcServer
) -> None:
    async def scenario(town: Town) -> None:
        items = (await town.call("GET", "/providers")).json()["items"]
        assert {one["provider"]: one["on"] for one in items} == {
            "phone": True,
            "wechat": False,
            "alipay": True,
            "zheliban": True,
            "oidc": True,
        }
        assert items[-1]["facts"] == {"client_id": "linli", "issuer": oidc.url}
        for secret in (oidc.SECRET, zheliban.SECRET, zheliban.ACCESS, alipay.AES):
            assert secret not in str(items)

    play(database_url, scenario, **alipay.settings(), **zheliban.settings(), **oidc.settings())
