"""What identity does: one function a use, one transaction a function."""

from services.identity.actions import audit, consents, enrolment, logins, people, retention, reveals, rights, standing

__all__ = ["audit", "consents", "enrolment", "logins", "people", "retention", "reveals", "rights", "standing"]
