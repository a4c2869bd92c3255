"""All tables of the town, and nothing else: no rules, no queries.

`ledger` is the one idea (slots, claims, and what the arbiter needs to know); the other rooms are the services' own.
Every referee is here: whatever the code does, these constraints decide.
"""

from shared.models.base import Base
from shared.models.booking import Reservation
from shared.models.childcare import (
    ChildRecord,
    Collector,
    Duty,
    Handover,
    HeadCount,
    Incident,
    Inside,
    LateCollection,
    RecordRead,
    RoomState,
    TurnedAway,
    Visit,
)
from shared.models.identity import Account, Consent, Deployment, Login, LoginCode, Person, Relation, Role, Session
from shared.models.ledger import Ask, Claim, Holder, Household, Policy, Slot, Suspension, Wait
from shared.models.notices import Notice, NoticeHead
from shared.models.places import Closure, Day, Place, Region, Resource, Schedule, Terms
from shared.models.refusals import Refused
from shared.models.uploads import Upload

__all__ = [
    "Account",
    "Ask",
    "Base",
    "ChildRecord",
    "Claim",
    "Closure",
    "Collector",
    "Consent",
    "Day",
    "Deployment",
    "Duty",
    "Handover",
    "HeadCount",
    "Holder",
    "Household",
    "Incident",
    "Inside",
    "LateCollection",
    "Login",
    "LoginCode",
    "Notice",
    "NoticeHead",
    "Person",
    "Place",
    "Policy",
    "RecordRead",
    "Refused",
    "Region",
    "Relation",
    "Reservation",
    "Resource",
    "Role",
    "RoomState",
    "Schedule",
    "Session",
    "Slot",
    "Suspension",
    "Terms",
    "TurnedAway",
    "Upload",
    "Visit",
    "Wait",
]
