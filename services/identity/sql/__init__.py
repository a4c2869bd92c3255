"""What identity asks the database. Rows are locked in the house's order: holders, households, then identity's own."""

from services.identity.sql import audit, consents, logins, people, retention, reveals, rights

__all__ = ["audit", "consents", "logins", "people", "retention", "reveals", "rights"]
