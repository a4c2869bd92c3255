"""Dishes, and what is cooked on which day. Whoever changes a day's menu holds the kitchen, then the stock's slots."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from datetime import date, timedelta
from typing import Any

from services.elder_meals.actions import KITCHEN, SERVICE
from services.elder_meals.sql import dishes as sql
from shared import claims, clock, errors
from shared.assertion import Caller
from shared.db import Tx
from shared.places import sql as places
from shared.texts import say

Matches = Callable[[object], None]


async def _kitchen(tx: Tx, who: Caller, place_id: uuid.UUID) -> places.Place:
    """The kitchen, locked, for those who run it."""
    place = await places.locked_place(tx, place_id, SERVICE)
    if place is None:
        raise errors.NotThere
    who.require(KITCHEN, place.community, place_id)
    return place


async def create_dish(tx: Tx, who: Caller, place_id: uuid.UUID, told: tuple[Any, ...]) -> uuid.UUID:
    """A new dish of a kitchen."""
    place = await _kitchen(tx, who, place_id)
    return await sql.insert_dish(tx, place_id, place.community, told)


async def replace_dish(
    tx: Tx, who: Caller, place_id: uuid.UUID, dish_id: uuid.UUID, told: tuple[Any, ...], matches: Matches
) -> None:
    """Say anew what a dish is. Orders keep the price they were made at."""
    await _kitchen(tx, who, place_id)
    row = await sql.dish(tx, place_id, dish_id, locked=True)
    if row is None:
        raise errors.NotThere
    matches(row["version"])
    if row["state"] == "retired":
        raise errors.Conflict(say("This dish is retired.", "此菜品已停供。"))
    await sql.update_dish(tx, dish_id, told)


async def retire_dish(tx: Tx, who: Caller, place_id: uuid.UUID, dish_id: uuid.UUID) -> None:
    """Offer a dish no longer; again changes nothing. Not while a menu that is to come names it."""
    await _kitchen(tx, who, place_id)
    row = await sql.dish(tx, place_id, dish_id, locked=True)
    if row is None:
        raise errors.NotThere
    if row["state"] == "retired":
        return tx.discard()
    if await sql.is_on_the_menu(tx, dish_id, clock.today()):
        raise errors.Conflict(say("A menu that is to come names this dish.", "后续菜单仍含此菜品，请先调整菜单。"))
    return await sql.retire_dish(tx, dish_id)


async def replace_menu(
    tx: Tx,
    who: Caller,
    place_id: uuid.UUID,
    day: date,
    told: Sequence[tuple[uuid.UUID, int]],
    matches: Matches,
    *,
    is_published: bool,
) -> None:
    """Say what is cooked on a day, and open it for orders or not.

    What somebody has ordered stays: fewer portions than are taken, or a day that is withdrawn although something is taken,
    is refused.
    """
    place = await _kitchen(tx, who, place_id)
    if not clock.today() <= day <= clock.today() + timedelta(days=400):
        raise errors.Conflict(say("A menu is for today or a day to come.", "只能设定当天及以后的菜单。"))
    matches((await sql.menu(tx, place_id, day)).version)
    await _write(tx, place, day, told, is_published=is_published)


async def _write(
    tx: Tx, place: places.Place, day: date, told: Sequence[tuple[uuid.UUID, int]], *, is_published: bool
) -> None:
    known = await sql.dishes_by_id(tx, [dish_id for dish_id, _ in told])
    wrong = [
        {"in": "body", "pointer": f"/dishes/{n}/dish_id", "code": "unknown"}
        for n, (dish_id, _) in enumerate(told)
        if dish_id not in known or known[dish_id]["place_id"] != place.id or known[dish_id]["state"] != "offered"
    ]
    if wrong:
        raise errors.Unprocessable(errors=wrong[:50])
    portions = dict(told)
    await claims.lock_slots(tx, [one.slot_id for one in await sql.stocks(tx, place.id, day)])
    sizes, gone = [], []
    for one in await sql.stocks(tx, place.id, day):
        wanted = portions.get(one.dish_id, 0) if is_published else 0
        if one.taken > wanted:
            n = next((n for n, (dish_id, _) in enumerate(told) if dish_id == one.dish_id), None)
            where = "/published" if not is_published else "/dishes" if n is None else f"/dishes/{n}/portions"
            raise errors.CapacityTaken.at(where, "capacity_taken", taken=one.taken)
        if wanted:
            sizes.append((one.slot_id, wanted))
        else:
            gone.append(one.slot_id)
    await sql.write_menu(tx, place.id, place.community, day, is_published=is_published)
    await sql.write_menu_dishes(tx, place.id, place.community, day, told)
    await sql.set_stock(tx, sizes, gone)
    if is_published:
        await sql.make_stock(tx, place.id, day)


async def copy_menus(
    tx: Tx, who: Caller, place_id: uuid.UUID, source: date, target: date, days: int, *, is_published: bool
) -> list[date]:
    """Say the menus of some days again for later ones that have none yet; for which days."""
    place = await _kitchen(tx, who, place_id)
    if not clock.today() <= target <= clock.today() + timedelta(days=400):
        raise errors.Conflict(say("A menu is for today or a day to come.", "只能设定当天及以后的菜单。"))
    found = {one.day: one for one in await sql.menus(tx, place_id, source, source + timedelta(days=days - 1))}
    there = {one.day for one in await sql.menus(tx, place_id, target, target + timedelta(days=days - 1))}
    made = []
    for n in range(days):
        menu, day = found.get(source + timedelta(days=n)), target + timedelta(days=n)
        if menu is None or day in there:
            continue
        still = [(row["dish_id"], row["portions"]) for row in menu.rows if row["state"] == "offered"]
        await _write(tx, place, day, still, is_published=is_published)
        made.append(day)
    if not made:
        tx.discard()
    return made


async def stock_up(tx: Tx, place_id: uuid.UUID, day: date) -> int:
    """Stock for a published menu whose day had no windows when it was published; how many dishes."""
    if await places.locked_place(tx, place_id, SERVICE) is None:
        return 0
    return await sql.make_stock(tx, place_id, day)


async def may_see_drafts(tx: Tx, who: Caller, place_id: uuid.UUID) -> bool:
    """Whether the caller runs this kitchen; refuses when there is none."""
    place = await places.place(tx, SERVICE, place_id)
    if place is None:
        raise errors.NotThere
    return who.may(KITCHEN, place.community, place_id)
