"""What identity asks the database. Rows are locked in the house's order: holders, households, then identity's own."""

from services.identity.sql import consents, families, logins, people

__all__ = ["consents", "families", "logins", "people"]
