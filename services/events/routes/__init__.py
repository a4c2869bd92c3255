"""The routes of events: what takes place (one router a kind), registrations, the door, and calendars."""

from __future__ import annotations

from services.events.actions import registering
from services.events.routes import calendars, door, feedback, organised, registrations
from services.events.schemas import RegistrationIn, RegistrationOut
from shared import claiming, web
from shared.collection.routes import router as collected

app = web.service_app(
    "events",
    "Events",
    [
        organised.router("event", "events"),
        feedback.router("event", "events"),
        organised.router("series", "series"),
        feedback.router("series", "series"),
        registrations.router,
        collected(registrations.COLLECTION, RegistrationOut),
        door.router,
        calendars.router,
    ],
    opens=lambda context: {"registrations": claiming.line_of("registrations", context, registering.make)},
    express={("POST", "/v1/events/registrations"): claiming.express(RegistrationIn, registrations.make)},
)
