"""What children's rooms ask the database."""

from services.childcare.sql import children, doors, rights, rooms, visits

__all__ = ["children", "doors", "rights", "rooms", "visits"]
