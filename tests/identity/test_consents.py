"""What people consent to: for oneself, for a child or an elder, at the desk; and that the ledger is only added to."""

from __future__ import annotations

import asyncio
import uuid
from dataclasses import replace
from datetime import date
from typing import Any

import httpx
import pytest

from services import doctor
from services.identity import rules
from shared import consents, purposes
from shared.assertion import ActsFor, Role
from shared.purposes import PURPOSES
from tests.identity.town import ADULT, ADULT_TOO, ANYONE, CHILD, Login, Town, play

PHONE, OTHER, THIRD = "15400000001", "15400000002", "15400000003"
HERE = "330411105003"


def test_every_purpose_reads_well_and_names_its_services() -> None:
    for code, one in PURPOSES.items():
        assert one.code == code
        assert one.version >= 1
        assert one.services
        assert one.guardian_under == 14


@pytest.mark.parametrize(
    ("given", "version", "state"),
    [(None, 0, "never"), (True, 2, "given"), (True, 3, "given"), (True, 1, "outdated"), (False, 2, "withdrawn")],
)
def test_the_newest_word_counts_as_far_as_it_is_about_todays_text(given: Any, version: int, state: str) -> None:
    assert rules.consent_state(version, 2, given=given) == state


def test_a_birthday_is_the_first_day_of_the_new_age() -> None:
    born = date(2012, 2, 29)
    assert rules.is_under(born, 14, date(2026, 2, 28))
    assert not rules.is_under(born, 14, date(2026, 3, 1))
    assert not rules.is_under(None, 14, date(2026, 3, 1))


async def adult(town: Town, phone: str, document: str = ADULT) -> Login:
    login = await town.login(phone)
    assert (await town.real_name(login, document)).status_code == 200
    await town.execute("UPDATE persons SET community = $1", HERE)
    await town.execute("UPDATE holders SET community = $1", HERE)
    return login


async def says(town: Town, who: Login, word: str, path: str = "/me", purpose: str = "health", **more: Any) -> Any:
    body = {"given": word == "yes", "version": 1} | more
    return await town.call("PUT", f"{path}/consents/{purpose}", body, who.caller, **{"accept-language": "en"})


def acting(who: Login, person: str, relation: str, services: tuple[str, ...] | None = None) -> Login:
    """The caller with the relation that the gateway would look up."""
    of = ActsFor(uuid.UUID(person), 0, "", relation, services)
    return replace(who, caller=who.caller._replace(acts_for=(of,)))


def staff(who: Login, prefix: str = "330411") -> Login:
    return replace(who, caller=who.caller._replace(roles=(Role("staff", prefix),)))


async def counts(town: Town, who: Login, purpose: str = "health") -> bool:
    """Whether the gateway finds the consent."""
    person = who.caller.person_id or uuid.uuid4()
    return await town.root.of("linli_gateway").read(consents.given, [person], purpose) == {person}


