"""What a proxy may spend for an elder in a month: never more, however many orders come at once."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import httpx
import pytest

from services.elder_meals.sql import orders as sql
from shared import clock, embedded
from shared.crypto import Keyring
from tests.conftest import copy_of
from tests.elder_meals.kitchens import HOME, ORDERS, Kitchen
from tests.gateway import doors
from tests.gateway.test_front import Front, examined, is_problem, opened
from tests.town import Resident, Town, soon


@pytest.fixture(scope="module")
def front(server: embedded.Embedded, template: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Front]:
    keys, folder = Keyring.fresh(), tmp_path_factory.mktemp("speaking")
    with contextlib.ExitStack() as stack:
        url = stack.enter_context(copy_of(server, template))
        yield stack.enter_context(opened(url, keys, doors.demo(folder)))


def proxy_of(town: Town, elder: Resident, cap: int | None) -> Resident:
    (son,) = town.residents()
    town.relate(son, elder, "proxy", ["elder-meals"])
    town.do("UPDATE relations SET cap_fen = %s WHERE actor_id = %s", cap, son.person_id)
    return son


def price(kitchen: Kitchen, elder: Resident) -> int:
    """What one fish costs this elder, found out by ordering one and giving it back."""
    made = kitchen.order(elder, collect=True).json()
    kitchen.front.ask("DELETE", made["href"], elder)
    return int(made["pay_fen"])


def test_a_proxy_spends_up_to_the_cap_and_what_is_given_back_counts_no_more(front: Front) -> None:
    kitchen = Kitchen(front, days=7)
    (elder,) = kitchen.elder(82)
    day, other, *_ = days_of_one_month()
    one = price(kitchen, elder)
    son = proxy_of(front.town, elder, one)
    (told,) = front.get("/v1/identity/me", son).json()["acts_for"]
    assert (told["cap_fen"], told["services"]) == (one, ["elder-meals"])
    first = kitchen.order(son, elder=elder, collect=True, n=day)
    assert first.status_code == 201, first.text
    over = kitchen.order(son, ("小米粥", 1), elder=elder, collect=True, n=other)
    assert is_problem(over, 409, "cap_reached")
    assert (over.json()["cap_fen"], over.json()["spent_fen"]) == (one, one)
    assert kitchen.order(elder, ("小米粥", 1), collect=True, n=other).status_code == 201, (
        "the elder's own money is their own"
    )
    front.ask("DELETE", first.json()["href"], son)
    again = kitchen.order(son, elder=elder, collect=True, n=day)
    assert again.status_code == 201, again.text
    stranger = kitchen.order(son, ("小米粥", 1), elder=kitchen.elder(75)[0])
    assert is_problem(stranger, 403, "not_yours")
    front.town.relate(kitchen.manager, poor := kitchen.elder(75)[0], "proxy", ["elder-meals"])
    front.town.do("UPDATE relations SET cap_fen = 0 WHERE actor_id = %s", kitchen.manager.person_id)
    at_desk = kitchen.order(kitchen.manager, ("红烧肉", 1), elder=poor, channel="desk", collect=True)
    assert at_desk.status_code == 201, at_desk.text
    assert examined(front) == []


def test_nothing_is_capped_without_a_cap_and_everything_with_none_to_spend(front: Front) -> None:
    kitchen = Kitchen(front)
    free, poor = kitchen.elder(82, count=2)
    assert kitchen.order(proxy_of(front.town, free, None), ("红烧肉", 9), elder=free, collect=True).status_code == 201
    refused = kitchen.order(proxy_of(front.town, poor, 0), ("小米粥", 1), elder=poor, collect=True)
    assert is_problem(refused, 409, "cap_reached")
    assert front.town.one("SELECT count(*) FROM claims WHERE holder_no = %s AND is_active", poor.holder_no) == 0


@pytest.mark.parametrize(("cap", "moment"), [(1, "speaking"), (None, "speaking"), (100_000, "hold_proxies")])
def test_a_proxy_that_is_revoked_while_the_order_is_in_flight_orders_nothing(
    front: Front, monkeypatch: pytest.MonkeyPatch, cap: int | None, moment: str
) -> None:
    kitchen = Kitchen(front)
    (elder,) = kitchen.elder(82)
    son = proxy_of(front.town, elder, cap)
    proxy = front.town.one("SELECT id FROM relations WHERE actor_id = %s", son.person_id)
    look, gone = getattr(sql, moment), []

    async def after_the_end(tx: Any, *about: Any, **more: Any) -> Any:
        if not gone:
            path = f"/v1/identity/me/proxies/{proxy}"
            gone.append((await front.client.delete(path, headers=elder.headers(front.keys))).status_code)
        return await look(tx, *about, **more)

    monkeypatch.setattr(sql, moment, after_the_end)
    assert is_problem(kitchen.order(son, elder=elder, collect=True), 403, "not_yours")
    assert gone == [204]
    assert front.town.one("SELECT count(*) FROM claims WHERE holder_no = %s AND is_active", elder.holder_no) == 0
    assert kitchen.order(elder, collect=True).status_code == 201


def test_guardians_order_without_a_cap_and_what_waits_outlives_one_of_two(front: Front) -> None:
    kitchen = Kitchen(front)
    kitchen.put("policy", {"is_exclusive": False})
    child, mother, father = front.town.residents(3, community=HOME)
    for parent in (mother, father):
        front.town.relate(parent, child)
    made = kitchen.order(mother, ("红烧肉", 9), elder=child, collect=True)
    assert made.status_code == 201, made.text
    pair, ended = (mother.account_no, child.person_id), "UPDATE relations SET ends_at = now() WHERE actor_id = %s"
    role = front.parts.db.of("linli_elder_meals")
    front.town.do(ended, mother.person_id)
    assert front.runner.run(role.read(sql.speaking, [pair])) == {pair: None}
    front.town.do(ended, father.person_id)
    assert front.runner.run(role.read(sql.speaking, [pair])) == {}


@contextlib.contextmanager
def two_doors(front: Front) -> Iterator[list[str]]:
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(doors.gateway(front.town.url, front.keys, front.parts.settings)) for _ in range(2)]


def days_of_one_month() -> list[int]:
    """Of the days that can be ordered for, those of the month that has most of them."""
    days = list(range(2, 7))
    months = [(clock.today() + timedelta(days=n)).month for n in days]
    most = max(months, key=months.count)
    return [n for n, month in zip(days, months, strict=True) if month == most]


def rush(front: Front, kitchen: Kitchen, son: Resident, elder: Resident) -> list[int]:
    """The same proxy orders on several days of a month, all at once through two gateways; the statuses."""
    days = days_of_one_month()
    with two_doors(front) as addresses, httpx.Client(timeout=30) as client:

        def order(n: int) -> int:
            body = {
                "slot_id": kitchen.window(days[n]),
                "lines": [{"dish_id": kitchen.dishes["红烧肉"], "portions": 1}],
                "persons": [str(elder.person_id)],
                "collect": True,
            }
            headers = son.headers(front.keys, uuid.uuid4().hex)
            return client.post(addresses[n % 2] + ORDERS, json=body, headers=headers).status_code

        with ThreadPoolExecutor(len(days)) as pool:
            return sorted(pool.map(order, range(len(days))))


def slowly(monkeypatch: pytest.MonkeyPatch) -> None:
    """Some time goes by between looking at what was spent and writing the order."""
    looked = sql.spent

    async def spent(tx: Any, months: Any) -> Any:
        found = await looked(tx, months)
        await asyncio.sleep(0.3)
        return found

    monkeypatch.setattr(sql, "spent", spent)


def test_orders_at_once_through_two_gateways_never_spend_more(front: Front, monkeypatch: pytest.MonkeyPatch) -> None:
    kitchen = Kitchen(front, days=7)
    (elder,) = kitchen.elder(82)
    slowly(monkeypatch)
    statuses = rush(front, kitchen, proxy_of(front.town, elder, 1300), elder)
    assert statuses == [201] + [409] * (len(statuses) - 1)
    assert examined(front) == []


def test_control_without_holding_the_proxy_they_spend_it_twice(front: Front, monkeypatch: pytest.MonkeyPatch) -> None:
    kitchen = Kitchen(front, days=7)

    async def not_held(_tx: Any, relation_ids: Any, *, skip_locked: bool) -> set[uuid.UUID]:  # noqa: ARG001 - as the real one
        return set(relation_ids)

    monkeypatch.setattr(sql, "hold_proxies", not_held)
    slowly(monkeypatch)
    (elder,) = kitchen.elder(82)
    for _ in range(5):
        if rush(front, kitchen, proxy_of(front.town, elder, 1300), elder).count(201) > 1:
            return
        (elder,) = kitchen.elder(82)
    pytest.fail("the race never went wrong, so the test above proves nothing")


def test_a_revoked_proxy_gets_nothing_from_that_moment_on(front: Front) -> None:
    (elder,), (son,) = front.town.residents(), front.town.residents()
    front.town.relate(son, elder, "proxy", ["booking"])
    proxy = front.town.one("SELECT id FROM relations WHERE actor_id = %s", son.person_id)
    slots = [front.town.slot(8, days=1 + n // 20, is_exclusive=False) for n in range(120)]
    answers: list[tuple[float, int, str | None]] = []
    revoked = threading.Event()
    with two_doors(front) as addresses, httpx.Client(timeout=30) as client:

        def book(n: int) -> None:
            begun = time.monotonic()
            body = {"slot_id": str(slots[n]), "persons": [str(elder.person_id)]}
            headers = son.headers(front.keys, uuid.uuid4().hex)
            answer = client.post(addresses[n % 2] + doors.RESERVATIONS, json=body, headers=headers)
            answers.append((begun, answer.status_code, answer.json().get("code")))
            if n == 40:
                revoked.set()

        with ThreadPoolExecutor(8) as pool:
            todo = [pool.submit(book, n) for n in range(len(slots))]
            assert revoked.wait(30)
            gone = client.delete(f"{addresses[0]}/v1/identity/me/proxies/{proxy}", headers=elder.headers(front.keys))
            at = time.monotonic()
            for one in todo:
                one.result()
        assert gone.status_code == 204, gone.text
        last = client.post(
            addresses[1] + doors.RESERVATIONS,
            json={"slot_id": str(front.town.slot(8)), "persons": [str(elder.person_id)]},
            headers=son.headers(front.keys, uuid.uuid4().hex),
        )
        assert last.status_code == 403
    assert any(status == 201 for begun, status, _ in answers if begun < at)
    late = {(status, code) for begun, status, code in answers if begun >= at}
    assert late <= {(403, "not_yours")}
    assert late, "the rush was over before the proxy was revoked"
    assert examined(front) == []


def test_a_proxy_is_over_at_the_second(front: Front) -> None:
    (elder,), (son,) = front.town.residents(), front.town.residents()
    front.town.relate(son, elder, "proxy", ["booking"])
    front.town.do("UPDATE relations SET ends_at = %s WHERE actor_id = %s", soon(1.5), son.person_id)
    ends = time.monotonic() + 1.5
    made = front.book(son, front.town.slot(8), persons=[str(elder.person_id)])
    assert made.status_code == 201, made.text
    time.sleep(max(0.0, ends - time.monotonic()) + 0.05)
    assert is_problem(front.book(son, front.town.slot(12), persons=[str(elder.person_id)]), 403, "not_yours")
    assert front.get("/v1/identity/me", son).json()["acts_for"] == []
    time.sleep(2.0)
    assert front.get("/v1/claims", son).json()["items"] == []
    assert front.get(made.json()["href"], elder).status_code == 200, "what was booked for the elder stays the elder's"
