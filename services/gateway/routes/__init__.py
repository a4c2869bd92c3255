"""The gateway's own routes: what can be claimed, what one has claimed, the town, and how it is doing."""

from __future__ import annotations

from fastapi import APIRouter, FastAPI

from services.gateway import console
from services.gateway.parts import Parts
from services.gateway.routes import claims, health, refusals, slots, told, town
from shared import web

documented = APIRouter()
"""The routes that the OpenAPI document shows."""
for one in (slots, claims, refusals, told, town):
    documented.include_router(one.router)


def app(parts: Parts) -> web.App:
    """The gateway's own routes as an app."""
    made = FastAPI(title="Linli", redirect_slashes=False, docs_url=None, redoc_url=None, openapi_url=None)
    made.state.parts = parts
    web.with_manners(made)
    for router in (documented, health.router, console.router):
        made.include_router(router)
    return web.App(made, {("GET", "/v1/slots"): slots.express})
