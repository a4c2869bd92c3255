"""What identity does: one function a use, one transaction a function."""

from services.identity.actions import consents, enrolment, logins, people, staff

__all__ = ["consents", "enrolment", "logins", "people", "staff"]
