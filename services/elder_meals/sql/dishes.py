"""Dishes and menus, and the slots that are a dish's stock on a day."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, NamedTuple

from services.elder_meals.rules import Dish
from shared import errors
from shared.db import Referees, Tx, referee

ZONE = "Asia/Shanghai"
SERVICE = "elder-meals"
_REFEREES: Referees = {"one_offered_dish_per_name": errors.Exists, "taken_within_capacity": errors.CapacityTaken}
_DISH = "id, place_id, name, name_en, allergens, texture, diets, price_fen, state, version"


def dish_of(row: Any) -> Dish:
    """A row of a dish as the rules see it."""
    return Dish(
        row["id"], row["name"], row["price_fen"], frozenset(row["allergens"]), frozenset(row["diets"]), row["texture"]
    )


async def dishes(
    tx: Tx, place_id: uuid.UUID, *, is_retired: bool | None, after: tuple[str, uuid.UUID] | None, limit: int
) -> list[Any]:
    """Dishes of a kitchen by name."""
    return await tx.fetch(
        f"SELECT {_DISH} FROM dishes WHERE place_id = $1 AND ($2::text IS NULL OR state = $2) "
        "AND ($3::text IS NULL OR (name, id) > ($3, $4::uuid)) ORDER BY name, id LIMIT $5",
        place_id,
        None if is_retired is None else "retired" if is_retired else "offered",
        after[0] if after else None,
        after[1] if after else None,
        limit,
    )


async def dish(tx: Tx, place_id: uuid.UUID, dish_id: uuid.UUID, *, locked: bool = False) -> Any | None:
    """One dish of a kitchen."""
    return await tx.row(
        f"SELECT {_DISH} FROM dishes WHERE id = $1 AND place_id = $2" + (" FOR NO KEY UPDATE" if locked else ""),
        dish_id,
        place_id,
    )


async def dishes_by_id(tx: Tx, ids: Sequence[uuid.UUID]) -> dict[uuid.UUID, Any]:
    """Dishes by id, offered or not."""
    rows = await tx.fetch(f"SELECT {_DISH} FROM dishes WHERE id = ANY($1::uuid[])", list(ids))
    return {row["id"]: row for row in rows}


async def insert_dish(tx: Tx, place_id: uuid.UUID, community: str, told: tuple[Any, ...]) -> uuid.UUID:
    """A new dish."""
    with referee(_REFEREES):
        made: uuid.UUID = await tx.value(
            "INSERT INTO dishes (place_id, community, name, name_en, allergens, texture, diets, price_fen) "
            "VALUES ($1, $2, $3, $4, $5, $6, $7, $8) RETURNING id",
            place_id,
            community,
            *told,
        )
    return made


async def update_dish(tx: Tx, dish_id: uuid.UUID, told: tuple[Any, ...]) -> None:
    """Say anew what a dish is."""
    with referee(_REFEREES):
        await tx.execute(
            "UPDATE dishes SET name = $2, name_en = $3, allergens = $4, texture = $5, diets = $6, price_fen = $7, "
            "version = version + 1 WHERE id = $1",
            dish_id,
            *told,
        )


async def retire_dish(tx: Tx, dish_id: uuid.UUID) -> None:
    """Offer a dish no longer."""
    await tx.execute("UPDATE dishes SET state = 'retired', version = version + 1 WHERE id = $1", dish_id)


async def is_on_the_menu(tx: Tx, dish_id: uuid.UUID, today: date) -> bool:
    """Whether a menu of today or later names the dish."""
    return bool(
        await tx.value(
            "SELECT EXISTS (SELECT 1 FROM menu_dishes WHERE dish_id = $1 AND day >= $2 AND is_offered)", dish_id, today
        )
    )


@dataclass(frozen=True, slots=True)
class Menu:
    """What is cooked on a day; version 0 when nobody has said so yet."""

    day: date
    version: int
    is_published: bool
    rows: tuple[Any, ...]


async def menus(tx: Tx, place_id: uuid.UUID, first: date, last: date) -> list[Menu]:
    """Menus of these days that somebody has written, with their dishes and what is taken of them."""
    heads = await tx.fetch(
        "SELECT day, version, is_published FROM menus WHERE place_id = $1 AND day BETWEEN $2 AND $3 ORDER BY day",
        place_id,
        first,
        last,
    )
    rows = await tx.fetch(
        "SELECT m.day, m.n, m.dish_id, m.portions, m.slot_id, d.id, d.name, d.name_en, d.allergens, d.texture, d.diets, "
        "d.price_fen, d.state, coalesce(s.taken, 0) AS taken, coalesce(s.state, 'none') AS slot_state "
        "FROM menu_dishes m JOIN dishes d ON d.id = m.dish_id LEFT JOIN slots s ON s.id = m.slot_id "
        "WHERE m.place_id = $1 AND m.day BETWEEN $2 AND $3 AND m.is_offered ORDER BY m.day, m.n, d.name",
        place_id,
        first,
        last,
    )
    by_day: dict[date, list[Any]] = {}
    for row in rows:
        by_day.setdefault(row["day"], []).append(row)
    return [
        Menu(head["day"], head["version"], head["is_published"], tuple(by_day.get(head["day"], ()))) for head in heads
    ]


async def menu(tx: Tx, place_id: uuid.UUID, day: date) -> Menu:
    """The menu of a day."""
    found = await menus(tx, place_id, day, day)
    return found[0] if found else Menu(day, 0, is_published=False, rows=())


async def write_menu(tx: Tx, place_id: uuid.UUID, community: str, day: date, *, is_published: bool) -> None:
    """The next version of a day's menu; the place is locked."""
    await tx.execute(
        "INSERT INTO menus (place_id, day, community, is_published) VALUES ($1, $2, $3, $4) "
        "ON CONFLICT (place_id, day) DO UPDATE SET is_published = excluded.is_published, version = menus.version + 1, "
        "changed_at = now()",
        place_id,
        day,
        community,
        is_published,
    )


