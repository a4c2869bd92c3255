"""The gateway's own routes: what can be claimed, what one has claimed, the town, and how it is doing."""

from __future__ import annotations

from functools import cache

from fastapi import APIRouter, FastAPI

from services.gateway import console
from services.gateway.parts import Parts
from services.gateway.routes import claims, health, refusals, slots, told, town
from shared import web

documented = APIRouter()
"""The routes that the OpenAPI document shows."""
for one in (slots, claims, refusals, told, town):
    documented.include_router(one.router)


@cache
def _routed() -> FastAPI:
    return web.with_routes("Linli", (documented, health.router, console.router))


def app(parts: Parts) -> web.App:
    """The gateway's own routes as an app."""
    return web.App(_routed(), {("GET", "/v1/slots"): slots.express}, {"parts": parts})
