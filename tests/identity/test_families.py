"""Second guardians, what staff know of guardians, and how a guardianship ends."""

from __future__ import annotations

import asyncio
import uuid
from datetime import date, timedelta
from typing import Any

import asyncpg
import pytest

from services import doctor
from services.identity import rules, tasks
from services.identity.actions import families
from shared import clock
from shared.web import Context
from tests.identity.test_consents import HERE, OTHER, PHONE, THIRD, acting, code_of, staff
from tests.identity.test_me import number
from tests.identity.town import ADULT, ADULT_TOO, CHILD, Login, Town, play

THIRD_DOCUMENT = number(date(1985, 3, 4))


async def adult(town: Town, phone: str, document: str) -> Login:
    login = await town.login(phone)
    assert (await town.real_name(login, document)).status_code == 200
    for table in ("persons", "holders"):
        await town.execute(f"UPDATE {table} SET community = $1", HERE)
    return login


async def couple(town: Town) -> tuple[Login, Login, str]:
    """A mother with a child, and somebody else."""
    mother, other = await adult(town, PHONE, ADULT), await adult(town, OTHER, ADULT_TOO)
    made = await town.child(mother, CHILD)
    return mother, other, made.json()["person"]["id"]


async def invited(town: Town, who: Login, child: str) -> Any:
    answer = await town.call("POST", f"/me/family/{child}/invitations", caller=who.caller)
    assert answer.status_code == 201, answer.text
    return answer.json()


async def accept(town: Town, who: Login, code: str) -> Any:
    return await town.call("POST", "/me/family/accept", {"code": code}, who.caller)


async def healthy(town: Town) -> None:
    url = town.root.engine.url.set(drivername="postgresql").render_as_string(hide_password=False)
    assert [one for one in await doctor.examine(url) if one[1]] == []


async def notices(town: Town) -> list[str]:
    async with town.root.transaction() as tx:
        rows = await tx.fetch(
            "SELECT type || coalesce(' ' || (data->>'reason'), '') FROM notices "
            "WHERE type LIKE 'identity.guardian.%' OR type LIKE 'identity.proxy.%' ORDER BY no"
        )
    return [row[0] for row in rows]


async def work(town: Town, name: str) -> Any:
    (task,) = [one for one in tasks.TASKS if one.name == f"identity.{name}"]
    context = town.app.state["context"]
    assert isinstance(context, Context)
    return await task.run(context)


@pytest.mark.parametrize(
    ("born", "grown"),
    [
        (date(2008, 2, 29), date(2026, 3, 1)),
        (date(2010, 3, 1), date(2028, 3, 1)),
        (date(2010, 2, 28), date(2028, 2, 28)),
        (date(2008, 12, 31), date(2026, 12, 31)),
    ],
)
def test_the_tables_and_the_rules_agree_about_birthdays(database_url: str, born: date, grown: date) -> None:
    async def scenario(town: Town) -> None:
        assert rules.birthday(born, 18) == grown
        told = await town.value("SELECT birthday($1, 18)", born)
        assert told == clock.at(grown, clock.now().min.time())

    play(database_url, scenario)


def test_an_invitation_can_be_read_aloud_and_typed_as_one_likes() -> None:
    code = rules.spell_invitation((1 << 60) - 1 - 12345678901234567)
    assert len(code) == 14
    assert rules.read_invitation(code) == code
    assert rules.read_invitation(f" {code.lower().replace('-', ' ')} ") == code
    assert len({rules.spell_invitation(n) for n in range(500)}) == 500
    for wrong in ("", code[:-1], code[:-1] + "0", "一" * 12, "'; DROP"):
        assert rules.read_invitation(wrong) is None