async def write_menu_dishes(
    tx: Tx, place_id: uuid.UUID, community: str, day: date, dishes: Sequence[tuple[uuid.UUID, int]]
) -> None:
    """Which dishes a day has, in this order; what is no longer named stays, not offered, with its stock's slot."""
    await tx.execute(
        "UPDATE menu_dishes SET is_offered = false WHERE place_id = $1 AND day = $2 AND dish_id <> ALL($3::uuid[])",
        place_id,
        day,
        [dish_id for dish_id, _ in dishes],
    )
    await tx.execute(
        "INSERT INTO menu_dishes (place_id, day, dish_id, community, n, portions) "
        "SELECT $1, $2, t.dish_id, $3, t.n, t.portions FROM unnest($4::uuid[], $5::int[]) WITH ORDINALITY "
        "AS t(dish_id, portions, n) ON CONFLICT (place_id, day, dish_id) DO UPDATE SET portions = excluded.portions, "
        "n = excluded.n, is_offered = true",
        place_id,
        day,
        community,
        [dish_id for dish_id, _ in dishes],
        [portions for _, portions in dishes],
    )


class Stock(NamedTuple):
    """A dish's slot on a day, and what the menu says of it."""

    slot_id: uuid.UUID
    dish_id: uuid.UUID
    portions: int
    is_offered: bool
    state: str
    taken: int


async def stocks(tx: Tx, place_id: uuid.UUID, day: date) -> list[Stock]:
    """The stock slots that a day has, whether they are offered now or not."""
    rows = await tx.fetch(
        "SELECT m.slot_id, m.dish_id, m.portions, m.is_offered, s.state, s.taken FROM menu_dishes m "
        "JOIN slots s ON s.id = m.slot_id WHERE m.place_id = $1 AND m.day = $2",
        place_id,
        day,
    )
    return [Stock(*row) for row in rows]


async def set_stock(tx: Tx, sizes: Sequence[tuple[uuid.UUID, int]], gone: Sequence[uuid.UUID]) -> None:
    """Open these locked slots with so many portions; cancel those."""
    with referee(_REFEREES):
        await tx.execute(
            "UPDATE slots s SET capacity = t.portions, state = CASE WHEN s.state = 'cancelled' THEN 'open' ELSE s.state END "
            "FROM unnest($1::uuid[], $2::int[]) AS t(id, portions) WHERE s.id = t.id",
            [one for one, _ in sizes],
            [portions for _, portions in sizes],
        )
    await tx.execute(
        "UPDATE slots SET state = 'cancelled' WHERE id = ANY($1::uuid[]) AND state = 'open' AND taken = 0", list(gone)
    )


