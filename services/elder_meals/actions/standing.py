"""Standing orders: said once, asked for day by day through the front door, in the name of whoever said so."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Mapping, Sequence
from datetime import date, timedelta
from typing import Any, Final, NamedTuple

from services.elder_meals import notices, rules
from services.elder_meals.actions import KITCHEN, SERVICE, STAFF
from services.elder_meals.actions.asking import AHEAD_DAYS, Menus, ask_again
from services.elder_meals.actions.elders import elder, is_staff_only, whom
from services.elder_meals.sql import dishes
from services.elder_meals.sql import elders as sql
from shared import clock, errors
from shared.assertion import Caller
from shared.crypto import Keyring
from shared.db import Tx
from shared.notices import announce
from shared.places import sql as places
from shared.web import Ask

Matches = Callable[[object], None]

HORIZON: Final = timedelta(days=366)
"""How far ahead a standing order may begin."""


class Wanted(NamedTuple):
    """What a standing order says."""

    person_id: uuid.UUID | None
    kitchen_id: uuid.UUID
    weekdays: list[int]
    window: str
    meal: Mapping[str, Any]
    starts_on: date | None
    until: date | None


async def create_standing(tx: Tx, who: Caller, wanted: Wanted) -> uuid.UUID:
    """A new standing order of an elder at a kitchen: one a window."""
    person = await elder(tx, who, whom(who, wanted.person_id))
    place = await places.place(tx, SERVICE, wanted.kitchen_id)
    if place is None:
        raise errors.Unprocessable.at("/kitchen_id", "unknown")
    await _knows_window(tx, wanted)
    await _knows_dishes(tx, wanted)
    return await sql.insert_standing(
        tx,
        [
            place.id,
            place.community,
            who.account_no,
            person["id"],
            person["no"],
            *_said("desk" if is_staff_only(who, person) else "app", wanted, clock.today()),
        ],
    )


def _said(channel: str, wanted: Wanted, starts_on: date) -> list[Any]:
    """Weekdays, window, meal, begin and end as they are stored. What staff begin is asked for as from the desk.

    Refused is what could never order anything.
    """
    starts_on, until, today = wanted.starts_on or starts_on, wanted.until, clock.today()
    if starts_on > today + HORIZON:
        raise errors.Unprocessable.at("/starts_on", "too_far")
    if until is not None and until < today:
        raise errors.Unprocessable.at("/until", "past")
    days = rules.meal_days(max(starts_on, today), 7, wanted.weekdays, starts_on, until)
    if not days and until is not None and starts_on <= until:
        raise errors.Unprocessable.at("/weekdays", "never")
    return [
        sorted(wanted.weekdays),
        wanted.window,
        {**wanted.meal, "channel": channel},
        starts_on,
        wanted.until,
    ]


async def _knows_window(tx: Tx, wanted: Wanted) -> None:
    """Refuse a window that the kitchen does not have: nothing would ever be ordered, and nobody told."""
    titles = {line.title for line in (await places.schedule(tx, wanted.kitchen_id)).lines}
    if wanted.window in titles:
        return
    today = clock.today()
    coming = await dishes.windows(tx, [wanted.kitchen_id], today, today + timedelta(days=AHEAD_DAYS))
    if all(one.title != wanted.window for one in coming):
        raise errors.Unprocessable.at("/window", "unknown")


async def _knows_dishes(tx: Tx, wanted: Wanted) -> None:
    lines = wanted.meal.get("lines") or []
    known = await dishes.dishes_by_id(tx, [uuid.UUID(one["dish_id"]) for one in lines])
    for n, one in enumerate(lines):
        row = known.get(uuid.UUID(one["dish_id"]))
        if row is None or row["place_id"] != wanted.kitchen_id or row["state"] != "offered":
            raise errors.Unprocessable.at(f"/lines/{n}/dish_id", "unknown")


async def _standing(tx: Tx, who: Caller, standing_id: uuid.UUID, *, locked: bool = False) -> tuple[Any, Any]:
    """A standing order and its elder, for those who may speak for the elder."""
    who.known()
    row = await sql.standing(tx, standing_id, locked=locked)
    if row is None:
        raise errors.NotThere
    return row, await elder(tx, who, row["person_id"])


async def replace_standing(
    tx: Tx, keys: Keyring, who: Caller, standing_id: uuid.UUID, wanted: Wanted, matches: Callable[[object, bool], None]
) -> None:
    """Say a standing order anew; its elder and its kitchen stay. What it has ordered stays, too.

    What staff change stays in the name it was in. What it did not get is asked for again.
    """
    row, person = await _standing(tx, who, standing_id, locked=True)
    matches(row["version"], is_staff_only(who, person))
    if row["state"] != "active":
        raise errors.AlreadyRecorded
    if wanted.person_id not in (None, row["person_id"]):
        raise errors.Unprocessable.at("/person_id", "fixed")
    if wanted.kitchen_id != row["place_id"]:
        raise errors.Unprocessable.at("/kitchen_id", "fixed")
    if wanted.window != row["title"]:
        await _knows_window(tx, wanted)
    await _knows_dishes(tx, wanted)
    whose = (row["account_no"], row["lines"]["channel"]) if is_staff_only(who, person) else (who.account_no, "app")
    said = _said(whose[1], wanted, row["starts_on"])
    await sql.update_standing(tx, standing_id, [whose[0], *said])
    await ask_again(tx, keys, row["person_id"])


async def end_standing(tx: Tx, who: Caller, standing_id: uuid.UUID) -> None:
    """Order no more by itself; again changes nothing."""
    row, _ = await _standing(tx, who, standing_id, locked=True)
    if row["state"] == "active":
        await sql.end_standing(tx, standing_id)
    else:
        tx.discard()


async def read_standing(tx: Tx, who: Caller, standing_id: uuid.UUID) -> tuple[Any, Sequence[Any]]:
    """A standing order and what became of it lately; for those who cook it, too."""
    row = await sql.standing(tx, standing_id)
    if row is None or not who.may(KITCHEN, row["community"], row["place_id"]):
        row, _ = await _standing(tx, who, standing_id)
    since = clock.today() - timedelta(days=31)
    return row, (await sql.runs(tx, [standing_id], since)).get(standing_id, [])


async def standings(
    tx: Tx,
    who: Caller,
    person_id: uuid.UUID | None,
    place_id: uuid.UUID | None,
    after: uuid.UUID | None,
    limit: int,
) -> list[tuple[Any, Sequence[Any]]]:
    """Standing orders of those the caller may act for; staff ask by person or kitchen."""
    who.known()
    prefixes = who.regions(STAFF)
    as_staff = bool(prefixes) and (person_id is not None or place_id is not None)
    found = await sql.standings(
        tx,
        holders=None if as_staff else who.holders_in(SERVICE),
        prefixes=prefixes,
        person_id=person_id,
        place_id=place_id,
        after=after,
        limit=limit,
    )
    runs = await sql.runs(tx, [row["id"] for row in found], clock.today() - timedelta(days=31))
    return [(row, runs.get(row["id"], [])) for row in found]


async def pass_on(tx: Tx) -> int:
    """Give standing orders to their elders when whoever made them may not speak for them any more; how many.

    Meals go on: only where an elder has no account of their own does the order end. Both are told.
    """
    found = await sql.orphaned(tx, 200)
    if not found:
        tx.discard()
        return 0
    passed = [row for row in found if row["elders_account"] is not None]
    await sql.pass_standings(tx, [(row["id"], row["elders_account"]) for row in passed])
    for row in found:
        if row["elders_account"] is None:
            await sql.end_standing(tx, row["id"])
    tell = [notices.standing_passed if row in passed else notices.standing_ended for row in found]
    await announce(
        tx, [say(row["id"], row["community"], row["holder_no"]) for say, row in zip(tell, found, strict=True)]
    )
    return len(found)


async def begin_runs(tx: Tx, keys: Keyring, today: date) -> int:
    """Write down what standing orders want from the windows that are open now; how many asks and refusals came of it.

    An elder who is away wants nothing that day, and a menu that is not published yet is waited for.
    """
    active = await sql.active_standings(tx, today)
    last = today + timedelta(days=AHEAD_DAYS - 1)
    windows: dict[tuple[uuid.UUID, date, str], uuid.UUID] = {}
    for window in await dishes.windows(tx, list({row["place_id"] for row in active}), today, last):
        windows.setdefault((window.place_id, window.day, window.title), window.id)
    ran = await sql.ran(tx, [row["id"] for row in active], today)
    away = await sql.away(tx, list({row["person_id"] for row in active}), today, last)
    known = Menus(tx, keys, today, last)
    begun = 0
    for row in active:
        for day in rules.meal_days(today, AHEAD_DAYS, row["weekdays"], row["starts_on"], row["until"]):
            slot_id = windows.get((row["place_id"], day, row["title"]))
            is_away = any(one["person_id"] == row["person_id"] and one["first"] <= day <= one["last"] for one in away)
            if slot_id is None or is_away or (row["id"], day) in ran:
                continue
            body, code = await known.body(row, day, slot_id)
            if body is None and code is None:
                continue
            state = "asking" if body is not None else "refused"
            if await sql.begin_run(tx, row["id"], day, row["community"], state, code, body or {}):
                begun += 1
                if code is not None:
                    await announce(
                        tx, [notices.standing_refused(row["id"], row["community"], row["holder_no"], day, code)]
                    )
    if not begun:
        tx.discard()
    return begun


async def settle(tx: Tx, ask: Ask, standing_id: uuid.UUID, day: date) -> bool:
    """Ask for one day if it is wanted still, and write down what became of it; False when it is to be asked again.

    The standing order is held meanwhile: whoever ends it, or says that the elder is away, waits for an ask under way and
    is told of its order. A day that is wanted no more is left out as if it had never begun, without a notice.
    """
    run = await sql.held_run(tx, standing_id, day)
    if run is None:
        tx.discard()
        return False
    code = None
    if run["state"] != "active" or not rules.meal_days(day, 1, run["weekdays"], run["starts_on"], run["until"]):
        code = rules.ENDED
    elif await sql.away(tx, [run["person_id"]], day, day):
        code = rules.AWAY
    if code is None:
        # Said in other words it is another ask.
        words = uuid.uuid5(standing_id, json.dumps(run["body"], sort_keys=True))
        key = f"standing-{standing_id}-{day}-{words}"
        return await _end_run(tx, run, *await ask(run["account_no"], SERVICE, run["body"], key))
    order_id = await sql.order_of(tx, run["person_id"], uuid.UUID(run["body"]["slot_id"]), run["changed_at"])
    if order_id is not None:  # a worker died before it could write down what it was answered
        return await sql.end_run(tx, standing_id, day, "ordered", None, order_id)
    return await sql.end_run(tx, standing_id, day, "refused", code, None)


async def _end_run(tx: Tx, run: Any, status: int, answer: Mapping[str, Any]) -> bool:
    order_id, code = answer.get("id"), answer.get("code")
    if rules.is_passing(status, code):
        tx.discard()
        return False
    if status < 400 and order_id is not None:
        return await sql.end_run(tx, run["standing_id"], run["day"], "ordered", None, uuid.UUID(str(order_id)))
    wrong = {(one.get("pointer"), one.get("code")) for one in answer.get("errors") or ()}
    code = "no_address" if ("/deliver_to", "missing") in wrong else code or "conflict"
    if await sql.end_run(tx, run["standing_id"], run["day"], "refused", code, None):
        await announce(
            tx,
            [notices.standing_refused(run["standing_id"], run["community"], run["holder_no"], run["day"], code)],
        )
        return True
    return False
