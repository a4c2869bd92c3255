"""What events does: one function a use, one transaction each; what goes through many people or events takes several."""

from services.events.actions import attending, calendars, feedback, organising, registering

__all__ = ["attending", "calendars", "feedback", "organising", "registering"]
