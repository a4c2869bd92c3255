"""Proxies: asked for and agreed to, in the app and at the desk; revoked, expired, limited; and they do not chain."""

from __future__ import annotations

import asyncio
import uuid
from datetime import date, timedelta
from typing import Any

import asyncpg
import httpx
import pytest

from shared import clock
from shared.assertion import ActsFor
from tests.identity.test_consents import OTHER, PHONE, THIRD, acting, code_of, staff
from tests.identity.test_families import THIRD_DOCUMENT, adult, healthy, notices, work
from tests.identity.test_me import number
from tests.identity.town import ADULT, ADULT_TOO, Login, Town, play

SCOPE = {"services": ["elder-meals"], "cap_fen": 30000}


async def two(town: Town) -> tuple[Login, Login]:
    """An elder and her son."""
    return await adult(town, PHONE, ADULT), await adult(town, OTHER, ADULT_TOO)


async def asks(town: Town, who: Login, document: str = ADULT, name: str = "张三", **scope: Any) -> httpx.Response:
    person = {"name": name, "document": {"kind": "resident_id", "number": document}}
    return await town.call("POST", "/me/proxies", SCOPE | {"person": person} | scope, who.caller)


async def appoints(town: Town, who: Login, phone: str, name: str = "张三", **scope: Any) -> httpx.Response:
    return await town.call("POST", "/me/proxies", SCOPE | {"proxy": {"name": name, "phone": phone}} | scope, who.caller)


async def acts_for(town: Town, who: Login) -> list[Any]:
    found: list[Any] = (await town.call("GET", "/me", caller=who.caller)).json()["acts_for"]
    return found


async def mine(town: Town, who: Login) -> list[tuple[str, str]]:
    items = (await town.call("GET", "/me/proxies", caller=who.caller)).json()["items"]
    return [(one["id"], one["state"]) for one in items]


def test_who_was_asked_agrees_and_before_that_nothing_may_be_done(database_url: str) -> None:
    async def scenario(town: Town) -> None:
        elder, son = await two(town)
        until = clock.today() + timedelta(days=30)
        made = await asks(town, son, until=str(until))
        assert made.status_code == 201, made.text
        told = made.json()
        assert (told["state"], told["services"], told["cap_fen"]) == ("pending", ["elder-meals"], 30000)
        assert told["until"] == f"{until + timedelta(days=1)}T00:00:00+08:00"
        assert (told["person"]["id"], told["proxy"]["id"]) == (str(elder.caller.person_id), str(son.caller.person_id))
        where = f"/me/proxies/{told['id']}"
        assert made.headers["location"] == f"/v1/identity{where}"
        for one in (elder, son):
            assert (await town.call("GET", where, caller=one.caller)).json() == told
            assert await mine(town, one) == [(told["id"], "pending")]
        assert await acts_for(town, son) == []
        assert await town.value("SELECT count(*) FROM relations") == 0
        assert code_of(await asks(town, son)) == (409, "exists")
        assert code_of(await town.call("POST", f"{where}/confirm", caller=son.caller)) == (403, "not_allowed")
        yes = await town.call("POST", f"{where}/confirm", caller=elder.caller)
        assert (yes.status_code, yes.json()["state"], yes.json()["id"]) == (200, "active", told["id"])
        again = await town.call("POST", f"{where}/confirm", caller=elder.caller)
        assert (again.status_code, again.json()) == (200, yes.json())
        (one,) = await acts_for(town, son)
        assert (one["relation"], one["services"], one["cap_fen"], one["level"]) == (
            "proxy",
            ["elder-meals"],
            30000,
            None,
        )
        assert code_of(await asks(town, son)) == (409, "exists")
        assert await notices(town) == ["identity.proxy.asked", "identity.proxy.granted"]
        await healthy(town)

    play(database_url, scenario)


def test_either_ends_it_at_once_and_it_can_be_asked_for_again(database_url: str) -> None:
    async def scenario(town: Town) -> None:
        elder, son = await two(town)
        for n, who in enumerate((elder, son)):
            made = (await asks(town, son)).json()["id"]
            await town.call("POST", f"/me/proxies/{made}/confirm", caller=elder.caller)
            assert len(await acts_for(town, son)) == 1
            assert (await town.call("DELETE", f"/me/proxies/{made}", caller=who.caller)).status_code == 204
            assert await acts_for(town, son) == []
            for one in (elder, son):
                assert code_of(await town.call("DELETE", f"/me/proxies/{made}", caller=one.caller)) == (
                    404,
                    "not_there",
                )
                assert await mine(town, one) == []
            assert (await notices(town))[-1] == f"identity.proxy.revoked {('revoked', 'left')[n]}"
            late = await town.call("POST", f"/me/proxies/{made}/confirm", caller=elder.caller)
            assert code_of(late) == (404, "not_there")
        made = (await asks(town, son)).json()["id"]
        assert (await town.call("DELETE", f"/me/proxies/{made}", caller=elder.caller)).status_code == 204
        assert (await notices(town))[-1] == "identity.proxy.revoked refused"
        assert code_of(await town.call("POST", f"/me/proxies/{made}/confirm", caller=elder.caller)) == (
            404,
            "not_there",
        )
        await healthy(town)

    play(database_url, scenario)


