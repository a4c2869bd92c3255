"""People ask for a copy, a correction or an end of what is known of them, and get it in time."""

from __future__ import annotations

import asyncio
import csv
import io
import json
import uuid
import zipfile
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from typing import Any

import asyncpg
import pytest

from services import SERVICES
from services.gateway import tasks as gateway_tasks
from services.identity import archives, rules, sealing, tasks
from shared import clock
from shared.assertion import ActsFor, Caller
from shared.crypto import Keyring
from shared.settings import Settings
from shared.web import Context
from tests.gateway.test_front import Front, examined, opened
from tests.identity.test_consents import adult, code_of, healthy
from tests.identity.test_reveals import WHY, cast, notices, officer
from tests.identity.town import ADULT, ADULT_TOO, CHILD, Login, Town, play
from tests.town import Resident

ME = "/v1/identity/me"


@pytest.fixture
def front(database_url: str, keys: Keyring, settings: Settings) -> Iterator[Front]:
    """The whole town behind a gateway."""
    with opened(database_url, keys, settings) as made:
        yield made


def context(front: Front) -> Context:
    """As the worker gives it to identity."""
    parts = front.parts
    return Context(parts.db.of("linli_identity"), parts.keys, parts.settings, rights=gateway_tasks.People(parts))


def work(front: Front, task: Any) -> int:
    return int(front.runner.run(task(context(front))))


def known(front: Front, who: Resident) -> None:
    """Give a resident a document and a phone, sealed as enrolment does."""
    phone = rules.normalise_phone("15400000042")
    document = rules.read_document(rules.DocumentKind.RESIDENT_ID, ADULT, today=clock.today())
    front.town.do(
        "UPDATE persons SET phone_sealed = %s, document_sealed = %s, document_index = %s, document_kind = 'resident_id', "
        "document_last4 = '002X', sex = 'female' WHERE id = %s",
        *(
            sealing.phone(front.keys, phone, who.person_id),
            sealing.document(front.keys, document, who.person_id),
            sealing.document_index(front.keys, document),
            who.person_id,
        ),
    )


# ---------------------------------------------------------------- a copy


def test_a_copy_tells_all_that_every_service_knows(front: Front) -> None:
    someone, other = front.town.residents(2)
    known(front, someone)
    slot = front.town.slot()
    booked = front.book(someone, slot, note="=HYPERLINK(1)")
    assert booked.status_code == 201, booked.text
    assert front.book(other, slot, note="somebody else's").status_code == 201
    asked = front.ask("POST", f"{ME}/export", someone)
    assert asked.status_code == 202, asked.text
    where = asked.headers["location"]
    assert front.ask("POST", f"{ME}/export", someone).json()["id"] == asked.json()["id"], "one at a time"
    assert front.get(where, someone).json()["archive"] is None
    assert front.get(f"{where}/archive", someone).status_code == 404, "not made yet"
    assert work(front, tasks.export) == 1
    assert work(front, tasks.export) == 0
    done = front.get(where, someone).json()
    assert done["state"] == "done"
    for path in (where, done["archive"]["href"]):
        assert front.get(path, other).status_code == 404
        assert front.get(path).status_code == 401
    answer = front.get(done["archive"]["href"], someone)
    assert answer.headers["content-type"] == "application/zip"
    assert answer.headers["cache-control"] == "no-store"
    archive = zipfile.ZipFile(io.BytesIO(answer.content))
    assert archive.testzip() is None
    told = json.loads(archive.read("data.json"))["services"]
    assert told["identity"]["person"][0]["document"] == ADULT
    assert told["identity"]["person"][0]["phone"] == "8615400000042"
    assert told["ledger"]["claims"][0]["state"] == "confirmed"
    assert told["booking"]["reservations"][0]["note"] == "=HYPERLINK(1)"
    assert set(told) == {"ledger"} | {one.name for one in SERVICES if one.exports}
    assert "somebody else's" not in archive.read("data.json").decode()
    rows = list(csv.DictReader(io.StringIO(archive.read("booking/reservations.csv").decode("utf-8-sig"))))
    assert rows[0]["note"] == "'=HYPERLINK(1)", "no formula"
    assert someone.name in archive.read("index.html").decode()
    sealed = front.town.one("SELECT sealed FROM archives")
    assert b"PK" not in bytes(sealed)[:40]
    front.town.do("UPDATE archives SET expires_at = now()")
    assert front.get(done["archive"]["href"], someone).status_code == 410
    assert examined(front) == []


