"""What identity does: one function a use, one transaction a function."""

from services.identity.actions import (
    audit,
    conflicts,
    consents,
    desk,
    enrolment,
    families,
    logins,
    people,
    places,
    proxies,
    regions,
    retention,
    reveals,
    rights,
    roles,
    standing,
)

__all__ = [
    "audit",
    "conflicts",
    "consents",
    "desk",
    "enrolment",
    "families",
    "logins",
    "people",
    "places",
    "proxies",
    "regions",
    "retention",
    "reveals",
    "rights",
    "roles",
    "standing",
]