def test_one_appoints_whom_one_knows_by_name_and_phone(database_url: str) -> None:
    async def scenario(town: Town) -> None:
        elder, son = await two(town)
        for phone, name in ((OTHER, "李四"), (THIRD, "张三"), (PHONE, "李四")):
            assert code_of(await appoints(town, elder, phone, name)) == (404, "not_there")
        assert code_of(await appoints(town, elder, PHONE)) == (422, "unprocessable")
        assert code_of(await appoints(town, elder, "12345")) == (422, "phone_malformed")
        made = await appoints(town, elder, OTHER)
        assert (made.status_code, made.json()["state"]) == (201, "active")
        assert len(await acts_for(town, son)) == 1
        assert code_of(await appoints(town, elder, OTHER)) == (409, "exists")
        unverified = await town.login(THIRD)
        assert code_of(await appoints(town, elder, THIRD, "新居民")) == (404, "not_there")
        assert code_of(await asks(town, unverified)) == (409, "verification_required")
        await healthy(town)

    play(database_url, scenario)


def test_whoever_is_asked_must_be_known_by_name_and_number_and_be_grown_up(database_url: str) -> None:
    async def scenario(town: Town) -> None:
        elder, son = await two(town)
        assert code_of(await asks(town, son, name="李四")) == (404, "not_there")
        assert code_of(await asks(town, son, THIRD_DOCUMENT)) == (404, "not_there")
        assert code_of(await asks(town, son, ADULT_TOO)) == (422, "unprocessable")
        assert code_of(await asks(town, son, "110105194912310021")) == (422, "document_check_digit")
        child = number(date(clock.today().year - 9, 1, 2))
        await town.child(elder, child, "张小")
        assert code_of(await asks(town, son, child, "张小")) == (422, "unprocessable")
        yesterday, far = clock.today() - timedelta(days=1), clock.today() + timedelta(days=4000)
        for wrong in (
            {"services": []},
            {"services": ["NO"]},
            {"services": ["elder-meal"]},
            {"services": ["elder-meals", "identity"]},
            {"services": ["booking"] * 11},
            {"services": None},
            {"until": str(yesterday)},
            {"until": str(far)},
            {"until": "9999-99-99"},
            {"until": 5},
            {"cap_fen": -1},
            {"cap_fen": 1 << 40},
            {"proxy": {"name": "张三", "phone": PHONE}},
            {"person": None},
            {"x": 1},
        ):
            assert code_of(await asks(town, son, **wrong)) == (422, "unprocessable"), wrong
        assert await town.value("SELECT count(*) FROM offers") == 0
        assert code_of(await town.call("GET", "/me/proxies")) == (401, "not_known")

    play(database_url, scenario)


def test_at_the_desk_the_person_says_a_code(database_url: str) -> None:
    async def scenario(town: Town) -> None:
        elder, son = await two(town)
        clerk = staff(await adult(town, THIRD, THIRD_DOCUMENT))
        there = f"/people/{elder.caller.person_id}/proxies"
        body = SCOPE | {"proxy": str(son.caller.person_id)}
        made = await town.call("POST", there, body, clerk.caller)
        assert made.status_code == 201, made.text
        told = made.json()
        assert (told["state"], len(told["code"])) == ("pending", 6)
        assert told["code"] not in await town.value("SELECT string_agg(o.code_hash::text, '') FROM offers o")
        assert await acts_for(town, son) == []
        one = f"{there}/{told['id']}"
        assert (await town.call("GET", one, caller=clerk.caller)).json() == {
            name: value for name, value in told.items() if not name.startswith("code")
        }
        wrong = {"code": f"{(int(told['code']) + 1) % 1000000:06d}"}
        for _ in range(5):
            assert code_of(await town.call("POST", f"{one}/confirm", wrong, clerk.caller)) == (403, "desk_code_wrong")
        right = {"code": told["code"]}
        assert code_of(await town.call("POST", f"{one}/confirm", right, clerk.caller)) == (403, "desk_code_wrong")
        second = (await town.call("POST", f"{one}/code", caller=clerk.caller)).json()
        assert second["id"] == told["id"]
        await town.execute("UPDATE offers SET code_ends_at = now()")
        late = await town.call("POST", f"{one}/confirm", {"code": second["code"]}, clerk.caller)
        assert code_of(late) == (403, "desk_code_wrong")
        third = (await town.call("POST", f"{one}/code", caller=clerk.caller)).json()
        if third["code"] != told["code"]:
            assert code_of(await town.call("POST", f"{one}/confirm", right, clerk.caller)) == (403, "desk_code_wrong")
        yes = await town.call("POST", f"{one}/confirm", {"code": third["code"]}, clerk.caller)
        assert (yes.status_code, yes.json()["state"]) == (200, "active")
        used = await town.call("POST", f"{one}/confirm", {"code": third["code"]}, clerk.caller)
        assert code_of(used) == (404, "not_there")
        assert len(await acts_for(town, son)) == 1
        assert (await town.call("DELETE", one, caller=clerk.caller)).status_code == 204
        assert await acts_for(town, son) == []
        actions = await town.value("SELECT string_agg(DISTINCT action, ' ') FROM audit")
        assert actions == "proxies.ask proxies.code proxies.confirm proxies.revoke"
        await healthy(town)

    play(database_url, scenario)


