"""The routes of places: every service that has some includes `router(…)` under its own names."""

from __future__ import annotations

from fastapi import APIRouter, Depends

from shared import web
from shared.places import actions
from shared.places.routes.days import add_days
from shared.places.routes.places import add_places
from shared.places.routes.ruling import RegionsOf, add_rules, add_terms
from shared.web import EVERYWHERE


def router(
    service: str,
    collection: str,
    kinds: tuple[str, ...],
    terms: type[web.In] | None = None,
    readers: frozenset[str] = actions.READERS,
    regions: RegionsOf = lambda _: {},
) -> APIRouter:
    """The routes of one service's places, `/v1/<service>/<collection>…`; their kinds are these.

    `terms` is what the service alone wants to know of a place; everything in it has a default, and `regions` are those it
    names. `readers` see who comes.
    """
    made = APIRouter(
        prefix=f"/v1/{service}/{collection}",
        tags=[f"{service} {collection}"],
        responses=EVERYWHERE,
        dependencies=[Depends(web.caller)],  # nothing is answered but through the gateway, public or not
    )
    add_places(made, service, collection, kinds)
    add_rules(made, service, collection)
    if terms is not None:
        add_terms(made, service, collection, terms, regions)
    add_days(made, service, collection, readers)
    return made
