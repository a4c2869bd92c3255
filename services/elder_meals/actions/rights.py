"""What kitchens tell somebody of themselves, and what they forget."""

from __future__ import annotations

from typing import Final

from services.elder_meals import notices
from services.elder_meals.actions.sealing import readable, seal
from services.elder_meals.sql import doors, elders
from services.elder_meals.sql import rights as sql
from shared import clock
from shared.crypto import Keyring
from shared.db import Tx
from shared.notices import announce
from shared.rights import MOST, Tables, Whom

DECEASED: Final = "deceased"
"""How a welfare check ends when the staff has recorded the death."""


async def known_of(tx: Tx, keys: Keyring, whom: Whom) -> Tables:
    """All that kitchens know of somebody."""
    found: Tables = {
        name: [dict(row) for row in rows] for name, rows in (await sql.tables(tx, whom.person_id, MOST)).items()
    }
    profile = await elders.profile(tx, whom.person_id)
    if profile is not None:
        found["profile"] = [readable(keys, "profile", whom.person_id, profile["sealed"]) or {}]
    found["orders"] = [
        {name: value for name, value in dict(row).items() if name != "sealed"}
        | {"said": readable(keys, "order", row["id"], row["sealed"])}
        for row in await sql.orders(tx, whom.person_id, MOST)
    ]
    return found


async def end(tx: Tx, _keys: Keyring, whom: Whom) -> int:
    """Nothing orders by itself any more; nobody looks any longer for somebody who is known to have died."""
    check = await sql.check_of_dead(tx, whom.person_id)
    if check is not None:
        now = clock.now()
        values = [clock.uuid7(), check["id"], check["community"], "closed", None, DECEASED, now, whom.asked_by, None]
        await doors.insert_step(tx, values)
        await doors.close_check(tx, check["id"], DECEASED, now)
        await announce(tx, [notices.welfare_closed(check, [check["holder_no"]], DECEASED, now)])
    return await sql.end(tx, whom.person_id)


async def forget(tx: Tx, keys: Keyring, whom: Whom) -> int:
    """Address, diet, allergies and contacts go; that a meal was cooked, and what it cost, stays for the statements."""
    rows = await sql.orders(tx, whom.person_id, MOST)
    await sql.write_said(tx, [(row["id"], seal(keys, "order", row["id"], {})) for row in rows])
    return len(rows) + await sql.forget(tx, whom.person_id)
