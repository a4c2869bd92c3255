"""How the town is doing: for load balancers, for who watches, and its public keys."""

from __future__ import annotations

from typing import Any

import asyncpg
from fastapi import APIRouter, Response
from prometheus_client import generate_latest

from services.gateway import sql
from services.gateway.routes.given import Gate
from shared import crypto, errors, revisions, tokens, wire

router = APIRouter(include_in_schema=False)


@router.get("/healthz")
async def alive() -> dict[str, str]:
    return {"status": "alive"}


@router.get("/readyz")
async def ready(gate: Gate) -> Response:
    found: dict[str, Any] = {"upstreams": {name: "resting" if g.is_open else "ok" for name, g in gate.guards.items()}}
    try:
        revision = await gate.db.read(sql.revision)
        found["database"] = "ok"
        found["migrations"] = "ok" if revision == revisions.head() else f"at {revision}, code needs {revisions.head()}"
    except (errors.Refusal, asyncpg.PostgresError):
        found["database"] = "down"
    is_ready = found["database"] == "ok" and found.get("migrations") == "ok"
    return Response(wire.dumps(found), 200 if is_ready else 503, media_type="application/json")


@router.get("/metrics")
async def metrics(gate: Gate) -> Response:
    gate.metrics.line.set(gate.line.length)
    return Response(generate_latest(gate.metrics.registry), media_type="text/plain; version=0.0.4; charset=utf-8")


@router.get("/.well-known/jwks.json")
async def jwks(gate: Gate) -> Response:
    return Response(
        wire.dumps(crypto.jwks(gate.keys)),
        media_type="application/json",
        headers={"Cache-Control": "public, max-age=300"},
    )


@router.get("/.well-known/openid-configuration")
@router.get("/.well-known/oauth-authorization-server")
async def discovery(gate: Gate) -> Response:
    """Where staff log in (RFC 8414). There are access and refresh tokens, and no id tokens."""
    base = gate.settings.issuer
    told = {
        "issuer": base,
        "authorization_endpoint": f"{base}/oauth/authorize",
        "token_endpoint": f"{base}/oauth/token",
        "jwks_uri": f"{base}/.well-known/jwks.json",
        "service_documentation": f"{base}/docs",
        "ui_locales_supported": ["zh", "en"],
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "grant_types_supported": ["authorization_code", "refresh_token"],
        "token_endpoint_auth_methods_supported": ["none"],
        "code_challenge_methods_supported": ["S256"],
        "authorization_response_iss_parameter_supported": True,
        "scopes_supported": [],
        "acr_values_supported": [tokens.ONE_FACTOR, tokens.TWO_FACTORS],
        "subject_types_supported": ["public"],
    }
    return Response(wire.dumps(told), media_type="application/json", headers={"Cache-Control": "public, max-age=300"})