def test_the_first_guardian_invites_and_the_second_accepts(database_url: str) -> None:
    async def scenario(town: Town) -> None:
        mother, father, child = await couple(town)
        invitation = await invited(town, mother, child)
        code = invitation["code"]
        assert code.replace("-", "") not in str(await town.value("SELECT string_agg(o::text, '') FROM offers o"))
        made = await accept(town, father, code.lower())
        assert made.status_code == 201, made.text
        assert (made.json()["person"]["id"], made.json()["relation"], made.json()["level"]) == (
            child,
            "guardian",
            "declared",
        )
        assert made.headers["location"] == f"/v1/identity/me/family/{child}"
        assert (await town.call("GET", f"/me/family/{child}", caller=father.caller)).json() == made.json()
        again = await accept(town, father, code)
        assert (again.status_code, again.json()) == (201, made.json()), "the same again is the same"
        third = await adult(town, THIRD, THIRD_DOCUMENT)
        assert code_of(await accept(town, third, code)) == (410, "gone")
        seen = await town.call("GET", f"/people/{child}/family", caller=acting(mother, child, "guardian").caller)
        assert [(one["person"]["name"], one["relation"]) for one in seen.json()["items"]] == [
            ("张三", "guardian"),
            ("张三", "guardian"),
        ]
        assert await notices(town) == ["identity.guardian.added"] * 2
        actions = "SELECT string_agg(action, ' ' ORDER BY no) FROM audit"
        assert await town.value(actions) == "guardians.invite guardians.accept"
        await healthy(town)

    play(database_url, scenario)


def test_an_invitation_is_for_a_day_for_others_and_one_at_a_time(database_url: str) -> None:
    async def scenario(town: Town) -> None:
        mother, father, child = await couple(town)
        first = (await invited(town, mother, child))["code"]
        second = (await invited(town, mother, child))["code"]
        assert code_of(await accept(town, father, first)) == (410, "gone")
        assert code_of(await accept(town, mother, second)) == (409, "exists")
        assert code_of(await accept(town, father, "ABCD-EFGH-JKLM")) == (404, "not_there")
        assert code_of(await accept(town, father, "x" * 41)) == (422, "unprocessable")
        await town.execute("UPDATE offers SET expires_at = now() WHERE answered_at IS NULL")
        assert code_of(await accept(town, father, second)) == (410, "gone")
        stranger = await town.call("POST", f"/me/family/{child}/invitations", caller=father.caller)
        assert code_of(stranger) == (404, "not_there")
        third = (await invited(town, mother, child))["code"]
        assert (await town.call("DELETE", f"/me/family/{child}", caller=mother.caller)).status_code == 204
        assert code_of(await accept(town, father, third)) == (410, "gone"), "who invited is no guardian any more"
        assert await town.value("SELECT count(*) FROM relations WHERE ends_at > now()") == 0

    play(database_url, scenario)


def test_only_a_verified_adult_accepts(database_url: str) -> None:
    async def scenario(town: Town) -> None:
        mother, _, child = await couple(town)
        code = (await invited(town, mother, child))["code"]
        nobody = await town.login(THIRD)
        assert code_of(await accept(town, nobody, code)) == (409, "verification_required")
        young = await town.login("15400000004")
        await town.real_name(young, number(clock.today().replace(year=clock.today().year - 17, day=1)))
        assert code_of(await accept(town, young, code)) == (409, "verification_required")
        assert code_of(await town.call("POST", "/me/family/accept", {"code": code})) == (401, "not_known")

    play(database_url, scenario)


def test_of_two_who_accept_one_invitation_at_once_one_becomes_a_guardian(database_url: str) -> None:
    async def scenario(town: Town) -> None:
        mother, father, child = await couple(town)
        third = await adult(town, THIRD, THIRD_DOCUMENT)
        for _ in range(5):
            code = (await invited(town, mother, child))["code"]
            answers = await asyncio.gather(*(accept(town, one, code) for one in (father, third)))
            assert sorted(one.status_code for one in answers) == [201, 410]
            (winner,) = [who for who, one in zip((father, third), answers, strict=True) if one.status_code == 201]
            await town.call("DELETE", f"/me/family/{child}", caller=winner.caller)
        await healthy(town)

    play(database_url, scenario)


async def _two_take_one_offer(town: Town, child: uuid.UUID, both: list[Login]) -> list[str]:
    """Two who look whether an invitation is open, and write when both have looked; what each was told."""
    offer = await town.value(
        "INSERT INTO offers (kind, person_id, by_account_no, expires_at, code_hash, code_ends_at) "
        "VALUES ('guardian', $1, $2, now() + interval '1 day', uuid_send(uuidv7()), now()) RETURNING id",
        child,
        both[0].caller.account_no,
    )
    looked = asyncio.Barrier(2)

    async def naive(who: Login) -> str:
        try:
            async with town.root.transaction() as tx:
                assert await tx.value("SELECT answered_at IS NULL FROM offers WHERE id = $1", offer)
                await looked.wait()
                await tx.execute(
                    "INSERT INTO relations (id, actor_id, person_id, kind) VALUES ($1, $2, $3, 'guardian')",
                    offer,
                    who.caller.person_id,
                    child,
                )
                await tx.execute("UPDATE offers SET answered_at = now() WHERE id = $1", offer)
        except asyncpg.UniqueViolationError as error:
            return str(error.as_dict()["constraint_name"])
        return "made"

    return sorted(await asyncio.gather(*(naive(one) for one in both)))


