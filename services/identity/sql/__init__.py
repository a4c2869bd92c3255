"""What identity asks the database. Rows are locked in the house's order: holders, households, then identity's own."""

from services.identity.sql import (
    audit,
    conflicts,
    consents,
    deaths,
    desk,
    families,
    logins,
    people,
    places,
    regions,
    reports,
    retention,
    reveals,
    rights,
    roles,
    staff,
)

__all__ = [
    "audit",
    "conflicts",
    "consents",
    "deaths",
    "desk",
    "families",
    "logins",
    "people",
    "places",
    "regions",
    "reports",
    "retention",
    "reveals",
    "rights",
    "roles",
    "staff",
]
