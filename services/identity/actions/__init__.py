"""What identity does: one function a use, one transaction a function."""

from services.identity.actions import consents, enrolment, families, logins, people, proxies

__all__ = ["consents", "enrolment", "families", "logins", "people", "proxies"]
