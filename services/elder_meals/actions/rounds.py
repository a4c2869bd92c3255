"""What a kitchen cooks for a day, and the ways its meals go. An address is shown to those who bring something there."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import Any, Final

from services.elder_meals import rules
from services.elder_meals.actions import DOORS, KITCHEN, SERVICE
from services.elder_meals.actions.orders import phone_read
from services.elder_meals.actions.sealing import unseal
from services.elder_meals.rules import Door
from services.elder_meals.sql import dishes, elders, orders
from services.elder_meals.sql import doors as sql
from shared import clock, errors
from shared.assertion import Caller
from shared.crypto import Keyring
from shared.db import Tx
from shared.places import sql as places

CALLS_BEFORE: Final = timedelta(hours=1)
"""How long before their window those who walk a round may call the people of its doors."""
CALLS_AFTER: Final = timedelta(hours=2)
"""How long after its end they still may."""


async def production(
    tx: Tx, keys: Keyring, who: Caller, place_id: uuid.UUID, day: date, slot_id: uuid.UUID | None
) -> tuple[places.Place, list[dict[str, Any]]]:
    """What is cooked on a day, window by window: dishes with portions, and a ticket a box. Boxes have numbers, no names."""
    place = await places.place(tx, SERVICE, place_id)
    if place is None:
        raise errors.NotThere
    who.require(KITCHEN, place.community, place_id)
    windows = await dishes.day_windows(tx, place_id, day, slot_id)
    if slot_id is not None and not windows:
        raise errors.NotThere
    cooked = await orders.to_cook(tx, [row["id"] for row in windows])
    lines = await orders.lines(tx, [row["id"] for row in cooked])
    return place, [
        _window(keys, window, [row for row in cooked if row["slot_id"] == window["id"]], lines) for window in windows
    ]


def _window(
    keys: Keyring, window: Any, cooked: Sequence[Any], lines: Mapping[uuid.UUID, Sequence[Any]]
) -> dict[str, Any]:
    totals: dict[uuid.UUID, dict[str, Any]] = {}
    tickets = []
    for row in cooked:
        said = unseal(keys, "order", row["id"], row["sealed"])
        for line in lines.get(row["id"], ()):
            total = totals.setdefault(
                line["dish_id"], {"dish_id": line["dish_id"], "name": line["name"], "portions": 0}
            )
            total["portions"] += line["portions"]
        tickets.append(
            {
                "no": row["no"],
                "order_id": row["id"],
                "lines": [{"name": line["name"], "portions": line["portions"]} for line in lines.get(row["id"], ())],
                "diet": said.get("diet") or [],
                "allergens": said.get("allergens") or [],
                "texture": said.get("texture") or "normal",
                "note": said.get("note"),
                "delivered": said.get("deliver_to") is not None,
            }
        )
    return {
        "slot_id": window["id"],
        "title": window["title"],
        "starts_at": window["starts_at"],
        "ends_at": window["ends_at"],
        "orders": len(tickets),
        "portions": sum(one["portions"] for one in totals.values()),
        "dishes": sorted(totals.values(), key=lambda one: (-one["portions"], one["name"])),
        "tickets": tickets,
    }


async def plan(
    tx: Tx, keys: Keyring, who: Caller, slot_id: uuid.UUID, couriers: Sequence[uuid.UUID]
) -> list[dict[str, Any]]:
    """Make the rounds of a window anew: the doors where nothing has happened yet are shared among these couriers."""
    who.known()
    window = await sql.window(tx, slot_id)
    place = await places.place(tx, SERVICE, window["place_id"]) if window is not None else None
    if place is None or window is None:
        raise errors.NotThere
    who.require(KITCHEN, place.community, place.id)
    place_id = place.id
    await sql.window(tx, slot_id, locked=True)
    accounts = await sql.couriers(tx, couriers, place.community, place_id)
    for n, one in enumerate(couriers):
        if one not in accounts:
            raise errors.Unprocessable.at(f"/couriers/{n}", "not_a_courier")
    meals = await orders.to_bring(tx, slot_id)
    rounds = await sql.forget_open_stops(tx, slot_id)
    done = await sql.planned(tx, [row["id"] for row in meals])
    doors = [_door(keys, row) for row in meals if row["id"] not in done]
    start = (place.lat, place.lon) if place.lat is not None and place.lon is not None else None
    if doors:
        pieces = rules.shares(rules.tour(doors, start), len(couriers) or 1)
        for n, piece in enumerate(pieces):
            courier_no = accounts[couriers[n]] if couriers else None
            values = [place_id, place.community, slot_id, window["day"], rounds + n + 1, courier_no, who.account_no]
            await sql.insert_round(tx, values, [one.key for one in piece])
    return [_round(who, row) for row in await sql.rounds(tx, slot_id=slot_id)]


def _door(keys: Keyring, row: Any) -> Door:
    door = unseal(keys, "order", row["id"], row["sealed"]).get("deliver_to") or {}
    at = (door["lat"], door["lon"]) if door.get("lat") is not None else None
    return Door(row["id"], row["region"], door.get("address") or "", at)


def _round(who: Caller, row: Any) -> dict[str, Any]:
    return {
        "id": row["id"],
        "facility": {"id": row["place_id"], "name": row["place_name"]},
        "slot_id": row["slot_id"],
        "date": row["day"],
        "n": row["n"],
        "courier": {"id": row["courier_id"], "name": row["courier_name"]} if row["courier_id"] is not None else None,
        "mine": row["courier_no"] is not None and row["courier_no"] == who.account_no,
        "stops_total": row["total"],
        "stops_open": row["open"],
    }


def walks(who: Caller, row: Any) -> bool:
    """Whether a round is the caller's: named for it, free for any courier there, or of those who run the kitchen."""
    if who.may(KITCHEN, row["community"], row["place_id"]):
        return True
    return who.may(DOORS, row["community"], row["place_id"]) and row["courier_no"] in (None, who.account_no)


