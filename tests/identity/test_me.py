"""Who I am, by which document, and whose guardian I am."""

from __future__ import annotations

import asyncio
import uuid
from datetime import date

from services.identity import rules
from services.identity.rules import check_digit
from shared import clock
from tests.identity.town import ADULT, ADULT_TOO, CHILD, Login, Town, play

PHONE, OTHER = "15400000001", "15400000002"


def number(born: date, sequence: int = 1) -> str:
    first17 = f"330411{born:%Y%m%d}{sequence:03d}"
    return first17 + check_digit(first17)


async def guardian(town: Town, phone: str = PHONE, document: str = ADULT) -> Login:
    login = await town.login(phone)
    assert (await town.real_name(login, document)).status_code == 200
    return login


def test_a_new_resident_is_known_by_phone_only(database_url: str) -> None:
    async def scenario(town: Town) -> None:
        login = await town.login(PHONE)
        answer = await town.call("GET", "/me", caller=login.caller)
        assert answer.status_code == 200
        assert answer.json() == {
            "person": {
                "id": str(login.caller.person_id),
                "name": "新居民",
                "community": "33",
                "level": 1,
                "document": None,
                "phone_masked": "154****0001",
            },
            "account": {"id": str(login.caller.account_id), "kind": "person"},
            "roles": [],
            "acts_for": [],
        }

    play(database_url, scenario)


def test_a_document_makes_a_resident_known(database_url: str) -> None:
    async def scenario(town: Town) -> None:
        login = await town.login(PHONE)
        # As it is typed on a phone: blanks, full-width digits, a small x.
        answer = await town.real_name(login, " 110105 19491231 ００２x", name=" 张三 ")
        assert answer.status_code == 200, answer.text
        person = answer.json()["person"]
        assert (person["name"], person["level"]) == ("张三", 2)
        assert person["document"] == {"kind": "resident_id", "last4": "002X"}
        async with town.root.transaction() as tx:
            rows = await tx.fetch(
                "SELECT h.name, h.born, h.level, p.name, p.born, p.level, p.sex, a.name FROM holders h "
                "JOIN persons p USING (id) JOIN accounts a ON a.person_id = p.id"
            )
        born = date(1949, 12, 31)
        assert [tuple(row) for row in rows] == [("张三", born, 2, "张三", born, 2, "female", "张三")]
        assert (await town.call("GET", "/me", caller=login.caller)).json() == answer.json()

    play(database_url, scenario)


def test_the_same_name_again_changes_nothing_and_another_is_refused(database_url: str) -> None:
    async def scenario(town: Town) -> None:
        login = await town.login(PHONE)
        first, again = await town.real_name(login, ADULT), await town.real_name(login, ADULT)
        assert (again.status_code, again.json()) == (200, first.json())
        for document, name in ((ADULT_TOO, "张三"), (ADULT, "李四")):
            refused = await town.real_name(login, document, name)
            assert (refused.status_code, refused.json()["code"]) == (409, "exists")
        assert (await town.call("GET", "/me", caller=login.caller)).json() == first.json()

    play(database_url, scenario)


WRONG = [
    ("resident_id", "11010519491231002A", "document_malformed"),
    ("resident_id", "110105491231002", "document_old_format"),
    ("resident_id", "110105194912310021", "document_check_digit"),
    ("resident_id", "110105194902300020", "document_date"),
    ("hk_mo_tw_residence", ADULT, "document_malformed"),
    ("none", "", "unprocessable"),
    ("none", "x", "unprocessable"),
    ("driving_licence", "12345678", "unprocessable"),
]


def test_a_wrong_document_is_refused_by_name_and_not_repeated(database_url: str) -> None:
    async def scenario(town: Town) -> None:
        login = await town.login(PHONE)
        for kind, told, code in WRONG:
            refused = await town.real_name(login, told, kind=kind)
            assert (refused.status_code, refused.json()["code"]) == (422, code)
            assert all(one["pointer"].startswith("/document/") for one in refused.json()["errors"])
            assert len(told) < 2 or told not in refused.text
        assert (await town.call("GET", "/me", caller=login.caller)).json()["person"]["level"] == 1

    play(database_url, scenario)