def test_staff_are_no_party_and_of_the_region_and_nobody_else_may(database_url: str) -> None:
    async def scenario(town: Town) -> None:
        elder, son = await two(town)
        clerk = staff(await adult(town, THIRD, THIRD_DOCUMENT))
        there = f"/people/{elder.caller.person_id}/proxies"
        body = SCOPE | {"proxy": str(son.caller.person_id)}
        for who, expected in (
            (staff(clerk, "330424"), (404, "not_there")),
            (son, (404, "not_there")),
            (elder, (403, "not_allowed")),
            (staff(son), (403, "not_allowed")),
            (staff(elder), (403, "not_allowed")),
        ):
            assert code_of(await town.call("POST", there, body, who.caller)) == expected
        made = (await town.call("POST", there, body, clerk.caller)).json()
        one = f"{there}/{made['id']}"
        for who, expected in (
            (staff(clerk, "330424"), (404, "not_there")),
            (son, (404, "not_there")),
            (staff(son), (403, "not_allowed")),
            (staff(elder), (403, "not_allowed")),
        ):
            for path, told in ((f"{one}/confirm", {"code": made["code"]}), (f"{one}/code", None)):
                assert code_of(await town.call("POST", path, told, who.caller)) == expected, path
        for wrong in ({}, {"code": "12345"}, {"code": "abcdef"}, {"code": 123456}):
            assert code_of(await town.call("POST", f"{one}/confirm", wrong, clerk.caller)) == (422, "unprocessable")
        other = f"/people/{son.caller.person_id}/proxies/{made['id']}"
        assert code_of(await town.call("POST", f"{other}/confirm", {"code": made["code"]}, clerk.caller)) == (
            404,
            "not_there",
        )
        assert code_of(await town.call("GET", other, caller=clerk.caller)) == (404, "not_there")
        assert code_of(await town.call("DELETE", f"/me/proxies/{made['id']}", caller=clerk.caller)) == (
            404,
            "not_there",
        )
        nobody = SCOPE | {"proxy": str(uuid.uuid4())}
        assert code_of(await town.call("POST", there, nobody, clerk.caller)) == (404, "not_there")
        assert await acts_for(town, son) == []

    play(database_url, scenario)


def test_a_proxy_sees_their_own_line_and_may_change_nothing(database_url: str) -> None:
    async def scenario(town: Town) -> None:
        elder, son = await two(town)
        daughter = await adult(town, THIRD, THIRD_DOCUMENT)
        first = (await appoints(town, elder, OTHER)).json()
        await appoints(town, elder, THIRD)
        there = f"/people/{elder.caller.person_id}/proxies"
        proxy = acting(son, str(elder.caller.person_id), "proxy", ("elder-meals",))
        seen = (await town.call("GET", there, caller=proxy.caller)).json()["items"]
        assert [one["id"] for one in seen] == [first["id"]]
        body = SCOPE | {"proxy": str(daughter.caller.person_id)}
        assert code_of(await town.call("POST", there, body, proxy.caller)) == (403, "not_allowed")
        family = await town.call("GET", f"/people/{elder.caller.person_id}/family", caller=proxy.caller)
        assert family.json()["items"] == []
        assert len(await mine(town, elder)) == 2

    play(database_url, scenario)