def test_one_whose_data_cannot_be_read_keeps_nobody_else_waiting(front: Front) -> None:
    first, second = front.town.residents(2)
    known(front, first)
    front.town.do("UPDATE persons SET phone_sealed = '\\x0102' WHERE id = %s", first.person_id)
    for one in (first, second):
        assert front.ask("POST", f"{ME}/export", one).status_code == 202
    assert work(front, tasks.export) == 1
    states = [front.get(f"{ME}/requests", one).json()["items"][0]["state"] for one in (first, second)]
    assert states == ["asked", "done"]


def test_words_in_an_archive_do_no_harm() -> None:
    bad = "<script>alert(1)</script>"
    found = {"s": {"t": [{"a": bad, "b": " =1", "c": None, "d": clock.now(), "e": b"x"}], "empty": []}}
    archive = zipfile.ZipFile(io.BytesIO(archives.packed(found, clock.now())))
    assert bad not in archive.read("index.html").decode()
    assert archive.namelist() == ["data.json", "s/t.csv", "index.html"]
    (row,) = csv.DictReader(io.StringIO(archive.read("s/t.csv").decode("utf-8-sig")))
    assert row["b"] == "' =1", "no formula, also behind blanks"


# ---------------------------------------------------------------- an end


def test_who_is_closed_is_forgotten_and_the_books_stay_right(front: Front) -> None:
    someone, waiting = front.town.residents(2)
    known(front, someone)
    slot, past = front.town.slot(capacity=1), front.town.slot(hour=12)
    mine, old = front.book(someone, slot, note="my note"), front.book(someone, past)
    assert (mine.status_code, old.status_code) == (201, 201)
    back = "starts_at = starts_at - interval '9 days', ends_at = ends_at - interval '9 days'"
    front.town.do(f"UPDATE slots SET {back}, closes_at = closes_at - interval '9 days' WHERE id = %s", past)
    front.town.do(f"UPDATE claims SET {back} WHERE slot_id = %s", past)
    assert front.book(waiting, slot, if_full="wait").status_code == 202
    asked = front.ask("POST", f"{ME}/closure", someone)
    assert asked.status_code == 202, asked.text
    told = asked.json()
    cooling = datetime.fromisoformat(told["acts_at"]) - datetime.fromisoformat(told["made_at"])
    assert timedelta(0) <= cooling - timedelta(days=15) < timedelta(minutes=1)
    assert datetime.fromisoformat(told["due_at"]) >= datetime.fromisoformat(told["acts_at"])
    assert work(front, tasks.close) == 0, "it can be taken back"
    front.town.do("UPDATE requests SET acts_at = now()")
    assert work(front, tasks.close) == 1
    assert work(front, tasks.close) == 0
    person = front.town.all(
        "SELECT p.name, p.born, p.sex, p.document_sealed, p.phone_sealed, h.name, h.born, h.kind, h.no FROM persons p "
        "JOIN holders h USING (id) WHERE p.id = %s",
        someone.person_id,
    )
    assert person == [("已注销", None, None, None, None, "已注销", None, "closed", someone.holder_no)]
    assert (
        front.town.one("SELECT state FROM claims WHERE slot_id = %s AND holder_no = %s", slot, someone.holder_no)
        == "released"
    )
    assert front.town.one("SELECT state FROM claims WHERE slot_id = %s", past) == "confirmed", (
        "what was stays countable"
    )
    assert front.town.one("SELECT count(*) FROM reservations WHERE note IS NOT NULL") == 0
    front.serve_waiting()
    assert front.town.one("SELECT state FROM claims WHERE holder_no = %s", waiting.holder_no) == "confirmed", "moved up"
    assert examined(front) == []
    again = front.book(someone, front.town.slot(hour=15))
    assert again.status_code in (401, 403), again.text