async def rounds(tx: Tx, who: Caller, day: date | None, slot_id: uuid.UUID | None) -> list[dict[str, Any]]:
    """The caller's rounds of a day."""
    who.known()
    found = await sql.rounds(tx, day=day, slot_id=slot_id)
    return [_round(who, row) for row in found if walks(who, row)]


async def read_round(tx: Tx, keys: Keyring, who: Caller, round_id: uuid.UUID) -> dict[str, Any]:
    """One round with its doors. Until the day after it says where they are; later only how they went.

    Who runs the kitchen, and about its hour who walks it, is told the phones in full, and that is written down.
    """
    who.known()
    row = await sql.round_(tx, round_id)
    if row is None or not walks(who, row):
        raise errors.NotThere
    stops = await sql.stops(tx, round_id)
    is_over = row["day"] < clock.today() - timedelta(days=1)
    profiles = {} if is_over else await elders.profiles(tx, [one["person_id"] for one in stops])
    told = [_stop(keys, one, profiles, is_over=is_over) for one in stops]
    may_call = who.may(KITCHEN, row["community"], row["place_id"]) or (
        row["starts_at"] - CALLS_BEFORE <= clock.now() <= row["ends_at"] + CALLS_AFTER
    )
    for stop, one in zip(told, stops, strict=True):
        if stop["phone"] is not None and may_call:
            await phone_read(tx, who, one["id"], one["person_id"], row["community"])
        else:
            stop["phone"] = rules.masked(stop["phone"])
    return {**_round(who, row), "stops": told}


def _stop(keys: Keyring, row: Any, profiles: Mapping[uuid.UUID, bytes], *, is_over: bool) -> dict[str, Any]:
    door = {} if is_over else unseal(keys, "order", row["id"], row["sealed"]).get("deliver_to") or {}
    neighbour = unseal(keys, "profile", row["person_id"], profiles.get(row["person_id"])).get("neighbour") or {}
    return {
        "order_id": row["id"],
        "no": row["no"],
        "name": row["name"][:1] + "*" * (len(row["name"]) - 1) if is_over else row["name"],
        "region": row["region"],
        "address": door.get("address"),
        "phone": door.get("phone"),
        "note": door.get("note"),
        "lat": door.get("lat"),
        "lon": door.get("lon"),
        "dishes": row["portions"],
        "neighbour": neighbour.get("name") if neighbour.get("consent") else None,
        "state": row["state"],
        "outcome": row["outcome"],
    }
