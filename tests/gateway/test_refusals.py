"""Why somebody was refused: noted cheaply, kept within bounds, and told to those whom it concerns."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
import structlog

from services.gateway.refusals import Refusals
from services.gateway.upstreams import Answer, Guard
from shared import embedded, errors, problems
from shared.assertion import Caller
from shared.crypto import Keyring
from shared.db import Database
from tests.conftest import connected, copy_of, run
from tests.gateway import doors
from tests.gateway.test_front import Front, is_problem, opened
from tests.town import COMMUNITY, Resident


@pytest.fixture(scope="module")
def front(server: embedded.Embedded, template: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Front]:
    with (
        copy_of(server, template) as url,
        opened(url, Keyring.fresh(), doors.demo(tmp_path_factory.mktemp("front"))) as made,
    ):
        yield made


def told(front: Front, who: Resident, query: str = "") -> list[Any]:
    front.runner.run(front.parts.refusals.flush())
    answer = front.get(f"/v1/refusals{query}", who)
    assert answer.status_code == 200, answer.text
    assert answer.headers["cache-control"] == "no-store"
    found: list[Any] = answer.json()["items"]
    return found


def test_a_resident_reads_why_in_their_own_language(front: Front) -> None:
    (first, who), slot = front.town.residents(2), front.town.slot(8, capacity=1)
    front.book(first, slot)
    refused = front.book(who, slot, key="why-not-me")
    assert is_problem(refused, 409, "full")
    (one,) = told(front, who)
    assert one == {
        "at": one["at"],
        "service": "booking",
        "slot_id": str(slot),
        "community": COMMUNITY,
        "code": "full",
        "title": "There is no place left.",
        "persons": [str(who.person_id)],
        "person": None,
        "request_id": refused.headers["x-request-id"],
        "count": 1,
    }
    assert one["at"].endswith("+08:00")
    zh = front.get("/v1/refusals", who, headers={"Accept-Language": "zh"}).json()["items"]
    assert zh[0]["title"] == errors.Full.zh
    assert told(front, first) == []


def test_the_same_within_a_second_is_one_row_with_its_count(front: Front) -> None:
    (who,), slot, other = front.town.residents(), front.town.slot(8, capacity=0), front.town.slot(10, capacity=0)
    told(front, who)
    answers = [front.book(who, slot) for _ in range(5)]
    front.book(who, other)
    by_slot = {one["slot_id"]: one for one in told(front, who)}
    assert sum(one["count"] for one in by_slot.values()) == 6
    assert by_slot[str(other)]["count"] == 1
    assert by_slot[str(slot)]["request_id"] == answers[-1].headers["x-request-id"]


def test_a_guardian_sees_for_whom_it_failed_and_another_only_their_own(front: Front) -> None:
    parent, child, stranger = front.town.residents(3)
    front.town.relate(parent, child)
    slot = front.town.slot(8, needs_guardian=True)
    front.book(parent, slot, persons=[str(child.person_id), str(parent.person_id)])
    (one,) = told(front, parent)
    assert (one["code"], one["person"]) == ("guardian_required", str(parent.person_id))
    assert set(one["persons"]) == {str(child.person_id), str(parent.person_id)}
    (seen,) = told(front, child)
    assert (seen["persons"], seen["person"]) == ([str(child.person_id)], None)
    assert len(told(front, parent, f"?person={child.person_id}")) == 1
    assert is_problem(front.get(f"/v1/refusals?person={child.person_id}", stranger), 404, "not_there")
    assert told(front, stranger, f"?slot={slot}") == []


def test_a_stranger_who_was_named_hears_nothing_of_it(front: Front) -> None:
    who, stranger = front.town.residents(2)
    assert is_problem(front.book(who, front.town.slot(8), persons=[str(stranger.person_id)]), 403, "not_yours")
    assert told(front, stranger) == []
    (one,) = told(front, who)
    assert (one["code"], one["persons"], one["person"]) == ("not_yours", [str(who.person_id)], None)


def test_a_proxy_sees_its_own_services_only(front: Front) -> None:
    elder, meals, all_round = front.town.residents(3)
    front.town.relate(meals, elder, "proxy", ["elder-meals"])
    front.town.relate(all_round, elder, "proxy")
    front.book(elder, front.town.slot(8, capacity=0))
    assert told(front, meals) == []
    assert told(front, meals, f"?person={elder.person_id}") == []
    assert [one["persons"] for one in told(front, all_round)] == [[str(elder.person_id)]]


def test_staff_see_their_region_when_they_name_what_they_look_for(front: Front) -> None:
    who, clerk, away, placed = front.town.residents(4)
    front.town.appoint(clerk, "staff")
    front.town.appoint(away, "staff", "330424")
    elsewhere = uuid.uuid4()
    front.town.place(elsewhere, uuid.uuid4())
    front.town.appoint(placed, "staff", place_id=elsewhere)
    slot = front.town.slot(8, capacity=0)
    refused = front.book(who, slot)
    assert told(front, clerk) == [], "nobody reads a region's refusals through"
    for query in (f"?person={who.person_id}", f"?slot={slot}", f"?request_id={refused.headers['x-request-id']}"):
        assert [one["persons"] for one in told(front, clerk, query)] == [[str(who.person_id)]], query
        assert told(front, away, query) == []
        assert told(front, placed, query) == []
    assert is_problem(front.get(f"/v1/refusals?person={uuid.uuid4()}", clerk), 404, "not_there")


def test_a_slot_that_is_not_there_belongs_to_where_the_caller_lives(front: Front) -> None:
    (who,), nowhere = front.town.residents(), uuid.uuid4()
    assert is_problem(front.book(who, nowhere), 404, "not_there")
    (one,) = told(front, who)
    assert (one["slot_id"], one["community"], one["code"]) == (str(nowhere), COMMUNITY, "not_there")


def test_a_service_that_refuses_by_itself_is_noted_too(front: Front, monkeypatch: pytest.MonkeyPatch) -> None:
    (who,), slot = front.town.residents(), front.town.slot(8)

    async def refuse(*_: object, **__: object) -> Answer:
        return Answer(*problems.render(errors.Suspended(), accept_language="en", request_id="its-own-words"))

    monkeypatch.setattr(Guard, "call", refuse)
    answer = front.book(who, slot)
    monkeypatch.undo()
    assert (answer.status_code, answer.json()["code"]) == (409, "suspended")
    (one,) = told(front, who)
    assert (one["code"], one["slot_id"], one["persons"]) == ("suspended", str(slot), [str(who.person_id)])
    assert front.taken(slot) == 0


def test_every_401_and_403_is_a_line_in_the_log_whoever_refused(front: Front) -> None:
    (who,) = front.town.residents()
    body = {"provider": "phone", "phone": "15400009999", "code": "000000"}
    with structlog.testing.capture_logs() as lines:
        failed = front.ask("POST", "/v1/identity/sessions", json=body)
        barred = front.get("/v1/identity/audit", who)
        stranger = front.get("/v1/refusals")
        served = front.get("/v1/slots", who)
    assert is_problem(failed, 401, "code_wrong")
    assert is_problem(barred, 403, "not_allowed")
    assert (stranger.status_code, served.status_code) == (401, 200)
    noted = [one for one in lines if one["event"] == "refused"]
    assert noted == [
        {
            "event": "refused",
            "log_level": "info",
            "code": code,
            "path": path,
            "account": account,
            "request_id": answer.headers["x-request-id"],
        }
        for code, path, account, answer in (
            ("code_wrong", "/v1/identity/sessions", None, failed),
            ("not_allowed", "/v1/identity/audit", who.account_no, barred),
            ("not_known", "/v1/refusals", None, stranger),
        )
    ]
    assert "15400009999" not in str(lines)


def test_the_list_comes_in_pages_newest_first(front: Front) -> None:
    (who,) = front.town.residents()
    slots = [front.town.slot(hour, capacity=0) for hour in (8, 9, 10)]
    for slot in slots:
        front.book(who, slot)
    told(front, who)
    page = front.get("/v1/refusals?limit=2", who).json()
    rest = front.get(f"/v1/refusals?limit=2&cursor={page['next']}", who).json()
    assert [one["slot_id"] for one in page["items"] + rest["items"]] == [str(one) for one in reversed(slots)]
    assert rest["next"] is None
    assert is_problem(front.get("/v1/refusals"), 401, "not_known")
    for wrong in ("person=x", "slot=1", "request_id=%00%00%00%00%00%00%00%00", "request_id='", "cursor=x", "limit=0"):
        assert is_problem(front.get(f"/v1/refusals?{wrong}", who), 422, "unprocessable"), wrong


def test_after_thirty_days_nobody_knows(front: Front) -> None:
    (who,) = front.town.residents()
    front.book(who, front.town.slot(8, capacity=0))
    front.book(who, front.town.slot(9, capacity=0))
    told(front, who)
    old = (
        "UPDATE refused SET at = at - interval '31 days' WHERE no = (SELECT min(no) FROM refused WHERE account_no = %s)"
    )
    front.town.do(old, who.account_no)
    assert len(told(front, who)) == 1
    assert front.town.one("SELECT forget_old('refused', 100)") == 1
    assert front.town.one("SELECT count(*) FROM refused WHERE account_no = %s", who.account_no) == 1


def test_a_granted_claim_is_no_refusal(front: Front) -> None:
    (who,) = front.town.residents()
    assert front.book(who, front.town.slot(8), key="granted-once").status_code == 201
    assert front.book(who, front.town.slot(8), key="granted-once").status_code == 422
    assert [one["code"] for one in told(front, who)] == ["key_reused"]


# ---------------------------------------------------------------- the memory


ANYBODY = Caller(account_no=1, holder_no=1)


def noting(refusals: Refusals, *numbers: int) -> None:
    for number in numbers:
        refusals.note(ANYBODY._replace(account_no=number), "booking", None, "full", f"request-{number}")


def test_memory_is_bounded_and_the_oldest_go(database_url: str) -> None:
    async def scenario() -> None:
        async with connected(database_url) as db:
            refusals = Refusals(db.of("linli_gateway"), most=3)
            noting(refusals, 1, 2, 3, 4, 5, 5)
            assert refusals.waiting == 3
            assert await refusals.flush() == 3
            assert refusals.waiting == 0
            async with db.transaction() as tx:
                rows = await tx.fetch("SELECT account_no, count FROM refused ORDER BY account_no")
            assert [tuple(row) for row in rows] == [(3, 1), (4, 1), (5, 2)]

    run(scenario())


def test_what_could_not_be_written_is_written_later_with_its_count() -> None:
    class Away:
        async def run(self, *_: object) -> None:
            raise errors.Unavailable

    async def scenario() -> None:
        db: Any = Away()
        refusals = Refusals(db, most=3)
        noting(refusals, 1, 2)
        with pytest.raises(errors.Unavailable):
            await refusals.flush()
        assert refusals.waiting == 2
        noting(refusals, 2, 3, 4)
        with pytest.raises(errors.Unavailable):
            await refusals.flush()
        assert [(key[0], one.count) for key, one in refusals._noted.items()] == [(2, 2), (3, 1), (4, 1)]
        await refusals.close()

    run(scenario())


def test_the_rest_is_written_when_the_gateway_stops(database_url: str, keys: Keyring, settings: Any) -> None:
    with opened(database_url, keys, settings) as front:
        (who,) = front.town.residents()
        front.book(who, front.town.slot(8, capacity=0))
        town = front.town
    assert town.one("SELECT sum(count) FROM refused") == 1


def test_it_is_written_by_itself_within_seconds(database_url: str, keys: Keyring, settings: Any) -> None:
    with opened(database_url, keys, settings) as front:
        (who,) = front.town.residents()
        front.book(who, front.town.slot(8, capacity=0))
        front.runner.run(asyncio.sleep(1.5))
        assert front.town.one("SELECT sum(count) FROM refused") == 1


def test_a_database_that_is_gone_keeps_nobody_from_stopping() -> None:
    async def scenario() -> None:
        db = Database.connect("postgresql://nobody@127.0.0.1:1/nothing", pool_size=1)
        refusals = Refusals(db)
        refusals.start()
        noting(refusals, 1)
        await refusals.close()
        await db.close()

    run(scenario())