def test_control_whoever_looks_before_writing_takes_an_invitation_twice_without_its_referee(database_url: str) -> None:
    async def scenario(town: Town) -> None:
        _, father, child = await couple(town)
        third = await adult(town, THIRD, THIRD_DOCUMENT)
        both = [father, third]
        assert await _two_take_one_offer(town, uuid.UUID(child), both) == ["made", "relations_pkey"]
        await town.execute("DELETE FROM relations WHERE actor_id = ANY($1)", [one.caller.person_id for one in both])
        await town.execute("ALTER TABLE relations DROP CONSTRAINT relations_pkey CASCADE")
        assert await _two_take_one_offer(town, uuid.UUID(child), both) == ["made", "made"]

    play(database_url, scenario)


def test_evidence_is_kept_sealed_and_shown_by_its_last_four(database_url: str) -> None:
    async def scenario(town: Town) -> None:
        mother, clerk = await adult(town, PHONE, ADULT), staff(await adult(town, OTHER, ADULT_TOO))
        body = {
            "name": "张小",
            "document": {"kind": "resident_id", "number": CHILD},
            "relation": "child",
            "evidence": {"kind": "birth_certificate", "last4": "A123", "note": "原件已交"},
        }
        child = (await town.call("POST", "/me/family", body, mother.caller)).json()["person"]["id"]
        kept = await town.value("SELECT string_agg(r::text, '') FROM relations r")
        assert "A123" not in kept
        where = f"/people/{child}/family"
        (one,) = (await town.call("GET", where, caller=clerk.caller)).json()["items"]
        assert (one["evidence"], one["last4"], one["level"]) == ("birth_certificate", "A123", "declared")
        told = {"level": "confirmed", "evidence": {"kind": "seen", "note": "本人到场"}}
        put = await town.call("PUT", f"{where}/{mother.caller.person_id}", told, clerk.caller)
        assert (put.status_code, put.json()["level"], put.json()["evidence"]) == (200, "confirmed", "seen")
        own = (await town.call("GET", f"/me/family/{child}", caller=mother.caller)).json()
        assert own["level"] == "confirmed"
        for wrong in (
            {"level": "sworn", "evidence": {"kind": "seen"}},
            {"level": "checked"},
            {"level": "checked", "evidence": {"kind": "hearsay"}},
            {"level": "checked", "evidence": {"kind": "court", "last4": "12345"}},
        ):
            answer = await town.call("PUT", f"{where}/{mother.caller.person_id}", wrong, clerk.caller)
            assert code_of(answer) == (422, "unprocessable")
        body["evidence"] = {"kind": "seen"}
        assert code_of(await town.call("POST", "/me/family", body, mother.caller)) == (422, "unprocessable")
        other = await town.call("PUT", f"{where}/{clerk.caller.person_id}", told, clerk.caller)
        assert code_of(other) == (403, "not_allowed")
        assert code_of(await town.call("PUT", f"{where}/{uuid.uuid4()}", told, clerk.caller)) == (404, "not_there")
        await healthy(town)

    play(database_url, scenario)


def test_staff_enter_a_second_guardian(database_url: str) -> None:
    async def scenario(town: Town) -> None:
        mother, father, child = await couple(town)
        clerk = staff(await adult(town, THIRD, THIRD_DOCUMENT))
        told = {
            "guardian": str(father.caller.person_id),
            "level": "checked",
            "evidence": {"kind": "household_register", "last4": "0042"},
        }
        made = await town.call("POST", f"/people/{child}/family", told, clerk.caller)
        assert (made.status_code, made.json()["level"], made.json()["last4"]) == (201, "checked", "0042")
        assert code_of(await town.call("POST", f"/people/{child}/family", told, clerk.caller)) == (409, "exists")
        unknown = told | {"guardian": str(uuid.uuid4())}
        assert code_of(await town.call("POST", f"/people/{child}/family", unknown, clerk.caller)) == (404, "not_there")
        me = told | {"guardian": str(clerk.caller.person_id)}
        assert code_of(await town.call("POST", f"/people/{child}/family", me, clerk.caller)) == (403, "not_allowed")
        assert mother.caller.person_id is not None
        grown = f"/people/{mother.caller.person_id}/family"
        assert code_of(await town.call("POST", grown, told, clerk.caller)) == (422, "unprocessable")
        minor = told | {"guardian": child}
        assert code_of(await town.call("POST", f"/people/{child}/family", minor, clerk.caller)) == (
            409,
            "verification_required",
        )
        await healthy(town)

    play(database_url, scenario)


