"""A question that forgot its condition is told only what is within its caller's reach."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
from fastapi import APIRouter

from shared import assertion, web
from shared.assertion import ActsFor, Caller, Role
from shared.crypto import Keyring
from shared.db import Database, Tx
from shared.settings import Settings
from shared.web import Context, Ctx, Wide
from tests.conftest import connected
from tests.town import Town

router = APIRouter()


async def everybody(tx: Tx) -> list[str]:
    """Whoever wrote this forgot who asks."""
    return [str(row["id"]) for row in await tx.fetch("SELECT id FROM persons ORDER BY id")]


@router.get("/forgetful")
async def forgetful(ctx: Ctx) -> list[str]:
    return await ctx.db.read(everybody)


@router.get("/wide")
async def wide(ctx: Wide) -> list[str]:
    return await ctx.db.read(everybody)


async def asked(db: Database, keys: Keyring, caller: Caller, path: str) -> Any:
    """What a caller hears of a route."""
    app = web.service_app("identity", "Test", [router])(Context(db.of("linli_identity"), keys, Settings(demo=True)))
    signed = assertion.sign(caller, audience="identity", key=keys.assertion)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://town") as client:
        return (await client.get(path, headers={assertion.HEADER: signed})).json()


def test_a_question_that_forgot_its_condition_is_told_only_of_the_callers_people(
    database_url: str, keys: Keyring
) -> None:
    town = Town(database_url)
    mine, child, other = town.residents(3)
    (far,) = town.residents(community="330424101003")
    resident = Caller(
        account_no=mine.account_no,
        person_id=mine.person_id,
        holder_no=mine.holder_no,
        acts_for=(ActsFor(child.person_id, child.holder_no, "x", "guardian"),),
    )
    everyone = sorted(str(one.person_id) for one in (mine, child, other, far))

    async def told() -> None:
        async with connected(database_url) as db:
            assert await asked(db, keys, Caller(), "/forgetful") == []
            assert await asked(db, keys, resident, "/forgetful") == sorted(str(one.person_id) for one in (mine, child))
            desk = Caller(account_no=other.account_no, person_id=other.person_id, roles=(Role("staff", "330411"),))
            assert await asked(db, keys, desk, "/forgetful") == [one for one in everyone if one != str(far.person_id)]
            away = Caller(account_no=far.account_no, person_id=far.person_id, roles=(Role("staff", "330424101"),))
            assert await asked(db, keys, away, "/forgetful") == [str(far.person_id)]
            for caller in (Caller(), resident, desk):
                assert await asked(db, keys, caller, "/wide") == everyone
            narrow = db.of("linli_identity").within(resident)
            assert narrow.of("linli_gateway").caller == resident, "another role reaches no further"
            assert len(await narrow.read(everybody)) == 2
            assert len(await db.of("linli_identity").read(everybody)) == 4, "nothing of it stays behind in the pool"

    asyncio.run(told())
