"""All tables of the town, and nothing else: no rules, no queries.

`ledger` is the one idea (slots, claims, and what the arbiter needs to know); the other rooms are the services' own.
Every referee is here: whatever the code does, these constraints decide.
"""

from shared.models.base import Base
from shared.models.booking import Reservation
from shared.models.identity import Account, Deployment, Login, LoginCode, Person, Relation, Role, Session
from shared.models.ledger import Ask, Claim, Holder, Household, Policy, Slot, Suspension, Wait
from shared.models.notices import Notice, NoticeHead
from shared.models.partners import (
    Attempt,
    Consumer,
    Delivery,
    Endpoint,
    OpenSlot,
    PartnerHead,
    PartnerKey,
)
from shared.models.places import Closure, Day, Place, Region, Resource, Schedule

__all__ = [
    "Account",
    "Ask",
    "Attempt",
    "Base",
    "Claim",
    "Closure",
    "Consumer",
    "Day",
    "Delivery",
    "Deployment",
    "Endpoint",
    "Holder",
    "Household",
    "Login",
    "LoginCode",
    "Notice",
    "NoticeHead",
    "OpenSlot",
    "PartnerHead",
    "PartnerKey",
    "Person",
    "Place",
    "Policy",
    "Region",
    "Relation",
    "Reservation",
    "Resource",
    "Role",
    "Schedule",
    "Session",
    "Slot",
    "Suspension",
    "Wait",
]
