"""What events does: one function a use, one transaction each; only emptying a cancelled event takes several."""

from services.events.actions import attending, calendars, organising, registering

__all__ = ["attending", "calendars", "organising", "registering"]
