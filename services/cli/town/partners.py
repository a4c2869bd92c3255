"""The partner of the demo town: how far their account reaches, as a key would say it."""

from __future__ import annotations

import secrets
import uuid
from collections.abc import Mapping
from typing import Final

from services.partners.actions.keys import key_hash
from services.partners.sql import keys as sql
from shared.crypto import Keyring
from shared.db import Tx

REGION: Final = "3304"
"""All communities of the demo town."""


async def build(tx: Tx, _keys: Keyring, _people: Mapping[str, uuid.UUID]) -> None:
    """A key that nobody reads: whoever logs in as the partner reaches as far as it does."""
    account_no = await tx.value("SELECT no FROM accounts WHERE kind = 'partner' ORDER BY no LIMIT 1")
    values = (account_no, "demo", key_hash(secrets.token_urlsafe(32)), ["*"], REGION, None, ["partners.*"], None)
    await sql.insert(tx, values)
