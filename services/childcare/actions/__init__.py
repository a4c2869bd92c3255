"""What children's rooms do: one function a use, one transaction each."""

from __future__ import annotations

import uuid
from typing import Any, Final

from services.childcare import rules
from services.childcare.rules import Terms
from shared import errors
from shared.assertion import Caller
from shared.db import Tx
from shared.places import sql as places

CARERS: Final = frozenset({"carer", "staff", "manager", "operator"})
"""Who stands at the door of a room, and sees who is inside."""
ON_DUTY: Final = frozenset({"carer"})
"""Who counts as a carer. A role that has ended counts no more: whoever is not cleared watches over nobody."""


Facts = dict[str, Any]
"""What an action found out, under the names by which it is shown."""


async def terms_of(tx: Tx, place_id: uuid.UUID) -> Terms:
    """How a room watches over children; the defaults when nobody has said."""
    _, body = (await places.terms(tx, [place_id])).get(place_id, (0, {}))
    return rules.terms_of(body)


async def room(tx: Tx, who: Caller, place_id: uuid.UUID) -> Any:
    """A room where the caller works."""
    place = await places.place(tx, "childcare", place_id)
    if place is None:
        raise errors.NotThere
    who.require(CARERS, place.community, place_id)
    return place
