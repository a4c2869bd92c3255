"""Rushes over real HTTP on a real database. Every race has a control: the same race without the law it stands on."""

from __future__ import annotations

import asyncio
import uuid
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

import asyncpg
import pytest
from sqlalchemy.engine import make_url

from services import doctor
from shared import clock, embedded
from shared.crypto import Keyring
from tests.conftest import copy_of
from tests.gateway import doors
from tests.gateway.doors import Said, crowd, wants
from tests.town import Resident, Town


class House:
    """A town with two gateways on one database."""

    def __init__(self, url: str, keys: Keyring, addresses: tuple[str, str]) -> None:
        self.url = url
        self.keys = keys
        self.addresses = addresses
        self.town = Town(url)

    def ask(self, asks: Sequence[doors.Ask], *, connections: int = 64) -> list[Said]:
        return crowd(self.addresses, self.keys, asks, connections=connections)

    def count(self, sql: str, *args: Any) -> int:
        return int(self.town.one(sql, *args))

    def has_nothing_wrong(self) -> bool:
        found = {name: ids for name, ids in asyncio.run(doctor.examine(self.url)) if ids}
        assert not found
        return True


@pytest.fixture(scope="module")
def house(server: embedded.Embedded, template: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """Two gateways, each on a port and in an event loop of its own, on one database."""
    keys, settings = Keyring.fresh(), doors.demo(tmp_path_factory.mktemp("house"))
    with (
        copy_of(server, template) as url,
        doors.gateway(url, keys, settings) as first,
        doors.gateway(url, keys, settings) as second,
    ):
        yield House(url, keys, (first, second))


@pytest.fixture(scope="module")
def lawless(server: embedded.Embedded, template: str) -> Iterator[Town]:
    """A town without gateways, for those who write by themselves; each control drops the one constraint it is about."""
    with copy_of(server, template) as url:
        yield Town(url)


# ---------------------------------------------------------------- 30 places


def test_a_thousand_ask_for_thirty_places_and_thirty_get_one(house: House) -> None:
    slot = house.town.slot(9, capacity=30)
    answers = house.ask([wants(one, slot, door=n % 2) for n, one in enumerate(house.town.residents(1000))])
    assert Counter(one.status for one in answers) == {201: 30, 409: 970}
    assert {one.code for one in answers if one.status == 409} <= {"full", "held"}
    assert house.count("SELECT taken FROM slots WHERE id = %s", slot) == 30
    assert house.count("SELECT count(*) FROM claims WHERE slot_id = %s", slot) == 30, "refusals leave no row"
    assert house.count("SELECT count(*) FROM claims WHERE slot_id = %s AND state = 'confirmed'", slot) == 30
    made = "SELECT count(*) FROM reservations r JOIN claims c ON c.group_id = r.group_id WHERE c.slot_id = %s"
    assert house.count(made, slot) == 30
    assert len({one.body["id"] for one in answers if one.status == 201}) == 30
    assert house.has_nothing_wrong()


def test_control_whoever_looks_before_locking_gives_the_last_place_twice(lawless: Town) -> None:
    one, two = lawless.slot(9, capacity=1), lawless.slot(9, capacity=1)
    claims = [naive_claim(one, who) for who in lawless.residents(2)]
    assert sorted(map(str, both_look_then_write(lawless.url, claims))) == ["None", "taken_within_capacity"]
    assert lawless.one("SELECT taken FROM slots WHERE id = %s", one) == 1, "the referee alone stopped it"
    lawless.do("ALTER TABLE slots DROP CONSTRAINT taken_within_capacity")
    claims = [naive_claim(two, who) for who in lawless.residents(2)]
    assert both_look_then_write(lawless.url, claims) == [None, None]
    assert lawless.one("SELECT taken FROM slots WHERE id = %s", two) == 2, "one place, two people"


# ---------------------------------------------------------------- families


def families(town: Town, several: int) -> list[list[Resident]]:
    parents, children = town.residents(several), town.residents(2 * several, born=date(clock.today().year - 9, 1, 1))
    homes = [[parent, *children[2 * n : 2 * n + 2]] for n, parent in enumerate(parents)]
    with town.connect() as c:
        c.cursor().executemany(
            "INSERT INTO relations (actor_id, person_id, kind) VALUES (%s, %s, 'guardian')",
            [(home[0].person_id, child.person_id) for home in homes for child in home[1:]],
        )
    return homes


def partial(house: House, slot: uuid.UUID, homes: list[list[Resident]]) -> int:
    rows = house.town.all("SELECT holder_no FROM claims WHERE slot_id = %s AND is_active", slot)
    inside = {row[0] for row in rows}
    return sum(0 < sum(one.holder_no in inside for one in home) < 3 for home in homes)


def test_families_of_three_get_all_their_places_or_none(house: House) -> None:
    slot = house.town.slot(12, capacity=31)
    homes = families(house.town, 60)
    answers = house.ask(
        [wants(home[0], slot, door=n % 2, persons=[str(one.person_id) for one in home]) for n, home in enumerate(homes)]
    )
    assert Counter(one.status for one in answers) == {201: 10, 409: 50}
    assert house.count("SELECT taken FROM slots WHERE id = %s", slot) == 30
    assert partial(house, slot, homes) == 0
    assert house.has_nothing_wrong()


def test_control_families_who_ask_one_by_one_are_torn_apart(house: House) -> None:
    """Without the group the 31st place goes to somebody, so some family has only part of its places."""
    slot = house.town.slot(14, capacity=31)
    homes = families(house.town, 30)
    answers = house.ask(
        [wants(home[0], slot, door=n % 2, persons=[str(one.person_id)]) for n, home in enumerate(homes) for one in home]
    )
    assert sum(one.status == 201 for one in answers) == 31
    assert partial(house, slot, homes) > 0


# ---------------------------------------------------------------- two places at once


def test_nobody_gets_two_overlapping_slots_through_two_gateways(house: House) -> None:
    one, two = house.town.slot(16, capacity=100), house.town.slot(16.5, capacity=100)
    people = house.town.residents(60)
    answers = house.ask([wants(who, slot, door=n) for who in people for n, slot in enumerate((one, two))])
    pairs = list(zip(answers[::2], answers[1::2], strict=True))
    assert [sorted(said.status for said in pair) for pair in pairs] == [[201, 409]] * 60
    assert {said.code for said in answers if said.status == 409} == {"overlaps"}
    assert house.count("SELECT sum(taken) FROM slots WHERE id = ANY(%s)", [one, two]) == 60
    assert house.has_nothing_wrong()


def test_control_without_referee_and_lock_one_person_is_in_two_places(lawless: Town) -> None:
    slots = lawless.slot(16), lawless.slot(16.5)
    (who,) = lawless.residents()
    claims = [naive_claim(one, who) for one in slots]
    won, lost = sorted(both_look_then_write(lawless.url, claims), key=lambda refused: refused is not None)
    assert won is None
    assert lost == "nobody_in_two_places"
    (who,) = lawless.residents()
    lawless.do("DROP TRIGGER nobody_in_two_places ON claims")
    assert both_look_then_write(lawless.url, [naive_claim(one, who) for one in slots]) == [None, None]
    assert lawless.one("SELECT count(*) FROM claims WHERE holder_no = %s AND is_active", who.holder_no) == 2


# ---------------------------------------------------------------- one key


def test_one_key_from_twenty_clients_over_two_gateways_is_one_claim(house: House) -> None:
    slot = house.town.slot(18, capacity=100)
    people = house.town.residents(8)
    asks = [wants(who, slot, key=f"key-of-{who.account_no}", door=n % 2) for n in range(20) for who in people]
    answers = house.ask(asks)
    again = house.ask([wants(who, slot, key=f"key-of-{who.account_no}", door=1) for who in people])
    for n, who in enumerate(people):
        mine = answers[n :: len(people)]
        first = [one for one in mine if one.status == 201 and "idempotency-replayed" not in one.headers]
        replayed = [one for one in mine if one.headers.get("idempotency-replayed") == "true"]
        waved_off = [one for one in mine if one.code == "in_flight"]
        assert len(first) == 1
        assert len(first) + len(replayed) + len(waved_off) == 20
        assert {one.status for one in replayed} <= {201}
        assert all("retry-after" in one.headers for one in waved_off)
        assert again[n].status == 201
        assert again[n].headers["idempotency-replayed"] == "true"
        assert {one.body["id"] for one in (*first, *replayed, again[n])} == {first[0].body["id"]}
        assert house.count("SELECT count(*) FROM claims WHERE holder_no = %s", who.holder_no) == 1
    assert house.count("SELECT taken FROM slots WHERE id = %s", slot) == len(people)
    assert house.has_nothing_wrong()


def test_control_without_one_row_a_key_the_same_request_is_done_twice(lawless: Town) -> None:
    slots = lawless.slot(18), lawless.slot(19)  # a naive retry does not even ask for the same thing
    (who,) = lawless.residents()
    claims = [naive_claim(one, who, key="the-same-key") for one in slots]
    assert sorted(map(str, both_look_then_write(lawless.url, claims))) == ["None", "asks_pkey"]
    (who,) = lawless.residents()
    lawless.do("ALTER TABLE asks DROP CONSTRAINT asks_pkey")
    claims = [naive_claim(one, who, key="the-same-key") for one in slots]
    assert both_look_then_write(lawless.url, claims) == [None, None]
    assert lawless.one("SELECT count(*) FROM claims WHERE holder_no = %s", who.holder_no) == 2


# ---------------------------------------------------------------- locks in one order


def test_asks_for_the_same_slots_in_any_order_never_stop_each_other(house: House) -> None:
    """Persons and slots named in opposite orders through two gateways: no deadlock, no answer but yes and no."""
    slots = [house.town.slot(20 + n, capacity=12) for n in range(3)]
    homes = families(house.town, 40)
    asks = []
    for n, home in enumerate(homes):
        turn = slots[n % 3 :] + slots[: n % 3]
        persons = [str(one.person_id) for one in (home if n % 2 else reversed(home))]
        asks.append(wants(home[0], *(turn if n % 4 < 2 else turn[::-1]), door=n % 2, persons=persons))
    before = house.count("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()")
    answers = house.ask(asks)
    assert Counter(one.status for one in answers) == {201: 4, 409: 36}
    assert [house.count("SELECT taken FROM slots WHERE id = %s", one) for one in slots] == [12, 12, 12]
    assert house.count("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()") == before
    assert house.has_nothing_wrong()


def test_control_locks_in_opposite_orders_stop_each_other(lawless: Town) -> None:
    one, two = lawless.slot(20), lawless.slot(21)

    def locks(first: uuid.UUID, second: uuid.UUID) -> Claim:
        async def claim(c: Any, both_have_looked: asyncio.Barrier) -> None:
            await c.execute("SELECT 1 FROM slots WHERE id = $1 FOR NO KEY UPDATE", first)
            await both_have_looked.wait()
            await c.execute("SELECT 1 FROM slots WHERE id = $1 FOR NO KEY UPDATE", second)

        return claim

    lawless.do("ALTER DATABASE " + str(make_url(lawless.url).database) + " SET deadlock_timeout = '20ms'")
    assert sorted(map(str, both_look_then_write(lawless.url, [locks(one, two), locks(two, one)]))) == [
        "None",
        "deadlock detected",
    ]


# ---------------------------------------------------------------- the naive way, for the controls

Claim = Callable[[Any, asyncio.Barrier], Awaitable[None]]


def naive_claim(slot: uuid.UUID, who: Resident, *, key: str | None = None) -> Claim:
    """Look whether there is a place, and if so take it: no lock before looking, which is the whole mistake."""

    async def claim(c: Any, both_have_looked: asyncio.Barrier) -> None:
        found = await c.fetchrow("SELECT * FROM slots WHERE id = $1", slot)
        busy = await c.fetchval(
            "SELECT count(*) FROM claims WHERE holder_no = $1 AND is_active AND starts_at < $3 AND $2 < ends_at",
            who.holder_no,
            found["starts_at"],
            found["ends_at"],
        )
        known = await c.fetchval("SELECT count(*) FROM asks WHERE account_no = $1 AND key = $2", who.account_no, key)
        await both_have_looked.wait()
        assert (found["taken"] < found["capacity"], busy, known) == (True, 0, 0), "both saw that all was well"
        group = uuid.uuid4()
        if key is not None:
            await c.execute(
                "INSERT INTO asks (account_no, key, group_id, fingerprint, service, state) "
                "VALUES ($1, $2, $3, '', 'booking', 'granted')",
                who.account_no,
                key,
                group,
            )
        await c.execute(
            "INSERT INTO claims (group_id, slot_id, holder_no, account_no, community, service, place_id, starts_at, ends_at, "
            "channel, state, is_active, is_exclusive, held_until) VALUES ($1, $2, $3, $4, $5, 'booking', $6, $7, $8, 'app', "
            "'held', true, true, $9)",
            group,
            slot,
            who.holder_no,
            who.account_no,
            found["community"],
            found["place_id"],
            found["starts_at"],
            found["ends_at"],
            datetime.now(UTC) + timedelta(seconds=30),
        )
        await c.execute("UPDATE slots SET taken = taken + 1 WHERE id = $1", slot)

    return claim


def both_look_then_write(url: str, claims: Sequence[Claim]) -> list[str | None]:
    """Run claims in transactions side by side, all looking before any writes; None or what PostgreSQL said to each."""

    async def one(claim: Claim, barrier: asyncio.Barrier) -> str | None:
        c = await asyncpg.connect(url)
        try:
            async with c.transaction():
                await claim(c, barrier)
        except asyncpg.PostgresError as error:
            return getattr(error, "constraint_name", None) or str(error).splitlines()[0]
        finally:
            await c.close()
        return None

    async def side_by_side() -> list[str | None]:
        barrier = asyncio.Barrier(len(claims))
        return list(await asyncio.gather(*(one(claim, barrier) for claim in claims)))

    return asyncio.run(side_by_side())
