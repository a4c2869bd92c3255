"""What identity asks the database. Rows are locked in the house's order: holders, households, then identity's own."""

from services.identity.sql import conflicts, consents, desk, families, logins, people, places, regions, roles

__all__ = ["conflicts", "consents", "desk", "families", "logins", "people", "places", "regions", "roles"]
