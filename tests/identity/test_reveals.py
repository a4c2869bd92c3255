"""What is sealed is seen with a reason, for some minutes, of minors with somebody else's word, and never in silence."""

from __future__ import annotations

import asyncio
import uuid
from typing import Any

import asyncpg
import pytest

from shared.assertion import ActsFor, Caller, Role
from tests.identity.test_consents import OTHER, PHONE, THIRD, adult, code_of, healthy
from tests.identity.town import ADULT, ADULT_TOO, CHILD, Login, Town, play

WHY = "补办社保卡核对信息"
FOURTH = "15400000004"
ALL = ["name", "born", "document", "phone"]


def officer(who: Login, role: str = "staff", prefix: str = "330411") -> Caller:
    return who.caller._replace(roles=(Role(role, prefix),))


async def reveal(town: Town, who: Caller, person: object, fields: list[str] | None = None, **more: Any) -> Any:
    body = {"fields": ["phone"] if fields is None else fields, "reason": WHY} | more
    return await town.call("POST", f"/people/{person}/reveal", body, who)


async def cast(town: Town) -> tuple[Login, str, Login, Login]:
    """A parent, their child, and two of the staff with persons of their own; everybody lives in one region."""
    parent = await adult(town, PHONE)
    child = (await town.child(parent, CHILD)).json()["person"]["id"]
    clerk, boss = await town.login(OTHER), await town.login(THIRD)
    await town.execute("UPDATE persons SET community = '330411105003'")
    await town.execute("UPDATE holders SET community = '330411105003'")
    await town.execute("INSERT INTO regions (code, name, level) VALUES ('330411', '秀洲区', 'county')")
    for one, role in ((clerk, "staff"), (boss, "manager")):
        await town.execute(
            "INSERT INTO roles (account_no, role, prefix) VALUES ($1, $2, '330411')", one.caller.account_no, role
        )
    return parent, child, clerk, boss


async def notices(town: Town, kind: str) -> list[Any]:
    async with town.root.transaction() as tx:
        return await tx.fetch("SELECT subject, holders, data FROM notices WHERE type = $1 ORDER BY no", kind)


def test_a_grown_up_is_revealed_at_once_and_is_told(database_url: str) -> None:
    async def scenario(town: Town) -> None:
        parent, _, clerk, _ = await cast(town)
        answer = await reveal(town, officer(clerk), parent.caller.person_id, ALL)
        assert answer.status_code == 200, answer.text
        assert answer.headers["cache-control"] == "no-store"
        told = answer.json()
        assert told["values"] == {
            "name": "张三",
            "born": "1949-12-31",
            "document": {"kind": "resident_id", "number": ADULT},
            "phone": PHONE,
        }
        assert (told["state"], told["needs_approval"], told["person"]["name"]) == ("allowed", False, "张*")
        (notice,) = await notices(town, "identity.person.revealed")
        assert notice["holders"] == [parent.caller.holder_no]
        assert notice["data"] == {"fields": ALL}
        (seen,) = (await town.call("GET", "/me/ledger", caller=parent.caller)).json()["items"]
        assert (seen["action"], seen["what"], seen["reason"]) == ("people.reveal", ALL, WHY)
        assert (seen["by"]["role"], seen["by"]["region"]) == ("staff", "330411")
        kept = await town.value(
            "SELECT string_agg(r::text || a::text || n::text, '') FROM reveals r, audit a, notices n"
        )
        assert ADULT not in kept
        assert PHONE not in kept
        await healthy(town)

    play(database_url, scenario)


def test_what_was_allowed_is_seen_for_a_quarter_of_an_hour_by_whoever_asked(database_url: str) -> None:
    async def scenario(town: Town) -> None:
        parent, _, clerk, boss = await cast(town)
        made = (await reveal(town, officer(clerk), parent.caller.person_id, ["phone"])).json()
        path = f"/reveals/{made['id']}"
        assert (await town.call("GET", path, caller=officer(clerk))).json()["values"]["phone"] == PHONE
        assert (await town.call("GET", path, caller=officer(boss, "manager"))).json()["values"] is None
        assert (await town.call("GET", path, caller=clerk.caller)).json()["values"] is None, "out of office"
        assert code_of(await town.call("GET", path, caller=parent.caller)) == (404, "not_there")
        assert code_of(await town.call("GET", path, caller=officer(boss, "manager", "330424"))) == (404, "not_there")
        assert await town.value("SELECT count(*) FROM audit WHERE action = 'people.reveal'") == 2, "each look"
        assert len(await notices(town, "identity.person.revealed")) == 1
        await town.execute("UPDATE reveals SET expires_at = now()")
        over = (await town.call("GET", path, caller=officer(clerk))).json()
        assert (over["state"], over["values"]) == ("over", None)
        assert await town.value("SELECT count(*) FROM audit WHERE action = 'people.reveal'") == 2
        await healthy(town)

    play(database_url, scenario)


