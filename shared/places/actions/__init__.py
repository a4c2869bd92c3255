"""What is done to places. One use, one transaction; only closing a place takes several, and may be finished by anybody.

Whoever edits a place, its schedule, its policy or its slots holds the place's row first; slots, claims and closures follow
in the one order of the house.
"""

from shared.places.actions.closures import (
    CHUNK,
    Closing,
    close_place,
    finish_closures,
    foresee_closure,
    take_back_closure,
)
from shared.places.actions.following import create_slot
from shared.places.actions.permission import OWNERS, READERS, STAFF, Matches
from shared.places.actions.places import Description, create_place, delete_place, replace_place
from shared.places.actions.rolling import roll_out, roll_out_all
from shared.places.actions.ruling import replace_policy, replace_schedule, replace_terms

__all__ = [
    "CHUNK",
    "OWNERS",
    "READERS",
    "STAFF",
    "Closing",
    "Description",
    "Matches",
    "close_place",
    "create_place",
    "create_slot",
    "delete_place",
    "finish_closures",
    "foresee_closure",
    "replace_place",
    "replace_policy",
    "replace_schedule",
    "replace_terms",
    "roll_out",
    "roll_out_all",
    "take_back_closure",
]
