"""What identity does: one function a use, one transaction a function."""

from services.identity.actions import enrolment, logins, people

__all__ = ["enrolment", "logins", "people"]