def test_a_minor_is_revealed_only_with_somebody_elses_word(database_url: str) -> None:
    async def scenario(town: Town) -> None:
        parent, child, clerk, boss = await cast(town)
        answer = await reveal(town, officer(clerk), child, ["document", "name"])
        assert answer.status_code == 202, answer.text
        told = answer.json()
        assert (told["state"], told["values"]) == ("asked", None)
        assert answer.headers["location"] == f"/v1/identity/reveals/{told['id']}"
        path = f"/reveals/{told['id']}"
        assert (await town.call("GET", path, caller=officer(clerk))).json()["values"] is None
        (asked,) = await notices(town, "identity.reveal.asked")
        assert asked["holders"] == [boss.caller.holder_no]
        queue = (await town.call("GET", "/reveals?state=asked", caller=officer(boss, "manager"))).json()["items"]
        assert [(one["id"], one["person"]["name"]) for one in queue] == [(told["id"], "张*")]
        assert code_of(await town.call("POST", f"{path}/approve", {}, officer(clerk))) == (403, "not_allowed")
        promoted = officer(clerk, "manager")
        for word in ("approve", "deny"):
            body = {"reason": WHY} if word == "deny" else None
            assert code_of(await town.call("POST", f"{path}/{word}", body, promoted)) == (403, "not_by_yourself")
        allowed = await town.call("POST", f"{path}/approve", None, officer(boss, "manager"))
        assert (allowed.status_code, allowed.json()["state"], allowed.json()["values"]) == (200, "allowed", None)
        again = await town.call("POST", f"{path}/approve", None, officer(boss, "manager"))
        assert again.status_code == 200
        late = await town.call("POST", f"{path}/deny", {"reason": WHY}, officer(boss, "manager"))
        assert code_of(late) == (409, "already_recorded")
        seen = (await town.call("GET", path, caller=officer(clerk))).json()
        assert seen["values"]["document"]["number"] == CHILD
        (notice,) = await notices(town, "identity.person.revealed")
        assert parent.caller.holder_no in notice["holders"], "the guardian is told"
        acting = parent.caller._replace(acts_for=(ActsFor(uuid.UUID(child), 0, "", "guardian"),))
        ledger = (await town.call("GET", f"/people/{child}/ledger", caller=acting)).json()["items"]
        assert [one["action"] for one in ledger] == [
            "people.reveal",
            "people.reveal_allowed",
            "people.reveal_asked",
        ]
        assert ledger[0]["approved_by"] == "新*"
        await healthy(town)

    play(database_url, scenario)


def test_what_is_denied_or_forgotten_is_never_seen(database_url: str) -> None:
    async def scenario(town: Town) -> None:
        _, child, clerk, boss = await cast(town)
        first, second = [(await reveal(town, officer(clerk), child)).json()["id"] for _ in range(2)]
        chief = officer(boss, "manager")
        assert code_of(await town.call("POST", f"/reveals/{first}/deny", {}, chief)) == (422, "unprocessable")
        assert (await town.call("POST", f"/reveals/{first}/deny", {"reason": "事由不充分"}, chief)).json()[
            "state"
        ] == "denied"
        assert (await town.call("GET", f"/reveals/{first}", caller=officer(clerk))).json()["values"] is None
        await town.execute("UPDATE reveals SET made_at = now() - interval '2 days'")
        assert (await town.call("GET", f"/reveals/{second}", caller=officer(clerk))).json()["state"] == "over"
        assert code_of(await town.call("POST", f"/reveals/{second}/approve", None, chief)) == (409, "already_recorded")
        await healthy(town)

    play(database_url, scenario)


def test_nobody_decides_on_their_own_reveal_also_not_past_the_code(database_url: str) -> None:
    async def scenario(town: Town) -> None:
        _, child, clerk, boss = await cast(town)
        await reveal(town, officer(clerk), child)
        decided = "UPDATE reveals SET state = 'allowed', expires_at = now(), decided_at = now(), decided_by = {}, decided_person_id = {}"
        for by, person in (
            ("account_no", "$1::uuid"),
            (str(boss.caller.account_no), "coalesce(by_person_id, $1::uuid)"),
        ):
            with pytest.raises(asyncpg.CheckViolationError, match="nobody_decides_on_their_own_reveal"):
                await town.execute(decided.format(by, person), boss.caller.person_id)
        with pytest.raises(asyncpg.CheckViolationError, match="what_needs_approval_is_approved"):
            await town.execute("UPDATE reveals SET state = 'allowed', expires_at = now()")

    play(database_url, scenario)


