"""One key, one booking: whatever became of the first attempt, a retry hears the truth and takes nothing twice."""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import uuid
from collections import Counter
from collections.abc import AsyncIterator

import pytest
from starlette.types import ASGIApp, Receive, Scope, Send

from services.booking import routes as booking
from services.gateway import upstreams
from services.gateway.arbiter.rules import Granted, Replayed
from services.gateway.claiming import Call, Claiming
from services.gateway.refusals import Refusals
from services.gateway.upstreams import Answer, Guard
from shared import errors
from shared.crypto import Keyring
from shared.db import Database, Tx
from shared.settings import Settings
from shared.web import Context
from tests.conftest import connected, run
from tests.laws.asking import (
    arbiter,
    ask,
    bookings,
    caller,
    deadlocks,
    heard,
    is_granted,
    is_refused,
    making,
    release,
    until,
    wrong,
)
from tests.town import Resident, Town


def test_crosswise_keys_at_two_gateways_come_to_one_claim_each(database_url: str) -> None:
    """Every account sends every key to both gateways at once, in another order each time."""
    town = Town(database_url)
    town.do(
        "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET deadlock_timeout = ''20ms''', current_database()); END $$"
    )
    slots = {f"crosswise-{hour}": town.slot(hour, capacity=50) for hour in range(8, 16)}
    people = town.residents(10)
    rng = random.Random(3)

    async def crossed() -> None:
        before = await deadlocks(database_url)
        wishes = [(who, key) for who in people for key in slots]
        async with (
            connected(database_url) as one,
            connected(database_url) as two,
            arbiter(one, batch=6) as first,
            arbiter(two, batch=6) as second,
        ):
            sent = []
            for line in (first, second):
                order = rng.sample(wishes, len(wishes))
                sent += [(who, key, line.submit(ask(who, slots[key], key=key))) for who, key in order]
            told = await heard(answer for _, _, answer in sent)
        granted = Counter(
            (who.account_no, key) for (who, key, _), one in zip(sent, told, strict=True) if is_granted(one)
        )
        assert granted == Counter((who.account_no, key) for who, key in wishes)
        assert sum(is_refused(one, "in_flight") for one in told) == len(wishes)
        assert town.one("SELECT count(*) FROM claims") == town.one("SELECT count(*) FROM asks") == len(wishes)
        assert await deadlocks(database_url) == before
        assert await wrong(database_url) == {}

    run(crossed())


def test_the_same_key_twice_in_one_batch_is_granted_once(database_url: str) -> None:
    town = Town(database_url)
    slot, other = town.slot(10), town.slot(12)
    (who,) = town.residents(1)

    async def asked() -> None:
        async with connected(database_url) as db, arbiter(db) as line:
            told = await heard(line.submit(ask(who, slot, key="one-key-only")) for _ in range(5))
            assert line.transactions == 1
            assert is_granted(told[0])
            assert all(is_refused(one, "in_flight") for one in told[1:])
            (reused,) = await heard(
                [line.submit(ask(who, other, key="one-key-only")._replace(fingerprint=b"another-body-016"))]
            )
            assert is_refused(reused, "key_reused")
        assert town.one("SELECT count(*) FROM claims") == 1

    run(asked())


