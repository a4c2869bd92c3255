"""What identity asks the database. Rows are locked in the house's order: holders, households, then identity's own."""

from services.identity.sql import consents, logins, people, staff

__all__ = ["consents", "logins", "people", "staff"]
