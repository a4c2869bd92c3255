"""All tables of the town, and nothing else: no rules, no queries.

`ledger` is the one idea (slots, claims, and what the arbiter needs to know); the other rooms are the services' own.
Every referee is here: whatever the code does, these constraints decide.
"""

from shared.models.audit import AuditEntry, AuditHead, SignedHead
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
from shared.models.elder_meals import (
    Absence,
    Dish,
    ElderProfile,
    MealLine,
    MealOrder,
    Menu,
    MenuDish,
    Outcome,
    Round,
    StandingOrder,
    StandingRun,
    Stop,
    WelfareCheck,
    WelfareStep,
)
from shared.models.events import Calendar, Event, EventSession, Feedback, Registration
from shared.models.identity import Account, Consent, Deployment, Login, LoginCode, Person, Relation, Role, Session
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
from shared.models.places import Closure, Day, Place, Region, Resource, Schedule, Terms
from shared.models.refusals import Refused
from shared.models.uploads import Upload

__all__ = [
    "Absence",
    "Account",
    "Ask",
    "Attempt",
    "AuditEntry",
    "AuditHead",
    "Base",
    "Calendar",
    "ChildRecord",
    "Claim",
    "Closure",
    "Collector",
    "Consent",
    "Consumer",
    "Day",
    "Delivery",
    "Deployment",
    "Dish",
    "Duty",
    "ElderProfile",
    "Endpoint",
    "Event",
    "EventSession",
    "Feedback",
    "Handover",
    "HeadCount",
    "Holder",
    "Household",
    "Incident",
    "Inside",
    "LateCollection",
    "Login",
    "LoginCode",
    "MealLine",
    "MealOrder",
    "Menu",
    "MenuDish",
    "Notice",
    "NoticeHead",
    "OpenSlot",
    "Outcome",
    "PartnerHead",
    "PartnerKey",
    "Person",
    "Place",
    "Policy",
    "RecordRead",
    "Refused",
    "Region",
    "Registration",
    "Relation",
    "Reservation",
    "Resource",
    "Role",
    "RoomState",
    "Round",
    "Schedule",
    "Session",
    "SignedHead",
    "Slot",
    "StandingOrder",
    "StandingRun",
    "Stop",
    "Suspension",
    "Terms",
    "TurnedAway",
    "Upload",
    "Visit",
    "Wait",
    "WelfareCheck",
    "WelfareStep",
]
