"""Booking: courts, halls and studios. Whoever was told that a place is theirs finds it free."""
