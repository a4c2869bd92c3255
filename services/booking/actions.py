"""What booking does: one function a use, one transaction each (many confirmations share one)."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field

from services.booking import notices, sql
from shared import claiming, clock
from shared.crypto import Keyring
from shared.db import Tx
from shared.grants import Grant
from shared.line import Answer
from shared.notices import announce
from shared.rights import MOST, Tables, Whom


@dataclass(frozen=True, slots=True)
class Making:
    """A granted group that is to become a reservation."""

    grant: Grant
    account_no: int
    note: str | None
    id: uuid.UUID = field(default_factory=clock.uuid7)


async def make_reservations(tx: Tx, several: Sequence[Making], *, skip_locked: bool) -> list[Answer[uuid.UUID]]:
    """Confirm granted groups, write their reservations and announce them; each whole or not at all."""
    made, answers = await claiming.confirm(tx, several, skip_locked=skip_locked)
    if made:
        await sql.insert_reservations(
            tx,
            [
                (one.id, one.grant.group_id, first.place_id, first.community, one.account_no, one.note, first.starts_at)
                for one in made
                for first in one.grant.slots[:1]
            ],
        )
        await announce(tx, [notices.reservation_made(one.grant, one.id) for one in made])
    return answers


async def known_of(tx: Tx, _keys: Keyring, whom: Whom) -> Tables:
    """All that booking knows of somebody."""
    return {"reservations": [dict(row) for row in await sql.known_of(tx, whom.holder_no, MOST)]}


async def forget(tx: Tx, _keys: Keyring, whom: Whom) -> int:
    """What they wrote goes; that a place was taken stays."""
    return await sql.forget_notes(tx, whom.holder_no, whom.account_nos)
