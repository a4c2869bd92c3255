"""What the referees of the schema say, as refusals."""

from __future__ import annotations

import asyncpg

from shared import errors
from shared.db import constraint_of
from shared.texts import say


def refused(error: asyncpg.PostgresError) -> errors.Refusal | None:
    """What a broken constraint means to the caller."""
    match constraint_of(error):
        case "one_place_per_name" | "one_resource_per_name" | "one_slot_per_schedule_line":
            return errors.Exists()
        case "one_terms_per_version":
            return errors.Changed()
        case "places_community_fkey":
            return errors.Unprocessable(errors=[{"in": "body", "pointer": "/community", "code": "unknown"}])
        case "slots_resource_no_fkey":
            return errors.Conflict(say("A resource that has slots cannot be removed.", "已有场次的场地不能删除。"))
        case "one_slot_per_resource_at_a_time":
            return errors.SlotsOverlap()
    return None
