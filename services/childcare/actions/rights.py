"""What children's rooms tell somebody of themselves, and what they forget."""

from __future__ import annotations

from typing import Any

from services.childcare import sql
from services.childcare.actions.written import open_collector, open_record, seal_collector
from shared import crypto
from shared.crypto import Keyring
from shared.db import Tx
from shared.rights import MOST, Tables, Whom


async def known_of(tx: Tx, keys: Keyring, whom: Whom) -> Tables:
    """All that children's rooms know of a child. Who may collect it is told to who said so only."""
    found: dict[str, list[dict[str, Any]]] = {
        name: [dict(row) for row in rows]
        for name, rows in (await sql.rights.tables(tx, whom.holder_no, whom.asked_by, MOST)).items()
    }
    for visit in found["visits"]:
        if visit["note"] is not None:
            visit["note"] = crypto.unseal(keys, visit["note"], table="visits", column="note", row=str(visit["id"]))
    for one in found["collectors"]:
        one["about"] = open_collector(keys, one["id"], one["about"])
    row = await sql.children.record(tx, whom.holder_no)
    found["record"] = [open_record(keys, whom.holder_no, row["body"])] if row is not None else []
    return found


async def forget(tx: Tx, keys: Keyring, whom: Whom) -> int:
    """What guardians said goes, and who may collect; who was brought and collected when stays."""
    lines = await sql.rights.collectors(tx, whom.holder_no)
    await sql.rights.forget_collectors(tx, [(one, seal_collector(keys, one, {})) for one in lines])
    return len(lines) + await sql.rights.forget(tx, whom.holder_no, whom.account_nos)
