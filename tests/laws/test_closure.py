"""A closure in the middle of a family's confirm: all of the family or nobody, and everybody is told once."""

from __future__ import annotations

import asyncio
import random
import uuid
from collections import Counter

import psycopg
import pytest

from shared import claims, errors
from shared.assertion import Caller, Role
from shared.db import Tx
from shared.grants import Grant
from shared.places import actions as places
from shared.places.actions import closures
from tests.conftest import connected, run
from tests.laws.asking import (
    arbiter,
    ask,
    bookings,
    heard,
    is_granted,
    making,
    somebody_waits_for_a_lock,
    until,
    wrong,
)
from tests.town import COMMUNITY, Resident, Town

REASON = "水管维修"


def a_manager(town: Town) -> Caller:
    (who,) = town.residents(1)
    return Caller(who.account_id, who.account_no, roles=(Role("manager", COMMUNITY),))


def a_family(town: Town, size: int) -> list[Resident]:
    family = town.residents(size, household=True)
    for one in family[1:]:
        town.relate(family[0], one)
    return family


def partial_families(town: Town) -> list[object]:
    """Groups of which only a part was ever confirmed."""
    return town.all(
        "SELECT group_id FROM claims GROUP BY group_id "
        "HAVING bool_or(resource_id IS NOT NULL) AND bool_or(resource_id IS NULL)"
    )


def told_of_closing(town: Town) -> Counter[int]:
    rows = town.all("SELECT unnest(holders) FROM notices WHERE type = 'booking.claim.released'")
    return Counter(row[0] for row in rows)


def test_a_closure_between_its_own_chunks_leaves_no_half_of_a_family(database_url: str) -> None:
    """The boundary of a chunk goes through a family whose claims are held; its confirm comes between the chunks."""
    town = Town(database_url)
    slot = town.slot(capacity=400)
    singles, family = town.residents(places.CHUNK - 2), a_family(town, 5)
    manager = a_manager(town)

    async def closed() -> None:
        async with connected(database_url) as db, arbiter(db) as line, bookings(db) as service:
            booking = db.of("linli_booking")
            first = await heard(line.submit(ask(who, slot)) for who in singles)
            assert all(is_granted(one) for one in first)
            held = await line.submit(ask(family[0], slot, family=family))
            starts_at, ends_at = town.all("SELECT starts_at, ends_at FROM slots WHERE id = %s", slot)[0]
            await booking.run(closures._begin_closure, manager, "booking", town.place_id, starts_at, ends_at, REASON)
            assert await booking.run(closures._release_chunk, slot) == places.CHUNK
            assert town.one("SELECT count(*) FROM claims WHERE is_active") == 3  # of five
            (told,) = await heard([service.submit(making(family[0], held))])
            assert isinstance(told, errors.HoldLapsed)
            assert await booking.run(closures._release_chunk, slot) == 3
            assert await booking.run(closures._release_chunk, slot) == 0
        assert partial_families(town) == []
        assert told_of_closing(town) == Counter(who.holder_no for who in [*singles, *family])
        assert town.one("SELECT count(*) FROM reservations") == 0
        assert await wrong(database_url) == {}

    run(closed())


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_families_that_confirm_while_their_place_is_closed_are_confirmed_whole_or_not_at_all(
    database_url: str, seed: int
) -> None:
    town = Town(database_url)
    slots = [town.slot(hour, capacity=100) for hour in (9, 11)]
    families = [a_family(town, 2 + n % 3) for n in range(24)]
    manager = a_manager(town)
    rng = random.Random(seed)

    async def closed() -> None:
        async with connected(database_url, pool_size=14) as db, arbiter(db) as line, bookings(db, batch=3) as service:
            grants = [await line.submit(ask(family[0], *slots, family=family)) for family in families]
            assert all(is_granted(one) for one in grants)
            starts_at, ends_at = town.all("SELECT min(starts_at), max(ends_at) FROM slots")[0]
            booking = db.of("linli_booking")

            async def confirm_all() -> list[object]:
                order = list(zip(families, grants, strict=True))
                rng.shuffle(order)
                return await heard(service.submit(making(family[0], one)) for family, one in order)

            async def close() -> object:
                begun = rng.randrange(1, 4)
                await until(lambda: service.transactions >= begun)  # in the middle of their confirming
                return await places.close_place(booking, manager, "booking", town.place_id, starts_at, ends_at, REASON)

            told, _ = await asyncio.gather(confirm_all(), close())
            await places.finish_closures(booking, "booking")
            assert all(isinstance(one, uuid.UUID | errors.HoldLapsed) for one in told)
        assert partial_families(town) == []
        # Each person is told once for each of the two slots, whether the place was held or confirmed; nobody is left.
        everybody = [who.holder_no for family in families for who in family]
        assert told_of_closing(town) == Counter(everybody * len(slots))
        assert town.one("SELECT count(*) FROM claims WHERE is_active") == 0
        assert town.one("SELECT sum(released) FROM closures") == len(everybody) * len(slots)
        confirmed = sum(isinstance(one, uuid.UUID) for one in told)
        assert town.one("SELECT count(*) FROM reservations") == confirmed
        assert await wrong(database_url) == {}

    run(closed())


