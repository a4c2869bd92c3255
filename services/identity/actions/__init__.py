"""What identity does: one function a use, one transaction a function."""

from services.identity.actions import (
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
    roles,
)

__all__ = [
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
    "roles",
]
