"""What devices and doorsteps send: often late, sometimes twice, and never lost or counted twice.

A device gives each report an id of its own and sends it until it hears an answer; the answer to an id is always the same.
It is written in the transaction of what the report did, so there is never one without the other.
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final

from pydantic import AwareDatetime, Field, field_validator

from shared import clock, errors
from shared.assertion import Caller
from shared.db import Tx
from shared.texts import say
from shared.web import In

AHEAD: Final = timedelta(minutes=5)
"""A device's clock may be that fast."""
BEHIND: Final = timedelta(days=31)
"""A device may have been without a network for that long."""


class UploadIn(In):
    """What every report says; each kind adds its own fields."""

    id: uuid.UUID = Field(
        description=say(
            "The device's own id of this report: sent again, it is answered the same.",
            "设备为本次上报生成的编号：重复提交得到相同的答复。",
        )
    )
    at: AwareDatetime = Field(
        description=say(
            "When it happened: up to 31 days ago, and not ahead.", "发生时间：可补报 31 天内的，不得晚于当前时间。"
        )
    )
    decided: bool | None = Field(
        default=None,
        description=say(
            "What was decided offline already, yes or no; left out: not decided.",
            "离线时已作出的决定：是或否；省略则为尚未决定。",
        ),
    )

    @field_validator("at")
    @classmethod
    def _is_lately(cls, at: AwareDatetime) -> AwareDatetime:
        if not clock.now() - BEHIND <= at <= clock.now() + AHEAD:
            raise ValueError("not lately")
        return at


async def begin(tx: Tx, who: Caller, kind: str, told: UploadIn, *about: uuid.UUID) -> dict[str, Any] | None:
    """The answer this report got before; None when it is new, and then its id is taken in this transaction.

    `about` is what the path names, which belongs to the report as its body does. The same report sent twice at once waits
    here for the first one: begin before anything else is locked.
    """
    who.known()
    fingerprint = _fingerprint(told, about)
    taken = await tx.execute(
        "INSERT INTO uploads (id, account_no, kind, fingerprint, at) VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING",
        told.id,
        who.account_no,
        kind,
        fingerprint,
        told.at,
    )
    if taken:
        return None
    # A new statement: it sees what was committed while the insertion waited.
    earlier = await tx.row(
        "SELECT kind, fingerprint, answer FROM uploads WHERE id = $1 AND account_no = $2", told.id, who.account_no
    )
    if earlier is not None and (earlier["kind"], earlier["fingerprint"]) != (kind, fingerprint):
        raise errors.KeyReused
    if earlier is None or earlier["answer"] is None:
        raise errors.InFlight(retry_after=1)
    answer: dict[str, Any] = earlier["answer"]
    return answer


async def finish(tx: Tx, upload_id: uuid.UUID, answer: Mapping[str, Any]) -> None:
    """Keep the answer to a report that this transaction has begun; it must hold nothing personal."""
    kept = await tx.execute(
        # Two accounts may use one id: the row is the one that this very transaction has written.
        "UPDATE uploads SET answer = $2 WHERE id = $1 AND answer IS NULL AND xmin = pg_current_xact_id()::xid",
        upload_id,
        dict(answer),
    )
    if kept != 1:
        raise LookupError(upload_id)


async def delete_old(tx: Tx) -> int:
    """Forget answers after forty days; how many. A report that comes again even later is too old to be taken."""
    return await tx.execute("DELETE FROM uploads WHERE received_at < now() - interval '40 days'")


def _fingerprint(told: UploadIn, about: tuple[uuid.UUID, ...]) -> bytes:
    """Of what was said, and not of what was left out: a field that is new tomorrow changes no old report."""
    said = told.model_dump_json(exclude_unset=True)
    return hashlib.sha256("\n".join([said, *map(str, about)]).encode()).digest()
