"""What the places of a service need without anyone asking."""

from __future__ import annotations

from typing import Any

from shared.places import actions
from shared.tasks import Task


def tasks(service: str) -> tuple[Task, ...]:
    """Slots for every day of the horizon, and whoever an interrupted closure has left in a closed slot."""

    async def roll_out(context: Any) -> int:
        return await actions.roll_out_all(context.db, service)

    async def finish_closures(context: Any) -> int:
        return await actions.finish_closures(context.db, service)

    return (
        Task(f"{service}.roll_out", 600, roll_out),
        Task(f"{service}.finish_closures", 15, finish_closures),
    )