def test_a_closed_person_is_unknown_to_the_staff(front: Front) -> None:
    someone, clerk = front.town.residents(2)
    front.town.appoint(clerk, "manager")
    front.ask("POST", f"{ME}/closure", someone)
    front.town.do("UPDATE requests SET acts_at = now()")
    assert work(front, tasks.close) == 1
    slot = front.town.slot()
    booked = front.book(clerk, slot, persons=[str(someone.person_id)], channel="desk")
    assert booked.status_code in (403, 404, 409, 422), booked.text
    assert front.taken(slot) == 0
    reveal = front.ask(
        "POST", f"/v1/identity/people/{someone.person_id}/reveal", clerk, json={"fields": ["name"], "reason": WHY}
    )
    assert reveal.status_code == 404
    assert examined(front) == []


def test_a_closure_is_taken_back_by_saying_so(front: Front) -> None:
    (someone,) = front.town.residents()
    where = front.ask("POST", f"{ME}/closure", someone).headers["location"]
    for _ in range(2):
        taken_back = front.ask("DELETE", where, someone)
        assert (taken_back.status_code, taken_back.json()["state"]) == (200, "withdrawn")
    front.town.do("UPDATE requests SET acts_at = now()")
    assert work(front, tasks.close) == 0
    assert front.ask("POST", f"{ME}/closure", someone).status_code == 202, "and may be asked for again"
    assert examined(front) == []


def test_the_only_guardian_of_a_child_closes_the_child_first(front: Front) -> None:
    parent, child, other = front.town.residents(3)
    front.town.do("UPDATE persons SET born = current_date - 2000 WHERE id = %s", child.person_id)
    front.town.do("UPDATE holders SET born = current_date - 2000 WHERE id = %s", child.person_id)
    front.town.relate(parent, child)
    refused = front.ask("POST", f"{ME}/closure", parent)
    assert (refused.status_code, refused.json()["code"]) == (409, "last_guardian")
    front.town.relate(other, child)
    assert front.ask("POST", f"{ME}/closure", parent).status_code == 202
    front.town.do("DELETE FROM relations WHERE actor_id = %s", other.person_id)
    front.town.do("UPDATE requests SET acts_at = now()")
    slot = front.town.slot()
    assert front.book(parent, slot).status_code == 201
    assert work(front, tasks.close) == 0, "the other guardian went meanwhile"
    assert front.taken(slot) == 1, "nothing was given back"
    (told,) = front.get(f"{ME}/requests", parent).json()["items"]
    assert (told["state"], bool(told["answer"])) == ("denied", True)
    path = f"/v1/identity/people/{child.person_id}/closure"
    assert front.ask("POST", path, other).status_code == 404
    assert front.ask("POST", path, parent).status_code == 202
    front.town.do("UPDATE requests SET acts_at = now() WHERE state = 'asked'")
    assert work(front, tasks.close) == 1
    assert front.ask("POST", f"{ME}/closure", parent).status_code == 202, "now nobody depends on them"
    assert examined(front) == []


def test_who_is_under_a_legal_hold_is_not_forgotten(front: Front) -> None:
    (someone,) = front.town.residents()
    front.ask("POST", f"{ME}/closure", someone)
    front.town.do("UPDATE requests SET acts_at = now()")
    front.town.do(
        "INSERT INTO legal_holds (person_id, community, reason, account_no) VALUES (%s, '330411', '案件', 1)",
        someone.person_id,
    )
    assert work(front, tasks.close) == 0
    front.town.do("UPDATE legal_holds SET ended_at = now(), ended_by = 1")
    assert work(front, tasks.close) == 1


# ---------------------------------------------------------------- a correction


async def wish(town: Town, who: Caller, path: str = "/me", **more: Any) -> Any:
    body = {"field": "name", "value": "张三丰", "note": "写错了"} | more
    return await town.call("POST", f"{path}/corrections", body, who)


