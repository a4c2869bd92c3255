"""The routes of events: what takes place (one router a kind), registrations, the door, and calendars."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from services.events.actions import registering
from services.events.routes import calendars, door, organised, registrations
from services.events.schemas import RegistrationIn, RegistrationOut
from shared import claiming, web
from shared.collection.routes import router as collected
from shared.line import Line
from shared.web import Context


def _lines(context: Context) -> Mapping[str, Line[Any, Any]]:
    settings = context.settings
    return {
        "registrations": Line(
            "registrations",
            context.db,
            registering.make,
            batch=settings.line_batch,
            waiting=settings.line_waiting,
            seconds=min(settings.line_seconds, settings.upstream_seconds),
        )
    }


app = web.service_app(
    "events",
    "Events",
    [
        organised.router("event", "events"),
        organised.router("series", "series"),
        registrations.router,
        collected(registrations.COLLECTION, RegistrationOut),
        door.router,
        calendars.router,
    ],
    opens=_lines,
    express={("POST", "/v1/events/registrations"): claiming.express(RegistrationIn, registrations.make)},
)
