"""What identity announces."""

from __future__ import annotations

import uuid
from typing import Final

from shared.notices import Data, Notice, NoticeType
from shared.texts import say


class ConsentSaid(Data):
    """For which purpose, and which version of its words."""

    purpose: str
    version: int


_SUBJECT: Final = say("the word in the ledger of consents", "授权记录")
_EXAMPLE: Final = {"purpose": "health", "version": 1}

TYPES: Final = (
    NoticeType(
        "identity.consent.given",
        ConsentSaid,
        _SUBJECT,
        say(
            "Somebody consented to a purpose, or a guardian or proxy did for them.",
            "本人、监护人或代办人同意了某项用途。",
        ),
        _EXAMPLE,
    ),
    NoticeType(
        "identity.consent.withdrawn",
        ConsentSaid,
        _SUBJECT,
        say("A consent was taken back; it counts from this moment.", "同意已撤回，即时生效。"),
        _EXAMPLE,
    ),
)


def consent_given(consent_id: uuid.UUID, community: str, holder_no: int, purpose: str, version: int) -> Notice:
    """Somebody consented to a purpose. Who they are, and who said it for them, stays in the ledger of consents."""
    return Notice(
        "identity.consent.given", community, consent_id, (holder_no,), {"purpose": purpose, "version": version}
    )


def consent_withdrawn(consent_id: uuid.UUID, community: str, holder_no: int, purpose: str, version: int) -> Notice:
    """Somebody took a consent back."""
    return Notice(
        "identity.consent.withdrawn", community, consent_id, (holder_no,), {"purpose": purpose, "version": version}
    )
