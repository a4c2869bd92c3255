"""Partners' routes: keys, notices to poll for, endpoints, and the open feed."""

from __future__ import annotations

from services.partners.routes import endpoints, keys, opening, reading
from shared import web

app = web.service_app("partners", "Partners", [keys.router, reading.router, endpoints.router, opening.router])