def test_of_two_who_bring_one_document_at_once_one_is_believed(database_url: str) -> None:
    async def scenario(town: Town) -> None:
        both = [await town.login(PHONE), await town.login(OTHER)]
        answers = await asyncio.gather(*(town.real_name(one, ADULT) for one in both))
        assert sorted(one.status_code for one in answers) == [200, 409]
        (refused,) = [one for one in answers if one.status_code == 409]
        assert refused.json()["code"] == "document_taken"
        assert await town.value("SELECT count(*) FROM persons WHERE level = 2") == 1
        assert await town.value("SELECT count(*) FROM holders WHERE level = 2") == 1

    play(database_url, scenario)


def test_without_the_constraint_both_would_be_believed(database_url: str) -> None:
    """The control."""

    async def scenario(town: Town) -> None:
        await town.execute("ALTER TABLE persons DROP CONSTRAINT one_person_per_document")
        both = [await town.login(PHONE), await town.login(OTHER)]
        answers = await asyncio.gather(*(town.real_name(one, ADULT) for one in both))
        assert [one.status_code for one in answers] == [200, 200]

    play(database_url, scenario)


def test_one_number_under_two_kinds_is_one_person(database_url: str) -> None:
    async def scenario(town: Town) -> None:
        await guardian(town)
        other = await town.login(OTHER)
        refused = await town.real_name(other, ADULT, kind="passport")
        assert (refused.status_code, refused.json()["code"]) == (409, "document_taken")

    play(database_url, scenario)


def test_a_child_joins_the_household_of_its_guardian(database_url: str) -> None:
    async def scenario(town: Town) -> None:
        login = await guardian(town)
        await town.execute("UPDATE persons SET community = '330411105003'")
        await town.execute("UPDATE holders SET community = '330411105003'")
        made = await town.child(login, CHILD)
        assert made.status_code == 201, made.text
        child = made.json()
        assert child == {
            "person": {"id": child["person"]["id"], "name": "张小"},
            "relation": "guardian",
            "services": None,
            "until": "2033-06-15T00:00:00+08:00",
            "level": "declared",
            "cap_fen": None,
        }
        assert made.headers["location"] == f"/v1/identity/me/family/{child['person']['id']}"
        read = await town.call("GET", f"/me/family/{child['person']['id']}", caller=login.caller)
        assert (read.status_code, read.json()) == (200, child)
        me = (await town.call("GET", "/me", caller=login.caller)).json()
        listed = (await town.call("GET", "/me/family", caller=login.caller)).json()
        assert me["acts_for"] == [child]
        assert listed == {"items": [child], "next": None}
        async with town.root.transaction() as tx:
            rows = await tx.fetch("SELECT household_no, community, level, born FROM holders ORDER BY no")
            communities = await tx.fetch("SELECT community FROM households")
        assert rows[0]["household_no"] == rows[1]["household_no"] is not None
        assert [row["community"] for row in communities] == ["330411105003"]
        assert tuple(rows[1])[1:] == ("330411105003", 2, date(2015, 6, 15))
        second = await town.child(login, number(date(2019, 1, 1)), "张二")
        assert second.status_code == 201
        assert await town.value("SELECT count(DISTINCT household_no) FROM holders") == 1
        first_page = (await town.call("GET", "/me/family?limit=1", caller=login.caller)).json()
        rest = (await town.call("GET", f"/me/family?cursor={first_page['next']}", caller=login.caller)).json()
        assert first_page["items"] + rest["items"] == [child, second.json()]

    play(database_url, scenario)


def test_the_same_child_again_is_the_same_and_anothers_child_is_refused(database_url: str) -> None:
    async def scenario(town: Town) -> None:
        login, other = await guardian(town), await guardian(town, OTHER, ADULT_TOO)
        first = await town.child(login, CHILD)
        again = await town.child(login, CHILD)
        assert (again.status_code, again.json()) == (201, first.json())
        refused = await town.child(other, CHILD)
        assert (refused.status_code, refused.json()["code"]) == (409, "document_taken")
        assert await town.value("SELECT count(*) FROM persons") == 3

    play(database_url, scenario)


