"""What booking does without being asked."""

from __future__ import annotations

from shared.places import tasks as places

TASKS = places.tasks("booking")
