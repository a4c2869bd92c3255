"""Passwords of staff: what one may be, who may set one, and how guessing is slowed down without locking anybody out."""

from __future__ import annotations

import asyncio
import re
import unicodedata
from datetime import timedelta

import argon2
import pytest

from services import doctor
from services.identity import passwords
from shared import errors
from shared.crypto import Keyring
from shared.settings import Settings
from tests.identity.staffroom import PASSWORD, Desk, act, asking, at_the_desk, said

NEW = "an entirely new one 马上"


@pytest.mark.parametrize(
    ("password", "why"),
    [
        ("", "too_short"),
        ("seven77", "too_short"),
        ("x" * 129, "too_long"),
        ("with a \x00 in it", "unreadable"),
        ("with a \x07 in it", "unreadable"),
        ("qwertyuiop", "too_common"),
        ("QwertyUIOP", "too_common"),
        ("1qaz2wsx", "too_common"),
        ("drowssap1"[::-1], "too_common"),
        ("13800138000", "too_common"),
        ("19870512", "too_common"),
        ("11010519491231002X", "too_common"),
        ("aaaaaaaaaaaa", "too_common"),
        ("abcabcabcabc", "too_common"),
        ("abcdefghij", "too_common"),
        ("9876543210", "too_common"),
        ("linli2026", "too_common"),
        ("邻里社区邻里社区1", "too_common"),
        ("zhou.min123", "too_common"),
        ("linli-demo-manager", None),
        ("correct horse battery", None),
        ("五月的雨落在屋檐", None),
        ("\U0001fae9 is newer than we are", None),
        (" spaces count ", None),
        ("x7#Kp2mQ", None),
    ],
)
def test_a_password_is_long_and_nobody_thinks_of_it_first(password: str, why: str | None) -> None:
    assert passwords.fault(password, "zhou.min") == why


def test_three_thousand_common_passwords_are_known() -> None:
    assert len(passwords._common()) >= 3000
    assert min(map(len, passwords._common())) >= passwords.LEAST


def test_a_hash_costs_what_it_should_also_where_nobody_has_the_name() -> None:
    for kept in (asyncio.run(passwords.keep(NEW)), passwords._NOBODYS):
        told = argon2.extract_parameters(kept)
        assert told.type is argon2.Type.ID
        assert told.memory_cost >= 46 * 1024
        assert (told.time_cost, told.parallelism) == (1, 1)


def test_a_password_is_the_same_however_it_is_composed() -> None:
    typed = "café crème brûlée"
    kept = asyncio.run(passwords.keep(unicodedata.normalize("NFD", typed)))
    assert asyncio.run(passwords.verify(kept, unicodedata.normalize("NFC", typed)))
    assert not asyncio.run(passwords.verify(kept, typed.replace("é", "e")))
    assert not asyncio.run(passwords.verify(None, typed))


def test_a_crowd_with_passwords_waits_its_turn_and_is_bounded() -> None:
    async def crowd() -> list[object]:
        many = passwords.AT_ONCE + passwords.WAITING + 5
        return await asyncio.gather(*(passwords.verify(None, "x") for _ in range(many)), return_exceptions=True)

    answers = asyncio.run(crowd())
    assert sum(isinstance(one, errors.Unavailable) for one in answers) == 5
    assert passwords._asked == 0


def test_pauses_grow_to_a_quarter_of_an_hour() -> None:
    pauses = [passwords.pause(failures).total_seconds() for failures in range(-3, 15)]
    assert pauses == [0, 0, 0, 0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900, 900, 900]
    assert passwords.pause(10**9) == timedelta(seconds=900)


def test_an_office_that_mistypes_all_year_is_forgiven_as_it_goes() -> None:
    failures, rest = 0, timedelta(0)
    for minutes in (7, 13, 4, 9, 20) * 50:
        failures, rest = passwords.remembered(failures, rest + timedelta(minutes=minutes), passwords.FORGIVES_ADDRESS)
        failures += 1
        assert failures <= passwords.FREE
    assert passwords.remembered(7, timedelta(minutes=13), passwords.FORGIVES_ADDRESS) == (5, timedelta(minutes=1))
    assert passwords.remembered(2, timedelta(minutes=12), passwords.FORGIVES_ADDRESS) == (0, timedelta(0))