def test_a_correction_is_decided_by_the_staff_and_done(database_url: str) -> None:
    async def scenario(town: Town) -> None:
        parent, _, clerk, boss = await cast(town)
        asked = await wish(town, parent.caller)
        assert asked.status_code == 202, asked.text
        request = asked.json()
        assert (request["kind"], request["field"], request["state"]) == ("correction", "name", "asked")
        assert code_of(await wish(town, parent.caller)) == (409, "exists")
        desk = officer(clerk)
        (queued,) = (await town.call("GET", "/requests?state=asked", caller=desk)).json()["items"]
        assert (queued["person"]["name"], queued["value"], queued["overdue"]) == ("张*", None, False)
        path = f"/requests/{request['id']}"
        assert (await town.call("GET", path, caller=desk)).json()["value"] == "张三丰"
        assert code_of(await town.call("GET", path, caller=officer(boss, "manager", "330424"))) == (404, "not_there")
        assert code_of(await town.call("GET", path, caller=boss.caller)) == (403, "not_allowed")
        own = officer(parent, "manager")
        assert code_of(await town.call("POST", f"{path}/approve", None, own)) == (403, "not_by_yourself")
        done = await town.call("POST", f"{path}/approve", None, desk)
        assert (done.status_code, done.json()["state"]) == (200, "done"), done.text
        assert code_of(await town.call("POST", f"{path}/approve", None, desk)) == (409, "already_recorded")
        assert (await town.call("GET", "/me", caller=parent.caller)).json()["person"]["name"] == "张三丰"
        assert await town.value("SELECT count(*) FROM requests WHERE body IS NOT NULL") == 0
        (told,) = await notices(town, "identity.request.answered")
        assert told["holders"] == [parent.caller.holder_no]
        ledger = (await town.call("GET", "/me/ledger", caller=parent.caller)).json()["items"]
        assert [one["action"] for one in ledger] == ["people.corrected", "requests.read", "requests.correction"]
        await healthy(town)

    play(database_url, scenario)


def test_every_field_can_be_corrected_and_only_to_what_is_possible(database_url: str) -> None:
    async def scenario(town: Town) -> None:
        parent, _, clerk, _ = await cast(town)
        for field, value, code in (
            ("name", "a\tb", "unprocessable"),
            ("sex", "other", "unprocessable"),
            ("born", "2999-01-01", "unprocessable"),
            ("born", "yesterday", "unprocessable"),
            ("phone", "123", "phone_malformed"),
            ("document", "110105194912310021", "document_check_digit"),
        ):
            assert code_of(await wish(town, parent.caller, field=field, value=value)) == (422, code), value
        for bad in (
            {"field": "level"},
            {"value": ""},
            {"x": 1},
            {"document_kind": "library card"},
            {"value": "x" * 3000},
        ):
            assert code_of(await wish(town, parent.caller, **bad))[0] == 422, bad
        for field, value in (
            ("sex", "female"),
            ("born", "1950-01-01"),
            ("phone", "0573-82345678"),
            ("document", ADULT_TOO),
        ):
            request = (await wish(town, parent.caller, field=field, value=value)).json()
            done = await town.call(
                "POST", f"/requests/{request['id']}/approve", {"reason": "已核对原件"}, officer(clerk)
            )
            assert done.status_code == 200, done.text
        me = (await town.call("GET", "/me", caller=parent.caller)).json()["person"]
        assert (me["document"]["last4"], me["phone_masked"]) == (ADULT_TOO[-4:], "0573****5678")
        await healthy(town)

    play(database_url, scenario)


def test_a_number_that_is_somebody_elses_is_not_given_away(database_url: str) -> None:
    async def scenario(town: Town) -> None:
        parent, _, clerk, _ = await cast(town)
        request = (await wish(town, parent.caller, field="document", value=CHILD)).json()
        path = f"/requests/{request['id']}"
        assert code_of(await town.call("POST", f"{path}/approve", None, officer(clerk))) == (409, "document_taken")
        assert (await town.call("GET", f"/me{path}", caller=parent.caller)).json()["state"] == "asked", (
            "nothing was done"
        )
        denied = await town.call("POST", f"{path}/deny", {"reason": "证件属于他人"}, officer(clerk))
        assert (denied.json()["state"], denied.json()["answer"]) == ("denied", "证件属于他人")
        await healthy(town)

    play(database_url, scenario)