def test_two_closures_at_once_tell_everybody_once(database_url: str) -> None:
    town = Town(database_url)
    slot = town.slot(capacity=100)
    people = town.residents(60)
    manager = a_manager(town)

    async def closed() -> None:
        async with connected(database_url, pool_size=14) as db, arbiter(db) as line, bookings(db) as service:
            grants = await heard(line.submit(ask(who, slot)) for who in people)
            await heard(service.submit(making(who, one)) for who, one in zip(people, grants, strict=True))
            starts_at, ends_at = town.all("SELECT starts_at, ends_at FROM slots WHERE id = %s", slot)[0]
            booking = db.of("linli_booking")
            closing = (booking, manager, "booking", town.place_id, starts_at, ends_at, REASON)
            *both, _ = await asyncio.gather(
                places.close_place(*closing),
                places.close_place(*closing[:-1], "for another reason"),
                places.finish_closures(booking, "booking"),
            )
            assert sorted((one.slots, one.released) for one in both) == [(0, 0), (1, 60)]
        assert told_of_closing(town) == Counter(who.holder_no for who in people)
        assert await wrong(database_url) == {}

    run(closed())


@pytest.mark.parametrize("second_began_first", [True, False])
def test_who_is_released_counts_for_the_closure_that_closed_the_slot(
    database_url: str, *, second_began_first: bool
) -> None:
    """Another that comes before everybody is told closed nothing, whose transaction ever began first."""
    town = Town(database_url)
    slot = town.slot(capacity=100)
    people = town.residents(3)
    manager = a_manager(town)

    async def closed() -> None:
        async with connected(database_url) as db, arbiter(db) as line:
            assert all(is_granted(one) for one in await heard(line.submit(ask(who, slot)) for who in people))
            times = town.all("SELECT starts_at, ends_at FROM slots WHERE id = %s", slot)[0]
            booking = db.of("linli_booking")
            closing = (manager, "booking", town.place_id, *times)
            async with booking.transaction() as early:
                first, _ = await booking.run(closures._begin_closure, *closing, REASON)
                if second_began_first:
                    second, _ = await closures._begin_closure(early, *closing, "for another reason")
            if not second_began_first:
                second, _ = await booking.run(closures._begin_closure, *closing, "for another reason")
            assert await booking.run(closures._release_chunk, slot) == len(people)
            counted = dict(town.all("SELECT id, (slots, released)::text FROM closures"))
            assert counted == {first: "(1,3)", second: "(0,0)"}

    run(closed())


async def confirm_by_counting(tx: Tx, grant: Grant, resource_id: uuid.UUID) -> int:
    """The confirm that looks right: only groups of which everything is held. Its subquery is not asked again."""
    return await tx.execute(
        "UPDATE claims SET state = 'confirmed', held_until = NULL, resource_id = $2 "
        "WHERE state = 'held' AND group_id IN (SELECT group_id FROM claims WHERE group_id = $1 "
        "AND state = 'held' AND held_until > clock_timestamp() GROUP BY group_id HAVING count(*) = $3)",
        grant.group_id,
        resource_id,
        len(grant.claims),
    )


async def confirm_as_services_do(tx: Tx, grant: Grant, resource_id: uuid.UUID) -> int:
    confirmed = await claims.confirm(tx, [(grant, resource_id)])
    return len(grant.claims) if confirmed == [True] else 0


async def _confirmed_after_one_was_released(url: str, town: Town, confirm: object) -> int:
    """One of a family of two is released; the confirm comes while that is not committed yet."""
    slot = town.slot(capacity=10)
    family = a_family(town, 2)
    async with connected(url) as db, arbiter(db) as line:
        held = await line.submit(ask(family[0], slot, family=family))
        assert held.grant is not None
        async with await psycopg.AsyncConnection.connect(url, autocommit=True) as watcher:
            async with db.of("linli_gateway").transaction() as tx:
                await claims.release(tx, held.group_id, only=[held.grant.claims[0].id], reason="closed")
                confirming = asyncio.ensure_future(
                    db.of("linli_gateway").run(confirm, held.grant, uuid.uuid4())  # type: ignore[arg-type]
                )
                await until(lambda: somebody_waits_for_a_lock(watcher))
            await confirming
    return len(town.all("SELECT FROM claims WHERE state = 'confirmed'"))


def test_a_family_of_which_one_was_released_meanwhile_is_not_confirmed(database_url: str) -> None:
    assert run(_confirmed_after_one_was_released(database_url, Town(database_url), confirm_as_services_do)) == 0


def test_control_a_confirm_that_counts_in_a_subquery_confirms_half_of_the_family(database_url: str) -> None:
    assert run(_confirmed_after_one_was_released(database_url, Town(database_url), confirm_by_counting)) == 1