async def make_stock(tx: Tx, place_id: uuid.UUID, day: date) -> int:
    """Slots for the dishes of a published menu that have none yet, if the day has windows; how many came.

    A stock only says how much there is: it is open to whoever has a place in a window of that day. When, for whom and until
    when are the window's. It counts for no limit, takes nobody's time and has no waiting list.
    """
    return await tx.execute(
        f"""
        WITH day AS (
            SELECT max(starts_at) AS starts_at, max(ends_at) AS ends_at,
                   (array_agg(policy_id ORDER BY starts_at DESC))[1] AS policy_id
            FROM slots WHERE place_id = $1 AND subject_id IS NULL AND state = 'open'
              AND starts_at >= $2::date::timestamp AT TIME ZONE '{ZONE}'
              AND starts_at < ($2::date + 1)::timestamp AT TIME ZONE '{ZONE}'
        ), wanted AS (
            SELECT m.dish_id, m.portions, d.name, m.community, uuidv7() AS slot_id
            FROM menu_dishes m JOIN dishes d ON d.id = m.dish_id JOIN menus h ON h.place_id = m.place_id AND h.day = m.day
            WHERE m.place_id = $1 AND m.day = $2 AND m.is_offered AND m.slot_id IS NULL AND h.is_published
        ), made AS (
            INSERT INTO slots (id, service, place_id, community, title, subject_kind, subject_id, starts_at, ends_at,
                               closes_at, capacity, policy_id, is_exclusive, is_counted, is_waitable)
            SELECT w.slot_id, '{SERVICE}', $1, w.community, w.name, 'dish', w.dish_id, day.starts_at, day.ends_at,
                   ($2::date + 1)::timestamp AT TIME ZONE '{ZONE}', w.portions, day.policy_id, false, false, false
            FROM wanted w, day WHERE day.starts_at > now()
            RETURNING id, subject_id
        )
        UPDATE menu_dishes m SET slot_id = made.id FROM made
        WHERE m.place_id = $1 AND m.day = $2 AND m.dish_id = made.subject_id
        """,
        place_id,
        day,
    )


async def unstocked(tx: Tx, today: date) -> list[tuple[uuid.UUID, date]]:
    """Published days on which a dish has no stock yet although there are windows."""
    rows = await tx.fetch(
        f"""
        SELECT DISTINCT m.place_id, m.day FROM menus h JOIN menu_dishes m ON m.place_id = h.place_id AND m.day = h.day
        WHERE h.is_published AND h.day >= $1 AND m.is_offered AND m.slot_id IS NULL AND EXISTS (
            SELECT 1 FROM slots s WHERE s.place_id = m.place_id AND s.subject_id IS NULL AND s.state = 'open'
              AND s.starts_at > now() AND s.starts_at >= m.day::timestamp AT TIME ZONE '{ZONE}'
              AND s.starts_at < (m.day + 1)::timestamp AT TIME ZONE '{ZONE}')
        ORDER BY m.place_id, m.day
        """,
        today,
    )
    return [(row[0], row[1]) for row in rows]


class Window(NamedTuple):
    """A window of a kitchen that can be ordered from now."""

    id: uuid.UUID
    place_id: uuid.UUID
    day: date
    title: str
    starts_at: datetime


async def windows(tx: Tx, place_ids: Sequence[uuid.UUID], first: date, last: date) -> list[Window]:
    """Windows of these kitchens and days that are open for orders now."""
    rows = await tx.fetch(
        f"SELECT id, place_id, (starts_at AT TIME ZONE '{ZONE}')::date AS day, title, starts_at FROM slots "
        "WHERE place_id = ANY($1::uuid[]) AND subject_id IS NULL AND state = 'open' AND closes_at > now() "
        "AND (opens_at IS NULL OR opens_at <= now()) "
        f"AND starts_at >= $2::date::timestamp AT TIME ZONE '{ZONE}' "
        f"AND starts_at < ($3::date + 1)::timestamp AT TIME ZONE '{ZONE}' ORDER BY starts_at, id",
        list(place_ids),
        first,
        last,
    )
    return [Window(*row) for row in rows]


async def day_windows(tx: Tx, place_id: uuid.UUID, day: date, slot_id: uuid.UUID | None) -> list[Any]:
    """The windows of a day, or one of them: id, title, starts_at, ends_at."""
    return await tx.fetch(
        "SELECT id, title, starts_at, ends_at FROM slots WHERE place_id = $1 AND subject_id IS NULL "
        "AND (state <> 'cancelled' OR taken > 0) AND ($3::uuid IS NULL OR id = $3) "
        f"AND starts_at >= $2::date::timestamp AT TIME ZONE '{ZONE}' "
        f"AND starts_at < ($2::date + 1)::timestamp AT TIME ZONE '{ZONE}' ORDER BY starts_at, id",
        place_id,
        day,
        slot_id,
    )