def test_a_key_follows_its_newest_group_from_held_to_lapsed_to_confirmed(database_url: str) -> None:
    town = Town(database_url)
    slot = town.slot(capacity=1)
    (who,) = town.residents(1)
    wish = ask(who, slot, key="one-key-only")

    async def asked() -> None:
        async with connected(database_url) as db, arbiter(db) as line, bookings(db) as service:
            first = await line.submit(wish)
            assert is_refused(await line.submit(wish), "in_flight")
            town.do("UPDATE claims SET held_until = now() - interval '1 second'")
            town.do("UPDATE slots SET next_lapse = now() - interval '1 second'")

            second = await line.submit(wish)
            assert is_granted(second)
            assert second.group_id != first.group_id
            assert town.one("SELECT group_id FROM asks") == second.group_id

            # The first attempt's service wakes up late: its grant is void, and the second attempt is not touched.
            before = town.all("SELECT * FROM claims WHERE group_id = %s", second.group_id)
            with pytest.raises(errors.HoldLapsed):
                await service.submit(making(who, first))
            assert town.all("SELECT * FROM claims WHERE group_id = %s", second.group_id) == before
            assert town.one("SELECT count(*) FROM reservations") == 0

            await service.submit(making(who, second))
            replayed = await line.submit(wish)
            assert replayed.decision == Replayed(second.group_id, "confirmed")
            with pytest.raises(errors.HoldLapsed):
                await service.submit(making(who, first))
        assert town.all("SELECT group_id, state FROM claims ORDER BY id") == [
            (first.group_id, "lapsed"),
            (second.group_id, "confirmed"),
        ]
        assert await wrong(database_url) == {}

    run(asked())


def test_a_key_whose_hold_was_freed_is_decided_again_and_a_refusal_is_not_remembered(database_url: str) -> None:
    town = Town(database_url)
    slot = town.slot(capacity=1)
    who, rival = town.residents(2)
    wish = ask(who, slot, key="one-key-only")

    async def asked() -> None:
        async with connected(database_url) as db, arbiter(db) as line:
            first = await line.submit(wish)
            await release(db, first.group_id, only_held=True)
            theirs = await line.submit(ask(rival, slot))
            assert isinstance(theirs.decision, Granted)
            assert is_refused(await line.submit(wish), "held")
            await release(db, theirs.group_id, only_held=True)
            assert is_granted(await line.submit(wish))
        assert await wrong(database_url) == {}

    run(asked())


async def confirm_by_key(tx: Tx, account_no: int, key: str, resource_id: uuid.UUID) -> int:
    """A service that remembers its key instead of its grant."""
    return await tx.execute(
        "UPDATE claims c SET state = 'confirmed', held_until = NULL, resource_id = $3 FROM asks a "
        "WHERE a.account_no = $1 AND a.key = $2 AND c.group_id = a.group_id AND c.state = 'held'",
        account_no,
        key,
        resource_id,
    )


def test_control_a_late_confirm_by_key_takes_the_second_attempts_place(database_url: str) -> None:
    town = Town(database_url)
    slot = town.slot(capacity=1)
    (who,) = town.residents(1)
    wish = ask(who, slot, key="one-key-only")

    async def asked() -> None:
        async with connected(database_url) as db, arbiter(db) as line:
            first = await line.submit(wish)
            await release(db, first.group_id, only_held=True)
            second = await line.submit(wish)
            assert await db.run(confirm_by_key, who.account_no, wish.key, uuid.uuid4()) == 1
            assert town.one("SELECT state FROM claims WHERE group_id = %s", second.group_id) == "confirmed"

    run(asked())


class Moody:
    """The booking service, on a day when it may not answer. What it left lying can be done later."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self.moods: list[str] = []
        self.left: list[tuple[Scope, bytes]] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        mood = self.moods.pop(0) if self.moods and scope["method"] == "POST" else "works"
        if mood == "hangs":  # before it did anything
            message = await receive()
            self.left.append((scope, message["body"]))
            await asyncio.Event().wait()
        elif mood == "answers nobody":  # after it did everything
            message = await receive()
            await upstreams.answer_of(self._app, scope, message["body"])
            await asyncio.Event().wait()
        elif mood == "breaks":
            raise RuntimeError("a fault of this test")
        else:
            await self._app(scope, receive, send)

    async def do_what_was_left(self) -> list[Answer]:
        return [await upstreams.answer_of(self._app, scope, body) for scope, body in self.left]


class Door:
    """A gateway's way of a claim, with the service behind it."""

    def __init__(self, claiming: Claiming, service: Moody) -> None:
        self._claiming = claiming
        self.service = service

    async def book(self, who: Resident, slot: uuid.UUID, key: str) -> Answer:
        body = json.dumps({"slot_id": str(slot)}).encode()
        headers = {b"content-type": b"application/json", b"idempotency-key": key.encode()}
        return await self._claiming.claim(
            Call("POST", "/v1/booking/reservations", headers, body, caller(who), uuid.uuid4().hex)
        )