def test_a_child_has_so_many_guardians_and_no_more(database_url: str) -> None:
    async def scenario(town: Town) -> None:
        mother, _, child = await couple(town)
        for n in range(families.MOST_GUARDIANS - 1):
            who = await adult(town, f"1540000010{n}", number(date(1980 + n, 5, 6)))
            assert (await accept(town, who, (await invited(town, mother, child))["code"])).status_code == 201
        full = await town.call("POST", f"/me/family/{child}/invitations", caller=mother.caller)
        assert code_of(full) == (409, "limit_reached")

    play(database_url, scenario)


def test_a_child_that_somebody_else_registered_cannot_be_had_by_its_number(database_url: str) -> None:
    async def scenario(town: Town) -> None:
        mother, father, child = await couple(town)
        code = (await invited(town, mother, child))["code"]
        await accept(town, father, code)
        clerk = staff(await adult(town, THIRD, THIRD_DOCUMENT))
        why = {"reason": "判决", "document": "1234"}
        path = f"/people/{child}/family/{father.caller.person_id}/bar"
        assert (await town.call("POST", path, why, clerk.caller)).status_code == 200
        assert code_of(await town.child(father, CHILD)) == (409, "document_taken")
        assert (await town.call("GET", "/me", caller=father.caller)).json()["acts_for"] == []
        assert (await town.call("GET", "/me/family", caller=father.caller)).json()["items"] == []
        await healthy(town)

    play(database_url, scenario)


def test_guardianship_is_over_with_the_eighteenth_birthday_whatever_runs_late(database_url: str) -> None:
    async def scenario(town: Town) -> None:
        mother, _, child = await couple(town)
        today = clock.today()
        born = date(today.year - 18, today.month, today.day) if (today.month, today.day) != (2, 29) else today
        tomorrows = born + timedelta(days=1)
        for day, left in ((tomorrows, 1), (born, 0)):
            for table in ("holders", "persons"):
                await town.execute(f"UPDATE {table} SET born = $2 WHERE id = $1", uuid.UUID(child), day)
            me = (await town.call("GET", "/me", caller=mother.caller)).json()
            assert len(me["acts_for"]) == left
            if left:
                assert me["acts_for"][0]["until"] == f"{today + timedelta(days=1)}T00:00:00+08:00"
        assert "identity.guardian.ended grown" not in await notices(town), "nothing ran yet"
        assert await work(town, "end_relations") == 1
        assert await work(town, "end_relations") == 0
        assert (await notices(town))[-1] == "identity.guardian.ended grown"
        await healthy(town)

    play(database_url, scenario)


def test_a_birth_date_that_is_put_right_puts_the_end_right(database_url: str) -> None:
    async def scenario(town: Town) -> None:
        mother, _, child = await couple(town)
        for table in ("holders", "persons"):
            await town.execute(f"UPDATE {table} SET born = '2016-02-29' WHERE id = $1", uuid.UUID(child))
        told = (await town.call("GET", f"/me/family/{child}", caller=mother.caller)).json()
        assert told["until"] == "2034-03-01T00:00:00+08:00"

    play(database_url, scenario)


def test_control_the_tables_refuse_the_guardian_of_an_adult_and_let_them_in_without_their_referee(
    database_url: str,
) -> None:
    async def scenario(town: Town) -> None:
        mother, father, _ = await couple(town)
        wish = "INSERT INTO relations (actor_id, person_id, kind) VALUES ($1, $2, 'guardian')"
        pair = (mother.caller.person_id, father.caller.person_id)
        with pytest.raises(asyncpg.CheckViolationError, match="guardian of an adult"):
            await town.execute(wish, *pair)
        await town.execute("ALTER TABLE relations DISABLE TRIGGER USER")
        await town.execute(wish, *pair)
        with pytest.raises(AssertionError):
            await healthy(town)

    play(database_url, scenario)