def test_of_two_who_add_one_child_at_once_one_becomes_its_guardian(database_url: str) -> None:
    async def scenario(town: Town) -> None:
        both = [await guardian(town), await guardian(town, OTHER, ADULT_TOO)]
        answers = await asyncio.gather(*(town.child(one, CHILD) for one in both))
        assert sorted(one.status_code for one in answers) == [201, 409]
        assert await town.value("SELECT count(*) FROM relations") == 1
        assert await town.value("SELECT count(*) FROM holders") == 3

    play(database_url, scenario)


def test_only_a_verified_adult_adds_a_child(database_url: str) -> None:
    async def scenario(town: Town) -> None:
        unverified = await town.login(PHONE)
        refused = await town.child(unverified, CHILD)
        assert (refused.status_code, refused.json()["code"]) == (409, "verification_required")
        young = await guardian(town, OTHER, number(clock.today().replace(year=clock.today().year - 17, day=1)))
        refused = await town.child(young, CHILD)
        assert (refused.status_code, refused.json()["code"]) == (409, "verification_required")

    play(database_url, scenario)


def test_only_a_child_is_added_as_one(database_url: str) -> None:
    async def scenario(town: Town) -> None:
        login = await guardian(town)
        for document in (ADULT_TOO, number(date(clock.today().year - 18, 1, 1))):
            refused = await town.child(login, document)
            assert (refused.status_code, refused.json()["code"]) == (422, "unprocessable")
            assert refused.json()["errors"] == [{"in": "body", "pointer": "/document/number", "code": "not_a_child"}]
        body = {"name": "小明", "document": {"kind": "passport", "number": "E12345678"}, "relation": "child"}
        assert (await town.call("POST", "/me/family", body, login.caller)).status_code == 422

    play(database_url, scenario)


def test_the_eighteenth_birthday_ends_childhood() -> None:
    born = date(2008, 2, 29)
    assert not rules.is_adult(born, date(2026, 2, 28))
    assert rules.is_adult(born, date(2026, 3, 1))
    assert not rules.is_adult(None, date(2026, 3, 1))


def test_no_more_than_ten_children_are_added(database_url: str) -> None:
    async def scenario(town: Town) -> None:
        login = await guardian(town)
        answers = [await town.child(login, number(date(2015, 1, day))) for day in range(1, 12)]
        assert [one.status_code for one in answers] == [201] * 10 + [409]
        assert answers[-1].json()["code"] == "limit_reached"

    play(database_url, scenario)


def test_guardianship_ends_when_asked_and_only_ones_own(database_url: str) -> None:
    async def scenario(town: Town) -> None:
        login, other = await guardian(town), await guardian(town, OTHER, ADULT_TOO)
        child = (await town.child(login, CHILD)).json()["person"]["id"]
        for caller, path in ((other.caller, child), (login.caller, uuid.uuid4())):
            for method in ("GET", "DELETE"):
                assert (await town.call(method, f"/me/family/{path}", caller=caller)).status_code == 404
        ended = await town.call("DELETE", f"/me/family/{child}", caller=login.caller)
        assert (ended.status_code, ended.content) == (204, b"")
        assert (await town.call("DELETE", f"/me/family/{child}", caller=login.caller)).status_code == 404
        assert (await town.call("GET", "/me", caller=login.caller)).json()["acts_for"] == []
        assert await town.value("SELECT ends_at <= now() FROM relations")

    play(database_url, scenario)


