"""Meals for elders: cooked once, paid fairly, handed to a person, and nobody's closed door is forgotten."""
