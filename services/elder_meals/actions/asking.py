"""What a standing order asks for on a day, and what is asked for again once the reason why it was refused may be gone."""

from __future__ import annotations

import uuid
from datetime import date, timedelta
from typing import Any, Final

from services.elder_meals import rules
from services.elder_meals.actions.sealing import needs_of, readable
from services.elder_meals.sql import dishes
from services.elder_meals.sql import elders as sql
from shared import clock, errors
from shared.crypto import Keyring
from shared.db import Tx

AHEAD_DAYS: Final = 9
"""How far ahead the worker looks for windows that are open."""
MENDED: Final = (
    "no_address",
    errors.OutsideDeliveryArea.code,
    errors.DietConflict.code,
    errors.ConsentRequired.code,
    errors.NotOffered.code,
    errors.Full.code,
    rules.ENDED,
)
"""Why a day was refused that another door, diet or standing order may mend."""


async def ask_again(tx: Tx, keys: Keyring, person_id: uuid.UUID) -> None:
    """Ask anew, in the words of today, for what was refused on days that are still open.

    An ask under way is waited for, as by an absence: what it is refused is asked for again, too.
    """
    await sql.hold_standings(tx, person_id)
    today = clock.today()
    last = today + timedelta(days=AHEAD_DAYS - 1)
    refused = await sql.refused(tx, person_id, today, MENDED)
    if not refused:
        return
    found = await dishes.windows(tx, list({row["place_id"] for row in refused}), today, last)
    windows = {(one.place_id, one.day, one.title): one.id for one in reversed(found)}
    known = Menus(tx, keys, today, last)
    for row in refused:
        slot_id = windows.get((row["place_id"], row["day"], row["title"]))
        if slot_id is None or not rules.meal_days(row["day"], 1, row["weekdays"], row["starts_on"], row["until"]):
            continue
        body, _ = await known.body(row, row["day"], slot_id)
        if body is not None:
            await sql.begin_again(tx, row["id"], row["day"], body)


class Menus:
    """Menus and profiles of those who take the dish of the day, read when first needed."""

    def __init__(self, tx: Tx, keys: Keyring, first: date, last: date) -> None:
        self._tx, self._keys, self._first, self._last = tx, keys, first, last
        self._menus: dict[uuid.UUID, dict[date, dishes.Menu]] = {}
        self._needs: dict[uuid.UUID, rules.Needs | None] = {}

    async def body(self, row: Any, day: date, slot_id: uuid.UUID) -> tuple[dict[str, Any] | None, str | None]:
        """The order to ask for; or why there is none; neither while there is no menu."""
        meal = row["lines"]
        lines = meal.get("lines")
        if lines is None:
            menu = (await self._of(row["place_id"])).get(day)
            if menu is None or not menu.is_published:
                return None, None
            left = [dishes.dish_of(one) for one in menu.rows if one["portions"] - one["taken"] >= meal["portions"]]
            needs = await self._needs_of(row["person_id"])
            if needs is None:
                return None, errors.Broken.code
            dish = rules.dish_of_the_day(left, needs)
            if dish is None:
                return None, "diet_conflict" if left else "full"
            lines = [{"dish_id": str(dish.id), "portions": meal["portions"]}]
        body = {"slot_id": str(slot_id), "persons": [str(row["person_id"])], "lines": lines}
        body |= {"collect": True} if meal.get("collect") else {}
        return (body if meal["channel"] == "app" else body | {"channel": meal["channel"]}), None

    async def _of(self, place_id: uuid.UUID) -> dict[date, dishes.Menu]:
        if place_id not in self._menus:
            found = await dishes.menus(self._tx, place_id, self._first, self._last)
            self._menus[place_id] = {one.day: one for one in found}
        return self._menus[place_id]

    async def _needs_of(self, person_id: uuid.UUID) -> rules.Needs | None:
        if person_id not in self._needs:
            row = await sql.profile(self._tx, person_id)
            said = readable(self._keys, "profile", person_id, row["sealed"] if row is not None else None)
            self._needs[person_id] = needs_of(said) if said is not None else None
        return self._needs[person_id]
