"""Places of the demo town: how one is said, and written down."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from typing import Any, Final

from shared import clock
from shared.db import Tx
from shared.places import actions

_WEEK: Final = [0, 1, 2, 3, 4, 5, 6]


def line(resource: str, starts: str, ends: str, minutes: int, title: str) -> dict[str, Any]:
    """A line of a schedule: slots of so many minutes on every day of the week."""
    return {
        "weekdays": _WEEK,
        "starts": starts,
        "ends": ends,
        "slot_minutes": minutes,
        "resource": resource,
        "title": title,
    }


def policy(audience: Sequence[str] | None = None, **changes: Any) -> dict[str, Any]:
    """A policy for residents of these regions; whatever else is different from the usual."""
    return {
        "release": None,
        "close_minutes": 0,
        "cancel_minutes": 60,
        "limits": {"per_day": 2, "per_week": 8, "at_once": 8, "household_per_day": None},
        "audience": {
            "min_age": None,
            "max_age": None,
            "regions": list(audience) if audience else None,
            "level": 1,
            "needs_guardian": False,
        },
        "offline_share": 0,
        "offline_minutes": 0,
        "is_waitable": True,
        "horizon_days": 8,
    } | changes


async def found(
    tx: Tx, service: str, place: Mapping[str, Any], *, is_exclusive: bool = True, terms: Mapping[str, Any] | None = None
) -> uuid.UUID:
    """Write a place with its resources, policy and schedule, and make its slots; its id."""
    place_id = clock.uuid7()
    await tx.execute(
        "INSERT INTO places (id, service, kind, name, name_en, community, address, lat, lon) "
        "VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        place_id,
        service,
        *(place[key] for key in ("kind", "name", "name_en", "community", "address", "lat", "lon")),
    )
    ids: dict[str, uuid.UUID] = {}
    for name, name_en, capacity in place["resources"]:
        ids[name] = await tx.value(
            "INSERT INTO resources (place_id, name, name_en, is_exclusive, capacity) VALUES ($1, $2, $3, $4, $5) "
            "RETURNING id",
            place_id,
            name,
            name_en,
            is_exclusive,
            capacity,
        )
    lines = [{**one, "resource": str(ids[one["resource"]])} for one in place["lines"]]
    await tx.execute("INSERT INTO policies (place_id, version, body) VALUES ($1, 1, $2)", place_id, place["policy"])
    await tx.execute("INSERT INTO schedules (place_id, version, body) VALUES ($1, 1, $2)", place_id, {"lines": lines})
    if terms is not None:
        await tx.execute("INSERT INTO terms (place_id, version, body) VALUES ($1, 1, $2)", place_id, dict(terms))
    await actions.roll_out(tx, place_id, clock.today())
    return place_id
