"""What partners' service announces."""

from __future__ import annotations

from typing import Final

from shared.notices import NoticeType

TYPES: Final[tuple[NoticeType, ...]] = ()