def code_of(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json().get("code")


async def healthy(town: Town) -> None:
    url = town.root.engine.url.set(drivername="postgresql").render_as_string(hide_password=False)
    assert [one for one in await doctor.examine(url) if one[1]] == []


def test_purposes_are_public_and_in_the_readers_language(database_url: str) -> None:
    async def scenario(town: Town) -> None:
        zh = (await town.call("GET", "/purposes")).json()["items"]
        en = (await town.call("GET", "/purposes", None, ANYONE, **{"accept-language": "en"})).json()["items"]
        assert [one["code"] for one in zh] == list(PURPOSES)
        assert en[0]["title"] == "Care of a child in the children's room"
        assert zh[0]["title"] == "儿童之家照护"
        assert "\u241f" not in str(zh) + str(en)

    play(database_url, scenario)


def test_a_consent_is_given_once_and_taken_back_at_once(database_url: str) -> None:
    async def scenario(town: Town) -> None:
        who = await adult(town, PHONE)
        before = (await town.call("GET", "/me/consents", caller=who.caller)).json()["items"]
        assert {one["purpose"]: (one["state"], one["given"], one["history"]) for one in before} == {
            code: ("never", False, []) for code in PURPOSES
        }
        first, again = await says(town, who, "yes"), await says(town, who, "yes")
        assert first.status_code == 200, first.text
        assert first.headers["cache-control"] == "no-store"
        assert again.json() == first.json()
        told = first.json()
        assert (told["state"], told["given"], len(told["history"])) == ("given", True, 1)
        word = told["history"][0]
        assert (word["given_by"], word["channel"], word["version"]) == ("self", "app", 1)
        assert word["person"] == {"id": str(who.caller.person_id), "name": "张三"}
        assert word["at"].endswith("+08:00")
        assert await counts(town, who)
        assert not await counts(town, who, "childcare")
        for _ in range(2):
            gone = (await says(town, who, "no")).json()
            assert (gone["state"], gone["given"], len(gone["history"])) == ("withdrawn", False, 2)
        assert not await counts(town, who)
        assert [one["given"] for one in (await says(town, who, "yes")).json()["history"]] == [True, False, True]
        assert await town.value("SELECT count(*) FROM consents") == 3
        assert await town.value("SELECT count(*) FROM notices WHERE type = 'identity.consent.given'") == 2
        assert await town.value("SELECT data::text FROM notices LIMIT 1") == '{"purpose": "health", "version": 1}'
        await healthy(town)

    play(database_url, scenario)


def test_taking_back_what_was_never_given_writes_nothing(database_url: str) -> None:
    async def scenario(town: Town) -> None:
        who = await adult(town, PHONE)
        assert (await says(town, who, "no")).json()["state"] == "never"
        assert await town.value("SELECT count(*) FROM consents") == 0

    play(database_url, scenario)


def test_new_words_are_asked_for_again(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario(town: Town) -> None:
        who = await adult(town, PHONE)
        await says(town, who, "yes")
        monkeypatch.setitem(purposes.PURPOSES, "health", replace(PURPOSES["health"], version=2))
        (shown,) = [
            one
            for one in (await town.call("GET", "/me/consents", caller=who.caller)).json()["items"]
            if one["purpose"] == "health"
        ]
        assert (shown["state"], shown["given"], shown["version"]) == ("outdated", False, 2)
        assert not await counts(town, who)
        old = await says(town, who, "yes")
        assert code_of(old) == (409, "conflict")
        assert old.json()["version"] == 2
        assert (await says(town, who, "yes", version=2)).json()["state"] == "given"
        assert (await says(town, who, "no", version=1)).json()["state"] == "withdrawn", "taking back needs no reading"
        await healthy(town)

    play(database_url, scenario)


def test_what_cannot_be_read_changes_nothing(database_url: str) -> None:
    async def scenario(town: Town) -> None:
        who = await adult(town, PHONE)
        assert code_of(await says(town, who, "yes", purpose="no-such-thing")) == (404, "not_there")
        assert code_of(await says(town, who, "yes", purpose="NO%00")) == (422, "unprocessable")
        for more in (
            {"version": 0},
            {"version": 1 << 70},
            {"given": "perhaps"},
            {"channel": "post"},
            {"by": "me"},
            {"x": 1},
        ):
            assert code_of(await says(town, who, "yes", **more)) == (422, "unprocessable"), more
        assert code_of(await says(town, who, "yes", by=str(who.caller.person_id))) == (422, "unprocessable")
        assert code_of(await says(town, who, "yes", channel="desk")) == (403, "not_allowed")
        assert code_of(await town.call("GET", "/me/consents")) == (401, "not_known")
        assert code_of(await town.call("PUT", "/me/consents/health", {"given": True, "version": 1})) == (
            401,
            "not_known",
        )
        assert await town.value("SELECT count(*) FROM consents") == 0

    play(database_url, scenario)


def test_a_guardian_decides_for_a_child_under_fourteen_and_the_child_does_not(database_url: str) -> None:
    async def scenario(town: Town) -> None:
        parent = await adult(town, PHONE)
        child = (await town.child(parent, CHILD)).json()["person"]["id"]
        path = f"/people/{child}"
        assert code_of(await says(town, parent, "yes", path)) == (404, "not_there"), (
            "the gateway vouches for nobody yet"
        )
        answer = await says(town, acting(parent, child, "guardian"), "yes", path, "childcare")
        assert answer.status_code == 200, answer.text
        assert answer.json()["history"][0]["given_by"] == "guardian"
        proxy = acting(await adult(town, OTHER, ADULT_TOO), child, "proxy")
        assert code_of(await says(town, proxy, "no", path, "childcare")) == (409, "guardian_required")
        young = uuid.UUID(child)
        alone = replace(parent, caller=parent.caller._replace(person_id=young))
        for where in ("/me", path):
            assert code_of(await says(town, alone, "yes", where)) == (409, "guardian_required")
        await town.execute("UPDATE persons SET born = current_date - interval '14 years' WHERE id = $1", young)
        await town.execute("UPDATE holders SET born = current_date - interval '14 years' WHERE id = $1", young)
        assert (await says(town, alone, "yes")).status_code == 200
        await healthy(town)

    play(database_url, scenario)


def test_a_proxy_speaks_in_its_own_services_only(database_url: str) -> None:
    async def scenario(town: Town) -> None:
        elder, other = await adult(town, PHONE), await adult(town, OTHER, ADULT_TOO)
        person = str(elder.caller.person_id)
        proxy = acting(other, person, "proxy", ("elder-meals",))
        seen = (await town.call("GET", f"/people/{person}/consents", caller=proxy.caller)).json()["items"]
        assert {one["purpose"] for one in seen} == {"health", "elder-meals"}
        given = await says(town, proxy, "yes", f"/people/{person}", "elder-meals")
        assert given.json()["history"][0]["given_by"] == "proxy"
        assert given.json()["history"][0]["person"]["id"] == str(other.caller.person_id)
        assert code_of(await says(town, proxy, "yes", f"/people/{person}", "leaderboard")) == (403, "not_yours")
        assert code_of(await says(town, other, "yes", f"/people/{person}")) == (404, "not_there")
        assert code_of(await town.call("GET", f"/people/{person}/consents", caller=other.caller)) == (404, "not_there")

    play(database_url, scenario)


def test_the_desk_writes_down_who_said_it_and_how(database_url: str) -> None:
    async def scenario(town: Town) -> None:
        parent = await adult(town, PHONE)
        child = (await town.child(parent, CHILD)).json()["person"]["id"]
        person, guardian = str(parent.caller.person_id), str(parent.caller.person_id)
        clerk = staff(await adult(town, OTHER, ADULT_TOO))
        away = staff(clerk, "330424")
        assert code_of(await says(town, away, "yes", f"/people/{person}", channel="desk")) == (404, "not_there")
        assert code_of(await says(town, clerk, "yes", f"/people/{person}")) == (422, "unprocessable")
        on_paper = (await says(town, clerk, "yes", f"/people/{person}", channel="paper")).json()["history"][0]
        assert (on_paper["given_by"], on_paper["channel"], on_paper["person"]["id"]) == ("self", "paper", person)
        assert await town.value("SELECT by_account_no FROM consents") == clerk.caller.account_no
        path = f"/people/{child}"
        assert code_of(await says(town, clerk, "yes", path, channel="desk")) == (409, "guardian_required")
        wrong = str(clerk.caller.person_id)
        assert code_of(await says(town, clerk, "yes", path, channel="desk", by=wrong)) == (403, "not_yours")
        said = await says(town, clerk, "yes", path, channel="desk", by=guardian)
        assert said.json()["history"][0]["given_by"] == "guardian"
        assert len((await town.call("GET", f"{path}/consents", caller=clerk.caller)).json()["items"]) == len(PURPOSES)
        await healthy(town)

    play(database_url, scenario)


def test_the_same_word_ten_times_at_once_is_written_once(database_url: str) -> None:
    async def scenario(town: Town) -> None:
        who = await adult(town, PHONE)
        answers = await asyncio.gather(*(says(town, who, "yes") for _ in range(10)))
        assert {one.status_code for one in answers} == {200}
        assert await town.value("SELECT count(*) FROM consents") == 1
        assert await town.value("SELECT count(*) FROM notices") == 1

    play(database_url, scenario)


def test_the_ledger_of_consents_cannot_be_bent_by_identity(database_url: str) -> None:
    async def scenario(town: Town) -> None:
        for wish in ("UPDATE consents SET given = false", "DELETE FROM consents"):
            with pytest.raises(Exception, match="permission denied"):
                async with town.root.of("linli_identity").transaction() as tx:
                    await tx.execute(wish)

    play(database_url, scenario)
