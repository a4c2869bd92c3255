"""What events asks the database. Whoever edits an event locks its row first; slots, claims and own rows follow, sorted."""

from services.events.sql import attending, calendars, events, feedback, registrations, slots

__all__ = ["attending", "calendars", "events", "feedback", "registrations", "slots"]