def test_proxies_do_not_chain(database_url: str) -> None:
    async def scenario(town: Town) -> None:
        elder, son = await two(town)
        friend = await adult(town, THIRD, THIRD_DOCUMENT)
        await appoints(town, elder, OTHER)
        await appoints(town, son, THIRD)
        assert [one["person"]["id"] for one in await acts_for(town, friend)] == [str(son.caller.person_id)]
        told = await town.call(
            "GET",
            f"/people/{elder.caller.person_id}/proxies",
            caller=acting(friend, str(son.caller.person_id), "proxy").caller,
        )
        assert code_of(told) == (404, "not_there")
        assert (await appoints(town, friend, PHONE)).status_code == 201, "a ring gives nobody more than their own line"
        assert {one["person"]["id"] for one in await acts_for(town, elder)} == {str(friend.caller.person_id)}
        await healthy(town)

    play(database_url, scenario)


def test_who_is_over_is_told_and_can_be_appointed_again_before_that(database_url: str) -> None:
    async def scenario(town: Town) -> None:
        elder, son = await two(town)
        await appoints(town, elder, OTHER)
        await town.execute("UPDATE relations SET starts_at = now() - interval '2 s', ends_at = now()")
        assert await acts_for(town, son) == []
        assert await mine(town, son) == []
        again = await appoints(town, elder, OTHER)
        assert again.status_code == 201, "an old one that nobody has closed yet stands in no way"
        assert (await notices(town))[1:] == ["identity.proxy.revoked expired", "identity.proxy.granted"]
        await town.execute("UPDATE relations SET ends_at = now() WHERE closed_at IS NULL")
        assert await work(town, "end_relations") == 1
        assert (await notices(town))[-1] == "identity.proxy.revoked expired"
        made = (await asks(town, son)).json()["id"]
        await town.execute("UPDATE offers SET expires_at = now() WHERE answered_at IS NULL")
        assert await mine(town, elder) == []
        assert code_of(await town.call("POST", f"/me/proxies/{made}/confirm", caller=elder.caller)) == (
            404,
            "not_there",
        )
        assert (await asks(town, son)).status_code == 201, "a wish that nobody answered can be said again"
        await healthy(town)

    play(database_url, scenario)


def test_of_many_at_once_one_is_granted(database_url: str) -> None:
    async def scenario(town: Town) -> None:
        elder, son = await two(town)
        asked = await asyncio.gather(*(asks(town, son) for _ in range(8)))
        assert sorted(one.status_code for one in asked) == [201] + [409] * 7
        answers = await asyncio.gather(*(appoints(town, elder, OTHER) for _ in range(8)))
        assert sorted(one.status_code for one in answers) == [201] + [409] * 7
        (pending,) = [one.json()["id"] for one in asked if one.status_code == 201]
        late = await town.call("POST", f"/me/proxies/{pending}/confirm", caller=elder.caller)
        assert code_of(late) == (409, "exists")
        assert await town.value("SELECT count(*) FROM relations") == 1
        await healthy(town)

    play(database_url, scenario)


def test_yes_and_no_at_once_leave_one_of_them(database_url: str) -> None:
    async def scenario(town: Town) -> None:
        elder, son = await two(town)
        for _ in range(5):
            made = (await asks(town, son)).json()["id"]
            yes, no = await asyncio.gather(
                town.call("POST", f"/me/proxies/{made}/confirm", caller=elder.caller),
                town.call("DELETE", f"/me/proxies/{made}", caller=son.caller),
            )
            stands = len(await acts_for(town, son))
            assert (yes.status_code, no.status_code, stands) in ((200, 204, 0), (404, 204, 0), (200, 404, 1)), (
                yes.text,
                no.text,
            )
            if stands:
                await town.call("DELETE", f"/me/proxies/{made}", caller=elder.caller)
        await healthy(town)

    play(database_url, scenario)


def test_the_tables_refuse_an_empty_scope_and_two_of_a_kind(database_url: str) -> None:
    async def scenario(town: Town) -> None:
        elder, son = await two(town)
        wish = "INSERT INTO relations (actor_id, person_id, kind, services, ends_at) VALUES ($1, $2, 'proxy', $3, $4)"
        pair = (son.caller.person_id, elder.caller.person_id)
        with pytest.raises(asyncpg.CheckViolationError, match="a_scope_is_not_empty"):
            await town.execute(wish, *pair, [], None)
        await town.execute(wish, *pair, ["booking"], clock.now() + timedelta(days=1))
        with pytest.raises(asyncpg.UniqueViolationError, match="one_relation_each"):
            await town.execute(wish, *pair, ["booking"], clock.now() + timedelta(days=2))
        assert ActsFor(pair[1] or uuid.uuid4(), 0, "", "proxy", ()).services == ()

    play(database_url, scenario)