@contextlib.asynccontextmanager
async def a_door(db: Database, keys: Keyring, settings: Settings, *, seconds: float = 0.4) -> AsyncIterator[Door]:
    app = booking.app(Context(db.of("linli_booking"), keys, settings))
    async with upstreams.local(app) as running, arbiter(db) as line:
        service = Moody(running)
        guards = {"booking": Guard("booking", service, seconds=seconds)}
        yield Door(Claiming(db.of("linli_gateway"), keys, line, guards, Refusals(db.of("linli_gateway"))), service)


def test_a_service_that_hangs_frees_the_place_and_the_same_key_may_be_tried_again(
    database_url: str, keys: Keyring, settings: Settings
) -> None:
    town = Town(database_url)
    slot = town.slot(capacity=1)
    (who,) = town.residents(1)

    async def asked() -> None:
        async with connected(database_url) as db, a_door(db, keys, settings) as door:
            door.service.moods = ["hangs"]
            first = asyncio.ensure_future(door.book(who, slot, "one-key-only"))
            await until(lambda: bool(door.service.left))
            again = await door.book(who, slot, "one-key-only")  # the first attempt is still held
            assert (again.status, json.loads(again.body)["code"]) == (409, "in_flight")
            with pytest.raises(errors.ServiceSlow):
                await first
            assert town.one("SELECT taken FROM slots WHERE id = %s", slot) == 0

            second = await door.book(who, slot, "one-key-only")
            assert second.status == 201
            (late,) = await door.service.do_what_was_left()
            assert (late.status, json.loads(late.body)["code"]) == (409, "hold_lapsed")
            replay = await door.book(who, slot, "one-key-only")
            assert (replay.status, replay.header(b"idempotency-replayed")) == (201, b"true")
            assert json.loads(replay.body)["id"] == json.loads(second.body)["id"]
        assert town.one("SELECT count(*) FROM reservations") == 1
        assert await wrong(database_url) == {}

    run(asked())


def test_a_service_that_confirmed_and_did_not_say_so_has_booked(
    database_url: str, keys: Keyring, settings: Settings
) -> None:
    town = Town(database_url)
    slot = town.slot(capacity=1)
    (who,) = town.residents(1)

    async def asked() -> None:
        async with connected(database_url) as db, a_door(db, keys, settings) as door:
            door.service.moods = ["answers nobody"]
            first = await door.book(who, slot, "one-key-only")
            assert first.status == 201
            replay = await door.book(who, slot, "one-key-only")
            assert json.loads(replay.body)["id"] == json.loads(first.body)["id"]
        assert town.one("SELECT count(*) FROM reservations") == 1
        assert await wrong(database_url) == {}

    run(asked())


def test_a_service_that_breaks_before_it_confirms_leaves_no_hold(
    database_url: str, keys: Keyring, settings: Settings
) -> None:
    town = Town(database_url)
    slot = town.slot(capacity=1)
    (who,) = town.residents(1)

    async def asked() -> None:
        async with connected(database_url) as db, a_door(db, keys, settings) as door:
            door.service.moods = ["breaks"]
            with pytest.raises(errors.Refusal) as refused:
                await door.book(who, slot, "one-key-only")
            assert refused.value.status >= 500
            assert town.one("SELECT taken FROM slots WHERE id = %s", slot) == 0
            assert (await door.book(who, slot, "one-key-only")).status == 201
        assert await wrong(database_url) == {}

    run(asked())
