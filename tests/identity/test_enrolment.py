"""A register of residents, written at once."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import date

import pytest

from services.demo.people import residents
from services.identity.actions import enrolment
from shared import clock, errors
from tests.identity.town import Town, play

HOMES = [("330411105003", 1.0), ("330411105204", 0.2)]


def test_everybody_gets_what_the_register_says(database_url: str) -> None:
    async def scenario(town: Town) -> None:
        register = list(residents(600, seed=7, communities=HOMES, today=clock.today()))
        enrolled = await town.root.run(enrolment.enrol, town.keys, register)
        assert len(enrolled) == len(register)
        async with town.root.transaction() as tx:
            rows = await tx.fetch(
                "SELECT h.id, h.no, h.name, h.born, h.community, h.level, h.household_no, x.community AS home, p.name AS own, "
                "p.document_last4 FROM holders h JOIN persons p USING (id) JOIN households x ON x.no = h.household_no"
            )
            relations = await tx.fetch("SELECT actor_id, person_id, kind FROM relations")
            accounts = {row["id"]: row for row in await tx.fetch("SELECT * FROM accounts")}
        found = {row["id"]: row for row in rows}
        assert len(found) == 600
        households: dict[int, set[int]] = {}
        for one, became in zip(register, enrolled, strict=True):
            row = found[became.person_id]
            assert (row["no"], row["name"], row["own"], row["born"]) == (became.holder_no, one.name, one.name, one.born)
            assert (row["community"], row["home"], row["level"]) == (one.community, one.community, 2)
            assert row["document_last4"] == one.document_number[-4:]
            households.setdefault(one.household, set()).add(row["household_no"])
        assert all(len(numbers) == 1 for numbers in households.values())
        assert len({next(iter(numbers)) for numbers in households.values()}) == len(households)

        first: dict[str, int] = {}
        for n, one in enumerate(register):
            if one.phone is not None:
                first.setdefault(one.phone, n)
        for n, (one, became) in enumerate(zip(register, enrolled, strict=True)):
            has_login = one.phone is not None and first[one.phone] == n
            assert (became.account_id is not None) == (became.account_no is not None) == has_login
            if became.account_id is not None:
                account = accounts[became.account_id]
                assert (account["no"], account["person_id"]) == (became.account_no, became.person_id)

        expected = {
            (a.person_id, b.person_id, "guardian")
            for parent, a in zip(register, enrolled, strict=True)
            for child, b in zip(register, enrolled, strict=True)
            if parent.household == child.household
            and parent.relation in ("head", "spouse")
            and child.born.replace(day=1).replace(year=child.born.year + 18) > clock.today().replace(day=1)
            and child.relation == "child"
        }
        assert expected
        assert {tuple(row) for row in relations} == expected

    play(database_url, scenario)


def test_an_enrolled_resident_logs_in_with_their_phone(database_url: str) -> None:
    async def scenario(town: Town) -> None:
        register = list(residents(60, seed=7, communities=HOMES, today=clock.today()))
        enrolled = await town.root.run(enrolment.enrol, town.keys, register)
        one, became = next((a, b) for a, b in zip(register, enrolled, strict=True) if b.account_no is not None)
        assert one.phone is not None
        login = await town.login(one.phone)
        assert (login.caller.account_no, login.caller.holder_no) == (became.account_no, became.holder_no)
        me = (await town.call("GET", "/me", caller=login.caller)).json()
        assert (me["person"]["name"], me["person"]["level"]) == (one.name, 2)
        assert me["person"]["document"] == {"kind": one.document_kind, "last4": one.document_number[-4:]}
        newcomer = await town.login("13800000000")
        refused = await town.real_name(newcomer, one.document_number, kind=one.document_kind)
        assert (refused.status_code, refused.json()["code"]) == (409, "document_taken")

    play(database_url, scenario)


def test_a_second_register_shares_phones_and_refuses_people_twice(database_url: str) -> None:
    async def scenario(town: Town) -> None:
        one, other = list(residents(2, seed=9, communities=HOMES, today=clock.today()))
        phone = "15400000009"
        await town.root.run(enrolment.enrol, town.keys, [replace(one, phone=phone)])
        (became,) = await town.root.run(enrolment.enrol, town.keys, [replace(other, phone=phone)])
        assert became.account_no is None
        with pytest.raises(errors.DocumentTaken):
            await town.root.run(enrolment.enrol, town.keys, [one])
        assert await town.value("SELECT count(*) FROM holders") == 2
        assert await town.root.run(enrolment.enrol, town.keys, []) == []

    play(database_url, scenario)


def test_two_elders_may_share_a_phone_and_it_logs_in_one_of_them_only(database_url: str) -> None:
    async def scenario(town: Town) -> None:
        one, other = list(residents(2, seed=9, communities=HOMES, today=clock.today()))
        phone = "15400000009"
        elders = [replace(who, phone=phone, born=date(1944, 5, 1), relation="head") for who in (one, other)]
        first, second = await town.root.run(enrolment.enrol, town.keys, elders)
        assert (first.account_no is None, second.account_no is None) == (False, True)
        reached = "SELECT count(*) FROM persons WHERE phone_sealed IS NOT NULL AND id = ANY($1::uuid[])"
        assert await town.value(reached, [first.person_id, second.person_id]) == 2
        login = await town.login(phone)
        assert login.caller.person_id == first.person_id
        me = (await town.call("GET", "/me", caller=login.caller)).json()
        assert (me["person"]["id"], me["acts_for"]) == (str(first.person_id), [])
        assert str(second.person_id) not in str(me)

    play(database_url, scenario)


def test_thousands_are_enrolled_at_once(database_url: str) -> None:
    async def scenario(town: Town) -> None:
        register = list(residents(4000, seed=1, communities=HOMES, today=clock.today()))
        made = await town.root.run(enrolment.enrol, town.keys, register)
        assert len({one.person_id for one in made}) == len(register)

    play(database_url, scenario)


def test_a_service_may_enrol_with_its_own_rights(database_url: str) -> None:
    async def scenario(town: Town) -> None:
        register = list(residents(20, seed=3, communities=HOMES, today=clock.today()))
        db = town.root.of("linli_identity")
        batches = [register[:10], [replace(one, household=one.household + 100) for one in register[10:]]]
        made = await asyncio.gather(*(db.run(enrolment.enrol, town.keys, batch) for batch in batches))
        assert [len(one) for one in made] == [10, 10]

    play(database_url, scenario)
