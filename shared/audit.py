"""Deeds written down: in the transaction of the deed, so that one is never there without the other."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any

from shared.db import Tx


async def record(
    tx: Tx,
    account_no: int | None,
    action: str,
    *,
    community: str,
    person_id: uuid.UUID | None = None,
    reason: str | None = None,
    data: Mapping[str, Any] | None = None,
) -> None:
    """Write down that this account did this (`people.reveal`, `roles.grant`, …), about whom, and why.

    `data` names fields, ids and codes; never a name, a number or a phone.
    """
    await tx.execute(
        "INSERT INTO audit (account_no, action, person_id, community, reason, data) VALUES ($1, $2, $3, $4, $5, $6)",
        account_no,
        action,
        person_id,
        community,
        reason,
        dict(data or {}),
    )