def test_roles_in_force_and_proxies_are_told(database_url: str) -> None:
    async def scenario(town: Town) -> None:
        login, elder = await town.login(PHONE), await town.login(OTHER)
        await town.execute(
            "INSERT INTO roles (account_no, role, prefix, starts_at, ends_at) VALUES "
            "($1, 'manager', '330411105003', now(), NULL), ($1, 'staff', '33', now(), now() + interval '1 day'), "
            "($1, 'courier', '33', now() - interval '1 day', now() - interval '1 second')",
            login.caller.account_no,
        )
        await town.execute(
            "INSERT INTO relations (actor_id, person_id, kind, services, ends_at) "
            "VALUES ($1, $2, 'proxy', '{elder-meals}', '2999-01-01T00:00+08')",
            login.caller.person_id,
            elder.caller.person_id,
        )
        me = (await town.call("GET", "/me", caller=login.caller)).json()
        assert me["roles"] == [
            {"role": "manager", "region": "330411105003", "place_id": None},
            {"role": "staff", "region": "33", "place_id": None},
        ]
        (proxy,) = me["acts_for"]
        assert (proxy["relation"], proxy["services"], proxy["until"]) == (
            "proxy",
            ["elder-meals"],
            "2999-01-01T00:00:00+08:00",
        )
        assert (await town.call("GET", "/me/family", caller=login.caller)).json()["items"] == []

    play(database_url, scenario)


def test_a_device_has_an_account_and_no_person(database_url: str) -> None:
    async def scenario(town: Town) -> None:
        login = await town.login(PHONE)
        no = await town.value("INSERT INTO accounts (name, kind) VALUES ('闸机', 'device') RETURNING no")
        device = Login(login.caller._replace(account_no=no, person_id=None, session_id=None), "", "", {})
        me = (await town.call("GET", "/me", caller=device.caller)).json()
        assert (me["person"], me["account"]["kind"]) == (None, "device")
        assert (await town.real_name(device, ADULT)).status_code == 403
        assert (await town.call("GET", "/me/family", caller=device.caller)).json()["items"] == []
        assert (await town.call("DELETE", f"/me/family/{uuid.uuid4()}", caller=device.caller)).status_code == 404

    play(database_url, scenario)


def test_a_name_is_one_short_line(database_url: str) -> None:
    async def scenario(town: Town) -> None:
        login = await town.login(PHONE)
        for name in ("", "  ", "张\n三", "张\x00三", "张\x1b[31m", "张" * 81):
            assert (await town.real_name(login, ADULT, name)).status_code == 422
            assert (await town.child(login, CHILD, name)).status_code == 422

    play(database_url, scenario)


def test_documents_are_not_guessed_by_the_hundred(database_url: str) -> None:
    async def scenario(town: Town) -> None:
        # Outside a demo, whose allowance is for a room full of people.
        login = await guardian(town)
        answers = [await town.real_name(login, ADULT) for _ in range(20)]
        assert [one.status_code for one in answers] == [200] * 19 + [429]

    play(database_url, scenario, demo=False)


def test_no_number_and_no_phone_is_readable_anywhere(database_url: str) -> None:
    async def scenario(town: Town) -> None:
        login = await guardian(town)
        await town.child(login, CHILD)
        other = await town.login(OTHER)
        await town.real_name(other, CHILD)
        await town.real_name(other, ADULT_TOO[:-1] + "5")
        assert (await town.real_name(other, ADULT_TOO)).status_code == 200
        await town.refresh(other.refresh)
        await town.call("GET", "/me", caller=login.caller)
        await town.call("GET", "/me/family", caller=login.caller)
        await town.code(PHONE)
        async with town.root.transaction() as tx:
            tables = await tx.fetch(
                "SELECT oid::regclass::text FROM pg_class WHERE relkind = 'r' AND relnamespace = $1::regnamespace",
                "public",
            )
            dump = []
            for (table,) in tables:
                dump += [row[0] for row in await tx.fetch(f"SELECT t::text FROM {table} t")]
        assert len(dump) > 10
        everything = "\n".join([*dump, *town.answers]).lower()
        assert "张三" in everything  # the search would find what is there
        secrets = (PHONE, OTHER, ADULT, CHILD, ADULT_TOO)
        for form in [*secrets, *(one.encode().hex() for one in secrets), *(one[:14] for one in secrets[2:])]:
            assert form.lower() not in everything

    play(database_url, scenario)
