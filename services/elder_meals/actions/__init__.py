"""What the kitchens do: one function a use, one transaction each (many confirmed orders share one)."""

from typing import Final

from shared.assertion import Caller

SERVICE: Final = "elder-meals"
STAFF: Final = frozenset({"staff", "manager", "operator"})
"""Who runs the service for a region, and acts for elders who ask at the desk."""
KITCHEN: Final = STAFF | {"kitchen"}
"""Who cooks, plans the ways, and may still change an order after its deadline."""
DOORS: Final = KITCHEN | {"courier", "volunteer"}
"""Who may stand at an elder's door, and do something when it stays shut."""


def acts_for(who: Caller, holder_no: int) -> bool:
    """Whether the caller is this elder, or may act for them here."""
    return holder_no in who.holders_in(SERVICE)
