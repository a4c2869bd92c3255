"""The docs console: one OpenAPI document of all services, shown by Swagger UI from our own files."""

from __future__ import annotations

from services.gateway.console.document import document, write_pins
from services.gateway.console.operations import operation_at, operation_ids
from services.gateway.console.routes import router

__all__ = ["document", "operation_at", "operation_ids", "router", "write_pins"]