def test_who_wrote_it_down_at_the_desk_does_not_decide_on_it(database_url: str) -> None:
    async def scenario(town: Town) -> None:
        parent, child, clerk, boss = await cast(town)
        path = f"/people/{parent.caller.person_id}"
        request = (await wish(town, officer(clerk), path)).json()
        answer = await town.call("POST", f"/requests/{request['id']}/approve", None, officer(clerk))
        assert code_of(answer) == (403, "not_by_yourself")
        assert (await town.call("POST", f"/requests/{request['id']}/approve", None, officer(boss))).status_code == 200
        stranger: Login = await adult(town, "15400000009", ADULT_TOO)
        for caller in (stranger.caller, officer(clerk, prefix="330424")):
            for method, where in (
                ("POST", "export"),
                ("POST", "closure"),
                ("GET", "requests"),
                ("GET", f"requests/{request['id']}"),
                ("DELETE", f"requests/{request['id']}"),
                ("GET", f"requests/{request['id']}/archive"),
            ):
                assert code_of(await town.call(method, f"{path}/{where}", caller=caller))[0] == 404, where
        acting = stranger.caller._replace(acts_for=(ActsFor(uuid.UUID(child), 0, "", "proxy", ("booking",)),))
        assert code_of(await town.call("POST", f"/people/{child}/export", caller=acting)) == (403, "not_allowed")
        elsewhere = await town.call("GET", f"/me/requests/{request['id']}", caller=stranger.caller)
        assert code_of(elsewhere) == (404, "not_there")

    play(database_url, scenario)


def test_nobody_decides_on_their_own_request_also_not_past_the_code(database_url: str) -> None:
    async def scenario(town: Town) -> None:
        parent, _, _, boss = await cast(town)
        await wish(town, parent.caller)
        done = "UPDATE requests SET state = 'done', body = NULL, decided_at = now(), decided_by = {}, decided_person_id = {}"
        for by, person in (("account_no", "$1::uuid"), (f"{boss.caller.account_no}", "coalesce(person_id, $1::uuid)")):
            with pytest.raises(asyncpg.CheckViolationError, match="nobody_decides_on_their_own_request"):
                await town.execute(done.format(by, person), boss.caller.person_id)

    play(database_url, scenario)


def test_ten_asks_at_once_are_one(database_url: str) -> None:
    async def scenario(town: Town) -> None:
        who = await adult(town, "15400000001")
        answers = await asyncio.gather(*(town.call("POST", "/me/export", caller=who.caller) for _ in range(10)))
        assert {one.status_code for one in answers} == {202}
        assert len({one.json()["id"] for one in answers}) == 1
        await healthy(town)

    play(database_url, scenario)


def test_the_staff_is_reminded_once_before_the_time_is_over(database_url: str) -> None:
    async def scenario(town: Town) -> None:
        parent, _, clerk, boss = await cast(town)
        await wish(town, parent.caller)
        given = Context(town.root.of("linli_identity"), town.keys, Settings(demo=True))
        assert await tasks.remind(given) == 0
        await town.execute("UPDATE requests SET due_at = now() + interval '4 days'")
        assert await tasks.remind(given) == 1
        assert await tasks.remind(given) == 0
        (told,) = await notices(town, "identity.request.reminded")
        assert told["holders"] == sorted([clerk.caller.holder_no, boss.caller.holder_no])
        await town.execute("UPDATE requests SET due_at = now() - interval '1 day'")
        (queued,) = (await town.call("GET", "/requests", caller=officer(clerk))).json()["items"]
        assert queued["overdue"] is True

    play(database_url, scenario)


@pytest.mark.parametrize(
    ("day", "count", "expected"),
    [
        (date(2026, 11, 20), 1, date(2026, 11, 23)),
        (date(2026, 11, 22), 15, date(2026, 12, 11)),
        (date(2026, 11, 23), 5, date(2026, 11, 30)),
    ],
)
def test_working_days_skip_weekends(day: date, count: int, expected: date) -> None:
    assert rules.working_day_after(day, count) == expected
