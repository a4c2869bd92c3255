"""What events tell somebody of themselves, and what they forget."""

from __future__ import annotations

from services.events.sql import rights as sql
from shared import crypto
from shared.crypto import Keyring
from shared.db import Tx
from shared.rights import MOST, Tables, Whom


async def known_of(tx: Tx, keys: Keyring, whom: Whom) -> Tables:
    """All that events know of somebody."""
    rows = await sql.tables(tx, whom.holder_no, whom.account_nos, MOST)
    found: Tables = {name: [dict(row) for row in several] for name, several in rows.items()}
    for table, column in (("registrations", "answers"), ("feedback", "text")):
        for one in found[table]:
            if one[column] is not None:
                one[column] = crypto.unseal(keys, one[column], table=table, column=column, row=str(one["id"]))
    return found


async def forget(tx: Tx, _keys: Keyring, whom: Whom) -> int:
    """Answers, words and the calendar go; that somebody came, and how many stars, stays."""
    return await sql.forget(tx, whom.holder_no, whom.account_nos)