def test_a_name_that_nobody_has_costs_a_hash_as_well(
    database_url: str, keys: Keyring, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    hashed = []
    matches = passwords._matches
    monkeypatch.setattr(passwords, "_matches", lambda kept, told: hashed.append(kept) or matches(kept, told))

    async def play(desk: Desk) -> None:
        desk.staff("zhou.min")
        desk.town.do("DELETE FROM passwords")  # invited, and no password yet
        for name in ("zhou.min", "nobody", "", "x" * 5000):
            assert (await desk.log_in(asking(), name, "wrong")).status_code == 400

    act(database_url, keys, settings, play)
    assert hashed == [passwords._NOBODYS] * 4


@at_the_desk()
async def test_when_too_many_wait_for_a_hash_one_is_told_to_come_back_and_no_try_is_counted(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(passwords, "_asked", passwords.AT_ONCE + passwords.WAITING)
    answer = await desk.log_in(asking(), "zhou.min", "wrong")
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "2")
    assert said(answer) == "Please wait 2 seconds and try again."
    assert desk.town.one("SELECT count(*) FROM login_delays") == 0


@at_the_desk()
async def test_after_a_wrong_password_the_right_one_must_wait_and_then_works(desk: Desk) -> None:
    desk.staff("zhou.min")
    for failures in range(1, 5):
        assert (await desk.log_in(asking(), "zhou.min", "wrong")).status_code == 400
        until = desk.town.one("SELECT max(until) FROM login_delays")
        for _ in range(3):  # tries that come too early do not make it longer
            early = await desk.log_in(asking(), "zhou.min")
            assert early.status_code == 429
            assert 1 <= int(early.headers["retry-after"]) <= 2 ** (failures - 1)
            assert re.fullmatch(r"Please wait \d+ seconds and try again.", said(early))
        assert desk.town.one("SELECT max(until) FROM login_delays") == until
        desk.wait()
    told = desk.town.all("SELECT data FROM audit WHERE action = 'staff.login_failed' ORDER BY no")
    assert told == [({"tries": n},) for n in range(1, 5)]
    assert (await desk.log_in(asking(), "zhou.min")).status_code == 303
    assert (await desk.log_in(asking(), "zhou.min", "wrong")).status_code == 400
    assert desk.town.one("SELECT max(until) <= now() + interval '1 second' FROM login_delays")


@at_the_desk()
async def test_the_first_wrong_password_costs_a_second(desk: Desk) -> None:
    desk.staff("zhou.min")
    assert (await desk.log_in(asking(), "zhou.min", "wrong")).status_code == 400
    await asyncio.sleep(1.05)
    assert (await desk.log_in(asking(), "zhou.min")).status_code == 303


@at_the_desk()
async def test_of_twenty_guesses_at_once_one_is_looked_at(desk: Desk) -> None:
    desk.staff("zhou.min")
    page = await desk.open(asking())
    answers = await asyncio.gather(*(desk.submit(page, username="zhou.min", password=f"guess {n}") for n in range(20)))
    assert sorted(one.status_code for one in answers) == [400] + [429] * 19


@at_the_desk()
async def test_without_the_count_in_advance_every_guess_would_be_looked_at(desk: Desk) -> None:
    """The control: the same crowd where nothing that is counted stays."""

    desk.staff("zhou.min")
    desk.town.do(
        "CREATE FUNCTION forget() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.until = now(); RETURN NEW; END $$"
    )
    desk.town.do("CREATE TRIGGER forgets BEFORE UPDATE ON login_delays FOR EACH ROW EXECUTE FUNCTION forget()")
    page = await desk.open(asking())
    answers = await asyncio.gather(*(desk.submit(page, username="zhou.min", password=f"guess {n}") for n in range(10)))
    assert [one.status_code for one in answers].count(400) > 1


@at_the_desk()
async def test_an_address_that_guesses_many_names_waits_too_and_an_office_does_not(desk: Desk) -> None:
    desk.staff("zhou.min")
    for _ in range(2 * passwords.FREE):
        assert (await desk.log_in(asking(), "zhou.min")).status_code == 303
    statuses = [(await desk.log_in(asking(), f"nobody {n}", "wrong")).status_code for n in range(passwords.FREE + 3)]
    assert statuses == [400] * (passwords.FREE + 1) + [429] * 2
    assert (await desk.log_in(asking(), "zhou.min")).status_code == 429


@at_the_desk()
async def test_tries_are_forgotten_in_a_day(desk: Desk) -> None:
    desk.staff("zhou.min")
    for _ in range(4):
        await desk.log_in(asking(), "zhou.min", "wrong")
        desk.wait()
    desk.town.do("UPDATE login_delays SET tried_at = tried_at - interval '25 hours'")
    await desk.log_in(asking(), "zhou.min", "wrong")
    assert desk.town.all("SELECT DISTINCT failures FROM login_delays") == [(1,)]


def test_a_demo_password_opens_nothing_outside_a_demo(database_url: str, keys: Keyring, settings: Settings) -> None:
    password = passwords.demo("manager")

    async def in_a_demo(desk: Desk) -> None:
        desk.staff("manager", password=password)
        assert (await desk.log_in(asking(), "manager", password)).status_code == 303

    async def elsewhere(desk: Desk) -> None:
        answer = await desk.log_in(asking(), "manager", password)
        assert (answer.status_code, said(answer)) == (400, "The name or the password is wrong.")

    act(database_url, keys, settings, in_a_demo)
    act(database_url, keys, settings.model_copy(update={"demo": False}), elsewhere)


# Changing one's own


@at_the_desk()
async def test_changing_a_password_needs_the_one_before_and_ends_the_other_sessions(desk: Desk) -> None:
    desk.staff("zhou.min")
    here, there = await desk.session("zhou.min"), await desk.session("zhou.min")
    token = here["access_token"]
    body = {"current": "wrong", "new": NEW}
    refused = await desk.api("PUT", "/me/password", token, body)
    assert (refused.status_code, refused.json()["errors"][0]["pointer"]) == (422, "/current")
    body["current"] = PASSWORD
    early = await desk.api("PUT", "/me/password", token, body)
    assert (early.status_code, early.headers["retry-after"]) == (429, "1")
    desk.wait()
    weak = await desk.api("PUT", "/me/password", token, {**body, "new": "qwertyuiop"})
    assert (weak.status_code, weak.json()["errors"]) == (
        422,
        [{"in": "body", "pointer": "/new", "code": "too_common"}],
    )
    assert (await desk.api("PUT", "/me/password", token, body)).status_code == 204
    assert (await desk.log_in(asking(), "zhou.min")).status_code == 400
    desk.wait()
    assert (await desk.log_in(asking(), "zhou.min", NEW)).status_code == 303
    for session, status in ((here, 200), (there, 400)):
        answer = await desk.exchange(grant_type="refresh_token", refresh_token=session["refresh_token"])
        assert answer.status_code == status


@at_the_desk()
async def test_who_has_no_password_has_none_to_change(desk: Desk, keys: Keyring) -> None:
    (resident,) = desk.town.residents(1)
    body = {"current": PASSWORD, "new": NEW}
    assert (await desk.api("PUT", "/me/password", resident.token(keys), body)).status_code == 404
    assert (await desk.http.put("/v1/identity/me/password", json=body)).status_code == 401
    for bad in ({"current": "x"}, {**body, "new": "x" * 600}, {**body, "more": 1}, {**body, "new": 5}):
        assert (await desk.api("PUT", "/me/password", resident.token(keys), bad)).status_code == 422


# Invitations


async def accept(desk: Desk, name: str, code: str, password: str = NEW, again: str | None = None) -> tuple[int, str]:
    page = await desk.http.get("/oauth/invitation", headers={"Accept-Language": "en"})
    answer = await desk.submit(
        page, username=name, code=code, password=password, again=password if again is None else again
    )
    return answer.status_code, said(answer)


@at_the_desk()
async def test_an_invitation_sets_a_password_once(desk: Desk, keys: Keyring, settings: Settings) -> None:
    (boss, someone) = desk.town.residents(2)
    desk.town.appoint(boss, "administrator", "330411")
    desk.town.appoint(someone, "manager", "330411105")
    body = {"person": str(someone.person_id), "name": "Zhou.Min"}
    made = await desk.api("POST", "/staff", boss.token(keys), body)
    assert made.status_code == 201, made.text
    told = made.json()
    assert told["page"] == settings.public_url + "/oauth/invitation"
    assert told["account"] == str(someone.account_id)
    code = told["code"]
    assert len(code.replace("-", "")) * 5 >= 128
    assert code not in str(desk.town.all("SELECT * FROM invitations"))

    assert await accept(desk, "zhou.min", "wrong-code") == (
        400,
        "The name or the code is wrong, or the code is over.",
    )
    assert (await accept(desk, "somebody", code))[0] == 400
    assert await accept(desk, "zhou.min", code, "qwertyuiop") == (
        400,
        "Others would guess this password first. Take several words that do not belong together.",
    )
    assert (await accept(desk, "zhou.min", code, NEW, "another one"))[1] == "The two passwords differ."
    assert (await accept(desk, "zhou.min", code.upper().replace("-", " ")))[0] == 200
    assert (await accept(desk, "zhou.min", code))[0] == 400
    assert (await desk.log_in(asking(), "zhou.min", NEW)).status_code == 303
    assert desk.town.all("SELECT action, account_no, person_id FROM audit ORDER BY no") == [
        ("invitation.made", boss.account_no, someone.person_id),
        ("password.set", someone.account_no, None),
    ]


@at_the_desk()
async def test_of_many_who_use_an_invitation_at_once_one_sets_the_password(desk: Desk, keys: Keyring) -> None:
    (boss,) = desk.town.residents(1)
    desk.town.appoint(boss, "administrator", "33")
    someone = desk.staff("zhou.min")
    made = await desk.api("POST", "/staff", boss.token(keys), {"account": str(someone.account_id)})
    code = made.json()["code"]
    page = await desk.http.get("/oauth/invitation")
    answers = await asyncio.gather(
        *(
            desk.submit(page, username="zhou.min", code=code, password=f"{NEW} {n}", again=f"{NEW} {n}")
            for n in range(5)
        )
    )
    assert sorted(one.status_code for one in answers) == [200, 400, 400, 400, 400]


@at_the_desk()
async def test_a_reset_ends_every_session_and_voids_the_invitation_before(desk: Desk, keys: Keyring) -> None:
    (boss,) = desk.town.residents(1)
    desk.town.appoint(boss, "administrator", "33")
    someone = desk.staff("zhou.min")
    session = await desk.session("zhou.min")
    first, newest = [
        (await desk.api("POST", "/staff", boss.token(keys), {"account": str(someone.account_id)})).json()["code"]
        for _ in range(2)
    ]
    assert (await accept(desk, "zhou.min", first))[0] == 400
    assert (await accept(desk, "zhou.min", newest))[0] == 200
    answer = await desk.exchange(grant_type="refresh_token", refresh_token=session["refresh_token"])
    assert answer.status_code == 400
    assert (await desk.log_in(asking(), "zhou.min")).status_code == 400


@at_the_desk()
async def test_an_invitation_is_over_in_a_day(desk: Desk, keys: Keyring) -> None:
    (boss,) = desk.town.residents(1)
    desk.town.appoint(boss, "administrator", "33")
    someone = desk.staff("zhou.min")
    made = await desk.api("POST", "/staff", boss.token(keys), {"account": str(someone.account_id)})
    desk.town.do("UPDATE invitations SET expires_at = expires_at - interval '24 hours'")
    assert (await accept(desk, "zhou.min", made.json()["code"]))[0] == 400


@at_the_desk()
async def test_who_may_be_invited_by_whom(desk: Desk, database_url: str, keys: Keyring) -> None:
    boss, peer, above, elsewhere, resident = desk.town.residents(5)
    desk.town.appoint(boss, "administrator", "330411")
    desk.town.appoint(peer, "manager", "330411105")
    desk.town.appoint(above, "manager", "330411105")
    desk.town.appoint(above, "administrator", "33")
    desk.town.appoint(elsewhere, "manager", "330424101")

    async def status(who: str, whom: str, name: str | None = None) -> int:
        body = {"account": whom, **({"name": name} if name else {})}
        return (await desk.api("POST", "/staff", who, body)).status_code

    token = boss.token(keys)
    assert await status(token, str(peer.account_id), "peer") == 201
    assert await status(token, str(peer.account_id)) == 201
    assert await status(token, str(above.account_id), "above") == 403, "power over those above would be power above"
    assert await status(token, str(elsewhere.account_id), "elsewhere") == 404
    assert await status(token, str(resident.account_id), "resident") == 404, "nobody logs in as a resident"
    assert await status(token, "00000000-0000-0000-0000-000000000000", "nobody") == 404
    assert await status(peer.token(keys), str(boss.account_id)) == 403
    assert await status(token, str(boss.account_id), "boss") == 403, "one's own password is changed with the old one"
    assert await status(resident.token(keys), str(boss.account_id)) == 403
    desk.town.appoint(elsewhere, "kitchen", "330411105")
    assert await status(above.token(keys), str(boss.account_id)) == 422, "a name is needed the first time"
    assert await status(above.token(keys), str(boss.account_id), "PEER") == 409
    assert await status(above.token(keys), str(boss.account_id), "boss") == 201
    for body in ({}, {"account": "x"}, {"account": str(peer.account_id), "person": str(peer.person_id)},
                 {"account": str(peer.account_id), "name": "a b"}, {"account": str(peer.account_id), "name": "\x00\x00"}):  # fmt: skip
        assert (await desk.api("POST", "/staff", token, body)).status_code == 422
    watches, secures = desk.town.residents(2)
    desk.town.appoint(watches, "auditor", "330411")
    assert await status(token, str(watches.account_id), "watches") == 404, "who is looked at invites no auditor"
    desk.town.do("ALTER TABLE roles DROP CONSTRAINT role_known")
    desk.town.appoint(secures, "security", "33")
    assert await status(secures.token(keys), str(watches.account_id), "watches") == 201
    assert await status(secures.token(keys), str(peer.account_id)) == 404
    assert [one for one in await doctor.examine(database_url) if one[1]] == []
    assert (await desk.http.post("/v1/identity/staff", json={"account": str(peer.account_id)})).status_code == 401