def test_who_looks_at_too_many_needs_others_from_then_on(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LINLI_REVEALS_A_DAY", "2")

    async def scenario(town: Town) -> None:
        _, _, clerk, boss = await cast(town)
        await town.execute(
            "INSERT INTO regions (code, name, level) VALUES ('3304', '嘉兴市', 'city'), ('330424', '海盐县', 'county') "
            "ON CONFLICT DO NOTHING"
        )
        watchers = {boss.caller.holder_no}
        for n, (role, prefix) in enumerate((("auditor", "330411"), ("security", "3304"), ("auditor", "330424"))):
            one = (await town.login(f"1540000020{n}")).caller
            await town.execute(
                "INSERT INTO roles (account_no, role, prefix) VALUES ($1, $2, $3)", one.account_no, role, prefix
            )
            watchers |= {one.holder_no} if "330411".startswith(prefix) else set()
        people = [(await town.login(f"1540000010{n}")).caller.person_id for n in range(5)]
        for table in ("persons", "holders"):
            await town.execute(f"UPDATE {table} SET community = '330411105003'")
        answers = await asyncio.gather(*(reveal(town, officer(clerk), one) for one in people))
        assert sorted(one.status_code for one in answers) == [200, 200, 202, 202, 202], "also when all come at once"
        (many,) = await notices(town, "identity.reveals.exceeded")
        assert len(watchers) == 3
        assert set(many["holders"]) == watchers, "its manager, its auditor, its security, and no other region's"
        assert many["data"] == {"people": 3}
        again = next(one for one, answer in zip(people, answers, strict=True) if answer.status_code == 200)
        assert (await reveal(town, officer(clerk), again)).status_code == 202, "still beyond: two others in a day"
        await town.execute("UPDATE reveals SET made_at = now() - interval '25 hours'")
        assert (await reveal(town, officer(clerk), people[0])).status_code == 200, "a new day"
        await healthy(town)

    play(database_url, scenario)


def test_only_the_staff_of_the_region_may_ask_and_hears_what_is_wrong(database_url: str) -> None:
    async def scenario(town: Town) -> None:
        parent, child, clerk, _ = await cast(town)
        person = parent.caller.person_id
        assert code_of(await reveal(town, officer(clerk, prefix="330424"), person)) == (404, "not_there")
        for role in ("auditor", "administrator", "operator", "kitchen", "carer"):
            assert code_of(await reveal(town, officer(clerk, role), person)) == (404, "not_there"), role
        assert code_of(await reveal(town, clerk.caller, person)) == (404, "not_there")
        assert code_of(await reveal(town, parent.caller, person)) == (403, "not_allowed")
        acting = parent.caller._replace(acts_for=(ActsFor(uuid.UUID(child), 0, "", "guardian"),))
        assert code_of(await reveal(town, acting, child)) == (403, "not_allowed")
        assert code_of(await reveal(town, officer(clerk), uuid.uuid4())) == (404, "not_there")
        device = officer(clerk)._replace(person_id=None)
        assert code_of(await reveal(town, device, person)) == (403, "not_allowed")
        for bad in (
            {"fields": []},
            {"fields": ["secret"]},
            {"fields": ["phone", "phone"]},
            {"reason": "x"},
            {"reason": "x" * 500},
            {"reason": "four\x00five"},
            {"more": 1},
        ):
            assert code_of(await reveal(town, officer(clerk), person, **bad))[0] == 422, bad
        assert code_of(await town.call("GET", "/reveals", caller=parent.caller)) == (403, "not_allowed")
        assert code_of(await town.call("GET", "/reveals")) == (401, "not_known")
        assert await town.value("SELECT count(*) FROM reveals") == 0
        assert await town.value("SELECT count(*) FROM audit") == 0

    play(database_url, scenario)


def test_what_is_not_known_is_null(database_url: str) -> None:
    async def scenario(town: Town) -> None:
        _, _, clerk, boss = await cast(town)
        told = (await reveal(town, officer(boss, "manager"), clerk.caller.person_id, ALL)).json()
        assert told["values"]["document"] is None
        assert told["values"]["phone"] == OTHER
        assert ADULT_TOO not in str(told)

    play(database_url, scenario)
