"""What is written down sealed, and opened for those who may read it."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any

from shared import crypto
from shared.crypto import Keyring


def seal_record(keys: Keyring, child_no: int, body: Mapping[str, Any]) -> bytes:
    """What was said about a child, for the row."""
    return crypto.seal_json(keys, body, table="child_records", column="body", row=str(child_no))


def open_record(keys: Keyring, child_no: int, sealed: bytes) -> dict[str, Any]:
    """What was said about a child, out of the row."""
    return crypto.unseal_json(keys, sealed, table="child_records", column="body", row=str(child_no))


def seal_incident(keys: Keyring, incident_id: uuid.UUID, body: Mapping[str, Any]) -> bytes:
    """What happened, for the row."""
    return crypto.seal_json(keys, body, table="incidents", column="body", row=str(incident_id))


def open_incident(keys: Keyring, incident_id: uuid.UUID, sealed: bytes) -> dict[str, Any]:
    """What happened, out of the row."""
    return crypto.unseal_json(keys, sealed, table="incidents", column="body", row=str(incident_id))


def seal_collector(keys: Keyring, collector_id: uuid.UUID, about: Mapping[str, Any]) -> bytes:
    """Who a line of collectors is about, for the row."""
    return crypto.seal_json(keys, about, table="collectors", column="about", row=str(collector_id))


def open_collector(keys: Keyring, collector_id: uuid.UUID, sealed: bytes) -> dict[str, Any]:
    """Who a line of collectors is about, out of the row."""
    return crypto.unseal_json(keys, sealed, table="collectors", column="about", row=str(collector_id))


def collector_name(keys: Keyring, collector_id: uuid.UUID | None, sealed: bytes | None) -> str | None:
    """The name that a line of collectors says, where there is a line and it says one."""
    if collector_id is None or sealed is None:
        return None
    name: str | None = open_collector(keys, collector_id, sealed).get("name")
    return name
