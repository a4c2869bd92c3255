"""The kitchens' routes: places that cook, orders in the shape all claims share, elders, ways and doors."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

from services.elder_meals.actions import KITCHEN, SERVICE
from services.elder_meals.actions.orders import make_orders
from services.elder_meals.routes import doors, elders, kitchens, orders, standing
from services.elder_meals.schemas.kitchens import KitchenTerms, regions_of
from services.elder_meals.schemas.orders import OrderIn, OrderOut
from shared import claiming, web
from shared.collection import routes as collection
from shared.line import Line
from shared.places import routes as places
from shared.web import Context

KINDS = ("kitchen", "canteen", "meal_point")


def _lines(context: Context) -> Mapping[str, Line[Any, Any]]:
    return {"orders": claiming.line_of("orders", context, functools.partial(make_orders, keys=context.keys))}


app = web.service_app(
    SERVICE,
    "Elder meals",
    [
        orders.router,
        collection.router(orders.ORDERS, OrderOut),
        places.router(SERVICE, "kitchens", KINDS, terms=KitchenTerms, readers=KITCHEN, regions=regions_of),
        kitchens.router,
        elders.router,
        standing.router,
        doors.router,
    ],
    opens=_lines,
    express={("POST", f"/v1/{orders.WHERE}"): claiming.express(OrderIn, orders.make)},
)
