"""What the referees of the schema say, as refusals."""

from __future__ import annotations

from shared import errors
from shared.db import Referees
from shared.texts import say

REFEREES: Referees = {
    **dict.fromkeys(("one_place_per_name", "one_resource_per_name", "one_slot_per_schedule_line"), errors.Exists),
    "one_terms_per_version": errors.Changed,
    "places_community_fkey": lambda: errors.Unprocessable.at("/community", "unknown"),
    "slots_resource_no_fkey": lambda: errors.Conflict(
        say("A resource that has slots cannot be removed.", "已有场次的场地不能删除。")
    ),
    "one_slot_per_resource_at_a_time": errors.SlotsOverlap,
}
