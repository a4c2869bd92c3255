"""What booking does: one function a use, one transaction each (many confirmations share one)."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass

from services.booking import notices, sql
from shared import claims, clock, errors
from shared import notices as told
from shared.claims import Grant
from shared.db import Tx
from shared.line import SKIPPED, Answer


@dataclass(frozen=True, slots=True)
class Making:
    """A granted group that is to become a reservation."""

    grant: Grant
    account_no: int
    note: str | None
    reservation_id: uuid.UUID


async def make_reservations(tx: Tx, several: Sequence[Making], *, skip_locked: bool) -> list[Answer[uuid.UUID]]:
    """Confirm granted groups, write their reservations and announce them; each whole or not at all."""
    confirmed = await claims.confirm(tx, [(one.grant, one.reservation_id) for one in several], skip_locked=skip_locked)
    made = [one for one, is_confirmed in zip(several, confirmed, strict=True) if is_confirmed]
    if made:
        await sql.insert_reservations(
            tx,
            [
                (
                    one.reservation_id,
                    one.grant.group_id,
                    one.grant.slots[0].place_id,
                    one.grant.slots[0].community,
                    one.account_no,
                    one.note,
                    one.grant.slots[0].starts_at,
                )
                for one in made
            ],
        )
        await told.announce(tx, [notices.reservation_made(one.grant, one.reservation_id) for one in made])
    else:
        tx.discard()
    return [
        one.reservation_id if is_confirmed else SKIPPED if is_confirmed is None else errors.HoldLapsed()
        for one, is_confirmed in zip(several, confirmed, strict=True)
    ]


def new_id() -> uuid.UUID:
    """A new reservation's id."""
    return clock.uuid7()
