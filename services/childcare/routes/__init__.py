"""Childcare's routes: rooms (the routes all places share, and their day), visits, children, incidents."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from services.childcare.actions import CARERS
from services.childcare.actions import visits as actions
from services.childcare.routes import children, rooms, visits
from services.childcare.routes.visits import VISITS, WHERE
from services.childcare.schemas import RoomTerms, VisitIn, VisitOut
from shared import claiming, web
from shared.collection import routes as collections
from shared.line import Line
from shared.places import routes as places
from shared.web import Context

KINDS = ("children_room", "holiday_care")


def _lines(context: Context) -> Mapping[str, Line[Any, Any]]:
    return {"visits": claiming.line_of("visits", context, actions.make_visits)}


app = web.service_app(
    "childcare",
    "Childcare",
    [
        visits.router,
        collections.router(VISITS, VisitOut),
        children.router,
        rooms.router,
        rooms.incidents,
        places.router("childcare", "rooms", KINDS, terms=RoomTerms, readers=CARERS),
    ],
    opens=_lines,
    express={("POST", f"/v1/{WHERE}"): claiming.express(VisitIn, visits.make)},
)
