"""What identity does: one function a use, one transaction a function."""

from services.identity.actions import consents, enrolment, logins, outside, people

__all__ = ["consents", "enrolment", "logins", "outside", "people"]
